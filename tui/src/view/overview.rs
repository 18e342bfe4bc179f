//! Accounts with their balances, the balance over time, the last movements.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use strife_client::view::AccountView;
use unicode_width::UnicodeWidthStr;

use super::{chart, history, main_focused, panel, title};
use crate::format::{amount, fit, left, moment, right, signed_amount};
use crate::model::Model;

/// What stands where a balance is hidden.
pub(super) const HIDDEN: &str = "••••••";
/// Accounts that are shown at a time.
const ACCOUNTS_MAX: u16 = 8;
/// Columns of an account's name and the blank behind it, before an amount gives way.
const NAME_WIDTH_MIN: usize = 14;
/// From this height on there is room for the chart.
const CHART_HEIGHT_MIN: u16 = 26;
const CHART_HEIGHT: u16 = 10;

fn accounts(model: &Model) -> &[AccountView] {
    model.view.profile.as_ref().map(|profile| profile.accounts.as_slice()).unwrap_or_default()
}

fn parts(model: &Model, area: Rect) -> [Rect; 3] {
    let rows = u16::try_from(accounts(model).len()).unwrap_or(u16::MAX).clamp(1, ACCOUNTS_MAX) + 3;
    let chart = if area.height >= CHART_HEIGHT_MIN { CHART_HEIGHT } else { 0 };
    Layout::vertical([Constraint::Length(rows), Constraint::Length(chart), Constraint::Fill(1)]).areas(area)
}

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let [above, middle, below] = parts(model, area);
    draw_accounts(model, frame, above);
    if middle.height > 0 {
        chart::draw(model, frame, middle);
    }
    let name = accounts(model)
        .get(model.account)
        .map(|account| format!("Last movements on {}", fit(&account.name, 30)))
        .unwrap_or_else(|| "Last movements".into());
    let block = panel(model, title(model, &name, false), false);
    let inside = block.inner(below);
    frame.render_widget(block, below);
    let rows: Vec<_> = model.history.rows.iter().collect();
    frame.render_widget(Paragraph::new(history::lines(model, &rows, inside, None)), inside);
}

/// The account in a row of the terminal.
pub(super) fn account_at(model: &Model, area: Rect, row: u16) -> Option<usize> {
    let [above, ..] = parts(model, area);
    let place = row.checked_sub(above.y + 2)?;
    let rows = above.height.saturating_sub(3);
    (place < rows).then(|| first(model, rows) + usize::from(place))
}

fn first(model: &Model, rows: u16) -> usize {
    super::first_shown(model.account, usize::from(rows.max(1)))
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

/// Widths of the columns, and which amounts there is room for. An amount is never cut; the name takes what is left.
struct Columns {
    name: usize,
    number: usize,
    money: usize,
    held: bool,
    posted: bool,
}

impl Columns {
    fn of(model: &Model, width: usize) -> Self {
        let accounts = accounts(model);
        let all = accounts.iter().flat_map(|account| {
            [account.available, account.held, account.posted, account.incoming]
                .map(|minor_units| amount(minor_units, &account.currency).width())
        });
        let (number, money) = (14, all.max().unwrap_or(0).clamp(11, 30) + 2);
        let rest = width.saturating_sub(2 + number + 4);
        let name_with = |amounts: usize| rest.saturating_sub(amounts * money);
        // what is held is told where something is, what is posted where there is room
        let is_held = accounts.iter().any(|account| account.held != 0);
        let (held, posted) = match (name_with(4) >= NAME_WIDTH_MIN, name_with(3) >= NAME_WIDTH_MIN) {
            (true, _) => (true, true),
            (false, true) => (is_held, !is_held),
            (false, false) => (false, false),
        };
        let amounts = 2 + usize::from(posted) + usize::from(held);
        Self { name: name_with(amounts).max(8), number, money, held, posted }
    }

    fn row(&self, [account, number, available, held, posted, incoming]: [&str; 6]) -> String {
        let start = left(account, self.name.saturating_sub(1))
            + " "
            + &left(number, self.number)
            + &right(available, self.money);
        let held = if self.held { right(held, self.money) } else { String::new() };
        let posted = if self.posted { right(posted, self.money) } else { String::new() };
        start + &held + &posted + &right(incoming, self.money)
    }
}

fn draw_accounts(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = &model.theme;
    let focused = main_focused(model);
    let block = panel(model, title(model, "Accounts", focused), focused)
        .title(Line::from(freshness(model)).right_aligned());
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let width = inside.width as usize;
    let columns = Columns::of(model, width);
    let head = columns.row(["Account", "Number", "Available", "Held", "Posted", "Incoming"]);
    let mut lines = vec![Line::from(Span::styled(fit(&format!("  {head}"), width), theme.dim))];
    let rows = inside.height.saturating_sub(1);
    for (place, account) in
        accounts(model).iter().enumerate().skip(first(model, rows)).take(usize::from(rows))
    {
        lines.push(account_line(model, account, place == model.account, &columns, width));
    }
    if accounts(model).is_empty() {
        lines.push(Line::from(Span::styled("  no accounts are known yet", theme.dim)));
    }
    frame.render_widget(Paragraph::new(lines), inside);
}

fn account_line<'a>(
    model: &Model,
    account: &AccountView,
    here: bool,
    columns: &Columns,
    width: usize,
) -> Line<'a> {
    let theme = &model.theme;
    let show = |minor_units| {
        if model.hides_balances() { HIDDEN.to_owned() } else { amount(minor_units, &account.currency) }
    };
    let or_dash = |minor_units| if minor_units == 0 { "–".to_owned() } else { show(minor_units) };
    let flash = model.flashes.get(&account.number);
    let name = match flash {
        Some(flash) if !model.hides_balances() => {
            format!("{} {}", signed_amount(flash.minor_units, &account.currency), account.name)
        }
        _ if !account.open => format!("{} (not open)", account.name),
        _ => account.name.clone(),
    };
    let cells = columns.row([
        &name,
        &account.number,
        &show(account.available),
        &or_dash(account.held),
        &show(account.posted),
        &or_dash(account.incoming),
    ]);
    let row = format!("{} {cells} {}", if here { "▸" } else { " " }, account.currency);
    let style = match (flash, here && main_focused(model), account.open) {
        (Some(flash), ..) if flash.minor_units > 0 => super::reversed(theme.good),
        (Some(_), ..) => super::reversed(theme.warn),
        (None, true, _) => theme.chosen,
        (None, false, true) => theme.text,
        (None, false, false) => theme.dim,
    };
    Line::from(Span::styled(left(&row, width), style))
}
