//! `ordain schema` and the compiler know the same language: what `check` accepts fits, and each field has its one spelling in both.

use crate::program::{ordain, root};
use ordain::decide::Reason;
use ordain::rule::compile::{SourceFile, compile};
use ordain::rule::language;
use ordain::rule::problem::Severity;
use ordain::rule::test::{Operator, ReadAs};
use ordain::rule::yaml;
use ordain::rule_test::document;
use ordain::schema::Schema;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// As much of JSON Schema as ours uses.
pub struct Validator<'s> {
    pub schema: &'s Value,
}

/// A field of the schema, by the pointer of its description, and the pointer of the value that stands there.
type Seen = Vec<(String, String)>;

impl Validator<'_> {
    pub fn validate(&self, value: &Value) -> Result<Seen, String> {
        let mut seen = vec![];
        self.check(self.schema, "", value, "", &mut seen)?;
        Ok(seen)
    }

    fn check(
        &self,
        schema: &Value,
        at: &str,
        value: &Value,
        place: &str,
        seen: &mut Seen,
    ) -> Result<(), String> {
        let rules = schema
            .as_object()
            .unwrap_or_else(|| panic!("{at}: {schema}"));
        let wrong = |why: String| Err(format!("{place}: {why}"));
        let fits =
            |part: &Value, at: String, seen: &mut Seen| self.check(part, &at, value, place, seen);
        for (rule, of) in rules {
            match rule.as_str() {
                "$ref" => {
                    let to = of.as_str().unwrap().trim_start_matches('#');
                    let target = self.schema.pointer(to).unwrap_or_else(|| panic!("no {to}"));
                    self.check(target, to, value, place, seen)?;
                }
                "type" => {
                    let is = |name: &str| match name {
                        "object" => value.is_object(),
                        "array" => value.is_array(),
                        "string" => value.is_string(),
                        "integer" => value.is_i64() || value.is_u64(),
                        "number" => value.is_number(),
                        "boolean" => value.is_boolean(),
                        "null" => value.is_null(),
                        other => panic!("{at}: type {other}"),
                    };
                    let good = match of {
                        Value::Array(names) => names.iter().any(|name| is(name.as_str().unwrap())),
                        name => is(name.as_str().unwrap()),
                    };
                    if !good {
                        return wrong(format!("is no {of}"));
                    }
                }
                "enum" if !of.as_array().unwrap().contains(value) => {
                    return wrong(format!("{value} is none of {of}"));
                }
                "const" if of != value => return wrong(format!("is not {of}")),
                "pattern" => {
                    let pattern = regex::Regex::new(of.as_str().unwrap()).unwrap();
                    if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                        return wrong(format!("{value} does not match {of}"));
                    }
                }
                "minimum" if value.as_f64() < of.as_f64() && value.is_number() => {
                    return wrong("is too small".into());
                }
                "maximum" if value.as_f64() > of.as_f64() && value.is_number() => {
                    return wrong("is too large".into());
                }
                "minItems"
                    if value
                        .as_array()
                        .is_some_and(|v| (v.len() as u64) < of.as_u64().unwrap()) =>
                {
                    return wrong("has too few".into());
                }
                "minProperties"
                    if value
                        .as_object()
                        .is_some_and(|v| (v.len() as u64) < of.as_u64().unwrap()) =>
                {
                    return wrong("has too few".into());
                }
                "maxProperties"
                    if value
                        .as_object()
                        .is_some_and(|v| v.len() as u64 > of.as_u64().unwrap()) =>
                {
                    return wrong("has too many".into());
                }
                "required" => {
                    for name in of.as_array().unwrap() {
                        if value.is_object() && value.get(name.as_str().unwrap()).is_none() {
                            return wrong(format!("lacks {name}"));
                        }
                    }
                }
                "properties" => {
                    for (name, of) in of.as_object().unwrap() {
                        if let Some(inner) = value.get(name) {
                            let at = format!("{at}/properties/{name}");
                            let place =
                                format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
                            seen.push((at.clone(), place.clone()));
                            self.check(of, &at, inner, &place, seen)?;
                        }
                    }
                }
                "additionalProperties" => {
                    let known = rules.get("properties").and_then(Value::as_object);
                    for (name, inner) in value.as_object().into_iter().flatten() {
                        if known.is_some_and(|known| known.contains_key(name)) {
                            continue;
                        }
                        if of == &json!(false) {
                            return wrong(format!("no field {name}"));
                        }
                        self.check(of, at, inner, &format!("{place}/{name}"), seen)?;
                    }
                }
                "items" => {
                    for (n, inner) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(
                            of,
                            &format!("{at}/items"),
                            inner,
                            &format!("{place}/{n}"),
                            seen,
                        )?;
                    }
                }
                "allOf" => {
                    for (n, part) in of.as_array().unwrap().iter().enumerate() {
                        fits(part, format!("{at}/allOf/{n}"), seen)?;
                    }
                }
                "anyOf" | "oneOf" => {
                    let mut passed = vec![];
                    let mut why = String::new();
                    for (n, part) in of.as_array().unwrap().iter().enumerate() {
                        let mut inner = vec![];
                        match fits(part, format!("{at}/{rule}/{n}"), &mut inner) {
                            Ok(()) => passed.push(inner),
                            Err(error) => why = error,
                        }
                    }
                    match (passed.len(), rule.as_str()) {
                        (0, _) => return wrong(format!("fits none of {rule} ({why})")),
                        (1, _) | (_, "anyOf") => seen.extend(passed.swap_remove(0)),
                        (n, _) => return wrong(format!("fits {n} of oneOf")),
                    }
                }
                "not" if fits(of, format!("{at}/not"), &mut vec![]).is_ok() => {
                    return wrong("has what must not be".into());
                }
                "then" => {
                    if fits(&rules["if"], format!("{at}/if"), &mut vec![]).is_ok() {
                        fits(of, format!("{at}/then"), seen)?;
                    }
                }
                "$schema" | "$id" | "title" | "description" | "default" | "definitions" | "if"
                | "enum" | "const" | "minimum" | "maximum" | "minItems" | "minProperties"
                | "maxProperties" | "not" => {}
                other => panic!("{at}: `{other}` is not known to this test"),
            }
        }
        Ok(())
    }
}

