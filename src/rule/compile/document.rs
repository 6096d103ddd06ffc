//! One document of kind `Rule`.

use super::actions::{self, Actions};
use super::feedback::Writing;
use super::fields::{self, Fields};
use super::kinds::Matched;
use super::parameters::{self, Given, Values};
use super::related::{self, Joined, ListKinds};
use super::report::{Report, Spot};
use super::sink::Sinks;
use super::variables::{self, Declared};
use super::{
    Draft, clauses, enforce_for, habits, hash, limits, matching, occasions, pick, safety, schedule,
};
use crate::object::GroupKind;
use crate::rule::expr::Expr;
use crate::rule::path::Path;
use crate::rule::selector::LabelSelector;
use crate::rule::test::Test;
use crate::rule::yaml::Tree;
use crate::rule::{Mode, Occasion, Occasions, Rule, Verb};
use crate::schema::{KindSchema, Schema};
use std::sync::Arc;

const MODES: [(&str, Mode); 3] = [
    ("Audit", Mode::Audit),
    ("Enforce", Mode::Enforce),
    ("Off", Mode::Off),
];
const SPEC: [&str; 16] = [
    "description",
    "mode",
    "priority",
    "match",
    "where",
    "related",
    "actions",
    "limits",
    "allowProtected",
    "parameters",
    "variables",
    "when",
    "admission",
    "pick",
    "schedule",
    "enforceFor",
];
/// Longest name: it is part of annotation keys and field managers.
const LONGEST_NAME: usize = 63;

/// What the parts of a rule are compiled with.
pub(super) struct Context<'a, 'f> {
    pub report: &'a mut Report<'f>,
    pub schema: &'a Schema,
    /// The names of the `apply` steps so far.
    pub applied: Vec<Arc<str>>,
    /// The names of all steps that apply something, also of those further down.
    pub named: Vec<String>,
    /// The step at hand has a `forEach`, so that there is an `item`.
    pub repeats: bool,
    /// The names of the metrics so far, and where each stands.
    pub metrics: Vec<(Arc<str>, Spot)>,
    /// The sinks of all files.
    pub sinks: &'a Sinks,
    /// What of other documents the rule is made of, for its hash.
    pub values: Values,
    /// The step at hand has `once`, and with it perhaps `previous`.
    pub once: bool,
    pub previous: bool,
    pub kinds: Vec<Matched>,
    /// Some kind whose schema is there: metadata is the same in all.
    pub metadata: Option<Arc<KindSchema>>,
    pub when: Occasions,
    /// The labels that `match` selects by.
    pub selector: LabelSelector,
    /// What expressions can read beside the names of the language.
    pub declared: Arc<Declared>,
    /// What `namespaceObject` looks like.
    pub namespace: Option<Arc<KindSchema>>,
    /// The rule's `where`, once it is compiled.
    pub tests: Vec<Test>,
    /// What the rule's steps write on the subject.
    pub writes: Vec<Writing>,
    /// What the expressions and paths so far read.
    pub reads: Reads,
    /// The lists of other objects so far.
    pub lists: Vec<ListKinds>,
    /// While a step with `target` is being compiled: the kinds that the rule is about.
    pub subject_kinds: Option<Vec<Matched>>,
    /// The list whose tests are being compiled: paths are about its candidates.
    pub joined: Option<Joined>,
}

impl Context<'_, '_> {
    /// The kinds that paths are about.
    pub fn path_kinds(&self) -> &[Matched] {
        match &self.joined {
            Some(joined) => &joined.kinds,
            None => &self.kinds,
        }
    }

    /// What an expression reads.
    pub fn note(&mut self, expr: &Expr) {
        self.reads.expression(expr);
        let beyond = expr.reads_lists_beyond_metadata();
        for (slot, list) in self.lists.iter_mut().enumerate() {
            list.more_than_metadata |= beyond & 1 << slot != 0;
        }
        if let Some(joined) = &mut self.joined {
            joined.more_than_metadata |= expr.reads_candidate_beyond_metadata();
        }
    }
}

