//! The compliance cases of RFC 9535. What rules may not say is refused at load, never answered otherwise; each such case is named here with
//! its reason, and `docs/language.md` tells of it.

use ordain::object::Record;
use ordain::rule::path::Path;
use serde_json::Value;

/// Why valid paths are refused, by what the refusal says, and how many cases that is.
const NARROWER: &[(&str, usize)] = &[
    ("inside a filter `$` takes names and indexes only", 3),
    ("null counts as absent: nothing can be compared with it", 9),
    ("the pattern of `match` and `search` is a literal text", 6),
];

/// Cases that come out otherwise, by name, and why.
const OTHERWISE: &[(&str, &str)] = &[
    (
        "filter, existence, present with null",
        "null counts as absent",
    ),
    ("filter, not exists, data null", "null counts as absent"),
];

fn without_null(values: &Value) -> Vec<Value> {
    let values = values.as_array().unwrap().iter();
    values.filter(|v| !v.is_null()).cloned().collect()
}

#[test]
fn paths_select_what_the_standard_says_or_are_refused() {
    let suite: Value = serde_json::from_str(include_str!("../jsonpath/cts.json")).unwrap();
    let mut failures = vec![];
    let mut refused = vec![0; NARROWER.len()];
    let (mut selected, mut invalid) = (0, 0);
    for case in suite["tests"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let selector = case["selector"].as_str().unwrap();
        let parsed = Path::parse(selector);
        if case["invalid_selector"] == true {
            invalid += 1;
            if parsed.is_ok() {
                failures.push(format!("{name}: {selector} is taken"));
            }
            continue;
        }
        let path = match parsed {
            Ok(path) => path,
            Err(problem) => {
                match NARROWER
                    .iter()
                    .position(|(why, _)| problem.message.contains(why))
                {
                    Some(at) => refused[at] += 1,
                    None => failures.push(format!("{name}: {selector}: {}", problem.message)),
                }
                continue;
            }
        };
        let record = Record::from_value(&case["document"]);
        let mut found = vec![];
        path.select(record.root(), Some(&[]), &mut |node| {
            found.push(node.to_value());
            true
        });
        let allowed: Vec<Vec<Value>> = match case.get("results") {
            Some(several) => several
                .as_array()
                .unwrap()
                .iter()
                .map(without_null)
                .collect(),
            None => vec![without_null(&case["result"])],
        };
        selected += 1;
        let right = allowed.contains(&found);
        let excused = OTHERWISE.iter().any(|(n, _)| *n == name);
        if right == excused {
            failures.push(format!(
                "{name}: {selector} of {} is {}, not {}",
                case["document"],
                Value::from(found),
                Value::from(allowed.concat())
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} cases:\n{}",
        failures.len(),
        failures.join("\n")
    );
    let expected: Vec<usize> = NARROWER.iter().map(|(_, n)| *n).collect();
    assert_eq!(refused, expected);
    assert!(selected > 300 && invalid > 200, "{selected} {invalid}");
}
