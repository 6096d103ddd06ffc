//! `ordain ready`: asks a running daemon whether it is ready. An image with this one program needs no other to be tested from inside a cluster.

use super::{exit, output};
use crate::settings::ReadySettings;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// A single question is given up after this time.
const ONE_QUESTION: Duration = Duration::from_secs(5);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest answer that is read, in bytes: `/readyz` answers one line.
const LONGEST: u64 = 64 * 1024;

pub fn run(settings: &ReadySettings) -> anyhow::Result<u8> {
    let end = Instant::now() + settings.timeout;
    loop {
        let answer = ask(&settings.address);
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
                eprintln!(
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

/// Status code and body of `/readyz`.
fn ask(address: &str) -> std::io::Result<(u16, String)> {
    let mut last = std::io::Error::other("the name has no address");
    // A name may have addresses of both families, of which the daemon listens on one.
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, ONE_QUESTION) {
            Ok(stream) => return question(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn question(mut stream: TcpStream) -> std::io::Result<(u16, String)> {
    stream.set_read_timeout(Some(ONE_QUESTION))?;
    stream.set_write_timeout(Some(ONE_QUESTION))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: ordain\r\nConnection: close\r\n\r\n")?;
    let mut bytes = vec![];
    stream.take(LONGEST).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let answer = text.split_once("\r\n\r\n").and_then(|(head, body)| {
        let code = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        Some((code, body.to_owned()))
    });
    answer.ok_or_else(|| std::io::Error::other("this is no answer of a daemon"))
}
