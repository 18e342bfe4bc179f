//! What lies over everything: which it is, and the box that they share; the confirmation and the payee's name.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};
use strife_client::Payment;
use tui_input::Input;
use unicode_width::UnicodeWidthStr;

use super::{centred, demo, details, help, palette, panel, title};
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
        Some(Overlay::Receipt(id)) => details::draw_order(model, *id, frame, body),
        Some(Overlay::Movement(place)) => details::draw_movement(model, *place, frame, body),
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
    let mut lines = lines;
    // on a low terminal the blank lines go before a word does
    let room = usize::from(body.height.saturating_sub(2));
    if lines.len() > room {
        lines.retain(|line| line.width() > 0);
    }
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = centred(frame, body, width, height);
    let block = panel(model, title(model, name, true), true);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), inside);
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
    let mut cut: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let last = cut.last().map_or(0, |line| line.width());
        if last > 0 && last + 1 + word.width() > VALUE_WIDTH {
            cut.push(String::new());
        }
        if let Some(line) = cut.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    let label = |place| if place == 0 { name } else { "" };
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
    let mut lines = vec![Line::raw(""), row(model, verb, &money.to_string())];
    lines.extend(rows(model, "To", format!("{name} {to}").trim_start()));
    lines.push(row(model, "From", &format!("{} {}", account.map_or("", |a| a.name.as_str()), payment.from)));
    lines.extend(rows(model, "Memo", or_dash(&payment.memo)));
    if let Some(of) = &payment.refund_of {
        lines.extend(rows(model, "Refund of", &of.to_string()));
    }
    lines.extend([row(model, "Balance after", &after), row(model, "It goes", &goes), Line::raw("")]);
    if short {
        let text = " ! More than is available now: the bank would decline it.";
        lines.push(Line::from(Span::styled(text, theme.warn)));
        lines.push(Line::raw(""));
    }
    // until it can be chosen the button says so
    let send_button = match (send, armed) {
        (true, false) => Span::styled("[ Send … ]", theme.dim),
        _ => button("Send", send),
    };
    lines.push(Line::from(vec![button("Cancel", !send), Span::raw("    "), send_button]).centered());
    draw_box(model, "Is this right?", lines, 66, frame, body);
}

fn draw_payee_name(model: &Model, account: &str, name: &Input, frame: &mut Frame<'_>, body: Rect) {
    let lines = vec![
        Line::raw(""),
        row(model, "Payee", account),
        Line::from(vec![
            Span::styled(format!(" {}", left("Name", 15)), model.theme.dim),
            Span::styled(fit(name.value(), VALUE_WIDTH - 1), model.theme.text),
            Span::styled("▏", model.theme.accent),
        ]),
        Line::raw(""),
        Line::from(Span::styled(" Kept on this machine; the payee does not see it.", model.theme.dim)),
    ];
    draw_box(model, "What you call this payee", lines, 66, frame, body);
}
