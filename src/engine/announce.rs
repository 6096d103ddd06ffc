//! Kubernetes Events on objects whose change failed or was blocked: which findings are told, under which name, and how many a minute.
//!
//! One Event for each rule, object and reason while the finding stands. Its name is made from these, so that another replica, or this one after a
//! restart, tells the same and not a second one. The server forgets Events after an hour: one whose finding still stands is told again.

use super::{Engine, Report};
use crate::decide::event::{self, Told};
use crate::decide::{Finding, Operation, Reason, Write};
use crate::object::{GroupKind, ObjectKey};
use ahash::AHashMap;
use jiff::{SignedDuration, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// Events at once.
pub const BURST: u32 = 50;
/// After a burst, one Event each.
pub const PERIOD: SignedDuration = SignedDuration::from_secs(1);
/// What is more than these is not told.
pub const MOST_WAITING: usize = 1_000;
/// One whose finding stands is told again after this time: the server keeps an Event for an hour (`--event-ttl`). As long as it has it, it is not there twice.
pub const AGAIN: SignedDuration = SignedDuration::from_mins(30);
/// A finding that begins again so soon has never ended.
const RECOVERY: SignedDuration = SignedDuration::from_mins(1);
/// How often a finding has begun again is remembered for so long after its end: then the server has forgotten its Events.
const MEMORY: SignedDuration = SignedDuration::from_hours(2);
/// Nothing is told for this long where that is forbidden,
const FORBIDDEN: SignedDuration = SignedDuration::from_mins(10);
/// or where nobody answered.
const UNANSWERED: SignedDuration = SignedDuration::from_secs(30);

/// What one Event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    rule: Arc<str>,
    object: ObjectKey,
    reason: Reason,
}

/// How an Event came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// It is there now.
    Told,
    /// It was there already.
    Known,
    /// The server did not take it, or did not answer.
    Failed,
    /// Too many wait.
    Dropped,
}

impl Telling {
    /// All of them.
    pub const ALL: [Telling; 4] = [
        Telling::Told,
        Telling::Known,
        Telling::Failed,
        Telling::Dropped,
    ];

    /// As in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Telling::Told => "told",
            Telling::Known => "known",
            Telling::Failed => "failed",
            Telling::Dropped => "dropped",
        }
    }
}

#[derive(Default)]
struct Standing {
    /// How often it has begun again.
    nth: u32,
    /// The last beginning that was told, or waits to be.
    told: Option<u32>,
    ended: Option<Timestamp>,
}

/// What is told with Events. It sends nothing itself.
#[derive(Default)]
pub struct Announcer {
    standings: AHashMap<Mark, Standing>,
    waiting: VecDeque<(Mark, u32)>,
    /// In the order of their moments.
    again: VecDeque<(Timestamp, Mark, u32)>,
    /// The moment from which on all tokens are there.
    full: Timestamp,
    held: Timestamp,
    swept: Timestamp,
    counts: [u64; Telling::ALL.len()],
}

/// Whether a change failed or was blocked, as opposed to waiting for its turn or for what it needs to know, or to being none.
fn is_told(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::WrongType
            | Reason::ImmutableField
            | Reason::Conflict
            | Reason::NoFixpoint
            | Reason::ExpressionFailed
            | Reason::Protected
            | Reason::Aborted
            | Reason::BreakerOpen
            | Reason::Refused
            | Reason::Overruled
            | Reason::Forbidden
            | Reason::NotOurs
            | Reason::OwnershipConflict
    )
}

/// Whether a kind is that of Events: nothing is told about those.
fn is_event(kind: &GroupKind) -> bool {
    &*kind.kind == "Event" && matches!(&*kind.group, "" | "events.k8s.io")
}

/// Whether a finding is one to tell. A rule in Audit, or while all are frozen, has changed nothing and so has failed at nothing.
fn concerns(finding: &Finding, engine: &Engine) -> bool {
    is_told(finding.reason)
        && &*finding.object.name != "*"
        && !is_event(&finding.object.kind)
        && engine.means_it(&finding.rule, &finding.object)
        // What belongs to the cluster itself is not written to, nor is an Event about that.
        && !(finding.reason == Reason::Protected && engine.is_reserved(&finding.object))
}

impl Announcer {
    /// Takes note of what is told to people.
    pub fn hear(&mut self, report: &Report, engine: &Engine, now: Timestamp) {
        match report {
            Report::Finding(finding) => self.begun(finding, engine, now),
            Report::FindingEnded(finding) => {
                let mark = mark(finding);
                if let Some(standing) = self.standings.get_mut(&mark)
                    && engine
                        .standing_finding(&mark.rule, &mark.object, mark.reason)
                        .is_none()
                {
                    standing.ended = Some(now);
                }
            }
            _ => {}
        }
    }

    /// Rules may have gone from Audit to Enforce, or were frozen: what stands and was not told is looked through.
    pub fn review(&mut self, engine: &Engine, now: Timestamp) {
        for finding in engine.findings() {
            self.begun(finding, engine, now);
        }
    }

    /// Another replica tells it from now on.
    pub fn silence(&mut self) {
        *self = Announcer {
            counts: self.counts,
            ..Announcer::default()
        };
    }

