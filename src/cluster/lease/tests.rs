#![allow(clippy::unwrap_used)]

use super::election::{Answer, Ask, Election, Terms};
use super::fence::Fence;
use super::switches::{self, Switch};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const DURATION: Duration = Duration::from_secs(15);
/// Two periods less, in which the last renewal is seen late and the Lease is taken.
const TERM: Duration = Duration::from_secs(11);
const DEADLINE: Duration = Duration::from_secs(10);
const PERIOD: Duration = Duration::from_secs(2);

fn terms(identity: &str) -> Terms {
    Terms {
        identity: identity.into(),
        duration: DURATION,
        renew_deadline: DEADLINE,
        retry_period: PERIOD,
    }
}

/// The API server, as far as one Lease goes.
#[derive(Default)]
struct Server {
    lease: Option<Value>,
    version: u64,
}

impl Server {
    fn answer(&mut self, ask: &Ask) -> Answer {
        match (ask, &self.lease) {
            (Ask::Read, Some(lease)) => Answer::Found(lease.clone()),
            (Ask::Read, None) => Answer::Missing,
            (Ask::Create(_), Some(_)) => Answer::Conflict,
            (Ask::Replace(_), None) => Answer::Missing,
            (Ask::Create(lease), None) => self.put(lease),
            (Ask::Replace(lease), Some(known)) => {
                let version = |l: &Value| l["metadata"]["resourceVersion"].clone();
                if version(lease) == version(known) {
                    self.put(lease)
                } else {
                    Answer::Conflict
                }
            }
        }
    }

    fn put(&mut self, lease: &Value) -> Answer {
        let mut lease = lease.clone();
        self.version += 1;
        lease["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.lease = Some(lease.clone());
        Answer::Found(lease)
    }

    fn spec(&self, field: &str) -> Value {
        self.lease.as_ref().unwrap()["spec"][field].clone()
    }
}

/// A replica and its own clocks.
struct Replica {
    election: Election,
    now: Instant,
    wall: Timestamp,
}

impl Replica {
    fn new(identity: &str) -> Replica {
        Replica {
            election: Election::new(terms(identity), "ordain"),
            now: Instant::now(),
            wall: Timestamp::UNIX_EPOCH,
        }
    }

    fn ask(&mut self, server: &mut Server) -> Answer {
        let ask = self.election.next(self.wall);
        let answer = server.answer(&ask);
        self.election
            .heard(&ask, answer.clone(), self.now, self.now);
        answer
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.wall += time;
    }

    fn leads(&mut self) -> bool {
        self.election.standing(self.now).leading
    }

