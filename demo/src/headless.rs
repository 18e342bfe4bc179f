//! The demo without a screen: one JSON line, then nothing until it is told to stop.

use std::io::Write;
use std::path::Path;

use strife_daemon::lifecycle::stop_asked;

use crate::network::DemoNetwork;

/// Runs a network until SIGTERM or SIGINT, and stops all that it started.
///
/// # Errors
/// Whatever keeps it from starting, for a person to read.
pub fn run(dir: &Path, port_base: Option<u16>, gateways: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let network = tokio::select! {
            network = DemoNetwork::start(dir, port_base, gateways) => network?,
            stop = stop_asked() => return Ok(stop?),
        };
        let line = serde_json::to_string(&network.describe()?)?;
        let mut output = std::io::stdout().lock();
        writeln!(output, "{line}")?;
        output.flush()?;
        drop(output);
        stop_asked().await?;
        network.processes.stop_all();
        Ok(())
    })
}
