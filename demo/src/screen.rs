//! The demo with the client's screen.

use std::path::Path;
use std::sync::Arc;

use strife_client::{ClientSettings, Settings};
use strife_daemon::lifecycle::stop_asked;
use strife_tui::DemoControls;

use crate::network::DemoNetwork;
use crate::processes::Processes;
use crate::seed::is_seeded;

struct Controls(Arc<Processes>);

impl DemoControls for Controls {
    fn processes(&self) -> Vec<(String, strife_tui::demo::ProcessState)> {
        use strife_tui::demo::ProcessState::{Killed, Runs};
        let state = |name: String| {
            let running = if self.0.pid(&name).is_some() { Runs } else { Killed };
            (name, running)
        };
        self.0.names().into_iter().map(state).collect()
    }

    fn control(&self, name: &str, what: strife_tui::demo::Control) -> Result<(), String> {
        use strife_tui::demo::Control::{Kill, Start};
        match what {
            Kill => self.0.kill(name).map_err(|error| format!("{error:#}")),
            Start => self.0.start(name).map_err(|error| format!("{error:#}")),
            _ => Err("not yet".into()),
        }
    }
}

/// Starts a network, opens the client on it, and stops all that it started when the person leaves.
///
/// # Errors
/// Whatever keeps it from starting, for a person to read.
pub fn run(dir: &Path, port_base: Option<u16>, gateways: usize) -> anyhow::Result<()> {
    let first = !is_seeded(dir);
    eprintln!("Starting two banks and a gateway in {} …", dir.display());
    if first {
        eprintln!("(the first time: certificates, sample people, some history)");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let network = runtime.block_on(async {
        tokio::select! {
            network = DemoNetwork::start(dir, port_base, gateways) => network.map(Some),
            stop = stop_asked() => stop.map(|()| None).map_err(Into::into),
        }
    })?;
    let Some(network) = network else { return Ok(()) };
    drop(runtime);
    let settings = ClientSettings::load(&network.layout.client_config())?;
    let result = strife_tui::run(settings, Some(Arc::new(Controls(network.processes.clone()))));
    eprintln!("Stopping the network …");
    network.processes.stop_all();
    result
}
