//! Events of the parser to a tree, within bounds.

use super::scalars::core_schema;
use super::{DEEPEST, Data, MOST_NODES, Tree, YamlProblem};
use ahash::AHashMap;
use granit_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::Value;

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
        /// Of `<<`: what is taken over where the map itself does not say it.
        merged: Vec<(Tree, Tree)>,
    },
}

/// An anchored value, with what its copies cost.
struct Anchored {
    tree: Tree,
    nodes: usize,
    depth: usize,
}

/// One document as it comes to be.
pub(super) struct Builder<'t> {
    pub text: &'t str,
    pub lines_before: usize,
    pub problems: Vec<YamlProblem>,
    open: Vec<Open>,
    /// By the parser's id.
    anchors: AHashMap<usize, Anchored>,
    nodes: usize,
}

impl<'t> Builder<'t> {
    pub fn new(text: &'t str, lines_before: usize) -> Self {
        Self {
            text,
            lines_before,
            problems: vec![],
            open: vec![],
            anchors: AHashMap::new(),
            nodes: 0,
        }
    }

    pub fn build(&mut self) -> Result<Vec<Tree>, YamlProblem> {
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
                        merged: vec![],
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
                            mut tree,
                            mut entries,
                            mut seen,
                            merged,
                            ..
                        }) => {
                            for (key, value) in merged {
                                let name = key.text().unwrap_or_default();
                                if !seen.contains_key(name) {
                                    seen.insert(name.into(), key.line);
                                    entries.push((key, value));
                                }
                            }
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
                entries,
                key,
                seen,
                merged,
                ..
            }) => match key.take() {
                None => *key = Some(key_of(tree)?),
                Some(name) => {
                    let text = name.text().unwrap_or_default();
                    if text == "<<" && matches!(name.data, Data::Scalar { plain: true, .. }) {
                        return merge(&name, tree, merged).map(|()| None);
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

    pub fn problem(&self, span: &Span, message: impl Into<String>) -> YamlProblem {
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

/// `<<`: the entries of a map, or of several, of which the first wins.
fn merge(key: &Tree, tree: Tree, merged: &mut Vec<(Tree, Tree)>) -> Result<(), YamlProblem> {
    let maps = match tree.data {
        Data::List(maps) => maps,
        _ => vec![tree],
    };
    for map in maps {
        let Data::Map(entries) = map.data else {
            let message = "`<<` takes over the fields of a map, or of a list of maps";
            return Err(YamlProblem::at(key.line, key.column, 2, message)
                .mend("write an alias of a map behind it, for example `<<: *base`"));
        };
        merged.extend(entries);
    }
    Ok(())
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
