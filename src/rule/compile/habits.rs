//! Words that people bring along from other tools, and what they are here. A misspelt word of the language itself is found by its nearest name.

/// The mend for a word that `what` does not know: a key of a map, or one of a few words.
pub(super) fn mend(what: &str, word: &str) -> Option<&'static str> {
    let mend = match (what, word) {
        ("a test", "all" | "and") => {
            "a list is AND already: write its tests as a list, also as one element of `any`"
        }
        ("a test", "or" | "anyOf") => "write `any: [{…}, {…}]`",
        ("a test", "not" | "noneOf") => "write `none: [{…}]`",
        ("a test", "op") => "write `operator`",
        ("a test", "key" | "field" | "jsonPath" | "jsonpath") => {
            "write `path`, for example `$.metadata.labels.team`"
        }
        ("a test", "cel") => "write `expression: \"${…}\"`",
        ("`operator`", "==" | "=" | "Equal" | "Is") => "write `Equals`",
        ("`operator`", "!=" | "NotEqual" | "IsNot") => "write `NotEquals`",
        ("`operator`", ">" | "Gt" | "gt") => "write `GreaterThan`",
        ("`operator`", ">=" | "Ge" | "gte" | "GreaterThanOrEquals") => "write `AtLeast`",
        ("`operator`", "<" | "Lt" | "lt") => "write `LessThan`",
        ("`operator`", "<=" | "Le" | "lte" | "LessThanOrEquals") => "write `AtMost`",
        ("`operator`", "=~" | "Regex") => "write `Matches`",
        ("`operator`", "!~" | "NotMatches") => "write `DoesNotMatch`",
        ("`operator`", "AnyIn" | "Contains") => {
            "write `Equals` or `In` with a path to the elements, as `$.spec.list[*]`"
        }
        ("`operator`", "AnyNotIn" | "NotContains") => {
            "write `NotEquals` or `NotIn` with a path to the elements, as `$.spec.list[*]`"
        }
        ("`match`", "labels" | "labelSelector" | "matchLabels") => {
            "write `selector: {matchLabels: {…}}`"
        }
        ("`match`", "matchExpressions") => "write `selector: {matchExpressions: […]}`",
        ("`match`", "kinds") => "write `resources: [{apiVersion: …, kind: …}]`",
        ("`match`", "annotations") => {
            "test them in `where`: `{path: \"$.metadata.annotations['…']\", operator: Exists}`"
        }
        ("`match`", "exclude" | "excludedNamespaces") => {
            "`!` excludes: `names: [\"!…\"]`, `namespaces: [\"!…\"]`"
        }
        _ => return None,
    };
    Some(mend)
}
