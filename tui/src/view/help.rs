//! All keys, drawn from the lists of commands.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{centred, panel, title};
use crate::commands::{Place, commands_of};
use crate::format::left;
use crate::model::Model;

/// Narrowest column of the help.
const COLUMN_WIDTH_MIN: usize = 58;
/// Columns of a key.
const KEY_WIDTH: usize = 18;

enum Cell {
    Heading(&'static str),
    Key(String, &'static str),
    Blank,
}

/// The keys of where one is come first.
fn cells(model: &Model) -> Vec<Cell> {
    let here = Place::beneath(model);
    let others = Place::ALL.into_iter().filter(|place| *place != here && !matches!(place, Place::Help));
    let mut cells = Vec::new();
    for place in std::iter::once(here).chain(others) {
        if place == Place::Demo && model.demo.is_none() {
            continue;
        }
        if !cells.is_empty() {
            cells.push(Cell::Blank);
        }
        cells.push(Cell::Heading(place.name()));
        let key = |command: &crate::commands::Command| {
            let keys: Vec<String> = model.keymap.keys(command).iter().map(|key| key.shown()).collect();
            Cell::Key(keys.join(", "), command.help)
        };
        cells.extend(commands_of(model, place).iter().map(key));
    }
    cells
}

/// Columns, rows and the rows of a column in the help's box.
fn grid(count: usize, area: Rect) -> (usize, usize) {
    let height = usize::from(area.height.saturating_sub(2)).max(1);
    let inner = usize::from(area.width.saturating_sub(6));
    ((inner / COLUMN_WIDTH_MIN).clamp(1, count.div_ceil(height).max(1)), height)
}

/// The last row that the help can begin with.
pub(super) fn last(model: &Model, body: Rect) -> usize {
    let count = cells(model).len();
    let (columns, height) = grid(count, body);
    count.saturating_sub(columns * height)
}

pub(super) fn draw(model: &Model, from: usize, frame: &mut Frame<'_>, body: Rect) {
    let area = centred(frame, body, body.width.saturating_sub(4), body.height);
    let cells = cells(model);
    let inner = usize::from(area.width.saturating_sub(2));
    let (columns, height) = grid(cells.len(), body);
    let width = (inner / columns).max(1);
    // down to the last page
    let from = from.min(cells.len().saturating_sub(height * columns));
    let more = cells.len().saturating_sub(from + height * columns);
    let below = if more > 0 { format!(" ↓ {more} more ") } else { String::new() };
    let block = panel(model, title(model, "All keys", true), true)
        .title_bottom(Line::from(Span::styled(below, model.theme.dim)).right_aligned());
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let line = |at: usize| {
        let spans =
            (0..columns).filter_map(|column| cells.get(from + column * height + at)).flat_map(|cell| {
                match cell {
                    Cell::Blank => vec![Span::raw(" ".repeat(width))],
                    Cell::Heading(name) => vec![Span::styled(left(name, width), model.theme.accent)],
                    Cell::Key(key, help) => {
                        let key_width = KEY_WIDTH.min(width);
                        let rest = width.saturating_sub(key_width + 1);
                        vec![
                            Span::styled(left(key, key_width.saturating_sub(1)) + " ", model.theme.key),
                            Span::styled(format!("{} ", left(help, rest)), model.theme.text),
                        ]
                    }
                }
            });
        Line::from(spans.collect::<Vec<_>>())
    };
    frame.render_widget(Paragraph::new((0..height).map(line).collect::<Vec<_>>()), inside);
}
