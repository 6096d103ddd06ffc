//! A `RuleTest` document: from its tree to what it means, all problems collected.

use crate::decide::Reason;
use crate::object::{GroupKind, ObjectKey};
use crate::rule::problem::{Place, Problem, Severity};
use crate::rule::yaml::{Data, Tree};
use crate::schema::{Schema, nearest};
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;

/// The verbs that a change may have.
const VERBS: [&str; 9] = [
    "patch", "apply", "scale", "delete", "evict", "restart", "rollback", "event", "archive",
];

/// One test.
#[derive(Debug)]
pub struct RuleTest {
    /// `metadata.name`
    pub name: String,
    /// The file it stands in.
    pub file: Arc<str>,
    /// 1-based line of the document.
    pub line: usize,
    /// Rule files, relative to the file.
    pub rules: Vec<String>,
    /// What there is at first.
    pub objects: Vec<Source>,
    /// In order.
    pub steps: Vec<Step>,
}

/// Where objects come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file or folder, relative to the test's file.
    File(String),
    /// Written in the test itself.
    Inline(Value),
}

/// One step: first the time, then `apply`, `status` and `delete`, then the rules, then `expect`.
#[derive(Debug, Default)]
pub struct Step {
    /// 1-based line.
    pub line: usize,
    /// The simulated time; the step before's, where it says none.
    pub at: Option<Timestamp>,
    /// Created, or replaced.
    pub apply: Vec<Source>,
    /// Their `status` replaces that of the object of the same name.
    pub status: Vec<Source>,
    /// Deleted, as by a person.
    pub delete: Vec<ObjectKey>,
    /// What must come of it.
    pub expect: Expect,
}

/// What a step expects. What it does not name is not looked at.
#[derive(Debug, Default)]
pub struct Expect {
    /// Exactly these changes since the step before, in any order.
    pub changes: Option<Vec<ExpectedChange>>,
    /// Exactly these findings standing at the end of the step, in any order.
    pub findings: Option<Vec<ExpectedFinding>>,
    /// Exactly these series of `metric` steps at the end of the step, in any order.
    pub metrics: Option<Vec<ExpectedSeries>>,
    /// These objects, whole; what a server fills in is compared only where it is written here.
    pub objects: Vec<Source>,
    /// These do not exist.
    pub absent: Vec<ObjectKey>,
    /// Exactly so many write requests since the step before.
    pub writes: Option<u64>,
}

