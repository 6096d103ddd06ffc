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

/// Of any type that `string()` takes.
const EXPRESSIONS: &[&str] = &[
    // The object, absent and optional fields.
    "object.metadata.labels.team",
    "object.metadata.labels.absent",
    "object.metadata.?labels.?absent.orValue('none')",
    "object.metadata.?annotations.?absent.orValue('none')",
    "object.?data[?'a.b'].orValue('none')",
    "object.data['a.b']",
    "has(object.data.n) && !has(object.data.m)",
    "object.data.m == 'x' || true",
    "true || object.data.m == 'x'",
    "object.data.m == 'x' && false",
    "'n' in object.data",
    "object.data.n > 3",
    "int(object.data.n) + 1",
    "size(object.data)",
    "object.data.map(k, k).sort().join(',')",
    "object.kind + '/' + object.apiVersion",
    "object.spec.replicas",
    // Optionals.
    "optional.of(3).orValue(4)",
    "optional.none().orValue(4)",
    "optional.ofNonZeroValue('').hasValue()",
    "optional.ofNonZeroValue(0).or(optional.of(7)).value()",
    "optional.none().value()",
    "optional.of(3).optMap(x, x + 1).value()",
    "optional.of(3).optFlatMap(x, optional.of(x * 2)).value()",
    "[1, 2][?5].orValue(9)",
    "{'a': 1}[?'b'].hasValue()",
    "size([?optional.none(), ?optional.of(1)])",
    "size({?'a': optional.none(), 'b': 1})",
    // Quantities.
    "quantity('1.5Gi').isGreaterThan(quantity('1Gi'))",
    "quantity('500m').add(quantity('1')).asApproximateFloat()",
    "quantity('50k').sub(20000).asInteger()",
    "quantity('50m').asInteger()",
    "quantity('200M').compareTo(quantity('0.2G'))",
    "quantity('1000m') == quantity('1')",
    "quantity('1e3').asInteger()",
    "quantity('1E3').asInteger()",
    "quantity('1E').isGreaterThan(quantity('1P'))",
    "quantity('-1k').sign()",
    "isQuantity('1,3G')",
    "isQuantity('200K')",
    "isQuantity('')",
    "isQuantity('1e')",
    "isQuantity('.5')",
    "isQuantity('5.')",
    "isQuantity('+5')",
    "quantity('x').asInteger()",
    "quantity('0.0000000001').asApproximateFloat()",
    "quantity('50M').isLessThan(quantity('50Mi'))",
    // Versions.
    "semver('1.10.0').isGreaterThan(semver('1.9.0'))",
    "semver('1.0.0-rc.1').isLessThan(semver('1.0.0'))",
    "semver('1.0.0-rc.2').compareTo(semver('1.0.0-rc.10'))",
    "semver('1.0.0+a') == semver('1.0.0+b')",
    "semver('1.2.3').minor()",
    "semver('v1.2', true).patch()",
    "semver('v1.2.3').major()",
    "isSemver('1.0')",
    "isSemver('v1.0', true)",
    "isSemver('01.0.0')",
    "isSemver('01.0.0', true)",
    "isSemver('1.0.0-01')",
    // Addresses.
    "ip('10.0.0.1').family()",
    "isIP('10.0.0.256')",
    "isIP('::ffff:1.2.3.4')",
    "isIP('fe80::1%eth0')",
    "isIP('010.0.0.1')",
    "ip.isCanonical('2001:DB8::1')",
    "ip('192.168.0.1').isGlobalUnicast()",
    "ip('169.254.1.1').isLinkLocalUnicast()",
    "ip('127.0.0.1').isLoopback()",
    "ip('::1') == ip('0:0::1')",
    "ip('nonsense').family()",
    "cidr('10.0.0.0/8').containsIP('10.1.2.3')",
    "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
    "cidr('10.0.0.0/8').containsCIDR(cidr('0.0.0.0/0'))",
    "cidr('192.168.0.1/24').masked() == cidr('192.168.0.0/24')",
    "cidr('10.1.2.3/8').prefixLength()",
    "isCIDR('10.0.0.0/33')",
    "isCIDR('10.0.0.0')",
    "isCIDR('::1/128')",
    // URLs.
    "url('https://user@shop.example:8443/a b?x=1#f').getHost()",
    "url('https://shop.example:8443/path').getPort()",
    "url('https://[::1]:80/').getHostname()",
    "url('https://shop.example/a%20b').getEscapedPath()",
    "url('https://shop.example/path with spaces/').getEscapedPath()",
    "url('/a?x=1&x=2&y=%41').getQuery()['x'].join('+')",
    "isURL('../relative')",
    "isURL('https://a:b:c/')",
    "isURL('')",
    "url('not a url').getHost()",
    // Regular expressions.
    "'abc123def'.find('[0-9]+')",
    "'abc'.find('[0-9]+')",
    "'a1b22'.findAll('[0-9]+').join(',')",
    "'a1b22c333'.findAll('[0-9]+', 2).join(',')",
    "'shop'.matches('^s.*p$')",
    "'shop'.matches('h')",
    "'a\\nb'.matches('a.b')",
    "'x'.matches('(')",
    "'é'.matches('^.$')",
    // Lists.
    "[3, 1, 2].sum()",
    "[1.5, 2.0].sum()",
    "[3, 1, 2].min()",
    "['b', 'a'].max()",
    "[].sum()",
    "[].min()",
    "[1, 2, 2].isSorted()",
    "[1, 2, 2].indexOf(2)",
    "[1, 2, 2].lastIndexOf(2)",
    "[1, 2, 3, 4].slice(1, 3).sum()",
    "[[1, 2], [3]].flatten().sum()",
    "[3, 1, 2].sort().map(x, string(x)).join(',')",
    "[3, 1, 2].reverse().map(x, string(x)).join(',')",
    "[1, 1, 2].distinct().size()",
    "lists.range(4).map(x, string(x)).join(',')",
    "['b', 'a'].sortBy(x, x).join(',')",
    "[1, 2][2]",
    "[1, 2] == [1.0, 2.0]",
    "1 in [1.0]",
    // Sets.
    "sets.contains([1, 2, 3], [1, 2])",
    "sets.intersects([1], [2])",
    "sets.equivalent([1, 2, 2], [2, 1])",
    // Two-variable comprehensions, and the others.
    "[5, 6].exists(i, v, i == 1 && v == 6)",
    "[5, 6].all(i, v, v > i)",
    "[5, 6].existsOne(i, v, v == 6)",
    "[1, 2].transformList(i, v, i * v).sum()",
    "[1, 2, 3].transformList(i, v, v > 1, v * 10).sum()",
    "{'a': 1}.transformMap(k, v, v + 1)['a']",
    "{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v)['b']",
    "{'a': 'x'}.transformMapEntry(k, v, {v: k})['x']",
    "{'a': 1, 'b': 2}.exists(k, v, k == 'b' && v == 2)",
    "[1, 2, 3].filter(x, x > 1).size()",
    "[1, 2, 3].map(x, x > 1, x * 2).sum()",
    "[1, 2, 2].exists_one(x, x == 2)",
    "[1, 0].all(x, 1 / x > 0)",
    "[1, 0].exists(x, 1 / x > 0)",
    // Texts.
    "'hello mellow'.indexOf('ello', 2)",
    "'tacocat'.substring(2, 4)",
    "'tacocat'.substring(9)",
    "'tacocat'.charAt(3)",
    "'a,b,c'.split(',', 2).size()",
    "'hello'.replace('l', 'L', 1)",
    "' x '.trim()",
    "'AbÉ'.lowerAscii()",
    "'%s-%d-%.1f'.format(['a', 3, 2.55])",
    "'%s'.format([[1, 'a']])",
    "'gums'.reverse()",
    "strings.quote('a\"b')",
    "['a', 'b'].join('-')",
    "'abc'.lastIndexOf('c')",
    "base64.decode(base64.encode(b'hi')) == b'hi'",
    // Numbers.
    "7 / 2",
    "-7 % 3",
    "7 / 0",
    "7.0 / 2.0",
    "1.0 / 0.0",
    "9223372036854775807 + 1",
    "1 == 1.0",
    "1 < 1.5",
    "string(1.0)",
    "string(1e21)",
    "string(0.1 + 0.2)",
    "int('0x10')",
    "int('12')",
    "double('1e3')",
    "uint(3) + 2u",
    "int(2.9)",
    "math.greatest(1, 3, 2)",
    "math.least([3.5, 2.0])",
    "math.ceil(1.2)",
    "math.round(2.5)",
    "math.abs(-3)",
    "math.sign(-3)",
    "math.isNaN(0.0 / 0.0)",
    "math.bitAnd(12, 10)",
    // Times.
    "duration('1h30m')",
    "duration('90s') == duration('1m30s')",
    "duration('1d')",
    "duration('1h').getMinutes()",
    "timestamp('2026-01-31T12:00:00Z') + duration('24h')",
    "timestamp('2026-01-31T12:00:00Z').getDayOfWeek()",
    "timestamp('2026-01-31T23:30:00Z').getHours('Europe/Berlin')",
    "timestamp('2026-01-31T12:00:00Z') - timestamp('2026-01-30T12:00:00Z')",
    "timestamp('2026-01-31')",
    // Types and conversions.
    "type(1) == int",
    "bool('true')",
    "bool('yes')",
    "string(b'abc')",
    "dyn('a') + 'b'",
    "'a' + 1",
    "1 + 1.0",
    "{'a': 1}.b",
    "{'a': 1} == {'a': 1.0}",
    "null == null",
    "true ? 1 : 2",
    "cel.bind(x, 3, x * x)",
];

