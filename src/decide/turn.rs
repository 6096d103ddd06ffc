//! One rule's turn: its tests and steps on the working copy as it finds it.

use super::apply::{self, Deed, Progress, Want};
use super::archive;
use super::elements::{each, elements, stops};
use super::event;
use super::lifetime;
use super::memory::{self, Later, Note};
use super::metric;
use super::once::{self, Acted, Chance};
use super::pass::PassContext;
use super::protect::{Ignored, protected};
use super::related;
use super::rollback;
use super::target;
use super::wait::{self, Awaited};
use super::working::{Snapshot, Working};
use super::{Picked, Reason, Standing, Subject};
use crate::object::{ObjectKey, Record};
use crate::rule::edit::{Claim, Edit, EditContext, Endpoint, FixedFields, is_noop, plan};
use crate::rule::expr::{ExprFault, NamespaceObject, Scope, Variables};
use crate::rule::metric::Sample;
use crate::rule::path::PodPrefix;
use crate::rule::pick::{Pick, PickFault, Rank};
use crate::rule::related::Lists;
use crate::rule::rollout::has_rollouts;
use crate::rule::selector::InScope;
use crate::rule::set::RuleIndex;
use crate::rule::test::{self, Test, TestRun, Verdict};
use crate::rule::{Action, Lifetime, Occasion, Propagation, Rule, Step};
use crate::schema::KindSchema;
use jiff::Timestamp;
use serde_json::{Map, Value};
use smallvec::{SmallVec, smallvec};
use std::cell::Cell;
use std::sync::Arc;

/// What stays the same for every turn of a pass.
pub(super) struct World<'a> {
    pub subject: &'a Subject<'a>,
    pub context: &'a PassContext<'a>,
    pub ignored: Ignored<'a>,
    pub schema: Option<Arc<KindSchema>>,
    pod: PodPrefix,
    pub is_namespace: bool,
    pub lists: related::Memo,
    /// When the schedule opened of the rule whose turn it is.
    opened: Cell<Option<Timestamp>>,
}

impl<'a> World<'a> {
    pub fn new(subject: &'a Subject<'a>, context: &'a PassContext<'a>) -> Self {
        let kind = &subject.key.kind;
        let schema = schema_of(subject.key, subject.record, context);
        let namespace = context.namespace.ok().flatten();
        World {
            subject,
            context,
            ignored: Ignored::of(subject.record, namespace, context.now),
            pod: schema.as_ref().and_then(|s| s.pod_prefix()),
            schema,
            lists: related::Memo::default(),
            is_namespace: kind.group.is_empty() && &*kind.kind == "Namespace",
            opened: Cell::new(None),
        }
    }

    pub fn scope<'r>(&'r self, record: &'r Record, variables: Option<&'r Variables>) -> Scope<'r> {
        Scope {
            object: record.root(),
            found: None,
            pod: self.pod,
            namespace_object: self.namespace_object(record),
            now: self.context.now,
            item: None,
            applied: None,
            current: None,
            variables,
            request: self.context.request.map(Record::root),
            other: None,
            schedule_start: self.opened.get(),
            previous: None,
        }
    }

    /// When the schedule opened of the rule whose turn it is.
    pub fn opened(&self) -> Option<Timestamp> {
        self.opened.get()
    }

    /// Whether the rule enforces for the subject, where it enforces at all.
    pub fn chosen(&self, rule: &Rule) -> bool {
        let record = self.subject.record;
        rule.enforce_for
            .as_ref()
            .is_none_or(|chosen| chosen.covers(record.meta(), self.namespace_object(record)))
    }

    /// Whether the rule's schedule lets it match now; it is its turn from here on.
    pub fn opens(&self, rule: &Rule) -> bool {
        let Some(schedule) = &rule.schedule else {
            self.opened.set(None);
            return true;
        };
        let context = self.context;
        let opened = context.neighbours.opened(rule, schedule, context.now);
        self.opened.set(opened);
        opened.is_some()
    }

    fn namespace_object<'r>(&'r self, record: &'r Record) -> NamespaceObject<'r> {
        if self.is_namespace {
            return NamespaceObject::Known(record.root());
        }
        match self.context.namespace {
            Ok(Some(namespace)) => NamespaceObject::Known(namespace.root()),
            Ok(None) => NamespaceObject::None,
            Err(_) => NamespaceObject::Unknown,
        }
    }
}

