//! How values of options are read where clap has no reader of its own.

use std::time::Duration;

/// The name of an object as Kubernetes takes it for most kinds: a DNS subdomain.
///
/// # Errors
/// Anything else, with what a name may be.
pub fn object_name(text: &str) -> Result<String, String> {
    if text.len() <= 253 && text.split('.').all(is_label) {
        return Ok(text.to_owned());
    }
    Err("a name is made of a-z, 0-9, `-` and `.`, begins and ends with a letter or digit, and has at most 253 characters".into())
}

/// The name of a namespace: a DNS label. An empty one, as of a variable of a shell that is not set, would be no namespace at all.
pub(super) fn namespace(text: &str) -> Result<String, String> {
    if text.len() <= 63 && is_label(text) {
        return Ok(text.to_owned());
    }
    Err("a namespace is made of a-z, 0-9 and `-`, begins and ends with a letter or digit, and has at most 63 characters".into())
}

fn is_label(label: &str) -> bool {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !label.is_empty()
        && label.chars().all(inside)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// `HOST:PORT`, as a client takes it.
pub(super) fn host_and_port(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(text.to_owned())
        }
        _ => Err("write HOST:PORT, for example 127.0.0.1:9464".into()),
    }
}

/// A length of time such as `15s` or `1m30s`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    crate::object::duration::parse(text)
}
