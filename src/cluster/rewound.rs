//! A store that went back: a backup that was restored, or another store in its place. A watch from a version that such a store has not come
//! to yet says nothing at all, for as long as that takes; so the server is asked how far it is, where a watch has ended in another way than it
//! usually does.

use super::discovery::Resource;
use super::requests;
use super::traffic::Restart;
use super::watch::{Follower, METADATA_LIST};
use http::{Request, header};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::timeout;

/// A watch that ends by this much earlier than it was to end was ended by something else than its time.
const EARLY: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct List {
    metadata: Meta,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "resourceVersion")]
    resource_version: String,
}

/// Whether there is reason to ask: a server that was started anew ends watches before their time, and one with an older store ends them on
/// time without a word, bookmarks included.
pub(super) fn doubted(ended: Restart, told: bool, lasted: Duration, meant: Duration) -> bool {
    !matches!(ended, Restart::Ended) || !told || lasted + EARLY < meant
}

/// Whether a version is certainly before another one.
fn is_before(version: &str, other: &str) -> Option<bool> {
    let number = |version: &str| version.parse::<u128>().ok();
    Some(number(version)? < number(other)?)
}

impl Follower {
    /// Whether the store is not as far as it was. `None`: it did not say.
    pub(super) async fn is_rewound(
        &self,
        resource: &Resource,
        scope: Option<&str>,
        version: &str,
    ) -> Option<bool> {
        // Without a version of ours in it the server looks into the store itself.
        let path = format!("{}?limit=1{}", resource.path(scope), self.selectors());
        let request = Request::get(path)
            .header(header::ACCEPT, METADATA_LIST)
            .body(vec![])
            .ok()?;
        let answer = timeout(requests::READ_TIMEOUT, requests::send(&self.wire, request));
        let answer = answer.await.ok()?.ok()?;
        if !answer.status.is_success() {
            return None;
        }
        let list: List = serde_json::from_slice(&answer.body).ok()?;
        is_before(&list.metadata.resource_version, version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unusual_end_of_a_watch_is_a_reason_to_ask() {
        let seconds = Duration::from_secs;
        assert!(!doubted(Restart::Ended, true, seconds(99), seconds(100)));
        assert!(doubted(Restart::Ended, true, seconds(50), seconds(100)));
        assert!(doubted(Restart::Ended, false, seconds(100), seconds(100)));
        assert!(doubted(Restart::Broken, true, seconds(100), seconds(100)));
    }

    #[test]
    fn versions_that_are_no_numbers_cannot_be_compared() {
        assert_eq!(is_before("9", "10"), Some(true));
        assert_eq!(is_before("10", "10"), Some(false));
        assert_eq!(is_before("a", "10"), None);
    }
}
