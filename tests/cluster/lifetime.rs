//! What lasts as long as the match, on the real server: what is written down, and each way in which it is given back.

mod bounds;

use crate::control_plane::shared;
use crate::daemon::{Daemon, until};
use crate::proxy::{Proxy, Purpose};
use crate::scene::{Place, map, namespace};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

/// Scales the Deployments with the label `hold` to zero.
fn zero(namespace: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: zero}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: apps/v1, kind: Deployment}}]
    namespaces: ['{namespace}']
    selector: {{matchLabels: {{hold: 'yes'}}}}
  actions:
  - scale: {{replicas: 0}}
    lifetime: WhileMatched
  - patch:
    - {{path: $.metadata.labels.team, remove: true}}
    - {{path: \"$.metadata.annotations['shop.example/why']\", set: held}}
    lifetime: WhileMatched
"
    )
}

/// About something else: a rule to be left with.
const OTHER: &str = "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {name: other}
spec:
  match:
    resources: [{apiVersion: v1, kind: ServiceAccount}]
    names: [nobody]
  actions: [{warn: {message: somebody}}]
";

struct Scene {
    place: Place,
    deployments: Api<Deployment>,
    /// Where the daemon keeps what outlives it: its own, as that says which rules were ever in force.
    state: String,
}

impl Scene {
    async fn new(word: &str) -> Scene {
        let place = Place::new(word).await;
        let state = namespace(&place.client, "state").await;
        Scene {
            deployments: Api::namespaced(place.client.clone(), &place.namespace),
            place,
            state,
        }
    }

    fn daemon(&self, rules: &str) -> Daemon {
        let state = format!("--state-namespace={}", self.state);
        Daemon::start(&shared().kubeconfig(), rules, &[&state])
    }

    async fn create(&self, name: &str, replicas: i32) {
        let made: Deployment = serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "labels": {"hold": "yes", "team": "shop"}},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"containers": [{"name": "app", "image": "registry.example/app:1"}]}
                }
            }
        }))
        .unwrap();
        self.deployments
            .create(&PostParams::default(), &made)
            .await
            .unwrap();
    }

    async fn merge(&self, name: &str, patch: Value) {
        self.deployments
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    async fn get(&self, name: &str) -> Value {
        serde_json::to_value(self.deployments.get(name).await.unwrap()).unwrap()
    }

    /// Whether the rule holds it: scaled, with its label gone and its annotation there.
    async fn is_held(&self, name: &str) -> bool {
        let object = self.get(name).await;
        let annotations = &object["metadata"]["annotations"];
        object["spec"]["replicas"] == 0
            && object["metadata"]["labels"]["team"].is_null()
            && annotations["shop.example/why"] == "held"
            && annotations["state.ordain.dev/zero"].is_string()
    }

    /// Whether it is as it was before the rule came, with so many replicas.
    async fn is_back(&self, name: &str, replicas: i32) -> bool {
        let object = self.get(name).await;
        let annotations = &object["metadata"]["annotations"];
        object["spec"]["replicas"] == replicas
            && object["metadata"]["labels"]["team"] == "shop"
            && annotations["shop.example/why"].is_null()
            && annotations["state.ordain.dev/zero"].is_null()
    }

    async fn held(&self, daemon: &Daemon, name: &str) {
        until(&format!("{name} held"), daemon, || self.is_held(name)).await;
    }

    async fn back(&self, daemon: &Daemon, name: &str, replicas: i32) {
        until(&format!("{name} back"), daemon, || {
            self.is_back(name, replicas)
        })
        .await;
    }

    /// Ordain's successful requests on a Deployment.
    fn writes(&self, name: &str) -> usize {
        let requests = shared().audit().of_ordain(&self.place.namespace);
        let of = requests
            .iter()
            .filter(|r| r.name == name && r.code == 200 && r.verb == "patch");
        of.count()
    }
}

