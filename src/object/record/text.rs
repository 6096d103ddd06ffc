//! JSON text to the encoded form in one pass, nothing built in between. It takes what RFC 8259 calls JSON and nothing else; only what is
//! dropped (`metadata.managedFields`) is not looked into.

use super::write::{self, Inside};
use super::{FALSE, LIST, MAP, NULL, TRUE, skim};
use crate::object::{Gvk, symbol, word};
use std::fmt;
use wide::u8x16;

/// Lists and maps in each other; the limit of serde_json, which every other text goes through.
const DEEPEST: usize = 127;

/// What is wrong with a text.
#[derive(Debug)]
pub(super) struct Flaw {
    what: &'static str,
    /// In bytes from its start.
    at: usize,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

/// Appends the one object that the text is. With a `gvk`, `apiVersion` and `kind` are set to it.
pub(super) fn encode(
    text: &[u8],
    gvk: Option<&Gvk>,
    out: &mut Vec<u8>,
    scratch: &mut Scratch,
) -> Result<(), Flaw> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
        out,
        unescaped: &mut scratch.unescaped,
        foreseen: &mut scratch.foreseen,
    };
    if reader.peek() != Some(b'{') {
        return Err(reader.flaw("not a JSON object"));
    }
    reader.map(Inside::Root, 0, gvk)?;
    match reader.peek() {
        None => Ok(()),
        Some(_) => Err(reader.flaw("more than one value")),
    }
}

/// What is kept from one text to the next.
#[derive(Default)]
pub(super) struct Scratch {
    /// Strings with escapes are put together here.
    unescaped: Vec<u8>,
    foreseen: Foreseen,
}

/// What came last time at a place of a text: objects of a kind are written alike, so that most keys, and many values, need only be compared
/// with the ones foreseen, and not be looked up.
#[derive(Default)]
struct Foreseen(Vec<Place>);

/// What stands behind one key of one field.
#[derive(Clone, Copy, Default)]
struct Place {
    /// The symbol of the key that came, plus one.
    key: u32,
    /// The word that its value was, plus one.
    word: u16,
    /// How often its values were texts that are no words, less [`WORTH`] times how often they were.
    strange: u8,
    /// Values that were not looked up for it.
    passed: u8,
}

/// Places: a power of two.
const PLACES: usize = 4096;

/// A value that is a word makes good for so many that are none: what it saves is more than what looking them up takes.
const WORTH: u8 = 8;
/// So strange, and only every [`PATIENCE`]th value is looked up: such as uids and moments.
const STRANGE: u8 = 200;
const PATIENCE: u8 = 4;

impl Foreseen {
    #[inline]
    fn place(parent: u32, previous: u32) -> usize {
        (parent.wrapping_mul(0x9e37_79b1) ^ previous.wrapping_mul(0x85eb_ca77)) as usize >> 7
            & (PLACES - 1)
    }

    /// The symbol and name of the key that is likely to come, if it does: `text` begins behind the quotation mark.
    #[inline]
    fn key(&self, place: usize, text: &[u8]) -> Option<(u32, &'static str)> {
        let symbol = self.0.get(place)?.key.checked_sub(1)?;
        let name = symbol::name_of(symbol)?;
        ends_with_quote(text, name).then_some((symbol, name))
    }

    /// Of keys that were written without escapes.
    fn note(&mut self, place: usize, symbol: u32) {
        self.at(place).key = symbol + 1;
    }

    #[inline]
    fn at(&mut self, place: usize) -> &mut Place {
        if self.0.is_empty() {
            self.0.resize(PLACES, Place::default());
        }
        &mut self.0[place]
    }

    /// The word that is likely to come, and its text, if it does.
    #[inline]
    fn word(&self, place: usize, text: &[u8]) -> Option<(u16, &'static str)> {
        let word = self.0.get(place)?.word.checked_sub(1)?;
        let of_word = word::text_of(word);
        ends_with_quote(text, of_word).then_some((word, of_word))
    }

