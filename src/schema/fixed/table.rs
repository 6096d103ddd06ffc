//! The table of fields fixed at creation. It follows the update validation of Kubernetes 1.37 (`pkg/apis/*/validation`).
//!
//! A field stands here only if no state of an object lets a client change it, with three exceptions where that state is rare: the scheduling fields of a Pod
//! that has scheduling gates, those of a suspended Job's template, and clusterIP while a Service turns into or from an ExternalName.
//! Fields that may be set once (`volumeName` of a claim) do not stand here.

/// Fixed fields of one kind. Paths are names with dots between, `*` for the elements of a list; what lies below a path belongs to it.
pub(super) struct Rule {
    pub group: &'static str,
    pub kind: &'static str,
    pub fields: &'static [&'static str],
    pub except: &'static [&'static str],
    pub what: &'static str,
    pub instead: Option<&'static str>,
}

const fn rule(
    group: &'static str,
    kind: &'static str,
    fields: &'static [&'static str],
    what: &'static str,
) -> Rule {
    Rule {
        group,
        kind,
        fields,
        except: &[],
        what,
        instead: None,
    }
}

pub(super) const OF_ALL: Rule = rule(
    "",
    "",
    &[
        "apiVersion",
        "kind",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "metadata.selfLink",
        "metadata.resourceVersion",
        "metadata.generation",
        "metadata.creationTimestamp",
        "metadata.deletionTimestamp",
        "metadata.deletionGracePeriodSeconds",
    ],
    "the type and identity of an object, and what the server keeps in its metadata",
);

