//! The outbox: the durable queue of orders. An order is on the disk before anybody says "queued", and marked as
//! sent on the disk before its first byte leaves.
//!
//! Each change is first a line of an append-only journal, synced: that is the commit point. sled holds the same
//! orders, flushed before anybody is answered; where the two differ at opening, the higher revision is right, and of one
//! revision what has the right checksum. What cannot be read, or is not what was written, is moved aside and named on the
//! screen, never deleted and never sent.

mod look;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;
use serde::{Deserialize, Serialize};
use strife_faults::kill::{self, When};
use strife_proto::commit::{Code, TransferId};
use strife_proto::domain::ReceivedOrder;
use strife_proto::signing::sha256;
use strife_proto::{Refusal, v1};
use strife_seams::files;

use crate::aside::move_aside;
pub use look::{Look, look};

/// Orders kept at the most, ended ones included; past that a new one is refused with words.
pub const ORDERS_MAX: usize = 10_000;

/// Where an order stands, as far as the outbox has to remember it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Not sent, or sent and nothing final known.
    Open,
    /// Posted by the payer's bank's verified word.
    Posted {
        /// What the payee's bank has said.
        credit: Credit,
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

/// What the payee's bank has said about its side of a posted order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credit {
    /// Nothing yet.
    #[default]
    Unconfirmed,
    /// The money is on the payee's account.
    Account,
    /// The payee's account could not take it; it is on that bank's suspense account.
    Suspense,
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
    /// The journal beside it said so.
    #[error("the outbox's journal {path}: {source}", path = path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another client has it.
    #[error("another Strife client is open on {}; close it first, or use another data_dir", .0.display())]
    InUse(PathBuf),
    /// A write failed half-way and could not be undone: it is not known whether the last change is kept.
    #[error("the outbox's journal is damaged; start the client again to see what is queued")]
    Broken,
    /// It holds [`ORDERS_MAX`] orders.
    #[error("the outbox holds {ORDERS_MAX} orders; dismiss some that have ended")]
    Full,
    /// An order that cannot be written down.
    #[error("the order cannot be written down: {0}")]
    Format(#[from] serde_json::Error),
}

/// Where orders are kept. A seam, so that another store can take sled's place.
#[tonic::async_trait]
pub trait OutboxStore: Send + Sync + std::fmt::Debug {
    /// Writes a change of one order down, `None` taking it away; on the disk when this returns.
    async fn write(&mut self, id: TransferId, stored: Option<&Stored>) -> Result<(), OutboxError>;
    /// Keeps an order, new or changed; on the disk when this returns.
    async fn put(&mut self, id: TransferId, stored: &Stored) -> Result<(), OutboxError> {
        kill::passes(When::Before, "write/order");
        let written = self.write(id, Some(stored)).await;
        kill::passes(When::After, "write/order");
        written
    }
    /// Takes an order away.
    async fn remove(&mut self, id: TransferId) -> Result<(), OutboxError> {
        kill::passes(When::Before, "write/removal");
        let written = self.write(id, None).await;
        kill::passes(When::After, "write/removal");
        written
    }
    /// Every order, oldest first.
    fn all(&self) -> &BTreeMap<TransferId, Stored>;
    /// What went wrong and has been mended, for the screen, told once.
    fn take_trouble(&mut self) -> Option<String>;
}

/// The outbox on sled.
#[derive(Debug)]
pub struct Outbox {
    /// `None` once sled has failed; the journal alone then keeps the orders.
    database: Option<sled::Db>,
    journal: Journal,
    orders: BTreeMap<TransferId, Stored>,
    revision: u64,
    trouble: Option<String>,
    _lock: File,
}

/// One change of one order, as it is written: [`Line::encode`].
#[derive(Clone, Serialize, Deserialize)]
struct Line {
    id: String,
    #[serde(default)]
    revision: u64,
    /// `None` takes the order away.
    stored: Option<Stored>,
}

/// What stands between a line's JSON and its checksum: no JSON contains it, so that a line without one, of an earlier
/// program, is told apart.
const CHECKSUM_MARK: &[u8] = b" sha256:";

/// Hexadecimal digits of a line's checksum: 16 bytes of SHA-256.
const CHECKSUM_DIGITS: usize = 32;

/// The checksum of a line's JSON.
fn checksum(json: &[u8]) -> String {
    sha256(json).iter().take(CHECKSUM_DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

impl Line {
    /// JSON and its checksum, without a line end.
    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = serde_json::to_vec(self)?;
        let checksum = checksum(&text);
        text.extend(CHECKSUM_MARK);
        text.extend(checksum.as_bytes());
        Ok(text)
    }

    /// Reads a line; `None` for one that is not what was written. One of an earlier program has no checksum, and ends
    /// with its JSON.
    fn decode(text: &[u8]) -> Option<(TransferId, Self)> {
        let json = if text.ends_with(b"}") {
            text
        } else {
            let (json, end) =
                text.split_at_checked(text.len().checked_sub(CHECKSUM_MARK.len() + CHECKSUM_DIGITS)?)?;
            let stored = end.strip_prefix(CHECKSUM_MARK)?;
            (stored == checksum(json).as_bytes()).then_some(json)?
        };
        let line = serde_json::from_slice::<Self>(json).ok()?;
        Some((line.id.parse().ok()?, line))
    }
}

/// The newest change of each order that could be read, and how much could not.
#[derive(Default)]
struct Read {
    lines: BTreeMap<TransferId, Line>,
    unreadable: usize,
}

impl Read {
    fn take(&mut self, text: &[u8]) {
        match Line::decode(text) {
            Some((id, line)) => self.keep_newer(id, line),
            None => self.unreadable += 1,
        }
    }

    fn keep_newer(&mut self, id: TransferId, line: Line) {
        if self.lines.get(&id).is_none_or(|known| line.revision >= known.revision) {
            self.lines.insert(id, line);
        }
    }
}

/// Whether a client works in a data folder now.
pub fn is_in_use(dir: &Path) -> bool {
    // let go again at once; who opens the outbox takes it for good
    File::open(dir.join("outbox.lock"))
        .is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
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
        // sled's own lock is held by a dead process's last thread for a moment, and its error does not tell
        let lock = files::open_to_overwrite(&dir.join("outbox.lock")).map_err(at)?;
        lock.try_lock().map_err(|_| OutboxError::InUse(dir.to_owned()))?;

        let mut read = Read::default();
        let mut trouble = Vec::new();
        let path = dir.join("outbox");
        let mut database = guarded(|| open_sled(&path, &mut read));
        if let Err(why) = &database {
            let aside = move_aside(&path).map_err(at)?;
            trouble.push(format!(
                "The outbox could not be opened ({why}); it was moved to {aside} and rebuilt from its journal."
            ));
            database = guarded(|| open_sled(&path, &mut Read::default()));
        }
        read_journal(&journal_path, &mut read).map_err(at)?;
        if read.unreadable > 0 {
            let aside = format!("{}.broken-{}", journal_path.display(), crate::now_ms());
            if journal_path.exists() {
                files::copy("outbox_aside", &journal_path, Path::new(&aside)).map_err(at)?;
            }
            trouble.push(format!(
                "{} entries of the outbox are damaged and not believed; a copy is {aside}.",
                read.unreadable
            ));
        }
        let revision = read.lines.values().map(|line| line.revision).max().unwrap_or(0);
        let orders: BTreeMap<TransferId, Stored> =
            read.lines.into_iter().filter_map(|(id, line)| Some((id, line.stored?))).collect();
        let journal = Journal::rewrite(&journal_path, revision, &orders)?;
        let mut outbox = Self { database: None, journal, orders, revision, trouble: None, _lock: lock };
        match database.and_then(|database| guarded(|| outbox.fill(&database).map(|()| database))) {
            Ok(database) => outbox.database = Some(database),
            Err(why) => trouble.push(format!("sled cannot be used ({why}); the journal keeps the outbox.")),
        }
        outbox.trouble = (!trouble.is_empty()).then(|| trouble.join(" "));
        Ok(outbox)
    }

    fn fill(&self, database: &sled::Db) -> Result<(), String> {
        database.clear().map_err(|error| error.to_string())?;
        for (id, stored) in &self.orders {
            let line = Line { id: id.to_string(), revision: self.revision, stored: Some(stored.clone()) };
            let value = line.encode().map_err(|error| error.to_string())?;
            database.insert(id.0, value).map_err(|error| error.to_string())?;
        }
        database.flush().map(|_| ()).map_err(|error| error.to_string())
    }

    /// Writes a change down: the journal decides, sled follows.
    async fn change(&mut self, id: TransferId, stored: Option<&Stored>) -> Result<(), OutboxError> {
        let line = Line { id: id.to_string(), revision: self.revision + 1, stored: stored.cloned() };
        let text = line.encode()?;
        self.journal.append(&text)?;
        self.revision += 1;
        match stored {
            Some(stored) => self.orders.insert(id, stored.clone()),
            None => self.orders.remove(&id),
        };
        let Some(database) = &self.database else { return Ok(()) };
        let written = match stored {
            Some(_) => database.insert(id.0, text).map(|_| ()),
            None => database.remove(id.0).map(|_| ()),
        };
        let flushed = match written {
            Ok(()) => database.flush_async().await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = flushed {
            self.database = None;
            self.trouble = Some(format!("sled cannot be written ({error}); the journal keeps the outbox."));
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl OutboxStore for Outbox {
    async fn write(&mut self, id: TransferId, stored: Option<&Stored>) -> Result<(), OutboxError> {
        if stored.is_some() && self.orders.len() >= ORDERS_MAX && !self.orders.contains_key(&id) {
            return Err(OutboxError::Full);
        }
        self.change(id, stored).await
    }

    fn all(&self) -> &BTreeMap<TransferId, Stored> {
        &self.orders
    }

    fn take_trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }
}

/// The append-only journal. What stands in it up to `good_len` is whole lines.
#[derive(Debug)]
struct Journal {
    file: File,
    path: PathBuf,
    good_len: u64,
    broken: bool,
}

impl Journal {
    /// Appends a line; on the disk when this returns. A line that could not be written is taken back.
    fn append(&mut self, text: &[u8]) -> Result<(), OutboxError> {
        if self.broken {
            return Err(OutboxError::Broken);
        }
        let line = [text, b"\n"].concat();
        let written = files::append("outbox_line", &mut self.file, &line);
        let Err(source) = written else {
            self.good_len += line.len() as u64;
            return Ok(());
        };
        if files::shorten("outbox_line_taken_back", &self.file, self.good_len).is_err() {
            self.broken = true;
            return Err(OutboxError::Broken);
        }
        Err(OutboxError::Journal { path: self.path.clone(), source })
    }

    /// Writes the journal anew without what was overwritten since, under a temporary name, and opens it.
    fn rewrite(
        path: &Path,
        revision: u64,
        orders: &BTreeMap<TransferId, Stored>,
    ) -> Result<Self, OutboxError> {
        let at = |source| OutboxError::Journal { path: path.to_owned(), source };
        let mut text = Vec::new();
        for (id, stored) in orders {
            let line = Line { id: id.to_string(), revision, stored: Some(stored.clone()) };
            text.extend(line.encode()?);
            text.push(b'\n');
        }
        strife_certs::pem::write_secret(path, &text)
            .map_err(|error| at(std::io::Error::other(error.to_string())))?;
        let file = files::open_to_append(path).map_err(at)?;
        Ok(Self { file, path: path.to_owned(), good_len: text.len() as u64, broken: false })
    }
}

/// sled can panic where an abrupt stop damaged its files.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("it is damaged".into()))
}

/// Opens sled and reads all that it holds.
fn open_sled(path: &Path, read: &mut Read) -> Result<sled::Db, String> {
    let database = sled::open(path).map_err(|error| error.to_string())?;
    for pair in database.iter() {
        let (_, value) = pair.map_err(|error| error.to_string())?;
        read.take(&value);
    }
    Ok(database)
}

/// Reads the journal's lines. The last one, without its line end, is the torn end of an abrupt stop: what it
/// would have said was never acknowledged.
fn read_journal(path: &Path, read: &mut Read) -> std::io::Result<()> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    lines.pop();
    lines.into_iter().filter(|line| !line.is_empty()).for_each(|line| read.take(line));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;
    use strife_proto::domain::{Currency, Money, Order};

    pub(super) fn stored(id: u8) -> (TransferId, Stored) {
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
        assert!(outbox.trouble.as_deref().unwrap().contains("rebuilt"));
        let aside = std::fs::read_dir(dir.path())
            .unwrap()
            .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("outbox.broken-"));
        assert!(aside);
        drop(outbox);
        // and without the journal sled alone is enough
        std::fs::remove_file(dir.path().join("outbox.journal")).unwrap();
        assert_eq!(Outbox::open(dir.path()).unwrap().all(), &BTreeMap::from([(one, first.clone())]));
        // a whole line that cannot be read is kept aside and named
        let mut journal = OpenOptions::new().append(true).open(dir.path().join("outbox.journal")).unwrap();
        journal.write_all(b"{\"id\":\"from a newer program\"}\n").unwrap();
        let outbox = Outbox::open(dir.path()).unwrap();
        assert_eq!(outbox.all(), &BTreeMap::from([(one, first)]));
        assert!(outbox.trouble.as_deref().unwrap().contains("1 entries"));
    }

    #[tokio::test]
    async fn a_flipped_bit_anywhere_in_a_line_is_noticed_and_what_sled_holds_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (one, first) = stored(1);
        let first = Stored { sent: true, attempts: 3, ..first };
        Outbox::open(dir.path()).unwrap().put(one, &first).await.unwrap();
        let path = dir.path().join("outbox.journal");
        let whole = std::fs::read(&path).unwrap();
        let mut read = Read::default();
        read_journal(&path, &mut read).unwrap();
        assert_eq!((read.lines.len(), read.unreadable), (1, 0));
        for place in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[place] ^= 1 << bit;
                std::fs::write(&path, &flipped).unwrap();
                let mut read = Read::default();
                read_journal(&path, &mut read).unwrap();
                // the line end's own bits make a torn line of it, which was never acknowledged
                let torn = place == whole.len() - 1;
                assert!(read.lines.is_empty(), "byte {place}, bit {bit}");
                assert!(torn || read.unreadable > 0, "byte {place}, bit {bit}");
            }
        }
        // and sled has what was written
        for place in (0..whole.len() - 1).step_by(whole.len() / 6) {
            let mut flipped = whole.clone();
            flipped[place] ^= 1;
            std::fs::write(&path, &flipped).unwrap();
            let outbox = Outbox::open(dir.path()).unwrap();
            assert_eq!(outbox.all(), &BTreeMap::from([(one, first.clone())]), "byte {place}");
            assert!(outbox.trouble.as_deref().unwrap().contains("damaged and not believed"));
        }
    }

    #[tokio::test]
    async fn lines_of_an_earlier_program_have_no_checksum_and_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let (one, first) = stored(1);
        let line = Line { id: one.to_string(), revision: 7, stored: Some(first.clone()) };
        let text = [serde_json::to_vec(&line).unwrap(), b"\n".to_vec()].concat();
        std::fs::write(dir.path().join("outbox.journal"), text).unwrap();
        let mut outbox = Outbox::open(dir.path()).unwrap();
        assert_eq!(outbox.all(), &BTreeMap::from([(one, first.clone())]));
        assert_eq!(outbox.take_trouble(), None);
        drop(outbox);
        // rewritten with one
        let now = std::fs::read_to_string(dir.path().join("outbox.journal")).unwrap();
        assert!(now.contains(" sha256:"), "{now}");
        assert_eq!(Outbox::open(dir.path()).unwrap().all(), &BTreeMap::from([(one, first)]));
    }
}
