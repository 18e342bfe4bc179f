//! Takes snapshots while the bank runs, on a thread of its own: the last snapshot is read, the journal since then is
//! replayed on it, and the result is written. No lock is taken; a second state is in memory only meanwhile.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use super::{newest, write};
use crate::journal::{Chain, OpenStore};
use crate::ledger::State;
use crate::ledger::state::Own;
use crate::open::FolderError;
use crate::replay::replay;

/// At a stop, a snapshot is worth its time from this part of `snapshot_entries` on: one tenth.
const STOP_PART: u64 = 10;

/// After a failure it is tried again after this part of `snapshot_entries`: one tenth.
const RETRY_PART: u64 = 10;

/// Takes a snapshot of a folder's journal as it stands now, and returns its file and the position that it reaches.
///
/// # Errors
/// [`FolderError`]; the journal is as it was.
pub fn take(dir: &Path, stores: &dyn OpenStore, own: &Own) -> Result<(PathBuf, u64), FolderError> {
    let journal = stores.reader(dir)?;
    // the bank goes on writing meanwhile
    let last = journal.last_number()?;
    let (mut state, chain) = match newest(dir, own, journal.as_ref())? {
        Some(snapshot) => (snapshot.state, snapshot.chain),
        None => (State::new(own.clone()), Chain::default()),
    };
    let chain = replay(journal.as_ref(), &mut state, chain, last)?;
    Ok((write(dir, &state, &chain)?, chain.next_position - 1))
}

/// Takes snapshots of one bank.
#[derive(Debug)]
pub struct Keeper {
    /// The data folder.
    pub dir: PathBuf,
    /// Opens the journal there.
    pub stores: Arc<dyn OpenStore>,
    /// Whose it is.
    pub own: Own,
    /// Entries after which the next one is taken.
    pub snapshot_entries: u64,
    /// The position that the last one reached.
    pub taken: u64,
}

impl Keeper {
    /// Follows the projections' progress, until it ends; then takes a last one if enough is new. A snapshot that
    /// cannot be taken is a line in the log: the next start replays more.
    pub async fn run(mut self, mut projected: watch::Receiver<u64>) {
        let mut next = self.taken + self.snapshot_entries;
        loop {
            let stop = projected.changed().await.is_err();
            let position = *projected.borrow_and_update();
            let worth_it = self.taken + self.snapshot_entries.div_ceil(STOP_PART);
            if position >= next || (stop && position >= worth_it) {
                match take(&self.dir, self.stores.as_ref(), &self.own) {
                    Ok((file, reached)) => {
                        self.taken = reached;
                        next = position.max(reached) + self.snapshot_entries;
                        tracing::info!(
                            target: "strife::daemon",
                            file = %file.display(), position = reached, "a snapshot is taken"
                        );
                    }
                    Err(error) => {
                        // sooner than a whole interval: a start grows longer with each entry after the last one
                        next = position + self.snapshot_entries.div_ceil(RETRY_PART);
                        tracing::error!(
                            target: "strife::daemon",
                            %error, again_at = next, "no snapshot can be taken now"
                        );
                    }
                }
            }
            if stop {
                return;
            }
        }
    }
}
