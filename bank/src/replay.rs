//! From the journal to state, batch by batch. One thread reads and applies, another checks the chain and decodes, so
//! that a start on two cores takes little more than half as long.

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

use crate::journal::reader::{JournalRead, ReadError, entries_of};
use crate::journal::{Batch, Chain};
use crate::ledger::{ApplyError, Entry, Overlay, State, apply};
use crate::open::FolderError;

/// Entries read at a time, about: enough to make a read worth it, few enough to stay in the processor's cache.
const ENTRIES_PER_READ: usize = 1024;

/// Batches read at a time.
const BATCHES_PER_READ_MAX: usize = 512;

/// Reads that wait to be decoded or applied.
const READ_AHEAD: usize = 4;

/// Entries after which memory lets go of what is over.
const ENTRIES_PER_SWEEP: usize = 65_536;

/// Takes out of memory what is decided and acknowledged: the projections hold it.
pub fn let_go(state: &mut State) {
    state.payees.clear();
    state.payers.retain(|_, known| known.payer.is_owed());
    state.voids.clear();
    state.requests.clear();
    state.credits.clear();
}

/// Applies the journal after a point of its chain to the state at that point, up to a batch, checking the chain,
/// and takes out of memory what is decided and acknowledged: the projections, which are up to date, hold it.
///
/// # Errors
/// [`FolderError`].
pub fn replay(
    reader: &dyn JournalRead,
    state: &mut State,
    chain: Chain,
    last: u64,
) -> Result<Chain, FolderError> {
    let mut number = chain.number;
    std::thread::scope(|scope| {
        let (to_decode, waiting) = sync_channel(READ_AHEAD);
        let (done, decoded) = sync_channel(READ_AHEAD);
        let (to_free, applied) = channel();
        let decoder = std::thread::Builder::new()
            .name("decoder".into())
            .spawn_scoped(scope, move || decode(chain, &waiting, &done, &applied))
            .map_err(FolderError::Thread)?;
        let (mut ahead, mut unswept, mut count) = (0, 0, 1);
        loop {
            while ahead < READ_AHEAD && number < last {
                let mut batches = reader.batches_after(number, count)?;
                batches.retain(|batch| batch.number <= last);
                let Some(end) = batches.last() else { break };
                number = end.number;
                ahead += 1;
                // not checked yet: it only says how much is read next
                let entries = batches.iter().fold(0, |sum: u64, batch| sum.saturating_add(batch.count));
                let per_batch = (entries as usize).div_ceil(batches.len()).max(1);
                count = (ENTRIES_PER_READ / per_batch).clamp(1, BATCHES_PER_READ_MAX);
                if to_decode.send(batches).is_err() {
                    break;
                }
            }
            if ahead == 0 {
                break;
            }
            let Ok(batches) = decoded.recv() else { break };
            ahead -= 1;
            let batches = batches?;
            for entries in &batches {
                apply_all(state, entries)
                    .map_err(|(position, source)| FolderError::Entry { position, source })?;
                unswept += entries.len();
            }
            // freeing them takes as long as applying them; if the decoder has ended, they are freed here
            let _ = to_free.send(batches);
            if unswept >= ENTRIES_PER_SWEEP {
                let_go(state);
                unswept = 0;
            }
        }
        let_go(state);
        drop(to_decode);
        decoder.join().map_err(|_| FolderError::Panicked)
    })
}

/// Checks and decodes what comes, in order, until nothing more comes or something is wrong.
fn decode(
    mut chain: Chain,
    waiting: &Receiver<Vec<Batch>>,
    done: &SyncSender<Result<Vec<Vec<Entry>>, ReadError>>,
    applied: &Receiver<Vec<Vec<Entry>>>,
) -> Chain {
    while let Ok(batches) = waiting.recv() {
        applied.try_iter().for_each(drop);
        let decoded = batches.iter().map(|batch| {
            chain.advance(batch)?;
            entries_of(batch)
        });
        let decoded: Result<Vec<_>, ReadError> = decoded.collect();
        let wrong = decoded.is_err();
        if done.send(decoded).is_err() || wrong {
            break;
        }
    }
    chain
}

/// Applies entries to the state, all or none.
///
/// # Errors
/// The position of the first entry that does not fit, and why.
pub fn apply_all(state: &mut State, entries: &[Entry]) -> Result<(), (u64, ApplyError)> {
    let mut overlay = Overlay::over(state, entries.len());
    for entry in entries {
        let position = overlay.next_position;
        apply(&mut overlay, entry).map_err(|error| (position, error))?;
    }
    let changes = overlay.into_changes();
    state.merge(changes);
    Ok(())
}
