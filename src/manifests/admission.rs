//! Admission without an API server: what rules with `when: [Create, Update, Delete]` say of an object before it is stored.
//!
//! No I/O, no clock. `plan` and `test` always admit, `run --once --manifests` does with `--admit`.

use super::World;
use super::neighbours::Around;
use super::world::is_namespace;
use crate::decide::explain::{self, Explanation};
use crate::decide::pass::{PassContext, pass};
use crate::decide::{Blank, Decision, Finding, Operation, Reason, RuleChange, Subject};
use crate::object::{GroupKind, ObjectKey, Record};
use crate::rule::expr::NamespaceObject;
use crate::rule::selector::InScope;
use crate::rule::set::RuleSet;
use crate::rule::{Mode, Occasion, Rule};
use ahash::AHashMap;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// The rules that take part in admissions.
pub struct Admission {
    creates: RuleSet,
    updates: RuleSet,
    deletes: RuleSet,
    /// At which version the rules read each kind.
    versions: AHashMap<GroupKind, Arc<str>>,
    /// Take every rule as Enforce.
    assume_enforce: bool,
    /// Every rule behaves as in Audit.
    frozen: bool,
    state_namespace: String,
    /// Only what comes to these is looked at, and what is in none; empty: all.
    namespaces: Vec<String>,
    /// Nothing is done (`plan`).
    planned: bool,
}

/// What came of one request.
pub struct Admitted {
    /// The object as it is to be stored; `None`: refused. Of a deletion the object as it is.
    pub object: Option<Value>,
    /// What rules changed, or would have changed.
    pub changes: Vec<RuleChange>,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// Those of them that say `Denied` and refuse nothing, also where every rule is taken as Enforce: their rule is in Audit.
    pub only_told: Vec<Finding>,
    /// Tests that failed because something could not be read: the rule, and why.
    pub unreadable: Vec<(Arc<str>, String)>,
}

/// What rules said of an object that they changed when it was admitted.
pub struct SaidAtAdmission {
    /// The object.
    pub key: ObjectKey,
    /// Its resourceVersion as it was stored.
    pub version: String,
    /// The names of the rules.
    pub rules: Vec<Arc<str>>,
    /// What they said.
    pub findings: Vec<Finding>,
}

impl Admitted {
    /// No rule had anything to do with it.
    fn unseen(object: Value) -> Admitted {
        Admitted {
            object: Some(object),
            changes: vec![],
            findings: vec![],
            only_told: vec![],
            unreadable: vec![],
        }
    }

    /// Stores the object, unless it was refused.
    pub fn store(&self, world: &mut World, now: Timestamp) {
        let Some(object) = &self.object else {
            return;
        };
        let key = world.put(object, now);
        let version = world
            .get(&key)
            .map(|r| r.meta().resource_version().to_owned());
        if let (Some(version), false) = (version, self.findings.is_empty()) {
            world.said.push(SaidAtAdmission {
                key,
                version,
                rules: self.changes.iter().map(|c| c.rule.clone()).collect(),
                findings: self.findings.clone(),
            });
        }
    }
}

impl Admission {
    /// Of the rules of a set, those that look at some admission.
    pub fn new(
        rules: &RuleSet,
        assume_enforce: bool,
        frozen: bool,
        state_namespace: &str,
    ) -> Admission {
        let at = |occasion| RuleSet::at(occasion, rules.rules().to_vec(), rules.schema().clone());
        let (creates, updates) = (at(Occasion::Create), at(Occasion::Update));
        let deletes = at(Occasion::Delete);
        let kinds = [&creates, &updates, &deletes].map(RuleSet::kinds);
        let versions = kinds.into_iter().flatten().map(|k| (k.kind, k.version));
        Admission {
            versions: versions.collect(),
            creates,
            updates,
            deletes,
            assume_enforce,
            frozen,
            state_namespace: state_namespace.into(),
            namespaces: vec![],
            planned: false,
        }
    }

