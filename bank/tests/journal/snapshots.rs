//! A snapshot and what came after it give the state of the whole journal, or the snapshot is not believed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use strife_bank::journal::Sqlite;
use strife_bank::ledger::State;
use strife_bank::open::Folder;
use strife_bank::snapshot::keeper::take;
use strife_bank::snapshot::{self, Keeper, files};

use crate::support::{Bank, own, some_of_everything};

fn state_of(dir: &Path) -> (State, u64) {
    let folder = Folder::open(dir, &Sqlite, own("Bank1"), 0).unwrap();
    (folder.state, folder.snapshot_position)
}

/// A folder with two snapshots and entries before, between and after them.
fn folder_with_two() -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let mut bank = Bank::open("Bank1", dir.path());
    for _ in 0..3 {
        some_of_everything(&mut bank);
        take(dir.path(), &Sqlite, &own("Bank1")).unwrap();
    }
    some_of_everything(&mut bank);
    bank.stop();
    let found = files(dir.path()).unwrap();
    assert_eq!(found.len(), 2, "the last two are kept");
    (dir, found)
}

fn without_snapshots(dir: &Path) -> State {
    for file in files(dir).unwrap() {
        std::fs::remove_file(file).unwrap();
    }
    let (state, position) = state_of(dir);
    assert_eq!(position, 0);
    state
}

#[test]
fn a_snapshot_and_the_rest_are_the_whole_journal() {
    let (dir, _) = folder_with_two();
    let (from_snapshot, position) = state_of(dir.path());
    assert!(position > 0 && position < from_snapshot.next_position - 1);
    assert!(!from_snapshot.promises.is_empty() && !from_snapshot.payers.is_empty());
    assert_eq!(from_snapshot, without_snapshots(dir.path()));
}

#[test]
fn a_snapshot_on_a_snapshot_is_the_snapshot_of_the_whole_journal() {
    let (dir, found) = folder_with_two();
    let second = snapshot::read(&found[0], &own("Bank1")).unwrap();
    for file in found {
        std::fs::remove_file(file).unwrap();
    }
    let journal = strife_bank::journal::JournalReader::open(dir.path()).unwrap();
    let mut state = State::new(own("Bank1"));
    let chain = strife_bank::journal::Chain::default();
    let chain = strife_bank::replay::replay(&journal, &mut state, chain, second.chain.number).unwrap();
    assert_eq!((&chain, &state), (&second.chain, &second.state));
    assert_eq!(snapshot::digest(&state, &chain).unwrap(), second.digest);
}

#[test]
fn a_damaged_snapshot_is_set_aside_and_the_one_before_it_or_the_journal_is_read() {
    let (dir, found) = folder_with_two();
    let (whole, newest) = state_of(dir.path());
    let bytes = std::fs::read(&found[0]).unwrap();
    let step = bytes.len() / 24;
    for place in (0..bytes.len()).step_by(step).chain([bytes.len() - 1]) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (place % 8);
        std::fs::write(&found[0], flipped).unwrap();
        let (state, position) = state_of(dir.path());
        assert!(position < newest, "byte {place}: the one before it is read");
        assert_eq!(state, whole);
        let aside = found[0].with_extension("refused");
        assert!(aside.exists() && !found[0].exists());
        std::fs::remove_file(aside).unwrap();
    }
    for cut in [0, 10, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&found[0], &bytes[..cut]).unwrap();
        assert_eq!(state_of(dir.path()).0, whole, "cut at {cut}");
    }
    std::fs::write(&found[0], "").unwrap();
    std::fs::write(&found[1], "").unwrap();
    assert_eq!(state_of(dir.path()), (whole, 0));
}

