//! Paths against the schema of built-in kinds.

use super::*;
use crate::object::GroupKind;
use crate::schema::{KindSchema, Schema, Shape};
use std::sync::Arc;

fn kind(group: &str, name: &str) -> Arc<KindSchema> {
    Schema::bundled()
        .kind(&GroupKind::new(group, name))
        .unwrap()
}

fn checked(path: &str, kind: &KindSchema) -> Result<(), PathProblem> {
    Path::parse(path).unwrap().check(kind)
}

#[test]
fn what_a_kind_has_is_fine() {
    let (pod, deployment, cron) = (
        kind("", "Pod"),
        kind("apps", "Deployment"),
        kind("batch", "CronJob"),
    );
    for (path, kind) in [
        ("$", &pod),
        ("$.metadata.labels['app.kubernetes.io/name']", &pod),
        (
            "$.metadata.ownerReferences[?@.controller == true].kind",
            &pod,
        ),
        ("$.spec.containers[*].image", &pod),
        (
            "$.spec['containers','initContainers'][0].env[?@.valueFrom.secretKeyRef.name == 'x'].name",
            &pod,
        ),
        (
            "$.status.conditions[?@.type == 'Ready' && @.status == 'True'].lastTransitionTime",
            &pod,
        ),
        ("$containers[*].resources.limits.memory", &deployment),
        ("$containers[?!search(@.image, '@sha256:')]", &cron),
        (
            "$containers[?count(@.env[*]) > 3 && length(@.name) < 9].name",
            &cron,
        ),
        ("$pod.spec.nodeSelector.disk", &cron),
        (
            "$pod..['configMapRef','configMapKeyRef','configMap'].name",
            &deployment,
        ),
        ("$..image", &deployment),
        ("$..['shop.example/team']", &deployment),
        ("$..app", &deployment),
        ("$..[?@.image].name", &deployment),
        ("$.spec.*", &deployment),
        (
            "$.spec.template.spec.containers[?@.name == $.metadata.name].image",
            &deployment,
        ),
        ("$.data.anything", &kind("", "ConfigMap")),
        ("$.spec.strategy.rollingUpdate.maxSurge", &deployment),
    ] {
        let checked = checked(path, kind);
        assert!(checked.is_ok(), "{path} in {}: {checked:?}", kind.gvk.kind);
    }
}

/// The marked part, a part of the message, the mend.
#[test]
fn what_a_kind_does_not_have_is_marked_with_the_nearest_name() {
    let (pod, deployment) = (kind("", "Pod"), kind("apps", "Deployment"));
    for (path, kind, marked, message, mend) in [
        (
            "$.spec.replica",
            &deployment,
            "replica",
            "Deployment has no field `replica` here",
            Some("did you mean `replicas`?"),
        ),
        (
            "$.spec.Replicas",
            &deployment,
            "Replicas",
            "no field `Replicas`",
            Some("did you mean `replicas`?"),
        ),
        (
            "$.metadata.label.x",
            &pod,
            "label",
            "no field `label`",
            Some("did you mean `labels`?"),
        ),
        (
            "$containers[*].imge",
            &deployment,
            "imge",
            "no field `imge`",
            Some("did you mean `image`?"),
        ),
        (
            "$.spec.containers[?@.nam == 'nam'].image",
            &pod,
            "nam",
            "no field `nam`",
            Some("did you mean `name`?"),
        ),
        (
            "$.spec.containers[?search(@.imag, 'x')].image",
            &pod,
            "imag",
            "no field `imag`",
            Some("did you mean `image`?"),
        ),
        (
            "$.spec.containers[?@.env[?@.vlue == 'x']].name",
            &pod,
            "vlue",
            "no field `vlue`",
            Some("did you mean `value`?"),
        ),
        (
            "$.spec.containers[?@.name == $.metadata.nam].name",
            &pod,
            "nam",
            "no field `nam`",
            Some("did you mean `name`?"),
        ),
        (
            "$.spec.containers.image",
            &pod,
            "image",
            "looked for in a list",
            Some("write `[*]` before it to look into each element"),
        ),
        (
            "$.spec.nodeName.x",
            &pod,
            "x",
            "looked for in text, which has no fields",
            None,
        ),
        (
            "$.spec.replicas[0]",
            &deployment,
            "replicas",
            "`replicas` is a number: a number in brackets",
            None,
        ),
        (
            "$.spec.replicas[*]",
            &deployment,
            "replicas",
            "`replicas` is a number: `*` selects",
            None,
        ),
        (
            "$.metadata.labels[0]",
            &pod,
            "labels",
            "`labels` is a map: a number in brackets",
            None,
        ),
        (
            "$.spec.nodeName[?@.x]",
            &pod,
            "nodeName",
            "`nodeName` is text: a filter selects",
            None,
        ),
        (
            "$..imagee",
            &pod,
            "imagee",
            "nothing below this is called `imagee` in Pod",
            Some("did you mean `image`, `imageID` or `imageRef`?"),
        ),
        (
            "$.spec['replicas','paussed']",
            &deployment,
            "paussed",
            "no field `paussed`",
            Some("did you mean `paused`?"),
        ),
    ] {
        let Err(problem) = checked(path, kind) else {
            panic!("{path} is fine")
        };
        assert_eq!(
            &path[problem.at..problem.at + problem.length],
            marked,
            "{path}: {problem:?}"
        );
        assert!(problem.message.contains(message), "{path}: {problem:?}");
        assert_eq!(problem.mend.as_deref(), mend, "{path}");
    }
    let marked_last = "$.spec.containers[?@.nam == 'nam'].image";
    assert_eq!(
        checked(marked_last, &pod).unwrap_err().at,
        marked_last.find("nam ").unwrap()
    );
}

#[test]
fn a_kind_without_a_pod_has_none_of_its_roots() {
    let config = kind("", "ConfigMap");
    for (path, marked) in [("$pod.spec.x", 4), ("$containers[*].image", 11)] {
        let problem = checked(path, &config).unwrap_err();
        assert_eq!((problem.at, problem.length), (0, marked));
        assert!(
            problem.message.contains("a ConfigMap has no Pod"),
            "{problem:?}"
        );
    }
}

#[test]
fn the_type_of_what_is_selected_is_known_where_it_is_one() {
    let (pod, deployment) = (kind("", "Pod"), kind("apps", "Deployment"));
    for (path, kind, expected) in [
        ("$.spec.replicas", &deployment, Some(Shape::Integer)),
        ("$.metadata.labels", &pod, Some(Shape::Map)),
        ("$.metadata.labels.x", &pod, Some(Shape::String)),
        ("$.metadata.creationTimestamp", &pod, Some(Shape::Time)),
        ("$containers[*].image", &deployment, Some(Shape::String)),
        ("$.spec.containers", &pod, Some(Shape::List)),
        (
            "$.spec.containers[*].resources.limits.cpu",
            &pod,
            Some(Shape::Quantity),
        ),
        ("$.spec['replicas','paused']", &deployment, None),
        ("$.spec.nonsense", &deployment, None),
    ] {
        let found = Path::parse(path)
            .unwrap()
            .type_in(kind)
            .map(|of| of.shape());
        assert_eq!(found, expected, "{path}");
    }
    let list = Path::parse("$containers[*].env").unwrap();
    assert_eq!(
        list.type_in(&deployment).map(|of| of.list_keys()),
        Some(vec!["name"])
    );
}