    fn pause(&mut self) -> Duration {
        self.election.pause(self.now)
    }
}

#[test]
fn the_first_one_creates_the_lease_and_the_second_stands_by() {
    let mut server = Server::default();
    let (mut a, mut b) = (Replica::new("a"), Replica::new("b"));
    assert_eq!(a.ask(&mut server), Answer::Missing);
    assert_eq!(a.pause(), Duration::ZERO);
    a.ask(&mut server);
    assert!(a.leads());
    assert_eq!(a.pause(), PERIOD);
    assert_eq!(server.spec("holderIdentity"), "a");
    assert_eq!(server.spec("leaseTransitions"), 0);
    assert_eq!(server.spec("leaseDurationSeconds"), TERM.as_secs());
    assert_eq!(server.spec("renewTime"), "1970-01-01T00:00:00.000000Z");
    b.ask(&mut server);
    assert!(!b.leads());
    assert_eq!(b.election.standing(b.now).holder.as_deref(), Some("a"));
    let pause = b.pause();
    assert!(pause <= PERIOD && pause >= PERIOD * 3 / 4, "{pause:?}");
}

#[test]
fn a_lease_that_is_not_renewed_is_taken_when_its_duration_has_passed_on_the_own_clock() {
    let mut server = Server::default();
    let (mut a, mut b) = (Replica::new("a"), Replica::new("b"));
    // An hour ahead, and an hour behind: it does not matter.
    a.wall += Duration::from_secs(3600);
    a.ask(&mut server);
    a.ask(&mut server);
    b.ask(&mut server);
    let mut waited = Duration::ZERO;
    while !b.leads() {
        let pause = b.pause();
        b.pass(pause);
        waited += pause;
        b.ask(&mut server);
        assert!(waited <= DURATION, "{waited:?}");
    }
    assert_eq!(waited, TERM);
    assert_eq!(server.spec("leaseTransitions"), 1);
    // The former leader finds out, and had stopped before.
    a.pass(DEADLINE);
    assert!(!a.leads());
    a.ask(&mut server);
    a.ask(&mut server);
    assert!(!a.leads());
    assert_eq!(server.spec("holderIdentity"), "b");
}

#[test]
fn a_lease_given_back_is_taken_at_the_next_look() {
    let mut server = Server::default();
    let (mut a, mut b) = (Replica::new("a"), Replica::new("b"));
    a.ask(&mut server);
    a.ask(&mut server);
    b.ask(&mut server);
    let ask = a.election.give_back(a.wall, a.now).unwrap();
    server.answer(&ask);
    assert!(!a.leads());
    assert!(a.election.give_back(a.wall, a.now).is_none());
    let pause = b.pause();
    b.pass(pause);
    b.ask(&mut server);
    b.ask(&mut server);
    assert!(b.leads() && pause <= PERIOD);
}

#[test]
fn a_lease_that_somebody_deletes_is_made_again_by_who_held_it() {
    let mut server = Server::default();
    let (mut a, mut b) = (Replica::new("a"), Replica::new("b"));
    a.ask(&mut server);
    a.ask(&mut server);
    b.ask(&mut server);
    server.lease = None;
    assert_eq!(b.ask(&mut server), Answer::Missing);
    assert_eq!(b.election.next(b.wall), Ask::Read);
    a.ask(&mut server);
    a.ask(&mut server);
    assert!(a.leads());
    // If that one is gone too, its time is waited for.
    server.lease = None;
    let mut waited = Duration::ZERO;
    while !b.leads() {
        let pause = b.pause();
        b.pass(pause);
        waited += pause;
        b.ask(&mut server);
    }
    assert_eq!(waited, TERM);
}

#[test]
fn a_leader_whose_renewals_are_not_answered_stops_at_its_deadline() {
    let mut server = Server::default();
    let mut a = Replica::new("a");
    a.ask(&mut server);
    a.ask(&mut server);
    let mut passed = Duration::ZERO;
    while a.leads() {
        let pause = a.pause();
        a.pass(pause);
        passed += pause;
        let ask = a.election.next(a.wall);
        let failed = Answer::Failed("no answer".into());
        a.election.heard(&ask, failed, a.now, a.now);
    }
    assert_eq!(passed, DEADLINE);
    let standing = a.election.standing(a.now);
    assert_eq!(standing.trouble.as_deref(), Some("no answer"));
    assert!(a.election.term_end(a.now).is_none());
    // It goes on trying, and leads again as soon as it can.
    a.ask(&mut server);
    assert_eq!(a.pause(), Duration::ZERO);
    a.ask(&mut server);
    assert!(a.leads());
    assert_eq!(a.election.standing(a.now).trouble, None);
}

#[test]
fn a_refusal_stands_until_something_could_be_written() {
    let mut server = Server::default();
    let mut a = Replica::new("a");
    a.ask(&mut server);
    for _ in 0..3 {
        let ask = a.election.next(a.wall);
        let refused = Answer::Refused("no such namespace".into());
        a.election.heard(&ask, refused, a.now, a.now);
        let said = a.election.standing(a.now).trouble;
        assert_eq!(said.as_deref(), Some("no such namespace"));
        let pause = a.pause();
        assert!(pause > Duration::ZERO);
        a.pass(pause);
        a.ask(&mut server);
        assert_eq!(a.election.standing(a.now).trouble, said);
        assert!(a.pause() > Duration::ZERO);
    }
    a.ask(&mut server);
    assert!(a.leads());
    assert_eq!(a.election.standing(a.now).trouble, None);
}

#[test]
fn what_others_put_into_the_lease_stays() {
    let mut server = Server::default();
    let foreign = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "ordain", "labels": {"a": "b"}}, "spec": {"preferredHolder": "x"}});
    server.put(&foreign);
    let mut a = Replica::new("a");
    a.ask(&mut server);
    a.ask(&mut server);
    assert!(a.leads());
    assert_eq!(server.spec("preferredHolder"), "x");
    assert_eq!(
        server.lease.as_ref().unwrap()["metadata"]["labels"]["a"],
        "b"
    );
    // Neither odd values nor a lease that is no lease at all stop it.
    for odd in [
        json!({"spec": []}),
        json!([]),
        json!({"spec": {"holderIdentity": 7, "leaseDurationSeconds": -3}}),
    ] {
        a.election
            .heard(&Ask::Read, Answer::Found(odd), a.now, a.now);
        assert!(!a.leads());
        assert!(matches!(a.election.next(a.wall), Ask::Replace(_)));
    }
}

