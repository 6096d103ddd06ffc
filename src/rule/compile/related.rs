//! `related`: named lists of other objects; each sees those above it.

use super::document::Context;
use super::expressions::{self, Single};
use super::fields::{self, Fields};
use super::kinds::{self, Matched};
use super::parameters::{self, name_of};
use super::report::Spot;
use super::variables::{Declared, taken};
use super::{clauses, labels, matching};
use crate::object::Key;
use crate::rule::ResolvedKind;
use crate::rule::apply::ownership;
use crate::rule::expr::{Expr, ListName, Names, Template};
use crate::rule::path::Path;
use crate::rule::related::{self, Labels, Related, Within};
use crate::rule::selector::{Globs, LabelSelector};
use crate::rule::test::{Clause, ClausePart, Operator, Right, Subject, Test};
use crate::rule::yaml::{Data, Tree};
use serde_json::Value;
use std::sync::Arc;

const FIELDS: [&str; 9] = [
    "name",
    "resources",
    "namespace",
    "names",
    "selector",
    "namespaceSelector",
    "where",
    "count",
    "one",
];
const COUNTS: [Operator; 8] = [
    Operator::Equals,
    Operator::NotEquals,
    Operator::In,
    Operator::NotIn,
    Operator::GreaterThan,
    Operator::AtLeast,
    Operator::LessThan,
    Operator::AtMost,
];

/// What is known of a list while its rule is being compiled.
pub(super) struct ListKinds {
    pub kinds: Vec<Matched>,
    pub more_than_metadata: bool,
    pub unchecked: Vec<Path>,
    /// The list among those that compiled.
    compiled: bool,
    places: Vec<Spot>,
}

/// The list whose tests are being compiled.
#[derive(Default)]
pub(super) struct Joined {
    pub kinds: Vec<Matched>,
    pub more_than_metadata: bool,
    pub unchecked: Vec<Path>,
}

/// The lists as far as they compiled, and what can be read from here on. What failed keeps its name, so that its readers are no further problem.
pub(super) fn compile(
    context: &mut Context<'_, '_>,
    tree: &Tree,
    mut declared: Declared,
    rule: &str,
) -> (Vec<Related>, Declared) {
    let items = fields::list(context.report, tree, "`related`").unwrap_or_default();
    if items.len() > related::MOST {
        let message = format!("more than {} lists", related::MOST);
        context.report.error(tree, message, None);
        return (vec![], declared);
    }
    let names: Vec<Arc<str>> = items
        .iter()
        .filter_map(|item| item.get("name")?.text().map(Arc::from))
        .collect();
    let mut lists = vec![];
    for (place, item) in items.iter().enumerate() {
        let Some(of) = fields::fields(context.report, item, "a list", &FIELDS, &[]) else {
            continue;
        };
        let later = names.get(place..).unwrap_or_default();
        let name = name(context, of, item, &declared.lists);
        let one = of
            .get("one")
            .and_then(|t| fields::boolean(context.report, t, "`one`"))
            .unwrap_or_default();
        let list = list(context, item, of, (&declared, later));
        let Some(name) = name else { continue };
        declared.lists.push(ListName {
            name: name.clone(),
            one,
        });
        let compiled = list.is_some();
        let (kinds, places, joined) = match list {
            Some((mut list, kinds, joined)) => {
                list.one = one;
                list.own = Key::new(&ownership::annotation(rule));
                list.count = count(context, of, (&name, one), &declared);
                list.name = name;
                lists.push(list);
                (kinds.matched, kinds.places, joined)
            }
            None => (vec![], vec![], Joined::default()),
        };
        context.lists.push(ListKinds {
            kinds,
            places,
            more_than_metadata: joined.more_than_metadata,
            unchecked: joined.unchecked,
            compiled,
        });
    }
    (lists, declared)
}

