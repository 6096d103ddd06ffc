//! A cluster that cannot be had: what a person reads.

use super::*;

const KUBECONFIG: &str = "apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: u, user: {token: 'hidden-token'}}]
contexts: [{name: here, context: {cluster: c, user: u}}, {name: lost, context: {cluster: d, user: u}}]
current-context: here
";

/// Runs where no kubeconfig of the machine is found.
fn ordain_at(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut all = vec![
        ("HOME", "/nowhere"),
        ("KUBECONFIG", ""),
        ("HTTPS_PROXY", ""),
        ("https_proxy", ""),
    ];
    all.extend(variables);
    ordain_with(folder, arguments, &all, "")
}

#[test]
fn a_kubeconfig_that_cannot_be_used_ends_every_command_with_the_mend() {
    let dir = folder(&[
        ("rules/r.yaml", &label_rule("r", "a", "b")),
        ("good", KUBECONFIG),
        (
            "far",
            &KUBECONFIG.replace("http://127.0.0.1:1", "https://k8s.example"),
        ),
        (
            "broken",
            "apiVersion: v1\nusers: [{name: u, user: {token: [hidden-token]}}]\n",
        ),
        ("torn", "apiVersion: v1\nusers: [{name: 'hidden-token\n"),
        ("none", &KUBECONFIG.replace("current-context: here\n", "")),
        (
            "key",
            &KUBECONFIG.replace(
                "token: 'hidden-token'",
                "client-certificate: missing.crt, client-key: missing.key",
            ),
        ),
    ]);
    for (arguments, variables, said) in [
        (
            &["--kubeconfig", "missing"][..],
            &[][..],
            "--kubeconfig missing: no such file",
        ),
        (
            &[],
            &[("KUBECONFIG", "missing")],
            "KUBECONFIG missing: no such file",
        ),
        (
            &[],
            &[("KUBECONFIG", "good:missing")],
            "KUBECONFIG good:missing: no such file",
        ),
        (
            &["--kubeconfig", "broken"],
            &[],
            "--kubeconfig broken is no kubeconfig: line 2, column ",
        ),
        (
            &["--kubeconfig", "torn"],
            &[],
            "--kubeconfig torn is no kubeconfig",
        ),
        (
            &["--kubeconfig", "none"],
            &[],
            "--kubeconfig none names no current context: choose one with --context (here, lost)",
        ),
        (
            &["--kubeconfig", "good", "--context", "heer"],
            &[],
            "--kubeconfig good has no context `heer`: did you mean `here`?",
        ),
        (
            &["--kubeconfig", "good", "--context", "production"],
            &[],
            "has no context `production`: it has here, lost",
        ),
        (
            &["--kubeconfig", "good", "--context", "lost"],
            &[],
            "--kubeconfig good: failed to load the cluster of context",
        ),
        (&["--kubeconfig", "key"], &[], "missing.crt"),
        (
            &["--kubeconfig", "far"],
            &[("HTTPS_PROXY", "socks5://me:hidden-token@proxy.example:3128")],
            "--kubeconfig far: the proxy of HTTPS_PROXY cannot be used: it is of the kind `socks5`, and only `http://` is supported",
        ),
        (&["--context", "here"], &[], "--context needs a kubeconfig"),
        (
            &[],
            &[],
            "no cluster is configured: give --kubeconfig FILE, set KUBECONFIG, or work on files with --manifests DIR",
        ),
        (
            &[],
            &[
                ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
                ("KUBERNETES_SERVICE_PORT", "443"),
            ],
            "the service account of this Pod cannot be used",
        ),
    ] {
        for command in [
            &["plan"][..],
            &["run", "--once"],
            &["run", "--listen", "127.0.0.1:0"],
        ] {
            let mut all = command.to_vec();
            all.extend(arguments);
            let ran = ordain_at(dir.path(), &all, variables);
            assert_eq!(ran.code, 3, "{all:?}: {}", ran.err);
            assert!(ran.err.contains(said), "{all:?}: {}", ran.err);
            assert!(!ran.err.contains("hidden-token"), "{all:?}: {}", ran.err);
        }
    }
}

#[test]
fn a_server_that_does_not_answer_is_3_and_named() {
    let dir = folder(&[
        ("rules/r.yaml", &label_rule("r", "a", "b")),
        ("good", KUBECONFIG),
    ]);
    for command in [&["plan"][..], &["run", "--once"]] {
        let mut all = command.to_vec();
        all.extend(["--kubeconfig", "good"]);
        let ran = ordain_at(dir.path(), &all, &[]);
        assert_eq!(ran.code, 3, "{}", ran.err);
        assert!(ran.err.contains("Connection refused"), "{}", ran.err);
    }
}

#[test]
fn an_address_that_is_in_use_is_named() {
    let dir = folder(&[
        ("rules/r.yaml", &label_rule("r", "a", "b")),
        ("m.yaml", &config_map("a")),
    ]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = ordain(
        dir.path(),
        &["run", "--manifests", "m.yaml", "--listen", &address],
    );
    assert_eq!(ran.code, 3, "{}", ran.err);
    let said = format!("--listen {address}: Address already in use");
    assert!(ran.err.contains(&said), "{}", ran.err);
}
