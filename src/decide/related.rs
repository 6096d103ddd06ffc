//! The lists of a rule for one subject: which candidates belong to them, and whether there are as many as the rule asks for.

use super::turn::{Turn, earlier};
use super::world::World;
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::Rule;
use crate::rule::expr::Variables;
use crate::rule::path::PodPrefix;
use crate::rule::related::{Candidate, List, Lists, Related};
use crate::rule::test::{self, TestRun, Verdict};
use ahash::AHashMap;
use jiff::Timestamp;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::sync::Arc;

/// What the lists of each rule came to, so that the rounds of a pass need not ask again: by the rule's address.
#[derive(Default)]
pub(super) struct Memo(RefCell<AHashMap<usize, Remembered>>);

#[derive(Clone)]
struct Remembered {
    /// The state of the subject that was asked.
    record: Record,
    lists: Arc<Lists>,
    verdict: Verdict,
    recheck_at: Option<Timestamp>,
    wrong_types: Vec<String>,
}

/// Computes the lists of a rule, and asks their counts. What they are is in the turn's variables from then on.
pub(super) fn lists(world: &World<'_>, rule: &Rule, record: &Record, turn: &mut Turn) -> Verdict {
    let address = std::ptr::from_ref(rule) as usize;
    let known = world.lists.0.borrow().get(&address).cloned();
    let all = match known.filter(|known| known.record.is_same(record)) {
        Some(known) => known,
        None => {
            let all = compute(world, rule, record);
            world.lists.0.borrow_mut().insert(address, all.clone());
            all
        }
    };
    turn.recheck(all.recheck_at);
    turn.wrong_types.extend(all.wrong_types);
    turn.variables = Some(Variables::of_lists(all.lists.clone()));
    turn.lists = Some(all.lists);
    all.verdict
}

fn compute(world: &World<'_>, rule: &Rule, record: &Record) -> Remembered {
    let mut done = Remembered {
        record: record.clone(),
        lists: Arc::default(),
        verdict: Verdict::Pass,
        recheck_at: None,
        wrong_types: vec![],
    };
    for (place, list) in rule.related.iter().enumerate() {
        let above = Variables::of_lists(done.lists.clone());
        let found = members(world, (rule, place, list), (record, &above), &mut done);
        drop(above);
        Arc::make_mut(&mut done.lists).push(found);
        let Some(count) = &list.count else { continue };
        let variables = Variables::of_lists(done.lists.clone());
        let scope = world.scope(record, Some(&variables));
        let mut run = TestRun {
            scope: &scope,
            recheck_at: None,
            trace: None,
        };
        done.verdict = test::all(std::slice::from_ref(count), &mut run);
        if done.verdict != Verdict::Pass {
            break;
        }
    }
    done
}

fn members(
    world: &World<'_>,
    (rule, place, list): (&Rule, usize, &Related),
    (record, above): (&Record, &Variables),
    done: &mut Remembered,
) -> List {
    let unknown = |why: &str| List::unknown(why, list.one);
    let scope = world.scope(record, Some(above));
    let key = world.subject.key;
    let home = match world.is_namespace {
        true => Some(&key.name),
        false => key.namespace.as_ref(),
    };
    let question = match list.question(&rule.name, &scope, (key, home)) {
        Ok(question) => question,
        Err(why) => return unknown(&why),
    };
    let neighbours = world.context.neighbours;
    let candidates = match neighbours.candidates(rule, place, question.probe()) {
        Ok(candidates) => candidates,
        Err(why) => return unknown(&why),
    };
    let schema = world.context.rules.schema();
    let mut pods: SmallVec<[(&GroupKind, PodPrefix); 4]> = SmallVec::new();
    let mut namespace_of = |name: &str| {
        let namespace = ObjectKey::new(GroupKind::new("", "Namespace"), None, name);
        neighbours.get(&namespace)
    };
    let mut members = vec![];
    for candidate in candidates {
        let known = pods.iter().find(|(kind, _)| **kind == candidate.key.kind);
        let pod = match known {
            Some((_, pod)) => *pod,
            None => {
                let pod = schema
                    .kind(&candidate.key.kind)
                    .and_then(|s| s.pod_prefix());
                let kind = list.kinds.iter().find(|k| k.kind == candidate.key.kind);
                pods.extend(kind.map(|k| (&k.kind, pod)));
                pod
            }
        };
        let asked = Candidate {
            kind: &candidate.key.kind,
            record: &candidate.record,
            pod,
        };
        let membership = question.admits((&candidate.key, asked), &mut namespace_of);
        done.recheck_at = earlier(done.recheck_at, membership.recheck_at);
        match membership.verdict {
            Verdict::Pass => members.push(candidate),
            Verdict::Fail => {}
            Verdict::WrongType(reason) => {
                if !done.wrong_types.contains(&reason) {
                    done.wrong_types.push(reason);
                }
            }
            Verdict::Unknown(why) | Verdict::Failed(why) => return unknown(&why),
        }
    }
    List::known(members, list.one)
}
