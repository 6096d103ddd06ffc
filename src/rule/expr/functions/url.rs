//! Kubernetes' URL library. Go's `net/url` is followed, not the browsers' rules: nothing is made lower case but the scheme, no default
//! port is dropped and no slash added. What is a URL is decided as for a request (absolute, or a path from the root).

use super::{Function, global, member, mismatch, unreadable};
use crate::rule::expr::eval::Fault;
use crate::rule::expr::value::{STRING, URL, UrlVal, Val};
use std::sync::Arc;

pub(super) static TABLE: &[Function] = &[
    global("url", &[STRING], |frame, args| match args {
        [Val::Text(text)] => {
            frame.charge_text(text.len())?;
            match parse(text) {
                Ok(url) => Ok(Val::Url(Arc::new(url))),
                Err(reason) => {
                    let reason = format!("{:?} is no URL: {reason}", &**text);
                    Err(unreadable(frame, "url", "URL", reason))
                }
            }
        }
        _ => mismatch(),
    })
    .at_load(),
    global("isURL", &[STRING], |frame, args| match args {
        [Val::Text(text)] => {
            frame.charge_text(text.len())?;
            Ok(Val::Bool(parse(text).is_ok()))
        }
        _ => mismatch(),
    }),
    member("getScheme", &[URL], |_, args| {
        text_of(args, |url| &url.scheme)
    }),
    member("getHost", &[URL], |_, args| text_of(args, |url| &url.host)),
    member("getHostname", &[URL], |_, args| {
        text_of(args, |url| split_host(&url.host).0)
    }),
    member("getPort", &[URL], |_, args| {
        text_of(args, |url| split_host(&url.host).1)
    }),
    member("getEscapedPath", &[URL], |_, args| {
        text_of(args, |url| &url.escaped_path)
    }),
    member("getQuery", &[URL], |frame, args| {
        let [Val::Url(url)] = args else {
            return mismatch();
        };
        let mut members: Vec<(String, Vec<Val<'_>>)> = Vec::new();
        for pair in url.query.split('&').filter(|pair| !pair.is_empty()) {
            frame.charge(1 + members.len() / 16)?;
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            // As Go: a pair that is malformed is left out.
            let (Some(key), Some(value)) = (unescape(key, true), unescape(value, true)) else {
                continue;
            };
            if pair.contains(';') {
                continue;
            }
            match members.iter_mut().find(|(other, _)| *other == key) {
                Some((_, values)) => values.push(Val::text(value)),
                None => members.push((key, vec![Val::text(value)])),
            }
        }
        Ok(Val::Map(Arc::new(
            members
                .into_iter()
                .map(|(key, values)| (Val::text(key), Val::list(values)))
                .collect(),
        )))
    }),
];

fn text_of<'a>(args: &[Val<'a>], of: impl Fn(&UrlVal) -> &str) -> Result<Val<'a>, Fault> {
    match args {
        [Val::Url(url)] => Ok(Val::text(of(url))),
        _ => mismatch(),
    }
}

/// Hostname without brackets, and port.
fn split_host(host: &str) -> (&str, &str) {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, ""),
    };
    let name = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    (name, port)
}

/// As [`unescaped`], as text.
fn unescape(text: &str, query: bool) -> Option<String> {
    unescaped(text, query).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// `%XX` resolved, and in a query `+` as a blank; `None` if an escape is malformed.
fn unescaped(text: &str, query: bool) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let hex = text.get(at + 1..at + 3)?;
                if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return None;
                }
                out.push(u8::from_str_radix(hex, 16).ok()?);
                at += 3;
            }
            b'+' if query => {
                out.push(b' ');
                at += 1;
            }
            other => {
                out.push(other);
                at += 1;
            }
        }
    }
    Some(out)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

fn parse(text: &str) -> Result<UrlVal, &'static str> {
    if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return Err("it has a control character");
    }
    if text.is_empty() {
        return Err("it is empty");
    }
    let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
    unescape(fragment, false).ok_or("its fragment has a malformed escape")?;
    let (scheme, rest) = split_scheme(before)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !rest.starts_with('/') && text != "*" {
        if scheme.is_empty() {
            return Err("it is neither absolute nor a path from the root");
        }
        // Opaque: `mailto:x`.
        return Ok(UrlVal {
            text: text.into(),
            scheme: scheme.to_ascii_lowercase().into(),
            host: "".into(),
            escaped_path: "".into(),
            query: query.into(),
        });
    }
    let (host, path) = match rest.strip_prefix("//") {
        Some(authority) if !scheme.is_empty() || !rest.starts_with("///") => {
            let at = authority.find('/').unwrap_or(authority.len());
            (host_of(&authority[..at])?, &authority[at..])
        }
        _ => (String::new(), rest),
    };
    Ok(UrlVal {
        text: text.into(),
        scheme: scheme.to_ascii_lowercase().into(),
        host: host.into(),
        escaped_path: escaped_path(path)?.into(),
        query: query.into(),
    })
}

fn split_scheme(text: &str) -> Result<(&str, &str), &'static str> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("its scheme is missing"),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => return Ok(("", text)),
        }
    }
    Ok(("", text))
}

fn host_of(authority: &str) -> Result<String, &'static str> {
    let host = match authority.rsplit_once('@') {
        Some((user, host)) => {
            let fine = |b: u8| is_unreserved(b) || b"!$&'()*+,;=:%@".contains(&b);
            if !user.bytes().all(fine) || unescape(user, false).is_none() {
                return Err("its user part is malformed");
            }
            host
        }
        None => authority,
    };
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    if let Some(rest) = host.strip_prefix('[') {
        let (_, after) = rest.split_once(']').ok_or("a `]` is missing in its host")?;
        let port = after.strip_prefix(':');
        if !(after.is_empty() || port.is_some_and(is_port)) {
            return Err("its port is malformed");
        }
    } else if host.split_once(':').is_some_and(|(_, port)| !is_port(port)) {
        return Err("its port is malformed");
    }
    let fine = |b: u8| b >= 0x80 || is_unreserved(b) || b"!$&'()*+,;=:[]<>\"%".contains(&b);
    if !host.bytes().all(fine) {
        return Err("its host has a character that no host has");
    }
    unescape(host, false).ok_or("its host has a malformed escape")
}

/// The path as it was, if it is escaped properly, else escaped.
fn escaped_path(path: &str) -> Result<String, &'static str> {
    let plain = unescaped(path, false).ok_or("its path has a malformed escape")?;
    let is_fine = |b: u8| is_unreserved(b) || b"!$&'()*+,;=:@[]/%".contains(&b);
    if path.bytes().all(is_fine) {
        return Ok(path.to_owned());
    }
    let mut out = String::with_capacity(path.len() + 16);
    for byte in plain {
        if is_unreserved(byte) || b"$&+,/:;=@".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(out)
}
