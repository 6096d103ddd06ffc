//! Problems, each at the very place in the file that it is about.

use super::file::File;
use crate::object::GroupKind;
use crate::rule::problem::{Place, Problem, Severity};
use crate::rule::yaml::{Data, Tree, YamlProblem};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most problems of one file that are shown; a file of noise would drown the others.
const MOST: usize = 100;
/// Longest text, in bytes, that is followed in the source to find a place in it.
const LONGEST: usize = 64 << 10;

/// A place in the file at hand. 1-based, in characters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub line: usize,
    pub column: usize,
    pub length: usize,
}

impl From<&Tree> for Spot {
    fn from(tree: &Tree) -> Self {
        Self {
            line: tree.line,
            column: tree.column,
            length: tree.length,
        }
    }
}

/// Collects the problems of one file.
pub(super) struct Report<'f> {
    file: &'f File<'f>,
    rule: Option<Arc<str>>,
    problems: Vec<Problem>,
    more: usize,
    errors: usize,
    /// Kinds of which it was said that their scope is a guess: once is enough.
    pub guessed: BTreeSet<GroupKind>,
}

impl<'f> Report<'f> {
    pub fn new(file: &'f File<'f>) -> Self {
        Self {
            file,
            rule: None,
            problems: vec![],
            more: 0,
            errors: 0,
            guessed: BTreeSet::new(),
        }
    }

    /// The rule that the problems from here on belong to.
    pub fn for_rule(&mut self, rule: Option<Arc<str>>) {
        self.rule = rule;
    }

    /// Errors so far.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Marks what is being compiled as broken by something that stands elsewhere.
    pub fn broken(&mut self) {
        self.errors += 1;
    }

    pub fn error(&mut self, at: impl Into<Spot>, message: impl Into<String>, mend: Option<String>) {
        self.errors += 1;
        self.push(Severity::Error, at.into(), message.into(), mend);
    }

    pub fn warning(
        &mut self,
        at: impl Into<Spot>,
        message: impl Into<String>,
        mend: Option<String>,
    ) {
        self.push(Severity::Warning, at.into(), message.into(), mend);
    }

    pub fn yaml(&mut self, problem: YamlProblem) {
        let at = Spot {
            line: problem.line,
            column: problem.column,
            length: problem.length,
        };
        self.error(at, problem.message, problem.mend);
    }

    fn push(&mut self, severity: Severity, at: Spot, message: String, mend: Option<String>) {
        if self.problems.len() >= MOST {
            self.more += 1;
            return;
        }
        let place = Place {
            file: self.file.name.clone(),
            line: at.line,
            column: at.column,
            length: at.length,
        };
        let mut problem = Problem::new(severity, place, self.file.line(at.line), message);
        problem.mend = mend;
        problem.rule = self.rule.clone();
        self.problems.push(problem);
    }

    /// The place of `length` bytes at byte `at` of a scalar's text. Where the text cannot be followed in the source (escapes), the scalar.
    pub fn within(&self, tree: &Tree, at: usize, length: usize) -> Spot {
        let whole = Spot::from(tree);
        let Some(text) = tree.text() else {
            return whole;
        };
        let at = floor(text, at);
        // What is not shown, or too far into a text, need not be found.
        if self.problems.len() >= MOST || at > LONGEST {
            return whole;
        }
        let marked = &text[at..floor(text, at.saturating_add(length).max(at))];
        match self.follow(tree, &text[..at], text[at..].chars().next()) {
            Some((line, column)) => Spot {
                line,
                column,
                length: marked.lines().next().unwrap_or("").chars().count().max(1),
            },
            None => whole,
        }
    }

    /// The mend of a value of the wrong type: where it is that of a parameter, the parameter's type is what can be changed.
    pub fn mend_of_type(
        &self,
        at: impl Into<Spot>,
        wanted: Option<&str>,
        mend: Option<String>,
    ) -> Option<String> {
        match (self.parameter_at(at.into()), wanted) {
            (Some(name), Some(wanted)) => {
                Some(format!("give the parameter `{name}` the type `{wanted}`"))
            }
            (Some(_), None) => None,
            (None, _) => mend,
        }
    }

