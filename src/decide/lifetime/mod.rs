//! `lifetime: WhileMatched`: what a rule changes on its subject it gives back when its match ends.
//!
//! `former` the values themselves. What they were is written with the change ([`state_annotation`](super::state_annotation)). A pass begins
//! with what has ended: those fields get their former values back before any rule looks, so that a rule that takes another's place starts from
//! them, and so that a renamed rule changes nothing but the annotation. Rules that are `Off`, in Audit or held back hold what they have.

mod former;

use super::apply::BETWEEN;
use super::look::{is_out_of_scope, look};
use super::patch;
use super::protect::protected_target;
use super::state_annotation::{self, Said, SubjectState, TooLarge};
use super::steps::At;
use super::turn::{Manner, Turn};
use super::working::{Snapshot, Working};
use super::world::World;
use super::{Reason, Standing};
use crate::object::difference::{is_secret, is_secret_place};
use crate::object::{Meta, ObjectKey, Record};
use crate::rule::edit::{self, Edit, EditContext, Endpoint};
use crate::rule::expr::{ExprFault, Scope, Variables};
use crate::rule::set::RuleIndex;
use crate::rule::{Action, Lifetime, Mode, Occasion, Rule, Verb};
use crate::schema::KindSchema;
use serde_json::Value;
use std::sync::Arc;

/// What a rule gives back on one object.
pub(super) struct End {
    /// Name of the rule.
    pub rule: Arc<str>,
    /// Where it stands in the set; `None`: it is gone.
    pub index: Option<RuleIndex>,
    pub mode: Mode,
    /// Not held back: it is done, and not only told.
    pub acts: bool,
    /// The states around each of its parts.
    pub effects: Vec<(Record, Record)>,
    pub findings: Vec<(Reason, String)>,
    /// Why it has ended.
    pub why: &'static str,
    state: SubjectState,
    /// The places that it holds on.
    keep: Vec<Box<str>>,
}

/// Whether an object carries state of some rule.
pub(super) fn concerns(record: &Record) -> bool {
    state_annotation::rules(record).next().is_some()
}

/// What an object says of a rule of this installation.
fn own(world: &World<'_>, meta: Meta<'_>, rule: &str) -> Said {
    SubjectState::read_own(meta, rule, world.context.state_namespace)
}

/// Everything that has ended for the subject of a pass, and the state in which the others find it.
pub(super) fn ends(world: &World<'_>, indexes: &[RuleIndex]) -> (Snapshot, Vec<End>) {
    let record = world.subject.record;
    if world.context.occasion != Occasion::Reconcile
        || !concerns(record)
        || record.meta().is_deleting()
        // What has ended is not the business of one that is asked alone.
        || world.context.alone.is_some()
    {
        return (Snapshot::default(), vec![]);
    }
    let meta = record.meta();
    let mut working = Working::new(record);
    let mut ends: Vec<End> = vec![];
    for name in state_annotation::rules(record) {
        if ends.iter().any(|end| &*end.rule == name) {
            continue;
        }
        if let Said::State(state) = own(world, meta, name)
            && !state.former.is_empty()
            && let Some(end) = ending(world, indexes, name, &working, &state)
        {
            ends.push(end);
        }
    }
    // One may have written over what another had written: from the last one down.
    let schema = world.schema.as_deref();
    loop {
        let mut progress = false;
        for end in ends.iter_mut().filter(|end| end.acts) {
            let before = working.record().clone();
            let (state, keep) = (&mut end.state, &end.keep);
            if working.change(|tree| former::put_back(tree, state, keep, schema)) {
                end.effects.push((before, working.record().clone()));
                progress = true;
            }
        }
        if !progress {
            break;
        }
    }
    let taken: Vec<Arc<str>> = ends
        .iter()
        .filter(|end| end.acts)
        .map(|end| end.rule.clone())
        .collect();
    for end in ends.iter_mut().filter(|end| end.acts) {
        let before = working.record().clone();
        let (state, keep) = (&mut end.state, &end.keep);
        let left = conclude(world, &end.rule, state, keep, &mut working, &taken);
        end.findings.extend(left);
        end.effects.push((before, working.record().clone()));
    }
    // What is held back is only told.
    let state = working.snapshot();
    for end in ends.iter_mut().filter(|end| !end.acts) {
        let before = working.record().clone();
        let (kept, keep) = (&mut end.state, &end.keep);
        working.change(|tree| former::put_back(tree, kept, keep, schema));
        conclude(world, &end.rule, kept, keep, &mut working, &taken);
        end.effects.push((before, working.record().clone()));
        working.restore(state.clone());
    }
    (state, ends)
}

