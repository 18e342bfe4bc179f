//! Draws the wizard. Changes nothing.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::keys::keys;
use super::model::{Button, Field, Model, Step};
use crate::format::fit;
use crate::view::says_too_small;

/// Widest and highest panel.
const PANEL_WIDTH: u16 = 84;
const PANEL_HEIGHT: u16 = 22;
/// Columns of a label on the last screen.
const LABEL_WIDTH: usize = 9;

/// Draws everything.
pub fn draw(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    if says_too_small(frame) {
        return;
    }
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    let title = vec![
        Span::styled(" ◆ Strife ", model.theme.accent),
        Span::styled(
            format!(" first start, step {} of {}", model.step.number(), Step::ALL.len()),
            model.theme.dim,
        ),
    ];
    frame.render_widget(Line::from(title), head);
    draw_foot(model, frame, foot);

    let (width, height) = (body.width.min(PANEL_WIDTH), body.height.min(PANEL_HEIGHT));
    let panel =
        Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 2, width, height };
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(model.theme.accent)
        .title(Span::styled(format!(" {} ", name(model.step)), model.theme.accent));
    let inside = block.inner(panel);
    frame.render_widget(block, panel);
    let inside = Rect { x: inside.x + 1, width: inside.width.saturating_sub(2), ..inside };
    if model.step == Step::Summary {
        draw_summary(model, frame, inside);
    } else {
        draw_questions(model, frame, inside);
    }
}

fn draw_foot(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let mut spans = vec![Span::raw(" ")];
    for key in keys(model) {
        spans.push(Span::styled(key.shown, model.theme.key));
        spans.push(Span::styled(format!(" {}  ", key.label), model.theme.text));
    }
    frame.render_widget(Line::from(spans), area);
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Gateway => "Where is the network?",
        Step::Folder => "What your bank gave you",
        Step::Authority => "Is it your bank's network?",
        Step::Roster => "The banks' keys",
        Step::Certificate => "Who you are",
        Step::Summary => "Is this right?",
    }
}

fn intro(step: Step) -> &'static str {
    match step {
        Step::Gateway => {
            "There are no settings yet. A few questions, and nothing is written before the last one. First: the \
             address of a gateway, as your bank gave it to you."
        }
        Step::Folder => {
            "A folder with ca.pem, trust.json, roster.bin, tls.pem and tls.key answers everything at once. Leave it \
             empty to name each file."
        }
        Step::Authority => {
            "The network's certificate decides whom this client believes. Compare its fingerprint with the one that \
             your bank gave you, on paper or by telephone, not with one that came along with the file."
        }
        Step::Roster => {
            "The roster has the banks' keys, signed by the network; the other file has the network's name and the key \
             that the roster is verified with."
        }
        Step::Certificate => {
            "The certificate of this machine and its private key, as your bank issued them. Both are copied beside \
             the settings, for you alone to read."
        }
        Step::Summary => "",
    }
}

fn label(field: Field) -> &'static str {
    match field {
        Field::Gateway => "Gateway (host:port)",
        Field::Folder => "Folder",
        Field::Authority => "Certificate of the network (ca.pem)",
        Field::Fingerprint => "What your bank gave you, typed or pasted",
        Field::Roster => "Roster (roster.bin)",
        Field::Trust => "Name and key of the network (trust.json)",
        Field::Certificate => "Certificate (tls.pem)",
        Field::PrivateKey => "Private key (tls.key)",
    }
}

fn draw_questions(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = &model.theme;
    let width = area.width as usize;
    let mut lines = Vec::new();
    // rows that a low terminal can do without
    let roomy = area.height > 16;
    for (place, field) in model.step.fields().iter().enumerate() {
        if *field == Field::Fingerprint {
            let Some(print) = &model.fingerprint else { continue };
            lines.extend(roomy.then(Line::default));
            lines.push(Line::from(Span::styled(
                "  Its SHA-256 fingerprint (Ctrl-Y: it is the same):",
                theme.text,
            )));
            lines.extend(
                halves(print).map(|half| Line::from(Span::styled(format!("    {half}"), theme.accent))),
            );
        }
        lines.extend((roomy || place == 0).then(Line::default));
        let here = place == model.place && !model.busy;
        let sign = if here { "▸ " } else { "  " };
        let style = if here { theme.accent } else { theme.text };
        lines.push(Line::from(Span::styled(format!("{sign}{}", label(*field)), style)));
        lines.push(typed(model, *field, here, width.saturating_sub(4)));
        if let Some(error) = model.errors.get(field) {
            let error = wrapped(&format!("! {error}"), width.saturating_sub(4), theme.bad);
            lines.extend(error.into_iter().map(indented));
        }
    }
    if model.busy {
        lines.push(Line::default());
        lines.push(Line::from(Span::styled("  looking …", theme.warn)));
    }
    // what it is about gives way to what is asked and to what is wrong
    let room = (area.height as usize).saturating_sub(lines.len());
    let mut all = wrapped(intro(model.step), width, theme.text);
    all.truncate(room);
    all.extend(lines);
    frame.render_widget(Paragraph::new(all), area);
}

