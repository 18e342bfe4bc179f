//! The words of the model: what is small and fixed for a run (orders, banks, bounds) and what travels.

use strife_commit::{Acknowledgement, BankName, Key, OrderHash, TransferId, Verdict, Vote};

use crate::goals::Goal;

/// A bank, by its place in [`World::names`].
pub type BankIndex = u8;
/// An order, by its place in [`World::orders`]; also names its bytes.
pub type OrderIndex = u8;

/// An order that somebody may send in a run.
#[derive(Clone, Debug)]
pub struct Order {
    /// What a counterexample calls it.
    pub name: &'static str,
    /// The id; two orders with one id at one payer's bank are other bytes under the same key.
    pub id: u8,
    /// The bank of record.
    pub payer_bank: BankIndex,
    /// The payee's bank.
    pub payee_bank: BankIndex,
    /// Minor units.
    pub amount: i64,
    /// Its signature and its maker's right are good; a forged order has neither.
    pub authorised: bool,
    /// It expires when the clock of the run passes; others outlive the run.
    pub expires: bool,
    /// The payee's account exists.
    pub payee_exists: bool,
    /// Its maker may cancel it.
    pub cancellable: bool,
}

impl Order {
    /// Payer's and payee's banks differ.
    pub fn is_interbank(&self) -> bool {
        self.payer_bank != self.payee_bank
    }
}

/// Who carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateways {
    /// This many, each driving the protocol's own `Coordinator`, over a network that loses, doubles and
    /// reorders.
    Honest(u8),
    /// Taken over: any message that can be made from what was ever signed goes to any bank at any time.
    Hostile,
}

/// Everything that does not change during a run.
#[derive(Clone, Debug)]
pub struct World {
    /// The banks' names.
    pub names: Vec<BankName>,
    /// What each bank's payer has before the run, in minor units.
    pub funds: Vec<i64>,
    /// How much a bank takes from one counterpart, posted and promised, in minor units.
    pub cap: i64,
    /// What may be sent.
    pub orders: Vec<Order>,
    /// Who carries it.
    pub gateways: Gateways,
    /// Clients send again what is not ended.
    pub resubmits: bool,
    /// How many commands one durable commit takes at most.
    pub batch_commands_max: usize,
    /// Banks crash.
    pub crashes: bool,
    /// The bank that is restored from a backup, once, and how many lists each counterpart makes at most.
    pub restores: Option<(BankIndex, u8)>,
    /// Which of [`marks`](crate::state::marks) the run remembers.
    pub marks: u8,
    /// What must be reachable.
    pub goals: &'static [Goal],
}

impl World {
    /// An order.
    pub fn order(&self, order: OrderIndex) -> &Order {
        &self.orders[usize::from(order)]
    }

    /// All orders with their places.
    pub fn orders(&self) -> impl Iterator<Item = (OrderIndex, &Order)> {
        (0..).zip(&self.orders)
    }

    /// The hash of an order's bytes.
    pub fn hash(order: OrderIndex) -> OrderHash {
        OrderHash([order; 32])
    }

    /// The order of a hash that [`World::hash`] made.
    pub fn order_of(hash: &OrderHash) -> OrderIndex {
        hash.0[0]
    }

    /// The key of an order, as the protocol has it.
    pub fn key(&self, order: OrderIndex) -> Key {
        let said = self.order(order);
        Key { bank: self.names[usize::from(said.payer_bank)].clone(), id: TransferId([said.id; 16]) }
    }

    /// The first order with this order's key: it stands for the key.
    pub fn slot(&self, order: OrderIndex) -> OrderIndex {
        let said = self.order(order);
        let same =
            |(_, other): &(OrderIndex, &Order)| other.payer_bank == said.payer_bank && other.id == said.id;
        self.orders().find(same).map_or(order, |(first, _)| first)
    }

    /// How many banks there are.
    pub fn banks(&self) -> std::ops::Range<BankIndex> {
        0..u8::try_from(self.names.len()).unwrap_or(u8::MAX)
    }

    /// How many honest gateways there are.
    pub fn gateways(&self) -> std::ops::Range<u8> {
        match self.gateways {
            Gateways::Honest(count) => 0..count,
            Gateways::Hostile => 0..0,
        }
    }
}

/// What a bank signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Word {
    /// To `Prepare`.
    Vote(Vote),
    /// To `Decide`, `Inquire`, `Cancel`.
    Outcome(Verdict),
    /// Other bytes hold the key.
    Conflict,
    /// No signature or right.
    Void,
    /// To `Post` and `Release`.
    Acknowledged(Acknowledgement),
}

impl Word {
    /// Whether, from the payer's bank, it ends an order.
    pub fn ends(self) -> bool {
        matches!(self, Word::Outcome(_) | Word::Conflict | Word::Void)
    }
}

/// A statement: the evidence of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Statement {
    /// Whose it says it is.
    pub by: BankIndex,
    /// What it is about: key and bytes.
    pub order: OrderIndex,
    /// What it says.
    pub word: Word,
    /// The signature is that bank's. Nobody else can make it true.
    pub genuine: bool,
}

/// A message to a bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Request {
    /// To the payee's bank.
    Prepare(OrderIndex),
    /// To the payer's bank, with a vote unless both accounts are there.
    Decide(OrderIndex, Option<Statement>),
    /// To the payer's bank.
    Inquire(OrderIndex),
    /// To the payer's bank, signed by the order's maker.
    Cancel(OrderIndex),
    /// To the payee's bank.
    Post(OrderIndex, Statement),
    /// To the payee's bank.
    Release(OrderIndex, Statement),
    /// To the payer's bank.
    Acknowledge(Statement),
}

impl Request {
    /// The order that it is about.
    pub fn order(self) -> OrderIndex {
        match self {
            Request::Prepare(order)
            | Request::Decide(order, _)
            | Request::Inquire(order)
            | Request::Cancel(order)
            | Request::Post(order, _)
            | Request::Release(order, _) => order,
            Request::Acknowledge(statement) => statement.order,
        }
    }

    /// The bank that it goes to.
    pub fn to(self, world: &World) -> BankIndex {
        let order = world.order(self.order());
        match self {
            Request::Prepare(_) | Request::Post(..) | Request::Release(..) => order.payee_bank,
            _ => order.payer_bank,
        }
    }
}

/// What a bank answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reply {
    /// A statement, to the question about this order.
    Said(OrderIndex, Statement),
    /// A statement, to the cancel of this order.
    SaidToCancel(OrderIndex, Statement),
    /// Nothing is recorded for this order.
    Undecided(OrderIndex),
    /// The call about this order changed nothing.
    Refused(OrderIndex),
}

impl Reply {
    /// The order that was asked about.
    pub fn asked(self) -> OrderIndex {
        match self {
            Reply::Said(order, _)
            | Reply::SaidToCancel(order, _)
            | Reply::Undecided(order)
            | Reply::Refused(order) => order,
        }
    }

    /// The statement in it.
    pub fn statement(self) -> Option<Statement> {
        match self {
            Reply::Said(_, statement) | Reply::SaidToCancel(_, statement) => Some(statement),
            Reply::Undecided(_) | Reply::Refused(_) => None,
        }
    }
}

/// Adds to a sorted list what is not there; says whether it was new.
pub fn add<T: Ord>(list: &mut Vec<T>, what: T) -> bool {
    match list.binary_search(&what) {
        Ok(_) => false,
        Err(place) => {
            list.insert(place, what);
            true
        }
    }
}