/// Whether what a rule holds of the subject has ended, and whether it may give it back now.
fn ending(
    world: &World<'_>,
    indexes: &[RuleIndex],
    name: &str,
    working: &Working<'_>,
    state: &SubjectState,
) -> Option<End> {
    let context = world.context;
    if world.ignored.entirely || world.ignored.rule(name) {
        return None;
    }
    let subjects = &state.subjects;
    let end = |rule: &Arc<str>, why| End {
        rule: rule.clone(),
        index: None,
        mode: Mode::Enforce,
        acts: true,
        effects: vec![],
        findings: vec![],
        why,
        state: state.clone(),
        keep: vec![],
    };
    let Some(index) = context.rules.index_of(name) else {
        let gone = context.neighbours.is_gone(name);
        return gone.then(|| end(&name.into(), "the rule is gone"));
    };
    let rule = &context.rules.rules()[index];
    if rule.mode == Mode::Off {
        return None;
    }
    let mut keep = vec![];
    let why = if !subjects.is_empty() {
        keep = held_for(world, index, state)?;
        let own = || matches_itself(world, indexes, index, working);
        if keep.len() == state.former.len() || own() {
            return None;
        }
        match keep.is_empty() {
            true => "nothing that the rule matches has it as a target any more",
            false => "nothing that the rule matches changes this of it any more",
        }
    } else if !holds(rule) {
        "the rule no longer says `lifetime: WhileMatched`"
    } else if !indexes.contains(&index) {
        "the rule is not about this kind any more"
    } else if is_out_of_scope(world, rule, working) {
        "the object is out of the rule's scope"
    } else if has_ended(look(world, rule, working).standing) {
        "the match has ended"
    } else {
        return None;
    };
    let verb = verb(rule);
    let protected = protected_target(
        (rule, verb),
        world.subject.key,
        Some(working.record().meta()),
        context.state_namespace,
    );
    // A narrowed `enforceFor` holds what was done, as Audit does.
    let chosen = match subjects.as_slice() {
        [] => world.chosen(rule),
        subjects => context.neighbours.enforces_for(index, subjects),
    };
    let enforces = context.assume_enforce || rule.mode == Mode::Enforce;
    let mut end = End {
        index: Some(index),
        mode: match rule.mode {
            Mode::Enforce if !chosen => Mode::Audit,
            mode => mode,
        },
        acts: enforces && chosen && protected.is_none() && (context.returns)(index),
        keep,
        ..end(&rule.name, why)
    };
    end.findings.extend(protected.map(|why| {
        let verb = verb.as_str();
        (Reason::Protected, format!("protected from {verb}: {why}"))
    }));
    Some(end)
}

/// The places of the subject, of those that a rule holds for others, that it holds on for some of them. `None`: it is not known now.
fn held_for(world: &World<'_>, index: RuleIndex, state: &SubjectState) -> Option<Vec<Box<str>>> {
    let places: Vec<Box<str>> = state.former.iter().map(|f| f.pointer.clone()).collect();
    let by = (&*state.subjects, &*places);
    let neighbours = world.context.neighbours;
    let held = neighbours.still_held(index, world.subject.key, by)?;
    let held = places.into_iter().zip(held).filter(|(_, held)| *held);
    Some(held.map(|(place, _)| place).collect())
}

/// Whether what a rule holds of an object may also be held for that itself: what it then does not change any more comes back at the end of its
/// turn ([`release`]).
fn matches_itself(
    world: &World<'_>,
    indexes: &[RuleIndex],
    index: RuleIndex,
    working: &Working<'_>,
) -> bool {
    let rule = &world.context.rules.rules()[index];
    holds(rule)
        && indexes.contains(&index)
        && !is_out_of_scope(world, rule, working)
        && !has_ended(look(world, rule, working).standing)
}

fn has_ended(standing: Standing) -> bool {
    matches!(standing, Standing::Unmatched | Standing::NotPicked)
}

/// Whether some step of a rule changes its subject only while it matches.
pub(super) fn holds(rule: &Rule) -> bool {
    rule.steps.iter().any(|step| {
        step.lifetime == Lifetime::WhileMatched
            && step.target.is_none()
            && matches!(step.action, Action::Patch { .. } | Action::Scale { .. })
    })
}

/// What a rule's giving back is called: as what it did.
fn verb(rule: &Rule) -> Verb {
    let mut steps = rule.steps.iter();
    let patches = steps.any(|step| matches!(step.action, Action::Patch { .. }));
    let scales = rule.steps.iter().any(|step| {
        step.lifetime == Lifetime::WhileMatched && matches!(step.action, Action::Scale { .. })
    });
    match !patches && scales {
        true => Verb::Scale,
        false => Verb::Patch,
    }
}

