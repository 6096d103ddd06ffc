//! Whom rules leave alone: protected objects, those that ask to be ignored, Namespaces not known.

use super::*;

#[test]
fn what_is_protected_is_skipped_and_counted() {
    let patch = "{patch: [{path: $.metadata.labels.a, set: x}]}";
    let place = |kind: (&str, &str), name: &str, namespace: Option<&str>| {
        let mut object = json!({"apiVersion": kind.0, "kind": kind.1, "metadata": {"name": name, "uid": "u-1", "resourceVersion": "7"}});
        if let Some(namespace) = namespace {
            object["metadata"]["namespace"] = json!(namespace);
        }
        object
    };
    let crd = ("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    let webhook = (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
    );
    let cases = [
        (CONFIG_MAP, patch, "c", Some("kube-system"), true),
        (CONFIG_MAP, patch, "c", Some("kube-public"), true),
        (CONFIG_MAP, patch, "c", Some("kube-node-lease"), true),
        (CONFIG_MAP, patch, "c", Some("ordain"), true),
        (CONFIG_MAP, patch, "c", Some("shop"), false),
        (
            CONFIG_MAP,
            "{warn: {message: seen}}",
            "c",
            Some("kube-system"),
            false,
        ),
        (crd, patch, "c", None, true),
        (webhook, patch, "c", None, true),
        (NAMESPACE, patch, "shop", None, false),
        (NAMESPACE, patch, "kube-system", None, true),
        (NAMESPACE, patch, "ordain", None, false),
        (
            NAMESPACE,
            "{patch: [{path: $.metadata.finalizers, add: [x/a]}]}",
            "ordain",
            None,
            true,
        ),
        (("v1", "Node"), patch, "n", None, false),
    ];
    for (kind, actions, name, namespace, expected) in cases {
        let allowed = ("r", "allowProtected: [patch], ", actions);
        // Some of these are refused at load already.
        let mut unallowed = compiled(kind, &[allowed]);
        Arc::get_mut(&mut unallowed[0])
            .unwrap()
            .allow_protected
            .clear();
        let set = RuleSet::new(unallowed, Schema::bundled());
        let decision = Given::new(&set).pass(&place(kind, name, namespace));
        let found = decision
            .findings
            .iter()
            .any(|f| f.reason == Reason::Protected);
        assert_eq!(found, expected, "{kind:?} {name} {namespace:?}");
        if expected {
            assert!(decision.writes.is_empty() && decision.changes.is_empty());
            assert_eq!(standings(&decision), [MATCHES]);
            let set = rules(kind, &[allowed]);
            assert_eq!(
                Given::new(&set)
                    .pass(&place(kind, name, namespace))
                    .writes
                    .len(),
                1
            );
        }
    }
    let delete = rules(
        CONFIG_MAP,
        &[("r", "allowProtected: [patch], ", "{delete: {}}")],
    );
    let decision = Given::new(&delete).pass(&place(CONFIG_MAP, "c", Some("kube-system")));
    assert_eq!(reasons(&decision), [("r".to_owned(), Reason::Protected)]);
}

#[test]
fn ignore_annotations_keep_every_rule_or_some_away() {
    let set = rules(
        CONFIG_MAP,
        &[
            ("a", "", "{patch: [{path: $.data.a, set: x}]}"),
            ("b", "mode: Audit, ", "{patch: [{path: $.data.b, set: x}]}"),
        ],
    );
    let ignored = Given::new(&set).pass(&annotated("ordain.dev/ignore", "true"));
    assert!(ignored.writes.is_empty() && ignored.changes.is_empty());
    assert_eq!(standings(&ignored), [Standing::Ignored, Standing::Ignored]);
    let some = Given::new(&set).pass(&annotated("ordain.dev/ignore-rules", "z, a"));
    assert_eq!(standings(&some), [Standing::Ignored, ACTS]);
    assert!(some.writes.is_empty());
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "annotations": {"ordain.dev/ignore": "true"}}});
    let by_namespace = Given {
        namespace: Some(namespace),
        ..Given::new(&set)
    }
    .pass(&config_map(json!({})));
    assert_eq!(
        standings(&by_namespace),
        [Standing::Ignored, Standing::Ignored]
    );
    let until = annotated("ordain.dev/ignore-until", "2026-01-02T00:00:00Z");
    let before = Given::new(&set).pass(&until);
    assert!(before.writes.is_empty());
    assert_eq!(
        before.recheck_at,
        Some("2026-01-02T00:00:00Z".parse().unwrap())
    );
    let after = Given {
        now: "2026-01-02T00:00:00Z",
        ..Given::new(&set)
    }
    .pass(&until);
    assert_eq!(after.writes.len(), 1);
    let broken = Given::new(&set).pass(&annotated("ordain.dev/ignore-until", "next week"));
    assert!(broken.writes.is_empty());
    assert_eq!(reasons(&broken), [("a".to_owned(), Reason::WrongType)]);
}

#[test]
fn a_namespace_selector_waits_for_the_namespace() {
    let text = "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {name: r}\nspec:\n  mode: Enforce\n  match:\n    resources: [{apiVersion: v1, kind: ConfigMap}]\n    namespaceSelector: {matchLabels: {team: a}}\n  actions: [{patch: [{path: $.data.a, set: x}]}]\n";
    let schema = Schema::bundled();
    let file = SourceFile {
        name: "r.yaml".into(),
        bytes: text.into(),
    };
    let set = RuleSet::new(compile(&[file], &schema).rules, schema);
    let unknown = Given::new(&set).pass(&config_map(json!({})));
    assert_eq!(standings(&unknown), [Standing::Waiting]);
    assert_eq!(reasons(&unknown), [("r".to_owned(), Reason::Waiting)]);
    for (team, expected) in [("a", &[ACTS][..]), ("b", &[])] {
        let namespace = json!({"metadata": {"name": "shop", "labels": {"team": team}}});
        let known = Given {
            namespace: Some(namespace),
            ..Given::new(&set)
        }
        .pass(&config_map(json!({})));
        assert_eq!(standings(&known), expected);
    }
}
