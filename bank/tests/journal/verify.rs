//! `verify` finds every flipped bit, names the first wrong entry, and believes nothing that it can work out itself.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use rusqlite::types::Value;
use rusqlite::{Connection, params};
use strife_bank::command::{Answer, Command};
use strife_bank::journal::reader::entries_of;
use strife_bank::journal::{Chain, JournalRead, JournalReader, Sqlite};
use strife_bank::ledger::{Entry, Kind, LedgerAccount, Leg};
use strife_bank::snapshot::keeper::take;
use strife_bank::verify::folder::{Report, verify};
use strife_proto::domain::{Money, Order, ReceivedOrder};
use strife_proto::journal::v1 as pb;
use strife_proto::statement::Statement;
use strife_proto::v1;

use crate::support::{Bank, NETWORK, eur, key_of, own, some_of_everything};

/// Entries of the journal whose bits are flipped.
const ENTRIES: u64 = 10_000;

/// A stopped bank's folder with a bit of everything and many cash entries.
fn folder(entries: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut bank = Bank::open("Bank1", dir.path());
    some_of_everything(&mut bank);
    let account = bank.accounts_of("ann")[0];
    while bank.shared.read().next_position <= entries {
        let commands: Vec<_> = (0..2_000)
            .map(|n| Command::Cash {
                account,
                minor_units: n + 1,
                currency: eur(),
                reason: "one of many".into(),
                operator: "op".into(),
                request: bank.id(),
            })
            .collect();
        assert!(bank.ask_all(commands).iter().all(|answer| matches!(answer, Answer::Position(_))));
    }
    some_of_everything(&mut bank);
    take(dir.path(), &Sqlite, &own("Bank1")).unwrap();
    some_of_everything(&mut bank);
    bank.stop();
    dir
}

fn clean(dir: &Path) -> Report {
    let report = verify(dir).unwrap();
    assert!(report.is_clean(), "{report}");
    report
}

fn journal(dir: &Path) -> Connection {
    Connection::open(dir.join("journal.db")).unwrap()
}

