//! `parameters` of a rule, and who sets them: from lowest to highest the `default`, `Parameters` documents, `--set`.

use super::fields::{self, Fields};
use super::file::File;
use super::parameter_type::Type;
use super::report::{Report, Spot};
use crate::rule::expr::Params;
use crate::rule::selector::Globs;
use crate::rule::yaml::{Data, Tree};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

/// `--set NAME=VALUE`, `--set RULE.NAME=VALUE`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Of this rule alone; it goes before one for all. `None`: of every rule that declares a parameter of this name.
    pub rule: Option<String>,
    /// The parameter.
    pub name: String,
    /// As it was written; read as the parameter's type.
    pub value: String,
}

impl std::str::FromStr for Override {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let Some((place, value)) = text.split_once('=') else {
            return Err("write NAME=VALUE or RULE.NAME=VALUE".into());
        };
        // Neither a rule's name nor a parameter's has a dot in it.
        let (rule, name) = match place.split_once('.') {
            Some((rule, name)) => (Some(rule), name),
            None => (None, place),
        };
        if !is_name(name) {
            return Err(format!("`{name}` is no name of a parameter: {NAME_RULE}"));
        }
        Ok(Override {
            rule: rule.map(str::to_owned),
            name: name.into(),
            value: value.into(),
        })
    }
}

impl Override {
    /// Which parameter is set, as it was written.
    fn place(&self) -> String {
        match &self.rule {
            Some(rule) => format!("{rule}.{}", self.name),
            None => self.name.clone(),
        }
    }

    /// What is wrong with several of them: one parameter set twice.
    fn twice(all: &[Override]) -> Vec<String> {
        let mut told: Vec<String> = vec![];
        for (at, given) in all.iter().enumerate() {
            let same = |o: &Override| (&o.rule, &o.name) == (&given.rule, &given.name);
            if let Some(first) = all[..at].iter().find(|o| same(o)) {
                told.push(format!(
                    "`{}` is set twice, to `{}` and to `{}`: take one of them out",
                    given.place(),
                    fields::shortened(&first.value),
                    fields::shortened(&given.value)
                ));
            }
        }
        told
    }
}

const NAME_RULE: &str =
    "it begins with a letter and goes on with letters, digits and `_`, 63 at most";

/// What can be named in `${ }`.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether the name is one; what is wrong has been reported.
pub(super) fn name_of<'t>(
    report: &mut Report<'_>,
    of: Fields<'t>,
    tree: &'t Tree,
    what: &str,
) -> Option<(Arc<str>, &'t Tree)> {
    let Some(name) = of.get("name") else {
        report.error(
            of.key("name").unwrap_or(tree),
            format!("{what} needs a `name`"),
            None,
        );
        return None;
    };
    let text = fields::text(report, name, "`name`")?;
    if is_name(text) {
        return Some((text.into(), name));
    }
    let made: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let mend = is_name(&made).then(|| format!("write `{made}`"));
    report.error(
        name,
        format!(
            "`{}` cannot be read in `${{ }}`: {NAME_RULE}",
            fields::shortened(text)
        ),
        mend,
    );
    None
}

/// Values that come from outside of the rules.
pub(super) struct Given<'t> {
    documents: Vec<GivenDocument<'t>>,
    overrides: &'t [Override],
    /// By place among the overrides: some rule has the parameter.
    taken: Vec<Cell<bool>>,
    /// Which rule declares a parameter of which name.
    declared: RefCell<Vec<(Arc<str>, Arc<str>)>>,
    /// Problems in files other than the one at hand.
    elsewhere: RefCell<Vec<Elsewhere>>,
}

/// A problem with a value in a `Parameters` document.
struct Elsewhere {
    file: usize,
    rule: Arc<str>,
    at: Spot,
    message: String,
    mend: Option<String>,
}

/// A `Parameters` document.
struct GivenDocument<'t> {
    file: usize,
    name: Arc<str>,
    rules: Globs,
    values: Vec<GivenValue<'t>>,
}

struct GivenValue<'t> {
    name: &'t str,
    key: &'t Tree,
    tree: &'t Tree,
    taken: Cell<bool>,
}

