//! What a rule makes of an object, clause by clause: for people who ask why it does something, or does not.

use super::pass::PassContext;
use super::protect::protected;
use super::related;
use super::turn::Turn;
use super::world::World;
use super::{Decision, Finding, Reason, Standing, Subject};
use crate::object::ObjectKey;
use crate::object::difference;
use crate::rule::expr::Variables;
use crate::rule::related::Lists;
use crate::rule::selector::InScope;
use crate::rule::test::{self, Test, TestRun, Verdict};
use crate::rule::{Mode, Rule};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// A rule and an object, explained. Its JSON form is the answer of `GET /explain` and of `ordain explain -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Name of the rule.
    pub rule: String,
    /// The object, as `KIND/NAMESPACE/NAME`.
    pub object: String,
    /// The mode of the rule, as written.
    pub mode: String,
    /// As what it was presented, where the rule looks at admission: `Create`, `Update` or `Delete`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub occasion: Option<String>,
    /// The moment it was looked at.
    pub at: Timestamp,
    /// What of the rule saw what of the object.
    #[serde(flatten)]
    pub clauses: Clauses,
    /// How the rule came out, in a few words: `matches and acts`, `a test failed`.
    pub outcome: String,
    /// Whether the rule would change or say something now, whatever its mode and whether or not it is frozen or has to wait for its turn.
    pub acts: bool,
    /// What it does or would do.
    pub changes: Vec<Change>,
    /// Since when its match has held, where a step asks that.
    pub held_since: Option<Timestamp>,
    /// Steps that come when it has held long enough, if it goes on.
    pub later: Vec<LaterStep>,
    /// What it has to say of the object.
    pub findings: Vec<Said>,
    /// What keeps it from acting, though it matches.
    pub in_the_way: Vec<String>,
    /// What other rules make of the object now: they may come first.
    pub beside: Vec<String>,
    /// The moment at which time alone may change the answer.
    pub look_again: Option<Timestamp>,
}

/// Every clause of a rule with what it saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Clauses {
    /// The parts of `match` that say something about the object.
    pub matches: Vec<Check>,
    /// Why the object is left alone, where it is annotated so.
    pub ignored: Option<String>,
    /// The tests, in the order in which they are asked. All are shown, also behind one that failed.
    pub tests: Vec<Check>,
    /// The lists of other objects, where the tests before them passed: names of their members. One whose count fails is the last.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub related: Vec<Computed>,
    /// The variables, where the tests before them passed.
    pub variables: Vec<Computed>,
}

impl Clauses {
    /// Whether the rule has a `schedule` that is closed now.
    pub fn schedule_is_closed(&self) -> bool {
        let closed = |check: &Check| {
            check.clause == SCHEDULE && matches!(check.outcome, CheckOutcome::Failed)
        };
        self.matches.iter().any(closed)
    }
}

/// How the clause of a schedule is called.
const SCHEDULE: &str = "schedule";

/// One clause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// As written: `$.spec.replicas LessThan 3`, `any of`.
    pub clause: String,
    /// The value that it saw; absent where there was none or it may be secret.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<Value>,
    /// How it came out.
    pub outcome: CheckOutcome,
    /// Of what is unknown or could not be read: why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
    /// The tests inside `any` and `none`.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub inner: Vec<Check>,
}

/// How a clause came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckOutcome {
    /// It passed.
    Passed,
    /// It failed.
    Failed,
    /// It failed on a value that could not be read as its type.
    WrongType,
    /// Something it reads is not known.
    Unknown,
}

/// A variable and its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Computed {
    /// Its name.
    pub name: String,
    /// Its value; absent where it has none or it may be secret.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<Value>,
    /// Why it has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

/// What a step does or would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The verb of the step.
    pub verb: String,
    /// The object it changes, as `KIND/NAMESPACE/NAME`.
    pub object: String,
    /// As `ordain plan` shows it.
    pub diff: String,
}

/// A step that waits for its match to have held long enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaterStep {
    /// Its verb.
    pub verb: String,
    /// When it comes.
    pub at: Timestamp,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Its stable category.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// What came of a rule's turn in a decision. What stands in its way and beside it, and since when it holds, is for others to say.
