//! Container image references, taken apart without changing them.

use std::fmt;

/// An image reference. `Display` prints it as it was given, apart from the parts that `with` changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {/* private fields */}

impl Image {
    pub fn parse(_text: &str) -> Result<Self, String> {
        todo!()
    }
    /// `docker.io` when there is no host.
    pub fn registry(&self) -> &str {
        todo!()
    }
    /// Without registry, tag and digest; never gets `library/` added.
    pub fn repository(&self) -> &str {
        todo!()
    }
    /// None when there is no tag; never `latest` by itself.
    pub fn tag(&self) -> Option<&str> {
        todo!()
    }
    /// With its algorithm: `sha256:…`.
    pub fn digest(&self) -> Option<&str> {
        todo!()
    }
    /// A copy with `registry`, `repository`, `tag` or `digest` replaced; an empty value removes tag or digest. Unknown part: error.
    pub fn with(&self, _part: &str, _value: &str) -> Result<Self, String> {
        todo!()
    }
}
impl fmt::Display for Image {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
