//! What has arrived: incoming money and notices, and what waits for the person's word.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};
use strife_client::view::NoticeKind;

use super::{first_shown, main_focused, panel, title};
use crate::format::{left, moment};
use crate::model::Model;

/// Rows of the panel with what waits for the person.
const WAITING_HEIGHT: u16 = 3;

fn parts(area: Rect) -> [Rect; 2] {
    Layout::vertical([Constraint::Length(WAITING_HEIGHT), Constraint::Fill(1)]).areas(area)
}

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = &model.theme;
    let [above, below] = parts(area);
    let parked: usize = model
        .view
        .orders
        .iter()
        .filter(|order| matches!(order.state, strife_client::view::OrderState::Parked { .. }))
        .count();
    let waiting = match parked {
        0 => Span::styled("  Nothing waits for your word.", theme.dim),
        1 => Span::styled("  1 order of the queue is parked and waits for your word.", theme.warn),
        more => Span::styled(
            format!("  {more} orders of the queue are parked and wait for your word."),
            theme.warn,
        ),
    };
    let block = panel(model, title(model, "Waits for you", false), false);
    frame.render_widget(Paragraph::new(Line::from(waiting)).block(block), above);

    let focused = main_focused(model);
    let block = panel(model, title(model, "Inbox", focused), focused);
    let inside = block.inner(below);
    frame.render_widget(block, below);
    let width = inside.width as usize;
    if model.inbox.is_empty() {
        let text =
            "Incoming money and notices stand here from the moment they arrive, while this program runs.";
        let text = Paragraph::new(Span::styled(text, theme.dim)).wrap(Wrap { trim: true });
        frame.render_widget(text, inside);
        return;
    }
    let fitting = usize::from(inside.height);
    let first = first_shown(model.item, fitting);
    let lines = model.inbox.iter().enumerate().skip(first).take(fitting).map(|(place, notice)| {
        let chosen = place == model.item && focused;
        let (sign, style) = match notice.kind {
            NoticeKind::Good => ("✓", theme.good),
            NoticeKind::Info => ("·", theme.text),
            NoticeKind::Bad => ("!", theme.bad),
        };
        let text = format!(
            "{} {} {sign} {}",
            if chosen { "▸" } else { " " },
            left(&moment(notice.at_ms, &model.zone), 13),
            notice.text
        );
        Line::from(Span::styled(left(&text, width), if chosen { theme.chosen } else { style }))
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inside);
}

/// The item in a row of the terminal.
pub(super) fn item_at(model: &Model, area: Rect, row: u16) -> Option<usize> {
    let [_, below] = parts(area);
    let fitting = below.height.saturating_sub(2);
    let place = row.checked_sub(below.y + 1)?;
    (place < fitting).then(|| first_shown(model.item, usize::from(fitting)) + usize::from(place))
}
