//! Where everything stands, for drawing and for the mouse alike.

use ratatui::layout::{Constraint, Layout, Rect};
use unicode_width::UnicodeWidthStr;

use super::{history, inbox, overview, queue, settings};
use crate::commands::{Action, commands};
use crate::model::{Model, Screen};

/// Smallest terminal that everything fits into.
pub const WIDTH_MIN: u16 = 60;
/// The same for its rows.
pub const HEIGHT_MIN: u16 = 18;
/// From this width on the queue stands beside the main area, below it under it.
const WIDE: u16 = 118;
/// Width of the queue beside the main area.
const QUEUE_WIDTH: u16 = 46;

/// What stands where.
pub(super) struct Areas {
    pub head: Rect,
    /// Between head and foot.
    pub body: Rect,
    pub main: Rect,
    pub queue: Rect,
    pub foot: Rect,
}

pub(super) fn areas(area: Rect) -> Areas {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    let [main, queue] = if area.width >= WIDE {
        Layout::horizontal([Constraint::Fill(1), Constraint::Length(QUEUE_WIDTH)]).areas(body)
    } else {
        let rows = (body.height / 3).clamp(5, 9);
        Layout::vertical([Constraint::Fill(1), Constraint::Length(rows)]).areas(body)
    };
    Areas { head, body, main, queue, foot }
}

/// One command of the bottom bar.
pub(super) struct FootCell {
    pub key: String,
    pub label: &'static str,
    pub action: Action,
    /// Columns from the left.
    pub from: u16,
    pub width: u16,
}

/// The bottom bar's commands, as many as fit; help and leaving stand there whatever else has to go.
pub(super) fn foot_cells(model: &Model, width: u16) -> Vec<FootCell> {
    let all: Vec<FootCell> = commands(model)
        .iter()
        .filter(|command| !command.label.is_empty())
        .map(|command| {
            let key = model.keymap.shown(command);
            let columns = key.width() + command.label.width() + 3;
            let width = u16::try_from(columns).unwrap_or(u16::MAX);
            FootCell { key, label: command.label, action: command.action, from: 0, width }
        })
        .collect();
    let needed = |cell: &FootCell| {
        matches!(
            cell.action,
            Action::Help
                | Action::Quit
                | Action::Back
                | Action::Close
                | Action::Palette
                | Action::ToQueue
                | Action::DemoMenu
        )
    };
    let mut reserved: u16 = all.iter().filter(|cell| needed(cell)).map(|cell| cell.width).sum();
    let mut used = 1;
    let mut shown = Vec::new();
    for cell in all {
        if needed(&cell) {
            reserved = reserved.saturating_sub(cell.width);
        } else if used + cell.width + reserved > width + 1 {
            continue;
        }
        let from = used;
        used += cell.width;
        shown.push(FootCell { from, ..cell });
    }
    shown
}

/// What stands under the pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// A command of the bottom bar.
    Command(Action),
    /// An order of the queue, by its place.
    Order(usize),
    /// A row of the list in the main area, by its place.
    Row(usize),
}

/// What stands in a cell of the terminal.
pub fn hit(model: &Model, column: u16, row: u16) -> Option<Hit> {
    let (width, height) = model.size;
    if width < WIDTH_MIN || height < HEIGHT_MIN {
        return None;
    }
    let parts = areas(Rect::new(0, 0, width, height));
    let inside =
        |area: Rect| column >= area.x && column < area.right() && row >= area.y && row < area.bottom();
    if inside(parts.foot) {
        let cell = foot_cells(model, width)
            .into_iter()
            .find(|cell| column >= cell.from && column < cell.from + cell.width);
        return cell.map(|cell| Hit::Command(cell.action));
    }
    if inside(parts.queue) {
        return queue::order_at(model, parts.queue, row).map(Hit::Order);
    }
    if !inside(parts.main) {
        return None;
    }
    match model.screen {
        Screen::Overview => overview::account_at(model, parts.main, row),
        Screen::History => history::row_at(model, parts.main, row),
        Screen::Inbox => inbox::item_at(model, parts.main, row),
        Screen::Settings => settings::setting_at(model, parts.main, row),
        Screen::Login | Screen::Transfer => None,
    }
    .map(Hit::Row)
}
