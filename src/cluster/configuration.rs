//! Which cluster: a kubeconfig, or the one we run in. What is wrong with it is said with the mend, and without a word of what may be secret.

use super::proxy::Proxy;
use crate::schema::nearest;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use std::net::IpAddr;
use std::path::Path;

/// A configuration that cannot be used as it is: asking again does not help.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misconfigured(String);

impl Misconfigured {
    /// No client can be made of it: certificates that cannot be read, a proxy of an unknown kind, a helper program that fails.
    pub fn unusable(error: kube::Error) -> Self {
        Self(format!(
            "the cluster's configuration cannot be used: {error}"
        ))
    }
}

impl Misconfigured {
    /// Its proxy cannot be used, and why.
    pub(super) fn proxy(why: String) -> Self {
        Self(format!("the proxy cannot be used: {why}"))
    }
}

type Result<T> = std::result::Result<T, Misconfigured>;

/// `file`, else `$KUBECONFIG`, else `~/.kube/config`, else in-cluster.
///
/// # Errors
/// A file that is missing or broken, a context that is not in it, no configuration at all.
pub async fn configuration(file: Option<&Path>, context: Option<&str>) -> Result<Config> {
    match kubeconfig(file)? {
        Some((kubeconfig, origin)) => of_kubeconfig(kubeconfig, &origin, context).await,
        None if context.is_some() => Err(Misconfigured(
            "--context needs a kubeconfig: give --kubeconfig FILE, or set KUBECONFIG".into(),
        )),
        None => in_cluster(),
    }
}

/// Whether [`configuration`] is that of a Pod of the cluster.
pub fn is_in_cluster(file: Option<&Path>, context: Option<&str>) -> bool {
    context.is_none() && matches!(kubeconfig(file), Ok(None))
}

fn in_cluster() -> Result<Config> {
    Config::incluster().map_err(|error| {
        // Set by the kubelet in every container.
        if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            Misconfigured(format!(
                "the service account of this Pod cannot be used: {error}"
            ))
        } else {
            Misconfigured(
                "no cluster is configured: give --kubeconfig FILE, set KUBECONFIG, or work on files with --manifests DIR"
                    .into(),
            )
        }
    })
}

/// The kubeconfig, and what to call it.
fn kubeconfig(file: Option<&Path>) -> Result<Option<(Kubeconfig, String)>> {
    let read = |path: &Path, origin: String| {
        let read = Kubeconfig::read_from(path).map_err(|e| unreadable(&origin, &e))?;
        Ok(Some((read, origin)))
    };
    if let Some(path) = file {
        return read(path, format!("--kubeconfig {}", path.display()));
    }
    let variable = std::env::var_os("KUBECONFIG").unwrap_or_default();
    if !variable.is_empty() {
        let origin = format!("KUBECONFIG {}", variable.display());
        let merged = Kubeconfig::from_env().map_err(|e| unreadable(&origin, &e))?;
        return Ok(merged.map(|kubeconfig| (kubeconfig, origin)));
    }
    let usual = std::env::home_dir().map(|home| home.join(".kube/config"));
    match usual.filter(|path| path.exists()) {
        Some(path) => {
            let origin = path.display().to_string();
            read(&path, origin)
        }
        None => Ok(None),
    }
}

/// The parser's own message would quote the file, which holds keys and tokens.
fn unreadable(origin: &str, error: &KubeconfigError) -> Misconfigured {
    Misconfigured(match error {
        KubeconfigError::ReadConfig(io, path) => {
            let why = match io.kind() {
                std::io::ErrorKind::NotFound => "no such file".to_owned(),
                _ => io.to_string(),
            };
            if origin.ends_with(&path.display().to_string()) {
                format!("{origin}: {why}")
            } else {
                format!("{origin}: {}: {why}", path.display())
            }
        }
        KubeconfigError::Parse(error) => match error.location() {
            Some(at) => format!(
                "{origin} is no kubeconfig: line {}, column {} is not what belongs there",
                at.line(),
                at.column()
            ),
            None => format!("{origin} is no kubeconfig"),
        },
        other => format!("{origin}: {other}"),
    })
}