/// A file of Ordain's documents, by name and documents.
pub struct Document {
    pub file: String,
    pub documents: Vec<Value>,
}

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "yaml") {
            found.push(path);
        }
    }
}

/// Every file with documents of ours: rules, golden files, and the blocks of the documentation.
pub fn corpus() -> Vec<Document> {
    let root = root();
    let mut paths = vec![];
    for folder in ["tests/golden", "rules", "examples", "tests/offline/verbs"] {
        yaml_files(&root.join(folder), &mut paths);
    }
    let mut texts: Vec<(String, String)> = vec![];
    for path in paths {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        texts.extend(std::fs::read_to_string(&path).ok().map(|text| (name, text)));
    }
    for (page, line, text) in crate::documentation::blocks("yaml") {
        texts.push((format!("{page}:{line}"), text));
    }
    texts
        .into_iter()
        .filter_map(|(file, text)| {
            let (trees, problems) = yaml::read(&text);
            let documents: Vec<Value> = trees.iter().map(yaml::Tree::to_value).collect();
            let ours = documents.iter().any(is_ours);
            (problems.is_empty() && ours).then_some(Document { file, documents })
        })
        .collect()
}

pub fn is_ours(document: &Value) -> bool {
    let version = document["apiVersion"].as_str().unwrap_or_default();
    version.starts_with("ordain.dev/")
}

/// What `check` says is wrong with documents of one file.
pub fn errors(file: &str, documents: &[Value], schema: &Schema) -> Vec<String> {
    let texts: Vec<String> = documents.iter().map(ToString::to_string).collect();
    let text = texts.join("\n---\n");
    let source = SourceFile {
        name: file.into(),
        bytes: text.clone().into_bytes(),
    };
    let compiled = compile(&[source], schema);
    let mut problems = compiled.problems;
    for (file, tree) in &compiled.tests {
        problems.extend(document::read(file, &text, tree, (schema, &[])).1);
    }
    let errors = problems.iter().filter(|p| p.severity == Severity::Error);
    errors.map(|p| p.message.clone()).collect()
}

/// The kinds that the objects of a file's tests define, too.
pub fn kinds_of(documents: &[Value]) -> Schema {
    let objects: Vec<String> = documents
        .iter()
        .flat_map(|d| d["spec"]["objects"].as_array().into_iter().flatten())
        .filter(|o| o.is_object())
        .map(ToString::to_string)
        .collect();
    let set = ordain::rules_dir::FileSet {
        files: vec![SourceFile {
            name: "objects.yaml".into(),
            bytes: objects.join("\n---\n").into_bytes(),
        }],
        unreadable: vec![],
    };
    ordain::manifests::Manifests::from_files(&set)
        .schema(&Schema::bundled())
        .0
}

/// Where a field is shown, by the pointer of its description: which file, which document of it, and where in that.
pub type Shown = BTreeMap<String, (usize, usize, String)>;

/// What `check` accepts: the files, what of them the schema refuses, and which fields they show.
pub fn accepted(validator: &Validator<'_>) -> (Vec<Document>, Vec<String>, Shown) {
    let (mut good, mut refused) = (vec![], vec![]);
    let mut shown = Shown::new();
    for file in corpus() {
        let schema = kinds_of(&file.documents);
        if !errors(&file.file, &file.documents, &schema).is_empty() {
            continue;
        }
        for (n, document) in file
            .documents
            .iter()
            .enumerate()
            .filter(|(_, d)| is_ours(d))
        {
            match validator.validate(document) {
                Ok(seen) => {
                    for (field, place) in seen {
                        shown.entry(field).or_insert((good.len(), n, place));
                    }
                }
                Err(why) => refused.push(format!("{}: {why}", file.file)),
            }
        }
        good.push(file);
    }
    (good, refused, shown)
}

