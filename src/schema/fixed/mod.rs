//! Fields fixed at creation. OpenAPI does not say them: they are a table of our own.

mod table;

use super::KindSchema;
use table::{GROWS, OF_ALL, RULES, Rule, WHEN_IMMUTABLE};

/// A field fixed at creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The fixed field, for people: `spec of a Pod but image, tolerations added, activeDeadlineSeconds`.
    pub what: &'static str,
    /// Where to patch instead, for people, if there is such a place: `the pod template of its owner (Deployment, …)`.
    pub instead: Option<&'static str>,
}

/// A list of which elements can be added, but neither removed nor changed, but for one field of theirs.
#[derive(Clone, Copy, Debug)]
pub struct Growing {
    /// Where it is: names.
    pub list: &'static [&'static str],
    /// The field of its elements that can be changed.
    pub free: &'static str,
    /// What is fixed in it.
    pub fixed: Fixed,
}

impl Growing {
    /// Whether the path leads to what is in its elements, but not to their free field.
    pub fn holds(&self, path: &[Option<&str>]) -> bool {
        path.len() > self.list.len()
            && self.is_on(path)
            && path.get(self.list.len() + 1) != Some(&Some(self.free))
    }

    /// Whether the path leads to the list, or into it.
    pub fn is_on(&self, path: &[Option<&str>]) -> bool {
        path.len() >= self.list.len()
            && self
                .list
                .iter()
                .zip(path)
                .all(|(name, step)| *step == Some(*name))
    }
}

impl KindSchema {
    /// The list of this kind that only grows, if it has one.
    pub fn growing(&self) -> Option<Growing> {
        let of_this = |grows: &&table::Grows| {
            *grows.group == *self.gvk.group && *grows.kind == *self.gvk.kind
        };
        GROWS.iter().find(of_this).map(|grows| Growing {
            list: grows.list,
            free: grows.free,
            fixed: Fixed {
                what: grows.what,
                instead: grows.instead,
            },
        })
    }

    /// Whether, and why, the field at `path` (names and, for list elements, `None`) cannot be changed after creation.
    /// The answer takes the whole path: `spec.containers.*.image` of a Pod can, `spec.containers.*.env` cannot; `spec.containers` as a whole can, since its
    /// images can: ask for the leaves of a constructed value.
    pub fn fixed(&self, path: &[Option<&str>]) -> Option<Fixed> {
        OF_ALL
            .covers(path)
            .then_some(&OF_ALL)
            .or_else(|| self.rule_of(RULES, path))
            .map(Rule::answer)
    }

    /// Like [`Self::fixed`], for objects that say `immutable: true` (ConfigMaps and Secrets).
    pub fn fixed_when_immutable(&self, path: &[Option<&str>]) -> Option<Fixed> {
        self.rule_of(WHEN_IMMUTABLE, path).map(Rule::answer)
    }

    fn rule_of<'r>(&self, rules: &'r [Rule], path: &[Option<&str>]) -> Option<&'r Rule> {
        rules
            .iter()
            .filter(|rule| *rule.group == *self.gvk.group && *rule.kind == *self.gvk.kind)
            .find(|rule| rule.covers(path))
    }
}

impl Rule {
    fn covers(&self, path: &[Option<&str>]) -> bool {
        let fixed = self
            .fields
            .iter()
            .any(|field| leads_to(field, path) == Some(true));
        fixed
            && self
                .except
                .iter()
                .all(|free| leads_to(free, path).is_none())
    }

    fn answer(&self) -> Fixed {
        Fixed {
            what: self.what,
            instead: self.instead,
        }
    }
}

