//! What the daemon is doing, shared with the HTTP server and shown as `/status`.

use super::change::Latest;
use super::process::Process;
use crate::cluster::lease::Standing;
use crate::cluster::traffic::Figures;
use crate::decide::{Finding, Reason};
use crate::engine::announce::Telling;
use crate::engine::counts::Histogram;
use crate::engine::{self, Lost};
use crate::object::{GroupKind, ObjectKey};
use crate::rule::{Mode, Rule};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use smallvec::SmallVec;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// Findings that `/status` lists; all of them are counted.
const MOST_LISTED: usize = 500;
/// Problems of rule files that `/status` lists.
const MOST_PROBLEMS: usize = 100;

/// How a kind is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Following {
    /// Its list has not ended yet.
    Listing,
    /// Its objects are known.
    Synced,
    /// They are not.
    Lost(Lost),
}

/// How a load of the rules ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// Every file is good.
    Ok,
    /// Some file has errors: its rules stay in their last good version.
    Partial,
    /// Taken for a fault of the folder: all rules stay as they are.
    Fault,
}

impl ReloadResult {
    /// All of them, in order.
    pub const ALL: [ReloadResult; 3] =
        [ReloadResult::Ok, ReloadResult::Partial, ReloadResult::Fault];

    /// As a label and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            ReloadResult::Ok => "ok",
            ReloadResult::Partial => "partial",
            ReloadResult::Fault => "fault",
        }
    }
}

/// Loads of the rules, the first included.
#[derive(Clone, Debug, Default)]
pub struct Reloads {
    /// By [`ReloadResult::ALL`].
    pub counts: [u64; ReloadResult::ALL.len()],
    /// How the last one ended.
    pub last: Option<ReloadResult>,
    /// When the last good one was.
    pub last_ok: Option<Timestamp>,
    /// How long they took.
    pub durations: Histogram,
}

impl Reloads {
    /// Counts one.
    pub fn add(&mut self, result: ReloadResult, took: Duration, now: Timestamp) {
        self.counts[result as usize] += 1;
        self.last = Some(result);
        if result == ReloadResult::Ok {
            self.last_ok = Some(now);
        }
        self.durations.add(took);
    }
}

/// The state itself.
pub struct Status {
    /// When the daemon began.
    pub started: Timestamp,
    /// The loop's last turn, for `/healthz`.
    pub turned: Timestamp,
    /// Whether every kind has been listed once, or is known not to be there.
    pub ready: bool,
    /// Every rule behaves as in Audit.
    pub frozen: bool,
    /// In force.
    pub rules: Vec<Arc<Rule>>,
    /// Of these, in their last good version.
    pub kept: Vec<Arc<str>>,
    /// A reload that was taken for a fault.
    pub fault: Option<String>,
    /// Problems of rule files, as `check` prints them.
    pub problems: Vec<String>,
    /// Of these, the errors, each in one line.
    pub errors: Vec<String>,
    /// Kinds that are followed: version and state.
    pub kinds: BTreeMap<GroupKind, (Arc<str>, Following)>,
    /// What was wrong with what rules remember, the latest last.
    pub state: Vec<String>,
    /// Why that is not known, as long as nothing is done for it.
    pub unread: Option<String>,
    /// Changes made and failed since the start.
    pub made: u64,
    /// See `made`.
    pub failed: u64,
    /// Requests not answered yet.
    pub in_flight: usize,
    /// Events on objects whose change failed or was blocked, in the order of [`Telling::ALL`].
    pub events: [u64; Telling::ALL.len()],
    /// This replica may write: it leads, or there is no election. Not before it has reached the cluster.
    pub leader: bool,
    /// Loads of the rules.
    pub reloads: Reloads,
    /// What this replica is called in the election, and how that stands; `None`: there is none, this one acts.
    pub election: Option<(Arc<str>, Standing)>,
    /// What the engine last said of itself.
    pub engine: Option<engine::worker::status::Status>,
    /// What had gone over the wire then.
    pub traffic: Figures,
    /// Wakes the loop, while it turns, to measure anew.
    pub asked: Option<Arc<Notify>>,
    /// Who waits for that.
    pub lookers: Vec<oneshot::Sender<()>>,
    /// The last changes.
    pub latest: Latest,
    /// Messages by what they are about. Several may stand at once: a rule may find the same of several fields, or members, of one object.
    findings: HashMap<(Arc<str>, ObjectKey, Reason), SmallVec<[String; 1]>>,
}

