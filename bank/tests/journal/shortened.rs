//! SQLite drops the end of a damaged write-ahead log without a word. A journal that was cut short, by that or by
//! anything else, is whole or refused, never used as it is.

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
    // a reader that never ends keeps the log from being moved into the file
    let journal = strife_bank::journal::JournalReader::open(dir.path()).unwrap();
    let mut bank = Bank::open("Bank1", dir.path());
    some_of_everything(&mut bank);
    bank.settle();
    let acknowledged = bank.position();
    let image = tempfile::tempdir().unwrap();
    copy(dir.path(), image.path());
    bank.stop();
    drop(journal);
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

#[test]
fn each_witness_alone_is_enough() {
    let (image, acknowledged) = killed();
    let take = |dir: &Path| snapshot::keeper::take(dir, &Sqlite, &own("Bank1")).unwrap();
    for witness in ["journal.mark", "projections.db", "snapshot-"] {
        let dir = tempfile::tempdir().unwrap();
        copy(image.path(), dir.path());
        take(dir.path());
        assert_eq!(open(dir.path()), Ok(acknowledged));
        for entry in std::fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let others = ["journal.mark", "projections.db", "snapshot-"];
            if others.iter().any(|other| *other != witness && name.starts_with(other)) {
                std::fs::remove_file(path).unwrap();
            }
        }
        let connection = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
        let cut = "DELETE FROM batches WHERE number > (SELECT max(number) - 3 FROM batches)";
        connection.execute(cut, []).unwrap();
        drop(connection);
        let text = open(dir.path()).unwrap_err();
        assert!(text.contains(witness) && text.contains("is missing"), "{text}");
    }
}

#[test]
fn a_journal_that_is_gone_or_rewritten_is_refused() {
    let (image, _) = killed();
    for name in ["journal.db", WAL] {
        std::fs::remove_file(image.path().join(name)).unwrap();
    }
    let text = open(image.path()).unwrap_err();
    assert!(text.contains("ends at batch 0"), "{text}");

    let (image, _) = killed();
    let connection = rusqlite::Connection::open(image.path().join("journal.db")).unwrap();
    connection
        .execute(
            "UPDATE batches SET hash = zeroblob(32) WHERE number = (SELECT max(number) FROM batches)",
            [],
        )
        .unwrap();
    drop(connection);
    let text = open(image.path()).unwrap_err();
    assert!(text.contains("was exchanged or rewritten"), "{text}");
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
