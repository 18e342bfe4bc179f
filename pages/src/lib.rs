//! Shell completions and man pages, made from the very definition that a program reads its arguments with. Each
//! program has them as two subcommands more: `#[command(flatten)]` this enum into its own.
//!
//! What must never: anything that a page says and the program does not.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Command, Subcommand};
use clap_complete::{Shell, generate};

/// The two subcommands.
#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
pub enum Pages {
    /// Print the completions of a shell, to be put where it looks for them.
    Completions {
        /// Which shell.
        shell: Shell,
    },
    /// Write a man page for the program and for each subcommand into a folder.
    Man {
        /// The folder; made if it is not there.
        dir: PathBuf,
    },
}

impl Pages {
    /// Does what was asked for, for a program.
    ///
    /// # Errors
    /// Standard output or the folder, named, cannot be written.
    pub fn write(&self, program: Command) -> io::Result<()> {
        match self {
            Pages::Completions { shell } => completions(program, *shell, &mut io::stdout()),
            Pages::Man { dir } => man(program, dir),
        }
    }
}

fn completions(mut program: Command, shell: Shell, out: &mut impl Write) -> io::Result<()> {
    let name = program.get_name().to_owned();
    // written into memory first: clap_complete panics where a pipe is closed
    let mut text = Vec::new();
    generate(shell, &mut program, name, &mut text);
    out.write_all(&text)
}

fn man(program: Command, dir: &Path) -> io::Result<()> {
    let at = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", dir.display()));
    fs::create_dir_all(dir).map_err(at)?;
    // one page for the program, and one for each subcommand
    clap_mangen::generate_to(program, dir).map_err(at)
}

/// Writes everything that there is of a program, the pages into a folder, and says what is missing: for the tests of
/// each program.
///
/// # Errors
/// The folder cannot be written.
pub fn missing(program: &Command, dir: &Path) -> io::Result<Vec<String>> {
    let names: Vec<&str> = program.get_subcommands().map(Command::get_name).collect();
    let mut missing = Vec::new();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
        let mut text = Vec::new();
        completions(program.clone(), shell, &mut text)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let absent = names.iter().copied().chain([program.get_name()]).filter(|name| !text.contains(name));
        missing.extend(absent.map(|name| format!("{name} in the completions of {shell}")));
    }
    man(program.clone(), dir)?;
    let page = |name: &str| fs::read_to_string(dir.join(format!("{name}.1"))).unwrap_or_default();
    let main = page(program.get_name());
    for name in names {
        if !main.contains(name) {
            missing.push(format!("{name} on the main page"));
        }
        if !page(&format!("{}-{name}", program.get_name())).contains(".SH") {
            missing.push(format!("a page of {name}"));
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    #[command(name = "some-program")]
    struct Arguments {
        #[command(subcommand)]
        _command: Pages,
    }

    #[test]
    fn every_shell_and_every_subcommand_has_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let program = <Arguments as clap::CommandFactory>::command();
        let pages = dir.path().join("man/man1");
        assert_eq!(missing(&program, &pages).unwrap(), Vec::<String>::new());
        assert!(fs::read_to_string(pages.join("some-program-man.1")).unwrap().contains("folder"));
        let file = dir.path().join("file");
        fs::write(&file, b"").unwrap();
        let words = Pages::Man { dir: file }.write(Command::new("x")).unwrap_err().to_string();
        assert!(words.contains("/file: "), "{words}");
    }
}
