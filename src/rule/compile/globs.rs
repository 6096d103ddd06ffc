//! Globs where none are: `match` takes them, tests compare text as it stands.

use super::clauses::equality;
use super::document::Context;
use super::fields::{self, Fields};
use crate::rule::path::Path;
use crate::rule::pattern;
use crate::rule::test::{Operator, ReadAs, Right};
use serde_json::Value;

/// Warns of a pattern where text is compared as it stands, in fields that never hold such a text: names, labels, images.
pub(super) fn warn(
    context: &mut Context<'_, '_>,
    of: Fields<'_>,
    path: &Path,
    read_as: Option<ReadAs>,
    operator: Operator,
    right: &Right,
) {
    let text = path.text();
    let plain = [".image", ".name", ".namespace"]
        .iter()
        .any(|field| text.ends_with(field))
        || text.starts_with("$.metadata.labels")
        || read_as.is_some_and(ReadAs::is_image);
    if !plain || !equality(operator) {
        return;
    }
    let values = match right {
        Right::Value(value) => std::slice::from_ref(value),
        Right::Values(values) => values,
        _ => return,
    };
    let Some(glob) = values
        .iter()
        .filter_map(Value::as_str)
        .find(|text| text.contains('*') || text.starts_with('!'))
    else {
        return;
    };
    let (bare, excludes) = match glob.strip_prefix('!') {
        Some(bare) => (bare, true),
        None => (glob, false),
    };
    let word = match operator.is_negative() != excludes {
        true => Operator::DoesNotMatch,
        false => Operator::Matches,
    };
    let mend = format!(
        "write `operator: {}` and `value: {:?}`, a regular expression",
        word.as_str(),
        fields::shortened(&pattern::of_glob(bare))
    );
    let message = format!(
        "`{}` compares the text as it stands, and no such field holds {:?}: `*` and `!` mean nothing here",
        operator.as_str(),
        fields::shortened(glob)
    );
    if let Some(tree) = of.get("value").or_else(|| of.get("values")) {
        context.report.warning(tree, message, Some(mend));
    }
}
