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

use crate::journal::{Chain, JournalRead};
use crate::ledger::State;
use crate::ledger::state::Own;
use crate::replay::replay;

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

/// Verifies a journal and, where the running bank's committed state is given and stands at
/// the same position, that its balances are the journal's.
pub fn verify(
    journal: rusqlite::Result<Box<dyn JournalRead>>,
    own: &Own,
    running: impl FnOnce(&State) -> Option<Vec<String>>,
) -> Verified {
    let mut state = State::new(own.clone());
    let mut faults = Vec::new();
    let mut chain_hash = [0; 32];
    match journal.map_err(crate::open::FolderError::from) {
        Err(error) => faults.push(error.to_string()),
        Ok(reader) => match replay(reader.as_ref(), &mut state, Chain::default(), u64::MAX) {
            Ok(chain) => chain_hash = chain.hash,
            Err(error) => faults.push(error.to_string()),
        },
    }
    faults.extend(books::of_state(&state));
    faults.extend(running(&state).unwrap_or_default());
    Verified { entries: state.next_position - 1, chain: chain_hash, faults }
}
