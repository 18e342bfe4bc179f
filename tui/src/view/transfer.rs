//! Making a transfer.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::{main_focused, panel, title};
use crate::format::{fit, left};
use crate::forms::{Check, TransferField};
use crate::model::Model;

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let focused = main_focused(model);
    let block = panel(model, title(model, "Transfer", focused), focused);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let width = inside.width as usize;
    let mut lines = Vec::new();
    for field in TransferField::ALL {
        lines.extend(field_lines(model, field, width, focused));
        // on a low terminal the blank lines go before a field does
        if inside.height > 2 * TransferField::ALL.len() as u16 + 4 {
            lines.push(Line::raw(""));
        }
    }
    let where_to = if model.goes_now() {
        "It is written to the queue on this machine first, then sent at once."
    } else {
        "It cannot go now: it waits in the queue on this machine."
    };
    lines.push(Line::from(Span::styled(fit(&format!("  {where_to}"), width), model.theme.dim)));
    frame.render_widget(Paragraph::new(lines), inside);
}

fn field_lines<'a>(model: &Model, field: TransferField, width: usize, focused: bool) -> Vec<Line<'a>> {
    let theme = &model.theme;
    let form = &model.transfer;
    let here = form.field == field && focused;
    let name = match field {
        TransferField::From => "From",
        TransferField::To => "To",
        TransferField::Amount => "Amount",
        TransferField::Memo => "Memo",
    };
    let sign = if here { "▸" } else { " " };
    let label =
        Span::styled(format!("{sign} {}", left(name, 9)), if here { theme.accent } else { theme.text });
    let room = width.saturating_sub(13);
    let (value, hint) = match field {
        TransferField::From => {
            let account = form.account(&model.view);
            let text = account.map(|account| format!("{}  {}", account.name, account.number));
            (text.unwrap_or_default(), "← → chooses the account")
        }
        TransferField::To => (form.to.value().to_owned(), "account or name, as in user2@Bank2"),
        TransferField::Amount => (form.amount.value().to_owned(), "as in 12.50"),
        TransferField::Memo => (form.memo.value().to_owned(), "what for; the payee sees it"),
    };
    let mut first = vec![label];
    if value.is_empty() && !here {
        first.push(Span::styled(fit(hint, room), theme.dim));
    } else {
        // the end of what is typed stays in sight
        let skipped = value.chars().count().saturating_sub(room.saturating_sub(1));
        let tail: String = value.chars().skip(skipped).collect();
        first.push(Span::styled(fit(&tail, room), theme.text));
        if here && field != TransferField::From {
            first.push(Span::styled("▏", theme.accent));
        }
    }
    let (text, style) = match form.check(field, &model.view) {
        Check::Empty if form.tried && matches!(field, TransferField::To | TransferField::Amount) => {
            ("! This is needed.".to_owned(), theme.bad)
        }
        Check::Empty => ((if here { hint } else { "" }).to_owned(), theme.dim),
        Check::Good(text) => (format!("✓ {text}"), theme.good),
        Check::Warn(text) => (format!("! {text}"), theme.warn),
        Check::Bad(text) => (format!("! {text}"), theme.bad),
    };
    vec![
        Line::from(first),
        Line::from(vec![Span::raw(" ".repeat(11)), Span::styled(fit(&text, room), style)]),
    ]
}
