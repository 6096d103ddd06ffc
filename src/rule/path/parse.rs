//! Text to a compiled path, with the parser's quirks caught.

use super::{Comparison, Filter, Operand, Path, PathProblem, Query, Root, Segment, Selector};
use crate::object::Key;
use jsonpath_rust::parser::model;
use jsonpath_rust::parser::parse_json_path;
use serde_json::Value;
use smallvec::{SmallVec, smallvec};

/// Longest path, in bytes.
const LONGEST: usize = 4096;
/// Deepest nesting of brackets and parentheses; the parser is recursive.
const DEEPEST: usize = 24;
/// Largest compiled regular expression, in bytes.
const LARGEST_REGEX: usize = 1 << 20;

/// The lists that `$containers` stands for.
pub(super) const CONTAINER_LISTS: [&str; 3] =
    ["containers", "initContainers", "ephemeralContainers"];

fn problem(at: usize, length: usize, message: impl Into<String>) -> PathProblem {
    PathProblem {
        at,
        length: length.max(1),
        message: message.into(),
        mend: None,
    }
}

impl PathProblem {
    pub(super) fn mended(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

impl Path {
    /// Parses `$…`, `$pod…`, `$containers[…]…`.
    ///
    /// # Errors
    /// Everything that RFC 9535 does not allow, and what it allows but nobody means: kubectl's dialect (`.spec.x`, `{.spec.x}`), a bare
    /// `$containers`, comparing with null, a regular expression that does not compile or is not a literal. With the mend where there is one.
    pub fn parse(text: &str) -> Result<Path, PathProblem> {
        if text.len() > LONGEST {
            return Err(problem(
                0,
                1,
                format!("a path has at most {LONGEST} characters"),
            ));
        }
        foreign_dialect(text)?;
        let (root, rest_at) = root_of(text)?;
        blanks_and_nesting(text)?;
        let standard = format!("${}", &text[rest_at..]);
        let query =
            parse_json_path(&standard).map_err(|e| syntax(text, rest_at, &e.to_string()))?;
        let mut compiler = Compiler {
            text,
            cursor: rest_at,
        };
        let mut segments = compiler.segments(&query.segments)?;
        if root == Root::Containers {
            if segments.is_empty() {
                return Err(problem(
                    0,
                    text.len(),
                    "`$containers` is lists of containers, not containers",
                )
                .mended(
                    "write `$containers[*]` for all of them, or `$containers[?@.name == 'app']`",
                ));
            }
            let lists: SmallVec<[Selector; 1]> = CONTAINER_LISTS
                .iter()
                .map(|l| Selector::Name(Key::new(l), 0))
                .collect();
            let prefix = [
                Segment {
                    descendant: false,
                    selectors: smallvec![Selector::Name(Key::new("spec"), 0)],
                },
                Segment {
                    descendant: false,
                    selectors: lists,
                },
            ];
            segments.splice(0..0, prefix);
        }
        let plain: Option<Box<[Key]>> = segments.iter().map(|s| s.name().cloned()).collect();
        Ok(Path {
            text: text.into(),
            root,
            segments,
            plain,
        })
    }
}

/// kubectl's dialect and templates of other tools.
fn foreign_dialect(text: &str) -> Result<(), PathProblem> {
    if let Some(at) = text.find("${") {
        return Err(problem(at, 2, "`${ }` is never part of a path")
            .mended("use a filter, or an `expression` test"));
    }
    let bare = text
        .trim()
        .trim_start_matches('{')
        .trim_end_matches('}')
        .trim();
    let bare = bare.strip_prefix('$').unwrap_or(bare);
    if text.starts_with(['{', '.']) || !text.starts_with(['$', '@']) {
        let mend = if bare.starts_with(['.', '[']) {
            format!("${bare}")
        } else {
            format!("$.{bare}")
        };
        return Err(problem(
            0,
            text.len(),
            "a path starts with `$`, `$pod` or `$containers`",
        )
        .mended(format!("did you mean `{mend}`?")));
    }
    if text.starts_with('@') {
        return Err(
            problem(0, 1, "`@` stands only inside a filter").mended("here `$` is what is tested")
        );
    }
    Ok(())
}

/// The root, and where the rest of the path begins.
fn root_of(text: &str) -> Result<(Root, usize), PathProblem> {
    let name_end = text[1..]
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .map_or(text.len(), |n| n + 1);
    match &text[1..name_end] {
        "" => Ok((Root::Object, 1)),
        "pod" => Ok((Root::Pod, name_end)),
        "containers" => Ok((Root::Containers, name_end)),
        other => {
            let nearest = crate::schema::nearest(other, ["pod", "containers"]);
            let mend = nearest.first().map_or_else(
                || format!("did you mean `$.{other}`?"),
                |n| format!("did you mean `${n}`?"),
            );
            Err(problem(0, name_end, format!("there is no root `${other}`")).mended(mend))
        }
    }
}

/// What the parser lets through: a blank inside a name makes it one odd name that matches nothing. And what it must not be asked: deep nesting.
fn blanks_and_nesting(text: &str) -> Result<(), PathProblem> {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let mut depth = 0usize;
    // Where the last word ended, if only blanks came since.
    let mut word_end: Option<usize> = None;
    let mut blank_since_word = false;
    for (at, c) in text.char_indices() {
        if let Some(q) = quote {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == q {
                quote = None;
            }
            continue;
        }
        let word = c.is_alphanumeric() || c == '_' || c == '-';
        match c {
            '\'' | '"' => quote = Some(c),
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(problem(
                at,
                1,
                format!("nested deeper than {DEEPEST} levels"),
            ));
        }
        if c.is_whitespace() {
            blank_since_word = word_end.is_some();
        } else if word {
            if let (Some(end), true) = (word_end, blank_since_word) {
                let length = text[at..]
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(text.len() - at);
                let wrong = &text[at..at + length];
                let message = format!(
                    "a blank cannot stand inside a path: `{wrong}` has no operator before it"
                );
                let mend = match wrong {
                    "in" => "write `@.x == 'a' || @.x == 'b'`",
                    "and" => "write `&&`",
                    "or" => "write `||`",
                    "not" => "write `!`",
                    "contains" | "like" | "matches" => {
                        "write `search(@.x, 'pattern')` or `match(@.x, 'pattern')`"
                    }
                    _ => "names with blanks are written in brackets and quotes: `['a b']`",
                };
                return Err(problem(end, at + length - end, message).mended(mend));
            }
            word_end = Some(at + c.len_utf8());
            blank_since_word = false;
        } else {
            word_end = None;
            blank_since_word = false;
        }
        if word && blank_since_word {
            word_end = None;
        }
    }
    Ok(())
}

/// The parser's own error, placed and told shortly.
fn syntax(text: &str, rest_at: usize, error: &str) -> PathProblem {
    // pest: ` --> 1:12` is the column, from 1, in the text that was parsed, whose root is one character.
    let column = error
        .split("--> 1:")
        .nth(1)
        .and_then(|r| r.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|n| n.parse::<usize>().ok());
    let Some(column) = column else {
        let told = error.lines().next().unwrap_or("not a JSONPath");
        return problem(
            0,
            text.len(),
            told.trim_start_matches("Failed to parse JSONPath: ")
                .to_owned(),
        );
    };
    let in_rest = text[rest_at..]
        .char_indices()
        .nth(column.saturating_sub(2))
        .map_or(text.len() - rest_at, |(at, _)| at);
    let at = (rest_at + in_rest).min(text.len().saturating_sub(1));
    let here = text[at..].chars().next().unwrap_or(' ');
    let trouble = problem(at, here.len_utf8(), "JSONPath does not continue like this");
    if text[..at].ends_with('.') || here == '-' || here == '/' {
        return trouble.mended("names with other characters than letters, digits and `_` are written in brackets and quotes: `['app.kubernetes.io/name']`");
    }
    if here == '\\' || text[..at].ends_with('\\') {
        return trouble
            .mended("inside the quotes of a path a backslash is written twice: `'\\\\.'`");
    }
    if text[at..].starts_with("=~") || text[at..].starts_with("~") {
        return trouble.mended("write `search(@.x, 'pattern')` or `match(@.x, 'pattern')`");
    }
    trouble
}

struct Compiler<'t> {
    text: &'t str,
    /// Names are met in the order of the text: each is looked for from here on.
    cursor: usize,
}

impl Compiler<'_> {
    fn segments(&mut self, segments: &[model::Segment]) -> Result<Vec<Segment>, PathProblem> {
        segments.iter().map(|s| self.segment(s)).collect()
    }

