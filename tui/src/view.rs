//! Draws the model. Changes nothing.

mod home;
mod login;
mod overlays;
mod queue;
mod transfer;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph};
use strife_client::view::{Connection, NoticeKind};
use unicode_width::UnicodeWidthStr;

use crate::commands::{Action, Command, commands};
use crate::format::{fit, until};
use crate::model::{Focus, Model, Screen};

/// Smallest terminal that everything fits into.
const WIDTH_MIN: u16 = 60;
const HEIGHT_MIN: u16 = 18;
/// From this width on the queue stands beside the main area, below it under it.
const WIDE: u16 = 118;
/// Width of the queue beside the main area.
const QUEUE_WIDTH: u16 = 46;

/// Draws everything.
pub fn draw(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        let text = format!("Strife needs {WIDTH_MIN}×{HEIGHT_MIN}");
        let row = Rect { y: area.y + area.height / 2, height: area.height.min(1), ..area };
        frame.render_widget(Paragraph::new(fit(&text, area.width as usize)).centered(), row);
        return;
    }
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    draw_head(model, frame, head);
    draw_foot(model, frame, foot);
    let (main, queue) = if area.width >= WIDE {
        let [main, queue] =
            Layout::horizontal([Constraint::Fill(1), Constraint::Length(QUEUE_WIDTH)]).areas(body);
        (main, queue)
    } else {
        let rows = (body.height / 3).clamp(5, 9);
        let [main, queue] = Layout::vertical([Constraint::Fill(1), Constraint::Length(rows)]).areas(body);
        (main, queue)
    };
    match model.screen {
        Screen::Login => login::draw(model, frame, main),
        Screen::Home => home::draw_home(model, frame, main),
        Screen::Transfer => transfer::draw(model, frame, main),
        Screen::History => home::draw_history(model, frame, main),
    }
    queue::draw(model, frame, queue);
    draw_toasts(model, frame, body);
    overlays::draw(model, frame, body);
}

/// A framed panel; the one with the focus has a brighter frame.
fn panel<'a>(model: &Model, title: impl Into<Line<'a>>, focused: bool) -> Block<'a> {
    let style = if focused { model.theme.accent } else { model.theme.dim };
    Block::bordered().border_type(BorderType::Rounded).border_style(style).title(title)
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
        let name = fit(&profile.display_name, 24);
        left.push(Span::styled(name, theme.text));
        left.push(Span::styled(format!("  {}@{}", profile.person, profile.bank), theme.dim));
        if !model.view.signed_in {
            left.push(Span::styled("  signed out", theme.warn));
        }
    }
    // the address gives way to the person's name on a narrow terminal
    let gateway = if area.width >= 100 { format!(" {} ", model.view.gateway) } else { " ".into() };
    let own = model.view.profile.as_ref().map(|profile| profile.bank.as_str()).unwrap_or_default();
    let away = match model.own_bank_is_away() {
        true => Span::styled(format!("{own} is away  "), theme.warn),
        false => Span::raw(""),
    };
    let right = match &model.view.connection {
        Connection::Online { latency_ms } => Line::from(vec![
            away.clone(),
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
        Connection::Offline => Line::from(Span::styled("○ offline (o goes back online) ", theme.warn)),
    };
    let [start, end] =
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(line_width(&right))]).areas(area);
    frame.render_widget(Line::from(left), start);
    frame.render_widget(right, end);
}

fn line_width(line: &Line<'_>) -> u16 {
    u16::try_from(line.width()).unwrap_or(u16::MAX)
}

fn draw_foot(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let mut spans = vec![Span::raw(" ")];
    let commands = commands(model);
    let width_of = |command: &Command| command.shown.width() + command.label.width() + 3;
    // help and leaving stand there whatever else has to go
    let needed = |command: &&Command| matches!(command.action, Action::Help | Action::Quit | Action::Back);
    let mut reserved: usize = 1 + commands.iter().filter(needed).map(width_of).sum::<usize>();
    let mut used = 1;
    for command in commands.iter().filter(|command| !command.label.is_empty()) {
        let width = width_of(command);
        if needed(&command) {
            reserved -= width;
        } else if used + width + reserved > area.width as usize + 1 {
            continue;
        }
        used += width;
        spans.push(Span::styled(command.shown, model.theme.key));
        spans.push(Span::styled(format!(" {}  ", command.label), model.theme.text));
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
        let away = if toast.kind == NoticeKind::Bad { "  (z puts it away)" } else { "" };
        let width = body.width.saturating_sub(4) as usize;
        let text = fit(&format!(" {sign} {}{away} ", toast.text), width);
        let columns = u16::try_from(text.width()).unwrap_or(body.width);
        let below = u16::try_from(index).unwrap_or(0) + 1;
        if below >= body.height {
            return;
        }
        let row = Rect {
            x: body.x + body.width.saturating_sub(columns + 2),
            y: body.y + body.height - below,
            width: columns,
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
