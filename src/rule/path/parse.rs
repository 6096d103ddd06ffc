//! Text to a compiled path: the parser's tree translated, and what it takes but no path may say refused.

use super::dialect::{foreign_dialect, syntax};
use super::filter::{Comparison, Filter, Operand, Query};
use super::scan::{self, Noted, Span};
use super::{CONTAINER_LISTS, Path, PathProblem, Root, Segment, Selector};
use crate::object::Key;
use crate::rule::pattern;
use jsonpath_rust::parser::{model, parse_json_path};
use serde_json::Value;
use smallvec::{SmallVec, smallvec};

/// Most segments of one path, filters not counted. Walking recurses once per segment.
const MOST_SEGMENTS: usize = 64;
/// Most `..` in a text: three nested ones visit a value as often as the cube of its depth.
const MOST_DESCENDANTS: usize = 3;
/// How often a path may select one value: the product of the overlapping selectors of its brackets (`[0,-1]`, `[*,*]`).
const MOST_OVERLAPS: usize = 64;
/// How many places a path may mean by its brackets: the product of their selectors. An edit makes a place of each name, there or not.
pub(super) const MOST_PLACES: usize = 1024;

impl Path {
    /// Parses `$…`, `$pod…`, `$containers[…]…`.
    ///
    /// # Errors
    /// Everything that RFC 9535 does not allow, and what it allows but nobody means: kubectl's dialect (`.spec.x`, `{.spec.x}`), a bare
    /// `$containers`, comparing with null, a regular expression that does not compile or is not a literal. With the mend where there is one.
    pub fn parse(text: &str) -> Result<Path, PathProblem> {
        let whole = Span {
            at: 0,
            length: text.len(),
        };
        if text.len() > scan::LONGEST {
            return Err(Span { at: 0, length: 1 }.problem(format!(
                "a path has at most {} bytes, this one has {}",
                scan::LONGEST,
                text.len()
            )));
        }
        foreign_dialect(text)?;
        let (root, rest_at) = root_of(text)?;
        let noted = scan::scan(text, rest_at)?;
        let standard = format!("${}", &text[rest_at..]);
        let query = parse_json_path(&standard)
            .map_err(|error| syntax(text, rest_at, &error.to_string()))?;
        if query.segments.len() > MOST_SEGMENTS {
            return Err(whole.problem(format!("a path has at most {MOST_SEGMENTS} steps")));
        }
        let mut compiler = Compiler::new(text, noted);
        let mut segments = compiler.segments(&query.segments)?;
        if root == Root::Containers {
            refuse_bare_containers(text, segments.first())?;
            segments.splice(0..0, containers());
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

/// `.spec['containers','initContainers','ephemeralContainers']`
fn containers() -> [Segment; 2] {
    let name = |name: &&str| Selector::Name(Key::new(name), Span { at: 0, length: 11 });
    [
        Segment {
            descendant: false,
            selectors: smallvec![name(&"spec")],
        },
        Segment {
            descendant: false,
            selectors: CONTAINER_LISTS.iter().map(name).collect(),
        },
    ]
}

/// `$containers` is lists; a name looked for in a list finds nothing.
fn refuse_bare_containers(text: &str, first: Option<&Segment>) -> Result<(), PathProblem> {
    let problem = Span {
        at: 0,
        length: "$containers".len(),
    }
    .problem("`$containers` is lists of containers, not containers");
    match first {
        None => Err(problem
            .mended("write `$containers[*]` for all of them, or `$containers[?@.name == 'app']`")),
        Some(first) if first.is_names() => {
            let rest = &text["$containers".len()..];
            Err(problem.mended(format!("did you mean `$containers[*]{rest}`?")))
        }
        Some(_) => Ok(()),
    }
}

/// The root, and where the rest of the path begins.
fn root_of(text: &str) -> Result<(Root, usize), PathProblem> {
    let end = text[1..]
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .map_or(text.len(), |n| n + 1);
    match &text[1..end] {
        "" => Ok((Root::Object, 1)),
        "pod" => Ok((Root::Pod, end)),
        "containers" => Ok((Root::Containers, end)),
        other => {
            let near = crate::schema::nearest(other, ["pod", "containers"]);
            let mend = match near.first() {
                Some(near) => format!("did you mean `${near}`?"),
                None => format!("did you mean `$.{other}`?"),
            };
            let root = Span { at: 0, length: end };
            Err(root
                .problem(format!("there is no root `${other}`"))
                .mended(mend))
        }
    }
}

struct Compiler<'t> {
    text: &'t str,
    /// The places of names and quoted texts, in the order in which the tree has them.
    names: std::vec::IntoIter<Span>,
    nulls: std::vec::IntoIter<Span>,
    /// The last `null` that was met.
    null: Span,
    calls: std::vec::IntoIter<Span>,
    descendants: usize,
    overlaps: usize,
    places: usize,
    /// How many filters are around what is being translated.
    filters: usize,
}

impl<'t> Compiler<'t> {
    fn new(text: &'t str, noted: Noted) -> Self {
        Self {
            text,
            names: noted.names.into_iter(),
            nulls: noted.nulls.into_iter(),
            null: Span { at: 0, length: 1 },
            calls: noted.calls.into_iter(),
            descendants: 0,
            places: 1,
            overlaps: 1,
            filters: 0,
        }
    }

    fn whole(&self, message: impl Into<String>) -> PathProblem {
        let whole = Span {
            at: 0,
            length: self.text.len(),
        };
        whole.problem(message)
    }

    fn next_name(&mut self) -> Span {
        self.names.next().unwrap_or(Span { at: 0, length: 1 })
    }

    fn next_call(&mut self) -> Span {
        self.calls.next().unwrap_or(Span { at: 0, length: 1 })
    }

    fn segments(&mut self, segments: &[model::Segment]) -> Result<Vec<Segment>, PathProblem> {
        segments.iter().map(|s| self.segment(s)).collect()
    }

    fn segment(&mut self, segment: &model::Segment) -> Result<Segment, PathProblem> {
        let selectors: SmallVec<[Selector; 1]> = match segment {
            model::Segment::Descendant(inner) => {
                self.descendants += 1;
                if self.descendants > MOST_DESCENDANTS {
                    return Err(self.whole(format!(
                        "a path has at most {MOST_DESCENDANTS} `..`: each walks through everything below"
                    )));
                }
                return Ok(Segment {
                    descendant: true,
                    ..self.segment(inner)?
                });
            }
            model::Segment::Selector(one) => smallvec![self.selector(one)?],
            model::Segment::Selectors(all) => all
                .iter()
                .map(|selector| self.selector(selector))
                .collect::<Result<_, _>>()?,
        };
        self.places = self.places.saturating_mul(selectors.len().max(1));
        if self.places > MOST_PLACES {
            let message =
                format!("the brackets of this path mean more than {MOST_PLACES} places together");
            return Err(self.whole(message).mended("write several paths"));
        }
        // Different names never select one value twice; everything else may.
        let mut names: Vec<&str> = vec![];
        let overlaps = selectors.iter().filter(|selector| match selector {
            Selector::Name(key, _) => {
                let again = names.contains(&key.as_str());
                names.push(key.as_str());
                again
            }
            _ => true,
        });
        self.overlaps = self.overlaps.saturating_mul(overlaps.count().max(1));
        if self.overlaps > MOST_OVERLAPS {
            return Err(
                self.whole("the brackets of this path select the same values again and again")
            );
        }
        Ok(Segment {
            descendant: false,
            selectors,
        })
    }

    fn name(&mut self, name: &str) -> Selector {
        Selector::Name(Key::new(name), self.next_name())
    }

    fn selector(&mut self, selector: &model::Selector) -> Result<Selector, PathProblem> {
        Ok(match selector {
            model::Selector::Name(name) => self.name(name),
            model::Selector::Wildcard => Selector::Wildcard,
            model::Selector::Index(index) => Selector::Index(*index),
            model::Selector::Slice(start, end, step) => {
                Selector::Slice(*start, *end, step.unwrap_or(1))
            }
            model::Selector::Filter(filter) => {
                self.filters += 1;
                let filter = self.filter(filter)?;
                self.filters -= 1;
                Selector::Filter(Box::new(filter))
            }
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
        match test {
            model::Test::RelQuery(segments) => Ok(Filter::Exists(self.relative(segments)?)),
            model::Test::AbsQuery(query) => Ok(Filter::Exists(self.absolute(&query.segments)?)),
            model::Test::Function(function) => match &**function {
                model::TestFunction::Search(text, pattern) => self.regex(text, pattern, false),
                model::TestFunction::Match(text, pattern) => self.regex(text, pattern, true),
                other => {
                    let call = self.next_call();
                    let name = function_name(other);
                    Err(call
                        .problem(format!("`{name}` gives a value, and a value is no test"))
                        .mended(format!("compare it: `{name}(…) > 0`")))
                }
            },
        }
    }

    fn relative(&mut self, segments: &[model::Segment]) -> Result<Query, PathProblem> {
        Ok(Query {
            absolute: false,
            segments: self.segments(segments)?,
        })
    }

    /// `$…` inside a filter. It is evaluated for each element, so that a walk through the whole object here would take the square of its size.
    fn absolute(&mut self, segments: &[model::Segment]) -> Result<Query, PathProblem> {
        let query = Query {
            absolute: true,
            segments: self.segments(segments)?,
        };
        if self.filters > 0 && !query.is_singular() {
            return Err(self
                .whole("inside a filter `$` takes names and indexes only")
                .mended("say the condition on the object in a test of its own"));
        }
        Ok(query)
    }

    fn regex(
        &mut self,
        text: &model::FnArg,
        pattern: &model::FnArg,
        anchored: bool,
    ) -> Result<Filter, PathProblem> {
        let call = self.next_call();
        let operand = self.value_argument(text, call)?;
        let model::FnArg::Literal(model::Literal::String(pattern)) = pattern else {
            return Err(call
                .problem("the pattern of `match` and `search` is a literal text")
                .mended("quote it: `'^a.*'`"));
        };
        let place = self.next_name();
        let compiled = if anchored {
            pattern::matched(pattern)
        } else {
            pattern::searched(pattern)
        };
        match compiled {
            Ok(regex) => Ok(Filter::Regex(operand, regex)),
            Err(wrong) => {
                let problem = place.problem(wrong.message);
                Err(match wrong.mend {
                    Some(mend) => problem.mended(mend),
                    None => problem,
                })
            }
        }
    }

    /// An argument that is one value: a literal, a path of names and indexes, or a function that gives a value.
    fn value_argument(
        &mut self,
        argument: &model::FnArg,
        call: Span,
    ) -> Result<Operand, PathProblem> {
        let function = &self.text[call.at..call.end()];
        match argument {
            model::FnArg::Literal(literal) => Ok(self.literal(literal)),
            model::FnArg::Filter(_) => {
                Err(call.problem(format!("`{function}` takes a value, not a test")))
            }
            model::FnArg::Test(test) => {
                let query = match &**test {
                    model::Test::RelQuery(segments) => self.relative(segments)?,
                    model::Test::AbsQuery(query) => self.absolute(&query.segments)?,
                    model::Test::Function(inner) => return self.function(inner),
                };
                if !query.is_singular() {
                    return Err(call
                        .problem(format!("`{function}` takes one value, and this path may select several"))
                        .mended("write `value(…)` around the path, or `count(…)` for how many it selects"));
                }
                Ok(Operand::Query(query))
            }
        }
    }

    /// An argument that is a path, of any kind.
    fn query_argument(
        &mut self,
        argument: &model::FnArg,
        call: Span,
    ) -> Result<Query, PathProblem> {
        if let model::FnArg::Test(test) = argument {
            match &**test {
                model::Test::RelQuery(segments) => return self.relative(segments),
                model::Test::AbsQuery(query) => return self.absolute(&query.segments),
                model::Test::Function(_) => {}
            }
        }
        let function = &self.text[call.at..call.end()];
        Err(call.problem(format!("`{function}` takes a path: `{function}(@.*)`")))
    }

    fn function(&mut self, function: &model::TestFunction) -> Result<Operand, PathProblem> {
        let call = self.next_call();
        match function {
            model::TestFunction::Length(argument) => Ok(Operand::Length(Box::new(
                self.value_argument(argument, call)?,
            ))),
            model::TestFunction::Count(argument) => {
                Ok(Operand::Count(self.query_argument(argument, call)?))
            }
            model::TestFunction::Value(argument) => {
                Ok(Operand::Value(self.query_argument(argument, call)?))
            }
            model::TestFunction::Search(..) | model::TestFunction::Match(..) => Err(call
                .problem("`match` and `search` are tests, not values")
                .mended("leave the comparison out; `!` before it says the opposite")),
            // The scan named it already; this keeps the match whole.
            model::TestFunction::Custom(name, _) => {
                Err(call.problem(format!("there is no function `{name}`")))
            }
        }
    }

    fn comparison(&mut self, comparison: &model::Comparison) -> Result<Filter, PathProblem> {
        let operator = match comparison {
            model::Comparison::Eq(..) => Comparison::Equal,
            model::Comparison::Ne(..) => Comparison::NotEqual,
            model::Comparison::Gt(..) => Comparison::Greater,
            model::Comparison::Gte(..) => Comparison::AtLeast,
            model::Comparison::Lt(..) => Comparison::Less,
            model::Comparison::Lte(..) => Comparison::AtMost,
        };
        let (left, right) = comparison.vals();
        let (left, right) = (self.operand(left)?, self.operand(right)?);
        for (side, other) in [(&left, &right), (&right, &left)] {
            if matches!(side, Operand::Literal(Value::Null)) {
                let problem = self
                    .null
                    .problem("null counts as absent: nothing can be compared with it");
                let not = if operator == Comparison::NotEqual {
                    ""
                } else {
                    "!"
                };
                return Err(match other.query() {
                    Some(query) => problem.mended(format!("write `?{not}{query}`")),
                    None => problem,
                });
            }
        }
        Ok(Filter::Compare(operator, left, right))
    }

    fn operand(&mut self, comparable: &model::Comparable) -> Result<Operand, PathProblem> {
        let (absolute, hops) = match comparable {
            model::Comparable::Literal(literal) => return Ok(self.literal(literal)),
            model::Comparable::Function(function) => return self.function(function),
            model::Comparable::SingularQuery(model::SingularQuery::Current(hops)) => (false, hops),
            model::Comparable::SingularQuery(model::SingularQuery::Root(hops)) => (true, hops),
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

    fn literal(&mut self, literal: &model::Literal) -> Operand {
        Operand::Literal(match literal {
            model::Literal::Int(n) => Value::from(*n),
            model::Literal::Float(n) => Value::from(*n),
            model::Literal::String(text) => {
                self.next_name();
                Value::from(text.as_str())
            }
            model::Literal::Bool(b) => Value::Bool(*b),
            model::Literal::Null => {
                self.null = self.nulls.next().unwrap_or(self.null);
                Value::Null
            }
        })
    }
}

fn function_name(function: &model::TestFunction) -> &str {
    match function {
        model::TestFunction::Custom(name, _) => name,
        model::TestFunction::Length(_) => "length",
        model::TestFunction::Value(_) => "value",
        model::TestFunction::Count(_) => "count",
        model::TestFunction::Search(..) => "search",
        model::TestFunction::Match(..) => "match",
    }
}