    /// The same for objects of these namespaces only, and for those that are in none; no namespaces: for all.
    pub fn within(self, namespaces: &[String]) -> Admission {
        Admission {
            namespaces: namespaces.to_vec(),
            ..self
        }
    }

    /// Whether objects of this namespace are looked at.
    pub fn looks_into(&self, namespace: Option<&str>) -> bool {
        let looked_at = |name: &str| self.namespaces.iter().any(|own| own == name);
        self.namespaces.is_empty() || namespace.is_none_or(looked_at)
    }

    /// The same, where nothing is done but shown.
    #[must_use]
    pub fn planned(self, planned: bool) -> Admission {
        Admission { planned, ..self }
    }

    /// Whether a rule that enforces is one whose word counts here.
    pub fn acts(&self, mode: Mode) -> bool {
        !self.frozen && (self.assume_enforce || mode == Mode::Enforce)
    }

    /// A person puts this manifest: a creation, or an update of what is there.
    pub fn put(&self, world: &mut World, manifest: &Value, now: Timestamp) -> Admitted {
        let key = world.key_of(manifest);
        if let Some(namespace) = &key.namespace {
            world.imply_namespace(namespace, now);
        }
        let object = with_namespace(&key, manifest);
        let former = (!world.is_implied(&key))
            .then(|| world.get(&key))
            .flatten()
            .map(Record::to_value);
        let request = Request {
            occasion: match &former {
                Some(_) => Occasion::Update,
                None => Occasion::Create,
            },
            key: &key,
            object,
            former,
        };
        self.ask(request, world, now)
    }

    /// A person deletes an object that is there.
    pub fn delete(&self, world: &World, key: &ObjectKey, now: Timestamp) -> Option<Admitted> {
        let object = world.get(key)?.to_value();
        let request = Request {
            occasion: Occasion::Delete,
            key,
            object: object.clone(),
            former: Some(object),
        };
        Some(self.ask(request, world, now))
    }

    /// What a rule makes of an object that is presented as one that is created, updated without a change, or deleted. `None`: it does not look
    /// at that.
    pub fn explain(
        &self,
        rule: &str,
        (world, manifest): (&mut World, &Value),
        occasion: Occasion,
        now: Timestamp,
    ) -> Option<Explanation> {
        let index = self.rules_at(occasion).index_of(rule)?;
        let key = world.key_of(manifest);
        if let Some(namespace) = &key.namespace {
            world.imply_namespace(namespace, now);
        }
        let object = with_namespace(&key, manifest);
        let request = Request {
            occasion,
            key: &key,
            former: (occasion != Occasion::Create).then(|| object.clone()),
            object,
        };
        let record = Record::from_value(&request.object);
        self.presented(&request, &record, (world, now), |subject, context| {
            let rule = &context.rules.rules()[index];
            let decision = pass(subject, context);
            let clauses = explain::clauses(subject, rule, context);
            let mut explanation = explain::concluded((rule, index), &key, now, clauses, &decision);
            explanation.occasion = Some(format!("{occasion:?}"));
            if explanation.acts && !self.acts(rule.mode) {
                let why = format!("mode: {}: it is only told", explain::mode(rule.mode));
                explanation.in_the_way.push(why);
            }
            explanation
        })
    }

    fn rules_at(&self, occasion: Occasion) -> &RuleSet {
        match occasion {
            Occasion::Update => &self.updates,
            Occasion::Delete => &self.deletes,
            Occasion::Create | Occasion::Reconcile => &self.creates,
        }
    }

