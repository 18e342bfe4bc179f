//! What lies over everything: which it is, and the box that they share; the confirmation and the payee's name.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use strife_client::Payment;
use tui_input::Input;

use super::{centred, demo, details, help, palette, panel, title, typed, wrapped};
use crate::format::{fit, left};
use crate::model::{Model, Overlay};

/// Columns of a value beside its label.
const VALUE_WIDTH: usize = 42;

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, body: Rect) {
    match &model.overlay {
        None => {}
        Some(Overlay::Help { from }) => help::draw(model, *from, frame, body),
        Some(Overlay::Confirm { payment, send, armed_at }) => {
            draw_confirm(model, payment, *send, *armed_at <= model.now, frame, body);
        }
        Some(Overlay::Receipt(id)) => {
            draw_box(model, "Order", details::order_lines(model, *id), details::WIDTH, frame, body);
        }
        Some(Overlay::Movement(movement)) => {
            draw_box(
                model,
                "Movement",
                details::movement_lines(model, movement),
                details::WIDTH,
                frame,
                body,
            );
        }
        Some(Overlay::Notice(notice)) => {
            draw_box(model, "Notice", details::notice_lines(model, notice), details::WIDTH, frame, body);
        }
        Some(Overlay::Palette { text, chosen }) => palette::draw(model, text, *chosen, frame, body),
        Some(Overlay::PayeeName { account, name }) => draw_payee_name(model, account, name, frame, body),
        Some(Overlay::Demo(chosen)) => demo::draw(model, *chosen, frame, body),
    }
}

pub(super) fn draw_box(
    model: &Model,
    name: &str,
    lines: Vec<Line<'_>>,
    width: u16,
    frame: &mut Frame<'_>,
    body: Rect,
) {
    let lines = fitting(lines, body);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = centred(frame, body, width, height);
    let room = usize::from(area.height.saturating_sub(2));
    let from = model.details_from.min(lines.len().saturating_sub(room));
    let below = lines.len().saturating_sub(from + room);
    let more = if below > 0 { format!(" ↓ {below} more ") } else { String::new() };
    let block = panel(model, title(model, name, true), true)
        .title_bottom(Line::from(Span::styled(more, model.theme.accent)).right_aligned());
    let inside = block.inner(area);
    frame.render_widget(block, area);
    frame.render_widget(Paragraph::new(lines.into_iter().skip(from).collect::<Vec<_>>()), inside);
}

