//! Runs compiled code over a scope.
//!
//! Every loop, call and copied byte is counted against [`STEPS`], so that no expression can run away, whatever the object.

use super::code::{Arithmetic, Code, Comparison, Fold, FoldKind};
use super::functions;
use super::value::{self, LARGEST, Text, Val};
use super::{ExprFault, NamespaceObject, Scope};
use jiff::SignedDuration;
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
    locals: SmallVec<[Val<'a>; 4]>,
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

    fn bool(&mut self, code: &Code) -> Result<bool, Fault> {
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
            Code::Object | Code::NamespaceObject | Code::Now | Code::Item | Code::Current => {
                self.root(code)
            }
            Code::Select { of, key } => {
                let of_value = self.eval(of)?;
                match self.select(&of_value, key.as_str(), || of_value_get(&of_value, key), of)? {
                    Some(value) => Ok(value),
                    None => Err(Fault::Absent(code.describe().into())),
                }
            }
            Code::OptSelect { of, key } => {
                let of_value = self.eval(of)?;
                Ok(
                    match self.select(
                        &of_value,
                        key.as_str(),
                        || of_value_get(&of_value, key),
                        of,
                    )? {
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
                    self.select(&of_value, key.as_str(), || of_value_get(&of_value, key), of)?;
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
                let order = value::compare(&a, &b);
                if order.is_none() && a.kind() | b.kind() | value::NUMBER != value::NUMBER {
                    return Err(Fault::failed(format!(
                        "`{}` cannot compare {} with {}",
                        comparison.as_str(),
                        article(&a),
                        article(&b)
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
                Ok(Val::Bool(value::equal(self, &a, &b)? != *negated))
            }
            Code::In(pair) => {
                let needle = self.eval(&pair.0)?;
                let haystack = self.eval(&pair.1)?;
                match haystack.kind() {
                    value::LIST => {
                        for item in haystack.items() {
                            self.charge(1)?;
                            if value::equal(self, &needle, &item)? {
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
                        if value::equal(self, other, &key)? {
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

    fn root(&self, code: &Code) -> Result<Val<'a>, Fault> {
        let Some(scope) = self.scope else {
            return Err(Fault::failed("no object at load"));
        };
        let node = match code {
            Code::Now => return Ok(Val::Timestamp(scope.now)),
            Code::NamespaceObject => match scope.namespace_object {
                NamespaceObject::Known(node) => Some(node),
                NamespaceObject::Unknown => {
                    return Err(Fault::Unknown("namespaceObject".into()));
                }
                NamespaceObject::None => return Ok(Val::Null),
            },
            Code::Item => scope.item,
            Code::Current => scope.current,
            _ => Some(scope.object),
        };
        node.filter(|node| !node.is_null())
            .map(Val::of)
            .ok_or_else(|| Fault::Absent(code.describe().into()))
    }

    /// A member by a fixed name; `None` if it is not there. A null counts as absent, and so does what is below it.
    fn select(
        &mut self,
        of_value: &Val<'a>,
        name: &str,
        get: impl FnOnce() -> Option<Val<'a>>,
        of: &Code,
    ) -> Result<Option<Val<'a>>, Fault> {
        match of_value {
            Val::NodeMap(_) => Ok(get()),
            Val::Map(members) => {
                self.charge(members.len() / 16)?;
                Ok(get())
            }
            Val::Null => Ok(None),
            Val::Image(image) => {
                image_part(image, name).ok_or_else(|| no_fields(of, of_value, name))
            }
            Val::Optional(None) => Ok(Some(Val::Optional(None))),
            Val::Optional(Some(inner)) => {
                let found = match &**inner {
                    Val::Image(image) => {
                        image_part(image, name).ok_or_else(|| no_fields(of, inner, name))?
                    }
                    Val::NodeMap(_) | Val::Map(_) => not_null(inner.member(name)),
                    Val::Null => None,
                    other => return Err(no_fields(of, other, name)),
                };
                Ok(Some(match found {
                    Some(value) => Val::some(value),
                    None => Val::Optional(None),
                }))
            }
            other => Err(no_fields(of, other, name)),
        }
    }

    fn index(
        &mut self,
        code: &Code,
        of: &Code,
        index: &Code,
        optional: bool,
    ) -> Result<Val<'a>, Fault> {
        let of_value = self.eval(of)?;
        let (of_value, optional) = match of_value {
            Val::Optional(None) => return Ok(Val::Optional(None)),
            Val::Optional(Some(value)) => (Arc::unwrap_or_clone(value), true),
            value => (value, optional),
        };
        let index = self.eval(index)?;
        let found = match (&of_value, &index) {
            (Val::Null, _) => None,
            (Val::List(_) | Val::NodeList(_), _) => {
                let position = match &index {
                    Val::Int(n) => usize::try_from(*n).ok(),
                    Val::UInt(n) => usize::try_from(*n).ok(),
                    Val::Double(d) if d.fract() == 0.0 && *d >= 0.0 => Some(*d as usize),
                    Val::Double(_) => None,
                    other => {
                        return Err(Fault::failed(format!(
                            "{} is a list, its index must be a number, not {}",
                            of.describe(),
                            article(other)
                        )));
                    }
                };
                match (&of_value, position) {
                    (Val::NodeList(node), Some(position)) => {
                        self.charge(position / 16)?;
                        node.at(position).map(Val::of)
                    }
                    (Val::List(list), Some(position)) => list.get(position).cloned(),
                    _ => None,
                }
            }
            (Val::Map(_) | Val::NodeMap(_), _) => {
                if let Val::Map(members) = &of_value {
                    self.charge(members.len() / 16)?;
                }
                not_null(of_value.member_at(&index))
            }
            (other, _) => {
                return Err(Fault::failed(format!(
                    "{} is {}, it has no elements",
                    of.describe(),
                    article(other)
                )));
            }
        };
        match (found, optional) {
            (Some(value), true) => Ok(Val::some(value)),
            (Some(value), false) => Ok(value),
            (None, true) => Ok(Val::Optional(None)),
            (None, false) => Err(Fault::Absent(code.describe().into())),
        }
    }

    /// `&&` and `||`: a side that decides makes the other's fault not matter.
    fn logic(&mut self, a: &Code, b: &Code, decisive: bool) -> Result<Val<'a>, Fault> {
        let left = self.bool(a);
        match left {
            Ok(value) if value == decisive => return Ok(Val::Bool(decisive)),
            Err(fault @ Fault::Spent(_)) => return Err(fault),
            _ => {}
        }
        match (left, self.bool(b)) {
            (_, Err(fault @ Fault::Spent(_))) => Err(fault),
            (_, Ok(value)) if value == decisive => Ok(Val::Bool(decisive)),
            (Ok(_), right) => right.map(Val::Bool),
            (Err(left), Ok(_)) => Err(left),
            // What is not known yet outweighs what is wrong: the object waits.
            (Err(left), Err(right)) => Err(match right {
                Fault::Unknown(_) => right,
                _ => left,
            }),
        }
    }

    fn negate(&mut self, operand: &Code) -> Result<Val<'a>, Fault> {
        match self.eval(operand)? {
            Val::Int(n) => n.checked_neg().map(Val::Int).ok_or_else(overflow),
            Val::Double(d) => Ok(Val::Double(-d)),
            Val::Duration(d) => d.checked_neg().map(Val::Duration).ok_or_else(overflow),
            other => Err(Fault::failed(format!(
                "`-` cannot take {}",
                article(&other)
            ))),
        }
    }

    /// `a operator b`.
    pub fn arithmetic(
        &mut self,
        operator: Arithmetic,
        a: Val<'a>,
        b: Val<'a>,
    ) -> Result<Val<'a>, Fault> {
        use Arithmetic::{Add, Divide, Multiply, Remainder, Subtract};
        match (operator, &a, &b) {
            (Divide | Remainder, Val::Int(_), Val::Int(0))
            | (Divide | Remainder, Val::UInt(_), Val::UInt(0)) => {
                Err(Fault::failed("division by zero"))
            }
            (_, Val::Int(x), Val::Int(y)) => match operator {
                Add => x.checked_add(*y),
                Subtract => x.checked_sub(*y),
                Multiply => x.checked_mul(*y),
                Divide => x.checked_div(*y),
                Remainder => x.checked_rem(*y),
            }
            .map(Val::Int)
            .ok_or_else(overflow),
            (_, Val::UInt(x), Val::UInt(y)) => match operator {
                Add => x.checked_add(*y),
                Subtract => x.checked_sub(*y),
                Multiply => x.checked_mul(*y),
                Divide => x.checked_div(*y),
                Remainder => x.checked_rem(*y),
            }
            .map(Val::UInt)
            .ok_or_else(overflow),
            (Add, Val::Double(x), Val::Double(y)) => Ok(Val::Double(x + y)),
            (Subtract, Val::Double(x), Val::Double(y)) => Ok(Val::Double(x - y)),
            (Multiply, Val::Double(x), Val::Double(y)) => Ok(Val::Double(x * y)),
            (Divide, Val::Double(x), Val::Double(y)) => Ok(Val::Double(x / y)),
            (Add, Val::Text(x), Val::Text(y)) => {
                self.room(x.len() + y.len())?;
                Ok(Val::text([&**x, &**y].concat()))
            }
            (Add, Val::Bytes(x), Val::Bytes(y)) => {
                self.room(x.len() + y.len())?;
                Ok(Val::Bytes([&**x, &**y].concat().into()))
            }
            (Add, Val::List(_) | Val::NodeList(_), Val::List(_) | Val::NodeList(_)) => {
                let count = a.count().unwrap_or_default() + b.count().unwrap_or_default();
                self.charge(count)?;
                Ok(Val::list(a.items().chain(b.items()).collect()))
            }
            (Add, Val::Timestamp(t), Val::Duration(d))
            | (Add, Val::Duration(d), Val::Timestamp(t)) => t
                .checked_add(*d)
                .map(Val::Timestamp)
                .map_err(|_| overflow()),
            (Subtract, Val::Timestamp(t), Val::Duration(d)) => t
                .checked_sub(*d)
                .map(Val::Timestamp)
                .map_err(|_| overflow()),
            (Subtract, Val::Timestamp(x), Val::Timestamp(y)) => {
                Ok(Val::Duration(x.duration_since(*y)))
            }
            (Add, Val::Duration(x), Val::Duration(y)) => {
                x.checked_add(*y).map(Val::Duration).ok_or_else(overflow)
            }
            (Subtract, Val::Duration(x), Val::Duration(y)) => {
                x.checked_sub(*y).map(Val::Duration).ok_or_else(overflow)
            }
            _ => Err(Fault::failed(format!(
                "`{}` cannot take {} and {}{}",
                operator.as_str(),
                article(&a),
                article(&b),
                mend(&a, &b)
            ))),
        }
    }

    fn fold(&mut self, fold: &Fold) -> Result<Val<'a>, Fault> {
        let range = self.eval(&fold.range)?;
        let is_list = range.kind() == value::LIST;
        if !is_list && range.kind() != value::MAP {
            return Err(Fault::failed(format!(
                "`{}` needs a list or a map, {} is {}",
                fold.kind.as_str(),
                fold.range.describe(),
                article(&range)
            )));
        }
        let depth = self.locals.len();
        let mut state = State {
            pending: None,
            count: 0,
            list: Vec::new(),
            keys: Vec::new(),
            members: Vec::new(),
        };
        if is_list {
            for (position, item) in range.items().enumerate() {
                self.charge(1)?;
                self.locals.truncate(depth);
                if fold.two {
                    self.locals.push(Val::Int(position as i64));
                }
                self.locals.push(item.clone());
                let (key, value) = if fold.two {
                    (Val::Int(position as i64), item)
                } else {
                    (item.clone(), item)
                };
                if let Some(result) = self.turn(fold, &mut state, key, value)? {
                    return Ok(result);
                }
            }
        } else {
            for (key, member) in range.members() {
                self.charge(1)?;
                self.locals.truncate(depth);
                self.locals.push(key.clone());
                if fold.two {
                    self.locals.push(member.clone());
                }
                let value = if fold.two { member } else { key.clone() };
                if let Some(result) = self.turn(fold, &mut state, key, value)? {
                    return Ok(result);
                }
            }
        }
        match fold.kind {
            FoldKind::All | FoldKind::Exists => match state.pending {
                Some(fault) => Err(fault),
                None => Ok(Val::Bool(fold.kind == FoldKind::All)),
            },
            FoldKind::ExistsOne => Ok(Val::Bool(state.count == 1)),
            FoldKind::Map | FoldKind::Filter => Ok(Val::list(state.list)),
            FoldKind::TransformMap | FoldKind::TransformMapEntry => {
                Ok(Val::Map(Arc::new(state.members)))
            }
            FoldKind::SortBy => functions::lists::sort_by(self, state.keys, state.list),
        }
    }

    /// One turn of a loop; its variables are set. `Some` ends the loop.
    fn turn(
        &mut self,
        fold: &Fold,
        state: &mut State<'a>,
        key: Val<'a>,
        value: Val<'a>,
    ) -> Result<Option<Val<'a>>, Fault> {
        if let Some(filter) = &fold.filter
            && !self.bool(filter)?
        {
            return Ok(None);
        }
        match fold.kind {
            FoldKind::All | FoldKind::Exists => {
                let decisive = fold.kind == FoldKind::Exists;
                match self.bool(&fold.body) {
                    Ok(value) if value == decisive => return Ok(Some(Val::Bool(decisive))),
                    Ok(_) => {}
                    Err(fault @ Fault::Spent(_)) => return Err(fault),
                    Err(fault) => {
                        if !matches!(state.pending, Some(Fault::Unknown(_))) {
                            state.pending = Some(fault);
                        }
                    }
                }
            }
            FoldKind::ExistsOne => state.count += usize::from(self.bool(&fold.body)?),
            FoldKind::Map => {
                let result = self.eval(&fold.body)?;
                state.list.push(result);
            }
            FoldKind::Filter => state.list.push(value),
            FoldKind::SortBy => {
                let sort_key = self.eval(&fold.body)?;
                state.keys.push(sort_key);
                state.list.push(value);
            }
            FoldKind::TransformMap => {
                let result = self.eval(&fold.body)?;
                state.members.push((key, result));
            }
            FoldKind::TransformMapEntry => {
                let entry = self.eval(&fold.body)?;
                if entry.kind() != value::MAP {
                    return Err(Fault::failed(format!(
                        "`transformMapEntry` must give a map, it gives {}",
                        article(&entry)
                    )));
                }
                for (key, member) in entry.members() {
                    self.charge(1 + state.members.len() / 16)?;
                    for (other, _) in &state.members {
                        if value::equal(self, other, &key)? {
                            return Err(Fault::failed("a map has two equal keys"));
                        }
                    }
                    state.members.push((key, member));
                }
            }
        }
        Ok(None)
    }
}

/// What a loop has gathered.
struct State<'a> {
    pending: Option<Fault>,
    count: usize,
    list: Vec<Val<'a>>,
    keys: Vec<Val<'a>>,
    members: value::Members<'a>,
}

fn not_null(value: Option<Val<'_>>) -> Option<Val<'_>> {
    value.filter(|value| !matches!(value, Val::Null))
}

fn of_value_get<'a>(of: &Val<'a>, key: &crate::object::Key) -> Option<Val<'a>> {
    not_null(match of {
        Val::NodeMap(node) => node.get(key).map(Val::of),
        other => other.member(key.as_str()),
    })
}

/// A part of an image, which may be written as a field; `None` if images have no such part.
pub(super) fn image_part<'a>(
    image: &crate::object::image::Image,
    name: &str,
) -> Option<Option<Val<'a>>> {
    Some(match name {
        "registry" => Some(Val::text(image.registry())),
        "repository" => Some(Val::text(image.repository())),
        "tag" => image.tag().map(Val::text),
        "digest" => image.digest().map(Val::text),
        _ => return None,
    })
}

fn no_fields(of: &Code, value: &Val<'_>, name: &str) -> Fault {
    Fault::failed(format!(
        "{} is {}, it has no field `{name}`",
        of.describe(),
        article(value)
    ))
}

pub(super) fn overflow() -> Fault {
    Fault::failed("the result is out of range")
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

/// What helps where an operator does not take two kinds.
fn mend(a: &Val<'_>, b: &Val<'_>) -> &'static str {
    let kinds = a.kind() | b.kind();
    if kinds & value::OPTIONAL != 0 {
        "; take the value out with `.orValue(…)`"
    } else if kinds & value::QUANTITY != 0 {
        "; quantities have `.add(…)` and `.sub(…)`"
    } else if kinds & value::STRING != 0 {
        "; `string(…)` makes text"
    } else if kinds & value::DOUBLE != 0 && kinds & value::NUMBER == kinds {
        "; `double(…)` or `int(…)` makes them alike"
    } else {
        ""
    }
}

/// A text value for functions that answer with a part of what they were given.
pub(super) fn part<'a>(whole: &Text<'a>, part: &str) -> Val<'a> {
    if let Text::Borrowed(text) = whole {
        // Stays a borrow of the record where the part lies in it.
        let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
        if let Some(found) = text.get(start..start.saturating_add(part.len()))
            && std::ptr::eq(found, part)
        {
            return Val::Text(Text::Borrowed(found));
        }
    }
    Val::text(part)
}

/// Nanoseconds as a duration.
pub(super) fn as_signed(duration: std::time::Duration) -> Result<SignedDuration, Fault> {
    SignedDuration::try_from(duration).map_err(|_| overflow())
}
