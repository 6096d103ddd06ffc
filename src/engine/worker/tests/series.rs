//! Rules with `metric`: a metric has so many series and no more.

use super::*;
use crate::engine::series::MOST;

const NUMBER: &str = "  where:\n  - {path: $.data.n, operator: Exists}\n  actions:\n  - metric: {name: shop_number, value: '${object.data.n}'}\n";
const SUM: &str = "  where:\n  - {path: $.data.n, operator: Exists}\n  actions:\n  - metric: {name: shop_number, value: '${object.data.n}', labels: {all: 'yes'}, aggregate: Sum}\n";

fn numbered(n: usize) -> Record {
    map(&format!("m{n}"), 1, json!({"data": {"n": n.to_string()}}))
}

fn series(bench: &Bench) -> usize {
    let status = bench.engine.status(at(0));
    status.rules[0].metrics[0].rows.len()
}

fn gone(bench: &mut Bench, n: usize, now: i64) {
    let deleted = Observation::Deleted {
        key: key(&format!("m{n}")),
        resource_version: None,
    };
    bench.engine.observe(deleted, at(now));
    bench.work(now);
}

#[test]
fn what_is_above_the_most_series_is_left_out_and_told_until_there_is_room() {
    let records = (0..=MOST).map(numbered).collect();
    let mut bench = Bench::new(EngineOptions::default(), rules(&[NUMBER]), records);
    bench.work(0);
    assert_eq!((MOST, series(&bench)), (1_000, 1_000));
    let told = "`shop_number` would have more than 1000 series: further objects are left out; `aggregate`, or labels with fewer values, make fewer";
    assert_eq!(messages(&bench, Reason::TooManySeries), [told]);
    // One that is left out more is no second finding.
    bench.see(numbered(MOST + 1), 1);
    bench.work(1);
    assert_eq!(series(&bench), 1_000);
    assert_eq!(bench.found(Reason::TooManySeries), 1);
    // Whichever goes, one that was left out takes its place.
    gone(&mut bench, 0, 2);
    assert_eq!(series(&bench), 1_000);
    assert_eq!(bench.found(Reason::TooManySeries), 1);
    gone(&mut bench, 1, 3);
    assert_eq!(series(&bench), 1_000);
    assert_eq!(bench.found(Reason::TooManySeries), 0);
    gone(&mut bench, 2, 4);
    assert_eq!(series(&bench), 999);
}

#[test]
fn a_rule_that_adds_them_up_has_room_for_all() {
    let records = (0..=MOST).map(numbered).collect();
    let mut bench = Bench::new(EngineOptions::default(), rules(&[NUMBER]), records);
    bench.work(0);
    assert_eq!(bench.found(Reason::TooManySeries), 1);
    bench.engine.load(rules(&[SUM]), at(1));
    bench.work(1);
    assert_eq!(bench.found(Reason::TooManySeries), 0);
    let status = bench.engine.status(at(1));
    let rows = &status.rules[0].metrics[0].rows;
    assert_eq!((rows.len(), rows[0].1), (1, 500_500.0));
}
