//! A running gateway: from settings, trust and a listener to a clean stop.

use std::sync::Arc;

use strife_certs::CertsError;
use strife_certs::identity::Identity;
use strife_config::GatewaySettings;
use strife_daemon::accept::accept;
use strife_daemon::interceptor::Interceptor;
use strife_daemon::lifecycle::{Stop, drain};
use strife_daemon::throttle::Throttle;
use strife_daemon::trust::Trust;
use strife_faults::kill;
use strife_proto::commit::BankName;
use strife_proto::v1::gateway_server::GatewayServer;
use strife_seams::{Listen, Seams};
use tokio::sync::Semaphore;
use tonic::transport::Server;

use crate::drive::Links;
use crate::link::BankLink;
use crate::resolver::{self, InHand};
use crate::service::Clients;

/// Time that a call may take beyond the phases it is made of, in milliseconds.
const CALL_MARGIN_MS: u64 = 5_000;

/// Longest message that a client may send, in bytes: 256 orders with their signatures, of ordinary length.
const CLIENT_MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// Why a gateway did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Certificates.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// The certificate is not a gateway's.
    #[error("the certificate is of {0}, not of a gateway")]
    Mismatch(Identity),
    /// Settings name a bank that the roster does not have.
    #[error("settings name bank {0}, which the roster does not have")]
    UnknownBank(String),
    /// The server ended.
    #[error("the server ended: {0}")]
    Server(#[from] tonic::transport::Error),
}

/// Runs a gateway until a stop is asked for. `ready` is called once it answers.
///
/// # Errors
/// [`RunError`].
pub async fn run(
    settings: GatewaySettings,
    listener: Box<dyn Listen>,
    seams: Seams,
    stop: Stop,
    ready: impl FnOnce(),
) -> Result<(), RunError> {
    let trust = Trust::load(&settings.tls, &settings.trust)?;
    let Identity::Gateway(name) = &trust.own.identity else {
        return Err(RunError::Mismatch(trust.own.identity));
    };
    kill::this_process_is(name);
    let mut links = Links {
        network: trust.network().to_owned(),
        banks: Default::default(),
        timeouts: settings.timeouts.clone(),
    };
    for (name, address) in &settings.banks {
        let unknown = || RunError::UnknownBank(name.clone());
        let bank = BankName::new(name).map_err(|_| unknown())?;
        if !trust.roster.banks.contains_key(&bank) {
            return Err(unknown());
        }
        let link = BankLink::begin(bank.clone(), address, &settings, &trust, &seams, stop.clone());
        links.banks.insert(bank, link);
    }
    let links = Arc::new(links);
    let in_hand = Arc::new(InHand::default());
    tokio::spawn(resolver::run(links.clone(), settings.resolver.clone(), in_hand.clone(), stop.clone()));

    let timeouts = &settings.timeouts;
    let longest = (timeouts.prepare_ms + 2 * timeouts.decide_ms).max(timeouts.rpc_ms) + CALL_MARGIN_MS;
    let interceptor = Interceptor::new(None, settings.limits.calls_max, longest, settings.logs.bodies);
    let clients = Clients {
        links,
        trust: trust.clone(),
        clock: seams.clock.clone(),
        in_hand,
        watches: Arc::new(Semaphore::new(settings.limits.watches_max)),
        streams: Arc::new(Semaphore::new(settings.limits.streams_max)),
        streams_share: Arc::new(Semaphore::new(settings.limits.transfers_max.div_ceil(2))),
        drives: Arc::new(Semaphore::new(settings.limits.transfers_max)),
        logins: Arc::new(Throttle::new(settings.limits.logins_per_minute_max)),
        tokens: Arc::default(),
        stop: stop.clone(),
    };
    let asked = stop.clone();
    let keepalive = seams.dial.keepalive();
    let server = Server::builder()
        // a client that has vanished without a word holds nothing for ever
        .http2_keepalive_interval(Some(keepalive.every))
        .http2_keepalive_timeout(Some(keepalive.answer_max))
        .layer(interceptor)
        .add_service(GatewayServer::new(clients).max_decoding_message_size(CLIENT_MESSAGE_BYTES_MAX))
        .serve_with_incoming_shutdown(accept(listener, trust.server.clone(), trust.network()), async move {
            asked.asked().await
        });
    tokio::pin!(server);
    ready();
    tokio::select! {
        biased;
        result = &mut server => result?,
        () = stop.asked() => drain(&mut server, settings.drain_ms).await,
    }
    Ok(())
}

/// The whole daemon, from a settings file to its stop: what `main` calls.
///
/// # Errors
/// Whatever kept it from starting or going on, for a person to read.
pub fn daemon(config: &std::path::Path) -> anyhow::Result<()> {
    use strife_config::Settings;

    strife_certs::tls::install_provider();
    let settings = GatewaySettings::load(config)?;
    let logs = settings.logs.clone();
    strife_daemon::lifecycle::daemon(&logs, move |stop| async move {
        let listener = strife_daemon::lifecycle::bind(&settings.listen).await?;
        let listen = settings.listen.clone();
        run(settings, listener, Seams::of_this_machine(), stop, || {
            tracing::info!(target: "strife::daemon", listen, "ready");
        })
        .await?;
        Ok(())
    })
}
