//! Reads JSON schemas, in the two dialects Kubernetes speaks: OpenAPI v3 with `$ref`s, and the structural schemas of CustomResourceDefinitions.

use super::build::Builder;
use super::types::{Field, Node};
use ahash::{HashMap, HashMapExt};
use serde_json::{Map, Value};

/// Levels of nesting that are read; what lies deeper may be anything. The API server takes no CustomResourceDefinition that nests this deep.
const DEPTH: usize = 100;
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// Components of Kubernetes itself. Their zero defaults (`""`, `0`, `{}`) only mirror Go's zero values: the server does not fill them in.
const OWN: [&str; 4] = [
    "io.k8s.api.",
    "io.k8s.apimachinery.",
    "io.k8s.apiextensions-apiserver.",
    "io.k8s.kube-aggregator.",
];

/// Reads the schemas of one document into a builder.
pub(super) struct Reader<'v, 'b> {
    pub builder: &'b mut Builder,
    /// `components.schemas` of an OpenAPI document; a CustomResourceDefinition has none.
    components: Option<&'v Map<String, Value>>,
    named: HashMap<&'v str, u32>,
    open: Vec<(&'v str, u32)>,
    own: bool,
    meta: Option<u32>,
}

impl<'v, 'b> Reader<'v, 'b> {
    pub fn new(builder: &'b mut Builder, components: Option<&'v Map<String, Value>>) -> Self {
        Self {
            builder,
            components,
            named: HashMap::new(),
            open: Vec::new(),
            own: false,
            meta: None,
        }
    }

    /// The type of a component of the document, and of all it refers to.
    pub fn component(&mut self, name: &'v str) -> u32 {
        let at = self.refer(name);
        self.drain();
        at
    }

    /// The root type of a custom resource: the fields every object has are added. `None` when its fields are not known, an error when it cannot be an object.
    pub fn custom_root(&mut self, schema: &'v Value) -> Result<Option<u32>, &'static str> {
        let node = self.describe(schema, 0);
        self.drain();
        let Node::Object { fields, rest } = node else {
            return match node {
                Node::Any => Ok(None),
                Node::Map(_) => Err("the root of its schema is a map, not an object with fields"),
                _ => Err("the root of its schema is not an object"),
            };
        };
        let fields = self.with_type_and_meta(fields);
        let node = self.builder.object(fields, rest);
        let known = tells_fields(self.builder, &node);
        Ok(known.then(|| self.builder.add(node)))
    }

    /// Describes the components that were referred to; a list of work instead of recursion, since they refer to each other in circles.
    fn drain(&mut self) {
        while let Some((name, at)) = self.open.pop() {
            self.own = OWN.iter().any(|prefix| name.starts_with(prefix));
            let schema = self.components.and_then(|components| components.get(name));
            let node = match schema {
                Some(schema) => self.describe(schema, 0),
                None => Node::Any,
            };
            self.builder.describe(at, node);
        }
        self.own = false;
    }

    fn refer(&mut self, mut name: &'v str) -> u32 {
        // A component may be only another name for the next one.
        for _ in 0..DEPTH {
            if let Some(leaf) = well_known(name) {
                return self.builder.add(leaf);
            }
            let schema = self.components.and_then(|components| components.get(name));
            match schema.and_then(Value::as_object).and_then(reference) {
                Some(next) => name = next,
                None => {
                    if let Some(at) = self.named.get(name) {
                        return *at;
                    }
                    let at = self.builder.reserve();
                    self.named.insert(name, at);
                    self.open.push((name, at));
                    return at;
                }
            }
        }
        self.builder.add(Node::Any)
    }

    fn read(&mut self, schema: &'v Value, depth: usize) -> u32 {
        if let Some(schema) = schema.as_object()
            && let Some(name) = reference(schema)
        {
            return match self.components {
                Some(_) => self.refer(name),
                None => self.builder.add(Node::Any),
            };
        }
        let node = self.describe(schema, depth);
        self.builder.add(node)
    }

    fn describe(&mut self, schema: &'v Value, depth: usize) -> Node {
        let Some(schema) = schema.as_object().filter(|_| depth < DEPTH) else {
            return Node::Any;
        };
        let text = |key: &str| schema.get(key).and_then(Value::as_str);
        let holds = |key: &str| schema.get(key) == Some(&Value::Bool(true));
        let int_or_string = holds("x-kubernetes-int-or-string")
            || text("format") == Some("int-or-string")
            || either_number_or_string(schema);
        let quantity = text("pattern").is_some_and(|pattern| pattern.contains("[KMGTPE]i"));
        if int_or_string {
            return if quantity {
                Node::Quantity
            } else {
                Node::IntOrString
            };
        }
        match text("type") {
            Some("string") if quantity => Node::Quantity,
            Some("string") if text("format") == Some("date-time") => Node::Time,
            Some("string") => Node::String,
            Some("integer") => Node::Integer,
            Some("number") => Node::Number,
            Some("boolean") => Node::Boolean,
            Some("array") => self.list(schema, depth),
            Some("object") => self.object(schema, depth),
            None if schema.contains_key("properties") => self.object(schema, depth),
            None if schema.contains_key("items") => self.list(schema, depth),
            _ => Node::Any,
        }
    }

    fn list(&mut self, schema: &'v Map<String, Value>, depth: usize) -> Node {
        let element = match schema.get("items") {
            Some(items) => self.read(items, depth + 1),
            None => self.builder.add(Node::Any),
        };
        let mut keys: Vec<u32> = strings(schema.get("x-kubernetes-list-map-keys"))
            .map(|key| self.builder.intern(key))
            .collect();
        if keys.is_empty()
            && let Some(Value::String(key)) = schema.get("x-kubernetes-patch-merge-key")
        {
            keys.push(self.builder.intern(key));
        }
        let set = schema
            .get("x-kubernetes-list-type")
            .is_some_and(|kind| kind == "set");
        Node::List { element, keys, set }
    }

    fn object(&mut self, schema: &'v Map<String, Value>, depth: usize) -> Node {
        let preserves =
            schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
        let embedded = schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true));
        let additional = match schema.get("additionalProperties") {
            Some(Value::Bool(true)) => Some(self.builder.add(Node::Any)),
            Some(of @ Value::Object(_)) => Some(self.read(of, depth + 1)),
            _ => None,
        };
        let rest = match preserves {
            true => Some(additional.unwrap_or_else(|| self.builder.add(Node::Any))),
            false => additional,
        };
        let properties = schema.get("properties").and_then(Value::as_object);
        if !embedded && properties.is_none_or(Map::is_empty) {
            return match (additional, preserves) {
                (Some(of), _) => Node::Map(of),
                (None, true) => Node::Any,
                // Kubernetes' own empty objects are markers, a custom resource's are pruned; a server of another make says so little only when it does not know.
                (None, false) if self.components.is_some() && !self.own => Node::Any,
                (None, false) => Node::Object {
                    fields: Vec::new(),
                    rest: None,
                },
            };
        }
        let required: Vec<&str> = strings(schema.get("required")).collect();
        let mut fields = Vec::with_capacity(properties.map_or(0, Map::len));
        for (name, of) in properties.into_iter().flatten() {
            let default = of
                .get("default")
                .filter(|default| !(default.is_null() || self.own && is_zero(default)))
                .map(|default| self.builder.intern(&default.to_string()));
            fields.push(Field {
                name: self.builder.intern(name),
                of: self.read(of, depth + 1),
                required: required.contains(&name.as_str()),
                default,
            });
        }
        if embedded {
            fields = self.with_type_and_meta(fields);
        }
        self.builder.object(fields, rest)
    }

