//! Keys, as a terminal sends them and as a screen names them.

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // as they stand on a keyboard
pub enum Key {
    Char(char),
    Ctrl(char),
    Alt(char),
    F(u8),
    Enter,
    Escape,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
}

impl Key {
    /// The key that a screen shows by a name.
    pub fn named(name: &str) -> Option<Self> {
        let mut chars = name.chars();
        if let (Some(only), None) = (chars.next(), chars.next()) {
            return Some(match only {
                '↑' => Self::Up,
                '↓' => Self::Down,
                '←' => Self::Left,
                '→' => Self::Right,
                '⏎' | '↵' => Self::Enter,
                '⇥' => Self::Tab,
                other => Self::Char(other),
            });
        }
        let single = |text: &str| text.chars().next().filter(|_| text.chars().count() == 1);
        if let Some(rest) = name.strip_prefix("Ctrl-").or_else(|| name.strip_prefix('^')) {
            return single(rest).map(|c| Self::Ctrl(c.to_ascii_lowercase()));
        }
        if let Some(rest) = name.strip_prefix("Alt-") {
            return single(rest).map(Self::Alt);
        }
        if let Some(number) = name.strip_prefix('F').and_then(|number| number.parse().ok()) {
            return (1..=12).contains(&number).then_some(Self::F(number));
        }
        Some(match name {
            "Enter" => Self::Enter,
            "Esc" => Self::Escape,
            "Tab" => Self::Tab,
            "Shift-Tab" => Self::BackTab,
            "Space" => Self::Char(' '),
            "Backspace" => Self::Backspace,
            "Del" => Self::Delete,
            "Up" => Self::Up,
            "Down" => Self::Down,
            "Left" => Self::Left,
            "Right" => Self::Right,
            "PgUp" => Self::PageUp,
            "PgDn" => Self::PageDown,
            "Home" => Self::Home,
            "End" => Self::End,
            _ => return None,
        })
    }

    /// What a terminal (xterm and its kin) sends for it.
    pub fn bytes(self) -> Vec<u8> {
        let text = match self {
            Self::Char(c) => c.to_string(),
            Self::Ctrl(c) => char::from(c as u8 & 0x1f).to_string(),
            Self::Alt(c) => format!("\x1b{c}"),
            Self::F(number @ 1..=4) => format!("\x1bO{}", char::from(b'P' + number - 1)),
            Self::F(5) => "\x1b[15~".into(),
            Self::F(number @ 6..=10) => format!("\x1b[{}~", number + 11),
            Self::F(number) => format!("\x1b[{}~", number + 12),
            Self::Enter => "\r".into(),
            Self::Escape => "\x1b".into(),
            Self::Tab => "\t".into(),
            Self::BackTab => "\x1b[Z".into(),
            Self::Backspace => "\x7f".into(),
            Self::Delete => "\x1b[3~".into(),
            Self::Up => "\x1b[A".into(),
            Self::Down => "\x1b[B".into(),
            Self::Right => "\x1b[C".into(),
            Self::Left => "\x1b[D".into(),
            Self::PageUp => "\x1b[5~".into(),
            Self::PageDown => "\x1b[6~".into(),
            Self::Home => "\x1b[H".into(),
            Self::End => "\x1b[F".into(),
        };
        text.into_bytes()
    }
}

/// A key and what the screen says that it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The key.
    pub key: Key,
    /// What it does.
    pub label: String,
}

/// Reads a bottom bar: pairs of a key and its label, two blanks or a rule between them. Of two arrows with one label
/// (`←→ choose`) each is a key.
pub fn read_bar(row: &str) -> Vec<Shown> {
    let pairs = row.split(['│', '·', '|']).flat_map(|part| part.split("  "));
    let read = |pair: &str| {
        let Some((name, label)) = pair.trim().split_once(' ') else { return Vec::new() };
        let keys = match Key::named(name) {
            Some(key) => vec![key],
            None if name.chars().all(|c| ('←'..='↓').contains(&c)) => {
                name.chars().filter_map(|c| Key::named(c.encode_utf8(&mut [0; 4]))).collect()
            }
            None => Vec::new(),
        };
        keys.into_iter().map(|key| Shown { key, label: label.trim().to_owned() }).collect()
    };
    pairs.flat_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bottom_bar_is_read_as_keys_and_labels() {
        let shown = read_bar(
            " t pay  Tab queue  l sign out  → mark Send  F9 demo  Ctrl-O offline  ←→ choose  ? help  ",
        );
        let read: Vec<(Key, &str)> = shown.iter().map(|shown| (shown.key, shown.label.as_str())).collect();
        let expected = [
            (Key::Char('t'), "pay"),
            (Key::Tab, "queue"),
            (Key::Char('l'), "sign out"),
            (Key::Right, "mark Send"),
            (Key::F(9), "demo"),
            (Key::Ctrl('o'), "offline"),
            (Key::Left, "choose"),
            (Key::Right, "choose"),
            (Key::Char('?'), "help"),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn keys_are_sent_as_a_terminal_sends_them() {
        assert_eq!(Key::F(9).bytes(), b"\x1b[20~");
        assert_eq!(Key::F(12).bytes(), b"\x1b[24~");
        assert_eq!(Key::F(1).bytes(), b"\x1bOP");
        assert_eq!(Key::Ctrl('c').bytes(), [3]);
        assert_eq!(Key::named("FX"), None);
    }
}
