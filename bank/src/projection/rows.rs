//! Rows of the tables that decisions look into, while one transaction changes them: read once, changed in memory as often
//! as entries say, written once, in the order of their keys. A promise that is kept in the same transaction is one row
//! written, not two.

use std::collections::BTreeMap;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{OptionalExtension, Transaction, params_from_iter};
use strife_proto::commit::{Key, OrderHash};

use super::segments::{Index, Segment, Sums, digest};

/// Rows that are held in memory at the most, some 2 KiB each.
const ROWS_MAX: usize = 16_384;

/// Which row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    index: Index,
    /// Of the key; empty where the table is of this bank's keys alone.
    bank: String,
    id: [u8; 16],
    /// Where several orders may have one key.
    hash: Option<[u8; 32]>,
}

impl Place {
    /// Of the outcome of a key.
    pub fn outcome(key: &Key) -> Self {
        Self { index: Index::Outcomes, bank: String::new(), id: key.id.0, hash: None }
    }

    /// Of the promise for an order.
    pub fn promise(key: &Key, hash: &OrderHash) -> Self {
        Self { index: Index::Promises, bank: key.bank.to_string(), id: key.id.0, hash: Some(hash.0) }
    }

    /// Of a void order.
    pub fn void(key: &Key, hash: &OrderHash) -> Self {
        Self { index: Index::Voids, bank: String::new(), id: key.id.0, hash: Some(hash.0) }
    }

    /// Of an administrator's request.
    pub fn request(id: &[u8; 16]) -> Self {
        Self { index: Index::Requests, bank: String::new(), id: *id, hash: None }
    }

    fn key(&self) -> Vec<Value> {
        let bank = (!self.bank.is_empty()).then(|| Value::Text(self.bank.clone()));
        let hash = self.hash.map(|hash| Value::Blob(hash.to_vec()));
        bank.into_iter().chain([Value::Blob(self.id.to_vec())]).chain(hash).collect()
    }

    fn select(&self) -> &'static str {
        match self.index {
            Index::Outcomes => "SELECT * FROM outcomes WHERE id = ?1",
            Index::Promises => "SELECT * FROM promises WHERE bank = ?1 AND id = ?2 AND hash = ?3",
            Index::Voids => "SELECT * FROM voids WHERE id = ?1 AND hash = ?2",
            Index::Requests => "SELECT * FROM requests WHERE id = ?1",
        }
    }

    /// The newest id of the table, and of the bank.
    fn newest(&self) -> &'static str {
        match self.index {
            Index::Outcomes => "SELECT id FROM outcomes WHERE ?1 = '' ORDER BY id DESC LIMIT 1",
            Index::Promises => "SELECT id FROM promises WHERE bank = ?1 ORDER BY id DESC LIMIT 1",
            Index::Voids => "SELECT id FROM voids WHERE ?1 = '' ORDER BY id DESC LIMIT 1",
            Index::Requests => "SELECT id FROM requests WHERE ?1 = '' ORDER BY id DESC LIMIT 1",
        }
    }

    fn replace(&self) -> &'static str {
        match self.index {
            Index::Outcomes => {
                "INSERT OR REPLACE INTO outcomes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
            }
            Index::Promises => {
                "INSERT OR REPLACE INTO promises VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
            }
            Index::Voids => "INSERT OR REPLACE INTO voids VALUES (?1, ?2, ?3, ?4)",
            Index::Requests => "INSERT OR REPLACE INTO requests VALUES (?1, ?2, ?3)",
        }
    }
}

/// A row's columns, in the table's order, the key first.
pub(super) type Columns = Vec<Value>;

#[derive(Debug)]
struct Slot {
    /// As it stands in the file.
    before: Option<u128>,
    /// As it is to stand there.
    now: Option<Columns>,
    changed: bool,
}

/// What one transaction changes.
#[derive(Debug, Default)]
pub(super) struct Rows {
    slots: BTreeMap<Place, Slot>,
    /// The newest id that stands in the file, by table and bank. Ids of clients rise with time, so that most new orders
    /// are past it, and need not be looked for.
    newest: BTreeMap<(Index, String), Option<[u8; 16]>>,
    sums: Sums,
}

impl Rows {
    /// Whether the file may have such a row.
    fn may_stand(
        newest: &mut BTreeMap<(Index, String), Option<[u8; 16]>>,
        transaction: &Transaction<'_>,
        place: &Place,
    ) -> rusqlite::Result<bool> {
        let of = (place.index, place.bank.clone());
        let newest = match newest.get(&of) {
            Some(newest) => *newest,
            None => {
                let found = transaction
                    .prepare_cached(place.newest())?
                    .query_row([&place.bank], |row| row.get(0))
                    .optional()?;
                newest.insert(of, found);
                found
            }
        };
        Ok(newest.is_some_and(|newest| place.id <= newest))
    }

