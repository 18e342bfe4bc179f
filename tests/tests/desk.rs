//! The client as a person starts it: the first time, with something wrong, and when asked what is wrong.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use strife_certs::authority::Network;
use strife_certs::identity::Identity;
use strife_client::outbox::Outbox;
use strife_client::{BankName, Client, ClientSettings, Settings};
use strife_tests::customer::Customer;
use strife_tests::network::TestNetwork;
use strife_tests::outside::{runs, skipped};
use strife_tests::terminal::{Key, Terminal};

const PROGRAM: &str = env!("CARGO_BIN_EXE_strife-under-test");
const STRIFE: &str = env!("CARGO_BIN_EXE_strife-client-under-test");
/// A terminal with nothing to say about it.
const PLAIN: [(&str, &str); 3] = [("TERM", "xterm-256color"), ("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8")];

fn strife(arguments: &[&str]) -> Output {
    let mut command = Command::new(STRIFE);
    command.args(arguments).envs(PLAIN).env_remove("NO_COLOR").stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What `doctor` says: its exit code and its findings by topic.
fn doctor(config: &Path) -> (i32, serde_json::Value) {
    let output = strife(&["doctor", "--output", "json", "--config", &config.display().to_string()]);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    (output.status.code().unwrap(), report)
}

fn finding<'a>(report: &'a serde_json::Value, topic: &str, level: &str) -> &'a str {
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|one| one["topic"] == topic && one["level"] == level);
    found.unwrap_or_else(|| panic!("no {level} of {topic} in {report:#}"))["says"].as_str().unwrap()
}

#[tokio::test]
async fn the_doctor_finds_nothing_where_all_is_well_and_tells_no_secret() {
    let network = TestNetwork::start(PROGRAM, 2);
    let dir = tempfile::tempdir().unwrap();
    let config = network.own_client(dir.path());
    // the gateways have reached the banks
    let api = network.api(1);
    while api.banks().await.is_ok_and(|banks| banks.iter().any(|bank| !bank.reachable)) {
        tokio::task::yield_now().await;
    }
    drop(Outbox::open(&dir.path().join("data")).unwrap());
    let (code, report) = doctor(&config);
    assert_eq!((code, report["level"].as_str()), (0, Some("good")), "{report:#}");
    for (topic, needle) in [
        ("settings", "gateways, keyring, tls, trust"),
        ("data folder", "private and writable"),
        ("outbox", "no orders"),
        ("certificate", "in network demo, valid"),
        ("key", "is private and the certificate's"),
        ("authority", "SHA-256"),
        ("roster", "signed by network demo"),
        ("keyring", "leave the OS keyring out"),
        ("gateway", "is gateway/gateway1, answers in"),
        ("clock", "valid by it until"),
        ("terminal", "256 colours"),
    ] {
        let says = finding(&report, topic, "good");
        let needle_is_there = needle.split(", ").all(|part| says.contains(part));
        assert!(needle_is_there, "{needle} not in {says}");
    }
    let gateways = report["findings"].as_array().unwrap().iter().filter(|one| one["topic"] == "gateway");
    assert_eq!(gateways.count(), 2, "each gateway");
    // for a person, with the same code
    let output = strife(&["doctor", "--config", &config.display().to_string()]);
    let text = said(&output);
    assert!(output.status.success() && text.contains("All is well."), "{text}");
    let key = fs::read_to_string(dir.path().join("tls.key")).unwrap();
    for line in key.lines().filter(|line| !line.starts_with('-')) {
        assert!(!text.contains(line), "a secret is printed");
    }
    network.end().await;
}

