//! Rules that want different things at one place of one object.

use super::apply::{Opponent, Want};
use super::look::look;
use super::turn::{Manner, Turn, act};
use super::working::Working;
use super::world::World;
use super::{Reason, Standing};
use crate::object::{ObjectKey, Record};
use crate::rule::edit::{Claim, meets};
use crate::rule::{Mode, Rule, set::RuleIndex};
use serde_json::Value;
use std::sync::Arc;

/// After so many conflicts settled place by place, the lower rule of the next one stops as a whole: an end to any tangle.
const MOST_PLACES: usize = 32;

/// What was settled so far in a pass. Every settlement begins the pass again, under it.
#[derive(Default)]
pub(super) struct Settled {
    /// Places at which a rule writes nothing.
    barred: Vec<(RuleIndex, Vec<Box<str>>)>,
    /// Rules that do nothing to this object.
    stopped: Vec<RuleIndex>,
    /// Rules whose turn is before that of all others: another one makes its value from what they write.
    first: Vec<RuleIndex>,
    pub findings: Vec<(RuleIndex, Reason, String)>,
    /// What the rules want of the object that others may have as a target.
    pub wants: Vec<Want>,
    places: usize,
}

impl Settled {
    pub fn barred(&self, rule: RuleIndex) -> &[Box<str>] {
        self.barred
            .iter()
            .find(|(index, _)| *index == rule)
            .map_or(&[], |(_, pointers)| pointers)
    }

    pub fn is_stopped(&self, rule: RuleIndex) -> bool {
        self.stopped.contains(&rule)
    }

    /// Whether some rule's turn is not in the order of priorities and names.
    pub fn reorders(&self) -> bool {
        !self.first.is_empty()
    }

    pub fn is_first(&self, rule: RuleIndex) -> bool {
        self.first.contains(&rule)
    }

    fn bar(&mut self, rule: RuleIndex, pointer: &str) {
        self.places += 1;
        if self.places > MOST_PLACES {
            self.stop(rule);
            return;
        }
        match self.barred.iter_mut().find(|(index, _)| *index == rule) {
            Some((_, pointers)) => pointers.push(pointer.into()),
            None => self.barred.push((rule, vec![pointer.into()])),
        }
    }

    fn stop(&mut self, rule: RuleIndex) {
        if !self.stopped.contains(&rule) {
            self.stopped.push(rule);
        }
    }

