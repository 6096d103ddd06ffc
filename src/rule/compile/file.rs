//! One file: its text, its documents, and what each of them is.

use super::document;
use super::expressions;
use super::fields::did_you_mean;
use super::parameters::Given;
use super::report::{Report, Spot};
use super::sink::Sinks;
use super::{Draft, SourceFile};
use crate::rule::yaml::{self, Data, Document, Tree, YamlProblem};
use crate::schema::Schema;
use ahash::AHashSet;
use std::borrow::Cow;
use std::sync::Arc;

/// The apiVersion of everything that is Ordain's own.
pub(super) const API_VERSION: &str = "ordain.dev/v1alpha1";
const GROUP: &str = "ordain.dev/";
/// Ordain's kinds.
const KINDS: [&str; 4] = ["Rule", "RuleTest", "Sink", "Parameters"];

/// A file, read.
pub(super) struct File<'f> {
    pub name: Arc<str>,
    text: Cow<'f, str>,
    /// Byte offset of each line.
    lines: Vec<usize>,
    documents: Vec<Document>,
}

/// What came of one file.
#[derive(Default)]
pub(super) struct Outcome {
    pub drafts: Vec<Draft>,
    /// Every rule's name and where it stands.
    pub names: Vec<(Arc<str>, Spot)>,
    /// Names of rules with errors.
    pub broken: Vec<Arc<str>>,
    /// Some document could not be read, or has no name to call its rule by.
    pub unreadable: bool,
}

/// What a document is.
enum Kind {
    Rule,
    Test,
    Parameters,
    Sink,
    Wrong,
    Other(String),
}

