//! Refunds and the bank's files: a start from a snapshot knows what was refunded, and `verify` finds a refund that was
//! never allowed (I15), even where chain, sums and projections are in order.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use strife_bank::command::{Answer, Command};
use strife_bank::journal::{Chain, JournalRead, JournalReader, Sqlite, SqliteStore, Store};
use strife_bank::ledger::entry::OutcomeEntry;
use strife_bank::ledger::rules::debit_legs;
use strife_bank::ledger::{Entry, Kind};
use strife_bank::snapshot::keeper::take;
use strife_bank::verify::folder::verify;
use strife_proto::commit::{BankName, Code, Verdict};
use strife_proto::domain::{AccountNumber, Money, Order, ReceivedOrder};
use strife_proto::journal::v1 as pb;
use strife_proto::statement::{Statement, Word};

use crate::support::{Bank, NETWORK, POSTED, YES, decide, eur, key_of, own, refund, said, signed};

/// Ann, and 100 cents that have come to her from Bank2.
fn paid(dir: &Path) -> (Bank, Arc<ReceivedOrder>) {
    let mut bank = Bank::open("Bank1", dir);
    bank.person("ann", 1_000);
    bank.sign_in("ann");
    bank.cap("Bank2", 1_000);
    let theirs = AccountNumber::from_body(5_000_000_001).unwrap();
    let mut order = bank.order(theirs, "ann@Bank1", 100).order().clone();
    order.key.bank = name("Bank2");
    let order = Arc::new(ReceivedOrder::decode(order.encode()).unwrap());
    bank.must(Command::Prepare(signed(&order)));
    bank.must(Command::Post { order: order.clone(), said: said("Bank2", &order, POSTED) });
    (bank, order)
}

fn name(bank: &str) -> BankName {
    BankName::new(bank).unwrap()
}

fn money(minor_units: i64) -> Money {
    Money::new(minor_units, eur()).unwrap()
}

fn word(answer: &Answer) -> Word {
    let Answer::Outcome(wire, _) = answer else { panic!("{answer:?}") };
    Statement::read(wire, NETWORK).unwrap().word
}

#[test]
fn a_start_from_a_snapshot_knows_what_was_refunded() {
    let dir = tempfile::tempdir().unwrap();
    let (mut bank, original) = paid(dir.path());
    let order = refund(&mut bank, &original, 60);
    assert_eq!(word(&bank.ask(decide(&order, Some(YES)))), POSTED);
    bank.stop();
    take(dir.path(), &Sqlite, &own("Bank1")).unwrap();
    // once with the projections that are there, once with none
    for too_much in [41, 31] {
        let mut bank = Bank::open("Bank1", dir.path());
        let order = refund(&mut bank, &original, too_much);
        let exceeds = Word::Outcome(Verdict::Declined(Code::RefundExceeds));
        assert_eq!(word(&bank.ask(decide(&order, Some(YES)))), exceeds);
        let order = refund(&mut bank, &original, 10);
        assert_eq!(word(&bank.ask(decide(&order, Some(YES)))), POSTED);
        bank.stop();
        assert!(verify(dir.path()).unwrap().is_clean());
        std::fs::remove_file(dir.path().join("projections.db")).unwrap();
    }
}

/// Appends a posted outcome, as the bank itself would have written it had it allowed it.
fn append_posted(dir: &Path, order: &Order) {
    let order = Arc::new(ReceivedOrder::decode(order.encode()).unwrap());
    let reader = JournalReader::open(dir).unwrap();
    let mut chain = Chain::default();
    for batch in reader.batches_after(0, usize::MAX >> 1).unwrap() {
        chain.advance(&batch).unwrap();
    }
    let word = Word::Outcome(Verdict::Posted);
    let statement = Statement {
        word,
        bank: name("Bank1"),
        key: order.key().clone(),
        hash: order.hash(),
        at_ms: 1_000,
        position: chain.next_position,
    };
    let outcome = OutcomeEntry {
        signature: Some(signed(&order).signature),
        verdict: Verdict::Posted,
        statement: statement.sign(NETWORK, &key_of("Bank1")),
        vote: Some(said("Bank2", &order, YES).wire),
        owed: true,
        payee: None,
        cancel: None,
        order: order.clone(),
    };
    let legs = debit_legs(order.order(), None);
    let entry = Entry { at_ms: 1_000, legs, kind: Kind::Outcome(Box::new(outcome)) };
    let wire = pb::Batch { entries: vec![entry.to_wire()] };
    let batch = chain.extend(Bytes::from(wire.encode_to_vec()), 1);
    let mut store = SqliteStore::open(dir, &own("Bank1")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.append(&batch, &[])).unwrap();
}

#[test]
fn verify_names_a_refund_that_was_never_allowed() {
    type Change = fn(&mut Order);
    let wrong: [(Change, &str); 4] = [
        (|_| {}, "come to 101, and it was 100"),
        (|order| order.amount = money(200), "REFUND_EXCEEDS"),
        (|order| order.payee = "somebody@Bank2".parse().unwrap(), "NOT_REFUNDABLE"),
        (|order| order.refund_of.as_mut().unwrap().id.0[0] ^= 1, "NOT_REFUNDABLE"),
    ];
    for (change, told) in wrong {
        for projected in [true, false] {
            let dir = tempfile::tempdir().unwrap();
            let (mut bank, original) = paid(dir.path());
            let first = refund(&mut bank, &original, 60);
            assert_eq!(word(&bank.ask(decide(&first, Some(YES)))), POSTED);
            let mut second = refund(&mut bank, &original, 41).order().clone();
            bank.settle();
            bank.stop();
            assert!(verify(dir.path()).unwrap().is_clean());
            change(&mut second);
            append_posted(dir.path(), &second);
            if projected {
                // a start projects it; nothing else is wrong with it
                Bank::open("Bank1", dir.path()).stop();
            }
            let report = verify(dir.path()).unwrap().to_string();
            assert!(report.contains("I15") && report.contains(told), "{told}: {report}");
        }
    }
}
