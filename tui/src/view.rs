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
use unicode_width::UnicodeWidthStr;

pub use areas::{Hit, hit};

use crate::commands::Action;
use crate::format::{fit, until};
use crate::model::{Focus, Model, Screen};
use areas::{HEIGHT_MIN, WIDTH_MIN, areas, foot_cells};

/// Draws everything.
pub fn draw(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        let text = format!("Strife needs {WIDTH_MIN}×{HEIGHT_MIN}");
        let row = Rect { y: area.y + area.height / 2, height: area.height.min(1), ..area };
        frame.render_widget(Paragraph::new(fit(&text, area.width as usize)).centered(), row);
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

/// Short messages, at the bottom of the body.
fn draw_toasts(model: &Model, frame: &mut Frame<'_>, body: Rect) {
    for (index, toast) in model.toasts.iter().rev().enumerate() {
        let (sign, style) = match toast.kind {
            NoticeKind::Good => ("✓", model.theme.good),
            NoticeKind::Info => ("·", model.theme.warn),
            NoticeKind::Bad => ("!", model.theme.bad),
        };
        let away = match (toast.kind, model.shown_key(Action::ClearToasts)) {
            (NoticeKind::Bad, Some(key)) => format!("  ({key} puts it away)"),
            _ => String::new(),
        };
        let width = (body.width.saturating_sub(4) as usize).saturating_sub(away.width());
        let text = format!(" {}{away} ", fit(&format!("{sign} {}", toast.text), width.saturating_sub(2)));
        let columns = u16::try_from(text.width()).unwrap_or(body.width);
        let below = u16::try_from(index).unwrap_or(0) + 1;
        if below >= body.height {
            return;
        }
        let row = Rect {
            x: body.x + body.width.saturating_sub(columns + 2),
            y: body.y + body.height - below,
            width: columns.min(body.width),
            height: 1,
        };
        frame.render_widget(Clear, row);
        frame.render_widget(Span::styled(text, reversed(style)), row);
    }
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
    frame.render_widget(Clear, area);
    area
}

/// Whether the main area has the focus.
fn main_focused(model: &Model) -> bool {
    model.focus == Focus::Main && model.overlay.is_none()
}

/// The first row of a list that is shown, so that the chosen one is among `fitting` rows.
fn first_shown(chosen: usize, fitting: usize) -> usize {
    chosen.saturating_sub(fitting.saturating_sub(1))
}