/// The schema at the version of the record.
pub(super) fn schema_of(
    key: &ObjectKey,
    record: &Record,
    context: &PassContext<'_>,
) -> Option<Arc<KindSchema>> {
    let all = context.rules.schema();
    let preferred = all.kind(&key.kind)?;
    let api_version = record.meta().api_version();
    let version = api_version.rsplit('/').next().unwrap_or(api_version);
    if *preferred.gvk.version == *version || api_version.is_empty() {
        return Some(preferred);
    }
    let gvk = crate::object::Gvk {
        group: key.kind.group.clone(),
        version: version.into(),
        kind: key.kind.kind.clone(),
    };
    all.kind_at(&gvk)
}

/// A `delete` step that was reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deletion {
    /// Through the eviction subresource.
    pub evicts: bool,
    pub propagation: Option<Propagation>,
    pub grace_period_seconds: Option<i64>,
}

/// What came of a turn.
pub(super) struct Turn {
    pub standing: Standing,
    pub changed: bool,
    /// A `scale` is part of what changed.
    pub scaled: bool,
    /// The places that steps with `lifetime: WhileMatched` are about.
    pub held: Vec<Box<str>>,
    /// Not every step was come to.
    pub cut: bool,
    pub deletion: Option<Deletion>,
    /// A `restart`, a `rollback` is part of what changed.
    pub restarts: bool,
    pub rolls_back: bool,
    /// Steps that act once each time a match begins and are part of what changed.
    pub acts: Vec<usize>,
    /// What is asked of other objects.
    pub deeds: Vec<Deed>,
    /// What is wanted of them, be it so already or not.
    pub wants: Vec<Want>,
    /// Steps that wait for their time.
    pub later: Vec<Later>,
    /// Steps, by their numbers, behind which it is waited.
    pub waits: Vec<usize>,
    /// Numbers for `/metrics`.
    pub samples: Vec<Sample>,
    /// What is to be remembered.
    pub notes: Vec<(RuleIndex, Note)>,
    /// The steps that act once and are part of what changed.
    pub remembered: Vec<Acted>,
    /// `previous` of the step at hand.
    pub previous: Option<Record>,
    pub claims: Vec<Claim>,
    /// What steps with a name applied, by name, and the same as a record.
    named: Map<String, Value>,
    pub applied: Option<Record>,
    /// The step at hand has a `forEach`.
    pub repeats: bool,
    pub findings: Vec<(Reason, String)>,
    /// What is found of other objects.
    pub told: Vec<(ObjectKey, Reason, String)>,
    pub wrong_types: Vec<String>,
    pub recheck_at: Option<Timestamp>,
    /// The object's place among those that match, if the rule picks.
    pub rank: Option<Rank>,
    /// Of the state that the turn began with.
    pub variables: Option<Variables>,
    /// That state, once the turn has changed it.
    pub found: Option<Record>,
    pub lists: Option<Arc<Lists>>,
}

impl Turn {
    pub fn new() -> Self {
        Turn {
            standing: Standing::OutOfScope,
            changed: false,
            scaled: false,
            held: vec![],
            cut: false,
            deletion: None,
            restarts: false,
            rolls_back: false,
            acts: vec![],
            deeds: vec![],
            wants: vec![],
            later: vec![],
            waits: vec![],
            samples: vec![],
            notes: vec![],
            remembered: vec![],
            previous: None,
            claims: vec![],
            named: Map::new(),
            applied: None,
            repeats: false,
            findings: vec![],
            told: vec![],
            wrong_types: vec![],
            recheck_at: None,
            rank: None,
            variables: None,
            found: None,
            lists: None,
        }
    }

    pub fn recheck(&mut self, at: Option<Timestamp>) {
        self.recheck_at = earlier(self.recheck_at, at);
    }