    /// The word that a text is which came there.
    #[inline]
    fn meet(&mut self, place: usize, text: &str) -> Option<u16> {
        let place = self.at(place);
        if place.strange >= STRANGE {
            place.passed += 1;
            if place.passed < PATIENCE {
                return None;
            }
            place.passed = 0;
        }
        let word = word::meet(text);
        match word {
            Some(word) => {
                place.word = word + 1;
                place.strange = place.strange.saturating_sub(WORTH);
            }
            None => place.strange = (place.strange + 1).min(STRANGE),
        }
        word
    }
}

/// Whether a text begins with these characters and a quotation mark.
#[inline]
fn ends_with_quote(text: &[u8], characters: &str) -> bool {
    text.starts_with(characters.as_bytes()) && text.get(characters.len()) == Some(&b'"')
}

struct Reader<'t, 'o> {
    text: &'t [u8],
    at: usize,
    depth: usize,
    out: &'o mut Vec<u8>,
    unescaped: &'o mut Vec<u8>,
    foreseen: &'o mut Foreseen,
}

/// The characters of a string as they stand in the text.
struct Raw<'t> {
    bytes: &'t [u8],
    ascii: bool,
}

impl<'t> Reader<'t, '_> {
    fn flaw(&self, what: &'static str) -> Flaw {
        Flaw { what, at: self.at }
    }

    /// The next byte that is no white space.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// `parent`: the symbol, plus one, of the key whose value it is or is in; 0 if there is none. `place`: where a string is foreseen;
    /// `None`: it never is a word.
    fn value(&mut self, inside: Inside, parent: u32, place: Option<usize>) -> Result<(), Flaw> {
        match self.peek() {
            Some(b'"') => self.string(place),
            Some(b'{') => self.map(inside, parent, None),
            Some(b'[') => self.list(parent),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true", TRUE),
            Some(b'f') => self.word(b"false", FALSE),
            Some(b'n') => self.word(b"null", NULL),
            Some(_) => Err(self.flaw("no JSON value")),
            None => Err(self.flaw("the text ends too early")),
        }
    }

    fn word(&mut self, word: &[u8], tag: u8) -> Result<(), Flaw> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.flaw("no JSON value"));
        }
        self.at += word.len();
        self.out.push(tag);
        Ok(())
    }

    /// At a map's or list's bracket.
    fn deeper(&mut self) -> Result<(), Flaw> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.flaw("nested too deeply"));
        }
        self.at += 1;
        Ok(())
    }

    /// Behind a member or element: whether another one follows.
    fn goes_on(&mut self, bracket: u8) -> Result<bool, Flaw> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == bracket => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(_) => Err(self.flaw("neither a comma nor the closing bracket")),
            None => Err(self.flaw("the text ends too early")),
        }
    }

    fn list(&mut self, parent: u32) -> Result<(), Flaw> {
        self.deeper()?;
        let start = write::open(self.out, LIST);
        if self.peek() == Some(b']') {
            self.at += 1;
            self.depth -= 1;
        } else {
            // No key is numbered so high.
            let place = Foreseen::place(parent, u32::MAX);
            loop {
                self.value(Inside::Other, parent, Some(place))?;
                if !self.goes_on(b']')? {
                    break;
                }
            }
        }
        write::close(self.out, start);
        Ok(())
    }

    fn map(&mut self, inside: Inside, parent: u32, gvk: Option<&Gvk>) -> Result<(), Flaw> {
        self.deeper()?;
        let start = write::open(self.out, MAP);
        if let Some(gvk) = gvk {
            write::put_gvk(self.out, gvk);
        }
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.depth -= 1;
        } else {
            let mut key = 0;
            loop {
                let place = Foreseen::place(parent, key);
                key = self.member(inside, place, gvk.is_some())?;
                if !self.goes_on(b'}')? {
                    break;
                }
            }
        }
        write::close(self.out, start);
        Ok(())
    }

    /// Answers the symbol of its key, plus one; 0 if it has none.
    fn member(&mut self, inside: Inside, place: usize, gvk: bool) -> Result<u32, Flaw> {
        if self.peek() != Some(b'"') {
            return Err(self.flaw("no key"));
        }
        let (name, symbol) = match self.foreseen.key(place, &self.text[self.at + 1..]) {
            Some((symbol, name)) => {
                self.at += name.len() + 2;
                (name, Some(symbol))
            }
            None => {
                let raw = raw(self.text, &mut self.at)?;
                let plain = raw.is_some();
                let name = match raw {
                    Some(raw) => raw.text(self.at)?,
                    None => unescape(self.text, &mut self.at, self.unescaped)?,
                };
                let symbol = if inside.drops(name, gvk) {
                    None
                } else {
                    symbol::intern(name, inside.is_free())
                };
                if let Some(symbol) = symbol
                    && plain
                {
                    self.foreseen.note(place, symbol);
                }
                (name, symbol)
            }
        };
        // What is foreseen was seen in another text, perhaps one that was not to lose it.
        let dropped = inside.drops(name, gvk);
        if !dropped {
            write::put_key(self.out, name, symbol);
        }
        let text = self.text.get(self.at..).unwrap_or_default();
        let below = if text.starts_with(b":\"") {
            Inside::Other
        } else {
            inside.below(name)
        };
        if self.peek() != Some(b':') {
            return Err(self.flaw("no colon behind a key"));
        }
        self.at += 1;
        let key = symbol.map_or(0, |symbol| symbol + 1);
        if dropped {
            self.peek();
            let length = skim::extent(&self.text[self.at..]);
            self.at += length.ok_or_else(|| self.flaw("a value without end"))?;
        } else {
            self.value(below, key, (inside != Inside::Data).then_some(place))?;
        }
        Ok(key)
    }

    fn string(&mut self, place: Option<usize>) -> Result<(), Flaw> {
        if let Some(place) = place
            && let Some((word, text)) = self.foreseen.word(place, &self.text[self.at + 1..])
        {
            self.at += text.len() + 2;
            write::put_word(self.out, word);
            return Ok(());
        }
        match raw(self.text, &mut self.at)? {
            Some(raw) => {
                let text = raw.text(self.at)?;
                match place.and_then(|place| self.foreseen.meet(place, text)) {
                    Some(word) => write::put_word(self.out, word),
                    None => write::put_string(self.out, text),
                }
            }
            None => {
                let text = unescape(self.text, &mut self.at, self.unescaped)?;
                write::put_string(self.out, text);
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Flaw> {
        let start = self.at;
        let negative = self.text[self.at] == b'-';
        self.at += usize::from(negative);
        let whole = self.digits();
        let digits = self.at - whole;
        if digits == 0 || (digits > 1 && self.text[whole] == b'0') {
            return Err(self.flaw("no JSON number"));
        }
        let mut integer = true;
        if self.text.get(self.at) == Some(&b'.') {
            integer = false;
            self.at += 1;
            if self.digits() == self.at {
                return Err(self.flaw("no JSON number"));
            }
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            integer = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            if self.digits() == self.at {
                return Err(self.flaw("no JSON number"));
            }
        }
        // Nineteen digits at most fit 64 bits.
        if integer && digits < 19 {
            let n = self.text[whole..self.at]
                .iter()
                .fold(0_i64, |n, digit| n * 10 + i64::from(digit - b'0'));
            match (negative, n) {
                (true, 0) => write::put_f64(self.out, -0.0),
                (true, n) => write::put_i64(self.out, -n),
                (false, n) => write::put_i64(self.out, n),
            }
            return Ok(());
        }
        let text = std::str::from_utf8(&self.text[start..self.at])
            .map_err(|_| self.flaw("no JSON number"))?;
        if integer && let Ok(n) = text.parse::<u64>() {
            write::put_u64(self.out, n);
        } else if integer && let Ok(n) = text.parse::<i64>() {
            write::put_i64(self.out, n);
        } else {
            match text.parse::<f64>() {
                Ok(n) if n.is_finite() => write::put_f64(self.out, n),
                _ => return Err(self.flaw("a number out of range")),
            }
        }
        Ok(())
    }

    /// Moves past digits; answers where they began.
    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        start
    }
}

impl<'t> Raw<'t> {
    #[inline]
    fn text(self, at: usize) -> Result<&'t str, Flaw> {
        if self.ascii {
            // SAFETY: `raw` saw that no byte has its highest bit set.
            return Ok(unsafe { std::str::from_utf8_unchecked(self.bytes) });
        }
        std::str::from_utf8(self.bytes).map_err(|_| Flaw {
            what: "a string that is not UTF-8",
            at,
        })
    }
}

