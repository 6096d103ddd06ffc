//! One shard as text.
//!
//! ```json
//! {"version": 2, "shards": 4, "shard": 0, "at": 1767225600000, "writer": "…", "rules": {"left-over": {
//!   "match": "00000000000000ff", "matches": {"0123456789abcdef0123456789abcdef": 1767225600000, "…": {"since": …, "doubt": …, "nth": 1,
//!     "done": {"event": {"nth": 1, "at": …, "key": "…"}}, "pending": {"event": ["key", …]}, "waits": [[65536, …]],
//!     "archived": [[0, "00000000000000ff"]]}}, "numbers": "00000000000000ff",
//!   "moments": ["00000000000000ff", 1767225600000],
//!   "holds": [{"group": "apps", "version": "v1", "kind": "Deployment", "metadataOnly": false}],
//!   "document": "00000000000000ff", "acted": {"ConfigMap/shop/a": …}, "approved": ["…"], "aborted": "…",
//!   "open": {"ConfigMap/shop/a": {"trip": "TooMany", "places": ["…"], "others": "…"}}}}}
//! ```
//!
//! Moments are milliseconds since 1970. Members that are not known are passed over; what cannot be read is left out and told.
//!
//! Format 1 had no `moments`, `waits`, `archived`, `numbers` and `holds`.

use super::{Broken, Counted, HeldKind, Match, OfRule, State};
use crate::decide::breaker::Trip;
use crate::decide::{Act, LastAct};
use crate::object::{GroupKind, ObjectKey};
use crate::rule::ResolvedKind;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The format that is written. Older ones are read, newer ones never.
pub const VERSION: u64 = 2;

/// Largest text of a shard, in bytes: a ConfigMap holds 1 MiB with everything about it.
pub const LARGEST: usize = 900_000;

/// One shard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shard {
    /// Of how many.
    pub shards: usize,
    /// Which one, from 0.
    pub shard: usize,
    /// When it was written.
    pub at: Timestamp,
    /// Who wrote it.
    pub writer: String,
    /// What it holds.
    pub state: State,
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is in a later format: it must not be written over.
    Newer(u64),
    /// It is no shard.
    Rubbish(String),
    /// So many of its entries cannot be read.
    Entries(usize),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Newer(version) => write!(
                f,
                "it is in format {version}, written by a newer version of Ordain; this one knows formats up to {VERSION}"
            ),
            Trouble::Rubbish(why) => write!(f, "it is no state of Ordain's: {why}"),
            Trouble::Entries(count) => write!(f, "{count} of its entries cannot be read"),
        }
    }
}

/// Who wrote a text and when, in milliseconds since 1970, if it says so.
pub fn stamp_of(text: &str) -> Option<(String, i64)> {
    let shard: Value = serde_json::from_str(text).ok()?;
    let writer = shard.get("writer")?.as_str()?.to_owned();
    Some((writer, shard.get("at")?.as_i64()?))
}

impl Shard {
    /// As text.
    pub fn write(&self) -> String {
        let rules: Map<String, Value> = self
            .state
            .rules
            .iter()
            .map(|(name, of)| (name.to_string(), rule(of)))
            .collect();
        json!({
            "version": VERSION,
            "shards": self.shards,
            "shard": self.shard,
            "at": self.at.as_millisecond(),
            "writer": self.writer,
            "rules": rules,
        })
        .to_string()
    }

