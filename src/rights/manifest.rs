//! Grants as YAML: ClusterRole, Roles and their bindings, with the rules that need each line.

use super::{Grant, Place, RbacVerb, Reason, Rights};
use crate::rule::protection::OWN_LABEL;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// Names of rules that a comment lists; of more only the number.
const MOST_NAMED: usize = 10;
/// Where a comment is wrapped, in characters.
const WIDTH: usize = 110;

/// How the objects are called, and who gets the rights.
#[derive(Clone, Debug)]
pub struct Names {
    /// Of each ClusterRole, Role and binding. The Role of the daemon's own namespace is called after it.
    pub name: String,
    /// The ServiceAccount, in the daemon's own namespace.
    pub service_account: String,
    /// The daemon's own namespace.
    pub state_namespace: Arc<str>,
}

/// A rule of RBAC: rights of one place and group with the same verbs and the same reason.
struct Line {
    group: Arc<str>,
    resources: Vec<String>,
    name: Option<Arc<str>>,
    verbs: Vec<RbacVerb>,
    reason: Reason,
}

/// The documents, each ending with a line break; before them, as comments, what only a person can grant.
pub fn yaml(rights: &Rights, names: &Names) -> String {
    let mut places: BTreeMap<&Place, Vec<&Grant>> = BTreeMap::new();
    for grant in &rights.grants {
        places.entry(&grant.right.place).or_default().push(grant);
    }
    let documents = places.iter().map(|(place, grants)| {
        let role = names.role(place, grants);
        format!("{role}---\n{}", names.binding(place))
    });
    let mut text = String::new();
    for note in &rights.by_hand {
        let note = format!("not among these rights: {note}");
        for line in wrapped(&note.split(' ').collect::<Vec<_>>()) {
            let _ = writeln!(text, "# {line}");
        }
    }
    text + &documents.collect::<Vec<_>>().join("---\n")
}

impl Names {
    fn metadata(&self, place: &Place) -> String {
        let mut text = format!("metadata:\n  name: {}\n", scalar(&self.name));
        if let Place::Namespace(namespace) = place {
            text.push_str(&format!("  namespace: {}\n", scalar(namespace)));
        }
        // No rule changes what carries it, unless it says so.
        let (label, value) = OWN_LABEL;
        text.push_str(&format!("  labels:\n    {label}: {value}\n"));
        text
    }

    fn role(&self, place: &Place, grants: &[&Grant]) -> String {
        let kind = match place {
            Place::Cluster => "ClusterRole",
            Place::Namespace(_) => "Role",
        };
        let mut text = format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\n{}rules:\n",
            self.metadata(place)
        );
        for line in lines(grants) {
            line.print(&mut text);
        }
        text
    }

    fn binding(&self, place: &Place) -> String {
        let (kind, role) = match place {
            Place::Cluster => ("ClusterRoleBinding", "ClusterRole"),
            Place::Namespace(_) => ("RoleBinding", "Role"),
        };
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\n{}roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {role}\n  \
             name: {}\nsubjects:\n- kind: ServiceAccount\n  name: {}\n  namespace: {}\n",
            self.metadata(place),
            scalar(&self.name),
            scalar(&self.service_account),
            scalar(&self.state_namespace),
        )
    }
}

/// Verbs of a resource that the same rules need go on one line, and so do resources of a group with the same verbs and rules.
fn lines(grants: &[&Grant]) -> Vec<Line> {
    let mut lines: Vec<Line> = vec![];
    for grant in grants {
        let right = &grant.right;
        let same = |line: &&mut Line| {
            line.group == right.group
                && line.resources == [right.resource.clone()]
                && line.name == right.name
                && line.reason == grant.reason
        };
        match lines.iter_mut().find(same) {
            Some(line) => line.verbs.push(right.verb),
            None => lines.push(Line {
                group: right.group.clone(),
                resources: vec![right.resource.clone()],
                name: right.name.clone(),
                verbs: vec![right.verb],
                reason: grant.reason.clone(),
            }),
        }
    }
    let mut merged: Vec<Line> = vec![];
    for line in lines {
        let same = |m: &&mut Line| {
            m.group == line.group
                && m.name == line.name
                && m.verbs == line.verbs
                && m.reason == line.reason
        };
        match merged.iter_mut().find(same) {
            Some(m) => m.resources.extend(line.resources),
            None => merged.push(line),
        }
    }
    merged
}

impl Line {
    fn print(&self, text: &mut String) {
        for line in comment(&self.reason) {
            let _ = writeln!(text, "# {line}");
        }
        let _ = writeln!(text, "- apiGroups: [{}]", scalar(&self.group));
        let resources: Vec<String> = self.resources.iter().map(|r| scalar(r)).collect();
        let _ = writeln!(text, "  resources: [{}]", resources.join(", "));
        if let Some(name) = &self.name {
            let _ = writeln!(text, "  resourceNames: [{}]", scalar(name));
        }
        let verbs: Vec<&str> = self.verbs.iter().map(|v| v.as_str()).collect();
        let _ = writeln!(text, "  verbs: [{}]", verbs.join(", "));
    }
}

fn comment(reason: &Reason) -> Vec<String> {
    let Reason::Rules(rules) = reason else {
        return vec![reason.to_string()];
    };
    let mut words: Vec<String> = rules
        .iter()
        .take(MOST_NAMED)
        .map(ToString::to_string)
        .collect();
    if rules.len() > MOST_NAMED {
        words.push(format!("and {} more", rules.len() - MOST_NAMED));
    }
    if let Some((_, before)) = words.split_last_mut() {
        before.iter_mut().for_each(|word| word.push(','));
    }
    words.insert(0, (if rules.len() == 1 { "rule" } else { "rules" }).into());
    wrapped(&words)
}

/// Words in lines that are not too long.
fn wrapped<W: AsRef<str>>(words: &[W]) -> Vec<String> {
    let mut lines = vec![];
    let mut line = String::new();
    for word in words.iter().map(AsRef::as_ref) {
        if !line.is_empty() && line.len() + word.len() > WIDTH {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// A text as YAML reads it back: plain where that is safe, else in quotes.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text);
    if plain {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}
