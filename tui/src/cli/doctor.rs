//! `strife doctor`: the library's findings and the terminal's, written for a person or a program.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use strife_client::doctor::{Finding, Level, examine};
use strife_client::{ClientSettings, Settings};

use super::{BROKEN, DONE, FAILED, Output, terminal};
use crate::preferences::Preferences;
use crate::theme::Environment;

/// What a program reads; the number rises when its meaning changes.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    level: Level,
    findings: &'a [Finding],
}

pub(super) fn run(config: &Path, output: Output) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut findings = runtime.block_on(examine(config));
    // a keyring that never answers keeps its thread; this process does not wait for it
    runtime.shutdown_background();
    findings.extend(preferences(config));
    findings.extend(terminal::look());
    let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Good);
    let mut out = std::io::stdout().lock();
    match output {
        Output::Text => out.write_all(text(&findings, worst).as_bytes())?,
        Output::Json => {
            serde_json::to_writer_pretty(
                &mut out,
                &Report { version: 1, level: worst, findings: &findings },
            )?;
            out.write_all(b"\n")?;
        }
    }
    Ok(ExitCode::from(match worst {
        Level::Good => DONE,
        Level::Warning => FAILED,
        Level::Problem => BROKEN,
    }))
}

/// Colours and keys, which the screen alone can judge; nothing where the settings cannot be read at all, which is
/// said already.
fn preferences(config: &Path) -> Option<Finding> {
    let settings = ClientSettings::load(config).ok()?;
    Some(match Preferences::new(settings.screen, Environment::of_process()) {
        Ok(_) => Finding::good("screen", "Colours and keys of the settings can be used."),
        Err(error) => Finding::problem(
            "screen",
            format!("{error}."),
            "Change that key, or take it out; then it is as shipped.",
        ),
    })
}

/// A sign stands before each word, so that nothing rests on a colour.
fn text(findings: &[Finding], worst: Level) -> String {
    let width = findings.iter().map(|finding| finding.topic.len()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let sign = match finding.level {
            Level::Good => "ok     ",
            Level::Warning => "look   ",
            Level::Problem => "BROKEN ",
        };
        text += &format!("{sign} {:width$}  {}\n", finding.topic, finding.says);
        if let Some(mend) = &finding.mend {
            text += &format!("        {:width$}  → {mend}\n", "");
        }
    }
    text + match worst {
        Level::Good => "All is well.\n",
        Level::Warning => "It works; look at what is marked.\n",
        Level::Problem => "Something must be mended.\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_stands_there_with_its_sign_and_how_to_mend_it() {
        let findings = [
            Finding::good("settings", "read."),
            Finding::warning("keyring", "does not answer.", "unlock it."),
            Finding::problem("key", "mode 0644.", "chmod 600."),
        ];
        let text = text(&findings, Level::Problem);
        for line in
            ["ok      settings  read.", "look    keyring ", "→ unlock it.", "BROKEN  key ", "→ chmod 600."]
        {
            assert!(text.contains(line), "{line} not in\n{text}");
        }
        assert!(text.ends_with("Something must be mended.\n"));
    }
}