/// Pointers of all fields that the schema describes.
fn described(schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                let inner = format!("{at}/{key}");
                if key == "properties" {
                    for name in value.as_object().unwrap().keys() {
                        found.insert(format!("{inner}/{name}"));
                    }
                }
                if !["if", "not", "default", "enum"].contains(&key.as_str()) {
                    described(value, &inner, found);
                }
            }
        }
        Value::Array(items) => {
            for (n, value) in items.iter().enumerate() {
                described(value, &format!("{at}/{n}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn what_is_accepted_fits_and_shows_every_field() {
    let schema = language::schema();
    let validator = Validator { schema: &schema };
    let (good, refused, shown) = accepted(&validator);
    assert!(good.len() > 150, "only {} files", good.len());
    assert!(
        refused.is_empty(),
        "src/rule/language/schema.yaml refuses what `check` accepts:\n{}",
        refused.join("\n")
    );
    let mut fields = BTreeSet::new();
    described(&schema, "", &mut fields);
    assert!(fields.len() > 120, "only {} fields", fields.len());
    let unseen: Vec<&String> = fields.iter().filter(|f| !shown.contains_key(*f)).collect();
    assert!(
        unseen.is_empty(),
        "no golden file, rule or block of the documentation that `check` accepts has these fields of src/rule/language/schema.yaml: {unseen:#?}"
    );
    // Each spelt otherwise: neither takes it.
    let mut failures = vec![];
    for (field, (file, n, place)) in &shown {
        let (of, name) = field.rsplit_once("/properties/").unwrap();
        if schema.pointer(of).unwrap()["additionalProperties"] != json!(false) {
            continue;
        }
        let file = &good[*file];
        let mut documents = file.documents.clone();
        let (parent, _) = place.rsplit_once('/').unwrap();
        let map = documents[*n]
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap();
        let value = map.remove(name).unwrap();
        map.insert(format!("{name}x"), value);
        let kinds = kinds_of(&file.documents);
        let why = format!("{}: {place} spelt `{name}x`", file.file);
        if validator.validate(&documents[*n]).is_ok() && is_ours(&documents[*n]) {
            failures.push(format!("the schema takes {why}"));
        }
        let top = ["/apiVersion", "/kind"].contains(&place.as_str());
        if !top && errors(&file.file, &documents, &kinds).is_empty() {
            failures.push(format!("`check` takes {why}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn words_that_check_refuses_do_not_fit() {
    let schema = language::schema();
    let validator = Validator { schema: &schema };
    let folder = root().join("tests/offline/messages");
    let (mut seen, mut failures) = (0, vec![]);
    for entry in std::fs::read_dir(folder).unwrap() {
        let case = entry.unwrap().path();
        let expected = std::fs::read_to_string(case.join("expected.txt")).unwrap();
        let refused = expected.contains("error: unknown field `")
            || expected.contains("error: unknown verb `");
        let Ok(text) = std::fs::read_to_string(case.join("rule.yaml")) else {
            continue;
        };
        let documents: Vec<Value> = yaml::read(&text)
            .0
            .iter()
            .map(yaml::Tree::to_value)
            .collect();
        if !refused || documents.is_empty() {
            continue;
        }
        seen += 1;
        if documents
            .iter()
            .all(|document| validator.validate(document).is_ok())
        {
            failures.push(case.file_name().unwrap().display().to_string());
        }
    }
    assert!(seen >= 15, "only {seen} messages");
    assert!(failures.is_empty(), "these fit all the same: {failures:?}");
}

#[test]
fn words_are_those_of_the_program() {
    let schema = language::schema();
    let words = |pointer: &str| -> Vec<String> {
        let list = schema.pointer(pointer).unwrap().as_array().unwrap();
        list.iter()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        words("/definitions/Operator/enum"),
        Operator::ALL.map(Operator::as_str)
    );
    assert_eq!(
        words("/definitions/As/enum"),
        ReadAs::ALL.map(ReadAs::as_str)
    );
    assert_eq!(
        words("/definitions/Reason/enum"),
        Reason::ALL.map(Reason::as_str)
    );
    for definition in ["Operator", "As"] {
        let described = &language::described()["definitions"][definition];
        let named: Vec<&String> = described["x-words"].as_object().unwrap().keys().collect();
        let listed: Vec<&str> = described["enum"]
            .as_array()
            .unwrap()
            .iter()
            .map(|w| w.as_str().unwrap())
            .collect();
        assert_eq!(named, listed, "{definition}");
    }
}

#[test]
fn the_command_prints_it() {
    let ran = ordain(&root(), &["schema"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(ran.json(), language::schema());
    // Beside `$ref` nothing counts in draft 7.
    fn alone(value: &Value) {
        if let Value::Object(map) = value {
            assert!(!map.contains_key("$ref") || map.len() == 1, "{value}");
            map.values().for_each(alone);
        }
        value.as_array().into_iter().flatten().for_each(alone);
    }
    alone(&language::schema());
}
