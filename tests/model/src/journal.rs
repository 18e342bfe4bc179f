//! What a bank has recorded, and what follows from it: machines and balances, by replay alone.

use strife_commit::payee::{self, Payee};
use strife_commit::payer::{self, Payer};
use strife_commit::{OrderHash, Placement, Verdict, restore};

use crate::world::{BankIndex, OrderIndex, Word, World};

/// One record. `Payer` names its key by the first order that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Of the payer's machine of a key.
    Payer(OrderIndex, payer::Record),
    /// Of the payee's machine of an order, with the statement that asked for it.
    Payee(OrderIndex, payee::Record, Option<Word>),
    /// Of the restore.
    Restore(restore::Record),
}

impl Entry {
    fn slot(&self) -> (u8, OrderIndex) {
        match self {
            Entry::Payer(slot, _) => (0, *slot),
            Entry::Payee(order, ..) => (1, *order),
            Entry::Restore(_) => (2, 0),
        }
    }
}

/// Records in order. Records of different machines do not depend on each other, so they stand sorted by machine:
/// two orders of the same records are one state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Journal(Vec<Entry>);

impl Journal {
    /// Appends behind the records of the same machine.
    pub fn push(&mut self, entry: Entry) {
        let place = self.0.partition_point(|before| before.slot() <= entry.slot());
        self.0.insert(place, entry);
    }

    /// Nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// All records.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    /// The records of one key.
    pub fn of_key(&self, slot: OrderIndex) -> impl Iterator<Item = payer::Record> {
        self.0.iter().filter_map(move |entry| match entry {
            Entry::Payer(key, record) if *key == slot => Some(*record),
            _ => None,
        })
    }

    /// The records of one order at its payee's bank.
    pub fn of_payee(&self, order: OrderIndex) -> impl Iterator<Item = (payee::Record, Option<Word>)> {
        self.0.iter().filter_map(move |entry| match entry {
            Entry::Payee(about, record, word) if *about == order => Some((*record, *word)),
            _ => None,
        })
    }

    /// The payer's machine of a key, rebuilt.
    pub fn payer(&self, slot: OrderIndex) -> Payer {
        let mut machine = Payer::default();
        self.of_key(slot).for_each(|record| machine.apply(record));
        machine
    }

    /// The payee's machine of an order, rebuilt.
    pub fn payee(&self, order: OrderIndex) -> Payee {
        let mut machine = Payee::default();
        self.of_payee(order).for_each(|(record, _)| machine.apply(record));
        machine
    }

    /// The first outcome that is recorded for a key.
    pub fn outcome(&self, slot: OrderIndex) -> Option<(OrderIndex, Verdict)> {
        self.of_key(slot).find_map(|record| match record {
            payer::Record::Outcome { hash, verdict, .. } => Some((World::order_of(&hash), verdict)),
            _ => None,
        })
    }

    /// The outcome of exactly these bytes.
    pub fn verdict(&self, world: &World, order: OrderIndex) -> Option<Verdict> {
        self.outcome(world.slot(order)).filter(|(decided, _)| *decided == order).map(|(_, verdict)| verdict)
    }

    /// The payer's money has left for these bytes.
    pub fn has_debited(&self, world: &World, order: OrderIndex) -> bool {
        self.verdict(world, order) == Some(Verdict::Posted)
    }

    /// These bytes are void.
    pub fn is_void(&self, world: &World, order: OrderIndex) -> bool {
        let void = |record| matches!(record, payer::Record::Void { hash } if hash == World::hash(order));
        self.of_key(world.slot(order)).any(void)
    }

    /// The payee's bank has acknowledged the outcome of these bytes.
    pub fn is_acknowledged(&self, world: &World, hash: OrderHash) -> bool {
        let slot = world.slot(World::order_of(&hash));
        self.of_key(slot).any(|record| record == payer::Record::Acknowledged { hash })
    }

    /// How often the payee was credited for these bytes.
    pub fn credits(&self, order: OrderIndex) -> usize {
        self.of_payee(order).filter(|(record, _)| matches!(record, payee::Record::Posted { .. })).count()
    }

    /// What the records move: into (or out of) the payer's account, and into all others of the bank.
    pub fn moved(&self, world: &World) -> (i64, i64) {
        let mut own = 0;
        let mut others = 0;
        for entry in &self.0 {
            match entry {
                Entry::Payer(_, payer::Record::Outcome { hash, verdict: Verdict::Posted, .. }) => {
                    let order = world.order(World::order_of(hash));
                    own -= order.amount;
                    others += if order.is_interbank() { 0 } else { order.amount };
                }
                Entry::Payee(order, payee::Record::Posted { placement: Placement::Account, .. }, _) => {
                    own += world.order(*order).amount;
                }
                Entry::Payee(order, payee::Record::Posted { .. }, _) => others += world.order(*order).amount,
                _ => {}
            }
        }
        (own, others)
    }

    /// What a bank has taken from a counterpart, posted or promised.
    pub fn exposure(&self, world: &World, counterpart: BankIndex) -> i64 {
        let from =
            world.orders().filter(|(_, order)| order.payer_bank == counterpart && order.is_interbank());
        let counts = |order| matches!(self.payee(order), Payee::Promised | Payee::Posted(_));
        from.filter(|(order, _)| counts(*order)).map(|(_, order)| order.amount).sum()
    }
}