async fn quiet(daemon: &mut Daemon) {
    daemon
        .until("that nothing is in flight", |s| s["requestsInFlight"] == 0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_get_their_former_values_back_when_the_match_ends() {
    let scene = Scene::new("held").await;
    for (name, replicas) in [("web", 3), ("db", 2), ("old", 1)] {
        scene.create(name, replicas).await;
    }
    let mut daemon = scene.daemon(&zero(&scene.place.namespace));
    for name in ["web", "db", "old"] {
        scene.held(&daemon, name).await;
        // All of it in one request.
        assert_eq!(scene.writes(name), 1, "{name}");
    }
    // The match ends.
    scene
        .merge("web", json!({"metadata": {"labels": {"hold": null}}}))
        .await;
    scene.back(&daemon, "web", 3).await;
    assert_eq!(scene.writes("web"), 2);
    // It ends, and somebody else has changed one field: that stays theirs, the others come back.
    let theirs = json!({"metadata": {"labels": {"hold": null}}, "spec": {"replicas": 7}});
    scene.merge("db", theirs).await;
    scene.back(&daemon, "db", 7).await;
    daemon
        .until("that this is told", |s| {
            s["findings"]["listed"]
                .as_array()
                .is_some_and(|all| all.iter().any(|f| f["reason"] == "TakenOver"))
        })
        .await;
    // Deleted and created anew: nothing of the old one is remembered.
    let gone = DeleteParams::background();
    scene.deployments.delete("old", &gone).await.unwrap();
    until("old gone", &daemon, || async {
        scene.deployments.get_opt("old").await.unwrap().is_none()
    })
    .await;
    scene.create("old", 5).await;
    scene.held(&daemon, "old").await;
    scene
        .merge("old", json!({"metadata": {"labels": {"hold": null}}}))
        .await;
    scene.back(&daemon, "old", 5).await;
    quiet(&mut daemon).await;
    let odd: Vec<_> = shared()
        .audit()
        .of_ordain(&scene.place.namespace)
        .into_iter()
        .filter(|r| r.code != 200 && r.code != 409)
        .collect();
    assert!(odd.is_empty(), "{odd:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_field_comes_back_where_the_server_has_put_its_default() {
    let scene = Scene::new("defaulted").await;
    let rule = format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: plain}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: apps/v1, kind: Deployment}}]
    namespaces: ['{}']
    selector: {{matchLabels: {{hold: 'yes'}}}}
  actions:
  - patch:
    - {{path: $.spec.replicas, remove: true}}
    - {{path: $.spec.strategy, remove: true}}
    - {{path: $.spec.template.spec.terminationGracePeriodSeconds, remove: true}}
    lifetime: WhileMatched
