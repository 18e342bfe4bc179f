//! The demo itself: side by side, components in any order, nothing left behind, settings refused with words.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use strife_client::Verdict;
use strife_proto::v1;
use strife_tests::books::Books;
use strife_tests::network::{TestNetwork, signal};
use strife_tests::people::{Person, verdict};
use strife_tests::terminal::{Key, Terminal};
use strife_tui::{Control, ProcessState};

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

/// The state in which the kernel has a process: `T` stands still.
fn kernel_state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[tokio::test]
async fn each_process_is_frozen_cut_off_restarted_and_killed_and_says_so() {
    let network = TestNetwork::start(PROGRAM, 1);
    let api = network.api(0);
    let payer = Person::sign_in(&api, "Bank1", "user1").await;
    let payee = "user2@Bank2".parse().unwrap();
    let pays = async || payer.pay(&api, &payee, 100).await.ok().as_ref().and_then(verdict);
    let reaches = async |expected: bool| {
        let deadline = Instant::now() + Duration::from_secs(30);
        while (pays().await == Some(Verdict::Posted)) != expected {
            assert!(Instant::now() < deadline, "a payment goes through: {expected}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    reaches(true).await;

    let bank = network.description.banks["Bank2"].pid;
    network.control(Control::Freeze, "Bank2");
    assert_eq!((network.state("Bank2"), kernel_state(bank)), (ProcessState::Frozen, Some('T')));
    assert!(!network.try_control(Control::Freeze, "Bank2"), "it is frozen already");
    reaches(false).await;
    network.control(Control::Thaw, "Bank2");
    assert_eq!(network.state("Bank2"), ProcessState::Runs);
    reaches(true).await;

    // a bank that is cut off runs on, is reached by its operator, and by no gateway
    network.control(Control::CutOff, "Bank2");
    assert_eq!(network.state("Bank2"), ProcessState::CutOff);
    reaches(false).await;
    assert!(network.admin("Bank2").report(v1::ReportRequest {}).await.is_ok());
    assert_eq!(
        verdict(&payer.pay(&api, &"user3@Bank1".parse().unwrap(), 100).await.unwrap()),
        Some(Verdict::Posted)
    );
    network.control(Control::Reconnect, "Bank2");
    reaches(true).await;
    // and a gateway that is cut off by no client
    network.control(Control::CutOff, "gateway1");
    assert!(api.banks().await.is_err());
    network.control(Control::Freeze, "gateway1");
    assert_eq!(network.state("gateway1"), ProcessState::FrozenAndCutOff);
    network.control(Control::Thaw, "gateway1");
    network.control(Control::Reconnect, "gateway1");
    reaches(true).await;

    let old = network.description.gateway_pids[0];
    network.control(Control::Freeze, "gateway1");
    network.control(Control::Restart, "gateway1");
    assert_eq!((network.state("gateway1"), runs(old)), (ProcessState::Runs, false));
    reaches(true).await;
    network.control(Control::Kill, "gateway1");
    assert_eq!(network.state("gateway1"), ProcessState::Killed);
    network.control(Control::Start, "gateway1");
    reaches(true).await;
    // one that ends otherwise says so
    signal(network.description.banks["Bank1"].pid, Signal::TERM);
    wait("its end is noticed", || matches!(network.state("Bank1"), ProcessState::Ended(_)));
    assert!(!network.try_control(Control::Kill, "Bank3"), "there is no Bank3");
    network.control(Control::Restart, "Bank1");
    reaches(true).await;
    Books::settled(&network).await.check();
    network.end().await;
}

#[test]
fn frozen_processes_end_with_their_demo_however_it_ends() {
    for ending in [Signal::TERM, Signal::HUP, Signal::KILL] {
        let network = TestNetwork::start(PROGRAM, 1);
        for name in ["Bank1", "gateway1"] {
            network.control(Control::Freeze, name);
        }
        let pids = pids(&network);
        signal(network.pid(), ending);
        wait("all daemons end", || !pids.iter().any(|pid| runs(*pid)));
    }
}

#[test]
fn the_socket_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let network = TestNetwork::start(PROGRAM, 1);
    let mode = std::fs::metadata(network.dir().join("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let status = Command::new(PROGRAM).args(["status", "--data-dir"]).arg(network.dir()).output().unwrap();
    let words = String::from_utf8_lossy(&status.stdout).into_owned();
    for (name, pid) in ["Bank1", "Bank2", "gateway1"].iter().zip(pids(&network)) {
        assert!(words.contains(&format!("{name} runs (process {pid})")), "{words}");
    }
}

#[test]
fn one_more_client_opens_beside_another_and_no_screen_is_opened_without_a_terminal() {
    let network = TestNetwork::start(PROGRAM, 1);
    let dir = network.dir().display().to_string();
    let join = || {
        let terminal = Terminal::open(
            Path::new(PROGRAM),
            &["client", "--data-dir", &dir],
            &[("TERM", "xterm-256color"), ("LANG", "C.UTF-8")],
            120,
            40,
        );
        terminal.wait_for("Sign in");
        terminal
    };
    let (mut first, mut second) = (join(), join());
    assert!(network.dir().join("client/data2/outbox.lock").is_file());
    for terminal in [&mut first, &mut second] {
        terminal.press(Key::named("Ctrl-C").unwrap());
        assert_eq!(terminal.wait_end().exit_code(), 0);
    }

    let empty = tempfile::tempdir().unwrap();
    for (arguments, dir) in [(&["client"][..], network.dir()), (&[], empty.path())] {
        let mut command = Command::new(PROGRAM);
        let output =
            command.args(arguments).arg("--data-dir").arg(dir).stdin(Stdio::null()).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && words.contains("needs a terminal"), "{words}");
    }
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "nothing was started");
}

#[test]
fn a_reset_is_guarded_and_returns_to_the_first_state() {
    let network = TestNetwork::start(PROGRAM, 1);
    let dir = network.dir().to_owned();
    let reset = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.arg("reset").args(arguments).arg("--data-dir").arg(&dir).stdin(Stdio::null());
        let output = command.output().unwrap();
        let words = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&words).into_owned())
    };
    let (done, words) = reset(&["--yes"]);
    assert!(!done && words.contains("a demo is running"), "{words}");
    let before = std::fs::read(dir.join("network/trust.json")).unwrap();
    let network = network.restart(1, |_| {
        let (done, words) = reset(&[]);
        assert!(!done && words.contains("This deletes") && words.contains("say --yes"), "{words}");
        assert!(dir.join("banks/Bank1/data").is_dir());
        let (done, words) = reset(&["--yes"]);
        assert!(done && words.contains("the next start makes a new one"), "{words}");
        assert!(!dir.join("banks").exists() && !dir.join("network").exists());
    });
    assert_ne!(std::fs::read(dir.join("network/trust.json")).unwrap(), before, "a new network");
    drop(network);
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
