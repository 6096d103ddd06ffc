//! Kubernetes label selectors: `matchLabels` and `matchExpressions`, checked as the API server checks them.

use crate::object::{Key, Node};
use std::fmt::Write;

/// A Kubernetes label selector, compiled. All requirements must hold; none: everything matches.
#[derive(Clone, Debug, Default)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

/// `operator` of a match expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelOperator {
    /// The label is there and has one of the values.
    In,
    /// The label has none of the values, or is not there.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is not there.
    DoesNotExist,
}

impl LabelOperator {
    /// All of them, in the order of the Kubernetes documentation.
    pub const ALL: [LabelOperator; 4] = [Self::In, Self::NotIn, Self::Exists, Self::DoesNotExist];

    /// As written in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
        }
    }

    /// Reads what manifests write; the case counts.
    pub fn parse(text: &str) -> Option<LabelOperator> {
        Self::ALL
            .into_iter()
            .find(|operator| operator.as_str() == text)
    }
}

/// One requirement of a selector.
#[derive(Clone, Debug)]
pub struct Requirement {
    key: Key,
    operator: LabelOperator,
    values: Vec<Box<str>>,
}

/// Which part of a requirement is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectorPart {
    /// The label's key.
    Key,
    /// The list of values as a whole.
    Values,
    /// The value at this index (0 in `matchLabels`).
    Value(usize),
}

/// What is wrong with a requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorProblem {
    /// Where.
    pub part: SelectorPart,
    /// One sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub mend: Option<String>,
}

/// Longest name part of a label key, and longest label value (Kubernetes' `validation` package).
const LONGEST_NAME: usize = 63;
/// Longest prefix of a label key: a DNS subdomain.
const LONGEST_PREFIX: usize = 253;

fn is_name(text: &str) -> bool {
    let end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= LONGEST_NAME
        && end(bytes.first())
        && end(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

fn is_subdomain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= LONGEST_PREFIX && text.split('.').all(label)
}

fn problem(part: SelectorPart, message: String, mend: Option<&str>) -> SelectorProblem {
    SelectorProblem {
        part,
        message,
        mend: mend.map(Into::into),
    }
}

/// `${ }` in a selector that chooses the same for every object.
fn computed(part: SelectorPart) -> SelectorProblem {
    problem(
        part,
        "`${ }` has no place in this selector: it is read before there is an object".into(),
        Some("write a test in `where`"),
    )
}

fn check_key(key: &str) -> Result<(), SelectorProblem> {
    let wrong = |message: String, mend| Err(problem(SelectorPart::Key, message, mend));
    if key.contains("${") {
        return Err(computed(SelectorPart::Key));
    }
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|prefix| !is_subdomain(prefix)) {
        return wrong(
            format!("`{key}` is no label key: what stands before `/` is a DNS name in lower case"),
            None,
        );
    }
    if !is_name(name) {
        return wrong(
            format!(
                "`{key}` is no label key: a name has at most {LONGEST_NAME} letters, digits, `-`, `_`, `.`, and begins and ends with a letter or digit"
            ),
            name.contains(['*', '?'])
                .then_some("label selectors take no globs"),
        );
    }
    Ok(())
}

fn check_value(value: &str, index: usize) -> Result<(), SelectorProblem> {
    if value.contains("${") {
        return Err(computed(SelectorPart::Value(index)));
    }
    if value.is_empty() || is_name(value) {
        return Ok(());
    }
    Err(problem(
        SelectorPart::Value(index),
        format!(
            "`{value}` is no label value: it has at most {LONGEST_NAME} letters, digits, `-`, `_`, `.`, and begins and ends with a letter or digit"
        ),
        value
            .contains(['*', '?'])
            .then_some("label selectors take no globs; write a test with `Matches` in `where`"),
    ))
}