    /// Looks at a request in its surroundings. `None`: no rule does.
    fn presented<T>(
        &self,
        request: &Request<'_>,
        record: &Record,
        (world, now): (&World, Timestamp),
        look: impl FnOnce(&Subject<'_>, &PassContext<'_>) -> T,
    ) -> Option<T> {
        let key = request.key;
        let rules = self.rules_at(request.occasion);
        if rules.for_kind(&key.kind).is_empty() {
            return None;
        }
        if self.other_version(key, record).is_some() {
            return None;
        }
        let namespace = namespace_of(key, record, world);
        let schema = world.schema().kind(&key.kind);
        let resource = schema.as_deref().map(|kind| &*kind.plural);
        let told = Record::from_value(&request.told(resource));
        let context = PassContext {
            rules,
            namespace,
            now,
            occasion: request.occasion,
            request: Some(&told),
            gate: &|_| !self.frozen,
            returns: &|_| !self.frozen,
            assume_enforce: self.assume_enforce,
            ahead: self.planned,
            alone: None,
            neighbours: &Around(world),
            memory: &Blank,
            state_namespace: &self.state_namespace,
        };
        Some(look(&Subject { key, record }, &context))
    }

    /// The version that the rules read, where an object is written at another one: nothing converts it.
    fn other_version(&self, key: &ObjectKey, record: &Record) -> Option<&str> {
        let version = record.meta().api_version().rsplit('/').next()?;
        let read = self.versions.get(&key.kind)?;
        (version != &**read).then_some(&**read)
    }

    /// What comes of an object that no rule can read: each that it may concern says so, and refuses it where it refuses what it cannot decide.
    fn unread(&self, read: &str, request: Request<'_>, record: &Record, world: &World) -> Admitted {
        let key = request.key;
        let meta = record.meta();
        let space = space(namespace_of(key, record, world));
        let rules = self.rules_at(request.occasion);
        let concerned: Vec<&Rule> = rules
            .for_kind(&key.kind)
            .iter()
            .map(|index| &*rules.rules()[*index])
            .filter(|rule| rule.matches.covers(meta, space) != InScope::No)
            .collect();
        let refuses = |rule: &&Rule| {
            let chosen = rule.enforce_for.as_ref();
            let chosen = chosen.is_none_or(|chosen| chosen.covers(meta, space));
            chosen && self.acts(rule.mode) && rule.admission.fails
        };
        let refused = concerned.iter().any(refuses);
        let finding = |rule: &Rule| Finding {
            rule: rule.name.clone(),
            object: key.clone(),
            reason: Reason::Waiting,
            message: format!(
                "it is written at {}, and the rule reads {read}: manifests are not converted",
                meta.api_version()
            ),
        };
        Admitted {
            findings: concerned.into_iter().map(finding).collect(),
            only_told: vec![],
            unreadable: vec![],
            object: (!refused).then_some(request.object),
            changes: vec![],
        }
    }

    fn ask(&self, request: Request<'_>, world: &World, now: Timestamp) -> Admitted {
        let occasion = request.occasion;
        if !self.looks_into(request.key.namespace.as_deref()) {
            return Admitted::unseen(request.object);
        }
        let record = Record::from_value(&request.object);
        if let Some(read) = self.other_version(request.key, &record) {
            return self.unread(read, request, &record, world);
        }
        let decided = self.presented(&request, &record, (world, now), |subject, context| {
            let decision = pass(subject, context);
            let space = space(context.namespace);
            let chosen = |rule: &Rule| {
                let chosen = rule.enforce_for.as_ref();
                chosen.is_none_or(|chosen| chosen.covers(record.meta(), space))
            };
            let refuses = |finding: &Finding| {
                context.rules.get(&finding.rule).is_some_and(|rule| {
                    let fails = rule.admission.fails && undecided(finding.reason);
                    let denies = finding.reason == Reason::Denied;
                    chosen(rule) && self.acts(rule.mode) && (denies || fails)
                })
            };
            let refused = decision.findings.iter().any(refuses);
            let tells = |finding: &&Finding| {
                let enforces = |rule: &Rule| rule.mode == Mode::Enforce && !self.frozen;
                finding.reason == Reason::Denied
                    && context
                        .rules
                        .get(&finding.rule)
                        .is_some_and(|rule| !(enforces(rule) && chosen(rule)))
            };
            let only_told: Vec<Finding> = decision.findings.iter().filter(tells).cloned().collect();
            (decision, refused, only_told)
        });
        match decided {
            Some((mut decision, refused, only_told)) => {
                let rules = self.rules_at(occasion).rules();
                let wrong = std::mem::take(&mut decision.wrong_types).into_iter();
                let unreadable = wrong.map(|(index, why)| (rules[index].name.clone(), why));
                let unreadable = unreadable.collect();
                Admitted {
                    only_told,
                    unreadable,
                    ..conclude(decision, request.object, occasion, refused)
                }
            }
            None => Admitted::unseen(request.object),
        }
    }
}

