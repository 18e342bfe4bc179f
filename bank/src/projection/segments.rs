//! What makes a look-up's miss as trustworthy as its hit. A row that a flipped bit has hidden would let an order be
//! decided again, so the rows of each table that decisions look into are counted and summed by segment, in the same
//! transaction as the rows, and a segment is compared with its rows before a process believes what it says or does not
//! say for the first time.
//!
//! A segment is what has the same first bytes of an id, which is a time in ids of clients (a quarter of a second): one
//! that was begun since the start of the process is compared while it is all but empty, so that new orders cost
//! nothing, and an old one costs its few rows once: some 2 µs each. Somebody who makes all of a million orders in one
//! segment buys one pause of two seconds for each start of the bank.
//!
//! What must never: a decision on the word of a segment that was not compared.

use std::collections::{BTreeMap, HashSet};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use strife_proto::commit::Key;
use strife_proto::signing::sha256;

/// Bytes of an id that are a segment's.
const PREFIX_BYTES: usize = 5;

/// Segments that a process remembers to have compared; past that it begins anew and compares again.
const COMPARED_MAX: usize = 1 << 16;

/// Rows of each table that are compared at a start: those with the newest ids, where whoever asks again asks first. The
/// others are compared when somebody asks.
const ROWS_AT_START: usize = 50_000;

/// A table that decisions look into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Index {
    /// Outcomes by id.
    Outcomes,
    /// Promises, open and ended, by key and hash.
    Promises,
    /// Voids by id and hash.
    Voids,
    /// Administrators' requests by id.
    Requests,
}

impl Index {
    const ALL: [Self; 4] = [Self::Outcomes, Self::Promises, Self::Voids, Self::Requests];

    fn table(self) -> &'static str {
        match self {
            Index::Outcomes => "outcomes",
            Index::Promises => "promises",
            Index::Voids => "voids",
            Index::Requests => "requests",
        }
    }

    /// Every row, newest ids first, with the bank of its key (empty where it is this one) and its id before all others.
    fn newest_first(self) -> &'static str {
        match self {
            Index::Outcomes => "SELECT '', id, * FROM outcomes ORDER BY id DESC LIMIT ?1",
            Index::Promises => {
                "SELECT bank, id, * FROM promises ORDER BY bank DESC, id DESC, hash DESC LIMIT ?1"
            }
            Index::Voids => "SELECT '', id, * FROM voids ORDER BY id DESC, hash DESC LIMIT ?1",
            Index::Requests => "SELECT '', id, * FROM requests ORDER BY id DESC LIMIT ?1",
        }
    }

    /// The rows of one segment: of a bank, from an id, to an id.
    fn of_segment(self) -> &'static str {
        match self {
            Index::Outcomes => "SELECT * FROM outcomes WHERE ?1 = '' AND id BETWEEN ?2 AND ?3",
            Index::Promises => "SELECT * FROM promises WHERE bank = ?1 AND id BETWEEN ?2 AND ?3",
            Index::Voids => "SELECT * FROM voids WHERE ?1 = '' AND id BETWEEN ?2 AND ?3",
            Index::Requests => "SELECT * FROM requests WHERE ?1 = '' AND id BETWEEN ?2 AND ?3",
        }
    }
}

/// One segment of one table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Segment {
    index: Index,
    bank: String,
    prefix: [u8; PREFIX_BYTES],
}

impl Segment {
    /// The segment in which a key's row is or would be.
    pub fn of(index: Index, key: &Key) -> Self {
        let bank = if index == Index::Promises { key.bank.to_string() } else { String::new() };
        Self::at(index, bank, &key.id.0)
    }

    /// The segment of an id; the bank is empty where the table is of this bank's keys alone.
    pub fn at(index: Index, bank: String, id: &[u8]) -> Self {
        let mut prefix = [0; PREFIX_BYTES];
        prefix.iter_mut().zip(id).for_each(|(to, from)| *to = *from);
        Self { index, bank, prefix }
    }

    fn ids(&self) -> ([u8; 16], [u8; 16]) {
        let filled = |with: u8| {
            let mut id = [with; 16];
            id[..PREFIX_BYTES].copy_from_slice(&self.prefix);
            id
        };
        (filled(0), filled(u8::MAX))
    }

