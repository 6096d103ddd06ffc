//! `/metrics`: every family, and how it is read from what the daemon knows. Nothing is counted here.
//!
//! Labels come from closed sets, rule names and kinds; never object names, namespaces or error texts. A rule or kind that is gone takes its series with it.

use super::Status;
use super::exposition::{Family, Kind, Made, Page};
use super::process::Process;
use super::status::ReloadResult;
use crate::cluster::traffic::{NO_ANSWER, Restart};
use crate::engine::announce::Telling;
use crate::rule::Mode;
use jiff::Timestamp;

const fn family(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family {
        name,
        kind,
        labels,
        help,
    }
}

use Kind::{Counter, Gauge, Histogram};

const BUILD_INFO: Family = family(
    "ordain_build_info",
    Gauge,
    &["version"],
    "1, with the version of this program",
);
const LEADER: Family = family(
    "ordain_leader",
    Gauge,
    &[],
    "1 while this replica may write, 0 while it stands by",
);
const READY: Family = family(
    "ordain_ready",
    Gauge,
    &[],
    "1 once every kind has been listed or is known to be out of reach",
);
const FROZEN: Family = family(
    "ordain_frozen",
    Gauge,
    &[],
    "1 while every rule behaves as in Audit",
);
const RULES: Family = family(
    "ordain_rules",
    Gauge,
    &["state"],
    "Rules in force: by mode (enforce, audit, off), and of these those that wait for a kind (waiting), were stopped by a limit (aborted), are outside their schedule (closed), stay in their last good version (last_good)",
);
const RULE_OBJECTS: Family = family(
    "ordain_rule_objects",
    Gauge,
    &["rule", "state"],
    "Objects of a rule: covered by match, as far as the watch shows them (in_scope); of these all tests pass (matched), something is unknown or failed (pending), held by a limit or a breaker (blocked)",
);
const RULE_EVALUATIONS: Family = family(
    "ordain_rule_evaluations_total",
    Counter,
    &["rule"],
    "Evaluations of a rule on an object",
);
const RULE_CANDIDATES: Family = family(
    "ordain_rule_related_candidates_total",
    Counter,
    &["rule"],
    "Objects that were asked whether they belong to a related list, once for each object that the list was computed for",
);
const RULE_ERRORS: Family = family(
    "ordain_rule_errors_total",
    Counter,
    &["rule", "reason"],
    "Evaluations and requests of a rule that failed, by reason",
);
const FINDINGS: Family = family(
    "ordain_findings",
    Gauge,
    &["rule", "reason"],
    "Findings that stand now",
);
const CHANGES: Family = family(
    "ordain_changes_total",
    Counter,
    &["rule", "kind", "verb", "outcome"],
    "Changes of objects that were asked of the server, by how it answered",
);
const WOULD_CHANGE: Family = family(
    "ordain_would_change_total",
    Counter,
    &["rule", "kind", "verb"],
    "Changes that a rule in Audit, or one that is held back, would make; once per state of object and rule",
);
const CHANGE_DURATION: Family = family(
    "ordain_change_duration_seconds",
    Histogram,
    &["verb"],
    "From the decision on a write to the server's answer, waiting for --write-rate included",
);
const REACTION: Family = family(
    "ordain_reaction_seconds",
    Histogram,
    &["rule"],
    "From the moment a change was seen, or an object came due, to the server's acknowledgement of the write",
);
const QUEUE_DEPTH: Family = family(
    "ordain_queue_depth",
    Gauge,
    &[],
    "Objects waiting to be evaluated",
);
const QUEUE_OLDEST: Family = family(
    "ordain_queue_oldest_seconds",
    Gauge,
    &[],
    "How long the first of the waiting objects has waited",
);
const IN_FLIGHT: Family = family(
    "ordain_requests_in_flight",
    Gauge,
    &[],
    "Writes and reads of single objects that were not answered yet",
);
const WATCH_EVENTS: Family = family(
    "ordain_watch_events_total",
    Counter,
    &["kind", "type"],
    "What lists and watches delivered: listed, added, modified, deleted (or gone from the selector), bookmark, undecodable (left out)",
);
const WATCH_AGE: Family = family(
    "ordain_watch_age_seconds",
    Gauge,
    &["kind"],
    "Since the last sign of life of a kind's watch, bookmarks included: on a healthy watch never more than about a minute; none where there is nothing to watch",
);
const WATCH_RESTARTS: Family = family(
    "ordain_watch_restarts_total",
    Counter,
    &["kind", "reason"],
    "Watches begun anew: Ended (its time was over: normal), Broken, Silent, Gone (listed again), Due (as after an hour or so: listed again), Failed, Forbidden, NoSuchKind",
);
const STORE_OBJECTS: Family = family(
    "ordain_store_objects",
    Gauge,
    &["kind"],
    "Objects in memory: those that the watch shows",
);
const STORE_BYTES: Family = family(
    "ordain_store_bytes",
    Gauge,
    &["kind"],
    "Bytes of their records",
);
const RELOADS: Family = family(
    "ordain_reload_total",
    Counter,
    &["result"],
    "Loads of the rules: ok, partial (a file has errors: its rules stay in their last good version), fault (all rules stay as they are until acknowledged)",
);
const RELOAD_LAST_SUCCESS: Family = family(
    "ordain_reload_last_success_timestamp_seconds",
    Gauge,
    &[],
    "Unix time of the last load with result ok, 0 if there was none",
);
const RELOAD_SUCCESSFUL: Family = family(
    "ordain_reload_last_successful",
    Gauge,
    &[],
    "1 if the last load of the rules had result ok",
);
const RELOAD_DURATION: Family = family(
    "ordain_reload_duration_seconds",
    Histogram,
    &[],
    "From compiling the rule files to having them in force",
);
const API_REQUESTS: Family = family(
    "ordain_api_requests_total",
    Counter,
    &["verb", "code"],
    "Requests to the API server by verb and HTTP status, `none` where no answer came",
);
const EVENTS: Family = family(
    "ordain_events_total",
    Counter,
    &["outcome"],
    "Kubernetes Events on objects whose change failed or was blocked: told, known (there already), failed (not taken by the server), dropped (too many waited)",
);
const CPU: Family = family(
    "process_cpu_seconds_total",
    Counter,
    &[],
    "Seconds of CPU, user and system together",
);
const RESIDENT: Family = family(
    "process_resident_memory_bytes",
    Gauge,
    &[],
    "Bytes in memory",
);
const STARTED: Family = family(
    "process_start_time_seconds",
    Gauge,
    &[],
    "Unix time of the start",
);

