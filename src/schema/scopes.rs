//! Kinds of well-known projects whose objects lie in no namespace, for where neither the bundled kinds nor a CustomResourceDefinition nor the
//! cluster says anything of them: people test rules on manifests without the definitions beside them.
//!
//! Only what a project has said in all its versions is here. Kinds that are not here are taken to be namespaced, as most are.

use super::Schema;
use crate::object::GroupKind;

/// What is known of where the objects of a kind lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In namespaces.
    Namespaced,
    /// In none.
    Cluster,
    /// Nobody says: they are taken to lie in namespaces.
    Unknown,
}

impl Scope {
    /// Whether it is said that they lie in namespaces.
    pub fn is_namespaced(self) -> bool {
        self == Scope::Namespaced
    }

    /// Whether it is said that they lie in none.
    pub fn is_cluster(self) -> bool {
        self == Scope::Cluster
    }
}

/// Every kind of the group.
const ALL: &[&str] = &["*"];

/// By group.
#[rustfmt::skip]
const CLUSTER: &[(&str, &[&str])] = &[
    ("apiextensions.crossplane.io", &["CompositeResourceDefinition", "Composition", "CompositionRevision", "EnvironmentConfig"]),
    ("apps.projectsveltos.io", &["Cleaner"]),
    ("aquasecurity.github.io", &["ClusterComplianceReport", "ClusterConfigAuditReport", "ClusterInfraAssessmentReport", "ClusterRbacAssessmentReport", "ClusterSbomReport", "ClusterVulnerabilityReport"]),
    ("argoproj.io", &["ClusterAnalysisTemplate", "ClusterWorkflowTemplate"]),
    ("aws.upbound.io", &["ProviderConfig"]),
    ("azure.upbound.io", &["ProviderConfig"]),
    ("capsule.clastix.io", &["CapsuleConfiguration", "GlobalTenantResource", "ResourcePool", "Tenant"]),
    ("cert-manager.io", &["ClusterIssuer"]),
    ("cilium.io", &["CiliumBGPAdvertisement", "CiliumBGPClusterConfig", "CiliumBGPNodeConfig", "CiliumBGPNodeConfigOverride", "CiliumBGPPeerConfig", "CiliumBGPPeeringPolicy", "CiliumCIDRGroup", "CiliumClusterwideEnvoyConfig", "CiliumClusterwideNetworkPolicy", "CiliumEgressGatewayPolicy", "CiliumEndpointSlice", "CiliumExternalWorkload", "CiliumIdentity", "CiliumL2AnnouncementPolicy", "CiliumLoadBalancerIPPool", "CiliumNode", "CiliumPodIPPool", "TracingPolicy"]),
    ("cluster.open-cluster-management.io", &["ManagedCluster", "ManagedClusterSet"]),
    ("config.openshift.io", &["APIServer", "Authentication", "Build", "ClusterOperator", "ClusterVersion", "Console", "DNS", "FeatureGate", "Image", "ImageContentPolicy", "ImageDigestMirrorSet", "ImageTagMirrorSet", "Infrastructure", "Ingress", "Network", "Node", "OAuth", "OperatorHub", "Project", "Proxy", "Scheduler"]),
    ("config.projectsveltos.io", &["ClusterProfile"]),
    ("console.openshift.io", &["ConsoleCLIDownload", "ConsoleExternalLogLink", "ConsoleLink", "ConsoleNotification", "ConsolePlugin", "ConsoleQuickStart", "ConsoleYAMLSample"]),
    ("constraints.gatekeeper.sh", ALL),
    ("crd.projectcalico.org", &["BGPConfiguration", "BGPFilter", "BGPPeer", "BlockAffinity", "CalicoNodeStatus", "ClusterInformation", "FelixConfiguration", "GlobalNetworkPolicy", "GlobalNetworkSet", "HostEndpoint", "IPAMBlock", "IPAMConfig", "IPAMHandle", "IPPool", "IPReservation", "KubeControllersConfiguration", "StagedGlobalNetworkPolicy", "Tier"]),
    ("eks.amazonaws.com", &["NodeClass"]),
    ("eventing.keda.sh", &["ClusterCloudEventSource"]),
    ("expansion.gatekeeper.sh", &["ExpansionTemplate"]),
    ("external-secrets.io", &["ClusterExternalSecret", "ClusterPushSecret", "ClusterSecretStore"]),
    ("externaldata.gatekeeper.sh", &["Provider"]),
    ("fluentbit.fluent.io", &["ClusterFilter", "ClusterFluentBitConfig", "ClusterInput", "ClusterOutput", "ClusterParser"]),
    ("gateway.networking.k8s.io", &["GatewayClass"]),
    ("gcp.upbound.io", &["ProviderConfig"]),
    ("generators.external-secrets.io", &["ClusterGenerator"]),
    ("groupsnapshot.storage.k8s.io", &["VolumeGroupSnapshotClass", "VolumeGroupSnapshotContent"]),
    ("helm.crossplane.io", &["ProviderConfig", "Release"]),
    ("image.openshift.io", &["Image"]),
    ("instancetype.kubevirt.io", &["VirtualMachineClusterInstancetype", "VirtualMachineClusterPreference"]),
    ("karpenter.azure.com", &["AKSNodeClass"]),
    ("karpenter.k8s.aws", &["AWSNodeTemplate", "EC2NodeClass"]),
    ("karpenter.sh", &["Machine", "NodeClaim", "NodePool", "Provisioner"]),
    ("keda.sh", &["ClusterTriggerAuthentication"]),
    ("kubernetes.crossplane.io", &["Object", "ProviderConfig"]),
    ("kueue.x-k8s.io", &["AdmissionCheck", "ClusterQueue", "Cohort", "MultiKueueCluster", "MultiKueueConfig", "ProvisioningRequestConfig", "ResourceFlavor", "Topology", "WorkloadPriorityClass"]),
    ("kyverno.io", &["ClusterAdmissionReport", "ClusterBackgroundScanReport", "ClusterCleanupPolicy", "ClusterPolicy", "GlobalContextEntry"]),
    ("machineconfiguration.openshift.io", &["ContainerRuntimeConfig", "ControllerConfig", "KubeletConfig", "MachineConfig", "MachineConfigPool"]),
    ("management.cattle.io", &["Cluster", "Feature", "GlobalRole", "GlobalRoleBinding", "RoleTemplate", "Setting", "User"]),
    ("metacontroller.k8s.io", &["CompositeController", "DecoratorController"]),
    ("mutations.gatekeeper.sh", &["Assign", "AssignImage", "AssignMetadata", "ModifySet"]),
    ("nfd.k8s-sigs.io", &["NodeFeatureRule"]),
    ("nvidia.com", &["ClusterPolicy", "NVIDIADriver"]),
    ("oauth.openshift.io", &["OAuthClient"]),
    ("operator.openshift.io", &["CSISnapshotController", "CloudCredential", "ClusterCSIDriver", "Etcd", "ImageContentSourcePolicy", "KubeAPIServer", "KubeControllerManager", "KubeScheduler", "OpenShiftAPIServer", "OpenShiftControllerManager", "ServiceCA"]),
    ("operator.tekton.dev", &["TektonChain", "TektonConfig", "TektonDashboard", "TektonPipeline", "TektonTrigger"]),
    ("operator.tigera.io", &["APIServer", "ImageSet", "Installation", "TigeraStatus"]),
    ("pkg.crossplane.io", &["Configuration", "ConfigurationRevision", "ControllerConfig", "DeploymentRuntimeConfig", "Function", "FunctionRevision", "ImageConfig", "Lock", "Provider", "ProviderRevision"]),
    ("policies.kubewarden.io", &["ClusterAdmissionPolicy", "ClusterAdmissionPolicyGroup", "PolicyServer"]),
    ("policies.kyverno.io", &["DeletingPolicy", "GeneratingPolicy", "ImageValidatingPolicy", "MutatingPolicy", "ValidatingPolicy"]),
    ("policy.cert-manager.io", &["CertificateRequestPolicy"]),
    ("policy.karmada.io", &["ClusterOverridePolicy", "ClusterPropagationPolicy"]),
    ("policy.networking.k8s.io", &["AdminNetworkPolicy", "BaselineAdminNetworkPolicy", "ClusterNetworkPolicy"]),
    ("policy.sigstore.dev", &["ClusterImagePolicy"]),
    ("project.openshift.io", &["Project"]),
    ("projectcalico.org", &["BGPConfiguration", "BGPFilter", "BGPPeer", "BlockAffinity", "CalicoNodeStatus", "ClusterInformation", "FelixConfiguration", "GlobalNetworkPolicy", "GlobalNetworkSet", "HostEndpoint", "IPAMConfiguration", "IPPool", "IPReservation", "KubeControllersConfiguration", "Node", "Profile", "StagedGlobalNetworkPolicy", "Tier"]),
    ("quota.openshift.io", &["ClusterResourceQuota"]),
    ("reports.kyverno.io", &["ClusterEphemeralReport"]),
    ("scheduling.volcano.sh", &["Queue"]),
    ("security.openshift.io", &["SecurityContextConstraints"]),
    ("serving.kserve.io", &["ClusterServingRuntime"]),
    ("snapshot.storage.k8s.io", &["VolumeSnapshotClass", "VolumeSnapshotContent"]),
    ("spire.spiffe.io", &["ClusterFederatedTrustDomain", "ClusterSPIFFEID", "ClusterStaticEntry"]),
    ("syncset.gatekeeper.sh", &["SyncSet"]),
    ("tekton.dev", &["ClusterTask"]),
    ("templates.gatekeeper.sh", &["ConstraintTemplate"]),
    ("topolvm.io", &["LogicalVolume"]),
    ("triggers.tekton.dev", &["ClusterInterceptor", "ClusterTriggerBinding"]),
    ("trust.cert-manager.io", &["Bundle"]),
    ("user.openshift.io", &["Group", "Identity", "User"]),
    ("wgpolicyk8s.io", &["ClusterPolicyReport"]),
];