pub fn concluded(
    (rule, index): (&Rule, usize),
    key: &ObjectKey,
    now: Timestamp,
    clauses: Clauses,
    decision: &Decision,
) -> Explanation {
    let standing = decision.standing(index);
    let matches = matches!(standing, Standing::Matched { .. });
    let changes: Vec<Change> = decision
        .changes
        .iter()
        .filter(|change| change.rule == rule.name)
        .map(|change| Change {
            verb: change.verb.as_str().into(),
            object: change.object.to_string(),
            diff: difference::record_text(
                &change.object.kind,
                change.before.as_ref(),
                change.after.as_ref(),
            ),
        })
        .collect();
    let of_rule = decision.findings.iter().filter(|f| f.rule == rule.name);
    let of_rule: Vec<&Finding> = of_rule.collect();
    let says = |finding: &&Finding| matches!(finding.reason, Reason::Denied | Reason::Warning);
    let says = of_rule.iter().any(says);
    let later = decision.later.iter().filter(|l| l.rule == rule.name);
    Explanation {
        rule: rule.name.to_string(),
        object: key.to_string(),
        mode: mode(rule.mode).into(),
        occasion: None,
        at: now,
        clauses,
        outcome: outcome(rule, &standing, (!changes.is_empty(), says)).into(),
        acts: matches && (!changes.is_empty() || says),
        changes,
        held_since: None,
        later: later
            .map(|later| LaterStep {
                verb: later.verb.as_str().into(),
                at: later.at,
            })
            .collect(),
        findings: of_rule
            .into_iter()
            .map(|finding| Said {
                reason: finding.reason.to_string(),
                message: finding.message.clone(),
            })
            .collect(),
        in_the_way: vec![],
        beside: vec![],
        look_again: decision.recheck_at,
    }
}

/// A mode as written.
pub fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Audit => "Audit",
        Mode::Enforce => "Enforce",
        Mode::Off => "Off",
    }
}

fn outcome(rule: &Rule, standing: &Standing, (changes, says): (bool, bool)) -> &'static str {
    match standing {
        _ if rule.mode == Mode::Off => "the rule is Off",
        Standing::OutOfScope => "`match` leaves it out",
        Standing::Unmatched => "a test failed",
        Standing::NotPicked => "it matches, and `pick` leaves it out",
        Standing::Matched { .. } if changes => "it matches, and there is something to do",
        Standing::Matched { .. } if says => "it matches, and there is something to say",
        Standing::Matched { .. } => "it matches, and there is nothing to do",
        Standing::Waiting => "something is not known: the object waits",
        Standing::Ignored => "an annotation tells Ordain to leave it alone",
        Standing::Failed => "an expression failed",
    }
}

/// Looks at each clause of a rule on an object as it is stored. Other rules, limits and gates are not looked at.
pub fn clauses(subject: &Subject<'_>, rule: &Rule, context: &PassContext<'_>) -> Clauses {
    let world = World::new(subject, context);
    let record = subject.record;
    let secret = rule.may_quote_secrets(&subject.key.kind);
    let schedule = rule.schedule.as_ref().map(|schedule| {
        world.opens(rule);
        let (opened, now) = (world.opened(), context.now);
        let (outcome, said) = match opened.filter(|since| *since <= now) {
            Some(since) => (CheckOutcome::Passed, format!("open since {since}")),
            None => (
                CheckOutcome::Failed,
                match schedule.next_opening(now) {
                    Some(at) => format!("opens at {at}"),
                    None => "does not open any more".into(),
                },
            ),
        };
        Check {
            clause: SCHEDULE.into(),
            value: Some(Value::from(said)),
            outcome,
            why: None,
            inner: vec![],
        }
    });
    let base = world.scope(record, None);
    let parts = rule.matches.parts(record.meta(), base.namespace_object);
    let matches: Vec<Check> = parts
        .into_iter()
        .map(|part| Check {
            clause: part.asks,
            value: Some(Value::from(part.saw)),
            outcome: match part.holds {
                InScope::Yes => CheckOutcome::Passed,
                InScope::No => CheckOutcome::Failed,
                InScope::Unknown => CheckOutcome::Unknown,
            },
            why: None,
            inner: vec![],
        })
        .chain(schedule)
        .collect();
    let (before, rest) = rule.tests.split_at(rule.tests_without_variables);
    let (first, of_lists) = before.split_at(rule.tests_without_lists);
    let mut tests: Vec<Check> = first.iter().map(|t| check(t, &base, secret)).collect();
    let passed = |tests: &[Check]| tests.iter().all(|t| t.outcome == CheckOutcome::Passed);
    let mut lists = Arc::<Lists>::default();
    let mut related = vec![];
    if passed(&tests) && !rule.related.is_empty() {
        let mut turn = Turn::new();
        related::lists(&world, rule, record, &mut turn);
        lists = turn.lists.unwrap_or_default();
        related = listed(rule, &lists);
        let scope = Variables::of_lists(lists.clone());
        let scope = world.scope(record, Some(&scope));
        let counts = rule.related.iter().enumerate();
        let counts = counts.filter(|(place, _)| lists.get(*place).is_some());
        let counts = counts.filter_map(|(_, list)| list.count.as_ref());
        tests.extend(counts.chain(of_lists).map(|t| check(t, &scope, secret)));
    }
    let computes = passed(&tests);
    let mut variables = vec![];
    if computes && !rule.variables.is_empty() {
        let computed = Variables::compute(&rule.variables, lists, &base);
        variables = computed
            .shown(&rule.variables)
            .map(|(name, value)| {
                let (value, why) = match value {
                    Ok(value) => (value.filter(|_| !secret).map(cut), None),
                    Err(fault) => (None, Some(fault.to_string())),
                };
                let name = name.to_owned();
                Computed { name, value, why }
            })
            .collect();
        let scope = world.scope(record, Some(&computed));
        tests.extend(rest.iter().map(|t| check(t, &scope, secret)));
    }
    let ignored = if world.ignored.entirely {
        Some("an annotation ordain.dev/ignore or ordain.dev/ignore-until on it or its Namespace")
    } else if world.ignored.rule(&rule.name) {
        Some("an annotation ordain.dev/ignore-rules on it or its Namespace names this rule")
    } else {
        None
    };
    Clauses {
        matches,
        ignored: ignored.map(str::to_owned),
        tests,
        related,
        variables,
    }
}

