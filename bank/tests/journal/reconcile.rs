//! Two banks' folders, and the transfers on which they differ, each named with what both have of it.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use rusqlite::{Connection, params};
use strife_bank::command::{Answer, Command, Said, SignedOrder};
use strife_bank::journal::reader::entries_of;
use strife_bank::journal::{Chain, JournalRead, JournalReader};
use strife_bank::ledger::{Entry, Kind};
use strife_bank::reconcile::{Reconciliation, reconcile};
use strife_proto::commit::{Acknowledgement, Code, Placement, Verdict};
use strife_proto::domain::ReceivedOrder;
use strife_proto::journal::v1 as pb;
use strife_proto::statement::{Statement, Word};

use crate::support::{Bank, POSTED, YES, decide, said, signed};

const CREDITED: Word = Word::Acknowledgement(Acknowledgement::Credited(Placement::Account));
const SUSPENDED: Word = Word::Acknowledgement(Acknowledgement::Credited(Placement::Suspense));

struct Two {
    dirs: [tempfile::TempDir; 2],
    payer: Bank,
    payee: Bank,
    cents: i64,
}

impl Two {
    fn new() -> Self {
        let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let mut payer = Bank::open("Bank1", dirs[0].path());
        let mut payee = Bank::open("Bank2", dirs[1].path());
        payer.person("ann", 1_000_000);
        payer.sign_in("ann");
        payee.person("user2", 0);
        payee.cap("Bank1", 1_000_000);
        Self { dirs, payer, payee, cents: 0 }
    }

    /// An order that is not like any other.
    fn order(&mut self, payee: &str) -> Arc<ReceivedOrder> {
        self.cents += 1;
        let from = self.payer.accounts_of("ann")[0];
        self.payer.order(from, payee, self.cents)
    }

    fn prepare(&self, order: &Arc<ReceivedOrder>) {
        self.payee.must(Command::Prepare(signed(order)));
    }

    fn decide(&self, order: &Arc<ReceivedOrder>) -> Said {
        let Answer::Outcome(wire, _) = self.payer.must(decide(order, Some(YES))) else {
            panic!("no outcome")
        };
        Said { statement: Statement::read(&wire, "test").unwrap(), wire }
    }

    fn post(&self, order: &Arc<ReceivedOrder>, said: Said) {
        self.payee.must(Command::Post { order: order.clone(), said });
    }

    fn acknowledge(&self, order: &Arc<ReceivedOrder>, word: Word) {
        self.payer.must(Command::Acknowledge(said("Bank2", order, word)));
    }

    fn transfer(&mut self) {
        let order = self.order("user2@Bank2");
        self.prepare(&order);
        self.post(&order, self.decide(&order));
        self.acknowledge(&order, CREDITED);
    }

    fn compare(self) -> Reconciliation {
        let Self { dirs: [one, two], payer, payee, .. } = self;
        payer.stop();
        payee.stop();
        let there = reconcile(one.path(), two.path()).unwrap();
        let back = reconcile(two.path(), one.path()).unwrap();
        assert_eq!((&there.differences, &there.remarks), (&back.differences, &back.remarks));
        there
    }
}

#[test]
fn banks_that_have_settled_everything_agree() {
    let mut two = Two::new();
    for _ in 0..5 {
        two.transfer();
    }
    let declined = two.order("user2@Bank2");
    two.prepare(&declined);
    two.payer.must(Command::Cancel(signed(&declined)));
    let no = said("Bank1", &declined, Word::Outcome(Verdict::Declined(Code::Cancelled)));
    two.payee.must(Command::Release { order: declined, said: no });
    let found = two.compare();
    assert!(found.is_clean() && found.remarks.is_empty(), "{found}");
    assert_eq!(found.mirrors[0].posted, [15, -15]);
}

