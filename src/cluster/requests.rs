//! Requests as they go over the wire.

use super::fault;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use kube::client::Body;
use std::time::Duration;

/// A read that is not answered whole within this time has failed.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest answer that is read, in bytes: an object has at most 1.5 MiB in etcd, a page 500 of them, a document of OpenAPI a few MiB.
const LARGEST: usize = 1 << 30;

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
pub async fn send(client: &kube::Client, request: Request<Vec<u8>>) -> Result<Answer, kube::Error> {
    let response = client.send(request.map(Body::from)).await?;
    let (parts, body) = response.into_parts();
    let body = http_body_util::Limited::new(body, LARGEST)
        .collect()
        .await
        .map_err(kube::Error::Service)?
        .to_bytes();
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body,
    })
}

/// A GET whose answer must be 200.
///
/// # Errors
/// Anything else, told shortly.
pub async fn get(client: &kube::Client, path: &str) -> anyhow::Result<Bytes> {
    let request = Request::get(path)
        .header(header::ACCEPT, "application/json")
        .body(vec![])?;
    let answer = whole(client, request).await?;
    anyhow::ensure!(
        answer.status.is_success(),
        "GET {path}: the server answered {}",
        answer.status
    );
    Ok(answer.body)
}

/// As [`send`], bounded in time.
///
/// # Errors
/// No answer in time, told shortly.
pub async fn whole(client: &kube::Client, request: Request<Vec<u8>>) -> anyhow::Result<Answer> {
    let what = format!("{} {}", request.method(), request.uri().path());
    tokio::time::timeout(READ_TIMEOUT, send(client, request))
        .await
        .map_err(|_| anyhow::anyhow!("{what}: no answer within {} s", READ_TIMEOUT.as_secs()))?
        .map_err(|e| anyhow::anyhow!("{what}: {}", fault::transport_message(&e)))
}
