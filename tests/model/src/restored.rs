//! A restore in the model: the backup, the lists of the counterparts, and the protocol's `Restore` over them.

use strife_commit::Verdict;
use strife_commit::payee::{self, Payee};
use strife_commit::payer::{self, Recalled};
use strife_commit::restore::{Effect, Event, Item, Part, Restore};

use crate::bank::{Bank, Received, Restored, placement};
use crate::journal::{Entry, Journal};
use crate::state::flaws;
use crate::world::{BankIndex, OrderIndex, Statement, Word, World};

/// The number of the one restore of a run.
const RESTORE: u64 = 1;

/// One item of a counterpart's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Returned {
    /// The restored bank's own word, as the payee's bank holds it.
    Said(OrderIndex, Word),
    /// An undecided promise.
    Promised(OrderIndex),
    /// The counterpart's outcome.
    Decided(OrderIndex, Verdict),
}

/// One part of a counterpart's list: an item each, or one part for an empty list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SentPart {
    /// The counterpart.
    pub from: BankIndex,
    /// 1 for its first list.
    pub list: u8,
    /// Which part.
    pub number: u8,
    /// Of how many.
    pub of: u8,
    /// What it returns.
    pub item: Option<Returned>,
}

impl Bank {
    /// Puts the bank back to its backup. `made` are the orders that exist by now.
    pub fn restore(&mut self, world: &World, backup: Journal, made: u8) {
        self.durable = backup;
        let (machine, _) = Restore::begin::<Statement>(RESTORE, counterparts(world, self.own));
        self.restored = Some(Box::new(Restored { machine, predates: made, posted: 0, come: 0 }));
        self.crash(world);
    }

    /// A restore begins anew with each start until it is durably complete.
    pub fn begin_restore(&mut self, world: &World) {
        let Some(restored) = &mut self.restored else { return };
        restored.machine = Restore::begin::<Statement>(RESTORE, counterparts(world, self.own)).0;
        let complete = self.durable.entries().filter_map(|entry| match entry {
            Entry::Restore(record) => Some(*record),
            _ => None,
        });
        complete.for_each(|record| restored.machine.apply(record));
        if !restored.machine.is_serving() {
            (restored.come, restored.posted) = (0, 0);
        }
    }

    /// What this bank returns to a restored one: from what is durable, all of it.
    pub fn list(&self, world: &World, restored: BankIndex, list: u8) -> Vec<SentPart> {
        let items: Vec<_> =
            world.orders().filter_map(|(order, _)| self.item(world, restored, order)).collect();
        let of = u8::try_from(items.len().max(1)).unwrap_or(u8::MAX);
        let items = items.into_iter().map(Some).chain(std::iter::repeat(None));
        (0..of).zip(items).map(|(number, item)| SentPart { from: self.own, list, number, of, item }).collect()
    }

    fn item(&self, world: &World, restored: BankIndex, order: OrderIndex) -> Option<Returned> {
        let said = world.order(order);
        if (said.payer_bank, said.payee_bank) == (self.own, restored) {
            return self.durable.verdict(world, order).map(|verdict| Returned::Decided(order, verdict));
        }
        if (said.payer_bank, said.payee_bank) != (restored, self.own) {
            return None;
        }
        match self.durable.payee(order) {
            Payee::Unknown => None,
            Payee::Promised => Some(Returned::Promised(order)),
            Payee::Posted(_) => Some(Returned::Said(order, Word::Outcome(Verdict::Posted))),
            Payee::Released => {
                let ended = |(record, word)| match record {
                    payee::Record::Released { .. } => word,
                    _ => None,
                };
                self.durable.of_payee(order).find_map(ended).map(|word| Returned::Said(order, word))
            }
        }
    }

