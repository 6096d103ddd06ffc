//! One question to a running daemon over HTTP.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A single question is given up after this time.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer that is read, in bytes. What a daemon says of one object is far shorter: long values are cut.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Status code and body of a GET.
///
/// # Errors
/// No connection, no answer in five seconds, or what answers is no daemon.
pub fn get(address: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut last = std::io::Error::other("the name has no address");
    // A name may have addresses of both families, of which the daemon listens on one.
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return question(stream, path),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn question(mut stream: TcpStream, path: &str) -> std::io::Result<(u16, String)> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: ordain\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = vec![];
    stream.take(LONGEST).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let answer = text.split_once("\r\n\r\n").and_then(|(head, body)| {
        let code = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        Some((code, body.to_owned()))
    });
    answer.ok_or_else(|| std::io::Error::other("this is no answer of a daemon"))
}
