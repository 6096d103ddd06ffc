//! Objects and rules made by chance, always the same for the same seed.

use serde_json::{Map, Value, json};

/// A small generator of numbers (xorshift64*): the tests need variety, not secrecy.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn often(&mut self) -> bool {
        self.below(3) > 0
    }

    fn seldom(&mut self) -> bool {
        self.below(4) == 0
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    fn text(&mut self) -> String {
        (*self.of(&["a", "b", "one", "two", "0", "true", "null", "1.0", ""])).to_owned()
    }

    fn word(&mut self) -> &'static str {
        let words = ["a", "b", "c", "d"];
        words[self.below(words.len())]
    }

    fn cpu(&mut self) -> Value {
        self.of(&[
            json!("1"),
            json!("1000m"),
            json!("0.5"),
            json!(1),
            json!("250m"),
            json!("1.0"),
        ])
        .clone()
    }

    fn memory(&mut self) -> Value {
        self.of(&[
            json!("1Gi"),
            json!("1024Mi"),
            json!("1e9"),
            json!("512Mi"),
            json!("1073741824"),
            json!("0.5Gi"),
        ])
        .clone()
    }

    fn words(&mut self) -> Value {
        let mut map = Map::new();
        for _ in 0..self.below(3) {
            map.insert(self.word().to_owned(), self.text().into());
        }
        Value::Object(map)
    }
}

/// A rule about one object, and the object.
pub struct Case {
    pub object: Value,
    pub rule: Value,
}

/// The case of a number: its object is called `g-NUMBER` and lies in `namespace`.
pub fn case(chance: &mut Chance, number: usize, namespace: &str) -> Case {
    let name = format!("g-{number:03}");
    let mut meta = json!({"name": name, "namespace": namespace});
    if chance.often() {
        meta["labels"] = chance.words();
    }
    if chance.often() {
        meta["annotations"] = chance.words();
    }
    let (api_version, kind, rest) = match chance.below(5) {
        0 => ("v1", "ConfigMap", json!({"data": chance.words()})),
        1 => ("v1", "Service", json!({"spec": service(chance)})),
        2 => ("batch/v1", "CronJob", json!({"spec": cron_job(chance)})),
        _ => (
            "apps/v1",
            "Deployment",
            json!({"spec": deployment(chance, &name)}),
        ),
    };
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": meta});
    for (key, value) in rest.as_object().unwrap() {
        object[key] = value.clone();
    }
    let rule = rule(chance, &object, &name);
    Case { object, rule }
}

/// A rule about an object, under a name.
pub fn rule(chance: &mut Chance, object: &Value, name: &str) -> Value {
    let kind = object["kind"].as_str().unwrap();
    let edits: Vec<Value> = (0..=chance.below(4))
        .map(|_| match (kind, chance.below(3)) {
            (_, 0) | ("ConfigMap", 1) => of_any(chance),
            ("ConfigMap", _) => of_config_map(chance),
            ("Service", _) => of_service(chance),
            ("CronJob", 1) => of_cron_job(chance),
            ("Deployment", 1) => of_deployment(chance),
            _ => of_pod(chance),
        })
        .collect();
    let meta = &object["metadata"];
    json!({
    "apiVersion": "ordain.dev/v1alpha1", "kind": "Rule", "metadata": {"name": name},
    "spec": {
        "mode": "Enforce",
        "match": {
            "resources": [{"apiVersion": object["apiVersion"], "kind": kind}],
            "names": [meta["name"]],
            "namespaces": [meta["namespace"]],
        },
        "actions": [{"patch": edits}],
    }})
}

fn container(chance: &mut Chance, name: &str) -> Value {
    let image = *chance.of(&["nginx", "nginx:1.27", "ghcr.io/a/b:2"]);
    let mut container = json!({"name": name, "image": image});
    if chance.often() {
        let mut env = vec![];
        for name in ["A", "B", "C"] {
            if chance.often() {
                env.push(json!({"name": name, "value": chance.text()}));
            }
        }
        container["env"] = env.into();
    }
    if chance.often() {
        let limits = json!({"cpu": chance.cpu(), "memory": "2Gi"});
        container["resources"] = match chance.below(3) {
            0 => json!({}),
            1 => json!({"limits": limits}),
            _ => {
                json!({"limits": {"cpu": "4", "memory": "4Gi"}, "requests": {"cpu": chance.cpu(), "memory": chance.memory()}})
            }
        };
    }
    if chance.seldom() {
        container["ports"] = json!([{"containerPort": 80, "name": "http"}]);
    }
    if chance.seldom() {
        container["securityContext"] =
            json!({"runAsNonRoot": false, "capabilities": {"drop": ["NET_RAW"]}});
    }
    container
}

