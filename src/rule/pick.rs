//! `pick`: which of all matching objects a rule is about. What an object's place among the others depends on; who has which place is the engine's.

use super::expr::{Expr, ExprFault, Scope};
use super::path::Path;
use super::test::{ReadAs, SortKey, Unsortable};
use serde_json::Value;

/// What a `pick` looks at.
pub enum By {
    /// The values that a path selects.
    Path(Path),
    /// The one value of an expression.
    Expr(Expr),
}

impl By {
    fn text(&self) -> String {
        match self {
            By::Path(path) => path.text().to_owned(),
            By::Expr(expr) => format!("${{{}}}", expr.text()),
        }
    }
}

/// `orderBy`
pub struct OrderBy {
    /// What is looked at.
    pub by: By,
    /// What it is read as.
    pub read_as: Option<ReadAs>,
    /// The largest first.
    pub descending: bool,
}

/// A compiled `pick`: of each group, in order, so many are passed over and the next so many are picked.
pub struct Pick {
    /// Objects whose values are all the same are a group; without any, all objects are one.
    pub group_by: Vec<By>,
    /// Objects that are equal here, or everywhere where there is none, are in order of namespace and name.
    pub order_by: Option<OrderBy>,
    /// How many are passed over.
    pub skip: usize,
    /// How many are picked; `None`: all the rest.
    pub take: Option<usize>,
}

/// Where an object stands among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rank {
    /// The same for all objects of a group: the values, as JSON.
    pub group: Box<str>,
    /// What its place is decided by.
    pub order: SortKey,
    /// The largest first.
    pub descending: bool,
}

/// Why an object has no place.
#[derive(Debug)]
pub enum PickFault {
    /// A value is not there or not of a type that can be ordered: for people.
    Unsortable(String),
    /// An expression failed, or read what is not known.
    Expression(ExprFault),
}

impl Pick {
    /// The place of an object.
    ///
    /// # Errors
    /// It has none.
    pub fn rank(&self, scope: &Scope<'_>) -> Result<Rank, PickFault> {
        let mut group = String::new();
        for by in &self.group_by {
            match by {
                By::Path(path) => {
                    let mut any = false;
                    path.select(scope.object, scope.pod, &mut |node| {
                        group.push(if any { '+' } else { ',' });
                        group.push_str(&node.to_value().to_string());
                        any = true;
                        true
                    });
                    if !any {
                        return Err(without("groupBy", by, Unsortable::Absent));
                    }
                }
                By::Expr(expr) => match expr.evaluate(scope).map_err(PickFault::Expression)? {
                    None | Some(Value::Null) => {
                        return Err(without("groupBy", by, Unsortable::Absent));
                    }
                    Some(value) => {
                        group.push(',');
                        group.push_str(&value.to_string());
                    }
                },
            }
        }
        let order = match &self.order_by {
            None => SortKey::NONE,
            Some(order) => order.key(scope)?,
        };
        Ok(Rank {
            group: group.into(),
            order,
            descending: self.order_by.as_ref().is_some_and(|o| o.descending),
        })
    }

    /// Whether it only puts objects in order.
    pub fn picks_all(&self) -> bool {
        self.skip == 0 && self.take.is_none()
    }
}

impl OrderBy {
    fn key(&self, scope: &Scope<'_>) -> Result<SortKey, PickFault> {
        let key = match &self.by {
            By::Path(path) => SortKey::of_path(path, scope.object, scope.pod, self.read_as),
            By::Expr(expr) => {
                let value = expr.evaluate(scope).map_err(PickFault::Expression)?;
                SortKey::of_value(&value.unwrap_or_default(), self.read_as)
            }
        };
        key.map_err(|why| without("orderBy", &self.by, why))
    }
}

fn without(field: &str, by: &By, why: Unsortable) -> PickFault {
    let by = by.text();
    PickFault::Unsortable(match why {
        Unsortable::Absent => format!(
            "`{by}` of `{field}` is not there: the object is not picked; a test with `Exists` in `where` would say that this is meant"
        ),
        Unsortable::Several => {
            format!("`{by}` of `{field}` selects several values: the object is not picked")
        }
        Unsortable::WrongType(kind) => format!(
            "`{by}` of `{field}` is {kind}, which cannot be put in order as asked: the object is not picked"
        ),
    })
}
