//! What a bank says stands on its disk: shown by a trace of the running process, and by what its own connection says.

#![allow(clippy::unwrap_used)] // a failed step of a test is a failed test

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use strife_bank::journal::{OpenStore, Sqlite};
use strife_bank::ledger::state::Own;
use strife_client::Verdict;
use strife_faults::Bug;
use strife_proto::commit::BankName;
use strife_tests::books::{Books, verify_journals};
use strife_tests::daemon::Daemon;
use strife_tests::network::TestNetwork;
use strife_tests::outside::{runs, skipped};
use strife_tests::people::{Person, verdict};
use strife_tests::trace::{CALLS, Shown, read, synced_before_answering};

const PROGRAM: &str = env!("CARGO_BIN_EXE_strife-under-test");

/// How much longer each sync takes under the tracer, in microseconds, so that an answer that does not wait for it
/// is seen to overtake it.
const SYNC_DELAY_US: u32 = 40_000;

fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros().try_into().unwrap()
}

/// Pays once out of a traced Bank1 and once into it: what the trace shows of its decision and of its promise.
async fn trace_two_payments(planted: Option<Bug>) -> [Result<Shown, String>; 2] {
    // a resolver that asks nothing meanwhile
    let network = TestNetwork::start_with(PROGRAM, 1, &[("STRIFE_GATEWAY_RESOLVER__INTERVAL_MS", "600000")]);
    let api = network.api(0);
    let payer = Person::sign_in(&api, "Bank1", "user1").await;
    let other = Person::sign_in(&api, "Bank2", "user1").await;
    let file = network.dir().join("bank1.trace");
    let tracer: Vec<String> = [
        "strace",
        "-f",
        "-ttt",
        "-yy",
        "-s0",
        "-o",
        &file.display().to_string(),
        "-e",
        &format!("trace={CALLS}"),
        "-e",
        &format!("inject=fdatasync,fsync:delay_enter={SYNC_DELAY_US}"),
    ]
    .map(str::to_owned)
    .to_vec();
    let mut bank = Daemon::instead_of(&network, "Bank1").under(&tracer);
    if let Some(bug) = planted {
        bank = bank.set("STRIFE_PLANTED", bug.name());
    }
    bank.start_bank(&network).await;
    // the link stands again
    while api.accounts(&payer.session).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut times = Vec::new();
    for (from, to, changes) in [(&payer, "user2@Bank2", "user1"), (&other, "user2@Bank1", "user2")] {
        let before = Books::settled(&network).await.person("Bank1", changes);
        let began = now_us();
        let known = from.pay(&api, &to.parse().unwrap(), 55).await.unwrap();
        assert_eq!(verdict(&known), Some(Verdict::Posted));
        // what follows the answer is over before the next begins
        while Books::settled(&network).await.person("Bank1", changes) == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        times.push((began, now_us()));
    }
    verify_journals(&network).await;
    bank.stop().await;
    let calls = read(&std::fs::read_to_string(&file).unwrap());
    let door = &network.description.banks["Bank1"].address;
    let data_dir = network.dir().canonicalize().unwrap().join("banks/Bank1/data");
    let shown = [0, 1].map(|at| synced_before_answering(&calls, door, &data_dir, times[at]));
    network.end().await;
    shown
}

#[tokio::test]
async fn no_byte_of_an_answer_leaves_before_the_journals_sync_has_returned() {
    if !runs(&["strace", "-V"]) {
        return skipped("strace is not installed");
    }
    let [decision, promise] = trace_two_payments(None).await;
    println!("decision: {decision:?}\npromise: {promise:?}");
    let (decision, promise) = (decision.unwrap(), promise.unwrap());
    assert!(decision.journal_writes > 0 && promise.journal_writes > 0);

    // and the check would notice
    let [decision, promise] = trace_two_payments(Some(Bug::AnswerBeforeSync)).await;
    for caught in [decision.unwrap_err(), promise.unwrap_err()] {
        assert!(caught.contains("bytes left before the "), "{caught}");
    }
}

#[tokio::test]
async fn the_writers_own_connection_has_wal_and_full_and_the_running_bank_says_so() {
    let network = TestNetwork::start(PROGRAM, 1);
    let mut bank = Daemon::instead_of(&network, "Bank1");
    bank.start_bank(&network).await;
    bank.stop().await;
    let log = bank.log(&network, "daemon");
    let said = "the writer's own connection has journal_mode=wal synchronous=2";
    // once by the demo's own, once by this one
    assert_eq!(log.matches(said).count(), 2, "{log}");

    let own = Own { bank: BankName::new("Bank1").unwrap(), network: "demo".into() };
    let data_dir = network.dir().join("banks/Bank1/data");
    let store = Sqlite.open(&data_dir, &own).unwrap();
    let durability = store.durability().unwrap().unwrap();
    assert_eq!((durability.journal_mode.as_str(), durability.synchronous), ("wal", 2));
    assert!(durability.is_full());
    network.end().await;
}