fn is_known_to_be_cluster_scoped(kind: &GroupKind) -> bool {
    let at = CLUSTER.binary_search_by(|(group, _)| (*group).cmp(&*kind.group));
    at.is_ok_and(|at| {
        let kinds = CLUSTER[at].1;
        kinds == ALL || kinds.contains(&&*kind.kind)
    })
}

impl Schema {
    /// Where the objects of a kind lie.
    pub fn scope(&self, kind: &GroupKind) -> Scope {
        match self.kind(kind) {
            Some(known) if known.namespaced => Scope::Namespaced,
            Some(_) => Scope::Cluster,
            None if is_known_to_be_cluster_scoped(kind) => Scope::Cluster,
            None => Scope::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn groups_and_kinds_are_in_order_and_stand_once() {
        assert!(CLUSTER.windows(2).all(|two| two[0].0 < two[1].0));
        for (group, kinds) in CLUSTER {
            assert!(kinds.windows(2).all(|two| two[0] < two[1]), "{group}");
        }
    }

    #[test]
    fn kinds_of_kubernetes_itself_say_it_themselves() {
        let schema = Schema::bundled();
        for (group, kinds) in CLUSTER {
            for kind in *kinds {
                let bundled = schema.kind(&GroupKind::new(group, kind));
                assert!(bundled.is_none(), "{group} {kind}");
            }
        }
    }

    #[test]
    fn what_is_said_of_a_kind_goes_before_the_table() {
        let bundled = Schema::bundled();
        let of = |schema: &Schema, group, kind| schema.scope(&GroupKind::new(group, kind));
        for (group, kind, scope) in [
            ("cert-manager.io", "ClusterIssuer", Scope::Cluster),
            ("cert-manager.io", "Issuer", Scope::Unknown),
            ("constraints.gatekeeper.sh", "K8sAnything", Scope::Cluster),
            ("", "Node", Scope::Cluster),
            ("", "Pod", Scope::Namespaced),
            ("capsule.clastix.io", "Tenant", Scope::Cluster),
            ("example.com", "Tenant", Scope::Unknown),
        ] {
            assert_eq!(of(&bundled, group, kind), scope, "{group} {kind}");
        }
        let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "tenants.capsule.clastix.io"}, "spec": {
            "group": "capsule.clastix.io", "scope": "Namespaced", "names": {"kind": "Tenant", "plural": "tenants"},
            "versions": [{"name": "v1", "served": true, "storage": true}]}});
        let (schema, _) = bundled.with_crds([&crd]);
        assert_eq!(
            of(&schema, "capsule.clastix.io", "Tenant"),
            Scope::Namespaced
        );
    }
}