    fn segment(&mut self, segment: &model::Segment) -> Result<Segment, PathProblem> {
        Ok(match segment {
            model::Segment::Descendant(inner) => Segment {
                descendant: true,
                ..self.segment(inner)?
            },
            model::Segment::Selector(one) => Segment {
                descendant: false,
                selectors: smallvec![self.selector(one)?],
            },
            model::Segment::Selectors(all) => Segment {
                descendant: false,
                selectors: all
                    .iter()
                    .map(|s| self.selector(s))
                    .collect::<Result<_, _>>()?,
            },
        })
    }

    fn name(&mut self, name: &str) -> Selector {
        let at = self.cursor;
        let found = self.text[at..].find(name).map_or(at, |n| at + n);
        self.cursor = (found + name.len()).min(self.text.len());
        while !self.text.is_char_boundary(self.cursor) {
            self.cursor += 1;
        }
        Selector::Name(Key::new(name), found)
    }

    fn selector(&mut self, selector: &model::Selector) -> Result<Selector, PathProblem> {
        Ok(match selector {
            model::Selector::Name(name) => self.name(name),
            model::Selector::Wildcard => Selector::Wildcard,
            model::Selector::Index(index) => Selector::Index(*index),
            model::Selector::Slice(start, end, step) => {
                Selector::Slice(*start, *end, step.unwrap_or(1))
            }
            model::Selector::Filter(filter) => Selector::Filter(Box::new(self.filter(filter)?)),
        })
    }

