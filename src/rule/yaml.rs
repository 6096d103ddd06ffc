//! Text to a tree with a position on every node.

use serde_json::Value;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Tree {
    /// 1-based; columns in characters.
    pub line: usize,
    pub column: usize,
    /// Characters of a scalar on its first line, else 1.
    pub length: usize,
    pub data: Data,
}

/// The value.
#[derive(Clone, Debug)]
pub enum Data {
    /// Null, bool, number, string. `plain` is false for quoted and block scalars: then offsets inside the text are not offsets in the line.
    Scalar {
        value: Value,
        plain: bool,
    },
    List(Vec<Tree>),
    /// Keys are always strings, in file order; duplicate keys have been reported and the first kept.
    Map(Vec<(Tree, Tree)>),
}

/// A YAML problem.
#[derive(Clone, Debug)]
pub struct YamlProblem {
    pub line: usize,
    pub column: usize,
    pub length: usize,
    pub message: String,
    pub mend: Option<String>,
}

/// Reads all documents of a text. A document with a problem is left out, the others are kept where the parser can go on.
/// Bounds: 4 MiB a file, 64 levels, aliases expanded to at most 100,000 nodes.
pub fn read(_text: &str) -> (Vec<Tree>, Vec<YamlProblem>) {
    todo!()
}

impl Tree {
    /// Without the positions.
    pub fn to_value(&self) -> Value {
        todo!()
    }
}
