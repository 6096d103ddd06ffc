#![allow(clippy::unwrap_used)]

use super::manifest::Names;
use super::*;
use crate::rule::compile::{SourceFile, compile};
use crate::schema::Schema;
use proptest::prelude::*;

fn rule(name: &str, mode: &str, resources: &str, actions: &str) -> SourceFile {
    let text = format!(
        "apiVersion: ordain.dev/v1alpha1\nkind: Rule\nmetadata: {{name: {name}}}\nspec:\n  mode: {mode}\n  match: {{resources: [{resources}]}}\n  actions: [{actions}]\n"
    );
    SourceFile {
        name: format!("{name}.yaml").into(),
        bytes: text.into_bytes(),
    }
}

fn set(files: &[SourceFile]) -> RuleSet {
    let schema = Schema::bundled();
    let compiled = compile(files, &schema);
    assert!(!compiled.has_errors(), "{:?}", compiled.problems);
    RuleSet::new(compiled.rules, schema)
}

fn scope(namespaces: &[&str]) -> Scope {
    Scope {
        namespaces: namespaces.iter().map(|n| (*n).into()).collect(),
        read_only: false,
        own: Own {
            state_namespace: "ordain-system".into(),
            lease: DEFAULT_LEASE.into(),
            events: true,
        },
    }
}

/// `verb resource` of what rules need, without Namespaces.
fn of_rules(rights: &Rights) -> Vec<String> {
    let of_rules = rights
        .grants
        .iter()
        .filter(|g| matches!(g.reason, Reason::Rules(_)) && g.right.resource != "namespaces");
    of_rules
        .map(|g| format!("{} {}", g.right.verb.as_str(), g.right.resource))
        .collect()
}

const POD: &str = "{apiVersion: v1, kind: Pod}";
const LABEL: &str = "{patch: [{path: $.metadata.labels.a, set: b}]}";
const STATUS: &str = "{patch: [{path: $.status.message, set: b}], subresource: status}";
const DELETE: &str = "{delete: {}}";
const WARN: &str = "{warn: {message: hear}}";

fn derived(actions: &str) -> Vec<String> {
    of_rules(&derive(&set(&[rule("r", "Enforce", POD, actions)]), &scope(&[])).unwrap())
}

#[test]
fn what_a_rule_may_everywhere_is_not_granted_at_home_again() {
    let kind = "{apiVersion: v1, kind: ConfigMap}";
    let rights = derive(&set(&[rule("r", "Enforce", kind, DELETE)]), &scope(&[])).unwrap();
    let maps = rights
        .grants
        .iter()
        .filter(|g| g.right.resource == "configmaps");
    let maps: Vec<String> = maps.map(|g| g.right.to_string()).collect();
    assert_eq!(
        maps,
        [
            "get configmaps in the whole cluster",
            "list configmaps in the whole cluster",
            "watch configmaps in the whole cluster",
            "delete configmaps in the whole cluster",
            "create configmaps in namespace ordain-system",
            "update configmaps in namespace ordain-system",
        ]
    );
}

#[test]
fn a_rule_that_looks_at_admission_alone_needs_nothing() {
    let mut file = rule("r", "Enforce", POD, LABEL);
    let text = String::from_utf8(file.bytes).unwrap();
    file.bytes = text
        .replace("spec:\n", "spec:\n  when: [Create]\n")
        .into_bytes();
    assert!(of_rules(&derive(&set(&[file]), &scope(&[])).unwrap()).is_empty());
}

#[test]
fn a_scale_that_remembers_is_a_patch_of_the_object() {
    let kind = "{apiVersion: apps/v1, kind: Deployment}";
    let of = |step: &str| {
        of_rules(&derive(&set(&[rule("r", "Enforce", kind, step)]), &scope(&[])).unwrap())
    };
    let plain = of("{scale: {replicas: 2}}");
    assert!(
        plain.contains(&"patch deployments/scale".to_owned()),
        "{plain:?}"
    );
    let once = of("{scale: {replicas: 2}, once: {key: a}}");
    assert!(once.contains(&"patch deployments".to_owned()), "{once:?}");
    assert!(
        !once.contains(&"patch deployments/scale".to_owned()),
        "{once:?}"
    );
}

