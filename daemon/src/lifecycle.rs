//! From start to stop: signals, and a stop that lets calls in flight end.

use std::future::Future;
use std::time::Duration;

use anyhow::Context;
use strife_config::LogSettings;
use strife_seams::{Listen, TcpPort};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::logs;

/// The environment variable that makes a daemon stop when its standard input ends: whoever started it and
/// holds the other end has gone, however that came about.
pub const LIFELINE_ENV: &str = "STRIFE_LIFELINE";

/// Waits for SIGTERM or SIGINT, or for the lifeline's end where one is set. SIGHUP does not stop a daemon.
///
/// # Errors
/// The signals cannot be listened for.
pub async fn stop_asked() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let with_lifeline = std::env::var_os(LIFELINE_ENV).is_some();
    let lifeline = lifeline();
    tokio::pin!(lifeline);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            () = &mut lifeline, if with_lifeline => return Ok(()),
            _ = hang_up.recv() => {
                tracing::warn!(target: "strife::daemon", "SIGHUP: nothing is reloaded; restart to take up new certificates");
            }
        }
    }
}

async fn lifeline() {
    let mut input = tokio::io::stdin();
    let mut byte = [0; 64];
    while matches!(input.read(&mut byte).await, Ok(count) if count > 0) {}
}

/// Tells everybody who listens that the daemon is stopping.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// A stop that has not been asked for, and what asks for it.
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Ends when a stop is asked for.
    pub async fn asked(&self) {
        // an error means that the asking end is gone, which is a stop as well
        let _ = self.0.clone().wait_for(|stop| *stop).await;
    }

    /// Whether it has been.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }
}

/// Waits for servers that were told to stop, at most `drain_ms`.
pub async fn drain(servers: impl Future, drain_ms: u64) {
    if tokio::time::timeout(Duration::from_millis(drain_ms), servers).await.is_err() {
        tracing::warn!(target: "strife::daemon", drain_ms, "stopped with calls still in flight");
    }
}

/// Listens on an address of the settings.
///
/// # Errors
/// With the address, for a person to read.
pub async fn bind(address: &str) -> anyhow::Result<Box<dyn Listen>> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    Ok(Box::new(TcpPort::from(listener)))
}

/// A daemon's frame: log files, one current-thread runtime, signals; then its own work until that ends.
///
/// # Errors
/// Whatever kept it from starting or going on, for a person to read.
pub fn daemon<F>(logs: &LogSettings, work: impl FnOnce(Stop) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let guard = logs::begin(logs)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let (ask, stop) = Stop::new();
        tokio::spawn(async move {
            if let Err(error) = stop_asked().await {
                tracing::error!(target: "strife::daemon", %error, "cannot listen for signals");
            }
            // the daemon may have ended by itself
            let _ = ask.send(true);
        });
        work(stop).await
    });
    match &result {
        Ok(()) => tracing::info!(target: "strife::daemon", dropped_lines = guard.dropped_lines(), "stopped"),
        Err(error) => tracing::error!(target: "strife::daemon", "{error:#}"),
    }
    // a blocking read of the lifeline, or of a slow disk, must not keep the process
    runtime.shutdown_background();
    drop(guard);
    result
}
