//! `archive`: the object as a manifest in a sink, before the steps behind it.

use super::apply::{Deed, Progress, Prospect};
use super::steps::At;
use super::turn::Turn;
use super::{Operation, Reason, RuleChange, Write, memory};
use crate::object::difference::is_secret;
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::archive::{self, Archive};
use crate::rule::{Step, Verb};
use serde_json::json;

/// `number`: of the step; `free`: it acts now whatever it did before. It is archived once a match; and where a step behind it takes the object
/// away, as soon as that is due what is archived must be what the object is now.
pub(super) fn archive(
    at: &At<'_>,
    step: &Archive,
    (subject, record): (&ObjectKey, &Record),
    (number, free): (usize, bool),
    turn: &mut Turn,
) -> Progress {
    let (world, rule) = (at.world, at.rule);
    let (index, position) = (at.manner.index, at.position);
    let sink = &step.sink;
    if is_secret(&subject.kind) && !sink.directory.secrets_in_clear {
        let message = format!(
            "not archived: the sink `{}` takes no Secrets in clear (`secretsInClear`)",
            sink.name
        );
        turn.find(Reason::Refused, at.told_of(subject, message));
        return Progress::Stopped;
    }
    let neighbours = world.context.neighbours;
    let manifest = archive::manifest(record);
    let content = archive::content(&manifest);
    let goes = |later: &Step| {
        ["delete", "evict"].contains(&later.action.verb().as_str())
            && later.target == at.step.target
    };
    let is_due = |later: &&Step| memory::is_due(world, index, later);
    let mut due = rule.steps.iter().skip(position + 1).take_while(is_due);
    let done = match due.any(goes) {
        _ if free => false,
        true => neighbours.archived(index, number, content),
        false if neighbours.begun(index, number).is_none() => true,
        false if !turn.has_room(at) => return Progress::Stopped,
        false => false,
    };
    if done {
        return Progress::Done;
    }
    let folder = archive::folder(&rule.name, subject);
    let file = archive::file(record.meta().uid(), content);
    let shown = folder.join(&file).to_string_lossy().into_owned();
    let write = Write {
        object: ObjectKey::new(
            GroupKind::new("ordain.dev", "Archive"),
            Some(&*sink.name),
            &shown,
        ),
        api_version: "ordain.dev/v1alpha1".into(),
        operation: Operation::Archive {
            sink: sink.clone(),
            folder,
            file,
            manifest,
            keep: step.keep,
            step: number,
            content,
        },
        rules: vec![rule.name.clone()],
        expected: None,
        uid: String::new(),
        resource_version: String::new(),
        acts: vec![],
        wanted: None,
    };
    match neighbours.prospect(index, &write) {
        Prospect::Made => return Progress::Done,
        Prospect::New => {}
        Prospect::Barred(reason, message, until) => {
            turn.find(
                reason,
                at.told_of(subject, format!("the archive: {message}")),
            );
            turn.recheck(until);
            return Progress::Stopped;
        }
    }
    let change = RuleChange {
        rule: rule.name.clone(),
        mode: rule.mode,
        verb: Verb::Archive,
        object: subject.clone(),
        before: None,
        after: Some(Record::from_value(
            &json!({"sink": *sink.name, "file": shown}),
        )),
        why: vec![],
    };
    let once = false;
    turn.deeds.push(Deed {
        write,
        change,
        once,
    });
    Progress::Asked
}
