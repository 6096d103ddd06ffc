//! How one clause comes out on one object.

use super::super::expr::{ExprFault, Scope};
use super::super::number::Number;
use super::super::path::{Path, Root};
use super::clause::Prepared;
use super::operand::{self, Operand};
use super::{Clause, ClauseTrace, Operator, Outcome, ReadAs, Subject, TestRun, Verdict};
use crate::object::image::Image;
use crate::object::quantity::Quantity;
use crate::object::{Node, NodeKind, duration};
use jiff::Timestamp;
use semver::Version;
use serde_json::Value;
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;
use std::cmp::Ordering;

/// A selected value: in a record, or computed.
#[derive(Clone, Copy)]
enum Seen<'a> {
    Node(Node<'a>),
    Value(&'a Value),
}

impl<'a> Seen<'a> {
    fn as_str(self) -> Option<&'a str> {
        match self {
            Seen::Node(node) => node.as_str(),
            Seen::Value(value) => value.as_str(),
        }
    }

    fn number(self) -> Option<Number> {
        match self {
            Seen::Node(node) => Number::of_node(node),
            Seen::Value(value) => Number::of_value(value),
        }
    }

    /// By type and deeply.
    fn equals(self, other: &Value) -> bool {
        match self {
            Seen::Node(node) => match (self.number(), Number::of_value(other)) {
                (Some(a), Some(b)) => a.compare(b) == Some(Ordering::Equal),
                _ => node.equals(other),
            },
            Seen::Value(value) => same(value, other),
        }
    }

    /// Characters, elements or members.
    fn size(self) -> Option<usize> {
        match self {
            Seen::Node(node) => node.len(),
            Seen::Value(Value::String(text)) => Some(text.chars().count()),
            Seen::Value(Value::Array(list)) => Some(list.len()),
            Seen::Value(Value::Object(map)) => Some(map.len()),
            Seen::Value(_) => None,
        }
    }

    fn is_empty(self) -> bool {
        match self {
            Seen::Node(node) => node.is_empty(),
            Seen::Value(_) => self.size() == Some(0),
        }
    }

    /// What it is, for people; never its contents.
    fn kind(self) -> &'static str {
        match self {
            Seen::Node(node) => match node.kind() {
                NodeKind::Null => "null",
                NodeKind::Bool => "a boolean",
                NodeKind::Int | NodeKind::Float => "a number",
                NodeKind::String => "text",
                NodeKind::List => "a list",
                NodeKind::Map => "a map",
            },
            Seen::Value(value) => value_kind(value),
        }
    }
}

