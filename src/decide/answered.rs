//! What is known of the server's answers: where it keeps something else than a rule asked for, and what is looked for in the next one.

use super::turn::Turn;
use super::world::World;
use super::{Operation, Reason, Wanted, Write};
use crate::object::difference::{is_secret, is_secret_place, short};
use crate::object::{ObjectKey, Record};
use crate::rule::apply::fields;
use crate::rule::edit::{Answers, Claim, Overruled, holds};
use crate::rule::set::RuleIndex;
use crate::schema::KindSchema;
use serde_json::Value;

/// What the server stored in answer to a rule about an object.
pub(super) fn answers<'w>(
    world: &World<'w>,
    rule: RuleIndex,
    object: &ObjectKey,
) -> Option<&'w Answers> {
    world.context.memory.answers(rule, object)
}

/// Tells that the server keeps something else.
pub(super) fn tell(world: &World<'_>, object: &ObjectKey, overruled: &Overruled, turn: &mut Turn) {
    let message = message(object, overruled);
    let message = match object == world.subject.key {
        true => message,
        false => format!("{object}: {message}"),
    };
    turn.find(Reason::Overruled, message);
}

/// Never quotes what may be secret.
fn message(object: &ObjectKey, overruled: &Overruled) -> String {
    let Overruled {
        pointer,
        wanted,
        kept,
    } = overruled;
    if is_secret(&object.kind) && is_secret_place(pointer) {
        return format!(
            "{pointer} is not as the rule wants it: the server took the change and stored something else, as an admission policy or webhook may do"
        );
    }
    let said = |value: &Option<Value>| match value {
        Some(value) => short(value),
        None => "nothing".to_owned(),
    };
    format!(
        "{pointer} is {} and not {}: the server took the change and stored that instead, as an admission policy or webhook may do",
        said(kept),
        said(wanted)
    )
}

/// Of what rules want, what leads from one state to the other.
pub(super) fn written(
    wanted: impl Iterator<Item = Wanted>,
    (before, after): (&Record, &Record),
    schema: Option<&KindSchema>,
) -> Vec<Wanted> {
    let leads_there = |claim: &Claim| holds(claim, after, schema) && !holds(claim, before, schema);
    wanted.filter(|wanted| leads_there(&wanted.claim)).collect()
}

/// What a manifest says and an object has not, or has otherwise.
pub(super) fn differing(
    manifest: &Value,
    live: Option<&Record>,
    schema: Option<&KindSchema>,
) -> Vec<Claim> {
    let ty = schema.and_then(KindSchema::root);
    let claims = fields::places(manifest, ty)
        .into_iter()
        .filter_map(|place| {
            let value = fields::value_at(manifest, &place, ty)?.clone();
            Some(Claim {
                pointer: place.into(),
                value: Some(value),
                partial: false,
                from_current: false,
                yields: false,
            })
        });
    let differs = |claim: &Claim| live.is_none_or(|live| !holds(claim, live, schema));
    claims.filter(differs).collect()
}

/// Whether at all these places of an object stands what the server stored in answer to the rule; what it kept of less is told.
pub(super) fn all_stand(
    world: &World<'_>,
    rule: RuleIndex,
    (object, live): (&ObjectKey, &Record),
    claims: &[Claim],
    schema: Option<&KindSchema>,
    turn: &mut Turn,
) -> bool {
    let Some(answers) = answers(world, rule, object) else {
        return false;
    };
    let mut overruled = None;
    for claim in claims {
        match answers.stand(claim, live, schema) {
            Some(kept) => overruled = overruled.or(kept),
            None => return false,
        }
    }
    if let Some(overruled) = overruled {
        tell(world, object, &overruled, turn);
    }
    !claims.is_empty()
}

/// Gives each request the wishes whose answer it brings.
pub(super) fn share_out(wanted: Vec<Wanted>, writes: &mut [Write]) {
    if wanted.is_empty() || writes.is_empty() {
        return;
    }
    let mut shares: Vec<Vec<Wanted>> = writes.iter().map(|_| vec![]).collect();
    for wish in wanted {
        // The main endpoint comes first and takes what no other is for.
        let own = |write: &Write| is_for(&write.operation, &wish.claim.pointer);
        let at = writes.iter().rposition(own).unwrap_or(0);
        shares[at].push(wish);
    }
    for (write, share) in writes.iter_mut().zip(shares) {
        write.wanted = (!share.is_empty()).then(|| share.into());
    }
}

fn is_for(operation: &Operation, pointer: &str) -> bool {
    match operation {
        Operation::Scale { path, .. } => pointer.split('/').skip(1).eq(path),
        Operation::Patch { status: true, .. } => {
            pointer == "/status" || pointer.starts_with("/status/")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::GroupKind;
    use serde_json::json;

    #[test]
    fn what_may_be_secret_is_never_quoted() {
        let overruled = |pointer: &str| Overruled {
            pointer: pointer.into(),
            wanted: Some(json!("aGVsbG8=")),
            kept: None,
        };
        let object = |kind: &str| ObjectKey::new(GroupKind::new("", kind), Some("shop"), "a");
        let secret = message(&object("Secret"), &overruled("/data/token"));
        assert!(!secret.contains("aGVsbG8="), "{secret}");
        assert!(secret.contains("/data/token"), "{secret}");
        let map = message(&object("ConfigMap"), &overruled("/data/token"));
        assert!(
            map.starts_with("/data/token is nothing and not \"aGVsbG8=\":"),
            "{map}"
        );
    }
}
