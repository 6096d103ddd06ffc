//! The other objects of a world, for rules that look at them at admission.

use super::World;
use crate::decide::Neighbours;
use crate::object::{ObjectKey, Record};
use crate::rule::Rule;
use crate::rule::related::{Member, Probe};

/// All that there is. Nothing is asked of it: at admission no request is made on another object.
pub(super) struct Around<'w>(pub &'w World);

impl Neighbours for Around<'_> {
    fn get(&self, object: &ObjectKey) -> Result<Option<Record>, String> {
        Ok(self.0.get(object).cloned())
    }

    fn candidates(&self, rule: &Rule, list: usize, _: &Probe) -> Result<Vec<Member>, String> {
        let Some(related) = rule.related.get(list) else {
            return Err("there is no such list".into());
        };
        let meant = |key: &ObjectKey| related.kinds.iter().any(|k| k.kind == key.kind);
        let all = self.0.objects().filter(|(key, _)| meant(key));
        Ok(all
            .map(|(key, record)| Member {
                key: key.clone(),
                record: record.clone(),
            })
            .collect())
    }
}
