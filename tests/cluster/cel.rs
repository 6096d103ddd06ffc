//! The functions of Kubernetes' CEL library against the API server itself: a ValidatingAdmissionPolicy evaluates the same expression, as
//! the message of a refusal. Both give the same text, or both fail.

use crate::scene::Place;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, PostParams};
use ordain::rule::compile::{SourceFile, compile};
use ordain::rule::problem::Severity;
use ordain::rule_test::{Run, run_all};
use ordain::schema::Schema;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The expressions of `cel.txt`.
struct Expressions {
    all: Vec<String>,
    /// Those that come out otherwise on purpose.
    excused: Vec<bool>,
}

impl Expressions {
    fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/cel.txt");
        let text = std::fs::read_to_string(path).unwrap();
        let (mut all, mut excused) = (vec![], vec![]);
        for line in text
            .lines()
            .filter(|l| !l.starts_with('#') && !l.is_empty())
        {
            let excuse = line.strip_prefix("~ ").and_then(|l| l.split_once(" ~ "));
            all.push(excuse.map_or(line, |(_, expression)| expression).to_owned());
            excused.push(excuse.is_some());
        }
        Expressions { all, excused }
    }
}

fn name(at: usize) -> String {
    format!("cel-{at:03}")
}

/// Written into JSON as it stands; in the rule it is part of a quoted text.
fn map(namespace: &str, at: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name(at), "namespace": namespace, "labels": {"team": "blue"}},
        "data": {"n": "4", "a.b": "c"}})
}

/// What the server makes of each: the text, or none where the expression does not compile or fails.
async fn of_the_server(place: &Place, expressions: &[String]) -> Vec<Option<String>> {
    let client = &place.client;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let mut compiled = vec![];
    for (at, expression) in expressions.iter().enumerate() {
        let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": format!("{}-{}", place.namespace, name(at))},
        "spec": {
            "failurePolicy": "Ignore",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}},
                "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]},
                "matchConditions": [{"name": "this-one", "expression": format!("object.metadata.name == '{}'", name(at))}],
            "validations": [{"expression": "false", "message": "failed", "messageExpression": format!("'=' + string({expression})")}],
        }});
        let policy = serde_json::from_value(policy).unwrap();
        match policies.create(&PostParams::default(), &policy).await {
            Ok(_) => compiled.push(true),
            Err(kube::Error::Api(status)) if status.code == 422 => compiled.push(false),
            Err(error) => panic!("{expression}: {error}"),
        }
        if compiled[at] {
            let full = format!("{}-{}", place.namespace, name(at));
            let binding = json!({
                "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
                "metadata": {"name": full}, "spec": {"policyName": full, "validationActions": ["Deny"]}});
            let binding = serde_json::from_value(binding).unwrap();
            bindings
                .create(&PostParams::default(), &binding)
                .await
                .unwrap();
        }
    }
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let mut values = vec![];
    let deadline = Instant::now() + Duration::from_secs(60);
    for at in 0..expressions.len() {
        if !compiled[at] {
            values.push(None);
            continue;
        }
        let map: ConfigMap = serde_json::from_value(map(&place.namespace, at)).unwrap();
        let said = loop {
            match place.maps.create(&dry, &map).await {
                Err(kube::Error::Api(status)) if status.message.contains("denied request: ") => {
                    break status.message;
                }
                // The policy is not in force yet.
                Ok(_) => {
                    assert!(Instant::now() < deadline, "{} is never refused", name(at));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => panic!("{}: {error}", expressions[at]),
            }
        };
        let (_, said) = said.split_once("denied request: ").unwrap();
        values.push(said.strip_prefix('=').map(str::to_owned));
    }
    for at in (0..expressions.len()).filter(|at| compiled[*at]) {
        let full = format!("{}-{}", place.namespace, name(at));
        let _ = bindings.delete(&full, &DeleteParams::default()).await;
        let _ = policies.delete(&full, &DeleteParams::default()).await;
    }
    values
}

/// A rule that warns with the value.
fn rule(at: usize, expression: &str) -> Value {
    json!({
    "apiVersion": "ordain.dev/v1alpha1", "kind": "Rule", "metadata": {"name": name(at)},
    "spec": {
        "match": {"resources": [{"apiVersion": "v1", "kind": "ConfigMap"}], "names": [name(at)]},
        "actions": [{"warn": {"message": format!("=${{string({expression})}}")}}],
    }})
}

#[tokio::test(flavor = "multi_thread")]
async fn expressions_come_out_as_on_the_server() {
    let Expressions { all, excused } = Expressions::read();
    assert!(all.len() >= 60);
    let place = Place::new("cel").await;
    let values = of_the_server(&place, &all).await;
    assert!(values.iter().filter(|v| v.is_some()).count() > all.len() / 2);
    let schema = Schema::bundled();
    let mut failures = vec![];
    for (at, (expression, value)) in all.iter().zip(&values).enumerate() {
        let same = here(at, expression, value.as_deref(), &schema);
        match (same, excused[at]) {
            (Ok(()), false) | (Err(_), true) => {}
            (Ok(()), true) => failures.push(format!("{expression}: comes out the same")),
            (Err(found), false) => {
                let value = value.as_deref().unwrap_or("an error");
                failures.push(format!("{expression}: {value} on the server, here {found}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Whether it comes out the same here: a warning with the value, or refused at load or when it is evaluated.
fn here(at: usize, expression: &str, value: Option<&str>, schema: &Schema) -> Result<(), String> {
    let file = SourceFile {
        name: "rule.yaml".into(),
        bytes: rule(at, expression).to_string().into_bytes(),
    };
    let compiled = compile(&[file], schema);
    let error = compiled
        .problems
        .iter()
        .find(|p| p.severity == Severity::Error);
    if let Some(error) = error {
        return match value {
            None => Ok(()),
            Some(_) => Err(format!("an error: {}", error.message)),
        };
    }
    let finding = match value {
        Some(value) => json!({"reason": "Warning", "message": format!("={value}")}),
        None => json!({"reason": "ExpressionFailed"}),
    };
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    write("rule.yaml", rule(at, expression).to_string());
    let test = json!({
        "apiVersion": "ordain.dev/v1alpha1", "kind": "RuleTest", "metadata": {"name": "cel"},
        "spec": {"rules": ["rule.yaml"], "objects": [map("shop", at)],
            "steps": [{"at": "2026-01-01T00:00:00Z", "expect": {"findings": [finding]}}]}});
    write("test.yaml", test.to_string());
    let run = Run {
        schema: schema.clone(),
        selection: ordain::rules_dir::Selection::default(),
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
    };
    let verdicts = run_all(&[folder.path().join("test.yaml")], &run, &mut |_, _| {});
    assert_eq!(verdicts.len(), 1);
    let mut told = vec![];
    for verdict in verdicts {
        told.extend(verdict.problems.iter().map(ToString::to_string));
        let found = verdict.failures.iter().flat_map(|f| f.text.lines());
        told.extend(found.filter(|l| l.starts_with("+ ")).map(str::to_owned));
    }
    if told.is_empty() {
        Ok(())
    } else {
        Err(told.join(" "))
    }
}
