//! Reading manifests: YAML of several documents and JSON, `List`s taken apart. What is broken is said with file and line and does not sink the rest.

use super::World;
use crate::object::{GroupKind, Gvk, ObjectKey};
use crate::rule::Mode;
use crate::rule::apply::fold_string_data;
use crate::rule::compile::SourceFile;
use crate::rule::problem::{Place, Problem, Severity};
use crate::rule::set::RuleSet;
use crate::rule::yaml::{self, Data, Tree};
use crate::rules_dir::{FileSet, Unreadable, files};
use crate::schema::Schema;
use ahash::AHashMap;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Longest JSON file, in bytes. YAML is bounded by [`yaml::LONGEST`] for each part between two `---` lines, and by this for a file.
pub const LONGEST: usize = 256 << 20;

/// One object as it stands in a file.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// As given, with `apiVersion` and `kind`.
    pub value: Value,
    /// The file's name.
    pub file: Arc<str>,
    /// 1-based line of the document; 1 for JSON.
    pub line: usize,
}

/// What was read.
#[derive(Default)]
pub struct Manifests {
    /// In file order.
    pub objects: Vec<Manifest>,
    /// Everything that was left out, and why.
    pub problems: Vec<Problem>,
}

impl Manifests {
    /// Each object that rules are about, written at another version than they read: nothing converts it, so it is left out. File and line,
    /// and a sentence.
    pub fn of_other_versions(&self, rules: &RuleSet) -> Vec<(String, String)> {
        let in_force = rules.rules().iter().filter(|rule| rule.mode != Mode::Off);
        let kinds = in_force.flat_map(|rule| rule.kinds());
        let read: AHashMap<GroupKind, Arc<str>> = kinds.map(|k| (k.kind, k.version)).collect();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let warnings = self.objects.iter().filter_map(|manifest| {
            let value = &manifest.value;
            let (api_version, kind) = (text(&value["apiVersion"]), text(&value["kind"]));
            let gvk = Gvk::from_api_version(&api_version, &kind);
            let version = read.get(&gvk.group_kind())?;
            (*version != gvk.version).then(|| {
                let name = text(&value["metadata"]["name"]);
                (
                    format!("{}:{}", manifest.file, manifest.line),
                    format!(
                        "{kind} {name} is written at {api_version}, and the rules read {version}: manifests are not converted, so it is left out"
                    ),
                )
            })
        });
        warnings.collect()
    }

    /// Reads all files below `paths`.
    pub fn read(paths: &[PathBuf]) -> Manifests {
        Self::from_files(&files::read(paths, LONGEST))
    }

    /// From files read before.
    pub fn from_files(set: &FileSet) -> Manifests {
        let mut manifests = Manifests::default();
        for Unreadable { path, reason, .. } in &set.unreadable {
            manifests.problem(path, (1, 1, 1), "", format!("cannot be read: {reason}"));
        }
        for file in &set.files {
            manifests.add(file);
        }
        manifests
    }

    /// A schema that knows the kinds of the CustomResourceDefinitions among the objects too, and the names of kinds that have none.
    pub fn schema(&self, base: &Schema) -> (Schema, Vec<String>) {
        let definitions: Vec<&Value> = self
            .objects
            .iter()
            .map(|m| &m.value)
            .filter(|v| {
                v["kind"] == "CustomResourceDefinition"
                    && v["apiVersion"]
                        .as_str()
                        .is_some_and(|a| a.starts_with("apiextensions.k8s.io/"))
            })
            .collect();
        let (schema, problems) = if definitions.is_empty() {
            (base.clone(), vec![])
        } else {
            base.with_crds(definitions)
        };
        let seen = self.objects.iter().filter_map(|m| {
            let (api_version, kind) = (m.value["apiVersion"].as_str()?, m.value["kind"].as_str()?);
            let namespace = m.value["metadata"]["namespace"].as_str();
            let names_one = namespace.is_some_and(|name| !name.is_empty());
            (!api_version.starts_with("ordain.dev/"))
                .then(|| (Gvk::from_api_version(api_version, kind), names_one))
        });
        (schema.with_seen(seen), problems)
    }

    /// Keeps the first of several documents that describe one object, and says so of the others. The world knows which kinds have namespaces.
    pub fn drop_duplicates(&mut self, world: &World) {
        let mut first: BTreeMap<ObjectKey, (Arc<str>, usize)> = BTreeMap::new();
        for manifest in std::mem::take(&mut self.objects) {
            let key = world.key_of(&manifest.value);
            match first.get(&key) {
                None => {
                    first.insert(key, (manifest.file.clone(), manifest.line));
                    self.objects.push(manifest);
                }
                Some((file, line)) => {
                    let message =
                        format!("{key} stands here a second time, first in {file}:{line}");
                    self.problem(&manifest.file, (manifest.line, 1, 1), "", message);
                }
            }
        }
    }

