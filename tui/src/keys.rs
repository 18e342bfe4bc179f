//! Keys by name, and which key does what: the shipped keys with the person's own in their place.

use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::commands::{Action, Command, Place, with_demo};

/// One key with its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd)]
pub struct Key {
    /// Which.
    pub code: KeyCode,
    /// With Ctrl, Alt or Shift; a capital letter carries none.
    pub modifiers: KeyModifiers,
}

impl Key {
    /// A key alone.
    pub const fn plain(code: KeyCode) -> Self {
        Self { code, modifiers: KeyModifiers::NONE }
    }

    /// A letter or sign.
    pub const fn letter(c: char) -> Self {
        Self::plain(KeyCode::Char(c))
    }

    /// With Ctrl.
    pub const fn ctrl(c: char) -> Self {
        Self { code: KeyCode::Char(c), modifiers: KeyModifiers::CONTROL }
    }

    /// The key of an event. Terminals differ in whether a capital letter or Shift-Tab comes with Shift.
    pub fn of(event: KeyEvent) -> Self {
        let modifiers = match event.code {
            KeyCode::Char(_) | KeyCode::BackTab => event.modifiers.difference(KeyModifiers::SHIFT),
            _ => event.modifiers,
        };
        // with Ctrl a terminal tells no capital letters
        let code = match event.code {
            KeyCode::Char(c) if modifiers.contains(KeyModifiers::CONTROL) => {
                KeyCode::Char(c.to_ascii_lowercase())
            }
            code => code,
        };
        Self { code, modifiers }
    }

    /// It types a character where text is taken.
    pub fn types_text(&self) -> bool {
        matches!(self.code, KeyCode::Char(_)) && self.modifiers.is_empty()
    }

    /// Reads a key's name: `t`, `R`, `F5`, `Enter`, `Esc`, `Tab`, `Shift-Tab`, `Space`, `Up`, `PgDn`, `Ctrl-p`,
    /// `Alt-x`. `None` if it is no key.
    pub fn parse(text: &str) -> Option<Self> {
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = text.trim();
        while let Some((head, tail)) =
            rest.split_once('-').filter(|(head, tail)| !head.is_empty() && !tail.is_empty())
        {
            modifiers |= match head.to_ascii_lowercase().as_str() {
                "ctrl" => KeyModifiers::CONTROL,
                "alt" => KeyModifiers::ALT,
                "shift" => KeyModifiers::SHIFT,
                _ => return None,
            };
            rest = tail;
        }
        let mut one = rest.chars();
        let code = match (one.next(), one.next()) {
            (Some(c), None) => KeyCode::Char(c),
            _ => match rest.to_ascii_lowercase().as_str() {
                "enter" => KeyCode::Enter,
                "esc" => KeyCode::Esc,
                "tab" if modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
                "tab" => KeyCode::Tab,
                "space" => KeyCode::Char(' '),
                "backspace" => KeyCode::Backspace,
                "del" | "delete" => KeyCode::Delete,
                "ins" | "insert" => KeyCode::Insert,
                "up" => KeyCode::Up,
                "down" => KeyCode::Down,
                "left" => KeyCode::Left,
                "right" => KeyCode::Right,
                "home" => KeyCode::Home,
                "end" => KeyCode::End,
                "pgup" => KeyCode::PageUp,
                "pgdn" => KeyCode::PageDown,
                name => match name.strip_prefix('f').and_then(|number| number.parse::<u8>().ok()) {
                    Some(number @ 1..=12) => KeyCode::F(number),
                    _ => return None,
                },
            },
        };
        Some(Self::of(KeyEvent::new(code, modifiers)))
    }

    /// How the key is shown.
    pub fn shown(&self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) if self.modifiers.is_empty() => c.to_string(),
            KeyCode::Char(c) => c.to_uppercase().to_string(),
            KeyCode::F(number) => format!("F{number}"),
            KeyCode::Enter => "Enter".into(),
            KeyCode::Esc => "Esc".into(),
            KeyCode::Tab => "Tab".into(),
            KeyCode::BackTab => "Shift-Tab".into(),
            KeyCode::Backspace => "Backspace".into(),
            KeyCode::Delete => "Del".into(),
            KeyCode::Insert => "Ins".into(),
            KeyCode::Up => "↑".into(),
            KeyCode::Down => "↓".into(),
            KeyCode::Left => "←".into(),
            KeyCode::Right => "→".into(),
            KeyCode::Home => "Home".into(),
            KeyCode::End => "End".into(),
            KeyCode::PageUp => "PgUp".into(),
            KeyCode::PageDown => "PgDn".into(),
            _ => "?".into(),
        };
        let alt = if self.modifiers.contains(KeyModifiers::ALT) { "Alt-" } else { "" };
        let ctrl = if self.modifiers.contains(KeyModifiers::CONTROL) { "Ctrl-" } else { "" };
        format!("{ctrl}{alt}{name}")
    }
}

