//! How long a start takes. The long form: 1 M accounts and 10 M entries, of which the last 400,000 stand behind the
//! newest snapshot, as after a crash just before the next one is written (`snapshot_entries` and what came meanwhile):
//!
//! `cargo test --release -p strife-bank --test journal -- --ignored --nocapture a_start_with_a_million_accounts`

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use strife_bank::command::{Answer, Command, SignedOrder};
use strife_bank::journal::{PersonRow, Sqlite};
use strife_bank::ledger::PersonId;
use strife_bank::open::Folder;
use strife_bank::snapshot::keeper::take;
use strife_proto::domain::{AccountNumber, ReceivedOrder};
use strife_proto::signing::PublicKey;
use strife_proto::v1;

use crate::support::{Bank, eur, own};

/// Commands that are on their way together.
const CHUNK: u64 = 50_000;

/// Commands in one batch, as shipped.
const BATCH: usize = 1024;

/// People who pay; everybody is paid.
const PAYERS: u64 = 10_000;

/// A start may take so long.
const START_MAX: Duration = Duration::from_secs(10);

struct Size {
    accounts: u64,
    entries: u64,
    /// Entries after the newest snapshot.
    rest: u64,
}

fn sixteen(kind: u8, number: u64) -> [u8; 16] {
    let mut id = [kind; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

fn device(payer: u64) -> PublicKey {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&payer.to_be_bytes());
    PublicKey(key)
}

/// Carries out a command for each number, a chunk at a time; the projections keep up.
fn each(bank: &Bank, count: u64, mut command: impl FnMut(u64) -> Command) -> Vec<Answer> {
    let mut answers = Vec::new();
    for start in (0..count).step_by(CHUNK as usize) {
        let before = bank.position();
        answers.extend(bank.ask_all((start..count.min(start + CHUNK)).map(&mut command)));
        bank.settle_to(before);
    }
    answers
}

fn people(bank: &Bank, accounts: u64) -> Vec<AccountNumber> {
    each(bank, accounts, |n| {
        let login = format!("p{n}");
        let password_hash = format!("$argon2id$v=19$m=19456,t=2,p=1${n:022}${n:043}");
        Command::AddPerson(PersonRow {
            id: PersonId(sixteen(1, n)),
            login,
            display_name: format!("Person {n}"),
            password_hash,
        })
    });
    let opened = each(bank, accounts, |n| Command::OpenAccount {
        person: PersonId(sixteen(1, n)),
        currency: eur(),
        name: "Everyday".into(),
        request: sixteen(2, n),
    });
    let number = |answer| match answer {
        Answer::Account(number) => number,
        other => panic!("{other:?}"),
    };
    opened.into_iter().map(number).collect()
}

fn transfer(bank: &mut Bank, payer: u64, from: AccountNumber, to: AccountNumber) -> Command {
    let order: Arc<ReceivedOrder> = bank.order(from, &format!("{to}@Bank1"), 1);
    let id = device(payer).id();
    let signature = v1::Signature {
        key_id: Bytes::copy_from_slice(&id.0),
        form: Some(v1::signature::Form::Single(Bytes::from_static(&[9; 64]))),
    };
    let order = SignedOrder { order, signature, signer: Some(id) };
    Command::Decide { order, vote: None, too_far: false }
}

/// Payments from one after another of the payers to one after another of all: neighbours are paid together, so that
/// building the projections takes minutes and not hours.
fn transfers(bank: &mut Bank, numbers: &[AccountNumber], payers: u64, count: u64) {
    for start in (0..count).step_by(CHUNK as usize) {
        let before = bank.position();
        let chunk: Vec<_> = (start..count.min(start + CHUNK))
            .map(|n| {
                let (payer, payee) = (n % payers, (n + payers / 2) % numbers.len() as u64);
                transfer(bank, payer, numbers[payer as usize], numbers[payee as usize])
            })
            .collect();
        let answers = bank.ask_all(chunk);
        assert!(answers.iter().all(|answer| matches!(answer, Answer::Outcome(..))));
        bank.settle_to(before);
    }
}

fn build(dir: &Path, size: &Size) -> (u64, Duration) {
    let mut bank = Bank::with_batches("Bank1", dir, BATCH);
    let numbers = people(&bank, size.accounts);
    let payers = PAYERS.min(size.accounts / 10);
    each(&bank, payers, |n| Command::SignIn {
        person: PersonId(sixteen(1, n)),
        device: device(n),
        session: sixteen(3, n),
        expires_at_ms: 1_000_000,
    });
    each(&bank, payers, |n| Command::Cash {
        account: numbers[n as usize],
        minor_units: 1_000_000_000,
        currency: eur(),
        reason: "opening".into(),
        operator: "op".into(),
        request: sixteen(4, n),
    });
    let made = bank.position();
    transfers(&mut bank, &numbers, payers, size.entries - size.rest - made);
    let began = Instant::now();
    take(dir, &Sqlite, &own("Bank1")).unwrap();
    let took = began.elapsed();
    transfers(&mut bank, &numbers, payers, size.rest);
    let entries = bank.position();
    bank.stop();
    (entries, took)
}

/// Resident memory of this process, in MiB.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn measure(size: &Size) -> Duration {
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let (entries, snapshot) = build(dir.path(), size);
    println!("built in {:?}; the snapshot, from the beginning of the journal: {snapshot:?}", began.elapsed());
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        println!("  {} {} MiB", entry.file_name().display(), entry.metadata().unwrap().len() >> 20);
    }
    let before_mib = resident_mib();
    let began = Instant::now();
    let folder = Folder::open(dir.path(), &Sqlite, own("Bank1"), 0).unwrap();
    let start = began.elapsed();
    println!(
        "a start with {} accounts and {entries} entries, {} of them after the snapshot: {start:?}; memory {} MiB \
         (before: {before_mib} MiB)",
        folder.state.accounts.len(),
        entries - folder.snapshot_position,
        resident_mib(),
    );
    assert_eq!(folder.state.accounts.len() as u64, size.accounts);
    assert_eq!(folder.state.next_position - 1, entries);
    assert_eq!(folder.snapshot_position, entries - size.rest);
    assert_eq!(folder.state.sum(eur()), 0);
    start
}

#[test]
fn a_start_reads_the_snapshot_and_what_came_after_it() {
    let start = measure(&Size { accounts: 2_000, entries: 20_000, rest: 2_000 });
    assert!(start < START_MAX, "{start:?}");
}

#[test]
#[ignore = "long: cargo test --release -p strife-bank --test journal -- --ignored --nocapture"]
fn a_start_with_a_million_accounts_and_ten_million_entries_takes_ten_seconds_at_the_most() {
    let start = measure(&Size { accounts: 1_000_000, entries: 10_000_000, rest: 400_000 });
    assert!(start < START_MAX, "{start:?}");
}
