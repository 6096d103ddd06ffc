//! How each rule of a kind stands towards one object, two bits a rule: 100 rules are 25 bytes an object.

use crate::decide::Standing;
use smallvec::SmallVec;

/// The bits of all rules of a kind while they are put together; 128 rules need no allocation. Behind the end stands [`OUT`].
pub type Standings = SmallVec<[u8; 32]>;

/// Out of scope, or ignored.
pub const OUT: u8 = 0;
/// In scope; some test fails, or `pick` leaves it out.
pub const IN_SCOPE: u8 = 1;
/// All tests pass.
pub const MATCHED: u8 = 2;
/// Something is unknown or failed: the object waits.
pub const WAITING: u8 = 3;

/// The two bits of an outcome.
pub fn bits(standing: &Standing) -> u8 {
    match standing {
        Standing::OutOfScope | Standing::Ignored => OUT,
        Standing::Unmatched | Standing::NotPicked => IN_SCOPE,
        Standing::Matched { .. } => MATCHED,
        Standing::Waiting | Standing::Failed => WAITING,
    }
}

/// The bits of the rule at `position` among the kind's rules.
pub fn get(standings: &[u8], position: usize) -> u8 {
    standings
        .get(position / 4)
        .map_or(OUT, |byte| byte >> (position % 4 * 2) & 3)
}

/// Sets them.
pub fn set(standings: &mut Standings, position: usize, bits: u8) {
    let byte = position / 4;
    if byte >= standings.len() {
        if bits == OUT {
            return;
        }
        standings.resize(byte + 1, 0);
    }
    let shift = position % 4 * 2;
    standings[byte] = standings[byte] & !(3 << shift) | bits << shift;
}

/// Sets them where there is place for them; false if there is none.
pub fn put(standings: &mut [u8], position: usize, bits: u8) -> bool {
    let Some(byte) = standings.get_mut(position / 4) else {
        return false;
    };
    let shift = position % 4 * 2;
    *byte = *byte & !(3 << shift) | bits << shift;
    true
}

/// Takes them out: answers what they were.
pub fn take(standings: &mut [u8], position: usize) -> u8 {
    let bits = get(standings, position);
    if bits != OUT {
        put(standings, position, OUT);
    }
    bits
}

/// Whether all rules are out of scope or have a test that fails: [`MATCHED`] and [`WAITING`] have the upper bit of their two.
pub fn none_has_to_do(standings: &[u8]) -> bool {
    standings.iter().all(|byte| byte & 0b1010_1010 == 0)
}

/// Whether both say the same of every rule.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    let common = a.len().min(b.len());
    a[..common] == b[..common]
        && a[common..]
            .iter()
            .chain(&b[common..])
            .all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_own_bits() {
        let mut standings = Standings::new();
        for position in 0..9 {
            set(&mut standings, position, (position % 4) as u8);
        }
        set(&mut standings, 4, WAITING);
        let read: Vec<u8> = (0..9).map(|p| get(&standings, p)).collect();
        assert_eq!(read, [0, 1, 2, 3, 3, 1, 2, 3, 0]);
        let mut taken = standings.clone();
        assert_eq!((take(&mut taken, 3), take(&mut taken, 100)), (WAITING, OUT));
        assert_eq!((get(&taken, 2), get(&taken, 3)), (MATCHED, OUT));
        assert_eq!((standings.len(), get(&standings, 100)), (2, OUT));
        assert!(same(&standings, &[0b1110_0100, 0b1110_0111, 0]));
        assert!(!same(&standings, &[0b1110_0100, 0b1110_0111, 1]));
        assert!(same(&[], &[0, 0]) && !same(&[4], &[]));
        assert!(none_has_to_do(&[]) && none_has_to_do(&[0b0101_0001, 0]));
        assert!(!none_has_to_do(&[0, 0b1000_0000]) && !none_has_to_do(&[0b0000_0011]));
    }
}
