//! From values to text and JSON.

use super::eval::{Fault, Frame};
use super::value::{LARGEST, Val};
use base64::Engine;
use jiff::SignedDuration;
use serde_json::{Map, Number, Value};

/// Go's `strconv.FormatFloat(d, 'g', -1, 64)`, which is what CEL's `string()` writes: with an exponent from a million on.
pub(super) fn go_double_text(d: f64) -> String {
    if d.is_nan() {
        return "NaN".into();
    }
    if d.is_infinite() {
        return if d > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let scientific = format!("{d:e}");
    if let Some((mantissa, exponent)) = scientific.split_once('e')
        && let Ok(exponent) = exponent.parse::<i32>()
        && !(-4..6).contains(&exponent)
    {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    format!("{d}")
}

/// A duration as CEL's `string()` writes it: seconds with a fraction, `5400s`.
pub(super) fn duration_text(duration: SignedDuration) -> String {
    let sign = if duration.is_negative() { "-" } else { "" };
    let nanos = duration.subsec_nanos().unsigned_abs();
    let seconds = duration.as_secs().unsigned_abs();
    if nanos == 0 {
        return format!("{sign}{seconds}s");
    }
    let fraction = format!("{nanos:09}");
    format!("{sign}{seconds}.{}s", fraction.trim_end_matches('0'))
}

/// The text of a scalar, as text around a `${ }` has it; `None` for lists, maps, null, types and optionals.
pub(super) fn scalar_text(value: &Val<'_>) -> Option<String> {
    Some(match value {
        Val::Text(text) => text.to_string(),
        Val::Bool(b) => b.to_string(),
        Val::Int(n) => n.to_string(),
        Val::UInt(n) => n.to_string(),
        Val::Double(d) => d.to_string(),
        Val::Timestamp(moment) => moment.to_string(),
        Val::Duration(duration) => duration_text(*duration),
        Val::Quantity(quantity) => quantity.text(),
        Val::Semver(version) => version.to_string(),
        Val::Ip(ip) => ip.to_string(),
        Val::Cidr(cidr) => cidr.to_string(),
        Val::Url(url) => url.text.to_string(),
        Val::Image(image) => image.to_string(),
        _ => return None,
    })
}

/// The name of a map's key in JSON.
fn key_text(key: &Val<'_>) -> Result<String, Fault> {
    match key {
        Val::Text(_) | Val::Bool(_) | Val::Int(_) | Val::UInt(_) => scalar_text(key),
        _ => None,
    }
    .ok_or_else(|| Fault::failed("a map's key is neither text nor a number"))
}

/// What becomes of a double without a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// An integer, as the API server writes it and fields of integers take it.
    Integer,
    /// It stays what it is, for an expression that reads it again.
    Double,
}

/// Largest double below which each integer has one of its own.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The JSON tree of a value, a whole number in it an integer, at most [`LARGEST`] bytes of text. `None` is `optional.none()`; inside a map it leaves its key out, inside a
/// list its element. Bytes become base64; an optional becomes its value.
pub(super) fn to_json<'a>(
    frame: &mut Frame<'_, 'a>,
    value: &Val<'a>,
) -> Result<Option<Value>, Fault> {
    to_json_with(frame, value, Whole::Integer)
}

/// As [`to_json`].
pub(super) fn to_json_with<'a>(
    frame: &mut Frame<'_, 'a>,
    value: &Val<'a>,
    whole: Whole,
) -> Result<Option<Value>, Fault> {
    let mut room = LARGEST;
    json(frame, value, whole, &mut room)
}

fn take(room: &mut usize, bytes: usize) -> Result<(), Fault> {
    *room = room
        .checked_sub(bytes + 1)
        .ok_or_else(|| Fault::spent("the result is larger than 1 MiB"))?;
    Ok(())
}

fn json<'a>(
    frame: &mut Frame<'_, 'a>,
    value: &Val<'a>,
    whole: Whole,
    room: &mut usize,
) -> Result<Option<Value>, Fault> {
    Ok(Some(match value {
        Val::Null => Value::Null,
        Val::Bool(b) => Value::Bool(*b),
        Val::Int(n) => Value::from(*n),
        Val::UInt(n) => Value::from(*n),
        Val::Double(d) if whole == Whole::Integer && d.fract() == 0.0 && d.abs() <= EXACT => {
            Value::from(*d as i64)
        }
        Val::Double(d) => Value::Number(
            Number::from_f64(*d)
                .ok_or_else(|| Fault::failed("the result is infinite or not a number"))?,
        ),
        Val::Text(text) => {
            take(room, text.len())?;
            Value::from(&**text)
        }
        Val::Bytes(bytes) => {
            take(room, bytes.len() * 4 / 3)?;
            Value::from(base64::engine::general_purpose::STANDARD.encode(bytes))
        }
        Val::Duration(duration) => Value::from(duration_result(*duration)),
        Val::Type(name) => Value::from(*name),
        Val::Optional(None) => return Ok(None),
        Val::Optional(Some(value)) => return json(frame, value, whole, room),
        Val::Pattern(pattern) => Value::from(pattern.as_str()),
        Val::Path(path) => Value::from(path.text()),
        Val::NodeList(node) | Val::NodeMap(node) => {
            take(room, node.size())?;
            node.to_value()
        }
        Val::List(list) => {
            let mut out = Vec::with_capacity(list.len());
            for item in list.iter() {
                take(room, 1)?;
                frame.charge(1)?;
                out.extend(json(frame, item, whole, room)?);
            }
            Value::Array(out)
        }
        Val::Map(map) => {
            let mut out = Map::with_capacity(map.len());
            for (key, value) in map.iter() {
                frame.charge(1)?;
                let key = key_text(key)?;
                take(room, key.len())?;
                if let Some(value) = json(frame, value, whole, room)? {
                    out.insert(key, value);
                }
            }
            Value::Object(out)
        }
        other => Value::from(scalar_text(other).unwrap_or_default()),
    }))
}

/// A duration as a result: as rules write it, `1h30m`, so that it can stand in a field and be read back.
fn duration_result(duration: SignedDuration) -> String {
    let text = crate::object::duration::format(duration.unsigned_abs());
    if duration.is_negative() {
        format!("-{text}")
    } else {
        text
    }
}
