//! What is wrong with this client, in words, each with how to mend it. The library's own checks, asked one after
//! the other: whatever refuses a start is asked here by the same function.
//!
//! What must never: a change of anything; a secret in a finding.

mod files;
pub mod network;
mod stores;

use std::path::Path;

use serde::Serialize;
use strife_config::{ClientSettings, Settings};

use crate::now_ms;

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// All is well.
    Good,
    /// It works, but somebody should look.
    Warning,
    /// It does not work.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What: a stable name.
    pub topic: &'static str,
    /// How it stands.
    pub level: Level,
    /// In words.
    pub says: String,
    /// How to mend it, where there is something to mend.
    pub mend: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn good(topic: &'static str, says: impl Into<String>) -> Self {
        Self { topic, level: Level::Good, says: says.into(), mend: None }
    }

    /// Somebody should look.
    pub fn warning(topic: &'static str, says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { topic, level: Level::Warning, says: says.into(), mend: Some(mend.into()) }
    }

    /// It does not work.
    pub fn problem(topic: &'static str, says: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { topic, level: Level::Problem, says: says.into(), mend: Some(mend.into()) }
    }
}

/// Looks at everything that a client with this settings file needs, and changes nothing. Takes some seconds where
/// a gateway does not answer.
pub async fn examine(file: &Path) -> Vec<Finding> {
    let mut findings = vec![files::settings(file)];
    let settings = match ClientSettings::load(file) {
        Ok(settings) => settings,
        Err(_) => {
            findings.push(Finding::warning(
                "rest",
                "The rest was not looked at, since the settings say where it is.",
                "Mend the settings first.",
            ));
            return findings;
        }
    };
    findings.extend(files::data_dir(&settings.data_dir));
    findings.push(files::outbox(&settings.data_dir));
    findings.extend(files::certificate(&settings, now_ms()));
    findings.extend(files::trust(&settings));
    findings.extend(stores::keyrings(&settings).await);
    findings.extend(network::gateways(&settings, now_ms()).await);
    findings
}