/// The Namespace that an object is in, or is.
fn namespace_of<'w>(
    key: &ObjectKey,
    record: &'w Record,
    world: &'w World,
) -> Result<Option<&'w Record>, &'static str> {
    match &key.namespace {
        _ if is_namespace(key) => Ok(Some(record)),
        None => Ok(None),
        Some(name) => {
            let key = ObjectKey::new(GroupKind::new("", "Namespace"), None, name);
            world.get(&key).map(Some).ok_or("it does not exist")
        }
    }
}

fn space<'w>(namespace: Result<Option<&'w Record>, &str>) -> NamespaceObject<'w> {
    match namespace {
        Ok(Some(namespace)) => NamespaceObject::Known(namespace.root()),
        Ok(None) => NamespaceObject::None,
        Err(_) => NamespaceObject::Unknown,
    }
}

fn conclude(decision: Decision, object: Value, occasion: Occasion, refused: bool) -> Admitted {
    if refused {
        return Admitted {
            object: None,
            changes: vec![],
            findings: decision.findings,
            only_told: vec![],
            unreadable: vec![],
        };
    }
    let mut changed = None;
    for write in decision.writes {
        if let (Operation::Patch { .. }, Some(expected)) = (write.operation, write.expected) {
            changed = Some(expected.to_value());
        }
    }
    // What is being deleted is changed by nobody.
    let stays = occasion == Occasion::Delete;
    Admitted {
        object: Some(changed.filter(|_| !stays).unwrap_or(object)),
        changes: if stays { vec![] } else { decision.changes },
        findings: decision.findings,
        only_told: vec![],
        unreadable: vec![],
    }
}

/// The manifest, where its namespace is written.
fn with_namespace(key: &ObjectKey, manifest: &Value) -> Value {
    let mut object = manifest.clone();
    if let (Some(namespace), Some(meta)) = (&key.namespace, object["metadata"].as_object_mut()) {
        meta.insert("namespace".into(), json!(**namespace));
    }
    object
}

/// Whether a rule has come to no decision.
fn undecided(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::ExpressionFailed | Reason::Waiting | Reason::NoFixpoint | Reason::WrongType
    )
}

/// What a person asks for.
struct Request<'a> {
    occasion: Occasion,
    key: &'a ObjectKey,
    object: Value,
    former: Option<Value>,
}

impl Request<'_> {
    /// `request`, as an API server tells a webhook of it, as far as there is something to tell without one: the user is nobody.
    fn told(&self, resource: Option<&str>) -> Value {
        let operation = match self.occasion {
            Occasion::Delete => "DELETE",
            Occasion::Update => "UPDATE",
            Occasion::Create | Occasion::Reconcile => "CREATE",
        };
        let key = self.key;
        let api_version = self.object["apiVersion"].as_str().unwrap_or_default();
        let version = api_version.rsplit('/').next().unwrap_or_default();
        let group = &*key.kind.group;
        let kind = json!({"group": group, "version": version, "kind": *key.kind.kind});
        let resource =
            resource.map(|name| json!({"group": group, "version": version, "resource": name}));
        let object = (self.occasion != Occasion::Delete).then_some(&self.object);
        json!({
            "operation": operation,
            "name": *key.name,
            "namespace": key.namespace.as_deref().unwrap_or_default(),
            "kind": kind,
            "requestKind": kind,
            "resource": resource,
            "requestResource": resource,
            "subResource": "",
            "requestSubResource": "",
            "userInfo": {"username": "", "groups": []},
            "dryRun": false,
            "object": object,
            "oldObject": self.former,
        })
    }
}