#[test]
fn the_fence_admits_only_what_can_end_within_the_term() {
    let fence = Fence::new(DURATION);
    let now = Instant::now();
    assert_eq!(fence.admits(now), None);
    fence.open_until(now + DURATION);
    assert_eq!(fence.admits(now), Some(DURATION - DURATION / 10));
    let late = now + DURATION - DURATION / 5;
    assert_eq!(fence.admits(late), Some(DURATION / 10));
    assert_eq!(fence.admits(late + Duration::from_millis(1)), None);
    assert_eq!(fence.admits(now + DURATION * 2), None);
    fence.close();
    assert_eq!(fence.admits(now), None);
}

/// A request on its way.
struct Flight {
    ask: Ask,
    sent: u64,
    /// When the server acts, if it ever hears.
    acts: Option<u64>,
    answer: Option<Answer>,
    /// When the client hears, or gives up.
    heard: u64,
}

struct Simulated {
    election: Election,
    /// What its clocks are ahead of the others'.
    ahead: Duration,
    wakes: u64,
    flight: Option<Flight>,
}

proptest! {
    /// Replicas whose requests are late, lost, or taken and not answered, and that hang for any time: whenever one of them gets the Lease,
    /// no write of another one can still be on its way.
    #[test]
    fn terms_never_overlap(
        // (delay to the server, delay back, lost on the way there, lost on the way back, hangs before it goes on), in ms.
        fates in prop::collection::vec((0u64..4000, 0u64..4000, prop::bool::weighted(0.1), prop::bool::weighted(0.1), prop::option::weighted(0.05, 0u64..40_000)), 1..200),
    ) {
        let mut server = Server::default();
        let base = Instant::now() + Duration::from_secs(10_000_000);
        let mut replicas: Vec<Simulated> = (0..3)
            .map(|n| Simulated {
                election: Election::new(terms(&n.to_string()), "ordain"),
                ahead: Duration::from_secs(3600 * n),
                wakes: n * 100,
                flight: None,
            })
            .collect();
        let always_answered = fates.iter().all(|(there, back, lost, unheard, _)| {
            !lost && !unheard && there + back < 5000
        });
        let mut fates = fates.into_iter().cycle();
        // Ends of the terms in which each replica thinks it may write.
        let mut ends = [0u64; 3];
        let mut holder: Option<usize> = None;
        let mut leaders = 0;
        for _ in 0..1500 {
            // The next event: a request reaches the server, an answer its replica, or a replica wakes.
            let at = |r: &Simulated| match &r.flight {
                Some(Flight { acts: Some(acts), .. }) => *acts,
                Some(flight) => flight.heard,
                None => r.wakes,
            };
            let index = (0..3).min_by_key(|i| at(&replicas[*i])).unwrap();
            let now = at(&replicas[index]);
            let replica = &mut replicas[index];
            let local = base + replica.ahead + Duration::from_millis(now);
            match replica.flight.take() {
                None => {
                    let wall = Timestamp::from_millisecond(now as i64).unwrap();
                    let ask = replica.election.next(wall);
                    let (there, back, lost, unheard, _) = fates.next().unwrap();
                    let patience = replica.election.patience().as_millis() as u64;
                    let heard = if lost || unheard { patience } else { (there + back).min(patience) };
                    replica.flight = Some(Flight {
                        ask,
                        sent: now,
                        acts: (!lost).then_some(now + there),
                        answer: None,
                        heard: now + heard,
                    });
                    if unheard {
                        replica.flight.as_mut().unwrap().answer = Some(Answer::Failed("lost".into()));
                    }
                }
                Some(mut flight) if flight.acts.is_some() => {
                    let answer = server.answer(&flight.ask);
                    if matches!((&flight.ask, &answer), (Ask::Create(_) | Ask::Replace(_), Answer::Found(_))) && holder != Some(index) {
                        for (other, end) in ends.iter().enumerate() {
                            prop_assert!(other == index || *end <= now, "{other} may write until {end}, {index} has the lease at {now}");
                        }
                        holder = Some(index);
                        leaders += 1;
                    }
                    let late = now > flight.heard;
                    flight.acts = None;
                    if flight.answer.is_none() {
                        flight.answer = Some(if late { Answer::Failed("late".into()) } else { answer });
                    }
                    flight.heard = flight.heard.max(now);
                    replica.flight = Some(flight);
                }
                Some(flight) => {
                    let answer = flight.answer.unwrap_or(Answer::Failed("lost".into()));
                    let sent = base + replica.ahead + Duration::from_millis(flight.sent);
                    replica.election.heard(&flight.ask, answer, sent, local);
                    let end = replica.election.term_end(local);
                    if let Some(end) = end {
                        ends[index] = (end - base - replica.ahead).as_millis() as u64;
                    }
                    let pause = replica.election.pause(local).as_millis() as u64;
                    let hangs = fates.next().unwrap().4.unwrap_or(0);
                    replica.wakes = now + pause + hangs;
                }
            }
        }
        prop_assert!(leaders > 0 || !always_answered);
    }
}

