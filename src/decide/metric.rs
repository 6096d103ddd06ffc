//! `metric`: the number of one object.

use super::apply::Progress;
use super::turn::Turn;
use crate::object::ObjectKey;
use crate::rule::expr::{ExprFault, Scope, Template};
use crate::rule::metric::{Metric, Sample, number};
use serde_json::Value;

/// Longest value of a label, in characters.
const LONGEST_LABEL: usize = 256;

pub(super) fn sample(
    key: &ObjectKey,
    step: usize,
    metric: &Metric,
    scope: &Scope<'_>,
    turn: &mut Turn,
) -> Result<Progress, ExprFault> {
    let value = rendered(&metric.value, scope)?;
    let Some(value) = number(&value) else {
        return Err(ExprFault::Failed(format!(
            "the value of the metric `{}` is not a number",
            metric.name
        )));
    };
    let mut labels: Vec<Box<str>> = vec![];
    if metric.aggregate.is_none() {
        labels.push(key.kind.to_string().into());
        labels.push(key.namespace.as_deref().unwrap_or_default().into());
        labels.push((&*key.name).into());
    }
    for (_, label) in &metric.labels {
        let text = match rendered(label, scope)? {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        };
        let cut = text.char_indices().nth(LONGEST_LABEL);
        labels.push(text[..cut.map_or(text.len(), |(at, _)| at)].into());
    }
    turn.samples.push(Sample {
        step,
        labels: labels.into(),
        value,
    });
    Ok(Progress::Done)
}

fn rendered(template: &Template, scope: &Scope<'_>) -> Result<Value, ExprFault> {
    Ok(match template.literal() {
        Some(literal) => literal.clone(),
        None => template.render(scope)?.unwrap_or_default(),
    })
}
