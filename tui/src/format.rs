//! How numbers, times and text are shown. Wide characters never break a column.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use strife_client::Currency;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Minor units with their currency's decimals; a currency that is not known is shown as minor units, in words.
pub fn amount(minor_units: i64, currency: &str) -> String {
    match Currency::new(currency) {
        Ok(currency) => currency.format(minor_units),
        Err(_) => format!("{minor_units} minor units"),
    }
}

/// With a plus sign where money came in.
pub fn signed_amount(minor_units: i64, currency: &str) -> String {
    let sign = if minor_units > 0 { "+" } else { "" };
    format!("{sign}{}", amount(minor_units, currency))
}

/// A moment as `21 Nov 07:38`.
pub fn moment(ms: i64, zone: &TimeZone) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%d %b %H:%M").to_string(),
        Err(_) => "?".into(),
    }
}

/// A moment as `2026-11-21 07:38:42`.
pub fn full_moment(ms: i64, zone: &TimeZone) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "?".into(),
    }
}

/// How long until a moment: `now`, `3 s`, `2 min`.
pub fn until(at: Instant, now: Instant) -> String {
    let left: Duration = at.saturating_duration_since(now);
    let seconds = left.as_millis().div_ceil(1000);
    match seconds {
        0 => "now".into(),
        1..=99 => format!("{seconds} s"),
        _ => format!("{} min", seconds.div_ceil(60)),
    }
}

/// Text without what would move the cursor or change direction; a dot stands in its place.
pub fn clean(text: &str) -> String {
    let shown = |c: char| {
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{061c}');
        if hidden { '·' } else { c }
    };
    text.chars().map(shown).collect()
}

/// Cuts text to a width in columns, with `…` where something is missing, and [`clean`]s it.
pub fn fit(text: &str, width: usize) -> String {
    let text = clean(text);
    if text.width() <= width {
        return text;
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        cut.push(c);
    }
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// Fits text and fills with blanks on the right to exactly `width` columns.
pub fn left(text: &str, width: usize) -> String {
    let text = fit(text, width);
    let blanks = width.saturating_sub(text.width());
    text + &" ".repeat(blanks)
}

/// Fits text and fills with blanks on the left to exactly `width` columns.
pub fn right(text: &str, width: usize) -> String {
    let text = fit(text, width);
    " ".repeat(width.saturating_sub(text.width())) + &text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_hold_whatever_stands_in_them() {
        for text in ["", "abc", "日本語のとても長い名前", "a\u{202e}b\u{1b}[2J", "🍰🍰🍰🍰🍰🍰", "محمد"]
        {
            for width in 0..12 {
                assert_eq!(left(text, width).width(), width, "{text:?} {width}");
                assert_eq!(right(text, width).width(), width, "{text:?} {width}");
            }
        }
        assert_eq!(fit("abcdef", 4), "abc…");
        assert!(!fit("a\u{1b}[2J", 10).contains('\u{1b}'));
    }

    #[test]
    fn an_unknown_currency_is_shown_in_words() {
        assert_eq!(amount(150, "EUR"), "1.50");
        assert_eq!(amount(150, "???"), "150 minor units");
        assert_eq!(signed_amount(150, "JPY"), "+150");
    }
}
