//! Draws the model. Changes nothing.

mod areas;
mod chart;
mod demo;
mod details;
mod help;
mod history;
mod inbox;
mod login;
mod overlays;
mod overview;
mod palette;
mod queue;
mod settings;
mod transfer;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};
use strife_client::view::{Connection, NoticeKind};
use tui_input::Input;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

pub use areas::{HEIGHT_MIN, Hit, WIDTH_MIN, hit};

use crate::commands::Action;
use crate::format::{fit, until};
use crate::model::{Focus, Model, Screen};
use areas::{areas, foot_cells};

/// The last row that the help can begin with at the terminal's size.
pub fn help_last(model: &Model) -> usize {
    help::last(model, body_of(model))
}

/// The last row that details which are open can begin with at the terminal's size.
pub fn details_last(model: &Model) -> usize {
    overlays::details_last(model, body_of(model))
}

fn body_of(model: &Model) -> Rect {
    areas(Rect::new(0, 0, model.size.0, model.size.1)).body
}

/// Where the terminal is too small for everything, says so and nothing else; tells whether it is.
pub(crate) fn says_too_small(frame: &mut Frame<'_>) -> bool {
    let area = frame.area();
    let small = area.width < WIDTH_MIN || area.height < HEIGHT_MIN;
    if small {
        let text = format!("Strife needs {WIDTH_MIN}×{HEIGHT_MIN}");
        let row = Rect { y: area.y + area.height / 2, height: area.height.min(1), ..area };
        frame.render_widget(Paragraph::new(fit(&text, area.width as usize)).centered(), row);
    }
    small
}

/// Draws everything.
pub fn draw(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    if says_too_small(frame) {
        return;
    }
    let parts = areas(area);
    draw_head(model, frame, parts.head);
    draw_foot(model, frame, parts.foot);
    match model.screen {
        Screen::Login => login::draw(model, frame, parts.main),
        Screen::Overview => overview::draw(model, frame, parts.main),
        Screen::Transfer => transfer::draw(model, frame, parts.main),
        Screen::History => history::draw(model, frame, parts.main),
        Screen::Inbox => inbox::draw(model, frame, parts.main),
        Screen::Settings => settings::draw(model, frame, parts.main),
    }
    queue::draw(model, frame, parts.queue);
    overlays::draw(model, frame, parts.body);
    draw_toasts(model, frame, parts.body);
}

/// A framed panel; the one with the focus has a brighter frame.
fn panel<'a>(model: &Model, title: impl Into<Line<'a>>, focused: bool) -> Block<'a> {
    let style = if focused { model.theme.accent } else { model.theme.frame };
    Block::bordered().border_set(model.theme.frame_set()).border_style(style).title(title)
}

fn title<'a>(model: &Model, text: &str, focused: bool) -> Line<'a> {
    let style = if focused { model.theme.accent } else { model.theme.text };
    Line::from(Span::styled(format!(" {text} "), style))
}

fn draw_head(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = &model.theme;
    let mut left = vec![Span::styled(" ◆ Strife ", theme.accent)];
    if model.demo_sentence.is_some() {
        left.push(Span::styled(" DEMO ", theme.mark));
        left.push(Span::raw(" "));
    }
    if let (Some(profile), true) = (&model.view.profile, model.screen != Screen::Login) {
        left.push(Span::styled(fit(&profile.display_name, 24), theme.text));
        left.push(Span::styled(format!("  {}@{}", profile.person, fit(&profile.bank, 24)), theme.dim));
        if !model.view.signed_in {
            left.push(Span::styled("  signed out", theme.warn));
        }
    }
    if model.unread > 0 && model.screen != Screen::Login {
        left.push(Span::styled(format!("  ✉ {}", model.unread), theme.warn));
    }
    let right = connection_line(model, area.width);
    let [start, end] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(line_width(&right))]).areas(area);
    frame.render_widget(Line::from(left), start);
    frame.render_widget(right, end);
}

fn connection_line(model: &Model, width: u16) -> Line<'static> {
    let theme = &model.theme;
    // the address gives way to the person's name on a narrow terminal
    let gateway = if width >= 100 { format!(" {} ", fit(&model.view.gateway, 40)) } else { " ".into() };
    let own = model.view.profile.as_ref().map(|profile| fit(&profile.bank, 24)).unwrap_or_default();
    let away = match model.own_bank_is_away() {
        true => Span::styled(format!("{own} is away  "), theme.warn),
        false => Span::raw(""),
    };
    match &model.view.connection {
        Connection::Online { latency_ms } => Line::from(vec![
            away,
            Span::styled("● online ", theme.good),
            Span::styled(format!("{latency_ms} ms{gateway}"), theme.dim),
        ]),
        Connection::Reconnecting { attempt: 0, .. } => {
            Line::from(Span::styled(format!("◌ connecting{gateway}"), theme.warn))
        }
        Connection::Reconnecting { attempt, next_try } => Line::from(vec![
            Span::styled(
                format!("◌ reconnecting {attempt}, next try {}", until(*next_try, model.now)),
                theme.warn,
            ),
            Span::styled(gateway, theme.dim),
        ]),
        Connection::Offline => match model.shown_key(Action::ToggleOffline) {
            Some(key) => Line::from(Span::styled(format!("○ offline ({key} goes back online) "), theme.warn)),
            None => Line::from(Span::styled("○ offline ", theme.warn)),
        },
    }
}

