//! The strings extension of cel-go, which Kubernetes has too: positions count characters (code points), not bytes.

use super::{Function, global, lists, member, mismatch};
use crate::rule::expr::eval::{Fault, Frame, article};
use crate::rule::expr::output::{duration_text, go_double_text, scalar_text};
use crate::rule::expr::value::{ANY, INT, LIST, STRING, Val, part};
use std::fmt::Write;

pub(super) static TABLE: &[Function] = &[
    member("charAt", &[STRING, INT], char_at),
    member("indexOf", &[STRING | LIST, ANY, INT], index_of).optional(1),
    member("lastIndexOf", &[STRING | LIST, ANY, INT], last_index_of).optional(1),
    member("join", &[LIST, STRING], join).optional(1),
    member("lowerAscii", &[STRING], |frame, args| {
        map_text(frame, args, str::to_ascii_lowercase)
    }),
    member("upperAscii", &[STRING], |frame, args| {
        map_text(frame, args, str::to_ascii_uppercase)
    }),
    member("replace", &[STRING, STRING, STRING, INT], replace).optional(1),
    member("split", &[STRING, STRING, INT], split).optional(1),
    member("substring", &[STRING, INT, INT], substring).optional(1),
    member("trim", &[STRING], trim),
    member("reverse", &[STRING | LIST], reverse),
    member("format", &[STRING, LIST], format),
    global("strings.quote", &[STRING], quote),
];

fn map_text<'a>(
    frame: &mut Frame<'_, 'a>,
    args: &[Val<'a>],
    change: impl Fn(&str) -> String,
) -> Result<Val<'a>, Fault> {
    let [Val::Text(text)] = args else {
        return mismatch();
    };
    frame.room(text.len())?;
    Ok(Val::text(change(text)))
}

fn out_of_range(function: &str) -> Fault {
    Fault::failed(format!("`{function}`: the position is outside the text"))
}

/// The byte offset of character `position`, which may be just past the end.
fn offset(text: &str, position: i64, function: &str) -> Result<usize, Fault> {
    let position = usize::try_from(position).map_err(|_| out_of_range(function))?;
    text.char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .nth(position)
        .ok_or_else(|| out_of_range(function))
}

/// As [`offset`], but past the end is the end.
fn clipped(text: &str, position: i64, function: &str) -> Result<usize, Fault> {
    if position < 0 {
        return Err(out_of_range(function));
    }
    Ok(offset(text, position, function).unwrap_or(text.len()))
}

fn char_at<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let [Val::Text(text), Val::Int(position)] = args else {
        return mismatch();
    };
    frame.charge_text(text.len())?;
    let at = offset(text, *position, "charAt")?;
    let length = text[at..].chars().next().map_or(0, char::len_utf8);
    Ok(part(text, &text[at..at + length]))
}

fn index_of<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let (text, wanted) = match args {
        [list @ (Val::List(_) | Val::NodeList(_)), wanted] => {
            return lists::position(frame, list, wanted, false);
        }
        [Val::Text(text), Val::Text(wanted), ..] => (text, wanted),
        _ => {
            return Err(Fault::failed(
                "`indexOf` takes text in text, or one element of a list",
            ));
        }
    };
    frame.charge_text(text.len())?;
    let start = match args.get(2) {
        Some(Val::Int(position)) => clipped(text, *position, "indexOf")?,
        _ => 0,
    };
    Ok(Val::Int(match text[start..].find(&**wanted) {
        Some(at) => text[..start + at].chars().count() as i64,
        None => -1,
    }))
}

