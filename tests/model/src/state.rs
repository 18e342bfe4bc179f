//! One moment of a run, and everything that can happen next.

use stateright::{Model, Property};
use strife_commit::coordinator::{Coordinator, Effect, Event, Start};
use strife_commit::payee;
use strife_commit::payer::{self, Answer};

use crate::bank::Bank;
use crate::journal::Entry;
use crate::properties;
use crate::restored::SentPart;
use crate::steps;
use crate::world::{BankIndex, Gateways, OrderIndex, Reply, Request, Statement, Word, World, add};

/// What a run remembers, where its world asks for it, to tell that something was reached on a certain way.
pub mod marks {
    /// A crash lost an outcome that was not durable yet.
    pub const LOST_OUTCOME: u8 = 1;
    /// A crash lost a promise that was not durable yet.
    pub const LOST_PROMISE: u8 = 2;
    /// A crash lost a credit that was not durable yet.
    pub const LOST_CREDIT: u8 = 4;
    /// A gateway crashed with a transfer in hand.
    pub const GATEWAY_CRASHED: u8 = 8;
    /// A resolver took up an undecided promise that nobody else had in hand.
    pub const RESOLVED: u8 = 16;
    /// A time-out ended what a gateway did.
    pub const TIMED_OUT: u8 = 32;
}

/// What a step did wrong, where no later state shows it.
pub mod flaws {
    /// A refusal with a record.
    pub const REFUSED_WITH_RECORD: u8 = 1;
    /// Served before every list was complete.
    pub const SERVED_TOO_EARLY: u8 = 2;
    /// Told a client an end without the payer's bank's statement.
    pub const TOLD_WITHOUT_STATEMENT: u8 = 4;
    /// Did not serve when a list of every counterpart was complete.
    pub const SERVED_TOO_LATE: u8 = 8;
}

/// One moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The banks.
    pub banks: Vec<Bank>,
    /// Requests that were ever sent, sorted. None is ever taken away: each may come late, often, or never.
    pub wire: Vec<Request>,
    /// Replies that ever left a bank, sorted, likewise.
    pub said: Vec<Reply>,
    /// What honest gateways have in hand: gateway, order, coordinator.
    pub hands: Vec<(u8, OrderIndex, Coordinator<Statement>)>,
    /// Lists that counterparts have returned to a restored bank.
    pub parts: Vec<SentPart>,
    /// Orders that exist; a set of bits.
    pub made: u8,
    /// The payer's banks' clocks have passed `expires_at`.
    pub late: bool,
    /// See [`marks`].
    pub marks: u8,
    /// See [`flaws`].
    pub flaws: u8,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A client, or a forger, makes an order; honest gateways get it to carry.
    Submit(Option<u8>, OrderIndex),
    /// The maker signs a cancel.
    Cancel(OrderIndex),
    /// A message comes to its bank.
    Deliver(Request),
    /// A reply comes to a gateway.
    Hear(u8, OrderIndex, Reply),
    /// A gateway waits no longer.
    TimeOut(u8, OrderIndex),
    /// A resolver takes up an old promise.
    Promise(u8, OrderIndex),
    /// A resolver takes up an outcome that nobody acknowledged.
    Owed(u8, OrderIndex),
    /// A bank's batch becomes durable.
    Flush(BankIndex),
    /// A bank dies and starts again.
    Crash(BankIndex),
    /// A gateway dies and starts again.
    GatewayCrash(u8),
    /// `expires_at` passes.
    Expire,
    /// A backup is taken.
    Backup(BankIndex),
    /// The bank is put back to its backup.
    Restore(BankIndex),
    /// A counterpart makes its list for the restored bank.
    Return(BankIndex),
    /// A part of a list comes to the restored bank, by its place.
    Part(usize),
}

impl State {
    /// The moment before anything.
    pub fn new(world: &World) -> Self {
        Self {
            banks: world.banks().map(|own| Bank::new(world, own)).collect(),
            wire: Vec::new(),
            said: Vec::new(),
            hands: Vec::new(),
            parts: Vec::new(),
            made: 0,
            late: false,
            marks: 0,
            flaws: 0,
        }
    }

    /// A bank.
    pub fn bank(&self, bank: BankIndex) -> &Bank {
        &self.banks[usize::from(bank)]
    }

    fn bank_mut(&mut self, bank: BankIndex) -> &mut Bank {
        &mut self.banks[usize::from(bank)]
    }

