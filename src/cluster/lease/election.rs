//! Who holds the Lease: what is asked of the server next, and what follows from its answer. No I/O; time is an argument.

use super::switches;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long things take.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What this replica is called in the Lease.
    pub identity: Arc<str>,
    /// After the last write of a leader that was killed another one writes within this time.
    pub duration: Duration,
    /// A leader that could not renew for this long stops. Shorter than `duration`.
    pub renew_deadline: Duration,
    /// Between two tries to get or renew the Lease.
    pub retry_period: Duration,
}

impl Terms {
    /// How long a Lease must stand as it is before it may be taken; whole seconds, as the Lease says them. Shorter than the duration by the
    /// time in which a standby may see the last renewal late, and by that in which it takes the Lease and writes.
    pub fn term(&self) -> Duration {
        let shorter = self.duration.saturating_sub(self.retry_period * 2);
        let term = shorter.max(self.renew_deadline);
        let seconds = term.as_secs() + u64::from(term.subsec_nanos() > 0);
        Duration::from_secs(seconds).min(self.duration)
    }
}

/// Whether this replica leads, and who does otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// This replica may write.
    pub leading: bool,
    /// Who holds the Lease, as far as is known.
    pub holder: Option<Arc<str>>,
    /// What keeps this replica from getting or renewing it.
    pub trouble: Option<Arc<str>>,
    /// Whether all replicas are frozen; `None`: the Lease was never seen.
    pub frozen: Option<bool>,
    /// What was said last of reloads.
    pub reload: Option<Arc<str>>,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// The Lease as it is.
    Read,
    /// A new Lease.
    Create(Value),
    /// This Lease instead of the one of the same `resourceVersion`.
    Replace(Value),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The Lease as it is now.
    Found(Value),
    /// There is none.
    Missing,
    /// Somebody else was faster.
    Conflict,
    /// Not allowed, or nowhere to put it; with the mend.
    Refused(String),
    /// Nobody knows what became of it.
    Failed(String),
}

/// What is asked next.
#[derive(Clone, Debug, PartialEq)]
enum Next {
    Read,
    Create,
    /// It is free, or ours.
    Take,
}

/// The Lease as it was seen last.
struct Seen {
    lease: Value,
    /// Since when its `spec` has been as it is.
    since: Instant,
}

/// One replica's view of the election.
pub struct Election {
    terms: Terms,
    /// Of the Lease.
    name: String,
    next: Next,
    seen: Option<Seen>,
    /// The moment before the last renewal that was taken was sent.
    renewed: Option<Instant>,
    trouble: Option<Arc<str>>,
    /// The trouble is a refusal: it stands until something was written, whatever can be read.
    refused: bool,
    /// The last answer told what the Lease is now, so that it may be taken at once.
    fresh: bool,
    /// As the Lease said last. One that is made anew says the same.
    frozen: Option<bool>,
    reload: Option<Arc<str>>,
    /// Rules that may go on, by a Lease that this replica holds: not handed on yet.
    acknowledged: Vec<Arc<str>>,
    /// Changes with each pause, so that replicas do not ask in step.
    jitter: u32,
}

impl Election {
    pub fn new(terms: Terms, name: &str) -> Election {
        let jitter = terms.identity.bytes().fold(7u32, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        Election {
            terms,
            name: name.to_owned(),
            next: Next::Read,
            seen: None,
            renewed: None,
            trouble: None,
            refused: false,
            fresh: false,
            frozen: None,
            reload: None,
            acknowledged: vec![],
            jitter,
        }
    }

    /// What to ask now. `wall` goes into the Lease for people to read; nothing is ever decided by it.
    pub fn next(&self, wall: Timestamp) -> Ask {
        match (&self.next, &self.seen) {
            (Next::Create, _) => Ask::Create(self.claim(&json!({}), wall)),
            (Next::Take, Some(seen)) => Ask::Replace(self.claim(&seen.lease, wall)),
            (Next::Read | Next::Take, _) => Ask::Read,
        }
    }

    /// How long to wait for an answer.
    pub fn patience(&self) -> Duration {
        self.terms.renew_deadline / 2
    }

    /// Takes an answer. `sent`: the moment before the request was sent.
    pub fn heard(&mut self, ask: &Ask, answer: Answer, sent: Instant, now: Instant) {
        self.lapse(now);
        self.fresh = *ask == Ask::Read;
        match answer {
            Answer::Found(lease) => {
                if *ask != Ask::Read {
                    self.renewed = Some(sent);
                }
                self.see(lease, now);
                if *ask != Ask::Read || !self.refused || self.next == Next::Read {
                    self.trouble = None;
                    self.refused = false;
                }
            }
            Answer::Missing => {
                self.renewed = None;
                let ours = self.holder().is_none_or(|h| *h == *self.terms.identity);
                if ours || self.left(now).is_zero() {
                    self.seen = None;
                    self.next = Next::Create;
                } else {
                    // Somebody deleted it. Who held it learns that only at the next renewal, and has the first right to a new one.
                    self.next = Next::Read;
                }
            }
            Answer::Conflict => self.next = Next::Read,
            Answer::Refused(why) => {
                self.trouble = Some(why.into());
                self.refused = true;
                self.next = Next::Read;
            }
            Answer::Failed(why) => {
                self.trouble = Some(why.into());
                self.refused = false;
                // A request that was not answered may have been taken: then its version is not known.
                self.next = Next::Read;
            }
        }
    }

    fn see(&mut self, lease: Value, now: Instant) {
        let same = |seen: &&Seen| seen.lease.get("spec") == lease.get("spec");
        let since = self.seen.as_ref().filter(same).map_or(now, |s| s.since);
        self.frozen = Some(switches::frozen(&lease));
        self.reload = switches::reload(&lease);
        self.seen = Some(Seen { lease, since });
        let holder = self.holder();
        if holder.as_deref() != Some(&*self.terms.identity) {
            self.renewed = None;
        }
        if let (Some(_), Some(seen)) = (self.renewed, &self.seen) {
            self.acknowledged
                .extend(switches::acknowledged(&seen.lease));
        }
        let free = match holder {
            None => true,
            Some(holder) => *holder == *self.terms.identity || self.left(now).is_zero(),
        };
        self.next = if free { Next::Take } else { Next::Read };
    }

    /// How long the Lease as it was seen last must stand yet before anybody may take it.
    fn left(&self, now: Instant) -> Duration {
        let Some(seen) = &self.seen else {
            return Duration::ZERO;
        };
        let seconds = seen.lease["spec"]["leaseDurationSeconds"].as_u64();
        let term = match seconds {
            Some(seconds) if seconds > 0 => Duration::from_secs(seconds),
            _ => self.terms.term(),
        };
        term.saturating_sub(now.saturating_duration_since(seen.since))
    }

    fn holder(&self) -> Option<Arc<str>> {
        let spec = &self.seen.as_ref()?.lease["spec"];
        let holder = spec["holderIdentity"].as_str()?;
        (!holder.is_empty()).then(|| holder.into())
    }

    /// Here it is decided that this replica leads no more: it leads while it renewed within the deadline, and nobody else was seen holding the Lease since.
    fn lapse(&mut self, now: Instant) {
        if let Some(renewed) = self.renewed
            && now.saturating_duration_since(renewed) >= self.terms.renew_deadline
        {
            self.renewed = None;
        }
    }

    /// As it is now.
    pub fn standing(&mut self, now: Instant) -> Standing {
        self.lapse(now);
        Standing {
            leading: self.renewed.is_some(),
            holder: self.holder(),
            trouble: self.trouble.clone(),
            frozen: self.frozen,
            reload: self.reload.clone(),
        }
    }

    /// The Lease was read, or written with a switch pressed, besides what this election asks for.
    pub fn noticed(&mut self, lease: Value, now: Instant) {
        self.heard(&Ask::Read, Answer::Found(lease), now, now);
    }

    /// The rules that may go on, each time they are said once.
    pub fn take_acknowledged(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.acknowledged)
    }