/// Most members of a list that are named.
const MOST_MEMBERS: usize = 20;

/// The members of each list, or why they are not known.
fn listed(rule: &Rule, lists: &Lists) -> Vec<Computed> {
    let each = rule.related.iter().enumerate();
    let known = each.filter_map(|(place, list)| Some((list, lists.get(place)?)));
    known
        .map(|(list, found)| {
            let (value, why) = match found.members() {
                Ok(members) => {
                    let mut names: Vec<String> = members
                        .iter()
                        .take(MOST_MEMBERS)
                        .map(|member| member.key.to_string())
                        .collect();
                    if members.len() > MOST_MEMBERS {
                        names.push(format!("and {} more", members.len() - MOST_MEMBERS));
                    }
                    (Some(Value::from(names)), None)
                }
                Err(why) => (None, Some(why.to_string())),
            };
            let name = list.name.to_string();
            Computed { name, value, why }
        })
        .collect()
}

/// Why steps of the rule may not touch the object, one sentence a verb.
pub fn protections(subject: &Subject<'_>, rule: &Rule, state_namespace: &str) -> Vec<String> {
    let mut told = vec![];
    for step in rule.steps.iter().filter(|step| step.target.is_none()) {
        let meta = subject.record.meta();
        let why = protected(rule, &step.action, subject.key, meta, state_namespace);
        if let Some(why) = why {
            let verb = step.action.verb().as_str();
            let sentence = format!("{}: it is protected from {verb}: {why}", Reason::Protected);
            if !told.contains(&sentence) {
                told.push(sentence);
            }
        }
    }
    told
}

fn check(of: &Test, scope: &crate::rule::expr::Scope<'_>, secret: bool) -> Check {
    let mut trace = vec![];
    let mut run = TestRun {
        scope,
        recheck_at: None,
        trace: Some(&mut trace),
    };
    let verdict = test::all(std::slice::from_ref(of), &mut run);
    let mut absent = None;
    let (clause, value, inner) = match of {
        Test::Clause(clause) => {
            let trace = trace.pop();
            absent = trace.as_ref().and_then(|t| t.absent.clone());
            let value = trace.and_then(|t| t.value).filter(|_| !secret);
            (clause.text().to_owned(), value, vec![])
        }
        Test::All(tests) | Test::Any(tests) | Test::None(tests) => {
            let word = match of {
                Test::Any(_) => "any of",
                Test::None(_) => "none of",
                _ => "all of",
            };
            let inner = tests.iter().map(|t| check(t, scope, secret)).collect();
            (word.to_owned(), None, inner)
        }
    };
    let (outcome, why) = match verdict {
        Verdict::Pass => (CheckOutcome::Passed, None),
        Verdict::Fail => (CheckOutcome::Failed, None),
        Verdict::WrongType(why) => (CheckOutcome::WrongType, Some(why)),
        Verdict::Unknown(why) | Verdict::Failed(why) => (CheckOutcome::Unknown, Some(why)),
    };
    Check {
        clause,
        value,
        outcome,
        why: why.or(absent),
        inner,
    }
}

/// A value as a trace shows it: long texts, lists and maps are cut.
fn cut(value: Value) -> Value {
    test::describe(crate::object::Record::from_value(&value).root())
}
