//! An API server that is reached through an HTTP proxy alone: by a name that nothing on this machine knows.

use crate::command::ordain_with;
use crate::daemon::Daemon;
use crate::scene::{Place, create, following, follows};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// What the server's certificate is for; no resolver of this machine knows it.
const NAME: &str = "kubernetes.default.svc";

/// A proxy that knows `CONNECT` and nothing else. Every tunnel leads to the server, whatever its name.
struct Tunnels {
    port: u16,
    /// The heads of what was asked.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    /// With a user and password that it wants to see, if any.
    async fn start(server: u16, password: Option<&'static str>) -> Tunnels {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let heads = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let heads = Arc::clone(&heads);
                tokio::spawn(async move {
                    let mut head = vec![];
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = client.read_u8().await else {
                            return;
                        };
                        head.push(byte);
                    }
                    let head = String::from_utf8(head).unwrap();
                    heads.lock().unwrap().push(head.clone());
                    let knows_us = password
                        .is_none_or(|p| head.contains(&format!("Proxy-Authorization: {p}\r\n")));
                    let answer = match head.starts_with("CONNECT ") {
                        true if knows_us => {
                            "HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n"
                        }
                        true => "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
                        false => "HTTP/1.1 405 Method Not Allowed\r\n\r\n",
                    };
                    client.write_all(answer.as_bytes()).await.unwrap();
                    if answer.contains(" 200 ") {
                        let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Tunnels { port, asked }
    }

    fn connects(&self) -> usize {
        let asked = self.asked.lock().unwrap();
        let head = format!("CONNECT {NAME}:6443 HTTP/1.1\r\nHost: {NAME}:6443\r\n");
        asked.iter().filter(|h| h.starts_with(&head)).count()
    }
}

/// The administrator's kubeconfig, with the server behind a name; `more` is added to the cluster.
fn kubeconfig(plane: &crate::control_plane::Plane, more: &str) -> (u16, String) {
    let text = std::fs::read_to_string(plane.kubeconfig()).unwrap();
    let (before, rest) = text.split_once("https://127.0.0.1:").unwrap();
    let (port, after) = rest.split_once('\'').unwrap();
    let text = format!("{before}https://{NAME}:6443'{more}{after}");
    (port.parse().unwrap(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_behind_a_proxy_is_reached_where_the_configuration_says_so() {
    let Place {
        plane, namespace, ..
    } = Place::new("tunnel").await;
    let folder = tempfile::tempdir().unwrap();
    let rule = following("maps", "v1", "ConfigMap", &namespace);
    std::fs::write(folder.path().join("rules.yaml"), rule).unwrap();
    let (port, text) = kubeconfig(plane, "");
    let tunnels = Tunnels::start(port, None).await;
    std::fs::write(folder.path().join("config"), text).unwrap();
    let address = format!("http://127.0.0.1:{}", tunnels.port);
    let bare = format!("127.0.0.1:{}", tunnels.port);
    let plan = |config: &str, variables: &[(&str, &str)]| {
        let mut all = vec![("KUBECONFIG", config)];
        all.extend(variables);
        ordain_with(folder.path(), &["plan", "--rules", "rules.yaml"], &all)
    };

    let ran = plan("config", &[("HTTPS_PROXY", &address)]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let through = tunnels.connects();
    assert!(through > 0, "{:?}", tunnels.asked.lock().unwrap());
    let ran = plan("config", &[("https_proxy", &bare)]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(tunnels.connects() > through);

    // Named in NO_PROXY, however that is written, it is not for the proxy; and nobody else knows the name.
    let through = tunnels.connects();
    for list in [NAME, ".svc", "10.0.0.0/8, .default.svc,", "*"] {
        let ran = plan("config", &[("HTTPS_PROXY", &address), ("NO_PROXY", list)]);
        assert_eq!(ran.code, 3, "{list}: {ran:?}");
    }
    assert_eq!(tunnels.connects(), through);

    // What the kubeconfig says of its cluster counts, whatever NO_PROXY says.
    let (_, text) = kubeconfig(plane, &format!(", proxy-url: '{address}'"));
    std::fs::write(folder.path().join("with-proxy"), text).unwrap();
    let ran = plan("with-proxy", &[("NO_PROXY", "*")]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(tunnels.connects() > through);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_gets_its_user_and_password_and_what_it_refuses_is_told() {
    let Place {
        plane, namespace, ..
    } = Place::new("tunnel-user").await;
    let folder = tempfile::tempdir().unwrap();
    let rule = following("maps", "v1", "ConfigMap", &namespace);
    std::fs::write(folder.path().join("rules.yaml"), rule).unwrap();
    let (port, text) = kubeconfig(plane, "");
    // me:p@ss
    let tunnels = Tunnels::start(port, Some("Basic bWU6cEBzcw==")).await;
    std::fs::write(folder.path().join("config"), text).unwrap();
    let plan = |proxy: String| {
        let variables = [("KUBECONFIG", "config"), ("HTTPS_PROXY", proxy.as_str())];
        ordain_with(
            folder.path(),
            &["plan", "--rules", "rules.yaml"],
            &variables,
        )
    };
    let ran = plan(format!("http://me:p%40ss@127.0.0.1:{}", tunnels.port));
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = plan(format!("http://me:guessed@127.0.0.1:{}", tunnels.port));
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.err
            .contains("the proxy does not accept our user and password"),
        "{ran:?}"
    );
    assert!(!ran.err.contains("guessed"), "{ran:?}");
    // Nobody listens there.
    let ran = plan("http://127.0.0.1:1".into());
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("the proxy cannot be reached"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_follows_a_cluster_behind_a_proxy() {
    let Place {
        plane,
        namespace,
        maps,
        ..
    } = Place::new("tunnel-daemon").await;
    let (port, _) = kubeconfig(plane, "");
    let tunnels = Tunnels::start(port, None).await;
    let (_, text) = kubeconfig(
        plane,
        &format!(", proxy-url: 'http://127.0.0.1:{}'", tunnels.port),
    );
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    std::fs::write(&config, text).unwrap();
    create(&maps, &["a"]).await;
    let mut daemon = Daemon::start(
        &config,
        &following("maps", "v1", "ConfigMap", &namespace),
        &[],
    );
    daemon.ready().await;
    follows(&daemon, &maps, "a", "1").await;
    follows(&daemon, &maps, "a", "2").await;
    assert!(
        tunnels.connects() >= 2,
        "watches and writes have connections of their own"
    );
}
