//! The API server's audit log: the judge of what was really written.

use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long the end of a request is waited for: of a server that was killed it never comes.
const END: Duration = Duration::from_secs(5);
/// What the server notes, with a code of 200, of a request to which it sent no answer, whatever came of it (`WithAudit` of k8s.io/apiserver).
const NO_ANSWER: &str = "Connection closed early";

/// A log that is still being written. The server notes a write before it begins it. How it ended may follow after the answer, and after
/// watches have shown what it did: so who reads waits for the ends of those that have begun.
pub struct AuditLog {
    path: PathBuf,
}

/// One write request, or a watch.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "read through Debug when an assertion fails")]
pub struct Request {
    /// `ordain/0.1.0`
    pub user_agent: String,
    /// `system:serviceaccount:NAMESPACE:NAME`
    pub user: String,
    pub verb: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    /// 0 where no answer was sent, because the client had gone: it may be done, or not.
    pub code: u64,
    /// What the server says of a failure.
    pub message: String,
    /// Path and query.
    pub uri: String,
    /// When the server received it, RFC 3339 with microseconds.
    pub received: String,
}

impl Request {
    /// Whether the server has said that it is done.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.code)
    }
}

impl AuditLog {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// All write requests that Ordain made in namespaces that start with `prefix`, but for Events.
    pub fn of_ordain(&self, prefix: &str) -> Vec<Request> {
        let mut requests = self.all(prefix);
        requests.retain(|r| {
            r.user_agent.starts_with("ordain/") && r.verb != "watch" && r.resource != "events"
        });
        requests
    }

    /// The Events that Ordain wrote, or tried to, in a namespace.
    pub fn events_of_ordain(&self, namespace: &str) -> Vec<Request> {
        let mut requests = self.all(namespace);
        requests.retain(|r| r.user_agent.starts_with("ordain/") && r.resource == "events");
        requests
    }

    /// The queries of Ordain's watches of a resource so far, oldest first.
    pub fn watches_of_ordain(&self, resource: &str) -> Vec<String> {
        let mut requests = self.all("");
        requests.retain(|r| {
            r.user_agent.starts_with("ordain/") && r.verb == "watch" && r.resource == resource
        });
        let queries = requests.iter().filter_map(|r| r.uri.split_once('?'));
        queries.map(|(_, query)| query.to_owned()).collect()
    }

    /// All write requests in namespaces that start with `prefix` that have begun when this is called, and watches.
    pub fn all(&self, prefix: &str) -> Vec<Request> {
        let called = Instant::now();
        let (mut requests, mut open) = self.read(prefix);
        let begun = open.clone();
        while !begun.is_disjoint(&open) && called.elapsed() < END {
            std::thread::sleep(Duration::from_millis(20));
            (requests, open) = self.read(prefix);
        }
        requests
    }

    /// What has ended so far, and what has not, as the server numbers it.
    fn read(&self, prefix: &str) -> (Vec<Request>, HashSet<String>) {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let events = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let (mut requests, mut open) = (vec![], HashSet::new());
        for event in events {
            let text = |pointer: &str| {
                event
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or("")
                    .to_owned()
            };
            let namespace = text("/objectRef/namespace");
            if !namespace.starts_with(prefix) {
                continue;
            }
            if text("/stage") == "RequestReceived" {
                open.insert(text("/auditID"));
                continue;
            }
            open.remove(&text("/auditID"));
            let answered = text("/responseStatus/message") != NO_ANSWER;
            requests.push(Request {
                user_agent: text("/userAgent"),
                user: text("/user/username"),
                verb: text("/verb"),
                resource: text("/objectRef/resource"),
                subresource: text("/objectRef/subresource"),
                namespace,
                name: text("/objectRef/name"),
                code: event
                    .pointer("/responseStatus/code")
                    .and_then(Value::as_u64)
                    .filter(|_| answered)
                    .unwrap_or(0),
                message: text("/responseStatus/message"),
                uri: text("/requestURI"),
                received: text("/requestReceivedTimestamp"),
            });
        }
        (requests, open)
    }
}