#[test]
fn each_step_needs_its_own_verb() {
    let read = ["list pods", "watch pods"];
    assert_eq!(derived(WARN), read);
    assert_eq!(
        derived(LABEL),
        ["get pods", "list pods", "watch pods", "patch pods"]
    );
    assert_eq!(
        derived(STATUS),
        ["get pods", "list pods", "watch pods", "patch pods/status"]
    );
    assert_eq!(
        derived(DELETE),
        ["get pods", "list pods", "watch pods", "delete pods"]
    );
}

#[test]
fn what_is_protected_from_a_step_whatever_it_is_called_needs_no_right_to_it() {
    let nodes = "{apiVersion: v1, kind: Node}, {apiVersion: v1, kind: Pod}";
    let both = format!("{LABEL}, {DELETE}");
    let of = |more: &str| {
        let actions = format!("{both}]\n  allowProtected: [{more}");
        let rules = [rule("r", "Enforce", nodes, &actions)];
        of_rules(&derive(&set(&rules), &scope(&[])).unwrap())
    };
    let shy = of("");
    assert!(shy.contains(&"patch nodes".to_owned()), "{shy:?}");
    assert!(shy.contains(&"delete pods".to_owned()), "{shy:?}");
    assert!(!shy.contains(&"delete nodes".to_owned()), "{shy:?}");
    assert!(of("delete").contains(&"delete nodes".to_owned()));
}

#[test]
fn audit_needs_what_enforce_does_and_off_needs_nothing() {
    let of = |mode| derive(&set(&[rule("r", mode, POD, DELETE)]), &scope(&[])).unwrap();
    assert_eq!(of("Audit"), of("Enforce"));
    assert!(of_rules(&of("Off")).is_empty());
    let frozen = Scope {
        read_only: true,
        ..scope(&[])
    };
    let rights = derive(&set(&[rule("r", "Enforce", POD, DELETE)]), &frozen).unwrap();
    assert_eq!(of_rules(&rights), ["list pods", "watch pods"]);
}

#[test]
fn each_right_names_the_rules_that_need_it() {
    let rights = derive(
        &set(&[
            rule("deletes", "Audit", POD, DELETE),
            rule("warns", "Audit", POD, WARN),
        ]),
        &scope(&[]),
    )
    .unwrap();
    let why = |verb: RbacVerb| {
        let grant = rights
            .grants
            .iter()
            .find(|g| g.right.resource == "pods" && g.right.verb == verb);
        grant.unwrap().reason.to_string()
    };
    assert_eq!(why(RbacVerb::List), "rules deletes, warns");
    assert_eq!(why(RbacVerb::Delete), "rule deletes");
}

#[test]
fn with_namespaces_nothing_is_asked_of_the_whole_cluster() {
    let node = "{apiVersion: v1, kind: Node}";
    let set = set(&[
        rule("pods", "Audit", POD, DELETE),
        rule("nodes", "Audit", node, LABEL),
    ]);
    let rights = derive(&set, &scope(&["shop", "bar"])).unwrap();
    assert!(
        rights
            .grants
            .iter()
            .all(|g| g.right.place != Place::Cluster)
    );
    let places: BTreeSet<&Place> = rights.grants.iter().map(|g| &g.right.place).collect();
    let named = |n: &str| Place::Namespace(n.into());
    assert_eq!(
        places.into_iter().cloned().collect::<Vec<_>>(),
        [named("bar"), named("ordain-system"), named("shop")]
    );
    assert_eq!(
        rights.out_of_reach,
        [("nodes".into(), GroupKind::new("", "Node"))]
    );
}

#[test]
fn a_kind_without_a_plural_is_named_with_its_rule() {
    let odd = "{apiVersion: odd.example/v1, kind: Odd}";
    let unknown = derive(
        &set(&[
            rule("odd", "Audit", odd, LABEL),
            rule("odder", "Audit", odd, LABEL),
        ]),
        &scope(&[]),
    )
    .unwrap_err();
    assert_eq!(unknown.len(), 1);
    let said = unknown[0].to_string();
    assert!(
        said.contains("`odd`") && said.contains("odd.example/v1/Odd"),
        "{said}"
    );
}

