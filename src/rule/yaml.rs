//! Text to a tree with a position on every node. Rule files, rule tests and manifests are all read here.
//!
//! YAML 1.2's core schema, with one habit of Kubernetes' own reader kept: `0644` is octal. Each document of a text is read on its own,
//! so that one broken document does not take the others with it.

use ahash::AHashMap;
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

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

/// An open list or map.
enum Open {
    List {
        tree: Tree,
        items: Vec<Tree>,
    },
    Map {
        tree: Tree,
        entries: Vec<(Tree, Tree)>,
        /// The line of each key.
        seen: AHashMap<Box<str>, usize>,
        key: Option<Tree>,
    },
}

/// An anchored value, with what its copies cost.
struct Anchored {
    tree: Tree,
    nodes: usize,
    depth: usize,
}

struct Builder<'t> {
    text: &'t str,
    lines_before: usize,
    problems: Vec<YamlProblem>,
    open: Vec<Open>,
    /// By the parser's id.
    anchors: AHashMap<usize, Anchored>,
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str, lines_before: usize) -> Self {
        Self {
            text,
            lines_before,
            problems: vec![],
            open: vec![],
            anchors: AHashMap::new(),
            nodes: 0,
        }
    }

    fn build(&mut self) -> Result<Vec<Tree>, YamlProblem> {
        let mut roots = vec![];
        // Anchors of lists and maps that are still open: (depth, id).
        let mut pending: Vec<(usize, usize)> = vec![];
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: DEEPEST,
            block_nesting_limit: DEEPEST,
        };
        for event in Parser::new_from_str_with_options(self.text, options) {
            let (event, span) = event.map_err(|e| self.scan_problem(&e))?;
            let done = match event {
                Event::Scalar(value, style, anchor, tag) => {
                    let forced_text = tag.is_some_and(|t| t.is_yaml_core_schema_tag("str"));
                    let plain = style == ScalarStyle::Plain;
                    if plain {
                        self.eaten(&value, &span)?;
                    }
                    let parsed = if plain && !forced_text {
                        core_schema(&value)
                    } else {
                        Value::from(value.as_ref())
                    };
                    let tree = self.tree(
                        &span,
                        Data::Scalar {
                            value: parsed,
                            plain,
                        },
                    );
                    if anchor > 0 {
                        self.anchor(anchor, &tree);
                    }
                    Some(tree)
                }
                Event::Alias(id) => {
                    let Some((nodes, depth)) = self.anchors.get(&id).map(|a| (a.nodes, a.depth))
                    else {
                        return Err(self
                            .problem(&span, "this alias refers to the value it is part of")
                            .mend("write the value out"));
                    };
                    self.count(nodes, &span)?;
                    self.deep(self.open.len() + depth, &span)?;
                    self.anchors.get(&id).map(|anchored| Tree {
                        line: span.start.line() + self.lines_before,
                        column: span.start.col() + 1,
                        length: span.end.col().saturating_sub(span.start.col()).max(1),
                        data: anchored.tree.data.clone(),
                    })
                }
                Event::SequenceStart(_, anchor, _) => {
                    if anchor > 0 {
                        pending.push((self.open.len(), anchor));
                    }
                    let tree = self.tree(&span, Data::List(vec![]));
                    self.open.push(Open::List {
                        tree,
                        items: vec![],
                    });
                    None
                }
                Event::MappingStart(_, anchor, _) => {
                    if anchor > 0 {
                        pending.push((self.open.len(), anchor));
                    }
                    let tree = self.tree(&span, Data::Map(vec![]));
                    self.open.push(Open::Map {
                        tree,
                        entries: vec![],
                        seen: AHashMap::new(),
                        key: None,
                    });
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let tree = match self.open.pop() {
                        Some(Open::List { mut tree, items }) => {
                            tree.data = Data::List(items);
                            tree
                        }
                        Some(Open::Map {
                            mut tree, entries, ..
                        }) => {
                            tree.data = Data::Map(entries);
                            tree
                        }
                        None => continue,
                    };
                    if let Some((_, id)) = pending.pop_if(|(depth, _)| *depth == self.open.len()) {
                        self.anchor(id, &tree);
                    }
                    Some(tree)
                }
                _ => None,
            };
            self.deep(self.open.len(), &span)?;
            if let Some(tree) = done {
                self.count(1, &span)?;
                match self.place(tree)? {
                    None => {}
                    Some(tree) => roots.push(tree),
                }
            }
        }
        roots.retain(|root| !root.is_null());
        Ok(roots)
    }

    /// Keeps a value for its aliases.
    fn anchor(&mut self, id: usize, tree: &Tree) {
        let (nodes, depth) = measure(tree);
        let tree = tree.clone();
        self.anchors.insert(id, Anchored { tree, nodes, depth });
    }

    fn deep(&self, depth: usize, span: &Span) -> Result<(), YamlProblem> {
        if depth > DEEPEST {
            return Err(self.problem(span, format!("nested deeper than {DEEPEST} levels")));
        }
        Ok(())
    }

    /// Puts a finished value where it belongs; gives it back if it is the document itself.
    fn place(&mut self, tree: Tree) -> Result<Option<Tree>, YamlProblem> {
        match self.open.last_mut() {
            None => return Ok(Some(tree)),
            Some(Open::List { items, .. }) => items.push(tree),
            Some(Open::Map {
                entries, key, seen, ..
            }) => match key.take() {
                None => *key = Some(key_of(tree)?),
                Some(name) => {
                    let text = name.text().unwrap_or_default();
                    if text == "<<" && matches!(name.data, Data::Scalar { plain: true, .. }) {
                        let message = "merge keys (`<<`) are not read";
                        return Err(YamlProblem::at(name.line, name.column, 2, message)
                            .mend("write the fields out"));
                    }
                    match seen.get(text) {
                        None => {
                            seen.insert(text.into(), name.line);
                            entries.push((name, tree));
                        }
                        Some(line) => self.problems.push(
                            YamlProblem::at(
                                name.line,
                                name.column,
                                name.length,
                                format!("`{text}` stands here a second time, first in line {line}"),
                            )
                            .mend("keep one of them"),
                        ),
                    }
                }
            },
        }
        Ok(None)
    }

    fn tree(&self, span: &Span, data: Data) -> Tree {
        let length = match &data {
            Data::Scalar { .. } if span.start.line() == span.end.line() => {
                span.end.col().saturating_sub(span.start.col()).max(1)
            }
            _ => 1,
        };
        Tree {
            line: span.start.line() + self.lines_before,
            column: span.start.col() + 1,
            length,
            data,
        }
    }

    fn problem(&self, span: &Span, message: impl Into<String>) -> YamlProblem {
        YamlProblem::at(
            span.start.line() + self.lines_before,
            span.start.col() + 1,
            1,
            message,
        )
    }

    fn count(&mut self, more: usize, span: &Span) -> Result<(), YamlProblem> {
        self.nodes += more;
        if self.nodes > MOST_NODES {
            return Err(self.problem(
                span,
                format!("more than {MOST_NODES} values in one document, aliases counted in full"),
            ));
        }
        Ok(())
    }

    /// A plain `${` that does not end with its `}` was cut short by YAML: at `: `, ` #`, or a brace or comma inside `{ }`.
    fn eaten(&self, value: &str, span: &Span) -> Result<(), YamlProblem> {
        if value.contains("${") && !value.contains('}') {
            return Err(self
                .problem(span, "YAML ends this value before its `}`")
                .mend("quote this value: `'${ … }'`, or write it as a block after `>-`"));
        }
        Ok(())
    }

    fn scan_problem(&self, error: &granit_parser::ScanError) -> YamlProblem {
        let (line, column) = (error.marker().line(), error.marker().col() + 1);
        let shown = self.text.lines().nth(line.saturating_sub(1)).unwrap_or("");
        let at = |message: String| YamlProblem::at(line + self.lines_before, column, 1, message);
        let indent = shown.len() - shown.trim_start_matches(' ').len();
        match error.kind() {
            ErrorKind::RecursionLimitExceeded => at(format!("nested deeper than {DEEPEST} levels")),
            _ if shown[indent..].starts_with('\t') => YamlProblem::at(
                line + self.lines_before,
                indent + 1,
                1,
                "a tab cannot indent YAML",
            )
            .mend("indent with blanks"),
            ErrorKind::MissingAnchorOrAliasName
            | ErrorKind::ExpectedFlowMappingSeparator
            | ErrorKind::ExpectedFlowSequenceSeparator
                if path_in_braces(shown) =>
            {
                at("inside `{ }` YAML takes the `[` of this path for a list".into())
                    .mend("quote this path: `\"$containers[*]\"`")
            }
            _ if shown.contains("${") => at(format!(
                "YAML takes part of this `${{ }}` for its own syntax: {}",
                error.info()
            ))
            .mend("quote this value: `'${ … }'`, or write it as a block after `>-`"),
            ErrorKind::UnknownAnchor => at("there is no such anchor above this alias".into())
                .mend("quote the value if the `*` is part of it"),
            ErrorKind::InvalidColonPlacement
            | ErrorKind::ExpectedFlowMappingSeparator
            | ErrorKind::ExpectedFlowSequenceSeparator
            | ErrorKind::UnclosedFlowCollection { .. } => at(format!("not YAML: {}", error.info()))
                .mend("look for a `{` or `[` that is not closed"),
            ErrorKind::MappingValueNotAllowed => at(format!("not YAML: {}", error.info()))
                .mend("quote text with `: ` in it, and check the indentation"),
            _ => at(format!("not YAML: {}", error.info())),
        }
    }
}

