//! A terminal's screen as a picture: cells of one width in a window's frame, as SVG. What differs from one run to
//! the next (times, ids, ports) is replaced by something of the same width, so that a picture changes only when its
//! screen does.

use std::fmt::Write;

use vt100::{Cell, Color, Screen};

/// A cell of DejaVu Sans Mono and its kin at 14 pixels, in hundredths of a pixel (SVG takes fractions, and no float
/// is needed): no gap is left in an upright line.
const CELL: (u32, u32) = (843, 1_630);
/// Where letters stand within a cell, from its top.
const BASELINE: u32 = 1_299;
/// Room around the screen, and the height of the window's bar, in hundredths of a pixel.
const MARGIN: u32 = 1_200;
const BAR: u32 = 3_000;
const BACKGROUND: &str = "#171a21";
const FOREGROUND: &str = "#d5d9e0";

/// The sixteen named colours.
const NAMED: [&str; 16] = [
    "#2b303b", "#e0626b", "#8fc379", "#e2b55f", "#61a5e8", "#c07bd8", "#56b6c2", "#bfc5d0", "#6b7382",
    "#f07b84", "#a5d98f", "#f2cc82", "#82bdf5", "#d598ea", "#74d2dd", "#f2f4f8",
];

/// A pattern and what stands in its place, equally wide: `9` is any digit, `A` and `a` any letter of that case,
/// `x` a hexadecimal digit, `*` a letter or digit; all else is itself.
const CHANGING: [(&str, &str); 8] = [
    ("xxxxxxxx-xxxx-7xxx-xxxx-xxxxxxxxxxxx", "019a9fb2-6c40-7c21-9d5e-3f0b6a18e274"),
    ("9999-99-99 99:99:99", "2026-11-21 09:41:07"),
    ("99 Aaa 99:99", "21 Nov 09:41"),
    ("127.0.0.1:99999", "127.0.0.1:20000"),
    ("/.tmp******", "/.tmpStrife"),
    (" 999 ms", "   1 ms"),
    (" 99 ms", "  1 ms"),
    (" 9 ms", " 1 ms"),
];

#[derive(Clone, PartialEq, Eq)]
struct Look {
    foreground: String,
    background: Option<String>,
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
}

/// Draws a screen with a title in the window's bar.
pub fn svg(screen: &Screen, title: &str) -> String {
    let (rows, columns) = (screen.size().0.get(), screen.size().1.get());
    let width = u32::from(columns) * CELL.0 + 2 * MARGIN;
    let height = u32::from(rows) * CELL.1 + 2 * MARGIN + BAR;
    let (w, h) = (px(width), px(height));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
         font-family=\"'DejaVu Sans Mono','Menlo','Consolas',monospace\" font-size=\"14\">\n\
         <title>{}</title>\n<rect width=\"{w}\" height=\"{h}\" rx=\"9\" fill=\"{BACKGROUND}\" stroke=\"#3a404d\"/>\n",
        escape(title)
    );
    for (place, colour) in ["#e0626b", "#e2b55f", "#8fc379"].into_iter().enumerate() {
        let _ = writeln!(svg, "<circle cx=\"{}\" cy=\"17\" r=\"6\" fill=\"{colour}\"/>", 20 + 20 * place);
    }
    let middle = px(width / 2);
    let _ = writeln!(
        svg,
        "<text x=\"{middle}\" y=\"22\" text-anchor=\"middle\" fill=\"#8b93a3\">{}</text>",
        escape(title)
    );
    for row in 0..rows {
        draw_row(&mut svg, screen, row, columns);
    }
    svg + "</svg>\n"
}

fn draw_row(svg: &mut String, screen: &Screen, row: u16, columns: u16) {
    let mut cells: Vec<(String, Look)> = Vec::new();
    for column in 0..columns {
        let Some(cell) = screen.cell(row, column) else { continue };
        // the second half of a wide character is drawn with the first
        let text = match (cell.is_wide_continuation(), cell.has_contents()) {
            (true, _) => String::new(),
            (_, true) => cell.contents().to_owned(),
            _ => " ".to_owned(),
        };
        cells.push((text, look(cell)));
    }
    steady(&mut cells);
    let y = MARGIN + BAR + u32::from(row) * CELL.1;
    let mut at = 0;
    while let Some((_, look)) = cells.get(at) {
        let same = cells[at..].iter().take_while(|(_, other)| other == look).count();
        draw_run(svg, &cells[at..at + same], look, (MARGIN + columns_wide(at), y));
        at += same;
    }
}

fn columns_wide(columns: usize) -> u32 {
    u32::try_from(columns).unwrap_or(u32::MAX).saturating_mul(CELL.0)
}

/// Draws cells that look alike: their background, and each stretch of text between wider gaps by itself, so that
/// columns stay where they are whatever font draws them.
fn draw_run(svg: &mut String, run: &[(String, Look)], look: &Look, (x, y): (u32, u32)) {
    if let Some(background) = &look.background {
        let (x, y, w, h) = (px(x), px(y), px(columns_wide(run.len())), px(CELL.1));
        let _ =
            writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\" fill=\"{background}\"/>");
    }
    let is_blank = |at: usize| run.get(at).is_none_or(|(text, _)| text == " ");
    let mut from = 0;
    while from < run.len() {
        if is_blank(from) {
            from += 1;
            continue;
        }
        let to = (from..=run.len()).find(|to| is_blank(*to) && is_blank(*to + 1)).unwrap_or(run.len());
        let text: String = run[from..to].iter().map(|(text, _)| text.as_str()).collect();
        draw_text(svg, &text, look, (x + columns_wide(from), y), columns_wide(to - from));
        from = to;
    }
}