fn names() -> Names {
    Names {
        name: "ordain".into(),
        service_account: "keeper".into(),
        state_namespace: "ordain-system".into(),
    }
}

#[test]
fn what_the_same_rules_need_stands_on_one_line() {
    let rights = derive(
        &set(&[
            rule(
                "jobs",
                "Audit",
                "{apiVersion: batch/v1, kind: Job}, {apiVersion: batch/v1, kind: CronJob}",
                DELETE,
            ),
            rule("pods", "Audit", POD, WARN),
        ]),
        &scope(&[]),
    )
    .unwrap();
    let expected = r#"apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: ordain
  labels:
    app.kubernetes.io/name: ordain
rules:
# rules jobs, pods
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
# rule pods
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# the daemon itself: kinds that come and go
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [list, watch]
# the daemon itself: kinds that come and go
- apiGroups: [apiregistration.k8s.io]
  resources: [apiservices]
  verbs: [list, watch]
# rule jobs
- apiGroups: [batch]
  resources: [cronjobs, jobs]
  verbs: [get, list, watch, delete]
# the daemon itself: tells of changes that failed or were blocked
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: ordain
  labels:
    app.kubernetes.io/name: ordain
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: ordain
subjects:
- kind: ServiceAccount
  name: keeper
  namespace: ordain-system
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: ordain
  namespace: ordain-system
  labels:
    app.kubernetes.io/name: ordain
rules:
# the daemon itself: what rules remember is kept there
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, update, delete]
# the daemon itself: one of its replicas acts, the others wait
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
# the daemon itself: one of its replicas acts, the others wait
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [ordain]
  verbs: [get, update]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: ordain
  namespace: ordain-system
  labels:
    app.kubernetes.io/name: ordain
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: ordain
subjects:
- kind: ServiceAccount
  name: keeper
  namespace: ordain-system
"#;
    similar_asserted(&super::manifest::yaml(&rights, &names()), expected);
}

fn similar_asserted(found: &str, expected: &str) {
    assert!(
        found == expected,
        "{}",
        similar::TextDiff::from_lines(expected, found).unified_diff()
    );
}

/// The rights that the documents give, as (kind, namespace, group, resource, name, verb).
fn given(text: &str) -> Vec<[String; 6]> {
    let mut given = vec![];
    for document in text.split("---\n") {
        let role: serde_json::Value = serde_saphyr::from_str(document).unwrap();
        let text = |v: &serde_json::Value| v.as_str().unwrap_or("").to_owned();
        let all = |v: &serde_json::Value| v.as_array().cloned().unwrap_or_default();
        for rule in all(&role["rules"]) {
            let name = text(&rule["resourceNames"][0]);
            for resource in all(&rule["resources"]) {
                for verb in all(&rule["verbs"]) {
                    given.push([
                        text(&role["kind"]),
                        text(&role["metadata"]["namespace"]),
                        text(&rule["apiGroups"][0]),
                        text(&resource),
                        name.clone(),
                        text(&verb),
                    ]);
                }
            }
        }
    }
    given.sort();
    given
}