    /// Later steps read this object as `applied.NAME`; of a step with `forEach`, a list of them.
    pub fn bind(&mut self, name: &str, object: &Record) {
        let object = object.to_value();
        if !self.repeats {
            self.named.insert(name.to_owned(), object);
        } else if let Some(list) = self
            .named
            .entry(name)
            .or_insert_with(|| Value::Array(vec![]))
            .as_array_mut()
        {
            list.push(object);
        }
        self.applied = Some(Record::from_value(&Value::Object(self.named.clone())));
    }

    pub fn find(&mut self, reason: Reason, message: String) {
        let finding = (reason, message);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }
}

/// The earlier of two moments.
pub(super) fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, None) | (None, one) => one,
    }
}

/// How a turn is taken.
#[derive(Clone, Copy)]
pub(super) struct Manner<'b> {
    /// Which rule.
    pub index: RuleIndex,
    /// Go on behind what is asked of other objects, to show all that would come.
    pub ahead: bool,
    /// Pointers at which the rule has lost a conflict.
    pub barred: &'b [Box<str>],
    /// Note what the rule wants also where it is so already.
    pub claim_all: bool,
}

/// Whether the rule's `match` leaves the copy out: what most rules of a kind do with most objects.
pub(super) fn is_out_of_scope(world: &World<'_>, rule: &Rule, working: &Working<'_>) -> bool {
    let record = working.record();
    rule.matches
        .covers(record.meta(), world.namespace_object(record))
        == InScope::No
}

/// Whether the rule matches the copy: the turn so far has the standing `Matched { acts: false }` exactly if it does.
pub(super) fn look(world: &World<'_>, rule: &Rule, working: &Working<'_>) -> Turn {
    let mut turn = Turn::new();
    let record = working.record();
    match rule
        .matches
        .covers(record.meta(), world.namespace_object(record))
    {
        InScope::No => return turn,
        InScope::Unknown => {
            turn.standing = Standing::Waiting;
            let why = world.context.namespace.err().unwrap_or_default();
            turn.find(
                Reason::Waiting,
                format!("its Namespace is not known: {why}"),
            );
            return turn;
        }
        InScope::Yes => {}
    }
    if world.ignored.entirely || world.ignored.rule(&rule.name) {
        turn.standing = Standing::Ignored;
        if world.ignored.entirely {
            turn.recheck(world.ignored.until);
        }
        return turn;
    }
    if !world.opens(rule) {
        turn.standing = Standing::Unmatched;
        return turn;
    }
    let (before, rest) = rule.tests.split_at(rule.tests_without_variables);
    let (first, of_lists) = before.split_at(rule.tests_without_lists);
    let mut verdict = tests(world, first, &mut turn, record);
    if verdict == Verdict::Pass && !rule.related.is_empty() {
        verdict = related::lists(world, rule, record, &mut turn);
        if verdict == Verdict::Pass && !of_lists.is_empty() {
            verdict = tests(world, of_lists, &mut turn, record);
        }
    }
    if verdict == Verdict::Pass && !rule.variables.is_empty() {
        let lists = turn.lists.clone().unwrap_or_default();
        let scope = world.scope(record, None);
        turn.variables = Some(Variables::compute(&rule.variables, lists, &scope));
        verdict = tests(world, rest, &mut turn, record);
    }
    match verdict {
        Verdict::Pass => match &rule.pick {
            None => turn.standing = Standing::Matched { acts: false },
            Some(pick) => turn.standing = picked(world, (rule, pick), &mut turn, record),
        },
        Verdict::Fail => turn.standing = Standing::Unmatched,
        Verdict::WrongType(reason) => {
            turn.standing = Standing::Unmatched;
            turn.wrong_types.push(reason);
        }
        Verdict::Unknown(reason) => {
            turn.standing = Standing::Waiting;
            turn.find(Reason::Waiting, reason);
        }
    }
    turn
}

