//! The outbox: the durable queue of orders. An order is on the disk before anybody says "queued", and marked as
//! sent on the disk before its first byte leaves.
//!
//! sled keeps it; beside sled an append-only journal, synced line by line, from which the outbox is rebuilt if
//! sled's files cannot be opened (they are then moved aside, never deleted).

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;
use serde::{Deserialize, Serialize};
use strife_proto::commit::{Code, TransferId};
use strife_proto::domain::ReceivedOrder;
use strife_proto::{Refusal, v1};

/// Orders kept at the most, ended ones included; past that a new one is refused with words.
pub const ORDERS_MAX: usize = 10_000;

/// Where an order stands, as far as the outbox has to remember it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Not sent, or sent and nothing final known.
    Open,
    /// Posted by the payer's bank's verified word.
    Posted {
        /// The payee's bank has confirmed the credit.
        credited: bool,
    },
    /// Declined by the payer's bank's verified word.
    Declined(i32),
    /// Another order holds the id, by the payer's bank's verified word.
    Conflict,
    /// Not signed by somebody with a right, by the payer's bank's verified word.
    Void,
    /// Taken back before its first byte left this machine.
    Withdrawn,
    /// Refused at a door; waits for the person.
    Parked(String),
}

/// One order in the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The exact bytes.
    order: Vec<u8>,
    /// The encoded signature.
    signature: Vec<u8>,
    /// The person who made it.
    pub person: String,
    /// Where it stands.
    pub state: State,
    /// Its first byte may have left this machine.
    pub sent: bool,
    /// A cancel is asked for and not answered yet.
    pub cancelling: bool,
    /// How often it was sent.
    pub attempts: u32,
    /// When it ended, milliseconds since the Unix epoch.
    pub ended_at_ms: Option<i64>,
}

impl Stored {
    /// A new order.
    pub fn new(order: &ReceivedOrder, signature: &v1::Signature, person: &str) -> Self {
        Self {
            order: order.bytes().to_vec(),
            signature: signature.encode_to_vec(),
            person: person.to_owned(),
            state: State::Open,
            sent: false,
            cancelling: false,
            attempts: 0,
            ended_at_ms: None,
        }
    }

    /// The order.
    ///
    /// # Errors
    /// A [`Refusal`] where the stored bytes are damaged.
    pub fn order(&self) -> Result<ReceivedOrder, Refusal> {
        ReceivedOrder::decode(Bytes::copy_from_slice(&self.order))
    }

    /// The maker's signature.
    pub fn signature(&self) -> v1::Signature {
        v1::Signature::decode(self.signature.as_slice()).unwrap_or_default()
    }

    /// Nothing more will change.
    pub fn is_ended(&self) -> bool {
        !matches!(self.state, State::Open | State::Parked(_))
    }

    /// The code of a decline.
    pub fn declined(&self) -> Option<Code> {
        match self.state {
            State::Declined(number) => Code::try_from(number).ok(),
            _ => None,
        }
    }
}