proptest! {
    /// Whatever is merged into lines, the documents give each right exactly once and nothing else.
    #[test]
    fn documents_give_exactly_the_rights(
        rules in prop::collection::vec((0usize..4, 0usize..4), 1..24),
        namespaces in prop::sample::subsequence(vec!["a", "b", "ordain-system"], 0..=3),
    ) {
        let kinds = [POD, "{kind: Workload}", "{apiVersion: v1, kind: ConfigMap}", "{apiVersion: v1, kind: Node}"];
        let steps = [LABEL, DELETE, WARN, STATUS];
        let files: Vec<SourceFile> = rules
            .iter()
            .enumerate()
            .map(|(n, (kind, step))| {
                let step = match (kind, step) {
                    (1.., 3) | (3, 1) => LABEL,
                    (_, step) => steps[*step],
                };
                rule(&format!("r{n}"), "Audit", kinds[*kind], step)
            })
            .collect();
        let rights = derive(&set(&files), &scope(&namespaces)).unwrap();
        let mut expected: Vec<[String; 6]> = rights
            .grants
            .iter()
            .map(|g| {
                let (kind, namespace) = match &g.right.place {
                    Place::Cluster => ("ClusterRole", String::new()),
                    Place::Namespace(n) => ("Role", n.to_string()),
                };
                [
                    kind.to_owned(),
                    namespace,
                    g.right.group.to_string(),
                    g.right.resource.clone(),
                    g.right.name.as_ref().map_or(String::new(), ToString::to_string),
                    g.right.verb.as_str().to_owned(),
                ]
            })
            .collect();
        expected.sort();
        let found = given(&super::manifest::yaml(&rights, &names()));
        prop_assert_eq!(&found, &expected);
        expected.dedup();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn what_is_done_to_other_objects_needs_rights_on_those() {
    let apply = "{apply: {apiVersion: v1, kind: Secret, metadata: {name: a}}}";
    let event = "{event: {reason: Seen, message: hear}}";
    let expected = [
        "create secrets",
        "get secrets",
        "list pods",
        "list secrets",
        "patch secrets",
        "watch pods",
        "watch secrets",
    ];
    let mut found = derived(apply);
    found.sort();
    assert_eq!(found, expected);
    let mut found = derived(event);
    found.sort();
    assert_eq!(found, ["create events", "list pods", "watch pods"]);
    let deployment = "{apiVersion: apps/v1, kind: Deployment}";
    let scaling = set(&[rule("r", "Enforce", deployment, "{scale: {replicas: 1}}")]);
    let mut found = of_rules(&derive(&scaling, &scope(&[])).unwrap());
    found.sort();
    let expected = [
        "get deployments",
        "list deployments",
        "patch deployments/scale",
        "watch deployments",
    ];
    assert_eq!(found, expected);
}

#[test]
fn who_changes_something_may_tell_where_that_failed() {
    let told = |actions: &str, scope: &Scope| {
        let rights = derive(&set(&[rule("r", "Audit", POD, actions)]), scope).unwrap();
        let events = rights.grants.iter();
        let events = events.filter(|g| g.right.resource == "events");
        events
            .map(|g| format!("{}, for {}", g.right, g.reason))
            .collect::<Vec<_>>()
    };
    let own = "create events of events.k8s.io in the whole cluster, for the daemon itself: tells of changes that failed or were blocked";
    assert_eq!(told(LABEL, &scope(&[])), [own]);
    assert_eq!(
        told(LABEL, &scope(&["a", "b"])),
        [
            own.replace("the whole cluster", "namespace a"),
            own.replace("the whole cluster", "namespace b"),
        ]
    );
    // Nothing changes, so that nothing fails.
    assert!(told(WARN, &scope(&[])).is_empty());
    let mut without = scope(&[]);
    without.own.events = false;
    assert!(told(LABEL, &without).is_empty());
    let reads = Scope {
        read_only: true,
        ..scope(&[])
    };
    assert!(told(LABEL, &reads).is_empty());
}

#[test]
fn what_lasts_as_long_as_the_match_is_written_whole_and_can_be_taken_away() {
    let of = |actions: &str| {
        let deployments = "{apiVersion: apps/v1, kind: Deployment}";
        let set = set(&[rule("r", "Enforce", deployments, actions)]);
        derive(&set, &scope(&[])).unwrap()
    };
    // The number that was there is written with the new one, which the scale subresource cannot do.
    let scaled = of("{scale: {replicas: 0}, lifetime: WhileMatched}");
    assert_eq!(
        of_rules(&scaled),
        [
            "get deployments",
            "list deployments",
            "watch deployments",
            "patch deployments"
        ]
    );
    let of_daemon = |rights: &Rights| {
        let own = rights.grants.iter().map(|g| g.right.to_string());
        own.filter(|r| r.contains("configmaps")).collect::<Vec<_>>()
    };
    assert_eq!(
        of_daemon(&scaled),
        [
            "get configmaps in namespace ordain-system",
            "list configmaps in namespace ordain-system",
            "create configmaps in namespace ordain-system",
            "update configmaps in namespace ordain-system",
            "delete configmaps in namespace ordain-system",
            "patch configmaps `ordain-lifetimes` in namespace ordain-system",
        ]
    );
    let plain = of_daemon(&of("{scale: {replicas: 0}}"));
    assert!(plain.iter().all(|right| !right.contains("patch")));
    let applied =
        "{apply: {apiVersion: v1, kind: Secret, metadata: {name: a}}, lifetime: WhileMatched}";
    assert!(of_rules(&of(applied)).contains(&"delete secrets".to_owned()));
    let lasting = applied.replace(", lifetime: WhileMatched", "");
    assert!(!of_rules(&of(&lasting)).contains(&"delete secrets".to_owned()));
}

#[test]
fn a_role_is_given_with_the_verb_for_it_or_by_a_person() {
    let namespace = "{apiVersion: v1, kind: Namespace}";
    let binding = |kind: &str, role: &str| {
        format!(
            "{{apply: {{apiVersion: rbac.authorization.k8s.io/v1, kind: {kind}, metadata: {{name: a}}, roleRef: {role}, subjects: [{{kind: Group, name: '${{object.metadata.name}}'}}]}}}}"
        )
    };
    let needs = |files: &[SourceFile], scope: &Scope| {
        let rights = derive(&set(files), scope).unwrap();
        let of_bind = |g: &&Grant| g.right.verb == RbacVerb::Bind;
        let binds = rights.grants.iter().filter(of_bind);
        let binds: Vec<String> = binds.map(|g| g.right.to_string()).collect();
        let by_hand: Vec<String> = rights.by_hand.iter().map(ToString::to_string).collect();
        (binds, by_hand, super::manifest::yaml(&rights, &names()))
    };
    let one = |actions: &str| needs(&[rule("r", "Audit", namespace, actions)], &scope(&[]));

    let edit = binding("RoleBinding", "{kind: ClusterRole, name: edit}");
    let (binds, by_hand, text) = one(&edit);
    assert_eq!(
        binds,
        ["bind clusterroles of rbac.authorization.k8s.io `edit` in the whole cluster"]
    );
    assert!(by_hand.is_empty(), "{by_hand:?}");
    let line = "# rule r\n- apiGroups: [rbac.authorization.k8s.io]\n  resources: [clusterroles]\n  resourceNames: [edit]\n  verbs: [bind]\n";
    assert!(text.contains(line), "{text}");
    let own = binding("RoleBinding", "{kind: Role, name: own}");
    assert!(one(&own).0[0].starts_with("bind roles"));

    let computed = binding(
        "RoleBinding",
        "{kind: ClusterRole, name: '${object.metadata.name}'}",
    );
    let role = "{apply: {apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: a}, rules: []}}";
    for (actions, said) in [
        (&*computed, "grant it `bind`"),
        (role, "or `escalate` on roles"),
    ] {
        let (binds, by_hand, text) = one(actions);
        assert!(binds.is_empty(), "{binds:?}");
        assert!(
            by_hand.len() == 1 && by_hand[0].contains(said),
            "{by_hand:?}"
        );
        assert!(
            text.starts_with("# not among these rights: rule `r` writes"),
            "{text}"
        );
        given(&text);
    }

    let kind = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole}";
    let (_, by_hand, _) = needs(&[rule("r", "Audit", kind, LABEL)], &scope(&[]));
    assert!(by_hand[0].contains("or `escalate` on clusterroles"));
    let (_, by_hand, _) = needs(&[rule("r", "Audit", kind, DELETE)], &scope(&[]));
    assert!(by_hand.is_empty(), "{by_hand:?}");
    let frozen = Scope {
        read_only: true,
        ..scope(&[])
    };
    for actions in [&edit, &computed] {
        let (binds, by_hand, _) = needs(&[rule("r", "Audit", namespace, actions)], &frozen);
        assert!(binds.is_empty() && by_hand.is_empty());
    }
}
