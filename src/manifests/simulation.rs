//! An engine and a world, driven in simulated time until nothing is left to do. Knows no clock: `plan`, `test` and `run --once` give the time.

use super::World;
use super::world::seen;
use crate::decide::explain::Explanation;
use crate::decide::{Operation, Write};
use crate::engine::worker::lifetimes::Known;
use crate::engine::worker::status::{MetricStatus, RuleStatus};
use crate::engine::{
    Effect, Engine, EngineOptions, Kept, Observation, Outcome, Recalled, Report, Unexplained,
    WatchedKind,
};
use crate::object::ObjectKey;
use crate::rule::set::RuleSet;
use jiff::Timestamp;
use std::sync::Arc;

/// Objects evaluated between two looks at what came of it.
const BUDGET: usize = 1024;
/// Most turns in a row of which nothing comes before a simulation is called stuck. An engine that is sound never comes near.
const MOST_IDLE_TURNS: usize = 10_000;
/// Most moments that are visited on the way to a later time.
const MOST_MOMENTS: usize = 1_000_000;

/// The simulation itself.
pub struct Simulation {
    engine: Engine,
    world: World,
    followed: Vec<WatchedKind>,
    now: Timestamp,
    writes: u64,
    wake: Option<Timestamp>,
    /// Who writes to sinks; `None`: nothing leaves the simulation.
    sinks: Option<fn(&Write) -> Outcome>,
    /// What is remembered, as text.
    kept: Option<String>,
}

/// A simulation that did not come to rest.
#[derive(Debug, thiserror::Error)]
#[error("no rest was reached at {0}: the rules keep each other busy")]
pub struct Restless(pub Timestamp);

impl Simulation {
    /// Loads the rules and lists what they need; nothing is evaluated yet.
    pub fn new(
        options: EngineOptions,
        rules: Arc<RuleSet>,
        world: World,
        now: Timestamp,
    ) -> Simulation {
        Self::remembering(options, rules, world, now, Known::default())
    }

    /// As [`new`](Self::new), after an earlier life in which these rules may have held something.
    pub fn remembering(
        options: EngineOptions,
        rules: Arc<RuleSet>,
        mut world: World,
        now: Timestamp,
        known: Known,
    ) -> Simulation {
        // What happened before anybody watched is in the lists.
        world.take_events();
        let mut simulation = Simulation {
            engine: Engine::new(options),
            world,
            followed: vec![],
            now,
            writes: 0,
            wake: None,
            sinks: None,
            kept: None,
        };
        simulation.engine.recall_lifetimes(known);
        simulation.load(rules);
        simulation
    }

    /// What rules archive is written by `sinks`, and no longer taken as if it were.
    #[must_use]
    pub fn with_sinks(mut self, sinks: fn(&Write) -> Outcome) -> Simulation {
        self.sinks = Some(sinks);
        self
    }

    /// Puts another rule set in force.
    pub fn load(&mut self, rules: Arc<RuleSet>) {
        self.engine.load(rules, self.now);
        self.follow();
    }

    /// Lists what has to be known and was not so far.
    fn follow(&mut self) {
        let wanted = self.engine.wanted();
        for kind in &wanted {
            if !self.followed.contains(kind) {
                for observation in self.world.list(kind) {
                    self.engine.observe(observation, self.now);
                }
            }
        }
        self.followed = wanted;
    }

    /// What a rule makes of an object now; see [`Engine::explain`].
    ///
    /// # Errors
    /// When there is no such rule or object.
    pub fn explain(&mut self, rule: &str, object: &str) -> Result<Explanation, Unexplained> {
        self.engine.explain(rule, object, self.now)
    }

    /// Takes what an earlier run remembered, as text, and remembers it from now on: [`kept`](Self::kept). Before anything is settled.
    pub fn recall(&mut self, text: Option<&str>) -> Recalled {
        let texts = text.map(|text| ("the state", text));
        let found = self.engine.recall(texts, ("", true), self.now);
        self.follow();
        found
    }

    /// What is remembered now, as text; `None`: nothing has changed since the start.
    pub fn kept(&mut self) -> Option<String> {
        let mut effects = vec![];
        self.engine.keep_at_once(self.now, &mut effects);
        for effect in effects {
            if let Effect::Keep(id, keep) = effect {
                self.engine.complete(id, Outcome::Kept(vec![]), self.now);
                self.kept = keep.shards.into_iter().map(|(_, text)| text).next();
            }
        }
        self.kept.clone()
    }

