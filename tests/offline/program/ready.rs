//! `ordain ready`: asks a daemon, waits for it, and says what it heard.

use super::*;
use std::net::TcpListener;

/// Answers every connection with the next of these answers, the last one for ever.
fn answering(answers: &'static [&'static str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for n in 0.. {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = [0; 1024];
            let _ = stream.read(&mut heard);
            let _ = stream.write_all(answers[n.min(answers.len() - 1)].as_bytes());
        }
    });
    address
}

const NOT_YET: &str = "HTTP/1.1 503 Service Unavailable\r\n\r\nnot listed yet: Pod\n";
const READY: &str = "HTTP/1.1 200 OK\r\n\r\nok\n";

#[test]
fn a_daemon_that_is_ready_says_so() {
    let dir = folder(&[
        ("rules/r.yaml", &label_rule("r", "team", "one")),
        ("cluster/m.yaml", &config_map("a")),
    ]);
    let running = Running::start(dir.path(), &["--rules", "rules", "--manifests", "cluster"]);
    let ran = ordain(
        dir.path(),
        &["ready", running.address(), "--timeout", "60s"],
    );
    assert_eq!((ran.code, ran.out.as_str()), (0, "ok\n"), "{}", ran.err);
}

#[test]
fn it_waits_for_one_that_is_not_ready_yet() {
    let dir = folder(&[]);
    let address = answering(&[NOT_YET, NOT_YET, READY]);
    let ran = ordain(dir.path(), &["ready", &address, "--timeout", "60s"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "ok\n"), "{}", ran.err);
}

#[test]
fn what_keeps_it_from_saying_yes_is_said() {
    let dir = folder(&[]);
    let ran = ordain(dir.path(), &["ready", &answering(&[NOT_YET])]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("is not ready: 503 not listed yet: Pod"),
        "{}",
        ran.err
    );

    let ran = ordain(dir.path(), &["ready", &answering(&["SSH-2.0-x\r\n"])]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("no answer of a daemon"), "{}", ran.err);

    // A port that was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let ran = ordain(dir.path(), &["ready", &address]);
    assert_eq!(ran.code, 3);
    assert!(
        ran.err.contains(&address) && ran.err.contains("refused"),
        "{}",
        ran.err
    );

    let ran = ordain(dir.path(), &["ready", "localhost"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("HOST:PORT"), "{}", ran.err);
}
