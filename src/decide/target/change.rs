//! What changes a member: its copy is edited by each element of a step, and what has become of it is one request.

use super::On;
use crate::decide::apply::{Opponent, Progress, Want};
use crate::decide::conflict::{self, Against};
use crate::decide::once::{self, Acted, Chance};
use crate::decide::patch::fixed_fields;
use crate::decide::steps::Known;
use crate::decide::turn::Turn;
use crate::decide::working::Working;
use crate::decide::world::schema_of;
use crate::decide::writes::{self, value_at};
use crate::decide::{Note, Operation, Reason, Wanted, answered, lifetime, rollback, rollout};
use crate::object::Record;
use crate::object::difference::{is_secret, is_secret_place};
use crate::rule::edit::{self, Claim, Edit, EditContext, Endpoint, plan};
use crate::rule::expr::{ExprFault, Other, Scope};
use crate::rule::path::PodPrefix;
use crate::rule::{Action, Occasion as Look};
use crate::schema::KindSchema;
use std::sync::Arc;

impl On<'_> {
    /// A step that changes the member, for all elements of its `forEach`, as one request.
    pub(super) fn change(&self, turn: &mut Turn) -> Result<Progress, ExprFault> {
        if rollout::leaves_alone(self.at.step, &self.member.key) {
            return Ok(Progress::Done);
        }
        if self.at.held {
            self.wants_held(lifetime::held(&self.at.rule.name), turn);
        }
        let mut working = Working::new(&self.member.record);
        let mut endpoint = Endpoint::Main;
        let (mut acts, mut notes) = (vec![], vec![]);
        let (mut changes, mut waits) = (false, false);
        let asked_before = turn.asked.len();
        for item in self.items {
            let item = item.as_ref();
            let occasion = match self.chance(item, turn)? {
                Chance::Always => None,
                Chance::Acts(occasion) => Some(occasion),
                Chance::Done => {
                    // What it then changed it holds on.
                    self.holds_on(item, &working, turn)?;
                    continue;
                }
                Chance::Waits => {
                    waits = true;
                    continue;
                }
            };
            turn.previous = occasion.as_ref().map(|o| o.previous.clone());
            let names = turn.names();
            turn.previous = None;
            let Some(changed) = self.changed(&names, item, &mut endpoint, &mut working, turn)?
            else {
                turn.asked.truncate(asked_before);
                return Ok(Progress::Stopped);
            };
            changes |= changed;
            match occasion {
                Some(occasion) if changed => {
                    if self.writes_that_it_acted() {
                        once::write_on_member(self.at, &mut working, &occasion.acted)?;
                    }
                    acts.push(occasion.acted);
                }
                Some(occasion) => notes.push(occasion.acted),
                None => {}
            }
        }
        for acted in notes {
            let note = Note::Acted(acted.act, acted.last);
            turn.already.push((self.at.manner.index, note));
        }
        let claims = turn.asked.split_off(asked_before);
        let asked = match changes {
            true => self.write(&working, endpoint, (acts, claims), turn),
            false => Progress::Done,
        };
        Ok(match waits {
            true => Progress::Stopped,
            false => asked,
        })
    }

    /// Whether the request that changes the member can carry what is remembered of it.
    fn writes_that_it_acted(&self) -> bool {
        matches!(
            self.at.step.action,
            Action::Patch { status: false, .. } | Action::Restart { .. } | Action::Rollback { .. }
        )
    }

    /// What one element makes of the member's copy: whether it changed something. `None`: the step stops.
    fn changed(
        &self,
        names: &Known,
        item: Option<&Record>,
        endpoint: &mut Endpoint,
        working: &mut Working<'_>,
        turn: &mut Turn,
    ) -> Result<Option<bool>, ExprFault> {
        let (at, key) = (self.at, &self.member.key);
        let scope = names.scope(at, self.record, item);
        match &at.step.action {
            Action::Patch { edits, status } => {
                if *status {
                    *endpoint = Endpoint::Status;
                }
                let edits: Vec<&Edit> = edits.iter().collect();
                self.edit(&scope, &edits, *endpoint, working, turn)
            }
            Action::Scale { edits } => {
                let of_kind = edits.iter().filter(|(kinds, _)| kinds.contains(&key.kind));
                let edits: Vec<&Edit> = of_kind.map(|(_, edit)| edit).collect();
                self.edit(&scope, &edits, *endpoint, working, turn)
            }
            Action::Restart { .. } if rollback::is_paused(&self.member.record) => {
                turn.find(Reason::Waiting, format!("{key}: {}", rollout::PAUSED));
                Ok(None)
            }
            Action::Restart { edit } => self.edit(&scope, &[edit], Endpoint::Main, working, turn),
            Action::Rollback { to } => {
                let which = (*to, at.position, at.step.line);
                let of = ((key, &self.member.record), &*working);
                let mut told = vec![];
                let way = rollback::way(at.world, at.rule, which, of, &mut told)?;
                for (reason, message) in told {
                    turn.find(reason, format!("{key}: {message}"));
                }
                match way {
                    rollback::Way::Nowhere => Ok(None),
                    rollback::Way::There => Ok(Some(false)),
                    rollback::Way::Back(edit, state) => {
                        let changed =
                            self.edit(&scope, &[&*edit], Endpoint::Main, working, turn)?;
                        if changed == Some(true) {
                            rollback::remember(working, &state, at.rule)?;
                        }
                        Ok(changed)
                    }
                }
            }
            _ => Ok(Some(false)),
        }
    }

    /// The step keeps hold of something of the member, under this name.
    fn wants_held(&self, rule: Arc<str>, turn: &mut Turn) {
        let want = Want {
            rule,
            object: self.member.key.clone(),
            contents: 0,
            claim: None,
        };
        // Elements of a `forEach` are about the same places, as often as not: what this member is wanted for stands at the end.
        let mut told = turn.wants.iter().rev();
        let mut told = told.by_ref().take_while(|told| told.object == want.object);
        if told.all(|told| told.rule != want.rule) {
            turn.wants.push(want);
        }
    }

    fn wants_places_held(&self, places: &[Box<str>], turn: &mut Turn) {
        for place in places {
            self.wants_held(lifetime::held_at(&self.at.rule.name, place), turn);
        }
    }

    /// A step that has acted for its key keeps hold of what it then changed, as long as the match lasts.
    fn holds_on(
        &self,
        item: Option<&Record>,
        working: &Working<'_>,
        turn: &mut Turn,
    ) -> Result<(), ExprFault> {
        if !self.at.held {
            return Ok(());
        }
        let (world, member) = (self.at.world, self.member);
        let schema = schema_of(&member.key, &member.record, world.context.rules.schema());
        let pod = schema.as_ref().and_then(|s| s.pod_prefix());
        let context = EditContext {
            schema: schema.as_deref(),
            endpoint: Endpoint::Main,
            barred: &[],
            answers: None,
            fixed: fixed_fields(world, false),
        };
        let names = turn.names();
        let scope = Scope {
            other: Some(Other {
                object: working.record().root(),
                pod,
                joins: false,
            }),
            ..names.scope(self.at, self.record, item)
        };
        let edits: Vec<&Edit> = match &self.at.step.action {
            Action::Patch { edits, .. } => edits.iter().collect(),
            Action::Scale { edits } => {
                let of_kind = edits
                    .iter()
                    .filter(|(kinds, _)| kinds.contains(&member.key.kind));
                of_kind.map(|(_, edit)| edit).collect()
            }
            _ => vec![],
        };
        for edit in edits {
            if let Some(places) = edit::about(edit, &scope, &context)? {
                self.wants_places_held(&places, turn);
            }
        }
        Ok(())
    }

    /// Edits of the member's copy. `None`: they disagree with another subject.
    fn edit(
        &self,
        scope: &Scope<'_>,
        edits: &[&Edit],
        endpoint: Endpoint,
        working: &mut Working<'_>,
        turn: &mut Turn,
    ) -> Result<Option<bool>, ExprFault> {
        let (world, member) = (self.at.world, self.member);
        let schema = schema_of(&member.key, &member.record, world.context.rules.schema());
        let pod = schema.as_ref().and_then(|s| s.pod_prefix());
        let context = EditContext {
            schema: schema.as_deref(),
            endpoint,
            barred: &[],
            answers: answered::answers(world, self.at.manner.index, &member.key),
            fixed: fixed_fields(world, self.at.rule.when.has(Look::Create)),
        };
        let mut changes = false;
        for edit in edits {
            let record = working.record().clone();
            let scope = Scope {
                other: Some(Other {
                    object: record.root(),
                    pod,
                    joins: false,
                }),
                ..*scope
            };
            let places = match self.at.held {
                true => edit::about(edit, &scope, &context)?,
                false => None,
            };
            self.wants_places_held(places.as_deref().unwrap_or_default(), turn);
            let mut planned = plan(edit, &scope, &context)?;
            turn.recheck(planned.recheck_at);
            turn.wrong_types.append(&mut planned.wrong_types);
            turn.failed |= !planned.findings.is_empty();
            for (reason, message) in std::mem::take(&mut planned.findings) {
                turn.find(reason.into(), format!("{}: {message}", member.key));
            }
            if let Some(overruled) = &planned.overruled {
                answered::tell(world, &member.key, overruled, turn);
            }
            if let Some(message) = self.disagrees(&planned.claims, turn) {
                turn.find(Reason::Conflict, message);
                return Ok(None);
            }
            if !planned.changes() {
                continue;
            }
            let before = working.snapshot();
            working.write(&planned);
            if let Some(places) = places
                && let Err(why) = self.hold(&places, &record, working, schema.as_deref())
            {
                working.restore(before);
                let message = format!("{}: the edit is not made: {why}", member.key);
                turn.find(Reason::NotKept, message);
                continue;
            }
            changes = true;
            turn.asked.append(&mut planned.claims);
        }
        Ok(Some(changes))
    }

    /// Writes down what is given back when nothing has the member as a target any more.
    fn hold(
        &self,
        places: &[Box<str>],
        before: &Record,
        working: &mut Working<'_>,
        schema: Option<&KindSchema>,
    ) -> Result<(), String> {
        let secret =
            is_secret(&self.member.key.kind) && places.iter().any(|place| is_secret_place(place));
        if secret {
            return Err(
                "what a Secret holds is never kept in an annotation, so it could not be given back"
                    .into(),
            );
        }
        let of = (self.at.world, self.at.rule);
        lifetime::note_on(of, places, before, working, schema)
    }

    /// Asks for what has become of the member's copy.
    fn write(
        &self,
        working: &Working<'_>,
        endpoint: Endpoint,
        (acts, claims): (Vec<Acted>, Vec<Claim>),
        turn: &mut Turn,
    ) -> Progress {
        let member = self.member;
        let after = working.record();
        let replicas = match &self.at.step.action {
            // What it was is written down in the same request, and the scale subresource carries none of that.
            Action::Scale { edits } if !self.at.held => edits
                .iter()
                .find(|(kinds, _)| kinds.contains(&member.key.kind))
                .and_then(|(_, edit)| edit.path.plain_names(PodPrefix::None)),
            _ => None,
        };
        let operation = match replicas {
            Some(names) => {
                let path: Vec<String> = names.iter().map(|n| n.as_str().to_owned()).collect();
                match value_at(after, &path) {
                    Some(replicas) => Operation::Scale {
                        replicas: replicas.to_value(),
                        path,
                    },
                    None => return Progress::Done,
                }
            }
            None => match writes::operations(&member.record, after) {
                Some(operations) => Operation::Patch {
                    status: endpoint == Endpoint::Status,
                    operations,
                },
                None => return Progress::Done,
            },
        };
        let schema = schema_of(
            &member.key,
            &member.record,
            self.at.world.context.rules.schema(),
        );
        let wanted = claims.into_iter().map(|claim| Wanted {
            rule: self.at.rule.name.clone(),
            claim,
        });
        let states = (&member.record, after);
        let wanted = answered::written(wanted, states, schema.as_deref());
        self.ask(operation, Some(after.clone()), (acts, wanted), turn)
    }

    /// Why the member is left as it is: the rule for another subject, or another rule, wants another value at one of these places.
    fn disagrees(&self, claims: &[Claim], turn: &mut Turn) -> Option<String> {
        let (world, member) = (self.at.world, self.member);
        let subject = world.subject.key;
        for claim in claims.iter().filter(|claim| !claim.from_current) {
            let want = Want::at(&self.at.rule.name, &member.key, claim);
            let mut wants = turn.wants.iter();
            if wants.any(|known| known.object == member.key && known.rule == want.rule) {
                // A later step of this turn; the subject agrees with itself.
                continue;
            }
            turn.wants.push(want.clone());
            let neighbours = world.context.neighbours;
            let other = neighbours.disagreeing(&member.key, &want.rule, subject, want.contents);
            if let Some(other) = other {
                return Some(format!(
                    "{}: the rule wants other contents of it for {other}; it is left as it is until they agree",
                    member.key
                ));
            }
            for opponent in world.context.opposing(&want) {
                let told = self.against(&opponent, &claim.pointer);
                if told.is_some() {
                    return told;
                }
            }
        }
        None
    }

    /// What comes of it that another rule wants another value at a place of the member; nothing, where this one is the higher one.
    fn against(&self, opponent: &Opponent, place: &str) -> Option<String> {
        let key = &self.member.key;
        let what = conflict::against(self.at.world, self.at.rule, (opponent, key), place)?;
        Some(match what {
            Against::Acting(told) => format!("{key}: {told}"),
            Against::Higher(told) => format!("{key}: {told}; it is left to that one"),
            Against::Equal(told) => {
                format!("{key}: {told}; both leave it alone until one has a higher `priority`")
            }
        })
    }
}