/// Whether a line has an unquoted path with brackets.
fn path_in_braces(line: &str) -> bool {
    line.match_indices(": $").any(|(at, _)| {
        let end = |c: char| c == ',' || c == '}' || c.is_whitespace();
        let path = line[at + 2..].split(end).next().unwrap_or("");
        path.contains('[') && !path.starts_with("${")
    })
}

/// A map's key: numbers and booleans become their text, lists and maps are refused.
fn key_of(mut tree: Tree) -> Result<Tree, YamlProblem> {
    match &tree.data {
        Data::Scalar {
            value: Value::String(_),
            ..
        } => Ok(tree),
        Data::Scalar { value, plain } => {
            tree.data = Data::Scalar {
                value: Value::from(value.to_string()),
                plain: *plain,
            };
            Ok(tree)
        }
        _ => Err(
            YamlProblem::at(tree.line, tree.column, 1, "a key must be text")
                .mend("quote this value if it is a `${ }` or a literal with braces"),
        ),
    }
}

/// How many nodes a value has, and how many levels of lists and maps.
fn measure(tree: &Tree) -> (usize, usize) {
    let children: &mut dyn Iterator<Item = &Tree> = match &tree.data {
        Data::Scalar { .. } => return (1, 0),
        Data::List(items) => &mut items.iter(),
        Data::Map(entries) => &mut entries.iter().flat_map(|(k, v)| [k, v]),
    };
    children.map(measure).fold((1, 1), |(nodes, depth), child| {
        (nodes + child.0, depth.max(child.1 + 1))
    })
}