/// After everything was put back that stood as the rule had left it: hands over what another rule has written over since, tells what
/// somebody else has changed, and writes down what is left. `ended`: rules that are not asked.
fn conclude(
    world: &World<'_>,
    rule: &str,
    state: &mut SubjectState,
    keep: &[Box<str>],
    working: &mut Working<'_>,
    ended: &[Arc<str>],
) -> Vec<(Reason, String)> {
    let schema = world.schema.as_deref();
    let record = working.record().clone();
    let meta = record.meta();
    let mut findings = vec![];
    working.change(|tree| {
        former::drop_restored(tree, state, keep, schema);
        let mut others: Vec<(Arc<str>, SubjectState)> = state_annotation::rules(&record)
            .filter(|name| *name != rule && ended.iter().all(|e| **e != **name))
            .filter_map(|name| match own(world, meta, name) {
                Said::State(state) => Some((name.into(), state)),
                _ => None,
            })
            .collect();
        let (kept, left): (Vec<_>, Vec<_>) = std::mem::take(&mut state.former)
            .into_iter()
            .partition(|former| keep.contains(&former.pointer));
        state.former = kept;
        for former in left {
            let mut above = others.iter_mut().flat_map(|(_, state)| &mut state.former);
            let above = above.find(|f| f.pointer == former.pointer && f.was == former.set);
            if let Some(above) = above {
                above.was = former.was;
                above.made = above.made.max(former.made);
                continue;
            }
            let place = &former.pointer;
            findings.push((
                Reason::TakenOver,
                format!(
                    "{place} is not as the rule left it: somebody else has changed it since, and it stays as it is"
                ),
            ));
        }
        for (name, other) in others {
            // It was read from the annotation, and what changed in it was there before.
            let _ = other.write(meta, &name, tree);
        }
        let _ = state.write(meta, rule, tree);
    });
    findings
}

