//! SQLite drops the end of a damaged write-ahead log without a word. A journal that was cut short, by that or by
//! anything else, is whole or refused, never used as it is.

use std::collections::BTreeMap;
use std::path::Path;

use strife_bank::journal::Sqlite;
use strife_bank::open::Folder;
use strife_bank::snapshot;

use crate::support::{Bank, own, some_of_everything};

const WAL: &str = "journal.db-wal";

/// What a killed bank leaves, with everything of the second round still in the write-ahead log, and the journal
/// position that was acknowledged.
fn killed() -> (tempfile::TempDir, u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut bank = Bank::open("Bank1", dir.path());
    some_of_everything(&mut bank);
    bank.stop();
    let mut bank = Bank::open("Bank1", dir.path());
    // a reader that never ends keeps the log from being moved into the file
    let reader = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM batches").unwrap();
    some_of_everything(&mut bank);
    bank.settle();
    let acknowledged = bank.position();
    let image = tempfile::tempdir().unwrap();
    copy(dir.path(), image.path());
    bank.stop();
    drop(reader);
    (image, acknowledged)
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // the index over the write-ahead log is memory of the processes that are gone
        if !entry.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn open(dir: &Path) -> Result<u64, String> {
    match Folder::open(dir, &Sqlite, own("Bank1"), 0) {
        Ok(folder) => Ok(folder.state.next_position - 1),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn what_a_killed_bank_leaves_is_whole() {
    let (dir, acknowledged) = killed();
    assert!(dir.path().join(WAL).metadata().unwrap().len() > 10_000);
    assert_eq!(open(dir.path()), Ok(acknowledged));
}

#[test]
fn a_flipped_bit_in_the_write_ahead_log_is_got_over_or_refused_and_nothing_is_moved() {
    let (image, acknowledged) = killed();
    let wal = std::fs::read(image.path().join(WAL)).unwrap();
    let mut refused = 0;
    for sample in 0..60 {
        let place = sample * (wal.len() - 1) / 59;
        let dir = tempfile::tempdir().unwrap();
        copy(image.path(), dir.path());
        let mut flipped = wal.clone();
        flipped[place] ^= 1 << (sample % 8);
        std::fs::write(dir.path().join(WAL), &flipped).unwrap();
        match open(dir.path()) {
            Ok(position) => assert_eq!(position, acknowledged, "byte {place}"),
            Err(text) => {
                refused += 1;
                let shorter = text.contains("the journal ends at batch") && text.contains("has seen batch");
                assert!(shorter || text.contains("cannot be read"), "byte {place}: {text}");
                assert!(text.contains("Keep every file of the folder"), "byte {place}: {text}");
                assert_eq!(std::fs::read(dir.path().join(WAL)).unwrap(), flipped, "evidence is kept");
            }
        }
    }
    assert!(refused > 30, "{refused} of 60");
}

/// Every file of a folder, but for the index over a write-ahead log, which readers keep, and the lock, which is empty.
fn files_of(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap())
    });
    files.filter(|(name, _)| !name.ends_with("-shm") && name != "lock").collect()
}

/// The start is refused, with these words, and no file is changed, made or gone.
fn is_refused_as_it_was_found(dir: &Path, words: &[&str]) {
    let before = files_of(dir);
    let text = open(dir).unwrap_err();
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    let (now, was) = (files_of(dir), before);
    let differ = was.keys().chain(now.keys()).filter(|name| was.get(*name) != now.get(*name));
    assert_eq!(differ.collect::<Vec<_>>(), Vec::<&String>::new(), "{text}");
}

const WITNESSES: [&str; 3] = ["journal.mark", "projections.db", "snapshot-"];

/// A killed bank's folder in which this one alone has seen everything.
fn seen_by_one(witness: &str) -> tempfile::TempDir {
    let (image, _) = killed();
    let wal = std::fs::read(image.path().join(WAL)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    copy(image.path(), dir.path());
    snapshot::keeper::take(dir.path(), &Sqlite, &own("Bank1")).unwrap();
    assert_eq!(std::fs::read(dir.path().join(WAL)).unwrap(), wal, "nothing is moved yet");
    for name in files_of(dir.path()).into_keys() {
        if WITNESSES.iter().any(|other| *other != witness && name.starts_with(other)) {
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
    }
    dir
}

#[test]
fn each_witness_alone_is_enough_and_every_file_stays_as_it_was_found() {
    for witness in WITNESSES {
        // the end of the write-ahead log is damaged: SQLite would leave it out without a word, and move the rest
        let dir = seen_by_one(witness);
        let mut wal = std::fs::read(dir.path().join(WAL)).unwrap();
        let place = wal.len() * 4 / 5;
        wal[place] ^= 1;
        std::fs::write(dir.path().join(WAL), wal).unwrap();
        is_refused_as_it_was_found(dir.path(), &[witness, "is missing"]);

        // its last batches are gone
        let dir = seen_by_one(witness);
        let connection = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
        let cut = "DELETE FROM batches WHERE number > (SELECT max(number) - 3 FROM batches)";
        connection.execute(cut, []).unwrap();
        drop(connection);
        is_refused_as_it_was_found(dir.path(), &[witness, "is missing"]);

        // all of it is gone
        let dir = seen_by_one(witness);
        for name in ["journal.db", WAL, "journal.db-shm"] {
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
        is_refused_as_it_was_found(dir.path(), &[witness, "ends at batch 0"]);
    }
}

#[test]
fn a_damaged_snapshot_is_no_witness() {
    let dir = seen_by_one("snapshot-");
    let file = snapshot::files(dir.path()).unwrap().remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let connection = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    let cut = "DELETE FROM batches WHERE number = (SELECT max(number) FROM batches)";
    connection.execute(cut, []).unwrap();
    drop(connection);
    open(dir.path()).unwrap();
    assert!(file.with_extension("refused").exists());
}

#[test]
fn a_journal_that_is_rewritten_is_refused() {
    let (image, _) = killed();
    let connection = rusqlite::Connection::open(image.path().join("journal.db")).unwrap();
    connection
        .execute(
            "UPDATE batches SET hash = zeroblob(32) WHERE number = (SELECT max(number) FROM batches)",
            [],
        )
        .unwrap();
    drop(connection);
    is_refused_as_it_was_found(image.path(), &["was exchanged or rewritten"]);
}

#[test]
fn projections_of_an_older_schema_or_damaged_are_made_anew() {
    for damage in
        ["PRAGMA user_version = 99", "DROP TABLE progress", "UPDATE progress SET hash = zeroblob(32)"]
    {
        let (image, acknowledged) = killed();
        assert_eq!(open(image.path()), Ok(acknowledged));
        let connection = rusqlite::Connection::open(image.path().join("projections.db")).unwrap();
        connection.execute_batch(damage).unwrap();
        drop(connection);
        assert_eq!(open(image.path()), Ok(acknowledged), "{damage}");
    }
}
