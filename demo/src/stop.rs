//! When the demo itself is to stop.

use strife_daemon::lifecycle::stop_asked;
use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGTERM, SIGINT, or SIGHUP: a terminal that was closed takes the demo with it.
///
/// # Errors
/// The signals cannot be listened for.
pub async fn asked() -> std::io::Result<()> {
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        asked = stop_asked() => asked,
        _ = hang_up.recv() => Ok(()),
    }
}
