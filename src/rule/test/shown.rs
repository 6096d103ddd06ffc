//! Values for people and traces, cut where they are long.

use crate::object::{Node, NodeKind};
use serde_json::Value;

/// How much of a value a trace keeps: characters of a text, members of a list or map, levels.
const SHOWN_CHARS: usize = 256;
pub(super) const SHOWN_MEMBERS: usize = 20;
const SHOWN_LEVELS: usize = 6;

/// A tree of a value, cut where it is long.
pub(super) fn shortened(node: Node<'_>, level: usize) -> Value {
    let more = |left: usize| Value::from(format!("… {left} more"));
    match node.kind() {
        NodeKind::String => {
            let text = node.as_str().unwrap_or_default();
            match text.char_indices().nth(SHOWN_CHARS) {
                Some((end, _)) => Value::from(format!("{}…", &text[..end])),
                None => Value::from(text),
            }
        }
        NodeKind::List | NodeKind::Map if level >= SHOWN_LEVELS => Value::from("…"),
        NodeKind::List => {
            let count = node.items().count();
            let mut list: Vec<Value> = node
                .items()
                .take(SHOWN_MEMBERS)
                .map(|item| shortened(item, level + 1))
                .collect();
            if count > SHOWN_MEMBERS {
                list.push(more(count - SHOWN_MEMBERS));
            }
            Value::Array(list)
        }
        NodeKind::Map => {
            let count = node.entries().count();
            let mut map: serde_json::Map<String, Value> = node
                .entries()
                .take(SHOWN_MEMBERS)
                .map(|(key, value)| (key.to_owned(), shortened(value, level + 1)))
                .collect();
            if count > SHOWN_MEMBERS {
                map.insert("…".into(), more(count - SHOWN_MEMBERS));
            }
            Value::Object(map)
        }
        _ => node.to_value(),
    }
}