    /// A part of a counterpart's list comes. Returns what is wrong then: serving without all parts of some list of every
    /// counterpart, or not serving with them.
    pub fn take_part(&mut self, world: &World, parts: &[SentPart], place: usize) -> u8 {
        let (Some(restored), Some(sent)) = (&mut self.restored, parts.get(place)) else { return 0 };
        restored.come |= 1 << place;
        let items = sent.item.map(|item| item_of(world, sent.from, item)).into_iter().collect();
        let part = Part {
            restore: RESTORE,
            list: sent.list.into(),
            number: sent.number.into(),
            of: sent.of.into(),
            items,
        };
        let bank = world.names[usize::from(sent.from)].clone();
        let effects = restored.machine.handle(Event::Part { bank, part });
        for effect in effects {
            match effect {
                Effect::Ask(_) => {}
                Effect::Recall { hash, said, .. } => {
                    let slot = world.slot(World::order_of(&hash));
                    let event = payer::Event::Recall { hash, said };
                    for effect in self.payers[usize::from(slot)].handle(event) {
                        if let payer::Effect::Record(record) = effect {
                            self.batch.push(Entry::Payer(slot, record));
                        }
                    }
                }
                Effect::Post { hash, .. } => {
                    let order = World::order_of(&hash);
                    let event = payee::Event::Post { placement: placement(world, order) };
                    self.given(order, event, Word::Outcome(Verdict::Posted));
                }
                Effect::Release { hash, statement, .. } => {
                    self.given(World::order_of(&hash), payee::Event::Release, statement.word);
                }
                Effect::Record(record) => self.batch.push(Entry::Restore(record)),
                Effect::Serve => self.serve(world),
            }
        }
        let Some(restored) = &self.restored else { return 0 };
        match (restored.machine.is_serving(), self.has_lists(world, parts)) {
            (true, false) => flaws::SERVED_TOO_EARLY,
            (false, true) => flaws::SERVED_TOO_LATE,
            _ => 0,
        }
    }

    /// The answer of the machine goes to nobody: whoever is owed one asks again.
    fn given(&mut self, order: OrderIndex, event: payee::Event, word: Word) {
        let held = self.held.clone();
        self.payee(order, event, Some(word), &mut Received::default());
        self.held = held;
    }

    fn serve(&mut self, world: &World) {
        let recorded = self.recorded();
        let posted = world.orders().filter(|(order, _)| recorded.has_debited(world, *order));
        let posted = posted.fold(0, |bits, (order, _)| bits | (1 << order));
        if let Some(restored) = &mut self.restored {
            restored.posted = posted;
        }
    }

    /// Whether all parts of some list of every counterpart have come.
    fn has_lists(&self, world: &World, parts: &[SentPart]) -> bool {
        let Some(restored) = &self.restored else { return false };
        let come = |place: usize| restored.come & (1 << place) != 0;
        let complete = |from: BankIndex| {
            (1..=parts.len()).any(|list| {
                let of = |part: &SentPart| part.from == from && usize::from(part.list) == list;
                let mut all = parts.iter().enumerate().filter(|(_, part)| of(part)).peekable();
                all.peek().is_some() && all.all(|(place, _)| come(place))
            })
        };
        world.banks().filter(|bank| *bank != self.own).all(complete)
    }
}

fn counterparts(world: &World, own: BankIndex) -> Vec<strife_commit::BankName> {
    world.banks().filter(|bank| *bank != own).map(|bank| world.names[usize::from(bank)].clone()).collect()
}

fn item_of(world: &World, from: BankIndex, item: Returned) -> Item<Statement> {
    let (Returned::Said(order, _) | Returned::Promised(order) | Returned::Decided(order, _)) = item;
    let (key, hash) = (world.key(order), World::hash(order));
    match item {
        Returned::Said(_, word) => {
            let said = match word {
                Word::Outcome(verdict) => Recalled::Outcome(verdict),
                _ => Recalled::NeverPosts,
            };
            let statement = Statement { by: world.order(order).payer_bank, order, word, genuine: true };
            Item::Said { key, hash, said, statement }
        }
        Returned::Promised(_) => Item::Promised { key, hash },
        Returned::Decided(_, verdict) => {
            let statement = Statement { by: from, order, word: Word::Outcome(verdict), genuine: true };
            Item::Decided { key, hash, verdict, statement }
        }
    }
}
