//! A server's answer to a [`Fault`], decided here and nowhere else.

use crate::engine::Fault;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use std::time::Duration;

/// Longest part of a server's message that is kept, in characters.
const LONGEST_MESSAGE: usize = 500;

/// Longest time that a server may ask us to stay away. Without an end to it one mistaken header would end all work, and a number may be so
/// large that no clock has the moment.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What of a `Status` body is read.
#[derive(Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    message: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
struct Details {
    #[serde(default)]
    causes: Vec<Cause>,
}

#[derive(Debug, Default, Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    field: String,
}

/// What 401 means.
pub const UNKNOWN_TO_IT: &str = "the server does not accept our credentials (401 Unauthorized): they have expired, or belong to another cluster";

/// Why a request with this answer failed. Not for 2xx and 404.
///
/// `sensitive`: the object may hold secret data, and a message may quote it: only what the server itself says without values is kept.
pub fn of_answer(status: StatusCode, headers: &HeaderMap, body: &[u8], sensitive: bool) -> Fault {
    let answer: Status = serde_json::from_slice(body).unwrap_or_default();
    let message = if sensitive {
        without_values(&answer, status)
    } else if answer.message.is_empty() {
        format!("the server answered {status}")
    } else {
        shortened(&answer.message)
    };
    let retry_after = headers
        .get(header::RETRY_AFTER)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse().ok())
        .map(|seconds| Duration::from_secs(seconds).min(LONGEST_PAUSE));
    if status == StatusCode::TOO_MANY_REQUESTS
        && let Some(details) = &answer.details
        && let Some(cause) = details
            .causes
            .iter()
            .find(|c| c.reason == "DisruptionBudget")
    {
        return Fault::Budget(match cause.message.as_str() {
            "" => message,
            why => format!("{message} {why}"),
        });
    }
    // A webhook's or a quota's refusal carries 403 like one of RBAC; only RBAC's says who may not do what.
    let by_rbac = is_of_rbac(&answer.message);
    match status.as_u16() {
        // Whatever code it gave itself: what it says of the object today it may take back tomorrow, and nobody would tell us.
        400 | 401 | 409 | 413 | 422 if is_of_admission(&answer.message) => Fault::Rejected(message),
        409 => {
            let owners: Vec<String> = answer
                .details
                .unwrap_or_default()
                .causes
                .into_iter()
                .filter(|c| c.reason == "FieldManagerConflict")
                .map(|c| format!("{} at {}", c.message, c.field))
                .collect();
            if owners.is_empty() {
                Fault::Stale
            } else {
                Fault::OwnershipConflict(owners.join(", "))
            }
        }
        403 if by_rbac => Fault::Forbidden(message),
        403 => Fault::Rejected(message),
        // No fault of the rule's: who we are is in question, and a new token may come.
        401 => Fault::Unreachable(UNKNOWN_TO_IT.to_owned()),
        400 | 405 | 413 | 415 | 422 => Fault::Refused(message),
        429 | 503 => Fault::Busy {
            retry_after,
            message,
        },
        // What a webhook was to say came before anything was stored.
        500 if answer.message.contains("failed calling webhook") => Fault::Rejected(message),
        // The store did not answer in time, or something on the way did not.
        500 | 502 | 504 => Fault::Uncertain(message),
        _ => Fault::Rejected(message),
    }
}

fn shortened(message: &str) -> String {
    message.chars().take(LONGEST_MESSAGE).collect()
}

/// Whether a refusal says who may not do what. A webhook may use the same words of its own.
fn is_of_rbac(message: &str) -> bool {
    message.contains("cannot ")
        && message.contains(" resource ")
        && !message.starts_with("admission webhook \"")
}

/// Whether a webhook or a policy refuses what would be valid.
fn is_of_admission(message: &str) -> bool {
    let webhook = message.starts_with("admission webhook \"") && message.contains(WEBHOOK_SAYS);
    let policy = message.contains(OF_A_POLICY) && message.contains(POLICY_SAYS);
    webhook || policy
}

const WEBHOOK_SAYS: &str = " denied the request";
const OF_A_POLICY: &str = " is forbidden: ValidatingAdmissionPolicy '";
const POLICY_SAYS: &str = " denied request";

/// Most fields of a refusal that are named.
const MOST_FIELDS: usize = 5;

