//! The demo with the client's screen.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use strife_client::{ClientSettings, Settings};
use strife_tui::{Control, DemoControls, ProcessState};

use crate::control::{self, Remote};
use crate::layout::client_config;
use crate::network::DemoNetwork;
use crate::processes::Processes;
use crate::seed::is_seeded;
use crate::stop;

struct Controls(Arc<Processes>);

impl DemoControls for Controls {
    fn processes(&self) -> Vec<(String, ProcessState)> {
        self.0.states()
    }

    fn control(&self, name: &str, what: Control) -> Result<(), String> {
        self.0.control(name, what).map_err(|error| format!("{error:#}"))
    }
}

/// Says something to the person; a terminal that is gone must not keep the network from being stopped.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Starts a network, opens the client on it, and stops all that it started when the person leaves.
///
/// # Errors
/// Whatever keeps it from starting, for a person to read.
pub fn run(dir: &Path, port_base: Option<u16>, gateways: usize) -> anyhow::Result<()> {
    let first = !is_seeded(dir);
    say(&format!("Starting two banks and a gateway in {} …", dir.display()));
    if first {
        say("(the first time: certificates, sample people, some history)");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let network = runtime.block_on(async {
        tokio::select! {
            network = DemoNetwork::start(dir, port_base, gateways) => network.map(Some),
            stop = stop::asked() => stop.map(|()| None).map_err(Into::into),
        }
    })?;
    let Some(network) = network else { return Ok(()) };
    drop(runtime);
    let settings = ClientSettings::load(&network.layout.client_config())?;
    let result = strife_tui::run(settings, Some(Arc::new(Controls(network.processes.clone()))));
    say("Stopping the network …");
    network.processes.stop_all();
    result
}

/// Opens the client on a demo that runs in another process; leaving it leaves the demo running.
///
/// # Errors
/// No demo runs there; whatever keeps the client from starting.
pub fn join(dir: &Path) -> anyhow::Result<()> {
    let dir = dir.canonicalize().with_context(|| format!("there is no demo in {}", dir.display()))?;
    control::processes(&dir)?;
    let settings = ClientSettings::load(&client_config(&dir))?;
    strife_tui::run(settings, Some(Arc::new(Remote { dir })))
}