fn value_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// Deep equality of computed values, 1 equal to 1.0 as in records.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => match (Number::of_value(a), Number::of_value(b)) {
            (Some(a), Some(b)) => a.compare(b) == Some(Ordering::Equal),
            _ => false,
        },
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// A selected value, read as `as` says.
enum Left<'a> {
    Seen(Seen<'a>),
    Number(Number),
    Span(std::time::Duration),
    /// For ages and `until`: the timestamp, in nanoseconds.
    Moment(i128),
    Quantity(Quantity),
    Semver(Version),
    Text(Cow<'a, str>),
}

/// The value cannot be read as its type.
struct Unreadable;

/// `None`: it has no such part (an image without a tag), which counts as absent.
fn read<'a>(
    seen: Seen<'a>,
    read_as: Option<ReadAs>,
    operator: Operator,
) -> Result<Option<Left<'a>>, Unreadable> {
    let text = || seen.as_str().ok_or(Unreadable);
    let left = match read_as {
        None if operator.is_ordering() => Left::Number(seen.number().ok_or(Unreadable)?),
        None if operator == Operator::Matches => Left::Text(text()?.into()),
        None => Left::Seen(seen),
        Some(ReadAs::Age | ReadAs::Until) => {
            let moment: Timestamp = text()?.parse().map_err(|_| Unreadable)?;
            Left::Moment(moment.as_nanosecond())
        }
        Some(ReadAs::Duration) => Left::Span(duration::parse(text()?).map_err(|_| Unreadable)?),
        Some(ReadAs::Quantity) => Left::Quantity(match (seen.as_str(), seen.number()) {
            (Some(text), _) => Quantity::parse(text).map_err(|_| Unreadable)?,
            (None, Some(Number::Int(n))) => Quantity::from_i64(n),
            (None, Some(Number::Float(n))) => {
                Quantity::parse(&n.to_string()).map_err(|_| Unreadable)?
            }
            (None, None) => return Err(Unreadable),
        }),
        Some(ReadAs::Semver) => Left::Semver(operand::semver(text()?).ok_or(Unreadable)?),
        Some(ReadAs::Number) => Left::Number(match seen.as_str() {
            Some(text) => Number::parse(text).ok_or(Unreadable)?,
            None => seen.number().ok_or(Unreadable)?,
        }),
        Some(ReadAs::Size) => {
            let size = seen.size().ok_or(Unreadable)?;
            Left::Number(Number::Int(i64::try_from(size).unwrap_or(i64::MAX)))
        }
        // Counted before any value is read.
        Some(ReadAs::Count) => Left::Seen(seen),
        Some(part) => {
            let image = Image::parse(text()?).map_err(|_| Unreadable)?;
            let part = match part {
                ReadAs::ImageRegistry => Some(image.registry()),
                ReadAs::ImageRepository => Some(image.repository()),
                ReadAs::ImageTag => image.tag(),
                _ => image.digest(),
            };
            match part {
                Some(part) => Left::Text(Cow::Owned(part.to_owned())),
                None => return Ok(None),
            }
        }
    };
    Ok(Some(left))
}

/// What an ordering of left and right means for an operator.
fn admits(operator: Operator, ordering: Option<Ordering>) -> bool {
    let Some(ordering) = ordering else {
        return false;
    };
    match operator {
        Operator::GreaterThan => ordering.is_gt(),
        Operator::AtLeast => ordering.is_ge(),
        Operator::LessThan => ordering.is_lt(),
        Operator::AtMost => ordering.is_le(),
        _ => ordering.is_eq(),
    }
}

impl Left<'_> {
    fn fulfils(&self, operator: Operator, right: &Operand) -> bool {
        match (self, right) {
            (Left::Seen(seen), Operand::Json(value)) => seen.equals(value),
            (Left::Number(a), Operand::Number(b)) => admits(operator, a.compare(*b)),
            (Left::Span(a), Operand::Span(b)) => admits(operator, Some(a.cmp(b))),
            (Left::Quantity(a), Operand::Quantity(b)) => admits(operator, Some(a.cmp(b))),
            (Left::Semver(a), Operand::Semver(b)) => admits(operator, Some(a.cmp_precedence(b))),
            (Left::Text(text), Operand::Text(other)) => **text == **other,
            (Left::Text(text), Operand::Pattern(regex)) => regex.is_match(text),
            _ => false,
        }
    }
}

/// An age or `until` test on one timestamp: its outcome is a function of the present moment alone.
struct Clockwork<'r> {
    moment: i128,
    until: bool,
    operator: Operator,
    right: &'r [Operand],
}

impl Clockwork<'_> {
    fn at(&self, now: i128) -> bool {
        let span = if self.until {
            self.moment - now
        } else {
            now - self.moment
        };
        self.spans()
            .any(|right| admits(self.operator, Some(span.cmp(&right))))
    }

    /// The right sides, in nanoseconds; a hundred years at most, so that nothing here can overflow.
    fn spans(&self) -> impl Iterator<Item = i128> {
        self.right.iter().filter_map(|right| match right {
            Operand::Span(span) => i128::try_from(span.as_nanos()).ok(),
            _ => None,
        })
    }

    /// The first moment after `now` at which it comes out differently. A comparison can change only when the span becomes equal to its
    /// right side, and one tick later, when it no longer is.
    fn flips_after(&self, now: i128) -> Option<Timestamp> {
        let before = self.at(now);
        self.spans()
            .map(|span| {
                if self.until {
                    self.moment - span
                } else {
                    self.moment + span
                }
            })
            .flat_map(|equal| [equal, equal + 1])
            .filter(|moment| *moment > now && self.at(*moment) != before)
            .min()
            .and_then(|moment| Timestamp::from_nanosecond(moment).ok())
    }
}