    fn filter(&mut self, filter: &model::Filter) -> Result<Filter, PathProblem> {
        Ok(match filter {
            model::Filter::Or(all) => Filter::Or(
                all.iter()
                    .map(|f| self.filter(f))
                    .collect::<Result<_, _>>()?,
            ),
            model::Filter::And(all) => Filter::And(
                all.iter()
                    .map(|f| self.filter(f))
                    .collect::<Result<_, _>>()?,
            ),
            model::Filter::Atom(atom) => self.atom(atom)?,
        })
    }

    fn atom(&mut self, atom: &model::FilterAtom) -> Result<Filter, PathProblem> {
        let (filter, not) = match atom {
            model::FilterAtom::Filter { expr, not } => (self.filter(expr)?, *not),
            model::FilterAtom::Test { expr, not } => (self.test(expr)?, *not),
            model::FilterAtom::Comparison(comparison) => (self.comparison(comparison)?, false),
        };
        Ok(if not {
            Filter::Not(Box::new(filter))
        } else {
            filter
        })
    }

    fn test(&mut self, test: &model::Test) -> Result<Filter, PathProblem> {
        Ok(match test {
            model::Test::RelQuery(segments) => Filter::Exists(Query {
                absolute: false,
                segments: self.segments(segments)?,
            }),
            model::Test::AbsQuery(query) => Filter::Exists(Query {
                absolute: true,
                segments: self.segments(&query.segments)?,
            }),
            model::Test::Function(function) => match &**function {
                model::TestFunction::Search(text, pattern) => self.regex(text, pattern, false)?,
                model::TestFunction::Match(text, pattern) => self.regex(text, pattern, true)?,
                other => {
                    return Err(self.whole(format!(
                        "`{other}` is a value, not a test: compare it with something"
                    )));
                }
            },
        })
    }

    fn whole(&self, message: String) -> PathProblem {
        problem(0, self.text.len(), message)
    }

    fn regex(
        &mut self,
        text: &model::FnArg,
        pattern: &model::FnArg,
        anchored: bool,
    ) -> Result<Filter, PathProblem> {
        let operand = self.argument(text)?;
        let model::FnArg::Literal(model::Literal::String(pattern)) = pattern else {
            return Err(
                self.whole("the pattern of match() and search() must be a literal text".into())
            );
        };
        let source = pattern.as_str();
        let at = self.text[self.cursor..]
            .find(source)
            .map_or(self.cursor, |n| self.cursor + n);
        let whole = if anchored {
            format!("^(?:{source})$")
        } else {
            source.to_owned()
        };
        let compiled = regex::RegexBuilder::new(&whole)
            .size_limit(LARGEST_REGEX)
            .build();
        match compiled {
            Ok(regex) => Ok(Filter::Regex(operand, regex)),
            Err(error) => Err(problem(
                at,
                source.len(),
                format!("this regular expression does not compile: {}", told(&error)),
            )),
        }
    }

