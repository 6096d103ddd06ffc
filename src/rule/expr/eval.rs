//! Runs compiled code over a scope.
//!
//! Every loop, call and copied byte is counted against [`STEPS`], so that no expression can run away, whatever the object.

use super::access::member_of;
use super::code::{Code, Comparison};
use super::compare;
use super::value::{self, LARGEST, Val};
use super::{ExprFault, Scope};
use smallvec::SmallVec;
use std::cmp::Ordering;
use std::sync::Arc;

/// Steps one evaluation may take: about a tenth of a second. A loop turn, a call and 64 bytes of text made or searched are a step each.
pub(super) const STEPS: usize = 1_000_000;

/// Why an evaluation ended without a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    Unknown(Box<str>),
    Absent(Box<str>),
    Failed(Box<str>),
    /// A bound was met. Unlike the others, `||` and `&&` never pass over it.
    Spent(&'static str),
}

impl Fault {
    pub fn failed(message: impl Into<Box<str>>) -> Self {
        Fault::Failed(message.into())
    }

    pub fn spent(message: &'static str) -> Self {
        Fault::Spent(message)
    }
}

impl From<Fault> for ExprFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unknown(name) => ExprFault::Unknown(name.into()),
            Fault::Absent(name) => ExprFault::Absent(name.into()),
            Fault::Failed(message) => ExprFault::Failed(message.into()),
            Fault::Spent(message) => ExprFault::Failed(message.into()),
        }
    }
}

/// What an evaluation has at hand.
pub(super) struct Frame<'s, 'a> {
    /// `None` while literals are evaluated at load.
    pub scope: Option<&'s Scope<'a>>,
    pub(super) locals: SmallVec<[Val<'a>; 4]>,
    steps: usize,
}

impl<'s, 'a> Frame<'s, 'a> {
    pub fn new(scope: Option<&'s Scope<'a>>) -> Self {
        Self {
            scope,
            locals: SmallVec::new(),
            steps: STEPS,
        }
    }

    /// Whether literals are being evaluated at load: then an error may quote its text.
    pub fn is_load(&self) -> bool {
        self.scope.is_none()
    }

    /// Pays for work.
    #[inline]
    pub fn charge(&mut self, steps: usize) -> Result<(), Fault> {
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(Fault::spent(
                "the expression takes more than a million steps",
            )),
        }
    }

    /// Pays for reading text.
    pub fn charge_text(&mut self, bytes: usize) -> Result<(), Fault> {
        self.charge(bytes / 64)
    }

