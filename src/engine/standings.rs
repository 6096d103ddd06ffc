//! How each rule of a kind stands towards one object, two bits a rule: 100 rules are 25 bytes an object.

use crate::decide::Standing;

/// Out of scope, or ignored.
pub const OUT: u8 = 0;
/// In scope; some test fails.
pub const IN_SCOPE: u8 = 1;
/// All tests pass.
pub const MATCHED: u8 = 2;
/// Something is unknown or failed: the object waits.
pub const WAITING: u8 = 3;

/// The two bits of an outcome.
pub fn bits(standing: &Standing) -> u8 {
    match standing {
        Standing::OutOfScope | Standing::Ignored => OUT,
        Standing::Unmatched => IN_SCOPE,
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

/// Sets them; `rules` is the number of the kind's rules.
pub fn set(standings: &mut Box<[u8]>, rules: usize, position: usize, bits: u8) {
    let length = rules.div_ceil(4);
    if standings.len() != length {
        let mut longer = vec![0; length];
        let kept = standings.len().min(length);
        longer[..kept].copy_from_slice(&standings[..kept]);
        *standings = longer.into();
    }
    if let Some(byte) = standings.get_mut(position / 4) {
        let shift = position % 4 * 2;
        *byte = *byte & !(3 << shift) | bits << shift;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_own_bits() {
        let mut standings: Box<[u8]> = Box::default();
        for position in 0..9 {
            set(&mut standings, 9, position, (position % 4) as u8);
        }
        set(&mut standings, 9, 4, WAITING);
        let read: Vec<u8> = (0..9).map(|p| get(&standings, p)).collect();
        assert_eq!(read, [0, 1, 2, 3, 3, 1, 2, 3, 0]);
        assert_eq!((standings.len(), get(&standings, 100)), (3, OUT));
    }
}
