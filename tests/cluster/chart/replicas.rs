//! More than one replica, with default values: they are spread, and an eviction leaves one of them.

use super::*;

/// What is made of the chart with this many replicas.
fn rendered(replicas: u32) -> Vec<Value> {
    let set = format!("replicas={replicas}");
    render("ordain", &chart(), &["--set", &set]).unwrap()
}

fn of_kind<'o>(objects: &'o [Value], kind: &str) -> Vec<&'o Value> {
    objects.iter().filter(|o| o["kind"] == kind).collect()
}

#[test]
fn two_replicas_are_spread_and_never_evicted_together() {
    let objects = rendered(2);
    let [deployment] = of_kind(&objects, "Deployment")[..] else {
        panic!("{objects:?}");
    };
    let template = &deployment["spec"]["template"];
    let labels = template["metadata"]["labels"].as_object().unwrap();
    let selects_them = |selector: &Value| {
        let wanted = selector["matchLabels"].as_object().unwrap();
        !wanted.is_empty() && wanted.iter().all(|(k, v)| labels.get(k) == Some(v))
    };
    let spread = template["spec"]["topologySpreadConstraints"].as_array();
    let spread = spread.unwrap();
    let over: Vec<&str> = spread
        .iter()
        .map(|s| s["topologyKey"].as_str().unwrap())
        .collect();
    assert_eq!(
        over,
        ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    );
    for constraint in spread {
        // A cluster of one node gets both.
        assert_eq!(constraint["whenUnsatisfiable"], "ScheduleAnyway");
        assert_eq!(constraint["maxSkew"], 1);
        assert!(selects_them(&constraint["labelSelector"]), "{constraint}");
    }
    let [budget] = of_kind(&objects, "PodDisruptionBudget")[..] else {
        panic!("{objects:?}");
    };
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    assert_eq!(budget["spec"].get("minAvailable"), None);
    assert!(selects_them(&budget["spec"]["selector"]), "{budget}");
    assert_eq!(
        budget["metadata"]["namespace"],
        deployment["metadata"]["namespace"]
    );
}

#[test]
fn one_replica_holds_up_no_eviction() {
    let objects = rendered(1);
    assert!(of_kind(&objects, "PodDisruptionBudget").is_empty());
    let deployment = of_kind(&objects, "Deployment")[0];
    let spec = &deployment["spec"]["template"]["spec"];
    assert_eq!(spec.get("topologySpreadConstraints"), None);
}