    fn begun(&mut self, finding: &Finding, engine: &Engine, now: Timestamp) {
        if !concerns(finding, engine) {
            return;
        }
        let mark = mark(finding);
        let standing = self.standings.entry(mark.clone()).or_default();
        if let Some(ended) = standing.ended.take()
            && now.duration_since(ended) > RECOVERY
        {
            standing.nth = standing.nth.saturating_add(1);
        }
        let nth = standing.nth;
        if standing.told == Some(nth) {
            return;
        }
        if self.waiting.len() >= MOST_WAITING {
            self.counts[Telling::Dropped as usize] += 1;
            return;
        }
        standing.told = Some(nth);
        self.waiting.push_back((mark, nth));
    }

    /// The Events to send now.
    pub fn due(&mut self, engine: &Engine, now: Timestamp) -> Vec<(Mark, Write)> {
        self.sweep(now);
        while self.again.front().is_some_and(|(at, ..)| *at <= now)
            && let Some((_, mark, nth)) = self.again.pop_front()
        {
            let known = self.standings.get(&mark);
            if known.is_some_and(|s| s.nth == nth && s.ended.is_none()) {
                self.waiting.push_back((mark, nth));
            }
        }
        let mut writes = vec![];
        if now < self.held {
            return writes;
        }
        while self.has_token(now)
            && let Some((mark, nth)) = self.waiting.pop_front()
        {
            let standing = self.standings.get_mut(&mark);
            let Some(standing) = standing.filter(|s| s.nth == nth) else {
                continue;
            };
            let finding = engine.standing_finding(&mark.rule, &mark.object, mark.reason);
            let told = finding.filter(|f| concerns(f, engine));
            let Some(write) = told.and_then(|f| write(f, nth, engine, now)) else {
                standing.told = None;
                continue;
            };
            self.full = self.full.max(now).checked_add(PERIOD).unwrap_or(now);
            let at = now.checked_add(AGAIN).unwrap_or(now);
            self.again.push_back((at, mark.clone(), nth));
            writes.push((mark, write));
        }
        writes
    }

    /// Takes the answer to one. Answers why none is told for a while, if that begins now.
    pub fn answered(
        &mut self,
        mark: &Mark,
        outcome: &super::Outcome,
        now: Timestamp,
    ) -> Option<String> {
        use super::{Fault, Outcome};
        let (telling, pause) = match outcome {
            Outcome::Accepted(version) if version.is_empty() => (Telling::Known, None),
            Outcome::Accepted(_) | Outcome::Written(_) => (Telling::Told, None),
            Outcome::Failed(Fault::Forbidden(why)) => {
                (Telling::Failed, Some((FORBIDDEN, why.clone())))
            }
            Outcome::Failed(
                fault @ (Fault::Busy { .. }
                | Fault::Timeout
                | Fault::Uncertain(_)
                | Fault::Unreachable(_)
                | Fault::Fenced),
            ) => (
                Telling::Failed,
                Some((UNANSWERED, fault.message().to_owned())),
            ),
            // Of this object alone: its namespace is being deleted, a quota, a webhook.
            _ => (Telling::Failed, None),
        };
        self.counts[telling as usize] += 1;
        let (pause, why) = pause?;
        if let Some(standing) = self.standings.get(mark)
            && self.waiting.len() < MOST_WAITING
        {
            self.waiting.push_front((mark.clone(), standing.nth));
        }
        let until = now.checked_add(pause).unwrap_or(now);
        let begins = self.held <= now;
        self.held = self.held.max(until);
        begins.then_some(why)
    }

    /// How many so far, by how they came out.
    pub fn counts(&self) -> [u64; Telling::ALL.len()] {
        self.counts
    }

    fn has_token(&self, now: Timestamp) -> bool {
        let most = PERIOD.checked_mul(BURST as i32 - 1).unwrap_or(PERIOD);
        self.full.duration_since(now) <= most
    }

    /// Forgets what ended long ago.
    fn sweep(&mut self, now: Timestamp) {
        if now < self.swept {
            // The clock was set back.
            self.swept = now;
            self.held = now;
            self.full = now;
        }
        if now.duration_since(self.swept) < RECOVERY {
            return;
        }
        self.swept = now;
        self.standings.retain(|_, s| {
            s.ended
                .is_none_or(|ended| now.duration_since(ended) < MEMORY)
        });
    }
}

fn mark(finding: &Finding) -> Mark {
    Mark {
        rule: finding.rule.clone(),
        object: finding.object.clone(),
        reason: finding.reason,
    }
}

/// The Event of a finding; `None` if its object is not known.
fn write(finding: &Finding, nth: u32, engine: &Engine, now: Timestamp) -> Option<Write> {
    let meta = engine.store().get(&finding.object)?.record.meta();
    let reason = finding.reason.as_str();
    let beginning = nth.to_string();
    let name = event::name_of(
        &finding.object.name,
        [&finding.rule, meta.uid(), reason, &beginning],
    );
    let note = format!("rule {}: {}", finding.rule, finding.message);
    let told = Told {
        name: &name,
        kind: "Warning",
        reason,
        note: &note,
        action: &finding.rule,
    };
    let (object, event) = event::about(&finding.object, meta, &told);
    Some(Write {
        object,
        api_version: event::API_VERSION.into(),
        operation: Operation::Event {
            event,
            time: now,
            step: 0,
        },
        rules: vec![finding.rule.clone()],
        expected: None,
        uid: String::new(),
        resource_version: String::new(),
        acts: vec![],
        wanted: None,
    })
}
