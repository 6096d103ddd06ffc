//! The bytes of lists and watches to records, without a tree in between.

use crate::engine::Observation;
use crate::object::record::{Encoder, skim};
use crate::object::{GroupKind, Gvk, ObjectKey, Record};
use serde::Deserialize;
use serde_json::value::RawValue;

/// One page of a list.
pub struct Page {
    /// What was decoded.
    pub records: Vec<Record>,
    /// Why items were left out.
    pub undecodable: Vec<String>,
    /// The version of the whole list.
    pub resource_version: String,
    /// Where the next page begins; empty after the last.
    pub next: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMeta {
    resource_version: String,
    #[serde(rename = "continue")]
    next: String,
}

/// Reads one page. An item that cannot be decoded is left out and named.
///
/// # Errors
/// A body that is not a list at all.
pub fn page(body: &[u8], gvk: &Gvk, encoder: &mut Encoder) -> Result<Page, String> {
    let mut page = Page {
        records: vec![],
        undecodable: vec![],
        resource_version: String::new(),
        next: String::new(),
    };
    let no_list = || "the answer is not a list".to_owned();
    let mut rest = body.trim_ascii().strip_prefix(b"{").ok_or_else(no_list)?;
    while let Some((name, value)) = member(&mut rest).ok_or_else(no_list)? {
        match name {
            b"\"metadata\"" => {
                let meta: ListMeta = serde_json::from_slice(value)
                    .map_err(|e| format!("the answer is not a list: {e}"))?;
                page.resource_version = meta.resource_version;
                page.next = meta.next;
            }
            b"\"items\"" if value.starts_with(b"[") => {
                let mut items = &value[1..];
                while let Some(item) = next(&mut items, b']').ok_or_else(no_list)? {
                    match encoder.from_json(item, Some(gvk)) {
                        Ok(record) if !record.meta().name().is_empty() => page.records.push(record),
                        Ok(_) => page.undecodable.push("an item has no metadata.name".into()),
                        Err(error) => page.undecodable.push(error.to_string()),
                    }
                }
            }
            _ => {}
        }
    }
    if rest.trim_ascii().is_empty() {
        Ok(page)
    } else {
        Err(no_list())
    }
}

/// Takes the next member of a map from what stands behind its bracket: the key as written, and the value's text. `Some(None)`: it has ended.
///
/// `None`: this is no JSON.
#[allow(clippy::type_complexity)]
fn member<'t>(rest: &mut &'t [u8]) -> Option<Option<(&'t [u8], &'t [u8])>> {
    let text = rest.trim_ascii_start();
    if let Some(behind) = text.strip_prefix(b"}") {
        *rest = behind;
        return Some(None);
    }
    let (name, text) = text.split_at_checked(skim::extent(text)?)?;
    *rest = text.trim_ascii_start().strip_prefix(b":")?;
    let value = next(rest, b'}')??;
    Some(Some((name, value)))
}

/// Takes the next value, and the comma behind it, up to the closing bracket.
fn next<'t>(rest: &mut &'t [u8], bracket: u8) -> Option<Option<&'t [u8]>> {
    let text = rest.trim_ascii_start();
    if text.first() == Some(&bracket) {
        *rest = &text[1..];
        return Some(None);
    }
    let (value, behind) = text.split_at_checked(skim::extent(text)?)?;
    let behind = behind.trim_ascii_start();
    *rest = match behind.strip_prefix(b",") {
        Some(behind) => behind,
        None if behind.first() == Some(&bracket) => behind,
        None => return None,
    };
    Some(Some(value))
}

