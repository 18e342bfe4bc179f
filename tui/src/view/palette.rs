//! Every command that can be done here, by name.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use tui_input::Input;

use super::{centred, first_shown, panel, title, typed};
use crate::format::{left, right};
use crate::model::Model;
use crate::search;

const WIDTH: u16 = 70;
const ROWS_MAX: u16 = 14;

pub(super) fn draw(model: &Model, text: &Input, chosen: usize, frame: &mut Frame<'_>, body: Rect) {
    let theme = &model.theme;
    let found = search::palette(model, text.value());
    let area = centred(frame, body, WIDTH, ROWS_MAX + 3);
    let block = panel(model, title(model, "Palette", true), true);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let width = usize::from(inside.width);
    let prompt = std::iter::once(Span::styled(" › ", theme.accent));
    let mut lines = vec![Line::from_iter(prompt.chain(typed(model, text, true, width.saturating_sub(4))))];
    let fitting = usize::from(inside.height.saturating_sub(1));
    let first = first_shown(chosen, fitting);
    for (place, command) in found.iter().enumerate().skip(first).take(fitting) {
        let key = right(&model.keymap.shown(command), 10);
        let name = left(command.action.name(), 16);
        let help = left(command.help, width.saturating_sub(2 + 16 + 11));
        if place == chosen {
            lines.push(Line::from(Span::styled(format!("▸ {name}{help} {key}"), theme.chosen)));
        } else {
            lines.push(Line::from(vec![
                Span::styled(format!("  {name}"), theme.text),
                Span::styled(help, theme.dim),
                Span::styled(format!(" {key}"), theme.key),
            ]));
        }
    }
    if found.is_empty() {
        lines.push(Line::from(Span::styled("   no command has these letters", theme.dim)));
    }
    frame.render_widget(Paragraph::new(lines), inside);
}
