//! One write, and none before the watch has shown it.

use super::*;

#[test]
fn one_write_and_none_once_the_watch_shows_it() {
    let mut bench = Bench::labelling();
    let (id, write) = one(bench.work(0));
    assert_eq!(
        (write.object, write.resource_version.as_str()),
        (key("a"), "1")
    );
    bench.answer(id, Outcome::Written(labelled(5)), 0);
    // The watch is late: an older event of somebody else must not lead to a second write.
    bench.see(map("a", 3, json!({"data": {"x": "1"}})), 0);
    assert!(bench.work(0).is_empty());
    bench.see(labelled(5), 1);
    assert!(bench.work(1).is_empty());
    assert!(bench.engine.is_idle());
}

#[test]
fn a_deletion_right_after_the_write_ends_the_waiting() {
    let mut bench = Bench::labelling();
    let (id, _) = one(bench.work(0));
    bench.engine.observe(
        Observation::Deleted {
            key: key("a"),
            resource_version: Some("6".into()),
        },
        at(0),
    );
    bench.answer(id, Outcome::Written(labelled(5)), 0);
    assert!(bench.work(0).is_empty());
    assert!(bench.engine.is_idle());
    // Created anew under the same name: it is an object of its own.
    bench.see(map("a", 9, json!({})), 1);
    assert_eq!(bench.work(1).len(), 1);
}

#[test]
fn a_list_that_skips_the_version_ends_the_waiting() {
    let mut bench = Bench::labelling();
    let (id, _) = one(bench.work(0));
    bench.answer(id, Outcome::Written(labelled(5)), 0);
    bench.list(
        vec![map(
            "a",
            8,
            json!({"labels": {"team": "web"}, "data": {"x": "1"}}),
        )],
        1,
    );
    assert!(bench.work(1).is_empty());
    assert!(bench.engine.is_idle());
}

#[test]
fn a_watch_that_never_shows_the_write_is_asked_directly() {
    let mut bench = Bench::labelling();
    let (id, _) = one(bench.work(0));
    bench.answer(id, Outcome::Written(labelled(5)), 0);
    assert!(bench.work(29).is_empty());
    assert_eq!(bench.wake, Some(at(30)));
    assert!(bench.work(30).is_empty());
    let read = bench.effects.iter().find_map(|e| match e {
        Effect::Read(id, key) => Some((*id, key.clone())),
        _ => None,
    });
    let (id, asked) = read.unwrap();
    assert_eq!(asked, key("a"));
    bench.answer(id, Outcome::Read(labelled(5)), 30);
    assert!(bench.work(30).is_empty());
    assert!(bench.engine.is_idle());
}

#[test]
fn another_object_of_the_same_name_has_no_past() {
    let mut bench = Bench::labelling();
    let (id, _) = one(bench.work(0));
    bench.answer(id, Outcome::Failed(Fault::Refused("no".into())), 0);
    assert!(bench.work(0).is_empty());
    let mut other = map("a", 2, json!({})).to_value();
    other["metadata"]["uid"] = "other".into();
    bench.see(Record::from_value(&other), 1);
    assert_eq!(bench.found(Reason::Refused), 0);
    assert_eq!(bench.work(1).len(), 1);
}

#[test]
fn a_list_that_began_before_the_write_does_not_end_the_waiting() {
    let mut bench = Bench::labelling();
    let (id, _) = one(bench.work(0));
    bench
        .engine
        .observe(Observation::ListStarted { kind: kind() }, at(0));
    bench.see(map("a", 1, json!({})), 0);
    bench.answer(id, Outcome::Written(labelled(5)), 0);
    bench
        .engine
        .observe(Observation::ListDone { kind: kind() }, at(0));
    assert!(bench.work(0).is_empty(), "the list is older than the write");
    bench.see(labelled(5), 1);
    assert!(bench.work(1).is_empty());
    assert!(bench.engine.is_idle());
}

#[test]
fn no_more_reads_are_in_flight_than_workers() {
    let mut bench = Bench::new(
        EngineOptions {
            workers: 2,
            ..EngineOptions::default()
        },
        rules(&[LABEL]),
        (0..6)
            .map(|n| map(&n.to_string(), n + 1, json!({})))
            .collect(),
    );
    let shown = |name: &str| map(name, 100, json!({"labels": {"team": "web"}}));
    loop {
        let writes = bench.work(0);
        if writes.is_empty() {
            break;
        }
        for (id, write) in writes {
            bench.answer(id, Outcome::Written(shown(&write.object.name)), 0);
        }
    }
    // No watch shows any of them.
    let mut read = 0;
    loop {
        bench.work(60);
        let asked: Vec<(RequestId, ObjectKey)> = bench
            .effects
            .drain(..)
            .filter_map(|e| match e {
                Effect::Read(id, key) => Some((id, key)),
                _ => None,
            })
            .collect();
        assert!(asked.len() <= 2, "{asked:?}");
        if asked.is_empty() {
            break;
        }
        assert_eq!(bench.wake, None, "an answer comes first");
        for (id, key) in asked {
            read += 1;
            bench.answer(id, Outcome::Read(shown(&key.name)), 60);
        }
    }
    assert_eq!(read, 6);
    assert!(bench.engine.is_idle());
}
