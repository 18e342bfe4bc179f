//! The projections against a fresh projection of the journal, row by row; and what only the whole history shows: that
//! no refund was of another's payment, and all refunds of one never more than it (I15).

use std::cmp::Ordering;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, Rows};
use strife_proto::commit::Key;
use strife_proto::domain::Order;

use super::folder::{CannotVerify, Report};
use crate::journal::JournalReader;
use crate::journal::connection::open_still;
use crate::ledger::Credit;
use crate::ledger::refund::may_refund;
use crate::ledger::state::Own;
use crate::projection::{self, FILE, ProjectionError, Scratch};

/// Each table, and the columns that its rows are known by, which stand first in it.
const TABLES: [(&str, &[&str]); 7] = [
    ("outcomes", &["id"]),
    ("voids", &["id", "hash"]),
    ("promises", &["bank", "id", "hash"]),
    ("requests", &["id"]),
    ("segments", &["of", "bank", "prefix"]),
    ("balances", &["account"]),
    ("movements", &["account", "position", "leg"]),
];

/// Adds what is wrong with the projections to the report.
pub(super) fn check(
    dir: &Path,
    own: &Own,
    journal: &JournalReader,
    report: &mut Report,
) -> Result<(), CannotVerify> {
    let folder =
        tempfile::tempdir().map_err(|source| CannotVerify::Io { path: std::env::temp_dir(), source })?;
    if let Err(error) = check_in(folder.path(), dir, own, journal, report) {
        report.file(FILE, format!("the journal cannot be projected: {error}"));
    }
    Ok(())
}

fn check_in(
    scratch: &Path,
    dir: &Path,
    own: &Own,
    journal: &JournalReader,
    report: &mut Report,
) -> Result<(), ProjectionError> {
    let mut fresh = Scratch::create(&scratch.join(FILE), &own.network)?;
    match projection::seen(dir) {
        Some((last, hash)) => {
            let fresh = fresh.project(journal, last)?;
            if let Err(error) = compare(fresh, &dir.join(FILE), hash, report) {
                report.file(FILE, format!("it cannot be read: {error}"));
            }
        }
        None => {
            report.notes.push(format!("there is no {FILE} of this schema; the next start makes it anew"));
        }
    }
    // the refunds are the journal's, however far the projections had come
    fresh.project(journal, u64::MAX)?;
    let reader = fresh.into_reader();
    reader.each_refund(&own.bank, |refund, position| {
        let Some(original) = &refund.order().refund_of else { return Ok(()) };
        let credit = reader.credit_as_it_stands(&own.bank, original)?;
        if let Some(what) = wrong_refund(original, credit.as_ref(), refund.order(), position) {
            report.journal(None, Some(position), what);
        }
        Ok(())
    })?;
    Ok(())
}

/// What is wrong with a posted refund, if anything is. What is refunded of the original is the sum of all.
fn wrong_refund(original: &Key, credit: Option<&Credit>, refund: &Order, position: u64) -> Option<String> {
    let before = credit.filter(|credit| credit.position < position);
    let alone = before.map(|credit| Credit { refunded: 0, ..*credit });
    if let Err(code) = may_refund(original, alone.as_ref(), refund) {
        return Some(format!("I15: it refunds {original}, and may not: {code}"));
    }
    let credit = before.filter(|credit| credit.refunded > credit.amount.minor_units())?;
    let (refunded, paid) = (credit.refunded, credit.amount.minor_units());
    Some(format!("I15: the refunds of {original} come to {refunded}, and it was {paid}"))
}

fn compare(fresh: &Connection, path: &Path, hash: [u8; 32], report: &mut Report) -> rusqlite::Result<()> {
    let stored = open_still(path)?;
    let progress = "SELECT hash FROM progress";
    if fresh.query_row(progress, [], |row| row.get::<_, [u8; 32]>(0))? != hash {
        report.file(FILE, "its last batch is not the journal's");
    }
    for (table, key) in TABLES {
        let query = format!("SELECT * FROM {table} ORDER BY {}", key.join(", "));
        let (mut ours, mut theirs) = (fresh.prepare(&query)?, stored.prepare(&query)?);
        let columns = theirs.column_names().map(str::to_owned).collect::<Vec<_>>();
        let (mut ours, mut theirs) = (ours.query([])?, theirs.query([])?);
        let (mut one, mut two) = (next(&mut ours)?, next(&mut theirs)?);
        loop {
            let order = match (&one, &two) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(one), Some(two)) => compare_keys(&one[..key.len()], &two[..key.len()]),
            };
            if let (Ordering::Equal, Some(right), Some(row)) = (order, &one, &two) {
                let differs =
                    columns.iter().zip(right.iter().zip(row)).find(|(_, (right, row))| right != row);
                if let Some((column, (right, row))) = differs {
                    let name = name_of(key, row_key(&two, key.len()));
                    let (right, row) = (show(right), show(row));
                    report.file(FILE, format!("{table} {name}: {column} is {row}; by the journal, {right}"));
                }
            }
            match order {
                Ordering::Less => {
                    let name = name_of(key, row_key(&one, key.len()));
                    report.file(FILE, format!("{table} {name}: the row is missing"));
                }
                Ordering::Greater => {
                    let name = name_of(key, row_key(&two, key.len()));
                    report.file(FILE, format!("{table} {name}: the journal has no such row"));
                }
                Ordering::Equal => {}
            }
            if order != Ordering::Greater {
                one = next(&mut ours)?;
            }
            if order != Ordering::Less {
                two = next(&mut theirs)?;
            }
        }
    }
    Ok(())
}

fn next(rows: &mut Rows<'_>) -> rusqlite::Result<Option<Vec<Value>>> {
    let Some(row) = rows.next()? else { return Ok(None) };
    (0..row.as_ref().column_count()).map(|column| row.get(column)).collect::<Result<_, _>>().map(Some)
}

/// In the order in which SQLite sorts them; the columns of a key are of one type each.
fn compare_keys(one: &[Value], two: &[Value]) -> Ordering {
    let each = one.iter().zip(two).map(|pair| match pair {
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Blob(a), Value::Blob(b)) => a.cmp(b),
        _ => Ordering::Equal,
    });
    each.fold(Ordering::Equal, Ordering::then)
}

fn row_key(row: &Option<Vec<Value>>, columns: usize) -> &[Value] {
    row.as_deref().map_or(&[], |row| &row[..columns])
}

fn name_of(columns: &[&str], key: &[Value]) -> String {
    columns
        .iter()
        .zip(key)
        .map(|(column, value)| format!("{column} {}", show(value)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