/// Why the outbox cannot keep an order.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// sled said so.
    #[error("the outbox cannot be written: {0}")]
    Sled(#[from] sled::Error),
    /// The journal beside it said so.
    #[error("the outbox's journal {path}: {source}", path = path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another client has it.
    #[error("the outbox in {} is in use by another client", .0.display())]
    InUse(PathBuf),
    /// It holds [`ORDERS_MAX`] orders.
    #[error("the outbox holds {ORDERS_MAX} orders; dismiss some that have ended")]
    Full,
    /// An order that cannot be written down.
    #[error("the order cannot be written down: {0}")]
    Format(#[from] serde_json::Error),
}

/// Where orders are kept. A seam, so that another store can take sled's place.
#[allow(async_fn_in_trait)] // used with one implementation at a time, never as an object
pub trait OutboxStore {
    /// Keeps an order, new or changed; on the disk when this returns.
    async fn put(&mut self, id: TransferId, stored: &Stored) -> Result<(), OutboxError>;
    /// Takes an order away.
    async fn remove(&mut self, id: TransferId) -> Result<(), OutboxError>;
    /// Every order, oldest first.
    fn all(&self) -> &BTreeMap<TransferId, Stored>;
}

/// The outbox on sled.
#[derive(Debug)]
pub struct Outbox {
    database: sled::Db,
    journal: File,
    journal_path: PathBuf,
    orders: BTreeMap<TransferId, Stored>,
    /// What was wrong at opening and has been mended, for the screen.
    pub mended: Option<String>,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Line {
    id: String,
    stored: Option<Stored>,
}

impl Outbox {
    /// Opens the outbox in a data folder, making it if it is not there.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn open(dir: &Path) -> Result<Self, OutboxError> {
        let journal_path = dir.join("outbox.journal");
        let at = |source| OutboxError::Journal { path: journal_path.clone(), source };
        strife_certs::pem::make_private_dir(dir)
            .map_err(|_| at(std::io::Error::other("the folder cannot be made")))?;
        // sled's own lock is taken by a dead process's last thread for a moment, and its error does not tell
        let lock = File::create(dir.join("outbox.lock")).map_err(at)?;
        lock.try_lock().map_err(|_| OutboxError::InUse(dir.to_owned()))?;
        let path = dir.join("outbox");
        let (database, mended) = match open_sled(&path) {
            Ok(database) => (database, None),
            Err(why) => {
                let aside = dir.join(format!("outbox.broken-{}", crate::now_ms()));
                std::fs::rename(&path, &aside).map_err(at)?;
                let mended = format!(
                    "the outbox could not be opened ({why}); it was moved to {} and rebuilt from its journal",
                    aside.display()
                );
                (sled::open(&path)?, Some(mended))
            }
        };
        let mut orders = read_sled(&database)?;
        // the journal is written first: where the two differ it is right
        replay_journal(&journal_path, &mut orders).map_err(at)?;
        database.clear()?;
        for (id, stored) in &orders {
            database.insert(id.0, serde_json::to_vec(stored)?)?;
        }
        database.flush()?;
        let journal = rewrite_journal(&journal_path, &orders)?;
        Ok(Self { database, journal, journal_path, orders, mended, _lock: lock })
    }

    fn append(&mut self, line: &Line) -> Result<(), OutboxError> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.journal
            .write_all(&text)
            .and_then(|()| self.journal.sync_data())
            .map_err(|source| OutboxError::Journal { path: self.journal_path.clone(), source })
    }
}

impl OutboxStore for Outbox {
    async fn put(&mut self, id: TransferId, stored: &Stored) -> Result<(), OutboxError> {
        if self.orders.len() >= ORDERS_MAX && !self.orders.contains_key(&id) {
            return Err(OutboxError::Full);
        }
        self.append(&Line { id: id.to_string(), stored: Some(stored.clone()) })?;
        self.database.insert(id.0, serde_json::to_vec(stored)?)?;
        self.database.flush_async().await?;
        self.orders.insert(id, stored.clone());
        Ok(())
    }

    async fn remove(&mut self, id: TransferId) -> Result<(), OutboxError> {
        self.append(&Line { id: id.to_string(), stored: None })?;
        self.database.remove(id.0)?;
        self.database.flush_async().await?;
        self.orders.remove(&id);
        Ok(())
    }

    fn all(&self) -> &BTreeMap<TransferId, Stored> {
        &self.orders
    }
}

/// sled can panic where an abrupt stop damaged its snapshot.
fn open_sled(path: &Path) -> Result<sled::Db, String> {
    match catch_unwind(AssertUnwindSafe(|| sled::open(path))) {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it is damaged".into()),
    }
}

/// What sled holds. A value that does not parse is left to the journal.
fn read_sled(database: &sled::Db) -> Result<BTreeMap<TransferId, Stored>, OutboxError> {
    let mut orders = BTreeMap::new();
    for pair in database.iter() {
        let (key, value) = pair?;
        if let (Ok(id), Ok(stored)) = (TransferId::from_slice(&key), serde_json::from_slice(&value)) {
            orders.insert(id, stored);
        }
    }
    Ok(orders)
}

