//! Reads the whole journal again and checks what it claims. [`verify()`] is for a running bank, of its own chain, sums
//! and balances; [`folder`] is for a folder that no bank has open, of everything in it.

mod books;
mod entry;
pub mod folder;
mod keys;
mod projections;
mod rows;
mod walk;

pub use books::after_entry;

use strife_proto::v1;

use crate::journal::{Chain, JournalRead};
use crate::ledger::State;
use crate::ledger::state::Own;
use crate::open::FolderError;
use crate::replay::replay;
use crate::service::admin::report;
use crate::writer::Shared;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Entries read.
    pub entries: u64,
    /// Chain hash after the last batch.
    pub chain: [u8; 32],
    /// What is wrong; empty if all is well.
    pub faults: Vec<String>,
}

/// Verifies a journal, as far as a running bank's memory has come, and that the balances there are the journal's. The
/// writer waits only for the comparison itself.
pub fn verify(journal: rusqlite::Result<Box<dyn JournalRead>>, own: &Own, running: &Shared) -> Verified {
    let mut state = State::new(own.clone());
    let mut verified = Verified { entries: 0, chain: [0; 32], faults: Vec::new() };
    let read = journal.map_err(FolderError::from);
    let read = read.and_then(|journal| compare(journal.as_ref(), &mut state, running, &mut verified));
    verified.faults.extend(read.err().map(|error| error.to_string()));
    verified.faults.extend(books::of_state(&state));
    verified.entries = state.next_position - 1;
    verified
}

fn compare(
    journal: &dyn JournalRead,
    state: &mut State,
    running: &Shared,
    verified: &mut Verified,
) -> Result<(), FolderError> {
    let come = running.read().next_position;
    let chain = replay(journal, state, Chain::default(), last_before(journal, come)?)?;
    // from here on memory stands still; little has come since
    let held = running.read();
    let chain = replay(journal, state, chain, last_before(journal, held.next_position)?)?;
    verified.chain = chain.hash;
    if state.next_position == held.next_position {
        verified.faults.extend(differences(&held, state));
    } else {
        let (memory, journal) = (held.next_position - 1, state.next_position - 1);
        verified.faults.push(format!("memory stands at entry {memory}, and the journal at entry {journal}"));
    }
    Ok(())
}

/// The last batch that begins before a position. The journal may be ahead of memory by what is being committed.
fn last_before(journal: &dyn JournalRead, position: u64) -> rusqlite::Result<u64> {
    let mut number = journal.last_number()?;
    while number > 0 {
        let batch = journal.batches_after(number - 1, 1)?.pop();
        if batch.is_none_or(|batch| batch.first_position < position) {
            break;
        }
        number -= 1;
    }
    Ok(number)
}

fn differences(running: &State, read: &State) -> Vec<String> {
    // log-in names are rows beside the journal
    let report = |state| {
        let reply = report(state, |_| String::new());
        let nameless = |balance| v1::LedgerBalance { owner: String::new(), ..balance };
        v1::ReportReply { balances: reply.balances.into_iter().map(nameless).collect(), ..reply }
    };
    let (ours, theirs) = (report(running), report(read));
    let mut wrong = Vec::new();
    if ours.balances != theirs.balances {
        wrong.push("balances in memory differ from the journal's".to_owned());
    }
    let open = |state: &v1::ReportReply| (state.promises, state.unacknowledged);
    if open(&ours) != open(&theirs) {
        wrong.push("what is promised or owed in memory differs from the journal's".to_owned());
    }
    wrong
}
