//! `names` of a list: globs, and names that are computed.

use super::super::expr::{ExprFault, Scope, Template};
use super::super::selector::Globs;
use serde_json::Value;

/// Which names a list takes.
#[derive(Debug, Default)]
pub struct Names {
    /// `*` and `?` among those taken.
    globs: Option<Globs>,
    /// Literal names, and names computed from the subject, among those taken.
    exact: Vec<Template>,
    /// Literal patterns among those left out.
    not: Option<Globs>,
    /// Computed ones.
    not_exact: Vec<Template>,
}

/// Names for one subject.
#[derive(Debug)]
pub struct NamesNow<'n> {
    of: &'n Names,
    exact: Vec<String>,
    not: Vec<String>,
}

impl Names {
    /// Names with `*` and `?` to be taken; names that stand as they are, or are computed; the same of those to be left out. A computed one that is
    /// the whole of `names` may be a list.
    pub fn new(
        globs: Vec<String>,
        exact: Vec<Template>,
        not: Vec<String>,
        not_exact: Vec<Template>,
    ) -> Names {
        let some = |patterns: Vec<String>| (!patterns.is_empty()).then(|| Globs::new(patterns));
        Names {
            globs: some(globs),
            exact,
            not: some(not),
            not_exact,
        }
    }

    /// The patterns that have nothing to do with the subject, for those who compare lists.
    pub(super) fn told(&self) -> String {
        format!("{:?} {} {:?}", self.globs, self.exact.len(), self.not)
    }

    /// Whether each name that it takes is known by itself, so that an object can be looked up by it.
    pub fn are_exact(&self) -> bool {
        self.globs.is_none() && !self.exact.is_empty()
    }

    /// Whether some subject may take an object of this name.
    pub fn may_take(&self, name: &str) -> bool {
        let left_out = self.not.as_ref().is_some_and(|not| not.matches(name));
        let taken = match &self.globs {
            Some(globs) => globs.matches(name) || !self.exact.is_empty(),
            None => true,
        };
        taken && !left_out
    }

    /// The names for one subject.
    ///
    /// # Errors
    /// One could not be computed.
    pub fn now(&self, scope: &Scope<'_>) -> Result<NamesNow<'_>, ExprFault> {
        Ok(NamesNow {
            of: self,
            exact: computed(&self.exact, scope)?,
            not: computed(&self.not_exact, scope)?,
        })
    }

    /// The expressions in it.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.exact.iter().chain(&self.not_exact)
    }
}

impl NamesNow<'_> {
    /// The names that are known by themselves.
    pub fn exact(&self) -> &[String] {
        &self.exact
    }

    /// Whether an object of this name is taken.
    pub fn take(&self, name: &str) -> bool {
        let names = self.of;
        let all = names.globs.is_none() && names.exact.is_empty();
        let taken = all
            || names
                .globs
                .as_ref()
                .is_some_and(|globs| globs.matches(name))
            || self.exact.iter().any(|exact| exact == name);
        let left_out = names.not.as_ref().is_some_and(|not| not.matches(name))
            || self.not.iter().any(|not| not == name);
        taken && !left_out
    }
}

fn computed(templates: &[Template], scope: &Scope<'_>) -> Result<Vec<String>, ExprFault> {
    let mut names = vec![];
    for template in templates {
        let value = match template.literal() {
            Some(literal) => Some(literal.clone()),
            None => template.render(scope)?,
        };
        match value {
            None | Some(Value::Null) => {
                return Err(ExprFault::Absent("the name".into()));
            }
            Some(Value::String(name)) => names.push(name),
            Some(Value::Array(items)) => {
                for item in items {
                    match item {
                        Value::String(name) => names.push(name),
                        _ => return Err(ExprFault::Failed("a name is not text".into())),
                    }
                }
            }
            Some(_) => return Err(ExprFault::Failed("a name is not text".into())),
        }
    }
    Ok(names)
}
