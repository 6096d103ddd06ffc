//! Container image references, taken apart without changing them.

use std::fmt;

/// An image reference. `Display` prints it as it was given, apart from the parts that `with` changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Only if it was written.
    host: Option<Box<str>>,
    repository: Box<str>,
    tag: Option<Box<str>>,
    digest: Option<Box<str>>,
}

/// Where an image without a host comes from.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Longest reference that is read, in bytes: a name of 255, a tag of 128 and a SHA-512 digest fit.
const LONGEST: usize = 1_024;

/// The first component is a host if it looks like one.
fn is_host(component: &str) -> bool {
    component == "localhost" || component.contains(['.', ':'])
}

fn check_host(host: &str) -> Result<(), String> {
    let fine = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'));
    if !fine {
        return Err(format!("{host:?} is no registry host"));
    }
    if !is_host(host) {
        return Err(format!(
            "{host:?} would be read as part of the repository: a registry has a `.` or a port, or is `localhost`"
        ));
    }
    Ok(())
}

fn check_repository(repository: &str) -> Result<(), String> {
    let component = |c: &str| {
        !c.is_empty()
            && c.bytes().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
            })
            && c.starts_with(|c: char| c.is_ascii_alphanumeric())
            && c.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    if repository.split('/').all(component) {
        return Ok(());
    }
    if repository.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(format!(
            "{repository:?} is no image repository: it must be lower case"
        ));
    }
    Err(format!("{repository:?} is no image repository"))
}

fn check_tag(tag: &str) -> Result<(), String> {
    let fine = tag.len() <= 128
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && tag
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if fine {
        Ok(())
    } else {
        Err(format!("{tag:?} is no image tag"))
    }
}

fn check_digest(digest: &str) -> Result<(), String> {
    let fine = digest.split_once(':').is_some_and(|(algorithm, hex)| {
        algorithm.starts_with(|c: char| c.is_ascii_alphabetic())
            && algorithm
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-' | b'_'))
            && hex.len() >= 32
            && hex.bytes().all(|b| b.is_ascii_hexdigit())
    });
    if fine {
        Ok(())
    } else {
        Err(format!(
            "{digest:?} is no image digest; write for example `sha256:` and 64 hex digits"
        ))
    }
}