fn draw_text(svg: &mut String, text: &str, look: &Look, (x, y): (u32, u32), width: u32) {
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{}\"",
        px(x),
        px(y + BASELINE),
        px(width),
        look.foreground
    );
    for (is, attribute) in [
        (look.bold, " font-weight=\"bold\""),
        (look.dim, " opacity=\"0.65\""),
        (look.italic, " font-style=\"italic\""),
        (look.underline, " text-decoration=\"underline\""),
    ] {
        svg.push_str(if is { attribute } else { "" });
    }
    let _ = writeln!(svg, ">{}</text>", escape(text));
}

fn look(cell: &Cell) -> Look {
    let (mut foreground, mut background) = (colour(cell.fgcolor()), colour(cell.bgcolor()));
    if cell.inverse() {
        let own = foreground.unwrap_or_else(|| FOREGROUND.to_owned());
        foreground = Some(background.unwrap_or_else(|| BACKGROUND.to_owned()));
        background = Some(own);
    }
    Look {
        foreground: foreground.unwrap_or_else(|| FOREGROUND.to_owned()),
        background,
        bold: cell.bold(),
        dim: cell.dim(),
        italic: cell.italic(),
        underline: cell.underline(),
    }
}

fn colour(colour: Color) -> Option<String> {
    match colour {
        Color::Default => None,
        Color::Rgb(red, green, blue) => Some(format!("#{red:02x}{green:02x}{blue:02x}")),
        Color::Idx(index) => Some(match index {
            0..=15 => NAMED[usize::from(index)].to_owned(),
            16..=231 => {
                let cube = index - 16;
                let level = |part: u8| if part == 0 { 0 } else { 55 + 40 * part };
                let (red, green, blue) = (level(cube / 36), level(cube / 6 % 6), level(cube % 6));
                format!("#{red:02x}{green:02x}{blue:02x}")
            }
            232.. => format!("#{0:02x}{0:02x}{0:02x}", 8 + 10 * (index - 232)),
        }),
    }
}

/// Replaces what changes from run to run, cell by cell.
fn steady(cells: &mut [(String, Look)]) {
    for (pattern, instead) in CHANGING {
        let (pattern, instead): (Vec<char>, Vec<char>) =
            (pattern.chars().collect(), instead.chars().collect());
        for at in 0..cells.len().saturating_sub(pattern.len() - 1) {
            let fits = |(cell, wanted): (&(String, Look), &char)| {
                let mut chars = cell.0.chars();
                matches!((chars.next(), chars.next()), (Some(c), None) if matches(*wanted, c))
            };
            if cells[at..].iter().zip(&pattern).all(fits) {
                for (cell, c) in cells[at..].iter_mut().zip(&instead) {
                    cell.0 = c.to_string();
                }
            }
        }
    }
}

fn matches(wanted: char, c: char) -> bool {
    match wanted {
        '9' => c.is_ascii_digit(),
        'A' => c.is_ascii_uppercase(),
        'a' => c.is_ascii_lowercase(),
        'x' => c.is_ascii_digit() || ('a'..='f').contains(&c),
        '*' => c.is_ascii_alphanumeric(),
        other => c == other,
    }
}

/// Hundredths of a pixel as SVG writes them.
fn px(hundredths: u32) -> String {
    match hundredths % 100 {
        0 => (hundredths / 100).to_string(),
        rest => format!("{}.{rest:02}", hundredths / 100),
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // SVG has no other control characters
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(text: &str) -> Screen {
        let size = |number| std::num::NonZeroU16::new(number).unwrap();
        let mut parser = vt100::Parser::new(size(3), size(60), 0);
        parser.process(text.as_bytes());
        parser.screen().clone()
    }

    #[test]
    fn text_is_escaped_and_looks_are_kept() {
        let svg =
            svg(&screen("a <b> & \x1b[1;31mred\x1b[0m \x1b[7mturned\x1b[0m \x1b[38;2;1;2;3mown"), "A & B");
        for part in [
            "a &lt;b&gt; &amp;",
            "fill=\"#e0626b\" font-weight=\"bold\">red</text>",
            "fill=\"#171a21\">turned</text>",
            "fill=\"#010203\">own</text>",
            "<title>A &amp; B</title>",
        ] {
            assert!(svg.contains(part), "{part}\n{svg}");
        }
        assert!(!svg.contains("<b>"));
    }

    #[test]
    fn two_runs_draw_the_same_picture() {
        let one = "21 Nov 13:29 at 127.0.0.1:31943, 2026-11-21 13:29:08\r\n 019a9fb2-0000-7abc-89de-0123456789ab 2 ms";
        let two = "03 Dec 01:02 at 127.0.0.1:20417, 2026-12-03 01:02:59\r\n 019b0000-ffff-7abc-89de-ba9876543210 7 ms";
        assert_eq!(svg(&screen(one), "t"), svg(&screen(two), "t"));
        // amounts and account numbers are the screen's own
        assert_ne!(svg(&screen("1,054.95"), "t"), svg(&screen("1,054.96"), "t"));
    }

    #[test]
    fn what_stands_in_the_place_of_something_is_as_wide() {
        for (pattern, instead) in CHANGING {
            assert_eq!(pattern.chars().count(), instead.chars().count(), "{pattern}");
            let fits = |(wanted, c): (char, char)| c == ' ' || matches(wanted, c);
            assert!(pattern.chars().zip(instead.chars()).all(fits), "{pattern}");
        }
    }
}
