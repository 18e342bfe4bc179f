//! A running bank: from settings, trust and listeners to a clean stop.

use std::sync::{Arc, Weak};
use std::time::Duration;

use strife_certs::CertsError;
use strife_certs::identity::Identity;
use strife_certs::keys::BankKeys;
use strife_config::BankSettings;
use strife_daemon::accept::accept;
use strife_daemon::interceptor::Interceptor;
use strife_daemon::lifecycle::{Stop, drain};
use strife_daemon::seams::Clock;
use strife_daemon::throttle::Throttle;
use strife_daemon::trust::Trust;
use strife_proto::Refusal;
use strife_proto::v1::bank_admin_server::BankAdminServer;
use strife_proto::v1::bank_server::BankServer;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tonic::transport::Server;

use crate::bank::Bank;
use crate::command::Command;
use crate::ledger::state::{BankName, Own};
use crate::login::Nonces;
use crate::open::{Folder, FolderError};
use crate::passwords::Passwords;
use crate::projection::{ProjectionError, ProjectionReader};
use crate::service::admin::Admin;
use crate::service::gateways::Gateways;
use crate::writer::{Shared, Writer, WriterError};

/// How long one call may take until its answer begins, in milliseconds.
const CALL_MS_MAX: u64 = 30_000;

/// How long a stop waits for writer and projections after the drain, in milliseconds.
const WORKERS_MS_MAX: u64 = 5_000;

/// How often sessions that are over are taken away, in milliseconds, and how many at a time.
const SESSIONS_SWEEP_MS: u64 = 60_000;
const SESSIONS_PER_SWEEP_MAX: usize = 1_000;

/// Why a bank did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Certificates or keys.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// The certificate, the keys and the settings are not of one bank.
    #[error("{0}")]
    Mismatch(String),
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The projections.
    #[error("the projections cannot be read: {0}")]
    Reader(#[from] rusqlite::Error),
    /// The password pool.
    #[error("passwords cannot be checked: {0}")]
    Passwords(Refusal),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
    /// The writer ended; nobody was answered falsely.
    #[error("the writer ended: {0}")]
    Writer(#[from] WriterError),
    /// The projections ended.
    #[error("the projections ended: {0}")]
    Projections(#[from] ProjectionError),
    /// A server ended.
    #[error("the server ended: {0}")]
    Server(#[from] tonic::transport::Error),
    /// A worker thread panicked.
    #[error("the {0} panicked")]
    Panicked(&'static str),
}

/// Where a bank is reached.
#[derive(Debug)]
pub struct Listeners {
    /// By gateways.
    pub gateways: TcpListener,
    /// By its operators.
    pub operators: TcpListener,
}

/// Runs a bank until a stop is asked for, or until it cannot go on. `ready` is called once it answers.
///
/// # Errors
/// [`RunError`].
pub async fn run(
    settings: BankSettings,
    listeners: Listeners,
    clock: Arc<dyn Clock>,
    stop: Stop,
    ready: impl FnOnce(),
) -> Result<(), RunError> {
    let trust = Trust::load(&settings.tls, &settings.trust)?;
    let keys = BankKeys::load(&settings.keys_dir)?;
    let own = whose(&settings, &trust, &keys)?;
    let Folder { store, chain, state, projector, lock } =
        Folder::open(&settings.data_dir, own.clone(), clock.now_ms())?;
    tracing::info!(
        target: "strife::daemon",
        bank = %own.bank,
        entries = state.next_position - 1,
        accounts = state.accounts.len(),
        promises = state.promises.len(),
        "the journal is replayed"
    );

    let shared = Arc::new(Shared::new(state));
    let projected = projector.progress();
    let (wake, woken) = std::sync::mpsc::channel();
    let (queue, commands) = mpsc::channel(settings.limits.queue_commands_max);
    let writer = Writer {
        store: Box::new(store),
        chain,
        shared: shared.clone(),
        projections: ProjectionReader::open(&settings.data_dir, &own.network)?,
        projected: projected.clone(),
        key: BankKeys::load(&settings.keys_dir)?.signing,
        clock: clock.clone(),
        batch_commands_max: settings.limits.batch_commands_max,
        promises_per_payer_max: settings.limits.promises_per_payer_max,
        wake,
    };
    let (writer_thread, mut writer_ended) = spawn("writer", move || writer.run(commands))?;
    let (projector_thread, mut projector_ended) = spawn("projector", move || projector.run(woken))?;

    let bank = Arc::new(Bank {
        own: own.clone(),
        keys,
        shared,
        queue,
        projected,
        data_dir: settings.data_dir.clone(),
        clock,
        passwords: Passwords::new(settings.limits.password_checks_max).map_err(RunError::Passwords)?,
        logins: Throttle::new(settings.limits.login_failures_per_minute_max),
        nonces: Nonces::default(),
        session_ms: settings.session_ms,
        order_life_ms_max: settings.order_life_ms_max,
        readers: std::sync::Mutex::default(),
        limits: settings.limits.clone(),
        trust: trust.clone(),
    });
    tokio::spawn(end_sessions(Arc::downgrade(&bank), stop.clone()));
    let interceptor = Interceptor::new(
        Some(own.bank.clone()),
        settings.limits.calls_max,
        CALL_MS_MAX,
        settings.logs.bodies,
    );
    let gateways = Server::builder()
        .layer(interceptor.clone())
        .add_service(BankServer::new(Gateways::new(bank.clone(), stop.clone())))
        .serve_with_incoming_shutdown(
            accept(listeners.gateways, trust.server.clone(), trust.network()),
            asked(stop.clone()),
        );
    let operators = Server::builder()
        .layer(interceptor)
        .add_service(BankAdminServer::new(Admin::new(bank.clone())))
        .serve_with_incoming_shutdown(
            accept(listeners.operators, trust.server.clone(), trust.network()),
            asked(stop.clone()),
        );
    let mut servers = Box::pin(async { tokio::try_join!(gateways, operators) });
    ready();
    let mut served = Ok(());
    tokio::select! {
        result = &mut servers => served = result.map(|_| ()).map_err(RunError::from),
        () = stop.asked() => drain(&mut servers, settings.drain_ms).await,
        // its error is taken from the thread below
        () = ended(&mut writer_ended) => {}
        () = ended(&mut projector_ended) => {}
    }
    // the servers hold the bank
    drop(servers);
    // the last sender goes, the writer answers what is queued and ends, then the projections
    drop(bank);
    let workers = async {
        ended(&mut writer_ended).await;
        ended(&mut projector_ended).await;
    };
    if tokio::time::timeout(Duration::from_millis(WORKERS_MS_MAX), workers).await.is_err() {
        // what is acknowledged is on the disk; a start-up replays it
        tracing::warn!(target: "strife::daemon", "stopped while a connection still held the writer");
    }
    // one that has ended says why; one that has not ends with the process, which holds the lock till then
    if !(has_ended(&writer_ended) && has_ended(&projector_ended)) {
        std::mem::forget(lock.try_clone());
    }
    if has_ended(&projector_ended) {
        projector_thread.join().map_err(|_| RunError::Panicked("projector"))??;
    }
    if has_ended(&writer_ended) {
        writer_thread.join().map_err(|_| RunError::Panicked("writer"))??;
    }
    drop(lock);
    served
}

/// Takes sessions away whose time is over, a bounded number at a time.
async fn end_sessions(bank: Weak<Bank>, stop: Stop) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(SESSIONS_SWEEP_MS)) => {}
            () = stop.asked() => return,
        }
        let Some(bank) = bank.upgrade() else { return };
        let now_ms = bank.clock.now_ms();
        let over: Vec<_> = {
            let state = bank.shared.read();
            let over = state.sessions.iter().filter(|(_, session)| session.expires_at_ms <= now_ms);
            over.map(|(id, _)| *id).take(SESSIONS_PER_SWEEP_MAX).collect()
        };
        for session in over {
            bank.ask(Command::SignOut(session)).await;
        }
    }
}

