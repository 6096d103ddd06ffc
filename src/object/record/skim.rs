//! Past JSON text that is not wanted, without looking at what it says: brackets are counted 64 bytes at a time, strings left out.

use wide::u8x16;

const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// The length of the JSON value that `text` begins with. What is inside brackets is not checked.
///
/// `None`: it has no end, or there is none.
pub fn extent(text: &[u8]) -> Option<usize> {
    match text.first()? {
        b'{' | b'[' => brackets(text),
        b'"' => string(text),
        _ => {
            let end = text
                .iter()
                .position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'))
                .unwrap_or(text.len());
            (end > 0).then_some(end)
        }
    }
}

/// `text` begins with a quotation mark.
fn string(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// One bit a byte, the first byte lowest.
#[derive(Default)]
struct Block {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
}

impl Block {
    #[inline(always)]
    fn of(bytes: &[u8; 64]) -> Self {
        let mut block = Self::default();
        let (parts, _) = bytes.as_chunks::<16>();
        for (place, part) in parts.iter().enumerate() {
            let part = u8x16::new(*part);
            // `[` and `{`, `]` and `}` differ in one bit.
            let folded = part | u8x16::splat(0x20);
            let are = |part: u8x16, byte: u8| {
                u64::from(part.simd_eq(u8x16::splat(byte)).to_bitmask()) << (place * 16)
            };
            block.quotes |= are(part, b'"');
            block.backslashes |= are(part, b'\\');
            block.opening |= are(folded, b'{');
            block.closing |= are(folded, b'}');
        }
        block
    }
}

/// Each bit: whether the number of bits up to it, itself included, is odd.
#[inline(always)]
fn parity(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// The bytes that stand behind a backslash which is not itself escaped. `carry`: whether the first byte does; afterwards, the next block's.
///
/// The arithmetic of simdjson: a run of backslashes escapes every second byte, beginning with its own second.
#[inline(always)]
fn escaped(backslashes: u64, carry: &mut u64) -> u64 {
    if backslashes == 0 {
        return std::mem::take(carry);
    }
    let starts = backslashes & !*carry;
    let behind = (starts << 1) | ODD;
    let codes = behind.wrapping_sub(starts) ^ ODD;
    let escaped = codes ^ (backslashes | *carry);
    *carry = (codes & backslashes) >> 63;
    escaped
}

/// `text` begins with a bracket: the length up to the one that closes it.
fn brackets(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut carry = 0;
    // All ones: the block begins inside a string.
    let mut inside = 0_u64;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let block = match rest.first_chunk::<64>() {
            Some(bytes) => Block::of(bytes),
            None => {
                let mut bytes = [b' '; 64];
                bytes[..rest.len()].copy_from_slice(rest);
                Block::of(&bytes)
            }
        };
        let quotes = block.quotes & !escaped(block.backslashes, &mut carry);
        let strings = parity(quotes) ^ inside;
        inside = 0_u64.wrapping_sub(strings >> 63);
        let (opening, closing) = (block.opening & !strings, block.closing & !strings);
        let closed = closing.count_ones() as usize;
        if closed < depth {
            depth = depth + opening.count_ones() as usize - closed;
        } else {
            let mut brackets = opening | closing;
            while brackets != 0 {
                let place = brackets.trailing_zeros();
                if opening >> place & 1 == 1 {
                    depth += 1;
                } else {
                    depth -= 1;
                    if depth == 0 {
                        return Some(at + place as usize + 1);
                    }
                }
                brackets &= brackets - 1;
            }
        }
        at += 64;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same, a byte at a time. Outside of strings, where JSON has none, a backslash hides quotation marks too, but no brackets.
    fn plain(text: &[u8]) -> Option<usize> {
        let (mut depth, mut string, mut escape) = (0, false, false);
        for (at, byte) in text.iter().enumerate() {
            match byte {
                b'\\' | b'"' if std::mem::take(&mut escape) => {}
                b'\\' => escape = true,
                b'"' => string = !string,
                b'{' | b'[' if !string => depth += 1,
                b'}' | b']' if !string => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            escape &= *byte == b'\\';
        }
        None
    }

    #[test]
    fn values_of_each_sort_end_where_they_end() {
        for (text, length) in [
            ("1, 2", Some(1)),
            ("true}", Some(4)),
            ("null", Some(4)),
            (r#""a\"b\\" x"#, Some(8)),
            (r#""a\"#, None),
            (r#""a"#, None),
            (r#"{"a": "}"} "#, Some(10)),
            ("[[], {}]]", Some(8)),
            ("[", None),
            ("", None),
            ("}", None),
        ] {
            assert_eq!(extent(text.as_bytes()), length, "{text}");
        }
    }

    proptest! {
        #[test]
        fn blocks_end_where_bytes_do(text in r#"[{]["\\ax{}\[\]é]{0,300}"#) {
            prop_assert_eq!(extent(text.as_bytes()), plain(text.as_bytes()));
        }

        #[test]
        fn long_runs_of_backslashes(before in 0usize..70, run in 0usize..140) {
            let text = format!(r#"{{"{}{}"}} "}}"#, "x".repeat(before), "\\".repeat(run));
            prop_assert_eq!(extent(text.as_bytes()), plain(text.as_bytes()));
        }
    }
}
