//! The demo with the client's screen.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use strife_client::outbox::is_in_use;
use strife_client::{ClientSettings, Settings};
use strife_tui::{Control, DemoControls, ProcessState};

use crate::control::{self, Remote};
use crate::layout::client_config;
use crate::network::DemoNetwork;
use crate::processes::Processes;
use crate::seed::is_seeded;
use crate::stop;

/// Clients on one demo at the same time.
const CLIENTS_MAX: usize = 9;

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
    strife_tui::terminal::require().context("--headless runs the network without one")?;
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

/// Opens the client on a demo that runs in another process; leaving it leaves the demo running. Where a client works
/// already, this one gets a data folder of its own, as another machine would have.
///
/// # Errors
/// No demo runs there; whatever keeps the client from starting.
pub fn join(dir: &Path) -> anyhow::Result<()> {
    let dir = dir.canonicalize().with_context(|| format!("there is no demo in {}", dir.display()))?;
    control::processes(&dir)?;
    strife_tui::terminal::require()?;
    let mut settings = ClientSettings::load(&client_config(&dir))?;
    settings.data_dir = free_data_dir(&settings.data_dir)?;
    strife_tui::run(settings, Some(Arc::new(Remote { dir })))
}

/// The first client's data folder, or the one of the first further client that nobody uses.
fn free_data_dir(first: &Path) -> anyhow::Result<PathBuf> {
    let folder = |number: usize| match number {
        1 => first.to_owned(),
        _ => {
            let mut name = first.file_name().unwrap_or_default().to_owned();
            name.push(number.to_string());
            first.with_file_name(name)
        }
    };
    let free = (1..=CLIENTS_MAX).map(folder).find(|folder| !is_in_use(folder));
    free.with_context(|| format!("{CLIENTS_MAX} clients are open on this demo; leave one of them first"))
}

#[cfg(test)]
mod tests {
    use strife_client::outbox::Outbox;

    use super::*;

    #[test]
    fn each_client_at_once_has_a_data_folder_of_its_own_and_the_next_takes_one_that_was_left() {
        let dir = tempfile::tempdir().unwrap();
        let first = dir.path().join("data");
        let mut open = Vec::new();
        for name in ["data", "data2", "data3"] {
            let free = free_data_dir(&first).unwrap();
            assert_eq!(free, dir.path().join(name));
            open.push(Outbox::open(&free).unwrap());
        }
        drop(open.remove(1));
        assert_eq!(free_data_dir(&first).unwrap(), dir.path().join("data2"));
    }
}
