//! Completions and man pages, made from the very definition that the arguments are read with.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap_complete::{Shell, generate};

use super::{DONE, command};

pub(super) fn completions(shell: Shell, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    // written into memory first: clap_complete panics where a pipe is closed
    let mut text = Vec::new();
    generate(shell, &mut command(), "strife", &mut text);
    out.write_all(&text)?;
    Ok(ExitCode::from(DONE))
}

pub(super) fn man(dir: &Path) -> anyhow::Result<ExitCode> {
    let at = || format!("{}", dir.display());
    fs::create_dir_all(dir).with_context(at)?;
    // one page for the command, and one for each subcommand
    clap_mangen::generate_to(command(), dir).with_context(at)?;
    Ok(ExitCode::from(DONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        command().get_subcommands().map(|subcommand| subcommand.get_name().to_owned()).collect()
    }

    #[test]
    fn completions_of_every_shell_name_every_subcommand() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
            let mut text = Vec::new();
            completions(shell, &mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            for name in names() {
                assert!(text.contains(&name), "{name} not in the completions of {shell}");
            }
            assert!(text.contains("config"), "{shell}");
        }
    }

    #[test]
    fn there_is_a_man_page_for_the_command_and_each_subcommand() {
        let dir = tempfile::tempdir().unwrap();
        let pages = dir.path().join("man/man1");
        man(&pages).unwrap();
        let main = fs::read_to_string(pages.join("strife.1")).unwrap();
        assert!(main.contains("Exit codes") && main.contains("config"), "{main}");
        for name in names() {
            assert!(main.contains(&name), "{name} not in strife.1");
            let page = fs::read_to_string(pages.join(format!("strife-{name}.1"))).unwrap();
            assert!(page.contains(".SH DESCRIPTION") || page.contains(".SH OPTIONS"), "{page}");
        }
    }
}