    /// A text that was made, if it is within bounds.
    pub fn made(&mut self, text: String) -> Result<Val<'a>, Fault> {
        self.room(text.len())?;
        Ok(Val::text(text))
    }

    /// Whether text of this length may be made; asked before making what could be large.
    pub fn room(&mut self, bytes: usize) -> Result<(), Fault> {
        if bytes > LARGEST {
            return Err(Fault::spent("a text is larger than 1 MiB"));
        }
        self.charge_text(bytes)
    }

    /// Whether a text that is being made may become `more` bytes longer.
    pub fn grow(&mut self, text: &str, more: usize) -> Result<(), Fault> {
        if text.len() + more > LARGEST {
            return Err(Fault::spent("a text is larger than 1 MiB"));
        }
        self.charge_text(more)
    }

    pub(super) fn bool(&mut self, code: &Code) -> Result<bool, Fault> {
        match self.eval(code)? {
            Val::Bool(b) => Ok(b),
            other => Err(Fault::failed(format!(
                "{} must be a bool, it is {}",
                code.describe(),
                article(&other)
            ))),
        }
    }

    /// The value of `code`.
    pub fn eval(&mut self, code: &Code) -> Result<Val<'a>, Fault> {
        match code {
            Code::Const(value) => Ok(value.clone()),
            Code::Local(slot, _) => Ok(self.locals.get(*slot).cloned().unwrap_or(Val::Null)),
            Code::Object
            | Code::NamespaceObject
            | Code::Now
            | Code::Item
            | Code::Current
            | Code::Request
            | Code::ScheduleStart
            | Code::Applied
            | Code::Candidate
            | Code::Related(..)
            | Code::Previous
            | Code::Variable(..) => self.root(code),
            Code::Select { of, key } => {
                let of_value = self.eval(of)?;
                match self.select(&of_value, key.as_str(), || member_of(&of_value, key), of)? {
                    Some(value) => Ok(value),
                    None => Err(Fault::Absent(code.describe().into())),
                }
            }
            Code::OptSelect { of, key } => {
                let of_value = self.eval(of)?;
                Ok(
                    match self.select(&of_value, key.as_str(), || member_of(&of_value, key), of)? {
                        Some(value @ Val::Optional(_)) if of_value.kind() == value::OPTIONAL => {
                            value
                        }
                        Some(value) => Val::some(value),
                        None => Val::Optional(None),
                    },
                )
            }
            Code::Has { of, key } => {
                let of_value = self.eval(of)?;
                let found =
                    self.select(&of_value, key.as_str(), || member_of(&of_value, key), of)?;
                Ok(Val::Bool(!matches!(
                    found,
                    None | Some(Val::Optional(None))
                )))
            }
            Code::Index {
                of,
                index,
                optional,
            } => self.index(code, of, index, *optional),
            Code::Not(operand) => Ok(Val::Bool(!self.bool(operand)?)),
            Code::Negate(operand) => self.negate(operand),
            Code::And(pair) => self.logic(&pair.0, &pair.1, false),
            Code::Or(pair) => self.logic(&pair.0, &pair.1, true),
            Code::Cond(parts) => {
                if self.bool(&parts.0)? {
                    self.eval(&parts.1)
                } else {
                    self.eval(&parts.2)
                }
            }
            Code::Arithmetic(operator, pair) => {
                let a = self.eval(&pair.0)?;
                let b = self.eval(&pair.1)?;
                self.arithmetic(*operator, a, b)
            }
            Code::Compare(comparison, pair) => {
                let a = self.eval(&pair.0)?;
                let b = self.eval(&pair.1)?;
                let order = compare::compare(&a, &b);
                if order.is_none() && a.kind() | b.kind() | value::NUMBER != value::NUMBER {
                    let mend = comparison.mend(&a, &b);
                    return Err(Fault::failed(format!(
                        "`{}` cannot compare {} with {}{}{}",
                        comparison.as_str(),
                        article(&a),
                        article(&b),
                        if mend.is_some() { "; " } else { "" },
                        mend.unwrap_or_default()
                    )));
                }
                Ok(Val::Bool(order.is_some_and(|order| match comparison {
                    Comparison::Less => order == Ordering::Less,
                    Comparison::AtMost => order != Ordering::Greater,
                    Comparison::Greater => order == Ordering::Greater,
                    Comparison::AtLeast => order != Ordering::Less,
                })))
            }
            Code::Equal { negated, pair } => {
                let a = self.eval(&pair.0)?;
                let b = self.eval(&pair.1)?;
                Ok(Val::Bool(compare::equal(self, &a, &b)? != *negated))
            }
            Code::IsNull { of, negated } => {
                let is_null = match self.eval(of) {
                    Ok(Val::Null | Val::Optional(None)) | Err(Fault::Absent(_)) => true,
                    Ok(_) => false,
                    Err(fault) => return Err(fault),
                };
                Ok(Val::Bool(is_null != *negated))
            }
            Code::In(pair) => {
                let needle = self.eval(&pair.0)?;
                let haystack = self.eval(&pair.1)?;
                match haystack.kind() {
                    value::LIST => {
                        for item in haystack.items() {
                            self.charge(1)?;
                            if compare::equal(self, &needle, &item)? {
                                return Ok(Val::Bool(true));
                            }
                        }
                        Ok(Val::Bool(false))
                    }
                    value::MAP => {
                        self.charge(1 + haystack.count().unwrap_or_default() / 16)?;
                        Ok(Val::Bool(haystack.member_at(&needle).is_some()))
                    }
                    _ => Err(Fault::failed(format!(
                        "`in` needs a list or a map, {} is {}",
                        pair.1.describe(),
                        article(&haystack)
                    ))),
                }
            }
            Code::List(elements) => {
                let mut out = Vec::with_capacity(elements.len());
                for (element, optional) in elements {
                    match self.eval(element)? {
                        Val::Optional(value) if *optional => {
                            out.extend(value.map(Arc::unwrap_or_clone));
                        }
                        value => out.push(value),
                    }
                }
                Ok(Val::list(out))
            }
            Code::Map(entries) => {
                let mut out: value::Members<'a> = Vec::with_capacity(entries.len());
                for (key, member, optional) in entries {
                    let key = self.eval(key)?;
                    let key_kinds = value::STRING | value::INT | value::UINT | value::BOOL;
                    if key.kind() & key_kinds == 0 {
                        return Err(Fault::failed(format!(
                            "{} cannot be a map's key",
                            article(&key)
                        )));
                    }
                    let member = match self.eval(member)? {
                        Val::Optional(None) if *optional => continue,
                        Val::Optional(Some(value)) if *optional => Arc::unwrap_or_clone(value),
                        value => value,
                    };
                    for (other, _) in &out {
                        if compare::equal(self, other, &key)? {
                            return Err(Fault::failed("a map has two equal keys"));
                        }
                    }
                    out.push((key, member));
                }
                Ok(Val::Map(Arc::new(out)))
            }
            Code::Fold(fold) => {
                let depth = self.locals.len();
                let result = self.fold(fold);
                self.locals.truncate(depth);
                result
            }
            Code::OptMap { of, body, flat } => {
                let Some(value) = self.optional(of)? else {
                    return Ok(Val::Optional(None));
                };
                let result = self.with_local(value, body)?;
                match (flat, result) {
                    (false, result) => Ok(Val::some(result)),
                    (true, result @ Val::Optional(_)) => Ok(result),
                    (true, other) => Err(Fault::failed(format!(
                        "`optFlatMap` must give an optional, it gives {}",
                        article(&other)
                    ))),
                }
            }
            Code::OptionalOr { of, other, unwrap } => match (self.optional(of)?, unwrap) {
                (Some(value), true) => Ok(value),
                (Some(value), false) => Ok(Val::some(value)),
                (None, _) => self.eval(other),
            },
            Code::Bind { value, body } => {
                let value = self.eval(value)?;
                self.with_local(value, body)
            }
            Code::Call { function, args } => {
                let mut values: SmallVec<[Val<'a>; 4]> = SmallVec::new();
                for (position, arg) in args.iter().enumerate() {
                    let value = self.eval(arg)?;
                    if !function.takes(position, &value) {
                        let kinds: Vec<&str> = values
                            .iter()
                            .chain([&value])
                            .map(|value| value.kind_name())
                            .collect();
                        return Err(Fault::failed(function.refusal(position, &kinds, arg)));
                    }
                    values.push(value);
                }
                self.charge(1)?;
                (function.run)(self, &values)
            }
        }
    }

    fn with_local(&mut self, value: Val<'a>, body: &Code) -> Result<Val<'a>, Fault> {
        let depth = self.locals.len();
        self.locals.push(value);
        let result = self.eval(body);
        self.locals.truncate(depth);
        result
    }

    fn optional(&mut self, code: &Code) -> Result<Option<Val<'a>>, Fault> {
        match self.eval(code)? {
            Val::Optional(value) => Ok(value.map(Arc::unwrap_or_clone)),
            other => Err(Fault::failed(format!(
                "{} must be an optional, it is {}",
                code.describe(),
                article(&other)
            ))),
        }
    }
}

/// A value's kind with its article: `a string`, `an int`.
pub(super) fn article(value: &Val<'_>) -> String {
    let name = value.kind_name();
    match name {
        "null" => name.into(),
        _ if name.starts_with(['a', 'e', 'i', 'o', 'I']) => format!("an {name}"),
        _ => format!("a {name}"),
    }
}