    fn add(&mut self, file: &SourceFile) {
        let Ok(text) = std::str::from_utf8(&file.bytes) else {
            return self.problem(&file.name, (1, 1, 1), "", "not UTF-8");
        };
        if file.bytes.len() > LONGEST {
            let message = format!("more than {} MiB", LONGEST >> 20);
            return self.problem(&file.name, (1, 1, 1), "", message);
        }
        // JSON is YAML, but for tabs between its tokens, and its own parser is many times faster.
        if text.trim_start().starts_with(['{', '['])
            && let Some(values) = json(text)
        {
            for (line, value) in values {
                let line_text = text.lines().nth(line - 1).unwrap_or("");
                self.object(value, &file.name, line, line_text);
            }
            return;
        }
        for (lines_before, part) in parts(text) {
            let (trees, problems) = yaml::read(part);
            for p in problems {
                let line = part.lines().nth(p.line.saturating_sub(1)).unwrap_or("");
                let place = Place {
                    file: file.name.clone(),
                    line: p.line + lines_before,
                    column: p.column,
                    length: p.length,
                };
                let mut problem = Problem::new(Severity::Error, place, line, p.message);
                problem.mend = p.mend;
                self.problems.push(problem);
            }
            let lines: Vec<&str> = part.lines().collect();
            for tree in trees {
                self.tree(&tree, &file.name, lines_before, &lines);
            }
        }
    }

    fn tree(&mut self, tree: &Tree, file: &Arc<str>, lines_before: usize, lines: &[&str]) {
        let text = |line: usize| lines.get(line.saturating_sub(1)).copied().unwrap_or("");
        // The items of a List keep their own lines.
        let is_list = tree
            .get("kind")
            .and_then(Tree::text)
            .is_some_and(|kind| kind.ends_with("List"));
        if is_list
            && let Some(Tree {
                data: Data::List(items),
                ..
            }) = tree.get("items")
        {
            let head = serde_json::json!({
                "apiVersion": tree.get("apiVersion").and_then(Tree::text),
                "kind": tree.get("kind").and_then(Tree::text),
            });
            for item in items {
                // The API server leaves out of the items of a typed list what the list says.
                if item.get("kind").is_none()
                    && let Some(value) = of_list(item.to_value(), &head)
                {
                    let line = item.line + lines_before;
                    self.object(value, file, line, text(item.line));
                    continue;
                }
                self.tree(item, file, lines_before, lines);
            }
            return;
        }
        let line = tree.line + lines_before;
        self.object(tree.to_value(), file, line, text(tree.line));
    }

    /// One that is read already, or a list of them.
    pub fn add_object(&mut self, value: Value, file: &Arc<str>, line: usize) {
        self.object(value, file, line, "");
    }

    fn object(&mut self, value: Value, file: &Arc<str>, line: usize, line_text: &str) {
        if value.is_null() {
            return;
        }
        let value = match value {
            Value::Array(items) if items.iter().all(Value::is_object) => {
                for item in items {
                    self.object(item, file, line, line_text);
                }
                return;
            }
            value => value,
        };
        let is_list = value["kind"].as_str().is_some_and(|k| k.ends_with("List"));
        if is_list && let Some(items) = value["items"].as_array() {
            for item in items {
                let item = of_list(item.clone(), &value).unwrap_or_else(|| item.clone());
                self.object(item, file, line, line_text);
            }
            return;
        }
        let line_text = line_text.lines().next().unwrap_or("");
        let mut value = value;
        let text = |value: &Value| value.as_str().is_some_and(|s| !s.is_empty());
        complete_name(&mut value, file, line);
        if value["kind"] == "Secret" && value["apiVersion"] == "v1" {
            // As a server has it, and as an admission sees it.
            fold_string_data(&mut value);
        }
        let missing = if !value.is_object() {
            "not an object".to_owned()
        } else if !text(&value["apiVersion"]) || !text(&value["kind"]) {
            "no apiVersion or no kind: not a manifest".to_owned()
        } else if let name @ (Value::Number(_) | Value::Bool(_)) = &value["metadata"]["name"] {
            let kind = value["kind"].as_str().unwrap_or("");
            format!("metadata.name of this {kind} is no text: quote it, `name: \"{name}\"`")
        } else if !text(&value["metadata"]["name"]) {
            format!(
                "{} without metadata.name",
                value["kind"].as_str().unwrap_or("")
            )
        } else {
            self.objects.push(Manifest {
                value,
                file: file.clone(),
                line,
            });
            return;
        };
        self.problem(file, (line, 1, 1), line_text, missing);
    }

