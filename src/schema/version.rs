//! The order of API versions.

use std::cmp::Ordering;

/// Sorts the version Kubernetes prefers first: released before beta before alpha, higher numbers first, then names that are no versions, alphabetically.
///
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/#version-priority>
pub fn preferred_first(a: &str, b: &str) -> Ordering {
    match (priority(a), priority(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// `(stability, major, minor)`; `None` if the name is not of the form `v1`, `v1beta2`, `v1alpha1`.
fn priority(version: &str) -> Option<(u8, u64, u64)> {
    let rest = version.strip_prefix('v')?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (major, stage) = rest.split_at(end);
    let major = number(major)?;
    if stage.is_empty() {
        return Some((2, major, 0));
    }
    match stage.strip_prefix("beta") {
        Some(minor) => Some((1, major, number(minor)?)),
        None => Some((0, major, number(stage.strip_prefix("alpha")?)?)),
    }
}

fn number(text: &str) -> Option<u64> {
    let plain =
        !text.is_empty() && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_order() {
        let sorted = [
            "v10",
            "v2",
            "v1",
            "v11beta2",
            "v10beta3",
            "v3beta1",
            "v12alpha1",
            "v11alpha2",
            "foo1",
            "foo10",
        ];
        let mut mixed = sorted;
        mixed.reverse();
        mixed.sort_by(|a, b| preferred_first(a, b));
        assert_eq!(mixed, sorted);
    }

    #[test]
    fn odd_names_are_no_versions() {
        for odd in [
            "",
            "v",
            "v0",
            "v1beta",
            "v1gamma1",
            "v1beta1x",
            "v99999999999999999999999",
            "vé",
        ] {
            assert_eq!(preferred_first("v1alpha1", odd), Ordering::Less, "{odd}");
        }
    }
}
