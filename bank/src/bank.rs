//! What every door of a bank shares: the way to the writer, committed state, sessions, projections.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use strife_certs::keys::BankKeys;
use strife_config::BankLimits;
use strife_daemon::throttle::Throttle;
use strife_daemon::token::{Claims, Tokens};
use strife_daemon::trust::Trust;
use strife_proto::Refusal;
use strife_proto::domain::AccountNumber;
use strife_proto::v1;
use strife_seams::Seams;
use tokio::sync::{mpsc, oneshot, watch};

use crate::command::{Answer, Command, Respond};
use crate::journal::OpenStore;
use crate::journal::reader::JournalRead;
use crate::ledger::state::{AccountState, BankName, Own, PersonId, SessionId, State};
use crate::login::Nonces;
use crate::passwords::Passwords;
use crate::projection::{Demand, LookupError, ProjectionReader};
use crate::writer::{Queued, Shared};

/// A session that was checked against the bank's own record.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who.
    pub person: PersonId,
    /// The session.
    pub session: SessionId,
    /// What the token says.
    pub claims: Arc<Claims>,
}

/// One bank, as its doors see it.
#[derive(Debug)]
pub struct Bank {
    /// Whose it is.
    pub own: Own,
    /// What it believes.
    pub trust: Trust,
    /// Its private keys.
    pub keys: BankKeys,
    /// Committed state and news.
    pub shared: Arc<Shared>,
    /// To the writer.
    pub queue: mpsc::Sender<Queued>,
    /// How far the projections are.
    pub projected: watch::Receiver<u64>,
    /// Where those say so who wait for them.
    pub demand: Arc<Demand>,
    /// Where journal and projections are.
    pub data_dir: PathBuf,
    /// Opens the journal there.
    pub stores: Arc<dyn OpenStore>,
    /// Time, randomness, threads.
    pub seams: Seams,
    /// Passwords.
    pub passwords: Passwords,
    /// Tries to log in, by person.
    pub logins: Throttle,
    /// Log-ins that were used.
    pub nonces: Nonces,
    /// Sessions that have called.
    pub tokens: Tokens,
    /// Limits.
    pub limits: BankLimits,
    /// How long a session lasts, in milliseconds.
    pub session_ms: i64,
    /// How far ahead an order may expire, in milliseconds.
    pub order_life_ms_max: i64,
    /// Readers of the projections that are not in use.
    pub readers: Mutex<Vec<ProjectionReader>>,
    /// Readers of people's rows that are not in use.
    pub row_readers: Mutex<Vec<Box<dyn JournalRead>>>,
}

impl Bank {
    /// Hands a command to the writer; the answer comes by `respond`, at once if the queue is full.
    pub fn submit(&self, command: Command, respond: Respond) {
        if let Err(error) = self.queue.try_send((command, respond)) {
            let (answer, (_, respond)) = match error {
                mpsc::error::TrySendError::Full(queued) => (Answer::Refused(Refusal::Busy), queued),
                mpsc::error::TrySendError::Closed(queued) => (Answer::Unavailable, queued),
            };
            respond(answer);
        }
    }

    /// Hands a command to the writer and waits for the answer.
    pub async fn ask(&self, command: Command) -> Answer {
        let (sender, receiver) = oneshot::channel();
        self.submit(
            command,
            // nobody waits any more: the caller is gone
            Box::new(move |answer| drop(sender.send(answer))),
        );
        receiver.await.unwrap_or(Answer::Unavailable)
    }

    /// Checks a token against its signature and this bank's own record of the session.
    ///
    /// # Errors
    /// [`Refusal::SessionMissing`], [`Refusal::SessionInvalid`], [`Refusal::SessionExpired`].
    pub fn signed_in(&self, token: &str) -> Result<SignedIn, Refusal> {
        if token.is_empty() {
            return Err(Refusal::SessionMissing);
        }
        let now_ms = self.seams.now_ms();
        let key_of = |bank: &BankName| (*bank == self.own.bank).then_some(*self.keys.token.public());
        let (_, claims) = self.tokens.verify(token, key_of, now_ms)?;
        let session = session_id(&claims.sid).ok_or(Refusal::SessionInvalid)?;
        let state = self.shared.read();
        let row = state.sessions.get(&session).ok_or(Refusal::SessionExpired)?;
        if now_ms >= row.expires_at_ms {
            return Err(Refusal::SessionExpired);
        }
        Ok(SignedIn { person: row.person, session, claims })
    }

