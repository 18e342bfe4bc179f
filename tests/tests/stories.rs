//! What people live through at the client's screen: the real program in a pseudo-terminal, a real network behind
//! it, only keys that the screen shows, and the balances read from the banks and not from the screen.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use strife_certs::identity::Identity;
use strife_client::ClientSettings;
use strife_config::{BankSettings, Settings};
use strife_proto::commit::BankName;
use strife_proto::v1;
use strife_tests::books::{Books, verify_journals};
use strife_tests::customer::Customer;
use strife_tests::network::TestNetwork;
use strife_tests::people::Person;
use strife_tests::until::until;
use strife_tui::{Control, ProcessState};

const PROGRAM: &str = env!("CARGO_BIN_EXE_strife-under-test");
/// The client by itself, as people have it who run no network.
const STRIFE: &str = env!("CARGO_BIN_EXE_strife-client-under-test");

/// A bank of a demo that runs with its screen, from the bank's own operators' door.
async fn report(data_dir: &Path, bank: &str) -> Result<v1::ReportReply, tonic::Status> {
    let settings = BankSettings::load(&data_dir.join("banks").join(bank).join("bank.toml")).unwrap();
    let network = strife_certs::authority::Network::open(&data_dir.join("network")).unwrap();
    let bank = BankName::new(bank).unwrap();
    let files = network.files_of(&Identity::Operator { bank: bank.clone(), name: "demo".into() });
    let (certificate, key) = (files.certificate, files.private_key);
    let mut admin =
        strife_demo::admin::connect(&settings.admin_listen, &bank, &network.ca_file(), &certificate, &key)
            .unwrap();
    Ok(admin.report(v1::ReportRequest {}).await?.into_inner())
}

/// A person's first euro account there.
async fn balance(data_dir: &Path, bank: &str, owner: &str) -> i64 {
    let reports = [(bank.to_owned(), report(data_dir, bank).await.unwrap())];
    Books { reports: reports.into() }.person(bank, owner)
}

/// Waits for a condition that the screen does not show.
#[tokio::test]
async fn from_the_first_start_to_the_first_payment_a_killed_gateway_and_a_payment_that_waits_for_it() {
    strife_client::install_provider();
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path();
    let mut customer = Customer::with_demo(Path::new(PROGRAM), data_dir);
    // the screen says who can sign in, and with what
    customer.terminal.wait_for("Sign in as user1");
    customer.sign_in("user1");
    customer.terminal.wait_for("1,067.29");
    let (payer, payee) =
        (balance(data_dir, "Bank1", "user1").await, balance(data_dir, "Bank2", "user2").await);
    assert_eq!(payer, 106_729);

    customer.pay("user2@Bank2", "12.34", "Cinema");
    customer.wait_order("12.34", &["credited"]);
    customer.terminal.wait_for("1,054.95");
    customer.open_history("Cinema");
    assert!(customer.terminal.text().lines().any(|line| line.contains("Cinema") && line.contains("-12.34")));
    customer.terminal.press_shown("back");
    assert_eq!(balance(data_dir, "Bank1", "user1").await, payer - 1_234);
    assert_eq!(balance(data_dir, "Bank2", "user2").await, payee + 1_234, "the other bank has it");

    // the gateway is killed from the screen's own menu: the payment waits in the panel, in sight
    customer.control("gateway1", "kill / start", &ProcessState::Killed);
    customer.terminal.wait_for("reconnecting");
    customer.pay("user2@Bank2", "5.00", "Popcorn");
    customer.wait_order("5.00", &["queued"]);
    assert_eq!(balance(data_dir, "Bank1", "user1").await, payer - 1_234);
    // it is started again, and the payment goes by itself
    customer.control("gateway1", "kill / start", &ProcessState::Runs);
    customer.wait_order("5.00", &["credited"]);
    customer.terminal.wait_for("1,049.95");
    assert_eq!(balance(data_dir, "Bank1", "user1").await, payer - 1_734);
    assert_eq!(balance(data_dir, "Bank2", "user2").await, payee + 1_734);

    // leaving stops everything that was started
    customer.terminal.press_shown("quit");
    assert!(customer.terminal.wait_end().success());
    for bank in ["Bank1", "Bank2"] {
        assert!(report(data_dir, bank).await.is_err(), "{bank} is stopped");
    }
}

