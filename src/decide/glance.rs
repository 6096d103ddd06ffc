//! A look at one rule's tests alone.

use super::look::look;
use super::pass::PassContext;
use super::working::Working;
use super::world::World;
use super::{Standing, Subject};
use crate::rule::set::RuleIndex;

/// How these rules stand towards an object as it is, if none of them has anything to do with it or to say of it, now or later. Where no other
/// rule has either, a pass would come to the same.
pub fn glance(
    subject: &Subject<'_>,
    context: &PassContext<'_>,
    rules: impl Iterator<Item = RuleIndex>,
    mut note: impl FnMut(RuleIndex, Standing),
) -> bool {
    let world = World::new(subject, context);
    let working = Working::new(subject.record);
    for index in rules {
        let turn = look(&world, &context.rules.rules()[index], &working);
        let silent = matches!(
            turn.standing,
            Standing::OutOfScope | Standing::Ignored | Standing::Unmatched
        ) && turn.findings.is_empty()
            && turn.wrong_types.is_empty()
            && turn.recheck_at.is_none();
        if !silent {
            return false;
        }
        note(index, turn.standing);
    }
    true
}
