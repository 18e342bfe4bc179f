//! What lies over everything: help, confirmation, receipt, details, the demo's processes.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};
use strife_client::Payment;
use strife_client::view::OrderView;

use super::{centred, panel, queue, title};
use unicode_width::UnicodeWidthStr;

use crate::commands::{DEMO, PLACES};
use crate::format::{amount, fit, full_moment, left, signed_amount};
use crate::model::{Focus, Model, Overlay, Screen};

/// Columns of a value beside its label.
const VALUE_WIDTH: usize = 44;

/// Narrowest column of the help; what does not fit is left out, the place one is in last.
const HELP_COLUMN_WIDTH_MIN: usize = 36;

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, body: Rect) {
    match &model.overlay {
        None => {}
        Some(Overlay::Help) => draw_help(model, frame, body),
        Some(Overlay::Confirm { payment, send }) => draw_confirm(model, payment, *send, frame, body),
        Some(Overlay::Receipt(id)) => draw_receipt(model, *id, frame, body),
        Some(Overlay::Movement(place)) => draw_movement(model, *place, frame, body),
        Some(Overlay::Demo(chosen)) => draw_demo(model, *chosen, frame, body),
    }
}

fn draw_box(model: &Model, name: &str, lines: Vec<Line<'_>>, width: u16, frame: &mut Frame<'_>, body: Rect) {
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = centred(frame, body, width, height);
    let block = panel(model, title(model, name, true), true);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), inside);
}

/// A label and its value.
fn row<'a>(model: &Model, name: &str, value: String) -> Line<'a> {
    Line::from(vec![
        Span::styled(format!(" {}", left(name, 15)), model.theme.dim),
        Span::styled(value, model.theme.text),
    ])
}

/// A label and a text that may need several rows.
fn rows<'a>(model: &Model, name: &str, text: &str) -> Vec<Line<'a>> {
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
    cut.iter().enumerate().map(|(place, line)| row(model, label(place), fit(line, VALUE_WIDTH))).collect()
}

fn draw_help(model: &Model, frame: &mut Frame<'_>, body: Rect) {
    let area = centred(frame, body, body.width.saturating_sub(4), body.height);
    let block = panel(model, title(model, "All keys", true), true);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    // the keys of where one is come first; the others follow as far as there is room
    let here = place_of(model);
    let ordered = PLACES
        .iter()
        .filter(|(place, _)| *place == here)
        .chain(PLACES.iter().filter(|(place, _)| *place != here));
    let mut cells: Vec<(String, &str, bool)> = Vec::new();
    for (place, commands) in ordered {
        cells.push(((*place).to_owned(), "", true));
        cells.extend(commands.iter().map(|command| (command.shown.to_owned(), command.help, false)));
        if *place == here && model.demo.is_some() {
            cells.push((DEMO.shown.to_owned(), DEMO.help, false));
        }
    }
    let height = inside.height.max(1) as usize;
    let columns = (inside.width as usize / HELP_COLUMN_WIDTH_MIN).clamp(1, cells.len().div_ceil(height));
    let width = (inside.width as usize / columns).max(1);
    let line = |at: usize| {
        let spans = (0..columns).filter_map(|column| cells.get(column * height + at)).flat_map(|cell| {
            let (key, help, heading) = cell;
            if *heading {
                return vec![Span::styled(left(key, width), model.theme.accent)];
            }
            let key_width = 10.min(width);
            let rest = width.saturating_sub(key_width + 1);
            vec![
                Span::styled(left(key, key_width), model.theme.key),
                Span::styled(format!("{} ", left(help, rest)), model.theme.text),
            ]
        });
        Line::from(spans.collect::<Vec<_>>())
    };
    frame.render_widget(Paragraph::new((0..height).map(line).collect::<Vec<_>>()), inside);
}

/// The place whose keys work under the help.
fn place_of(model: &Model) -> &'static str {
    match (model.focus, model.screen) {
        (Focus::Queue, _) => "Queue",
        (_, Screen::Login) => "Signing in",
        (_, Screen::Home) => "Accounts",
        (_, Screen::Transfer) => "Transfer",
        (_, Screen::History) => "History",
    }
}

