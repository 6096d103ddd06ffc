//! Text to a tree with a position on every node. Rule files, rule tests and manifests are all read here.
//!
//! YAML 1.2's core schema, with one habit of Kubernetes' own reader kept: `0644` is octal. Each document of a text is read on its own,
//! so that one broken document does not take the others with it.
//!
//! `build` events of the parser to a tree · `scalars` what a plain scalar is · `slips` the mend of common slips. Here what a tree is, and the
//! documents of a text.

mod build;
mod scalars;
mod slips;

use build::Builder;
use serde_json::{Map, Value};

/// Longest text that is read, in bytes.
pub const LONGEST: usize = 4 << 20;
/// Deepest nesting.
pub const DEEPEST: usize = 64;
/// Most nodes of one document, aliases expanded.
pub const MOST_NODES: usize = 200_000;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Tree {
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// Characters of a scalar on its first line, else 1.
    pub length: usize,
    /// The value.
    pub data: Data,
}

/// The value of a [`Tree`].
#[derive(Clone, Debug)]
pub enum Data {
    /// Null, bool, number, string.
    Scalar {
        /// Never a list or a map.
        value: Value,
        /// False for quoted and block scalars: offsets inside the text are then not offsets in the line.
        plain: bool,
    },
    /// In file order.
    List(Vec<Tree>),
    /// Keys are always strings, in file order; of equal keys the first was kept and the others reported.
    Map(Vec<(Tree, Tree)>),
}

/// A YAML problem.
#[derive(Clone, Debug)]
pub struct YamlProblem {
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// Characters to mark.
    pub length: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub mend: Option<String>,
}

impl YamlProblem {
    fn at(line: usize, column: usize, length: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            column,
            length,
            message: message.into(),
            mend: None,
        }
    }
    fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

/// One document of a text, between its markers.
#[derive(Debug, Default)]
pub struct Document {
    /// Its value; none if it is empty or could not be read. More than one only where `...` stands without `---` behind it.
    pub trees: Vec<Tree>,
    /// What is wrong with it. With trees: equal keys, of which the first was kept.
    pub problems: Vec<YamlProblem>,
}

/// Reads all documents of a text. A document with a problem is left out (but for one with equal keys), the others are kept.
/// Empty documents are passed over.
pub fn read(text: &str) -> (Vec<Tree>, Vec<YamlProblem>) {
    let (mut trees, mut problems) = (vec![], vec![]);
    for mut document in read_documents(text) {
        trees.append(&mut document.trees);
        problems.append(&mut document.problems);
    }
    (trees, problems)
}

/// As [`read`], each document with its own problems.
pub fn read_documents(text: &str) -> Vec<Document> {
    if text.len() > LONGEST {
        return vec![Document {
            problems: vec![too_long(text.len())],
            ..Document::default()
        }];
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    documents(text)
        .into_iter()
        .map(|(first_line, document)| {
            let mut builder = Builder::new(document, first_line);
            let trees = builder.build().unwrap_or_else(|problem| {
                builder.problems.push(problem);
                vec![]
            });
            Document {
                trees,
                problems: builder.problems,
            }
        })
        .collect()
}

/// The problem of a text of more than [`LONGEST`] bytes.
pub fn too_long(length: usize) -> YamlProblem {
    let message = format!(
        "the file has {} MiB, and at most {} MiB are read",
        length.div_ceil(1 << 20),
        LONGEST >> 20
    );
    YamlProblem::at(1, 1, 1, message).mend("split it")
}

/// The documents of a text, each with the number of lines before it.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut found = vec![];
    let (mut start, mut start_line, mut at) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let bare = line.trim_end();
        let marker = bare == "---" || line.starts_with("--- ") || line.starts_with("---\t");
        // Directives and comments before a marker belong to the document it opens.
        if marker && !text[start..at].lines().all(is_prologue) {
            found.push((start_line, &text[start..at]));
            // The marker itself may carry content (`--- {a: 1}`): it stays part of the document it opens.
            start = at;
            start_line = number;
        }
        at += line.len();
    }
    found.push((start_line, &text[start..]));
    found
}

fn is_prologue(line: &str) -> bool {
    line.starts_with('%') || line.trim_start().starts_with('#') || line.trim().is_empty()
}

impl Tree {
    /// Without the positions.
    pub fn to_value(&self) -> Value {
        match &self.data {
            Data::Scalar { value, .. } => value.clone(),
            Data::List(items) => Value::Array(items.iter().map(Tree::to_value).collect()),
            Data::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(k, v)| (k.text().unwrap_or_default().to_owned(), v.to_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// The text of a string.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Scalar { value, .. } => value.as_str(),
            _ => None,
        }
    }

    /// The value under a key of a map.
    pub fn get(&self, name: &str) -> Option<&Tree> {
        self.entry(name).map(|(_, value)| value)
    }

    /// Key and value of a map's entry.
    pub fn entry(&self, name: &str) -> Option<&(Tree, Tree)> {
        match &self.data {
            Data::Map(entries) => entries.iter().find(|(k, _)| k.text() == Some(name)),
            _ => None,
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(
            &self.data,
            Data::Scalar {
                value: Value::Null,
                ..
            }
        )
    }

    /// For messages: `a list`, `text`, `a number`.
    pub fn what(&self) -> &'static str {
        match &self.data {
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
            Data::Scalar { value, .. } => match value {
                Value::Null => "nothing",
                Value::Bool(_) => "true or false",
                Value::Number(_) => "a number",
                _ => "text",
            },
        }
    }
}

#[cfg(test)]
mod tests;
