//! Requests as they go over the wire.

use super::fault;
use super::pause::{paused, spread};
use super::wire::{NoAnswer, Wire};
use crate::engine::Fault;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A read that is not answered whole within this time has failed.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Status, headers and the whole body.
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// HTTP headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Sends a request and reads the whole answer, whatever its status.
///
/// # Errors
/// No answer.
pub async fn send(wire: &Wire, request: Request<Vec<u8>>) -> Result<Answer, NoAnswer> {
    let (parts, body) = wire.send(request).await?.into_parts();
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    })
}

/// A GET whose answer must be 200. A server that is too busy is asked again as long as [`READ_TIMEOUT`] lasts, one that fails twice.
///
/// # Errors
/// Anything else, told shortly.
pub async fn get(wire: &Wire, path: &str) -> anyhow::Result<Bytes> {
    let ends = Instant::now() + READ_TIMEOUT;
    let mut failures = 0;
    loop {
        let request = Request::get(path)
            .header(header::ACCEPT, "application/json")
            .body(vec![])?;
        let answer = whole(wire, request).await?;
        let status = answer.status;
        if status.is_success() {
            return Ok(answer.body);
        }
        anyhow::ensure!(status != 401, "GET {path}: {}", fault::UNKNOWN_TO_IT);
        failures += 1;
        let pause = match fault::of_answer(status, &answer.headers, &answer.body, false) {
            Fault::Busy { retry_after, .. } if status == 429 => {
                Some(retry_after.map_or_else(|| paused(failures), spread))
            }
            _ if status.is_server_error() && failures <= 2 => Some(paused(failures)),
            _ => None,
        };
        match pause.filter(|pause| Instant::now() + *pause < ends) {
            Some(pause) => sleep(pause).await,
            None => anyhow::bail!("GET {path}: the server answered {status}"),
        }
    }
}

/// As [`send`], bounded in time.
///
/// # Errors
/// No answer in time, told shortly.
pub async fn whole(wire: &Wire, request: Request<Vec<u8>>) -> anyhow::Result<Answer> {
    let what = format!("{} {}", request.method(), request.uri().path());
    tokio::time::timeout(READ_TIMEOUT, send(wire, request))
        .await
        .map_err(|_| anyhow::anyhow!("{what}: no answer within {} s", READ_TIMEOUT.as_secs()))?
        .map_err(|e| anyhow::anyhow!("{what}: {}", fault::transport_message(&e)))
}