    /// The moment before which nobody else can take the Lease; `None` if this replica does not lead.
    pub fn term_end(&mut self, now: Instant) -> Option<Instant> {
        self.lapse(now);
        Some(self.renewed? + self.terms.term())
    }

    /// How long to wait before the next request.
    pub fn pause(&mut self, now: Instant) -> Duration {
        self.lapse(now);
        // What was just read is true now, and not much longer.
        if self.fresh && self.next != Next::Read && !self.refused {
            return Duration::ZERO;
        }
        let period = self.terms.retry_period;
        if let Some(renewed) = self.renewed {
            // At the deadline it must be said that this replica leads no more.
            let deadline = (renewed + self.terms.renew_deadline).saturating_duration_since(now);
            return period.min(deadline);
        }
        // Between 3/4 of a period and a whole one; and at the very moment the Lease may be taken.
        self.jitter = self
            .jitter
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let spread = period / 4 * (self.jitter >> 16) / (1 << 16);
        let pause = period - spread;
        let left = self.left(now);
        if left.is_zero() || self.trouble.is_some() {
            pause
        } else {
            pause.min(left)
        }
    }

    /// The request by which a leader lets others take the Lease at once.
    pub fn give_back(&mut self, wall: Timestamp, now: Instant) -> Option<Ask> {
        self.lapse(now);
        self.renewed.take()?;
        let mut lease = self.seen.as_ref()?.lease.clone();
        let spec = lease["spec"].as_object_mut()?;
        spec.insert("holderIdentity".into(), "".into());
        spec.insert("leaseDurationSeconds".into(), 1.into());
        spec.insert("renewTime".into(), micro_time(wall).into());
        Some(Ask::Replace(lease))
    }

    /// A Lease held by this replica, made from another.
    fn claim(&self, lease: &Value, wall: Timestamp) -> Value {
        let mut claimed = match lease {
            Value::Object(_) => lease.clone(),
            _ => json!({}),
        };
        let is_new = claimed.get("metadata").is_none();
        let time = micro_time(wall);
        if is_new {
            claimed = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": self.name}});
        }
        if is_new {
            if self.frozen == Some(true) {
                switches::write(&mut claimed, switches::FROZEN, "true");
            }
            if let Some(reload) = &self.reload {
                switches::write(&mut claimed, switches::ACKNOWLEDGE_RELOAD, reload);
            }
        }
        // What a leader has seen it has handed on.
        if self.renewed.is_some() {
            switches::remove(&mut claimed, switches::ACKNOWLEDGE);
        }
        if !claimed["spec"].is_object() {
            claimed["spec"] = json!({});
        }
        let spec = &mut claimed["spec"];
        if spec["holderIdentity"].as_str() != Some(&self.terms.identity) {
            let transitions = spec["leaseTransitions"].as_u64();
            spec["leaseTransitions"] = match (transitions, is_new) {
                (None, true) => 0.into(),
                // As wide as the API's field.
                (known, _) => (known.unwrap_or(0) + 1).min(i32::MAX as u64).into(),
            };
            spec["acquireTime"] = time.clone().into();
            spec["holderIdentity"] = (*self.terms.identity).into();
        }
        spec["leaseDurationSeconds"] = self.terms.term().as_secs().into();
        spec["renewTime"] = time.into();
        claimed
    }
}

/// As the API writes it: RFC 3339 with six digits of a second.
fn micro_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
