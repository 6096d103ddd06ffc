//! `selector` of a list: label selectors with computed parts.

use super::super::expr::{ExprFault, Scope, Template};
use super::super::selector::{LabelOperator, LabelSelector, Requirement};
use serde_json::Value;

/// Which labels a list asks for.
#[derive(Debug, Default)]
pub struct Labels {
    /// What has nothing to do with the subject.
    pub fixed: LabelSelector,
    /// `selector: ${…}`: a label selector of some object.
    pub whole: Option<Template>,
    /// `matchLabels: ${…}`: a map of labels.
    pub map: Option<Template>,
    /// `matchLabels: {key: ${…}}`
    pub values: Vec<(Box<str>, Template)>,
    /// `matchExpressions: [{key, operator, values: [${…}]}]`
    pub expressions: Vec<Expression>,
}

/// An entry of `matchExpressions` with `In` or `NotIn`, some of whose values are computed.
#[derive(Debug)]
pub struct Expression {
    /// The label's key, as it is written.
    pub key: Box<str>,
    /// `In` or `NotIn`.
    pub operator: LabelOperator,
    /// Each gives a text, or a list of texts.
    pub values: Vec<Template>,
}

impl Labels {
    /// Whether it asks for labels of which the subject tells what they must be, so that candidates are found by them. What only must not be
    /// so finds nothing.
    pub fn find(&self) -> bool {
        self.computed_keys().is_none_or(|keys| !keys.is_empty())
    }

    /// The keys of labels that it compares with computed values; `None`: any.
    pub fn computed_keys(&self) -> Option<Vec<&str>> {
        if self.whole.is_some() || self.map.is_some() {
            return None;
        }
        let taken = |e: &&Expression| e.operator == LabelOperator::In;
        let of_expressions = self.expressions.iter().filter(taken).map(|e| &*e.key);
        let of_values = self.values.iter().map(|(key, _)| &**key);
        Some(of_values.chain(of_expressions).collect())
    }

    /// The expressions in it.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let values = self.values.iter().map(|(_, template)| template);
        let listed = self.expressions.iter().flat_map(|e| &e.values);
        self.whole
            .iter()
            .chain(&self.map)
            .chain(values)
            .chain(listed)
    }

    /// The computed part for one subject.
    ///
    /// # Errors
    /// It could not be computed, or is no label selector.
    pub fn now(&self, scope: &Scope<'_>) -> Result<LabelSelector, ExprFault> {
        let mut requirements = vec![];
        if let Some(template) = &self.whole {
            let value = render(template, scope)?;
            let Some(map) = value.as_object() else {
                return Err(failed("the selector is not a map"));
            };
            for (field, value) in map {
                match field.as_str() {
                    "matchLabels" => labels(value, &mut requirements)?,
                    "matchExpressions" => expressions(value, &mut requirements)?,
                    _ => {
                        return Err(failed(
                            "the selector has fields other than `matchLabels` and `matchExpressions`",
                        ));
                    }
                }
            }
        }
        if let Some(template) = &self.map {
            labels(&render(template, scope)?, &mut requirements)?;
        }
        for (key, template) in &self.values {
            requirements.push(requirement(key, &render(template, scope)?)?);
        }
        for expression in &self.expressions {
            requirements.push(expression.now(scope)?);
        }
        Ok(LabelSelector::new(requirements))
    }
}

impl Expression {
    fn now(&self, scope: &Scope<'_>) -> Result<Requirement, ExprFault> {
        let mut texts = vec![];
        for template in &self.values {
            match render(template, scope)? {
                Value::String(text) => texts.push(text),
                Value::Array(items) => {
                    for item in items {
                        let Value::String(text) = item else {
                            return Err(failed("a label's value is not text"));
                        };
                        texts.push(text);
                    }
                }
                _ => return Err(failed("a label's value is not text")),
            }
        }
        let values: Vec<&str> = texts.iter().map(String::as_str).collect();
        Requirement::new(&self.key, self.operator, &values)
            .map_err(|problem| ExprFault::Failed(problem.message))
    }
}

fn failed(message: &str) -> ExprFault {
    ExprFault::Failed(message.into())
}

fn render(template: &Template, scope: &Scope<'_>) -> Result<Value, ExprFault> {
    let value = match template.literal() {
        Some(literal) => Some(literal.clone()),
        None => template.render(scope)?,
    };
    match value {
        None | Some(Value::Null) => Err(ExprFault::Absent("what the selector asks for".into())),
        Some(value) => Ok(value),
    }
}

fn labels(value: &Value, requirements: &mut Vec<Requirement>) -> Result<(), ExprFault> {
    let Some(map) = value.as_object() else {
        return Err(failed("the labels are not a map"));
    };
    for (key, value) in map {
        requirements.push(requirement(key, value)?);
    }
    Ok(())
}

fn requirement(key: &str, value: &Value) -> Result<Requirement, ExprFault> {
    let Some(text) = value.as_str() else {
        return Err(failed("a label's value is not text"));
    };
    Requirement::label(key, text).map_err(|_| failed("no label can be so"))
}

fn expressions(value: &Value, requirements: &mut Vec<Requirement>) -> Result<(), ExprFault> {
    let wrong = || failed("the expressions of the selector are not those of a label selector");
    for entry in value.as_array().ok_or_else(wrong)? {
        let text = |field: &str| entry.get(field).and_then(Value::as_str);
        let operator = text("operator").ok_or_else(wrong)?;
        let operator = LabelOperator::ALL
            .into_iter()
            .find(|known| known.as_str() == operator)
            .ok_or_else(wrong)?;
        let values = match entry.get("values") {
            Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
            _ => vec![],
        };
        let key = text("key").ok_or_else(wrong)?;
        requirements.push(Requirement::new(key, operator, &values).map_err(|_| wrong())?);
    }
    Ok(())
}
