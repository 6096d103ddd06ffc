//! Writing the encoded form.

use super::{
    FALSE, FLOAT, LARGE, LIST, LONG_LIST, LONG_MAP, MAP, NATURAL, NEGATIVE, NULL, STRING, TRUE,
    WORD,
};
use crate::object::{Gvk, symbol};
use serde_json::Value;

/// Maps whose keys are a user's words, not fields of the API: their names may take only a part of the symbol table. So are [`DATA`].
const FREE_MAPS: [&str; 5] = [
    "labels",
    "annotations",
    "matchLabels",
    "nodeSelector",
    "selector",
];

/// Those of them whose values may be secret.
const DATA: [&str; 3] = ["data", "stringData", "binaryData"];

/// What the value being encoded stands in.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Inside {
    Root,
    Metadata,
    FreeMap,
    /// A free map whose values are never made words.
    Data,
    Other,
}

impl Inside {
    pub fn below(self, key: &str) -> Inside {
        if self == Inside::Root && key == "metadata" {
            Inside::Metadata
        } else if DATA.contains(&key) {
            Inside::Data
        } else if FREE_MAPS.contains(&key) {
            Inside::FreeMap
        } else {
            Inside::Other
        }
    }

    /// Whether its keys are a user's words.
    pub fn is_free(self) -> bool {
        matches!(self, Inside::FreeMap | Inside::Data)
    }

    pub fn drops(self, key: &str, gvk: bool) -> bool {
        match self {
            Inside::Metadata => key == "managedFields",
            Inside::Root => gvk && (key == "apiVersion" || key == "kind"),
            _ => false,
        }
    }
}

#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

#[inline]
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn put_string(out: &mut Vec<u8>, text: &str) {
    out.push(STRING);
    put_text(out, text);
}

/// `symbol`: what [`symbol::intern`] said.
pub(super) fn put_key(out: &mut Vec<u8>, name: &str, symbol: Option<u32>) {
    match symbol {
        Some(symbol) => put_varint(out, u64::from(symbol) + 1),
        None => {
            out.push(0);
            put_text(out, name);
        }
    }
}

pub(super) fn intern_key(out: &mut Vec<u8>, name: &str, free: bool) {
    put_key(out, name, symbol::intern(name, free));
}

pub(super) fn put_i64(out: &mut Vec<u8>, n: i64) {
    if n >= 0 {
        out.push(NATURAL);
        put_varint(out, n as u64);
    } else {
        out.push(NEGATIVE);
        out.extend_from_slice(&n.to_le_bytes());
    }
}

pub(super) fn put_u64(out: &mut Vec<u8>, n: u64) {
    match i64::try_from(n) {
        Ok(n) => put_i64(out, n),
        Err(_) => {
            out.push(LARGE);
            out.extend_from_slice(&n.to_le_bytes());
        }
    }
}

pub(super) fn put_f64(out: &mut Vec<u8>, n: f64) {
    out.push(FLOAT);
    out.extend_from_slice(&n.to_le_bytes());
}

pub(super) fn put_word(out: &mut Vec<u8>, word: u16) {
    out.push(WORD);
    put_varint(out, u64::from(word));
}

/// Opens a map or list; the body length is filled in by [`close`].
pub(super) fn open(out: &mut Vec<u8>, tag: u8) -> usize {
    let at = out.len();
    out.extend_from_slice(&[tag, 0, 0]);
    at
}

pub(super) fn close(out: &mut Vec<u8>, at: usize) {
    let length = out.len() - at - 3;
    if let Ok(length) = u16::try_from(length) {
        out[at + 1..at + 3].copy_from_slice(&length.to_le_bytes());
        return;
    }
    // Few are that long: what is inside is moved.
    out[at] = if out[at] == MAP { LONG_MAP } else { LONG_LIST };
    out.splice(at + 1..at + 3, (length as u32).to_le_bytes());
}

pub(super) fn put_gvk(out: &mut Vec<u8>, gvk: &Gvk) {
    intern_key(out, "apiVersion", false);
    if gvk.group.is_empty() {
        put_string(out, &gvk.version);
    } else {
        put_string(out, &gvk.api_version());
    }
    intern_key(out, "kind", false);
    put_string(out, &gvk.kind);
}

/// Trees come from bounded parsers; below this depth (far beyond what the API server takes) a value is cut to null rather than risk the stack.
const DEEPEST: usize = 512;

pub(super) fn put_value(out: &mut Vec<u8>, value: &Value, depth: usize, inside: Inside) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(b) => out.push(if *b { TRUE } else { FALSE }),
        Value::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => put_i64(out, n),
            (_, Some(n)) => put_u64(out, n),
            _ => put_f64(out, n.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(s) => put_string(out, s),
        Value::Array(_) | Value::Object(_) if depth >= DEEPEST => out.push(NULL),
        Value::Array(list) => {
            let at = open(out, LIST);
            for item in list {
                put_value(out, item, depth + 1, Inside::Other);
            }
            close(out, at);
        }
        Value::Object(map) => {
            let at = open(out, MAP);
            for (key, value) in map {
                if inside.drops(key, false) {
                    continue;
                }
                intern_key(out, key, inside.is_free());
                put_value(out, value, depth + 1, inside.below(key));
            }
            close(out, at);
        }
    }
}
