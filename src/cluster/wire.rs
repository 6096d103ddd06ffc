//! How requests get to the server: connections that carry one request at a time, each driven by the very task that asks.
//!
//! kube's client hands a request to the task that owns its stack, to a pool and to the task of a connection, and the answer back the same way.
//! Ordain writes by the thousand and hears by the ten thousand: here nobody is woken but who asks.

use super::traffic::Counting;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper::rt::{Read, Write};
use kube::Config;
use kube::client::ConfigExt;
use parking_lot::Mutex;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

/// Largest answer that is read whole, in bytes: an object has at most 1.5 MiB in etcd, a page 500 of them, a document of OpenAPI a few MiB.
const LARGEST: usize = 1 << 30;

/// A connection that nobody has used for this long is closed when another one is put beside it. Below the 90 s after which client-go closes
/// its own, and what load balancers commonly allow.
const IDLE: Duration = Duration::from_secs(50);

/// Why there is no answer when the server says nothing.
const CLOSED: &str = "the connection was closed before the answer was complete";

/// What is sent.
type Asked = Request<Full<Bytes>>;

/// The body of an answer, as it comes.
pub type Flow = UnsyncBoxBody<Bytes, NoAnswer>;

/// There is no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
#[error("the server did not answer")]
pub struct NoAnswer(#[source] BoxError);

/// A way to the server, with the identity of a configuration. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Wire(Arc<dyn Exchange>);

impl Wire {
    /// A way to the server of a configuration over connections that `connector` makes. Nothing is sent yet.
    ///
    /// # Errors
    /// A helper program that fails, a token that cannot be read, an address that no request can name.
    pub fn new<C, S>(
        config: &Config,
        connector: C,
        connect_timeout: Duration,
        counting: &Counting,
    ) -> Result<Wire, kube::Error>
    where
        C: Service<Uri, Response = S, Error = BoxError> + Clone + Send + Sync + 'static,
        C::Future: Send + 'static,
        S: Read + Write + Send + Unpin + 'static,
    {
        let server = &config.cluster_url;
        let host = server
            .authority()
            .map_or("", |authority| authority.as_str());
        let host = HeaderValue::from_str(host).map_err(http::Error::from);
        let connections = Connections {
            connector,
            connect_timeout,
            server: server.clone(),
            host: host.map_err(kube::Error::HttpError)?,
            idle: Mutex::default(),
        };
        let stack = ServiceBuilder::new()
            .layer(counting.clone())
            .option_layer(config.auth_layer()?)
            .layer(config.extra_headers_layer()?)
            .service(Direct(Arc::new(connections)));
        Ok(Wire(Arc::new(Stack(stack))))
    }

    /// Sends a request and reads the head of the answer, whatever its status. Not bounded in time: dropping it, or the body before its end,
    /// closes the connection.
    ///
    /// # Errors
    /// No answer.
    pub async fn open(&self, request: Request<Vec<u8>>) -> Result<Response<Flow>, NoAnswer> {
        let request = request.map(|body| Full::new(body.into()));
        self.0.exchange(request).await.map_err(NoAnswer)
    }

    /// As [`Wire::open`], and reads the whole body.
    ///
    /// # Errors
    /// No answer, or not all of it.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Bytes>, NoAnswer> {
        let (parts, body) = self.open(request).await?.into_parts();
        let body = Limited::new(body, LARGEST).collect().await;
        let body = body.map_err(NoAnswer)?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }
}

/// What [`Wire`] is for any kind of connection.
trait Exchange: Send + Sync {
    fn exchange(&self, request: Asked) -> BoxFuture<'static, Result<Response<Flow>, BoxError>>;
}

struct Stack<S>(S);

impl<S> Exchange for Stack<S>
where
    S: Service<Asked, Response = Response<Flow>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    fn exchange(&self, request: Asked) -> BoxFuture<'static, Result<Response<Flow>, BoxError>> {
        let mut service = self.0.clone();
        Box::pin(async move {
            let ready = service.ready().await.map_err(Into::into)?;
            ready.call(request).await.map_err(Into::into)
        })
    }
}