/// On a low terminal the blank lines go before a word does.
fn fitting(mut lines: Vec<Line<'_>>, body: Rect) -> Vec<Line<'_>> {
    if lines.len() > usize::from(body.height.saturating_sub(2)) {
        lines.retain(|line| line.width() > 0);
    }
    lines
}

/// The last row that what is open can begin with.
pub(super) fn details_last(model: &Model, body: Rect) -> usize {
    let lines = match &model.overlay {
        Some(Overlay::Receipt(id)) => details::order_lines(model, *id),
        Some(Overlay::Movement(movement)) => details::movement_lines(model, movement),
        Some(Overlay::Notice(notice)) => details::notice_lines(model, notice),
        _ => Vec::new(),
    };
    fitting(lines, body).len().saturating_sub(usize::from(body.height.saturating_sub(2)))
}

/// A label and its value.
pub(super) fn row<'a>(model: &Model, name: &str, value: &str) -> Line<'a> {
    Line::from(vec![
        Span::styled(format!(" {}", left(name, 15)), model.theme.dim),
        Span::styled(fit(value, VALUE_WIDTH), model.theme.text),
    ])
}

/// A label and a text that may need several rows.
pub(super) fn rows<'a>(model: &Model, name: &str, text: &str) -> Vec<Line<'a>> {
    let label = |place| if place == 0 { name } else { "" };
    let cut = wrapped(text, VALUE_WIDTH);
    cut.iter().enumerate().map(|(place, line)| row(model, label(place), line)).collect()
}

/// A text, or a dash where there is none.
pub(super) fn or_dash(text: &str) -> &str {
    if text.is_empty() { "–" } else { text }
}

fn draw_confirm(
    model: &Model,
    payment: &Payment,
    send: bool,
    armed: bool,
    frame: &mut Frame<'_>,
    body: Rect,
) {
    let theme = &model.theme;
    let profile = model.view.profile.as_ref();
    let account =
        profile.and_then(|profile| profile.accounts.iter().find(|a| a.number == payment.from.to_string()));
    let money = payment.amount;
    let after = account.map(|account| account.available.saturating_sub(money.minor_units()));
    let after = match (after, model.hides_balances()) {
        (_, true) => "hidden".to_owned(),
        (Some(after), false) => format!("{} {}", money.currency().format(after), money.currency()),
        (None, false) => "not known".to_owned(),
    };
    let short =
        !model.hides_balances() && account.is_some_and(|account| account.available < money.minor_units());
    let goes = if model.goes_now() {
        "now".to_owned()
    } else if model.own_bank_is_away() {
        format!("into the queue; {} is away", profile.map_or("", |profile| &profile.bank))
    } else {
        "into the queue, and out when it can".to_owned()
    };
    let button = |text: &str, here: bool| {
        // a sign too, not a colour alone
        let (text, style) =
            if here { (format!("[ {text} ]"), theme.chosen) } else { (format!("  {text}  "), theme.text) };
        Span::styled(text, style)
    };
    let to = payment.to.to_string();
    let name = model.payees.iter().find(|payee| payee.account == to).map_or("", |payee| &payee.name);
    let verb = if payment.refund_of.is_some() { "Give back" } else { "Pay" };
    let mut above = vec![row(model, verb, &money.to_string())];
    above.extend(rows(model, "To", format!("{name} {to}").trim_start()));
    above.push(row(model, "From", &format!("{} {}", account.map_or("", |a| a.name.as_str()), payment.from)));
    let mut memo = rows(model, "Memo", or_dash(&payment.memo));
    let mut below = Vec::new();
    if let Some(of) = &payment.refund_of {
        below.extend(rows(model, "Refund of", &of.to_string()));
    }
    below.extend([row(model, "Balance after", &after), row(model, "It goes", &goes)]);
    if short {
        let text = " ! More than is available now: the bank would decline it.";
        below.push(Line::from(Span::styled(text, theme.warn)));
    }
    // until it can be chosen the button says so
    let send_button = match (send, armed) {
        (true, false) => Span::styled("[ Send … ]", theme.dim),
        _ => button("Send", send),
    };
    let buttons = Line::from(vec![button("Cancel", !send), Span::raw("    "), send_button]).centered();
    // where there is no room for all, it is the memo that is cut, and says so
    let room = usize::from(body.height.saturating_sub(2));
    let needed = above.len() + below.len() + 1;
    let memo_rows = room.saturating_sub(needed).max(1);
    if memo.len() > memo_rows {
        memo.truncate(memo_rows.saturating_sub(1));
        memo.push(row(model, if memo.is_empty() { "Memo" } else { "" }, "… (the whole stands in the form)"));
    }
    let mut lines = vec![Line::raw("")];
    lines.extend(above.into_iter().chain(memo).chain(below));
    lines.extend([Line::raw(""), buttons]);
    draw_box(model, "Is this right?", lines, 66, frame, body);
}

fn draw_payee_name(model: &Model, account: &str, name: &Input, frame: &mut Frame<'_>, body: Rect) {
    let lines =
        vec![
            Line::raw(""),
            row(model, "Payee", account),
            Line::from_iter(
                std::iter::once(Span::styled(format!(" {}", left("Name", 15)), model.theme.dim))
                    .chain(typed(model, name, true, VALUE_WIDTH)),
            ),
            Line::raw(""),
            Line::from(Span::styled(" Kept on this machine; the payee does not see it.", model.theme.dim)),
        ];
    draw_box(model, "What you call this payee", lines, 66, frame, body);
}
