//! Rules in Enforce, as text.

/// `rest` goes on after `match.namespaces`: lines of four blanks for the rest of `match`, of two for its siblings.
fn rule(name: &str, api_version: &str, kind: &str, namespaces: &str, rest: &str) -> String {
    format!(
        "apiVersion: ordain.dev/v1alpha1
kind: Rule
metadata: {{name: {name}}}
spec:
  mode: Enforce
  match:
    resources: [{{apiVersion: {api_version}, kind: {kind}}}]
    namespaces: ['{namespaces}']
{rest}"
    )
}

/// Sets one value in ConfigMaps called `map-…` of namespaces that start with `prefix`.
pub fn setting(name: &str, prefix: &str, path: &str, value: &str) -> String {
    let rest = format!(
        "    names: ['map-*']
  actions:
  - patch:
    - {{path: {path}, set: '{value}'}}
"
    );
    rule(name, "v1", "ConfigMap", &format!("{prefix}*"), &rest)
}

/// Two rules that both touch the same ConfigMaps, see [`setting`].
pub fn both(prefix: &str) -> String {
    [
        setting("team", prefix, "$.metadata.labels.team", "blue"),
        setting("seen", prefix, "$.data.seen", "yes"),
    ]
    .join("---\n")
}

/// Sets the label `seen` of objects of one kind in one namespace to the value of their label `step`.
pub fn following(name: &str, api_version: &str, kind: &str, namespace: &str) -> String {
    let rest = "    names: ['!kube-root-ca.crt']
  where:
  - {path: $.metadata.labels.step, operator: Exists}
  actions:
  - patch:
    - {path: $.metadata.labels.seen, set: '${object.metadata.labels.step}'}
";
    rule(name, api_version, kind, namespace, rest)
}

/// A rule called `left-over` about the ConfigMaps of a namespace with the label `old`, see [`super::create_old`]; `steps` are lines of
/// two blanks.
pub fn left_over(namespace: &str, steps: &str) -> String {
    let rest = format!("    selector: {{matchLabels: {{old: 'yes'}}}}\n{steps}");
    rule("left-over", "v1", "ConfigMap", namespace, &rest)
}

/// Sets the label `words` of the ConfigMap `refused` to the text of its data `words`.
pub fn labelling(name: &str, namespace: &str) -> String {
    let rest = "    names: [refused]
  actions:
  - patch:
    - {path: $.metadata.labels.words, set: '${object.data.words}'}
";
    rule(name, "v1", "ConfigMap", namespace, rest)
}

/// Deletes ConfigMaps with the label `doomed` of namespaces that start with `prefix`.
pub fn deleting(name: &str, prefix: &str) -> String {
    let rest = "    selector: {matchLabels: {doomed: 'yes'}}
  actions:
  - delete: {}
";
    rule(name, "v1", "ConfigMap", &format!("{prefix}*"), rest)
}
