#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use crate::object::Record;
use proptest::prelude::*;
use serde_json::{Value, json};

fn globs(patterns: &[&str]) -> Globs {
    Globs::new(patterns.iter().map(|p| (*p).to_owned()).collect())
}

#[test]
fn globs_match_as_people_read_them() {
    for (patterns, text, expected) in [
        (&[][..], "anything", true),
        (&["web"], "web", true),
        (&["web"], "web-1", false),
        (&["web-*"], "web-1", true),
        (&["web-*"], "web-", true),
        (&["*-web"], "my-web", true),
        (&["*"], "", true),
        (&["w?b"], "web", true),
        (&["w?b"], "wéb", true),
        (&["w?b"], "wb", false),
        (&["?"], "", false),
        (&["*a*b*"], "xxaxxbxx", true),
        (&["*a*b*"], "xxbxxaxx", false),
        (&["a*b*c"], "abcbc", true),
        (&["a*b*c"], "abcbd", false),
        (&["**"], "x", true),
        (&["!kube-*"], "shop", true),
        (&["!kube-*"], "kube-system", false),
        (&["shop-*", "!shop-test"], "shop-a", true),
        (&["shop-*", "!shop-test"], "shop-test", false),
        (&["shop-*", "!shop-test"], "other", false),
        (&["a", "b"], "b", true),
        (&["web.*"], "webxx", false),
    ] {
        assert_eq!(
            globs(patterns).matches(text),
            expected,
            "{patterns:?} {text}"
        );
    }
}

#[test]
fn globs_are_shown_as_they_are_written() {
    let shown = globs(&["web", "web-*", "*-web", "w?b*c", "!web-test"]).to_string();
    assert_eq!(shown, "[web, web-*, *-web, w?b*c, \"!web-test\"]");
}

#[test]
fn a_glob_of_many_stars_ends() {
    let pattern = "*a".repeat(200) + "b";
    assert!(!globs(&[&pattern]).matches(&"a".repeat(5_000)));
}

/// The definition, as slow as it is plain.
fn slow(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => (0..=text.len()).any(|n| slow(rest, &text[n..])),
        (Some(('?', rest)), Some((_, tail))) => slow(rest, tail),
        (Some((p, rest)), Some((t, tail))) => p == t && slow(rest, tail),
        _ => false,
    }
}

proptest! {
    #[test]
    fn globs_are_what_they_are_defined_to_be(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(globs(&[&pattern]).matches(&text), slow(&chars(&pattern), &chars(&text)));
    }
}

#[test]
fn patterns_that_match_nothing_are_told() {
    for (pattern, message, mend) in [
        ("", "an empty pattern", ""),
        ("!", "an empty pattern", ""),
        ("!!a", "two `!`", "write `!a`"),
        ("^web-.*$", "'^' never stands in a name", "globs"),
        ("team/web", "'/' never stands in a name", "globs"),
        ("web-[0-9]", "'[' never stands in a name", "globs"),
        ("${object.x}", "`${ }` has no place", "a test in `where`"),
    ] {
        let (told, offered) = Globs::check(pattern).unwrap_err();
        assert!(told.contains(message), "{pattern}: {told}");
        assert!(offered.unwrap_or_default().contains(mend), "{pattern}");
    }
    for pattern in ["web", "!kube-*", "system:node:*", "a.b", "Web?"] {
        assert_eq!(Globs::check(pattern), Ok(()), "{pattern}");
    }
}

fn selector(requirements: &[(&str, LabelOperator, &[&str])]) -> LabelSelector {
    LabelSelector::new(
        requirements
            .iter()
            .map(|(key, operator, values)| Requirement::new(key, *operator, values).unwrap())
            .collect(),
    )
}

fn matches(selector: &LabelSelector, labels: &Value) -> bool {
    let record = Record::from_value(&json!({ "labels": labels }));
    selector.matches(record.root().get_str("labels"))
}

