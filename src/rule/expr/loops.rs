//! Loops over lists and maps. Each turn is paid for.

use super::code::{Fold, FoldKind};
use super::compare::equal;
use super::eval::{Fault, Frame, article};
use super::functions;
use super::value::{self, Val};
use std::sync::Arc;

impl<'a> Frame<'_, 'a> {
    pub(super) fn fold(&mut self, fold: &Fold) -> Result<Val<'a>, Fault> {
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
                        if equal(self, other, &key)? {
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