/// Once the whole rule is compiled it is known what is read of the members.
pub(super) fn finish(
    context: &mut Context<'_, '_>,
    mut lists: Vec<Related>,
    deletes: bool,
    named: &mut Vec<(ResolvedKind, Spot)>,
) -> Vec<Related> {
    let all = std::mem::take(&mut context.lists);
    let compiled = all.into_iter().filter(|list| list.compiled);
    for (list, known) in lists.iter_mut().zip(compiled) {
        list.metadata_only = !known.more_than_metadata;
        if deletes {
            list.unchecked_paths = known.unchecked;
            // A kind that nobody knows may be misspelt: that there is no object of it proves nothing before one was seen.
            let unknown = known.kinds.iter().any(|kind| kind.schema.is_none());
            let seen = unknown.then(|| Path::parse(related::OF_ANY_OBJECT));
            list.unchecked_paths.extend(seen.and_then(Result::ok));
        }
        list.shape = list.shape_told().map(Arc::from);
        named.extend(list.kinds.iter().cloned().zip(known.places));
    }
    lists
}

fn name(
    context: &mut Context<'_, '_>,
    of: Fields<'_>,
    item: &Tree,
    above: &[ListName],
) -> Option<Arc<str>> {
    let (name, at) = name_of(context.report, of, item, "a list")?;
    let refusal = taken(&name).or_else(|| {
        let known = above.iter().any(|list| list.name == name);
        known.then(|| format!("a list `{name}` stands already above"))
    });
    match refusal {
        Some(message) => {
            let mend = Some("call it something else".into());
            context.report.error(at, message, mend);
            None
        }
        None => Some(name),
    }
}

fn list(
    context: &mut Context<'_, '_>,
    item: &Tree,
    of: Fields<'_>,
    (declared, later): (&Declared, &[Arc<str>]),
) -> Option<(Related, kinds::Kinds, Joined)> {
    let names = Names {
        later_lists: later,
        ..declared.names()
    };
    let kinds = match of.get("resources") {
        Some(tree) => kinds::compile(tree, context.report, context.schema),
        None => {
            context.report.error(
                of.key("resources").unwrap_or(item),
                "a list needs `resources`, the kinds of its objects",
                Some("write `resources: [{apiVersion: v1, kind: Pod}]`".into()),
            );
            None
        }
    };
    let fixed_spaces = |tree: &&Tree| !parameters::has_expression(tree);
    if let Some(tree) = of
        .get("namespaceSelector")
        .filter(|tree| !fixed_spaces(tree))
    {
        let message = "`${ }` has no place in `namespaceSelector`: it chooses the same Namespaces for every object";
        let mend = "choose the Namespaces in a list above, whose `selector` takes `${ }`, and test here `{path: $.metadata.namespace, operator: In, values: \"${spaces.map(s, s.metadata.name)}\"}`";
        context.report.error(tree, message, Some(mend.into()));
    }
    let namespace_selector = of
        .get("namespaceSelector")
        .filter(fixed_spaces)
        .map(|tree| matching::labels(context.report, tree, "namespaceSelector"));
    context.reads.namespace |= namespace_selector.is_some();
    let within = within(context, of, names, &namespace_selector);
    let object_names = match of.get("names") {
        Some(tree) => self::names(context, tree, names),
        None => Some(related::Names::default()),
    };
    let labels = match of.get("selector") {
        Some(tree) => labels::compile(context, tree, names),
        None => Some(Labels::default()),
    };
    // Without kinds the tests can be looked at all the same.
    context.joined = Some(Joined {
        kinds: kinds.as_ref().map_or(vec![], |k| k.matched.clone()),
        ..Joined::default()
    });
    let of_candidate = Names {
        candidate: true,
        ..names
    };
    let tests = of
        .get("where")
        .map(|tree| clauses::list(context, tree, "`where`", None, of_candidate))
        .unwrap_or_default();
    let joined = context.joined.take().unwrap_or_default();
    let (kinds, within) = (kinds?, within?);
    without_home(context, of, item, (&kinds, &within));
    let uncontrolled = kinds.matched.iter().filter(|m| kinds.workload && !m.named);
    let (object_names, labels) = (object_names?, labels?);
    let list = Related {
        name: "".into(),
        kinds: kinds.matched.iter().map(|m| m.resolved.clone()).collect(),
        uncontrolled: uncontrolled.map(|m| m.resolved.kind.clone()).collect(),
        namespaced: kinds.matched.iter().any(|m| !m.scope.is_cluster()),
        cluster_scoped: kinds.matched.iter().any(|m| !m.scope.is_namespaced()),
        finder: related::Finder::best(&object_names, &labels, &tests),
        fixed: related::fixed(&tests),
        within,
        names: object_names,
        labels,
        namespace_selector,
        tests,
        count: None,
        one: false,
        metadata_only: true,
        unchecked_paths: vec![],
        own: Key::new(""),
        shape: None,
    };
    scanned(context, of, &list);
    Some((list, kinds, joined))
}