#[test]
fn label_selectors_mean_what_kubernetes_means() {
    use LabelOperator::{DoesNotExist, Exists, In, NotIn};
    let there = json!({"tier": "web", "app.kubernetes.io/name": "shop", "empty": ""});
    let not_there = json!({});
    for (key, operator, values, on, without) in [
        ("tier", In, &["web", "api"][..], true, false),
        ("tier", In, &["api"], false, false),
        ("tier", NotIn, &["web"], false, true),
        ("tier", NotIn, &["api"], true, true),
        ("tier", Exists, &[], true, false),
        ("tier", DoesNotExist, &[], false, true),
        ("empty", In, &[""], true, false),
        ("app.kubernetes.io/name", In, &["shop"], true, false),
    ] {
        let selector = selector(&[(key, operator, values)]);
        assert_eq!(
            matches(&selector, &there),
            on,
            "{key} {operator:?} {values:?}"
        );
        assert_eq!(
            matches(&selector, &not_there),
            without,
            "{key} {operator:?} {values:?}"
        );
        assert_eq!(
            selector.matches(None),
            without,
            "{key} {operator:?} {values:?}"
        );
    }
    let both = selector(&[("tier", In, &["web"]), ("empty", Exists, &[])]);
    assert!(matches(&both, &there));
    assert!(!matches(&both, &json!({"tier": "web"})));
    assert!(LabelSelector::default().is_empty() && LabelSelector::default().matches(None));
    // Objects that break their schema: a label that is no text is there, and equal to nothing.
    let odd = json!({"tier": 1, "empty": null});
    assert!(!matches(&selector(&[("tier", In, &["1"])]), &odd));
    assert!(matches(&selector(&[("tier", Exists, &[])]), &odd));
    assert!(matches(&selector(&[("empty", DoesNotExist, &[])]), &odd));
}

#[test]
fn selectors_become_queries() {
    use LabelOperator::{DoesNotExist, Exists, In, NotIn};
    let all = selector(&[
        ("a", In, &["x"]),
        ("b.io/c", In, &["x", "y"]),
        ("d", NotIn, &["x"]),
        ("e", NotIn, &["x", "y"]),
        ("f", Exists, &[]),
        ("g", DoesNotExist, &[]),
    ]);
    assert_eq!(
        all.to_query(),
        "a=x,b.io/c in (x,y),d!=x,e notin (x,y),f,!g"
    );
    assert_eq!(LabelSelector::default().to_query(), "");
}

#[test]
fn what_no_label_can_be_is_refused() {
    use LabelOperator::{DoesNotExist, Exists, In};
    let long = "a".repeat(64);
    for (key, operator, values, part, message) in [
        ("", In, &["x"][..], SelectorPart::Key, "is no label key"),
        ("a b", In, &["x"], SelectorPart::Key, "is no label key"),
        ("/a", In, &["x"], SelectorPart::Key, "DNS name"),
        ("UPPER.io/a", In, &["x"], SelectorPart::Key, "DNS name"),
        ("a/b/c", In, &["x"], SelectorPart::Key, "is no label key"),
        (&long, In, &["x"], SelectorPart::Key, "63 letters"),
        ("app-*", In, &["x"], SelectorPart::Key, "is no label key"),
        ("${object.x}", In, &["x"], SelectorPart::Key, "no place"),
        (
            "a",
            In,
            &["x", "-y"],
            SelectorPart::Value(1),
            "is no label value",
        ),
        (
            "a",
            In,
            &["web-*"],
            SelectorPart::Value(0),
            "is no label value",
        ),
        ("a", In, &[&long], SelectorPart::Value(0), "63 letters"),
        (
            "a",
            In,
            &["${object.x}"],
            SelectorPart::Value(0),
            "no place",
        ),
        ("a", In, &[], SelectorPart::Values, "`In` needs `values`"),
        (
            "a",
            Exists,
            &["x"],
            SelectorPart::Values,
            "`Exists` takes no `values`",
        ),
        (
            "a",
            DoesNotExist,
            &["x"],
            SelectorPart::Values,
            "takes no `values`",
        ),
    ] {
        let problem = Requirement::new(key, operator, values).unwrap_err();
        assert_eq!(problem.part, part, "{key} {values:?}: {problem:?}");
        assert!(
            problem.message.contains(message),
            "{key} {values:?}: {problem:?}"
        );
    }
    assert!(Requirement::label("app.kubernetes.io/name", "a_B.c-9").is_ok());
    assert_eq!(LabelOperator::parse("NotIn"), Some(LabelOperator::NotIn));
    assert_eq!(LabelOperator::parse("notin"), None);
}

fn everything() -> Match {
    Match {
        kinds: vec![],
        workload: false,
        names: globs(&[]),
        namespaces: globs(&[]),
        selector: LabelSelector::default(),
        namespace_selector: None,
        deleting: Deleting::Exclude,
    }
}

/// Also sees to it that the parts shown to people say the same.
fn covers(rule: &Match, object: &Value, namespace: NamespaceObject<'_>) -> InScope {
    let record = Record::from_value(object);
    let covered = rule.covers(record.meta(), namespace);
    let parts = rule.parts(record.meta(), namespace);
    let told = if parts.iter().any(|part| part.holds == InScope::No) {
        InScope::No
    } else if parts.iter().any(|part| part.holds == InScope::Unknown) {
        InScope::Unknown
    } else {
        InScope::Yes
    };
    assert_eq!(told, covered, "{parts:?}");
    covered
}

