//! Equality of a candidate's values with a value of the subject, as hashes: candidates are found by looking up instead of asking each.
//!
//! Equal values have equal hashes, by type and deeply as `Equals` compares; different ones may have too, so that what is found is asked again.

use super::clause::Prepared;
use super::operand::Operand;
use super::reading::Seen;
use super::{Clause, Operator, Subject};
use crate::object::{Node, NodeKind};
use crate::rule::expr::{Expr, ExprFault, Scope};
use ahash::RandomState;
use serde_json::Value;

/// Hashes are compared within one process only.
static STATE: RandomState =
    RandomState::with_seeds(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344);

/// Why there is no value to join by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinFault {
    /// It is not there or not known: who belongs to the list is not known either.
    Unknown(String),
    /// It could not be computed.
    Failed(String),
}

pub(super) fn absent(what: &str) -> String {
    format!("the value to join by, `{what}`, is not there")
}

fn absent_value(expr: &Expr) -> JoinFault {
    JoinFault::Unknown(absent(&format!("${{{}}}", expr.text())))
}

impl Clause {
    /// Whether it compares a value of the candidate alone for equality with one that is the same for all candidates.
    pub fn joins(&self) -> bool {
        let left = match &self.subject {
            Subject::Path(_) => true,
            Subject::Expr(expr) => expr.is_of_candidate_alone(),
        };
        let right = match &self.right {
            Prepared::Nothing => false,
            Prepared::Operands(_) => true,
            Prepared::Expr(expr, _) => !expr.reads_candidate(),
        };
        let equality = matches!(self.operator, Operator::Equals | Operator::In);
        left && right && equality && self.read_as.is_none()
    }

    /// Whether the other side of a join is computed, and so differs from subject to subject.
    pub fn joins_with_subject(&self) -> bool {
        self.joins() && matches!(&self.right, Prepared::Expr(..))
    }

    /// Whether the right side has a value, where that is the subject's and the same for all candidates. `scope` is asking no candidate.
    ///
    /// # Errors
    /// It is not there, or not known.
    pub fn has_right_side(&self, scope: &Scope<'_>) -> Result<(), JoinFault> {
        let Prepared::Expr(expr, _) = &self.right else {
            return Ok(());
        };
        if expr.reads_candidate() {
            return Ok(());
        }
        match expr.evaluate(scope) {
            Ok(Some(value)) if !value.is_null() => Ok(()),
            Ok(_) | Err(ExprFault::Absent(_)) => Err(absent_value(expr)),
            Err(ExprFault::Unknown(why)) => Err(JoinFault::Unknown(why)),
            // Told where it is compared.
            Err(ExprFault::Failed(_)) => Ok(()),
        }
    }

    /// Hashes of the candidate's values. `scope` is asking that candidate.
    pub fn candidate_hashes(&self, scope: &Scope<'_>, found: &mut dyn FnMut(u64)) {
        if let Ok(selected) = self.selected(scope) {
            selected.each(&mut |seen| {
                found(hash(seen));
                true
            });
        }
    }

    /// Hashes of the subject's values.
    ///
    /// # Errors
    /// They are not there, not known, or could not be computed.
    pub fn subject_hashes(
        &self,
        scope: &Scope<'_>,
        found: &mut dyn FnMut(u64),
    ) -> Result<(), JoinFault> {
        let expr = match &self.right {
            Prepared::Nothing => return Ok(()),
            Prepared::Operands(operands) => {
                for operand in operands {
                    if let Operand::Json(value) = operand {
                        found(hash(Seen::Value(value)));
                    }
                }
                return Ok(());
            }
            Prepared::Expr(expr, _) => expr,
        };
        let failed = |why: &str| JoinFault::Failed(format!("`${{{}}}`: {why}", expr.text()));
        let value = match expr.evaluate(scope) {
            Ok(Some(value)) if !value.is_null() => value,
            Ok(_) | Err(ExprFault::Absent(_)) => return Err(absent_value(expr)),
            Err(ExprFault::Unknown(why)) => return Err(JoinFault::Unknown(why)),
            Err(ExprFault::Failed(why)) => return Err(failed(&why)),
        };
        match (self.operator, &value) {
            (Operator::In, Value::Array(list)) => {
                for value in list.iter().filter(|value| !value.is_null()) {
                    found(hash(Seen::Value(value)));
                }
            }
            (Operator::In, _) => return Err(failed("it is not a list")),
            _ => found(hash(Seen::Value(&value))),
        }
        Ok(())
    }
}

/// A hash of text, as a value that is this text has it.
pub fn hash_text(text: &str) -> u64 {
    STATE.hash_one((1u8, text))
}

/// Two hashes as one.
pub fn both(a: u64, b: u64) -> u64 {
    STATE.hash_one((a, b))
}

fn hash(seen: Seen<'_>) -> u64 {
    if let Some(text) = seen.as_str() {
        return hash_text(text);
    }
    if let Some(number) = seen.number() {
        // Equal numbers are equal as floats; the others are asked.
        let float = number.as_f64() + 0.0;
        return STATE.hash_one((2u8, float.to_bits()));
    }
    let (tag, size) = match seen {
        Seen::Node(node) => (tag_of(node), seen.size()),
        Seen::Value(Value::Bool(b)) => (3 + u8::from(*b), None),
        Seen::Value(Value::Array(_)) => (5, seen.size()),
        Seen::Value(Value::Object(_)) => (6, seen.size()),
        Seen::Value(_) => (0, None),
    };
    STATE.hash_one((tag, size))
}

fn tag_of(node: Node<'_>) -> u8 {
    match node.kind() {
        NodeKind::Bool => 3 + u8::from(node.as_bool() == Some(true)),
        NodeKind::List => 5,
        NodeKind::Map => 6,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Record;
    use proptest::prelude::*;
    use serde_json::json;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-3i64..3).prop_map(Value::from),
            (-3i64..3).prop_map(|n| Value::from(n as f64)),
            Just(Value::from(-0.0)),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[ab]", inner, 0..3)
                    .prop_map(|map| map.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        /// What `Equals` calls equal has one hash, in a record and computed.
        #[test]
        fn equal_values_have_equal_hashes(a in value(), b in value()) {
            let record = Record::from_value(&json!({"a": a, "b": b}));
            let stored = |name| record.root().get_str(name).map(Seen::Node);
            let sides = [stored("a"), Some(Seen::Value(&a)), stored("b")];
            for left in sides.into_iter().flatten() {
                for right in [&a, &b] {
                    if left.equals(right) {
                        prop_assert_eq!(hash(left), hash(Seen::Value(right)));
                    }
                }
            }
        }
    }
}
