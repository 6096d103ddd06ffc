//! Guesses what a misspelt name was meant to be.

use std::cmp::Reverse;

/// Longer names are not typing errors of anything here; measuring them would cost time and memory.
const LONGEST: usize = 100;

/// The names nearest to `name` among `candidates`, best first; at most three; only those close enough to be a typing error.
///
/// Close enough: the same letters in another case, or at most one slip (a letter too many, missing, wrong, or two swapped) in every three letters.
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Vec<&'c str> {
    let length = name.chars().count();
    if length == 0 || length > LONGEST {
        return Vec::new();
    }
    let wanted = name.to_lowercase();
    let most = (length / 3).clamp(1, 4);
    let mut found: Vec<Guess> = candidates
        .into_iter()
        .filter(|candidate| {
            *candidate != name && candidate.chars().count().abs_diff(length) <= most
        })
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let slips = strsim::damerau_levenshtein(&wanted, &lower);
            // `a` is not a slip of `b`: something must be left of the name.
            let close = slips == 0 || (slips <= most && slips < length);
            let alike = wanted.chars().zip(lower.chars());
            close.then(|| Guess {
                slips,
                with_case: strsim::damerau_levenshtein(name, candidate),
                start: Reverse(alike.take_while(|(a, b)| a == b).count()),
                candidate,
            })
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found.truncate(3);
    found.into_iter().map(|guess| guess.candidate).collect()
}

/// A candidate; the best sorts first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Guess<'c> {
    slips: usize,
    with_case: usize,
    /// Letters it begins with alike: people seldom slip on the first ones.
    start: Reverse<usize>,
    candidate: &'c str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_find_the_name() {
        let fields = [
            "replicas",
            "selector",
            "template",
            "strategy",
            "paused",
            "minReadySeconds",
            "progressDeadlineSeconds",
            "revisionHistoryLimit",
            "ip",
            "uid",
            "image",
            "images",
        ];
        for (typed, meant) in [
            ("replica", &["replicas"][..]),
            ("Replicas", &["replicas"]),
            ("repilcas", &["replicas"]),
            ("minreadyseconds", &["minReadySeconds"]),
            ("minReadySecond", &["minReadySeconds"]),
            ("tempalte", &["template"]),
            ("imagess", &["images", "image"]),
            ("IP", &["ip"]),
            ("iid", &["uid"]),
            ("zone", &[]),
            ("x", &[]),
            ("", &[]),
            ("replicas", &[]),
            ("spec", &[]),
        ] {
            assert_eq!(nearest(typed, fields), meant, "{typed}");
        }
    }

    #[test]
    fn three_at_most_and_the_best_first() {
        let found = nearest(
            "labes",
            ["labels", "label", "lapels", "labies", "lanes", "tables"],
        );
        assert_eq!(found, ["label", "labels", "labies"]);
    }

    #[test]
    fn a_huge_name_costs_nothing() {
        assert!(nearest(&"x".repeat(1 << 20), ["x"]).is_empty());
        let huge = "x".repeat(1 << 20);
        assert!(nearest("xx", [huge.as_str()]).is_empty());
    }
}