    fn find(&mut self, rule: RuleIndex, message: String) {
        let finding = (rule, Reason::Conflict, message);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Takes down what a rule wants of the object.
    pub fn note_wants(&mut self, world: &World<'_>, (index, turn): (RuleIndex, &Turn)) {
        let rule = &world.context.rules.rules()[index];
        for claim in turn.claims.iter().filter(|claim| !claim.from_current) {
            self.note_want(rule, world.subject.key, claim);
        }
    }

    fn note_want(&mut self, rule: &Rule, object: &ObjectKey, claim: &Claim) -> Want {
        let want = Want::at(&rule.name, object, claim);
        match self.wants.iter_mut().find(|known| known.rule == want.rule) {
            Some(known) => *known = want.clone(),
            None => self.wants.push(want.clone()),
        }
        want
    }

    /// Compares a turn with what rules want of the object that have it as a target. True: something was settled, the pass begins again.
    pub fn meet(&mut self, world: &World<'_>, (index, turn): (RuleIndex, &Turn)) -> bool {
        let rule = &world.context.rules.rules()[index];
        let object = world.subject.key;
        let mut settled = false;
        for claim in turn.claims.iter().filter(|claim| !claim.from_current) {
            let want = self.note_want(rule, object, claim);
            let place = &claim.pointer;
            for opponent in world.context.opposing(&want) {
                if opponent.subject == *object {
                    // The rules that are about the object are compared in its own pass.
                    continue;
                }
                match against(world, rule, (&opponent, object), place) {
                    None => {}
                    Some(Against::Higher(told)) => {
                        self.find(index, format!("{told}; this rule leaves it alone"));
                        self.bar(index, place);
                        settled = true;
                    }
                    Some(Against::Equal(told)) => {
                        self.find(
                            index,
                            format!("{told}; both leave the object alone until one has a higher `priority`"),
                        );
                        self.stop(index);
                        return true;
                    }
                    Some(Against::Acting(told)) => {
                        self.find(index, told);
                        self.stop(index);
                        return true;
                    }
                }
            }
        }
        settled
    }

    /// Compares a turn with those before it in the same round. True: something was settled, the pass begins again.
    /// `start` is the state at the round's start.
    pub fn settle(
        &mut self,
        world: &World<'_>,
        (index, turn): (RuleIndex, &Turn),
        earlier: &[(RuleIndex, Claim)],
        start: &Record,
    ) -> bool {
        let rules = world.context.rules.rules();
        let mut own: Option<Vec<Claim>> = None;
        let mut settled = false;
        for claim in turn.claims.iter().filter(|c| !c.from_current) {
            let Some((other, their)) = earlier.iter().find(|(other, theirs)| {
                *other != index && !gives_way(claim, theirs) && contradict(claim, theirs)
            }) else {
                continue;
            };
            // Would the rule want this also without the others? Only then do the two disagree; else it starts from their result.
            let own = own.get_or_insert_with(|| {
                wants(world, (index, &rules[index]), start, self.barred(index))
            });
            let same = |c: &Claim| c.pointer == claim.pointer && c.value == claim.value;
            if !own.iter().any(same) {
                continue;
            }
            settled = true;
            // The other one makes its value from what stands there: it starts from this one's result, whatever their names are.
            if their.from_current && !self.is_first(index) {
                self.first.push(index);
                return true;
            }
            let (mine, theirs) = (&rules[index], &rules[*other]);
            let place = &claim.pointer;
            if let Some(mine_is_told) = only_told(world, mine, theirs) {
                let mut audits = (index, mine, place);
                let mut acts = (*other, theirs, &their.pointer);
                if !mine_is_told {
                    std::mem::swap(&mut audits, &mut acts);
                }
                self.find(audits.0, told_of_audit(audits.2, audits.1, acts.1, ""));
                self.find(acts.0, told_of_acting(acts.2, acts.1, audits.1));
                match audits.1.priority > acts.1.priority {
                    true => self.bar(audits.0, audits.2),
                    false => self.stop(audits.0),
                }
                return true;
            }
            if theirs.priority > mine.priority {
                self.find(
                    index,
                    format!(
                        "{place}: rule `{}` of higher priority wants another value there; this rule leaves it alone",
                        theirs.name
                    ),
                );
                self.bar(index, place);
            } else {
                for (rule, with) in [(index, theirs), (*other, mine)] {
                    self.find(
                        rule,
                        format!(
                            "{place}: rule `{}` of the same priority wants another value there; both leave the object alone until one has a higher `priority`",
                            with.name
                        ),
                    );
                    self.stop(rule);
                }
                return true;
            }
        }
        settled
    }
}

/// A rule that stands in the way of another one, and how that is told.
pub(super) enum Against {
    /// One of higher priority.
    Higher(String),
    /// One of the same.
    Equal(String),
    /// In a plan: one that enforces, where this one is in Audit and would not give way to it.
    Acting(String),
}

/// Of two rules, whether the one that is in Audit, and so not in the way of the other, which enforces, is the first of them. A plan takes
/// both as enforcing, and says what would be then. `None`: both are alike, or the one that enforces is of higher priority anyway.
fn only_told(world: &World<'_>, one: &Rule, other: &Rule) -> Option<bool> {
    let context = world.context;
    let plans = context.assume_enforce && context.ahead;
    // A test has all of them enforce.
    if context.assume_enforce && !plans {
        return None;
    }
    let enforces = |rule: &Rule| rule.mode == Mode::Enforce;
    let meets = |audits: &Rule, acts: &Rule| {
        audits.priority == acts.priority || (plans && audits.priority > acts.priority)
    };
    match (enforces(one), enforces(other)) {
        (false, true) if meets(one, other) => Some(true),
        (true, false) if meets(other, one) => Some(false),
        _ => None,
    }
}

/// What is told of a rule in Audit that wants something else at a place than one that enforces, for some subject.
fn told_of_audit(place: &str, audits: &Rule, acts: &Rule, whose: &str) -> String {
    let would = match audits.priority > acts.priority {
        true => "if this one enforced, that one, of lower priority, would leave it alone",
        false => {
            "if both enforced, both would leave the object alone until one has a higher `priority`"
        }
    };
    format!(
        "{place}: rule `{}` wants another value there{whose}, and acts, as this rule is in Audit; {would}",
        acts.name
    )
}

/// What is told of the one that enforces.
fn told_of_acting(place: &str, acts: &Rule, audits: &Rule) -> String {
    let would = match audits.priority > acts.priority {
        true => "if that one, of higher priority, enforced, this rule would leave it alone",
        false => {
            "if both enforced, both would leave the object alone until one has a higher `priority`"
        }
    };
    format!(
        "{place}: rule `{}` wants another value there, but is in Audit: this rule acts; {would}",
        audits.name
    )
}

/// What comes of it that another rule wants something else of an object than a rule does at a place; nothing, where this one is the higher one.
pub(super) fn against(
    world: &World<'_>,
    rule: &Rule,
    (opponent, object): (&Opponent, &ObjectKey),
    place: &str,
) -> Option<Against> {
    let context = world.context;
    let Opponent {
        rule: other,
        subject,
        place: theirs,
    } = opponent;
    let rival = context.rules.get(other)?;
    let enforces = context.assume_enforce || rival.mode == Mode::Enforce;
    let whose = match subject == object {
        true => String::new(),
        false => format!(", for {subject}"),
    };
    match only_told(world, rule, rival) {
        Some(true) => return Some(Against::Acting(told_of_audit(place, rule, rival, &whose))),
        Some(false) => return None,
        None => {}
    }
    if !enforces || rival.priority < rule.priority {
        return None;
    }
    let at = match **theirs == *place {
        true => "there".to_owned(),
        false => format!("at {theirs}"),
    };
    Some(match rival.priority > rule.priority {
        true => Against::Higher(format!(
            "{place}: rule `{other}` of higher priority wants another value {at}{whose}"
        )),
        false => Against::Equal(format!(
            "{place}: rule `{other}` of the same priority wants another value {at}{whose}"
        )),
    })
}

/// Whether two rules cannot both have what they want of an object.
pub fn opposes(a: &Claim, b: &Claim) -> bool {
    !gives_way(a, b) && contradict(a, b)
}

/// What a rule wants of a state, also where that is so already.
fn wants(
    world: &World<'_>,
    (index, rule): (RuleIndex, &Arc<Rule>),
    state: &Record,
    barred: &[Box<str>],
) -> Vec<Claim> {
    let mut alone = Working::new(state);
    let mut turn = look(world, rule, &alone);
    if turn.standing == (Standing::Matched { acts: false }) {
        let manner = Manner {
            index,
            ahead: true,
            chained: false,
            barred,
            claim_all: true,
            has_changed: false,
        };
        act(world, rule, &mut alone, manner, &mut turn);
    }
    turn.claims
}

/// Whether one of two claims is only for want of a value, and the other has one.
fn gives_way(a: &Claim, b: &Claim) -> bool {
    (a.yields && b.value.is_some()) || (b.yields && a.value.is_some())
}

/// Whether two claims cannot both hold: one place is the other or lies above it, and the values there differ.
fn contradict(a: &Claim, b: &Claim) -> bool {
    if !meets(&a.pointer, &b.pointer) {
        return false;
    }
    let (above, below) = if a.pointer.len() <= b.pointer.len() {
        (a, b)
    } else {
        (b, a)
    };
    let rest = &below.pointer[above.pointer.len()..];
    let there = above.value.as_ref().and_then(|v| resolve(v, rest));
    match (there, below.value.as_ref()) {
        // What a partial value does not name, it does not care about.
        (None, _) if above.partial && !rest.is_empty() => false,
        (there, wanted) => there != wanted,
    }
}

/// Follows a claim's pointer into a value.
fn resolve<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    pointer.split('/').skip(1).try_fold(value, |value, token| {
        let token = token.replace("~1", "/").replace("~0", "~");
        match value {
            Value::Object(map) => map.get(&token),
            Value::Array(list) => match token.parse::<usize>() {
                Ok(index) => list.get(index),
                Err(_) => list.iter().find(|element| is_named(element, &token)),
            },
            _ => None,
        }
    })
}

