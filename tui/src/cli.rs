//! The command line of `strife`: what it takes, and which way each goes. Without a subcommand the screen opens.
//!
//! Exit codes are stable and stand in `--help`. What must never: a secret in the arguments or in what is printed.

mod doctor;
mod terminal;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use strife_client::{ClientSettings, Settings};
use strife_pages::Pages;

use crate::wizard;

/// All is done, or all is well.
pub const DONE: u8 = 0;
/// It could not be done; the reason is on standard error. Of `doctor`: there are warnings, nothing worse.
pub const FAILED: u8 = 1;
/// Of `doctor`: something must be mended. (2 is clap's, for arguments that are not understood.)
pub const BROKEN: u8 = 3;
/// There are no settings yet, and there is no terminal to ask on, or its person has left.
pub const NOT_SET_UP: u8 = 4;

const CODES: &str = "Exit codes:
  0  done
  1  it could not be done; the reason is on standard error
  2  the arguments are not understood
  3  `doctor` has found something that must be mended (1: warnings alone)
  4  there are no settings yet, and no terminal to ask on (or it was left)";

/// Bank from a terminal, also while the network is away.
#[derive(Parser, Debug)]
#[command(name = "strife", version, after_help = CODES)]
struct Arguments {
    /// The client's settings; by default client.toml in your configuration directory.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Say what is wrong here, and how to mend it. Changes nothing.
    ///
    /// Looks at settings, data folder, outbox, certificate, key, authority, roster, keyring, terminal, every gateway
    /// and the clock. Ends with 0 if all is well, 1 if there are warnings alone, 3 if something must be mended.
    Doctor {
        /// How the findings are written.
        #[arg(long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    #[command(flatten)]
    Pages(Pages),
}

/// How something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For a person.
    Text,
    /// For a program: one object.
    Json,
}

/// The program: reads its arguments, does what they ask for, and says in words why it could not.
pub fn main() -> ExitCode {
    strife_client::install_provider();
    let arguments = Arguments::parse();
    let opens = arguments.command.is_none();
    run(arguments).unwrap_or_else(|error| {
        eprintln!("strife: {error:#}");
        if opens {
            eprintln!("strife: `strife doctor` looks at everything and says how to mend it");
        }
        ExitCode::from(FAILED)
    })
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = || settings_file(arguments.config.as_deref());
    Ok(match arguments.command {
        None => return open(&config()?),
        Some(Command::Doctor { output }) => doctor::run(&config()?, output)?,
        Some(Command::Pages(pages)) => {
            pages.write(Arguments::command())?;
            ExitCode::from(DONE)
        }
    })
}

/// The settings file that is meant.
///
/// # Errors
/// There is no home directory, and none was named.
fn settings_file(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let folders = directories::ProjectDirs::from("", "", "strife")
        .context("there is no home directory; name the settings with --config")?;
    Ok(folders.config_dir().join("client.toml"))
}

/// Opens the screen; before it, where there are no settings yet, the wizard.
fn open(config: &Path) -> anyhow::Result<ExitCode> {
    if !config.exists() {
        if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
            eprintln!("strife: {}", no_settings(config));
            return Ok(ExitCode::from(NOT_SET_UP));
        }
        if !wizard::run(config)? {
            eprintln!("strife: nothing was written; start it again when you have what your bank gave you");
            return Ok(ExitCode::from(NOT_SET_UP));
        }
    }
    let settings = ClientSettings::load(config)?;
    crate::run(settings, None)?;
    Ok(ExitCode::from(DONE))
}

fn no_settings(config: &Path) -> String {
    format!(
        "there is no settings file {}. Start `strife` in a terminal: it asks for the gateway's address and for the \
         files that your bank gave you, and writes the settings. Or write the file yourself (gateways, tls, trust, \
         data_dir), and name it with --config if it stands elsewhere",
        config.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_and_man_pages_name_every_subcommand() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(strife_pages::missing(&Arguments::command(), dir.path()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn the_definition_of_the_arguments_is_sound() {
        Arguments::command().debug_assert();
    }
}