/// `namespace`
fn within(
    context: &mut Context<'_, '_>,
    of: Fields<'_>,
    names: Names<'_>,
    selector: &Option<LabelSelector>,
) -> Option<Within> {
    let Some(tree) = of.get("namespace") else {
        return Some(match selector {
            Some(_) => Within::All,
            None => Within::Subject,
        });
    };
    let text = fields::text(context.report, tree, "`namespace`")?;
    if text == "*" {
        return Some(Within::All);
    }
    if selector.is_some() {
        context.report.error(
            tree,
            "`namespace` and `namespaceSelector` both say where the objects are",
            Some("leave `namespace` out".into()),
        );
        return None;
    }
    if !text.contains("${")
        && let Some(odd) = text.chars().find(|c| "*?!".contains(*c))
    {
        context.report.error(
            tree,
            format!("`namespace` is one name, or `\"*\"` for all of them: {odd:?} never stands in a name"),
            Some(
                "write `namespace: \"*\"` and a test: `{path: $.metadata.namespace, operator: Matches, value: …}`"
                    .into(),
            ),
        );
        return None;
    }
    expressions::template(context, tree, names).map(Within::Named)
}

/// A subject without a namespace has none to look in.
fn without_home(
    context: &mut Context<'_, '_>,
    of: Fields<'_>,
    item: &Tree,
    (kinds, within): (&kinds::Kinds, &Within),
) {
    if !matches!(within, Within::Subject) {
        return;
    }
    let namespaced = |m: &&Matched| m.scope.is_namespaced();
    let Some(inside) = kinds.matched.iter().find(namespaced) else {
        return;
    };
    let outside = context.kinds.iter().find(|m| {
        let kind = &m.resolved.kind;
        let namespace = kind.group.is_empty() && &*kind.kind == "Namespace";
        !namespace && m.scope.is_cluster()
    });
    if let Some(outside) = outside {
        let message = format!(
            "a {} is in no namespace, so that this list has none to look for a {} in",
            outside.name(),
            inside.name()
        );
        let at = of.get("resources").map_or(Spot::from(item), Spot::from);
        let mend = "write `namespace: \"*\"` for all of them, or the one you mean";
        context.report.error(at, message, Some(mend.into()));
    }
}

