//! Who we are and where the API server is: kubeconfig, in-cluster, time-outs, user agent, write rate.

use super::configuration::{Misconfigured, configuration, is_in_cluster};
use super::proxy::Proxy;
use super::traffic::{Counting, Traffic};
use super::wire::Wire;
use http::{HeaderValue, header};
use hyper_util::client::legacy::connect::HttpConnector;
use kube::Config;
use kube::client::ConfigExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Name and version, as the server's audit log shows them.
pub const USER_AGENT: &str = concat!("ordain/", env!("CARGO_PKG_VERSION"));

/// A connection that is not made within this time has failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which cluster, and what of it.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// `--kubeconfig`; else `$KUBECONFIG`, else `~/.kube/config`, else in-cluster.
    pub kubeconfig: Option<PathBuf>,
    /// `--context`; else the current one.
    pub context: Option<String>,
    /// Only these namespaces are listed and watched; empty: all, with cluster-wide lists.
    pub namespaces: Vec<String>,
    /// Writes a second, with a burst of as many; 0: no limit.
    pub write_rate: u32,
    /// Seconds after which the server is asked to end a watch, up to a third more by chance. `None`: 90.
    pub watch_seconds: Option<u64>,
    /// Watches of a kind from one list to the next. `None`: 32, an hour or so.
    pub watches: Option<u32>,
}

/// A way to the server.
#[derive(Clone)]
pub struct Connection {
    pub(super) wire: Wire,
    pub(super) traffic: Arc<Traffic>,
    /// We are a Pod of the cluster itself, by its own environment and ServiceAccount.
    pub(super) in_cluster: bool,
    config: Arc<(Config, Option<Proxy>)>,
}

impl Connection {
    /// Reads the configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// A configuration that cannot be used.
    pub async fn open(options: &ConnectOptions) -> Result<Self, Misconfigured> {
        let (file, context) = (options.kubeconfig.as_deref(), options.context.as_deref());
        let mut config = configuration(file, context).await?;
        let in_cluster = is_in_cluster(file, context);
        config
            .headers
            .push((header::USER_AGENT, HeaderValue::from_static(USER_AGENT)));
        let traffic = Arc::new(Traffic::default());
        // kube's own way through a proxy is not built in: it asks NO_PROXY about the proxy, not about the server.
        let proxy = config.proxy_url.take().as_ref().map(Proxy::of);
        let proxy = proxy.transpose().map_err(Misconfigured::proxy)?;
        let wire = wire(&config, proxy.clone(), &traffic).map_err(Misconfigured::unusable)?;
        Ok(Self {
            wire,
            traffic,
            in_cluster,
            config: Arc::new((config, proxy)),
        })
    }

    /// The same way, with connections of its own: those of another thread need that thread to go on.
    ///
    /// # Errors
    /// A helper program that fails, a token that cannot be read.
    pub(super) fn apart(&self) -> Result<Wire, Misconfigured> {
        let (config, proxy) = &*self.config;
        wire(config, proxy.clone(), &self.traffic).map_err(Misconfigured::unusable)
    }
}

fn wire(
    config: &Config,
    proxy: Option<Proxy>,
    traffic: &Arc<Traffic>,
) -> Result<Wire, kube::Error> {
    let counting = Counting(Arc::clone(traffic));
    match proxy {
        Some(proxy) => config
            .rustls_https_connector_with_connector(proxy.tunnel(CONNECT_TIMEOUT))
            .and_then(|connector| Wire::new(config, connector, CONNECT_TIMEOUT, &counting)),
        None => {
            let mut connector = HttpConnector::new();
            connector.enforce_http(false);
            connector.set_nodelay(true);
            config
                .rustls_https_connector_with_connector(connector)
                .and_then(|connector| Wire::new(config, connector, CONNECT_TIMEOUT, &counting))
        }
    }
}