",
        scene.place.namespace
    );
    scene.create("web", 3).await;
    let spec = json!({
        "strategy": {"type": "Recreate", "rollingUpdate": null},
        "template": {"spec": {"terminationGracePeriodSeconds": 90}},
    });
    scene.merge("web", json!({"spec": spec})).await;
    let reads = |object: &Value| {
        let spec = &object["spec"];
        let grace = &spec["template"]["spec"]["terminationGracePeriodSeconds"];
        json!([spec["replicas"], spec["strategy"]["type"], grace])
    };
    // Whoever asks again remembers nothing of the server's first answer.
    for _ in 0..2 {
        let mut daemon = scene.daemon(&rule);
        until("the defaults", &daemon, || async {
            reads(&scene.get("web").await) == json!([1, "RollingUpdate", 30])
        })
        .await;
        daemon
            .until("that the server keeps something else", |s| {
                s["findings"]["byReason"]["Overruled"].as_u64() >= Some(1)
            })
            .await;
        quiet(&mut daemon).await;
        assert_eq!(daemon.stop().await, Some(0));
    }
    let mut daemon = scene.daemon(&rule);
    quiet(&mut daemon).await;
    scene
        .merge("web", json!({"metadata": {"labels": {"hold": null}}}))
        .await;
    until("what was there before", &daemon, || async {
        reads(&scene.get("web").await) == json!([3, "Recreate", 90])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_changed_renamed_or_removed_gives_back_what_it_holds() {
    let scene = Scene::new("edited").await;
    scene.create("web", 3).await;
    let rule = zero(&scene.place.namespace);
    let mut daemon = scene.daemon(&format!("{rule}---\n{OTHER}"));
    scene.held(&daemon, "web").await;
    // `Off` holds, and so does a rule that does not compile.
    daemon.save_rules(&format!("{}---\n{OTHER}", rule.replace("Enforce", "Off")));
    daemon
        .until("that it is off", |s| {
            s["rules"].as_array().is_some_and(|all| {
                all.iter()
                    .any(|r| r["name"] == "zero" && r["mode"] == "Off")
            })
        })
        .await;
    daemon.save_rules(&format!("{}---\n{OTHER}", rule.replace("scale:", "skale:")));
    daemon
        .until("that it is broken", |s| {
            s["rules"].as_array().is_some_and(|all| {
                all.iter()
                    .any(|r| r["name"] == "zero" && r["lastGood"] == true)
            })
        })
        .await;
    assert!(scene.is_held("web").await);
    // Changed: what it still changes keeps its first value in mind.
    let one = rule.replace("replicas: 0", "replicas: 1");
    daemon.save_rules(&format!("{one}---\n{OTHER}"));
    until("one replica", &daemon, || async {
        scene.get("web").await["spec"]["replicas"] == 1
    })
    .await;
    // Renamed: one request, and the replicas stay.
    let before = scene.writes("web");
    daemon.save_rules(&format!(
        "{}---\n{OTHER}",
        one.replace("name: zero", "name: naught")
    ));
    until("the other name", &daemon, || async {
        let object = scene.get("web").await;
        let annotations = &object["metadata"]["annotations"];
        annotations["state.ordain.dev/naught"].is_string()
            && annotations["state.ordain.dev/zero"].is_null()
    })
    .await;
    quiet(&mut daemon).await;
    assert_eq!(scene.get("web").await["spec"]["replicas"], 1);
    assert_eq!(scene.writes("web") - before, 1);
    // Removed: no rule is about Deployments any more.
    daemon.save_rules(OTHER);
    scene.back(&daemon, "web", 3).await;
    quiet(&mut daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_is_removed_while_the_daemon_is_down_gives_back_what_it_holds() {
    let scene = Scene::new("down").await;
    scene.create("web", 3).await;
    let rule = zero(&scene.place.namespace);
    let mut daemon = scene.daemon(&format!("{rule}---\n{OTHER}"));
    scene.held(&daemon, "web").await;
    daemon.kill();
    // It does not compile: nobody has taken it away.
    daemon.save_rules(&format!("{}---\n{OTHER}", rule.replace("scale:", "skale:")));
    daemon.start_again();
    daemon.ready().await;
    quiet(&mut daemon).await;
    assert!(scene.is_held("web").await);
    daemon.kill();
    daemon.save_rules(OTHER);
    daemon.start_again();
    scene.back(&daemon, "web", 3).await;
    daemon.kill();
    // A daemon that never had the rule does not touch what it finds.
    scene.create("api", 4).await;
    let mut first = scene.daemon(&rule);
    scene.held(&first, "api").await;
    first.kill();
    let stranger = namespace(&scene.place.client, "stranger").await;
    let state = format!("--state-namespace={stranger}");
    let about = rule
        .replace("name: zero", "name: else")
        .replace("hold: 'yes'", "hold: never");
    let mut other = Daemon::start(&shared().kubeconfig(), &about, &[&state]);
    other.ready().await;
    quiet(&mut other).await;
    assert!(scene.is_held("api").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_held_is_asked_for_until_it_can_be_read_and_nothing_is_done_before() {
    let scene = Scene::new("unread").await;
    scene.create("web", 3).await;
    let proxy = Proxy::start(shared().kubeconfig()).await;
    let state = format!("--state-namespace={}", scene.state);
    let rule = zero(&scene.place.namespace);
    let rules = format!("{rule}---\n{OTHER}");
    let mut daemon = Daemon::start(&proxy.kubeconfig(), &rules, &[&state]);
    scene.held(&daemon, "web").await;
    daemon.kill();
    daemon.save_rules(OTHER);
    let cannot = "which rules have something to give back cannot be read";
    let asked = |proxy: &Proxy| proxy.count(Purpose::Read, "-lifetimes");
    let before = asked(&proxy);
    proxy.refuse(Purpose::Read, "-lifetimes", usize::MAX, 503, None);
    daemon.start_again();
    until("asked again", &daemon, async || asked(&proxy) > before + 1).await;
    assert!(daemon.log().contains(cannot), "{}", daemon.log());
    assert!(scene.is_held("web").await);
    daemon.kill();
    proxy.refuse_nothing();
    // What a newer version has written stays as it is.
    let homes: Api<ConfigMap> = Api::namespaced(scene.place.client.clone(), &scene.state);
    let maps = homes.list(&ListParams::default()).await.unwrap();
    let is_it = |map: &&ConfigMap| map.name_any().ends_with("-lifetimes");
    let name = maps.iter().find(is_it).unwrap().name_any();
    let format = async |format: &str| {
        let patch = Patch::Merge(json!({"data": {"format": format}}));
        homes.patch(&name, &PatchParams::default(), &patch).await
    };
    let newer = format("2").await.unwrap();
    let lines = daemon.whole_log().matches("newer version").count();
    daemon.start_again();
    until("told", &daemon, async || {
        daemon.whole_log().matches("newer version").count() > lines
    })
    .await;
    assert!(scene.is_held("web").await);
    daemon.kill();
    assert_eq!(homes.get(&name).await.unwrap().data, newer.data);
    format("1").await.unwrap();
    daemon.start_again();
    scene.back(&daemon, "web", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_one_that_came_after_another() {
    let scene = Scene::new("later").await;
    scene.create("web", 3).await;
    let rule = zero(&scene.place.namespace);
    let first = rule
        .replace("name: zero", "name: first")
        .replace("hold: 'yes'", "hold: never");
    let mut daemon = scene.daemon(&format!("{first}---\n{OTHER}"));
    daemon.ready().await;
    // What is kept of the first does not stand in the way of what is to be kept of both.
    daemon.save_rules(&format!("{first}---\n{rule}---\n{OTHER}"));
    scene.held(&daemon, "web").await;
    daemon.kill();
    daemon.save_rules(OTHER);
    daemon.start_again();
    scene.back(&daemon, "web", 3).await;
}

/// Each ConfigMap with the label `hold` gets copies named in its data.
fn copies(namespace: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: copies}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{namespace}']
    selector: {{matchLabels: {{hold: 'yes'}}}}
  actions:
  - apply: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: '${{item}}'}}, data: {{a: b}}}}
    forEach: \"${{object.data.names.split(',')}}\"
    lifetime: WhileMatched
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn applied_objects_go_with_the_last_that_wants_them_and_with_the_rule() {
    let scene = Scene::new("applied").await;
    let maps: &Api<ConfigMap> = &scene.place.maps;
    let source = |name: &str, names: &str| {
        let mut made = map(name);
        made.metadata.labels = Some([("hold".to_owned(), "yes".to_owned())].into());
        made.data = Some([("names".to_owned(), names.to_owned())].into());
        made
    };
    let make = PostParams::default();
    maps.create(&make, &map("theirs")).await.unwrap();
    maps.create(&make, &source("one", "shared,a,b"))
        .await
        .unwrap();
    maps.create(&make, &source("two", "shared,c,theirs"))
        .await
        .unwrap();
    let mut daemon = scene.daemon(&format!("{}---\n{OTHER}", copies(&scene.place.namespace)));
    let are = |names: &'static [&'static str]| async move {
        let all = maps.list(&Default::default()).await.unwrap();
        let mut found: Vec<String> = all
            .items
            .into_iter()
            .filter_map(|m| m.metadata.name)
            .collect();
        found.retain(|n| !["one", "two", "theirs", "kube-root-ca.crt"].contains(&n.as_str()));
        found.sort();
        found == names
    };
    until("all copies", &daemon, || are(&["a", "b", "c", "shared"])).await;
    let merge = |name: &'static str, patch: Value| async move {
        maps.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    };
    merge("one", json!({"data": {"names": "shared,b"}})).await;
    until("that one element is gone", &daemon, || {
        are(&["b", "c", "shared"])
    })
    .await;
    merge("one", json!({"metadata": {"labels": {"hold": null}}})).await;
    until("that one match has ended", &daemon, || {
        are(&["c", "shared"])
    })
    .await;
    maps.delete("two", &DeleteParams::default()).await.unwrap();
    until("that the last is gone", &daemon, || are(&[])).await;
    merge("one", json!({"metadata": {"labels": {"hold": "yes"}}})).await;
    until("the copies of one", &daemon, || are(&["b", "shared"])).await;
    daemon.save_rules(OTHER);
    until("that the rule is gone", &daemon, || are(&[])).await;
    quiet(&mut daemon).await;
    // Each deletion names the very object; what something else created was never touched.
    let requests = shared().audit().of_ordain(&scene.place.namespace);
    assert!(requests.iter().all(|r| r.name != "theirs"), "{requests:?}");
    let deleted = requests
        .iter()
        .filter(|r| r.verb == "delete" && r.code == 200);
    assert_eq!(deleted.count(), 6, "{requests:?}");
}

/// While a ConfigMap says so, the Deployments that it names by label are held at zero.
fn zero_for_a_switch(namespace: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: zero}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: v1, kind: ConfigMap}}]
    namespaces: ['{namespace}']
    names: [switch]
  where: [{{path: $.data.on, value: 'yes'}}]
  related:
  - name: deployments
    resources: [{{apiVersion: apps/v1, kind: Deployment}}]
    selector: {{matchLabels: {{hold: 'yes'}}}}
  actions:
  - scale: {{replicas: 0}}
    target: deployments
    lifetime: WhileMatched
  - patch:
    - {{path: $.metadata.labels.team, remove: true}}
    - {{path: \"$.metadata.annotations['shop.example/why']\", set: held}}
    target: deployments
    lifetime: WhileMatched
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_get_their_former_values_back_when_nothing_has_them_as_targets() {
    let scene = Scene::new("switched").await;
    for (name, replicas) in [("web", 3), ("db", 2)] {
        scene.create(name, replicas).await;
    }
    let maps: &Api<ConfigMap> =
        &Api::namespaced(scene.place.client.clone(), &scene.place.namespace);
    let mut made = map("switch");
    made.data = Some([("on".to_owned(), "yes".to_owned())].into());
    maps.create(&PostParams::default(), &made).await.unwrap();
    let switch = |on: &'static str| async move {
        let patch = Patch::Merge(json!({"data": {"on": on}}));
        maps.patch("switch", &PatchParams::default(), &patch)
            .await
            .unwrap();
    };
    let mut daemon = scene.daemon(&zero_for_a_switch(&scene.place.namespace));
    for name in ["web", "db"] {
        scene.held(&daemon, name).await;
    }
    // One leaves the list, then the match ends.
    scene
        .merge("db", json!({"metadata": {"labels": {"hold": null}}}))
        .await;
    scene.back(&daemon, "db", 2).await;
    assert!(scene.is_held("web").await);
    switch("no").await;
    scene.back(&daemon, "web", 3).await;
    // The rule goes, while it holds something.
    switch("yes").await;
    scene.held(&daemon, "web").await;
    daemon.save_rules(OTHER);
    scene.back(&daemon, "web", 3).await;
    quiet(&mut daemon).await;
    // Each change is one request, and none is made in vain: two steps, so two to hold it, and one to give it back.
    assert_eq!((scene.writes("db"), scene.writes("web")), (3, 6));
}