/// What a clause selects.
enum Selected<'c, 'a> {
    Path(&'c Path, Node<'a>, super::super::path::PodPrefix),
    /// The value of an expression, unless it is absent.
    One(Option<Value>),
}

impl Selected<'_, '_> {
    /// Calls `found` for each value until it answers false.
    fn each(&self, found: &mut dyn FnMut(Seen<'_>) -> bool) {
        match self {
            Selected::Path(path, root, pod) => {
                path.select(*root, *pod, &mut |node| found(Seen::Node(node)));
            }
            Selected::One(Some(value)) => {
                found(Seen::Value(value));
            }
            Selected::One(None) => {}
        }
    }

    fn some(&self, mut holds: impl FnMut(Seen<'_>) -> bool) -> bool {
        let mut some = false;
        self.each(&mut |seen| {
            some = holds(seen);
            !some
        });
        some
    }
}

/// The right side on this object.
enum RightSide<'c> {
    Ready(&'c [Operand]),
    Computed(SmallVec<[Operand; 1]>),
}

impl RightSide<'_> {
    fn operands(&self) -> &[Operand] {
        match self {
            RightSide::Ready(operands) => operands,
            RightSide::Computed(operands) => operands,
        }
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        Outcome {
            verdict,
            flips_at: None,
        }
    }
}

impl Clause {
    pub(super) fn outcome(&self, run: &mut TestRun<'_, '_>) -> Outcome {
        let outcome = match self.selected(run.scope) {
            Ok(selected) => self.judge(&selected, run.scope),
            Err(verdict) => verdict.into(),
        };
        if run.trace.is_some() {
            let value = self
                .selected(run.scope)
                .ok()
                .and_then(|selected| selected.shown());
            if let Some(trace) = run.trace.as_mut() {
                trace.push(ClauseTrace {
                    clause: self.text().to_owned(),
                    value,
                    verdict: outcome.verdict.clone(),
                });
            }
        }
        outcome
    }

    /// # Errors
    /// The verdict, where the subject's expression has no value but is not absent.
    fn selected<'c, 'a>(&'c self, scope: &Scope<'a>) -> Result<Selected<'c, 'a>, Verdict> {
        match &self.subject {
            Subject::Path(path) => {
                let root = match scope.item {
                    Some(item) if path.root() == Root::Object => item,
                    _ => scope.object,
                };
                Ok(Selected::Path(path, root, scope.pod))
            }
            Subject::Expr(expr) => match expr.evaluate(scope) {
                Ok(value) => Ok(Selected::One(value.filter(|value| !value.is_null()))),
                Err(ExprFault::Absent(_)) => Ok(Selected::One(None)),
                Err(ExprFault::Unknown(reason)) => Err(Verdict::Unknown(reason)),
                Err(ExprFault::Failed(reason)) => Err(Verdict::WrongType(format!(
                    "`${{{}}}`: {reason}",
                    expr.text()
                ))),
            },
        }
    }

    /// What it looks at, for people.
    fn looks_at(&self) -> Cow<'_, str> {
        match &self.subject {
            Subject::Path(path) => path.text().into(),
            Subject::Expr(expr) => format!("${{{}}}", expr.text()).into(),
        }
    }

