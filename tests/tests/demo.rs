//! The demo itself: side by side, components in any order, nothing left behind, settings refused with words.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use strife_client::Verdict;
use strife_tests::books::Books;
use strife_tests::network::{TestNetwork, signal};
use strife_tests::people::{Person, verdict};

const PROGRAM: &str = env!("CARGO_BIN_EXE_strife-under-test");

/// Whether a process runs (and is no zombie that somebody has yet to collect).
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

fn wait(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn pids(network: &TestNetwork) -> Vec<u32> {
    let banks = network.description.banks.values().map(|bank| bank.pid);
    banks.chain(network.description.gateway_pids.iter().copied()).collect()
}

#[test]
fn two_demos_run_side_by_side_and_a_killed_demo_leaves_no_daemon() {
    let one = TestNetwork::start(PROGRAM, 1);
    let two = TestNetwork::start(PROGRAM, 2);
    assert_eq!((one.description.gateways.len(), two.description.gateways.len()), (1, 2));
    let (ones, twos) = (pids(&one), pids(&two));
    assert!(ones.iter().chain(&twos).all(|pid| runs(*pid)));
    // in the same folder a second one is refused with words
    let second = Command::new(PROGRAM)
        .args(["--headless", "--data-dir"])
        .arg(one.dir())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && words.contains("a demo is running"), "{words}");
    signal(one.pid(), Signal::KILL);
    wait("the daemons of a killed demo end", || !ones.iter().any(|pid| runs(*pid)));
    assert!(twos.iter().all(|pid| runs(*pid)), "the other demo goes on");
    drop(two);
    assert!(!twos.iter().any(|pid| runs(*pid)), "a stopped demo has stopped everything");
}

#[tokio::test]
async fn components_start_in_any_order_and_find_each_other() {
    let network = TestNetwork::start(PROGRAM, 1);
    for name in ["Bank1", "Bank2", "gateway1"] {
        network.kill(name);
    }
    // the gateway first, then one bank, then the other
    network.start_process("gateway1");
    let api = network.api(0);
    let deadline = Instant::now() + Duration::from_secs(30);
    let reached = async |expected: usize| loop {
        let banks = api.banks().await.unwrap_or_default();
        if banks.len() == 2 && banks.iter().filter(|bank| bank.reachable).count() == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{banks:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    reached(0).await;
    network.start_process("Bank1");
    reached(1).await;
    let payer = Person::sign_in(&api, "Bank1", "user1").await;
    network.start_process("Bank2");
    reached(2).await;
    let answer = payer.pay(&api, &"user2@Bank2".parse().unwrap(), 100).await.unwrap();
    assert_eq!(verdict(&answer), Some(Verdict::Posted));
    Books::settled(&network).await.check();
}

#[test]
fn a_daemon_refuses_to_start_with_the_key_the_value_and_what_is_allowed() {
    let network = TestNetwork::start(PROGRAM, 1);
    let config = network.dir().join("banks/Bank1/bank.toml");
    let refuse = |config: &Path, settings: &[(&str, &str)]| {
        let output = Command::new(PROGRAM)
            .args(["run-bank", "--config"])
            .arg(config)
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let words = refuse(&config, &[("STRIFE_BANK_SESSION_MS", "5")]);
    assert!(words.contains("session_ms") && words.contains("is 5") && words.contains("1000 to"), "{words}");
    let words = refuse(&config, &[("STRIFE_BANK_LIMITS__BATCH_COMMANDS_MAX", "many")]);
    assert!(words.to_lowercase().contains("batch_commands_max") && words.contains("many"), "{words}");
    let free = [("STRIFE_BANK_LISTEN", "127.0.0.1:0"), ("STRIFE_BANK_ADMIN_LISTEN", "127.0.0.1:0")];
    let words = refuse(&config, &[free[0], free[1], ("STRIFE_BANK_NAME", "Bank2")]);
    assert!(words.contains("settings name bank Bank2, but the certificate is of bank/Bank1"), "{words}");
    // the data folder is another process's, and so is the port
    let words = refuse(&config, &[]);
    assert!(words.contains("cannot listen on"), "{words}");
    let words = refuse(&config, &free);
    assert!(words.contains("in use by another process"), "{words}");
    // a key that others can read
    let key = network.dir().join("network/banks/Bank1/signing.key");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let words = refuse(&config, &free);
    assert!(words.contains("signing.key") && words.contains("0644"), "{words}");
}
