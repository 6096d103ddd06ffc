//! What `request` is made of: the fields of a Kubernetes AdmissionRequest (`admission.k8s.io/v1`).

use super::compile::Compiler;
use super::members::Member;
use super::names::nearest;

/// A part of it.
enum Part {
    /// These fields, and no others.
    Fields(&'static [(&'static str, Part)]),
    /// A list, which has no fields.
    List,
    /// Text or a boolean.
    Scalar,
    /// Whatever it is.
    Any,
}

const KIND: Part = Part::Fields(&[
    ("group", Part::Scalar),
    ("version", Part::Scalar),
    ("kind", Part::Scalar),
]);

const RESOURCE: Part = Part::Fields(&[
    ("group", Part::Scalar),
    ("version", Part::Scalar),
    ("resource", Part::Scalar),
]);

const REQUEST: Part = Part::Fields(&[
    ("uid", Part::Scalar),
    ("kind", KIND),
    ("resource", RESOURCE),
    ("subResource", Part::Scalar),
    ("requestKind", KIND),
    ("requestResource", RESOURCE),
    ("requestSubResource", Part::Scalar),
    ("name", Part::Scalar),
    ("namespace", Part::Scalar),
    ("operation", Part::Scalar),
    (
        "userInfo",
        Part::Fields(&[
            ("username", Part::Scalar),
            ("uid", Part::Scalar),
            ("groups", Part::List),
            ("extra", Part::Any),
        ]),
    ),
    ("object", Part::Any),
    ("oldObject", Part::Any),
    ("dryRun", Part::Scalar),
    ("options", Part::Any),
]);

impl Compiler<'_> {
    /// Reports the last of a chain of fields from `request`, if there is none of that name. What leads to it was reported before.
    pub(super) fn check_request(&mut self, chain: &[Member]) {
        let Some((last, before)) = chain.split_last() else {
            return;
        };
        let mut part = &REQUEST;
        let mut spelled = "request".to_owned();
        for member in before {
            let Part::Fields(fields) = part else { return };
            let Some((_, next)) = fields.iter().find(|(name, _)| **name == *member.name) else {
                return;
            };
            part = next;
            spelled = format!("{spelled}.{}", member.name);
        }
        let name = &*last.name;
        let (message, mend) = match part {
            Part::Any => return,
            Part::Fields(fields) if fields.iter().any(|(known, _)| *known == name) => return,
            Part::Fields(fields) => {
                let names = || fields.iter().map(|(known, _)| *known);
                let folded = name.to_lowercase();
                let longer = || names().find(|known| known.to_lowercase().contains(&folded));
                let mend = match nearest(name, names()).or_else(longer) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("its fields are {}", names().collect::<Vec<_>>().join(", ")),
                };
                (format!("`{spelled}` has no field `{name}`"), Some(mend))
            }
            Part::List => (
                format!("`{spelled}` is a list, it has no field `{name}`"),
                Some("ask about its elements: `.exists(x, …)`, or `'x' in …`".to_owned()),
            ),
            Part::Scalar => (format!("`{spelled}` has no fields"), None),
        };
        self.problem_of_member(last, message, mend);
    }
}