#[tokio::test]
async fn they_are_taken_while_the_bank_runs_and_at_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let make = |dir: PathBuf| {
        std::thread::spawn(move || {
            let mut bank = Bank::open("Bank1", &dir);
            some_of_everything(&mut bank);
            let position = bank.position();
            bank.stop();
            position
        })
        .join()
        .unwrap()
    };
    let first = make(dir.path().to_owned());
    let (progress, projected) = tokio::sync::watch::channel(0);
    let keeper = Keeper {
        dir: dir.path().to_owned(),
        stores: Arc::new(Sqlite),
        own: own("Bank1"),
        snapshot_entries: first,
        taken: 0,
    };
    let keeper = strife_seams::Work::InPlace.begin("snapshots", keeper.run(projected)).unwrap();
    progress.send_replace(first - 1);
    tokio::task::yield_now().await;
    assert_eq!(files(dir.path()).unwrap().len(), 0, "not yet");
    progress.send_replace(first);
    tokio::task::yield_now().await;
    assert_eq!(files(dir.path()).unwrap().len(), 1);
    // a stop takes one for less
    let second = make(dir.path().to_owned());
    assert!(second < 2 * first);
    progress.send_replace(second);
    drop(progress);
    assert_eq!(keeper.result().await, Some(()));
    assert_eq!(files(dir.path()).unwrap().len(), 2);
    assert_eq!(state_of(dir.path()).1, second);
}

#[test]
fn a_snapshot_of_another_bank_or_of_another_journal_is_not_believed() {
    let (dir, found) = folder_with_two();
    let (whole, _) = state_of(dir.path());
    let text = snapshot::read(&found[0], &own("Bank2")).unwrap_err().to_string();
    assert_eq!(text, "it is of test/Bank1");
    // the same bank with another history of the same length
    let (_other, others) = folder_with_two();
    std::fs::copy(&others[0], &found[0]).unwrap();
    std::fs::remove_file(&found[1]).unwrap();
    assert_eq!(state_of(dir.path()), (whole, 0));
}

#[test]
fn a_snapshot_that_fails_leaves_nothing_and_what_a_killed_process_left_goes_at_the_next_start() {
    let (dir, found) = folder_with_two();
    let newest = snapshot::read(&found[0], &own("Bank1")).unwrap();
    // nothing can be renamed over a folder
    let taken = dir.path().join(format!("snapshot-{:020}.bin", newest.chain.number + 1));
    std::fs::create_dir(&taken).unwrap();
    let chain = strife_bank::journal::Chain { number: newest.chain.number + 1, ..newest.chain };
    snapshot::write(dir.path(), &newest.state, &chain).unwrap_err();
    let left = dir.path().join("snapshot.tmp");
    assert!(!left.exists());
    std::fs::remove_dir(taken).unwrap();
    std::fs::write(&left, "half of one").unwrap();
    state_of(dir.path());
    assert!(!left.exists());
    assert_eq!(files(dir.path()).unwrap(), found);
}

#[tokio::test]
async fn after_a_failure_one_is_tried_again_sooner_than_after_a_whole_interval() {
    let dir = tempfile::tempdir().unwrap();
    let position = std::thread::spawn({
        let dir = dir.path().to_owned();
        move || {
            let mut bank = Bank::open("Bank1", &dir);
            some_of_everything(&mut bank);
            let position = bank.position();
            bank.stop();
            position
        }
    });
    let position = position.join().unwrap();
    let (progress, projected) = tokio::sync::watch::channel(0);
    let entries = 1_000;
    let keeper = Keeper {
        dir: dir.path().to_owned(),
        stores: Arc::new(Sqlite),
        own: own("Bank1"),
        snapshot_entries: entries,
        taken: 0,
    };
    let keeper = strife_seams::Work::InPlace.begin("snapshots", keeper.run(projected)).unwrap();
    let blocked = dir.path().join("snapshot.tmp");
    std::fs::create_dir(&blocked).unwrap();
    progress.send_replace(entries);
    tokio::task::yield_now().await;
    assert_eq!(files(dir.path()).unwrap().len(), 0, "it could not be written");
    std::fs::remove_dir(&blocked).unwrap();
    progress.send_replace(entries + entries / 10 - 1);
    tokio::task::yield_now().await;
    assert_eq!(files(dir.path()).unwrap().len(), 0, "not yet");
    progress.send_replace(entries + entries / 10);
    tokio::task::yield_now().await;
    assert_eq!(files(dir.path()).unwrap().len(), 1);
    drop(progress);
    assert_eq!(keeper.result().await, Some(()));
    assert_eq!(state_of(dir.path()).1, position);
}