impl<'f> File<'f> {
    pub fn read(source: &'f SourceFile) -> Self {
        let refused = |problem| {
            vec![Document {
                problems: vec![problem],
                ..Document::default()
            }]
        };
        let bytes = source.bytes.as_slice();
        let (text, mut documents) = if bytes.len() > yaml::LONGEST {
            (Cow::Borrowed(""), refused(yaml::too_long(bytes.len())))
        } else {
            match std::str::from_utf8(bytes) {
                Ok(text) => (Cow::Borrowed(text), yaml::read_documents(text)),
                Err(error) => {
                    let at = error.valid_up_to();
                    (
                        String::from_utf8_lossy(bytes).into_owned().into(),
                        refused(not_text(bytes, at)),
                    )
                }
            }
        };
        let trees = documents.iter_mut().flat_map(|d| &mut d.trees);
        // Not of a test: it has manifests in it.
        for tree in trees.filter(|tree| !matches!(kind_of(tree), Kind::Test)) {
            expressions::unbroken(tree);
        }
        let text = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text)),
            owned => owned,
        };
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            name: source.name.clone(),
            text,
            lines,
            documents,
        }
    }

    /// The text of a line, 1-based; empty past the end.
    pub fn line(&self, number: usize) -> &str {
        self.from(number).lines().next().unwrap_or("")
    }

    /// The text from the start of a line on.
    pub fn from(&self, number: usize) -> &str {
        let at = self.lines.get(number.wrapping_sub(1)).copied();
        at.map_or("", |at| &self.text[at..])
    }

    /// The `RuleTest` documents.
    pub fn tests(&self) -> impl Iterator<Item = &Tree> {
        let trees = self.documents.iter().flat_map(|d| &d.trees);
        trees.filter(|tree| matches!(kind_of(tree), Kind::Test))
    }

    /// The `Parameters` documents.
    pub fn parameters(&self) -> impl Iterator<Item = &Tree> {
        let trees = self.documents.iter().flat_map(|d| &d.trees);
        trees.filter(|tree| matches!(kind_of(tree), Kind::Parameters))
    }

    /// The `Sink` documents.
    pub fn sinks(&self) -> impl Iterator<Item = &Tree> {
        let trees = self.documents.iter().flat_map(|d| &d.trees);
        trees.filter(|tree| matches!(kind_of(tree), Kind::Sink))
    }

    /// `quiet`: the file belongs to a `RuleTest`, so that other documents in it are none of a surprise.
    pub fn compile(
        &self,
        report: &mut Report<'_>,
        schema: &Schema,
        given: (&Given<'_>, &Sinks),
        quiet: bool,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let mut others: Vec<(Spot, String)> = vec![];
        for document in &self.documents {
            if document.trees.is_empty() && !document.problems.is_empty() {
                outcome.unreadable = true;
            }
            let damaged = !document.problems.is_empty();
            let rule = document.trees.first().and_then(document::name_of);
            report.for_rule(rule);
            for problem in &document.problems {
                report.yaml(problem.clone());
            }
            for tree in &document.trees {
                report.for_rule(None);
                match kind_of(tree) {
                    Kind::Rule => self.rule(tree, damaged, report, (schema, given), &mut outcome),
                    Kind::Test => {}
                    // What is left of a damaged document would set some values and lose others.
                    Kind::Parameters | Kind::Sink => outcome.unreadable |= damaged,
                    Kind::Wrong => {
                        wrong_kind(tree, report);
                        outcome.unreadable = true;
                    }
                    Kind::Other(what) => others.push((tree.into(), what)),
                }
            }
        }
        if let (false, Some((at, what))) = (quiet, others.first()) {
            let message = match others.len() {
                1 => format!("{what} is no rule: it is passed over"),
                n => format!(
                    "{what} and {} more in this file are no rules: they are passed over",
                    n - 1
                ),
            };
            let mend = "keep manifests out of the folders of rules, or name them in a RuleTest";
            report.warning(*at, message, Some(mend.into()));
        }
        outcome
    }

    fn rule(
        &self,
        tree: &Tree,
        damaged: bool,
        report: &mut Report<'_>,
        (schema, given): (&Schema, (&Given<'_>, &Sinks)),
        outcome: &mut Outcome,
    ) {
        let before = report.errors();
        let compiled = document::compile(tree, report, schema, given, &self.name);
        report.for_rule(None);
        let Some(name) = compiled.name else {
            outcome.unreadable = true;
            return;
        };
        outcome.names.push((name.0.clone(), name.1));
        match compiled.draft {
            Some(draft) if report.errors() == before && !damaged => outcome.drafts.push(draft),
            _ => outcome.broken.push(name.0),
        }
    }
}

/// The problem of a file that is not UTF-8 from this byte on.
fn not_text(bytes: &[u8], at: usize) -> YamlProblem {
    let good = std::str::from_utf8(&bytes[..at]).unwrap_or("");
    let mend = match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "this file is UTF-16: save it as UTF-8",
        _ => "save the file as UTF-8",
    };
    YamlProblem {
        line: good.matches('\n').count() + 1,
        column: good.rsplit('\n').next().unwrap_or("").chars().count() + 1,
        length: 1,
        message: format!(
            "the file is not UTF-8: byte {:#04x} at offset {at}",
            bytes[at]
        ),
        mend: Some(mend.into()),
    }
}

fn kind_of(tree: &Tree) -> Kind {
    let Data::Map(_) = &tree.data else {
        return Kind::Other(format!("this document ({})", tree.what()));
    };
    let text = |name| tree.get(name).and_then(Tree::text).unwrap_or("");
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if api_version == API_VERSION {
        return match kind {
            "Rule" => Kind::Rule,
            "RuleTest" => Kind::Test,
            "Sink" => Kind::Sink,
            "Parameters" => Kind::Parameters,
            _ => Kind::Wrong,
        };
    }
    let nearly = did_you_mean(api_version, [API_VERSION]).is_some();
    let bare = tree.get("apiVersion").is_none() && (kind == "Rule" || kind == "RuleTest");
    if api_version.starts_with(GROUP) || nearly || bare {
        return Kind::Wrong;
    }
    Kind::Other(match (api_version, kind) {
        (_, "") => "this document".into(),
        ("", kind) => format!("this {kind}"),
        (api_version, kind) => format!("this {api_version} {kind}"),
    })
}

fn wrong_kind(tree: &Tree, report: &mut Report<'_>) {
    let api_version = tree.get("apiVersion");
    match api_version.and_then(Tree::text) {
        Some(API_VERSION) => {}
        written => {
            let message = match written {
                Some(text) => format!(
                    "there is no apiVersion `{}`",
                    super::fields::shortened(text)
                ),
                None => "an apiVersion is missing".into(),
            };
            let mend = Some(format!("write `apiVersion: {API_VERSION}`"));
            return report.error(api_version.unwrap_or(tree), message, mend);
        }
    }
    let (at, message, mend) = match tree.get("kind") {
        None => (
            tree,
            "a kind is missing".to_owned(),
            Some("write `kind: Rule`".to_owned()),
        ),
        Some(kind) => {
            let text = kind.text().unwrap_or_default();
            let mend = super::fields::one_of_these(text, &KINDS);
            let message = format!(
                "{API_VERSION} has no kind `{}`",
                super::fields::shortened(text)
            );
            (kind, message, mend)
        }
    };
    report.error(at, message, mend);
}

/// The files that RuleTests name as their objects, by the name they have among the rules.
pub(super) fn named_by_tests(tests: &[(Arc<str>, Tree)]) -> AHashSet<String> {
    let mut named = AHashSet::new();
    for (file, tree) in tests {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        if let Some(spec) = tree.get("spec") {
            collect(spec, folder, 0, &mut named);
        }
    }
    named
}

/// Every string that looks like a YAML file, wherever it stands in the test.
fn collect(tree: &Tree, folder: &str, depth: usize, named: &mut AHashSet<String>) {
    match &tree.data {
        Data::Scalar { .. } => {
            let text = tree.text().unwrap_or("");
            if [".yaml", ".yml", ".json"]
                .iter()
                .any(|end| text.ends_with(end))
            {
                named.insert(joined(folder, text));
            }
        }
        _ if depth >= yaml::DEEPEST => {}
        Data::List(items) => items
            .iter()
            .for_each(|i| collect(i, folder, depth + 1, named)),
        Data::Map(entries) => entries
            .iter()
            .for_each(|(_, value)| collect(value, folder, depth + 1, named)),
    }
}

/// A relative path seen from a folder, `.` and `..` resolved as text.
fn joined(folder: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.into();
    }
    let mut parts: Vec<&str> = vec![];
    let absolute = folder.starts_with('/');
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
}