    fn wrong(&self, kind: &str) -> Verdict {
        let needed = match (self.read_as, self.operator.positive()) {
            (Some(ReadAs::Age | ReadAs::Until), _) => "a moment (RFC 3339)",
            (Some(ReadAs::Duration), _) => "a duration",
            (Some(ReadAs::Quantity), _) => "a quantity",
            (Some(ReadAs::Semver), _) => "a semantic version",
            (Some(ReadAs::Number), _) => "a number",
            (Some(ReadAs::Size), _) => "something that has a length",
            (Some(_), _) => "an image reference",
            (None, Operator::Matches) => "text",
            (None, _) => "a number",
        };
        Verdict::WrongType(format!(
            "`{}` is {kind} that cannot be read as {needed}",
            self.looks_at()
        ))
    }

    fn judge(&self, selected: &Selected<'_, '_>, scope: &Scope<'_>) -> Outcome {
        let operator = self.operator.positive();
        let passes = |fulfilled: bool| {
            if fulfilled == self.operator.is_negative() {
                Verdict::Fail
            } else {
                Verdict::Pass
            }
        };
        if self.read_as.is_none() {
            match operator {
                Operator::Exists => return passes(selected.some(|_| true)).into(),
                Operator::NotEmpty => return passes(selected.some(|seen| !seen.is_empty())).into(),
                _ => {}
            }
        }
        // A positive test of nothing fails whatever the right side is: it need not even be computed.
        let counts = self.read_as == Some(ReadAs::Count);
        if !self.operator.is_negative() && !counts && !selected.some(|_| true) {
            return Verdict::Fail.into();
        }
        let right = match self.right_side(scope) {
            Ok(right) => right,
            Err(verdict) => return verdict.into(),
        };
        let operands = right.operands();
        if counts {
            let mut count = 0;
            selected.each(&mut |_| {
                count += 1;
                true
            });
            let count = Left::Number(Number::Int(count));
            return passes(operands.iter().any(|right| count.fulfils(operator, right))).into();
        }
        self.compare(selected, operands, scope.now.as_nanosecond(), passes)
    }

    /// Compares every selected value: one of the wrong type fails the whole test, wherever it stands.
    fn compare(
        &self,
        selected: &Selected<'_, '_>,
        operands: &[Operand],
        now: i128,
        passes: impl Fn(bool) -> Verdict,
    ) -> Outcome {
        let operator = self.operator.positive();
        let mut wrong = None;
        let mut fulfilled = false;
        // The clause is fulfilled until the last value that fulfils it flips, and not fulfilled until the first value flips.
        let mut until: Option<Timestamp> = None;
        let mut ends = true;
        let mut from: Option<Timestamp> = None;
        selected.each(&mut |seen| {
            let left = match read(seen, self.read_as, operator) {
                Ok(Some(left)) => left,
                Ok(None) => return true,
                Err(Unreadable) => {
                    wrong = Some(self.wrong(seen.kind()));
                    return false;
                }
            };
            let (holds, flips) = if let Left::Moment(moment) = left {
                let clockwork = Clockwork {
                    moment,
                    until: self.read_as == Some(ReadAs::Until),
                    operator,
                    right: operands,
                };
                (clockwork.at(now), clockwork.flips_after(now))
            } else {
                let holds = match operator {
                    Operator::Exists => true,
                    Operator::NotEmpty => !matches!(&left, Left::Text(text) if text.is_empty()),
                    _ => operands.iter().any(|right| left.fulfils(operator, right)),
                };
                (holds, None)
            };
            if holds {
                fulfilled = true;
                ends &= flips.is_some();
                until = until.max(flips);
            } else {
                from = super::earlier(from, flips);
            }
            true
        });
        if let Some(verdict) = wrong {
            return verdict.into();
        }
        let flips_at = match (fulfilled, ends) {
            (true, true) => until,
            (true, false) => None,
            (false, _) => from,
        };
        Outcome {
            verdict: passes(fulfilled),
            flips_at,
        }
    }

