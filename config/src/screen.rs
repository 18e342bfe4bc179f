//! Settings of the screen: looks, keys, manners. What a colour or a key may be called is the screen's to judge.

use std::collections::BTreeMap;
use std::fmt::Formatter;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

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
    /// Keys that differ, by the command's name. One key may stand without a list around it.
    #[serde(deserialize_with = "one_or_several")]
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

/// What stands for a command: a key, or a list of them.
struct KeysOf(Vec<String>);

impl<'de> Deserialize<'de> for KeysOf {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = KeysOf;

            fn expecting(&self, to: &mut Formatter<'_>) -> std::fmt::Result {
                to.write_str("a key or a list of keys, as in \"Q\" or [\"p\", \"F2\"]")
            }

            fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<KeysOf, E> {
                Ok(KeysOf(vec![key.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<KeysOf, A::Error> {
                let mut keys = Vec::new();
                while let Some(key) = list.next_element()? {
                    keys.push(key);
                }
                Ok(KeysOf(keys))
            }
        }

        from.deserialize_any(Words)
    }
}

fn one_or_several<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    let keys = BTreeMap::<String, KeysOf>::deserialize(from)?;
    Ok(keys.into_iter().map(|(command, KeysOf(keys))| (command, keys)).collect())
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
