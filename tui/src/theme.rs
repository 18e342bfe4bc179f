//! Colours, never alone: every colour stands beside a word or a sign. Under `NO_COLOR` all is the terminal's
//! own, with bold and reverse.

use std::collections::BTreeMap;
use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::{Marker, border};
use strife_client::{Borders, ThemeName};

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
    /// Frames without the focus.
    pub frame: Style,
    /// What frames are drawn with.
    pub borders: Borders,
}

/// A colour in the settings that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThemeError {
    /// No style of that name.
    #[error("settings: `screen.colours.{name}`: there is no such style; there are {}", NAMES.join(", "))]
    Style {
        /// What was named.
        name: String,
    },
    /// No colour.
    #[error("settings: `screen.colours.{0}` is {1:?}; allowed: a name as in \"red\", or as in \"#ff8700\"")]
    Colour(String, String),
}

/// The styles that settings can colour.
pub const NAMES: [&str; 10] =
    ["text", "dim", "accent", "good", "warn", "bad", "chosen", "key", "mark", "frame"];

const fn rgb(hex: u32) -> Color {
    let [_, r, g, b] = hex.to_be_bytes();
    Color::Rgb(r, g, b)
}

/// The colours that a theme is made from.
struct Hues {
    text: Color,
    dim: Color,
    accent: Color,
    good: Color,
    warn: Color,
    bad: Color,
    /// Text on `accent` and on `warn`.
    on_accent: Color,
    frame: Color,
}

impl Theme {
    /// Sixteen colours, as the terminal has them.
    pub const fn sixteen() -> Self {
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
            frame: plain.fg(Color::DarkGray),
            borders: Borders::Rounded,
        }
    }

    /// True colour on a dark ground.
    pub const fn dark() -> Self {
        Self::of_hues(Hues {
            text: rgb(0xd8_dee9),
            dim: rgb(0x7b_8794),
            accent: rgb(0x5f_d7d7),
            good: rgb(0x87_d787),
            warn: rgb(0xf0_c674),
            bad: rgb(0xff_7b72),
            on_accent: rgb(0x0b_1c26),
            frame: rgb(0x3f_4b5a),
        })
    }

    /// True colour on a light ground.
    pub const fn light() -> Self {
        Self::of_hues(Hues {
            text: rgb(0x1f_2933),
            dim: rgb(0x6b_7280),
            accent: rgb(0x00_5f87),
            good: rgb(0x00_6b3c),
            warn: rgb(0x8a_5a00),
            bad: rgb(0xb0_0020),
            on_accent: rgb(0xff_ffff),
            frame: rgb(0xb8_c0cc),
        })
    }

    const fn of_hues(hues: Hues) -> Self {
        let plain = Style::new();
        Self {
            text: plain.fg(hues.text),
            dim: plain.fg(hues.dim),
            accent: plain.fg(hues.accent).add_modifier(Modifier::BOLD),
            good: plain.fg(hues.good),
            warn: plain.fg(hues.warn),
            bad: plain.fg(hues.bad).add_modifier(Modifier::BOLD),
            chosen: plain.fg(hues.on_accent).bg(hues.accent),
            key: plain.fg(hues.accent),
            mark: plain.fg(hues.on_accent).bg(hues.warn),
            frame: plain.fg(hues.frame),
            borders: Borders::Rounded,
        }
    }

    /// No colours at all.
    pub const fn plain() -> Self {
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
            frame: plain,
            borders: Borders::Rounded,
        }
    }

    /// A theme by its name, in an environment: its `NO_COLOR` (<https://no-color.org>) goes before the name.
    pub fn named(name: ThemeName, environment: Environment) -> Self {
        match name {
            _ if environment.no_color => Self::plain(),
            ThemeName::Auto if environment.true_colour => Self::dark(),
            ThemeName::Auto | ThemeName::Sixteen => Self::sixteen(),
            ThemeName::Dark => Self::dark(),
            ThemeName::Light => Self::light(),
            ThemeName::Plain => Self::plain(),
        }
    }

    /// What stands before there are settings.
    pub fn of_environment() -> Self {
        Self::named(ThemeName::Auto, Environment::of_process())
    }

    /// With colours of the person's own; a theme without colours stays without.
    ///
    /// # Errors
    /// [`ThemeError`], naming the style and what may stand there.
    pub fn coloured(mut self, colours: &BTreeMap<String, String>) -> Result<Self, ThemeError> {
        let plain = Self { borders: self.borders, ..Self::plain() };
        for (name, text) in colours {
            let colour = Color::from_str(text).map_err(|_| ThemeError::Colour(name.clone(), text.clone()))?;
            let style = match name.as_str() {
                "text" => &mut self.text,
                "dim" => &mut self.dim,
                "accent" => &mut self.accent,
                "good" => &mut self.good,
                "warn" => &mut self.warn,
                "bad" => &mut self.bad,
                "key" => &mut self.key,
                "frame" => &mut self.frame,
                "chosen" => {
                    self.chosen = self.chosen.bg(colour);
                    continue;
                }
                "mark" => {
                    self.mark = self.mark.bg(colour);
                    continue;
                }
                _ => return Err(ThemeError::Style { name: name.clone() }),
            };
            *style = style.fg(colour);
        }
        Ok(if self.chosen.bg.is_none() || plain == self { plain } else { self })
    }

    /// With other frames.
    pub fn with_borders(self, borders: Borders) -> Self {
        Self { borders, ..self }
    }

    /// The signs of a frame.
    pub fn frame_set(&self) -> border::Set<'static> {
        match self.borders {
            Borders::Rounded => border::ROUNDED,
            Borders::Ascii => border::Set {
                top_left: "+",
                top_right: "+",
                bottom_left: "+",
                bottom_right: "+",
                vertical_left: "|",
                vertical_right: "|",
                horizontal_top: "-",
                horizontal_bottom: "-",
            },
        }
    }

    /// What a chart is drawn with.
    pub fn chart_marker(&self) -> Marker {
        match self.borders {
            Borders::Rounded => Marker::Braille,
            Borders::Ascii => Marker::Dot,
        }
    }
}