/// A key of the settings that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// No command of that name.
    #[error("settings: `screen.keys.{0}`: there is no such command; the palette names them")]
    Command(String),
    /// Not a key.
    #[error(
        "settings: `screen.keys.{0}` has {1:?}, which is no key; keys are as in t, F5, Ctrl-p, Enter, PgDn"
    )]
    Key(String, String),
    /// A command without a key.
    #[error("settings: `screen.keys.{0}` has no key")]
    NoKey(String),
    /// One key for two commands in one place.
    #[error(
        "settings: `screen.keys`: {key} is bound twice on the screen “{place}”: to {first} and to {second}"
    )]
    Twice {
        /// The key.
        key: String,
        /// Where.
        place: &'static str,
        /// A command.
        first: &'static str,
        /// The other one.
        second: &'static str,
    },
    /// A letter where text is typed.
    #[error(
        "settings: `screen.keys.{command}`: {key} would type text on the screen “{place}”; use Ctrl- or F-keys"
    )]
    Text {
        /// The command.
        command: &'static str,
        /// The key.
        key: String,
        /// Where.
        place: &'static str,
    },
}

/// Which keys do what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keymap {
    own: BTreeMap<Action, Vec<Key>>,
}

impl Keymap {
    /// The shipped keys, with the person's own in place of those of the commands that they name.
    ///
    /// # Errors
    /// [`KeysError`], in words.
    pub fn new(settings: &BTreeMap<String, Vec<String>>) -> Result<Self, KeysError> {
        let mut own = BTreeMap::new();
        for (name, texts) in settings {
            let action = Action::named(name).ok_or_else(|| KeysError::Command(name.clone()))?;
            let parse =
                |text: &String| Key::parse(text).ok_or_else(|| KeysError::Key(name.clone(), text.clone()));
            let keys = texts.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
            if keys.is_empty() {
                return Err(KeysError::NoKey(name.clone()));
            }
            own.insert(action, keys);
        }
        let map = Self { own };
        Place::ALL.iter().try_for_each(|place| map.check(*place))?;
        Ok(map)
    }

    fn check(&self, place: Place) -> Result<(), KeysError> {
        let mut seen: Vec<(Key, Action)> = Vec::new();
        for command in &with_demo(place) {
            for key in self.keys(command) {
                let name = command.action.name();
                if place.takes_text() && key.types_text() && self.own.contains_key(&command.action) {
                    return Err(KeysError::Text { command: name, key: key.shown(), place: place.name() });
                }
                if let Some((_, first)) = seen.iter().find(|(other, _)| other == key) {
                    let (first, key) = (first.name(), key.shown());
                    return Err(KeysError::Twice { key, place: place.name(), first, second: name });
                }
                seen.push((*key, command.action));
            }
        }
        Ok(())
    }

    /// The keys of a command.
    pub fn keys<'a>(&'a self, command: &'a Command) -> &'a [Key] {
        self.own.get(&command.action).map_or(command.keys, Vec::as_slice)
    }

    /// How a command's first key is shown.
    pub fn shown(&self, command: &Command) -> String {
        match self.own.get(&command.action).and_then(|keys| keys.first()) {
            Some(key) => key.shown(),
            None => command.shown.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(name: &str, keys: &[&str]) -> Result<Keymap, KeysError> {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        Keymap::new(&BTreeMap::from([(name.to_owned(), keys)]))
    }

    #[test]
    fn the_shipped_keys_do_one_thing_in_each_place() {
        assert_eq!(Keymap::new(&BTreeMap::new()), Ok(Keymap::default()));
        for place in Place::ALL {
            for command in place.commands() {
                let text = command.keys.iter().find(|key| key.types_text());
                assert!(!place.takes_text() || text.is_none(), "{place:?} {text:?}");
                assert!(!command.help.is_empty(), "{place:?} {:?}", command.action);
                assert_eq!(Action::named(command.action.name()), Some(command.action));
            }
        }
    }

    #[test]
    fn keys_are_read_and_shown_by_name() {
        for (text, shown) in [
            ("t", "t"),
            ("R", "R"),
            ("F5", "F5"),
            ("ctrl-p", "Ctrl-P"),
            ("Ctrl-X", "Ctrl-X"),
            ("-", "-"),
            ("PgDn", "PgDn"),
            ("shift-tab", "Shift-Tab"),
            ("space", "Space"),
        ] {
            assert_eq!(Key::parse(text).unwrap().shown(), shown);
        }
        let typed = KeyEvent::new(KeyCode::Char('x'), KeyModifiers::CONTROL);
        assert_eq!(Key::parse("Ctrl-X"), Some(Key::of(typed)), "as a terminal sends it");
        for text in ["", "hyper-x", "F13", "enterr", "ctrl-"] {
            assert_eq!(Key::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_is_refused_in_words() {
        assert!(map("pay", &["p", "F2"]).is_ok());
        for (name, keys, words) in [
            ("fly", vec!["p"], "no such command"),
            ("pay", vec!["hyper-p"], "no key"),
            ("pay", vec![], "has no key"),
            ("pay", vec!["h"], "bound twice"),
            ("pay", vec!["d"], "bound twice"),
            ("submit", vec!["x"], "would type text"),
        ] {
            let said = map(name, &keys).unwrap_err().to_string();
            assert!(said.contains(words) && said.contains("screen.keys"), "{said}");
        }
    }
}