fn name(at: usize) -> String {
    format!("cel-{at:03}")
}

/// Written into JSON as it stands; in the rule it is part of a quoted text.
fn map(namespace: &str, at: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name(at), "namespace": namespace, "labels": {"team": "blue"}},
        "data": {"n": "4", "a.b": "c"}})
}

/// What the server makes of each: the text, or none where the expression does not compile or fails.
async fn of_the_server(place: &Place) -> Vec<Option<String>> {
    let client = &place.client;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let mut compiled = vec![];
    for (at, expression) in EXPRESSIONS.iter().enumerate() {
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
    for at in 0..EXPRESSIONS.len() {
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
                Err(error) => panic!("{}: {error}", EXPRESSIONS[at]),
            }
        };
        let (_, said) = said.split_once("denied request: ").unwrap();
        values.push(said.strip_prefix('=').map(str::to_owned));
    }
    for at in (0..EXPRESSIONS.len()).filter(|at| compiled[*at]) {
        let full = format!("{}-{}", place.namespace, name(at));
        let _ = bindings.delete(&full, &DeleteParams::default()).await;
        let _ = policies.delete(&full, &DeleteParams::default()).await;
    }
    values
}

/// A rule that warns with the value.
fn rule(at: usize) -> Value {
    json!({
    "apiVersion": "ordain.dev/v1alpha1", "kind": "Rule", "metadata": {"name": name(at)},
    "spec": {
        "match": {"resources": [{"apiVersion": "v1", "kind": "ConfigMap"}], "names": [name(at)]},
        "actions": [{"warn": {"message": format!("=${{string({})}}", EXPRESSIONS[at])}}],
    }})
}

