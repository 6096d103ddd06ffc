//! The way to an API server that is reached through an HTTP proxy: a tunnel by `CONNECT`, and TLS with the server inside of it.

use base64::Engine as _;
use futures::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower::Service;

/// Longest answer of a proxy to `CONNECT`, in bytes.
const LONGEST_ANSWER: usize = 16 << 10;

/// An HTTP proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: Arc<str>,
    port: u16,
    /// Value of `Proxy-Authorization`.
    authorization: Option<Arc<str>>,
}

impl fmt::Debug for Proxy {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}

impl Proxy {
    /// Reads the address of a proxy: `http://[USER:PASSWORD@]HOST[:PORT]`, port 80 if it says none; also without `http://`.
    ///
    /// # Errors
    /// Why it cannot be used, without the address: that may hold a password.
    pub fn of(address: &Uri) -> Result<Proxy, String> {
        match address.scheme_str() {
            None | Some("http") => {}
            Some(other) => {
                return Err(format!(
                    "it is of the kind `{other}`, and only `http://` is supported"
                ));
            }
        }
        let Some(authority) = address.authority() else {
            return Err("its address has no host".into());
        };
        let authorization = authority.as_str().rsplit_once('@').map(|(user, _)| {
            let basic = base64::prelude::BASE64_STANDARD.encode(decoded(user));
            format!("Basic {basic}").into()
        });
        Ok(Proxy {
            host: authority.host().trim_matches(['[', ']']).into(),
            port: authority.port_u16().unwrap_or(80),
            authorization,
        })
    }

    /// Makes connections to a server through this proxy, each within a time.
    pub fn tunnel(&self, timeout: Duration) -> Tunnel {
        Tunnel {
            proxy: self.clone(),
            timeout,
        }
    }
}

/// Text with `%40` and the like, as bytes; what is no such escape stays as it is.
fn decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digit = |n: usize| bytes.get(at + n).and_then(|b| char::from(*b).to_digit(16));
        match (byte, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

/// Makes connections to servers through a proxy.
#[derive(Clone)]
pub struct Tunnel {
    proxy: Proxy,
    /// Until the tunnel must be there.
    timeout: Duration,
}

impl Service<Uri> for Tunnel {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<TcpStream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let Tunnel { proxy, timeout } = self.clone();
        Box::pin(async move {
            match tokio::time::timeout(timeout, dig(&proxy, &server)).await {
                Ok(result) => result.map(TokioIo::new),
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the proxy did not answer in time",
                )),
            }
        })
    }
}

async fn dig(proxy: &Proxy, server: &Uri) -> io::Result<TcpStream> {
    let host = server.host().unwrap_or_default();
    let plain = server.scheme_str() == Some("http");
    let port = server.port_u16().unwrap_or(if plain { 80 } else { 443 });
    let said = |error: io::Error| {
        io::Error::new(
            error.kind(),
            format!("the proxy cannot be reached: {error}"),
        )
    };
    let mut stream = TcpStream::connect((&*proxy.host, proxy.port))
        .await
        .map_err(said)?;
    stream.set_nodelay(true)?;
    let authorization = proxy.authorization.as_ref();
    let authorization =
        authorization.map_or(String::new(), |a| format!("Proxy-Authorization: {a}\r\n"));
    let request =
        format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(256);
    // The server's first word comes after ours: what is read here is the proxy's alone.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= LONGEST_ANSWER {
            return Err(io::Error::other("the proxy's answer has no end"));
        }
        answer.push(stream.read_u8().await.map_err(|_| {
            io::Error::other("the proxy closed the connection instead of answering")
        })?);
    }
    let line = answer.split(|byte| *byte == b'\r').next();
    let line = String::from_utf8_lossy(line.unwrap_or_default()).into_owned();
    let mut words = line.splitn(3, ' ');
    let (version, code, reason) = (words.next(), words.next(), words.next().unwrap_or_default());
    match (version, code) {
        (Some("HTTP/1.1" | "HTTP/1.0"), Some("200")) => Ok(stream),
        (Some("HTTP/1.1" | "HTTP/1.0"), Some("407")) => Err(io::Error::other(
            "the proxy does not accept our user and password (407)",
        )),
        (Some("HTTP/1.1" | "HTTP/1.0"), Some(code)) => Err(io::Error::other(format!(
            "the proxy does not let us through to {host}:{port} ({code} {reason})"
        ))),
        _ => Err(io::Error::other("what listens there is no HTTP proxy")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_proxies_are_read() {
        let of = |text: &str| Proxy::of(&text.parse().unwrap_or_default());
        let plain = of("http://proxy.example:3128");
        assert_eq!(
            plain
                .as_ref()
                .map(|p| (&*p.host, p.port, p.authorization.is_none())),
            Ok(("proxy.example", 3128, true))
        );
        assert_eq!(of("proxy.example:3128"), plain);
        assert_eq!(of("http://proxy.example").map(|p| p.port), Ok(80));
        assert_eq!(of("http://[::1]:8080").map(|p| p.host), Ok("::1".into()));
        let secret = of("http://me:pa%40ss%3Aw@proxy.example:1");
        let wanted = base64::prelude::BASE64_STANDARD.encode("me:pa@ss:w");
        assert_eq!(
            secret.as_ref().map(|p| p.authorization.clone()),
            Ok(Some(format!("Basic {wanted}").into()))
        );
        assert_eq!(
            secret.map(|p| format!("{p:?}")),
            Ok("Proxy(proxy.example:1)".into())
        );
        for wrong in ["socks5://proxy.example:1080", "https://proxy.example", "/"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        assert_eq!(decoded("a%zz%4"), b"a%zz%4");
    }
}
