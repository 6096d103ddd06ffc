//! `plan`, `run --once` and `check` as processes on a real API server: exit codes, text, JSON, and what was really written.

use crate::command::{ordain, ordain_with};
use crate::daemon::{Daemon, until};
use crate::proxy::{Proxy, Purpose};
use crate::scene::{
    Place, account_for, both, create, create_all, data_of, define, deleting, following, is_blue,
    labelling, names, setting, written,
};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use std::path::Path;

fn folder(rules: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    std::fs::write(folder.path().join("rules/rules.yaml"), rules).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_tells_what_one_pass_then_does() {
    let Place {
        plane,
        client,
        namespace,
        ..
    } = Place::new("planned").await;
    let here = std::slice::from_ref(&namespace);
    create_all(&client, &names(here, 3)).await;
    let folder = folder(&both(&namespace));
    let run = |arguments: &[&str]| ordain(folder.path(), &plane.kubeconfig(), arguments);

    let text = run(&["plan"]);
    assert_eq!(text.code, 1, "{text:?}");
    for n in 0..3 {
        let change = format!("patch ConfigMap/{namespace}/map-000{n} by seen, team\n@@ ");
        assert!(text.out.contains(&change), "{}", text.out);
    }
    assert_eq!(
        text.out.matches("+    team: blue").count(),
        3,
        "{}",
        text.out
    );
    assert!(text.out.ends_with("3 to patch\n"), "{}", text.out);
    let json = run(&["plan", "--namespace", &namespace, "--output", "json"]);
    assert_eq!(json.code, 1, "{json:?}");
    let json = json.json();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["changes", "findings", "summary"]);
    assert_eq!(json["summary"], "3 to patch");
    let changes = json["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 6, "each rule has its own: {json}");
    for change in changes {
        let (path, value) = match change["rule"].as_str().unwrap() {
            "team" => ("/verb", "patch"),
            "seen" => ("/mode", "Enforce"),
            other => panic!("{other}"),
        };
        assert_eq!(change.pointer(path).unwrap(), value, "{change}");
        let object = change["object"].as_str().unwrap();
        assert!(
            object.starts_with(&format!("ConfigMap/{namespace}/map-")),
            "{object}"
        );
        assert!(change["diff"].as_str().unwrap().contains("@@ "), "{change}");
    }
    assert_eq!(written(plane, &namespace).len(), 0, "plan writes nothing");

    let once = run(&["run", "--once"]);
    assert_eq!(once.code, 0, "{once:?}");
    assert!(once.out.ends_with("3 patched\n"), "{}", once.out);
    assert!(data_of(&client, here).await.iter().all(is_blue));
    assert_eq!(written(plane, &namespace).len(), 3);
    let again = run(&["run", "--once", "--output", "json"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.json()["summary"], "nothing changed");
    let nothing = run(&["plan"]);
    assert_eq!(
        (nothing.code, nothing.out.as_str()),
        (0, "nothing to change\n")
    );
    // The log of a plan is quiet, unless somebody asks for it.
    let in_force = "rules are in force";
    let asked = run(&["plan", "--log-level", "info"]);
    assert!(asked.err.contains(in_force), "{}", asked.err);
    assert!(!nothing.err.contains(in_force), "{}", nothing.err);
    assert_eq!(written(plane, &namespace).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_refuses_is_3_and_the_rest_is_done() {
    let Place {
        plane,
        client,
        namespace,
        maps,
    } = Place::new("refusing").await;
    let here = std::slice::from_ref(&namespace);
    create(&maps, &["refused", "map-a"]).await;
    let words = Patch::Merge(json!({"data": {"words": "not the value of a label"}}));
    maps.patch("refused", &PatchParams::default(), &words)
        .await
        .unwrap();
    let rules = both(&namespace) + "---\n" + &labelling("words", &namespace);
    let folder = folder(&rules);
    let once = ordain(
        folder.path(),
        &plane.kubeconfig(),
        &["run", "--once", "--output", "json"],
    );
    assert_eq!(once.code, 3, "{once:?}");
    let json = once.json();
    let refused = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["reason"] == "Refused")
        .unwrap_or_else(|| panic!("{json}"));
    assert_eq!(refused["rule"], "words");
    assert_eq!(refused["object"], format!("ConfigMap/{namespace}/refused"));
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("a valid label must be"),
        "{refused}"
    );
    assert!(data_of(&client, here).await.iter().all(is_blue));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_stops_a_rule_is_3_and_nothing_is_deleted() {
    let Place {
        plane,
        client,
        namespace,
        ..
    } = Place::new("limited").await;
    let here = std::slice::from_ref(&namespace);
    let doomed = names(here, 30);
    create_all(&client, &doomed).await;
    let doom = Patch::Merge(json!({"metadata": {"labels": {"doomed": "yes"}}}));
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    for (_, name) in &doomed {
        maps.patch(name, &PatchParams::default(), &doom)
            .await
            .unwrap();
    }
    let folder = folder(&deleting("sweep", &namespace));
    let once = ordain(folder.path(), &plane.kubeconfig(), &["run", "--once"]);
    assert_eq!(once.code, 3, "{once:?}");
    assert!(once.out.contains("sweep"), "{}", once.out);
    assert_eq!(
        data_of(&client, here).await.len(),
        30,
        "the default limit is 20"
    );
    assert_eq!(written(plane, &namespace).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_may_not_be_listed_is_3() {
    let Place {
        plane,
        client,
        namespace,
        maps,
    } = Place::new("forbidden").await;
    create(&maps, &["map-a"]).await;
    account_for(&client, &namespace, &[&namespace]).await;
    let secrets = both(&namespace)
        .replace("kind: ConfigMap", "kind: Secret")
        .replace(
            "$.data.seen, set: 'yes'",
            "$.metadata.labels.seen, set: 'yes'",
        )
        .replace("{name: ", "{name: secret-");
    let rules = both(&namespace) + "---\n" + &secrets;
    let folder = folder(&rules);
    let kubeconfig = plane
        .kubeconfig_for_account(&namespace, "ordain", folder.path())
        .await;
    let run = |arguments: &[&str]| {
        let mut all = arguments.to_vec();
        all.extend(["--namespace", &namespace]);
        ordain(folder.path(), &kubeconfig, &all)
    };
    for command in [&["plan"][..], &["run", "--once"]] {
        let ran = run(command);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(
            ran.out.contains("map-a"),
            "the other kind is served: {ran:?}"
        );
        assert!(
            ran.out.contains("cannot list resource \"secrets\""),
            "{ran:?}"
        );
    }
    assert_eq!(written(plane, &namespace).len(), 1);
}

/// A kind `Ticket` of a group of its own, which is answered, and a rule about it.
async fn tickets(place: &Place) -> (String, tempfile::TempDir) {
    let crds: Api<CustomResourceDefinition> = Api::all(place.client.clone());
    let group = format!("{}.example", place.namespace);
    let name = define(&crds, &group, "Ticket").await;
    let served = async || {
        // What it says of its schema comes last.
        let path = format!("/openapi/v3/apis/{group}/v1");
        let asked = http::Request::get(path).body(vec![]).unwrap();
        let served = place.client.request_text(asked).await;
        served.is_ok_and(|text| text.contains("tickets"))
    };
    let started = std::time::Instant::now();
    while !served().await {
        assert!(started.elapsed().as_secs() < 60, "{name} is never served");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let rule = following(
        "tickets",
        &format!("{group}/v1"),
        "Ticket",
        &place.namespace,
    );
    (group, folder(&rule))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_the_api_that_does_not_answer_is_3_and_nobodys_typing_error() {
    let place = Place::new("unasked").await;
    let (group, folder) = tickets(&place).await;
    let proxy = Proxy::start(place.plane.kubeconfig()).await;
    let path = format!("/apis/{group}/v1");
    proxy.refuse(Purpose::Read, &path, usize::MAX, 503, None);
    let plan = ordain(folder.path(), &proxy.kubeconfig(), &["plan"]);
    assert_eq!(plan.code, 3, "{plan:?}");
    assert!(
        plan.out.contains("its API group cannot be discovered"),
        "{plan:?}"
    );
    assert!(!plan.err.contains("did you mean"), "{plan:?}");
    assert!(
        plan.err
            .contains("the server cannot say now whether it has"),
        "{plan:?}"
    );
    proxy.refuse_nothing();
    let plan = ordain(folder.path(), &proxy.kubeconfig(), &["plan"]);
    assert_eq!(plan.code, 0, "{plan:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_for_a_kind_of_the_cluster_are_printed_where_kubeconfig_leads_to_it() {
    let place = Place::new("rights-around").await;
    let (_, folder) = tickets(&place).await;
    let printed = ordain(folder.path(), &place.plane.kubeconfig(), &["rbac"]).ok();
    assert!(printed.contains("tickets"), "{printed}");
    let alone = ordain_with(folder.path(), &["rbac"], &[]);
    assert_eq!(alone.code, 1, "{alone:?}");
    let nowhere = [("KUBECONFIG", "nowhere-to-be-found")];
    let nowhere = ordain_with(folder.path(), &["rbac"], &nowhere);
    assert_eq!(nowhere.code, 1, "{nowhere:?}");
    assert!(
        nowhere
            .err
            .contains("the cluster of KUBECONFIG cannot be asked"),
        "{nowhere:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_looks_at_admission_is_told_and_its_other_part_runs() {
    let Place {
        plane,
        client,
        namespace,
        maps,
    } = Place::new("unadmitted").await;
    create(&maps, &["map-a"]).await;
    let at = |name: &str, label: &str, when: &str| {
        let path = format!("$.metadata.labels.{label}");
        let spec = format!("spec:\n  when: [{when}]\n");
        setting(name, &namespace, &path, "yes").replace("spec:\n", &spec)
    };
    let rules = [
        at("both-ways", "both", "Create, Reconcile"),
        at("new-ones", "new", "Create, Update"),
        at("in-the-loop", "looped", "Reconcile"),
    ]
    .join("---\n");
    let admission = "it looks at admission, and there is no admission server yet";
    let told = |log: &str| {
        let lines = log.lines().filter(|line| line.contains(admission));
        let both = format!("WARN {admission}: only its Reconcile part runs rule=both-ways");
        let new = format!("WARN {admission}: it does nothing rule=new-ones");
        assert!(log.contains(&both) && log.contains(&new), "{log}");
        assert_eq!(lines.count(), 2, "{log}");
    };
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rules, &[]);
    until("the labels of the loop", &daemon, || async {
        is_labelled(&maps.get("map-a").await.unwrap(), &["both", "looped"])
    })
    .await;
    daemon
        .until("that nothing is in flight", |s| s["requestsInFlight"] == 0)
        .await;
    told(&daemon.whole_log());
    // One that is made now does not pass by Ordain either.
    create(&maps, &["map-b"]).await;
    until("the labels of the new one", &daemon, || async {
        is_labelled(&maps.get("map-b").await.unwrap(), &["both", "looped"])
    })
    .await;
    assert_eq!(daemon.stop().await, Some(0));
    // So it is of one pass.
    create_all(&client, &[(namespace.clone(), "map-c".to_owned())]).await;
    let folder = folder(&rules);
    let once = ["run", "--once", "--log-format", "text"];
    let once = ordain(folder.path(), &plane.kubeconfig(), &once);
    assert_eq!(once.code, 0, "{once:?}");
    told(&once.err);
    assert!(is_labelled(
        &maps.get("map-c").await.unwrap(),
        &["both", "looped"]
    ));
}

/// Whether these are its labels.
fn is_labelled(map: &ConfigMap, expected: &[&str]) -> bool {
    let labels = map.metadata.labels.iter().flatten();
    labels
        .map(|(name, _)| name.as_str())
        .eq(expected.iter().copied())
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_shows_each_clause_with_the_value_that_the_cluster_has() {
    let Place {
        plane,
        namespace,
        maps,
        ..
    } = Place::new("explained").await;
    create(&maps, &["map-a", "map-b", "palette"]).await;
    for (name, color) in [("map-a", "red"), ("map-b", "blue"), ("palette", "blue")] {
        let data = Patch::Merge(json!({"data": {"color": color}}));
        maps.patch(name, &PatchParams::default(), &data)
            .await
            .unwrap();
    }
    let clauses = "  where:
  - {path: $.data.color, operator: NotEquals, value: blue}
  - {expression: '${paints[0].data.color}', value: blue}
  related:
  - {name: paints, resources: [{apiVersion: v1, kind: ConfigMap}], names: [palette]}
  actions:
";
    let rules = setting("painted", &namespace, "$.data.color", "blue");
    let rules = rules.replace("  actions:\n", clauses);
    let folder = folder(&rules);
    let mut daemon = Daemon::start(&plane.kubeconfig(), &rules, &["--audit-only"]);
    daemon.ready().await;
    let address = format!("127.0.0.1:{}", daemon.port());
    for from in [&[][..], &["--from", &address]] {
        let explain = |name: &str| {
            let object = format!("ConfigMap/{namespace}/{name}");
            let arguments = [&["explain", "painted", &object][..], from].concat();
            ordain(folder.path(), &plane.kubeconfig(), &arguments)
        };
        let red = explain("map-a");
        assert_eq!(red.code, 0, "{red:?}");
        for line in [
            &*format!("  passed  namespaces: [{namespace}*] (is {namespace})\n"),
            "  passed  $.data.color NotEquals \"blue\" (is red)\n",
            "  passed  ${paints[0].data.color} Equals \"blue\" (is blue)\n",
            &*format!("  paints = [\"ConfigMap/{namespace}/palette\"]\n"),
            "it matches, and there is something to do\n",
            "-  color: red\n+  color: blue\n",
        ] {
            assert!(red.out.contains(line), "{line}\n{red:?}");
        }
        let frozen = "in the way: all rules are frozen to Audit\n";
        assert_eq!(red.out.contains(frozen), !from.is_empty(), "{red:?}");
        let blue = explain("map-b");
        assert_eq!(blue.code, 1, "{blue:?}");
        let line = "  failed  $.data.color NotEquals \"blue\" (is blue)\n";
        assert!(blue.out.contains(line), "{blue:?}");
    }
    assert_eq!(written(plane, &namespace).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_asks_no_cluster() {
    let folder = folder(&both("anything"));
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(
        &kubeconfig,
        kubeconfig_to(&format!("http://127.0.0.1:{port}")),
    )
    .unwrap();
    let checked = ordain_with(
        folder.path(),
        &["check", "rules"],
        &[
            ("KUBECONFIG", kubeconfig.to_str().unwrap()),
            ("KUBERNETES_SERVICE_HOST", "127.0.0.1"),
            ("KUBERNETES_SERVICE_PORT", &port),
        ],
    );
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(checked.out.contains("2 good rules"), "{}", checked.out);
    assert_eq!(
        server.accept().unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock,
        "nobody has come"
    );
    // The same kubeconfig does lead there.
    let planned = std::thread::spawn({
        let folder = folder.path().to_owned();
        move || plan_there(&folder, &kubeconfig)
    });
    server.set_nonblocking(false).unwrap();
    drop(server.accept().unwrap());
    drop(server);
    assert_eq!(planned.join().unwrap(), 3);
}

fn plan_there(folder: &Path, kubeconfig: &Path) -> i32 {
    ordain(folder, kubeconfig, &["plan"]).code
}

fn kubeconfig_to(server: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: '{server}'}}}}]\nusers: [{{name: u, user: {{}}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\ncurrent-context: x\n"
    )
}