fn last_index_of<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let (text, wanted) = match args {
        [list @ (Val::List(_) | Val::NodeList(_)), wanted] => {
            return lists::position(frame, list, wanted, true);
        }
        [Val::Text(text), Val::Text(wanted), ..] => (text, wanted),
        _ => {
            return Err(Fault::failed(
                "`lastIndexOf` takes text in text, or one element of a list",
            ));
        }
    };
    frame.charge_text(text.len())?;
    // With a position: the last occurrence that starts there or before. As upstream, none starts past the end but the empty one.
    let end = match args.get(2) {
        Some(Val::Int(position)) => {
            let start = clipped(text, *position, "lastIndexOf")?;
            if start == text.len() && !wanted.is_empty() {
                return Ok(Val::Int(-1));
            }
            text.floor_char_boundary(start.saturating_add(wanted.len()))
        }
        _ => text.len(),
    };
    Ok(Val::Int(match text[..end].rfind(&**wanted) {
        Some(at) => text[..at].chars().count() as i64,
        None => -1,
    }))
}

fn join<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let separator = match args.get(1) {
        Some(Val::Text(text)) => &**text,
        _ => "",
    };
    let mut out = String::new();
    for (position, item) in args[0].items().enumerate() {
        let Val::Text(text) = &item else {
            return Err(Fault::failed(format!(
                "`join` needs a list of strings, it has {}",
                article(&item)
            )));
        };
        frame.charge(1)?;
        frame.grow(&out, text.len() + separator.len())?;
        if position > 0 {
            out.push_str(separator);
        }
        out.push_str(text);
    }
    frame.made(out)
}

fn replace<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let [Val::Text(text), Val::Text(from), Val::Text(to), ..] = args else {
        return mismatch();
    };
    let limit = match args.get(3) {
        Some(Val::Int(limit)) => usize::try_from(*limit).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    frame.charge_text(text.len())?;
    let count = if from.is_empty() {
        text.chars().count() + 1
    } else {
        text.matches(&**from).count()
    }
    .min(limit);
    frame.room(text.len() + count.saturating_mul(to.len()))?;
    Ok(Val::text(text.replacen(&**from, to, count)))
}

fn split<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let [Val::Text(text), Val::Text(separator), ..] = args else {
        return mismatch();
    };
    let limit = match args.get(2) {
        Some(Val::Int(limit)) => usize::try_from(*limit).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    frame.charge(text.len() / 64)?;
    if limit == 0 {
        return Ok(Val::list(Vec::new()));
    }
    let mut out = Vec::new();
    if separator.is_empty() {
        // As Go: into characters, the rest in the last.
        let mut rest = &**text;
        while let Some(first) = rest.chars().next() {
            frame.charge(1)?;
            if out.len() + 1 == limit {
                out.push(part(text, rest));
                break;
            }
            out.push(part(text, &rest[..first.len_utf8()]));
            rest = &rest[first.len_utf8()..];
        }
    } else {
        for piece in text.splitn(limit, &**separator) {
            frame.charge(1)?;
            out.push(part(text, piece));
        }
    }
    Ok(Val::list(out))
}

fn substring<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let [Val::Text(text), Val::Int(start), ..] = args else {
        return mismatch();
    };
    frame.charge_text(text.len())?;
    let from = offset(text, *start, "substring")?;
    let to = match args.get(2) {
        Some(Val::Int(end)) => offset(text, *end, "substring")?,
        _ => text.len(),
    };
    text.get(from..to)
        .map(|piece| part(text, piece))
        .ok_or_else(|| out_of_range("substring"))
}

fn trim<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let [Val::Text(text)] = args else {
        return mismatch();
    };
    frame.charge_text(text.len())?;
    Ok(part(text, text.trim()))
}

fn reverse<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    match &args[0] {
        Val::Text(text) => {
            frame.room(text.len())?;
            Ok(Val::text(text.chars().rev().collect::<String>()))
        }
        list => {
            frame.charge(list.count().unwrap_or_default())?;
            let mut items: Vec<Val<'a>> = list.items().collect();
            items.reverse();
            Ok(Val::list(items))
        }
    }
}

fn quote<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let [Val::Text(text)] = args else {
        return mismatch();
    };
    frame.room(text.len() * 2)?;
    frame.made(quoted(text))
}

