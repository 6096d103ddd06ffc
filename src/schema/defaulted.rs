//! What the server fills in where a field is absent. The OpenAPI of Kubernetes says it of few of its own fields, and of the rest in prose: those are
//! a table of our own, after `SetDefaults_*` of Kubernetes 1.37 (`pkg/apis/*/v*/defaults.go`).
//!
//! Fields of list elements do not stand here, nor does what depends on other objects or on the cluster.

use super::{KindSchema, WORKLOAD};
use serde_json::Value;

/// Group, kind, path with dots between, and the default as JSON.
type Row = (&'static str, &'static str, &'static str, &'static str);

const ROLLING: &str = r#"{"maxSurge": "25%", "maxUnavailable": "25%"}"#;

const OF_KINDS: &[Row] = &[
    (
        "",
        "PersistentVolume",
        "spec.persistentVolumeReclaimPolicy",
        r#""Retain""#,
    ),
    ("", "ReplicationController", "spec.replicas", "1"),
    ("", "Service", "spec.allocateLoadBalancerNodePorts", "true"),
    ("", "Service", "spec.externalTrafficPolicy", r#""Cluster""#),
    ("", "Service", "spec.internalTrafficPolicy", r#""Cluster""#),
    ("", "Service", "spec.sessionAffinity", r#""None""#),
    (
        "",
        "Service",
        "spec.sessionAffinityConfig",
        r#"{"clientIP": {"timeoutSeconds": 10800}}"#,
    ),
    (
        "",
        "Service",
        "spec.sessionAffinityConfig.clientIP",
        r#"{"timeoutSeconds": 10800}"#,
    ),
    (
        "",
        "Service",
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
        "10800",
    ),
    ("", "Service", "spec.type", r#""ClusterIP""#),
    ("apps", "DaemonSet", "spec.revisionHistoryLimit", "10"),
    (
        "apps",
        "DaemonSet",
        "spec.updateStrategy",
        r#"{"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}"#,
    ),
    (
        "apps",
        "DaemonSet",
        "spec.updateStrategy.rollingUpdate",
        r#"{"maxSurge": 0, "maxUnavailable": 1}"#,
    ),
    (
        "apps",
        "DaemonSet",
        "spec.updateStrategy.rollingUpdate.maxSurge",
        "0",
    ),
    (
        "apps",
        "DaemonSet",
        "spec.updateStrategy.rollingUpdate.maxUnavailable",
        "1",
    ),
    (
        "apps",
        "DaemonSet",
        "spec.updateStrategy.type",
        r#""RollingUpdate""#,
    ),
    ("apps", "Deployment", "spec.progressDeadlineSeconds", "600"),
    ("apps", "Deployment", "spec.replicas", "1"),
    ("apps", "Deployment", "spec.revisionHistoryLimit", "10"),
    (
        "apps",
        "Deployment",
        "spec.strategy",
        r#"{"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}"#,
    ),
    ("apps", "Deployment", "spec.strategy.rollingUpdate", ROLLING),
    (
        "apps",
        "Deployment",
        "spec.strategy.rollingUpdate.maxSurge",
        r#""25%""#,
    ),
    (
        "apps",
        "Deployment",
        "spec.strategy.rollingUpdate.maxUnavailable",
        r#""25%""#,
    ),
    (
        "apps",
        "Deployment",
        "spec.strategy.type",
        r#""RollingUpdate""#,
    ),
    ("apps", "ReplicaSet", "spec.replicas", "1"),
    (
        "apps",
        "StatefulSet",
        "spec.persistentVolumeClaimRetentionPolicy",
        r#"{"whenDeleted": "Retain", "whenScaled": "Retain"}"#,
    ),
    (
        "apps",
        "StatefulSet",
        "spec.persistentVolumeClaimRetentionPolicy.whenDeleted",
        r#""Retain""#,
    ),
    (
        "apps",
        "StatefulSet",
        "spec.persistentVolumeClaimRetentionPolicy.whenScaled",
        r#""Retain""#,
    ),
    ("apps", "StatefulSet", "spec.replicas", "1"),
    ("apps", "StatefulSet", "spec.revisionHistoryLimit", "10"),
    (
        "apps",
        "StatefulSet",
        "spec.updateStrategy",
        r#"{"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}"#,
    ),
    (
        "apps",
        "StatefulSet",
        "spec.updateStrategy.rollingUpdate",
        r#"{"partition": 0}"#,
    ),
    (
        "apps",
        "StatefulSet",
        "spec.updateStrategy.rollingUpdate.partition",
        "0",
    ),
    (
        "apps",
        "StatefulSet",
        "spec.updateStrategy.type",
        r#""RollingUpdate""#,
    ),
    (
        "autoscaling",
        "HorizontalPodAutoscaler",
        "spec.metrics",
        r#"[{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]"#,
    ),
    (
        "autoscaling",
        "HorizontalPodAutoscaler",
        "spec.minReplicas",
        "1",
    ),
    ("batch", "CronJob", "spec.concurrencyPolicy", r#""Allow""#),
    ("batch", "CronJob", "spec.failedJobsHistoryLimit", "1"),
    ("batch", "CronJob", "spec.successfulJobsHistoryLimit", "3"),
    ("batch", "CronJob", "spec.suspend", "false"),
    ("batch", "Job", "spec.backoffLimit", "6"),
    ("batch", "Job", "spec.parallelism", "1"),
    ("batch", "Job", "spec.suspend", "false"),
    (
        "networking.k8s.io",
        "NetworkPolicy",
        "spec.policyTypes",
        r#"["Ingress"]"#,
    ),
];

/// Of the Pod in a template.
const OF_POD_TEMPLATES: &[(&str, &str)] = &[
    ("spec.dnsPolicy", r#""ClusterFirst""#),
    ("spec.restartPolicy", r#""Always""#),
    ("spec.schedulerName", r#""default-scheduler""#),
    ("spec.securityContext", "{}"),
    ("spec.terminationGracePeriodSeconds", "30"),
];

impl KindSchema {
    /// What the server stores at a path of plain names where a client leaves the field out, as far as it is known.
    pub fn default_at(&self, path: &[&str]) -> Option<Value> {
        self.said(path).or_else(|| {
            let text = self.of_kind(path).or_else(|| self.of_template(path))?;
            serde_json::from_str(text).ok()
        })
    }

    fn said(&self, path: &[&str]) -> Option<Value> {
        let (last, above) = path.split_last()?;
        let parent = above
            .iter()
            .try_fold(self.root()?, |ty, name| ty.field(name));
        parent?.default_of(last)
    }

    fn of_kind(&self, path: &[&str]) -> Option<&'static str> {
        let rows = OF_KINDS
            .iter()
            .filter(|(group, kind, _, _)| *self.gvk.group == **group && *self.gvk.kind == **kind);
        rows.filter(|row| leads_to(row.2, path))
            .map(|row| row.3)
            .next()
    }

    fn of_template(&self, path: &[&str]) -> Option<&'static str> {
        let (group, kind) = (&*self.gvk.group, &*self.gvk.kind);
        let known = WORKLOAD.contains(&(group, kind)) || kind == "ReplicationController";
        let prefix = self.pod_prefix().filter(|_| known)?;
        let below = path.strip_prefix(prefix)?;
        let mut rows = OF_POD_TEMPLATES.iter();
        rows.find(|row| leads_to(row.0, below)).map(|row| row.1)
    }
}

fn leads_to(row: &str, path: &[&str]) -> bool {
    row.split('.').eq(path.iter().copied())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::GroupKind;
    use crate::schema::Schema;
    use serde_json::json;

    #[test]
    fn every_row_is_json_of_a_field_that_its_kind_has() {
        let schema = Schema::bundled();
        for (group, kind, path, text) in OF_KINDS {
            let of = schema.kind(&GroupKind::new(group, kind)).unwrap();
            let names: Vec<&str> = path.split('.').collect();
            let steps: Vec<Option<&str>> = names.iter().map(|name| Some(*name)).collect();
            assert!(of.root().unwrap().at(&steps).is_some(), "{kind} {path}");
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(of.default_at(&names), Some(value), "{kind} {path}");
        }
    }

    #[test]
    fn the_pod_of_a_template_has_defaults_of_its_own() {
        let schema = Schema::bundled();
        let grace = "spec.template.spec.terminationGracePeriodSeconds";
        for (group, kind, path, default) in [
            ("apps", "Deployment", grace, Some(json!(30))),
            ("batch", "Job", grace, Some(json!(30))),
            ("apps", "Deployment", "spec.paused", None),
            ("apps", "Deployment", "metadata.labels.replicas", None),
            ("", "ConfigMap", "data.replicas", None),
        ] {
            let of = schema.kind(&GroupKind::new(group, kind)).unwrap();
            let names: Vec<&str> = path.split('.').collect();
            assert_eq!(of.default_at(&names), default, "{kind} {path}");
        }
        for (path, _) in OF_POD_TEMPLATES {
            let of = schema.kind(&GroupKind::new("apps", "Deployment")).unwrap();
            let names: Vec<&str> = ["spec", "template"]
                .into_iter()
                .chain(path.split('.'))
                .collect();
            let steps: Vec<Option<&str>> = names.iter().map(|name| Some(*name)).collect();
            assert!(of.root().unwrap().at(&steps).is_some(), "{path}");
        }
    }
}
