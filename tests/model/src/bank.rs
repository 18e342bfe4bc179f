//! A bank: the protocol's machines behind a door that verifies signatures and a writer that commits in groups.

use strife_commit::payee::{self, Payee};
use strife_commit::payer::{self, Ballot, Payer, Standing};
use strife_commit::restore::Restore;
use strife_commit::{Acknowledgement, Code, Placement, Verdict, Vote};
use strife_faults::{Bug, planted};

use crate::journal::{Entry, Journal};
use crate::world::{BankIndex, OrderIndex, Reply, Request, Statement, Word, World, add};

/// One bank at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bank {
    /// Which one.
    pub own: BankIndex,
    /// What a crash leaves.
    pub durable: Journal,
    /// What the next flush makes durable.
    pub batch: Journal,
    /// What waits for it, sorted.
    pub held: Vec<Reply>,
    /// The payer's machines as they run, by the first order of the key.
    pub payers: Vec<Payer>,
    /// The payee's machines as they run, by order.
    pub payees: Vec<Payee>,
    /// Orders of which the administrator was told; a set of bits. No crash takes it back.
    pub alerts: u8,
    /// What a restore would bring back.
    pub backup: Option<Box<Journal>>,
    /// What remains of a restore.
    pub restored: Option<Box<Restored>>,
}

/// A bank that was restored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Restored {
    /// The protocol's machine.
    pub machine: Restore,
    /// Orders made before the restore; a set of bits.
    pub predates: u8,
    /// Orders that were posted here when serving began; a set of bits.
    pub posted: u8,
    /// Parts that have come, by their place in the state's list; a set of bits. A crash forgets them.
    pub come: u32,
}

/// What came of a message.
#[derive(Debug, Default)]
pub struct Received {
    /// What left at once.
    pub left: Vec<Reply>,
    /// The machine refused and recorded nothing all the same.
    pub refused_with_record: bool,
    /// Something was recorded, held back or reported.
    pub changed: bool,
}

impl Bank {
    /// A bank before the run.
    pub fn new(world: &World, own: BankIndex) -> Self {
        let orders = world.orders.len();
        Self {
            own,
            durable: Journal::default(),
            batch: Journal::default(),
            held: Vec::new(),
            payers: vec![Payer::default(); orders],
            payees: vec![Payee::default(); orders],
            alerts: 0,
            backup: None,
            restored: None,
        }
    }

    /// It votes, decides and states.
    pub fn is_serving(&self) -> bool {
        self.restored.as_ref().is_none_or(|restored| restored.machine.is_serving())
    }

    /// A crash would lose something: a batch, or parts of lists.
    pub fn has_volatile(&self) -> bool {
        let parts = self.restored.as_ref().is_some_and(|restored| restored.come != 0);
        !self.batch.is_empty() || (parts && !self.is_serving())
    }

    /// It can take another command into its batch.
    pub fn is_ready(&self, world: &World) -> bool {
        self.is_serving() && self.batch.len() < world.batch_commands_max
    }

    /// What the payer's account holds, the batch included.
    pub fn balance(&self, world: &World) -> i64 {
        self.durable_balance(world) + self.batch.moved(world).0
    }

    fn durable_balance(&self, world: &World) -> i64 {
        world.funds[usize::from(self.own)] + self.durable.moved(world).0
    }

    /// What was recorded, with what is about to be.
    pub fn recorded(&self) -> Journal {
        let mut all = self.durable.clone();
        self.batch.entries().for_each(|entry| all.push(*entry));
        all
    }

    /// Whether the door lets a message in: the right bank, and statements whose signature is that of the bank that
    /// must have signed them, about this key, of the right kind. The real doors also compare the bytes' hash; here
    /// that is left to the machines, which do it too, so that each line of defence stands alone.
    pub fn admits(world: &World, request: Request) -> bool {
        let about = request.order();
        let order = world.order(about);
        let about_key = |said: &Statement| world.slot(said.order) == world.slot(about);
        let of_payer = |said: &Statement| said.genuine && said.by == order.payer_bank && said.order == about;
        match request {
            Request::Prepare(_) => order.is_interbank(),
            Request::Decide(_, None) => !order.is_interbank(),
            Request::Decide(_, Some(vote)) => {
                let kind = matches!(vote.word, Word::Vote(_));
                let signed = vote.genuine || planted(Bug::VoteNotVerified);
                order.is_interbank() && kind && signed && vote.by == order.payee_bank && about_key(&vote)
            }
            Request::Inquire(_) | Request::Cancel(_) => true,
            Request::Post(_, said) => {
                order.is_interbank() && of_payer(&said) && said.word == Word::Outcome(Verdict::Posted)
            }
            Request::Release(_, said) => {
                let declines = said.word.ends() && said.word != Word::Outcome(Verdict::Posted);
                order.is_interbank() && of_payer(&said) && declines
            }
            Request::Acknowledge(said) => said.genuine && matches!(said.word, Word::Acknowledged(_)),
        }
    }