    /// Reads a text; with it, what had to be left out.
    ///
    /// # Errors
    /// Nothing of it can be read, or nothing may.
    pub fn read(text: &str) -> Result<(Shard, Option<Trouble>), Trouble> {
        let rubbish = |why: &str| Trouble::Rubbish(why.to_owned());
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Trouble::Rubbish(format!("line {}", error.line())))?;
        let version = value.get("version").and_then(Value::as_u64);
        match version {
            Some(version) if version > VERSION => return Err(Trouble::Newer(version)),
            Some(1..=VERSION) => {}
            _ => return Err(rubbish("it has no format version")),
        }
        let number = |name: &str| {
            let number = value.get(name).and_then(Value::as_u64)?;
            usize::try_from(number).ok()
        };
        let (Some(shards), Some(shard)) = (number("shards"), number("shard")) else {
            return Err(rubbish("it does not say which shard it is"));
        };
        if !shards.is_power_of_two() || shards > super::SLOTS || shard >= shards {
            return Err(rubbish("there is no such shard"));
        }
        let Some(rules) = value.get("rules").and_then(Value::as_object) else {
            return Err(rubbish("it has no rules"));
        };
        let mut left_out = 0;
        let mut state = State::default();
        for (name, of) in rules {
            match of.as_object() {
                Some(of) => {
                    let of = read_rule(of, &mut left_out);
                    state.rules.insert(name.as_str().into(), of);
                }
                None => left_out += 1,
            }
        }
        let writer = value.get("writer").and_then(Value::as_str);
        let shard = Shard {
            shards,
            shard,
            at: value.get("at").and_then(moment).unwrap_or_default(),
            writer: writer.unwrap_or_default().to_owned(),
            state,
        };
        Ok((shard, (left_out > 0).then_some(Trouble::Entries(left_out))))
    }
}

fn moment(value: &Value) -> Option<Timestamp> {
    Timestamp::from_millisecond(value.as_i64()?).ok()
}

/// Rounded up: what holds since then never holds since earlier.
fn millis_up(at: Timestamp) -> i64 {
    let nanos = at.as_nanosecond();
    let millis = nanos.div_euclid(1_000_000) + i128::from(nanos.rem_euclid(1_000_000) > 0);
    i64::try_from(millis).unwrap_or(i64::MAX)
}

fn hex(hash: u64) -> Value {
    Value::String(format!("{hash:016x}"))
}

fn hash_of(value: Option<&Value>) -> Option<u64> {
    u64::from_str_radix(value?.as_str()?, 16).ok()
}

fn rule(of: &OfRule) -> Value {
    let mut said = Map::new();
    if let Some((hash, matches)) = &of.matches {
        let matches: Map<String, Value> = matches
            .iter()
            .map(|(uid, one)| (format!("{uid:032x}"), one_match(one)))
            .collect();
        said.insert("match".into(), hex(*hash));
        said.insert("matches".into(), Value::Object(matches));
        if let Some(numbers) = of.numbers {
            said.insert("numbers".into(), hex(numbers));
        }
    }
    if let Some((hash, counted)) = &of.counted {
        said.insert("document".into(), hex(*hash));
        counted_into(counted, &mut said);
    }
    if !of.holds.is_empty() {
        said.insert("holds".into(), of.holds.iter().map(held_kind).collect());
    }
    if let Some((hash, until)) = &of.moments {
        said.insert(
            "moments".into(),
            json!([hex(*hash), until.as_millisecond()]),
        );
    }
    Value::Object(said)
}

fn held_kind(held: &HeldKind) -> Value {
    let kind = &held.resolved.kind;
    json!({
        "group": *kind.group,
        "version": *held.resolved.version,
        "kind": *kind.kind,
        "metadataOnly": held.metadata_only,
    })
}

fn read_held_kind(said: &Value) -> Option<HeldKind> {
    let text = |field: &str| said.get(field).and_then(Value::as_str);
    Some(HeldKind {
        resolved: ResolvedKind {
            kind: GroupKind::new(text("group")?, text("kind")?),
            version: text("version")?.into(),
        },
        metadata_only: said.get("metadataOnly") == Some(&Value::Bool(true)),
    })
}

