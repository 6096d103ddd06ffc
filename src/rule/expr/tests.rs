#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::object::Record;
use proptest::prelude::*;
use serde_json::json;

mod language;
mod libraries;
mod limits;
mod problems;
mod templates;

/// An object with one of everything.
fn pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-1", "namespace": "shop",
            "labels": {"app": "web", "team": "checkout", "empty": ""},
            "annotations": null,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "replicas": 3, "ratio": 2.5, "big": 18_446_744_073_709_551_615u64, "paused": false,
            "containers": [
                {"name": "app", "image": "ghcr.io/shop/web:1.4.2", "resources": {"limits": {"memory": "512Mi"}}},
                {"name": "side", "image": "nginx"},
            ],
            "ports": [80, 443],
        },
        "data": {"password": "hunter2"},
    })
}

fn namespace() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"env": "prod"}}})
}

const EDIT: Names<'_> = Names {
    item: true,
    current: true,
    variables: &[],
    inlined: &[],
    later: &[],
    params: None,
    applied: false,
    request: false,
    lists: &[],
    later_lists: &[],
    candidate: false,
    schedule: false,
    previous: false,
};

/// Evaluates over [`pod`], with `item` its first container and `current` its replicas.
fn evaluate(text: &str) -> Result<Option<Value>, ExprFault> {
    let expr = match Expr::compile(text, EDIT) {
        Ok(expr) => expr,
        Err(problems) => panic!("{text}: {problems:?}"),
    };
    with_scope(|scope| expr.evaluate(scope))
}

fn with_scope<T>(run: impl FnOnce(&Scope<'_>) -> T) -> T {
    let (object, namespace) = (Record::from_value(&pod()), Record::from_value(&namespace()));
    let spec = object.root().get_str("spec").unwrap();
    run(&Scope {
        object: object.root(),
        found: None,
        pod: Some(&[]),
        namespace_object: NamespaceObject::Known(namespace.root()),
        now: "2026-01-08T00:00:00Z".parse().unwrap(),
        item: spec.get_str("containers").unwrap().at(0),
        current: spec.get_str("replicas"),
        variables: None,
        request: None,
        other: None,
        schedule_start: None,
        previous: None,
        applied: None,
    })
}

#[track_caller]
fn gives(text: &str, value: Value) {
    assert_eq!(evaluate(text), Ok(Some(value)), "{text}");
}

/// Each holds.
#[track_caller]
fn hold(texts: &[&str]) {
    for text in texts {
        assert_eq!(evaluate(text), Ok(Some(Value::Bool(true))), "{text}");
    }
}

/// Each fails with a message that has the words.
#[track_caller]
fn fail(rows: &[(&str, &str)]) {
    for (text, words) in rows {
        match evaluate(text) {
            Err(ExprFault::Failed(message)) => {
                assert!(message.contains(words), "{text}: {message}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

/// The only problem of each, with the text it marks.
#[track_caller]
fn refused(rows: &[(&str, &str, &str)]) {
    for (text, marked, words) in rows {
        let problems = match Expr::compile(text, Names::default()) {
            Ok(_) => panic!("{text} compiles"),
            Err(problems) => problems,
        };
        let [problem] = problems.as_slice() else {
            panic!("{text}: {problems:?}");
        };
        let message = format!(
            "{}{}",
            problem.message,
            problem
                .mend
                .as_deref()
                .map(|mend| format!(" [{mend}]"))
                .unwrap_or_default()
        );
        assert!(message.contains(words), "{text}: {message}");
        let end = (problem.at + problem.length).min(text.len());
        assert_eq!(&text[problem.at..end], *marked, "{text}: {message}");
    }
}