    fn argument(&mut self, argument: &model::FnArg) -> Result<Operand, PathProblem> {
        match argument {
            model::FnArg::Literal(literal) => self.literal(literal),
            model::FnArg::Test(test) => match &**test {
                model::Test::RelQuery(s) => Ok(Operand::Query(Query {
                    absolute: false,
                    segments: self.segments(s)?,
                })),
                model::Test::AbsQuery(q) => Ok(Operand::Query(Query {
                    absolute: true,
                    segments: self.segments(&q.segments)?,
                })),
                model::Test::Function(function) => self.function(function),
            },
            model::FnArg::Filter(_) => {
                Err(self.whole("a test cannot be the argument of a function".into()))
            }
        }
    }

    fn query(&mut self, argument: &model::FnArg, name: &str) -> Result<Query, PathProblem> {
        match self.argument(argument)? {
            Operand::Query(query) => Ok(query),
            _ => Err(self.whole(format!("{name}() takes a path"))),
        }
    }

    fn function(&mut self, function: &model::TestFunction) -> Result<Operand, PathProblem> {
        Ok(match function {
            model::TestFunction::Length(argument) => {
                Operand::Length(Box::new(self.argument(argument)?))
            }
            model::TestFunction::Count(argument) => Operand::Count(self.query(argument, "count")?),
            model::TestFunction::Value(argument) => Operand::Value(self.query(argument, "value")?),
            model::TestFunction::Search(..) | model::TestFunction::Match(..) => {
                return Err(self.whole(
                    "match() and search() are tests: they cannot be compared with a value".into(),
                ));
            }
            model::TestFunction::Custom(name, _) => {
                return Err(self
                    .whole(format!("there is no function {name}() in JSONPath"))
                    .mended("its functions are length, count, match, search and value"));
            }
        })
    }

    fn comparison(&mut self, comparison: &model::Comparison) -> Result<Filter, PathProblem> {
        let operator = match comparison {
            model::Comparison::Eq(..) => Comparison::Equal,
            model::Comparison::Ne(..) => Comparison::NotEqual,
            model::Comparison::Gt(..) => Comparison::Greater,
            model::Comparison::Gte(..) => Comparison::GreaterOrEqual,
            model::Comparison::Lt(..) => Comparison::Less,
            model::Comparison::Lte(..) => Comparison::LessOrEqual,
        };
        let (left, right) = comparison.vals();
        let start = self.cursor;
        let (left, right) = (self.operand(left)?, self.operand(right)?);
        for (side, other) in [(&left, comparison.vals().1), (&right, comparison.vals().0)] {
            if matches!(side, Operand::Literal(Value::Null)) {
                let path = other.to_string().replace("@..", "@.");
                let mend = if operator == Comparison::NotEqual {
                    format!("write `?{path}`")
                } else {
                    format!("write `?!{path}`")
                };
                let at = self.text[start..].find("null").map_or(start, |n| start + n);
                return Err(problem(
                    at,
                    4,
                    "null counts as absent: nothing can be compared with it",
                )
                .mended(mend));
            }
        }
        Ok(Filter::Compare(operator, left, right))
    }

    fn operand(&mut self, comparable: &model::Comparable) -> Result<Operand, PathProblem> {
        match comparable {
            model::Comparable::Literal(literal) => self.literal(literal),
            model::Comparable::Function(function) => self.function(function),
            model::Comparable::SingularQuery(query) => {
                let (absolute, hops) = match query {
                    model::SingularQuery::Current(hops) => (false, hops),
                    model::SingularQuery::Root(hops) => (true, hops),
                };
                let segments = hops
                    .iter()
                    .map(|hop| Segment {
                        descendant: false,
                        selectors: smallvec![match hop {
                            model::SingularQuerySegment::Index(index) => Selector::Index(*index),
                            model::SingularQuerySegment::Name(name) => self.name(name),
                        }],
                    })
                    .collect();
                Ok(Operand::Query(Query { absolute, segments }))
            }
        }
    }

    fn literal(&mut self, literal: &model::Literal) -> Result<Operand, PathProblem> {
        Ok(Operand::Literal(match literal {
            model::Literal::Int(n) => Value::from(*n),
            model::Literal::Float(n) => Value::from(*n),
            model::Literal::String(text) => Value::from(text.as_str()),
            model::Literal::Bool(b) => Value::Bool(*b),
            model::Literal::Null => Value::Null,
        }))
    }
}

/// The last line of the regex crate's error says what; the others draw the place.
fn told(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines()
        .last()
        .unwrap_or("")
        .trim_start_matches("error: ")
        .trim()
        .to_owned()
}