/// What is known of a refusal without anything that may quote the object: a webhook's or a policy's own words are left out, and of what is
/// invalid only the fields are named.
fn without_values(answer: &Status, status: StatusCode) -> String {
    let message = answer.message.as_str();
    // RBAC and quotas speak of names alone.
    let quota = message.contains(" is forbidden: exceeded quota: ");
    let rbac = message.contains(" is forbidden: User \"") && is_of_rbac(message);
    if quota || rbac {
        return shortened(message);
    }
    let webhook = message.starts_with("admission webhook \"");
    let policy = message.contains(OF_A_POLICY);
    for (spoken, ends) in [(webhook, WEBHOOK_SAYS), (policy, POLICY_SAYS)] {
        if let (true, Some(at)) = (spoken, message.find(ends)) {
            return format!("{}: …", shortened(&message[..at + ends.len()]));
        }
    }
    // A webhook may put any words there.
    let word = |text: &str| text.len() <= 40 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let reason = match answer.reason.as_str() {
        reason if !reason.is_empty() && word(reason) => reason,
        _ => "refused",
    };
    let causes = answer.details.iter().flat_map(|details| &details.causes);
    let fields: Vec<&str> = causes
        .map(|cause| cause.field.as_str())
        .filter(|field| !field.is_empty())
        .take(MOST_FIELDS)
        .collect();
    let at = match fields.as_slice() {
        [] => String::new(),
        fields => format!(": {}", fields.join(", ")),
    };
    format!("{reason} ({}){at}", status.as_u16())
}