    /// # Errors
    /// The verdict that a right side without a value makes: absent, the test fails.
    fn right_side(&self, scope: &Scope<'_>) -> Result<RightSide<'_>, Verdict> {
        let (expr, cache) = match &self.right {
            Prepared::Nothing => return Ok(RightSide::Ready(&[])),
            Prepared::Operands(operands) => return Ok(RightSide::Ready(operands)),
            Prepared::Expr(expr, cache) => (expr, cache),
        };
        let wrong = |what: String| {
            Verdict::WrongType(format!("the right side `${{{}}}` {what}", expr.text()))
        };
        let value = match expr.evaluate(scope) {
            Ok(Some(value)) if !value.is_null() => value,
            Ok(_) | Err(ExprFault::Absent(_)) => return Err(Verdict::Fail),
            Err(ExprFault::Unknown(reason)) => return Err(Verdict::Unknown(reason)),
            Err(ExprFault::Failed(reason)) => return Err(wrong(format!("has no value: {reason}"))),
        };
        let one = |value: Value| {
            let kind = value_kind(&value);
            if let (Operator::Matches, Value::String(text)) = (self.operator.positive(), &value) {
                return match cache.compile(text) {
                    Ok(regex) => Ok(Operand::Pattern(regex)),
                    Err(_) => Err(wrong("is no regular expression that compiles".into())),
                };
            }
            // The reason says what kind of value it is and never quotes it: it may come from a Secret.
            Operand::read(value, self.read_as, self.operator).map_err(|_| {
                let read_as = self.read_as.map_or("a number", ReadAs::as_str);
                wrong(format!("is {kind} that cannot be compared as {read_as}"))
            })
        };
        let operands = match (self.operator.takes_values(), value) {
            (true, Value::Array(list)) => list
                .into_iter()
                .filter(|value| !value.is_null())
                .map(one)
                .collect::<Result<_, _>>()?,
            (true, other) => return Err(wrong(format!("is {}, not a list", value_kind(&other)))),
            (false, value) => smallvec![one(value)?],
        };
        Ok(RightSide::Computed(operands))
    }
}

/// How much of a value a trace keeps: characters of a text, members of a list or map, levels.
const SHOWN_CHARS: usize = 256;
const SHOWN_MEMBERS: usize = 20;
const SHOWN_LEVELS: usize = 6;

impl Selected<'_, '_> {
    /// The selected value, a list if there are several.
    fn shown(&self) -> Option<Value> {
        let mut values = Vec::new();
        self.each(&mut |seen| {
            values.push(match seen {
                Seen::Node(node) => shortened(node, 0),
                Seen::Value(value) => value.clone(),
            });
            values.len() < SHOWN_MEMBERS
        });
        if values.len() > 1 {
            Some(Value::Array(values))
        } else {
            values.pop()
        }
    }
}

/// A tree of a value, cut where it is long.
pub(super) fn shortened(node: Node<'_>, level: usize) -> Value {
    let more = |left: usize| Value::from(format!("… {left} more"));
    match node.kind() {
        NodeKind::String => {
            let text = node.as_str().unwrap_or_default();
            match text.char_indices().nth(SHOWN_CHARS) {
                Some((end, _)) => Value::from(format!("{}…", &text[..end])),
                None => Value::from(text),
            }
        }
        NodeKind::List | NodeKind::Map if level >= SHOWN_LEVELS => Value::from("…"),
        NodeKind::List => {
            let count = node.items().count();
            let mut list: Vec<Value> = node
                .items()
                .take(SHOWN_MEMBERS)
                .map(|item| shortened(item, level + 1))
                .collect();
            if count > SHOWN_MEMBERS {
                list.push(more(count - SHOWN_MEMBERS));
            }
            Value::Array(list)
        }
        NodeKind::Map => {
            let count = node.entries().count();
            let mut map: serde_json::Map<String, Value> = node
                .entries()
                .take(SHOWN_MEMBERS)
                .map(|(key, value)| (key.to_owned(), shortened(value, level + 1)))
                .collect();
            if count > SHOWN_MEMBERS {
                map.insert("…".into(), more(count - SHOWN_MEMBERS));
            }
            Value::Object(map)
        }
        _ => node.to_value(),
    }
}
