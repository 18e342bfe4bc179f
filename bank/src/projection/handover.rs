//! Committed entries on their way from the writer to the projections, in memory: reading them back from the journal,
//! checking its chain and decoding them costs as much as projecting them. What is not here is read from the journal, so
//! that nothing depends on it: not after a start, not when the projections lag far behind.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::journal::Chain;
use crate::ledger::Entry;

/// Entries that are kept here, some 2 KiB each; past that the oldest are let go.
const ENTRIES_MAX: usize = 16_384;

/// A durable batch.
#[derive(Debug)]
pub struct Handed {
    /// The journal's chain after it.
    pub chain: Chain,
    /// Position of its first entry.
    pub first_position: u64,
    /// Its entries.
    pub entries: Vec<Entry>,
    /// Length of its row in the journal.
    pub bytes: usize,
}

/// Where batches are left once they are durable.
#[derive(Debug, Default)]
pub struct Handover(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    batches: VecDeque<Handed>,
    entries: usize,
}

impl Kept {
    fn pop(&mut self) -> Option<Handed> {
        let first = self.batches.pop_front()?;
        self.entries -= first.entries.len();
        Some(first)
    }
}

impl Handover {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a batch, which is durable, and the next after the one that was left last.
    pub fn put(&self, batch: Handed) {
        let mut kept = self.lock();
        kept.entries += batch.entries.len();
        kept.batches.push_back(batch);
        while kept.entries > ENTRIES_MAX && kept.pop().is_some() {}
    }

    /// Takes the batches that follow one, at most so many; none if the next of them is not here.
    pub(super) fn take(&self, after: u64, count_max: usize) -> Vec<Handed> {
        let mut kept = self.lock();
        while kept.batches.front().is_some_and(|first| first.chain.number <= after) {
            kept.pop();
        }
        if kept.batches.front().is_none_or(|first| first.chain.number != after + 1) {
            return Vec::new();
        }
        std::iter::from_fn(|| kept.pop()).take(count_max).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(number: u64, entries: usize) -> Handed {
        use crate::ledger::{Kind, state::PersonId};
        let kind = Kind::PersonAdded { person: PersonId([1; 16]), row_digest: bytes::Bytes::new() };
        let entry = Entry { at_ms: 0, legs: Vec::new(), kind };
        let chain = Chain { number, ..Chain::default() };
        Handed { chain, first_position: 1, entries: vec![entry; entries], bytes: 0 }
    }

    fn numbers(batches: Vec<Handed>) -> Vec<u64> {
        batches.into_iter().map(|batch| batch.chain.number).collect()
    }

    #[test]
    fn what_follows_is_taken_in_order_and_a_gap_is_left_to_the_journal() {
        let handover = Handover::default();
        (3..9).for_each(|number| handover.put(batch(number, 1)));
        assert_eq!(numbers(handover.take(1, 9)), [0; 0]);
        assert_eq!(numbers(handover.take(3, 2)), [4, 5]);
        // they were read from the journal meanwhile
        assert_eq!(numbers(handover.take(7, 9)), [8]);
        assert_eq!(numbers(handover.take(8, 9)), [0; 0]);
    }

    #[test]
    fn what_nobody_takes_does_not_fill_the_memory() {
        let handover = Handover::default();
        (1..=100).for_each(|number| handover.put(batch(number, 1_000)));
        assert_eq!(numbers(handover.take(0, 9)), [0; 0]);
        assert_eq!(numbers(handover.take(84, 900)), (85..=100).collect::<Vec<_>>());
        assert_eq!(handover.lock().entries, 0);
    }
}
