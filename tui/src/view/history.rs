//! All postings of an account: pages as one scrolls, with filter and order.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use strife_client::Movement;

use super::overview::HIDDEN;
use super::{first_shown, main_focused, panel, title, typed};
use crate::format::{amount, fit, left, moment, right, signed_amount};
use crate::model::Model;

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let history = &model.history;
    let focused = main_focused(model);
    let account = model.view.profile.as_ref().and_then(|profile| profile.accounts.get(model.account));
    let name = account.map_or_else(
        || "History".to_owned(),
        |account| format!("History of {}  {}", fit(&account.name, 30), account.number),
    );
    let rows = history.shown();
    let more = if history.cursor.is_some() { "+" } else { "" };
    let place = if rows.is_empty() { 0 } else { history.chosen + 1 };
    let count = if rows.len() == history.rows.len() {
        format!(" {}, {place} of {}{more} ", history.sort.word(), rows.len())
    } else {
        format!(" {}, {place} of {} found in {}{more} ", history.sort.word(), rows.len(), history.rows.len())
    };
    let mut block = panel(model, title(model, &name, focused), focused)
        .title(Line::from(Span::styled(count, model.theme.dim)).right_aligned());
    if history.filtering || !history.filter.value().is_empty() {
        let mut spans = vec![Span::styled(" / ", model.theme.accent)];
        spans.extend(typed(model, &history.filter, history.filtering, 40));
        spans.push(Span::raw(" "));
        block = block.title_bottom(Line::from(spans));
    }
    let inside = block.inner(area);
    frame.render_widget(block, area);
    frame.render_widget(Paragraph::new(lines(model, &rows, inside, Some(history.chosen))), inside);
}

/// The row of the list in a row of the terminal.
pub(super) fn row_at(model: &Model, area: Rect, row: u16) -> Option<usize> {
    let fitting = area.height.saturating_sub(3);
    let place = row.checked_sub(area.y + 2)?;
    (place < fitting).then(|| first_shown(model.history.chosen, usize::from(fitting)) + usize::from(place))
}

struct Columns {
    when: usize,
    who: usize,
    memo: usize,
    money: usize,
    balance: usize,
}

/// A head and as many movements as fit, the chosen one among them.
pub(super) fn lines<'a>(
    model: &Model,
    rows: &[&Movement],
    area: Rect,
    chosen: Option<usize>,
) -> Vec<Line<'a>> {
    let theme = &model.theme;
    let width = area.width as usize;
    let (when, money) = (14, 15);
    let balance = if width >= 74 { 15 } else { 0 };
    let rest = width.saturating_sub(2 + when + money + balance);
    let who = (rest * 3 / 5).min(34);
    let columns = Columns { when, who, memo: rest.saturating_sub(who), money, balance };
    let head = format!(
        "  {}{}{}{}{}",
        left("When", columns.when),
        left("With", columns.who),
        left("Memo", columns.memo),
        right("Amount", columns.money),
        if balance > 0 { right("Balance", balance) } else { String::new() }
    );
    let mut lines = vec![Line::from(Span::styled(fit(&head, width), theme.dim))];
    let fitting = (area.height as usize).saturating_sub(1);
    let first = chosen.map_or(0, |chosen| first_shown(chosen, fitting));
    for (place, movement) in rows.iter().enumerate().skip(first).take(fitting) {
        lines.push(line(model, movement, chosen == Some(place), &columns));
    }
    if rows.is_empty() {
        let text = match (&model.history.error, model.history.loading, model.view.live) {
            (Some(error), _, _) => format!("  {error}"),
            (None, true, _) => "  loading …".into(),
            (None, false, _) if !model.history.rows.is_empty() => "  nothing has these letters".into(),
            (None, false, true) => "  nothing has moved here yet".into(),
            (None, false, false) => "  shown when the connection is back".into(),
        };
        lines.push(Line::from(Span::styled(fit(&text, width), theme.dim)));
    }
    lines
}

fn line<'a>(model: &Model, movement: &Movement, chosen: bool, columns: &Columns) -> Line<'a> {
    let theme = &model.theme;
    let hide = |text: String| if model.hidden { HIDDEN.to_owned() } else { text };
    let with = if movement.counterpart.is_empty() { &movement.kind } else { &movement.counterpart };
    let name = model.payees.iter().find(|payee| payee.account == *with && !payee.name.is_empty());
    let with = match (name, &movement.refund_of) {
        (_, Some(_)) => format!("↺ {with}"),
        (Some(payee), None) => format!("{} {with}", payee.name),
        (None, None) => with.clone(),
    };
    let start = format!(
        "{} {}{}{}",
        if chosen { "▸" } else { " " },
        left(&moment(movement.at_ms, &model.zone), columns.when),
        left(&with, columns.who),
        left(&movement.memo, columns.memo),
    );
    let sum = right(&hide(signed_amount(movement.minor_units, &movement.currency)), columns.money);
    let after = match columns.balance {
        0 => String::new(),
        width => right(&hide(amount(movement.balance_after, &movement.currency)), width),
    };
    if chosen {
        return Line::from(Span::styled(format!("{start}{sum}{after}"), theme.chosen));
    }
    let style = if movement.minor_units > 0 { theme.good } else { theme.text };
    Line::from(vec![
        Span::styled(start, theme.text),
        Span::styled(sum, style),
        Span::styled(after, theme.dim),
    ])
}
