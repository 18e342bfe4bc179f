//! Projections are made from a journal that is checked while they are made, and what they say of a key, or do not say,
//! is believed only once it was compared.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use strife_bank::command::{Answer, Command};
use strife_bank::journal::Sqlite;
use strife_bank::open::Folder;
use strife_bank::snapshot::keeper::take;
use strife_proto::domain::ReceivedOrder;

use crate::support::{Bank, YES, decide, own, signed, some_of_everything};

const FILE: &str = "projections.db";

/// A stopped bank's folder, and the orders that it knows.
fn folder() -> (tempfile::TempDir, Vec<Arc<ReceivedOrder>>) {
    let dir = tempfile::tempdir().unwrap();
    let mut bank = Bank::open("Bank1", dir.path());
    let mut orders = some_of_everything(&mut bank);
    orders.extend(some_of_everything(&mut bank));
    bank.settle();
    bank.stop();
    (dir, orders)
}

fn refused(dir: &Path) -> String {
    Folder::open(dir, &Sqlite, own("Bank1"), 0).unwrap_err().to_string()
}

/// An answer without its signatures: the same words are signed otherwise in another batch.
fn unsigned(mut answer: Answer) -> Answer {
    match &mut answer {
        Answer::Statement(statement) => statement.signature = None,
        Answer::Outcome(statement, acknowledgement) => {
            statement.signature = None;
            acknowledgement.iter_mut().for_each(|statement| statement.signature = None);
        }
        _ => {}
    }
    answer
}

/// Asks for every order again, as its payer and as its payer's bank's gateway would; tells the answers, and the journal
/// position after them.
fn asked_again(dir: &Path, orders: &[Arc<ReceivedOrder>]) -> (Vec<Answer>, u64) {
    let bank = Bank::open("Bank1", dir);
    let commands = orders.iter().map(|order| match order.key().bank.as_str() {
        "Bank1" => decide(order, order.order().is_interbank().then_some(YES)),
        _ => Command::Prepare(signed(order)),
    });
    let answers = bank.ask_all(commands).into_iter().map(unsigned).collect();
    let position = bank.position();
    bank.stop();
    (answers, position)
}

/// Remembers that this file was not made anew.
fn mark(dir: &Path) {
    Connection::open(dir.join(FILE)).unwrap().pragma_update(None, "application_id", 77).unwrap();
}

fn is_marked(dir: &Path) -> bool {
    let connection = Connection::open(dir.join(FILE)).unwrap();
    connection.query_row("PRAGMA application_id", [], |row| row.get::<_, i64>(0)).unwrap() == 77
}

#[test]
fn sound_projections_are_kept_and_every_row_of_them_is_summed() {
    let (dir, orders) = folder();
    mark(dir.path());
    let (answers, position) = asked_again(dir.path(), &orders);
    assert!(is_marked(dir.path()), "they were not made anew");
    assert_eq!(asked_again(dir.path(), &orders), (answers, position));
    for table in ["outcomes", "promises", "voids", "requests"] {
        let connection = Connection::open(dir.path().join(FILE)).unwrap();
        let sums = "SELECT coalesce(sum(count), 0) FROM segments WHERE of = ?1";
        let summed: i64 = connection.query_row(sums, [table], |row| row.get(0)).unwrap();
        let rows: i64 =
            connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert!(rows > 0 && summed == rows, "{table}: {summed} of {rows}");
    }
}

#[test]
fn a_row_that_a_flipped_bit_has_hidden_is_noticed_and_no_order_is_decided_again() {
    let (dir, orders) = folder();
    let before = asked_again(dir.path(), &orders);
    let path = dir.path().join(FILE);
    let whole = std::fs::read(&path).unwrap();
    let mut hidden = 0;
    for order in &orders {
        let id = order.key().id.0;
        let places = whole.windows(16).enumerate().filter(|(_, bytes)| *bytes == id).map(|(place, _)| place);
        for place in places.collect::<Vec<_>>() {
            let mut flipped = whole.clone();
            flipped[place + 5] ^= 1;
            std::fs::write(&path, flipped).unwrap();
            hidden += 1;
            assert_eq!(asked_again(dir.path(), &orders), before, "byte {}", place + 5);
        }
    }
    assert!(hidden >= orders.len(), "{hidden}");
}

#[test]
fn whatever_bit_is_flipped_in_the_projections_every_order_gets_the_answer_that_it_got() {
    let (dir, orders) = folder();
    let before = asked_again(dir.path(), &orders);
    let path = dir.path().join(FILE);
    let whole = std::fs::read(&path).unwrap();
    let mut place: usize = 7;
    for sample in 0..60 {
        place = (place * 48_271 + 11) % whole.len();
        let mut flipped = whole.clone();
        flipped[place] ^= 1 << (sample % 8);
        std::fs::write(&path, flipped).unwrap();
        assert_eq!(asked_again(dir.path(), &orders), before, "byte {place}, bit {}", sample % 8);
    }
}

#[test]
fn a_progress_that_says_too_much_is_not_believed() {
    let (dir, orders) = folder();
    let before = asked_again(dir.path(), &orders);
    for change in ["position = position + 64", "batch = batch - 1", "hash = zeroblob(32)"] {
        mark(dir.path());
        let set = format!("UPDATE progress SET {change}");
        Connection::open(dir.path().join(FILE)).unwrap().execute_batch(&set).unwrap();
        assert_eq!(asked_again(dir.path(), &orders), before, "{change}");
        assert!(!is_marked(dir.path()), "{change}: made anew");
    }
}

#[test]
fn projections_are_not_made_of_a_journal_whose_chain_is_broken_before_the_snapshot() {
    let (dir, _) = folder();
    take(dir.path(), &Sqlite, &own("Bank1")).unwrap();
    let connection = Connection::open(dir.path().join("journal.db")).unwrap();
    let (number, mut body): (i64, Vec<u8>) = connection
        .query_row("SELECT number, body FROM batches WHERE number > 5 LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    let place = body.len() / 2;
    body[place] ^= 1;
    connection.execute("UPDATE batches SET body = ?1 WHERE number = ?2", (body, number)).unwrap();
    drop(connection);
    // the snapshot has seen it, and the projections are whole: nothing of it is read again
    Folder::open(dir.path(), &Sqlite, own("Bank1"), 0).unwrap();
    std::fs::remove_file(dir.path().join(FILE)).unwrap();
    let text = refused(dir.path());
    assert!(text.contains(&format!("batch {number} of the journal does not continue the chain")), "{text}");
}
