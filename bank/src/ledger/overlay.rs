//! A batch's view: changes on top of committed state, which become the state once the batch is durable and
//! are dropped if it cannot be.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use crate::ledger::state::*;

/// A committed map. Its records lie side by side, and what doubles as it grows is an index of numbers to them: a
/// million accounts take half the memory that they take in a map of the standard library.
pub type Table<K, V> = IndexMap<K, V>;

/// What one batch changes in a table; `None` is a removal. It is as short as a batch, so that keys that were chosen to
/// collide gain nothing, and the quick hash is enough.
pub type Changed<K, V> = HashMap<K, Option<V>, RandomState>;

/// Changes on top of a committed table.
#[derive(Debug)]
pub struct Layer<'a, K, V> {
    base: &'a Table<K, V>,
    changes: Changed<K, V>,
    /// How many there may be.
    expected: usize,
}

impl<'a, K: Eq + Hash + Clone, V: Clone> Layer<'a, K, V> {
    /// No changes yet; room is made for as many as are expected with the first.
    pub fn over(base: &'a Table<K, V>, expected: usize) -> Self {
        Self { base, changes: Changed::default(), expected }
    }

    fn make_room(&mut self) {
        if self.changes.is_empty() {
            self.changes.reserve(self.expected);
        }
    }

    /// The value as this batch sees it.
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        match self.changes.get(key) {
            Some(change) => change.as_ref(),
            None => self.base.get(key),
        }
    }

    /// The value to change, if there is one.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.make_room();
        match self.changes.entry(key.clone()) {
            Entry::Occupied(change) => change.into_mut().as_mut(),
            Entry::Vacant(place) => {
                let committed = self.base.get(key)?.clone();
                place.insert(Some(committed)).as_mut()
            }
        }
    }

    /// Sets a value.
    pub fn insert(&mut self, key: K, value: V) {
        self.make_room();
        self.changes.insert(key, Some(value));
    }

    /// Takes a value away.
    pub fn remove(&mut self, key: &K) {
        self.make_room();
        self.changes.insert(key.clone(), None);
    }

    /// The changes alone, without the borrow of what is below.
    pub fn into_changes(self) -> Changed<K, V> {
        self.changes
    }
}

/// Makes changes part of a table.
pub fn merge<K: Eq + Hash, V>(table: &mut Table<K, V>, changes: Changed<K, V>) {
    for (key, change) in changes {
        match change {
            Some(value) => table.insert(key, value),
            None => table.swap_remove(&key),
        };
    }
}

macro_rules! overlay {
    ($($field:ident),+ $(,)?) => {
        impl<'a> Overlay<'a> {
            /// A view with no changes yet, for about so many commands or entries.
            pub fn over(state: &'a State, expected: usize) -> Self {
                Self {
                    own: &state.own,
                    next_position: state.next_position,
                    next_account_body: state.next_account_body,
                    logins: HashMap::new(),
                    $($field: Layer::over(&state.$field, expected),)+
                }
            }

            /// The changes alone.
            pub fn into_changes(self) -> Changes {
                Changes {
                    next_position: self.next_position,
                    next_account_body: self.next_account_body,
                    $($field: self.$field.into_changes(),)+
                }
            }
        }

        impl State {
            /// Makes a durable batch's changes the state.
            pub fn merge(&mut self, changes: Changes) {
                self.next_position = changes.next_position;
                self.next_account_body = changes.next_account_body;
                $(merge(&mut self.$field, changes.$field);)+
            }
        }
    };
}

overlay!(
    accounts,
    people,
    devices,
    settlements,
    internal,
    promises,
    promise_counts,
    payers,
    voids,
    payees,
    credits,
    requests,
    sessions,
);

/// All tables as one batch sees them.
#[derive(Debug)]
#[allow(missing_docs)] // each field is documented at State
pub struct Overlay<'a> {
    pub own: &'a Own,
    pub next_position: u64,
    pub next_account_body: u64,
    /// Who has a log-in name: as far as the batch has asked. Memory does not hold them.
    pub logins: HashMap<LoginName, PersonId>,
    pub accounts: Layer<'a, AccountNumber, Account>,
    pub people: Layer<'a, PersonId, Person>,
    pub devices: Layer<'a, KeyId, Device>,
    pub settlements: Layer<'a, (BankName, Currency), Settlement>,
    pub internal: Layer<'a, (Internal, Currency), i64>,
    pub promises: Layer<'a, (Key, OrderHash), Arc<Promise>>,
    pub promise_counts: Layer<'a, (BankName, AccountNumber), usize>,
    pub payers: Layer<'a, Key, Arc<PayerKnown>>,
    pub voids: Layer<'a, (Key, OrderHash), VoidKnown>,
    pub payees: Layer<'a, (Key, OrderHash), PayeeKnown>,
    pub credits: Layer<'a, Key, Credit>,
    pub requests: Layer<'a, [u8; 16], Request>,
    pub sessions: Layer<'a, SessionId, Session>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_seen_by_its_batch_alone_until_it_is_merged() {
        let mut base = Table::from([(1, 10), (2, 20)]);
        let mut layer = Layer::over(&base, 4);
        *layer.get_mut(&1).unwrap() += 1;
        layer.insert(3, 30);
        layer.remove(&2);
        assert_eq!((layer.get(&1), layer.get(&2), layer.get(&3)), (Some(&11), None, Some(&30)));
        assert_eq!(layer.get_mut(&2), None);
        assert_eq!(layer.get_mut(&9), None);
        let changes = layer.into_changes();
        assert_eq!(base, Table::from([(1, 10), (2, 20)]));
        merge(&mut base, changes);
        assert_eq!(base, Table::from([(1, 11), (3, 30)]));
    }
}
