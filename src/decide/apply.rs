//! `apply`: what a subject's manifest asks of another object, whatever state that is in.

use super::protect::{Ignored, protected_target};
use super::state_annotation::{Said, SubjectState};
use super::steps::At;
use super::turn::Turn;
use super::wait::{self, Awaited};
use super::world::World;
use super::{Operation, Reason, RuleChange, Wanted, Write, answered, once};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::apply::ownership::{self, Ownership};
use crate::rule::apply::{Apply, Rendered, fields, owner_reference};
use crate::rule::edit::Claim;
use crate::rule::expr::ExprFault;
use crate::rule::pick::Rank;
use crate::rule::related::{Member, Probe};
use crate::rule::schedule::Schedule;
use crate::rule::set::RuleIndex;
use crate::rule::{Rule, Verb};
use crate::schema::KindSchema;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, LazyLock};

/// What a pass may know of objects other than its subject.
///
/// What is said where nothing else is stands for a pass that only looks: no request is under way, nobody else wants anything.
pub trait Neighbours {
    /// An object as last seen; `None` if there is none.
    ///
    /// # Errors
    /// It is not known, and why.
    fn get(&self, object: &ObjectKey) -> Result<Option<Record>, String>;

    /// The objects that may belong to a list of a rule: every one that lies under the keys, and perhaps others.
    ///
    /// # Errors
    /// They are not known, and why.
    fn candidates(&self, rule: &Rule, list: usize, probe: &Probe) -> Result<Vec<Member>, String>;

    /// What became of this very request in this very state, and whether it may be made.
    fn prospect(&self, _rule: RuleIndex, _write: &Write) -> Prospect {
        Prospect::New
    }

    /// Whether a request on an object is under way, or its result not seen yet.
    fn is_coming(&self, _object: &ObjectKey) -> bool {
        false
    }

    /// Another subject for which the same rule wants other contents of an object.
    fn disagreeing(
        &self,
        _object: &ObjectKey,
        _rule: &str,
        _subject: &ObjectKey,
        _contents: u64,
    ) -> Option<ObjectKey> {
        None
    }

    /// The other rules that want something of an object that cannot be beside what is wanted at a place of it.
    fn opposing(&self, _want: &Want) -> Vec<Opponent> {
        vec![]
    }

    /// The subjects for which a rule wants these contents of an object.
    fn agreeing(&self, _object: &ObjectKey, _rule: &str, _contents: u64) -> Vec<ObjectKey> {
        vec![]
    }

    /// Whether a rule picks the subject, which has this place among the objects that match.
    fn picks(&self, _rule: RuleIndex, _rank: &Rank) -> Picked {
        Picked::No
    }

    /// Since when it is waited behind a step (by its number) for the subject; `None`: not yet.
    fn waits_since(&self, _rule: RuleIndex, _step: usize) -> Option<Timestamp> {
        None
    }

    /// Whether a step of a rule (by its number) has archived the subject with this content.
    fn archived(&self, _rule: RuleIndex, _step: usize, _content: u64) -> bool {
        false
    }

    /// How often the present match of a rule has begun, if its step at this position has not acted in it.
    fn begun(&self, _rule: RuleIndex, _step: usize) -> Option<u32> {
        Some(0)
    }

    /// Whether a rule that is not in the set was in force and is certainly gone, so that what it holds may be given back.
    fn is_gone(&self, _rule: &str) -> bool {
        false
    }

    /// Whether a rule still holds these places of an object (RFC 6901) for some subject, each: for those that are written down on it, or for
    /// others. `None`: it is not known now.
    fn still_held(
        &self,
        _rule: RuleIndex,
        _object: &ObjectKey,
        _by: (&[(ObjectKey, String)], &[Box<str>]),
    ) -> Option<Vec<bool>> {
        None
    }

    /// Whether a rule enforces for all these subjects, with their uids, as far as `enforceFor` says.
    fn enforces_for(&self, _rule: RuleIndex, _subjects: &[(ObjectKey, String)]) -> bool {
        true
    }