/// Whether a rule whose tests pass is about the object.
fn picked(
    world: &World<'_>,
    (rule, pick): (&Rule, &Pick),
    turn: &mut Turn,
    record: &Record,
) -> Standing {
    let ranked = pick.rank(&world.scope(record, turn.variables.as_ref()));
    let rank = match ranked {
        Ok(rank) => turn.rank.insert(rank),
        Err(PickFault::Unsortable(why)) => {
            turn.find(Reason::WrongType, format!("pick: {why}"));
            return Standing::NotPicked;
        }
        Err(PickFault::Expression(ExprFault::Unknown(why))) => {
            turn.find(Reason::Waiting, why);
            return Standing::Waiting;
        }
        Err(PickFault::Expression(fault)) => {
            turn.find(Reason::ExpressionFailed, format!("pick: {fault}"));
            return Standing::Failed;
        }
    };
    let Some(index) = world.context.rules.index_of(&rule.name) else {
        return Standing::NotPicked;
    };
    match world.context.neighbours.picks(index, rank) {
        Picked::Yes => Standing::Matched { acts: false },
        Picked::No => Standing::NotPicked,
        Picked::Later => Standing::Waiting,
    }
}

fn tests(world: &World<'_>, tests: &[Test], turn: &mut Turn, record: &Record) -> Verdict {
    let scope = world.scope(record, turn.variables.as_ref());
    let mut run = TestRun {
        scope: &scope,
        recheck_at: None,
        trace: None,
    };
    let verdict = test::all(tests, &mut run);
    let recheck_at = run.recheck_at;
    turn.recheck(recheck_at);
    verdict
}

/// The steps of a rule that matched. A step that fails is undone and ends the list, the steps before it stand; what waits undoes the whole
/// turn, and so does a failure at admission.
pub(super) fn act(
    world: &World<'_>,
    rule: &Rule,
    working: &mut Working<'_>,
    manner: Manner<'_>,
    turn: &mut Turn,
) {
    let mut last = Checkpoint::of(working, turn);
    let before = last.clone();
    let variables = turn.variables.take();
    let steps = steps(
        world,
        rule,
        working,
        (manner, variables.as_ref(), &mut last),
        turn,
    );
    match steps {
        Ok(()) => {
            if !turn.cut && lifetime::holds(rule) {
                lifetime::release(world, rule, working, turn);
            }
        }
        Err(ExprFault::Unknown(reason)) => {
            before.restore(working, turn);
            turn.deletion = None;
            turn.standing = Standing::Waiting;
            turn.find(Reason::Waiting, reason);
            return;
        }
        Err(fault) => {
            // A request passes unchanged by a rule that fails.
            let admission = world.context.occasion != Occasion::Reconcile;
            let until = if admission { before } else { last };
            until.restore(working, turn);
            turn.find(Reason::ExpressionFailed, fault.to_string());
            if !turn.changed && turn.deeds.is_empty() {
                turn.standing = Standing::Failed;
                return;
            }
        }
    }
    turn.standing = Standing::Matched {
        acts: turn.changed || turn.deletion.is_some() || !turn.deeds.is_empty(),
    };
}

/// How far a turn was before a step.
#[derive(Clone)]
struct Checkpoint {
    copy: Snapshot,
    changed: bool,
    scaled: bool,
    restarts: bool,
    rolls_back: bool,
    acts: usize,
    deeds: usize,
    claims: usize,
}

impl Checkpoint {
    fn of(working: &Working<'_>, turn: &Turn) -> Self {
        Checkpoint {
            copy: working.snapshot(),
            changed: turn.changed,
            scaled: turn.scaled,
            restarts: turn.restarts,
            rolls_back: turn.rolls_back,
            acts: turn.acts.len(),
            deeds: turn.deeds.len(),
            claims: turn.claims.len(),
        }
    }

    fn restore(self, working: &mut Working<'_>, turn: &mut Turn) {
        if turn.changed {
            working.restore(self.copy);
        }
        turn.changed = self.changed;
        turn.found.take_if(|_| !self.changed);
        turn.scaled = self.scaled;
        turn.restarts = self.restarts;
        turn.rolls_back = self.rolls_back;
        turn.acts.truncate(self.acts);
        turn.deeds.truncate(self.deeds);
        turn.claims.truncate(self.claims);
    }
}