async fn asked(stop: Stop) {
    stop.asked().await;
}

type Worker<T> = (std::thread::JoinHandle<T>, watch::Receiver<()>);

/// A named thread, and what tells that it has ended, however it ended.
fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Worker<T>, RunError> {
    let (alive, ended) = watch::channel(());
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _alive = alive;
            work()
        })
        .map_err(RunError::Thread)?;
    Ok((thread, ended))
}

/// Whether a worker's thread has ended, but for its last instructions.
fn has_ended(worker: &watch::Receiver<()>) -> bool {
    worker.has_changed().is_err()
}

/// Waits until a worker's thread has ended.
async fn ended(worker: &mut watch::Receiver<()>) {
    while worker.changed().await.is_ok() {}
}

/// Checks that certificate, keys, roster and settings are of one bank.
fn whose(settings: &BankSettings, trust: &Trust, keys: &BankKeys) -> Result<Own, RunError> {
    let mismatch =
        |what: &str| RunError::Mismatch(format!("settings name bank {}, but {what}", settings.name));
    let bank = BankName::new(&settings.name).map_err(|_| mismatch("that is no name"))?;
    if trust.own.identity != Identity::Bank(bank.clone()) {
        return Err(mismatch(&format!("the certificate is of {}", trust.own.identity)));
    }
    let public = trust.roster.banks.get(&bank).ok_or_else(|| mismatch("the roster has no such bank"))?;
    let sealed = strife_certs::sealing::seal(&bank, &public.sealing, b"")?;
    let opens = strife_certs::sealing::open(&bank, &keys.sealing, &sealed).is_ok();
    if !opens || public.signing != *keys.signing.public() || public.token != *keys.token.public() {
        return Err(mismatch("its keys are not those in the roster"));
    }
    Ok(Own { bank, network: trust.network().to_owned() })
}

/// The whole daemon, from a settings file to its stop: what `main` calls.
///
/// # Errors
/// Whatever kept it from starting or going on, for a person to read.
pub fn daemon(config: &std::path::Path) -> anyhow::Result<()> {
    use strife_config::Settings;
    use strife_daemon::lifecycle::{bind, daemon};

    strife_certs::tls::install_provider();
    let settings = BankSettings::load(config)?;
    let logs = settings.logs.clone();
    daemon(&logs, move |stop| async move {
        let listeners = Listeners {
            gateways: bind(&settings.listen).await?,
            operators: bind(&settings.admin_listen).await?,
        };
        let (name, listen) = (settings.name.clone(), settings.listen.clone());
        run(settings, listeners, Arc::new(strife_daemon::seams::SystemClock), stop, || {
            tracing::info!(target: "strife::daemon", bank = name, listen, "ready");
        })
        .await?;
        Ok(())
    })
}