/// What the environment says of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `NO_COLOR` is set.
    pub no_color: bool,
    /// The terminal says that it has true colour.
    pub true_colour: bool,
}

impl Environment {
    /// Of this process.
    pub fn of_process() -> Self {
        let set = |name| std::env::var(name).is_ok_and(|value| !value.is_empty());
        let true_colour =
            std::env::var("COLORTERM").is_ok_and(|value| value == "truecolor" || value == "24bit");
        Self { no_color: set("NO_COLOR"), true_colour }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLOURS: Environment = Environment { no_color: false, true_colour: true };

    #[test]
    fn no_color_goes_before_every_theme() {
        let none = Environment { no_color: true, true_colour: true };
        for name in [ThemeName::Auto, ThemeName::Dark, ThemeName::Light, ThemeName::Sixteen] {
            assert_eq!(Theme::named(name, none), Theme::plain());
            assert_ne!(Theme::named(name, COLOURS), Theme::plain());
            let red = BTreeMap::from([("accent".to_owned(), "red".to_owned())]);
            assert_eq!(Theme::named(name, none).coloured(&red), Ok(Theme::plain()));
        }
    }

    #[test]
    fn a_colour_that_is_none_is_named() {
        let of = |name: &str, colour: &str| {
            Theme::dark().coloured(&BTreeMap::from([(name.to_owned(), colour.to_owned())]))
        };
        assert_eq!(of("accent", "#ff8700").unwrap().accent.fg, Some(rgb(0xff_8700)));
        assert_eq!(of("chosen", "blue").unwrap().chosen.bg, Some(Color::Blue));
        let said = of("accent", "reddish").unwrap_err().to_string();
        assert!(said.contains("screen.colours.accent") && said.contains("reddish"), "{said}");
        let said = of("acent", "red").unwrap_err().to_string();
        assert!(said.contains("acent") && said.contains("accent"), "{said}");
    }
}