fn steps(
    world: &World<'_>,
    rule: &Rule,
    working: &mut Working<'_>,
    (manner, variables, last): (Manner<'_>, Option<&Variables>, &mut Checkpoint),
    turn: &mut Turn,
) -> Result<(), ExprFault> {
    let creates = rule.when.has(Occasion::Create);
    let at_admission = world.context.occasion != Occasion::Reconcile;
    // Until the last step was come to.
    turn.cut = true;
    let mut skipped = false;
    for (position, step) in rule.steps.iter().enumerate() {
        if position > 0 && (turn.changed || !turn.deeds.is_empty()) {
            *last = Checkpoint::of(working, turn);
        }
        let admits = matches!(
            step.action,
            Action::Patch { status: false, .. } | Action::Deny { .. } | Action::Warn { .. }
        );
        let held = step.lifetime == Lifetime::WhileMatched;
        // At an admission the object has no identity that its former values could be bound to: the loop makes the change.
        let loops = held || step.target.is_some() || step.after.is_some() || step.once.is_some();
        if at_admission && (!admits || loops) {
            continue;
        }
        if let Some(list) = step.target {
            if memory::holds_up(world, (manner.index, rule), position, turn) {
                return Ok(());
            }
            let about = (working.record(), variables);
            let at = (position, list);
            let mut progress = target::each(world, (manner.index, rule), at, about, turn)?;
            if let (Some(wait), Progress::Done, false) = (&step.wait, progress, manner.ahead) {
                progress = wait::of_members(world, (manner.index, at), (step, wait), about, turn)?;
            }
            if stops(progress, manner) {
                return Ok(());
            }
            continue;
        }
        let shield = protected(
            rule,
            &step.action,
            world.subject.key,
            working.record().meta(),
            world.context.state_namespace,
        );
        if let Some(why) = shield {
            let verb = step.action.verb().as_str();
            turn.find(Reason::Protected, format!("protected from {verb}: {why}"));
            skipped = true;
            continue;
        }
        if memory::holds_up(world, (manner.index, rule), position, turn) {
            return Ok(());
        }
        let waits = step
            .wait
            .as_ref()
            .filter(|_| !at_admission && !manner.ahead);
        let of = (manner.index, rule);
        let occasion = match once::of_subject(world, of, step, (working, variables), turn)? {
            Chance::Always => None,
            Chance::Acts(occasion) => Some(occasion),
            Chance::Done => continue,
            Chance::Waits => return Ok(()),
        };
        let mut changed = false;
        match &step.action {
            Action::Patch { edits, status } => {
                let endpoint = if *status {
                    Endpoint::Status
                } else {
                    Endpoint::Main
                };
                for item in items(world, step, working, variables, turn)? {
                    for edit in edits {
                        let how = (manner, variables, creates);
                        let edit = (edit, item.as_ref());
                        if held {
                            lifetime::hold(world, rule, edit, working, how, turn)?;
                        } else {
                            changed |= patch(world, edit, endpoint, working, how, turn)?;
                        }
                    }
                }
            }
            Action::Scale { edits } => {
                let kind = &world.subject.key.kind;
                for (_, edit) in edits.iter().filter(|(kinds, _)| kinds.contains(kind)) {
                    if held {
                        let how = (manner, variables, creates);
                        lifetime::hold(world, rule, (edit, None), working, how, turn)?;
                        continue;
                    }
                    changed |= patch(
                        world,
                        (edit, None),
                        Endpoint::Main,
                        working,
                        (manner, variables, creates),
                        turn,
                    )?;
                    // What is remembered of it goes with it, and the scale subresource carries none of that.
                    turn.scaled |= changed && occasion.is_none();
                }
            }
            Action::Apply(apply) => {
                let kind = apply.schema(world.context.rules.schema());
                let ty = kind.as_deref().and_then(KindSchema::root);
                let record = working.record();
                let mut one = |scope: &Scope<'_>, element: usize, turn: &mut Turn| {
                    let of = (manner.index, rule);
                    once::each(
                        world,
                        of,
                        step,
                        (record, scope),
                        turn,
                        &mut |scope, _, turn| {
                            let rendered = apply.render(scope, (world.subject.key, record), ty)?;
                            let object = waits.map(|_| rendered.object.clone());
                            let progress = apply::apply(world, of, apply, rendered, turn)?;
                            let (Some(wait), Some(object), Progress::Done) =
                                (waits, object, progress)
                            else {
                                return Ok(progress);
                            };
                            let awaited = Awaited {
                                rule: manner.index,
                                step: (step, event::step(position, element)),
                                wait,
                                target: Some(object),
                            };
                            wait::progress(world, awaited, (record, variables), turn)
                        },
                    )
                };
                let progress = each(world, step, (record, variables), turn, &mut one)?;
                if stops(progress, manner) {
                    return Ok(());
                }
            }
            Action::Archive(step) => {
                let record = working.record();
                let of = (manner.index, rule);
                let progress = archive::archive(world, of, (position, step), record, turn);
                if stops(progress, manner) {
                    return Ok(());
                }
            }
            Action::Metric(metric) => {
                let record = working.record();
                let mut one = |scope: &Scope<'_>, _: usize, turn: &mut Turn| {
                    metric::sample(world, position, metric, scope, turn)
                };
                each(world, step, (record, variables), turn, &mut one)?;
            }
            Action::Event {
                warning,
                reason,
                message,
            } => {
                let record = working.record();
                let mut one = |scope: &Scope<'_>, element: usize, turn: &mut Turn| {
                    let words = (*warning, reason, message);
                    let number = event::step(position, element);
                    once::each(
                        world,
                        of,
                        step,
                        (record, scope),
                        turn,
                        &mut |scope, occasion, turn| {
                            let about = (scope, world.subject.key, world.subject.record);
                            event::event(world, of, (number, occasion), words, about, turn)
                        },
                    )
                };
                let progress = each(world, step, (record, variables), turn, &mut one)?;
                if stops(progress, manner) {
                    return Ok(());
                }
            }
            Action::Delete {
                propagation,
                grace_period_seconds,
            } => {
                turn.deletion = Some(Deletion {
                    evicts: false,
                    propagation: *propagation,
                    grace_period_seconds: *grace_period_seconds,
                });
                return Ok(());
            }
            Action::Evict => {
                turn.deletion = Some(Deletion {
                    evicts: true,
                    propagation: None,
                    grace_period_seconds: None,
                });
                return Ok(());
            }
            Action::Restart { .. } | Action::Rollback { .. } => {
                let all = (manner, variables, creates);
                if !rollout(world, rule, (position, step), working, all, turn)? {
                    return Ok(());
                }
            }
            Action::Warn { message } | Action::Deny { message } => {
                let reason = match &step.action {
                    Action::Deny { .. } => Reason::Denied,
                    _ => Reason::Warning,
                };
                for item in items(world, step, working, variables, turn)? {
                    let text = match message.literal() {
                        Some(literal) => Some(literal.clone()),
                        None => {
                            let (applied, found) = (turn.applied.clone(), turn.found.clone());
                            let scope = Scope {
                                applied: applied.as_ref().map(Record::root),
                                found: found.as_ref().map(Record::root),
                                item: item.as_ref().map(Record::root),
                                ..world.scope(working.record(), variables)
                            };
                            message.render(&scope)?
                        }
                    };
                    match text {
                        Some(Value::String(text)) => turn.find(reason, text),
                        Some(text) => turn.find(reason, text.to_string()),
                        None => {}
                    }
                }
            }
        }
        if let Some(occasion) = occasion {
            once::in_the_same_write(world, of, occasion, (working, changed), manner, turn)?;
        }
        if let Some(wait) = waits
            && !matches!(step.action, Action::Apply(_))
        {
            // What is changed in this pass is not written yet.
            if !working.is(&Snapshot::default()) {
                return Ok(());
            }
            let awaited = Awaited {
                rule: manner.index,
                step: (step, event::step(position, 0)),
                wait,
                target: None,
            };
            let of = (working.record(), variables);
            if wait::progress(world, awaited, of, turn)? != Progress::Done {
                return Ok(());
            }
        }
    }
    turn.cut = skipped;
    Ok(())
}

