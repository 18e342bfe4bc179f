//! What a person has set: looks, keys, manners, checked as a whole before the screen opens.

use strife_client::{Borders, Notifications, ScreenSettings, ThemeName};

use crate::keys::{Keymap, KeysError};
use crate::theme::{Environment, Theme, ThemeError};

/// A setting of the screen that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreferencesError {
    /// A key.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A colour.
    #[error(transparent)]
    Theme(#[from] ThemeError),
}

/// What a person has set, with the environment's word on colours.
#[derive(Clone, Debug, PartialEq)]
pub struct Preferences {
    /// As in the settings file, with what was changed since.
    pub settings: ScreenSettings,
    /// What the environment says of colours.
    pub environment: Environment,
}

/// What the settings screen can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    /// Colours.
    Theme,
    /// Frames.
    Borders,
    /// Clicks and wheel.
    Mouse,
    /// Where incoming money is told.
    Notifications,
    /// Sign out after so long without a key.
    IdleLock,
    /// Balances are hidden at the start.
    HideBalances,
}

/// The steps of the idle lock that the settings screen offers, in milliseconds.
const IDLE_LOCKS_MS: [u64; 5] = [60_000, 300_000, 900_000, 3_600_000, 0];

impl Preference {
    /// All, as they stand on the screen.
    pub const ALL: [Preference; 6] = [
        Preference::Theme,
        Preference::Borders,
        Preference::Mouse,
        Preference::Notifications,
        Preference::IdleLock,
        Preference::HideBalances,
    ];

    /// Its key under `[screen]` in the settings file.
    pub fn key(self) -> &'static str {
        match self {
            Preference::Theme => "theme",
            Preference::Borders => "borders",
            Preference::Mouse => "mouse",
            Preference::Notifications => "notifications",
            Preference::IdleLock => "idle_lock_ms",
            Preference::HideBalances => "hide_balances",
        }
    }

    /// What the screen calls it.
    pub fn name(self) -> &'static str {
        match self {
            Preference::Theme => "Theme",
            Preference::Borders => "Frames",
            Preference::Mouse => "Mouse",
            Preference::Notifications => "Incoming money",
            Preference::IdleLock => "Sign out when idle",
            Preference::HideBalances => "Hide balances",
        }
    }
}

/// A value as the settings file writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A word.
    Word(&'static str),
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(u64),
}

fn next<T: PartialEq + Copy>(all: &[T], now: T, forward: bool) -> T {
    let at = all.iter().position(|one| *one == now).unwrap_or(0);
    let step = if forward { 1 } else { all.len() - 1 };
    all.get((at + step) % all.len()).copied().unwrap_or(now)
}

fn theme_word(theme: ThemeName) -> &'static str {
    match theme {
        ThemeName::Auto => "auto",
        ThemeName::Dark => "dark",
        ThemeName::Light => "light",
        ThemeName::Sixteen => "sixteen",
        ThemeName::Plain => "plain",
    }
}

fn notifications_word(notifications: Notifications) -> &'static str {
    match notifications {
        Notifications::Off => "off",
        Notifications::Terminal => "terminal",
        Notifications::Desktop => "desktop",
        Notifications::Both => "both",
    }
}

impl Preferences {
    /// Checks settings as a whole.
    ///
    /// # Errors
    /// [`PreferencesError`] with key, value and what is allowed.
    pub fn new(settings: ScreenSettings, environment: Environment) -> Result<Self, PreferencesError> {
        Keymap::new(&settings.keys)?;
        let preferences = Self { settings, environment };
        preferences.coloured()?;
        Ok(preferences)
    }

    fn coloured(&self) -> Result<Theme, ThemeError> {
        let theme = Theme::named(self.settings.theme, self.environment).with_borders(self.settings.borders);
        theme.coloured(&self.settings.colours)
    }

    /// The theme.
    pub fn theme(&self) -> Theme {
        // the colours were checked when these were made
        self.coloured().unwrap_or(Theme::sixteen())
    }

    /// The key map.
    pub fn keymap(&self) -> Keymap {
        // the keys were checked when these were made
        Keymap::new(&self.settings.keys).unwrap_or_default()
    }

    /// Goes to the next value, or the one before, around; returns it as the file writes it.
    pub fn change(&mut self, preference: Preference, forward: bool) -> Value {
        let settings = &mut self.settings;
        match preference {
            Preference::Theme => {
                let all = [
                    ThemeName::Auto,
                    ThemeName::Dark,
                    ThemeName::Light,
                    ThemeName::Sixteen,
                    ThemeName::Plain,
                ];
                settings.theme = next(&all, settings.theme, forward);
                Value::Word(theme_word(settings.theme))
            }
            Preference::Borders => {
                settings.borders = next(&[Borders::Rounded, Borders::Ascii], settings.borders, forward);
                Value::Word(if settings.borders == Borders::Rounded { "rounded" } else { "ascii" })
            }
            Preference::Mouse => {
                settings.mouse = !settings.mouse;
                Value::Flag(settings.mouse)
            }
            Preference::Notifications => {
                use Notifications::{Both, Desktop, Off, Terminal};
                settings.notifications =
                    next(&[Both, Terminal, Desktop, Off], settings.notifications, forward);
                Value::Word(notifications_word(settings.notifications))
            }
            Preference::IdleLock => {
                settings.idle_lock_ms = next(&IDLE_LOCKS_MS, settings.idle_lock_ms, forward);
                Value::Number(settings.idle_lock_ms)
            }
            Preference::HideBalances => {
                settings.hide_balances = !settings.hide_balances;
                Value::Flag(settings.hide_balances)
            }
        }
    }

    /// The value of a preference, in words.
    pub fn said(&self, preference: Preference) -> String {
        let settings = &self.settings;
        match preference {
            Preference::Theme if self.environment.no_color => {
                format!("{} (NO_COLOR is set: no colours)", theme_word(settings.theme))
            }
            Preference::Theme => theme_word(settings.theme).to_owned(),
            Preference::Borders => {
                (if settings.borders == Borders::Rounded { "rounded lines" } else { "ASCII" }).to_owned()
            }
            Preference::Mouse => (if settings.mouse { "on; mark text with Shift" } else { "off" }).to_owned(),
            Preference::Notifications => match settings.notifications {
                Notifications::Off => "only on this screen".to_owned(),
                Notifications::Terminal => "also by the terminal, while it has not the focus".to_owned(),
                Notifications::Desktop => "also on the desktop, while this has not the focus".to_owned(),
                Notifications::Both => {
                    "also by terminal and desktop, while this has not the focus".to_owned()
                }
            },
            Preference::IdleLock => match settings.idle_lock_ms {
                0 => "never".to_owned(),
                ms if ms >= 60_000 => format!("after {} min without a key", ms / 60_000),
                ms => format!("after {} s without a key", ms / 1_000),
            },
            Preference::HideBalances => {
                (if settings.hide_balances { "from the start" } else { "only when asked" }).to_owned()
            }
        }
    }
}