    /// An order exists.
    pub fn is_made(&self, order: OrderIndex) -> bool {
        self.made & (1 << order) != 0
    }

    /// The bank that was restored, if one was.
    pub fn restored(&self) -> Option<&Bank> {
        self.banks.iter().find(|bank| bank.restored.is_some())
    }

    fn mark(&mut self, world: &World, mark: u8) {
        self.marks |= mark & world.marks;
    }

    /// Replies leave: whoever wants may hear them. Without honest gateways only statements matter.
    fn hear(&mut self, world: &World, replies: impl IntoIterator<Item = Reply>) {
        for reply in replies {
            if world.gateways != Gateways::Hostile || reply.statement().is_some() {
                add(&mut self.said, reply);
            }
        }
    }

    fn deliver(&mut self, world: &World, request: Request) -> bool {
        let late = self.late;
        let received = self.bank_mut(request.to(world)).receive(world, late, request);
        if received.refused_with_record {
            self.flaws |= flaws::REFUSED_WITH_RECORD;
        }
        self.hear(world, received.left);
        received.changed
    }

    fn take_in_hand(&mut self, world: &World, gateway: u8, order: OrderIndex, start: Start<Statement>) {
        let (coordinator, effects) = Coordinator::begin(world.order(order).is_interbank(), start);
        self.hands.push((gateway, order, coordinator));
        self.hands.sort_by_key(|(gateway, order, _)| (*gateway, *order));
        self.carry_out(world, order, effects);
    }

    fn carry_out(&mut self, world: &World, order: OrderIndex, effects: Vec<Effect<Statement>>) {
        for effect in effects {
            match effect_of(order, effect) {
                Ok(request) => {
                    add(&mut self.wire, request);
                }
                Err(Some(said)) => {
                    let payers = said.genuine && said.by == world.order(order).payer_bank;
                    if !(payers && said.order == order && said.word.ends()) {
                        self.flaws |= flaws::TOLD_WITHOUT_STATEMENT;
                    }
                }
                Err(None) => {}
            }
        }
    }

    /// Feeds a gateway; says whether anything came of it.
    fn feed(&mut self, world: &World, gateway: u8, order: OrderIndex, event: Event<Statement>) -> bool {
        let held = |(by, about, _): &(u8, OrderIndex, _)| (*by, *about) == (gateway, order);
        let Some(place) = self.hands.iter().position(held) else { return false };
        let mut coordinator = self.hands[place].2.clone();
        let effects = coordinator.handle(event);
        if effects.is_empty() && coordinator == self.hands[place].2 {
            return false;
        }
        if coordinator.is_done() {
            self.hands.remove(place);
        } else {
            self.hands[place].2 = coordinator;
        }
        self.carry_out(world, order, effects);
        true
    }

    /// A gateway has an order in hand.
    pub fn has_in_hand(&self, gateway: u8, order: OrderIndex) -> bool {
        self.hands.iter().any(|(by, about, _)| (*by, *about) == (gateway, order))
    }
}

/// What a gateway's effect is for the network: a request, or an answer to the client with the statement in it.
pub fn effect_of(order: OrderIndex, effect: Effect<Statement>) -> Result<Request, Option<Statement>> {
    use strife_commit::coordinator::Reply as Told;
    Ok(match effect {
        Effect::Prepare => Request::Prepare(order),
        Effect::Decide(vote) => Request::Decide(order, vote),
        Effect::Inquire => Request::Inquire(order),
        Effect::Post(said) => Request::Post(order, said),
        Effect::Release(said) => Request::Release(order, said),
        Effect::Acknowledge(said) => Request::Acknowledge(said),
        Effect::Answer(Told::Ended(_, said)) => return Err(Some(said)),
        Effect::Answer(Told::Pending | Told::Refused(_)) => return Err(None),
    })
}

/// What a reply is for a gateway: what is about something else is no answer, as in the gateway itself.
pub fn event_of(order: OrderIndex, reply: Reply) -> Option<Event<Statement>> {
    Some(match reply {
        Reply::Said(_, said) if said.order == order => match said.word {
            Word::Vote(vote) => Event::Voted(vote, said),
            Word::Outcome(verdict) => Event::Decided(Answer::Outcome(verdict), Some(said)),
            Word::Conflict => Event::Decided(Answer::Conflict, Some(said)),
            Word::Void => Event::Decided(Answer::Void, Some(said)),
            Word::Acknowledged(_) => Event::Acknowledged(said),
        },
        Reply::Said(..) => Event::DecideUnanswered,
        Reply::Undecided(_) => Event::Decided(Answer::Undecided, None),
        Reply::Refused(_) => Event::Decided(Answer::Refused(payer::Refused::BadBallot), None),
        Reply::SaidToCancel(..) => return None,
    })
}