/// Shared by the daemon, which writes, and the HTTP server, which reads.
pub type Shared = Arc<Mutex<Status>>;

impl Status {
    /// At the start.
    pub fn new(now: Timestamp) -> Status {
        Status {
            started: now,
            turned: now,
            ready: false,
            frozen: false,
            rules: vec![],
            kept: vec![],
            fault: None,
            problems: vec![],
            errors: vec![],
            state: vec![],
            unread: None,
            kinds: BTreeMap::new(),
            made: 0,
            failed: 0,
            in_flight: 0,
            events: [0; Telling::ALL.len()],
            leader: false,
            reloads: Reloads::default(),
            election: None,
            engine: None,
            traffic: Figures::default(),
            asked: None,
            lookers: vec![],
            latest: Latest::default(),
            findings: HashMap::new(),
        }
    }

    /// Whether all that can be known is known: nothing is still being listed.
    pub fn is_settled(&self) -> bool {
        self.kinds
            .values()
            .all(|(_, following)| *following != Following::Listing)
    }

    /// A finding stands.
    pub fn add_finding(&mut self, finding: &Finding) {
        let messages = self.findings.entry(finding_key(finding)).or_default();
        if !messages.contains(&finding.message) {
            messages.push(finding.message.clone());
        }
    }

    /// A finding ended; others of its reason may stand on.
    pub fn end_finding(&mut self, finding: &Finding) {
        let key = finding_key(finding);
        let Some(messages) = self.findings.get_mut(&key) else {
            return;
        };
        messages.retain(|message| *message != finding.message);
        if messages.is_empty() {
            self.findings.remove(&key);
        }
    }

    /// Whether a rule waits for a kind that cannot be followed.
    pub fn is_missed(&self, kind: &GroupKind) -> bool {
        let every = |object: &ObjectKey| object.kind == *kind && &*object.name == "*";
        self.findings.keys().any(|(_, object, _)| every(object))
    }

