//! The one writer of a bank: takes what has arrived, decides it with the pure rules on an overlay, appends the
//! entries in one durable commit, makes the overlay the state, answers all, takes the next. It flushes when
//! the disk is free, never on a timer.

mod decide;
mod evict;
mod seal;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use prost::Message;
use strife_faults::{Bug, planted};
use strife_proto::Refusal;
use strife_proto::domain::AccountNumber;
use strife_proto::journal::v1 as pb;
use strife_proto::signing::SigningKey;
use strife_proto::v1;
use strife_seams::Clock;
use tokio::sync::{broadcast, mpsc, watch};

use crate::command::{Answer, Command, Respond};
use crate::journal::reader::JournalRead;
use crate::journal::{AppendError, Chain, Row, Store};
use crate::ledger::state::Changes;
use crate::ledger::{ApplyError, Entry, LedgerAccount, Overlay, State, apply};
use crate::projection::{Handed, Handover, LAG_ENTRIES_MAX, LookupError, ProjectionReader, describe};
use evict::{Eviction, load_login};

/// Committed batches that a slow watcher may lag behind before it is sent all balances instead.
const NEWS_CAPACITY: usize = 1024;

/// Turns that are left to others before a batch begins.
const TURNS_MAX: usize = 4;

/// What a committed batch changed for people who watch.
#[derive(Debug, Default)]
pub struct News {
    /// Journal position of the batch's last entry.
    pub position: u64,
    /// Accounts whose balances changed.
    pub accounts: HashSet<AccountNumber>,
    /// Postings on customers' accounts, in order.
    pub movements: Vec<(AccountNumber, v1::Movement)>,
}

/// What the writer shares with those who read.
#[derive(Debug)]
pub struct Shared {
    /// Committed state.
    pub state: RwLock<State>,
    /// Committed batches.
    pub news: broadcast::Sender<Arc<News>>,
}

impl Shared {
    /// Committed state to share.
    pub fn new(state: State) -> Self {
        Self { state: RwLock::new(state), news: broadcast::Sender::new(NEWS_CAPACITY) }
    }

    /// Reads committed state. Never hold the guard across an await.
    pub fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        // the writer merges whole batches and cannot panic half-way with a consistent state: it never panics
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer's ends and tools.
pub struct Writer {
    /// For people's rows beside the journal. Let go of before the store: the last connection of a clean stop is one that
    /// can take the write-ahead log away.
    pub rows: Box<dyn JournalRead>,
    /// Where batches become durable.
    pub store: Box<dyn Store>,
    /// Where the chain stands.
    pub chain: Chain,
    /// Committed state.
    pub shared: Arc<Shared>,
    /// For what is not in memory.
    pub projections: ProjectionReader,
    /// Leaves entries for them.
    pub handover: Arc<Handover>,
    /// How far they are.
    pub projected: watch::Receiver<u64>,
    /// Signs statements.
    pub key: SigningKey,
    /// The bank's clock.
    pub clock: Arc<dyn Clock>,
    /// Commands in one durable commit.
    pub batch_commands_max: usize,
    /// Promises for one payer account that are not decided yet.
    pub promises_per_payer_max: usize,
    /// Wakes the projections, with the journal's newest position.
    pub wake: watch::Sender<u64>,
}

/// Why the writer ended.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The journal failed; nobody was answered.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// What the projections say cannot be believed.
    #[error(transparent)]
    Projections(#[from] LookupError),
    /// People's rows cannot be read.
    #[error("people's rows cannot be read: {0}")]
    Rows(#[from] rusqlite::Error),
}

/// A batch that is being decided.
pub(crate) struct Batch<'a> {
    pub overlay: Overlay<'a>,
    pub entries: Vec<Entry>,
    pub rows: Vec<Row>,
    pub now_ms: i64,
    pub news: News,
    /// Bodies of the bank's statements, to be signed.
    pub said: Vec<Bytes>,
}

impl Batch<'_> {
    /// Applies an entry, which then stands in the batch.
    pub fn record(&mut self, entry: Entry) -> Result<(), ApplyError> {
        let position = self.overlay.next_position;
        apply(&mut self.overlay, &entry)?;
        for leg in &entry.legs {
            let LedgerAccount::Customer(number) = leg.account else { continue };
            let Some(account) = self.overlay.accounts.get(&number) else { continue };
            let shown = describe(&entry, &leg.account);
            self.news.accounts.insert(number);
            self.news.movements.push((
                number,
                v1::Movement {
                    position,
                    at_ms: entry.at_ms,
                    minor_units: leg.minor_units,
                    currency: account.currency.code().to_owned(),
                    balance_after: account.posted,
                    counterpart: shown.counterpart,
                    memo: shown.memo.to_owned(),
                    key: shown.key.map(strife_proto::domain::key_to_wire),
                    kind: shown.kind.to_owned(),
                    refund_of: shown.refund_of.map(strife_proto::domain::key_to_wire),
                },
            ));
        }
        self.entries.push(entry);
        Ok(())
    }
}

/// A command with whom to answer.
pub type Queued = (Command, Respond);

/// A batch that is decided and not yet durable.
struct Decided {
    entries: Vec<Entry>,
    rows: Vec<Row>,
    answers: Vec<Answer>,
    changes: Changes,
    news: News,
    /// How many places of the eviction queue are done with.
    evicted: usize,
}

impl Writer {
    /// Runs until every sender is gone and everything that was queued is answered.
    ///
    /// # Errors
    /// [`WriterError`]: the process must end, and its start-up will sync and replay what is on the disk.
    pub async fn run(mut self, mut queue: mpsc::Receiver<Queued>) -> Result<(), WriterError> {
        let mut eviction = Eviction::default();
        while let Some(first) = queue.recv().await {
            wait_for_company(&queue);
            let mut commands = vec![first];
            while commands.len() < self.batch_commands_max {
                match queue.try_recv() {
                    Ok(next) => commands.push(next),
                    Err(_) => break,
                }
            }
            self.carry_out(commands, &mut eviction).await?;
        }
        Ok(())
    }

