//! `ordain ready`: asks a running daemon whether it is ready. An image with this one program needs no other to be tested from inside a cluster.

use super::{ask, exit, output};
use crate::settings::ReadySettings;
use std::time::{Duration, Instant};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(500);

pub fn run(settings: &ReadySettings) -> anyhow::Result<u8> {
    let end = Instant::now() + settings.timeout;
    loop {
        let answer = ask::get(&settings.address, "/readyz");
        if let Ok((200, text)) = &answer {
            output::print(text)?;
            return Ok(exit::DONE);
        }
        if Instant::now() + PAUSE < end {
            std::thread::sleep(PAUSE);
            continue;
        }
        return match answer {
            Ok((code, text)) => {
                output::say!(
                    "ordain: {} is not ready: {code} {}",
                    settings.address,
                    text.trim()
                );
                Ok(exit::FOUND)
            }
            Err(error) => Err(anyhow::Error::new(error).context(settings.address.clone())),
        };
    }
}