/// One edit of a step with `lifetime: WhileMatched`: what stands there is written down with the change. Answers whether it changed something.
pub(super) fn hold(
    world: &World<'_>,
    rule: &Rule,
    (edit, item): (&Edit, Option<&Record>),
    working: &mut Working<'_>,
    (manner, variables, creates): (Manner<'_>, Option<&Variables>, bool),
    turn: &mut Turn,
) -> Result<bool, ExprFault> {
    let how = (manner, variables, creates);
    let before = working.record().clone();
    let (applied, found) = (turn.applied.clone(), turn.found.clone());
    let previous = turn.previous.clone();
    let scope = Scope {
        applied: applied.as_ref().map(Record::root),
        found: found.as_ref().map(Record::root),
        item: item.map(Record::root),
        previous: previous.as_ref().map(Record::root),
        ..world.scope(&before, variables)
    };
    let schema = world.schema.as_deref();
    let context = EditContext {
        schema,
        endpoint: Endpoint::Main,
        barred: &[],
        answers: None,
        fixed: patch::fixed_fields(world, creates),
    };
    let Some(places) = edit::about(edit, &scope, &context)? else {
        return patch::patch(world, (edit, item), Endpoint::Main, working, how, turn);
    };
    turn.held.extend(places.iter().cloned());
    let secret = is_secret(&world.subject.key.kind) && places.iter().any(|p| is_secret_place(p));
    if secret {
        turn.find(
            Reason::NotKept,
            "the edit is not made: what a Secret holds is never kept in an annotation, so it could not be given back".into(),
        );
        return Ok(false);
    }
    let (snapshot, changed) = (working.snapshot(), turn.changed);
    if !patch::patch(world, (edit, item), Endpoint::Main, working, how, turn)? {
        return Ok(false);
    }
    let why = match own(world, before.meta(), &rule.name) {
        Said::Foreign(by) => format!(
            "the edit is not made: a rule of the same name of another installation (in namespace {by}) holds fields of this object"
        ),
        Said::Newer(version) => format!(
            "the annotation of the rule has format {version}, and this version knows {}: it is left alone",
            state_annotation::VERSION
        ),
        said => {
            let mut state = match said {
                Said::State(state) => state,
                _ => SubjectState {
                    by: world.context.state_namespace.into(),
                    ..SubjectState::default()
                },
            };
            let after = working.record().clone();
            former::note(&mut state, &places, (&before, &after), schema);
            match working.change(|tree| state.write(after.meta(), &rule.name, tree)) {
                Ok(()) => return Ok(true),
                Err(TooLarge(size)) => format!(
                    "the edit is not made: former values of {size} bytes would have to be kept in an annotation, and {} fit",
                    state_annotation::LARGEST
                ),
            }
        }
    };
    turn.find(Reason::NotKept, why);
    working.restore(snapshot);
    turn.found.take_if(|_| !changed);
    turn.changed = changed;
    Ok(false)
}

/// What a rule keeps hold of where a step with a target writes: the name under which it wants the object for its subject.
pub fn held(rule: &str) -> Arc<str> {
    format!("{rule}{BETWEEN}held").into()
}

/// As [`held`], of one place of the object (RFC 6901).
pub fn held_at(rule: &str, place: &str) -> Arc<str> {
    format!("{rule}{BETWEEN}held{place}").into()
}

/// Writes down on the copy of a target what stood at some places before, and for which subject it was changed.
///
/// # Errors
/// What cannot be written down, for people.
pub(super) fn note_on(
    (world, rule): (&World<'_>, &Rule),
    places: &[Box<str>],
    before: &Record,
    working: &mut Working<'_>,
    schema: Option<&KindSchema>,
) -> Result<(), String> {
    let mut state = match own(world, before.meta(), &rule.name) {
        Said::State(state) => state,
        Said::Nothing => SubjectState {
            by: world.context.state_namespace.into(),
            ..SubjectState::default()
        },
        Said::Foreign(by) => {
            return Err(format!(
                "a rule of the same name of another installation (in namespace {by}) holds fields of it"
            ));
        }
        Said::Newer(version) => {
            return Err(format!(
                "the annotation of the rule has format {version}, and this version knows {}",
                state_annotation::VERSION
            ));
        }
    };
    let after = working.record().clone();
    former::note(&mut state, places, (before, &after), schema);
    let subject = world.subject;
    let known = |(key, _): &(ObjectKey, String)| key == subject.key;
    if !state.subjects.iter().any(known) {
        let uid = subject.record.meta().uid().to_owned();
        state.subjects.insert(0, (subject.key.clone(), uid));
        state.subjects.truncate(state_annotation::MOST_SUBJECTS);
    }
    working.remember(&state, &rule.name).map_err(|large| {
        format!(
            "former values of {} bytes would have to be kept in an annotation, and {} fit",
            large.0,
            state_annotation::LARGEST
        )
    })
}

/// A step that has acted for its key holds what it then changed, as long as the match lasts.
pub(super) fn keep(
    at: &At<'_>,
    item: Option<&Record>,
    record: &Record,
    turn: &mut Turn,
) -> Result<(), ExprFault> {
    let names = turn.names();
    let scope = names.scope(at, record, item);
    let context = EditContext {
        schema: at.world.schema.as_deref(),
        endpoint: Endpoint::Main,
        barred: &[],
        answers: None,
        fixed: patch::fixed_fields(at.world, false),
    };
    let kind = &at.world.subject.key.kind;
    let edits: Vec<&Edit> = match &at.step.action {
        Action::Patch { edits, .. } => edits.iter().collect(),
        Action::Scale { edits } => {
            let of_kind = edits.iter().filter(|(kinds, _)| kinds.contains(kind));
            of_kind.map(|(_, edit)| edit).collect()
        }
        _ => vec![],
    };
    for edit in edits {
        if let Some(places) = edit::about(edit, &scope, &context)? {
            turn.held.extend(places);
        }
    }
    Ok(())
}

/// At the end of a turn that took every step: what the rule holds and no step of it is about any more gets its former value back.
pub(super) fn release(world: &World<'_>, rule: &Rule, working: &mut Working<'_>, turn: &mut Turn) {
    if !working.record().may_carry_state() || world.context.occasion != Occasion::Reconcile {
        return;
    }
    let Said::State(mut state) = own(world, working.record().meta(), &rule.name) else {
        return;
    };
    let mut held = turn.held.clone();
    if !state.subjects.is_empty() {
        let index = world.context.rules.index_of(&rule.name);
        let Some(for_others) = index.and_then(|index| held_for(world, index, &state)) else {
            return;
        };
        if for_others.is_empty() {
            state.subjects.clear();
        }
        held.extend(for_others);
    }
    let held = &*held;
    if state.former.iter().all(|f| held.contains(&f.pointer)) {
        return;
    }
    let schema = world.schema.as_deref();
    working.change(|tree: &mut Value| former::put_back(tree, &mut state, held, schema));
    let findings = conclude(world, &rule.name, &mut state, held, working, &[]);
    turn.changed = true;
    for (reason, message) in findings {
        turn.find(reason, message);
    }
}
