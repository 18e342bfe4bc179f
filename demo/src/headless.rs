//! The demo without a screen: one JSON line, then nothing until it is told to stop.

use std::io::Write;
use std::path::Path;

use crate::network::DemoNetwork;
use crate::stop;

/// Runs a network until SIGTERM, SIGINT or SIGHUP, and stops all that it started.
///
/// # Errors
/// Whatever keeps it from starting, for a person to read.
pub fn run(dir: &Path, port_base: Option<u16>, gateways: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let network = tokio::select! {
            network = DemoNetwork::start(dir, port_base, gateways) => network?,
            stop = stop::asked() => return Ok(stop?),
        };
        let line = serde_json::to_string(&network.describe()?)?;
        let mut output = std::io::stdout().lock();
        writeln!(output, "{line}")?;
        output.flush()?;
        drop(output);
        stop::asked().await?;
        network.processes.stop_all();
        Ok(())
    })
}
