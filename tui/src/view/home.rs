//! Accounts with their balances, and movements.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use strife_client::Movement;
use strife_client::view::AccountView;

use super::{main_focused, panel, title};
use crate::format::{amount, fit, left, moment, right, signed_amount};
use crate::model::Model;

/// What stands where a balance is hidden.
const HIDDEN: &str = "••••••";

pub(super) fn draw_home(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let accounts = model.view.profile.as_ref().map(|profile| profile.accounts.as_slice()).unwrap_or_default();
    let rows = u16::try_from(accounts.len()).unwrap_or(u16::MAX).clamp(1, 8) + 3;
    let [above, below] = Layout::vertical([Constraint::Length(rows), Constraint::Fill(1)]).areas(area);
    draw_accounts(model, accounts, frame, above);
    draw_last(model, frame, below);
}

/// "live", or as of when the balances are.
fn freshness(model: &Model) -> Span<'static> {
    let as_of = model.view.profile.as_ref().map_or(0, |profile| profile.as_of_ms);
    match (model.view.live, as_of) {
        (false, 0) if !model.view.signed_in => Span::styled(" not kept after signing out ", model.theme.dim),
        (true, _) => Span::styled(" ● live ", model.theme.good),
        (false, 0) => Span::styled(" loading … ", model.theme.dim),
        (false, ms) => Span::styled(format!(" as of {} ", moment(ms, &model.zone)), model.theme.warn),
    }
}

fn draw_accounts(model: &Model, accounts: &[AccountView], frame: &mut Frame<'_>, area: Rect) {
    let theme = &model.theme;
    let focused = main_focused(model);
    let block = panel(model, title(model, "Accounts", focused), focused)
        .title(Line::from(freshness(model)).right_aligned());
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let width = inside.width as usize;
    // what is posted gives way on a narrow terminal; the name takes what is left
    let wide = width >= 84;
    let (number, money) = (14, 15);
    let amounts = if wide { 3 } else { 2 };
    let name = width.saturating_sub(2 + number + amounts * money + 4).max(8);
    let columns = |cells: [&str; 5]| {
        let [account, its_number, available, posted, incoming] = cells;
        let posted = if wide { right(posted, money) } else { String::new() };
        let start = left(account, name) + &left(its_number, number) + &right(available, money);
        start + &posted + &right(incoming, money)
    };
    let head = columns(["Account", "Number", "Available", "Posted", "Incoming"]);
    let mut lines = vec![Line::from(Span::styled(fit(&format!("  {head}"), width), theme.dim))];
    for (place, account) in accounts.iter().enumerate() {
        let show = |minor_units| {
            if model.hides_balances() { HIDDEN.to_owned() } else { amount(minor_units, &account.currency) }
        };
        let here = place == model.account;
        let incoming = if account.incoming == 0 { "–".to_owned() } else { show(account.incoming) };
        let (available, posted) = (show(account.available), show(account.posted));
        let row = columns([&account.name, &account.number, &available, &posted, &incoming]);
        let row = format!("{} {row} {}", if here { "▸" } else { " " }, account.currency);
        let style = match (here && focused, account.open) {
            (true, _) => theme.chosen,
            (false, true) => theme.text,
            (false, false) => theme.dim,
        };
        lines.push(Line::from(Span::styled(left(&row, width), style)));
    }
    if accounts.is_empty() {
        lines.push(Line::from(Span::styled("  no accounts are known yet", theme.dim)));
    }
    frame.render_widget(Paragraph::new(lines), inside);
}

fn draw_last(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let name = model
        .view
        .profile
        .as_ref()
        .and_then(|profile| profile.accounts.get(model.account))
        .map(|account| format!("Last movements on {}", account.name))
        .unwrap_or_else(|| "Last movements".into());
    let block = panel(model, title(model, &name, false), false);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let lines = movement_lines(model, inside, None);
    frame.render_widget(Paragraph::new(lines), inside);
}

pub(super) fn draw_history(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let focused = main_focused(model);
    let account = model.view.profile.as_ref().and_then(|profile| profile.accounts.get(model.account));
    let name = account.map_or_else(
        || "History".to_owned(),
        |account| format!("History of {}  {}", account.name, account.number),
    );
    let count = model.history.rows.len();
    let more = if model.history.cursor.is_some() { "+" } else { "" };
    let place = if count == 0 { 0 } else { model.history.chosen + 1 };
    let block = panel(model, title(model, &name, focused), focused).title(
        Line::from(Span::styled(format!(" {place} of {count}{more} "), model.theme.dim)).right_aligned(),
    );
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let lines = movement_lines(model, inside, Some(model.history.chosen));
    frame.render_widget(Paragraph::new(lines), inside);
}

/// A head and as many movements as fit, the chosen one among them.
fn movement_lines<'a>(model: &Model, area: Rect, chosen: Option<usize>) -> Vec<Line<'a>> {
    let theme = &model.theme;
    let width = area.width as usize;
    let (when, money) = (14, 15);
    let balance = if width >= 74 { 15 } else { 0 };
    let rest = width.saturating_sub(2 + when + money + balance);
    let who = (rest * 3 / 5).min(34);
    let memo = rest.saturating_sub(who);
    let head = format!(
        "  {}{}{}{}{}",
        left("When", when),
        left("With", who),
        left("Memo", memo),
        right("Amount", money),
        if balance > 0 { right("Balance", balance) } else { String::new() }
    );
    let mut lines = vec![Line::from(Span::styled(fit(&head, width), theme.dim))];
    let fitting = (area.height as usize).saturating_sub(1);
    let first = chosen.map_or(0, |chosen| chosen.saturating_sub(fitting.saturating_sub(1)));
    for (place, movement) in model.history.rows.iter().enumerate().skip(first).take(fitting) {
        lines.push(movement_line(model, movement, chosen == Some(place), (when, who, memo, money, balance)));
    }
    if model.history.rows.is_empty() {
        let text = match (&model.history.error, model.history.loading, model.view.live) {
            (Some(error), _, _) => format!("  {error}"),
            (None, true, _) => "  loading …".into(),
            (None, false, true) => "  nothing has moved here yet".into(),
            (None, false, false) => "  shown when the connection is back".into(),
        };
        lines.push(Line::from(Span::styled(fit(&text, width), theme.dim)));
    }
    lines
}

fn movement_line<'a>(
    model: &Model,
    movement: &Movement,
    chosen: bool,
    (when, who, memo, money, balance): (usize, usize, usize, usize, usize),
) -> Line<'a> {
    let theme = &model.theme;
    let hide = |text: String| if model.hidden { HIDDEN.to_owned() } else { text };
    let with =
        if movement.counterpart.is_empty() { movement.kind.clone() } else { movement.counterpart.clone() };
    let start = format!(
        "{} {}{}{}",
        if chosen { "▸" } else { " " },
        left(&moment(movement.at_ms, &model.zone), when),
        left(&with, who),
        left(&movement.memo, memo),
    );
    let sum = right(&hide(signed_amount(movement.minor_units, &movement.currency)), money);
    let after = if balance > 0 {
        right(&hide(amount(movement.balance_after, &movement.currency)), balance)
    } else {
        String::new()
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