    async fn carry_out(&mut self, commands: Vec<Queued>, eviction: &mut Eviction) -> Result<(), WriterError> {
        let (commands, responds): (Vec<Command>, Vec<Respond>) = commands.into_iter().unzip();
        if let Some(decided) = self.decide_all(&commands, eviction)? {
            return self.commit(decided, responds, eviction).await;
        }
        // one command does not fit the ledger: find it, and let the others pass
        for (command, respond) in commands.iter().zip(responds) {
            match self.decide_all(std::slice::from_ref(command), eviction)? {
                Some(decided) => self.commit(decided, vec![respond], eviction).await?,
                None => respond(Answer::Refused(Refusal::OutOfPlace)),
            }
        }
        Ok(())
    }

    /// Decides a batch; `None` if an entry did not fit the ledger. Nothing is changed by it.
    fn decide_all(
        &self,
        commands: &[Command],
        eviction: &mut Eviction,
    ) -> Result<Option<Decided>, WriterError> {
        let state = self.shared.read();
        let mut batch = Batch {
            overlay: Overlay::over(&state, commands.len()),
            entries: Vec::new(),
            rows: Vec::new(),
            now_ms: self.clock.now_ms(),
            news: News::default(),
            said: Vec::new(),
        };
        let early = planted(Bug::OutcomeEvictedEarly);
        let projected = if early { u64::MAX } else { *self.projected.borrow() };
        let evicted = eviction.evict(&mut batch.overlay, projected);
        let mut loaded = evict::Loaded::default();
        let mut answers = Vec::with_capacity(commands.len());
        for command in commands {
            loaded.load(command, &mut batch.overlay, &self.projections)?;
            load_login(command, &mut batch.overlay, self.rows.as_ref())?;
            match self.decide(&mut batch, command) {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    tracing::error!(target: "strife::daemon", %error, ?command, "a command does not fit the ledger");
                    return Ok(None);
                }
            }
        }
        loaded.forget_unchanged(&mut batch.overlay);
        let Batch { overlay, mut entries, rows, mut news, said, .. } = batch;
        news.position = overlay.next_position - 1;
        let mut changes = overlay.into_changes();
        seal::seal(&self.key, said, &mut entries, &mut answers, &mut changes);
        Ok(Some(Decided { entries, rows, answers, changes, news, evicted }))
    }

    /// Makes a batch durable, then the state, then answers.
    async fn commit(
        &mut self,
        decided: Decided,
        mut responds: Vec<Respond>,
        eviction: &mut Eviction,
    ) -> Result<(), WriterError> {
        let Decided { entries, rows, answers, changes, news, evicted } = decided;
        if planted(Bug::AnswerBeforeSync) {
            answer_all(std::mem::take(&mut responds), answers.clone());
        }
        let wrote = !entries.is_empty() || !rows.is_empty();
        let count = entries.len() as u64;
        let mut bytes = 0;
        if wrote {
            let wire = pb::Batch { entries: entries.iter().map(Entry::to_wire).collect() };
            let row = self.chain.extend(Bytes::from(wire.encode_to_vec()), count);
            match self.store.append(&row, &rows).await {
                Ok(()) => {}
                Err(error @ (AppendError::Full(_) | AppendError::HeldUp(_))) => {
                    tracing::error!(target: "strife::daemon", %error, "nothing is written; asking to try again");
                    answer_all(responds, std::iter::repeat(Answer::Unavailable));
                    return Ok(());
                }
                Err(fatal) => return Err(fatal.into()),
            }
            bytes = row.body.len();
            if row.count > 0 {
                // it was made from the chain: there is nothing to check
                self.chain = Chain::after(&row);
            }
        }
        self.shared.state.write().unwrap_or_else(PoisonError::into_inner).merge(changes);
        answer_all(responds, answers);
        eviction.done(evicted);
        let position = news.position;
        if !entries.is_empty() {
            let first_position = position + 1 - count;
            eviction.note(&entries, first_position, &self.shared.read().own.network);
            self.handover.put(Handed { chain: self.chain.clone(), first_position, entries, bytes });
            // nobody watching is fine
            let _ = self.shared.news.send(Arc::new(news));
        }
        if wrote {
            self.wake_projections(position, position - count);
        }
        Ok(())
    }

    /// Tells the projections how far the journal is, and wakes them where they have nothing to do yet: those that are behind
    /// come by themselves. What they say is read after what they are told is written, and they do it the other way round.
    fn wake_projections(&self, position: u64, before: u64) {
        self.wake.send_if_modified(|written| {
            *written = position;
            false
        });
        let projected = *self.projected.borrow();
        // also where there is nothing to project: the journal's log has grown
        if before <= projected || position.saturating_sub(projected) >= LAG_ENTRIES_MAX {
            self.wake.send_modify(|_| {});
        }
    }
}

/// Lets those run who are about to bring more, for as long as each turn of theirs brings some: on a machine that is busy a
/// sync is then shared by more, on one that is not this takes a microsecond. Never a timer.
fn wait_for_company(queue: &mpsc::Receiver<Queued>) {
    for _ in 0..TURNS_MAX {
        let waiting = queue.len();
        std::thread::yield_now();
        if queue.len() == waiting {
            break;
        }
    }
}

fn answer_all(responds: Vec<Respond>, answers: impl IntoIterator<Item = Answer>) {
    for (respond, answer) in responds.into_iter().zip(answers) {
        respond(answer);
    }
}