fn line_width(line: &Line<'_>) -> u16 {
    u16::try_from(line.width()).unwrap_or(u16::MAX)
}

fn draw_foot(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let mut spans = vec![Span::raw(" ")];
    for cell in foot_cells(model, area.width) {
        spans.push(Span::styled(cell.key, model.theme.key));
        spans.push(Span::styled(format!(" {}  ", cell.label), model.theme.text));
    }
    frame.render_widget(Line::from(spans), area);
}

/// Rows that one short message may take.
const TOAST_ROWS_MAX: usize = 3;

/// Short messages, at the bottom of the body, the newest last.
fn draw_toasts(model: &Model, frame: &mut Frame<'_>, body: Rect) {
    let mut bottom = body.bottom();
    for toast in model.toasts.iter().rev() {
        let (sign, style) = match toast.kind {
            NoticeKind::Good => ("✓", model.theme.good),
            NoticeKind::Info => ("·", model.theme.warn),
            NoticeKind::Bad => ("!", model.theme.bad),
        };
        let away = match (toast.kind, model.shown_key(Action::ClearToasts)) {
            (NoticeKind::Bad, Some(key)) => format!("  ({key} puts it away)"),
            _ => String::new(),
        };
        let width = usize::from(body.width.saturating_sub(8));
        let mut rows = wrapped(&format!("{}{away}", toast.text), width);
        if rows.len() > TOAST_ROWS_MAX {
            rows.truncate(TOAST_ROWS_MAX);
            if let Some(last) = rows.last_mut() {
                *last = fit(&format!("{last}…{away}"), width);
            }
        }
        let widest = rows.iter().map(|row| row.width()).max().unwrap_or(0);
        for (place, row) in rows.iter().enumerate().rev() {
            if bottom <= body.y {
                return;
            }
            bottom -= 1;
            let sign = if place == 0 { sign } else { " " };
            let text = format!(" {sign} {} ", crate::format::left(row, widest));
            let columns = u16::try_from(text.width()).unwrap_or(body.width).min(body.width);
            let x = body.x + body.width.saturating_sub(columns + 2);
            let area = Rect { x, y: bottom, width: columns, height: 1 };
            frame.render_widget(Clear, area);
            frame.render_widget(Span::styled(text, reversed(style)), area);
        }
    }
}

/// Text in rows of at most so many columns, cut between words where that is possible.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(2);
    let mut rows: Vec<String> = vec![String::new()];
    for word in crate::format::clean(text).split(' ') {
        let used = rows.last().map_or(0, |row| row.width());
        if used > 0 && used + 1 + word.width() > width {
            rows.push(String::new());
        } else if used > 0 {
            rows.last_mut().into_iter().for_each(|row| row.push(' '));
        }
        for c in word.chars() {
            let wide = c.width().unwrap_or(0);
            if rows.last().is_some_and(|row| row.width() + wide > width) {
                rows.push(String::new());
            }
            rows.last_mut().into_iter().for_each(|row| row.push(c));
        }
    }
    rows
}

fn reversed(style: Style) -> Style {
    style.add_modifier(ratatui::style::Modifier::REVERSED)
}

/// A box in the middle, cleared.
fn centred(frame: &mut Frame<'_>, within: Rect, width: u16, height: u16) -> Rect {
    let width = width.min(within.width);
    let height = height.min(within.height);
    let area = Rect {
        x: within.x + (within.width - width) / 2,
        y: within.y + (within.height - height) / 2,
        width,
        height,
    };
    // a wide character that stands half under the box goes as a whole
    let left = area.x.saturating_sub(1).max(within.x);
    frame.render_widget(Clear, Rect { x: left, width: area.right() - left, ..area });
    area
}

/// What one types into, with the cursor where it is, in so many columns: the part around the cursor stays in sight.
fn typed<'a>(model: &Model, input: &Input, here: bool, width: usize) -> Vec<Span<'a>> {
    let theme = &model.theme;
    if !here {
        return vec![Span::styled(fit(input.value(), width), theme.text)];
    }
    let room = width.saturating_sub(1);
    let text = crate::format::clean(input.value());
    let before: String = text.chars().take(input.cursor()).collect();
    let after: String = text.chars().skip(input.cursor()).collect();
    // from the left what does not fit goes first
    let mut start = before.as_str();
    while start.width() > room {
        let mut rest = start.chars();
        rest.next();
        start = rest.as_str();
    }
    let left = room.saturating_sub(start.width());
    vec![
        Span::styled(start.to_owned(), theme.text),
        Span::styled("▏", theme.accent),
        Span::styled(fit(&after, left), theme.text),
    ]
}

/// Whether the main area has the focus.
fn main_focused(model: &Model) -> bool {
    model.focus == Focus::Main && model.overlay.is_none()
}

/// The first row of a list that is shown, so that the chosen one is among `fitting` rows.
fn first_shown(chosen: usize, fitting: usize) -> usize {
    chosen.saturating_sub(fitting.saturating_sub(1))
}