/// A plain scalar by YAML 1.2's core schema, and `0644` as octal.
fn core_schema(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let radix = |digits: &str, radix| {
        i64::from_str_radix(digits, radix)
            .ok()
            .filter(|_| !digits.starts_with(['+', '-']))
    };
    let whole = if let Some(hex) = digits.strip_prefix("0x") {
        radix(hex, 16)
    } else if let Some(octal) = digits.strip_prefix("0o") {
        radix(octal, 8)
    } else if digits.len() > 1
        && digits.starts_with('0')
        && digits.bytes().all(|b| b.is_ascii_digit())
    {
        radix(&digits[1..], 8)
    } else if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        if let (false, Err(_), Ok(large)) = (negative, digits.parse::<i64>(), digits.parse::<u64>())
        {
            return Value::from(large);
        }
        digits.parse::<i64>().ok()
    } else {
        None
    };
    if let Some(whole) = whole {
        return Value::from(if negative { -whole } else { whole });
    }
    let float = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
        && digits.bytes().any(|b| matches!(b, b'.' | b'e' | b'E'));
    match text
        .parse::<f64>()
        .ok()
        .filter(|f| float && f.is_finite())
        .and_then(Number::from_f64)
    {
        Some(number) => Value::Number(number),
        None => Value::from(text),
    }
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
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn value(text: &str) -> Value {
        let (trees, problems) = read(text);
        assert!(problems.is_empty(), "{problems:?}");
        trees[0].to_value()
    }

    fn problem(text: &str) -> YamlProblem {
        let (_, problems) = read(text);
        problems
            .into_iter()
            .next()
            .unwrap_or_else(|| panic!("no problem in {text:?}"))
    }

    #[test]
    fn scalars_are_what_kubernetes_takes_them_for() {
        assert_eq!(
            value(
                "{a: 1, b: -2, c: 0644, d: 0x1f, e: 1.5, f: 1e3, g: true, h: ~, i: yes, j: '1', k: 1.2.3, l: 10m, m: .5, n: 2026-01-01, o: 18446744073709551615}"
            ),
            json!({"a": 1, "b": -2, "c": 420, "d": 31, "e": 1.5, "f": 1000.0, "g": true, "h": null, "i": "yes", "j": "1", "k": "1.2.3", "l": "10m", "m": 0.5, "n": "2026-01-01", "o": u64::MAX})
        );
        assert_eq!(value("1: a\ntrue: b"), json!({"1": "a", "true": "b"}));
    }

    #[test]
    fn every_node_knows_its_place() {
        let (trees, _) = read("# top\n---\na:\n  - b: xyz\n    ü: 'q'\n---\nsecond: 1\n");
        let item = match &trees[0].get("a").unwrap().data {
            Data::List(items) => &items[0],
            _ => panic!("no list"),
        };
        let (key, scalar) = item.entry("b").unwrap();
        assert_eq!(
            (
                key.line,
                key.column,
                scalar.line,
                scalar.column,
                scalar.length
            ),
            (4, 5, 4, 8, 3)
        );
        assert_eq!(
            (item.get("ü").unwrap().line, item.get("ü").unwrap().column),
            (5, 8)
        );
        assert_eq!(
            (
                trees[1].get("second").unwrap().line,
                trees[1].get("second").unwrap().column
            ),
            (7, 9)
        );
    }

    #[test]
    fn one_broken_document_leaves_the_others() {
        let (trees, problems) = read("a: 1\n---\nb: [\n---\nc: 3\n");
        assert_eq!(
            trees.iter().map(Tree::to_value).collect::<Vec<_>>(),
            [json!({"a": 1}), json!({"c": 3})]
        );
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn directives_and_ends_of_documents_are_understood() {
        let (trees, problems) = read("%YAML 1.2\n# x\n---\na: 1\n...\n---\nb: 2\n...\nc: 3\n");
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(
            trees.iter().map(Tree::to_value).collect::<Vec<_>>(),
            [json!({"a": 1}), json!({"b": 2}), json!({"c": 3})]
        );
        assert_eq!(trees[2].line, 9);
    }

    #[test]
    fn equal_keys_are_a_problem_and_the_first_stays() {
        let (trees, problems) = read("a: 1\nb: 2\na: 3\n");
        assert_eq!(trees[0].to_value(), json!({"a": 1, "b": 2}));
        assert_eq!(
            (
                problems[0].line,
                problems[0].column,
                problems[0].message.as_str()
            ),
            (3, 1, "`a` stands here a second time, first in line 1")
        );
    }

    #[test]
    fn hostile_texts_are_refused_quickly() {
        let bomb: String = (1..30).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, i| {
            let alias = format!("*a{}", i - 1);
            text + &format!("a{i}: &a{i} [{}]\n", vec![alias; 9].join(","))
        });
        assert!(problem(&bomb).message.contains("aliases counted in full"));
        // Two million values on one line, and as many equal keys, cost no more than their length.
        assert!(!read(&format!("[{}]", "a-b,".repeat(900_000))).1.is_empty());
        assert!(!read(&"a: 1\n".repeat(90_000)).1.is_empty());
        let chain: String = (1..100).fold("a0: &a0 [x]\n".to_owned(), |text, i| {
            text + &format!("a{i}: &a{i} [*a{}]\n", i - 1)
        });
        assert!(problem(&chain).message.contains("nested deeper"));
        assert!(problem("a: &a [*a]").message.contains("part of"));
        for one in ["{a: ", "? ", "[", "- [", "a:\n- "] {
            let _ = read(&one.repeat(10_000));
        }
        assert!(
            problem(&"[".repeat(10_000))
                .message
                .contains("nested deeper")
        );
        assert!(
            problem(&"- ".repeat(10_000))
                .message
                .contains("nested deeper")
        );
        let indented: String = (0..200).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
        assert!(problem(&indented).message.contains("nested deeper"));
        assert!(problem(&"a".repeat(LONGEST + 1)).message.contains("MiB"));
    }

    #[test]
    fn the_mend_of_common_slips() {
        assert_eq!(
            problem("a:\n\tb: 1\n").mend.as_deref(),
            Some("indent with blanks")
        );
        assert!(
            problem("a: ${x ? {b: 1} : 2}\n")
                .mend
                .unwrap()
                .contains("quote this value")
        );
        assert!(
            problem("a: {b: ${object.metadata.name}}\n")
                .mend
                .unwrap()
                .contains("quote this value")
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\[\\]{}:,\\-?&*!|>'\"%@`# \\na-c0-9\\t]{0,120}") { let _ = read(&text); }
    }
}
