//! The functions an expression may call, one file per library.
//!
//! A function is a row of a table: its name, whether it is called on a value, the kinds its parameters take, and what it does. Names and
//! argument counts are settled at load; kinds at load where the argument is a literal, else when it runs.

use super::code::Code;
use super::eval::{Fault, Frame, article};
use super::value::{self, Kinds, Val};
use ahash::AHashMap;
use std::sync::OnceLock;

pub(super) mod lists;
mod math;
mod net;
mod optional;
mod own;
mod quantity;
pub(super) mod regex;
mod semver;
mod sets;
mod standard;
mod strings;
mod time;
mod url;

pub use own::hashed;

/// What a function does. The arguments have been checked against its row; for one called on a value that value is the first.
type Run = for<'s, 'a> fn(&mut Frame<'s, 'a>, &[Val<'a>]) -> Result<Val<'a>, Fault>;

/// One function.
pub(super) struct Function {
    /// With its namespace: `math.greatest`.
    pub name: &'static str,
    pub member: bool,
    params: &'static [Kinds],
    /// How many of the last parameters may be left out.
    optional: usize,
    /// Whether the last parameter may be repeated.
    variadic: bool,
    /// Whether a call with literals alone is evaluated at load, so that what is wrong with a literal is a load error.
    pub at_load: bool,
    pub run: Run,
}

/// A function called by its name.
const fn global(name: &'static str, params: &'static [Kinds], run: Run) -> Function {
    Function {
        name,
        member: false,
        params,
        optional: 0,
        variadic: false,
        at_load: false,
        run,
    }
}

/// A function called on a value, whose kinds come first.
const fn member(name: &'static str, params: &'static [Kinds], run: Run) -> Function {
    Function {
        name,
        member: true,
        params,
        optional: 0,
        variadic: false,
        at_load: false,
        run,
    }
}

impl Function {
    const fn optional(mut self, count: usize) -> Self {
        self.optional = count;
        self
    }

    const fn variadic(mut self) -> Self {
        self.variadic = true;
        self
    }

    const fn at_load(mut self) -> Self {
        self.at_load = true;
        self
    }

    /// The kinds that a parameter takes.
    pub fn kinds(&self, position: usize) -> Kinds {
        self.params
            .get(position)
            .or(self.params.last())
            .copied()
            .unwrap_or(0)
    }

    /// Whether the value may stand there.
    #[inline]
    pub fn takes(&self, position: usize, value: &Val<'_>) -> bool {
        value.kind() & self.kinds(position) != 0
    }

    /// What is wrong with a number of arguments, if anything.
    pub fn count_problem(&self, given: usize) -> Option<String> {
        let most = self.params.len();
        let least = most - self.optional;
        if given >= least && (given <= most || self.variadic) {
            return None;
        }
        let receiver = usize::from(self.member);
        let (least, most) = (least - receiver, most - receiver);
        let takes = match (self.variadic, least == most) {
            (true, _) => format!("at least {least}"),
            (_, true) => format!("{most}"),
            _ => format!("{least} to {most}"),
        };
        let plural = if takes.ends_with('1') { "" } else { "s" };
        Some(format!(
            "`{}` takes {takes} argument{plural}, not {}",
            self.name,
            given - receiver
        ))
    }

    /// Why the value at `position` cannot stand there. `kinds` are the words for the values up to it; none at load.
    pub fn refusal(&self, position: usize, kinds: &[&str], code: &Code) -> String {
        let wanted = value::kinds_in_words(self.kinds(position));
        let given = match (kinds.last(), code) {
            (Some(kind), _) => (*kind).to_owned(),
            (None, Code::Const(value)) => article(value),
            _ => "this".into(),
        };
        let what = match code {
            Code::Const(_) => given,
            _ => format!("{} ({given})", code.describe()),
        };
        let mend = if kinds.last() == Some(&"optional") {
            "; take the value out with `.orValue(…)`"
        } else {
            ""
        };
        if self.member && position == 0 {
            format!("`{}` is called on {wanted}, not on {what}{mend}", self.name)
        } else {
            format!("`{}` takes {wanted}, not {what}{mend}", self.name)
        }
    }
}

/// All tables.
const LIBRARIES: [&[Function]; 13] = [
    standard::TABLE,
    strings::TABLE,
    time::TABLE,
    regex::TABLE,
    lists::TABLE,
    sets::TABLE,
    math::TABLE,
    optional::TABLE,
    quantity::TABLE,
    semver::TABLE,
    net::TABLE,
    url::TABLE,
    own::TABLE,
];

/// The libraries by name, in the order of [`LIBRARIES`].
const NAMES: [&str; LIBRARIES.len()] = [
    "standard", "strings", "time", "regex", "lists", "sets", "math", "optional", "quantity",
    "semver", "net", "url", "ordain",
];

/// A function as documentation shows it.
pub struct Signature {
    /// The library that it belongs to.
    pub library: &'static str,
    /// With its namespace: `math.greatest`.
    pub name: &'static str,
    /// The kinds of the value that it is called on; `None`: it is called by its name.
    pub receiver: Option<String>,
    /// The kinds of each argument, in words.
    pub arguments: Vec<String>,
    /// How many of the last arguments may be left out.
    pub optional: usize,
    /// Whether the last argument may be repeated.
    pub variadic: bool,
}

/// All functions, library by library.
pub fn signatures() -> Vec<Signature> {
    let tables = NAMES.iter().zip(LIBRARIES);
    tables
        .flat_map(|(library, table)| table.iter().map(move |function| (*library, function)))
        .map(|(library, function)| {
            let mut kinds = function.params.iter().map(|k| value::kinds_in_words(*k));
            Signature {
                library,
                name: function.name,
                receiver: if function.member { kinds.next() } else { None },
                arguments: kinds.collect(),
                optional: function.optional,
                variadic: function.variadic,
            }
        })
        .collect()
}

fn index() -> &'static AHashMap<(&'static str, bool), &'static Function> {
    static INDEX: OnceLock<AHashMap<(&'static str, bool), &'static Function>> = OnceLock::new();
    INDEX.get_or_init(|| {
        LIBRARIES
            .iter()
            .flat_map(|table| table.iter())
            .map(|function| ((function.name, function.member), function))
            .collect()
    })
}

/// The function of a name.
pub(super) fn find(name: &str, member: bool) -> Option<&'static Function> {
    index().get(&(name, member)).copied()
}

/// The names of all functions that are, or are not, called on a value.
pub(super) fn names(member: bool) -> impl Iterator<Item = &'static str> {
    index()
        .keys()
        .filter(move |(_, is_member)| *is_member == member)
        .map(|(name, _)| *name)
}

/// Whether functions begin with `name.`.
pub(super) fn is_namespace(name: &str) -> bool {
    matches!(
        name,
        "math" | "optional" | "sets" | "lists" | "base64" | "strings" | "ip" | "cel"
    )
}

/// What a table's row excludes; reached only if a row and its function disagree.
fn mismatch<'a>() -> Result<Val<'a>, Fault> {
    Err(Fault::failed("the arguments have the wrong types"))
}

/// A text that cannot be read as something. The reason quotes the text, so it is told only for literals: elsewhere the text may be secret.
fn unreadable(frame: &Frame<'_, '_>, function: &str, what: &str, reason: String) -> Fault {
    if frame.is_load() {
        Fault::failed(reason)
    } else {
        Fault::failed(format!("`{function}`: the text is no {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_twice() {
        let rows: usize = LIBRARIES.iter().map(|table| table.len()).sum();
        assert_eq!(index().len(), rows);
    }
}