impl Requirement {
    /// One entry of `matchExpressions`.
    ///
    /// # Errors
    /// The first part that the API server would refuse.
    pub fn new(
        key: &str,
        operator: LabelOperator,
        values: &[&str],
    ) -> Result<Self, SelectorProblem> {
        check_key(key)?;
        let takes_values = matches!(operator, LabelOperator::In | LabelOperator::NotIn);
        if takes_values && values.is_empty() {
            return Err(problem(
                SelectorPart::Values,
                format!("`{}` needs `values`", operator.as_str()),
                Some("write `values: [a, b]`"),
            ));
        }
        if !takes_values && !values.is_empty() {
            let other = if operator == LabelOperator::Exists {
                "In"
            } else {
                "NotIn"
            };
            return Err(problem(
                SelectorPart::Values,
                format!("`{}` takes no `values`", operator.as_str()),
                Some(&format!("leave `values` out, or write `operator: {other}`")),
            ));
        }
        for (index, value) in values.iter().enumerate() {
            check_value(value, index)?;
        }
        Ok(Self {
            key: Key::new(key),
            operator,
            values: values.iter().map(|value| (*value).into()).collect(),
        })
    }

    /// One entry of `matchLabels`.
    ///
    /// # Errors
    /// A key or value that no label can have.
    pub fn label(key: &str, value: &str) -> Result<Self, SelectorProblem> {
        Self::new(key, LabelOperator::In, &[value])
    }

    /// The label's key.
    pub fn key(&self) -> &str {
        self.key.as_str()
    }

    /// How its value is compared.
    pub fn operator(&self) -> LabelOperator {
        self.operator
    }

    /// With what; empty for `Exists` and `DoesNotExist`.
    pub fn values(&self) -> &[Box<str>] {
        &self.values
    }

    fn holds(&self, labels: Option<Node<'_>>) -> bool {
        let label = labels
            .and_then(|labels| labels.get(&self.key))
            .filter(|label| !label.is_null());
        let listed = |label: Node<'_>| {
            label
                .as_str()
                .is_some_and(|label| self.values.iter().any(|value| &**value == label))
        };
        match self.operator {
            LabelOperator::In => label.is_some_and(listed),
            LabelOperator::NotIn => !label.is_some_and(listed),
            LabelOperator::Exists => label.is_some(),
            LabelOperator::DoesNotExist => label.is_none(),
        }
    }
}

impl LabelSelector {
    /// All of these must hold.
    pub fn new(requirements: Vec<Requirement>) -> Self {
        Self { requirements }
    }

    /// Over the `labels` map of an object; absent labels are an empty map.
    pub fn matches(&self, labels: Option<Node<'_>>) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.holds(labels))
    }

    /// The labels that must be there with exactly one value: key and value.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.requirements
            .iter()
            .filter_map(|r| match (r.operator, &*r.values) {
                (LabelOperator::In, [value]) => Some((r.key.as_str(), &**value)),
                _ => None,
            })
    }

    /// All that must hold.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether it asks for nothing, so that everything matches.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// As the API server's `labelSelector` parameter, not yet escaped for a URL; empty if there is nothing to ask for.
    pub fn to_query(&self) -> String {
        let mut out = String::new();
        for requirement in &self.requirements {
            if !out.is_empty() {
                out.push(',');
            }
            let key = requirement.key.as_str();
            let values = requirement.values.join(",");
            // Writing to a String cannot fail.
            let _ = match (requirement.operator, requirement.values.len()) {
                (LabelOperator::In, 1) => write!(out, "{key}={values}"),
                (LabelOperator::In, _) => write!(out, "{key} in ({values})"),
                (LabelOperator::NotIn, 1) => write!(out, "{key}!={values}"),
                (LabelOperator::NotIn, _) => write!(out, "{key} notin ({values})"),
                (LabelOperator::Exists, _) => write!(out, "{key}"),
                (LabelOperator::DoesNotExist, _) => write!(out, "!{key}"),
            };
        }
        out
    }
}