/// What was typed, with the cursor in it, the part around the cursor where it is too long.
fn typed<'a>(model: &Model, field: Field, here: bool, width: usize) -> Line<'a> {
    let theme = &model.theme;
    let Some(input) = model.inputs.get(&field) else {
        return Line::from(vec![Span::raw("    "), Span::styled(if here { "▏" } else { "–" }, theme.dim)]);
    };
    let cursor = input.cursor();
    let text: Vec<char> = input.value().chars().collect();
    let columns = |chars: &[char]| chars.iter().map(|c| c.width().unwrap_or(0)).sum::<usize>();
    let mut start = 0;
    while columns(text.get(start..cursor).unwrap_or_default()) + 2 > width && start < cursor {
        start += 1;
    }
    let before: String = text.get(start..cursor).unwrap_or_default().iter().collect();
    let after: String = text.get(cursor..).unwrap_or_default().iter().collect();
    let room = width.saturating_sub(before.width() + 1);
    let bar = if here { "▏" } else { "" };
    Line::from(vec![
        Span::raw("    "),
        Span::styled(before, theme.text),
        Span::styled(bar, theme.accent),
        Span::styled(fit(&after, room), theme.text),
    ])
}

/// A fingerprint on two rows.
fn halves(print: &str) -> impl Iterator<Item = &str> {
    let middle = print.len() / 2 + 1;
    [print.get(..middle).unwrap_or(print).trim_end_matches(':'), print.get(middle..).unwrap_or_default()]
        .into_iter()
        .filter(|half| !half.is_empty())
}

fn draw_summary(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = &model.theme;
    let [text, buttons] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    let width = area.width as usize;
    let mut lines = Vec::new();
    let mut row = |label: &str, value: &str, style: Style| {
        let room = width.saturating_sub(LABEL_WIDTH);
        for (at, line) in cut(value, room).into_iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            lines.push(Line::from(vec![
                Span::styled(format!("{label:<LABEL_WIDTH$}"), theme.dim),
                Span::styled(line, style),
            ]));
        }
    };
    row("Gateway", model.value(Field::Gateway), theme.text);
    match &model.gateway {
        None => row("", "asking it …", theme.warn),
        Some(Ok(says)) => row("", &format!("✓ {says}"), theme.good),
        Some(Err(why)) => row("", &format!("! {why}"), theme.warn),
    }
    if let Some((network, banks)) = &model.network {
        row("Network", &format!("{network}, with {}", banks.join(", ")), theme.text);
    }
    let print = model.fingerprint.as_deref().unwrap_or_default();
    for (label, half) in ["SHA-256", ""].into_iter().zip(halves(print)) {
        row(label, half, theme.text);
    }
    row("You are", model.identity.as_deref().unwrap_or_default(), theme.text);
    row("Settings", &model.config.display().to_string(), theme.text);
    row("Data", &model.data_dir.display().to_string(), theme.text);
    if let Some(error) = &model.write_error {
        row("", &format!("! Nothing is set up: {error}"), theme.bad);
    }
    frame.render_widget(Paragraph::new(lines), text);
    if model.busy {
        frame.render_widget(Line::from(Span::styled("writing …", theme.warn)).centered(), buttons);
        return;
    }
    let mut spans = Vec::new();
    for button in Button::ALL {
        let style = if button == model.button { theme.chosen } else { theme.text };
        let label = if button == model.button {
            format!("[ {} ]", button.label())
        } else {
            format!("  {}  ", button.label())
        };
        spans.push(Span::styled(label, style));
        spans.push(Span::raw("   "));
    }
    frame.render_widget(Line::from(spans).centered(), buttons);
}

fn indented(line: Line<'_>) -> Line<'_> {
    let mut spans = vec![Span::raw("    ")];
    spans.extend(line.spans);
    Line::from(spans)
}

fn wrapped<'a>(text: &str, width: usize, style: Style) -> Vec<Line<'a>> {
    cut(text, width).into_iter().map(|line| Line::from(Span::styled(line, style))).collect()
}

/// Cuts a text into rows, between words where it can.
fn cut(text: &str, width: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for word in text.split(' ') {
        let used = rows.last().map_or(0, |row| row.width());
        if used > 0 && used + 1 + word.width() > width {
            rows.push(String::new());
        } else if used > 0 {
            rows.last_mut().into_iter().for_each(|row| row.push(' '));
        }
        for c in word.chars().filter(|c| !c.is_control()) {
            let full = rows.last().map_or(0, |row| row.width()) + c.width().unwrap_or(0) > width.max(2);
            if full {
                rows.push(String::new());
            }
            rows.last_mut().into_iter().for_each(|row| row.push(c));
        }
    }
    rows
}