#[tokio::test(flavor = "multi_thread")]
async fn expressions_come_out_as_on_the_server() {
    assert!(EXPRESSIONS.len() >= 60);
    let place = Place::new("cel").await;
    let values = of_the_server(&place).await;
    assert!(values.iter().filter(|v| v.is_some()).count() > EXPRESSIONS.len() / 2);
    let schema = Schema::bundled();
    let (mut rules, mut objects, mut findings, mut failures) = (vec![], vec![], vec![], vec![]);
    for (at, value) in values.iter().enumerate() {
        let file = SourceFile {
            name: "rule.yaml".into(),
            bytes: rule(at).to_string().into_bytes(),
        };
        let compiled = compile(&[file], &schema);
        let error = compiled
            .problems
            .iter()
            .find(|p| p.severity == Severity::Error);
        match (error, value) {
            // Refused by both, or refused here at load and there when it is evaluated.
            (Some(_), None) => {}
            (Some(error), Some(value)) => failures.push(format!(
                "{}: {value} on the server, here {}",
                EXPRESSIONS[at], error.message
            )),
            (None, value) => {
                rules.push(rule(at));
                objects.push(map("shop", at));
                findings.push(match value {
                    Some(value) => json!({"reason": "Warning", "rule": name(at), "message": format!("={value}")}),
                    None => json!({"reason": "ExpressionFailed", "rule": name(at)}),
                });
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let text: Vec<String> = rules.iter().map(Value::to_string).collect();
    std::fs::write(folder.path().join("rules.yaml"), text.join("\n---\n")).unwrap();
    let test = json!({
        "apiVersion": "ordain.dev/v1alpha1", "kind": "RuleTest", "metadata": {"name": "cel"},
        "spec": {"rules": ["rules.yaml"], "objects": objects, "steps": [{"at": "2026-01-01T00:00:00Z", "expect": {"findings": findings}}]}});
    std::fs::write(folder.path().join("test.yaml"), test.to_string()).unwrap();
    let run = Run {
        schema,
        selection: ordain::rules_dir::Selection::default(),
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
    };
    let verdicts = run_all(&[folder.path().join("test.yaml")], &run, &mut |_, _| {});
    assert_eq!(verdicts.len(), 1);
    for verdict in verdicts {
        failures.extend(verdict.problems.iter().map(ToString::to_string));
        for failure in verdict.failures {
            // Name the expressions, not the rules.
            let mut text = failure.text;
            for (at, expression) in EXPRESSIONS.iter().enumerate() {
                text = text.replace(&name(at), &format!("`{expression}` ({})", name(at)));
            }
            let differing = text
                .lines()
                .filter(|line| line.starts_with(['-', '+']) && !line.starts_with("---"));
            failures.extend(differing.map(str::to_owned));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