    fn slot(&mut self, transaction: &Transaction<'_>, place: Place) -> rusqlite::Result<&mut Slot> {
        if self.slots.len() >= ROWS_MAX {
            self.write_rows(transaction)?;
        }
        use std::collections::btree_map::Entry;
        Ok(match self.slots.entry(place) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(vacant) => {
                let place = vacant.key();
                let now: Option<Columns> = match Self::may_stand(&mut self.newest, transaction, place)? {
                    true => transaction
                        .prepare_cached(place.select())?
                        .query_row(params_from_iter(place.key()), |row| {
                            (0..row.as_ref().column_count()).map(|column| row.get(column)).collect()
                        })
                        .optional()?,
                    false => None,
                };
                let before = now.as_ref().map(|columns| digest(columns.iter().map(ValueRef::from)));
                vacant.insert(Slot { before, now, changed: false })
            }
        })
    }

    /// Puts a row where there is none.
    pub fn insert(
        &mut self,
        transaction: &Transaction<'_>,
        place: Place,
        columns: Columns,
    ) -> rusqlite::Result<()> {
        let slot = self.slot(transaction, place)?;
        if slot.now.is_none() {
            (slot.now, slot.changed) = (Some(columns), true);
        }
        Ok(())
    }

    /// Changes a row if there is one.
    pub fn change(
        &mut self,
        transaction: &Transaction<'_>,
        place: Place,
        change: impl FnOnce(&mut Columns),
    ) -> rusqlite::Result<()> {
        let slot = self.slot(transaction, place)?;
        if let Some(columns) = &mut slot.now {
            change(columns);
            slot.changed = true;
        }
        Ok(())
    }

    /// Writes the rows that have changed, so that a statement finds them.
    pub fn write_rows(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        // rows that are written now may be the newest
        self.newest.clear();
        for (place, slot) in std::mem::take(&mut self.slots) {
            let (Some(columns), true) = (slot.now, slot.changed) else { continue };
            let now = digest(columns.iter().map(ValueRef::from));
            self.sums.change(Segment::at(place.index, place.bank.clone(), &place.id), slot.before, now);
            transaction.prepare_cached(place.replace())?.execute(params_from_iter(columns))?;
        }
        Ok(())
    }

    /// Writes everything, with the sums of the segments.
    pub fn write(mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        self.write_rows(transaction)?;
        self.sums.write(transaction)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use strife_proto::commit::{BankName, TransferId};

    use super::*;

    fn key(id: u8) -> Key {
        Key { bank: BankName::new("Bank1").unwrap(), id: TransferId([id; 16]) }
    }

    fn void(id: u8, said: u8) -> (Place, Columns) {
        let (key, hash) = (key(id), OrderHash([9; 32]));
        let blob = |bytes: &[u8]| Value::Blob(bytes.to_vec());
        let columns = vec![blob(&key.id.0), blob(&hash.0), blob(&[said]), Value::Integer(1)];
        (Place::void(&key, &hash), columns)
    }

    #[test]
    fn a_row_that_stands_is_found_and_kept_wherever_its_id_is_among_the_others() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(super::super::SCHEMA).unwrap();
        for said in [1, 2] {
            // in the second transaction all of them stand, the newest and older ones, and one is new
            let transaction = connection.transaction().unwrap();
            let mut rows = Rows::default();
            for id in [5, 3, 9, 9 + said] {
                let (place, columns) = void(id, said);
                rows.insert(&transaction, place, columns).unwrap();
                if id == 3 {
                    rows.write_rows(&transaction).unwrap();
                }
            }
            let (place, columns) = void(5, 7);
            rows.insert(&transaction, place, columns).unwrap();
            rows.write(&transaction).unwrap();
            transaction.commit().unwrap();
        }
        let mut statement = connection.prepare("SELECT id, statement FROM voids ORDER BY id").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get::<_, [u8; 16]>(0)?[0], row.get(1)?))).unwrap();
        let rows: Vec<(u8, [u8; 1])> = rows.map(Result::unwrap).collect();
        assert_eq!(rows, [(3, [1]), (5, [1]), (9, [1]), (10, [1]), (11, [2])]);
        assert!(super::super::segments::newest_are_whole(&connection).unwrap());
    }

    #[test]
    fn the_newest_id_is_found_without_reading_the_table() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(super::super::SCHEMA).unwrap();
        let (hash, key) = (OrderHash([0; 32]), key(1));
        let voids = Place::void(&key, &hash);
        for place in [Place::outcome(&key), Place::promise(&key, &hash), voids, Place::request(&key.id.0)] {
            let plan = format!("EXPLAIN QUERY PLAN {}", place.newest());
            let mut statement = connection.prepare(&plan).unwrap();
            let steps = statement.query_map(["Bank1"], |row| row.get::<_, String>(3)).unwrap();
            let steps: Vec<String> = steps.map(Result::unwrap).collect();
            assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
        }
    }
}
