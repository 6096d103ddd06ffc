//! Bounds that are checked on an expression's text before any parser sees it, and the little scanner that [`super::template`] shares.

use super::ExprProblem;

/// Longest expression, in bytes.
pub(super) const LONGEST: usize = 16 * 1024;
/// Deepest nesting of brackets and `? :`.
const DEEPEST: usize = 32;
/// Most operators, selectors and calls in a row, summed over the brackets around them: what stands below each other in the syntax tree.
/// `&&` and `||` do not count: the parser balances them.
const LONGEST_CHAIN: usize = 160;

/// If a string literal or a comment starts at `at`, where it ends (past its last byte; the text's end if it is not closed).
pub(super) fn skip_literal(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'/' if text.get(at + 1) == Some(&b'/') => {
            let rest = &text[at..];
            Some(at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()))
        }
        quote @ (b'"' | b'\'') => {
            let raw = is_raw(text, at);
            let triple = text[at..].starts_with(&[*quote; 3]);
            let mut end = at + if triple { 3 } else { 1 };
            while end < text.len() {
                if text[end] == b'\\' && !raw {
                    end += 2;
                } else if triple && text[end..].starts_with(&[*quote; 3]) {
                    return Some(end + 3);
                } else if !triple && text[end] == *quote {
                    return Some(end + 1);
                } else {
                    end += 1;
                }
            }
            Some(text.len())
        }
        _ => None,
    }
}

/// Whether the quote at `at` opens a raw string: `r"…"`, `br'…'`.
fn is_raw(text: &[u8], at: usize) -> bool {
    let word = text[..at]
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
        .count();
    matches!(
        &text[at - word..at],
        b"r" | b"R" | b"br" | b"bR" | b"Br" | b"BR" | b"rb" | b"rB" | b"Rb" | b"RB"
    )
}

/// Refuses text that a recursive parser or evaluator should not be asked to read.
pub(super) fn check(text: &str) -> Result<(), ExprProblem> {
    let problem = |at, message: String| ExprProblem {
        at,
        length: 1,
        message,
        mend: None,
    };
    if text.len() > LONGEST {
        return Err(problem(
            0,
            format!(
                "the expression has {} bytes, at most {LONGEST} are read",
                text.len()
            ),
        ));
    }
    if text.trim().is_empty() {
        return Err(problem(0, "the expression is empty".into()));
    }
    let bytes = text.as_bytes();
    // Links of the chain at each open bracket, and `? :` that are open there.
    let mut open: Vec<(usize, usize)> = vec![(0, 0)];
    let (mut chain, mut nesting) = (0, 0);
    let mut at = 0;
    while at < bytes.len() {
        if let Some(end) = skip_literal(bytes, at) {
            at = end;
            continue;
        }
        let Some(top) = open.last_mut() else { break };
        let two = bytes.get(at..at + 2).unwrap_or_default();
        let mut step = 1;
        match bytes[at] {
            b'(' | b'[' | b'{' => {
                top.0 += 1;
                chain += 1;
                nesting += 1;
                open.push((0, 0));
            }
            b')' | b']' | b'}' => {
                if open.len() > 1
                    && let Some((links, ternaries)) = open.pop()
                {
                    chain -= links;
                    nesting -= ternaries + 1;
                }
            }
            b',' => {
                chain -= top.0;
                nesting -= top.1;
                *top = (0, 0);
            }
            _ if two == b"&&" || two == b"||" => {
                step = 2;
                chain -= top.0;
                top.0 = 0;
            }
            b'?' if matches!(
                bytes.get(at.wrapping_sub(1)),
                Some(b'.' | b'[' | b'{' | b',')
            ) => {}
            b'?' => {
                chain -= top.0;
                top.0 = 0;
                top.1 += 1;
                nesting += 1;
            }
            b'+' | b'-' | b'*' | b'/' | b'%' | b'.' | b'<' | b'>' | b'=' | b'!' => {
                step = if two == b"==" || two == b"<=" || two == b">=" || two == b"!=" {
                    2
                } else {
                    1
                };
                top.0 += 1;
                chain += 1;
            }
            b'i' if two == b"in"
                && !is_word(bytes, at.wrapping_sub(1))
                && !is_word(bytes, at + 2) =>
            {
                top.0 += 1;
                chain += 1;
            }
            _ => {}
        }
        if nesting > DEEPEST {
            return Err(problem(
                at,
                format!("the expression is nested deeper than {DEEPEST} levels"),
            ));
        }
        if chain > LONGEST_CHAIN {
            return Err(problem(
                at,
                format!("more than {LONGEST_CHAIN} operators and fields follow each other"),
            ));
        }
        at += step;
    }
    Ok(())
}

fn is_word(bytes: &[u8], at: usize) -> bool {
    bytes
        .get(at)
        .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn literals_and_comments_are_passed_over() {
        for (text, end) in [
            (r#""a}b" x"#, Some(5)),
            (r#"'a\'b' x"#, Some(6)),
            (r#"'''a'b''' x"#, Some(9)),
            (r#""open"#, Some(5)),
            ("// all } of it\nx", Some(14)),
            ("/ 2", None),
            ("x", None),
        ] {
            assert_eq!(skip_literal(text.as_bytes(), 0), end, "{text}");
        }
        assert_eq!(skip_literal(br"r'\' x", 1), Some(4), "raw");
        assert_eq!(skip_literal(br"bar'\' x", 3), Some(8), "no raw");
    }

    #[test]
    fn what_is_too_much_is_refused() {
        for (text, reason) in [
            (" ".repeat(LONGEST + 1), "bytes"),
            (" \n".into(), "empty"),
            ("(".repeat(33), "nested"),
            ("a ? b : ".repeat(33), "nested"),
            (format!("1{}", "+1".repeat(161)), "follow each other"),
            (format!("a{}", ".a".repeat(161)), "follow each other"),
            (format!("{}1", "!".repeat(161)), "follow each other"),
        ] {
            assert!(check(&text).unwrap_err().message.contains(reason));
        }
        for text in [
            "(".repeat(32),
            format!("a{}", " && a.b == 'x'".repeat(900)),
            format!("[1{}]", ", a.b".repeat(2_000)),
            format!("'{}'", "(".repeat(2_000)),
            "a.?b[?0].orValue({?'x': 1})".repeat(5),
            "]])}".into(),
        ] {
            assert!(check(&text).is_ok(), "{text}");
        }
    }
}
