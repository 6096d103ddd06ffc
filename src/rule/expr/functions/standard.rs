//! The standard library of CEL: sizes, conversions, types, tests on text.

use super::{Function, global, member, mismatch, unreadable};
use crate::rule::expr::eval::{Fault, Frame};
use crate::rule::expr::operators::overflow;
use crate::rule::expr::output::{duration_text, go_double_text, scalar_text};
use crate::rule::expr::value::{
    ANY, BOOL, BYTES, CIDR, DURATION, IMAGE, IP, LIST, MAP, NUMBER, QUANTITY, SEMVER, STRING,
    TIMESTAMP, URL, Val,
};

const TEXTUAL: u32 = NUMBER
    | BOOL
    | STRING
    | BYTES
    | TIMESTAMP
    | DURATION
    | QUANTITY
    | SEMVER
    | IP
    | CIDR
    | URL
    | IMAGE;

pub(super) static TABLE: &[Function] = &[
    global("size", &[STRING | BYTES | LIST | MAP], size),
    member("size", &[STRING | BYTES | LIST | MAP], size),
    global("type", &[ANY], type_of),
    global("dyn", &[ANY], |_, args| Ok(args[0].clone())),
    global("string", &[TEXTUAL], string),
    global("int", &[NUMBER | STRING | TIMESTAMP | DURATION], int).at_load(),
    global("uint", &[NUMBER | STRING], uint).at_load(),
    global("double", &[NUMBER | STRING], double).at_load(),
    global("bool", &[BOOL | STRING], bool).at_load(),
    global("bytes", &[STRING | BYTES], bytes),
    member("contains", &[STRING, STRING], |frame, args| {
        text_test(frame, args, |text, part| text.contains(part))
    }),
    member("startsWith", &[STRING, STRING], |frame, args| {
        text_test(frame, args, |text, part| text.starts_with(part))
    }),
    member("endsWith", &[STRING, STRING], |frame, args| {
        text_test(frame, args, |text, part| text.ends_with(part))
    }),
];

fn text_test<'a>(
    frame: &mut Frame<'_, 'a>,
    args: &[Val<'a>],
    test: impl Fn(&str, &str) -> bool,
) -> Result<Val<'a>, Fault> {
    let [Val::Text(text), Val::Text(part)] = args else {
        return mismatch();
    };
    frame.charge_text(text.len())?;
    Ok(Val::Bool(test(text, part)))
}

fn size<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let count = match &args[0] {
        Val::Text(text) => {
            frame.charge_text(text.len())?;
            text.chars().count()
        }
        Val::Bytes(bytes) => bytes.len(),
        other => other.count().unwrap_or_default(),
    };
    frame.charge(count / 64)?;
    Ok(Val::Int(count as i64))
}

fn type_of<'a>(_: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    Ok(Val::Type(match &args[0] {
        Val::Type(_) => "type",
        other => other.type_name(),
    }))
}

fn string<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    match &args[0] {
        text @ Val::Text(_) => Ok(text.clone()),
        Val::Double(d) => frame.made(go_double_text(*d)),
        Val::Duration(duration) => frame.made(duration_text(*duration)),
        Val::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => frame.made(text.to_owned()),
            Err(_) => Err(Fault::failed("`string`: the bytes are not UTF-8")),
        },
        other => match scalar_text(other) {
            Some(text) => frame.made(text),
            None => mismatch(),
        },
    }
}

/// A double as an integer, truncated as CEL does.
fn whole(d: f64, least: f64, beyond: f64) -> Result<f64, Fault> {
    if d.is_nan() || d <= least || d >= beyond {
        return Err(overflow());
    }
    Ok(d.trunc())
}

fn int<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    Ok(Val::Int(match &args[0] {
        Val::Int(n) => *n,
        Val::UInt(n) => i64::try_from(*n).map_err(|_| overflow())?,
        // cel-go: strictly between the bounds of an int.
        Val::Double(d) => whole(
            *d,
            -9_223_372_036_854_775_808.0,
            9_223_372_036_854_775_808.0,
        )? as i64,
        Val::Timestamp(moment) => moment.as_second(),
        // As cel-go, nanoseconds.
        Val::Duration(duration) => i64::try_from(duration.as_nanos()).map_err(|_| overflow())?,
        Val::Text(text) => text.parse().map_err(|_| {
            unreadable(
                frame,
                "int",
                "integer",
                format!("{:?} is no integer", &**text),
            )
        })?,
        _ => return mismatch(),
    }))
}

fn uint<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    Ok(Val::UInt(match &args[0] {
        Val::Int(n) => u64::try_from(*n).map_err(|_| overflow())?,
        Val::UInt(n) => *n,
        Val::Double(d) if *d >= 0.0 => whole(*d, -1.0, 18_446_744_073_709_551_616.0)? as u64,
        Val::Double(_) => return Err(overflow()),
        Val::Text(text) => text.parse().map_err(|_| {
            unreadable(
                frame,
                "uint",
                "integer from 0",
                format!("{:?} is no integer from 0", &**text),
            )
        })?,
        _ => return mismatch(),
    }))
}

fn double<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    Ok(Val::Double(match &args[0] {
        Val::Int(n) => *n as f64,
        Val::UInt(n) => *n as f64,
        Val::Double(d) => *d,
        Val::Text(text) => text.parse().map_err(|_| {
            unreadable(
                frame,
                "double",
                "number",
                format!("{:?} is no number", &**text),
            )
        })?,
        _ => return mismatch(),
    }))
}

fn bool<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    Ok(Val::Bool(match &args[0] {
        Val::Bool(b) => *b,
        Val::Text(text) => match &**text {
            "1" | "t" | "true" | "TRUE" | "True" => true,
            "0" | "f" | "false" | "FALSE" | "False" => false,
            other => {
                return Err(unreadable(
                    frame,
                    "bool",
                    "bool",
                    format!("{other:?} is no bool"),
                ));
            }
        },
        _ => return mismatch(),
    }))
}

fn bytes<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    Ok(match &args[0] {
        Val::Text(text) => {
            frame.room(text.len())?;
            Val::Bytes(text.as_bytes().into())
        }
        other => other.clone(),
    })
}
