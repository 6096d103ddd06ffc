//! What Ordain adds: images, paths, merging, hashing, and text in other forms.

use super::{Function, global, member, mismatch, unreadable};
use crate::object::Record;
use crate::object::image::Image;
use crate::rule::expr::access::image_part;
use crate::rule::expr::eval::{Fault, Frame};
use crate::rule::expr::output::{Whole, to_json_with};
use crate::rule::expr::value::{ANY, BYTES, IMAGE, LIST, MAP, PATH, STRING, Val};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use std::sync::Arc;

pub(super) static TABLE: &[Function] = &[
    global("image", &[STRING], |frame, args| match args {
        [Val::Text(text)] => match Image::parse(text) {
            Ok(image) => Ok(Val::Image(Arc::new(image))),
            Err(reason) => Err(unreadable(frame, "image", "image reference", reason)),
        },
        _ => mismatch(),
    })
    .at_load(),
    member("registry", &[IMAGE], |_, args| of_image(args, "registry")),
    member("repository", &[IMAGE], |_, args| {
        of_image(args, "repository")
    }),
    member("tag", &[IMAGE], |_, args| of_image(args, "tag")),
    member("digest", &[IMAGE], |_, args| of_image(args, "digest")),
    member("with", &[IMAGE, STRING, STRING], |frame, args| {
        let [Val::Image(image), Val::Text(part), Val::Text(value)] = args else {
            return mismatch();
        };
        match image.with(part, value) {
            Ok(image) => Ok(Val::Image(Arc::new(image))),
            Err(reason) => Err(unreadable(frame, "with", "such part of an image", reason)),
        }
    })
    .at_load(),
    global("hash", &[ANY], hash),
    global("jsonpath", &[MAP | LIST, PATH], jsonpath),
    global("merge", &[ANY, ANY], |frame, args| {
        let target = tree(frame, &args[0], Whole::Double)?;
        let patch = tree(frame, &args[1], Whole::Double)?;
        frame.charge(args[0].count().unwrap_or_default() + args[1].count().unwrap_or_default())?;
        Ok(Val::from_json(merged(target, patch)))
    }),
    global("fromJson", &[STRING], |frame, args| match args {
        [Val::Text(text)] => {
            frame.room(text.len())?;
            frame.charge(text.len() / 8)?;
            match serde_json::from_str::<Value>(text) {
                Ok(value) => Ok(Val::from_json(value)),
                Err(_) => Err(Fault::failed("`fromJson`: the text is no JSON")),
            }
        }
        _ => mismatch(),
    }),
    global("toJson", &[ANY], |frame, args| {
        let tree = tree(frame, &args[0], Whole::Integer)?;
        frame.made(tree.to_string())
    }),
    global("fromYaml", &[STRING], |frame, args| match args {
        [Val::Text(text)] => {
            frame.room(text.len())?;
            frame.charge(text.len() / 8)?;
            match serde_saphyr::from_str::<Value>(text) {
                Ok(value) => Ok(Val::from_json(value)),
                Err(_) => Err(Fault::failed("`fromYaml`: the text is no YAML document")),
            }
        }
        _ => mismatch(),
    }),
    global("toYaml", &[ANY], |frame, args| {
        let tree = tree(frame, &args[0], Whole::Integer)?;
        match serde_saphyr::to_string(&tree) {
            Ok(text) => frame.made(text),
            Err(_) => Err(Fault::failed("`toYaml`: the value cannot be written")),
        }
    }),
    // Text on both sides: upstream's are on bytes, which are taken too.
    global("base64.encode", &[STRING | BYTES], |frame, args| {
        let bytes: &[u8] = match &args[0] {
            Val::Text(text) => text.as_bytes(),
            Val::Bytes(bytes) => bytes,
            _ => return mismatch(),
        };
        frame.room(bytes.len() / 3 * 4 + 4)?;
        frame.made(BASE64.encode(bytes))
    }),
    global("base64.decode", &[STRING], |frame, args| match args {
        [Val::Text(text)] => {
            frame.room(text.len())?;
            let bytes = BASE64
                .decode(text.as_bytes())
                .map_err(|_| Fault::failed("`base64.decode`: the text is no base64"))?;
            match String::from_utf8(bytes) {
                Ok(text) => frame.made(text),
                Err(_) => Err(Fault::failed(
                    "`base64.decode`: what comes out is not UTF-8",
                )),
            }
        }
        _ => mismatch(),
    }),
];

/// As cel-go: padding is written, and may be missing where it is read.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A part of an image; one that is not there is absent, as a field is: `image(x).?tag` asks whether it is.
fn of_image<'a>(args: &[Val<'a>], part: &str) -> Result<Val<'a>, Fault> {
    match args {
        [Val::Image(image)] => image_part(image, part)
            .flatten()
            .ok_or_else(|| Fault::Absent(format!("image(…).{part}").into())),
        _ => mismatch(),
    }
}

/// The JSON tree of an argument.
fn tree<'a>(frame: &mut Frame<'_, 'a>, value: &Val<'a>, whole: Whole) -> Result<Value, Fault> {
    if let Val::NodeMap(node) | Val::NodeList(node) = value {
        frame.charge(node.size() / 8)?;
    }
    Ok(to_json_with(frame, value, whole)?.unwrap_or(Value::Null))
}

/// RFC 7386: maps deep, null removes, everything else replaces.
fn merged(target: Value, patch: Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch;
    };
    let mut members = match target {
        Value::Object(members) => members,
        _ => serde_json::Map::new(),
    };
    for (key, value) in patch {
        if value.is_null() {
            members.shift_remove(&key);
        } else {
            let old = members.get_mut(&key).map_or(Value::Null, Value::take);
            members.insert(key, merged(old, value));
        }
    }
    Value::Object(members)
}

/// FNV-1a of 64 bits, as 16 hex digits: of a text its bytes, of anything else its JSON with sorted keys. The same in every version of
/// Ordain and on every machine. It tells values apart; it keeps no secret.
fn hash<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let made;
    let text = match &args[0] {
        Val::Text(text) => &**text,
        other => {
            // What it answers has to stay what it was.
            let mut tree = tree(frame, other, Whole::Double)?;
            tree.sort_all_objects();
            made = tree.to_string();
            &made
        }
    };
    frame.charge_text(text.len())?;
    Ok(Val::text(hashed(text)))
}

/// What `hash` answers for a text.
pub fn hashed(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Every value that a path selects, as a list in the order of the document.
fn jsonpath<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let [value, Val::Path(path)] = args else {
        return mismatch();
    };
    let pod = frame.scope.and_then(|scope| scope.pod);
    let mut out = Vec::new();
    match value {
        Val::NodeMap(node) | Val::NodeList(node) => {
            frame.charge(node.size() / 64)?;
            path.select(*node, pod, &mut |node| {
                out.push(Val::of(node));
                true
            });
        }
        made => {
            // A value that the expression made is no record yet.
            let tree = tree(frame, made, Whole::Double)?;
            let record = Record::from_value(&tree);
            frame.charge(record.size() / 8)?;
            path.select(record.root(), None, &mut |node| {
                out.push(Val::from_json(node.to_value()));
                true
            });
        }
    }
    frame.charge(out.len())?;
    Ok(Val::list(out))
}