/// Runs a change on a file of the folder, verifies, and puts the file back.
fn with_change(dir: &Path, file: &str, change: &str) -> Report {
    let path = dir.join(file);
    let before = std::fs::read(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch(change).unwrap();
    let report = verify(dir).unwrap();
    std::fs::write(&path, before).unwrap();
    report
}

/// Every row that the chain answers for; `None` if they cannot be read.
fn rows(dir: &Path) -> Option<Vec<Vec<Value>>> {
    let connection =
        Connection::open_with_flags(dir.join("journal.db"), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
            .ok()?;
    let mut all = Vec::new();
    for query in ["SELECT * FROM batches ORDER BY number", "SELECT * FROM people", "SELECT * FROM meta"] {
        let mut statement = connection.prepare(query).ok()?;
        let columns = statement.column_count();
        let mut found = statement.query([]).ok()?;
        while let Some(row) = found.next().ok()? {
            all.push((0..columns).map(|column| row.get(column).ok()).collect::<Option<_>>()?);
        }
    }
    Some(all)
}

/// The same numbers at every run.
struct Picks(u64);

impl Picks {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn flip(value: Value, bit: u64) -> Value {
    let flipped = |mut bytes: Vec<u8>| {
        let place = (bit / 8) as usize % bytes.len();
        bytes[place] ^= 1 << (bit % 8);
        bytes
    };
    match value {
        Value::Integer(number) => Value::Integer(number ^ (1 << (bit % 64))),
        Value::Blob(bytes) => Value::Blob(flipped(bytes)),
        Value::Text(text) => Value::Blob(flipped(text.into_bytes())),
        other => other,
    }
}

#[test]
fn every_sampled_flipped_bit_of_a_batch_is_found_and_the_batch_is_named() {
    let dir = folder(ENTRIES);
    assert!(clean(dir.path()).entries >= ENTRIES);
    let connection = journal(dir.path());
    let last: i64 = connection.query_row("SELECT max(number) FROM batches", [], |row| row.get(0)).unwrap();
    let mut picks = Picks(1);
    for sample in 0..90u64 {
        let column = ["body", "body", "hash", "number", "first_position", "count"][sample as usize % 6];
        let (number, bit) = (1 + picks.below(last as u64) as i64, picks.below(1 << 20));
        let read = format!("SELECT {column} FROM batches WHERE number = ?1");
        let old: Value = connection.query_row(&read, [number], |row| row.get(0)).unwrap();
        let new = flip(old.clone(), bit);
        let set = format!("UPDATE batches SET {column} = ?1 WHERE rowid = ?2");
        if connection.execute(&set, params![new, number]).is_err() {
            assert_eq!(column, "number", "two batches cannot have one number");
            continue;
        }
        let report = verify(dir.path()).unwrap();
        let first = report.first_wrong.as_ref().unwrap_or_else(|| panic!("{column} of {number}, bit {bit}"));
        assert_eq!(first.batch, Some(number as u64), "{column} of {number}, bit {bit}: {report}");
        let row = if column == "number" { new } else { Value::Integer(number) };
        connection.execute(&set, params![old, row]).unwrap();
    }
    clean(dir.path());
}

#[test]
fn every_sampled_flipped_bit_of_peoples_rows_and_of_the_journals_own_table_is_found() {
    let dir = folder(1);
    let connection = journal(dir.path());
    let mut picks = Picks(2);
    for sample in 0..90 {
        let (table, column) = [
            ("people", "id"),
            ("people", "login"),
            ("people", "display_name"),
            ("people", "password_hash"),
            ("meta", "key"),
            ("meta", "value"),
        ][sample % 6];
        let key = if table == "people" { "id" } else { "key" };
        let read = format!("SELECT {key}, {column} FROM {table} ORDER BY random() LIMIT 1");
        let (row, old): (Value, Value) =
            connection.query_row(&read, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let new = flip(old.clone(), picks.below(1 << 16));
        let text = matches!(old, Value::Text(_));
        let cast = if text { "CAST(?1 AS TEXT)" } else { "?1" };
        let row_is = if key == "key" || text && column == key { "CAST(?2 AS TEXT)" } else { "?2" };
        let set = format!("UPDATE {table} SET {column} = {cast} WHERE {key} = {row_is}");
        connection.execute(&set, params![new, row]).unwrap();
        match verify(dir.path()) {
            Ok(report) => assert!(!report.is_clean(), "{table}.{column} {old:?} is {new:?}"),
            Err(error) => assert!(error.to_string().contains("journal.db"), "{error}"),
        }
        let back = if column == key { new } else { row };
        connection.execute(&set, params![old, back]).unwrap();
    }
    clean(dir.path());
}

#[test]
fn every_sampled_flipped_bit_of_the_file_is_found_or_changes_nothing() {
    let dir = folder(ENTRIES);
    // this is about the journal's file alone
    std::fs::remove_file(dir.path().join("projections.db")).unwrap();
    let path = dir.path().join("journal.db");
    let whole = std::fs::read(&path).unwrap();
    let expected = rows(dir.path()).unwrap();
    let mut picks = Picks(3);
    let mut found = 0;
    for sample in 0..70 {
        // the first pages, which hold the schema, as often as all the others
        let bound = if sample % 4 == 0 { 3 * 4096 } else { whole.len() };
        let (place, bit) = (picks.below(bound as u64) as usize, picks.below(8));
        let mut flipped = whole.clone();
        flipped[place] ^= 1 << bit;
        std::fs::write(&path, &flipped).unwrap();
        match verify(dir.path()) {
            Ok(report) if report.is_clean() => {
                assert_eq!(rows(dir.path()).as_ref(), Some(&expected), "byte {place}, bit {bit}");
            }
            Ok(_) => found += 1,
            Err(error) => {
                found += 1;
                assert!(error.to_string().contains("journal.db"), "{error}");
            }
        }
        for beside in ["journal.db-wal", "journal.db-shm"] {
            let _ = std::fs::remove_file(dir.path().join(beside));
        }
    }
    assert!(found > 30, "{found} of 70");
}

#[test]
fn a_wrong_row_of_any_projection_is_named() {
    let dir = folder(1);
    clean(dir.path());
    for (change, named) in [
        ("UPDATE movements SET minor_units = minor_units + 1 WHERE position = 5", "movements account"),
        ("DELETE FROM outcomes WHERE position = (SELECT min(position) FROM outcomes)", "the row is missing"),
        (
            "UPDATE balances SET posted = 0 WHERE account = 'cash:EUR'",
            "balances account cash:EUR: posted is 0",
        ),
        ("UPDATE promises SET state = 2 WHERE state = 3", "promises bank Bank2"),
        (
            "INSERT INTO voids SELECT zeroblob(16), hash, statement, position FROM voids LIMIT 1",
            "no such row",
        ),
        ("UPDATE progress SET batch = batch + 1", "ends at batch"),
    ] {
        let report = with_change(dir.path(), "projections.db", change);
        let told = report.to_string();
        assert!(!report.is_clean() && told.contains(named), "{change}: {told}");
    }
    clean(dir.path());
}

#[test]
fn an_erased_person_is_allowed_and_a_changed_one_is_not() {
    let dir = folder(1);
    let report = with_change(dir.path(), "journal.db", "DELETE FROM people WHERE login LIKE 'bob%'");
    assert!(report.is_clean() && report.to_string().contains("were erased"), "{report}");
    let report =
        with_change(dir.path(), "journal.db", "UPDATE people SET display_name = 'Eve' WHERE login = 'ann'");
    assert!(report.to_string().contains("is not the one that was added"), "{report}");
}

#[test]
fn a_snapshot_that_says_something_else_is_named() {
    let dir = folder(1);
    let file = strife_bank::snapshot::files(dir.path()).unwrap().remove(0);
    let mut read = strife_bank::snapshot::read(&file, &own("Bank1")).unwrap();
    let account = read.state.accounts.values_mut().next().unwrap();
    account.posted += 1;
    strife_bank::snapshot::write(dir.path(), &read.state, &read.chain).unwrap();
    let report = verify(dir.path()).unwrap();
    assert!(report.to_string().contains("its state is not the one that the journal gives"), "{report}");
}

#[test]
fn the_program_ends_with_a_code_for_scripts_and_says_so_for_people() {
    let run = |arguments: &[&str]| {
        let out =
            std::process::Command::new(env!("CARGO_BIN_EXE_strife-bank")).args(arguments).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap();
        (out.status.code(), text)
    };
    let dir = folder(1);
    let data = dir.path().to_str().unwrap();
    let listing = || {
        let entry = |entry: std::io::Result<std::fs::DirEntry>| {
            let entry = entry.unwrap();
            (entry.file_name(), std::fs::read(entry.path()).unwrap())
        };
        std::fs::read_dir(dir.path()).unwrap().map(entry).collect::<std::collections::BTreeMap<_, _>>()
    };
    let before = listing();
    let (code, text) = run(&["verify", "--data", data]);
    assert_eq!(code, Some(0), "{text}");
    assert!(listing() == before, "nothing in the folder is changed");
    assert!(text.ends_with("all is well\n"), "{text}");
    journal(dir.path()).execute("UPDATE batches SET count = 9 WHERE number = 4", []).unwrap();
    let (code, text) = run(&["verify", "--data", data, "--json"]);
    assert_eq!(code, Some(1), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["first_wrong"]["batch"], 4);
    let (code, text) = run(&["verify", "--data", "/nowhere"]);
    assert_eq!(code, Some(2), "{text}");
    let held = std::fs::File::create(dir.path().join("lock")).unwrap();
    held.lock().unwrap();
    let (code, text) = run(&["verify", "--data", data]);
    assert_eq!(code, Some(2));
    assert!(text.contains("its bank runs"), "{text}");
}

#[test]
fn every_flipped_bit_of_the_last_batchs_number_is_found_and_the_batch_is_named() {
    let dir = folder(1);
    let connection = journal(dir.path());
    let last: i64 = connection.query_row("SELECT max(number) FROM batches", [], |row| row.get(0)).unwrap();
    for bit in 0..64 {
        let flipped = last ^ (1 << bit);
        let set = "UPDATE batches SET number = ?1 WHERE number = ?2";
        if connection.execute(set, [flipped, last]).is_err() {
            continue;
        }
        let report = verify(dir.path()).unwrap();
        let first = report.first_wrong.as_ref().unwrap_or_else(|| panic!("bit {bit}: {report}"));
        assert_eq!(first.batch, Some(last as u64), "bit {bit}: {report}");
        connection.execute(set, [last, flipped]).unwrap();
    }
    clean(dir.path());
}

/// The journal's entries and where its chain stands.
fn read(dir: &Path) -> (Vec<Entry>, Chain) {
    let reader = JournalReader::open(dir).unwrap();
    let (mut entries, mut chain) = (Vec::new(), Chain::default());
    for batch in reader.batches_after(0, 10_000).unwrap() {
        chain.advance(&batch).unwrap();
        entries.extend(entries_of(&batch).unwrap());
    }
    (entries, chain)
}

/// A statement of this bank, made again for another place, and about another order if there is one.
fn resigned(statement: &mut v1::Statement, position: u64, order: Option<&ReceivedOrder>) {
    let mut said = Statement::read(statement, NETWORK).unwrap();
    said.position = position;
    if let Some(order) = order {
        (said.key, said.hash) = (order.key().clone(), order.hash());
    }
    *statement = said.sign(NETWORK, &key_of("Bank1"));
}

/// Appends an entry of this kind once more, as a broken bank would have written it: everything in it is in order.
fn append_again(dir: &Path, kind: &str, change: impl FnOnce(&mut Entry)) {
    let (entries, chain) = read(dir);
    let posted = |entry: &Entry| kind != "outcome" || !entry.legs.is_empty();
    let found = entries.into_iter().rev().find(|entry| entry.kind.name() == kind && posted(entry));
    let mut entry = found.unwrap_or_else(|| panic!("no {kind}"));
    let position = chain.next_position;
    match &mut entry.kind {
        Kind::Outcome(outcome) => resigned(&mut outcome.statement, position, None),
        Kind::Void { statement, .. } => resigned(statement, position, None),
        Kind::Promised { vote, .. } => resigned(vote, position, None),
        Kind::Posted { acknowledgement, .. } | Kind::Released { acknowledgement, .. } => {
            resigned(acknowledgement, position, None);
        }
        _ => {}
    }
    change(&mut entry);
    let wire = pb::Batch { entries: vec![entry.to_wire()] };
    let batch = chain.extend(Bytes::from(wire.encode_to_vec()), 1);
    let row = params![batch.number as i64, batch.first_position as i64, 1, batch.body.as_ref(), batch.hash];
    journal(dir).execute("INSERT INTO batches VALUES (?1, ?2, ?3, ?4, ?5)", row).unwrap();
}

#[test]
fn a_transfer_that_is_recorded_twice_is_found_though_chain_sums_and_statements_are_in_order() {
    for (kind, told) in [
        ("outcome", "I4: it is a second outcome of"),
        ("void", "it is a second void of"),
        ("acknowledged", "it is a second acknowledgement of"),
        ("promised", "I7: it promises what has ended:"),
        ("posted", "I7: it is a second posting of"),
        ("released", "I7: it is a second release of"),
    ] {
        let dir = folder(1);
        // a promise is let go of first, and a promise that is posted has none to end
        append_again(dir.path(), kind, |entry| match &mut entry.kind {
            Kind::Posted { promised, .. } | Kind::Released { promised, .. } => *promised = false,
            _ => {}
        });
        let (entries, _) = read(dir.path());
        let report = verify(dir.path()).unwrap();
        let first = report.first_wrong.as_ref().unwrap_or_else(|| panic!("{kind}: {report}"));
        assert_eq!(first.position, Some(entries.len() as u64), "{kind}: {report}");
        assert!(report.to_string().contains(told), "{kind}: {report}");
    }
}

#[test]
fn an_entry_that_passes_a_floor_or_a_cap_is_named() {
    let dir = folder(1);
    append_again(dir.path(), "cash", |entry| {
        entry.legs.iter_mut().for_each(|leg: &mut Leg| {
            let customer = matches!(leg.account, LedgerAccount::Customer(_));
            leg.minor_units = if customer { -50_000_000 } else { 50_000_000 };
        });
        let Kind::Cash { request, .. } = &mut entry.kind else { panic!("no cash") };
        *request = [99; 16];
    });
    let position = read(dir.path()).0.len() as u64;
    let report = verify(dir.path()).unwrap();
    assert_eq!(report.first_wrong.as_ref().unwrap().position, Some(position), "{report}");
    assert!(
        report.to_string().contains("I8: account") && report.to_string().contains("below its floor"),
        "{report}"
    );

    let dir = folder(1);
    append_again(dir.path(), "promised", |entry| {
        let Kind::Promised { order, vote, .. } = &mut entry.kind else { panic!("no promise") };
        let mut said: Order = order.order().clone();
        said.amount = Money::new(5_000_000, eur()).unwrap();
        *order = Arc::new(ReceivedOrder::decode(said.encode()).unwrap());
        let position = Statement::read(vote, NETWORK).unwrap().position;
        resigned(vote, position, Some(order));
    });
    let position = read(dir.path()).0.len() as u64;
    let report = verify(dir.path()).unwrap();
    assert_eq!(report.first_wrong.as_ref().unwrap().position, Some(position), "{report}");
    assert!(report.to_string().contains("I8: Bank2 owes"), "{report}");
}

#[test]
fn a_running_bank_compares_its_memory_with_its_journal_however_much_comes_in_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let mut bank = Bank::open("Bank1", dir.path());
    let account = bank.person("ann", 0);
    let journal = || Ok(Box::new(JournalReader::open(dir.path()).unwrap()) as Box<dyn JournalRead>);
    let shared = bank.shared.clone();
    let ended = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..300 {
                let cash = Command::Cash {
                    account,
                    minor_units: 1,
                    currency: eur(),
                    reason: "one of many".into(),
                    operator: "op".into(),
                    request: bank.id(),
                };
                bank.must(cash);
            }
            ended.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let mut seen = 0;
        while !ended.load(std::sync::atomic::Ordering::Relaxed) {
            let verified = strife_bank::verify::verify(journal(), &own("Bank1"), &shared);
            assert_eq!(verified.faults, Vec::<String>::new());
            assert!(verified.entries >= seen);
            seen = verified.entries;
        }
    });
    shared.state.write().unwrap().accounts.get_mut(&account).unwrap().posted += 1;
    let verified = strife_bank::verify::verify(journal(), &own("Bank1"), &shared);
    assert_eq!(verified.faults, ["balances in memory differ from the journal's"]);
    bank.stop();
}
