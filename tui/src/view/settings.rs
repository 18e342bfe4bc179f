//! Looks and manners, which can be changed here, and where things are, which is only told.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{first_shown, main_focused, panel, title};
use crate::format::{fit, left};
use crate::model::Model;
use crate::preferences::Preference;

/// Columns of a name beside its value.
const NAME_WIDTH: usize = 22;

/// Rows before the first setting, and between the two lists.
const HEAD_ROWS: usize = 1;
const BETWEEN_ROWS: usize = 2;

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = &model.theme;
    let focused = main_focused(model);
    let block = panel(model, title(model, "Settings", focused), focused);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let width = inside.width as usize;
    let heading = |text: &str| Line::from(Span::styled(fit(&format!("  {text}"), width), theme.accent));
    let row = |place: usize, name: &str, value: &str| {
        let here = place == model.setting && focused;
        let sign = if here { "▸" } else { " " };
        if here {
            let text = format!("{sign} {}{value}", left(name, NAME_WIDTH));
            return Line::from(Span::styled(left(&text, width), theme.chosen));
        }
        Line::from(vec![
            Span::styled(format!("{sign} {}", left(name, NAME_WIDTH)), theme.dim),
            Span::styled(fit(value, width.saturating_sub(NAME_WIDTH + 2)), theme.text),
        ])
    };
    let mut lines = vec![heading("Looks and manners")];
    for (place, preference) in Preference::ALL.iter().enumerate() {
        lines.push(row(place, preference.name(), &model.preferences.said(*preference)));
    }
    lines.push(Line::raw(""));
    lines.push(heading("Where things are"));
    for (place, (name, value)) in model.all_facts().iter().enumerate() {
        lines.push(row(Preference::ALL.len() + place, name, value));
    }
    let fitting = usize::from(inside.height);
    let first = first_shown(line_of(model.setting), fitting);
    frame.render_widget(Paragraph::new(lines.into_iter().skip(first).collect::<Vec<_>>()), inside);
}

/// The line of a setting in the list.
fn line_of(setting: usize) -> usize {
    let between = if setting >= Preference::ALL.len() { BETWEEN_ROWS } else { 0 };
    HEAD_ROWS + setting + between
}

/// The setting in a row of the terminal.
pub(super) fn setting_at(model: &Model, area: Rect, row: u16) -> Option<usize> {
    let fitting = usize::from(area.height.saturating_sub(2));
    let line = usize::from(row.checked_sub(area.y + 1)?) + first_shown(line_of(model.setting), fitting);
    (0..Preference::ALL.len() + model.all_facts().len()).find(|setting| line_of(*setting) == line)
}