#[test]
fn each_difference_is_named_with_what_both_banks_have_and_together_they_explain_the_sum() {
    let mut two = Two::new();
    two.transfer();
    let on_its_way = two.order("user2@Bank2");
    two.prepare(&on_its_way);
    two.decide(&on_its_way);
    let unpromised = two.order("user2@Bank2");
    two.decide(&unpromised);
    let suspended = two.order("nobody@Bank2");
    two.post(&suspended, two.decide(&suspended));
    two.acknowledge(&suspended, SUSPENDED);
    let released = two.order("user2@Bank2");
    two.prepare(&released);
    two.decide(&released);
    let no = said("Bank1", &released, Word::Outcome(Verdict::Declined(Code::Expired)));
    two.payee.must(Command::Release { order: released.clone(), said: no });
    let contradicted = two.order("user2@Bank2");
    two.payer.must(Command::Cancel(signed(&contradicted)));
    two.post(&contradicted, said("Bank1", &contradicted, POSTED));
    let invented = two.order("user2@Bank2");
    two.post(&invented, said("Bank1", &invented, POSTED));
    let void = two.order("user2@Bank2");
    let forged = SignedOrder { signer: None, ..signed(&void) };
    two.prepare(&void);
    two.payer.must(Command::Decide { order: forged, vote: None, too_far: false });
    let undecided = two.order("user2@Bank2");
    two.prepare(&undecided);

    let found = two.compare();
    let told = |order: &Arc<ReceivedOrder>| {
        let key = order.key().to_string();
        let all = found.differences.iter().chain(&found.remarks);
        let mut matching = all.filter(|transfer| transfer.key == key);
        let transfer = matching.next().unwrap_or_else(|| panic!("{key} is not named: {found}"));
        assert!(matching.next().is_none());
        let cents = order.order().amount.minor_units();
        assert_eq!(transfer.minor_units, cents);
        (transfer.what.clone(), transfer.effect / cents, transfer.at_payees_bank.clone())
    };
    for (order, what, sign, there) in [
        (&on_its_way, "promised and not delivered yet", 1, "promised, entry"),
        (&unpromised, "has no promise", 1, "no record"),
        (&suspended, "in suspense", 0, "posted in suspense, entry"),
        (&released, "posted by the payer's bank, released", 1, "released, entry"),
        (&contradicted, "and not by the payer's", -1, "posted, entry"),
        (&invented, "unknown at the payer's", -1, "posted, entry"),
        (&void, "waits for its release", 0, "promised, entry"),
        (&undecided, "not decided yet", 0, "promised, entry"),
    ] {
        let (said, effect, at) = told(order);
        assert!(said.contains(what) && effect == sign && at.starts_with(there), "{said}, {effect}, {at}");
    }
    assert_eq!((found.differences.len(), found.remarks.len()), (5, 3));
    let mirror = &found.mirrors[0];
    assert_eq!(mirror.difference, mirror.explained);
    assert_eq!(mirror.difference, 2 + 3 + 5 - 6 - 7);
    assert!(!found.is_clean() && found.to_string().contains("of which 0 is not explained"), "{found}");
}

#[test]
fn folders_that_do_not_belong_together_are_refused() {
    let Two { dirs: [one, _two], payer, payee, .. } = Two::new();
    payer.stop();
    payee.stop();
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(one.path().join("journal.db"), copy.path().join("journal.db")).unwrap();
    let text = reconcile(one.path(), copy.path()).unwrap_err().to_string();
    assert_eq!(text, "test/Bank1 and test/Bank1 are not two banks of one network");
}

#[test]
fn a_transfer_that_one_bank_has_recorded_twice_is_named_and_counted() {
    // the payer's bank forgot its outcome and decided again: its journal is continued by what it had written before
    let mut two = Two::new();
    two.transfer();
    let order = two.order("user2@Bank2");
    let amount = order.order().amount.minor_units();
    two.prepare(&order);
    two.post(&order, two.decide(&order));
    two.acknowledge(&order, CREDITED);
    let Two { dirs: [one, other], payer, payee, .. } = two;
    payer.stop();
    payee.stop();
    let reader = JournalReader::open(one.path()).unwrap();
    let mut chain = Chain::default();
    let mut again = None;
    for batch in reader.batches_after(0, 10_000).unwrap() {
        chain.advance(&batch).unwrap();
        let entries = entries_of(&batch).unwrap();
        let outcome = |entry: &Entry| matches!(&entry.kind, Kind::Outcome(outcome) if outcome.order == order);
        again = again.or_else(|| entries.into_iter().find(outcome));
    }
    let wire = pb::Batch { entries: vec![again.unwrap().to_wire()] };
    let batch = chain.extend(Bytes::from(wire.encode_to_vec()), 1);
    let row = params![batch.number as i64, batch.first_position as i64, 1, batch.body.as_ref(), batch.hash];
    let connection = Connection::open(one.path().join("journal.db")).unwrap();
    connection.execute("INSERT INTO batches VALUES (?1, ?2, ?3, ?4, ?5)", row).unwrap();
    drop((connection, reader));
    let found = reconcile(one.path(), other.path()).unwrap();
    assert!(!found.is_clean());
    let [difference] = found.differences.as_slice() else { panic!("{found:?}") };
    assert_eq!((difference.key.as_str(), difference.effect), (order.key().to_string().as_str(), amount));
    assert!(difference.what.contains("2 outcomes for this key, 2 of them posted"), "{difference:?}");
    assert_eq!(found.mirrors[0].difference, i128::from(amount));
    assert_eq!(found.mirrors[0].explained, i128::from(amount));
}