/// Every family, in the order of the page.
pub const FAMILIES: [Family; 31] = [
    BUILD_INFO,
    LEADER,
    READY,
    FROZEN,
    RULES,
    RULE_OBJECTS,
    RULE_EVALUATIONS,
    RULE_CANDIDATES,
    RULE_ERRORS,
    FINDINGS,
    CHANGES,
    WOULD_CHANGE,
    CHANGE_DURATION,
    REACTION,
    QUEUE_DEPTH,
    QUEUE_OLDEST,
    IN_FLIGHT,
    WATCH_EVENTS,
    WATCH_AGE,
    WATCH_RESTARTS,
    STORE_OBJECTS,
    STORE_BYTES,
    RELOADS,
    RELOAD_LAST_SUCCESS,
    RELOAD_SUCCESSFUL,
    RELOAD_DURATION,
    API_REQUESTS,
    EVENTS,
    CPU,
    RESIDENT,
    STARTED,
];

/// The page, from what was last measured.
pub fn page(status: &Status, process: Process) -> String {
    let mut page = Page::default();
    page.number(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
    page.number(&LEADER, &[], flag(status.leader));
    page.number(&READY, &[], flag(status.ready));
    page.number(&FROZEN, &[], flag(status.frozen));
    rules(&mut page, status);
    changes(&mut page, status);
    if let Some(engine) = &status.engine {
        page.number(&QUEUE_DEPTH, &[], engine.queue_depth as f64);
        page.number(&QUEUE_OLDEST, &[], engine.queue_oldest_seconds);
        page.number(&IN_FLIGHT, &[], engine.in_flight as f64);
    }
    watches(&mut page, status);
    store(&mut page, status);
    reloads(&mut page, status);
    for ((verb, code), n) in &status.traffic.requests {
        let code = match *code {
            NO_ANSWER => "none".to_owned(),
            code => code.to_string(),
        };
        page.number(&API_REQUESTS, &[verb, &code], *n as f64);
    }
    for (telling, n) in Telling::ALL.iter().zip(status.events) {
        page.number(&EVENTS, &[telling.as_str()], n as f64);
    }
    if let Some(seconds) = process.cpu_seconds {
        page.number(&CPU, &[], seconds);
    }
    if let Some(bytes) = process.resident {
        page.number(&RESIDENT, &[], bytes as f64);
    }
    page.number(&STARTED, &[], seconds(status.started));
    made_by_rules(&mut page, status);
    page.finish()
}

/// What `metric` steps make. A name is one rule's; should two have it, the first in the order of rules does.
fn made_by_rules(page: &mut Page, status: &Status) {
    let known = status.engine.as_ref().map_or(&[][..], |e| &e.rules);
    let mut names: Vec<&str> = vec![];
    for metric in known.iter().flat_map(|rule| &rule.metrics) {
        if names.contains(&&*metric.name) {
            continue;
        }
        names.push(&metric.name);
        let family = Made {
            name: &metric.name,
            kind: if metric.counter { Counter } else { Gauge },
            labels: &metric.labels,
            help: &metric.help,
        };
        for (labels, value) in &metric.rows {
            page.made(&family, labels, *value);
        }
    }
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

fn rules(page: &mut Page, status: &Status) {
    let mode = |mode| status.rules.iter().filter(|r| r.mode == mode).count();
    let known = status.engine.as_ref().map_or(&[][..], |e| &e.rules);
    let state = |state| known.iter().filter(|r| r.state == state).count();
    for (label, n) in [
        ("enforce", mode(Mode::Enforce)),
        ("audit", mode(Mode::Audit)),
        ("off", mode(Mode::Off)),
        ("waiting", state("waiting")),
        ("aborted", state("aborted")),
        ("closed", state("closed")),
        ("last_good", status.kept.len()),
    ] {
        page.number(&RULES, &[label], n as f64);
    }
    for rule in known {
        for (state, n) in [
            ("in_scope", rule.in_scope),
            ("matched", rule.matched),
            ("pending", rule.pending),
            ("blocked", rule.blocked),
        ] {
            page.number(&RULE_OBJECTS, &[&rule.name, state], n as f64);
        }
    }
    for rule in known {
        let n = rule.counts.evaluations as f64;
        page.number(&RULE_EVALUATIONS, &[&rule.name], n);
    }
    for rule in known {
        let n = rule.counts.related_candidates as f64;
        page.number(&RULE_CANDIDATES, &[&rule.name], n);
    }
    for rule in known {
        for (reason, n) in rule.counts.errors.iter() {
            page.number(&RULE_ERRORS, &[&rule.name, reason], n as f64);
        }
    }
    let findings = status.engine.iter().flat_map(|e| &e.finding_counts);
    for ((rule, reason), n) in findings {
        page.number(&FINDINGS, &[rule, reason], *n as f64);
    }
}

fn changes(page: &mut Page, status: &Status) {
    let Some(engine) = &status.engine else {
        return;
    };
    for rule in &engine.rules {
        for ((kind, verb, outcome), n) in rule.counts.changes.iter() {
            let labels = [&*rule.name, &kind.to_string(), verb.as_str(), outcome];
            page.number(&CHANGES, &labels, n as f64);
        }
    }
    for rule in &engine.rules {
        for ((kind, verb), n) in rule.counts.would_change.iter() {
            let labels = [&*rule.name, &kind.to_string(), verb.as_str()];
            page.number(&WOULD_CHANGE, &labels, n as f64);
        }
    }
    for (verb, histogram) in &engine.durations {
        page.histogram(&CHANGE_DURATION, &[verb], histogram);
    }
    for rule in &engine.rules {
        if rule.counts.reaction.count() > 0 {
            page.histogram(&REACTION, &[&rule.name], &rule.counts.reaction);
        }
    }
}

fn watches(page: &mut Page, status: &Status) {
    let kinds = status.engine.as_ref().map_or(&[][..], |e| &e.kinds);
    let watches = &status.traffic.watches;
    for kind in kinds {
        let seen = kind.seen;
        for (what, n) in [
            ("listed", seen.listed),
            ("added", seen.added),
            ("modified", seen.modified),
            ("deleted", seen.deleted),
            ("undecodable", seen.undecodable),
        ] {
            page.number(&WATCH_EVENTS, &[&kind.kind, what], n as f64);
        }
    }
    for watch in watches {
        let labels = [&*watch.kind.to_string(), "bookmark"];
        page.number(&WATCH_EVENTS, &labels, watch.bookmarks as f64);
    }
    for watch in watches {
        if let Some(age) = watch.age {
            page.number(&WATCH_AGE, &[&watch.kind.to_string()], age.as_secs_f64());
        }
    }
    for watch in watches {
        let kind = watch.kind.to_string();
        for (why, n) in Restart::ALL.iter().zip(watch.restarts) {
            page.number(&WATCH_RESTARTS, &[&kind, why.as_str()], n as f64);
        }
    }
}

fn store(page: &mut Page, status: &Status) {
    let kinds = status.engine.as_ref().map_or(&[][..], |e| &e.kinds);
    for kind in kinds {
        page.number(&STORE_OBJECTS, &[&kind.kind], kind.objects as f64);
    }
    for kind in kinds {
        page.number(&STORE_BYTES, &[&kind.kind], kind.bytes as f64);
    }
}

fn reloads(page: &mut Page, status: &Status) {
    let reloads = &status.reloads;
    for (result, n) in ReloadResult::ALL.iter().zip(reloads.counts) {
        page.number(&RELOADS, &[result.as_str()], n as f64);
    }
    let last = reloads.last_ok.map_or(0.0, seconds);
    page.number(&RELOAD_LAST_SUCCESS, &[], last);
    let successful = reloads.last == Some(ReloadResult::Ok);
    page.number(&RELOAD_SUCCESSFUL, &[], flag(successful));
    page.histogram(&RELOAD_DURATION, &[], &reloads.durations);
}
