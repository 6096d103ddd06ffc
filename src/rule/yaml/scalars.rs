//! What a plain scalar is.

use serde_json::{Number, Value};

/// A plain scalar by YAML 1.2's core schema, and `0644` as octal.
pub(super) fn core_schema(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let radix = |digits: &str, radix| {
        i64::from_str_radix(digits, radix)
            .ok()
            .filter(|_| !digits.starts_with(['+', '-']))
    };
    let whole = if let Some(hex) = digits.strip_prefix("0x") {
        radix(hex, 16)
    } else if let Some(octal) = digits.strip_prefix("0o") {
        radix(octal, 8)
    } else if digits.len() > 1
        && digits.starts_with('0')
        && digits.bytes().all(|b| b.is_ascii_digit())
    {
        radix(&digits[1..], 8)
    } else if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        if let (false, Err(_), Ok(large)) = (negative, digits.parse::<i64>(), digits.parse::<u64>())
        {
            return Value::from(large);
        }
        digits.parse::<i64>().ok()
    } else {
        None
    };
    if let Some(whole) = whole {
        return Value::from(if negative { -whole } else { whole });
    }
    let float = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
        && digits.bytes().any(|b| matches!(b, b'.' | b'e' | b'E'));
    match text
        .parse::<f64>()
        .ok()
        .filter(|f| float && f.is_finite())
        .and_then(Number::from_f64)
    {
        Some(number) => Value::Number(number),
        None => Value::from(text),
    }
}
