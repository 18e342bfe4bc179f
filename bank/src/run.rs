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
use strife_daemon::throttle::Throttle;
use strife_daemon::token::Tokens;
use strife_daemon::trust::Trust;
use strife_faults::kill;
use strife_proto::Refusal;
use strife_proto::v1::bank_admin_server::BankAdminServer;
use strife_proto::v1::bank_server::BankServer;
use strife_seams::{Listen, Seams};
use tokio::sync::{mpsc, watch};
use tonic::transport::Server;

use crate::bank::Bank;
use crate::command::Command;
use crate::journal::{OpenStore, Sqlite};
use crate::ledger::state::{BankName, Own};
use crate::login::Nonces;
use crate::open::{Folder, FolderError};
use crate::passwords::{Cost, Passwords};
use crate::projection::{self, ProjectionError, ProjectionReader};
use crate::service::admin::Admin;
use crate::service::gateways::Gateways;
use crate::snapshot::Keeper;
use crate::writer::{Shared, Writer, WriterError};

/// How long one call may take until its answer begins, in milliseconds.
const CALL_MS_MAX: u64 = 30_000;

/// How long a stop waits for writer and projections after the drain, in milliseconds.
const WORKERS_MS_MAX: u64 = 5_000;

/// How long a stop waits for a snapshot after that, in milliseconds.
const SNAPSHOT_MS_MAX: u64 = 20_000;

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
    pub gateways: Box<dyn Listen>,
    /// By its operators.
    pub operators: Box<dyn Listen>,
}

/// What a bank takes from outside beside its settings.
#[derive(Clone, Debug)]
pub struct Outside {
    /// Time, randomness, threads.
    pub seams: Seams,
    /// Where the journal is.
    pub stores: Arc<dyn OpenStore>,
    /// What a new password hash costs.
    pub password_cost: Cost,
}

impl Outside {
    /// The machine's own, and SQLite.
    pub fn of_this_machine() -> Self {
        Self { seams: Seams::of_this_machine(), stores: Arc::new(Sqlite), password_cost: Cost::Full }
    }
}

/// Runs a bank until a stop is asked for, or until it cannot go on. `ready` is called once it answers.
///
/// # Errors
/// [`RunError`].
pub async fn run(
    settings: BankSettings,
    listeners: Listeners,
    outside: Outside,
    stop: Stop,
    ready: impl FnOnce(),
) -> Result<(), RunError> {
    let Outside { seams, stores, password_cost } = outside;
    let trust = Trust::load(&settings.tls, &settings.trust)?;
    let keys = BankKeys::load(&settings.keys_dir)?;
    let own = whose(&settings, &trust, &keys)?;
    kill::this_process_is(own.bank.as_str());
    let Folder { store, chain, state, projector, snapshot_position, lock } =
        Folder::open(&settings.data_dir, stores.as_ref(), own.clone(), seams.now_ms())?;
    tracing::info!(
        target: "strife::daemon",
        bank = %own.bank,
        entries = state.next_position - 1,
        accounts = state.accounts.len(),
        promises = state.promises.len(),
        snapshot_position,
        "the journal is replayed"
    );
    if let Some(durability) = store.durability().map_err(FolderError::Sqlite)? {
        tracing::info!(target: "strife::daemon", "the writer's own connection has {durability}");
    }

    let shared = Arc::new(Shared::new(state));
    let projected = projector.progress();
    let demand = projector.demand();
    let (wake, woken) = watch::channel(0);
    let (queue, commands) = mpsc::channel(settings.limits.queue_commands_max);
    let writer = Writer {
        store,
        chain,
        shared: shared.clone(),
        projections: ProjectionReader::open(&settings.data_dir, &own.network)?,
        handover: projector.handover(),
        rows: stores.reader(&settings.data_dir)?,
        projected: projected.clone(),
        key: BankKeys::load(&settings.keys_dir)?.signing,
        clock: seams.clock.clone(),
        batch_commands_max: settings.limits.batch_commands_max,
        promises_per_payer_max: settings.limits.promises_per_payer_max,
        wake,
    };
    let mut writer = seams.work.begin("writer", writer.run(commands)).map_err(RunError::Thread)?;
    let mut projector = seams.work.begin("projector", projector.run(woken)).map_err(RunError::Thread)?;
    let keeper = Keeper {
        dir: settings.data_dir.clone(),
        stores: stores.clone(),
        own: own.clone(),
        snapshot_entries: settings.snapshot_entries,
        taken: snapshot_position,
    };
    let mut keeper =
        seams.work.begin("snapshots", keeper.run(projected.clone())).map_err(RunError::Thread)?;

    let bank = Arc::new(Bank {
        own: own.clone(),
        keys,
        shared,
        queue,
        projected,
        demand,
        data_dir: settings.data_dir.clone(),
        stores,
        passwords: Passwords::new(settings.limits.password_checks_max, seams.work, password_cost)
            .map_err(RunError::Passwords)?,
        seams,
        logins: Throttle::new(settings.limits.login_failures_per_minute_max),
        nonces: Nonces::default(),
        tokens: Tokens::default(),
        session_ms: settings.session_ms,
        order_life_ms_max: settings.order_life_ms_max,
        readers: std::sync::Mutex::default(),
        row_readers: std::sync::Mutex::default(),
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
        biased;
        result = &mut servers => served = result.map(|_| ()).map_err(RunError::from),
        () = stop.asked() => drain(&mut servers, settings.drain_ms).await,
        // its error is taken from the thread below
        () = writer.ended() => {}
        () = projector.ended() => {}
    }
    // the servers hold the bank
    drop(servers);
    // the last sender goes, the writer answers what is queued and ends, then the projections
    drop(bank);
    let workers = async {
        writer.ended().await;
        projector.ended().await;
    };
    if tokio::time::timeout(Duration::from_millis(WORKERS_MS_MAX), workers).await.is_err() {
        // what is acknowledged is on the disk; a start-up replays it
        tracing::warn!(target: "strife::daemon", "stopped while a connection still held the writer");
    }
    let snapshot = tokio::time::timeout(Duration::from_millis(SNAPSHOT_MS_MAX), keeper.ended());
    // it follows the projector, and ends after it
    if projector.has_ended() && snapshot.await.is_err() {
        // what is written of it is not in its place, and the next start replays more
        tracing::warn!(target: "strife::daemon", "stopped before the snapshot was whole");
    }
    // one that has ended says why; one that has not ends with the process, which holds the lock till then
    if !(writer.has_ended() && projector.has_ended()) {
        std::mem::forget(lock.try_clone());
    }
    if projector.has_ended() {
        projector.result().await.ok_or(RunError::Panicked("projector"))??;
    }
    if writer.has_ended() {
        let ended = writer.result().await.ok_or(RunError::Panicked("writer"))?;
        if let Err(WriterError::Projections(_)) = &ended {
            projection::discard(&settings.data_dir)?;
        }
        ended?;
    }
    drop(lock);
    served
}

/// Takes sessions away whose time is over, a bounded number at a time.
async fn end_sessions(bank: Weak<Bank>, stop: Stop) {
    loop {
        tokio::select! {
        biased;
            () = tokio::time::sleep(Duration::from_millis(SESSIONS_SWEEP_MS)) => {}
            () = stop.asked() => return,
        }
        let Some(bank) = bank.upgrade() else { return };
        let now_ms = bank.seams.now_ms();
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
        run(settings, listeners, Outside::of_this_machine(), stop, || {
            tracing::info!(target: "strife::daemon", bank = name, listen, "ready");
        })
        .await?;
        Ok(())
    })
}