/// At a quotation mark: moves past the string. `None`, and `at` stays: it has escapes.
#[inline]
fn raw<'t>(text: &'t [u8], at: &mut usize) -> Result<Option<Raw<'t>>, Flaw> {
    let start = *at + 1;
    let mut end = start;
    let mut high = 0;
    while let Some(part) = text.get(end..).and_then(|rest| rest.first_chunk::<16>()) {
        let part = u8x16::new(*part);
        // What is no greater than 0x1f stays if limited to it.
        let ends = part.simd_eq(u8x16::splat(b'"'))
            | part.simd_eq(u8x16::splat(b'\\'))
            | part.min(u8x16::splat(0x1f)).simd_eq(part);
        let ends = ends.to_bitmask();
        // The highest bit of each byte: no ASCII.
        let beyond = part.to_bitmask();
        if ends != 0 {
            let before = ends.trailing_zeros();
            high |= beyond & ((1 << before) - 1);
            end += before as usize;
            break;
        }
        high |= beyond;
        end += 16;
    }
    loop {
        match text.get(end) {
            Some(b'"') => {
                *at = end + 1;
                return Ok(Some(Raw {
                    bytes: &text[start..end],
                    ascii: high == 0,
                }));
            }
            Some(b'\\') => return Ok(None),
            Some(0..0x20) => {
                return Err(Flaw {
                    what: "a control character in a string",
                    at: end,
                });
            }
            Some(byte) => high |= u32::from(byte & 0x80),
            None => {
                return Err(Flaw {
                    what: "a string without end",
                    at: end,
                });
            }
        }
        end += 1;
    }
}

