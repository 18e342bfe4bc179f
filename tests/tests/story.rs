//! The story that the README tells, driven through the real program in a pseudo-terminal, with the balances
//! read from the banks and not from the screen.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::path::Path;
use std::time::{Duration, Instant};

use strife_certs::identity::Identity;
use strife_config::{BankSettings, Settings};
use strife_proto::commit::BankName;
use strife_proto::v1;
use strife_tests::terminal::Terminal;

const PROGRAM: &str = env!("CARGO_BIN_EXE_strife-under-test");

const ENTER: &str = "\r";
const RIGHT: &str = "\x1b[C";
const ESCAPE: &str = "\x1b";
const F9: &str = "\x1b[20~";

fn open(data_dir: &Path, columns: u16, rows: u16) -> Terminal {
    Terminal::open(PROGRAM, &["--data-dir", &data_dir.display().to_string()], &[], columns, rows)
}

/// A person's first euro account at a bank, from the bank's own operators' door.
async fn balance(data_dir: &Path, bank: &str, owner: &str) -> i64 {
    let report = report(data_dir, bank).await.expect("a report");
    let mut own: Vec<_> = report
        .balances
        .into_iter()
        .filter(|balance| balance.owner == owner && balance.currency == "EUR")
        .collect();
    own.sort_by(|a, b| a.account.cmp(&b.account));
    own[0].posted
}

async fn report(data_dir: &Path, bank: &str) -> Result<v1::ReportReply, tonic::Status> {
    let settings = BankSettings::load(&data_dir.join("banks").join(bank).join("bank.toml")).unwrap();
    let network = strife_certs::authority::Network::open(&data_dir.join("network")).unwrap();
    let bank = BankName::new(bank).unwrap();
    let files = network.files_of(&Identity::Operator { bank: bank.clone(), name: "demo".into() });
    let mut admin = strife_demo::admin::connect(
        &settings.admin_listen,
        &bank,
        &network.ca_file(),
        &files.certificate,
        &files.private_key,
    )
    .unwrap();
    Ok(admin.report(v1::ReportRequest {}).await?.into_inner())
}

fn pay(terminal: &mut Terminal, payee: &str, amount: &str, memo: &str) {
    terminal.keys("t");
    terminal.wait_for("Transfer");
    terminal.wait_for("what for; the payee sees it");
    terminal.keys(payee);
    terminal.wait_for(&format!("✓ {payee}"));
    terminal.keys(ENTER);
    terminal.keys(amount);
    terminal.wait_for(&format!("✓ {amount} EUR"));
    terminal.keys(ENTER);
    terminal.keys(memo);
    terminal.wait_for("of 140");
    terminal.keys(ENTER);
    terminal.wait_for("Is this right?");
    // the focus is on Cancel
    terminal.keys(RIGHT);
    terminal.keys(ENTER);
    terminal.wait_gone("Is this right?");
    terminal.wait_for("╭ Order ");
}

#[tokio::test]
async fn a_person_pays_kills_the_gateway_pays_again_and_watches_it_go_through() {
    strife_client::install_provider();
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path();
    let mut terminal = open(data_dir, 140, 40);
    terminal.wait_for("Sign in as user1");
    terminal.wait_for("Bank2");
    terminal.wait_for("online");
    terminal.keys("user1");
    terminal.keys(ENTER);
    terminal.keys("pass1");
    let text = terminal.wait_for("•••••");
    let line = text.lines().find(|line| line.contains("Password")).unwrap();
    assert!(!line.contains("pass1"), "the password is not shown: {line}");
    terminal.keys(ENTER);
    terminal.wait_for("● live");
    terminal.wait_for("1,067.29");
    let (payer, payee) =
        (balance(data_dir, "Bank1", "user1").await, balance(data_dir, "Bank2", "user2").await);
    assert_eq!(payer, 106_729);

    // online
    pay(&mut terminal, "user2@Bank2", "12.34", "Cinema");
    terminal.wait("posted", |text| text.contains("posted") || text.contains("credited"));
    // a key right behind an Escape would be read as one with Alt
    terminal.keys(ESCAPE);
    terminal.wait_gone("╭ Order ");
    terminal.wait_for("1,054.95");
    terminal.keys("h");
    terminal.wait_for("History of Everyday");
    terminal.wait("the payment in the history", |text| text.contains("Cinema") && text.contains("-12.34"));
    terminal.keys(ESCAPE);
    terminal.wait_gone("History of Everyday");
    assert_eq!(balance(data_dir, "Bank1", "user1").await, payer - 1_234);

    // the gateway is killed: the payment waits in the panel, in sight
    terminal.keys(F9);
    terminal.wait_for("gateway1");
    terminal.wait_for("Enter kills it");
    terminal.keys(ENTER);
    terminal.wait_for("○ is killed");
    terminal.keys(ESCAPE);
    terminal.wait_gone("Kill a process");
    terminal.wait("the loss", |text| text.contains("reconnecting"));
    pay(&mut terminal, "user2@Bank2", "5.00", "Popcorn");
    terminal.keys(ESCAPE);
    terminal.wait_gone("╭ Order ");
    terminal.wait("the queue", |text| text.contains("1 order waits") && text.contains("queued"));
    terminal.wait_for("waits for the connection");
    assert_eq!(balance(data_dir, "Bank1", "user1").await, payer - 1_234);

    // it is started again: the payment goes through by itself
    terminal.keys(F9);
    terminal.wait_for("○ is killed");
    terminal.wait_for("Enter starts it");
    terminal.keys(ENTER);
    terminal.wait_for("Enter kills it");
    terminal.keys(ESCAPE);
    terminal.wait_gone("Kill a process");
    terminal.wait_for("nothing waits");
    terminal.wait_for("1,049.95");
    assert_eq!(balance(data_dir, "Bank1", "user1").await, payer - 1_734);
    let deadline = Instant::now() + Duration::from_secs(15);
    while balance(data_dir, "Bank2", "user2").await != payee + 1_734 {
        assert!(Instant::now() < deadline, "the payee has it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    terminal.wait("both confirmed", |text| text.matches("credited").count() >= 2);

    // leaving stops everything that was started
    terminal.keys("q");
    terminal.wait_end();
    for bank in ["Bank1", "Bank2"] {
        assert!(report(data_dir, bank).await.is_err(), "{bank} is stopped");
    }
}