/// The connections to one server.
struct Connections<C, S: Read + Write + Unpin> {
    connector: C,
    connect_timeout: Duration,
    server: Uri,
    /// Value of `Host`.
    host: HeaderValue,
    /// Those that nobody uses, and since when; the one used last is the last.
    idle: Mutex<Vec<(Instant, Open<S>)>>,
}

/// Sends each request over one of the connections.
struct Direct<C, S: Read + Write + Unpin>(Arc<Connections<C, S>>);

impl<C, S: Read + Write + Unpin> Clone for Direct<C, S> {
    fn clone(&self) -> Self {
        Direct(Arc::clone(&self.0))
    }
}

impl<C, S> Service<Asked> for Direct<C, S>
where
    C: Service<Uri, Response = S, Error = BoxError> + Clone + Send + Sync + 'static,
    C::Future: Send + 'static,
    S: Read + Write + Send + Unpin + 'static,
{
    type Response = Response<Flow>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Flow>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Asked) -> Self::Future {
        let connections = Arc::clone(&self.0);
        Box::pin(connections.exchange(request))
    }
}

impl<C, S> Connections<C, S>
where
    C: Service<Uri, Response = S, Error = BoxError> + Clone + Send + Sync + 'static,
    C::Future: Send,
    S: Read + Write + Send + Unpin + 'static,
{
    async fn exchange(self: Arc<Self>, request: Asked) -> Result<Response<Flow>, BoxError> {
        let mut request = self.addressed(request)?;
        loop {
            let idle = self.idle.lock().pop();
            let (mut open, fresh) = match idle {
                Some((_, open)) => (open, false),
                None => (self.connect().await?, true),
            };
            match open.ask(request).await {
                Ok(answer) => {
                    return Ok(answer.map(|incoming| {
                        let carried = Carried {
                            incoming,
                            open: Some(open),
                            connections: self,
                        };
                        carried.boxed_unsync()
                    }));
                }
                // The server has closed it since it was used last.
                Err(Unanswered::NotSent(unsent, _)) if !fresh => request = *unsent,
                Err(Unanswered::NotSent(_, error) | Unanswered::Failed(error)) => {
                    return Err(error);
                }
            }
        }
    }

    /// With the server's host, and the path as the server wants it.
    fn addressed(&self, mut request: Asked) -> Result<Asked, BoxError> {
        let prefix = self.server.path().trim_end_matches('/');
        let path: PathAndQuery = match request.uri().path_and_query() {
            Some(asked) if prefix.is_empty() => asked.clone(),
            Some(asked) => format!("{prefix}{asked}").parse()?,
            None => PathAndQuery::from_static("/"),
        };
        *request.uri_mut() = path.into();
        request
            .headers_mut()
            .insert(header::HOST, self.host.clone());
        Ok(request)
    }

    async fn connect(&self) -> Result<Open<S>, BoxError> {
        let mut connector = self.connector.clone();
        let connecting = async {
            let ready = connector.ready().await?;
            ready.call(self.server.clone()).await
        };
        let stream = tokio::time::timeout(self.connect_timeout, connecting)
            .await
            .map_err(|_| "no connection could be made in time")??;
        let (sender, connection) = http1::handshake(stream).await?;
        Ok(Open {
            sender,
            connection: Box::pin(connection),
            over: false,
        })
    }
}

impl<C, S: Read + Write + Unpin> Connections<C, S> {
    fn keep(&self, open: Open<S>) {
        if open.over || open.sender.is_closed() {
            return;
        }
        let now = Instant::now();
        let mut idle = self.idle.lock();
        idle.push((now, open));
        let old = idle.iter().take_while(|(since, _)| now - *since > IDLE);
        let old = old.count();
        idle.drain(..old);
    }
}

/// An open connection that carries one request at a time.
struct Open<S: Read + Write + Unpin> {
    sender: SendRequest<Full<Bytes>>,
    connection: Pin<Box<Connection<S, Full<Bytes>>>>,
    /// Nothing more comes of it.
    over: bool,
}

/// Why there is no answer.
enum Unanswered {
    /// Not a byte of it was sent.
    NotSent(Box<Asked>, BoxError),
    Failed(BoxError),
}

