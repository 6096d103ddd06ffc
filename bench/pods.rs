//! Pods as an API server sends them: about 8.9 KB of JSON each, with managedFields computed from the object as server-side apply
//! does, owner references and a kubelet's status. Fixed seed: the same Pods in every run.

use serde_json::{Map, Value, json};

/// SplitMix64 (Steele, Lea, Flood 2014): small, seedable, good enough to vary objects.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
    fn text(&mut self, n: usize, alphabet: &str) -> String {
        let letters = alphabet.as_bytes();
        (0..n)
            .map(|_| letters[self.below(letters.len())] as char)
            .collect()
    }
    fn hex(&mut self, n: usize) -> String {
        self.text(n, "0123456789abcdef")
    }
    fn uid(&mut self) -> String {
        format!(
            "{}-{}-4{}-a{}-{}",
            self.hex(8),
            self.hex(4),
            self.hex(3),
            self.hex(3),
            self.hex(12)
        )
    }
    fn time(&mut self) -> String {
        let (month, day, hour) = (1 + self.below(7), 1 + self.below(28), self.below(24));
        format!(
            "2026-{month:02}-{day:02}T{hour:02}:{:02}:{:02}Z",
            self.below(60),
            self.below(60)
        )
    }
    fn ip(&mut self) -> String {
        format!(
            "10.{}.{}.{}",
            self.below(64),
            self.below(256),
            1 + self.below(254)
        )
    }
}

const WORDS: &[&str] = &[
    "api",
    "worker",
    "gateway",
    "cache",
    "indexer",
    "scheduler",
    "frontend",
    "ingest",
    "consumer",
    "billing",
    "notifier",
    "proxy",
    "audit",
    "session",
    "report",
    "export",
    "matcher",
    "ranker",
    "feed",
    "auth",
    "quota",
    "router",
    "sync",
    "relay",
];
const TEAMS: &[&str] = &[
    "core", "edge", "sre", "data", "ml", "payments", "growth", "identity",
];
const TIERS: &[&str] = &["frontend", "backend", "data"];
const ENVIRONMENTS: &[&str] = &["prod", "staging", "dev", "canary", "batch"];
const REGISTRIES: &[&str] = &[
    "registry.example.com/platform",
    "docker.io/library",
    "quay.io/example",
];
const VARIABLES: &[&str] = &[
    "LOG_LEVEL",
    "DATABASE_URL",
    "REDIS_URL",
    "KAFKA_BROKERS",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_SERVICE_NAME",
    "FEATURE_FLAGS",
    "HTTP_PORT",
    "GRPC_PORT",
    "AWS_REGION",
    "S3_BUCKET",
    "SENTRY_DSN",
    "CONCURRENCY",
    "QUEUE_NAME",
    "RETRY_LIMIT",
    "TIMEOUT_MS",
    "TZ",
    "JAVA_TOOL_OPTIONS",
    "GOMAXPROCS",
];
const NAME_LETTERS: &str = "bcdfghjklmnpqrstvwxz2456789";

/// The keys by which server-side apply tells elements of a list apart.
fn list_keys(field: &str) -> Option<&'static [&'static str]> {
    Some(match field {
        "containers" | "env" | "volumes" | "imagePullSecrets" => &["name"],
        "volumeMounts" => &["mountPath"],
        "ports" => &["containerPort", "protocol"],
        "conditions" => &["type"],
        "podIPs" | "hostIPs" => &["ip"],
        "ownerReferences" => &["uid"],
        _ => return None,
    })
}

/// `fieldsV1` of everything in `value`.
fn owned_fields(value: &Value, field: &str) -> Value {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut names: Vec<&String> = map.keys().collect();
            names.sort();
            Value::Object(
                names
                    .into_iter()
                    .map(|n| (format!("f:{n}"), owned_fields(&map[n], n)))
                    .collect(),
            )
        }
        Value::Array(list) => match list_keys(field) {
            None => json!({}),
            Some(keys) => {
                let mut out = Map::from_iter([(".".to_owned(), json!({}))]);
                for item in list {
                    let key: Map<String, Value> = keys
                        .iter()
                        .filter_map(|k| Some(((*k).to_owned(), item.get(*k)?.clone())))
                        .collect();
                    let mut fields = owned_fields(item, "")
                        .as_object()
                        .cloned()
                        .unwrap_or_default();
                    fields.insert(".".to_owned(), json!({}));
                    out.insert(format!("k:{}", Value::Object(key)), Value::Object(fields));
                }
                Value::Object(out)
            }
        },
        _ => json!({}),
    }
}