/// What the Lease of a server says in annotations.
fn annotations(server: &Server) -> Value {
    server.lease.as_ref().unwrap()["metadata"]["annotations"].clone()
}

/// Presses a switch as a person with kubectl does, or another replica.
fn press(server: &mut Server, switch: &Switch) {
    let lease = server.lease.clone().unwrap();
    server.put(&switches::press(lease, switch));
}

#[test]
fn a_switch_in_the_lease_reaches_every_replica_and_outlives_it() {
    let mut server = Server::default();
    let (mut one, mut two) = (Replica::new("one"), Replica::new("two"));
    for _ in 0..4 {
        one.ask(&mut server);
        two.ask(&mut server);
    }
    let standing = |replica: &mut Replica| replica.election.standing(replica.now);
    assert!(standing(&mut one).leading && !standing(&mut two).leading);
    assert_eq!(standing(&mut two).frozen, Some(false));
    press(&mut server, &Switch::Freeze(true));
    for _ in 0..3 {
        one.ask(&mut server);
        two.ask(&mut server);
    }
    for replica in [&mut one, &mut two] {
        assert_eq!(standing(replica).frozen, Some(true));
    }
    assert!(
        standing(&mut one).leading,
        "a switch costs nobody the lease"
    );
    assert_eq!(annotations(&server)["ordain.dev/frozen"], "true");
    // Somebody deletes the Lease: whoever makes a new one writes down what it knew.
    server.lease = None;
    for _ in 0..4 {
        one.ask(&mut server);
    }
    assert!(standing(&mut one).leading);
    assert_eq!(annotations(&server)["ordain.dev/frozen"], "true");
    press(&mut server, &Switch::Freeze(false));
    for _ in 0..3 {
        two.ask(&mut server);
    }
    assert_eq!(standing(&mut two).frozen, Some(false));
}

#[test]
fn what_is_acknowledged_is_told_to_whoever_leads_once_and_taken_away() {
    let mut server = Server::default();
    let (mut one, mut two) = (Replica::new("one"), Replica::new("two"));
    for _ in 0..4 {
        one.ask(&mut server);
        two.ask(&mut server);
    }
    for rule in ["a", "b"] {
        press(&mut server, &Switch::Acknowledge(rule.into()));
    }
    let mut heard = vec![];
    for _ in 0..5 {
        one.ask(&mut server);
        two.ask(&mut server);
        heard.extend(one.election.take_acknowledged());
        assert!(two.election.take_acknowledged().is_empty());
    }
    assert_eq!(heard, ["a".into(), "b".into()]);
    assert_eq!(annotations(&server).get("ordain.dev/acknowledge"), None);
    // Said while nobody leads: whoever leads next hears it.
    let given = one.election.give_back(one.wall, one.now).unwrap();
    server.answer(&given);
    press(&mut server, &Switch::Acknowledge("c".into()));
    for _ in 0..4 {
        two.ask(&mut server);
    }
    assert!(two.election.standing(two.now).leading);
    assert_eq!(two.election.take_acknowledged(), ["c".into()]);
    press(&mut server, &Switch::AcknowledgeReload("today".into()));
    for _ in 0..3 {
        two.ask(&mut server);
    }
    let standing = two.election.standing(two.now);
    assert_eq!(standing.reload.as_deref(), Some("today"));
}

#[test]
fn a_term_leaves_room_within_the_duration_and_is_never_shorter_than_the_deadline() {
    let ms = Duration::from_millis;
    for (duration, deadline, period, term) in [
        (15_000, 10_000, 2_000, 11_000),
        (5_000, 3_000, 500, 4_000),
        (5_000, 3_000, 750, 4_000),
        (10_000, 8_000, 4_000, 8_000),
        (2_000, 1_500, 100, 2_000),
    ] {
        let terms = Terms {
            identity: "a".into(),
            duration: ms(duration),
            renew_deadline: ms(deadline),
            retry_period: ms(period),
        };
        assert_eq!(terms.term(), ms(term), "{terms:?}");
    }
}