impl<S> Open<S>
where
    S: Read + Write + Send + Unpin + 'static,
{
    /// Sends a request and reads the head of its answer. The connection does its work meanwhile, and only then.
    async fn ask(&mut self, request: Asked) -> Result<Response<Incoming>, Unanswered> {
        let Open {
            sender,
            connection,
            over,
        } = self;
        let ready = poll_fn(|context| match driven(connection, over, context) {
            true => Poll::Ready(false),
            false => sender.poll_ready(context).map(|ready| ready.is_ok()),
        });
        if !ready.await {
            return Err(Unanswered::NotSent(Box::new(request), CLOSED.into()));
        }
        let mut asking = pin!(sender.try_send_request(request));
        let answer = poll_fn(|context| {
            // First the connection: there is no answer yet.
            let over = driven(connection, over, context);
            match asking.as_mut().poll(context) {
                Poll::Pending if over => Poll::Ready(None),
                answer => answer.map(Some),
            }
        });
        match answer.await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(mut error)) => Err(match error.take_message() {
                Some(request) => Unanswered::NotSent(Box::new(request), error.into_error().into()),
                None => Unanswered::Failed(error.into_error().into()),
            }),
            None => Err(Unanswered::Failed(CLOSED.into())),
        }
    }
}

/// Lets a connection do what it can; whether it is over. How it ended is told by what it carries.
fn driven<S>(
    connection: &mut Pin<Box<Connection<S, Full<Bytes>>>>,
    over: &mut bool,
    context: &mut Context<'_>,
) -> bool
where
    S: Read + Write + Unpin + 'static,
{
    *over = *over || connection.as_mut().poll(context).is_ready();
    *over
}

/// A body and the connection that carries it. One that was read to its end gives the connection back.
struct Carried<C, S: Read + Write + Unpin> {
    incoming: Incoming,
    /// `None`: the end was read.
    open: Option<Open<S>>,
    connections: Arc<Connections<C, S>>,
}