impl<'t> Given<'t> {
    /// Reads the `Parameters` documents of all files.
    pub fn read<'f>(
        files: &'t [File<'f>],
        reports: &mut [Report<'_>],
        overrides: &'t [Override],
    ) -> Given<'t> {
        let mut documents = vec![];
        for (index, (file, report)) in files.iter().zip(reports).enumerate() {
            for tree in file.parameters() {
                documents.extend(document(tree, index, report));
            }
        }
        Given {
            documents,
            overrides,
            taken: overrides.iter().map(|_| Cell::new(false)).collect(),
            declared: RefCell::default(),
            elsewhere: RefCell::default(),
        }
    }

    /// The value from outside that counts, if some is given.
    fn value(
        &self,
        report: &mut Report<'_>,
        rule: &Arc<str>,
        name: &Arc<str>,
        of: Type,
        at: &Tree,
    ) -> Result<Option<Value>, ()> {
        self.declared
            .borrow_mut()
            .push((rule.clone(), name.clone()));
        let mut found: Option<(&GivenDocument<'_>, &GivenValue<'_>)> = None;
        for document in &self.documents {
            if !document.rules.matches(rule) {
                continue;
            }
            let Some(value) = document.values.iter().find(|v| *v.name == **name) else {
                continue;
            };
            value.taken.set(true);
            if let Some((first, _)) = found {
                self.elsewhere.borrow_mut().push(Elsewhere {
                    file: document.file,
                    rule: rule.clone(),
                    at: value.key.into(),
                    message: format!(
                        "the parameter `{name}` of rule `{rule}` is set twice: here and by Parameters `{}`",
                        first.name
                    ),
                    mend: Some("take one of them out, or narrow its `rules`".into()),
                });
                return Err(());
            }
            found = Some((document, value));
        }
        let mut best: Option<&Override> = None;
        for (given, taken) in self.overrides.iter().zip(&self.taken) {
            let of_rule = given.rule.as_ref().map(|named| **named == **rule);
            if *given.name != **name || of_rule == Some(false) {
                continue;
            }
            taken.set(true);
            if best.is_none_or(|best| best.rule.is_none()) {
                best = Some(given);
            }
        }
        if let Some(given) = best {
            return of.parse(&given.value).map(Some).map_err(|why| {
                let message = format!("`--set {}=…` does not fit: {why}", given.place());
                report.error(at, message, None);
            });
        }
        let Some((document, value)) = found else {
            return Ok(None);
        };
        let read = value.tree.to_value();
        match of.check(&read) {
            Ok(()) => Ok(Some(read)),
            Err((why, mend)) => {
                self.elsewhere.borrow_mut().push(Elsewhere {
                    file: document.file,
                    rule: rule.clone(),
                    at: value.tree.into(),
                    message: format!("the parameter `{name}` of rule `{rule}`: {why}"),
                    mend,
                });
                Err(())
            }
        }
    }

    /// Reports what is wrong with the documents, now that every rule is known. Answers what is wrong with `--set`.
    pub fn finish(self, reports: &mut [Report<'_>]) -> Vec<String> {
        for problem in self.elsewhere.into_inner() {
            let report = &mut reports[problem.file];
            report.for_rule(Some(problem.rule));
            report.error(problem.at, problem.message, problem.mend);
            report.for_rule(None);
        }
        let declared = self.declared.into_inner();
        for document in &self.documents {
            for value in document.values.iter().filter(|v| !v.taken.get()) {
                let message = format!(
                    "no rule that this document covers has a parameter `{}`",
                    fields::shortened(value.name)
                );
                let names = declared.iter().map(|(_, name)| &**name);
                let mend = fields::did_you_mean(value.name, names);
                reports[document.file].error(value.key, message, mend);
            }
        }
        let mut wrong = Override::twice(self.overrides);
        let unused = self.overrides.iter().zip(&self.taken);
        for (given, _) in unused.filter(|(_, taken)| !taken.get()) {
            let of_rule = |rule: &str| given.rule.as_ref().is_none_or(|named| *named == *rule);
            let names = declared.iter().filter(|(rule, _)| of_rule(rule));
            let (whose, mend) = match &given.rule {
                Some(rule) if !declared.iter().any(|(declares, _)| of_rule(declares)) => {
                    let rules = declared.iter().map(|(rule, _)| &**rule);
                    let whose = format!(
                        "there is no rule `{}` with parameters",
                        fields::shortened(rule)
                    );
                    (whose, fields::did_you_mean(rule, rules))
                }
                Some(rule) => (
                    format!("the rule `{rule}` has no parameter `{}`", given.name),
                    fields::did_you_mean(&given.name, names.map(|(_, name)| &**name)),
                ),
                None => (
                    format!("no rule has a parameter `{}`", given.name),
                    fields::did_you_mean(&given.name, names.map(|(_, name)| &**name)),
                ),
            };
            wrong.push(match mend {
                Some(mend) => format!("{whose}: {mend}"),
                None => whose,
            });
        }
        wrong
    }
}