    /// As `/status` shows it.
    pub fn json(&self, process: Process) -> Value {
        let rules: Vec<Value> = self
            .rules
            .iter()
            .map(|rule| {
                let engine = self.engine.as_ref();
                let counted = engine.and_then(|e| e.rules.iter().find(|r| *r.name == *rule.name));
                json!({
                    "name": *rule.name,
                    "mode": mode(rule.mode),
                    "description": rule.description,
                    "file": *rule.source.0,
                    "line": rule.source.1,
                    "lastGood": self.kept.contains(&rule.name),
                    "aborted": counted.and_then(|c| c.aborted.as_deref()),
                    "state": counted.map(|c| c.state),
                    "objects": counted.map(|c| json!({
                        "inScope": c.in_scope, "matched": c.matched, "pending": c.pending, "blocked": c.blocked,
                    })),
                    "evaluations": counted.map(|c| c.counts.evaluations),
                    "changes": counted.map(|c| json!({"made": c.counts.made, "failed": c.counts.failures})),
                    "lastError": counted.and_then(|c| c.last_error.as_deref()),
                })
            })
            .collect();
        let kinds: Vec<Value> = self
            .kinds
            .iter()
            .map(|(kind, (version, following))| {
                let (state, reason) = match following {
                    Following::Listing => ("Listing", None),
                    Following::Synced => ("Synced", None),
                    Following::Lost(Lost::NoSuchKind) => ("NoSuchKind", None),
                    Following::Lost(Lost::OutOfScope) => ("OutOfScope", None),
                    Following::Lost(Lost::Forbidden(why)) => ("Forbidden", Some(why)),
                    Following::Lost(Lost::Unreachable(why)) => ("Unreachable", Some(why)),
                };
                let name = kind.to_string();
                let engine = self.engine.as_ref();
                let counted = engine.and_then(|e| e.kinds.iter().find(|k| k.kind == name));
                let watch = self.traffic.watches.iter().find(|w| w.kind == *kind);
                json!({
                    "kind": name, "version": **version, "state": state, "reason": reason,
                    "selector": counted.map(|c| &*c.selector).filter(|s| !s.is_empty()),
                    "objects": counted.map(|c| c.objects), "bytes": counted.map(|c| c.bytes),
                    "undecodable": counted.map(|c| c.seen.undecodable),
                    "watchAgeSeconds": watch.and_then(|w| w.age).map(|age| age.as_secs_f64()),
                })
            })
            .collect();
        let mut by_reason: BTreeMap<String, usize> = BTreeMap::new();
        for ((_, _, reason), messages) in &self.findings {
            *by_reason.entry(reason.to_string()).or_default() += messages.len();
        }
        let mut listed: Vec<_> = self
            .findings
            .iter()
            .flat_map(|(key, messages)| messages.iter().map(move |message| (key, message)))
            .collect();
        let total = listed.len();
        listed.sort();
        listed.truncate(MOST_LISTED);
        json!({
            "startedAt": self.started.to_string(),
            "version": env!("CARGO_PKG_VERSION"),
            "ready": self.ready,
            "leader": match &self.election {
                None => json!({"election": false, "leading": self.leader}),
                Some((identity, standing)) => json!({
                    "election": true,
                    "leading": standing.leading,
                    "identity": **identity,
                    "holder": standing.holder.as_deref(),
                    "trouble": standing.trouble.as_deref(),
                }),
            },
            "frozen": self.frozen,
            "state": self.state.iter().chain(&self.unread).collect::<Vec<_>>(),
            "rules": rules,
            "fault": self.fault,
            "problems": self.problems.iter().take(MOST_PROBLEMS).collect::<Vec<_>>(),
            "kinds": kinds,
            "changes": {"made": self.made, "failed": self.failed, "latest": self.latest.json()},
            "reloads": {
                "last": self.reloads.last.map(ReloadResult::as_str),
                "lastSuccessAt": self.reloads.last_ok.map(|at| at.to_string()),
                "total": self.reloads.counts.iter().sum::<u64>(),
            },
            "memory": {
                "residentBytes": process.resident,
                "peakBytes": process.peak,
                "sources": self.engine.as_ref().map(|e| e.memory.iter().map(|(name, bytes)| ((*name).to_owned(), json!(bytes))).collect::<serde_json::Map<_, _>>()),
            },
            "requestsInFlight": self.in_flight,
            "queueDepth": self.engine.as_ref().map(|e| e.queue_depth),
            "queueOldestSeconds": self.engine.as_ref().map(|e| e.queue_oldest_seconds),
            "findings": {
                "total": total,
                "byReason": by_reason,
                "listed": listed.iter().map(|((rule, object, reason), message)| json!({
                    "rule": **rule, "object": object.to_string(), "reason": reason.to_string(), "message": message,
                })).collect::<Vec<_>>(),
            },
        })
    }
}

fn finding_key(finding: &Finding) -> (Arc<str>, ObjectKey, Reason) {
    (finding.rule.clone(), finding.object.clone(), finding.reason)
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Audit => "Audit",
        Mode::Enforce => "Enforce",
        Mode::Off => "Off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(message: &str) -> Finding {
        Finding {
            rule: "r".into(),
            object: ObjectKey::new(GroupKind::new("", "Pod"), None, "*"),
            reason: Reason::Waiting,
            message: message.into(),
        }
    }

    #[test]
    fn each_finding_stands_until_it_ends() {
        let mut status = Status::new(Timestamp::UNIX_EPOCH);
        for message in ["a", "b", "a"] {
            status.add_finding(&finding(message));
        }
        status.end_finding(&finding("a"));
        let findings = |status: &Status| status.json(Process::default())["findings"].clone();
        let shown = findings(&status);
        assert_eq!(
            (&shown["total"], &shown["byReason"]["Waiting"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(shown["listed"][0]["message"], "b");
        assert!(status.is_missed(&GroupKind::new("", "Pod")));
        status.end_finding(&finding("a"));
        status.end_finding(&finding("b"));
        assert_eq!(findings(&status)["total"], 0);
        assert!(!status.is_missed(&GroupKind::new("", "Pod")));
    }
}
