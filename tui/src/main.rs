//! `strife`: the client. `main` only wires.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use strife_client::{ClientSettings, Settings};

/// Bank from a terminal, also while the network is away.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The client's settings; by default client.toml in your configuration directory.
    #[arg(long)]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    strife_client::install_provider();
    match open(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strife: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn open(arguments: Arguments) -> anyhow::Result<()> {
    let config = match arguments.config {
        Some(config) => config,
        None => directories::ProjectDirs::from("", "", "strife")
            .context("there is no home directory; name the settings with --config")?
            .config_dir()
            .join("client.toml"),
    };
    strife_tui::run(ClientSettings::load(&config)?, None)
}
