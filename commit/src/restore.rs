//! A bank that was restored from a backup: it serves nothing until every counterpart has returned what concerns
//! it.
//!
//! A restore has a number that no other restore of this bank has. Each counterpart answers it with a signed
//! list, in numbered parts: the outcomes, voids and conflicts of this bank that it holds, its undecided
//! promises, and its own outcomes whose payee's bank this is. Parts come late, twice and in any order. A list is
//! as of a position in the counterpart's journal. Every list was made after the restore began, so any one that is
//! complete will do: the parts of several lists are counted side by side, and a list that was begun again does not undo
//! what had come of the one before it.
//!
//! What no counterpart holds is lost: see `predates_restore` in [`payer::Standing`](crate::payer::Standing).

use std::collections::{BTreeMap, BTreeSet};

use crate::payer::Recalled;
use crate::words::{BankName, Key, OrderHash, Verdict};

/// One restore of one bank: whose lists are complete.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Restore {
    number: u64,
    awaited: BTreeMap<BankName, Lists>,
    serving: bool,
}

/// What has come of a counterpart's lists, by the position as of which each was made.
type Lists = BTreeMap<u64, Came>;

/// Lists of one counterpart that are counted side by side; past that, the one of which the least has come goes.
const LISTS_MAX: usize = 16;

/// What has come of one list: one part at least.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Came {
    of: u32,
    parts: BTreeSet<u32>,
}

/// One thing that a counterpart returns, with the statement `E` that proves it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Item<E> {
    /// The counterpart is the payee's bank and holds this bank's own statement.
    Said {
        /// The transfer's key; this bank is the payer's bank.
        key: Key,
        /// SHA-256 of the order's bytes.
        hash: OrderHash,
        /// What this bank had said.
        said: Recalled,
        /// This bank's own statement.
        statement: E,
    },
    /// The counterpart is the payee's bank and knows no end of its promise.
    Promised {
        /// The transfer's key; this bank is the payer's bank.
        key: Key,
        /// SHA-256 of the promised bytes.
        hash: OrderHash,
    },
    /// The counterpart is the payer's bank and has decided a transfer to this bank.
    Decided {
        /// The transfer's key; the counterpart is the payer's bank.
        key: Key,
        /// SHA-256 of the decided bytes.
        hash: OrderHash,
        /// The outcome.
        verdict: Verdict,
        /// The counterpart's statement.
        statement: E,
    },
}

/// A numbered part of a counterpart's list. Its signature and those of its statements have been verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Part<E> {
    /// The restore that it answers.
    pub restore: u64,
    /// The position in the counterpart's journal as of which the list was made.
    pub list: u64,
    /// Which part this is, from 0.
    pub number: u32,
    /// How many parts the list has: one at least, even for nothing.
    pub of: u32,
    /// What it returns.
    pub items: Vec<Item<E>>,
}

/// What can happen while a bank is being restored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event<E> {
    /// A part of a counterpart's list.
    Part {
        /// The counterpart that signed it.
        bank: BankName,
        /// The part.
        part: Part<E>,
    },
    /// Time has passed: whoever has not returned everything is asked again.
    Unanswered,
}

/// What must become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// Everything has been returned, and recorded before this.
    Complete {
        /// The number of the restore.
        restore: u64,
    },
}

/// One step of the restore, in the order in which it is carried out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<E> {
    /// Ask this counterpart for its list.
    Ask(BankName),
    /// Tell the payer's machine of this key what it had said.
    Recall {
        /// The transfer's key.
        key: Key,
        /// SHA-256 of the order's bytes.
        hash: OrderHash,
        /// What this bank had said.
        said: Recalled,
        /// This bank's own statement, to be kept as it is.
        statement: E,
    },
    /// Give this `posted` to the payee's machine.
    Post {
        /// The transfer's key.
        key: Key,
        /// SHA-256 of the order's bytes.
        hash: OrderHash,
        /// The counterpart's statement.
        statement: E,
    },
    /// Give this `declined` to the payee's machine.
    Release {
        /// The transfer's key.
        key: Key,
        /// SHA-256 of the order's bytes.
        hash: OrderHash,
        /// The counterpart's statement.
        statement: E,
    },
    /// Append; must be durable, with everything before it, before anything is served.
    Record(Record),
    /// Serve again.
    Serve,
}

