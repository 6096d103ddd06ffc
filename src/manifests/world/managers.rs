//! Who owns which fields of an object in memory, as server-side apply asks for it.

use crate::object::Record;
use crate::rule::apply::fields::{agrees, lay_over, places, take_away, value_at};
use crate::schema::Type;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The name under which people's manifests are owned here.
const PEOPLE: &str = "manifests";

/// Places by field manager; what no manager owns is a person's.
#[derive(Clone, Debug, Default)]
pub struct Managers(BTreeMap<String, BTreeSet<String>>);

/// Fields that somebody else owns: each manager with the first of them.
pub type Conflicts = BTreeMap<String, String>;

impl Managers {
    /// The object has changed: a place belongs to whoever wrote it last.
    pub fn changed(
        &mut self,
        before: &Value,
        after: &Value,
        by: Option<&str>,
        ty: Option<Type<'_>>,
    ) {
        if self.0.is_empty() && by.is_none() {
            return;
        }
        for owned in self.0.values_mut() {
            owned.retain(|place| {
                let there = value_at(after, place, ty);
                there.is_some() && there == value_at(before, place, ty)
            });
        }
        if let Some(by) = by {
            let written = places(after, ty)
                .into_iter()
                .filter(|place| value_at(before, place, ty) != value_at(after, place, ty));
            self.0.entry(by.to_owned()).or_default().extend(written);
        }
        self.0.retain(|_, owned| !owned.is_empty());
    }

    /// What a manager's manifest makes of an object.
    ///
    /// # Errors
    /// It says otherwise than others who own the fields, and does not force.
    pub fn apply(
        &mut self,
        object: &Value,
        (manifest, manager, force): (&Value, &str, bool),
        ty: Option<Type<'_>>,
    ) -> Result<Value, Conflicts> {
        let wanted = places(manifest, ty);
        let mut conflicts = Conflicts::new();
        let mut taken: Vec<&String> = vec![];
        for place in &wanted {
            let (Some(there), Some(value)) =
                (value_at(object, place, ty), value_at(manifest, place, ty))
            else {
                continue;
            };
            let below = type_at(place, ty);
            if agrees(Record::from_value(there).root(), value, below) {
                continue;
            }
            let mut others: Vec<&str> = self
                .0
                .iter()
                .filter(|(name, owned)| *name != manager && owned.contains(place))
                .map(|(name, _)| name.as_str())
                .collect();
            let own = self
                .0
                .get(manager)
                .is_some_and(|owned| owned.contains(place));
            if others.is_empty() && !own {
                others.push(PEOPLE);
            }
            for other in others {
                conflicts
                    .entry(other.to_owned())
                    .or_insert_with(|| place.clone());
            }
            taken.push(place);
        }
        if !conflicts.is_empty() && !force {
            return Err(conflicts);
        }
        for (name, owned) in &mut self.0 {
            if name != manager {
                taken.iter().for_each(|place| {
                    owned.remove(*place);
                });
            }
        }
        let former = self.0.insert(manager.to_owned(), wanted.clone());
        let mut after = object.clone();
        let left: Vec<String> = former
            .into_iter()
            .flatten()
            .filter(|place| self.0.values().all(|owned| !owned.contains(place)))
            .collect();
        take_away(&mut after, &left, ty);
        lay_over(&mut after, manifest, ty);
        self.0.retain(|_, owned| !owned.is_empty());
        Ok(after)
    }
}

/// The type at a place; `None` where elements are named, or where no schema tells: then values are compared as they are.
fn type_at<'s>(place: &str, ty: Option<Type<'s>>) -> Option<Type<'s>> {
    place.split('/').skip(1).try_fold(ty?, |ty, token| {
        let token = token.replace("~1", "/").replace("~0", "~");
        ty.field(&token).or_else(|| ty.element())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn apply(
        managers: &mut Managers,
        object: &Value,
        manifest: Value,
        manager: &str,
        force: bool,
    ) -> Result<Value, Conflicts> {
        managers.apply(object, (&manifest, manager, force), None)
    }

    #[test]
    fn fields_belong_to_whoever_applied_them() {
        let mut managers = Managers::default();
        let object = json!({"data": {"mine": "1", "theirs": "1"}});
        let after = apply(
            &mut managers,
            &object,
            json!({"data": {"mine": "1", "new": "1"}}),
            "a",
            false,
        )
        .unwrap();
        assert_eq!(
            after,
            json!({"data": {"mine": "1", "theirs": "1", "new": "1"}})
        );
        let conflicts = apply(
            &mut managers,
            &after,
            json!({"data": {"theirs": "2"}}),
            "a",
            false,
        );
        assert_eq!(
            conflicts,
            Err([("manifests".to_owned(), "/data/theirs".to_owned())].into())
        );
        let conflicts = apply(
            &mut managers,
            &after,
            json!({"data": {"new": "2"}}),
            "b",
            false,
        );
        assert_eq!(
            conflicts,
            Err([("a".to_owned(), "/data/new".to_owned())].into())
        );
        // What is no longer said goes, unless somebody else says it too.
        let shared = apply(
            &mut managers,
            &after,
            json!({"data": {"new": "1"}}),
            "b",
            false,
        )
        .unwrap();
        let less = apply(
            &mut managers,
            &shared,
            json!({"data": {"only": "1"}}),
            "a",
            false,
        )
        .unwrap();
        assert_eq!(
            less,
            json!({"data": {"theirs": "1", "new": "1", "only": "1"}})
        );
        let forced = apply(
            &mut managers,
            &less,
            json!({"data": {"theirs": "2"}}),
            "a",
            true,
        )
        .unwrap();
        assert_eq!(forced, json!({"data": {"theirs": "2", "new": "1"}}));
    }

    #[test]
    fn whoever_changes_a_field_owns_it() {
        let mut managers = Managers::default();
        let first = apply(
            &mut managers,
            &json!({}),
            json!({"data": {"x": "1", "y": "1"}}),
            "a",
            false,
        )
        .unwrap();
        let edited = json!({"data": {"x": "2"}});
        managers.changed(&first, &edited, Some("kubectl"), None);
        let again = apply(
            &mut managers,
            &edited,
            json!({"data": {"x": "1", "y": "1"}}),
            "a",
            false,
        );
        assert_eq!(
            again,
            Err([("kubectl".to_owned(), "/data/x".to_owned())].into())
        );
        // A field that was removed belongs to nobody.
        let again = apply(
            &mut managers,
            &edited,
            json!({"data": {"x": "2", "y": "1"}}),
            "a",
            false,
        );
        assert_eq!(again, Ok(first_with(&first, "2")));
    }

    fn first_with(first: &Value, x: &str) -> Value {
        let mut value = first.clone();
        value["data"]["x"] = json!(x);
        value
    }
}
