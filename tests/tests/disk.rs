//! Disks that are full, folders that cannot be written, journals that are torn: on real processes.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rusqlite::{Connection, OpenFlags};
use strife_client::api::{ApiError, Known};
use strife_client::worker::Payment;
use strife_client::{Api, BankName, Client, Currency, Money, Problem, Verdict};
use strife_proto::domain::ReceivedOrder;
use strife_proto::v1;
use strife_tests::books::{Books, verify_journals};
use strife_tests::daemon::{Daemon, log_of};
use strife_tests::network::TestNetwork;
use strife_tests::outside::skipped;
use strife_tests::people::{Person, verdict};
use strife_tests::small::{SmallDisk, copy};
use strife_tests::until::until;

const PROGRAM: &str = env!("CARGO_BIN_EXE_strife-under-test");
const NO_MOUNT: &str = "neither root nor a user namespace may mount a tmpfs here";

/// Sends an order until it has ended.
async fn insist(api: &Api, person: &Person, order: &ReceivedOrder, signature: &v1::Signature) -> Verdict {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = api.submit(&person.session, order, signature, true).await;
        if let Some(verdict) = answer.as_ref().ok().and_then(verdict) {
            return verdict;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn history(api: &Api, person: &Person) -> Result<usize, ApiError> {
    let account = person.account.to_string();
    let asked = v1::HistoryRequest { account, page_size: 50, ..Default::default() };
    Ok(api.history(&person.session, asked).await?.movements.len())
}

#[tokio::test]
async fn a_bank_without_room_decides_nothing_goes_on_reading_and_recovers_with_room() {
    let Some(disk) = SmallDisk::of_mib(6) else { return skipped(NO_MOUNT) };
    let settings =
        [("STRIFE_GATEWAY_TIMEOUTS__DECIDE_MS", "500"), ("STRIFE_GATEWAY_TIMEOUTS__PREPARE_MS", "500")];
    let network = TestNetwork::start_with(PROGRAM, 1, &settings);
    let api = network.api(0);
    let payer = Person::sign_in(&api, "Bank1", "user1").await;
    let other = Person::sign_in(&api, "Bank2", "user1").await;
    let before = Books::settled(&network).await;
    let mut bank = Daemon::instead_of(&network, "Bank1");
    disk.take(&network.dir().join("banks/Bank1/data"), "data");
    bank = bank.under(&disk.within()).set("STRIFE_BANK_DATA_DIR", disk.dir.join("data").display());
    bank.start_bank(&network).await;
    until("the link stands again", async || api.accounts(&payer.session).await.is_ok()).await;

    disk.fill_but(400 * 1024);
    let mut orders = Vec::new();
    let (mut unanswered, mut posted) = (0, 0);
    // what the log has room for already is still taken
    while unanswered < 6 {
        let (from, to) =
            if orders.len() % 2 == 0 { (&payer, "user2@Bank2") } else { (&other, "user2@Bank1") };
        let (order, signature) = from.sign(&from.order(&to.parse().unwrap(), 7));
        match api.submit(&from.session, &order, &signature, false).await {
            Ok(Known::Ended { statement, .. }) => {
                assert_eq!(verdict_of(&statement), Some(Verdict::Posted));
                posted += 1;
            }
            // nothing is said that is not so: unknown, or a refusal that is no outcome
            Ok(Known::Pending) | Err(ApiError::Unknown(_) | ApiError::Refused(_)) => unanswered += 1,
            strange => panic!("{strange:?}"),
        }
        orders.push((from.clone(), order, signature));
        assert!(orders.len() < 20_000, "the disk never was full");
    }
    assert!(bank.is_running(), "{}", bank.words());
    // reads are served all the while
    assert!(api.accounts(&payer.session).await.is_ok());
    assert!(history(&api, &payer).await.unwrap() > 5);
    assert!(network.admin("Bank1").report(v1::ReportRequest {}).await.is_ok());
    until("the log says why", async || bank.log(&network, "daemon").contains("no room for the journal"))
        .await;

    disk.make_room();
    for (person, order, signature) in &orders {
        assert_eq!(insist(&api, person, order, signature).await, Verdict::Posted);
    }
    println!(
        "full disk: {} orders, {posted} taken before there was no room, {unanswered} unanswered",
        orders.len()
    );
    let after = Books::settled(&network).await;
    after.check();
    assert_eq!(after.customers_total(), before.customers_total());
    for person in [&payer, &other] {
        let paid =
            orders.iter().filter(|(from, ..)| from.session.bank == person.session.bank).count() as i64 * 7;
        let bank = person.session.bank.as_str();
        assert_eq!(before.person(bank, "user1") - after.person(bank, "user1"), paid, "{bank}");
    }
    verify_journals(&network).await;
    bank.stop().await;
    bank.start_bank(&network).await;
    verify_journals(&network).await;
    bank.stop().await;
    network.end().await;
}

fn verdict_of(statement: &strife_proto::statement::Statement) -> Option<Verdict> {
    match statement.word {
        strife_proto::statement::Word::Outcome(verdict) => Some(verdict),
        _ => None,
    }
}

#[tokio::test]
async fn a_log_folder_that_cannot_be_written_ends_the_start_with_its_name_and_later_stops_nothing() {
    let network = TestNetwork::start(PROGRAM, 1);
    let api = network.api(0);
    let payer = Person::sign_in(&api, "Bank1", "user1").await;

    // a file stands where the folder should be
    let blocked = network.dir().join("no-folder");
    fs::write(&blocked, "").unwrap();
    let mut bank = Daemon::instead_of(&network, "Bank1").set("STRIFE_BANK_LOGS__DIR", blocked.display());
    bank.start();
    assert!(!bank.ends().await.success());
    assert!(bank.words().contains(&blocked.display().to_string()), "{}", bank.words());
    drop(bank);
    network.start_process("Bank1");

    let Some(disk) = SmallDisk::of_mib(2) else { return skipped(NO_MOUNT) };
    let logs = disk.dir.join("logs");
    disk.fill();
    let mut bank = Daemon::instead_of(&network, "Bank1")
        .under(&disk.within())
        .set("STRIFE_BANK_LOGS__DIR", logs.display());
    bank.start();
    assert!(!bank.ends().await.success());
    assert!(bank.words().contains(&logs.display().to_string()), "{}", bank.words());

    disk.make_room();
    bank.start_bank(&network).await;
    until("the link stands again", async || api.accounts(&payer.session).await.is_ok()).await;
    disk.fill();
    let seen = disk.seen().join("logs");
    let len = log_of(&seen, "rpc").len();
    let mut grown = None;
    for number in 0..200 {
        let known = payer.pay(&api, &"user2@Bank2".parse().unwrap(), 1).await.unwrap();
        assert_eq!(verdict(&known), Some(Verdict::Posted), "payment {number} without a log");
        grown = Some(log_of(&seen, "rpc").len());
    }
    assert!(grown.unwrap() < len + 16_384, "there was no room");
    disk.make_room();
    until("what is missing is said", async || {
        assert!(api.accounts(&payer.session).await.is_ok());
        log_of(&seen, "rpc").contains("lines are missing here: the log could not be written")
    })
    .await;
    bank.stop().await;
    let stopped = log_of(&seen, "daemon");
    assert!(stopped.contains("dropped_lines=") && !stopped.contains("dropped_lines=0"), "{stopped}");
    network.start_process("Bank1");
    until("Bank1 is back", async || network.admin("Bank1").report(v1::ReportRequest {}).await.is_ok()).await;
    network.end().await;
}

#[tokio::test]
async fn a_client_without_room_says_so_never_says_queued_and_loses_nothing() {
    let Some(disk) = SmallDisk::of_mib(8) else { return skipped(NO_MOUNT) };
    let network = TestNetwork::start(PROGRAM, 1);
    let settings = network.settings_in(&disk.seen().join("client"));
    let client = Client::start(settings.clone()).unwrap();
    let bank = BankName::new("Bank1").unwrap();
    client.log_in(bank, "user1", String::from("pass1").into(), false).await.unwrap();
    let view = client.view();
    let account = || Some(view.borrow().profile.as_ref()?.accounts.first()?.number.clone());
    until("accounts are known", async || account().is_some()).await;
    let from = account().unwrap().parse().unwrap();
    client.set_offline(true).await;
    let payment = |cents| Payment {
        from,
        to: "user2@Bank2".parse().unwrap(),
        amount: Money::new(cents, Currency::new("EUR").unwrap()).unwrap(),
        memo: String::new(),
        refund_of: None,
    };
    let mut queued = vec![client.pay(payment(11)).await.unwrap()];
    disk.fill();
    let mut refused = 0;
    for cents in 12..200 {
        match client.pay(payment(cents)).await {
            Ok(id) => queued.push(id),
            Err(Problem::Outbox(error)) => {
                refused += 1;
                assert!(error.to_string().contains("outbox"), "{error}");
            }
            Err(other) => panic!("{other}"),
        }
        if refused == 5 {
            break;
        }
    }
    assert_eq!(refused, 5, "the disk never was full");
    let shown = |client: &Client| {
        let mut ids: Vec<_> = client.view().borrow().orders.iter().map(|order| order.id).collect();
        ids.sort();
        ids
    };
    queued.sort();
    until("what is queued is shown, and nothing else", async || shown(&client) == queued).await;
    client.stop().await;

    // the disk is still full: a start either says so, or has it all
    if let Ok(client) = Client::start(settings.clone()) {
        until("what was queued is there", async || shown(&client) == queued).await;
        client.stop().await;
    }
    disk.make_room();
    let client = Client::start(settings).unwrap();
    until("what was queued is there", async || shown(&client) == queued).await;
    let after = client.pay(payment(10)).await;
    assert!(matches!(after, Ok(_) | Err(Problem::SignedOut)), "{after:?}");
    client.stop().await;
    println!("a client's full disk: {} queued, {refused} refused", queued.len());
    network.end().await;
}

/// What is done to a write-ahead log after a kill.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Truncated,
    Flipped,
}

fn damage(wal: &Path, what: Damage, random: &mut SmallRng) -> String {
    let mut bytes = fs::read(wal).unwrap();
    let at = random.random_range(0..bytes.len());
    match what {
        Damage::Truncated => bytes.truncate(at),
        Damage::Flipped => bytes[at] ^= 1 << random.random_range(0..8),
    }
    let of = fs::metadata(wal).unwrap().len();
    fs::write(wal, bytes).unwrap();
    format!("{what:?} at {at} of {of}")
}

#[tokio::test]
async fn a_torn_journal_has_every_acknowledged_outcome_or_is_refused_with_words() {
    const SAMPLES: usize = 8;
    let network = TestNetwork::start(PROGRAM, 1);
    let api = network.api(0);
    let payer = Person::sign_in(&api, "Bank1", "user1").await;
    let data = network.dir().join("banks/Bank1/data");
    // somebody reads the journal all the while, so that what follows stands in its write-ahead log alone
    let reader =
        Connection::open_with_flags(data.join("journal.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM batches").unwrap();
    let mut told = Vec::new();
    for cents in 1..=40 {
        let (order, signature) = payer.sign(&payer.order(&"user2@Bank1".parse().unwrap(), cents));
        let known = api.submit(&payer.session, &order, &signature, false).await.unwrap();
        assert_eq!(verdict(&known), Some(Verdict::Posted));
        told.push((order, known));
    }
    let mut bank = Daemon::instead_of(&network, "Bank1");
    let kept = network.dir().join("kept");
    copy(&data, &kept);
    drop(reader);
    assert!(fs::metadata(kept.join("journal.db-wal")).unwrap().len() > 0, "there is a log to tear");
    let mut random = SmallRng::seed_from_u64(3);
    let mut silent = Vec::new();
    let (mut whole, mut refused) = (0, 0);
    for sample in 0..SAMPLES {
        fs::remove_dir_all(&data).unwrap();
        copy(&kept, &data);
        let how = [Damage::Truncated, Damage::Flipped][sample % 2];
        let what = damage(&data.join("journal.db-wal"), how, &mut random);
        if let Some(words) = bank.start_or_refuse(&network).await {
            assert!(words.len() > 20, "{what}: refused without words: {words:?}");
            refused += 1;
            continue;
        }
        until("the link stands again", async || {
            api.banks().await.is_ok_and(|banks| banks.iter().all(|bank| bank.reachable))
        })
        .await;
        let mut missing = 0;
        for (order, known) in &told {
            missing += usize::from(api.outcome(&payer.session, order).await.as_ref() != Ok(known));
        }
        if missing > 0 {
            silent.push(format!("{what}: {missing} of {} acknowledged outcomes are gone", told.len()));
        } else {
            whole += 1;
        }
        bank.kill();
    }
    println!("torn journals: {whole} whole, {refused} refused, {} silently shorter", silent.len());
    network.end().await;
    assert!(silent.is_empty(), "{silent:#?}");
}
