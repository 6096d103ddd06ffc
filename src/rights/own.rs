//! What the daemon itself needs, whatever its rules are.

use super::{Grant, Place, RbacVerb, Reason, Right, Scope};
use std::sync::Arc;

/// The Lease that replicas compete for, if no other is named.
pub const DEFAULT_LEASE: &str = "ordain";

/// Names of what the daemon keeps for itself.
#[derive(Clone, Debug)]
pub struct Own {
    /// The daemon's own namespace.
    pub state_namespace: Arc<str>,
    /// The Lease that its replicas compete for.
    pub lease: Arc<str>,
    /// It writes Events on objects whose change failed or was blocked.
    pub events: bool,
}

const KINDS: &str = "kinds that come and go";
const EVENTS: &str = "tells of changes that failed or were blocked";
/// The ConfigMap that says which rules may hold something, of a daemon with a Lease.
pub fn lifetimes_name(lease: &str) -> String {
    format!("{lease}-lifetimes")
}

const HELD: &str = "which rules have something to give back when they are gone";
const STATE: &str = "what rules remember is kept there";
const LEASE: &str = "one of its replicas acts, the others wait";

impl Own {
    /// `changes`: some rule changes something; `holds`: only as long as it matches.
    pub(super) fn grants(&self, scope: &Scope, (changes, holds): (bool, bool)) -> Vec<Grant> {
        let mut grants = vec![];
        let mut add = |place: &Place,
                       (group, resource): (&str, &str),
                       name: Option<&Arc<str>>,
                       verbs: &[RbacVerb],
                       why| {
            grants.extend(verbs.iter().map(|verb| Grant {
                right: Right {
                    place: place.clone(),
                    group: group.into(),
                    resource: resource.to_owned(),
                    name: name.cloned(),
                    verb: *verb,
                },
                reason: Reason::Daemon(why),
            }));
        };
        if scope.namespaces.is_empty() {
            let follow = [RbacVerb::List, RbacVerb::Watch];
            let crds = ("apiextensions.k8s.io", "customresourcedefinitions");
            add(&Place::Cluster, crds, None, &follow, KINDS);
            let services = ("apiregistration.k8s.io", "apiservices");
            add(&Place::Cluster, services, None, &follow, KINDS);
        }
        if self.events && changes && !scope.read_only {
            for place in scope.places() {
                let events = ("events.k8s.io", "events");
                add(&place, events, None, &[RbacVerb::Create], EVENTS);
            }
        }
        let home = Place::Namespace(self.state_namespace.clone());
        let leases = ("coordination.k8s.io", "leases");
        // The name of an object that is being created is not known to RBAC.
        add(&home, leases, None, &[RbacVerb::Create], LEASE);
        let keep = [RbacVerb::Get, RbacVerb::Update];
        add(&home, leases, Some(&self.lease), &keep, LEASE);
        // Their names are made from their number, which changes with how much there is to remember.
        let maps = ("", "configmaps");
        let all = [
            RbacVerb::Get,
            RbacVerb::List,
            RbacVerb::Create,
            RbacVerb::Update,
            RbacVerb::Delete,
        ];
        add(&home, maps, None, &all, STATE);
        if holds {
            add(
                &home,
                maps,
                Some(&lifetimes_name(&self.lease).into()),
                &[RbacVerb::Patch],
                HELD,
            );
        }
        grants
    }
}
