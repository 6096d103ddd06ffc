//! `variables` of a rule: an ordered list, each sees those above it.

use super::document::Context;
use super::expressions;
use super::fields::{self, Fields};
use super::parameters::name_of;
use crate::rule::expr::{Inlined, ListName, Names, Params, Template, Variable, is_whole};
use crate::rule::yaml::{Data, Tree};
use std::sync::Arc;

/// Names that `${ }` has anyway, or that a later version will have.
const TAKEN: [&str; 12] = [
    "object",
    "namespaceObject",
    "now",
    "item",
    "current",
    "params",
    "schedule",
    "request",
    "applied",
    "candidate",
    "previous",
    "variables",
];
/// Words of CEL that cannot be names, and functions that would hide behind one.
const WORDS: [&str; 10] = [
    "true", "false", "null", "in", "has", "int", "string", "list", "map", "type",
];

/// Why a name cannot be given to anything, if it cannot.
pub(super) fn taken(name: &str) -> Option<String> {
    let taken = TAKEN.contains(&name) || WORDS.contains(&name);
    taken.then(|| format!("`{name}` is a name of the language"))
}

/// What a rule names for its expressions.
#[derive(Default)]
pub(super) struct Declared {
    /// `None`: it declares no parameters.
    pub params: Option<Params>,
    pub variables: Vec<Variable>,
    /// While lists are compiled: the variables, which are computed after them.
    pub inlined: Vec<Inlined>,
    /// Whether there is a `request`: the rule looks at admission only.
    pub request: bool,
    /// The lists of other objects.
    pub lists: Vec<ListName>,
    /// Whether it has a `schedule`.
    pub schedule: bool,
}

impl Declared {
    /// What can be read everywhere in the rule.
    pub fn names(&self) -> Names<'_> {
        Names {
            variables: &self.variables,
            inlined: &self.inlined,
            params: self.params.as_ref(),
            request: self.request,
            schedule: self.schedule,
            lists: &self.lists,
            ..Names::default()
        }
    }
}

/// The variables as lists of other objects may read them: each for its expression.
pub(super) fn before_lists(tree: Option<&Tree>) -> Vec<Inlined> {
    let items = match tree.map(|tree| &tree.data) {
        Some(Data::List(items)) if items.len() <= MOST => items.as_slice(),
        _ => &[],
    };
    let inlined = items.iter().filter_map(|item| {
        let text = item.get("expression").and_then(Tree::text);
        let whole = text.filter(|text| is_whole(text));
        let inner = whole.and_then(|text| text.strip_prefix("${")?.strip_suffix('}'));
        Some(Inlined {
            name: item.get("name")?.text()?.into(),
            text: inner.map(Arc::from),
        })
    });
    inlined.collect()
}

/// Most variables of a rule.
const MOST: usize = 100;

pub(super) fn compile(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    declared: &Declared,
) -> Vec<Variable> {
    let items = fields::list(context.report, tree, "`variables`").unwrap_or_default();
    if items.len() > MOST {
        let message = format!("more than {MOST} variables");
        context.report.error(tree, message, None);
        return vec![];
    }
    let later: Vec<Arc<str>> = items
        .iter()
        .filter_map(|item| item.get("name")?.text().map(Arc::from))
        .collect();
    let mut variables: Vec<Variable> = vec![];
    for (place, item) in items.iter().enumerate() {
        let known = ["name", "expression"];
        let Some(of) = fields::fields(context.report, item, "a variable", &known, &["script"])
        else {
            continue;
        };
        let name = name_of(context.report, of, item, "a variable");
        let name = name.and_then(|(name, at)| {
            let refusal = if let Some(refusal) = taken(&name) {
                Some(refusal)
            } else if declared.lists.iter().any(|list| list.name == name) {
                Some(format!("a list `{name}` stands already above"))
            } else if variables.iter().any(|other| other.name == name) {
                Some(format!("a variable `{name}` stands already above"))
            } else {
                None
            };
            match refusal {
                Some(message) => {
                    let mend = Some("call it something else".into());
                    context.report.error(at, message, mend);
                    None
                }
                None => Some(name),
            }
        });
        let names = Names {
            variables: &variables,
            later: later.get(place..).unwrap_or_default(),
            ..declared.names()
        };
        let value = value(context, item, of, names);
        // What failed keeps its name, so that its readers are no further problem.
        if let Some(name) = name {
            let value = value.unwrap_or_else(expressions::nothing);
            variables.push(Variable { name, value });
        }
    }
    variables
}

/// What is wrong has been reported.
fn value(
    context: &mut Context<'_, '_>,
    item: &Tree,
    of: Fields<'_>,
    names: Names<'_>,
) -> Option<Template> {
    let Some(expression) = of.get("expression") else {
        if !of.refused {
            let mend =
                "write for example `{name: team, expression: \"${object.metadata.labels.team}\"}`";
            context.report.error(
                of.key("expression").unwrap_or(item),
                "a variable needs an `expression`",
                Some(mend.into()),
            );
        }
        return None;
    };
    if let Some(text) = expression.text()
        && !text.contains("${")
    {
        let mend = format!("write `${{{}}}`", fields::shortened(text.trim()));
        let message = "`expression` is CEL in `${ }`";
        context.report.error(expression, message, Some(mend));
        return None;
    }
    expressions::template(context, expression, names)
}