    /// The objects of this kind that a workload controls: its revisions, in no order.
    ///
    /// # Errors
    /// They are not known, and why.
    fn revisions(&self, _: &ObjectKey, _: &GroupKind) -> Result<Vec<Record>, String> {
        Err("no other object is known".into())
    }

    /// When the schedule of a rule opened for the subject; `None`: it is closed. Without memory there are no single moments.
    fn opened(&self, _: &Rule, schedule: &Schedule, now: Timestamp) -> Option<Timestamp> {
        schedule.open_since(now)
    }
}

/// Whether a rule is about an object that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked {
    /// It is.
    Yes,
    /// Others come first.
    No,
    /// The others are not known yet.
    Later,
}

/// What is to be expected of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Prospect {
    /// It can be made.
    New,
    /// It was made, and the object is what the server makes of it.
    Made,
    /// It would fail, or may not be made now; until when, where that ends by itself. No message: it is told later.
    Barred(Reason, String, Option<Timestamp>),
}

/// Nothing else is known: for passes of rules that only look at their subject.
pub struct Alone;

impl Neighbours for Alone {
    fn get(&self, _: &ObjectKey) -> Result<Option<Record>, String> {
        Err("no other object is known".into())
    }

    fn candidates(&self, _: &Rule, _: usize, _: &Probe) -> Result<Vec<Member>, String> {
        Err("no other object is known".into())
    }
}

/// Stands between the name of a rule and a place of an object (RFC 6901), where a rule wants something of that place alone.
pub const BETWEEN: char = '\n';

/// Hashes are compared within one process only.
static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What a subject wants of another object, or of itself where other rules may have it as a target, whether it is so already or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Name of the rule.
    pub rule: Arc<str>,
    /// The object.
    pub object: ObjectKey,
    /// Hash of the manifest, or of the value.
    pub contents: u64,
    /// What it wants at one place, of a want that is about one place alone.
    pub claim: Option<Arc<Claim>>,
}

impl Want {
    /// The name under which it is wanted; of what was applied once and is kept, that under which it was applied.
    pub fn under(&self) -> &str {
        let kept = self.rule.strip_suffix("kept");
        let name = kept.and_then(|name| name.strip_suffix(BETWEEN));
        name.unwrap_or(&self.rule)
    }

    /// What a rule wants at one place of an object.
    pub(super) fn at(rule: &str, object: &ObjectKey, claim: &Claim) -> Want {
        let value = claim.value.as_ref().map(ToString::to_string);
        Want {
            rule: format!("{rule}{BETWEEN}{}", claim.pointer).into(),
            object: object.clone(),
            contents: STATE.hash_one(value),
            claim: Some(Arc::new(claim.clone())),
        }
    }
}

/// Another rule that wants something else of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opponent {
    /// Its name.
    pub rule: Arc<str>,
    /// For which of its subjects; the object itself, where the rule is about that.
    pub subject: ObjectKey,
    /// Where (RFC 6901): at the place in question, above it or below.
    pub place: Box<str>,
}

/// A request on another object than the subject.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub write: Write,
    pub change: RuleChange,
    /// It is done once: what it says is that of the state in which it was decided on first, whatever the rule itself changes then.
    pub once: bool,
}

/// How far a step that acts on another object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    /// It is done: the next step comes.
    Done,
    /// It is asked for: the next step comes when it is done.
    Asked,
    /// It failed or has to wait: the list stops.
    Stopped,
}

/// A step with `apply`, for one element of its `forEach`. `called`: its number.
pub(super) fn step(
    at: &At<'_>,
    apply: &Apply,
    (called, item): (usize, Option<&Record>),
    record: &Record,
    turn: &mut Turn,
) -> Result<Progress, ExprFault> {
    let world = at.world;
    let kind = apply.schema(world.context.rules.schema());
    let ty = kind.as_deref().and_then(KindSchema::root);
    let names = turn.names();
    let scope = names.scope(at, record, item);
    let rendered = apply.render(&scope, (world.subject.key, record), ty)?;
    let object = at.waits.map(|_| rendered.object.clone());
    let of = (at.manner.index, at.rule);
    let progress = self::apply(world, of, apply, rendered, turn)?;
    match (object, progress) {
        (Some(object), Progress::Done) => awaited(at, object, called, record, turn),
        _ => Ok(progress),
    }
}