    /// Handles a message that the door let in.
    pub fn receive(&mut self, world: &World, late: bool, request: Request) -> Received {
        let mut received = Received::default();
        let (held, recorded, alerts) = (self.held.len(), self.batch.len(), self.alerts);
        match request {
            Request::Prepare(order) => {
                let check = self.may_promise(world, order);
                self.payee(order, payee::Event::Prepare { check }, None, &mut received);
            }
            Request::Post(order, said) => {
                let placement = placement(world, order);
                self.payee(order, payee::Event::Post { placement }, Some(said.word), &mut received);
            }
            Request::Release(order, said) => {
                self.payee(order, payee::Event::Release, Some(said.word), &mut received);
            }
            Request::Acknowledge(said) if !self.fits(world, &said) => {}
            _ => self.payer(world, late, request, &mut received),
        }
        received.changed = !received.left.is_empty()
            || self.held.len() != held
            || self.batch.len() != recorded
            || self.alerts != alerts;
        received
    }

    /// An acknowledgement counts only from the payee's bank, and only if it says what the outcome asked for.
    fn fits(&self, world: &World, said: &Statement) -> bool {
        let machine = &self.payers[usize::from(world.slot(said.order))];
        let Some((hash, verdict)) = machine.outcome().filter(|_| machine.is_owed()) else { return true };
        let asked = match said.word {
            Word::Acknowledged(Acknowledgement::Credited(_)) => verdict == Verdict::Posted,
            _ => verdict != Verdict::Posted,
        };
        asked && world.order(World::order_of(&hash)).payee_bank == said.by
    }

    fn payer(&mut self, world: &World, late: bool, request: Request, received: &mut Received) {
        let order = request.order();
        let hash = World::hash(order);
        let interbank = world.order(order).is_interbank();
        let standing = self.standing(world, late, order);
        let event = match request {
            Request::Decide(_, vote) => {
                let ballot = match vote {
                    Some(Statement { order, word: Word::Vote(vote), .. }) => {
                        Ballot::Vote { hash: World::hash(order), vote }
                    }
                    _ => Ballot::NotNeeded,
                };
                payer::Event::Decide { hash, standing, ballot }
            }
            Request::Inquire(_) => payer::Event::Inquire { hash, standing, interbank },
            Request::Cancel(_) => {
                payer::Event::Cancel { hash, authorised: world.order(order).authorised, interbank }
            }
            _ => payer::Event::Acknowledge { hash },
        };
        let slot = world.slot(order);
        let to_cancel = matches!(request, Request::Cancel(_));
        let recorded = self.batch.len();
        let effects = self.payers[usize::from(slot)].handle(event);
        for effect in effects {
            match effect {
                payer::Effect::Record(record) => self.batch.push(Entry::Payer(slot, record)),
                payer::Effect::Reply(answer) => {
                    if let Some(reply) = self.answer(slot, order, answer, to_cancel) {
                        self.leave(reply, received);
                    }
                    received.refused_with_record |=
                        matches!(answer, payer::Answer::Refused(_)) && self.batch.len() != recorded;
                }
            }
        }
    }

    /// A driver signs what is recorded; only where nothing is, what the machine says.
    fn answer(
        &self,
        slot: OrderIndex,
        asked: OrderIndex,
        answer: payer::Answer,
        to_cancel: bool,
    ) -> Option<Reply> {
        let (about, word) = match answer {
            payer::Answer::Outcome(verdict) => match self.payers[usize::from(slot)].outcome() {
                Some((hash, recorded)) => (World::order_of(&hash), Word::Outcome(recorded)),
                None => (asked, Word::Outcome(verdict)),
            },
            payer::Answer::Conflict => (asked, Word::Conflict),
            payer::Answer::Void => (asked, Word::Void),
            payer::Answer::Undecided => return Some(Reply::Undecided(asked)),
            payer::Answer::Refused(_) => return Some(Reply::Refused(asked)),
            payer::Answer::Noted => return None,
        };
        let statement = self.sign(about, word);
        Some(if to_cancel { Reply::SaidToCancel(asked, statement) } else { Reply::Said(asked, statement) })
    }

