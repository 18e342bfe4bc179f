//! The worker: the one task that owns session, connection and outbox. A screen sends it commands and watches
//! its [`View`]. Calls to the gateway run beside it and come back as events, each with the epoch of the session
//! that it was made in: what comes late after a log-out is dropped.

mod calls;
mod queue;
mod state;

use std::sync::Arc;
use std::time::Duration;

use strife_certs::CertsError;
use strife_config::ClientSettings;
use strife_proto::Refusal;
use strife_proto::commit::{BankName, Key, TransferId};
use strife_proto::domain::{AccountNumber, AccountRef, Money};
use strife_proto::v1;
use strife_seams::Seams;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::api::{Api, ApiError, Trust};
use crate::device::{SecretError, SecretStore, best_store};
use crate::outbox::{Outbox, OutboxError, OutboxStore};
use crate::view::{Life, Movement, View};
use state::Worker;

/// Commands that wait for the worker.
const COMMANDS_WAITING_MAX: usize = 256;

/// Why something that a person asked for was not done.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The gateway or bank.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The outbox.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The device key.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Refused here, before anything was queued.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// There is no session.
    #[error("please sign in first")]
    SignedOut,
    /// The client is stopping.
    #[error("the client is stopping")]
    Stopping,
    /// The device key that the bank has registered is not here: a new sign-in registers one.
    #[error("this device's key is not here; sign in to register one")]
    NoDeviceKey,
    /// Nothing can be done to an order in that state.
    #[error("that cannot be done to this order any more")]
    TooLate,
}

/// What a person wants to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// From which account.
    pub from: AccountNumber,
    /// To whom.
    pub to: AccountRef,
    /// How much.
    pub amount: Money,
    /// What for.
    pub memo: String,
    /// The payment that it refunds, wholly or in part: one that was credited to `from`, back to the account that paid
    /// it.
    pub refund_of: Option<Key>,
}

type Answer<T> = oneshot::Sender<Result<T, Problem>>;

/// What a screen can ask for.
pub(crate) enum Command {
    LogIn { bank: BankName, person: String, password: Zeroizing<String>, answer: Answer<()> },
    LogOut,
    Pay { payment: Payment, answer: Answer<TransferId> },
    History { asked: v1::HistoryRequest, answer: Answer<v1::HistoryReply> },
    Life { key: Key, answer: Answer<Life> },
    Retry(Option<TransferId>),
    Cancel { id: TransferId, answer: Answer<()> },
    SendAgain(TransferId),
    Dismiss(TransferId),
    DismissEnded,
    SetOffline(bool),
    Stop(oneshot::Sender<()>),
}

/// What a client works with.
#[derive(Debug)]
pub struct Parts {
    /// Where orders are kept.
    pub outbox: Box<dyn OutboxStore>,
    /// Where device keys are kept.
    pub secrets: Arc<dyn SecretStore>,
    /// Time, randomness, network.
    pub seams: Seams,
}

/// A client: hands commands to its worker and shows its view. Clones share the worker.
#[derive(Clone, Debug)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    view: watch::Receiver<View>,
}

/// Why a client cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Certificates or roster.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// The outbox.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
}

impl Client {
    /// Starts a client's worker on the current runtime.
    ///
    /// # Errors
    /// [`StartError`], naming the file or folder.
    pub fn start(settings: ClientSettings) -> Result<Self, StartError> {
        let parts = Parts {
            outbox: Box::new(Outbox::open(&settings.data_dir)?),
            secrets: best_store(&settings.data_dir.join("keys"), settings.keyring),
            seams: Seams::of_this_machine(),
        };
        Ok(Self::start_with(settings, parts)?)
    }

    /// Starts a client's worker with a store and seams of the caller's.
    ///
    /// # Errors
    /// Certificates or roster, naming the file.
    pub fn start_with(settings: ClientSettings, parts: Parts) -> Result<Self, CertsError> {
        let trust = Trust::load(&settings)?;
        // settings are validated: there is at least one gateway
        let address = settings.gateways.first().cloned().unwrap_or_default();
        let api = Api::new(trust, &address, settings.rpc_ms, parts.seams.clone());
        let (commands, queue) = mpsc::channel(COMMANDS_WAITING_MAX);
        let (worker, view) = Worker::new(settings, address, api, parts);
        tokio::spawn(worker.run(queue));
        Ok(Self { commands, view })
    }

