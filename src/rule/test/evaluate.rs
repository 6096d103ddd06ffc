//! How one clause comes out on one object.

use super::super::expr::{Expr, ExprFault, Scope};
use super::super::number::Number;
use super::super::path::{Path, PodPrefix, Root};
use super::clause::Prepared;
use super::clockwork::Clockwork;
use super::join;
use super::operand::Operand;
use super::reading::{Left, Seen, Unreadable, read, value_kind};
use super::shown::{SHOWN_MEMBERS, shortened};
use super::{Clause, ClauseTrace, Operator, Outcome, ReadAs, Subject, TestRun, Verdict};
use crate::object::Node;
use jiff::Timestamp;
use serde_json::Value;
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;

/// What a clause selects.
pub(super) enum Selected<'c, 'a> {
    Path(&'c Path, Node<'a>, PodPrefix),
    /// The value of an expression, unless it is absent.
    One(Option<Value>),
}

impl Selected<'_, '_> {
    /// Calls `found` for each value until it answers false.
    pub(super) fn each(&self, found: &mut dyn FnMut(Seen<'_>) -> bool) {
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

/// What a failed expression makes of a test: it fails, and is counted. A request must not slip through that way: there it is open.
fn failed(scope: &Scope<'_>, why: String) -> Verdict {
    match scope.request {
        Some(_) => Verdict::Failed(why),
        None => Verdict::WrongType(why),
    }
}

/// Whose value it is, for people. Of the candidates of a list it is enough to know that there are such.
fn owner(scope: &Scope<'_>) -> String {
    if scope.is_joining() {
        return String::new();
    }
    let (object, _) = scope.edited();
    let text = |names: &[&str]| object.path(names).and_then(Node::as_str);
    let namespace = text(&["metadata", "namespace"]).filter(|name| !name.is_empty());
    match (text(&["kind"]), namespace, text(&["metadata", "name"])) {
        (Some(kind), Some(namespace), Some(name)) => format!(" of {kind}/{namespace}/{name}"),
        (Some(kind), None, Some(name)) => format!(" of {kind}/{name}"),
        _ => String::new(),
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
            let absent = self
                .expressions()
                .find_map(|e| match e.evaluate(run.scope) {
                    Err(fault @ ExprFault::Absent(_)) => Some(fault.to_string()),
                    _ => None,
                });
            if let Some(trace) = run.trace.as_mut() {
                trace.push(ClauseTrace {
                    clause: self.text().to_owned(),
                    value,
                    absent,
                    verdict: outcome.verdict.clone(),
                });
            }
        }
        outcome
    }

    /// # Errors
    /// The verdict, where the subject's expression has no value but is not absent.
    pub(super) fn selected<'c, 'a>(
        &'c self,
        scope: &Scope<'a>,
    ) -> Result<Selected<'c, 'a>, Verdict> {
        match &self.subject {
            Subject::Path(path) => {
                let (root, pod) = scope.edited();
                let root = match scope.item {
                    Some(item) if path.root() == Root::Object && !scope.is_joining() => item,
                    _ => root,
                };
                Ok(Selected::Path(path, root, pod))
            }
            Subject::Expr(expr) => match expr.evaluate(scope) {
                Ok(value) => Ok(Selected::One(value.filter(|value| !value.is_null()))),
                // What the subject lacks says nothing of any candidate.
                Err(ExprFault::Absent(name)) if scope.is_joining() && !is_of_candidate(&name) => {
                    Err(Verdict::Unknown(super::join::absent(&name)))
                }
                Err(ExprFault::Absent(_)) => Ok(Selected::One(None)),
                Err(ExprFault::Unknown(reason)) => Err(Verdict::Unknown(reason)),
                Err(ExprFault::Failed(reason)) => {
                    Err(failed(scope, format!("`${{{}}}`: {reason}", expr.text())))
                }
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

    fn wrong(&self, kind: &str, scope: &Scope<'_>) -> Verdict {
        let needed = match (self.read_as, self.operator.positive()) {
            (Some(ReadAs::Age | ReadAs::Until), _) => {
                "a moment, which is written `2026-01-07T10:00:00Z` (RFC 3339)"
            }
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
            "`{}`{} is {kind} that cannot be read as {needed}",
            self.looks_at(),
            owner(scope)
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
        let is_computed = matches!(self.right, Prepared::Expr(..));
        if is_computed && !self.operator.is_negative() && !counts && !selected.some(|_| true) {
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
        self.compare(selected, operands, scope, passes)
    }

    /// Compares every selected value: one of the wrong type fails the whole test, wherever it stands.
    fn compare(
        &self,
        selected: &Selected<'_, '_>,
        operands: &[Operand],
        scope: &Scope<'_>,
        passes: impl Fn(bool) -> Verdict,
    ) -> Outcome {
        let operator = self.operator.positive();
        let now = scope.now.as_nanosecond();
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
                    wrong = Some(self.wrong(seen.kind(), scope));
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
            Ok(_) => return Err(self.without_right(expr, None, scope)),
            Err(ExprFault::Absent(what)) => {
                return Err(self.without_right(expr, Some(&what), scope));
            }
            Err(ExprFault::Unknown(reason)) => return Err(Verdict::Unknown(reason)),
            Err(ExprFault::Failed(reason)) => {
                let text = expr.text();
                let why = format!("the right side `${{{text}}}` has no value: {reason}");
                return Err(failed(scope, why));
            }
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
                // Durations and quantities are text here.
                let mend = match (self.read_as, kind) {
                    (None, "text") => ": `as` says what both sides are, as in `as: duration`",
                    _ => "",
                };
                wrong(format!(
                    "is {kind} that cannot be compared as {read_as}{mend}"
                ))
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

    /// An absent right side fails the test. Where it is the value to join by, nobody knows what belongs to the list.
    fn without_right(&self, expr: &Expr, what: Option<&str>, scope: &Scope<'_>) -> Verdict {
        let of_candidate = what.is_some_and(|what| what.starts_with("candidate"));
        if scope.is_joining() && !expr.is_of_candidate_alone() && !of_candidate {
            return Verdict::Unknown(join::absent(&format!("${{{}}}", expr.text())));
        }
        Verdict::Fail
    }
}

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

/// Whether an absent value would be one of the candidate's, or was made by a function of who knows what. See [`ExprFault::Absent`].
fn is_of_candidate(name: &str) -> bool {
    let of = |root: &str| {
        let rest = name.strip_prefix(root);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    !["object", "namespaceObject", "params"].into_iter().any(of)
}