/// `restart` and `rollback`: changes of the copy that are made once each time a match begins. False: the steps behind it have to wait.
fn rollout(
    world: &World<'_>,
    rule: &Rule,
    (position, step): (usize, &Step),
    working: &mut Working<'_>,
    all: (Manner<'_>, Option<&Variables>, bool),
    turn: &mut Turn,
) -> Result<bool, ExprFault> {
    let called = event::step(position, 0);
    let begun = world.context.neighbours.begun(all.0.index, called);
    if begun.is_none() || !has_rollouts(&world.subject.key.kind) {
        return Ok(true);
    }
    let changed = match &step.action {
        Action::Restart { edit } if !rollback::is_paused(working.record()) => {
            let changed = patch(world, (edit, None), Endpoint::Main, working, all, turn)?;
            turn.restarts |= changed;
            changed
        }
        Action::Restart { .. } => {
            let message = "it is paused: it can be restarted once it is resumed";
            turn.find(Reason::Waiting, message.to_owned());
            return Ok(false);
        }
        Action::Rollback { to } => {
            let which = (*to, position, step.line);
            match rollback::way(world, rule, which, working, turn)? {
                rollback::Way::Nowhere => return Ok(false),
                rollback::Way::There => false,
                rollback::Way::Back(edit, state) => {
                    let changed = patch(world, (&edit, None), Endpoint::Main, working, all, turn)?;
                    if changed {
                        let meta = working.record().clone();
                        let written =
                            working.change(|object| state.write(meta.meta(), &rule.name, object));
                        written.map_err(|large| {
                            let message =
                                format!("what is to be remembered takes {} bytes", large.0);
                            ExprFault::Failed(message)
                        })?;
                    }
                    turn.rolls_back |= changed;
                    changed
                }
            }
        }
        _ => false,
    };
    if changed && !turn.acts.contains(&called) {
        turn.acts.push(called);
    }
    Ok(true)
}

/// What becomes of an edit of a field that is fixed at creation. `creates`: the rule looks at creations too, where it makes the edit.
pub(super) fn fixed_fields(world: &World<'_>, creates: bool) -> FixedFields {
    match world.context.occasion {
        Occasion::Create => FixedFields::Written,
        _ if creates => FixedFields::LeftOut,
        _ => FixedFields::Told,
    }
}

/// What a step that acts on the subject itself is done with: each element of its `forEach`, or nothing, once.
fn items(
    world: &World<'_>,
    step: &Step,
    working: &Working<'_>,
    variables: Option<&Variables>,
    turn: &Turn,
) -> Result<SmallVec<[Option<Record>; 1]>, ExprFault> {
    if step.for_each.is_none() {
        return Ok(smallvec![None]);
    }
    let scope = Scope {
        applied: turn.applied.as_ref().map(Record::root),
        found: turn.found.as_ref().map(Record::root),
        ..world.scope(working.record(), variables)
    };
    let items = elements(step, &scope)?.unwrap_or_default();
    Ok(items.into_iter().map(Some).collect())
}

/// Whether the edit changed something.
pub(super) fn patch(
    world: &World<'_>,
    (edit, item): (&Edit, Option<&Record>),
    endpoint: Endpoint,
    working: &mut Working<'_>,
    (manner, variables, creates): (Manner<'_>, Option<&Variables>, bool),
    turn: &mut Turn,
) -> Result<bool, ExprFault> {
    let schema = world.schema.as_deref();
    let (applied, found) = (turn.applied.clone(), turn.found.clone());
    let previous = turn.previous.clone();
    let scope = Scope {
        applied: applied.as_ref().map(Record::root),
        found: found.as_ref().map(Record::root),
        item: item.map(Record::root),
        previous: previous.as_ref().map(Record::root),
        ..world.scope(working.record(), variables)
    };
    if !manner.claim_all && is_noop(edit, &scope, schema, &mut turn.recheck_at) {
        return Ok(false);
    }
    let context = EditContext {
        schema,
        endpoint,
        barred: manner.barred,
        fixed: fixed_fields(world, creates),
    };
    let mut planned = plan(edit, &scope, &context)?;
    turn.recheck(planned.recheck_at);
    turn.claims.append(&mut planned.claims);
    turn.wrong_types.append(&mut planned.wrong_types);
    for (reason, message) in std::mem::take(&mut planned.findings) {
        turn.find(reason, message);
    }
    let changes = planned.changes();
    if changes {
        turn.found.get_or_insert_with(|| working.record().clone());
        working.write(&planned);
        turn.changed = true;
    }
    Ok(changes)
}
