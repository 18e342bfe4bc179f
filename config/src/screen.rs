//! Settings of the screen: looks, keys, manners. What a colour or a key may be called is the screen's to judge.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{SettingsError, check_range};

/// How the screen looks and behaves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScreenSettings {
    /// Colours.
    pub theme: ThemeName,
    /// Frames.
    pub borders: Borders,
    /// Whether clicks and the wheel are taken.
    pub mouse: bool,
    /// Where incoming money is told while the person looks elsewhere.
    pub notifications: Notifications,
    /// Signs out after so long without a key, in milliseconds; 0 never does.
    pub idle_lock_ms: u64,
    /// Balances are hidden at the start.
    pub hide_balances: bool,
    /// Colours that differ from the theme's, by the style's name.
    pub colours: BTreeMap<String, String>,
    /// Keys that differ, by the command's name.
    pub keys: BTreeMap<String, Vec<String>>,
}

/// A theme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeName {
    /// `Dark` where the terminal says that it has true colour, else `Sixteen`.
    Auto,
    /// True colour on a dark ground.
    Dark,
    /// True colour on a light ground.
    Light,
    /// The terminal's own sixteen colours.
    Sixteen,
    /// No colours.
    Plain,
}

/// What frames are drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Borders {
    /// Lines with rounded corners.
    Rounded,
    /// `+`, `-` and `|`.
    Ascii,
}

/// Where incoming money is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Notifications {
    /// Only on the screen.
    Off,
    /// By the terminal (OSC 9).
    Terminal,
    /// By the desktop, where there is one.
    Desktop,
    /// By both.
    Both,
}

impl ScreenSettings {
    pub(crate) fn validate(&self) -> Result<(), SettingsError> {
        let allowed = "0 (never), or 1000 to 86400000 (a day)";
        match self.idle_lock_ms {
            0 => Ok(()),
            _ => check_range("screen.idle_lock_ms", self.idle_lock_ms, 1_000..=86_400_000, allowed),
        }
    }
}
