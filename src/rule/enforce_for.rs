//! `enforceFor`: a rule enforces for these objects, and stays in Audit for the rest.

use super::expr::NamespaceObject;
use super::selector::LabelSelector;
use crate::object::Meta;

/// Which objects a rule enforces for. Both must let an object in.
#[derive(Clone, Debug)]
pub struct EnforceFor {
    /// Over the labels of the object's Namespace; of a Namespace over its own. Other objects without a namespace are not among these.
    pub namespace_selector: Option<LabelSelector>,
    /// This share of all objects, 0 to 100, by [`share`]. More of it keeps those that it had.
    pub percent: Option<f64>,
}

impl EnforceFor {
    /// Whether the share lets in an object of this uid.
    pub fn draws(&self, uid: &str) -> bool {
        self.percent.is_none_or(|percent| share(uid) < percent)
    }

    /// Whether the rule enforces for an object. What is not known keeps it in Audit.
    pub fn covers(&self, meta: Meta<'_>, namespace: NamespaceObject<'_>) -> bool {
        if !self.draws(meta.uid()) {
            return false;
        }
        let Some(selector) = &self.namespace_selector else {
            return true;
        };
        if meta.kind() == "Namespace" && meta.api_version() == "v1" {
            return selector.matches(meta.labels());
        }
        match namespace {
            NamespaceObject::Known(namespace) => selector.matches(Meta::of(namespace).labels()),
            NamespaceObject::Unknown | NamespaceObject::None => false,
        }
    }
}

/// Where an object stands among all, from 0 up to, not including, 100: `enforceFor.percent: 25` enforces for those below 25.
///
/// It is made of the uid alone, so that it is the same for every rule and for as long as the object lives: FNV-1a (64 bits) of its text,
/// then the finalizer of MurmurHash3 (64 bits), as a fraction of 2^64. It is part of the language and never changes. An object without a
/// uid, one that is only being created, stands at 100.
pub fn share(uid: &str) -> f64 {
    if uid.is_empty() {
        return 100.0;
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in uid.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    // 53 bits are what a number can hold.
    (hash >> 11) as f64 / (1_u64 << 53) as f64 * 100.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::object::Record;
    use crate::rule::selector::Requirement;
    use serde_json::json;

    #[test]
    fn a_share_never_changes_between_versions() {
        for (uid, expected) in SHARES {
            assert_eq!(format!("{:.6}", share(uid)), expected, "{uid}");
        }
        assert_eq!(share(""), 100.0);
    }

    /// Made with another program, from the definition.
    const SHARES: [(&str, &str); 4] = [
        ("a", "51.029452"),
        ("5f1c1f4e-2f3d-4c38-9a60-0c6f2b5f6f11", "95.892374"),
        ("00000000-0000-0000-0000-000000000000", "11.788932"),
        ("f47ac10b-58cc-4372-a567-0e02b2c3d479", "15.118877"),
    ];

    #[test]
    fn shares_are_even_and_grow() {
        let uids: Vec<String> = (0..20_000)
            .map(|n: u64| {
                format!(
                    "{:08x}-1111-4222-8333-{n:012x}",
                    n.wrapping_mul(2_654_435_761) as u32
                )
            })
            .collect();
        for percent in [1, 10, 50, 90] {
            let within = uids
                .iter()
                .filter(|uid| share(uid) < f64::from(percent))
                .count();
            let expected = uids.len() * percent as usize / 100;
            assert!(within.abs_diff(expected) < 300, "{percent}: {within}");
        }
    }

    #[test]
    fn what_is_not_known_stays_in_audit() {
        let shop = Requirement::label("env", "shop").ok().unwrap();
        let chosen = EnforceFor {
            namespace_selector: Some(LabelSelector::new(vec![shop])),
            percent: None,
        };
        let of = |value| Record::from_value(&value);
        let map = of(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop", "uid": "u"}}),
        );
        let space = |env: &str| {
            of(
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"env": env}}}),
            )
        };
        let (yes, no) = (space("shop"), space("bank"));
        let covers = |record: &Record, namespace| chosen.covers(record.meta(), namespace);
        assert!(covers(&map, NamespaceObject::Known(yes.root())));
        assert!(!covers(&map, NamespaceObject::Known(no.root())));
        assert!(!covers(&map, NamespaceObject::Unknown));
        assert!(covers(&yes, NamespaceObject::Unknown) && !covers(&no, NamespaceObject::Unknown));
        let role = of(
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "a", "uid": "u"}}),
        );
        assert!(!covers(&role, NamespaceObject::None));
        let none = EnforceFor {
            namespace_selector: None,
            percent: Some(0.0),
        };
        let all = EnforceFor {
            namespace_selector: None,
            percent: Some(100.0),
        };
        assert!(!none.covers(map.meta(), NamespaceObject::None));
        assert!(all.covers(map.meta(), NamespaceObject::None));
    }
}