impl Image {
    /// Takes a reference apart.
    ///
    /// # Errors
    /// A sentence for people that says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an image reference is empty".into());
        }
        if text.len() > LONGEST {
            return Err(format!("an image reference has at most {LONGEST} bytes"));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let (host, rest) = match name.split_once('/') {
            Some((first, rest)) if is_host(first) => (Some(first), rest),
            _ => (None, name),
        };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (rest, None),
        };
        if let Some(host) = host {
            check_host(host)?;
        }
        check_repository(repository)?;
        if let Some(tag) = tag {
            check_tag(tag)?;
        }
        if let Some(digest) = digest {
            check_digest(digest)?;
        }
        Ok(Self {
            host: host.map(Into::into),
            repository: repository.into(),
            tag: tag.map(Into::into),
            digest: digest.map(Into::into),
        })
    }

    /// `docker.io` when there is no host.
    pub fn registry(&self) -> &str {
        self.host.as_deref().unwrap_or(DEFAULT_REGISTRY)
    }

    /// Without registry, tag and digest; never gets `library/` added.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// None when there is no tag; never `latest` by itself.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// With its algorithm: `sha256:…`.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// A copy with `registry`, `repository`, `tag` or `digest` replaced; an empty value removes tag or digest. A registry may bring a path
    /// with it (`mirror.example/dockerhub`), which comes before a repository that does not begin with it at that registry.
    ///
    /// # Errors
    /// An unknown part, or a value that the part cannot have.
    pub fn with(&self, part: &str, value: &str) -> Result<Self, String> {
        let mut changed = self.clone();
        match part {
            "registry" => {
                let (host, path) = match value.split_once('/') {
                    Some((host, path)) => (host, Some(path)),
                    None => (value, None),
                };
                check_host(host)?;
                if let Some(path) = path {
                    check_repository(path)?;
                    // Done twice is as done once: rules say so at each look.
                    let is_there = self.host.as_deref() == Some(host)
                        && self
                            .repository
                            .strip_prefix(path)
                            .is_some_and(|rest| rest.starts_with('/'));
                    if !is_there {
                        changed.repository = format!("{path}/{}", self.repository).into();
                    }
                }
                changed.host = Some(host.into());
            }
            "repository" => {
                check_repository(value)?;
                // Without a host in front, a first component that looks like one would be read as the registry.
                if let Some((first, _)) = value.split_once('/')
                    && self.host.is_none()
                    && is_host(first)
                {
                    return Err(format!(
                        "{first:?} would be read as the registry: set the registry first"
                    ));
                }
                changed.repository = value.into();
            }
            "tag" if value.is_empty() => changed.tag = None,
            "tag" => {
                check_tag(value)?;
                changed.tag = Some(value.into());
            }
            "digest" if value.is_empty() => changed.digest = None,
            "digest" => {
                check_digest(value)?;
                changed.digest = Some(value.into());
            }
            _ => {
                return Err(format!(
                    "an image has no part {part:?}: registry, repository, tag or digest"
                ));
            }
        }
        Ok(changed)
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}/")?;
        }
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn takes_references_apart() {
        for (text, registry, repository, tag, digest) in [
            ("nginx", "docker.io", "nginx", None, None),
            ("nginx:1.27", "docker.io", "nginx", Some("1.27"), None),
            ("library/nginx", "docker.io", "library/nginx", None, None),
            ("docker.io/nginx", "docker.io", "nginx", None, None),
            ("team/app:v1", "docker.io", "team/app", Some("v1"), None),
            ("localhost/app", "localhost", "app", None, None),
            ("localhost:5000/app", "localhost:5000", "app", None, None),
            (
                "registry:5000/a/b:c",
                "registry:5000",
                "a/b",
                Some("c"),
                None,
            ),
            (
                "ghcr.io/org/app:1.0-rc.1",
                "ghcr.io",
                "org/app",
                Some("1.0-rc.1"),
                None,
            ),
            ("[::1]:5000/app", "[::1]:5000", "app", None, None),
            ("my__app/x-y", "docker.io", "my__app/x-y", None, None),
        ] {
            let image = Image::parse(text).unwrap();
            assert_eq!(image.registry(), registry, "{text}");
            assert_eq!(image.repository(), repository, "{text}");
            assert_eq!(image.tag(), tag, "{text}");
            assert_eq!(image.digest(), digest, "{text}");
            assert_eq!(image.to_string(), text);
        }
        let both = format!("ghcr.io/app:1@{DIGEST}");
        let image = Image::parse(&both).unwrap();
        assert_eq!((image.tag(), image.digest()), (Some("1"), Some(DIGEST)));
        assert_eq!(image.to_string(), both);
    }

    #[test]
    fn refuses_what_is_no_reference() {
        for text in [
            "",
            "Nginx",
            "nginx:",
            "nginx@",
            "nginx@sha256:abc",
            "a//b",
            "/nginx",
            "nginx/",
            "ghcr.io/",
            "ng inx",
            "nginx:a b",
            "nginx:1:2",
            "a@b@c",
            "${image}",
            "nginx:-x",
        ] {
            assert!(Image::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn changes_one_part() {
        for (text, part, value, changed) in [
            (
                "nginx:1",
                "registry",
                "mirror.corp:5000",
                "mirror.corp:5000/nginx:1",
            ),
            ("ghcr.io/a/b", "registry", "localhost", "localhost/a/b"),
            ("nginx:1", "registry", "m.corp/hub", "m.corp/hub/nginx:1"),
            ("m.corp/a:1", "registry", "m.corp/hub", "m.corp/hub/a:1"),
            ("m.corp/hub/a:1", "registry", "m.corp/hub", "m.corp/hub/a:1"),
            ("nginx:1", "repository", "proxy/nginx", "proxy/nginx:1"),
            ("nginx", "tag", "1.27", "nginx:1.27"),
            ("nginx:1", "tag", "", "nginx"),
            ("nginx:1", "digest", DIGEST, &format!("nginx:1@{DIGEST}")),
            (&format!("nginx:1@{DIGEST}"), "digest", "", "nginx:1"),
        ] {
            let image = Image::parse(text).unwrap();
            assert_eq!(image.with(part, value).unwrap().to_string(), changed);
        }
        let image = Image::parse("nginx").unwrap();
        for (part, value, reason) in [
            ("name", "x", "no part"),
            ("registry", "mirror", "part of the repository"),
            ("registry", "", "no registry host"),
            ("registry", "mirror.corp/", "no image repository"),
            ("registry", "mirror/proxy", "part of the repository"),
            ("repository", "mirror.corp/app", "read as the registry"),
            ("repository", "", "no image repository"),
            ("tag", "a/b", "no image tag"),
            ("digest", "abc", "no image digest"),
        ] {
            let error = image.with(part, value).unwrap_err();
            assert!(error.contains(reason), "{part} {value}: {error}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_prints_as_given(text in "[a-z0-9.:/@_A-Z -]{0,40}") {
            if let Ok(image) = Image::parse(&text) {
                prop_assert_eq!(image.to_string(), text);
            }
        }
    }
}