    /// Compares it with its rows, both as of one moment.
    fn is_whole(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let moment = connection.unchecked_transaction()?;
        let kept = self.kept(&moment)?;
        let (first, last) = self.ids();
        let mut statement = moment.prepare_cached(self.index.of_segment())?;
        let mut rows = statement.query(params![self.bank, first, last])?;
        let mut found = Sum::default();
        while let Some(row) = rows.next()? {
            found.add(digest_from(row, 0)?);
        }
        Ok(found == kept)
    }

    fn kept(&self, connection: &Connection) -> rusqlite::Result<Sum> {
        connection
            .prepare_cached("SELECT count, sum FROM segments WHERE of = ?1 AND bank = ?2 AND prefix = ?3")?
            .query_row(params![self.index.table(), self.bank, self.prefix], |row| sum_at(row, 0))
            .optional()
            .map(Option::unwrap_or_default)
    }
}

impl std::fmt::Display for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", self.index.table())?;
        if !self.bank.is_empty() {
            write!(f, "of {} ", self.bank)?;
        }
        write!(f, "with ids that begin with ")?;
        self.prefix.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why what the projections say of a key cannot be believed.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// SQLite said so.
    #[error("the projections cannot be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// Rows are not those that were projected.
    #[error(
        "projections.db is damaged: its {0} are not those that were projected. Nothing was decided on its word; the \
         next start makes it anew from the journal"
    )]
    Damaged(String),
}

/// The segments that a process has compared.
#[derive(Debug, Default)]
pub(super) struct Compared(HashSet<Segment>);

impl Compared {
    /// Sees to it that a segment is compared.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn believe(&mut self, connection: &Connection, segment: Segment) -> Result<(), LookupError> {
        if self.0.contains(&segment) {
            return Ok(());
        }
        if !segment.is_whole(connection)? {
            return Err(LookupError::Damaged(segment.to_string()));
        }
        if self.0.len() >= COMPARED_MAX {
            self.0.clear();
        }
        self.0.insert(segment);
        Ok(())
    }
}

/// How many rows, and the sum of their digests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    count: i64,
    sum: u128,
}

impl Sum {
    fn add(&mut self, digest: u128) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(digest);
    }

    fn take(&mut self, digest: u128) {
        self.count -= 1;
        self.sum = self.sum.wrapping_sub(digest);
    }
}

fn sum_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Sum> {
    Ok(Sum { count: row.get(column)?, sum: u128::from_be_bytes(row.get(column + 1)?) })
}

/// The digest of a row's columns from one on.
fn digest_from(row: &Row<'_>, first: usize) -> rusqlite::Result<u128> {
    let columns = (first..row.as_ref().column_count()).map(|column| row.get_ref(column));
    Ok(digest(columns.collect::<Result<Vec<_>, _>>()?.into_iter()))
}

/// 16 bytes of SHA-256 over columns, each with its type and length.
pub(super) fn digest<'a>(columns: impl Iterator<Item = ValueRef<'a>>) -> u128 {
    let mut bytes = Vec::with_capacity(1024);
    for column in columns {
        let (kind, value): (u8, &[u8]) = match column {
            ValueRef::Null => (0, &[]),
            ValueRef::Integer(number) => {
                bytes.push(1);
                bytes.extend(number.to_be_bytes());
                continue;
            }
            ValueRef::Real(number) => {
                bytes.push(2);
                bytes.extend(number.to_bits().to_be_bytes());
                continue;
            }
            ValueRef::Text(text) => (3, text),
            ValueRef::Blob(blob) => (4, blob),
        };
        bytes.push(kind);
        bytes.extend((value.len() as u64).to_be_bytes());
        bytes.extend(value);
    }
    let hash = sha256(&bytes);
    hash.iter().take(16).fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
}

/// What one transaction changes in the segments.
#[derive(Debug, Default)]
pub(super) struct Sums(BTreeMap<Segment, Sum>);

impl Sums {
    /// A row of a segment, by its digest: as it was, if it was there, and as it is.
    pub fn change(&mut self, segment: Segment, before: Option<u128>, now: u128) {
        let sum = self.0.entry(segment).or_default();
        before.into_iter().for_each(|before| sum.take(before));
        sum.add(now);
    }

    /// Writes what has come together.
    pub fn write(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        for (segment, more) in self.0 {
            let kept = segment.kept(transaction)?;
            let (count, sum) = (kept.count + more.count, kept.sum.wrapping_add(more.sum));
            transaction
                .prepare_cached("INSERT OR REPLACE INTO segments VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![
                    segment.index.table(),
                    segment.bank,
                    segment.prefix,
                    count,
                    sum.to_be_bytes()
                ])?;
        }
        Ok(())
    }
}

