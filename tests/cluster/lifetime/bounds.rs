//! How long something is held, and what never is: until a window ends, over a freeze, from one rule to the next, and within the size of an
//! annotation.

use super::*;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// A window that is open: it began with this minute.
const LEFT: SignedDuration = SignedDuration::from_secs(40);
/// What a busy machine may add to the moment at which it ends.
const SLACK: SignedDuration = SignedDuration::from_secs(10);

impl Scene {
    /// Sets or removes a label of a Deployment.
    async fn label(&self, name: &str, label: &str, value: Value) {
        self.merge(name, json!({"metadata": {"labels": {label: value}}}))
            .await;
    }

    async fn replicas(&self, name: &str) -> Value {
        self.get(name).await["spec"]["replicas"].clone()
    }

    /// The rules that hold something of a Deployment.
    async fn holders(&self, name: &str) -> Vec<String> {
        let object = self.get(name).await;
        let annotations = object["metadata"]["annotations"].as_object();
        let names = annotations.into_iter().flat_map(|all| all.keys());
        let rules = names.filter_map(|name| name.strip_prefix("state.ordain.dev/"));
        rules.map(str::to_owned).collect()
    }

    async fn until_replicas(&self, daemon: &Daemon, replicas: i32, holder: &[&str]) {
        let what = format!("{replicas} replicas, held by {holder:?}");
        until(&what, daemon, || async {
            self.replicas("web").await == replicas && self.holders("web").await == holder
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_get_their_former_values_back_when_the_window_ends() {
    let scene = Scene::new("window").await;
    scene.create("web", 3).await;
    let now = Timestamp::now();
    let begun = now.to_zoned(TimeZone::UTC).datetime();
    let open = SignedDuration::from_secs(begun.second().into()) + LEFT;
    let ends = now + LEFT;
    let window = format!(
        "spec:\n  schedule: [{{cron: '{} {} * * *', duration: {}s}}]\n",
        begun.minute(),
        begun.hour(),
        open.as_secs()
    );
    let rule = zero(&scene.place.namespace).replacen("spec:\n", &window, 1);
    let mut daemon = scene.daemon(&rule);
    scene.held(&daemon, "web").await;
    assert!(Timestamp::now() < ends, "too slow to see it held");
    // Nothing but the clock ends it.
    scene.back(&daemon, "web", 3).await;
    daemon
        .until("that the rule is closed", |s| {
            s["rules"][0]["state"] == "closed"
        })
        .await;
    quiet(&mut daemon).await;
    assert_eq!(scene.get("web").await["metadata"]["labels"]["hold"], "yes");
    let requests = shared().audit().of_ordain(&scene.place.namespace);
    let [held, back] = &requests[..] else {
        panic!("{requests:?}");
    };
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let (held, back) = (at(&held.received), at(&back.received));
    // The window is written in whole seconds.
    let ends = ends - SignedDuration::from_secs(1);
    assert!(
        held < ends && ends <= back && back < ends + SLACK,
        "held at {held}, back at {back}; the window ends at {ends}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_holds_and_gives_nothing_back() {
    let scene = Scene::new("frozen").await;
    scene.create("web", 3).await;
    let mut daemon = scene.daemon(&zero(&scene.place.namespace));
    scene.held(&daemon, "web").await;
    let (code, _) = daemon.http("POST", "/freeze").await.unwrap();
    assert_eq!(code, 200);
    daemon
        .until("that it is frozen", |s| s["frozen"] == true)
        .await;
    scene.label("web", "hold", Value::Null).await;
    daemon
        .until("that it has seen the match end", |s| {
            s["rules"][0]["objects"]["matched"] == 0
                && s["queueDepth"] == 0
                && s["requestsInFlight"] == 0
        })
        .await;
    assert!(scene.is_held("web").await, "{}", scene.get("web").await);
    assert_eq!(scene.writes("web"), 1);
    daemon.http("POST", "/unfreeze").await.unwrap();
    scene.back(&daemon, "web", 3).await;
    quiet(&mut daemon).await;
    assert_eq!(scene.writes("web"), 2);
}

/// Scales the Deployments with a label.
fn scaling(namespace: &str, name: &str, priority: u32, replicas: u32) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: {name}}}
spec:
  mode: Enforce
  priority: {priority}
  match:
    resources: [{{apiVersion: apps/v1, kind: Deployment}}]
    namespaces: ['{namespace}']
    selector: {{matchLabels: {{{name}: 'yes'}}}}
  actions:
  - scale: {{replicas: {replicas}}}
    lifetime: WhileMatched
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_rules_with_one_field_the_last_to_go_gives_back_what_was_first() {
    let scene = Scene::new("two").await;
    let namespace = &scene.place.namespace;
    scene.create("web", 5).await;
    let rules = [
        scaling(namespace, "low", 0, 1),
        scaling(namespace, "high", 9, 0),
    ];
    let mut daemon = scene.daemon(&rules.join("---\n"));
    daemon.ready().await;
    let yes = || json!("yes");
    // Which of them goes first makes no difference.
    for (first, then) in [("high", "low"), ("low", "high")] {
        scene.label("web", "low", yes()).await;
        scene.until_replicas(&daemon, 1, &["low"]).await;
        scene.label("web", "high", yes()).await;
        until("that the higher one has it", &daemon, || async {
            scene.replicas("web").await == 0
        })
        .await;
        scene.label("web", first, Value::Null).await;
        let left = if then == "low" { 1 } else { 0 };
        scene.until_replicas(&daemon, left, &[then]).await;
        scene.label("web", then, Value::Null).await;
        scene.until_replicas(&daemon, 5, &[]).await;
    }
    let status = daemon
        .until("that nothing is in flight", |s| {
            s["requestsInFlight"] == 0 && s["queueDepth"] == 0
        })
        .await;
    assert_eq!(status["findings"]["total"], 0, "{status}");
    // Each step is one request.
    assert_eq!(scene.writes("web"), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_not_fit_into_the_annotation_is_told_and_stays() {
    let scene = Scene::new("large").await;
    scene.create("web", 3).await;
    let notes = |note: String| json!({"metadata": {"annotations": {"shop.example/note": note}}});
    // The server takes 256 KiB of annotations, and what is kept there may be 64.
    scene.merge("web", notes("x".repeat(100_000))).await;
    let rule = zero(&scene.place.namespace).replace(
        "annotations['shop.example/why']\", set: held",
        "annotations['shop.example/note']\", remove: true",
    );
    let rule = rule.replace("  - {path: $.metadata.labels.team, remove: true}\n  ", "  ");
    let mut daemon = scene.daemon(&rule);
    let status = daemon
        .until("that it cannot be kept", |s| {
            s["findings"]["byReason"]["NotKept"] == 1
        })
        .await;
    let said = status["findings"]["listed"][0]["message"].as_str().unwrap();
    assert!(
        said.contains("annotation") && said.contains("65536"),
        "{said}"
    );
    let note = async || {
        let object = scene.get("web").await;
        let note = object["metadata"]["annotations"]["shop.example/note"].as_str();
        note.map(str::len)
    };
    assert_eq!(note().await, Some(100_000));
    // A smaller one is.
    scene.merge("web", notes("x".repeat(1_000))).await;
    until("that it is removed", &daemon, || async {
        note().await.is_none() && scene.replicas("web").await == 0
    })
    .await;
    daemon
        .until("that the finding has ended", |s| {
            s["findings"]["total"] == 0
        })
        .await;
    scene.label("web", "hold", Value::Null).await;
    until("that it is back", &daemon, || async {
        note().await == Some(1_000) && scene.replicas("web").await == 3
    })
    .await;
    assert_eq!(scene.holders("web").await, Vec::<String>::new());
}