impl Restore {
    /// Begins, after each start until [`Record::Complete`] is durable, and says whom to ask.
    pub fn begin<E>(number: u64, counterparts: impl IntoIterator<Item = BankName>) -> (Self, Vec<Effect<E>>) {
        let awaited = counterparts.into_iter().map(|bank| (bank, Lists::new())).collect();
        let mut restore = Self { number, awaited, serving: false };
        let mut effects = restore.ask();
        effects.extend(restore.finish());
        (restore, effects)
    }

    /// Whether the bank may vote, decide and state.
    pub fn is_serving(&self) -> bool {
        self.serving
    }

    /// Handles one event: changes the state and returns what to do, in order.
    pub fn handle<E>(&mut self, event: Event<E>) -> Vec<Effect<E>> {
        match event {
            Event::Part { bank, part } => {
                let Some(items) = self.take(&bank, part) else { return Vec::new() };
                let mut effects: Vec<_> = items.into_iter().filter_map(given).collect();
                effects.extend(self.finish());
                effects
            }
            Event::Unanswered => self.ask(),
        }
    }

    /// Replays what was recorded.
    pub fn apply(&mut self, record: Record) {
        let Record::Complete { restore } = record;
        self.serving |= restore == self.number;
    }

    /// The items of a part that has not come before; `None` for what is late, of another restore or malformed.
    fn take<E>(&mut self, bank: &BankName, part: Part<E>) -> Option<Vec<Item<E>>> {
        if self.serving || part.restore != self.number || part.number >= part.of {
            return None;
        }
        let lists = self.awaited.get_mut(bank)?;
        if lists.len() >= LISTS_MAX && !lists.contains_key(&part.list) {
            let least = lists.iter().min_by_key(|(_, came)| came.parts.len()).map(|(list, _)| *list);
            least.map(|list| lists.remove(&list));
        }
        let came = lists.entry(part.list).or_insert_with(|| Came { of: part.of, parts: BTreeSet::new() });
        (part.of == came.of && came.parts.insert(part.number)).then_some(part.items)
    }

    fn ask<E>(&self) -> Vec<Effect<E>> {
        let missing = self.awaited.iter().filter(|(_, lists)| !is_complete(lists));
        missing.map(|(bank, _)| Effect::Ask(bank.clone())).collect()
    }

    fn finish<E>(&mut self) -> Vec<Effect<E>> {
        if self.serving || !self.awaited.values().all(is_complete) {
            return Vec::new();
        }
        let record = Record::Complete { restore: self.number };
        self.apply(record);
        vec![Effect::Record(record), Effect::Serve]
    }
}

/// Whether any one list has come as a whole.
fn is_complete(lists: &Lists) -> bool {
    lists.values().any(|came| u32::try_from(came.parts.len()) == Ok(came.of))
}