    fn problem(
        &mut self,
        file: &str,
        (line, column, length): (usize, usize, usize),
        line_text: &str,
        message: impl Into<String>,
    ) {
        let place = Place {
            file: file.into(),
            line,
            column,
            length,
        };
        let problem = Problem::new(Severity::Error, place, line_text, message);
        self.problems.push(problem);
    }
}

/// The values of a text that is JSON, one or several, each with the line that it begins in. `None`: it is something else.
fn json(text: &str) -> Option<Vec<(usize, Value)>> {
    let mut values = vec![];
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let (mut line, mut seen) = (1, 0);
    loop {
        let blanks = text[seen..].len() - text[seen..].trim_start().len();
        let start = seen + blanks;
        line += text.get(seen..start)?.matches('\n').count();
        seen = start;
        match stream.next() {
            None => return Some(values),
            Some(value) => values.push((line, value.ok()?)),
        }
        let end = stream.byte_offset();
        line += text.get(seen..end)?.matches('\n').count();
        seen = end;
    }
}

/// An item of a typed list (`PodList`) with the apiVersion and kind that the list says; `None`: it says them itself, or the list does not.
fn of_list(mut item: Value, list: &Value) -> Option<Value> {
    let kind = list["kind"].as_str()?.strip_suffix("List")?;
    let api_version = list["apiVersion"].as_str()?;
    let map = item.as_object_mut()?;
    if kind.is_empty() || map.contains_key("kind") {
        return None;
    }
    // In front, where people look for them.
    let rest = std::mem::take(map);
    map.insert("apiVersion".into(), api_version.into());
    map.insert("kind".into(), kind.into());
    map.extend(rest);
    Some(item)
}