async fn of_kubeconfig(
    kubeconfig: Kubeconfig,
    origin: &str,
    context: Option<&str>,
) -> Result<Config> {
    let names: Vec<&str> = kubeconfig
        .contexts
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    let current = kubeconfig.current_context.as_deref();
    let Some(name) = context.or(current.filter(|name| !name.is_empty())) else {
        return Err(Misconfigured(format!(
            "{origin} names no current context: choose one with --context ({})",
            listed(&names)
        )));
    };
    let Some(chosen) = kubeconfig.contexts.iter().find(|c| c.name == name) else {
        let mend = match nearest(name, names.iter().copied()).first() {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has {}", listed(&names)),
        };
        return Err(Misconfigured(format!(
            "{origin} has no context `{name}`: {mend}"
        )));
    };
    let cluster = chosen.context.as_ref().map(|c| c.cluster.as_str());
    let has_proxy = kubeconfig
        .clusters
        .iter()
        .filter(|c| Some(c.name.as_str()) == cluster)
        .any(|c| c.cluster.as_ref().is_some_and(|c| c.proxy_url.is_some()));
    let selection = KubeConfigOptions {
        context: Some(name.to_owned()),
        ..KubeConfigOptions::default()
    };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &selection)
        .await
        .map_err(|error| Misconfigured(format!("{origin}: {error}")))?;
    // A proxy of the environment is not for every server.
    let host = config.cluster_url.host().unwrap_or_default().to_owned();
    if !has_proxy && goes_direct(&host, &no_proxy()) {
        config.proxy_url = None;
    }
    // Its address may hold a password.
    if let Some(address) = &config.proxy_url
        && let Err(why) = Proxy::of(address)
    {
        let whose = if has_proxy {
            "proxy-url"
        } else {
            "HTTPS_PROXY"
        };
        return Err(Misconfigured(format!(
            "{origin}: the proxy of {whose} cannot be used: {why}"
        )));
    }
    Ok(config)
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "no contexts at all".to_owned(),
        names => names.join(", "),
    }
}

fn no_proxy() -> String {
    ["NO_PROXY", "no_proxy"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_default()
}

/// Whether a host is reached without the proxy of the environment: this machine, and what `NO_PROXY` names as `*`, a domain with all
/// below it, an address, or a network.
fn goes_direct(host: &str, no_proxy: &str) -> bool {
    let host = host.trim_matches(['[', ']']).to_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|a| a.is_loopback()) {
        return true;
    }
    no_proxy
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .any(|entry| {
            if entry == "*" {
                return true;
            }
            if let (Some(address), Ok(network)) = (address, entry.parse::<ipnet::IpNet>()) {
                return network.contains(&address);
            }
            let entry = entry.trim_start_matches('.').to_lowercase();
            host == entry
                || host
                    .strip_suffix(&entry)
                    .is_some_and(|rest| rest.ends_with('.'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_proxy_names_is_reached_without_one() {
        let list = "10.0.0.0/8, .example.com,  api.internal,192.168.1.7";
        for host in [
            "127.0.0.1",
            "[::1]",
            "localhost",
            "10.96.0.1",
            "k8s.example.com",
            "example.com",
            "API.internal",
            "192.168.1.7",
        ] {
            assert!(goes_direct(host, list), "{host}");
        }
        for host in [
            "11.0.0.1",
            "badexample.com",
            "example.com.evil.org",
            "192.168.1.70",
            "internal",
        ] {
            assert!(!goes_direct(host, list), "{host}");
        }
        assert!(goes_direct("anything.example.org", "*"));
        assert!(!goes_direct("anything.example.org", ""));
    }
}