    /// One event at the payee's machine of an order.
    pub fn payee(
        &mut self,
        order: OrderIndex,
        event: payee::Event,
        word: Option<Word>,
        received: &mut Received,
    ) {
        let effects = self.payees[usize::from(order)].handle(event);
        for effect in effects {
            match effect {
                payee::Effect::Record(record) => self.batch.push(Entry::Payee(order, record, word)),
                payee::Effect::Alert(_) => self.alerts |= 1 << order,
                payee::Effect::Reply(payee::Answer::Vote(vote)) => {
                    self.leave(Reply::Said(order, self.sign(order, Word::Vote(vote))), received);
                }
                payee::Effect::Reply(payee::Answer::Acknowledged(said)) => {
                    self.leave(Reply::Said(order, self.sign(order, Word::Acknowledged(said))), received);
                }
                payee::Effect::Reply(payee::Answer::Contradiction) => {}
            }
        }
    }

    fn sign(&self, order: OrderIndex, word: Word) -> Statement {
        Statement { by: self.own, order, word, genuine: true }
    }

    /// A reply waits for every record before it, in this batch too.
    fn leave(&mut self, reply: Reply, received: &mut Received) {
        if self.batch.is_empty() || planted(Bug::AnswerBeforeSync) {
            received.left.push(reply);
        } else {
            add(&mut self.held, reply);
        }
    }

    fn standing(&self, world: &World, late: bool, order: OrderIndex) -> Standing {
        let said = world.order(order);
        let balance =
            if planted(Bug::FloorNotChecked) { self.durable_balance(world) } else { self.balance(world) };
        let ledger = if balance < said.amount {
            Err(Code::InsufficientFunds)
        } else if !said.is_interbank() && !said.payee_exists {
            Err(Code::UnknownAccount)
        } else {
            Ok(())
        };
        let predates = self.restored.as_ref().map_or(0, |restored| restored.predates);
        Standing {
            authorised: said.authorised,
            predates_restore: predates & (1 << order) != 0,
            expired: late && said.expires,
            ledger,
        }
    }

    fn may_promise(&self, world: &World, order: OrderIndex) -> Result<(), Code> {
        let said = world.order(order);
        if !said.payee_exists {
            return Err(Code::UnknownAccount);
        }
        if self.recorded().exposure(world, said.payer_bank) + said.amount > world.cap {
            return Err(Code::SettlementCap);
        }
        Ok(())
    }

    /// One durable commit; returns what was held back.
    pub fn flush(&mut self) -> Vec<Reply> {
        self.batch.entries().for_each(|entry| self.durable.push(*entry));
        self.batch.clear();
        std::mem::take(&mut self.held)
    }

    /// The process dies and starts again: only what is durable is left.
    pub fn crash(&mut self, world: &World) {
        self.batch.clear();
        self.held.clear();
        for (order, _) in world.orders() {
            self.payers[usize::from(order)] = self.durable.payer(order);
            self.payees[usize::from(order)] = match self.durable.payee(order) {
                Payee::Promised if planted(Bug::PromiseForgotten) => Payee::Unknown,
                replayed => replayed,
            };
        }
        self.begin_restore(world);
    }

    /// Old promises with the vote that was stored with them, as a resolver is told.
    pub fn promises(&self, world: &World) -> impl Iterator<Item = (OrderIndex, Statement)> {
        let own = self.own;
        let here = world.orders().filter(move |(_, order)| order.payee_bank == own && order.is_interbank());
        let open =
            here.filter(|(order, _)| self.is_serving() && self.durable.payee(*order) == Payee::Promised);
        open.map(|(order, _)| (order, self.sign(order, Word::Vote(Vote::Yes))))
    }

    /// Outcomes that nobody has acknowledged, as a resolver is told.
    pub fn owed(&self, world: &World) -> impl Iterator<Item = (OrderIndex, Verdict, Statement)> {
        let own = self.own;
        let here = world.orders().filter(move |(_, order)| order.payer_bank == own && order.is_interbank());
        here.filter_map(|(order, _)| {
            let machine = self.durable.payer(world.slot(order));
            let (_, verdict) = machine.outcome().filter(|(hash, _)| *hash == World::hash(order))?;
            let owed = self.is_serving() && machine.is_owed();
            owed.then(|| (order, verdict, self.sign(order, Word::Outcome(verdict))))
        })
    }
}

/// Where the money of a `Post` can go.
pub fn placement(world: &World, order: OrderIndex) -> Placement {
    if world.order(order).payee_exists { Placement::Account } else { Placement::Suspense }
}