impl<C, S> Body for Carried<C, S>
where
    S: Read + Write + Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = NoAnswer;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NoAnswer>>> {
        let this = &mut *self;
        let Some(open) = &mut this.open else {
            return Poll::Ready(None);
        };
        let mut frame = Pin::new(&mut this.incoming).poll_frame(context);
        if frame.is_pending() {
            let over = driven(&mut open.connection, &mut open.over, context);
            frame = Pin::new(&mut this.incoming).poll_frame(context);
            if frame.is_pending() && over {
                return Poll::Ready(Some(Err(NoAnswer(CLOSED.into()))));
            }
        }
        if let Poll::Ready(None) = frame
            && let Some(open) = this.open.take()
        {
            this.connections.keep(open);
        }
        frame.map(|frame| frame.map(|frame| frame.map_err(|error| NoAnswer(error.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.open.is_none()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cluster::traffic::Traffic;
    use hyper_util::client::legacy::connect::HttpConnector;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    /// What a server does with the requests of each of its connections, by their number; `None`: it closes without an answer.
    type Script = fn(connection: usize, request: usize) -> Option<&'static str>;

    /// A server that counts its connections and requests, and a way to it.
    struct Scene {
        wire: Wire,
        connections: Arc<AtomicUsize>,
        requests: Arc<Mutex<Vec<String>>>,
    }

    async fn scene(prefix: &str, script: Script) -> Scene {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        tokio::spawn({
            let (connections, requests) = (Arc::clone(&connections), Arc::clone(&requests));
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let number = connections.fetch_add(1, SeqCst);
                    tokio::spawn(serve(stream, number, script, Arc::clone(&requests)));
                }
            }
        });
        let config = Config::new(format!("http://{address}{prefix}").parse().unwrap());
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        let connector = config
            .rustls_https_connector_with_connector(connector)
            .unwrap();
        let counting = Counting(Arc::new(Traffic::default()));
        let wire = Wire::new(&config, connector, Duration::from_secs(5), &counting).unwrap();
        Scene {
            wire,
            connections,
            requests,
        }
    }

    async fn serve(
        mut stream: TcpStream,
        connection: usize,
        script: Script,
        requests: Arc<Mutex<Vec<String>>>,
    ) {
        let mut read = vec![];
        for request in 0.. {
            while !read.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => read.push(byte),
                    Err(_) => return,
                }
            }
            requests
                .lock()
                .push(String::from_utf8(std::mem::take(&mut read)).unwrap());
            let Some(answer) = script(connection, request) else {
                return;
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
            if answer.contains("connection: close") {
                return;
            }
        }
    }

    const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    fn get(path: &str) -> Request<Vec<u8>> {
        Request::get(path).body(vec![]).unwrap()
    }

    #[tokio::test]
    async fn one_request_after_another_takes_one_connection_and_two_at_once_take_two() {
        let scene = scene("", |_, _| Some(OK)).await;
        for _ in 0..5 {
            let answer = scene.wire.send(get("/api/v1/pods")).await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), &answer.body()[..]),
                (200, &b"ok"[..])
            );
        }
        assert_eq!(scene.connections.load(SeqCst), 1);
        let (one, two) = (scene.wire.send(get("/a")), scene.wire.send(get("/b")));
        let (one, two) = tokio::join!(one, two);
        assert!(one.is_ok() && two.is_ok());
        assert_eq!(scene.connections.load(SeqCst), 2);
        let first = scene.requests.lock()[0].to_ascii_lowercase();
        assert!(
            first.starts_with("get /api/v1/pods http/1.1\r\n"),
            "{first}"
        );
        assert!(first.contains("\r\nhost: 127.0.0.1:"), "{first}");
    }

    #[tokio::test]
    async fn a_server_that_lies_below_a_path_is_asked_there() {
        let scene = scene("/k8s/clusters/c-1/", |_, _| Some(OK)).await;
        scene.wire.send(get("/api?limit=1")).await.unwrap();
        let asked = scene.requests.lock()[0].clone();
        assert!(
            asked.starts_with("GET /k8s/clusters/c-1/api?limit=1 "),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn a_connection_that_the_server_has_closed_meanwhile_is_replaced() {
        let scene = scene("", |connection, _| match connection {
            0 => Some("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"),
            _ => Some(OK),
        })
        .await;
        for _ in 0..3 {
            scene.wire.send(get("/")).await.unwrap();
        }
        assert_eq!(scene.connections.load(SeqCst), 2);
        assert_eq!(scene.requests.lock().len(), 3, "none was asked twice");
    }

    #[tokio::test]
    async fn what_was_sent_and_not_answered_is_not_sent_again() {
        let scene = scene("", |_, request| (request == 0).then_some(OK)).await;
        scene.wire.send(get("/")).await.unwrap();
        // The server reads this one and closes.
        let lost = scene.wire.send(get("/lost")).await;
        assert!(lost.is_err());
        let asked = scene.requests.lock().clone();
        let lost = asked.iter().filter(|r| r.contains("/lost"));
        assert_eq!(lost.count(), 1);
        scene.wire.send(get("/")).await.unwrap();
    }

    #[tokio::test]
    async fn a_body_comes_as_it_is_sent_and_one_that_is_cut_off_says_so() {
        let scene = scene("", |connection, _| match connection {
            0 => Some("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx: connection: close\r\n\r\n3\r\none\r\n"),
            _ => Some("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"),
        })
        .await;
        let mut body = scene.wire.open(get("/")).await.unwrap().into_body();
        let first = body.frame().await.unwrap().unwrap();
        assert_eq!(&first.into_data().unwrap()[..], b"one");
        assert!(body.frame().await.unwrap().is_err(), "its end never came");
        for _ in 0..2 {
            let answer = scene.wire.send(get("/")).await.unwrap();
            assert_eq!(&answer.body()[..], b"onetwo");
        }
        assert_eq!(scene.connections.load(SeqCst), 2);
    }

    #[tokio::test]
    async fn a_body_that_is_not_read_to_its_end_ends_the_connection() {
        let scene = scene("", |_, _| Some(OK)).await;
        drop(scene.wire.open(get("/")).await.unwrap());
        scene.wire.send(get("/")).await.unwrap();
        assert_eq!(scene.connections.load(SeqCst), 2);
    }
}
