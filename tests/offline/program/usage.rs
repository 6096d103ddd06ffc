//! Wrong usage, help, completions, variables.

use super::*;

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_wrong() {
    let dir = folder(&[
        ("m.yaml", &config_map("a")),
        ("r.yaml", &label_rule("r", "a", "b")),
    ]);
    for (arguments, said) in [
        (&[][..], "requires a subcommand"),
        (&["conquer"], "unrecognized subcommand 'conquer'"),
        (&["check"], "<PATH>..."),
        (&["test"], "<PATH>..."),
        (&["plan", "--now", "tomorrow"], "tomorrow"),
        (&["plan", "--output", "xml"], "xml"),
        (&["plan", "--namespace", ""], "a namespace is made of"),
        (
            &["plan", "--namespace", "shop,Web"],
            "a namespace is made of",
        ),
        (&["run", "--state-namespace", ""], "a namespace is made of"),
        (
            &["explain", "r", "ConfigMap/shop/a", "--from", "127.0.0.1"],
            "write HOST:PORT",
        ),
        (
            &["plan", "--rules", "r.yaml", "--now", "2026-01-01T00:00:00Z"],
            "--now needs --manifests",
        ),
        (
            &[
                "run",
                "--now",
                "2026-01-01T00:00:00Z",
                "--manifests",
                "m.yaml",
                "--rules",
                "r.yaml",
            ],
            "--now needs --once",
        ),
        (&["run", "--write-manifests", "x"], "--manifests"),
        (
            &["run", "--rules", "missing", "--manifests", "m.yaml"],
            "missing: no such file",
        ),
        (&["run", "--workers", "0"], "0 is not in 1..=1024"),
    ] {
        let ran = ordain(dir.path(), arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{arguments:?}");
    }
}

#[test]
fn the_nearest_name_is_offered() {
    let dir = folder(&[("r.yaml", &label_rule("r", "a", "b"))]);
    for (arguments, said) in [
        (&["chek", "r.yaml"][..], "'check'"),
        (&["plan", "--kubeconfg", "x"], "'--kubeconfig'"),
        (&["run", "--audit-olny"], "'--audit-only'"),
        (&["plan", "--output", "jsn"], "'json'"),
    ] {
        let ran = ordain(dir.path(), arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
    }
    let with = |name: &str, value: &str| {
        ordain_with(dir.path(), &["check", "r.yaml"], &[(name, value)], "")
    };
    let ran = with("ORDAIN_AUDIT_OLNY", "true");
    assert_eq!(ran.code, 2, "a switch that is misspelt is not overlooked");
    assert!(
        ran.err.contains(
            "no option has the variable ORDAIN_AUDIT_OLNY: did you mean ORDAIN_AUDIT_ONLY?"
        ),
        "{}",
        ran.err
    );
    assert_eq!(with("ORDAIN_PORT_9464_TCP", "tcp://10.0.0.1:9464").code, 0);
    let ran = with("ORDAIN_OUTPUT", "jsn");
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("'--output <FORMAT>'") && ran.err.contains("'json'"),
        "{}",
        ran.err
    );
}

#[test]
fn help_teaches_each_command_with_an_example() {
    let dir = folder(&[]);
    for command in [
        "run",
        "check",
        "plan",
        "explain",
        "test",
        "rbac",
        "schema",
        "ready",
        "completions",
    ] {
        let ran = ordain(dir.path(), &[command, "--help"]);
        assert_eq!(ran.code, 0);
        let (_, examples) = ran.out.split_once("\nExamples:\n").unwrap();
        assert!(examples.contains("ordain "), "{}", ran.out);
        assert!(ran.out.contains("Exit code: 0"), "{}", ran.out);
    }
}

#[test]
fn completions_are_made_for_shells() {
    let dir = folder(&[]);
    for shell in ["bash", "zsh", "fish"] {
        let ran = ordain(dir.path(), &["completions", shell]);
        assert_eq!(ran.code, 0);
        for word in ["write-manifests", "service-account"] {
            assert!(ran.out.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn bash_completes_commands_options_and_values() {
    let dir = folder(&[]);
    let script = ordain(dir.path(), &["completions", "bash"]).out;
    put(dir.path(), "ordain.bash", &script);
    for (typed, offered) in [
        ("ordain pl", "plan"),
        ("ordain run --write-m", "--write-manifests"),
        ("ordain plan --output j", "json"),
        ("ordain completions f", "fish"),
    ] {
        let words: Vec<&str> = typed.split(' ').collect();
        let (last, before) = words.split_last().unwrap();
        // As bash asks a function: the words, which of them is completed, the one before it.
        let ask = format!(
            "source ./ordain.bash; COMP_WORDS=({typed}); COMP_CWORD={}; _ordain ordain {last} {}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            before.len(),
            before.last().unwrap()
        );
        let ran = std::process::Command::new("bash")
            .args(["--norc", "-c", &ask])
            .current_dir(dir.path())
            .output()
            .unwrap();
        let shown = String::from_utf8_lossy(&ran.stdout);
        assert_eq!(shown.trim(), offered, "{typed}: {ran:?}");
    }
}

#[test]
fn a_variable_stands_for_an_option_and_the_option_wins() {
    let dir = folder(&[
        ("one.yaml", &label_rule("one", "a", "b")),
        ("two.yaml", &label_rule("two", "a", "b")),
        ("m.yaml", &config_map("a")),
    ]);
    let arguments = ["plan", "--manifests", "m.yaml", "-o", "json"];
    let variables = [
        ("ORDAIN_RULES", "one.yaml,two.yaml"),
        ("ORDAIN_RULE", "one"),
    ];
    let rules = |ran: Ran| -> Vec<String> {
        ran.json()["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["rule"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        rules(ordain_with(dir.path(), &arguments, &variables, "")),
        ["one"]
    );
    let mut given = arguments.to_vec();
    given.extend(["--rule", "t*"]);
    assert_eq!(
        rules(ordain_with(dir.path(), &given, &variables, "")),
        ["two"]
    );
}

#[test]
fn a_reader_of_problems_that_went_away_is_no_reason_to_panic() {
    let dir = folder(&[
        (
            "r.yaml",
            &label_rule("r", "a", "b").replace("$.metadata", "$.metaData"),
        ),
        ("m.yaml", &config_map("a")),
    ]);
    let plan = ["plan", "--rules", "r.yaml", "--manifests", "m.yaml"];
    let mut child = command(dir.path(), &plan)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "it could not tell");
    assert!(String::from_utf8_lossy(&output.stdout).contains("could not be looked at"));
}
