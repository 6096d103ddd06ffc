//! `Warning` headers: what the server says of a request that it takes all the same (a deprecated version, a field with another meaning).

use crate::object::ObjectKey;
use crate::object::difference::is_secret;
use http::HeaderMap;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Most different warnings of one rule that are told; some name the object, so that there may be any number.
const MOST_OF_A_RULE: usize = 16;
/// Most rules that are remembered; rules come and go.
const MOST_RULES: usize = 4_096;
/// Longest warning that is told, in characters.
const LONGEST: usize = 500;

/// What has been told.
#[derive(Default)]
pub struct Warnings {
    told: Mutex<HashMap<Arc<str>, HashSet<String>>>,
}

impl Warnings {
    /// Tells each warning of an answer once for each rule that the request was made for.
    pub fn tell(&self, headers: &HeaderMap, rules: &[Arc<str>], object: &ObjectKey) {
        for header in headers.get_all("warning") {
            // An admission policy or webhook may quote the object.
            let warning = match is_secret(&object.kind) {
                true => "its words are not repeated: they may quote a Secret".to_owned(),
                false => text_of(&String::from_utf8_lossy(header.as_bytes())),
            };
            let news = self.news(&warning, rules);
            if news.is_empty() {
                tracing::debug!(%object, warning, "the server warns");
            } else {
                let rule = news.join(", ");
                tracing::warn!(rule, %object, warning, "the server warns");
            }
        }
    }

    /// The rules that have not heard this yet.
    fn news<'r>(&self, warning: &str, rules: &'r [Arc<str>]) -> Vec<&'r str> {
        let mut told = self.told.lock();
        let is_new = |rule: &&Arc<str>| {
            if !told.contains_key(*rule) && told.len() >= MOST_RULES {
                told.clear();
            }
            let heard = told.entry(Arc::clone(rule)).or_default();
            heard.len() < MOST_OF_A_RULE && heard.insert(warning.to_owned())
        };
        rules.iter().filter(is_new).map(|rule| &**rule).collect()
    }
}

/// The text of `299 - "text"`; what cannot be read as that, as it is.
fn text_of(header: &str) -> String {
    let quoted = header.split_once('"').map(|(_, rest)| {
        let mut text = String::new();
        let mut escaped = false;
        for c in rest.chars() {
            match c {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => break,
                c => {
                    escaped = false;
                    text.push(c);
                }
            }
        }
        text
    });
    let text = quoted.unwrap_or_else(|| header.to_owned());
    text.chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_read_from_its_header() {
        for (header, text) in [
            (
                r#"299 - "v1 Endpoints is deprecated""#,
                "v1 Endpoints is deprecated",
            ),
            (
                r#"299 agent "say \"a\" \\ b" "Wed, 21 Oct 2015""#,
                r#"say "a" \ b"#,
            ),
            ("no quotes", "no quotes"),
            (r#"299 - "not closed"#, "not closed"),
        ] {
            assert_eq!(text_of(header), text);
        }
        assert_eq!(text_of(&"x".repeat(5_000)).len(), LONGEST);
    }

    #[test]
    fn each_rule_hears_it_once_and_not_without_end() {
        let warnings = Warnings::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        assert_eq!(warnings.news("x", std::slice::from_ref(&a)), ["a"]);
        assert_eq!(warnings.news("x", &[a.clone(), b.clone()]), ["b"]);
        assert!(warnings.news("x", &[a.clone(), b]).is_empty());
        let told = (0..1_000)
            .filter(|n| {
                !warnings
                    .news(&n.to_string(), std::slice::from_ref(&a))
                    .is_empty()
            })
            .count();
        assert_eq!(told, MOST_OF_A_RULE - 1);
        for n in 0..10_000 {
            warnings.news("x", &[n.to_string().into()]);
        }
        assert!(warnings.told.lock().len() <= MOST_RULES);
    }
}
