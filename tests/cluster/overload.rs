//! A real API server that has too much to do: it refuses for now, and all is made right all the same.

use crate::control_plane::{Options, Plane};
use crate::daemon::{Daemon, until};
use crate::scene::{
    Places, account_everywhere, both, create, create_all, following, follows, names, per_object,
    settled, until_blue, written,
};
use kube::api::Api;

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_writes_that_are_refused_for_now_are_made_once_each() {
    // The administrator is never refused; Ordain is, whenever another request of its kind is being served.
    let plane = Plane::start(Options {
        apiserver_flags: [
            "--enable-priority-and-fairness=false",
            "--max-requests-inflight=1",
            "--max-mutating-requests-inflight=1",
        ]
        .map(str::to_owned)
        .to_vec(),
        ..Options::default()
    });
    let Places {
        client,
        prefix,
        namespaces,
        ..
    } = Places::on(&plane, "overload", 5).await;
    let maps = names(&namespaces, 2_000);
    create_all(&client, &maps).await;
    let bystanders = Api::namespaced(client.clone(), &prefix);
    create(&bystanders, &["bystander"]).await;
    account_everywhere(&client, &prefix).await;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = plane
        .kubeconfig_for_account(&prefix, "ordain", folder.path())
        .await;
    let rules = both(&prefix) + "---\n" + &following("bystander", "v1", "ConfigMap", &prefix);
    let mut daemon = Daemon::start(&kubeconfig, &rules, &["--write-rate=0"]);
    until("the first writes", &daemon, || async {
        !per_object(&written(&plane, &prefix)).is_empty()
    })
    .await;
    follows(&daemon, &bystanders, "bystander", "1").await;
    until_blue(&daemon, &client, &namespaces).await;
    settled(&mut daemon, &client, &namespaces[0], "map-z1").await;
    daemon.ready().await;

    let requests = written(&plane, &prefix);
    let made = per_object(&requests);
    assert_eq!(made.len(), 2_001, "the bystander is one of them");
    assert!(made.values().all(|writes| *writes == 1), "{made:?}");
    let refused = requests.iter().filter(|r| r.code == 429).count();
    assert!(refused > 0, "the server never refused");
    assert_eq!(requests.len(), 2_001 + refused, "{}", daemon.log());
    let last = requests.iter().rposition(|r| r.code == 200).unwrap();
    let bystander = requests
        .iter()
        .position(|r| r.code == 200 && r.name == "bystander")
        .unwrap();
    assert!(
        bystander < last,
        "the bystander did not wait for all the others"
    );
}