/// What a line of a watch was.
#[derive(Debug)]
pub enum Line {
    /// Something happened to an object.
    Event(Observation),
    /// The server says how far it has come.
    Bookmark,
    /// The watch cannot go on from here (410) or ended with an error.
    Error {
        /// HTTP status code.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// Left out.
    Undecodable(String),
}

/// Longest line that is kept, in bytes. etcd takes objects of 1.5 MiB unless told otherwise, and their JSON may be a few times that.
const LONGEST_LINE: usize = 32 << 20;

/// Cuts a stream of bytes into lines; keeps what has no end yet.
#[derive(Default)]
pub struct Lines {
    rest: Vec<u8>,
    /// In the middle of a line that is too long: the rest of it is passed over.
    skipping: bool,
}

impl Lines {
    /// Calls `each` for every line that is complete now. Answers how many lines were found to be too long, which are left out.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) -> usize {
        let mut start = 0;
        let mut too_long = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            if std::mem::take(&mut self.skipping) {
                // Its end.
            } else if self.rest.is_empty() {
                each(&bytes[start..end]);
            } else {
                self.rest.extend_from_slice(&bytes[start..end]);
                each(&self.rest);
                self.rest.clear();
            }
            start = end + 1;
        }
        let rest = &bytes[start..];
        if !self.skipping && self.rest.len() + rest.len() > LONGEST_LINE {
            self.skipping = true;
            self.rest = vec![];
            too_long += 1;
        }
        if !self.skipping {
            self.rest.extend_from_slice(rest);
        }
        too_long
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct StatusObject {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    message: String,
}

/// The two parts of an event, found without parsing the object where the server writes as it always does: `{"type":"…","object":…}`.
fn split(line: &[u8]) -> Option<(&str, &[u8])> {
    if let Some(rest) = line.strip_prefix(b"{\"type\":\"")
        && let Some(quote) = memchr::memchr(b'"', &rest[..rest.len().min(16)])
        && let Some(object) = rest[quote..].strip_prefix(b"\",\"object\":")
        && let Some(object) = object.strip_suffix(b"}")
    {
        return Some((std::str::from_utf8(&rest[..quote]).ok()?, object));
    }
    let envelope: Envelope<'_> = serde_json::from_slice(line).ok()?;
    Some((envelope.kind, envelope.object.get().as_bytes()))
}

/// Reads one line of a watch. `version` becomes that of an event or bookmark.
pub fn line(
    line: &[u8],
    gvk: &Gvk,
    kind: &GroupKind,
    encoder: &mut Encoder,
    version: &mut String,
) -> Line {
    let Some((event, object)) = split(line) else {
        return Line::Undecodable("a line is no watch event".into());
    };
    if event == "ERROR" {
        return match serde_json::from_slice::<StatusObject>(object) {
            Ok(status) => Line::Error {
                code: status.code,
                message: status.message,
            },
            Err(_) => Line::Error {
                code: 500,
                message: "an error without a status".into(),
            },
        };
    }
    let record = match encoder.from_json(object, Some(gvk)) {
        Ok(record) => record,
        Err(error) => return Line::Undecodable(error.to_string()),
    };
    let meta = record.meta();
    let line = match event {
        "BOOKMARK" => Line::Bookmark,
        _ if meta.name().is_empty() => {
            return Line::Undecodable("an object has no metadata.name".into());
        }
        "DELETED" => Line::Event(Observation::Deleted {
            key: ObjectKey::new(kind.clone(), meta.namespace(), meta.name()),
            resource_version: Some(meta.resource_version().to_owned()),
        }),
        "ADDED" | "MODIFIED" => {
            version.clear();
            version.push_str(meta.resource_version());
            return Line::Event(Observation::Applied {
                kind: kind.clone(),
                record,
            });
        }
        other => return Line::Undecodable(format!("an event of the unknown type {other:?}")),
    };
    version.clear();
    version.push_str(meta.resource_version());
    line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn gvk() -> Gvk {
        Gvk::from_api_version("v1", "ConfigMap")
    }

    /// With the version that it leaves.
    fn read_at(text: &str) -> (Line, String) {
        let mut version = "4".to_owned();
        let line = line(
            text.as_bytes(),
            &gvk(),
            &gvk().group_kind(),
            &mut Encoder::default(),
            &mut version,
        );
        (line, version)
    }

    fn read(text: &str) -> Line {
        read_at(text).0
    }

    #[test]
    fn one_undecodable_item_does_not_fail_the_list() {
        let body = br#"{"kind":"ConfigMapList","metadata":{"resourceVersion":"9","continue":"more"},"items":[{"metadata":{"name":"a"}},"oops",{"metadata":{}},{"metadata":{"name":"b"}}]}"#;
        let page = page(body, &gvk(), &mut Encoder::default()).unwrap();
        assert_eq!(
            page.records
                .iter()
                .map(|r| r.meta().name().to_owned())
                .collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(
            (
                page.undecodable.len(),
                page.resource_version.as_str(),
                page.next.as_str()
            ),
            (2, "9", "more")
        );
        assert_eq!(page.records[0].meta().kind(), "ConfigMap");
    }

    #[test]
    fn what_is_no_list_is_an_error_and_order_and_space_do_not_matter() {
        let read = |text: &str| page(text.as_bytes(), &gvk(), &mut Encoder::default());
        for text in [
            "",
            "[]",
            "1",
            "{",
            r#"{"items":[{"metadata":{}"#,
            r#"{"items":[1 2]}"#,
            r#"{"a" 1}"#,
            r#"{"a":1} x"#,
            r#"{"metadata":"oops"}"#,
            r#"{"items":[{]}}"#,
            r#"{"items":[}"#,
            r#"{:}"#,
            r#"{"a":}"#,
            r#"{"a"}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let text = " { \"items\" : [ {\"metadata\":{\"name\":\"a\"}} ,\n {\"metadata\":{\"name\":\"b]}\"}} ] , \"x\":{} ,\"metadata\" : { \"resourceVersion\" : \"7\" } }\n";
        let found = read(text).unwrap();
        let names: Vec<_> = found
            .records
            .iter()
            .map(|r| r.meta().name().to_owned())
            .collect();
        assert_eq!(
            (names.join(" ").as_str(), found.resource_version.as_str()),
            ("a b]}", "7")
        );
    }

    #[test]
    fn an_empty_list_may_say_null() {
        let page = page(
            br#"{"metadata":{"resourceVersion":"1"},"items":null}"#,
            &gvk(),
            &mut Encoder::default(),
        )
        .unwrap();
        assert!(page.records.is_empty());
    }

    #[test]
    fn events_are_told_apart() {
        assert!(
            matches!(read_at(r#"{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"5"}}}"#), (Line::Event(Observation::Applied { .. }), v) if v == "5")
        );
        assert!(
            matches!(read_at(r#"{"object":{"metadata":{"name":"a","resourceVersion":"6"}},"type":"MODIFIED"}"#), (Line::Event(Observation::Applied { .. }), v) if v == "6")
        );
        assert!(
            matches!(read_at(r#"{"type":"DELETED","object":{"metadata":{"name":"a","namespace":"n","resourceVersion":"7"}}}"#), (Line::Event(Observation::Deleted { key, .. }), v) if key.to_string() == "ConfigMap/n/a" && v == "7")
        );
        assert!(
            matches!(read_at(r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"8"}}}"#), (Line::Bookmark, v) if v == "8")
        );
        assert!(matches!(
            read(r#"{"type":"ERROR","object":{"code":410,"message":"too old"}}"#),
            Line::Error { code: 410, .. }
        ));
        for odd in [
            "",
            "{}",
            "[1]",
            r#"{"type":"ADDED","object":[]}"#,
            r#"{"type":"ADDED","object":{}}"#,
            r#"{"type":"NEW","object":{"metadata":{"name":"a"}}}"#,
        ] {
            let (line, version) = read_at(odd);
            assert!(matches!(line, Line::Undecodable(_)), "{odd}");
            assert_eq!(version, "4");
        }
    }

    #[test]
    fn a_line_without_end_is_left_out_and_the_next_one_is_read() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; LONGEST_LINE / 4];
        let mut found = vec![];
        let too_long: usize = (0..9)
            .map(|_| lines.push(&piece, |_| panic!("no line ends here")))
            .sum();
        assert_eq!(too_long, 1);
        lines.push(b"end\nnext\n", |l| found.push(l.to_vec()));
        assert_eq!(found, [b"next".to_vec()]);
    }

    #[test]
    fn an_object_nested_without_measure_is_left_out() {
        let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        let text =
            format!(r#"{{"type":"ADDED","object":{{"metadata":{{"name":"a"}},"spec":{deep}}}}}"#);
        assert!(matches!(read(&text), Line::Undecodable(_)));
        let list = format!(
            r#"{{"metadata":{{"resourceVersion":"1"}},"items":[{{"metadata":{{"name":"a"}},"spec":{deep}}},{{"metadata":{{"name":"b"}}}}]}}"#
        );
        let page = page(list.as_bytes(), &gvk(), &mut Encoder::default()).unwrap();
        assert_eq!((page.records.len(), page.undecodable.len()), (1, 1));
    }

    proptest! {
        #[test]
        fn lines_come_out_whole_however_the_bytes_are_cut(lines in prop::collection::vec("[a-z]{0,9}", 0..8), cuts in prop::collection::vec(0usize..60, 0..6)) {
            let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
            let mut ends: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).chain([text.len()]).collect();
            ends.sort_unstable();
            let (mut found, mut splitter, mut start) = (vec![], Lines::default(), 0);
            for end in ends {
                splitter.push(&text.as_bytes()[start..end], |l| found.push(String::from_utf8(l.to_vec()).unwrap()));
                start = end;
            }
            prop_assert_eq!(found, lines);
        }
    }
}
