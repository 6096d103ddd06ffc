//! `--listen`: `/metrics`, `/healthz`, `/readyz`, `/status`, `/log-level`; `/explain?rule=NAME&object=OBJECT`; and the switches `POST /freeze`, `/unfreeze`,
//! `/acknowledge?rule=NAME`, `PUT /log-level?filter=FILTER`.
//!
//! The switches and `/explain`, which shows values of objects, are accepted from loopback addresses only, whatever the daemon listens on: in a cluster one reaches them through
//! `kubectl port-forward`, which arrives as loopback, so that the cluster's own rights decide who may. A browser is refused (any request with an
//! `Origin`, or to another host's name), so that no web page can press them or read what they say.

use super::Shared;
use super::process::Process;
use super::{log, metrics};
use crate::decide::explain::Explanation;
use crate::engine::Unexplained;
use axum::Router;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::{SignedDuration, Timestamp};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// A loop that has not turned for this long is stuck: `/healthz` says so, and the kubelet restarts the daemon.
const STUCK: SignedDuration = SignedDuration::from_secs(60);

/// What a person asks of the daemon.
#[derive(Debug)]
pub enum Control {
    /// Every rule behaves as in Audit (`true`), or as its mode says again; the answer says whether all replicas know.
    Freeze(bool, oneshot::Sender<Result<(), String>>),
    /// Let a stopped rule go on, or without a name take a reload into force that lost many rules.
    Acknowledge(Option<String>, oneshot::Sender<Acknowledged>),
    /// What a rule makes of an object.
    Explain(Question),
}

/// What came of an acknowledgement.
#[derive(Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// It goes on.
    Done,
    /// There was nothing to acknowledge.
    Nothing,
    /// The replica that leads will hear of it.
    PassedOn,
    /// Other replicas could not be told.
    Failed(String),
}

/// A rule and an object, both as text, and who waits for the answer.
#[derive(Debug)]
pub struct Question {
    /// Name of the rule.
    pub rule: String,
    /// `KIND/NAMESPACE/NAME`
    pub object: String,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Explanation, Unexplained>>,
}

#[derive(Clone)]
struct Served {
    status: Shared,
    control: mpsc::Sender<Control>,
}

/// The loop is asked for its figures at most this long; then the last ones are shown.
const LOOK: Duration = Duration::from_secs(1);

/// Lets the loop measure itself, if it turns.
async fn look(status: &Shared) {
    let answered = {
        let mut status = status.lock();
        let Some(asked) = status.asked.clone() else {
            return;
        };
        let (sender, answered) = oneshot::channel();
        status.lookers.retain(|waiting| !waiting.is_closed());
        status.lookers.push(sender);
        asked.notify_one();
        answered
    };
    let _ = tokio::time::timeout(LOOK, answered).await;
}

/// Serves until the future is dropped.
///
/// # Errors
/// When accepting connections fails for good.
pub async fn serve(
    listener: TcpListener,
    status: Shared,
    control: mpsc::Sender<Control>,
) -> std::io::Result<()> {
    let served = Served { status, control };
    let router = Router::new()
        .route("/metrics", get(metrics_page))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/status", get(status_page))
        .route("/freeze", post(freeze))
        .route("/unfreeze", post(unfreeze))
        .route("/acknowledge", post(acknowledge))
        .route("/explain", get(explain))
        .route("/log-level", get(log_level).put(set_log_level))
        .with_state(served);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await
}

async fn metrics_page(State(served): State<Served>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    look(&served.status).await;
    let page = metrics::page(&served.status.lock(), Process::now());
    (kind, page).into_response()
}