fn draw_confirm(model: &Model, payment: &Payment, send: bool, frame: &mut Frame<'_>, body: Rect) {
    let theme = &model.theme;
    let account = model.transfer.account(&model.view);
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
        format!("into the queue; {} is away", model.view.profile.as_ref().map_or("", |p| &p.bank))
    } else {
        "into the queue, and out when it can".to_owned()
    };
    let button = |text: &str, here: bool| {
        Span::styled(format!("  {text}  "), if here { theme.chosen } else { theme.text })
    };
    let mut lines = vec![
        Line::raw(""),
        row(model, "Pay", money.to_string()),
        row(model, "To", payment.to.to_string()),
        row(model, "From", format!("{} {}", account.map_or("", |a| a.name.as_str()), payment.from)),
    ];
    lines.extend(rows(model, "Memo", if payment.memo.is_empty() { "–" } else { &payment.memo }));
    lines.extend([row(model, "Balance after", after), row(model, "It goes", goes), Line::raw("")]);
    if short {
        let text = " ! More than is available now: the bank would decline it.";
        lines.push(Line::from(Span::styled(text, theme.warn)));
        lines.push(Line::raw(""));
    }
    lines.push(Line::from(vec![button("Cancel", !send), Span::raw("    "), button("Send", send)]).centered());
    draw_box(model, "Is this right?", lines, 62, frame, body);
}

fn draw_receipt(model: &Model, id: strife_client::TransferId, frame: &mut Frame<'_>, body: Rect) {
    let Some(order) = model.order_by_id(id) else {
        draw_box(model, "Order", vec![Line::raw(" It is no longer in the queue.")], 62, frame, body);
        return;
    };
    let (sign, style) = queue::look(model, &order.state);
    let mut lines = vec![
        Line::raw(""),
        Line::from(vec![
            Span::styled(format!(" {}", left("State", 15)), model.theme.dim),
            Span::styled(format!("{sign} {}", order.state.word()), style),
        ]),
    ];
    lines.extend(rows(model, "", &queue::reason(model, order)));
    lines.extend([
        Line::raw(""),
        row(model, "Amount", order.amount.to_string()),
        row(model, "To", order.to.to_string()),
        row(model, "From", format!("{}@{}", order.from, order.bank)),
    ]);
    lines.extend(rows(model, "Memo", if order.memo.is_empty() { "–" } else { &order.memo }));
    lines.extend([
        row(model, "Made", full_moment(order.made_at_ms, &model.zone)),
        row(model, "Sent", times(order)),
        row(model, "Id", order.id.to_string()),
        Line::raw(""),
    ]);
    if !order.state.is_ended() {
        let text = " It is safe to leave: the queue is on the disk.";
        lines.push(Line::from(Span::styled(text, model.theme.dim)));
    }
    draw_box(model, "Order", lines, 64, frame, body);
}

fn times(order: &OrderView) -> String {
    match (order.sent, order.attempts) {
        (false, _) => "not yet".into(),
        (true, 0 | 1) => "once".into(),
        (true, attempts) => format!("{attempts} times, the same bytes"),
    }
}

fn draw_movement(model: &Model, place: usize, frame: &mut Frame<'_>, body: Rect) {
    let Some(movement) = model.history.rows.get(place) else { return };
    let money = format!("{} {}", signed_amount(movement.minor_units, &movement.currency), movement.currency);
    let after = format!("{} {}", amount(movement.balance_after, &movement.currency), movement.currency);
    let lines = vec![
        Line::raw(""),
        row(model, "Amount", money),
        row(model, "Balance after", if model.hidden { "hidden".into() } else { after }),
        row(
            model,
            "With",
            if movement.counterpart.is_empty() { "–".into() } else { movement.counterpart.clone() },
        ),
        row(model, "Memo", if movement.memo.is_empty() { "–".into() } else { movement.memo.clone() }),
        row(model, "When", full_moment(movement.at_ms, &model.zone)),
        row(model, "Kind", movement.kind.clone()),
        row(model, "Transfer", movement.transfer.clone().unwrap_or_else(|| "–".into())),
        row(model, "Journal", format!("position {}", movement.position)),
    ];
    draw_box(model, "Movement", lines, 66, frame, body);
}

fn draw_demo(model: &Model, chosen: usize, frame: &mut Frame<'_>, body: Rect) {
    let theme = &model.theme;
    let processes = model.demo.as_ref().map(|demo| demo.processes.as_slice()).unwrap_or_default();
    let mut lines = vec![
        Line::from(Span::styled(" Kill a process (-9), pay, start it again,", theme.dim)),
        Line::from(Span::styled(" and watch the queue.", theme.dim)),
        Line::raw(""),
    ];
    for (place, (name, state)) in processes.iter().enumerate() {
        let here = place == chosen;
        let running = state.is_up();
        let state = format!("{} {}", if running { "●" } else { "○" }, state.words());
        let what = if running { "Enter kills it" } else { "Enter starts it" };
        let text = format!(
            "{} {}{}{}",
            if here { "▸" } else { " " },
            left(name, 12),
            left(&state, 14),
            if here { what } else { "" }
        );
        let style = match (here, running) {
            (true, _) => theme.chosen,
            (false, true) => theme.good,
            (false, false) => theme.bad,
        };
        lines.push(Line::from(Span::styled(left(&text, 46), style)));
    }
    draw_box(model, "Demo", lines, 50, frame, body);
}
