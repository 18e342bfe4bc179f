//! Making a transfer.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};

use super::{first_shown, main_focused, panel, title, typed};
use crate::commands::Action;
use crate::format::{fit, left};
use crate::forms::{Check, TransferField};
use crate::model::Model;
use crate::search;

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let focused = main_focused(model);
    let name = if model.transfer.refund.is_some() { "Refund" } else { "Transfer" };
    let block = panel(model, title(model, name, focused), focused);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let width = inside.width as usize;
    let mut lines = Vec::new();
    for field in TransferField::ALL {
        lines.extend(field_lines(model, field, width, focused));
        // on a low terminal the blank lines go before a field does
        if spacious(inside) {
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
    draw_suggestions(model, frame, inside);
}

/// Payees that one may mean, while the payee is typed: under its field, over the fields below.
fn draw_suggestions(model: &Model, frame: &mut Frame<'_>, inside: Rect) {
    let theme = &model.theme;
    let found = if model.transfer.field == TransferField::To && main_focused(model) {
        search::payees(model)
    } else {
        Vec::new()
    };
    let rows_each = if spacious(inside) { 3 } else { 2 };
    let top = inside.y + rows_each + 2;
    let height = u16::try_from(found.len() + 2).unwrap_or(u16::MAX).min(inside.bottom().saturating_sub(top));
    if found.is_empty() || height < 3 {
        return;
    }
    let area = Rect { x: inside.x + 10, y: top, width: inside.width.saturating_sub(12).min(58), height };
    let key = model.shown_key(Action::Down).unwrap_or_default();
    let block = panel(model, title(model, &format!("Payees ({key} chooses)"), false), false);
    let inner = block.inner(area);
    let width = usize::from(inner.width);
    let fitting = usize::from(inner.height);
    let first = first_shown(model.transfer.suggestion.unwrap_or(0), fitting);
    let lines = found.iter().enumerate().skip(first).take(fitting).map(|(place, one)| {
        let here = model.transfer.suggestion == Some(place);
        let text = format!("{} {} {}", if here { "▸" } else { " " }, left(&one.account, 30), one.name);
        Line::from(Span::styled(left(&text, width), if here { theme.chosen } else { theme.text }))
    });
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(block), area);
}

/// There is room for a blank line after each field.
fn spacious(inside: Rect) -> bool {
    inside.height > 2 * TransferField::ALL.len() as u16 + 4
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
        let input = match field {
            TransferField::From => None,
            TransferField::To => Some(&form.to),
            TransferField::Amount => Some(&form.amount),
            TransferField::Memo => Some(&form.memo),
        };
        match input {
            Some(input) => first.extend(typed(model, input, here, room)),
            None => first.push(Span::styled(fit(&value, room), theme.text)),
        }
    }
    let (text, style) = match form.check(field, &model.view, model.hides_balances()) {
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