/// As [`step`], of one that acts once and has: its object stays as long as the match lasts; later steps read it, and wait for it.
pub(super) fn stays(
    at: &At<'_>,
    apply: &Apply,
    (called, item): (usize, Option<&Record>),
    record: &Record,
    turn: &mut Turn,
) -> Result<Progress, ExprFault> {
    let world = at.world;
    let names = turn.names();
    let scope = names.scope(at, record, item);
    let object = apply.object(&scope, world.subject.key)?;
    if object == *world.subject.key {
        return Ok(Progress::Done);
    }
    let neighbours = world.context.neighbours;
    turn.wants.push(Want {
        rule: kept(&at.rule.name),
        object: object.clone(),
        contents: 0,
        claim: None,
    });
    if neighbours.is_coming(&object) {
        return Ok(Progress::Stopped);
    }
    let unknown = |why| ExprFault::Unknown(format!("{object}: {why}"));
    let Some(live) = neighbours.get(&object).map_err(unknown)? else {
        // It was there, and somebody has taken it away since.
        if let Some(name) = &apply.name {
            turn.bind_nothing(name);
        }
        return Ok(Progress::Done);
    };
    if let Some(name) = &apply.name {
        turn.bind(name, &live);
    }
    awaited(at, object, called, record, turn)
}

/// The name under which a rule wants an object that it has applied once and does not apply again.
pub fn kept(rule: &str) -> Arc<str> {
    format!("{rule}{BETWEEN}kept").into()
}

/// Whether the next step may come, behind one that has applied an object.
fn awaited(
    at: &At<'_>,
    object: ObjectKey,
    called: usize,
    record: &Record,
    turn: &mut Turn,
) -> Result<Progress, ExprFault> {
    let Some(wait) = at.waits else {
        return Ok(Progress::Done);
    };
    let awaited = Awaited {
        rule: at.manner.index,
        step: (at.step, called),
        wait,
        target: Some(object),
    };
    wait::progress(at.world, awaited, (record, at.variables), turn)
}

