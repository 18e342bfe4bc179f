//! People's rows beside the chain, against their keyed digests in it. A row that is gone was erased, which is allowed;
//! one that was changed is not.

use rusqlite::Connection;

use super::folder::{Report, meta};
use super::walk::People;
use crate::journal::PersonRow;
use crate::journal::store::digest_of;
use crate::ledger::PersonId;

/// Adds what is wrong with the rows to the report.
pub(super) fn check(connection: &Connection, people: &People, report: &mut Report) {
    match compare(connection, people, report) {
        Ok(erased) if erased > 0 => {
            report.notes.push(format!("{erased} of {} people were erased", people.len()));
        }
        Ok(_) => {}
        Err(error) => report.journal(None, None, format!("the rows of people cannot be read: {error}")),
    }
}

/// Returns how many people have no row.
fn compare(connection: &Connection, people: &People, report: &mut Report) -> rusqlite::Result<u64> {
    let key = meta(connection, "digest_key")?;
    let mut seen = 0;
    let mut statement = connection.prepare("SELECT id, login, display_name, password_hash FROM people")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: Vec<u8> = row.get(0)?;
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let known = id.try_into().ok().and_then(|id| Some((PersonId(id), people.get(&PersonId(id))?)));
        let Some((id, (position, digest))) = known else {
            report.journal(None, None, format!("the row of person {hex} has no entry in the journal"));
            continue;
        };
        seen += 1;
        let row = PersonRow { id, login: row.get(1)?, display_name: row.get(2)?, password_hash: row.get(3)? };
        if digest_of(&key, &row) != *digest {
            let what =
                format!("the row of person {hex}, added by entry {position}, is not the one that was added");
            report.journal(None, None, what);
        }
    }
    Ok(people.len() as u64 - seen)
}