/// What a rule reads of the world, for the watches.
#[derive(Default)]
pub(super) struct Reads {
    pub more_than_metadata: bool,
    pub namespace: bool,
    pub now: bool,
    /// Paths of tests that no schema could vouch for.
    pub unchecked: Vec<Path>,
}

impl Reads {
    pub fn expression(&mut self, expr: &Expr) {
        self.more_than_metadata |= !expr.is_metadata_only();
        self.namespace |= expr.reads_namespace_object();
        self.now |= expr.reads_now();
    }
}

/// A rule as far as it could be compiled.
pub(super) struct Compiled {
    /// Where it is usable.
    pub name: Option<(Arc<str>, Spot)>,
    pub draft: Option<Draft>,
}

/// The name of a document, if it has a usable one.
pub(super) fn name_of(tree: &Tree) -> Option<Arc<str>> {
    let name = tree.get("metadata")?.get("name")?.text()?;
    is_label(name).then(|| name.into())
}

pub(super) fn compile(
    tree: &Tree,
    report: &mut Report<'_>,
    schema: &Schema,
    given: (&Given<'_>, &Sinks),
    file: &Arc<str>,
) -> Compiled {
    report.for_rule(name_of(tree));
    let top = fields::fields(
        report,
        tree,
        "a rule",
        &["apiVersion", "kind", "metadata", "spec"],
        &[],
    );
    let Some(top) = top else {
        return Compiled {
            name: None,
            draft: None,
        };
    };
    let name = name(tree, top, report);
    let Some(spec) = top.get("spec") else {
        report.error(
            top.key("spec").unwrap_or(tree),
            "a rule needs a `spec`",
            None,
        );
        return Compiled { name, draft: None };
    };
    let nameless = Arc::from("");
    let rule = name.as_ref().map_or(&nameless, |(text, _)| text);
    let draft = spec_of(spec, report, schema, rule, given).and_then(|(mut draft, values)| {
        let (text, at) = name.clone()?;
        draft.rule.name = text;
        draft.name_at = at;
        draft.rule.source = (file.clone(), tree.line);
        draft.rule.hash = hash::of_rule(&draft.rule.name, spec, &values);
        draft.rule.match_hash = hash::of_match(spec, &values);
        Some(draft)
    });
    Compiled { name, draft }
}

fn name(tree: &Tree, top: Fields<'_>, report: &mut Report<'_>) -> Option<(Arc<str>, Spot)> {
    let mend = || Some("write `metadata: {name: my-rule}`".to_owned());
    let Some(metadata) = top.get("metadata") else {
        report.error(tree, "a rule needs a name", mend());
        return None;
    };
    let known = ["name", "labels", "annotations"];
    let metadata_fields = fields::fields(report, metadata, "`metadata`", &known, &[])?;
    let Some(name) = metadata_fields.get("name") else {
        report.error(
            metadata_fields.key("name").unwrap_or(metadata),
            "a rule needs a name",
            mend(),
        );
        return None;
    };
    let text = fields::text(report, name, "a name")?;
    if is_label(text) {
        return Some((text.into(), name.into()));
    }
    let mend = if text.chars().count() > LONGEST_NAME {
        Some(format!(
            "it has {} characters: shorten it",
            text.chars().count()
        ))
    } else {
        let made: String = text
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let made = made.trim_matches('-');
        is_label(made).then(|| format!("write `{made}`"))
    };
    report.error(
        name,
        format!("a rule's name has at most {LONGEST_NAME} lower-case letters, digits and `-`, and begins and ends with a letter or digit"),
        mend,
    );
    None
}

/// A DNS label.
pub(super) fn is_label(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.len() <= LONGEST_NAME
        && text.bytes().all(|b| good(b) || b == b'-')
        && text.bytes().next().is_some_and(good)
        && text.bytes().next_back().is_some_and(good)
}

fn spec_of(
    spec: &Tree,
    report: &mut Report<'_>,
    schema: &Schema,
    name: &Arc<str>,
    given: (&Given<'_>, &Sinks),
) -> Option<(Draft, Values)> {
    let errors = report.errors();
    let of = fields::fields(report, spec, "`spec`", &SPEC, &[])?;
    let description = of
        .get("description")
        .and_then(|t| fields::text(report, t, "`description`"))
        .map(str::to_owned);
    let mode = of
        .get("mode")
        .and_then(|t| fields::word(report, t, "`mode`", &MODES))
        .unwrap_or_default();
    let priority = of
        .get("priority")
        .and_then(|t| fields::whole(report, t, "`priority`", i64::MIN..=i64::MAX - 1))
        .unwrap_or_default();
    let matched = match of.get("match") {
        Some(tree) => matching::compile(tree, report, schema),
        None => {
            report.error(
                of.key("match").unwrap_or(spec),
                "a rule needs `match`, which says what it is about",
                Some(
                    "write `match: {resources: [{apiVersion: apps/v1, kind: Deployment}]}`".into(),
                ),
            );
            None
        }
    };
    // Without kinds the paths cannot be checked, but everything else can.
    let (matches, kinds, kinds_at) = match matched {
        Some((matches, kinds, kinds_at)) => (Some(matches), kinds, kinds_at),
        None => (None, vec![], vec![]),
    };
    let (params, values) = match of.get("parameters") {
        Some(tree) => {
            let (params, values) = parameters::compile(report, tree, name, given.0);
            (Some(params), values)
        }
        None => (None, vec![]),
    };
    let when = occasions::compile(report, of.get("when"));
    // An object that exists has no request.
    let request = !when.has(Occasion::Reconcile);
    let admission = of
        .get("admission")
        .map(|tree| occasions::admission(report, tree, when))
        .unwrap_or_default();
    let enforce_for = of
        .get("enforceFor")
        .and_then(|t| enforce_for::compile(report, t, mode, when));
    let has_schedule = of.get("schedule").is_some();
    let schedule = of
        .get("schedule")
        .and_then(|t| schedule::compile(report, t, params.as_ref(), when));
    let mut context = Context {
        report,
        schema,
        applied: vec![],
        named: vec![],
        repeats: false,
        metrics: vec![],
        sinks: given.1,
        values,
        once: false,
        previous: false,
        kinds,
        metadata: schema.kind(&GroupKind::new("", "ConfigMap")),
        when,
        selector: matches
            .as_ref()
            .map(|m| m.selector.clone())
            .unwrap_or_default(),
        declared: Arc::default(),
        namespace: schema.kind(&GroupKind::new("", "Namespace")),
        tests: vec![],
        writes: vec![],
        reads: Reads::default(),
        lists: vec![],
        subject_kinds: None,
        joined: None,
    };
    if let Some(tree) = of.get("actions") {
        habits::braces(context.report, tree);
    }
    let base = Declared {
        params,
        request,
        schedule: has_schedule,
        inlined: variables::before_lists(of.get("variables")),
        ..Declared::default()
    };
    let (lists, base) = match of.get("related") {
        Some(tree) => related::compile(&mut context, tree, base, name),
        None => (vec![], base),
    };
    let base = Declared {
        inlined: vec![],
        ..base
    };
    let variables = of
        .get("variables")
        .map(|t| variables::compile(&mut context, t, &base))
        .unwrap_or_default();
    let declared = Arc::new(Declared { variables, ..base });
    context.declared = declared.clone();
    let mut tests = of
        .get("where")
        .map(|t| clauses::list(&mut context, t, "`where`", None, declared.names()))
        .unwrap_or_default();
    // Lists and variables are computed only after the tests that need none have passed.
    let needs = |test: &Test| (test.reads_variables(), test.reads_lists());
    tests.sort_by_key(|test| match needs(test) {
        (true, _) => 2,
        (false, lists) => u8::from(lists),
    });
    let tests_without_lists = tests.iter().filter(|t| needs(t) == (false, false)).count();
    let tests_without_variables = tests.iter().filter(|t| !t.reads_variables()).count();
    context.tests = tests;
    if context.reads.now {
        clauses::warn_of_now(&mut context, of.get("where"));
    }
    let pick = match of.entry("pick") {
        Some((key, tree)) if !tree.is_null() => pick::compile(&mut context, key, tree),
        _ => None,
    };
    let Actions {
        steps,
        step_places,
        mut applied,
    } = match of.get("actions") {
        Some(tree) => actions::compile(&mut context, tree),
        None => {
            context.report.error(
                of.key("actions").unwrap_or(spec),
                "a rule needs `actions`, which say what it does",
                Some("to look only, write `actions: [{warn: {message: …}}]`".into()),
            );
            Actions::default()
        }
    };
    let deletes = steps.iter().any(|step| step.action.takes_away());
    let limits = limits::compile(context.report, of.get("limits"), deletes);
    let allow_protected = of
        .get("allowProtected")
        .map(|t| allowed(context.report, t))
        .unwrap_or_default();
    occasions::fits(
        context.report,
        when,
        (&steps, &step_places),
        of.get("limits"),
    );
    safety::protected(&mut context, &steps, &step_places, &allow_protected);
    if context.report.errors() == errors {
        safety::made_by_controllers(&mut context, &steps, &step_places, of.get("where"));
    }
    let matches = matches?;
    let reads = std::mem::take(&mut context.reads);
    let tests = std::mem::take(&mut context.tests);
    let related = related::finish(&mut context, lists, deletes, &mut applied);
    let metrics = std::mem::take(&mut context.metrics);
    let values = std::mem::take(&mut context.values);
    drop(context);
    let variables = Arc::into_inner(declared).map_or_else(Vec::new, |declared| declared.variables);
    let draft = Draft {
        rule: Rule {
            name: "".into(),
            description,
            mode,
            when,
            admission,
            priority,
            schedule,
            reads_namespace_object: reads.namespace,
            reads_namespace: reads.namespace
                || matches.namespace_selector.is_some()
                || enforce_for
                    .as_ref()
                    .is_some_and(|e| e.namespace_selector.is_some()),
            enforce_for,
            matches,
            tests,
            tests_without_lists,
            tests_without_variables,
            related,
            variables,
            pick,
            steps,
            limits,
            allow_protected,
            source: ("".into(), 0),
            hash: 0,
            match_hash: 0,
            metadata_only: !reads.more_than_metadata,
            reads_now: reads.now,
            unchecked_paths: if deletes { reads.unchecked } else { vec![] },
        },
        name_at: spec.into(),
        kinds_at,
        applied,
        metrics,
    };
    Some((draft, values))
}

fn allowed(report: &mut Report<'_>, tree: &Tree) -> Vec<Verb> {
    let mut verbs = vec![];
    for (item, text) in fields::texts(report, tree, "`allowProtected`") {
        match text {
            "patch" => verbs.push(Verb::Patch),
            "delete" => verbs.push(Verb::Delete),
            "scale" => verbs.push(Verb::Scale),
            "apply" => verbs.push(Verb::Apply),
            "evict" => verbs.push(Verb::Evict),
            "restart" => verbs.push(Verb::Restart),
            "rollback" => verbs.push(Verb::Rollback),
            _ => report.error(
                item,
                format!("`{}` is no verb that writes", fields::shortened(text)),
                fields::one_of_these(
                    text,
                    &[
                        "patch", "apply", "delete", "scale", "evict", "restart", "rollback",
                    ],
                ),
            ),
        }
    }
    verbs
}