    fn with_type_and_meta(&mut self, mut fields: Vec<Field>) -> Vec<Field> {
        let string = self.builder.add(Node::String);
        let meta = self.object_meta();
        for (name, of, required) in [
            ("apiVersion", string, true),
            ("kind", string, true),
            ("metadata", meta, false),
        ] {
            fields.push(Field {
                name: self.builder.intern(name),
                of,
                required,
                default: None,
            });
        }
        fields
    }

    fn object_meta(&mut self) -> u32 {
        if let Some(at) = self.meta {
            return at;
        }
        let here = self
            .components
            .is_some_and(|components| components.contains_key(OBJECT_META));
        let at = match here {
            true => self.refer(OBJECT_META),
            false => super::bundle::import_object_meta(self.builder),
        };
        self.meta = Some(at);
        at
    }
}

/// Whether a root type says what the fields of a kind are. One that takes any field and names only what every object has does not.
pub(super) fn tells_fields(builder: &Builder, root: &Node) -> bool {
    let Node::Object { fields, rest } = root else {
        return false;
    };
    let of_all =
        |field: &Field| matches!(builder.text(field.name), "apiVersion" | "kind" | "metadata");
    !fields.is_empty() && (rest.is_none() || !fields.iter().all(of_all))
}

/// The component a schema stands for: `{$ref}`, or, with a description or default beside it, `{allOf: [{$ref}]}`.
fn reference(schema: &Map<String, Value>) -> Option<&str> {
    let direct = schema.get("$ref");
    let wrapped = || match schema.get("allOf")?.as_array()?.as_slice() {
        [one] if !schema.contains_key("properties") => one.get("$ref"),
        _ => None,
    };
    direct
        .or_else(wrapped)?
        .as_str()?
        .strip_prefix("#/components/schemas/")
}

/// Components whose schema does not say what they are.
fn well_known(name: &str) -> Option<Node> {
    let is = |end: &str| name.ends_with(end);
    if is(".pkg.api.resource.Quantity") {
        Some(Node::Quantity)
    } else if is(".pkg.util.intstr.IntOrString") {
        Some(Node::IntOrString)
    } else if is(".pkg.runtime.RawExtension") || is(".meta.v1.FieldsV1") {
        Some(Node::Any)
    } else {
        None
    }
}

/// `anyOf`/`oneOf` of a number and a string, without a type of its own.
fn either_number_or_string(schema: &Map<String, Value>) -> bool {
    if schema.contains_key("type") {
        return false;
    }
    let Some([a, b]) = schema
        .get("anyOf")
        .or_else(|| schema.get("oneOf"))
        .and_then(Value::as_array)
        .map(Vec::as_slice)
    else {
        return false;
    };
    let of = |schema: &'_ Value, kind: &str| schema.get("type").is_some_and(|is| is == kind);
    (of(a, "string") && of(b, "integer")) || (of(a, "integer") && of(b, "string"))
}

fn strings(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}