#[tokio::test]
async fn the_first_run_without_settings_leads_through_the_wizard_and_the_log_in_to_the_first_payment() {
    let network = TestNetwork::start(PROGRAM, 1);
    let before = Books::settled(&network).await;
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("settings/client.toml");
    let mut customer = Customer::of(Path::new(STRIFE), &config, 80, 24);
    customer.answer_first_start(&network.handed_out());
    assert!(!config.exists(), "nothing is written before the last word");
    customer.write_settings();
    customer.terminal.wait_for("Sign in");
    customer.sign_in("user1");
    customer.pay("user2@Bank2", "6.50", "The first");
    customer.wait_order("6.50", &["credited"]);
    customer.open_history("The first");
    customer.terminal.press_shown("back");
    customer.terminal.press_shown("quit");
    assert!(customer.terminal.wait_end().success());

    let settings = ClientSettings::load(&config).unwrap();
    assert_eq!(settings.gateways, network.description.gateways);
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("\n#rpc_ms = ") && text.contains("\n# How long one call may take"), "{text}");
    for name in ["client.toml", "tls.key", "tls.pem"] {
        let data = fs::metadata(config.with_file_name(name)).unwrap();
        assert_eq!(data.permissions().mode() & 0o777, 0o600, "{name}");
    }
    // the second start asks nothing, and knows what was sent
    let customer = Customer::of(Path::new(STRIFE), &config, 80, 24);
    customer.sign_in("user1");
    customer.wait_order("6.50", &["credited"]);
    drop(customer);
    let after = Books::settled(&network).await;
    let moved = |bank, owner| after.person(bank, owner) - before.person(bank, owner);
    assert_eq!((moved("Bank1", "user1"), moved("Bank2", "user2")), (-650, 650));
    after.check();
    network.end().await;
}

#[tokio::test]
async fn offline_for_three_payments_one_is_cancelled_one_declined_on_return_and_one_posted() {
    let network = TestNetwork::start(PROGRAM, 1);
    let before = Books::settled(&network).await;
    let customer = Customer::at(&network);
    customer.sign_in("user1");
    customer.go_offline();
    customer.pay("user2@Bank2", "9999.00", "More than there is");
    customer.pay("user2@Bank2", "22.22", "Dinner");
    customer.pay("user3@Bank1", "11.11", "On second thoughts");
    for amount in ["9,999.00", "22.22", "11.11"] {
        customer.wait_order(amount, &["queued"]);
    }
    customer.cancel_newest();
    customer.wait_order("11.11", &["withdrawn", "cancelled"]);
    assert_eq!(Books::read(&network).await.person("Bank1", "user1"), before.person("Bank1", "user1"));

    customer.go_online();
    customer.wait_order("22.22", &["credited"]);
    customer.wait_order("9,999.00", &["declined"]);
    customer.wait_order("11.11", &["withdrawn", "cancelled"]);
    let after = Books::settled(&network).await;
    let moved = |bank, owner| after.person(bank, owner) - before.person(bank, owner);
    assert_eq!(
        (moved("Bank1", "user1"), moved("Bank2", "user2"), moved("Bank1", "user3")),
        (-2_222, 2_222, 0)
    );
    after.check();
    verify_journals(&network).await;
    drop(customer);
    network.end().await;
}

#[tokio::test]
async fn the_session_ends_while_an_order_waits_and_the_next_one_sends_it() {
    let network = TestNetwork::start_with(PROGRAM, 1, &[("STRIFE_BANK_SESSION_MS", "6000")]);
    let before = Books::settled(&network).await;
    let customer = Customer::at(&network);
    customer.sign_in("user1");
    customer.go_offline();
    customer.pay("user2@Bank2", "33.33", "Can wait");
    customer.wait_order("33.33", &["queued"]);
    // a session that began later is over: so is theirs
    let api = network.api(0);
    let later = Person::sign_in(&api, "Bank1", "user5").await;
    until("the session's end", async || api.accounts(&later.session).await.is_err()).await;

    customer.go_online();
    customer.terminal.wait_for("signed out");
    customer.wait_order("33.33", &["queued", "parked", "pending"]);
    assert_eq!(Books::read(&network).await.person("Bank1", "user1"), before.person("Bank1", "user1"));
    customer.sign_in_again("user1");
    customer.wait_order("33.33", &["credited"]);
    let after = Books::settled(&network).await;
    let moved = |bank, owner| after.person(bank, owner) - before.person(bank, owner);
    assert_eq!((moved("Bank1", "user1"), moved("Bank2", "user2")), (-3_333, 3_333));
    after.check();
    drop(customer);
    network.end().await;
}

#[tokio::test]
async fn a_killed_client_still_has_what_it_queued_and_what_it_was_sending_and_each_posts_once() {
    let network = TestNetwork::start(PROGRAM, 1);
    let before = Books::settled(&network).await;
    let mut customer = Customer::at(&network);
    customer.sign_in("user1");
    // the first is on its way to a gateway that stands still, the second has never left
    network.control(Control::Freeze, "gateway1");
    customer.pay("user2@Bank2", "44.44", "On its way");
    customer.wait_order("44.44", &["sending", "pending"]);
    customer.go_offline();
    customer.pay("user2@Bank2", "55.55", "Not sent yet");
    customer.wait_order("55.55", &["queued"]);
    customer.terminal.kill();
    network.control(Control::Thaw, "gateway1");

    // what the gateway was given it may have finished by itself; nothing was lost, nothing goes twice
    let customer = Customer::at(&network);
    customer.sign_in("user1");
    for amount in ["44.44", "55.55"] {
        customer.wait_order(amount, &["credited"]);
    }
    let after = Books::settled(&network).await;
    let moved = |bank, owner| after.person(bank, owner) - before.person(bank, owner);
    assert_eq!((moved("Bank1", "user1"), moved("Bank2", "user2")), (-9_999, 9_999));
    after.check();
    verify_journals(&network).await;
    drop(customer);
    network.end().await;
}