/// `names`: globs, and names with `${ }`.
fn names(context: &mut Context<'_, '_>, tree: &Tree, names: Names<'_>) -> Option<related::Names> {
    if let Data::Scalar { .. } = &tree.data
        && tree.text().is_some_and(|text| text.contains("${"))
    {
        let Single::Expr(_) = expressions::single(context, tree, "`names`", names)? else {
            // A parameter.
            return Some(related::Names::new(
                vec![],
                expressions::template(context, tree, names)
                    .into_iter()
                    .collect(),
                vec![],
                vec![],
            ));
        };
        let all = expressions::template(context, tree, names)?;
        return Some(related::Names::new(vec![], vec![all], vec![], vec![]));
    }
    let errors = context.report.errors();
    let (mut globs, mut exact, mut not, mut not_exact) = (vec![], vec![], vec![], vec![]);
    for (item, text) in fields::texts(context.report, tree, "`names`") {
        let (excludes, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if text.contains("${") {
            let inner = match excludes {
                false => item.clone(),
                true => Tree {
                    data: Data::Scalar {
                        value: Value::from(rest),
                        plain: false,
                    },
                    ..*item
                },
            };
            let template = expressions::template(context, &inner, names);
            match excludes {
                true => not_exact.extend(template),
                false => exact.extend(template),
            }
            continue;
        }
        if let Err((message, mend)) = Globs::check(text) {
            context.report.error(item, message, mend);
            continue;
        }
        let glob = rest.contains(['*', '?']);
        match (excludes, glob) {
            (true, _) => not.push(rest.to_owned()),
            (false, true) => globs.push(rest.to_owned()),
            (false, false) => exact.extend(Template::compile(&Value::from(rest), names).ok()),
        }
    }
    let fine = context.report.errors() == errors;
    fine.then(|| related::Names::new(globs, exact, not, not_exact))
}

/// `count`: a test on the number of members.
fn count(
    context: &mut Context<'_, '_>,
    of: Fields<'_>,
    (name, one): (&Arc<str>, bool),
    declared: &Declared,
) -> Option<Test> {
    let (key, tree) = of.entry("count").filter(|(_, tree)| !tree.is_null())?;
    if one {
        context.report.error(
            key,
            "a list with `one` is one object: there is nothing to count",
            Some("leave out `one` or `count`".into()),
        );
        return None;
    }
    if let Data::Scalar { value, .. } = &tree.data {
        let mend = value
            .is_number()
            .then(|| format!("write `count: {{value: {value}}}`"));
        let found = fields::found(tree);
        let message = format!("`count` is a test on the number of members, and here is {found}");
        context.report.error(tree, message, mend);
        return None;
    }
    let known = ["operator", "value", "values"];
    let count = fields::fields(context.report, tree, "`count`", &known, &[])?;
    let operator = match count.get("operator") {
        Some(tree) => {
            let words = COUNTS.map(|operator| (operator.as_str(), operator));
            fields::word(context.report, tree, "`operator`", &words)?
        }
        None => Operator::Equals,
    };
    let right = clauses::right(context, count, declared.names())?;
    let literals: &[Value] = match &right {
        Right::Nothing => {
            if !count.refused {
                let mend = Some("write for example `count: {value: 0}`".into());
                context.report.error(tree, "`count` needs a `value`", mend);
            }
            return None;
        }
        Right::Value(value) => std::slice::from_ref(value),
        Right::Values(values) | Right::Parameter(values) => values,
        Right::Expr(_) => &[],
    };
    if let Some(wrong) = literals.iter().find(|value| value.as_u64().is_none()) {
        let (_, at) = count
            .entry("value")
            .or_else(|| count.entry("values"))
            .unwrap_or((key, tree));
        let mend = match wrong.as_str().map(str::parse::<u64>) {
            Some(Ok(number)) => Some(format!("write it without quotes: `{number}`")),
            _ => None,
        };
        let message = "`count` compares a number of objects: a whole number from 0";
        context.report.error(at, message, mend);
        return None;
    }
    // The list has just been declared.
    let size = Expr::compile(&format!("size({name})"), declared.names()).ok()?;
    match Clause::new(Subject::Expr(size), None, operator, right) {
        Ok(clause) => Some(Test::Clause(clause)),
        Err(problem) => {
            let at = match problem.part {
                ClausePart::Operator => count.get("operator"),
                _ => None,
            };
            context
                .report
                .error(at.unwrap_or(tree), problem.message, problem.mend);
            None
        }
    }
}

/// Warns of tests that ask each candidate for each subject.
fn scanned(context: &mut Context<'_, '_>, of: Fields<'_>, list: &Related) {
    if list.finder != related::Finder::Namespace {
        return;
    }
    let mut compares = false;
    for test in &list.tests {
        test.clauses(&mut |clause| {
            let reads = |expr: &Expr| !expr.is_of_candidate_alone();
            compares |= clause.expressions().any(reads);
        });
    }
    if let (true, Some(tree)) = (compares, of.get("where")) {
        let place = match list.within {
            Within::All => "the cluster",
            _ => "the namespace",
        };
        context.report.warning(
            tree,
            format!("nothing here can be looked up: every object of the list's kinds in {place} is asked for each object that matches"),
            Some("compare with `{path: …, value: ${…}}`, or `operator: In` with `values: ${…}`".into()),
        );
    }
}
