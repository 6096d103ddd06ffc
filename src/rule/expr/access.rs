//! Reading: the names of a scope, fields, elements.

use super::NamespaceObject;
use super::code::Code;
use super::eval::{Fault, Frame, article};
use super::value::Val;
use crate::object::Key;
use crate::object::image::Image;
use std::sync::Arc;

impl<'a> Frame<'_, 'a> {
    pub(super) fn root(&self, code: &Code) -> Result<Val<'a>, Fault> {
        let Some(scope) = self.scope else {
            return Err(Fault::failed("no object at load"));
        };
        let node = match code {
            Code::Now => return Ok(Val::Timestamp(scope.now)),
            Code::ScheduleStart => {
                return scope
                    .schedule_start
                    .map(Val::Timestamp)
                    .ok_or_else(|| Fault::Absent(code.describe().into()));
            }
            Code::NamespaceObject => match scope.namespace_object {
                NamespaceObject::Known(node) => Some(node),
                NamespaceObject::Unknown => {
                    return Err(Fault::Unknown("namespaceObject".into()));
                }
                NamespaceObject::None => return Ok(Val::Null),
            },
            Code::Variable(slot, name) => {
                return match scope.variables {
                    Some(variables) => variables.value(*slot, name),
                    None => Err(Fault::Failed(
                        format!("the variable `{name}` is not computed here").into(),
                    )),
                };
            }
            Code::Related(slot, name) => {
                return match scope.variables {
                    Some(variables) => variables.list(*slot, name),
                    None => Err(not_computed(name)),
                };
            }
            Code::Candidate => scope.other.map(|other| other.object),
            Code::Item => scope.item,
            Code::Request => scope.request,
            Code::Previous => scope.previous,
            Code::Current => scope.current,
            Code::Applied => scope.applied,
            _ => Some(scope.object),
        };
        node.filter(|node| !node.is_null())
            .map(Val::of)
            .ok_or_else(|| Fault::Absent(code.describe().into()))
    }

    /// A member by a fixed name; `None` if it is not there. A null counts as absent, and so does what is below it.
    pub(super) fn select(
        &mut self,
        of_value: &Val<'a>,
        name: &str,
        get: impl FnOnce() -> Option<Val<'a>>,
        of: &Code,
    ) -> Result<Option<Val<'a>>, Fault> {
        match of_value {
            Val::NodeMap(node) => {
                // A look-up passes over the members before it.
                self.charge(node.size() / 1024)?;
                Ok(get())
            }
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

    pub(super) fn index(
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
                match &of_value {
                    Val::Map(members) => self.charge(members.len() / 16)?,
                    Val::NodeMap(node) => self.charge(node.size() / 1024)?,
                    _ => {}
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
}

/// A list that is read before it is there: no rule that compiles does.
pub(super) fn not_computed(list: &str) -> Fault {
    Fault::Unknown(format!("the list `{list}` is not known: it is not computed here").into())
}

fn not_null(value: Option<Val<'_>>) -> Option<Val<'_>> {
    value.filter(|value| !matches!(value, Val::Null))
}

/// A member by a prepared name; a null one is absent.
pub(super) fn member_of<'a>(of: &Val<'a>, key: &Key) -> Option<Val<'a>> {
    not_null(match of {
        Val::NodeMap(node) => node.get(key).map(Val::of),
        other => other.member(key.as_str()),
    })
}

/// A part of an image, which may be written as a field; `None` if images have no such part.
pub(super) fn image_part<'a>(image: &Image, name: &str) -> Option<Option<Val<'a>>> {
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
