//! Values with a name: what a rule computes once a turn, and what it is given at load.

use super::access::not_computed;
use super::code::Reads;
use super::eval::{Fault, Frame};
use super::value::Val;
use super::{ExprFault, Scope, Template};
use crate::rule::related::Lists;
use serde_json::Value;
use std::sync::Arc;

/// A variable of a rule.
#[derive(Debug)]
pub struct Variable {
    /// An identifier of CEL.
    pub name: Arc<str>,
    /// What it is computed from.
    pub value: Template,
}

impl Variable {
    pub(super) fn reads(&self) -> Reads {
        let mut reads = Reads::default();
        for expr in self.value.expressions() {
            reads.through(expr.reads);
        }
        reads
    }
}

/// The lists and variables of a rule, computed for one object. Variables keep their kinds: a quantity stays one.
#[derive(Default)]
pub struct Variables {
    lists: Arc<Lists>,
    values: Vec<Result<Val<'static>, Fault>>,
}

impl Variables {
    /// Lists of other objects, and no variables yet.
    pub fn of_lists(lists: Arc<Lists>) -> Variables {
        Variables {
            lists,
            values: vec![],
        }
    }

    /// The lists of other objects.
    pub fn lists(&self) -> &Arc<Lists> {
        &self.lists
    }

    /// Computes all variables in order, each seeing those above it and all lists. One that fails is a fault of whoever reads it, not of the
    /// others.
    pub fn compute(of: &[Variable], lists: Arc<Lists>, scope: &Scope<'_>) -> Variables {
        let mut done = Variables::of_lists(lists);
        for variable in of {
            let value = variable.value.evaluate_detached(&Scope {
                variables: Some(&done),
                ..*scope
            });
            done.values.push(value);
        }
        done
    }

    /// Each variable with its value, for people: `None` for `optional.none()`.
    ///
    /// # Errors
    /// Of one that has none, why.
    pub fn shown<'v>(
        &self,
        of: &'v [Variable],
    ) -> impl Iterator<Item = (&'v str, Result<Option<Value>, ExprFault>)> {
        of.iter().zip(&self.values).map(|(variable, value)| {
            let value = value
                .clone()
                .and_then(|value| super::output::to_json(&mut Frame::new(None), &value));
            (&*variable.name, value.map_err(ExprFault::from))
        })
    }

    pub(super) fn value<'a>(&self, slot: usize, name: &str) -> Result<Val<'a>, Fault> {
        match self.values.get(slot) {
            Some(Ok(value)) => Ok(value.clone()),
            Some(Err(Fault::Absent(what))) => Err(Fault::failed(format!(
                "the variable `{name}` has no value: `{what}` is not there"
            ))),
            Some(Err(Fault::Failed(why))) => Err(Fault::failed(format!(
                "the variable `{name}` has no value: {why}"
            ))),
            Some(Err(fault)) => Err(fault.clone()),
            None => Err(Fault::failed(format!(
                "the variable `{name}` is not computed yet"
            ))),
        }
    }
}

impl Variables {
    /// The members of a list, or the one object of a list with `one`.
    pub(super) fn list<'a>(&'a self, slot: usize, name: &str) -> Result<Val<'a>, Fault> {
        let Some(list) = self.lists.get(slot) else {
            return Err(not_computed(name));
        };
        let members = list
            .members()
            .map_err(|why| Fault::Unknown(format!("`{name}` is not known: {why}").into()))?;
        let of = |member: &'a crate::rule::related::Member| Val::of(member.record.root());
        Ok(match (list.is_one(), members) {
            (true, [only]) => of(only),
            _ => Val::list(members.iter().map(of).collect()),
        })
    }
}

/// The parameters of a rule with their values.
#[derive(Default)]
pub struct Params(Vec<(Arc<str>, Option<Val<'static>>)>);

impl std::fmt::Debug for Params {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Params {
    /// From names and values, in any order. Without a value: something is wrong with the parameter, which is no fault of its readers.
    pub fn new(values: impl IntoIterator<Item = (Arc<str>, Option<Value>)>) -> Params {
        let values = values.into_iter();
        Params(
            values
                .map(|(name, value)| (name, value.map(Val::from_json)))
                .collect(),
        )
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    pub(super) fn get(&self, name: &str) -> Option<Option<&Val<'static>>> {
        let found = self.0.iter().find(|(known, _)| **known == *name);
        found.map(|(_, value)| value.as_ref())
    }

    /// Whether something is wrong with one of them, so that nobody knows what its readers come to.
    pub fn are_unknown(&self) -> bool {
        self.0.iter().any(|(_, value)| value.is_none())
    }

    pub(super) fn all(&self) -> Val<'static> {
        let members = self.0.iter();
        Val::Map(Arc::new(
            members
                .filter_map(|(name, value)| Some((Val::text(name.clone()), value.clone()?)))
                .collect(),
        ))
    }
}

impl Template {
    /// The value as expressions see it, on its own: nothing in it borrows from the object.
    fn evaluate_detached(&self, scope: &Scope<'_>) -> Result<Val<'static>, Fault> {
        if let Some(expr) = self.whole() {
            let mut frame = Frame::new(Some(scope));
            let value = frame.eval(&expr.code)?;
            return value.detached(&mut frame);
        }
        match self.render_to_read_again(scope) {
            Ok(value) => Ok(value.map_or(Val::Optional(None), Val::from_json)),
            Err(ExprFault::Unknown(name)) => Err(Fault::Unknown(name.into())),
            Err(ExprFault::Absent(name)) => Err(Fault::Absent(name.into())),
            Err(ExprFault::Failed(why)) => Err(Fault::failed(why)),
        }
    }
}
