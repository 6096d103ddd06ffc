//! Words that people bring along from other tools, and what they are here. A misspelt word of the language itself is found by its nearest name.

use super::fields;
use super::report::Report;
use crate::rule::yaml::{Data, Tree};

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
        ("`operator`", "!~" | "NotMatches" | "NotMatch" | "DoesntMatch") => "write `DoesNotMatch`",
        (
            "`operator`",
            "NotExists" | "NotExist" | "DoesNotExists" | "DoesntExist" | "!Exists" | "Absent"
            | "Missing" | "IsNull",
        ) => "write `DoesNotExist`",
        ("`operator`", "IsNotNull" | "NotNull" | "Present") => "write `Exists`",
        ("`operator`", "IsNotEmpty" | "NonEmpty" | "!Empty") => "write `NotEmpty`",
        ("`operator`", "IsEmpty") => "write `Empty`",
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
        ("`match`", "any" | "all" | "or") => {
            "all kinds stand in one list, `resources`; what else may differ stands in `where`, with `any`"
        }
        (
            "a resource",
            "apiGroup" | "apiGroups" | "group" | "kinds" | "apiVersions" | "version",
        ) => "write one `{apiVersion: apps/v1, kind: Deployment}` for each kind",
        (
            "`spec`",
            "validationFailureAction" | "failureAction" | "enforcementAction" | "admissionMode",
        ) => "write `mode: Enforce`, or `mode: Audit`",
        ("`spec`", "background" | "mutateExistingOnPolicyUpdate" | "generateExisting") => {
            "leave it out: a rule looks at every object, new or old, unless `when` says otherwise"
        }
        ("`spec`", "preconditions" | "conditions" | "matchConditions" | "if" | "filters") => {
            "write `where`, a list of tests"
        }
        ("`spec`", "exclude") => {
            "`!` excludes in `match`: `names: [\"!…\"]`, `namespaces: [\"!…\"]`; anything else in `where`, with `none`"
        }
        ("`spec`", "context") => {
            "write `variables` for what is computed, `related` for other objects"
        }
        ("`spec`", "rules") => "each rule is a document of its own: part them with `---`",
        ("`spec`", "mutate") => "write `actions: [{patch: [{path: …, set: …}]}]`",
        ("`spec`", "generate") => {
            "write `actions: [{apply: {apiVersion: …, kind: …, metadata: {name: …}}}]`"
        }
        ("`spec`", "validate" | "validations" | "deny") => {
            "write `where` for what is wrong, and `actions: [{deny: {message: …}}]`"
        }
        ("`spec`", "resourceSelectors" | "resourcePolicySet" | "resources" | "kinds") => {
            "write `match: {resources: [{apiVersion: …, kind: …}]}`"
        }
        (
            "a step",
            "mutate" | "set" | "label" | "annotate" | "patchStrategicMerge" | "patchesJson6902",
        ) => "write `patch: [{path: …, set: …}]`",
        ("a step", "generate" | "create") => {
            "write `apply: {apiVersion: …, kind: …, metadata: {name: …}}`"
        }
        ("a step", "validate" | "block" | "reject" | "forbid") => "write `deny: {message: …}`",
        ("a step", "audit" | "report" | "scan") => "write `warn: {message: …}`",
        ("an edit", "value" | "replace") => "write `set`",
        ("an edit", "op") => {
            "an edit is a `path` and one of set, default, merge, upsert, add, remove"
        }
        ("an edit", "append" | "prepend") => {
            "write `add` for plain values, `upsert` for maps; both take `at: Start`"
        }
        ("a variable", "value" | "jmesPath" | "cel") => "write `expression: \"${…}\"`",
        _ => return None,
    };
    Some(mend)
}

/// The mend for a text where a list of maps stands.
pub(super) fn single(what: &str, text: &str) -> Option<String> {
    match what {
        "`schedule`" => Some(format!("write `[{{cron: {text:?}}}]`")),
        "`resources`" => Some(format!("write `[{{apiVersion: v1, kind: {text}}}]`")),
        _ => None,
    }
}

/// What a text between `{{ }}` is called here.
fn in_our_words(name: &str) -> String {
    fields::shortened(&name.replacen("request.object.", "object.", 1))
}

/// What to write instead of an expression that has no `${ }`, perhaps another tool's braces.
pub(super) fn unwrapped(text: &str) -> String {
    let inner = text.trim();
    let braces = inner
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"));
    match braces {
        Some(name) => in_our_words(name.trim()),
        None => fields::shortened(inner),
    }
}

/// Warns of variables of Kyverno: they are text here, and would be written as they stand.
pub(super) fn braces(report: &mut Report<'_>, tree: &Tree) {
    match &tree.data {
        Data::Scalar { .. } => {
            let text = tree.text().unwrap_or_default();
            let Some((at, inner)) = text.find("{{").map(|at| (at, &text[at + 2..])) else {
                return;
            };
            let Some((inner, _)) = inner.split_once("}}") else {
                return;
            };
            let name = inner.trim();
            let known = ["request.", "element", "images.", "serviceAccountName"];
            if known.iter().any(|known| name.starts_with(known)) {
                let spot = report.within(tree, at, inner.len() + 4);
                let mend = format!("write `${{{}}}`", in_our_words(name));
                let message = "`{{ }}` is plain text here: values are computed in `${ }`";
                report.warning(spot, message, Some(mend));
            }
        }
        Data::List(items) => items.iter().for_each(|item| braces(report, item)),
        Data::Map(entries) => entries.iter().for_each(|(_, value)| braces(report, value)),
    }
}
