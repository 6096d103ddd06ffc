//! ServiceAccounts with few rights.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

/// What a daemon needs for a rule that changes ConfigMaps.
fn rules() -> Value {
    json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch", "patch"]}])
}

async fn account(admin: &kube::Client, home: &str) {
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), home);
    let account = serde_json::from_value(json!({"metadata": {"name": "ordain"}})).unwrap();
    accounts
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
}

fn binding(name: &str, role: &str, home: &str) -> Value {
    json!({"metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "ordain", "namespace": home}]})
}

/// A new ServiceAccount `ordain` in `home`, which may read and patch ConfigMaps in these namespaces.
pub async fn account_for(admin: &kube::Client, home: &str, namespaces: &[&str]) {
    account(admin, home).await;
    for namespace in namespaces {
        let role: Role =
            serde_json::from_value(json!({"metadata": {"name": "ordain"}, "rules": rules()}))
                .unwrap();
        Api::<Role>::namespaced(admin.clone(), namespace)
            .create(&PostParams::default(), &role)
            .await
            .unwrap();
        let binding: RoleBinding = serde_json::from_value(binding("ordain", "Role", home)).unwrap();
        Api::<RoleBinding>::namespaced(admin.clone(), namespace)
            .create(&PostParams::default(), &binding)
            .await
            .unwrap();
    }
}

/// A new ServiceAccount `ordain` in `home`, which may read and patch ConfigMaps everywhere.
pub async fn account_everywhere(admin: &kube::Client, home: &str) {
    account(admin, home).await;
    let mut rules = rules();
    rules.as_array_mut().unwrap().push(
        json!({"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}),
    );
    let name = format!("ordain-{home}");
    let role: ClusterRole =
        serde_json::from_value(json!({"metadata": {"name": name}, "rules": rules})).unwrap();
    Api::<ClusterRole>::all(admin.clone())
        .create(&PostParams::default(), &role)
        .await
        .unwrap();
    let binding: ClusterRoleBinding =
        serde_json::from_value(binding(&name, "ClusterRole", home)).unwrap();
    Api::<ClusterRoleBinding>::all(admin.clone())
        .create(&PostParams::default(), &binding)
        .await
        .unwrap();
}
