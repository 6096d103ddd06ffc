//! The flags with which each program of a plane is started. `file` answers the path of a file of the plane.

/// The ports of a plane.
#[derive(Clone, Copy)]
pub struct Ports {
    pub etcd: u16,
    pub etcd_peer: u16,
    pub apiserver: u16,
}

/// Every write, without its body, when it comes and when it is answered, and every watch.
pub const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: Metadata
  omitStages: [RequestReceived]
  verbs: [watch]
- level: None
";

/// The same without the beginnings: half the work for a server that is measured.
pub const AUDIT_POLICY_OF_ENDS: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection, watch]
- level: None
";

/// The ends of all requests, reads included.
pub const AUDIT_POLICY_WITH_READS: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
";

pub fn etcd(ports: Ports, file: impl Fn(&str) -> String) -> Vec<String> {
    let (client, peer) = (ports.etcd, ports.etcd_peer);
    vec![
        "--name=n0".to_owned(),
        format!("--data-dir={}", file("etcd")),
        format!("--listen-client-urls=http://127.0.0.1:{client}"),
        format!("--advertise-client-urls=http://127.0.0.1:{client}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-cluster=n0=http://127.0.0.1:{peer}"),
        "--unsafe-no-fsync".to_owned(),
        "--quota-backend-bytes=8589934592".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

pub fn apiserver(ports: Ports, file: impl Fn(&str) -> String) -> Vec<String> {
    vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", ports.apiserver),
        format!("--tls-cert-file={}", file("server.crt")),
        format!("--tls-private-key-file={}", file("server.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!(
            "--service-account-signing-key-file={}",
            file("accounts.key")
        ),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--audit-policy-file={}", file("audit.yaml")),
        format!("--audit-log-path={}", file("audit.log")),
        // Written before a request is answered: what was answered is in the log.
        "--audit-log-mode=blocking".to_owned(),
        // In one file: whoever reads it counts from its beginning. In MB.
        "--audit-log-maxsize=100000".to_owned(),
    ]
}

pub fn controller_manager(port: u16, file: impl Fn(&str) -> String) -> Vec<String> {
    let mut flags = scheduler(port, &file);
    flags.extend([
        format!("--root-ca-file={}", file("ca.crt")),
        format!(
            "--service-account-private-key-file={}",
            file("accounts.key")
        ),
    ]);
    flags
}

pub fn scheduler(port: u16, file: impl Fn(&str) -> String) -> Vec<String> {
    vec![
        format!("--kubeconfig={}", file("kubeconfig")),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--kube-api-qps=5000".to_owned(),
        "--kube-api-burst=10000".to_owned(),
        "--leader-elect=false".to_owned(),
    ]
}

pub fn kwok(port: u16, stages: &str, file: impl Fn(&str) -> String) -> Vec<String> {
    vec![
        "--manage-all-nodes=true".to_owned(),
        format!("--kubeconfig={}", file("kubeconfig")),
        format!("--config={stages}"),
        format!("--server-address=127.0.0.1:{port}"),
        "--node-ip=127.0.0.1".to_owned(),
        "--node-name=localhost".to_owned(),
        format!("--node-port={port}"),
        "--node-lease-duration-seconds=40".to_owned(),
    ]
}
