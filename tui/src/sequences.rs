//! Sequences for the terminal that draw nothing: its clipboard, its notices.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Longest text of a notice, in characters.
const NOTICE_CHARS_MAX: usize = 200;

/// Puts text into the clipboard of the terminal, also over ssh (xterm's OSC 52). Terminals may refuse it.
pub fn copy(text: &str) -> String {
    format!("\u{1b}]52;c;{}\u{7}", STANDARD.encode(text))
}

/// Shows a notice outside of the screen (OSC 9, as iTerm2, WezTerm, kitty and others know it) and rings the bell.
pub fn notice(text: &str) -> String {
    // whatever a payer wrote into a memo, it cannot end the sequence
    let clean: String = text.chars().filter(|c| !c.is_control()).take(NOTICE_CHARS_MAX).collect();
    format!("\u{1b}]9;{clean}\u{7}\u{7}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_somebody_wrote_can_end_a_sequence() {
        assert_eq!(copy("Bank1/x"), "\u{1b}]52;c;QmFuazEveA==\u{7}");
        let hostile = notice("10 EUR\u{7}\u{1b}]52;c;evil\u{1b}\\");
        assert_eq!(hostile, "\u{1b}]9;10 EUR]52;c;evil\\\u{7}\u{7}");
        assert!(notice(&"x".repeat(100_000)).len() < 1_000);
    }
}