/// Whether the newest rows of each table are those that were projected.
pub(super) fn newest_are_whole(connection: &Connection) -> rusqlite::Result<bool> {
    newest_are_whole_of(connection, ROWS_AT_START)
}

fn newest_are_whole_of(connection: &Connection, rows_max: usize) -> rusqlite::Result<bool> {
    for index in Index::ALL {
        let mut found: BTreeMap<Segment, Sum> = BTreeMap::new();
        let mut statement = connection.prepare(index.newest_first())?;
        let mut rows = statement.query([rows_max as i64])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            let id: Vec<u8> = row.get(1)?;
            found.entry(Segment::at(index, row.get(0)?, &id)).or_default().add(digest_from(row, 2)?);
        }
        let all = count < rows_max;
        // of the last segment that was read there may be more
        let lowest = if all { None } else { found.pop_first().map(|(segment, _)| segment) };
        if kept_above(connection, index, lowest.as_ref())? != found {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The segments of a table above one, or all.
fn kept_above(
    connection: &Connection,
    index: Index,
    lowest: Option<&Segment>,
) -> rusqlite::Result<BTreeMap<Segment, Sum>> {
    let mut statement = connection.prepare(
        "SELECT bank, prefix, count, sum FROM segments WHERE of = ?1 AND (bank, prefix) > (?2, ?3)
         ORDER BY bank, prefix",
    )?;
    let (bank, prefix) = lowest.map_or(("", &[][..]), |segment| (segment.bank.as_str(), &segment.prefix));
    let rows = statement.query_map(params![index.table(), bank, prefix], |row| {
        Ok((Segment { index, bank: row.get(0)?, prefix: row.get(1)? }, sum_at(row, 2)?))
    })?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use rusqlite::types::Value;
    use strife_proto::commit::OrderHash;

    use super::super::rows::{Place, Rows};
    use super::*;

    fn key(prefix: u8, rest: u8) -> Key {
        let mut id = [rest; 16];
        id[..PREFIX_BYTES].fill(prefix);
        Key {
            bank: strife_proto::commit::BankName::new("Bank1").unwrap(),
            id: strife_proto::commit::TransferId(id),
        }
    }

    /// A table of voids with so many segments of three rows each.
    fn with_rows(segments: u8) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(super::super::SCHEMA).unwrap();
        let transaction = connection.transaction().unwrap();
        let mut rows = Rows::default();
        for prefix in 0..segments {
            for rest in 0..3 {
                let (key, hash) = (key(prefix, rest), OrderHash([rest; 32]));
                let blob = |bytes: &[u8]| Value::Blob(bytes.to_vec());
                let columns = vec![blob(&key.id.0), blob(&hash.0), blob(&[9; 4]), Value::Integer(1)];
                rows.insert(&transaction, Place::void(&key, &hash), columns).unwrap();
            }
        }
        rows.write(&transaction).unwrap();
        transaction.commit().unwrap();
        connection
    }

    #[test]
    fn at_a_start_the_newest_rows_are_compared_wherever_the_last_of_them_stands_in_its_segment() {
        for rows_max in 1..20 {
            let connection = with_rows(4);
            assert!(newest_are_whole_of(&connection, rows_max).unwrap(), "{rows_max}");
            connection.execute("DELETE FROM voids WHERE id = ?1", [key(3, 1).id.0]).unwrap();
            // the newest segment has three rows
            assert_eq!(newest_are_whole_of(&connection, rows_max).unwrap(), rows_max < 3, "{rows_max}");
        }
    }

    #[test]
    fn a_segment_that_no_start_has_compared_is_compared_when_somebody_asks() {
        let connection = with_rows(200);
        connection.execute("DELETE FROM voids WHERE id = ?1", [key(7, 1).id.0]).unwrap();
        assert!(newest_are_whole_of(&connection, 100).unwrap());
        let mut compared = Compared::default();
        for (prefix, whole) in [(6, true), (7, false), (8, true), (250, true)] {
            let believed = compared.believe(&connection, Segment::of(Index::Voids, &key(prefix, 50)));
            assert_eq!(believed.is_ok(), whole, "{prefix}");
        }
        let text =
            compared.believe(&connection, Segment::of(Index::Voids, &key(7, 0))).unwrap_err().to_string();
        assert!(text.contains("its voids with ids that begin with 0707070707"), "{text}");
    }
}