#[test]
fn the_doctor_names_each_thing_that_is_wrong_and_how_to_mend_it() {
    let network = TestNetwork::start(PROGRAM, 1);
    let dir = tempfile::tempdir().unwrap();
    let config = network.own_client(dir.path());
    let file = |name: &str| dir.path().join(name);
    let with_gateway = |address: &str| {
        let text = fs::read_to_string(&config).unwrap();
        let (_, rest) = text.split_once('\n').unwrap();
        fs::write(&config, format!("gateways = [{address:?}]\n{rest}")).unwrap();
    };
    let broken = |topic: &str, needle: &str| {
        let (code, report) = doctor(&config);
        assert_eq!(code, 3, "{report:#}");
        let says = finding(&report, topic, "problem");
        assert!(says.contains(needle), "{needle} not in {says}");
        let findings = report["findings"].as_array().unwrap();
        assert!(findings.iter().all(|one| one["level"] == "good" || one["mend"].is_string()), "{report:#}");
    };
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();

    mode(&file("tls.key"), 0o644);
    broken("key", "0644");
    mode(&file("tls.key"), 0o600);

    let good = fs::read(file("roster.bin")).unwrap();
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    fs::write(file("roster.bin"), altered).unwrap();
    broken("roster", "not signed by this network");
    fs::write(file("roster.bin"), good).unwrap();

    let elsewhere = tempfile::tempdir().unwrap();
    let other = Network::create(elsewhere.path(), "demo").unwrap();
    let good = fs::read(file("ca.pem")).unwrap();
    fs::copy(other.ca_file(), file("ca.pem")).unwrap();
    broken("certificate", "not issued by");
    broken("gateway", "not a gateway of this network");
    fs::write(file("ca.pem"), good).unwrap();

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    with_gateway(&free.to_string());
    broken("gateway", "no connection");
    with_gateway("no-such-host.invalid:7000");
    broken("gateway", "the name is not known");
    // a bank is no gateway
    with_gateway(&network.description.banks["Bank1"].address);
    broken("gateway", "not a gateway of this network");
    with_gateway(&network.description.gateways[0]);

    // warnings alone: soon to end, and others may look
    let networks = Network::open(&network.dir().join("network")).unwrap();
    let soon = networks.issue(&Identity::Client("soon".into()), 10).unwrap();
    fs::copy(&soon.certificate, file("tls.pem")).unwrap();
    fs::copy(&soon.private_key, file("tls.key")).unwrap();
    fs::create_dir(file("data")).unwrap();
    mode(&file("data"), 0o755);
    let (code, report) = doctor(&config);
    assert_eq!(code, 1, "{report:#}");
    assert!(finding(&report, "certificate", "warning").contains("days are left"));
    assert!(finding(&report, "data folder", "warning").contains("0755"));

    fs::write(&config, "gateways = 5").unwrap();
    broken("settings", "gateways");
    fs::remove_file(&config).unwrap();
    broken("settings", "no settings file");
}

#[test]
fn a_start_that_cannot_be_says_why_in_words_and_loses_nothing() {
    let network = TestNetwork::start(PROGRAM, 1);
    let dir = tempfile::tempdir().unwrap();
    let config = network.own_client(dir.path());
    let data = dir.path().join("data");
    let start = |needles: &[&str]| {
        let output = strife(&["--config", &config.display().to_string()]);
        let words = said(&output);
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(words.contains("strife doctor") && !words.contains("panicked"), "{words}");
        for needle in needles {
            assert!(words.contains(needle), "{needle} not in {words}");
        }
    };
    let good = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("colour = \"blue\"\n{good}")).unwrap();
    start(&["settings", "unknown field", "colour", "retry_ms_max"]);
    for (screen, needles) in [
        ("theem = \"dark\"", ["screen.theem", "notifications"]),
        ("theme = \"pink\"", ["pink", "sixteen"]),
        ("colours = { accent = \"reddish\" }", ["screen.colours.accent", "reddish"]),
        ("keys = { pay = [\"h\"] }", ["h is bound twice", "to pay and to history"]),
        ("keys = { fly = [\"h\"] }", ["screen.keys.fly", "no such command"]),
    ] {
        fs::write(&config, format!("{good}\n[screen]\n{screen}\n")).unwrap();
        start(&needles);
        assert_eq!(doctor(&config).0, 3, "the doctor says so too: {screen}");
    }
    fs::write(&config, &good).unwrap();

    let key = dir.path().join("tls.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    start(&["tls.key", "mode 0640", "chmod 600"]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    let certificate = dir.path().join("tls.pem");
    fs::rename(&certificate, dir.path().join("aside")).unwrap();
    start(&["tls.pem", "No such file"]);
    fs::rename(dir.path().join("aside"), &certificate).unwrap();

    // nothing else is wrong: there is no terminal
    start(&["the screen needs a terminal"]);

    let open = Outbox::open(&data).unwrap();
    start(&["another Strife client is open on", &data.display().to_string()]);
    drop(open);

    // a data folder that cannot be written, nothing in it changed
    let mount = format!("mount --bind {0} {0} && mount -o remount,ro,bind {0}", data.display());
    if !runs(&["unshare", "-rm", "sh", "-c", &mount]) {
        return skipped("nobody may mount here");
    }
    let before = fs::read(data.join("outbox.journal")).unwrap();
    for arguments in ["", "doctor"] {
        let script = format!("{mount} && exec {STRIFE} {arguments} --config {}", config.display());
        let output = Command::new("unshare")
            .args(["-rm", "sh", "-c", &script])
            .envs(PLAIN)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let words = said(&output);
        assert!(words.contains("Read-only file system"), "{words}");
        assert_eq!(output.status.code(), Some(if arguments.is_empty() { 1 } else { 3 }), "{words}");
    }
    assert_eq!(fs::read(data.join("outbox.journal")).unwrap(), before);
}

