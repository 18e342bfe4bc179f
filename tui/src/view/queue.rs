//! The offline queue, always in sight.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use strife_client::view::{CANCELLED, Credit, OrderState, OrderView};

use super::{first_shown, panel, title};
use crate::format::{fit, left, right, until};
use crate::model::{Focus, Model, Screen};

/// From this width on an order has one row, below it two.
const ONE_ROW: u16 = 56;

/// The sign and style of a state. The word stands beside it.
pub(super) fn look(model: &Model, state: &OrderState) -> (&'static str, Style) {
    let theme = &model.theme;
    match state {
        OrderState::Queued => ("◷", theme.warn),
        OrderState::Sending => ("↑", theme.accent),
        OrderState::Pending => ("…", theme.warn),
        OrderState::Posted { credit: Credit::Account } => ("✔", theme.good),
        OrderState::Posted { .. } => ("✓", theme.good),
        OrderState::Declined { code: CANCELLED, .. } => ("–", theme.dim),
        OrderState::Declined { .. } | OrderState::Never { .. } => ("✗", theme.bad),
        OrderState::Withdrawn => ("–", theme.dim),
        OrderState::Parked { .. } => ("‖", theme.warn),
    }
}

/// Why an order stands where it does, in words.
pub(super) fn reason(model: &Model, order: &OrderView) -> String {
    let tries = match order.attempts {
        0 | 1 => String::new(),
        tries => format!("try {tries}, "),
    };
    match &order.state {
        OrderState::Declined { sentence, .. } | OrderState::Never { sentence } => (*sentence).to_owned(),
        OrderState::Parked { sentence, .. } => sentence.clone(),
        OrderState::Withdrawn => "taken back before it was sent".into(),
        OrderState::Posted { credit: Credit::Account } => "the payee has it".into(),
        OrderState::Posted { credit: Credit::Unconfirmed } => "paid; the payee's bank confirms soon".into(),
        OrderState::Posted { credit: Credit::Suspense } => {
            "paid; the payee's account could not take it, ask that bank".into()
        }
        _ if order.cancelling => format!("{tries}cancelling; the bank will say which came first"),
        OrderState::Sending => format!("{tries}on its way"),
        OrderState::Queued | OrderState::Pending => match order.next_try {
            Some(at) => format!("{tries}next in {}: {}", until(at, model.now), order.reason),
            None if order.reason.is_empty() => format!("{tries}on the disk"),
            None => format!("{tries}{}", order.reason),
        },
    }
}

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = &model.theme;
    let focused = model.focus == Focus::Queue && model.overlay.is_none();
    let open = model.view.orders.iter().filter(|order| !order.state.is_ended()).count();
    let count = match open {
        0 => " nothing waits ".to_owned(),
        1 => " 1 order waits ".to_owned(),
        more => format!(" {more} orders wait "),
    };
    let style = if open == 0 { theme.dim } else { theme.warn };
    let block = panel(model, title(model, "Offline queue", focused), focused)
        .title(Line::from(Span::styled(count, style)).right_aligned());
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let signing_in = model.screen == Screen::Login;
    if model.view.orders.is_empty() || signing_in {
        let text = match (signing_in, model.view.orders.is_empty()) {
            (true, false) => "Sign in, or work offline, to see what stands here.",
            _ => "Payments stand here from the moment you send them, online or not.",
        };
        let wrapped =
            Paragraph::new(Span::styled(text, theme.dim)).wrap(ratatui::widgets::Wrap { trim: true });
        frame.render_widget(wrapped, inside);
        return;
    }
    let (rows_each, first) = window(model, area);
    let fitting = (inside.height as usize / rows_each).max(1);
    let mut lines = Vec::new();
    for (place, order) in model.view.orders.iter().enumerate().skip(first).take(fitting) {
        let chosen = focused && place == model.order;
        lines.extend(order_lines(model, order, chosen, inside.width as usize, rows_each));
    }
    frame.render_widget(Paragraph::new(lines), inside);
}

/// Rows of an order, and the first order that is shown.
fn window(model: &Model, area: Rect) -> (usize, usize) {
    let rows_each = if area.width.saturating_sub(2) >= ONE_ROW { 1 } else { 2 };
    let fitting = (usize::from(area.height.saturating_sub(2)) / rows_each).max(1);
    let first = if model.focus == Focus::Queue { first_shown(model.order, fitting) } else { 0 };
    (rows_each, first)
}

/// The order in a row of the terminal.
pub(super) fn order_at(model: &Model, area: Rect, row: u16) -> Option<usize> {
    let (rows_each, first) = window(model, area);
    let place = usize::from(row.checked_sub(area.y + 1)?) / rows_each + first;
    let shown = model.screen != Screen::Login && row + 1 < area.bottom();
    (shown && place < model.view.orders.len()).then_some(place)
}

fn order_lines<'a>(
    model: &Model,
    order: &OrderView,
    chosen: bool,
    width: usize,
    rows_each: usize,
) -> Vec<Line<'a>> {
    let theme = &model.theme;
    let (sign, style) = look(model, &order.state);
    let sum =
        format!("{} {}", order.amount.currency().format(order.amount.minor_units()), order.amount.currency());
    let state = format!("{} {sign} {}", if chosen { "▸" } else { " " }, left(order.state.word(), 10));
    let (state_style, text_style) = if chosen { (theme.chosen, theme.chosen) } else { (style, theme.text) };
    let why = reason(model, order);
    if rows_each == 1 {
        let to = 24.min(width / 4);
        let rest = width.saturating_sub(14 + 17 + 1 + to + 1);
        return vec![Line::from(vec![
            Span::styled(state, state_style),
            Span::styled(right(&sum, 17), text_style),
            Span::styled(format!(" {} ", left(&order.to.to_string(), to)), text_style),
            Span::styled(left(&why, rest), if chosen { theme.chosen } else { theme.dim }),
        ])];
    }
    let to = width.saturating_sub(14 + 1);
    vec![
        Line::from(vec![
            Span::styled(state, state_style),
            Span::styled(format!(" {}", right(&sum, to)), text_style),
        ]),
        Line::from(Span::styled(
            fit(&format!("    → {}  {why}", order.to), width),
            if chosen { theme.text } else { theme.dim },
        )),
    ]
}