#[tokio::test]
async fn the_payee_gives_half_of_a_payment_back_and_no_more_than_what_is_left() {
    let network = TestNetwork::start(PROGRAM, 1);
    let before = Books::settled(&network).await;
    let payer = Customer::at(&network);
    payer.sign_in("user1");
    payer.pay("user2@Bank2", "80.00", "Concert for two");
    payer.wait_order("80.00", &["credited"]);

    // the payee, at a machine of their own
    let dir = tempfile::tempdir().unwrap();
    let payee = Customer::of(Path::new(STRIFE), &network.own_client(dir.path()), 140, 40);
    payee.sign_in_at("Bank2", "user2");
    payee.open_history("Concert for two");
    payee.open_movement("80.00");
    for step in ["submitted", "promised", "posted", "credited"] {
        payee.terminal.wait_for(&format!("● {step}"));
    }
    assert!(!payee.terminal.text().contains("Given back"));
    payee.begin_refund("80.00", "40.00");
    payee.review_refund();
    payee
        .terminal
        .wait("what is given back", |text| text.contains("Give back") && text.contains("Refund of"));
    payee.confirm();
    payee.close_receipt();
    payee.wait_order("40.00", &["credited"]);

    // what is left is known to the original, and nothing above it can be sent
    payee.open_history("Concert for two");
    payee.open_movement("80.00");
    payee.terminal.wait_for("40.00 EUR; 40.00 can still be");
    assert!(payee.terminal.text().contains("Given back"));
    payee.begin_refund("40.00", "40.01");
    payee.terminal.wait_for("! More than can still be given back.");
    payee.review_refund();
    payee.terminal.wait_for("· More than can still be given back.");
    assert!(payee.terminal.text().contains("▸ Amount"), "{}", payee.terminal.text());
    payee.terminal.press_shown("back");
    payee.terminal.key_for("pay");

    // the payer sees it come back, and from what
    payer.open_history("+40.00");
    payer.open_movement("+40.00");
    payer
        .terminal
        .wait("what it gives back", |text| text.contains("+40.00 EUR") && text.contains("Refund of"));
    let after = Books::settled(&network).await;
    let moved = |bank, owner| after.person(bank, owner) - before.person(bank, owner);
    assert_eq!((moved("Bank1", "user1"), moved("Bank2", "user2")), (-4_000, 4_000));
    assert_eq!(after.customers_total(), before.customers_total());
    after.check();
    verify_journals(&network).await;
    drop((payer, payee));
    network.end().await;
}

#[tokio::test]
async fn a_client_in_another_terminal_has_the_demos_menu_too() {
    let network = TestNetwork::start(PROGRAM, 1);
    let customer = Customer::at(&network);
    customer.sign_in("user1");
    customer.control("gateway1", "kill / start", &ProcessState::Killed);
    assert_eq!(network.state("gateway1"), ProcessState::Killed);
    customer.terminal.wait_for("reconnecting");
    customer.control("gateway1", "kill / start", &ProcessState::Runs);
    customer.terminal.wait_for("● live");
    // leaving it leaves the demo running
    drop(customer);
    assert_eq!(network.state("gateway1"), ProcessState::Runs);
    network.end().await;
}

#[test]
fn a_closed_terminal_ends_the_whole_demo_with_a_process_that_stands_still() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path();
    let mut customer = Customer::with_demo(Path::new(PROGRAM), data_dir);
    customer.terminal.key_for("sign in");
    let processes = strife_demo::control::processes(data_dir).unwrap();
    assert_eq!(processes.len(), 3);
    strife_demo::control::control(data_dir, "Bank2", Control::Freeze).unwrap();
    customer.terminal.signal(rustix::process::Signal::HUP);
    customer.terminal.wait_end();
    for process in processes {
        let path = format!("/proc/{}", process.pid.unwrap());
        assert!(!Path::new(&path).exists(), "{} is still there", process.name);
    }
}

/// The terminal is left as it was found, whichever way the client is left.
#[tokio::test]
async fn the_terminal_is_given_back_on_every_way_out() {
    use rustix::process::Signal;
    let network = TestNetwork::start(PROGRAM, 1);
    for way in [None, Some(Signal::TERM), Some(Signal::HUP)] {
        let mut customer = Customer::at(&network);
        customer.terminal.key_for("sign in");
        assert!(customer.terminal.screen().alternate_screen());
        match way {
            None => customer.terminal.press_shown("quit"),
            Some(signal) => customer.terminal.signal(signal),
        }
        customer.terminal.wait_end();
        let screen = customer.terminal.screen();
        let left = screen.alternate_screen() || screen.hide_cursor() || screen.bracketed_paste();
        assert!(!left, "{way:?}");
    }
    network.end().await;
}
