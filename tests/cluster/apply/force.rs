//! A field that another manager holds: without `force` it stays theirs and is told, with it one request takes it.

use super::*;

/// The rule of [`rule`], which takes over what is there already.
fn adopting(namespace: &str, more: &str) -> String {
    rule(namespace).replace(
        "    ownerReference: true\n",
        &format!("    ownerReference: true\n    adopt: true\n{more}"),
    )
}

/// The manager that holds the field `color`.
async fn holder(maps: &Api<ConfigMap>) -> Vec<String> {
    let managed = maps.get("made-subject-a").await.unwrap().metadata;
    let managers = managed.managed_fields.unwrap_or_default();
    let holds = managers.into_iter().filter(|m| {
        let fields = m.fields_v1.as_ref().map(|f| &f.0);
        fields.is_some_and(|f| f["f:data"]["f:color"].is_object())
    });
    holds.filter_map(|m| m.manager).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_another_manager_applied_is_taken_by_force_alone() {
    let plane = shared();
    let client = plane.client().await;
    let name = namespace(&client, "forced").await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &name);
    let make = PostParams::default();
    maps.create(&make, &subject("a")).await.unwrap();
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made-subject-a"},
        "data": {"color": "green", "shape": "round"}});
    let robot = PatchParams::apply("release-robot");
    maps.patch("made-subject-a", &robot, &Patch::Apply(theirs))
        .await
        .unwrap();

    let mut daemon = Daemon::start(&plane.kubeconfig(), &adopting(&name, ""), &[]);
    let status = daemon
        .until("the finding about the other manager", |s| {
            s["findings"]["byReason"]["OwnershipConflict"] == 1
        })
        .await;
    let listed = status["findings"]["listed"].as_array().unwrap();
    let found = listed.iter().find(|f| f["reason"] == "OwnershipConflict");
    let message = found.unwrap()["message"].as_str().unwrap();
    assert!(message.contains("release-robot"), "{message}");
    quiet(&mut daemon).await;
    assert_eq!(holder(&maps).await, ["release-robot"]);
    assert_eq!(
        color(&maps, "made-subject-a").await.as_deref(),
        Some("green")
    );
    let (good, refused) = requests(plane, &name);
    assert!(good == 0 && refused.len() <= 1, "{refused:?}");

    daemon.save_rules(&adopting(&name, "    force: true\n"));
    until("that it is taken", &daemon, || async {
        color(&maps, "made-subject-a").await.as_deref() == Some("red")
    })
    .await;
    // What stands behind the step is done: nothing of it is left to do.
    until("the label behind it", &daemon, || async {
        labelled(&maps).await == 1
    })
    .await;
    let status = daemon
        .until("that nothing is in flight", |s| {
            s["requestsInFlight"] == 0 && s["queueDepth"] == 0
        })
        .await;
    assert_eq!(
        status["findings"]["byReason"]["OwnershipConflict"],
        Value::Null
    );
    let (good, all) = requests(plane, &name);
    assert_eq!((good, all.len()), (1, refused.len() + 1), "{all:?}");
    let last = all.last().unwrap();
    assert!(
        last.verb == "patch" && last.code == 200 && last.uri.contains("force=true"),
        "{last:?}"
    );
    assert_eq!(holder(&maps).await, ["ordain/made"]);
    let there = maps.get("made-subject-a").await.unwrap();
    assert_eq!(
        there.data.unwrap()["shape"],
        "round",
        "what is theirs stays"
    );

    // Nor is it taken again by whoever starts anew.
    assert_eq!(daemon.stop().await, Some(0), "{}", daemon.log());
    daemon.start_again();
    daemon.ready().await;
    maps.create(&make, &subject("b")).await.unwrap();
    until("the label behind another", &daemon, || async {
        labelled(&maps).await == 2
    })
    .await;
    quiet(&mut daemon).await;
    let of_a = |r: &&Request| r.name == "made-subject-a";
    assert_eq!(
        requests(plane, &name).1.iter().filter(of_a).count(),
        all.len()
    );
}