/// In double quotes, with escapes.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Most digits after the point that a clause may ask for; cel-go's bound.
const MAX_PRECISION: usize = 100;

fn format<'a>(frame: &mut Frame<'_, 'a>, args: &[Val<'a>]) -> Result<Val<'a>, Fault> {
    let [Val::Text(text), list] = args else {
        return mismatch();
    };
    frame.charge_text(text.len())?;
    let wrong = |reason: &str| Fault::failed(format!("`format`: {reason}"));
    let mut items = list.items();
    let mut out = String::new();
    let mut rest = &**text;
    while let Some(at) = rest.find('%') {
        frame.charge(1)?;
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let mut precision = 6;
        if let Some(after) = rest.strip_prefix('.') {
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            precision = after[..digits]
                .parse()
                .ok()
                .filter(|precision| *precision <= MAX_PRECISION)
                .ok_or_else(|| wrong("the precision is a number up to 100"))?;
            rest = &after[digits..];
        }
        let clause = rest
            .chars()
            .next()
            .ok_or_else(|| wrong("a `%` ends the text"))?;
        rest = &rest[clause.len_utf8()..];
        let value = items
            .next()
            .ok_or_else(|| wrong("there are fewer values than clauses"))?;
        one(frame, &mut out, clause, precision, &value)?;
        frame.grow(&out, 0)?;
    }
    out.push_str(rest);
    frame.made(out)
}

fn one<'a>(
    frame: &mut Frame<'_, 'a>,
    out: &mut String,
    clause: char,
    precision: usize,
    value: &Val<'a>,
) -> Result<(), Fault> {
    let sign = |n: i64| if n < 0 { "-" } else { "" };
    let float = match value {
        Val::Int(n) => Some(*n as f64),
        Val::UInt(n) => Some(*n as f64),
        Val::Double(d) => Some(*d),
        _ => None,
    };
    let written = match (clause, value) {
        ('s', _) => return readable(frame, out, value),
        ('d', Val::Int(n)) => write!(out, "{n}"),
        ('d', Val::UInt(n)) => write!(out, "{n}"),
        ('d', Val::Double(d)) => write!(
            out,
            "{}",
            special(*d).map_or_else(|| d.to_string(), str::to_owned)
        ),
        ('f', _) if let Some(d) = float => match special(d) {
            Some(word) => write!(out, "{word}"),
            None => write!(out, "{d:.precision$}"),
        },
        ('e', _) if let Some(d) = float => match special(d) {
            Some(word) => write!(out, "{word}"),
            None => {
                let text = format!("{d:.precision$e}");
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let (sign, digits) = match exponent.strip_prefix('-') {
                    Some(digits) => ('-', digits),
                    None => ('+', exponent),
                };
                write!(out, "{mantissa}e{sign}{digits:0>2}")
            }
        },
        ('b', Val::Bool(b)) => write!(out, "{}", u8::from(*b)),
        ('b', Val::Int(n)) => write!(out, "{}{:b}", sign(*n), n.unsigned_abs()),
        ('b', Val::UInt(n)) => write!(out, "{n:b}"),
        ('o', Val::Int(n)) => write!(out, "{}{:o}", sign(*n), n.unsigned_abs()),
        ('o', Val::UInt(n)) => write!(out, "{n:o}"),
        ('x', Val::Int(n)) => write!(out, "{}{:x}", sign(*n), n.unsigned_abs()),
        ('X', Val::Int(n)) => write!(out, "{}{:X}", sign(*n), n.unsigned_abs()),
        ('x', Val::UInt(n)) => write!(out, "{n:x}"),
        ('X', Val::UInt(n)) => write!(out, "{n:X}"),
        ('x' | 'X', Val::Text(_) | Val::Bytes(_)) => {
            let bytes: &[u8] = match value {
                Val::Text(text) => text.as_bytes(),
                Val::Bytes(bytes) => bytes,
                _ => &[],
            };
            frame.room(bytes.len() * 2)?;
            for byte in bytes {
                let _ = match clause {
                    'x' => write!(out, "{byte:02x}"),
                    _ => write!(out, "{byte:02X}"),
                };
            }
            Ok(())
        }
        ('d' | 'f' | 'e' | 'b' | 'o' | 'x' | 'X', _) => {
            return Err(Fault::failed(format!(
                "`format`: `%{clause}` cannot take {}",
                article(value)
            )));
        }
        _ => {
            return Err(Fault::failed(format!(
                "`format`: there is no clause `%{clause}`; there are s d f e b o x X"
            )));
        }
    };
    written.map_err(|_| Fault::failed("`format`: cannot write"))
}