fn apply(
    world: &World<'_>,
    (index, rule): (RuleIndex, &Rule),
    apply: &Apply,
    rendered: Rendered,
    turn: &mut Turn,
) -> Result<Progress, ExprFault> {
    let Rendered {
        object,
        mut manifest,
    } = rendered;
    let subject = world.subject;
    // Nothing is applied for itself, nor for what the same rule applied: copies would beget copies.
    let is_own = Ownership::read(subject.record.meta(), &rule.name, subject.key).is_some();
    if object == *subject.key || is_own {
        return Ok(Progress::Done);
    }
    let neighbours = world.context.neighbours;
    let unknown = |why| ExprFault::Unknown(format!("{object}: {why}"));
    let live = neighbours.get(&object).map_err(unknown)?;
    let meta = live.as_ref().map(Record::meta);
    if let Some(why) = protected_target(
        (rule, Verb::Apply),
        &object,
        meta,
        world.context.state_namespace,
    ) {
        turn.find(
            Reason::Protected,
            format!("{object} is protected from apply: {why}"),
        );
        return Ok(Progress::Stopped);
    }
    if let (Some(live), Some(name)) = (&live, &apply.name) {
        turn.bind(name, live);
    }
    let contents = contents_of(&manifest);
    let same = |want: &&Want| want.object == object && want.rule == rule.name;
    if let Some(before) = turn.wants.iter().find(same) {
        if before.contents == contents {
            return Ok(Progress::Done);
        }
        // What was asked for the first of them is not done either.
        let is_of_it = |deed: &Deed| {
            let applies = matches!(deed.write.operation, Operation::Apply { .. });
            applies && deed.write.object == object
        };
        turn.deeds.retain(|deed| !is_of_it(deed));
        let message = format!("{object}: this rule wants two different contents of it at once");
        turn.find(Reason::Conflict, message);
        return Ok(Progress::Stopped);
    }
    turn.wants.push(Want {
        rule: rule.name.clone(),
        object: object.clone(),
        contents,
        claim: None,
    });
    let other = neighbours.disagreeing(&object, &rule.name, subject.key, contents);
    if let Some(other) = other {
        let message = format!(
            "{object}: the rule wants other contents of it for {other}; it is left as it is until they agree"
        );
        turn.find(Reason::Conflict, message);
        return Ok(Progress::Stopped);
    }
    let known = meta.and_then(|m| Ownership::read(m, &rule.name, &object));
    if let Some(live) = &live {
        if apply.keep {
            return Ok(Progress::Done);
        }
        if is_ignored(world, rule, &object, live, turn) || live.meta().is_deleting() {
            return Ok(Progress::Stopped);
        }
        if known.is_none() && !apply.adopt {
            let message = format!(
                "{object} was created by something else: this rule leaves it alone, unless the step says `adopt: true`"
            );
            turn.find(Reason::NotOurs, message);
            return Ok(Progress::Stopped);
        }
        let state = SubjectState::read(live.meta(), &rule.name);
        if known.is_none() && state != Said::Nothing {
            let message = format!(
                "{object} has former values of fields that this rule has changed: it is not adopted before they are given back"
            );
            turn.find(Reason::Conflict, message);
            return Ok(Progress::Stopped);
        }
    }
    let kind = apply.schema(world.context.rules.schema());
    let ty = kind.as_deref().and_then(|k| k.root());
    let subjects = subjects(world, rule, &object, contents, known.as_ref());
    if apply.owned {
        other_owners(world, &mut manifest, &subjects);
    }
    let contents_alone = without_owners(&manifest);
    let mut places = fields::places(&contents_alone, ty);
    if contents_alone != manifest {
        // Who they are changes with the subjects; that there are some is the rule's.
        places.insert("/metadata/ownerReferences".into());
    }
    let owned = fields::hash(&places);
    let uid = subject.record.meta().uid();
    let agrees_with = |wanted: &Value| {
        let live = live.as_ref();
        live.is_some_and(|live| fields::agrees(live.root(), wanted, ty))
    };
    let mut agrees = agrees_with(&manifest);
    let mut differing = vec![];
    if !agrees {
        let of = (&object, live.as_ref());
        differing = answered::differing(&manifest, of.1, kind.as_deref());
        if let (object, Some(live)) = of {
            let schema = kind.as_deref();
            agrees = answered::all_stand(world, index, (object, live), &differing, schema, turn);
        }
    }
    let settled = known.as_ref().is_some_and(|k| {
        k.fields == owned && k.names(subject.key, uid) && k.passing == apply.passing
    });
    if agrees && settled {
        return Ok(Progress::Done);
    }
    let same_fields = known.as_ref().is_some_and(|k| k.fields == owned);
    let counts = !(same_fields && agrees_with(&contents_alone));
    let (more, mut once) = known.map_or_else(Default::default, |k| (k.more, k.once));
    let is_there = |uid: &str| subjects.iter().any(|(_, u)| u == uid);
    once.retain(|act, _| more || once::subject_of(act).is_some_and(is_there));
    if let Some(acted) = &turn.acting {
        once::write_on_applied(&mut once, acted);
    }
    let said = Ownership {
        subjects,
        more,
        fields: owned,
        passing: apply.passing,
        by: world.context.state_namespace.to_owned(),
        once,
    };
    let annotation = ownership::annotation(&rule.name);
    if !manifest["metadata"]["annotations"].is_object() {
        manifest["metadata"]["annotations"] = json!({});
    }
    manifest["metadata"]["annotations"][annotation] = json!(said.write(&object));
    let mut after = live.as_ref().map_or(Value::Null, Record::to_value);
    fields::lay_over(&mut after, &manifest, ty);
    let after = Record::from_value(&after);
    let write = Write {
        object: object.clone(),
        api_version: apply.api_version.to_string(),
        operation: Operation::Apply {
            manifest,
            manager: Apply::manager(&rule.name),
            force: apply.force,
            counts,
        },
        rules: vec![rule.name.clone()],
        expected: Some(after.clone()),
        uid: meta.map_or("", |m| m.uid()).to_owned(),
        resource_version: meta.map_or("", |m| m.resource_version()).to_owned(),
        acts: vec![],
        wanted: (!differing.is_empty()).then(|| {
            let wishes = differing.into_iter().map(|claim| Wanted {
                rule: rule.name.clone(),
                claim,
            });
            wishes.collect()
        }),
    };
    match neighbours.prospect(index, &write) {
        Prospect::Made => return Ok(Progress::Done),
        Prospect::New => {}
        Prospect::Barred(reason, message, until) => {
            if !message.is_empty() {
                turn.find(reason, format!("{object}: {message}"));
            }
            turn.recheck(until);
            return Ok(Progress::Stopped);
        }
    }
    if let (None, Some(name)) = (&live, &apply.name) {
        turn.bind(name, &after);
    }
    let change = RuleChange {
        rule: rule.name.clone(),
        mode: rule.mode,
        verb: Verb::Apply,
        object,
        before: live,
        after: Some(after),
        why: vec![],
    };
    let once = apply.keep || turn.acting.is_some();
    turn.deeds.push(Deed {
        write,
        change,
        once,
    });
    Ok(Progress::Asked)
}