/// The last line for each id wins. A line that does not parse is the torn end of an abrupt stop: what it would
/// have said was never acknowledged.
fn replay_journal(path: &Path, orders: &mut BTreeMap<TransferId, Stored>) -> std::io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for line in BufReader::new(file).split(b'\n') {
        let Ok(line) = serde_json::from_slice::<Line>(&line?) else { continue };
        let Ok(id) = line.id.parse::<TransferId>() else { continue };
        match line.stored {
            Some(stored) => orders.insert(id, stored),
            None => orders.remove(&id),
        };
    }
    Ok(())
}

/// Writes the journal anew without what was overwritten since, under a temporary name, and opens it.
fn rewrite_journal(path: &Path, orders: &BTreeMap<TransferId, Stored>) -> Result<File, OutboxError> {
    let at = |source| OutboxError::Journal { path: path.to_owned(), source };
    let new = path.with_extension("journal-new");
    let mut text = Vec::new();
    for (id, stored) in orders {
        text.extend(serde_json::to_vec(&Line { id: id.to_string(), stored: Some(stored.clone()) })?);
        text.push(b'\n');
    }
    strife_certs::pem::write_secret(&new, &text)
        .map_err(|error| at(std::io::Error::other(error.to_string())))?;
    std::fs::rename(&new, path).map_err(at)?;
    if let Some(parent) = path.parent() {
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(at)?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strife_proto::domain::{Currency, Money, Order};

    fn stored(id: u8) -> (TransferId, Stored) {
        let id = TransferId([id; 16]);
        let order = Order {
            network: "demo".into(),
            key: strife_proto::commit::Key {
                bank: strife_proto::commit::BankName::new("Bank1").unwrap(),
                id,
            },
            payer: strife_proto::domain::AccountNumber::from_body(1_000_000_001).unwrap(),
            payee: "user2@Bank2".parse().unwrap(),
            amount: Money::new(100, Currency::new("EUR").unwrap()).unwrap(),
            memo: "lunch".into(),
            made_at_ms: 1,
            expires_at_ms: 2,
            refund_of: None,
        };
        let received = ReceivedOrder::decode(order.encode()).unwrap();
        (id, Stored::new(&received, &v1::Signature::default(), "user1"))
    }

    #[tokio::test]
    async fn orders_survive_a_new_start_and_what_was_removed_stays_away() {
        let dir = tempfile::tempdir().unwrap();
        let (one, first) = stored(1);
        let (two, second) = stored(2);
        {
            let mut outbox = Outbox::open(dir.path()).unwrap();
            outbox.put(one, &first).await.unwrap();
            outbox.put(two, &second).await.unwrap();
            outbox.put(two, &Stored { sent: true, ..second.clone() }).await.unwrap();
            outbox.remove(one).await.unwrap();
            assert!(matches!(Outbox::open(dir.path()), Err(OutboxError::InUse(_))));
        }
        let outbox = Outbox::open(dir.path()).unwrap();
        assert_eq!(outbox.all(), &BTreeMap::from([(two, Stored { sent: true, ..second })]));
        assert_eq!(outbox.all()[&two].order().unwrap().order().memo, "lunch");
    }

    #[tokio::test]
    async fn a_damaged_store_is_moved_aside_and_rebuilt_and_a_torn_line_harms_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (one, first) = stored(1);
        Outbox::open(dir.path()).unwrap().put(one, &first).await.unwrap();
        std::fs::remove_dir_all(dir.path().join("outbox")).unwrap();
        std::fs::write(dir.path().join("outbox"), b"not a database").unwrap();
        let mut journal = OpenOptions::new().append(true).open(dir.path().join("outbox.journal")).unwrap();
        journal.write_all(b"{\"id\":\"torn").unwrap();
        let outbox = Outbox::open(dir.path()).unwrap();
        assert_eq!(outbox.all(), &BTreeMap::from([(one, first.clone())]));
        assert!(outbox.mended.as_deref().unwrap().contains("rebuilt"));
        let aside = std::fs::read_dir(dir.path())
            .unwrap()
            .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("outbox.broken-"));
        assert!(aside);
        drop(outbox);
        // and without the journal sled alone is enough
        std::fs::remove_file(dir.path().join("outbox.journal")).unwrap();
        assert_eq!(Outbox::open(dir.path()).unwrap().all(), &BTreeMap::from([(one, first)]));
    }
}