    /// The accounts of a person, with the journal position of their balances.
    pub fn accounts_of(&self, person: PersonId) -> v1::AccountsReply {
        let state = self.shared.read();
        v1::AccountsReply { accounts: accounts_of(&state, person), position: state.next_position - 1 }
    }

    /// Whether an account is a person's own.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], also where it exists and is another's.
    pub fn own_account(&self, person: PersonId, number: &str) -> Result<AccountNumber, Refusal> {
        let number: AccountNumber = number.parse()?;
        let state = self.shared.read();
        match state.accounts.get(&number) {
            Some(account) if account.person == person => Ok(number),
            _ => Err(Refusal::NotFound),
        }
    }

    /// Waits until the projections have reached a position.
    ///
    /// # Errors
    /// [`Refusal::Busy`] if they have not within the limit.
    pub async fn wait_projected(&self, position: u64) -> Result<(), Refusal> {
        // what is not committed cannot be projected: nobody gets ahead by asking for it
        let committed = self.shared.read().next_position - 1;
        self.demand.wants(position.min(committed));
        let mut projected = self.projected.clone();
        let wait = projected.wait_for(|reached| *reached >= position);
        match tokio::time::timeout(Duration::from_millis(self.limits.history_wait_ms), wait).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Refusal::Busy),
        }
    }

    /// Reads the projections on the blocking pool.
    ///
    /// # Errors
    /// [`Refusal::Busy`] if they cannot be read now.
    pub async fn read_projections<T: Send + 'static, E: Into<LookupError> + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&ProjectionReader) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Refusal> {
        let open = |bank: &Self| Ok(ProjectionReader::open(&bank.data_dir, &bank.own.network)?);
        self.pooled(|bank| &bank.readers, open, |reader| read(reader).map_err(Into::into)).await
    }

    /// Reads people's rows beside the journal on the blocking pool.
    ///
    /// # Errors
    /// [`Refusal::Busy`] if they cannot be read now.
    pub async fn read_rows<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&dyn JournalRead) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let open = |bank: &Self| Ok(bank.stores.reader(&bank.data_dir)?);
        self.pooled(|bank| &bank.row_readers, open, |reader| Ok(read(reader.as_ref())?)).await
    }

    /// Reads with a reader of a pool, or with a new one.
    async fn pooled<R: Send + 'static, T: Send + 'static>(
        self: &Arc<Self>,
        pool: fn(&Self) -> &Mutex<Vec<R>>,
        open: fn(&Self) -> Result<R, LookupError>,
        read: impl FnOnce(&R) -> Result<T, LookupError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let bank = self.clone();
        let done = self.seams.work.blocking(move || {
            let pool = pool(&bank);
            let pooled = pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let reader = pooled.map_or_else(|| open(&bank), Ok)?;
            let result = read(&reader);
            pool.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            result
        });
        match done.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                tracing::error!(target: "strife::daemon", %error, "the data folder cannot be read");
                Err(Refusal::Busy)
            }
            Err(_) => Err(Refusal::Busy),
        }
    }

    /// Whether a bank stands in the roster.
    pub fn knows(&self, bank: &BankName) -> bool {
        self.trust.roster.banks.contains_key(bank)
    }
}

/// The accounts of a person, in the order of their opening.
pub fn accounts_of(state: &State, person: PersonId) -> Vec<v1::Account> {
    let Some(owner) = state.people.get(&person) else { return Vec::new() };
    let account = |number: &AccountNumber| {
        let account = state.accounts.get(number)?;
        Some(v1::Account {
            number: number.to_string(),
            name: account.name.to_string(),
            currency: account.currency.code().to_owned(),
            posted: account.posted,
            held: account.held,
            available: account.available(),
            incoming: account.incoming,
            open: account.state == AccountState::Open,
        })
    };
    owner.accounts.iter().filter_map(account).collect()
}

fn session_id(text: &str) -> Option<SessionId> {
    // a session's id has the form of a transfer's: 16 bytes in hexadecimal
    text.parse::<strife_proto::commit::TransferId>().ok().map(|id| id.0)
}