/// One change.
#[derive(Clone, Debug)]
pub struct ExpectedChange {
    /// `patch` or `delete`
    pub verb: String,
    /// Which object.
    pub object: ObjectKey,
    /// By which rule; any, where it is not said.
    pub rule: Option<String>,
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedSeries {
    /// The metric's.
    pub name: String,
    /// All of them, sorted by name.
    pub labels: Vec<(String, String)>,
    /// The number.
    pub value: f64,
}

/// One finding. What is not said may be anything.
#[derive(Clone, Debug)]
pub struct ExpectedFinding {
    /// `Warning`, `Protected`, …
    pub reason: String,
    /// Which object.
    pub object: Option<ObjectKey>,
    /// Of which rule.
    pub rule: Option<String>,
    /// The whole message.
    pub message: Option<String>,
}

/// Reads one document of a file whose whole text is `text`. Only without errors is there a test. `kinds`: of its objects, which may be
/// called by their kind alone although no schema knows them.
pub fn read(
    file: &Arc<str>,
    text: &str,
    tree: &Tree,
    (schema, kinds): (&Schema, &[GroupKind]),
) -> (Option<RuleTest>, Vec<Problem>) {
    let mut reader = Reader {
        file: file.clone(),
        lines: text.lines().collect(),
        schema,
        kinds,
        problems: vec![],
    };
    let test = reader.test(tree);
    let failed = reader
        .problems
        .iter()
        .any(|p| p.severity == Severity::Error);
    (test.filter(|_| !failed), reader.problems)
}

struct Reader<'r> {
    file: Arc<str>,
    lines: Vec<&'r str>,
    schema: &'r Schema,
    kinds: &'r [GroupKind],
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, at: &Tree, message: impl Into<String>) {
        self.problem_with(at, message, None);
    }

    fn problem_with(&mut self, at: &Tree, message: impl Into<String>, mend: Option<String>) {
        let place = Place {
            file: self.file.clone(),
            line: at.line,
            column: at.column,
            length: at.length,
        };
        let line = self
            .lines
            .get(at.line.saturating_sub(1))
            .copied()
            .unwrap_or("");
        let mut problem = Problem::new(Severity::Error, place, line, message);
        problem.mend = mend;
        self.problems.push(problem);
    }

    /// The entries of a map, unknown keys said.
    fn map<'t>(&mut self, tree: &'t Tree, what: &str, known: &[&str]) -> &'t [(Tree, Tree)] {
        let Data::Map(entries) = &tree.data else {
            if !tree.is_null() {
                self.problem(tree, format!("{what} is a map, not {}", tree.what()));
            }
            return &[];
        };
        for (key, _) in entries {
            let name = key.text().unwrap_or("");
            if !known.contains(&name) {
                let mend = match nearest(name, known.iter().copied()).first() {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known are {}", known.join(", ")),
                };
                self.problem_with(key, format!("unknown field `{name}` of {what}"), Some(mend));
            }
        }
        entries
    }

    fn list<'t>(&mut self, tree: &'t Tree, what: &str) -> &'t [Tree] {
        match &tree.data {
            Data::List(items) => items,
            _ if tree.is_null() => &[],
            _ => {
                self.problem(tree, format!("`{what}` is a list, not {}", tree.what()));
                &[]
            }
        }
    }

    fn text(&mut self, tree: &Tree, what: &str) -> Option<String> {
        match tree.text() {
            Some(text) => Some(text.to_owned()),
            None => {
                self.problem(tree, format!("`{what}` is text, not {}", tree.what()));
                None
            }
        }
    }

    fn test(&mut self, tree: &Tree) -> Option<RuleTest> {
        self.map(
            tree,
            "a RuleTest",
            &["apiVersion", "kind", "metadata", "spec"],
        );
        let name = tree.get("metadata").and_then(|m| {
            self.map(m, "metadata", &["name", "labels", "annotations"]);
            m.get("name")
        });
        let name = match name {
            Some(name) => self.text(name, "metadata.name"),
            None => {
                self.problem(tree, "a RuleTest needs metadata.name");
                None
            }
        };
        let Some(spec) = tree.get("spec") else {
            self.problem(tree, "a RuleTest needs `spec`");
            return None;
        };
        self.map(spec, "spec", &["description", "rules", "objects", "steps"]);
        let mut rules = vec![];
        if let Some(list) = spec.get("rules") {
            for item in self.list(list, "rules") {
                rules.extend(self.text(item, "rules"));
            }
        }
        if rules.is_empty() {
            self.problem(
                spec.get("rules").unwrap_or(spec),
                "a RuleTest names at least one rule file in `rules`",
            );
        }
        let objects = spec
            .get("objects")
            .map(|o| self.sources(o, "objects"))
            .unwrap_or_default();
        let mut steps: Vec<Step> = vec![];
        let mut latest: Option<Timestamp> = None;
        if let Some(list) = spec.get("steps") {
            for item in self.list(list, "steps") {
                let step = self.step(item);
                if let (Some(before), Some(at)) = (latest, step.at)
                    && at < before
                {
                    self.problem(
                        item.get("at").unwrap_or(item),
                        "this step is earlier than the step before it: time only goes forward",
                    );
                }
                latest = step.at.or(latest);
                steps.push(step);
            }
        }
        if steps.is_empty() {
            self.problem(
                spec.get("steps").unwrap_or(spec),
                "a RuleTest has at least one step in `steps`",
            );
        }
        Some(RuleTest {
            name: name?,
            file: self.file.clone(),
            line: tree.line,
            rules,
            objects,
            steps,
        })
    }

    fn step(&mut self, tree: &Tree) -> Step {
        let mut step = Step {
            line: tree.line,
            ..Step::default()
        };
        for (key, value) in self.map(
            tree,
            "a step",
            &["at", "apply", "status", "delete", "expect", "description"],
        ) {
            match key.text() {
                Some("at") => {
                    if let Some(text) = self.text(value, "at") {
                        match text.parse() {
                            Ok(at) => step.at = Some(at),
                            Err(_) => self.problem_with(
                                value,
                                format!("`{text}` is no time"),
                                Some("write it as 2026-01-31T12:00:00Z".into()),
                            ),
                        }
                    }
                }
                Some("apply") => step.apply = self.sources(value, "apply"),
                Some("status") => step.status = self.sources(value, "status"),
                Some("delete") => step.delete = self.objects(value, "delete"),
                Some("expect") => step.expect = self.expect(value),
                _ => {}
            }
        }
        // One that has only a moment lets the time go by: what becomes due on the way happens.
        let told = ["at", "apply", "status", "delete", "expect"];
        if told.iter().all(|key| tree.get(key).is_none()) {
            self.problem_with(
                tree,
                "this step changes nothing and expects nothing",
                Some("`expect: {changes: []}` says that nothing happens".into()),
            );
        }
        step
    }

    fn expect(&mut self, tree: &Tree) -> Expect {
        let mut expect = Expect::default();
        for (key, value) in self.map(
            tree,
            "expect",
            &[
                "changes", "findings", "metrics", "objects", "absent", "writes",
            ],
        ) {
            match key.text() {
                Some("changes") => {
                    let items = self.list(value, "changes");
                    expect.changes = Some(items.iter().filter_map(|i| self.change(i)).collect());
                }
                Some("findings") => {
                    let items = self.list(value, "findings");
                    expect.findings = Some(items.iter().filter_map(|i| self.finding(i)).collect());
                }
                Some("metrics") => {
                    let items = self.list(value, "metrics");
                    expect.metrics = Some(items.iter().filter_map(|i| self.series(i)).collect());
                }
                Some("objects") => expect.objects = self.sources(value, "objects"),
                Some("absent") => expect.absent = self.objects(value, "absent"),
                Some("writes") => match value.to_value().as_u64() {
                    Some(n) => expect.writes = Some(n),
                    None => self.problem(value, "`writes` is a number, from 0"),
                },
                _ => {}
            }
        }
        expect
    }

    fn change(&mut self, tree: &Tree) -> Option<ExpectedChange> {
        self.map(tree, "a change", &["verb", "object", "rule"]);
        let verb = match tree.get("verb") {
            Some(verb) => {
                let text = self.text(verb, "verb")?;
                if !VERBS.contains(&text.as_str()) {
                    let mend = match nearest(&text, VERBS).first() {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("known are {}", VERBS.join(", ")),
                    };
                    self.problem_with(verb, format!("no verb `{text}`"), Some(mend));
                    return None;
                }
                text
            }
            None => {
                self.problem(tree, "a change needs `verb`");
                return None;
            }
        };
        let Some(object) = tree.get("object") else {
            self.problem(tree, "a change needs `object`: KIND/NAMESPACE/NAME");
            return None;
        };
        Some(ExpectedChange {
            verb,
            object: self.object(object)?,
            rule: tree.get("rule").and_then(|r| self.text(r, "rule")),
        })
    }

    fn finding(&mut self, tree: &Tree) -> Option<ExpectedFinding> {
        self.map(tree, "a finding", &["reason", "object", "rule", "message"]);
        let Some(reason) = tree.get("reason") else {
            self.problem(tree, "a finding needs `reason`");
            return None;
        };
        let word = self.text(reason, "reason")?;
        let known = Reason::ALL.map(|r| r.to_string());
        if !known.contains(&word) {
            let names = known.iter().map(String::as_str);
            let mend = match nearest(&word, names).first() {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}", known.join(", ")),
            };
            self.problem_with(reason, format!("no reason `{word}`"), Some(mend));
        }
        Some(ExpectedFinding {
            reason: word,
            object: match tree.get("object") {
                Some(object) => Some(self.object(object)?),
                None => None,
            },
            rule: tree.get("rule").and_then(|r| self.text(r, "rule")),
            message: tree.get("message").and_then(|m| self.text(m, "message")),
        })
    }

    fn series(&mut self, tree: &Tree) -> Option<ExpectedSeries> {
        self.map(tree, "a series", &["name", "labels", "value"]);
        let Some(name) = tree.get("name") else {
            self.problem(tree, "a series needs `name`");
            return None;
        };
        let name = self.text(name, "name")?;
        let mut labels = vec![];
        if let Some(tree) = tree.get("labels") {
            let Data::Map(entries) = &tree.data else {
                self.problem(tree, format!("`labels` is a map, not {}", tree.what()));
                return None;
            };
            for (key, value) in entries {
                let text = self.text(value, "labels")?;
                labels.push((key.text().unwrap_or_default().to_owned(), text));
            }
        }
        labels.sort();
        let value = tree.get("value").map(Tree::to_value);
        let Some(value) = value.as_ref().and_then(Value::as_f64) else {
            self.problem(
                tree.get("value").unwrap_or(tree),
                "a series needs `value`, a number",
            );
            return None;
        };
        Some(ExpectedSeries {
            name,
            labels,
            value,
        })
    }

    fn objects(&mut self, tree: &Tree, what: &str) -> Vec<ObjectKey> {
        self.list(tree, what)
            .iter()
            .filter_map(|item| self.object(item))
            .collect()
    }

    fn object(&mut self, tree: &Tree) -> Option<ObjectKey> {
        let text = self.text(tree, "object")?;
        match crate::schema::parse_object(&text, self.schema) {
            Ok(key) => Some(key),
            Err(message) => {
                let own = self.of_own_kind(&text);
                if own.is_none() {
                    self.problem(tree, message);
                }
                own
            }
        }
    }

    /// An object of a kind that only the test's own objects tell of.
    fn of_own_kind(&self, text: &str) -> Option<ObjectKey> {
        let (kind, rest) = text.split_once('/')?;
        let kind = self.kinds.iter().find(|known| *known.kind == *kind)?;
        let (namespace, name) = match rest.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, rest),
        };
        let plain = !name.is_empty() && !name.contains('/');
        plain.then(|| ObjectKey::new(kind.clone(), namespace, name))
    }

    fn sources(&mut self, tree: &Tree, what: &str) -> Vec<Source> {
        let mut sources = vec![];
        for item in self.list(tree, what) {
            match &item.data {
                Data::Map(_) => {
                    let value = item.to_value();
                    let text = |v: &Value| v.as_str().is_some_and(|s| !s.is_empty());
                    let is_list = value["items"].is_array()
                        && value["kind"].as_str().is_some_and(|k| k.ends_with("List"));
                    if text(&value["apiVersion"])
                        && text(&value["kind"])
                        && (is_list
                            || text(&value["metadata"]["name"])
                            || text(&value["metadata"]["generateName"]))
                    {
                        sources.push(Source::Inline(value));
                    } else {
                        self.problem(item, "an object needs apiVersion, kind and metadata.name");
                    }
                }
                _ => match item.text() {
                    Some(file) => sources.push(Source::File(file.to_owned())),
                    None => self.problem(
                        item,
                        format!("`{what}` lists files and objects, not {}", item.what()),
                    ),
                },
            }
        }
        sources
    }
}