/// `Some(true)` if `path` is the field or lies below it, `Some(false)` if it lies above, `None` if they part.
fn leads_to(field: &str, path: &[Option<&str>]) -> Option<bool> {
    let mut rest = field;
    for step in path {
        let step = step.unwrap_or("*");
        let behind = rest.strip_prefix(step).filter(|_| !step.contains('.'))?;
        if behind.is_empty() {
            return Some(true);
        }
        rest = behind.strip_prefix('.')?;
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::object::{GroupKind, Gvk};
    use crate::schema::Schema;

    fn steps(path: &str) -> Vec<Option<&str>> {
        path.split('.')
            .map(|step| (step != "*").then_some(step))
            .collect()
    }

    #[test]
    fn fields_of_pods_jobs_and_others() {
        let schema = Schema::bundled();
        for (group, kind, path, fixed) in [
            ("", "Pod", "spec.containers.*.image", false),
            ("", "Pod", "spec.initContainers.*.image", false),
            ("", "Pod", "spec.ephemeralContainers.*.image", true),
            ("", "Pod", "spec.containers.*.env", true),
            ("", "Pod", "spec.containers.*.resources.limits.memory", true),
            ("", "Pod", "spec.containers", false),
            ("", "Pod", "spec", false),
            ("", "Pod", "spec.nodeName", true),
            ("", "Pod", "spec.tolerations.*.key", false),
            ("", "Pod", "spec.activeDeadlineSeconds", false),
            ("", "Pod", "spec.terminationGracePeriodSeconds", true),
            ("", "Pod", "metadata.labels.app", false),
            ("", "Pod", "metadata.name", true),
            ("", "Pod", "metadata.generateName", false),
            ("", "Pod", "metadata", false),
            ("", "Pod", "kind", true),
            ("", "Pod", "status.phase", false),
            (
                "batch",
                "Job",
                "spec.template.spec.containers.*.image",
                true,
            ),
            ("batch", "Job", "spec.template.metadata.labels", true),
            ("batch", "Job", "spec.ttlSecondsAfterFinished", false),
            ("batch", "Job", "spec.suspend", false),
            ("batch", "Job", "spec.parallelism", false),
            (
                "batch",
                "CronJob",
                "spec.jobTemplate.spec.template.spec.containers",
                false,
            ),
            ("apps", "Deployment", "spec.selector.matchLabels.app", true),
            (
                "apps",
                "Deployment",
                "spec.template.spec.containers.*.env",
                false,
            ),
            (
                "apps",
                "StatefulSet",
                "spec.volumeClaimTemplates.*.spec",
                true,
            ),
            ("apps", "StatefulSet", "spec.replicas", false),
            ("apps", "StatefulSet", "spec.ordinals.start", false),
            ("", "Secret", "type", true),
            ("", "Secret", "data.password", false),
            ("", "ConfigMap", "data.key", false),
            (
                "",
                "PersistentVolumeClaim",
                "spec.resources.requests.storage",
                false,
            ),
            ("", "PersistentVolumeClaim", "spec.accessModes", true),
            ("", "PersistentVolume", "spec.hostPath.path", true),
            (
                "",
                "PersistentVolume",
                "spec.persistentVolumeReclaimPolicy",
                false,
            ),
            ("", "Service", "spec.clusterIP", true),
            ("", "Service", "spec.ports.*.targetPort", false),
            (
                "rbac.authorization.k8s.io",
                "RoleBinding",
                "roleRef.name",
                true,
            ),
            (
                "rbac.authorization.k8s.io",
                "RoleBinding",
                "subjects",
                false,
            ),
            ("storage.k8s.io", "StorageClass", "provisioner", true),
            (
                "storage.k8s.io",
                "StorageClass",
                "allowVolumeExpansion",
                false,
            ),
            ("scheduling.k8s.io", "PriorityClass", "value", true),
            (
                "networking.k8s.io",
                "Ingress",
                "spec.ingressClassName",
                false,
            ),
        ] {
            let kind_schema = schema.kind(&GroupKind::new(group, kind)).unwrap();
            assert_eq!(
                kind_schema.fixed(&steps(path)).is_some(),
                fixed,
                "{kind} {path}"
            );
        }
    }

    #[test]
    fn a_pod_names_its_owner_as_the_place_to_patch() {
        let pod = Schema::bundled().kind(&GroupKind::new("", "Pod")).unwrap();
        let fixed = pod.fixed(&steps("spec.containers.*.command")).unwrap();
        assert!(fixed.what.contains("image"));
        assert!(fixed.instead.unwrap().contains("Deployment"));
    }

    #[test]
    fn immutable_only_when_the_object_says_so() {
        let schema = Schema::bundled();
        for kind in ["ConfigMap", "Secret"] {
            let kind = schema.kind(&GroupKind::new("", kind)).unwrap();
            assert!(kind.fixed_when_immutable(&steps("data.key")).is_some());
            assert!(kind.fixed_when_immutable(&steps("immutable")).is_some());
            assert!(
                kind.fixed_when_immutable(&steps("metadata.labels"))
                    .is_none()
            );
        }
        let pod = schema.kind(&GroupKind::new("", "Pod")).unwrap();
        assert!(pod.fixed_when_immutable(&steps("spec")).is_none());
    }

    /// A name that Kubernetes renamed or that is misspelt here would never match anything.
    #[test]
    fn every_path_of_the_table_is_in_the_schema() {
        let schema = Schema::bundled();
        let groups = |rule: &Rule| GroupKind::new(rule.group, rule.kind);
        let mut checked = 0;
        for rule in RULES.iter().chain(WHEN_IMMUTABLE) {
            let Some(kind) = schema.kind(&groups(rule)) else {
                // Served only with a feature gate.
                assert_eq!(rule.kind, "ClusterTrustBundle");
                continue;
            };
            let root = kind.root().unwrap();
            for path in rule.fields.iter().chain(rule.except) {
                assert!(root.at(&steps(path)).is_some(), "{} {path}", rule.kind);
                checked += 1;
            }
        }
        assert!(checked > 60, "{checked}");
        let pod = schema.kind_at(&Gvk::from_api_version("v1", "Pod")).unwrap();
        for path in OF_ALL.fields {
            assert!(pod.root().unwrap().at(&steps(path)).is_some(), "{path}");
        }
    }
}
