//! The journal's mark: number and hash of the last batch that was made durable, in a file of its own. It is written
//! after the batch is durable and never synced, so it costs the hot path no second sync, is never ahead of a sound
//! journal, and survives a killed process; after a power loss it may lag.

use std::fs::File;
use std::io;
use std::path::Path;

use strife_proto::signing::sha256;
use strife_seams::files;

use super::chain::Batch;

/// The mark's file in a bank's data folder.
pub const FILE: &str = "journal.mark";

const MAGIC: &[u8; 8] = b"strifemk";
const BODY_BYTES: usize = 48;
const MARK_BYTES: usize = BODY_BYTES + 32;

/// What the mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The last batch.
    pub number: u64,
    /// Chain hash after it.
    pub hash: [u8; 32],
}

impl Mark {
    /// The mark of a folder; `None` where there is none, or where it is damaged and says nothing.
    pub fn read(dir: &Path) -> Option<Self> {
        let bytes = std::fs::read(dir.join(FILE)).ok()?;
        let (body, digest) = bytes.split_at_checked(BODY_BYTES)?;
        let rest = body.strip_prefix(MAGIC).filter(|_| digest == sha256(body))?;
        let (number, hash) = rest.split_first_chunk::<8>()?;
        Some(Self { number: u64::from_be_bytes(*number), hash: hash.try_into().ok()? })
    }

    fn bytes(&self) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&self.number.to_be_bytes());
        bytes[16..BODY_BYTES].copy_from_slice(&self.hash);
        let digest = sha256(&bytes[..BODY_BYTES]);
        bytes[BODY_BYTES..].copy_from_slice(&digest);
        bytes
    }
}

/// Moves the mark on.
#[derive(Debug)]
pub(super) struct Marker(File);

impl Marker {
    pub fn open(dir: &Path) -> io::Result<Self> {
        files::open_to_overwrite(&dir.join(FILE)).map(Self)
    }

    /// Remembers a batch that is durable.
    pub fn set(&self, batch: &Batch) {
        let mark = Mark { number: batch.number, hash: batch.hash };
        if let Err(error) = files::overwrite("mark", &self.0, &mark.bytes(), 0) {
            // it lags, which it may
            tracing::warn!(target: "strife::daemon", %error, "the journal's mark cannot be written");
        }
    }
}