/// Characters of which the API server makes the ends of names.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Completes `generateName` as the API server does, where there is no name; the same each time for the same place.
pub fn complete_name(value: &mut Value, file: &str, line: usize) {
    let text = |value: &Value| value.as_str().is_some_and(|s| !s.is_empty());
    if text(&value["metadata"]["name"]) || !text(&value["metadata"]["generateName"]) {
        return;
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in file.bytes().chain(line.to_string().bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let mut name = value["metadata"]["generateName"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let letters = ALPHABET.len() as u64;
    for _ in 0..5 {
        let letter = usize::try_from(hash % letters).unwrap_or_default();
        name.push(char::from(ALPHABET[letter]));
        hash /= letters;
    }
    value["metadata"]["name"] = name.into();
}

/// A text cut at `---` lines into parts that the YAML reader takes, each with the number of lines before it. A small text is one part.
fn parts(text: &str) -> Vec<(usize, &str)> {
    if text.len() <= yaml::LONGEST {
        return vec![(0, text)];
    }
    let mut parts = vec![];
    let (mut start, mut start_line, mut at) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let opens = line.trim_end() == "---" || line.starts_with("--- ");
        if opens && at > start {
            parts.push((start_line, &text[start..at]));
            (start, start_line) = (at, number);
        }
        at += line.len();
    }
    parts.push((start_line, &text[start..]));
    parts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use serde_json::json;

    fn read(name: &str, text: &str) -> Manifests {
        Manifests::from_files(&FileSet {
            files: vec![SourceFile {
                name: name.into(),
                bytes: text.as_bytes().to_vec(),
            }],
            unreadable: vec![],
        })
    }

    fn names(manifests: &Manifests) -> Vec<(&str, usize)> {
        manifests
            .objects
            .iter()
            .map(|m| (m.value["metadata"]["name"].as_str().unwrap(), m.line))
            .collect()
    }

    #[test]
    fn a_name_that_is_a_number_is_to_be_quoted() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 123}\n";
        let manifests = read("f.yaml", text);
        let said: Vec<&str> = manifests.problems.iter().map(|p| &*p.message).collect();
        assert_eq!(
            said,
            ["metadata.name of this ConfigMap is no text: quote it, `name: \"123\"`"]
        );
    }

    #[test]
    fn reads_documents_and_takes_lists_apart() {
        let text = "# a comment\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  \
                    kind: ConfigMap\n  metadata: {name: b}\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: c}\n---\n---\n";
        let manifests = read("f.yaml", text);
        assert_eq!(names(&manifests), [("a", 3), ("b", 10), ("c", 13)]);
        assert!(manifests.problems.is_empty());
        let json = json!({"apiVersion": "v1", "kind": "PodList", "items": [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}]});
        assert_eq!(names(&read("f.json", &json.to_string())), [("p", 1)]);
    }

    #[test]
    fn items_of_a_typed_list_are_what_the_list_says() {
        let text = "apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: a}\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: b}\n";
        let json = json!({"apiVersion": "v1", "kind": "ConfigMapList", "items": [{"metadata": {"name": "a"}}, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}}]});
        for manifests in [read("f.yaml", text), read("f.json", &json.to_string())] {
            assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
            let kinds: Vec<&str> = manifests
                .objects
                .iter()
                .map(|m| m.value["kind"].as_str().unwrap())
                .collect();
            assert_eq!(kinds, ["ConfigMap", "Secret"]);
        }
    }

    #[test]
    fn a_secret_is_as_a_server_has_it() {
        let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: YQ==, b: YQ==}\nstringData: {b: b, c: c}\n";
        let secret = &read("f.yaml", text).objects[0].value;
        assert_eq!(
            secret["data"],
            json!({"a": "YQ==", "b": "Yg==", "c": "Yw=="})
        );
        assert!(secret.get("stringData").is_none());
    }

    #[test]
    fn json_may_be_a_stream_or_an_array() {
        let stream = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\n\"metadata\":{\"name\":\"a\"}}\n\n{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"b\"}}\n";
        assert_eq!(names(&read("f.json", stream)), [("a", 1), ("b", 4)]);
        let array = "\n[{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"}}]\n";
        assert_eq!(names(&read("f.json", array)), [("a", 2)]);
        let broken = read("f.json", "[{\"apiVersion\":\"v1\"");
        assert!(broken.objects.is_empty() && broken.problems.len() == 1);
    }

    #[test]
    fn generated_names_are_completed_each_in_its_way() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n---\napiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n";
        let manifests = read("f.yaml", text);
        assert!(manifests.problems.is_empty(), "{:?}", manifests.problems);
        let (one, other) = (names(&manifests)[0].0, names(&manifests)[1].0);
        assert!(one.starts_with("a-") && one.len() == 7, "{one}");
        assert_ne!(one, other);
        assert_eq!(names(&read("f.yaml", text))[0].0, one);
    }

    #[test]
    fn what_is_broken_is_said_and_does_not_sink_the_rest() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: [\n---\nkind: ConfigMap\nmetadata: {name: b}\n---\napiVersion: v1\nkind: ConfigMap\n\
                    ---\n- 1\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
        let manifests = read("f.yaml", text);
        assert_eq!(names(&manifests), [("a", 1), ("c", 15)]);
        let said: Vec<(usize, &str)> = manifests
            .problems
            .iter()
            .map(|p| (p.place.line, p.message.as_str()))
            .collect();
        assert_eq!(said.len(), 4, "{said:?}");
        assert!(said[0].0 >= 5 && said[0].0 <= 6, "{said:?}");
        assert_eq!(
            said[1..],
            [
                (7, "no apiVersion or no kind: not a manifest"),
                (10, "ConfigMap without metadata.name"),
                (13, "not an object")
            ]
        );
    }

    #[test]
    fn numbers_are_read_as_kubernetes_reads_them() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {octal: 0644, no: \"0644\", yes: yes, truth: true}\n";
        let spec = &read("f.yaml", text).objects[0].value["spec"];
        assert_eq!(
            *spec,
            json!({"octal": 420, "no": "0644", "yes": "yes", "truth": true})
        );
    }

    #[test]
    fn a_text_of_many_documents_may_be_longer_than_one() {
        let filler = "x".repeat(1 << 20);
        let text: String = (0..6)
            .map(|n| {
                format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: n{n}}}\ndata: {{a: {filler}}}\n")
            })
            .collect();
        let manifests = read("f.yaml", &text);
        assert_eq!(manifests.objects.len(), 6, "{:?}", manifests.problems);
        assert_eq!(manifests.objects[5].line, 27);
    }

    #[test]
    fn custom_kinds_come_from_their_definitions() {
        let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "boats.example.com"}, "spec": {
            "group": "example.com", "scope": "Cluster", "names": {"kind": "Boat", "plural": "boats"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}}]}});
        let (schema, problems) = read("f.json", &crd.to_string()).schema(&Schema::empty());
        assert_eq!(problems, Vec::<String>::new());
        let kind = schema
            .kind(&crate::object::GroupKind::new("example.com", "Boat"))
            .unwrap();
        assert!(!kind.namespaced);
    }
}