    /// The cluster.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The cluster, to change it as a person would; [`settle`](Self::settle) shows the engine what happened.
    pub fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    /// What the engine knows of each rule now.
    pub fn rules(&self) -> Vec<RuleStatus> {
        self.engine.status(self.now).rules
    }

    /// What `metric` steps show now.
    pub fn metrics(&self) -> Vec<MetricStatus> {
        let rules = self.engine.status(self.now).rules.into_iter();
        rules.flat_map(|rule| rule.metrics).collect()
    }

    /// The engine, to press its switches.
    pub fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The cluster as it is left when the simulation ends.
    pub fn into_world(self) -> World {
        self.world
    }

    /// The simulated time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Requests to the server so far, those it refused included.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// The next moment at which something may come out differently.
    pub fn wake(&self) -> Option<Timestamp> {
        self.wake
    }

    /// Goes on without moving the time until nothing is left to do now.
    ///
    /// # Errors
    /// When that does not end.
    pub fn settle(&mut self, report: &mut dyn FnMut(Report)) -> Result<(), Restless> {
        let mut idle_turns = 0;
        let mut effects = vec![];
        // What happened before anything was done happened at one moment.
        let mut together = true;
        loop {
            let delivered = self.deliver(std::mem::take(&mut together));
            self.wake = self.engine.poll(self.now, BUDGET, &mut effects);
            let busy = delivered > 0 || !effects.is_empty();
            for effect in effects.drain(..) {
                match effect {
                    Effect::Write(id, write) => {
                        self.writes += 1;
                        let outcome = match (&write.operation, self.sinks) {
                            (Operation::Archive { .. }, Some(sinks)) => sinks(&write),
                            _ => self.world.write(&write, self.now),
                        };
                        // The watch shows a change before its answer arrives, as often as not; both orders are sound.
                        self.engine.complete(id, outcome, self.now);
                    }
                    Effect::Read(id, key) => {
                        let outcome = self.world.read(&key);
                        self.engine.complete(id, outcome, self.now);
                    }
                    Effect::Managers(id, _) => {
                        self.engine
                            .complete(id, Outcome::Managers(vec![]), self.now);
                    }
                    Effect::Keep(id, keep) => {
                        let mut done = vec![];
                        for (number, text) in keep.shards {
                            self.kept = Some(text);
                            done.push((number, Kept::Done));
                        }
                        self.engine.complete(id, Outcome::Kept(done), self.now);
                    }
                    Effect::Report(r) => report(r),
                }
            }
            if busy {
                idle_turns = 0;
                continue;
            }
            match self.wake {
                Some(at) if at <= self.now => {
                    idle_turns += 1;
                    if idle_turns > MOST_IDLE_TURNS {
                        return Err(Restless(self.now));
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    /// Moves the time to `later`, stopping at each moment at which something becomes due on the way.
    ///
    /// # Errors
    /// When some moment does not come to rest.
    pub fn advance(
        &mut self,
        later: Timestamp,
        report: &mut dyn FnMut(Report),
    ) -> Result<(), Restless> {
        self.settle(report)?;
        for _ in 0..MOST_MOMENTS {
            match self.wake {
                Some(at) if at <= later && at > self.now => {
                    self.now = at;
                    self.settle(report)?;
                }
                _ => {
                    self.now = self.now.max(later);
                    return self.settle(report);
                }
            }
        }
        Err(Restless(self.now))
    }

    fn deliver(&mut self, together: bool) -> usize {
        for said in std::mem::take(&mut self.world.said) {
            let (key, rules) = (&said.key, &said.rules);
            self.engine
                .said_at_admission(key, &said.version, rules, &said.findings);
        }
        let mut delivered = 0;
        let mut changed = vec![];
        for event in self.world.take_events() {
            let observation = match event {
                Observation::Applied { kind, record } => self
                    .followed
                    .iter()
                    .find(|w| w.kind == kind)
                    .map(|watched| seen(watched, &record)),
                Observation::Deleted { ref key, .. } => self
                    .followed
                    .iter()
                    .any(|w| w.kind == key.kind)
                    .then_some(event),
                other => Some(other),
            };
            if let Some(observation) = observation {
                delivered += 1;
                if let Observation::Applied { kind, record } = &observation {
                    let meta = record.meta();
                    changed.push(ObjectKey::new(kind.clone(), meta.namespace(), meta.name()));
                }
                self.engine.observe(observation, self.now);
            }
        }
        if together {
            self.engine.count_together(&changed);
        }
        delivered
    }
}
