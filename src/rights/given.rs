//! Roles that rules give away. The server lets nobody give rights that they do not hold themselves, but for two verbs: `bind` to refer to a role,
//! `escalate` to write one. It looks at every write of such an object, whatever is changed in it.

use super::{ByHand, Needed, RbacVerb, Scope};
use crate::rule::apply::Apply;
use crate::rule::{Action, ResolvedKind, Rule, Step};

pub(super) const GROUP: &str = "rbac.authorization.k8s.io";

/// Those of a kind that a rule applies: `bind` on a role that is written in the rule, else a note for a person.
pub(super) fn applied(
    (rule, kind): (&Rule, &ResolvedKind),
    scope: &Scope,
    needed: &mut Needed,
    by_hand: &mut Vec<ByHand>,
) {
    if scope.read_only || !is_given(kind) {
        return;
    }
    for step in &rule.steps {
        let Action::Apply(apply) = &step.action else {
            continue;
        };
        if apply.kind != kind.kind {
            continue;
        }
        match role(apply) {
            Some((resource, name)) => {
                let right = (resource.to_owned(), RbacVerb::Bind);
                needed.add_named(scope, &GROUP.into(), right, Some(name.into()), &rule.name);
            }
            None => note(rule, kind, by_hand),
        }
    }
}

/// Those of a kind that a rule patches: what is in them nobody knows before.
pub(super) fn patched<'s>(
    (rule, kind): (&Rule, &ResolvedKind),
    mut steps: impl Iterator<Item = &'s Step>,
    scope: &Scope,
    by_hand: &mut Vec<ByHand>,
) {
    let patches = |step: &Step| matches!(step.action, Action::Patch { .. });
    if !scope.read_only && is_given(kind) && steps.any(patches) {
        note(rule, kind, by_hand);
    }
}

fn is_given(kind: &ResolvedKind) -> bool {
    &*kind.kind.group == GROUP
}

fn is_role(kind: &str) -> bool {
    matches!(kind, "Role" | "ClusterRole")
}

/// Plural and name of the role that a binding refers to, if the rule says it.
fn role(apply: &Apply) -> Option<(&'static str, &str)> {
    if is_role(&apply.kind.kind) {
        return None;
    }
    let text = |field| apply.manifest.literal_at(&["roleRef", field])?.as_str();
    let resource = match text("kind")? {
        "ClusterRole" => "clusterroles",
        "Role" => "roles",
        _ => return None,
    };
    Some((resource, text("name")?))
}

fn note(rule: &Rule, kind: &ResolvedKind, by_hand: &mut Vec<ByHand>) {
    let name = &*kind.kind.kind;
    let what = match is_role(name) {
        true => format!(
            "writes objects of the kind {name}, which the server lets it do only with rights that it holds itself: grant it those, or `escalate` on {}",
            if name == "Role" {
                "roles"
            } else {
                "clusterroles"
            }
        ),
        false => format!(
            "writes objects of the kind {name}, and the roles that they refer to are not known before: grant it `bind` on those, by name, or what they hold"
        ),
    };
    let rule = rule.name.clone();
    let note = ByHand { rule, what };
    if !by_hand.contains(&note) {
        by_hand.push(note);
    }
}