    /// What a screen shows, now and whenever it changes.
    pub fn view(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    async fn ask<T>(&self, make: impl FnOnce(Answer<T>) -> Command) -> Result<T, Problem> {
        let (answer, receiver) = oneshot::channel();
        self.commands.send(make(answer)).await.map_err(|_| Problem::Stopping)?;
        receiver.await.map_err(|_| Problem::Stopping)?
    }

    async fn tell(&self, command: Command) {
        // a stopped worker does nothing any more, which is what stopping means
        let _ = self.commands.send(command).await;
    }

    /// Signs in. Makes and registers the device key at the first time.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn log_in(
        &self,
        bank: BankName,
        person: &str,
        password: Zeroizing<String>,
    ) -> Result<(), Problem> {
        let person = person.to_owned();
        self.ask(|answer| Command::LogIn { bank, person, password, answer }).await
    }

    /// Signs out. The queue stays.
    pub async fn log_out(&self) {
        self.tell(Command::LogOut).await;
    }

    /// Queues a payment: on the disk when this returns, then sent.
    ///
    /// # Errors
    /// [`Problem`]; nothing was queued.
    pub async fn pay(&self, payment: Payment) -> Result<TransferId, Problem> {
        self.ask(|answer| Command::Pay { payment, answer }).await
    }

    async fn history(&self, asked: v1::HistoryRequest) -> Result<v1::HistoryReply, Problem> {
        self.ask(|answer| Command::History { asked, answer }).await
    }

    /// One page of an account's postings, newest first, and where the next page begins.
    ///
    /// # Errors
    /// [`Problem`].
    pub async fn history_page(
        &self,
        account: &str,
        cursor: Option<Vec<u8>>,
        page_size: u32,
        at_least_position: u64,
    ) -> Result<(Vec<Movement>, Option<Vec<u8>>), Problem> {
        let asked = v1::HistoryRequest {
            account: account.to_owned(),
            cursor: cursor.unwrap_or_default().into(),
            page_size,
            at_least_position,
        };
        let reply = self.history(asked).await?;
        let next = (!reply.next_cursor.is_empty()).then(|| reply.next_cursor.to_vec());
        Ok((reply.movements.into_iter().map(Movement::from).collect(), next))
    }

    /// What the person's bank knows of one transfer that they pay or are paid by, on whichever device it was made.
    ///
    /// # Errors
    /// [`Problem`]; [`Refusal::NotFound`] for one that the bank does not know, or that is another's.
    pub async fn life(&self, key: Key) -> Result<Life, Problem> {
        self.ask(|answer| Command::Life { key, answer }).await
    }

    /// Sends one order, or all, now.
    pub async fn retry(&self, id: Option<TransferId>) {
        self.tell(Command::Retry(id)).await;
    }

    /// Cancels an order: at once if it was never sent, otherwise by asking the payer's bank, whose answer says
    /// whether the cancel or the payment won.
    ///
    /// # Errors
    /// [`Problem::TooLate`].
    pub async fn cancel(&self, id: TransferId) -> Result<(), Problem> {
        self.ask(|answer| Command::Cancel { id, answer }).await
    }

    /// Sends an ended order's very bytes again: a drill which shows that nothing moves twice.
    pub async fn send_again(&self, id: TransferId) {
        self.tell(Command::SendAgain(id)).await;
    }

    /// Takes an ended order off the queue.
    pub async fn dismiss(&self, id: TransferId) {
        self.tell(Command::Dismiss(id)).await;
    }

    /// Takes every ended order off the queue.
    pub async fn dismiss_ended(&self) {
        self.tell(Command::DismissEnded).await;
    }

    /// Goes offline, or back.
    pub async fn set_offline(&self, offline: bool) {
        self.tell(Command::SetOffline(offline)).await;
    }

    /// Stops the worker, once what it is writing is on the disk.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        self.tell(Command::Stop(done)).await;
        // the worker may have stopped before
        let _ = stopped.await;
    }

    /// Waits until the view satisfies a condition.
    ///
    /// # Errors
    /// [`Problem::Stopping`] if it does not within `within`.
    pub async fn wait_for(
        &self,
        within: Duration,
        condition: impl FnMut(&View) -> bool,
    ) -> Result<View, Problem> {
        let mut view = self.view.clone();
        match tokio::time::timeout(within, view.wait_for(condition)).await {
            Ok(Ok(view)) => Ok(view.clone()),
            _ => Err(Problem::Stopping),
        }
    }
}

/// A moment in the future.
fn after(wait: Duration) -> Instant {
    Instant::now() + wait
}