#[test]
fn names_and_namespaces() {
    let web = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}});
    let generated = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "web-", "namespace": "shop"}});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}});
    let shop = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    // A custom kind that happens to be called like the built-in one.
    let other = json!({"apiVersion": "x.io/v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    for (names, namespaces, object, expected) in [
        (&[][..], &[][..], &web, InScope::Yes),
        (&["web"], &[], &web, InScope::Yes),
        (&["!web"], &[], &web, InScope::No),
        (&["web-*"], &[], &generated, InScope::Yes),
        (&["web"], &[], &generated, InScope::No),
        (&[], &["shop"], &web, InScope::Yes),
        (&[], &["!shop"], &web, InScope::No),
        (&[], &["other"], &node, InScope::Yes),
        (&[], &["other"], &shop, InScope::No),
        (&[], &["sh*"], &shop, InScope::Yes),
        (&[], &["other"], &other, InScope::Yes),
    ] {
        let rule = Match {
            names: globs(names),
            namespaces: globs(namespaces),
            ..everything()
        };
        assert_eq!(
            covers(&rule, object, NamespaceObject::Unknown),
            expected,
            "{names:?} {namespaces:?} {object}"
        );
    }
}

#[test]
fn namespace_selectors_wait_for_the_namespace() {
    let labelled =
        Record::from_value(&json!({"metadata": {"name": "shop", "labels": {"env": "prod"}}}));
    let bare = Record::from_value(&json!({"metadata": {"name": "shop"}}));
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "b"}}});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}});
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"env": "prod"}}});
    let rule = Match {
        namespace_selector: Some(selector(&[("env", LabelOperator::In, &["prod"])])),
        ..everything()
    };
    for (object, known, expected) in [
        (&pod, NamespaceObject::Known(labelled.root()), InScope::Yes),
        (&pod, NamespaceObject::Known(bare.root()), InScope::No),
        (&pod, NamespaceObject::Unknown, InScope::Unknown),
        (&node, NamespaceObject::None, InScope::Yes),
        (&namespace, NamespaceObject::Unknown, InScope::Yes),
    ] {
        assert_eq!(covers(&rule, object, known), expected, "{object}");
    }
    // What else keeps an object out is certain, and an empty selector asks for nothing.
    let named = Match {
        names: globs(&["other"]),
        ..rule.clone()
    };
    assert_eq!(covers(&named, &pod, NamespaceObject::Unknown), InScope::No);
    let empty = Match {
        namespace_selector: Some(LabelSelector::default()),
        ..everything()
    };
    assert_eq!(covers(&empty, &pod, NamespaceObject::Unknown), InScope::Yes);
    let labels = Match {
        selector: selector(&[("a", LabelOperator::Exists, &[])]),
        ..everything()
    };
    assert_eq!(
        covers(&labels, &pod, NamespaceObject::Unknown),
        InScope::Yes
    );
    assert_eq!(covers(&labels, &node, NamespaceObject::None), InScope::No);
}

#[test]
fn deleting_and_workloads() {
    let alive = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
    let dying = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    let only = Match {
        deleting: Deleting::Only,
        ..everything()
    };
    for (rule, object, expected) in [
        (&everything(), &alive, InScope::Yes),
        (&everything(), &dying, InScope::No),
        (&only, &alive, InScope::No),
        (&only, &dying, InScope::Yes),
    ] {
        assert_eq!(
            covers(rule, object, NamespaceObject::None),
            expected,
            "{object}"
        );
    }
    let owners = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "1", "controller": true}]);
    let plain_owners =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "web", "uid": "1"}]);
    let of = |api_version: &str, kind: &str, owners: &Value| json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "web", "ownerReferences": owners}});
    let workloads = Match {
        workload: true,
        ..everything()
    };
    for (object, expected) in [
        (of("apps/v1", "ReplicaSet", &owners), InScope::No),
        (of("apps/v1", "ReplicaSet", &plain_owners), InScope::Yes),
        (of("apps/v1", "Deployment", &json!([])), InScope::Yes),
        (of("batch/v1", "Job", &owners), InScope::No),
        // Named beside `Workload`: a kind that it does not stand for keeps its owned objects.
        (of("v1", "Pod", &owners), InScope::Yes),
    ] {
        assert_eq!(
            covers(&workloads, &object, NamespaceObject::None),
            expected,
            "{object}"
        );
        assert_eq!(
            covers(&everything(), &object, NamespaceObject::None),
            InScope::Yes,
            "{object}"
        );
    }
}
