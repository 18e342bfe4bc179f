//! The demo's processes, to watch the queue work.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::overlays::draw_box;
use crate::demo::ProcessState;
use crate::format::left;
use crate::model::Model;

pub(super) fn draw(model: &Model, chosen: usize, frame: &mut Frame<'_>, body: Rect) {
    let theme = &model.theme;
    let processes = model.demo.as_ref().map(|demo| demo.processes.as_slice()).unwrap_or_default();
    let mut lines = vec![
        Line::from(Span::styled(" Kill a process (-9), freeze it or cut it off, pay,", theme.dim)),
        Line::from(Span::styled(" bring it back, and watch the queue.", theme.dim)),
        Line::raw(""),
    ];
    for (place, (name, state)) in processes.iter().enumerate() {
        let here = place == chosen;
        let (sign, style) = match state {
            ProcessState::Runs => ("●", theme.good),
            ProcessState::Frozen | ProcessState::FrozenAndCutOff => ("‖", theme.warn),
            ProcessState::CutOff => ("◌", theme.warn),
            ProcessState::Killed | ProcessState::Ended(_) => ("○", theme.bad),
        };
        let words = match state {
            ProcessState::Ended(why) if !why.is_empty() => format!("{sign} {}: {why}", state.words()),
            _ => format!("{sign} {}", state.words()),
        };
        let text = format!("{} {}{words}", if here { "▸" } else { " " }, left(name, 14));
        lines.push(Line::from(Span::styled(left(&text, 52), if here { theme.chosen } else { style })));
    }
    draw_box(model, "Demo", lines, 56, frame, body);
}