fn one_match(one: &Match) -> Value {
    if let Some(since) = one.since
        && *one
            == (Match {
                since: Some(since),
                ..Match::default()
            })
    {
        return Value::from(millis_up(since));
    }
    let mut said = Map::new();
    if let Some(since) = one.since {
        said.insert("since".into(), Value::from(millis_up(since)));
    }
    if let Some(doubt) = one.doubt {
        said.insert("doubt".into(), Value::from(doubt.as_millisecond()));
    }
    if one.nth > 0 {
        said.insert("nth".into(), Value::from(one.nth));
    }
    if !one.done.is_empty() {
        let done = one.done.iter().map(|(act, last)| {
            let mut said = json!({"nth": last.nth, "at": last.at.as_millisecond()});
            if let Some(key) = &last.key {
                said["key"] = json!(**key);
            }
            (act.to_string(), said)
        });
        said.insert("done".into(), Value::Object(done.collect()));
    }
    if !one.pending.is_empty() {
        let pending = one
            .pending
            .iter()
            .map(|(act, key, since)| (act.to_string(), json!([**key, millis_up(*since)])));
        said.insert("pending".into(), Value::Object(pending.collect()));
    }
    if !one.waits.is_empty() {
        let waits = one.waits.iter();
        let waits = waits.map(|(step, since)| json!([step, since.as_millisecond()]));
        said.insert("waits".into(), waits.collect());
    }
    if !one.archived.is_empty() {
        let archived = one.archived.iter();
        let archived = archived.map(|(step, content)| json!([step, hex(*content)]));
        said.insert("archived".into(), archived.collect());
    }
    Value::Object(said)
}

fn counted_into(counted: &Counted, said: &mut Map<String, Value>) {
    let mut add = |name: &str, value: Value| {
        said.insert(name.into(), value);
    };
    if !counted.acted.is_empty() {
        let acted = counted
            .acted
            .iter()
            .map(|(key, at)| (key_text(key), Value::from(at.as_millisecond())));
        add("acted", Value::Object(acted.collect()));
    }
    if !counted.approved.is_empty() {
        let approved = counted.approved.iter().map(|key| json!(key_text(key)));
        add("approved", approved.collect());
    }
    if let Some(why) = &counted.aborted {
        add("aborted", json!(why));
    }
    if !counted.open.is_empty() {
        let open = counted.open.iter().map(|(key, broken)| {
            let mut said = json!({"trip": trip_word(broken.trip), "places": broken.places});
            if let Some(others) = &broken.others {
                said["others"] = json!(others);
            }
            (key_text(key), said)
        });
        add("open", Value::Object(open.collect()));
    }
}

fn trip_word(trip: Trip) -> &'static str {
    match trip {
        Trip::TooMany => "TooMany",
        Trip::ComesBack => "ComesBack",
    }
}

fn read_rule(of: &Map<String, Value>, left_out: &mut usize) -> OfRule {
    let mut read = OfRule::default();
    if let Some(matches) = of.get("matches") {
        match (hash_of(of.get("match")), matches.as_object()) {
            (Some(hash), Some(matches)) => {
                let mut good = BTreeMap::new();
                for (uid, one) in matches {
                    match (u128::from_str_radix(uid, 16), read_match(one, left_out)) {
                        (Ok(uid), Some(one)) => {
                            good.insert(uid, one);
                        }
                        _ => *left_out += 1,
                    }
                }
                read.matches = Some((hash, good));
                read.numbers = hash_of(of.get("numbers"));
            }
            _ => *left_out += 1,
        }
    }
    if let Some(hash) = hash_of(of.get("document")) {
        read.counted = Some((hash, read_counted(of, left_out)));
    }
    let holds = of.get("holds").and_then(Value::as_array);
    for said in holds.into_iter().flatten() {
        match read_held_kind(said) {
            Some(held) => read.holds.push(held),
            None => *left_out += 1,
        }
    }
    if let Some(moments) = of.get("moments") {
        match (hash_of(moments.get(0)), moments.get(1).and_then(moment)) {
            (Some(hash), Some(until)) => read.moments = Some((hash, until)),
            _ => *left_out += 1,
        }
    }
    read
}

