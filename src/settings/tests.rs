#![allow(clippy::unwrap_used)]

use super::*;
use std::path::PathBuf;
use std::time::Duration;

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn every_option_has_a_variable_of_its_name() {
    for command in Arguments::command().get_subcommands() {
        for option in command.get_opts() {
            let long = option.get_long().unwrap();
            let variable = option.get_env().map(|v| v.to_string_lossy().into_owned());
            let expected = format!("ORDAIN_{}", long.replace('-', "_").to_uppercase());
            assert_eq!(
                variable,
                Some(expected),
                "--{long} of {}",
                command.get_name()
            );
        }
    }
}

#[test]
fn a_variable_of_ours_that_is_none_is_found_with_the_nearest() {
    let misspelt = |name: &str| misspelt_variable([name.to_owned()]);
    assert_eq!(
        misspelt("ORDAIN_AUDIT_ONYL").as_deref(),
        Some("no option has the variable ORDAIN_AUDIT_ONYL: did you mean ORDAIN_AUDIT_ONLY?")
    );
    assert!(misspelt("ORDAIN_WHATEVER_ELSE").is_some());
    for other in [
        "ORDAIN_AUDIT_ONLY",
        "HOME",
        "ORDAIN_SERVICE_HOST",
        "ORDAIN_SERVICE_PORT",
        "ORDAIN_SERVICE_PORT_METRICS",
        "ORDAIN_PORT",
        "ORDAIN_PORT_9464_TCP",
        "ORDAIN_METRICS_PORT_9464_TCP_ADDR",
    ] {
        assert_eq!(misspelt(other), None);
    }
}

#[test]
fn every_command_shows_an_example() {
    for command in Arguments::command().get_subcommands() {
        let help = command.get_after_help().unwrap().to_string();
        assert!(
            help.contains(&format!("ordain {}", command.get_name())),
            "{help}"
        );
    }
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let Command::Run(run) = Arguments::parse_from(["ordain", "run"]).command else {
        unreachable!()
    };
    assert_eq!(run.listen.to_string(), "127.0.0.1:9464");
    assert_eq!(run.rules.rules, [PathBuf::from("rules")]);
    assert_eq!(run.workers, 32);
    assert_eq!(run.write_rate, 200);
    assert_eq!(run.log.log_level, None);
}

#[test]
fn times_of_the_election_fit_each_other() {
    let times = |more: &[&str]| {
        let arguments = ["ordain", "run"].iter().chain(more);
        let Command::Run(run) = Arguments::parse_from(arguments).command else {
            unreachable!()
        };
        run.lease_times()
    };
    let seconds = Duration::from_secs;
    assert_eq!(times(&[]), Ok((seconds(15), seconds(10), seconds(2))));
    assert!(
        times(&[
            "--lease-duration=2s",
            "--lease-renew-deadline=1s",
            "--lease-retry-period=250ms"
        ])
        .is_ok()
    );
    for (wrong, said) in [
        (&["--lease-duration=1s"][..], "from 2s to 1h"),
        (&["--lease-duration=2h"], "from 2s to 1h"),
        (&["--lease-duration=15.5s"], "whole seconds"),
        (
            &["--lease-duration=10s"],
            "must be shorter than --lease-duration 10s",
        ),
        (
            &["--lease-retry-period=6s"],
            "at most half of --lease-renew-deadline 10s",
        ),
        (&["--lease-retry-period=10ms"], "at least 100ms"),
    ] {
        let message = times(wrong).unwrap_err();
        assert!(message.contains(said), "{wrong:?}: {message}");
    }
}

#[test]
fn out_of_bounds_is_wrong_usage() {
    for wrong in [
        &["ordain", "run", "--workers", "0"][..],
        &["ordain", "run", "--workers", "2000"],
        &["ordain", "run", "--write-manifests", "x"],
        &["ordain", "run", "--manifests", "x", "--context", "y"],
        &["ordain", "check"],
        &["ordain"],
        &["ordain", "plan", "--now", "tomorrow"],
        &["ordain", "ready", "localhost"],
        &["ordain", "ready", "--timeout", "soon"],
        &["ordain", "run", "--once", "--leader-election"],
        &["ordain", "run", "--manifests", "x", "--leader-election"],
        &["ordain", "run", "--lease-duration", "soon"],
        &["ordain", "rbac", "--name", "Ordain"],
        &["ordain", "rbac", "--service-account", "a b"],
        &["ordain", "rbac", "--check", "--manifests", "x"],
    ] {
        let error = Arguments::try_parse_from(wrong).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{wrong:?}: {error}");
    }
}