/// The owner references of the other subjects: an object that is applied for many belongs to all.
fn other_owners(world: &World<'_>, manifest: &mut Value, subjects: &[(ObjectKey, String)]) {
    let Some(owners) = manifest["metadata"]["ownerReferences"].as_array_mut() else {
        return;
    };
    for (key, uid) in subjects {
        if *key == *world.subject.key {
            continue;
        }
        if let Ok(Some(record)) = world.context.neighbours.get(key)
            && record.meta().uid() == uid
        {
            owners.push(owner_reference(&record));
        }
    }
}

/// Owner references name the subjects: they differ from one to the next and are no contradiction.
fn without_owners(manifest: &Value) -> Value {
    let mut contents = manifest.clone();
    if let Some(meta) = contents.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.shift_remove("ownerReferences");
    }
    contents
}

fn contents_of(manifest: &Value) -> u64 {
    let contents = without_owners(manifest);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in contents.to_string().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

/// For whom an object is applied: those written down who still exist, and those who want it now.
fn subjects(
    world: &World<'_>,
    rule: &Rule,
    object: &ObjectKey,
    contents: u64,
    known: Option<&Ownership>,
) -> Vec<(ObjectKey, String)> {
    let neighbours = world.context.neighbours;
    let uid_of = |key: &ObjectKey| match neighbours.get(key) {
        Ok(Some(record)) => Some(record.meta().uid().to_owned()),
        _ => None,
    };
    let own = (
        world.subject.key.clone(),
        world.subject.record.meta().uid().to_owned(),
    );
    let mut subjects = vec![own];
    for (key, uid) in known.into_iter().flat_map(|k| &k.subjects) {
        // What cannot be looked up now stays.
        let stays = match neighbours.get(key) {
            Ok(Some(record)) => record.meta().uid() == uid,
            Ok(None) => false,
            Err(_) => true,
        };
        if stays {
            subjects.push((key.clone(), uid.clone()));
        }
    }
    for key in neighbours.agreeing(object, &rule.name, contents) {
        if let Some(uid) = uid_of(&key) {
            subjects.push((key, uid));
        }
    }
    subjects.sort();
    subjects.dedup_by(|a, b| a.0 == b.0);
    subjects
}

/// Whether the object, or its namespace, was taken out of Ordain's hands. Where that ends by itself, the subject is looked at again then.
pub(super) fn is_ignored(
    world: &World<'_>,
    rule: &Rule,
    object: &ObjectKey,
    live: &Record,
    turn: &mut Turn,
) -> bool {
    let namespace = object.namespace.as_ref().and_then(|name| {
        let key = ObjectKey::new(GroupKind::new("", "Namespace"), None, name);
        world.context.neighbours.get(&key).ok().flatten()
    });
    let ignored = Ignored::of(live, namespace.as_ref(), world.context.now);
    turn.recheck(ignored.until);
    ignored.entirely || ignored.rule(&rule.name)
}