fn pod(chance: &mut Chance, restart: &str) -> Value {
    let mut containers = vec![container(chance, "c0")];
    if chance.often() {
        containers.push(container(chance, "c1"));
    }
    let mut spec = json!({"containers": containers, "restartPolicy": restart});
    if chance.seldom() {
        spec["initContainers"] = json!([container(chance, "i0")]);
    }
    if chance.seldom() {
        spec["nodeSelector"] = json!({"disk": "ssd"});
    }
    if chance.seldom() {
        spec["tolerations"] = json!([{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]);
    }
    if chance.seldom() {
        spec["volumes"] = json!([{"name": "tmp", "emptyDir": {}}, {"name": "cache", "emptyDir": {"sizeLimit": chance.memory()}}]);
    }
    spec
}

fn deployment(chance: &mut Chance, name: &str) -> Value {
    let mut labels = chance.words();
    labels["app"] = name.into();
    let mut spec = json!({
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": labels}, "spec": pod(chance, "Always")}});
    if chance.often() {
        spec["replicas"] = chance.below(4).into();
    }
    spec
}

fn cron_job(chance: &mut Chance) -> Value {
    json!({"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": {"spec": {"template": {"spec": pod(chance, "Never")}}}})
}

fn service(chance: &mut Chance) -> Value {
    let mut ports = vec![json!({"name": "http", "port": 80})];
    if chance.often() {
        ports.push(json!({"name": "dns", "port": 53, "protocol": "UDP"}));
    }
    if chance.often() {
        ports.push(json!({"name": "tls", "port": 443, "targetPort": "https"}));
    }
    json!({"selector": {"app": "x"}, "ports": ports})
}

fn of_any(chance: &mut Chance) -> Value {
    let place = *chance.of(&["labels", "annotations"]);
    let path = format!("$.metadata.{place}.{}", chance.word());
    match chance.below(7) {
        0 | 1 => json!({"path": path, "set": chance.text()}),
        2 => json!({"path": path, "default": chance.text()}),
        3 => json!({"path": path, "remove": true}),
        4 => {
            json!({"path": format!("$.metadata.{place}"), "merge": {"a": chance.text(), "b": null, "e": "1"}})
        }
        5 => json!({"path": format!("$.metadata.{place}"), "default": {"a": "x", "f": "y"}}),
        _ => {
            json!({"path": path, "where": [{"path": format!("$.metadata.{place}.a"), "operator": "Exists"}],
            "set": "${object.metadata.name}-x"})
        }
    }
}

fn of_config_map(chance: &mut Chance) -> Value {
    let path = format!("$.data.{}", chance.word());
    match chance.below(7) {
        0 => json!({"path": path, "set": "${string(size(object.metadata.name))}"}),
        1 => json!({"path": path, "remove": true}),
        2 => json!({"path": "$.data", "merge": {"x": chance.text(), "a": null}}),
        3 => json!({"path": path, "set": "${current.upperAscii()}"}),
        4 => json!({"path": "$.data", "remove": true}),
        5 => json!({"path": "$.data", "set": {"only": chance.text()}}),
        _ => {
            json!({"path": "$.metadata.annotations", "default": {"owner": "${object.?data.?a}", "x": "1"}})
        }
    }
}

fn of_service(chance: &mut Chance) -> Value {
    match chance.below(8) {
        0 => json!({"path": "$.spec.ports", "upsert": [{"name": "metrics", "port": 9102}]}),
        1 => {
            json!({"path": "$.spec.ports", "upsert": [{"name": "web", "port": 80, "targetPort": 8080}]})
        }
        2 => json!({"path": "$.spec.ports[?@.port == 53]", "remove": true}),
        3 => {
            json!({"path": "$.spec.ports[*].targetPort", "where": [{"path": "$.name", "value": "http"}], "set": "web"})
        }
        4 => json!({"path": "$.spec.sessionAffinity", "set": "ClientIP"}),
        5 => json!({"path": "$.spec.externalIPs", "add": ["192.0.2.1", "192.0.2.2"]}),
        6 => json!({"path": "$.spec.selector", "merge": {"app": "y", "tier": "z"}}),
        _ => json!({"path": "$.spec.publishNotReadyAddresses", "default": true}),
    }
}

fn of_cron_job(chance: &mut Chance) -> Value {
    match chance.below(5) {
        0 => {
            json!({"path": "$.spec", "default": {"concurrencyPolicy": "Forbid", "successfulJobsHistoryLimit": 1}})
        }
        1 => json!({"path": "$.spec.jobTemplate.spec.ttlSecondsAfterFinished", "default": 60}),
        2 => json!({"path": "$.spec.timeZone", "set": "Europe/Berlin"}),
        3 => json!({"path": "$.spec.jobTemplate.metadata.labels", "merge": {"a": "b"}}),
        _ => json!({"path": "$.spec.startingDeadlineSeconds", "set": chance.below(3) * 100}),
    }
}

fn of_deployment(chance: &mut Chance) -> Value {
    match chance.below(6) {
        0 => json!({"path": "$.spec.replicas", "set": chance.below(5)}),
        1 => json!({"path": "$.spec.replicas", "default": 3}),
        2 => json!({"path": "$.spec.strategy", "set": {"type": "Recreate"}}),
        3 => {
            json!({"path": "$.spec.strategy", "merge": {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 0}}})
        }
        4 => json!({"path": "$.spec.revisionHistoryLimit", "set": 10}),
        _ => {
            json!({"path": "$.spec.minReadySeconds", "where": [{"path": "$.spec.replicas", "operator": "GreaterThan", "value": 1}], "set": 5})
        }
    }
}

fn of_pod(chance: &mut Chance) -> Value {
    let name = *chance.of(&["c0", "c1", "i0"]);
    match chance.below(22) {
        0 => {
            json!({"path": "$containers[*].resources.limits.memory", "set": chance.of(&["4Gi", "4096Mi", "8Gi"])})
        }
        1 => {
            json!({"path": "$containers[*].resources", "default": {"requests": {"cpu": "100m", "memory": "64Mi"}}})
        }
        2 => {
            json!({"path": format!("$containers[?@.name == '{name}'].env"), "upsert": [{"name": "B", "value": chance.text()}, {"name": "D", "value": "d"}]})
        }
        3 => {
            json!({"path": format!("$containers[?@.name == '{name}'].env"), "upsert": [{"name": "Z", "value": "z"}], "at": "Start"})
        }
        4 => json!({"path": "$containers[*].env[?@.name == 'A']", "remove": true}),
        5 => json!({"path": "$containers[*].env[*].value", "set": chance.text()}),
        6 => {
            json!({"path": "$containers[*].securityContext", "default": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}})
        }
        7 => json!({"path": "$containers[*].securityContext.capabilities.drop", "add": ["ALL"]}),
        8 => {
            json!({"path": "$containers[*].securityContext", "merge": {"runAsNonRoot": null, "readOnlyRootFilesystem": true}})
        }
        9 => {
            json!({"path": "$pod.spec.tolerations", "key": ["key", "effect"], "upsert": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}]})
        }
        10 => json!({"path": "$pod.spec.tolerations", "remove": true}),
        11 => json!({"path": "$pod.spec.nodeSelector.disk", "remove": true}),
        12 => json!({"path": "$pod.spec.nodeSelector", "merge": {"zone": "a"}}),
        13 => {
            json!({"path": "$pod.spec.volumes", "upsert": [{"name": "tmp", "emptyDir": {"medium": "Memory"}}, {"name": "new", "emptyDir": {}}]})
        }
        14 => {
            json!({"path": "$pod.spec.volumes[?@.emptyDir].emptyDir.sizeLimit", "default": chance.memory()})
        }
        15 => {
            json!({"path": "$containers[*].ports", "upsert": [{"containerPort": 80, "name": "web"}]})
        }
        16 => json!({"path": "$containers[*].image", "set": "${image(current).with('tag', '9')}"}),
        17 => {
            json!({"path": "$containers[0].image", "where": [{"path": "$.image", "as": "image.registry", "value": "docker.io"}],
            "set": "${image(item.image).with('registry', 'mirror.example/hub')}"})
        }
        18 => {
            json!({"path": "$containers[*].resources.requests.cpu", "where": [{"path": "$.resources.requests.cpu", "as": "quantity", "operator": "LessThan", "value": "500m"}], "set": "0.5"})
        }
        19 => {
            json!({"path": "$pod.spec.terminationGracePeriodSeconds", "set": *chance.of(&[30, 60])})
        }
        20 => {
            json!({"path": "$pod.metadata.annotations", "merge": {"checksum": "${hash(object.metadata.name)}"}})
        }
        _ => json!({"path": "$containers[*].imagePullPolicy", "default": "Always"}),
    }
}
