//! Text that people wrote and others will see.

use crate::Refusal;

/// Takes text of at most `chars_max` characters without control characters, line ends, or characters that
/// change direction or cannot be seen (the bidirectional controls of Unicode UAX #9, zero-width and
/// byte-order marks): such text could make one payment look like another.
///
/// # Errors
/// [`Refusal::BadText`].
pub fn clean_text(text: &str, chars_max: usize) -> Result<(), Refusal> {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
    };
    if text.chars().count() > chars_max || text.chars().any(hidden) {
        return Err(Refusal::BadText);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_refused_and_names_of_people_are_not() {
        for good in ["", "lunch", "Zoë Ångström", "日本語", "محمد", "🍰 for two"] {
            assert_eq!(clean_text(good, 140), Ok(()), "{good}");
        }
        for bad in ["a\nb", "a\u{1b}[2J", "\u{202e}gpj", "a\u{200f}b", "x\u{0}", "\u{feff}", "\u{2066}a"] {
            assert_eq!(clean_text(bad, 140), Err(Refusal::BadText), "{bad:?}");
        }
        assert!(clean_text(&"é".repeat(140), 140).is_ok());
        assert!(clean_text(&"é".repeat(141), 140).is_err());
    }
}