fn document<'t>(tree: &'t Tree, file: usize, report: &mut Report<'_>) -> Option<GivenDocument<'t>> {
    let known = ["apiVersion", "kind", "metadata", "spec"];
    let top = fields::fields(report, tree, "`Parameters`", &known, &[])?;
    let metadata = top.get("metadata").and_then(|t| t.get("name"));
    let name = match metadata {
        Some(name) => fields::text(report, name, "a name")?,
        None => {
            report.error(
                top.key("metadata").unwrap_or(tree),
                "`Parameters` needs a name",
                Some("write `metadata: {name: production}`".into()),
            );
            ""
        }
    };
    let Some(spec) = top.get("spec") else {
        report.error(tree, "`Parameters` needs a `spec`", None);
        return None;
    };
    let of = fields::fields(
        report,
        spec,
        "the `spec` of `Parameters`",
        &["rules", "values"],
        &[],
    )?;
    let rules = match of.get("rules") {
        Some(tree) => super::matching::globs(report, tree, "rules"),
        None => Globs::new(vec![]),
    };
    let Some(values) = of.get("values") else {
        report.error(
            of.key("values").unwrap_or(spec),
            "`Parameters` needs `values`",
            Some("write for example `values: {minimum: 3}`".into()),
        );
        return None;
    };
    let Data::Map(entries) = &values.data else {
        let message = format!("`values` is a map, and here is {}", fields::found(values));
        report.error(values, message, None);
        return None;
    };
    let mut taken = vec![];
    for (key, tree) in entries {
        if has_expression(tree) {
            let message = "a parameter's value is a literal, `${ }` is not evaluated here";
            report.error(
                tree,
                message,
                Some("a literal `${` is written `$${`".into()),
            );
            continue;
        }
        taken.push(GivenValue {
            name: key.text().unwrap_or_default(),
            key,
            tree,
            taken: Cell::new(false),
        });
    }
    Some(GivenDocument {
        file,
        name: name.into(),
        rules,
        values: taken,
    })
}

/// Whether some text of it has a `${ }`.
pub(super) fn has_expression(tree: &Tree) -> bool {
    match &tree.data {
        Data::Scalar { .. } => tree
            .text()
            .is_some_and(|t| t.replace("$${", "").contains("${")),
        Data::List(items) => items.iter().any(has_expression),
        Data::Map(entries) => entries
            .iter()
            .any(|(key, value)| has_expression(key) || has_expression(value)),
    }
}

/// Parameters by name, with the values that count.
pub(super) type Values = Vec<(Arc<str>, Value)>;

/// A value, and the type that its parameter has.
type Typed = (Value, Type);

/// The parameters of a rule with the values that count, also for its hash. `None`: it declares none.
pub(super) fn compile(
    report: &mut Report<'_>,
    tree: &Tree,
    rule: &Arc<str>,
    given: &Given<'_>,
) -> (Params, Values) {
    let mut values: Vec<(Arc<str>, Option<Typed>)> = vec![];
    let mut seen: Vec<Arc<str>> = vec![];
    for item in fields::list(report, tree, "`parameters`").unwrap_or_default() {
        let known = ["name", "type", "default", "description"];
        let Some(of) = fields::fields(report, item, "a parameter", &known, &[]) else {
            continue;
        };
        let Some((name, at)) = name_of(report, of, item, "a parameter") else {
            continue;
        };
        if seen.contains(&name) {
            report.error(
                at,
                format!("a parameter `{name}` stands already above"),
                None,
            );
            continue;
        }
        seen.push(name.clone());
        if let Some(text) = of.get("description") {
            fields::text(report, text, "`description`");
        }
        // A parameter that is there but wrong still has a name: expressions that read it are no further problem.
        let value = parameter(report, of, at, rule, &name, given);
        values.push((name, value));
    }
    let seen = |value: &Typed| value.1.seen(value.0.clone());
    let known = values.iter();
    let params = Params::new(known.map(|(name, value)| (name.clone(), value.as_ref().map(seen))));
    let good = values
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?.0)));
    (params, good.collect())
}

fn parameter(
    report: &mut Report<'_>,
    of: Fields<'_>,
    at: &Tree,
    rule: &Arc<str>,
    name: &Arc<str>,
    given: &Given<'_>,
) -> Option<Typed> {
    let default = of.get("default");
    if let Some(tree) = default.filter(|tree| has_expression(tree)) {
        report.error(
            tree,
            "a parameter's value is a literal, `${ }` is not evaluated here",
            None,
        );
        return None;
    }
    let default = default.map(|tree| (tree, tree.to_value()));
    let kind = match (of.get("type"), &default) {
        (Some(tree), _) => Type::read(report, tree)?,
        (None, Some((_, value))) => Type::of(value)?,
        (None, None) => {
            report.error(
                at,
                format!("the parameter `{name}` has neither a `type` nor a `default`"),
                Some("write for example `type: integer`".into()),
            );
            return None;
        }
    };
    if let Some((tree, value)) = &default
        && let Err((why, mend)) = kind.check(value)
    {
        report.error(*tree, format!("the `default` does not fit: {why}"), mend);
        return None;
    }
    match given.value(report, rule, name, kind, at) {
        Ok(Some(value)) => Some((value, kind)),
        Ok(None) if default.is_some() => default.map(|(_, value)| (value, kind)),
        Ok(None) => {
            report.error(
                at,
                format!("nobody sets the parameter `{name}`"),
                Some(format!(
                    "give it a `default`, set it in a `Parameters` document, or with `--set {name}=…`"
                )),
            );
            None
        }
        Err(()) => {
            // Reported where the value stands; the rule is broken all the same.
            report.broken();
            None
        }
    }
}