fn managed(random: &mut Random, manager: &str, fields: Value, subresource: Option<&str>) -> Value {
    let mut entry = json!({"manager": manager, "operation": "Update", "apiVersion": "v1", "time": random.time(),
        "fieldsType": "FieldsV1", "fieldsV1": fields});
    if let Some(subresource) = subresource {
        entry["subresource"] = json!(subresource);
    }
    entry
}

fn probe(random: &mut Random, port: u64) -> Value {
    let path = random.pick(&["/healthz", "/readyz", "/livez", "/actuator/health"]);
    json!({"httpGet": {"path": path, "port": port, "scheme": "HTTP"}, "initialDelaySeconds": 10, "timeoutSeconds": 1,
        "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3})
}

fn container(random: &mut Random, app: &str, name: &str, token: &str, is_main: bool) -> Value {
    let port = 8000 + random.below(999) as u64;
    let variables = if is_main { 2 + random.below(5) } else { 1 };
    let start = random.below(VARIABLES.len());
    let env: Vec<Value> = (0..variables)
        .map(|i| {
            let name = VARIABLES[(start + i) % VARIABLES.len()];
            match i % 4 {
                3 => json!({"name": name, "valueFrom": {"secretKeyRef": {"name": format!("{app}-secrets"), "key": name.to_lowercase()}}}),
                _ => json!({"name": name, "value": random.text(14, NAME_LETTERS)}),
            }
        })
        .collect();
    let tag = if random.chance(8) {
        "latest".to_owned()
    } else {
        format!(
            "{}.{}.{}",
            random.below(9),
            random.below(30),
            random.below(9)
        )
    };
    let mut container = json!({
        "name": name,
        "image": format!("{}/{name}:{tag}", random.pick(REGISTRIES)),
        "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}, {"name": "metrics", "containerPort": 9102, "protocol": "TCP"}],
        "env": env,
        "resources": {"limits": {"memory": random.pick(&["256Mi", "512Mi", "1Gi"])}, "requests": {"cpu": random.pick(&["50m", "100m", "250m"]), "memory": "128Mi"}},
        "volumeMounts": [
            {"name": "config", "readOnly": true, "mountPath": format!("/etc/{app}")},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": token, "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent",
        "securityContext": {"capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true, "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false}});
    if random.chance(60)
        && let Some(ports) = container["ports"].as_array_mut()
    {
        ports.truncate(1);
    }
    if is_main {
        container["livenessProbe"] = probe(random, port);
        if random.chance(50) {
            container["readinessProbe"] = probe(random, port);
        }
        if random.chance(15) {
            container["resources"] = json!({});
        }
    }
    container
}

/// One Pod. `index` makes its name unique.
pub fn pod(random: &mut Random, index: usize) -> Value {
    let app = format!("{}-{}", random.pick(WORDS), random.pick(WORDS));
    let namespace = format!("{}-{}", random.pick(TEAMS), random.pick(ENVIRONMENTS));
    let replica_set = format!("{app}-{}", random.text(9, NAME_LETTERS));
    let token = format!("kube-api-access-{}", random.text(5, NAME_LETTERS));
    let started = random.time();
    let mut labels = json!({"app.kubernetes.io/name": app, "app.kubernetes.io/instance": format!("{app}-{namespace}"),
        "team": random.pick(TEAMS), "tier": random.pick(TIERS), "pod-template-hash": random.text(9, NAME_LETTERS)});
    if random.chance(60) {
        labels["app.kubernetes.io/version"] = json!(format!(
            "{}.{}.{}",
            random.below(9),
            random.below(20),
            random.below(9)
        ));
        labels["app.kubernetes.io/managed-by"] = json!("Helm");
        labels["helm.sh/chart"] = json!(format!("{app}-{}.1.0", random.below(9)));
    }
    let annotations = json!({"checksum/config": random.hex(64), "prometheus.io/scrape": "true", "prometheus.io/port": "9102", "prometheus.io/path": "/metrics"});
    let mut containers = vec![container(random, &app, &app, &token, true)];
    if random.chance(12) {
        containers.push(container(random, &app, "log-shipper", &token, false));
    }
    let mut spec = json!({
        "volumes": [
            {"name": "config", "configMap": {"name": format!("{app}-config"), "defaultMode": 420}}, {"name": "tmp", "emptyDir": {}},
            {"name": "tls", "secret": {"secretName": format!("{app}-tls"), "defaultMode": 420}},
            {"name": token, "projected": {"sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}], "defaultMode": 420}}],
        "containers": containers,
        "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
        "nodeSelector": {"kubernetes.io/os": "linux"}, "serviceAccountName": app, "serviceAccount": app,
        "nodeName": format!("ip-10-{}-{}-{}.eu-west-1.compute.internal", random.below(64), random.below(256), random.below(256)),
        "securityContext": {"runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001},
        "imagePullSecrets": [{"name": "regcred"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": {
            "labelSelector": {"matchLabels": {"app.kubernetes.io/name": app}}, "topologyKey": "kubernetes.io/hostname"}}]}},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}],
        "priority": 0, "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority"});
    if !random.chance(30)
        && let Some(spec) = spec.as_object_mut()
    {
        spec.remove("affinity");
    }
    if !random.chance(40) {
        spec["volumes"].as_array_mut().map(|v| v.remove(2));
    }
    // Servers from 1.33 on repeat the mounts in the status.
    let mounts_in_status = random.chance(30);
    let statuses: Vec<Value> = containers
        .iter()
        .map(|c| {
            let restarts = if random.chance(80) { 0 } else { random.below(40) };
            let mut status = json!({"name": c["name"], "state": {"running": {"startedAt": started}}, "lastState": {}, "ready": true, "restartCount": restarts,
                "image": c["image"], "imageID": format!("{}@sha256:{}", c["image"].as_str().unwrap_or_default(), random.hex(64)),
                "containerID": format!("containerd://{}", random.hex(64)), "started": true});
            if mounts_in_status {
                status["volumeMounts"] = c["volumeMounts"].clone();
            }
            status
        })
        .collect();
    let ready = random.chance(95);
    let condition = |kind: &str, holds: bool| json!({"type": kind, "observedGeneration": 1, "status": if holds { "True" } else { "False" }, "lastProbeTime": null, "lastTransitionTime": started});
    let (host, address) = (random.ip(), random.ip());
    let status = json!({"observedGeneration": 1, "phase": "Running",
        "conditions": [condition("PodReadyToStartContainers", true), condition("Initialized", true), condition("Ready", ready), condition("ContainersReady", ready), condition("PodScheduled", true)],
        "hostIP": host, "hostIPs": [{"ip": host}], "podIP": address, "podIPs": [{"ip": address}], "startTime": started,
        "containerStatuses": statuses, "qosClass": "Burstable"});
    let owners = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": replica_set, "uid": random.uid(), "controller": true, "blockOwnerDeletion": true}]);
    let controller = json!({"f:metadata": {"f:annotations": owned_fields(&annotations, ""), "f:generateName": {}, "f:labels": owned_fields(&labels, ""),
        "f:ownerReferences": owned_fields(&owners, "ownerReferences")}, "f:spec": owned_fields(&spec, "")});
    let kubelet = json!({"f:status": owned_fields(&status, "")});
    let managed_fields = [
        managed(random, "kube-controller-manager", controller, None),
        managed(random, "kubelet", kubelet, Some("status")),
    ];
    json!({"kind": "Pod", "apiVersion": "v1",
        "metadata": {"name": format!("{replica_set}-{index:05}"), "generateName": format!("{replica_set}-"), "namespace": namespace, "uid": random.uid(),
            "resourceVersion": (81_000_000 + index).to_string(), "generation": 1, "creationTimestamp": started, "labels": labels,
            "annotations": annotations, "ownerReferences": owners, "managedFields": managed_fields},
        "spec": spec, "status": status})
}

/// `n` Pods as JSON text, each as the API server would send it.
pub fn corpus(n: usize) -> Vec<Vec<u8>> {
    let mut random = Random::new(20_260_801);
    (0..n)
        .map(|i| pod(&mut random, i).to_string().into_bytes())
        .collect()
}