async fn healthz(State(served): State<Served>) -> Response {
    let still = Timestamp::now().duration_since(served.status.lock().turned);
    if still > STUCK {
        let text = format!("the loop has not turned for {} s\n", still.as_secs());
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    "ok\n".into_response()
}

async fn readyz(State(served): State<Served>) -> Response {
    let status = served.status.lock();
    if status.ready {
        return "ok\n".into_response();
    }
    let waiting: Vec<String> = status
        .kinds
        .iter()
        .filter(|(_, (_, following))| *following != super::status::Following::Synced)
        .map(|(kind, _)| kind.to_string())
        .collect();
    let text = if waiting.is_empty() {
        "starting\n".to_owned()
    } else {
        format!("not listed yet: {}\n", waiting.join(", "))
    };
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn status_page(State(served): State<Served>) -> Response {
    look(&served.status).await;
    let status = served.status.lock().json(Process::now());
    axum::Json(status).into_response()
}

/// Why a switch is not pressed for this peer.
fn refuse(peer: SocketAddr, headers: &HeaderMap) -> Option<Response> {
    let loopback = match peer.ip() {
        std::net::IpAddr::V4(ip) => ip.is_loopback(),
        std::net::IpAddr::V6(ip) => {
            ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback())
        }
    };
    if loopback && !headers.contains_key(header::ORIGIN) && !is_foreign(headers) {
        return None;
    }
    let text = "only from the loopback address (kubectl port-forward), and not from a browser\n";
    Some((StatusCode::FORBIDDEN, text).into_response())
}

/// Whether a request is meant for the name of another host. The page of a host whose name has come to mean this address (DNS rebinding)
/// sends no `Origin` when it reads, but that name.
fn is_foreign(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    name.contains('.') && address.is_err()
}

async fn freeze(
    State(served): State<Served>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    set_frozen(served, peer, &headers, true).await
}

async fn unfreeze(
    State(served): State<Served>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    set_frozen(served, peer, &headers, false).await
}

async fn set_frozen(
    served: Served,
    peer: SocketAddr,
    headers: &HeaderMap,
    frozen: bool,
) -> Response {
    if let Some(refused) = refuse(peer, headers) {
        return refused;
    }
    let (answer, answered) = oneshot::channel();
    let control = Control::Freeze(frozen, answer);
    if served.control.send(control).await.is_err() {
        return stopping();
    }
    match answered.await {
        Ok(Ok(())) if frozen => "frozen: every rule behaves as in Audit\n".into_response(),
        Ok(Ok(())) => "rules act as their mode says\n".into_response(),
        Ok(Err(why)) => not_told(&why),
        Err(_) => stopping(),
    }
}

/// A switch that was pressed here, and could not be for all replicas.
fn not_told(why: &str) -> Response {
    let text = format!(
        "pressed on this replica; the others could not be told, press it there too: {why}\n"
    );
    (StatusCode::BAD_GATEWAY, text).into_response()
}

async fn acknowledge(
    State(served): State<Served>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    if let Some(refused) = refuse(peer, &headers) {
        return refused;
    }
    let rule = value_of(query.as_deref(), "rule");
    let (answer, answered) = oneshot::channel();
    let control = Control::Acknowledge(rule.clone(), answer);
    if served.control.send(control).await.is_err() {
        return stopping();
    }
    match (answered.await, rule) {
        (Ok(Acknowledged::Done), Some(rule)) => format!("rule {rule} goes on\n").into_response(),
        (Ok(Acknowledged::Done), None) => {
            "the rules as they are on disk are in force\n".into_response()
        }
        (Ok(Acknowledged::PassedOn), _) => {
            let text = "another replica leads: it is told, and goes on in a moment if the rule was stopped\n";
            (StatusCode::ACCEPTED, text).into_response()
        }
        (Ok(Acknowledged::Failed(why)), _) => not_told(&why),
        (Ok(Acknowledged::Nothing), Some(rule)) => {
            let text = format!("rule {rule} was not stopped\n");
            (StatusCode::NOT_FOUND, text).into_response()
        }
        (Ok(Acknowledged::Nothing), None) => {
            let text = "no reload waits; for a rule that was stopped: /acknowledge?rule=NAME\n";
            (StatusCode::NOT_FOUND, text).into_response()
        }
        (Err(_), _) => stopping(),
    }
}

async fn explain(
    State(served): State<Served>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    if let Some(refused) = refuse(peer, &headers) {
        return refused;
    }
    let asked = |name: &str| value_of(query.as_deref(), name);
    let (Some(rule), Some(object)) = (asked("rule"), asked("object")) else {
        let text = "which rule, and which object? /explain?rule=NAME&object=KIND/NAMESPACE/NAME\n";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    let (answer, answered) = oneshot::channel();
    let question = Question {
        rule,
        object,
        answer,
    };
    let asked = served.control.send(Control::Explain(question)).await;
    if asked.is_err() {
        return stopping();
    }
    match answered.await {
        Ok(Ok(explanation)) => axum::Json(explanation).into_response(),
        Ok(Err(unexplained)) => {
            let code = if unexplained.may_change() {
                StatusCode::SERVICE_UNAVAILABLE
            } else {
                StatusCode::NOT_FOUND
            };
            (code, format!("{unexplained}\n")).into_response()
        }
        Err(_) => stopping(),
    }
}

/// A value of a query by its name.
fn value_of(query: Option<&str>, wanted: &str) -> Option<String> {
    url::form_urlencoded::parse(query?.as_bytes())
        .find(|(name, _)| name == wanted)
        .map(|(_, value)| value.into_owned())
}

async fn log_level() -> Response {
    format!("{}\n", log::level()).into_response()
}

async fn set_log_level(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    if let Some(refused) = refuse(peer, &headers) {
        return refused;
    }
    let Some(filter) = value_of(query.as_deref(), "filter") else {
        let text = "which filter? For example PUT /log-level?filter=info,ordain::engine=debug\n";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    match log::set_level(&filter) {
        Ok(()) => {
            tracing::warn!(filter, "the log level was changed");
            format!("{filter}\n").into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

fn stopping() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping\n").into_response()
}
