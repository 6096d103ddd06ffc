//! By how much the clock of whoever wrote a part of the state is ahead of ours.
//!
//! Both are compared with the API server's, which says when it took what was written, and what time it is now. Nothing else is told by clocks of
//! two machines: who may act is decided by how long something lasts (`lease`).

use http::{HeaderMap, header};
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Clocks that are kept right differ by less than this, and a server that has much to do takes what was written earlier.
const NOTICED: SignedDuration = SignedDuration::from_secs(5);
/// The server tells whole seconds, rounded down.
const RESOLUTION: SignedDuration = SignedDuration::from_secs(1);

/// What two clocks showed at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// Ours, when the answer was there.
    own: Timestamp,
    /// The server's, when it made the answer.
    server: Timestamp,
}

impl Clocks {
    /// Of an answer that has just come.
    pub fn of(headers: &HeaderMap, own: Timestamp) -> Option<Clocks> {
        let date = headers.get(header::DATE)?.to_str().ok()?;
        let server = DateTimeParser::new().parse_timestamp(date).ok()?;
        Some(Clocks { own, server })
    }

    /// By how much the clock by which something was written `at` a moment is ahead of ours (negative: behind), if that is worth to be noticed.
    ///
    /// What requests took, and the server's whole seconds, make it look less ahead than it is, never more: what has lasted since some moment
    /// of that clock may be taken for shorter by so much, and never for longer.
    pub fn ahead(self, at: Timestamp, object: &Value) -> Option<SignedDuration> {
        let taken = taken(object)?;
        let writer = at.duration_since(taken) - RESOLUTION;
        let ours = self.own.duration_since(self.server);
        let ahead = writer.checked_sub(ours)?;
        (ahead.abs() > NOTICED).then_some(ahead)
    }
}

/// When the server took what Ordain wrote last into an object, by the server's clock.
fn taken(object: &Value) -> Option<Timestamp> {
    let managers = object["metadata"]["managedFields"].as_array()?;
    let ours = managers.iter().find(|entry| {
        entry["manager"] == super::api::FIELD_MANAGER && entry["operation"] == "Update"
    })?;
    ours["time"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    /// The server's clock at some moment, and those of a writer and of a reader that are ahead of it by so many seconds.
    fn measured(writer: i64, reader: i64, on_the_way: i64) -> Option<i64> {
        let real = |seconds: i64| Timestamp::from_second(1_767_225_600 + seconds).unwrap();
        let at = real(writer);
        // The server took it a moment later, and is asked ten minutes after that.
        let object = json!({"metadata": {"managedFields": [
            {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-01T09:00:00Z"},
            {"manager": "ordain", "operation": "Update", "time": real(on_the_way).to_string()},
        ]}});
        let mut headers = HeaderMap::new();
        headers.insert(
            header::DATE,
            "Thu, 01 Jan 2026 00:10:00 GMT".parse().unwrap(),
        );
        let clocks = Clocks::of(&headers, real(600 + on_the_way + reader)).unwrap();
        let ahead = clocks.ahead(at, &object);
        ahead.map(|ahead| ahead.as_secs())
    }

    #[test]
    fn clocks_that_are_kept_right_are_left_alone() {
        for (writer, reader) in [(0, 0), (2, 0), (0, 2), (3_600, 3_600)] {
            assert_eq!(measured(writer, reader, 1), None, "{writer} {reader}");
        }
    }

    #[test]
    fn one_that_is_an_hour_wrong_is_noticed_whoever_has_it_and_never_taken_for_more() {
        for on_the_way in [0, 2] {
            let error = 2 * on_the_way + 1;
            assert_eq!(measured(3_600, 0, on_the_way), Some(3_600 - error));
            assert_eq!(measured(-3_600, 0, on_the_way), Some(-3_600 - error));
            assert_eq!(measured(0, 3_600, on_the_way), Some(-3_600 - error));
            assert_eq!(measured(0, -3_600, on_the_way), Some(3_600 - error));
        }
    }

    #[test]
    fn what_the_server_does_not_say_is_not_guessed() {
        let now = Timestamp::UNIX_EPOCH;
        assert!(Clocks::of(&HeaderMap::new(), now).is_none());
        let mut headers = HeaderMap::new();
        headers.insert(header::DATE, "yesterday".parse().unwrap());
        assert!(Clocks::of(&headers, now).is_none());
        let clocks = Clocks {
            own: now,
            server: now,
        };
        let late = Timestamp::from_second(86_400).unwrap();
        for object in [
            json!({}),
            json!({"metadata": {"managedFields": [{"manager": "velero", "operation": "Update", "time": "2026-01-01T00:00:00Z"}]}}),
            json!({"metadata": {"managedFields": [{"manager": "ordain", "operation": "Update", "time": "?"}]}}),
        ] {
            assert_eq!(clocks.ahead(late, &object), None, "{object}");
        }
    }
}