pub(super) const RULES: &[Rule] = &[
    Rule {
        group: "",
        kind: "Pod",
        fields: &["spec"],
        except: &[
            "spec.containers.*.image",
            "spec.initContainers.*.image",
            "spec.activeDeadlineSeconds",
            "spec.tolerations",
            "spec.schedulingGates",
        ],
        what: "spec of a Pod but image, tolerations added, activeDeadlineSeconds, schedulingGates removed",
        instead: Some("the pod template of its owner (Deployment, StatefulSet, DaemonSet, Job, …)"),
    },
    Rule {
        group: "batch",
        kind: "Job",
        fields: &[
            "spec.template",
            "spec.selector",
            "spec.completionMode",
            "spec.podFailurePolicy",
            "spec.successPolicy",
            "spec.backoffLimitPerIndex",
            "spec.managedBy",
        ],
        except: &[],
        what: "template, selector, completionMode, podFailurePolicy, successPolicy, backoffLimitPerIndex and managedBy of a Job",
        instead: Some("spec.jobTemplate of its owner (CronJob)"),
    },
    rule(
        "apps",
        "StatefulSet",
        &[
            "spec.selector",
            "spec.serviceName",
            "spec.volumeClaimTemplates",
            "spec.podManagementPolicy",
        ],
        "selector, serviceName, volumeClaimTemplates and podManagementPolicy of a StatefulSet",
    ),
    rule(
        "apps",
        "Deployment",
        &["spec.selector"],
        "selector of a Deployment",
    ),
    rule(
        "apps",
        "DaemonSet",
        &["spec.selector"],
        "selector of a DaemonSet",
    ),
    Rule {
        group: "apps",
        kind: "ReplicaSet",
        fields: &["spec.selector"],
        except: &[],
        what: "selector of a ReplicaSet",
        instead: None,
    },
    rule(
        "apps",
        "ControllerRevision",
        &["data"],
        "data of a ControllerRevision",
    ),
    rule("", "Secret", &["type"], "type of a Secret"),
    Rule {
        group: "",
        kind: "PersistentVolumeClaim",
        fields: &["spec"],
        except: &[
            "spec.resources.requests",
            "spec.volumeAttributesClassName",
            "spec.volumeName",
            "spec.storageClassName",
        ],
        what: "spec of a PersistentVolumeClaim but resources.requests, volumeAttributesClassName, and storageClassName and volumeName where absent",
        instead: None,
    },
    Rule {
        group: "",
        kind: "PersistentVolume",
        fields: &["spec"],
        except: &[
            "spec.accessModes",
            "spec.capacity",
            "spec.claimRef",
            "spec.mountOptions",
            "spec.nodeAffinity",
            "spec.persistentVolumeReclaimPolicy",
            "spec.storageClassName",
            "spec.volumeAttributesClassName",
            "spec.csi.controllerExpandSecretRef",
        ],
        what: "the source and volumeMode of a PersistentVolume",
        instead: None,
    },
    rule("", "Service", &["spec.clusterIP"], "clusterIP of a Service"),
    rule(
        "",
        "ResourceQuota",
        &["spec.scopes"],
        "scopes of a ResourceQuota",
    ),
    rule("", "Node", &["spec.externalID"], "externalID of a Node"),
    rule(
        "rbac.authorization.k8s.io",
        "RoleBinding",
        &["roleRef"],
        "roleRef of a RoleBinding",
    ),
    rule(
        "rbac.authorization.k8s.io",
        "ClusterRoleBinding",
        &["roleRef"],
        "roleRef of a ClusterRoleBinding",
    ),
    rule(
        "storage.k8s.io",
        "StorageClass",
        &[
            "provisioner",
            "parameters",
            "reclaimPolicy",
            "volumeBindingMode",
        ],
        "provisioner, parameters, reclaimPolicy and volumeBindingMode of a StorageClass",
    ),
    rule(
        "storage.k8s.io",
        "VolumeAttributesClass",
        &["driverName", "parameters"],
        "driverName and parameters of a VolumeAttributesClass",
    ),
    rule(
        "storage.k8s.io",
        "VolumeAttachment",
        &["spec"],
        "spec of a VolumeAttachment",
    ),
    rule(
        "storage.k8s.io",
        "CSIDriver",
        &["spec.attachRequired", "spec.volumeLifecycleModes"],
        "attachRequired and volumeLifecycleModes of a CSIDriver",
    ),
    rule(
        "storage.k8s.io",
        "CSIStorageCapacity",
        &["nodeTopology", "storageClassName"],
        "nodeTopology and storageClassName of a CSIStorageCapacity",
    ),
    rule(
        "scheduling.k8s.io",
        "PriorityClass",
        &["value", "preemptionPolicy"],
        "value and preemptionPolicy of a PriorityClass",
    ),
    rule(
        "networking.k8s.io",
        "IngressClass",
        &["spec.controller"],
        "controller of an IngressClass",
    ),
    rule(
        "networking.k8s.io",
        "IPAddress",
        &["spec.parentRef"],
        "parentRef of an IPAddress",
    ),
    rule(
        "node.k8s.io",
        "RuntimeClass",
        &["handler"],
        "handler of a RuntimeClass",
    ),
    rule(
        "discovery.k8s.io",
        "EndpointSlice",
        &["addressType"],
        "addressType of an EndpointSlice",
    ),
    rule(
        "certificates.k8s.io",
        "CertificateSigningRequest",
        &["spec"],
        "spec of a CertificateSigningRequest",
    ),
    rule(
        "certificates.k8s.io",
        "PodCertificateRequest",
        &["spec"],
        "spec of a PodCertificateRequest",
    ),
    rule(
        "certificates.k8s.io",
        "ClusterTrustBundle",
        &["spec.signerName"],
        "signerName of a ClusterTrustBundle",
    ),
    Rule {
        group: "resource.k8s.io",
        kind: "ResourceClaim",
        fields: &["spec"],
        except: &[],
        what: "spec of a ResourceClaim",
        instead: Some("the ResourceClaimTemplate it was made from, replaced by a new one"),
    },
    rule(
        "resource.k8s.io",
        "ResourceClaimTemplate",
        &["spec"],
        "spec of a ResourceClaimTemplate",
    ),
    rule(
        "resource.k8s.io",
        "ResourceSlice",
        &["spec.driver", "spec.nodeName", "spec.pool.name"],
        "driver, nodeName and pool.name of a ResourceSlice",
    ),
    rule(
        "storagemigration.k8s.io",
        "StorageVersionMigration",
        &["spec"],
        "spec of a StorageVersionMigration",
    ),
];

/// Fixed from the moment the object says `immutable: true`.
pub(super) const WHEN_IMMUTABLE: &[Rule] = &[
    rule(
        "",
        "ConfigMap",
        &["data", "binaryData", "immutable"],
        "data, binaryData and immutable of a ConfigMap with `immutable: true`",
    ),
    rule(
        "",
        "Secret",
        &["data", "stringData", "immutable"],
        "data, stringData and immutable of a Secret with `immutable: true`",
    ),
];

/// A list whose elements can be added to, but neither removed nor changed.
pub(super) struct Grows {
    pub group: &'static str,
    pub kind: &'static str,
    pub list: &'static [&'static str],
    /// The one field of its elements that can be changed.
    pub free: &'static str,
    pub what: &'static str,
    pub instead: Option<&'static str>,
}

pub(super) const GROWS: &[Grows] = &[Grows {
    group: "",
    kind: "Pod",
    list: &["spec", "tolerations"],
    free: "tolerationSeconds",
    what: "a toleration that a Pod has (others can be added)",
    instead: Some("the pod template of its owner (Deployment, StatefulSet, DaemonSet, Job, …)"),
}];
