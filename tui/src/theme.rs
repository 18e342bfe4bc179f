//! Colours, never alone: every colour stands beside a word or a sign. Under `NO_COLOR` all is the terminal's
//! own, with bold and reverse.

use ratatui::style::{Color, Modifier, Style};

/// The styles of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Ordinary text.
    pub text: Style,
    /// Text that matters less.
    pub dim: Style,
    /// Titles and what has the focus.
    pub accent: Style,
    /// Good news.
    pub good: Style,
    /// Somebody should look.
    pub warn: Style,
    /// Bad news.
    pub bad: Style,
    /// The chosen row or button.
    pub chosen: Style,
    /// A key in the bottom bar.
    pub key: Style,
    /// The mark of a rehearsal.
    pub mark: Style,
}

impl Theme {
    /// Sixteen colours, as the terminal has them.
    pub fn colour() -> Self {
        let plain = Style::new();
        Self {
            text: plain,
            dim: plain.fg(Color::DarkGray),
            accent: plain.fg(Color::Cyan).add_modifier(Modifier::BOLD),
            good: plain.fg(Color::Green),
            warn: plain.fg(Color::Yellow),
            bad: plain.fg(Color::Red).add_modifier(Modifier::BOLD),
            chosen: plain.fg(Color::Black).bg(Color::Cyan),
            key: plain.fg(Color::Cyan),
            mark: plain.fg(Color::Black).bg(Color::Yellow),
        }
    }

    /// No colours at all.
    pub fn plain() -> Self {
        let plain = Style::new();
        let bold = plain.add_modifier(Modifier::BOLD);
        let reversed = plain.add_modifier(Modifier::REVERSED);
        Self {
            text: plain,
            dim: plain,
            accent: bold,
            good: plain,
            warn: bold,
            bad: bold,
            chosen: reversed,
            key: bold,
            mark: reversed,
        }
    }

    /// As the environment asks (<https://no-color.org>).
    pub fn of_environment() -> Self {
        match std::env::var_os("NO_COLOR") {
            Some(value) if !value.is_empty() => Self::plain(),
            _ => Self::colour(),
        }
    }
}
