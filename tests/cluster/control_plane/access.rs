//! Ways into a plane: kubeconfigs, tokens, clients.

use super::{Authority, Plane};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use std::fs;
use std::path::{Path, PathBuf};

impl Plane {
    /// Of the administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    pub(super) fn write_kubeconfig(&self) {
        let user = format!(
            "{{client-certificate: '{}', client-key: '{}'}}",
            self.file("admin.crt"),
            self.file("admin.key")
        );
        fs::write(self.kubeconfig(), self.kubeconfig_text(&user)).unwrap();
    }

    /// Who signs the plane's certificates.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The text of a kubeconfig with the fields of `user`.
    pub fn kubeconfig_text(&self, user: &str) -> String {
        self.kubeconfig_trusting(&self.folder.path().join("ca.crt"), user)
    }

    /// The text of a kubeconfig for the plane's server, with a file of whom to trust and the fields of `user`.
    pub fn kubeconfig_trusting(&self, authority: &Path, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{}', certificate-authority: '{}'}}}}]\nusers: [{{name: u, user: {user}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\ncurrent-context: x\n",
            self.ports.apiserver,
            authority.display()
        )
    }

    /// A kubeconfig for a bearer token, written into `folder`.
    pub fn kubeconfig_for_token(&self, token: &str, folder: &Path) -> PathBuf {
        let path = folder.join("kubeconfig");
        let user = format!("{{token: '{token}'}}");
        fs::write(&path, self.kubeconfig_text(&user)).unwrap();
        path
    }

    /// A kubeconfig, written into `folder`, with which a client is a ServiceAccount that exists.
    pub async fn kubeconfig_for_account(
        &self,
        namespace: &str,
        account: &str,
        folder: &Path,
    ) -> PathBuf {
        let token = token(&self.client().await, namespace, account).await;
        self.kubeconfig_for_token(&token, folder)
    }

    /// Where the API server listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.ports.apiserver
    }

    /// A client of the administrator.
    pub async fn client(&self) -> kube::Client {
        client(&self.kubeconfig()).await
    }
}

/// A client as whom a kubeconfig says.
pub async fn client(kubeconfig: &Path) -> kube::Client {
    let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).unwrap();
    let options = kube::config::KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options);
    kube::Client::try_from(config.await.unwrap()).unwrap()
}

/// A new token of a ServiceAccount that exists, good for an hour.
pub async fn token(admin: &kube::Client, namespace: &str, account: &str) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), namespace);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec::default()),
        ..Default::default()
    };
    let answer = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await
        .unwrap();
    answer.status.unwrap().token.unwrap()
}
