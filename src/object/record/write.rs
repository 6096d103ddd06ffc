//! Writing the encoded form.

use super::{FALSE, FLOAT, LARGE, LIST, MAP, NATURAL, NEGATIVE, NULL, STRING, TRUE};
use crate::object::{Gvk, symbol};
use serde_json::Value;

/// Maps whose keys are a user's words, not fields of the API: their names may take only a part of the symbol table.
const FREE_MAPS: [&str; 8] = [
    "labels",
    "annotations",
    "data",
    "stringData",
    "binaryData",
    "matchLabels",
    "nodeSelector",
    "selector",
];

/// What the value being encoded stands in.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Inside {
    Root,
    Metadata,
    FreeMap,
    Other,
}

impl Inside {
    pub fn below(self, key: &str) -> Inside {
        if self == Inside::Root && key == "metadata" {
            Inside::Metadata
        } else if FREE_MAPS.contains(&key) {
            Inside::FreeMap
        } else {
            Inside::Other
        }
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

fn intern_key(out: &mut Vec<u8>, name: &str, free: bool) {
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

/// Opens a map or list; the body length is filled in by [`close`].
pub(super) fn open(out: &mut Vec<u8>, tag: u8) -> usize {
    out.push(tag);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    at
}

pub(super) fn close(out: &mut [u8], at: usize) {
    let length = (out.len() - at - 4) as u32;
    out[at..at + 4].copy_from_slice(&length.to_le_bytes());
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
                intern_key(out, key, inside == Inside::FreeMap);
                put_value(out, value, depth + 1, inside.below(key));
            }
            close(out, at);
        }
    }
}