fn special(d: f64) -> Option<&'static str> {
    if d.is_nan() {
        Some("NaN")
    } else if d.is_infinite() {
        Some(if d > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        None
    }
}

/// `%s`: text as it is.
fn readable<'a>(frame: &mut Frame<'_, 'a>, out: &mut String, value: &Val<'a>) -> Result<(), Fault> {
    frame.charge(1)?;
    frame.grow(out, 0)?;
    match value {
        Val::Null => out.push_str("null"),
        Val::Type(name) => out.push_str(name),
        Val::Double(d) => {
            out.push_str(&special(*d).map_or_else(|| go_double_text(*d), str::to_owned));
        }
        Val::Duration(duration) => out.push_str(&duration_text(*duration)),
        Val::Bytes(bytes) => out.push_str(&String::from_utf8_lossy(bytes)),
        Val::List(_) | Val::NodeList(_) | Val::Map(_) | Val::NodeMap(_) => {
            return within(frame, out, value);
        }
        other => match scalar_text(other) {
            Some(text) => out.push_str(&text),
            None => {
                return Err(Fault::failed(format!(
                    "`format`: `%s` cannot take {}",
                    article(other)
                )));
            }
        },
    }
    Ok(())
}

/// Lists as `[1, "a"]`, maps as `{"k":1, "l":2}` with sorted keys; what is in them as the server writes it there: text quoted, doubles
/// with six digits.
fn within<'a>(frame: &mut Frame<'_, 'a>, out: &mut String, value: &Val<'a>) -> Result<(), Fault> {
    frame.charge(1)?;
    frame.grow(out, 0)?;
    match value {
        Val::Text(text) => out.push_str(&quoted(text)),
        Val::Double(d) if d.is_nan() => out.push_str("\"NaN\""),
        Val::Double(d) if d.is_infinite() => {
            out.push_str(if *d > 0.0 { "\"+Inf\"" } else { "\"-Inf\"" });
        }
        Val::Double(d) => out.push_str(&format!("{d:.6}")),
        Val::Duration(duration) => {
            out.push_str(&format!("duration(\"{}\")", duration_text(*duration)));
        }
        Val::Timestamp(moment) => out.push_str(&format!("timestamp(\"{moment}\")")),
        Val::Bytes(bytes) => {
            out.push('b');
            out.push_str(&quoted(&String::from_utf8_lossy(bytes)));
        }
        Val::List(_) | Val::NodeList(_) => {
            out.push('[');
            for (position, item) in value.items().enumerate() {
                if position > 0 {
                    out.push_str(", ");
                }
                within(frame, out, &item)?;
            }
            out.push(']');
        }
        Val::Map(_) | Val::NodeMap(_) => {
            let mut members = Vec::new();
            for (key, member) in value.members() {
                let mut name = String::new();
                within(frame, &mut name, &key)?;
                members.push((name, member));
            }
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            out.push('{');
            for (position, (name, member)) in members.iter().enumerate() {
                if position > 0 {
                    out.push_str(", ");
                }
                out.push_str(name);
                out.push(':');
                within(frame, out, member)?;
            }
            out.push('}');
        }
        other => return readable(frame, out, other),
    }
    Ok(())
}