/// A promise gives nothing: its order is declined, `RESTORED`, when somebody asks for it.
fn given<E>(item: Item<E>) -> Option<Effect<E>> {
    match item {
        Item::Said { key, hash, said, statement } => Some(Effect::Recall { key, hash, said, statement }),
        Item::Promised { .. } => None,
        Item::Decided { key, hash, verdict: Verdict::Posted, statement } => {
            Some(Effect::Post { key, hash, statement })
        }
        Item::Decided { key, hash, verdict: Verdict::Declined(_), statement } => {
            Some(Effect::Release { key, hash, statement })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{Code, TransferId};

    type Text = &'static str;
    type Did = Effect<Text>;

    const HASH: OrderHash = OrderHash([1; 32]);

    fn bank(name: &str) -> BankName {
        BankName::new(name).unwrap()
    }

    fn key(name: &str) -> Key {
        Key { bank: bank(name), id: TransferId([7; 16]) }
    }

    fn begin() -> Restore {
        Restore::begin::<Text>(5, [bank("B"), bank("C")]).0
    }

    fn part(list: u64, number: u32, of: u32, items: Vec<Item<Text>>) -> Part<Text> {
        Part { restore: 5, list, number, of, items }
    }

    fn comes(restore: &mut Restore, from: &str, part: Part<Text>) -> Vec<Did> {
        restore.handle(Event::Part { bank: bank(from), part })
    }

    fn done() -> Vec<Did> {
        vec![Effect::Record(Record::Complete { restore: 5 }), Effect::Serve]
    }

    #[test]
    fn everybody_is_asked_and_nothing_is_served() {
        let (restore, effects) = Restore::begin::<Text>(5, [bank("B"), bank("C")]);
        assert_eq!(effects, [Did::Ask(bank("B")), Effect::Ask(bank("C"))]);
        assert!(!restore.is_serving());
    }

    #[test]
    fn a_bank_without_counterparts_serves_at_once_behind_its_record() {
        let (restore, effects) = Restore::begin::<Text>(5, []);
        assert_eq!(effects, done());
        assert!(restore.is_serving());
    }

    #[test]
    fn serving_begins_only_with_the_last_part_of_the_last_counterpart() {
        let mut restore = begin();
        assert_eq!(comes(&mut restore, "B", part(9, 1, 2, vec![])), []);
        assert_eq!(comes(&mut restore, "C", part(3, 0, 1, vec![])), []);
        assert!(!restore.is_serving());
        assert_eq!(comes(&mut restore, "B", part(9, 0, 2, vec![])), done(), "in any order");
        assert!(restore.is_serving());
    }

    #[test]
    fn a_part_that_comes_twice_counts_once_and_gives_nothing_again() {
        let mut restore = begin();
        comes(&mut restore, "C", part(3, 0, 1, vec![]));
        let item = Item::Decided { key: key("B"), hash: HASH, verdict: Verdict::Posted, statement: "posted" };
        let first = comes(&mut restore, "B", part(9, 0, 2, vec![item.clone()]));
        assert_eq!(first, [Effect::Post { key: key("B"), hash: HASH, statement: "posted" }]);
        assert_eq!(comes(&mut restore, "B", part(9, 0, 2, vec![item])), []);
        assert!(!restore.is_serving());
    }

    #[test]
    fn what_is_late_strange_or_malformed_is_ignored() {
        let mut restore = begin();
        let untouched = restore.clone();
        let other = Part { restore: 4, ..part(9, 0, 1, vec![]) };
        assert_eq!(comes(&mut restore, "B", other), [], "of another restore");
        assert_eq!(comes(&mut restore, "D", part(9, 0, 1, vec![])), [], "of nobody who was asked");
        assert_eq!(comes(&mut restore, "B", part(9, 1, 1, vec![])), [], "the second of one");
        assert_eq!(comes(&mut restore, "B", part(9, 0, 0, vec![])), [], "the first of none");
        assert_eq!(restore, untouched);
        comes(&mut restore, "B", part(9, 0, 2, vec![]));
        assert_eq!(comes(&mut restore, "B", part(9, 1, 3, vec![])), [], "of another length");
        comes(&mut restore, "B", part(9, 1, 2, vec![]));
        assert_eq!(comes(&mut restore, "C", part(3, 0, 1, vec![])), done());
        let served = restore.clone();
        let item = Item::Decided { key: key("B"), hash: HASH, verdict: Verdict::Posted, statement: "posted" };
        assert_eq!(comes(&mut restore, "B", part(10, 0, 1, vec![item])), [], "after the end");
        assert_eq!(restore, served);
    }

    #[test]
    fn parts_of_two_lists_do_not_make_one_complete_list() {
        let mut restore = begin();
        comes(&mut restore, "C", part(3, 0, 1, vec![]));
        comes(&mut restore, "B", part(9, 0, 2, vec![]));
        assert_eq!(comes(&mut restore, "B", part(10, 1, 2, vec![])), [], "one of each");
        assert!(!restore.is_serving());
        assert_eq!(comes(&mut restore, "B", part(10, 0, 2, vec![])), done());
    }

    #[test]
    fn a_list_that_is_begun_again_does_not_undo_the_one_before_it() {
        let mut restore = begin();
        comes(&mut restore, "C", part(3, 0, 1, vec![]));
        comes(&mut restore, "B", part(9, 0, 2, vec![]));
        // asked again too early, it begins another list, of which a part overtakes the rest of the first
        assert_eq!(restore.handle(Event::Unanswered), [Did::Ask(bank("B"))]);
        comes(&mut restore, "B", part(10, 0, 3, vec![]));
        assert_eq!(comes(&mut restore, "B", part(9, 1, 2, vec![])), done());
    }

    #[test]
    fn however_often_it_is_asked_again_a_restore_ends_once_one_list_is_whole() {
        // the counterpart's answer takes longer than a question: each list is overtaken by the next
        let mut restore = begin();
        comes(&mut restore, "C", part(3, 0, 1, vec![]));
        for list in 0..1_000 {
            assert_eq!(comes(&mut restore, "B", part(list, 0, 2, vec![])), []);
        }
        assert!(restore.awaited[&bank("B")].len() <= LISTS_MAX);
        assert_eq!(comes(&mut restore, "B", part(999, 1, 2, vec![])), done());
    }

    #[test]
    fn of_too_many_lists_the_one_of_which_the_least_has_come_goes() {
        let mut restore = begin();
        comes(&mut restore, "C", part(3, 0, 1, vec![]));
        for number in 0..2 {
            comes(&mut restore, "B", part(1, number, 3, vec![]));
        }
        for list in 2..100 {
            comes(&mut restore, "B", part(list, 0, 3, vec![]));
        }
        assert_eq!(comes(&mut restore, "B", part(1, 2, 3, vec![])), done());
    }

    #[test]
    fn each_item_goes_to_the_machine_that_it_concerns() {
        let declined = Verdict::Declined(Code::Cancelled);
        let items = vec![
            Item::Said {
                key: key("A"),
                hash: HASH,
                said: Recalled::Outcome(Verdict::Posted),
                statement: "own posted",
            },
            Item::Said { key: key("A"), hash: HASH, said: Recalled::NeverPosts, statement: "own void" },
            Item::Promised { key: key("A"), hash: HASH },
            Item::Decided { key: key("B"), hash: HASH, verdict: Verdict::Posted, statement: "posted" },
            Item::Decided { key: key("B"), hash: HASH, verdict: declined, statement: "declined" },
        ];
        let effects = comes(&mut begin(), "B", part(9, 0, 1, items));
        let said = Recalled::Outcome(Verdict::Posted);
        assert_eq!(
            effects,
            [
                Effect::Recall { key: key("A"), hash: HASH, said, statement: "own posted" },
                Effect::Recall {
                    key: key("A"),
                    hash: HASH,
                    said: Recalled::NeverPosts,
                    statement: "own void"
                },
                Effect::Post { key: key("B"), hash: HASH, statement: "posted" },
                Effect::Release { key: key("B"), hash: HASH, statement: "declined" },
            ]
        );
    }

    #[test]
    fn what_is_given_stands_before_the_end_of_the_restore() {
        let item = Item::Decided { key: key("B"), hash: HASH, verdict: Verdict::Posted, statement: "posted" };
        let (mut restore, _) = Restore::begin::<Text>(5, [bank("B")]);
        let effects = comes(&mut restore, "B", part(9, 0, 1, vec![item]));
        assert_eq!(effects.first(), Some(&Effect::Post { key: key("B"), hash: HASH, statement: "posted" }));
        assert_eq!(effects[1..], done());
    }

    #[test]
    fn only_those_who_owe_something_are_asked_again() {
        let mut restore = begin();
        comes(&mut restore, "B", part(9, 0, 1, vec![]));
        comes(&mut restore, "C", part(3, 0, 2, vec![]));
        assert_eq!(restore.handle(Event::Unanswered), [Did::Ask(bank("C"))]);
        comes(&mut restore, "C", part(3, 1, 2, vec![]));
        assert_eq!(restore.handle::<Text>(Event::Unanswered), []);
    }

    #[test]
    fn replaying_the_record_serves_and_that_of_another_restore_does_not() {
        let mut replayed = begin();
        replayed.apply(Record::Complete { restore: 4 });
        assert!(!replayed.is_serving());
        for _ in 0..2 {
            replayed.apply(Record::Complete { restore: 5 });
            assert!(replayed.is_serving());
        }
    }
}