/// Why a request got no answer. What was asked may have been done all the same.
pub fn of_transport(error: &(dyn std::error::Error + 'static)) -> Fault {
    Fault::Unreachable(transport_message(error))
}

/// The innermost cause, which is what a person wants to hear.
pub fn transport_message(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let message = innermost.to_string();
    // The wording is rustls's.
    if message.starts_with("invalid peer certificate") {
        format!(
            "{message}: the server is not the one that the configuration's certificate authority vouches for"
        )
    } else {
        message
    }
}

/// Whether the request certainly never reached the server: no connection was made.
pub fn never_sent(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::{
                AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable,
            };
            return matches!(
                io.kind(),
                ConnectionRefused | AddrNotAvailable | HostUnreachable | NetworkUnreachable
            );
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: u16, body: &str) -> Fault {
        of_answer(
            StatusCode::from_u16(code).unwrap_or_default(),
            &HeaderMap::new(),
            body.as_bytes(),
            false,
        )
    }

    #[test]
    fn each_answer_has_its_meaning() {
        assert_eq!(
            fault(
                409,
                r#"{"reason":"Conflict","message":"the object has been modified"}"#
            ),
            Fault::Stale
        );
        assert_eq!(
            fault(
                409,
                r#"{"message":"Apply failed","details":{"causes":[{"reason":"FieldManagerConflict","message":"conflict with \"helm\"","field":".spec.replicas"}]}}"#
            ),
            Fault::OwnershipConflict("conflict with \"helm\" at .spec.replicas".into())
        );
        let rbac = r#"pods is forbidden: User "a" cannot list resource "pods" in API group """#;
        assert_eq!(
            fault(403, &serde_json::json!({"message": rbac}).to_string()),
            Fault::Forbidden(rbac.into())
        );
        let webhook = "admission webhook \"a.b\" denied the request: you cannot change a resource of another team";
        assert_eq!(
            fault(403, &serde_json::json!({"message": webhook}).to_string()),
            Fault::Rejected(webhook.into())
        );
        let quota = "pods \"a\" is forbidden: exceeded quota: q";
        assert_eq!(
            fault(403, &serde_json::json!({"message": quota}).to_string()),
            Fault::Rejected(quota.into())
        );
        assert_eq!(
            fault(401, r#"{"message":"Unauthorized"}"#),
            Fault::Unreachable(UNKNOWN_TO_IT.into())
        );
        assert_eq!(
            fault(422, "{}"),
            Fault::Refused("the server answered 422 Unprocessable Entity".into())
        );
        assert_eq!(
            fault(500, "not json"),
            Fault::Uncertain("the server answered 500 Internal Server Error".into())
        );
        let slow = "etcdserver: request timed out";
        assert_eq!(
            fault(504, &serde_json::json!({"message": slow}).to_string()),
            Fault::Uncertain(slow.into())
        );
        let no_webhook = r#"Internal error occurred: failed calling webhook "a.b": no endpoints"#;
        assert_eq!(
            fault(500, &serde_json::json!({"message": no_webhook}).to_string()),
            Fault::Rejected(no_webhook.into())
        );
    }

    #[test]
    fn what_a_webhook_or_a_policy_refuses_may_be_allowed_later() {
        let of = |code: u16, message: &str, reason: &str| {
            let body = serde_json::json!({"reason": reason, "code": code, "message": message});
            fault(code, &body.to_string())
        };
        let webhook = "admission webhook \"a.b\" denied the request: not on Fridays";
        let silent = "admission webhook \"a.b\" denied the request without explanation";
        let policy = "configmaps \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no";
        for (code, message, reason) in [
            (400, webhook, ""),
            (400, silent, ""),
            (409, webhook, "Conflict"),
            (422, webhook, "Invalid"),
            (422, policy, "Invalid"),
            (413, policy, "RequestEntityTooLarge"),
            (401, policy, "Unauthorized"),
        ] {
            let rejected = Fault::Rejected(message.into());
            assert_eq!(of(code, message, reason), rejected, "{code}");
        }
        let invalid = "ConfigMap \"a\" is invalid: data[x]: Invalid value: \"admission webhook denied the request\"";
        assert_eq!(of(422, invalid, "Invalid"), Fault::Refused(invalid.into()));
    }

    #[test]
    fn the_server_says_when_to_come_again() {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, http::HeaderValue::from_static("7"));
        let busy = of_answer(
            StatusCode::TOO_MANY_REQUESTS,
            &headers,
            br#"{"message":"slow down"}"#,
            false,
        );
        assert_eq!(
            busy,
            Fault::Busy {
                retry_after: Some(Duration::from_secs(7)),
                message: "slow down".into()
            }
        );
    }

    #[test]
    fn nobody_is_sent_away_for_ever() {
        let mut headers = HeaderMap::new();
        let most = http::HeaderValue::from_static("18446744073709551615");
        headers.insert(header::RETRY_AFTER, most);
        let busy = of_answer(StatusCode::SERVICE_UNAVAILABLE, &headers, b"", false);
        let pause = LONGEST_PAUSE;
        assert_eq!(
            busy,
            Fault::Busy {
                retry_after: Some(pause),
                message: "the server answered 503 Service Unavailable".into()
            }
        );
        let later = tokio::time::Instant::now() + super::super::pause::spread(pause);
        assert!(later > tokio::time::Instant::now());
    }

    #[test]
    fn a_disruption_budget_is_no_busy_server() {
        let body = r#"{"message":"Cannot evict pod as it would violate the pod's disruption budget.","reason":"TooManyRequests","details":{"causes":[{"reason":"DisruptionBudget","message":"The disruption budget web needs 2 healthy pods and has 2 currently"}]}}"#;
        assert_eq!(
            fault(429, body),
            Fault::Budget("Cannot evict pod as it would violate the pod's disruption budget. The disruption budget web needs 2 healthy pods and has 2 currently".into())
        );
    }

    #[test]
    fn of_a_message_about_a_secret_only_what_quotes_nothing_is_kept() {
        let of = |code: u16, body: serde_json::Value| {
            let status = StatusCode::from_u16(code).unwrap_or_default();
            let body = body.to_string();
            let fault = of_answer(status, &HeaderMap::new(), body.as_bytes(), true);
            assert!(!fault.message().contains("canary"), "{fault:?}");
            fault.message().to_owned()
        };
        let message = |text: &str| serde_json::json!({"reason": "Forbidden", "message": text});
        assert_eq!(
            of(
                422,
                serde_json::json!({"reason": "Invalid", "message": "Secret \"s\" is invalid: data[a b]: Invalid value: \"canary\"",
                "details": {"causes": [{"reason": "FieldValueInvalid", "message": "canary", "field": "data[a b]"}]}})
            ),
            "Invalid (422): data[a b]"
        );
        assert_eq!(
            of(
                403,
                message("admission webhook \"w.example\" denied the request: canary")
            ),
            "admission webhook \"w.example\" denied the request: …"
        );
        assert_eq!(
            of(
                403,
                message(
                    "secrets \"s\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: canary"
                )
            ),
            "secrets \"s\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: …"
        );
        for whole in [
            "secrets \"s\" is forbidden: exceeded quota: few, requested: count/secrets=1, used: count/secrets=0, limited: count/secrets=0",
            "secrets \"s\" is forbidden: User \"u\" cannot patch resource \"secrets\" in API group \"\" in the namespace \"n\"",
        ] {
            assert_eq!(of(403, message(whole)), whole);
        }
        assert_eq!(of(400, message("canary")), "Forbidden (400)");
        assert_eq!(
            of(
                403,
                serde_json::json!({"reason": "no canary here", "message": "canary"})
            ),
            "refused (403)"
        );
    }
}