fn read_match(value: &Value, left_out: &mut usize) -> Option<Match> {
    if let Some(since) = moment(value) {
        return Some(Match {
            since: Some(since),
            ..Match::default()
        });
    }
    let said = value.as_object()?;
    let nth = |said: &Map<String, Value>| {
        let nth = said.get("nth").and_then(Value::as_u64)?;
        u32::try_from(nth).ok()
    };
    let mut one = Match {
        since: said.get("since").and_then(moment),
        doubt: said.get("doubt").and_then(moment),
        nth: nth(said).unwrap_or_default(),
        ..Match::default()
    };
    for (act, last) in said
        .get("done")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let read = || {
            let last = last.as_object()?;
            let key = last.get("key").and_then(Value::as_str);
            Some((
                Act::parse(act)?,
                LastAct {
                    key: key.map(Arc::from),
                    nth: nth(last)?,
                    at: moment(last.get("at")?)?,
                },
            ))
        };
        match read() {
            Some(read) => one.done.push(read),
            None => *left_out += 1,
        }
    }
    let pending = said.get("pending").and_then(Value::as_object);
    for (act, waits) in pending.into_iter().flatten() {
        let read = || {
            let key = waits.get(0)?.as_str()?;
            Some((Act::parse(act)?, Arc::from(key), moment(waits.get(1)?)?))
        };
        match read() {
            Some(read) => one.pending.push(read),
            None => *left_out += 1,
        }
    }
    let list = |name: &str| {
        said.get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    let number = |of: &Value| usize::try_from(of.get(0)?.as_u64()?).ok();
    for of in list("waits") {
        match (number(of), of.get(1).and_then(moment)) {
            (Some(step), Some(since)) => one.waits.push((step, since)),
            _ => *left_out += 1,
        }
    }
    for of in list("archived") {
        match (number(of), hash_of(of.get(1))) {
            (Some(step), Some(content)) => one.archived.push((step, content)),
            _ => *left_out += 1,
        }
    }
    Some(one)
}

fn read_counted(of: &Map<String, Value>, left_out: &mut usize) -> Counted {
    let mut counted = Counted {
        aborted: of.get("aborted").and_then(Value::as_str).map(str::to_owned),
        ..Counted::default()
    };
    for (key, at) in of
        .get("acted")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        match (read_key(key), moment(at)) {
            (Some(key), Some(at)) => counted.acted.push((key, at)),
            _ => *left_out += 1,
        }
    }
    for key in of
        .get("approved")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        match key.as_str().and_then(read_key) {
            Some(key) => counted.approved.push(key),
            None => *left_out += 1,
        }
    }
    for (key, said) in of
        .get("open")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let trip = match said.get("trip").and_then(Value::as_str) {
            Some("TooMany") => Some(Trip::TooMany),
            Some("ComesBack") => Some(Trip::ComesBack),
            _ => None,
        };
        let (Some(key), Some(trip)) = (read_key(key), trip) else {
            *left_out += 1;
            continue;
        };
        let places = said.get("places").and_then(Value::as_array);
        let places = places.into_iter().flatten().filter_map(Value::as_str);
        let others = said.get("others").and_then(Value::as_str);
        let broken = Broken {
            trip,
            places: places.map(str::to_owned).collect(),
            others: others.map(str::to_owned),
        };
        counted.open.push((key, broken));
    }
    counted
}

/// `KIND.GROUP/NAMESPACE/NAME` or `KIND.GROUP/NAME`.
fn key_text(key: &ObjectKey) -> String {
    match &key.namespace {
        Some(namespace) => format!("{}/{namespace}/{}", key.kind, key.name),
        None => format!("{}/{}", key.kind, key.name),
    }
}

fn read_key(text: &str) -> Option<ObjectKey> {
    let mut parts = text.split('/');
    let (kind, second, third) = (parts.next()?, parts.next()?, parts.next());
    if parts.next().is_some() || kind.is_empty() {
        return None;
    }
    let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
    let kind = GroupKind::new(group, kind);
    match third {
        Some(name) if !name.is_empty() => Some(ObjectKey::new(kind, Some(second), name)),
        None if !second.is_empty() => Some(ObjectKey::new(kind, None, second)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
