//! Ages and `until`: how a comparison comes out at a moment, and when it will come out differently.

use super::Operator;
use super::operand::Operand;
use super::reading::admits;
use jiff::Timestamp;

/// An age or `until` test on one timestamp: its outcome is a function of the present moment alone.
pub(super) struct Clockwork<'r> {
    pub(super) moment: i128,
    pub(super) until: bool,
    pub(super) operator: Operator,
    pub(super) right: &'r [Operand],
}

impl Clockwork<'_> {
    pub(super) fn at(&self, now: i128) -> bool {
        let span = if self.until {
            self.moment - now
        } else {
            now - self.moment
        };
        self.spans()
            .any(|right| admits(self.operator, Some(span.cmp(&right))))
    }

    /// The right sides, in nanoseconds; a hundred years at most, so that nothing here can overflow.
    fn spans(&self) -> impl Iterator<Item = i128> {
        self.right.iter().filter_map(|right| match right {
            Operand::Span(span) => i128::try_from(span.as_nanos()).ok(),
            _ => None,
        })
    }

    /// The first moment after `now` at which it comes out differently. A comparison can change only when the span becomes equal to its
    /// right side, and one tick later, when it no longer is.
    pub(super) fn flips_after(&self, now: i128) -> Option<Timestamp> {
        let before = self.at(now);
        self.spans()
            .map(|span| {
                if self.until {
                    self.moment - span
                } else {
                    self.moment + span
                }
            })
            .flat_map(|equal| [equal, equal + 1])
            .filter(|moment| *moment > now && self.at(*moment) != before)
            .min()
            .and_then(|moment| Timestamp::from_nanosecond(moment).ok())
    }
}
