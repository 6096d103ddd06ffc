//! Nodes that run Pods: kube-scheduler places them, kwok plays the kubelet. Deployments become ready, Jobs complete.

use super::Plane;
use super::flags;
use super::processes::free_port;
use super::programs::{kwok_stages, program};
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, PostParams};
use serde_json::json;

impl Plane {
    /// Starts kube-scheduler, kwok and a roomy Node called `node-0`, unless they are there.
    pub async fn start_nodes(&self) {
        tokio::task::block_in_place(|| {
            self.start_scheduler();
            self.start_kwok();
        });
        let capacity = json!({"cpu": "64", "memory": "256Gi", "pods": "1000"});
        let node: Node = serde_json::from_value(json!({
            "metadata": {"name": "node-0", "labels": {"kubernetes.io/hostname": "node-0", "type": "kwok"}},
            "status": {"capacity": capacity, "allocatable": capacity}}))
        .unwrap();
        let nodes: Api<Node> = Api::all(self.client().await);
        match nodes.create(&PostParams::default(), &node).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts kwok, which plays the kubelet of every Node, unless it runs.
    pub fn start_kwok(&self) {
        self.start_once("kwok", || {
            let stages = kwok_stages().display().to_string();
            let flags = flags::kwok(free_port(), &stages, |name| self.file(name));
            (program("kwok"), flags)
        });
    }

    /// Starts kube-scheduler, which gives Pods their Node, unless it runs.
    pub fn start_scheduler(&self) {
        self.start_once("kube-scheduler", || {
            let flags = flags::scheduler(free_port(), |name| self.file(name));
            (program("kube-scheduler"), flags)
        });
    }
}