/// The model of one world.
#[derive(Clone, Debug)]
pub struct Net(pub World);

impl Model for Net {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.0)]
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(&self.0)
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        steps::from(&self.0, state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let world = &self.0;
        let mut state = last.clone();
        let changed = match action {
            Action::Submit(gateway, order) => {
                let start = if state.is_made(order) { Start::Again } else { Start::Fresh };
                state.made |= 1 << order;
                if let Some(gateway) = gateway {
                    state.take_in_hand(world, gateway, order, start);
                }
                true
            }
            Action::Cancel(order) => {
                state.made |= 1 << order;
                add(&mut state.wire, Request::Cancel(order))
            }
            Action::Deliver(request) => state.deliver(world, request),
            Action::Hear(gateway, order, reply) => {
                event_of(order, reply).is_some_and(|event| state.feed(world, gateway, order, event))
            }
            Action::TimeOut(gateway, order) => {
                // only that of the phase does anything
                let changed = [Event::PrepareUnanswered, Event::DecideUnanswered, Event::DeliveryUnanswered]
                    .into_iter()
                    .any(|event| state.feed(world, gateway, order, event));
                state.mark(world, marks::TIMED_OUT);
                changed
            }
            Action::Promise(gateway, order) => {
                let bank = state.bank(world.order(order).payee_bank);
                let (_, vote) = bank.promises(world).find(|(about, _)| *about == order)?;
                let undecided = state.bank(world.order(order).payer_bank).durable.outcome(world.slot(order));
                if undecided.is_none() && state.hands.iter().all(|(_, about, _)| *about != order) {
                    state.mark(world, marks::RESOLVED);
                }
                state.take_in_hand(world, gateway, order, Start::Promise(vote));
                true
            }
            Action::Owed(gateway, order) => {
                let bank = state.bank(world.order(order).payer_bank);
                let (_, verdict, said) = bank.owed(world).find(|(about, ..)| *about == order)?;
                state.take_in_hand(world, gateway, order, Start::Owed(verdict, said));
                true
            }
            Action::Flush(bank) => {
                let left = state.bank_mut(bank).flush();
                state.hear(world, left);
                true
            }
            Action::Crash(bank) => {
                state.remember_loss(world, bank);
                state.bank_mut(bank).crash(world);
                true
            }
            Action::GatewayCrash(gateway) => {
                state.mark(world, marks::GATEWAY_CRASHED);
                state.hands.retain(|(by, ..)| *by != gateway);
                true
            }
            Action::Expire => {
                state.late = true;
                true
            }
            Action::Backup(bank) => {
                let bank = state.bank_mut(bank);
                bank.backup = Some(Box::new(bank.durable.clone()));
                true
            }
            Action::Restore(bank) => {
                let made = state.made;
                let backup = state.bank_mut(bank).backup.take()?;
                state.bank_mut(bank).restore(world, *backup, made);
                true
            }
            Action::Return(from) => {
                let restored = state.restored()?.own;
                let lists = state.parts.iter().filter(|part| part.from == from).map(|part| part.list).max();
                let list = state.bank(from).list(world, restored, lists.unwrap_or(0) + 1);
                state.parts.extend(list);
                true
            }
            Action::Part(place) => {
                let restored = state.restored()?.own;
                let parts = state.parts.clone();
                let flaws = state.bank_mut(restored).take_part(world, &parts, place);
                state.flaws |= flaws;
                true
            }
        };
        changed.then_some(state)
    }
}

impl State {
    fn remember_loss(&mut self, world: &World, bank: BankIndex) {
        let lost = self.bank(bank).batch.entries().fold(0, |lost, entry| {
            lost | match entry {
                Entry::Payer(_, payer::Record::Outcome { .. }) => marks::LOST_OUTCOME,
                Entry::Payee(_, payee::Record::Promised, _) => marks::LOST_PROMISE,
                Entry::Payee(_, payee::Record::Posted { .. }, _) => marks::LOST_CREDIT,
                _ => 0,
            }
        });
        self.mark(world, lost);
    }
}