/// As [`raw`], for a string with escapes.
fn unescape<'u>(text: &[u8], at: &mut usize, unescaped: &'u mut Vec<u8>) -> Result<&'u str, Flaw> {
    unescaped.clear();
    let mut end = *at + 1;
    loop {
        let flaw = |what| Flaw { what, at: end };
        let rest = text.get(end..).unwrap_or_default();
        let Some(plain) = memchr::memchr2(b'"', b'\\', rest) else {
            return Err(flaw("a string without end"));
        };
        if rest[..plain].iter().any(|byte| *byte < 0x20) {
            return Err(flaw("a control character in a string"));
        }
        unescaped.extend_from_slice(&rest[..plain]);
        end += plain + 1;
        if rest[plain] == b'"' {
            *at = end;
            return std::str::from_utf8(unescaped).map_err(|_| Flaw {
                what: "a string that is not UTF-8",
                at: end,
            });
        }
        let byte = match text.get(end) {
            Some(b'"') => b'"',
            Some(b'\\') => b'\\',
            Some(b'/') => b'/',
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let (letter, length) = code_point(&text[end - 1..]).ok_or(Flaw {
                    what: "no escape that JSON has",
                    at: end,
                })?;
                unescaped.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                end += length - 1;
                continue;
            }
            _ => {
                return Err(Flaw {
                    what: "no escape that JSON has",
                    at: end,
                });
            }
        };
        unescaped.push(byte);
        end += 1;
    }
}

/// The character that `\uXXXX`, or a pair of them, stands for, and the length of what it was read from.
fn code_point(text: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |n, digit| {
            Some(n * 16 + char::from(*digit).to_digit(16)?)
        })
    };
    let first = unit(0)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first)?, 6));
    }
    let second = unit(6).filter(|second| (0xdc00..0xe000).contains(second))?;
    let point = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    Some((char::from_u32(point)?, 12))
}