#[test]
fn a_damaged_outbox_is_said_on_the_screen_and_kept() {
    let network = TestNetwork::start(PROGRAM, 1);
    let dir = tempfile::tempdir().unwrap();
    let config = network.own_client(dir.path());
    let data = dir.path().join("data");
    drop(Outbox::open(&data).unwrap());
    fs::remove_dir_all(data.join("outbox")).unwrap();
    fs::write(data.join("outbox"), b"not a database").unwrap();
    fs::write(data.join("outbox.journal"), b"{\"id\":\"of a newer program\"}\n").unwrap();
    let mut terminal =
        Terminal::open(Path::new(STRIFE), &["--config", &config.display().to_string()], &PLAIN, 160, 40);
    terminal.wait_for("The outbox could not be opened");
    terminal.press(Key::named("Ctrl-C").unwrap());
    assert_eq!(terminal.wait_end().exit_code(), 0);
    let names: Vec<String> = fs::read_dir(&data)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    for kept in ["outbox.broken-", "outbox.journal.broken-"] {
        assert!(names.iter().any(|name| name.starts_with(kept)), "{names:?}");
    }
}

#[tokio::test]
async fn a_damaged_profile_is_said_and_kept_and_hides_the_queue_from_nobody_for_long() {
    let network = TestNetwork::start(PROGRAM, 1);
    let dir = tempfile::tempdir().unwrap();
    let settings = ClientSettings::load(&network.own_client(dir.path())).unwrap();
    let within = Duration::from_secs(15);
    let sign_in = async |client: &Client| {
        client.wait_for(within, |view| view.connection.is_online()).await.unwrap();
        let password = String::from("pass1").into();
        client.log_in(BankName::new("Bank1").unwrap(), "user1", password, false).await.unwrap();
        client.wait_for(within, |view| view.live).await.unwrap()
    };
    let client = Client::start(settings.clone()).unwrap();
    let view = sign_in(&client).await;
    client.set_offline(true).await;
    let payment = strife_client::Payment {
        from: view.profile.unwrap().accounts[0].number.parse().unwrap(),
        to: "user2@Bank2".parse().unwrap(),
        amount: strife_client::Money::new(100, strife_client::Currency::new("EUR").unwrap()).unwrap(),
        memo: String::new(),
        refund_of: None,
    };
    let id = client.pay(payment).await.unwrap();
    client.stop().await;

    let profile = settings.data_dir.join("profile.json");
    fs::write(&profile, b"{ torn").unwrap();
    let client = Client::start(settings.clone()).unwrap();
    let view = client.wait_for(within, |view| !view.notices.is_empty()).await.unwrap();
    let aside = fs::read_dir(&settings.data_dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.display().to_string().contains("profile.json.broken-"))
        .unwrap();
    assert!(view.notices[0].text.contains(&aside.display().to_string()), "{:?}", view.notices);
    assert_eq!(fs::read(&aside).unwrap(), b"{ torn");
    let view = sign_in(&client).await;
    assert!(view.orders.iter().any(|order| order.id == id));

    // what was told of the person goes with them, what was told of the files stays
    client
        .wait_for(within, |view| view.notices.iter().any(|notice| notice.text.contains("posted")))
        .await
        .unwrap();
    client.log_out().await;
    let view = client.wait_for(within, |view| !view.signed_in).await.unwrap();
    let told: Vec<&str> = view.notices.iter().map(|notice| notice.text.as_str()).collect();
    assert!(told.len() == 1 && told[0].contains("profile.json.broken-"), "{told:?}");
    client.stop().await;
    network.end().await;
}

#[test]
fn without_settings_and_without_a_terminal_it_says_how_to_make_them() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("none/client.toml");
    let output = strife(&["--config", &config.display().to_string()]);
    let words = said(&output);
    assert_eq!(output.status.code(), Some(4), "{words}");
    assert!(words.contains("there is no settings file") && words.contains("Start `strife` in a terminal"));
    assert!(!dir.path().join("none").exists(), "nothing was written");
}

#[test]
fn a_first_start_that_is_left_before_its_last_word_writes_nothing() {
    let network = TestNetwork::start(PROGRAM, 1);
    let dir = tempfile::tempdir().unwrap();
    let mut customer = Customer::of(Path::new(STRIFE), &dir.path().join("settings/client.toml"), 80, 24);
    let terminal = &customer.terminal;
    terminal.wait_for("Where is the network?");
    terminal.type_text("nowhere");
    terminal.press_shown("go on");
    terminal.wait_for("an address is host:port");
    (0..7).for_each(|_| terminal.press(Key::Backspace));
    customer.answer_first_start(&network.handed_out());
    customer.terminal.press_shown("leave");
    assert_eq!(customer.terminal.wait_end().exit_code(), 4);
    assert!(!dir.path().join("settings").exists());
}

#[test]
fn completions_and_man_pages_come_from_the_program_itself() {
    let output = strife(&["completions", "bash"]);
    assert!(output.status.success() && said(&output).contains("doctor"));
    let dir = tempfile::tempdir().unwrap();
    assert!(strife(&["man", &dir.path().join("man1").display().to_string()]).status.success());
    for page in ["strife.1", "strife-doctor.1"] {
        assert!(dir.path().join("man1").join(page).is_file(), "{page}");
    }
    let output = strife(&["no-such-thing"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&strife(&["--help"])).contains("Exit codes"));
}
