//! What the identity of a connection may do, as the server's own authorizers answer.

use super::connection::{ConnectOptions, Connection};
use super::discovery::Discovery;
use super::requests;
use crate::rights::{Place, Right};
use crate::schema::Schema;
use futures::{StreamExt, stream};
use http::{Request, header};
use serde_json::{Value, json};

/// Questions asked at once.
const AT_ONCE: usize = 16;

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// A connection that only asks.
pub struct Access {
    connection: Connection,
}

/// The server's answer about one right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is granted.
    Allowed,
    /// It is not; what the server says about it, often nothing.
    Missing(String),
    /// Nobody knows, with the reason.
    Unknown(String),
}

impl Access {
    /// Reads the configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// No usable configuration.
    pub async fn open(options: &ConnectOptions) -> anyhow::Result<Self> {
        let connection = Connection::open(options).await?;
        Ok(Self { connection })
    }

    /// The kinds of the cluster.
    ///
    /// # Errors
    /// A server that cannot be reached or refuses discovery.
    pub async fn schema(&self) -> anyhow::Result<Schema> {
        let wire = &self.connection.wire;
        Discovery::run(wire).await?.schema(wire).await
    }

    /// Asks about each right, in order.
    pub async fn ask(&self, rights: &[&Right]) -> Vec<Answer> {
        let answers = stream::iter(rights).map(|right| self.ask_one(right));
        answers.buffered(AT_ONCE).collect().await
    }

    async fn ask_one(&self, right: &Right) -> Answer {
        match self.review(right).await {
            Ok(answer) => answer,
            Err(error) => Answer::Unknown(format!("{error:#}")),
        }
    }

    async fn review(&self, right: &Right) -> anyhow::Result<Answer> {
        let (resource, subresource) = match right.resource.split_once('/') {
            Some((resource, subresource)) => (resource, subresource),
            None => (right.resource.as_str(), ""),
        };
        let namespace = match &right.place {
            Place::Cluster => "",
            Place::Namespace(namespace) => namespace,
        };
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {
                "namespace": namespace,
                "verb": right.verb.as_str(),
                "group": *right.group,
                "resource": resource,
                "subresource": subresource,
                "name": right.name.as_deref().unwrap_or(""),
            }},
        });
        let request = Request::post(REVIEWS)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(serde_json::to_vec(&review)?)?;
        let answer = requests::whole(&self.connection.wire, request).await?;
        anyhow::ensure!(
            answer.status.is_success(),
            "the server answered {} to a question about rights",
            answer.status
        );
        let body: Value = serde_json::from_slice(&answer.body)?;
        let status = &body["status"];
        Ok(match status["allowed"].as_bool() {
            Some(true) => Answer::Allowed,
            _ => Answer::Missing(status["reason"].as_str().unwrap_or("").to_owned()),
        })
    }
}
