//! What names in an expression mean: the objects it may see, variables, related lists, parameters, types; and what to say of one that means
//! nothing here.

use super::code::Code;
use super::compile::Compiler;
use super::value::Val;
use cel::common::ast::{Expr, IdedExpr};

/// Names of types, as `type(x) == int` compares them.
const TYPES: [(&str, &str); 10] = [
    ("int", "int"),
    ("uint", "uint"),
    ("double", "double"),
    ("string", "string"),
    ("bool", "bool"),
    ("bytes", "bytes"),
    ("list", "list"),
    ("map", "map"),
    ("null_type", "null_type"),
    ("type", "type"),
];

impl Compiler<'_> {
    /// The operand of a field or index with a fixed name; `object.metadata` reads only metadata.
    pub(super) fn part_of(&mut self, operand: &IdedExpr, field: &str) -> Code {
        if let Expr::Ident(name) = &operand.expr
            && matches!(field, "metadata" | "apiVersion" | "kind")
            && !self.locals.iter().any(|local| **local == *name)
        {
            self.reads.subject |= name == "object" || name == "candidate";
            match name.as_str() {
                "object" => {
                    self.reads.beside_candidate = true;
                    return Code::Object;
                }
                "candidate" if self.names.candidate => {
                    self.reads.candidate = true;
                    return Code::Candidate;
                }
                _ => {
                    let before = self.reads.lists_beyond;
                    let code = self.code(operand);
                    if matches!(&code, Code::Related(slot, _) if self.names.lists[*slot].one) {
                        self.reads.lists_beyond = before;
                    }
                    return code;
                }
            }
        }
        self.code(operand)
    }

    /// `params.NAME`, which must be declared.
    pub(super) fn parameter(&mut self, tree: &IdedExpr, of: &IdedExpr, name: &str) -> Option<Code> {
        let Expr::Ident(root) = &of.expr else {
            return None;
        };
        if root != "params" || self.locals.iter().any(|local| **local == *root) {
            return None;
        }
        let params = self.names.params?;
        self.reads.params = true;
        match params.get(name) {
            Some(Some(value)) => return Some(Code::Const(value.clone())),
            // Its value was refused, so that none of this ever runs: something of which nothing is known, and nothing is concluded.
            Some(None) => {
                self.reads.subject = true;
                return Some(Code::Object);
            }
            None => {}
        }
        let mend = nearest(name, params.names()).map(|name| format!("did you mean `{name}`?"));
        let message = format!("the rule declares no parameter `{name}`");
        Some(self.problem_at_name(tree.id, name, message, mend))
    }

    /// `schedule.start`, in a rule that has a schedule.
    pub(super) fn schedule(&mut self, tree: &IdedExpr, of: &IdedExpr, field: &str) -> Option<Code> {
        let Expr::Ident(root) = &of.expr else {
            return None;
        };
        if root != "schedule" || self.locals.iter().any(|local| **local == *root) {
            return None;
        }
        if field == "start" && self.names.schedule {
            self.reads.subject = true;
            return Some(Code::ScheduleStart);
        }
        if !self.names.schedule {
            return Some(self.ident(of.id, root));
        }
        let mend = "`schedule.start` is when the window opened".to_owned();
        let message = format!("`schedule` has no `{field}`");
        Some(self.problem_at_name(tree.id, field, message, Some(mend)))
    }

    pub(super) fn ident(&mut self, id: u64, name: &str) -> Code {
        if let Some(slot) = self.locals.iter().rposition(|local| **local == *name) {
            return Code::Local(slot, name.into());
        }
        if let Some((slot, variable)) = self
            .names
            .variables
            .iter()
            .enumerate()
            .find(|(_, v)| *v.name == *name)
        {
            self.reads.through(variable.reads());
            return Code::Variable(slot, name.into());
        }
        if let Some(code) = self.inlined(id, name) {
            return code;
        }
        if let Some(slot) = self.names.lists.iter().position(|l| *l.name == *name) {
            self.reads.subject = true;
            self.reads.beside_candidate = true;
            self.reads.lists |= 1 << slot;
            self.reads.lists_beyond |= 1 << slot;
            return Code::Related(slot, name.into());
        }
        if name == "params" {
            return self.all_parameters(id);
        }
        self.reads.subject = true;
        if name == "candidate" && self.names.candidate {
            self.reads.candidate = true;
            self.reads.candidate_beyond = true;
            return Code::Candidate;
        }
        self.reads.beside_candidate = true;
        match name {
            "object" => {
                self.reads.beyond_metadata = true;
                return Code::Object;
            }
            "namespaceObject" => {
                self.reads.namespace_object = true;
                return Code::NamespaceObject;
            }
            "now" => {
                self.reads.now = true;
                return Code::Now;
            }
            "item" if self.names.item => {
                self.reads.item = true;
                return Code::Item;
            }
            "current" if self.names.current => {
                self.reads.current = true;
                return Code::Current;
            }
            _ if self.names.later.iter().any(|later| **later == *name) => {
                return self.problem(
                    id,
                    format!("the variable `{name}` stands further down, or is this one: a variable sees those above it"),
                    None,
                );
            }
            _ if self.names.later_lists.iter().any(|later| **later == *name) => {
                return self.problem(
                    id,
                    format!("the list `{name}` stands further down, or is this one: a list sees those above it"),
                    None,
                );
            }
            "applied" if self.names.applied => return Code::Applied,
            "previous" if self.names.previous => return Code::Previous,
            "request" if self.names.request => {
                self.reads.beyond_metadata = true;
                return Code::Request;
            }
            "request" => {
                return self.problem(
                    id,
                    "`request` is there only at admission, and here existing objects are looked at too".into(),
                    Some("write `when: [Create]`, `[Update]` or `[Delete]`, without `Reconcile`".into()),
                );
            }
            "schedule" if self.names.schedule => {
                let mend = "write `schedule.start`, when the window opened".to_owned();
                let message = "`schedule` has one field, and is no value itself".to_owned();
                return self.problem(id, message, Some(mend));
            }
            "schedule" => {
                let message = "the rule has no `schedule`".to_owned();
                let mend = "write `schedule: [{cron: …, duration: …}]` in its `spec`".to_owned();
                return self.problem(id, message, Some(mend));
            }
            "item" | "current" | "applied" | "candidate" | "previous" => {
                let whose = match name {
                    "candidate" => "the tests of a `related` list have it",
                    "previous" => "a step with a `key` in `once` has it",
                    "item" => "an edit of a patch has it, and a step with `forEach`",
                    "current" => "only an edit of a patch has it",
                    _ => "it holds what `apply` steps with a `name` before this one applied",
                };
                let message = format!("`{name}` has no meaning here: {whose}");
                return self.problem(id, message, None);
            }
            _ => {}
        }
        if let Some((_, type_name)) = TYPES.iter().find(|(known, _)| *known == name) {
            return Code::Const(Val::Type(type_name));
        }
        let mut known = vec!["object", "namespaceObject", "now"];
        if self.names.item {
            known.push("item");
        }
        if self.names.current {
            known.push("current");
        }
        if self.names.applied {
            known.push("applied");
        }
        if self.names.request {
            known.push("request");
        }
        if self.names.schedule {
            known.push("schedule");
        }
        if self.names.previous {
            known.push("previous");
        }
        if self.names.params.is_some() {
            known.push("params");
        }
        if self.names.candidate {
            known.push("candidate");
        }
        known.extend(self.names.lists.iter().map(|list| &*list.name));
        known.extend(self.names.variables.iter().map(|variable| &*variable.name));
        known.extend(self.names.inlined.iter().map(|variable| &*variable.name));
        let nearest = nearest(
            name,
            known
                .iter()
                .copied()
                .chain(self.locals.iter().map(|local| &**local)),
        );
        let mend = match nearest {
            Some(name) => Some(format!("did you mean `{name}`?")),
            None => self.of_other_tools(id, name).or_else(|| self.is_torn_name(id).then(|| {
                "a name with `-` or `/` in it stands in brackets: `labels['app.kubernetes.io/name']`".into()
            })),
        };
        self.problem(
            id,
            format!("there is no `{name}`; there are {}", listed(&known)),
            mend,
        )
    }

    /// `params` as a whole: a map.
    fn all_parameters(&mut self, id: u64) -> Code {
        self.reads.params = true;
        match self.names.params {
            Some(params) => Code::Const(params.all()),
            None => self.problem(
                id,
                "the rule declares no parameters".into(),
                Some(
                    "write `parameters: [{name: …, type: string, default: …}]` in its `spec`"
                        .into(),
                ),
            ),
        }
    }

    /// What names of a ValidatingAdmissionPolicy are here.
    fn of_other_tools(&self, id: u64, name: &str) -> Option<String> {
        match name {
            "oldObject" if self.names.request => Some("write `request.oldObject`".into()),
            "oldObject" => Some(
                "`request.oldObject` is there at admission: write `when: [Update]`, without `Reconcile`".into(),
            ),
            "variables" => {
                let (start, _) = self.source.offset_for(id)?;
                let behind = self.text.get(start as usize + name.len()..)?.strip_prefix('.')?;
                let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let variable = &behind[..end.unwrap_or(behind.len())];
                Some(format!("a variable is read by its name alone: write `{variable}`"))
            }
            _ => None,
        }
    }

    /// Whether a `-` or `/` without blanks ties the name to one before it, as in `labels.my-label`.
    fn is_torn_name(&self, id: u64) -> bool {
        let (start, _) = self.source.offset_for(id).unwrap_or((0, 0));
        let before = &self.text[..self.text.floor_char_boundary(start as usize)];
        before
            .strip_suffix(['-', '/'])
            .is_some_and(|before| before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
    }
}

/// The nearest of some names, if it is near.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let folded = name.to_lowercase();
    known
        .map(|other| {
            (
                strsim::damerau_levenshtein(&folded, &other.to_lowercase()),
                other,
            )
        })
        .filter(|(distance, other)| *distance <= 1 + name.len().min(other.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// Names as a sentence lists them.
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