/// Whether a token (`name=app`, `containerPort=80,protocol=TCP`, `=scalar`) names this element.
fn is_named(element: &Value, token: &str) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if let Some(scalar) = token.strip_prefix('=') {
        return text(element) == scalar;
    }
    token.split(',').all(|pair| {
        pair.split_once('=')
            .is_some_and(|(key, value)| element.get(key).is_some_and(|v| text(v) == value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claim(pointer: &str, value: Value, partial: bool) -> Claim {
        Claim {
            pointer: pointer.into(),
            value: (!value.is_null()).then_some(value),
            partial,
            from_current: false,
            yields: false,
        }
    }

    #[test]
    fn claims_contradict_where_they_meet_and_differ() {
        let app = "/spec/containers/name=app";
        let cases = [
            (("/a", json!(1), false), ("/a", json!(2), false), true),
            (("/a", json!(1), false), ("/a", json!(1), false), false),
            (("/a", json!(1), false), ("/ab", json!(2), false), false),
            (
                ("/a", json!({"b": 1}), false),
                ("/a/b", json!(1), false),
                false,
            ),
            (
                ("/a", json!({"b": 1}), false),
                ("/a/b", json!(2), false),
                true,
            ),
            (
                ("/a", json!({"b": 1}), false),
                ("/a/c", json!(2), false),
                true,
            ),
            (("/a", json!(null), false), ("/a/c", json!(2), false), true),
            (
                ("/a", json!(null), false),
                ("/a/c", json!(null), false),
                false,
            ),
            (
                (app, json!({"name": "app"}), true),
                ("/spec/containers/name=app/image", json!("x"), false),
                false,
            ),
            (
                (app, json!({"image": "y"}), true),
                ("/spec/containers/name=app/image", json!("x"), false),
                true,
            ),
            (
                (app, json!({"image": "y"}), true),
                (app, json!({"image": "x"}), true),
                true,
            ),
            (
                (app, json!({"image": "y"}), true),
                ("/spec/containers/name=b/image", json!("x"), false),
                false,
            ),
            (
                (
                    "/spec/containers",
                    json!([{"name": "app", "image": "x"}]),
                    false,
                ),
                ("/spec/containers/name=app/image", json!("x"), false),
                false,
            ),
            (
                ("/f", json!(["a/b"]), false),
                ("/f/=a~1b", json!("a/b"), false),
                false,
            ),
            (
                ("/f", json!(["c"]), false),
                ("/f/=a~1b", json!("a/b"), false),
                true,
            ),
        ];
        for ((ap, av, apart), (bp, bv, bpart), expected) in cases {
            let (a, b) = (claim(ap, av, apart), claim(bp, bv, bpart));
            assert_eq!(contradict(&a, &b), expected, "{a:?} {b:?}");
            assert_eq!(contradict(&b, &a), expected, "{b:?} {a:?}");
        }
    }
}