    /// The parameter that is all that stands at a place: `${params.NAME}`. What is looked at there is its value.
    fn parameter_at(&self, at: Spot) -> Option<&str> {
        let line = self.file.line(at.line);
        let (start, _) = line.char_indices().nth(at.column.saturating_sub(1))?;
        let inner = line[start..].trim_start_matches(['"', '\'', ' ']);
        let (inner, _) = inner.strip_prefix("${")?.split_once('}')?;
        let name = inner.trim().strip_prefix("params.")?;
        super::parameters::is_name(name).then_some(name)
    }

    /// A number as it is written: `1.10` for what is read as 1.1.
    pub fn number_as_written(&self, tree: &Tree) -> Option<String> {
        let Data::Scalar { value, plain: true } = &tree.data else {
            return None;
        };
        let line = self.file.line(tree.line);
        let text: String = line
            .chars()
            .skip(tree.column.saturating_sub(1))
            .take(tree.length)
            .collect();
        // It may stand elsewhere: behind an alias.
        let same = value.is_number() && text.parse().ok() == value.as_f64();
        same.then_some(text)
    }

    /// Where in the source the text behind `before` stands.
    fn follow(&self, tree: &Tree, before: &str, next: Option<char>) -> Option<(usize, usize)> {
        let Data::Scalar { plain, .. } = tree.data else {
            return None;
        };
        let mut source = Source {
            rest: self.file.from(tree.line),
            line: tree.line,
            column: 1,
        };
        for _ in 1..tree.column {
            source.next()?;
        }
        // A block scalar begins with its first line, behind `|` or `>`.
        let quote = source.peek().filter(|c| !plain && matches!(c, '\'' | '"'));
        if quote.is_some() {
            source.next();
        }
        for c in before.chars() {
            if c == ' ' || c == '\n' {
                // A fold, a line break, or the blank itself.
                if source.peek() == Some(' ') || source.peek() == Some('\t') {
                    source.next();
                } else if source.at_break() {
                    source.skip_breaks();
                }
                continue;
            }
            source.take(c, quote)?;
        }
        match next {
            Some(c) if c != ' ' && c != '\n' => {
                source.skip_breaks();
                if quote == Some('"') && source.peek() == Some('\\') {
                    return Some((source.line, source.column));
                }
                (source.peek() == Some(c)).then_some((source.line, source.column))
            }
            _ => Some((source.line, source.column)),
        }
    }

    /// All problems, and a last one if some were left out.
    pub fn finish(mut self) -> Vec<Problem> {
        if self.more > 0 {
            let line = self
                .problems
                .iter()
                .map(|p| p.place.line)
                .max()
                .unwrap_or(1);
            let more = self.more;
            let (problems, file) = (&mut self.problems, self.file);
            let place = Place {
                file: file.name.clone(),
                line,
                column: 1,
                length: 1,
            };
            problems.push(Problem::new(
                Severity::Error,
                place,
                "",
                format!("{more} more problems in this file"),
            ));
        }
        self.problems
    }
}

/// The nearest character boundary at or before a byte.
fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A walk over the source text.
struct Source<'t> {
    rest: &'t str,
    line: usize,
    column: usize,
}

impl Source<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        if c == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn at_break(&self) -> bool {
        matches!(self.peek(), Some('\n' | '\r'))
    }

    /// Line breaks, and the indentation behind them.
    fn skip_breaks(&mut self) {
        while matches!(self.peek(), Some('\n' | '\r' | ' ' | '\t')) {
            self.next();
        }
    }

    /// One character of the text that is no blank.
    fn take(&mut self, c: char, quote: Option<char>) -> Option<()> {
        if self.peek() != Some(c) {
            self.skip_breaks();
        }
        let escaped = match quote {
            Some('\'') => c == '\'',
            Some(_) => self.peek() == Some('\\'),
            None => false,
        };
        if escaped {
            self.next()?;
        }
        (self.next()? == c).then_some(())
    }
}
