//! All about one order or one movement, with the life of its transfer as the bank tells it.

use ratatui::text::{Line, Span};
use strife_client::view::{Notice, OrderView};
use strife_client::{Key, Life, Movement, TransferId};

use super::overlays::{or_dash, row, rows};
use super::queue;
use crate::format::{amount, full_moment, left, signed_amount};
use crate::model::{Model, Told};

/// Columns of the box.
pub(super) const WIDTH: u16 = 68;

/// All about one order.
pub(super) fn order_lines<'a>(model: &Model, id: TransferId) -> Vec<Line<'a>> {
    let Some(order) = model.order_by_id(id) else {
        return vec![Line::raw(" It is no longer in the queue.")];
    };
    let (sign, style) = queue::look(model, &order.state);
    let mut lines = vec![Line::from(vec![
        Span::styled(format!(" {}", left("State", 15)), model.theme.dim),
        Span::styled(format!("{sign} {}", order.state.word()), style),
    ])];
    lines.extend(rows(model, "", &queue::reason(model, order)));
    lines.push(row(model, "Amount", &order.amount.to_string()));
    lines.extend(rows(model, "To", &order.to.to_string()));
    lines.push(row(model, "From", &format!("{}@{}", order.from, order.bank)));
    lines.extend(rows(model, "Memo", or_dash(&order.memo)));
    if let Some(of) = &order.refund_of {
        lines.extend(rows(model, "Refund of", &of.to_string()));
    }
    lines.extend([
        row(model, "Made", &full_moment(order.made_at_ms, &model.zone)),
        row(model, "Sent", &times(order)),
        row(model, "Id", &order.id.to_string()),
    ]);
    lines.extend(life_lines(model, &Key { bank: order.bank.clone(), id }));
    if !order.state.is_ended() {
        let text = " It is safe to leave: the queue is on the disk.";
        lines.push(Line::from(Span::styled(text, model.theme.dim)));
    }
    lines
}

fn times(order: &OrderView) -> String {
    match (order.sent, order.attempts) {
        (false, _) => "not yet".into(),
        (true, 0 | 1) => "once".into(),
        (true, attempts) => format!("{attempts} times, the same bytes"),
    }
}

/// The whole text of one item of the inbox.
pub(super) fn notice_lines<'a>(model: &Model, notice: &Notice) -> Vec<Line<'a>> {
    let mut lines = vec![row(model, "When", &full_moment(notice.at_ms, &model.zone))];
    lines.extend(rows(model, "What", &notice.text));
    lines
}

/// All about one movement.
pub(super) fn movement_lines<'a>(model: &Model, movement: &Movement) -> Vec<Line<'a>> {
    let money = format!("{} {}", signed_amount(movement.minor_units, &movement.currency), movement.currency);
    let after = format!("{} {}", amount(movement.balance_after, &movement.currency), movement.currency);
    let mut lines = vec![
        row(model, "Amount", if model.hidden { "hidden" } else { &money }),
        row(model, "Balance after", if model.hidden { "hidden" } else { &after }),
    ];
    lines.extend(rows(model, "With", or_dash(&movement.counterpart)));
    lines.extend(rows(model, "Memo", or_dash(&movement.memo)));
    lines.push(row(model, "When", &full_moment(movement.at_ms, &model.zone)));
    lines.push(row(model, "Kind", &movement.kind));
    if let Some(of) = &movement.refund_of {
        lines.extend(rows(model, "Refund of", &of.to_string()));
    }
    lines.extend(rows(model, "Transfer", movement.transfer.as_deref().unwrap_or("–")));
    lines.push(row(model, "Journal", &format!("position {}", movement.position)));
    if let Some(key) = &movement.key {
        lines.extend(life_lines(model, key));
    }
    lines
}

/// The transfer's life, if it is this one's that was asked for.
fn life_lines<'a>(model: &Model, key: &Key) -> Vec<Line<'a>> {
    let Some((_, told)) = model.life.as_ref().filter(|(asked, _)| asked == key) else { return Vec::new() };
    let heading = Line::from(Span::styled(" Its life, by your bank's clock", model.theme.accent));
    match told {
        Told::Asking => vec![heading, Line::from(Span::styled("  asking the bank …", model.theme.dim))],
        Told::Not(why) => {
            let mut lines = vec![heading];
            lines.extend(rows(model, "", why));
            lines
        }
        Told::Life(life) => {
            let mut lines = vec![heading];
            lines.extend(steps(model, life));
            lines
        }
    }
}

fn steps<'a>(model: &Model, life: &Life) -> Vec<Line<'a>> {
    let theme = &model.theme;
    // what is done may have its time at the other bank alone
    let step = |done: bool, at: Option<i64>, name: &str, where_to: &str, otherwise: &str| {
        let (sign, style) = if done { ("●", theme.good) } else { ("○", theme.dim) };
        let when = at.map_or_else(|| otherwise.to_owned(), |at| full_moment(at, &model.zone));
        Line::from(vec![
            Span::styled(format!("  {sign} {}", left(name, 12)), style),
            Span::styled(left(where_to, 18), theme.dim),
            Span::styled(when, theme.text),
        ])
    };
    let interbank = life.from.bank != life.to.bank;
    let own = model.view.profile.as_ref().map(|profile| profile.bank.as_str()).unwrap_or_default();
    let elsewhere = |bank: &str| if bank == own { "not yet" } else { "known at that bank" };
    let (payer, payee) = (life.from.bank.to_string(), life.to.bank.to_string());
    let decided = life.outcome.is_some();
    let mut lines = vec![step(true, Some(life.made_at_ms), "submitted", "by the payer", "")];
    if interbank {
        // nothing is posted without a promise
        let promised = life.promised_at_ms.is_some() || life.outcome == Some("posted");
        lines.push(step(promised, life.promised_at_ms, "promised", &payee, elsewhere(&payee)));
    }
    match life.outcome {
        None | Some("posted") => {
            lines.push(step(decided, life.decided_at_ms, "posted", &payer, elsewhere(&payer)));
            let place = if life.to_suspense { format!("{payee}, suspense") } else { payee };
            let credited = life.credited_at_ms;
            lines.push(step(credited.is_some(), credited, "credited", &place, "not confirmed yet"));
        }
        Some(code) => {
            lines.push(step(true, life.decided_at_ms, "declined", &payer, elsewhere(&payer)));
            lines.extend(rows(
                model,
                "",
                &format!("{code}: {}", life.sentence.unwrap_or("see the payer's bank")),
            ));
        }
    }
    if let Some(refunded) = life.refunded.filter(|refunded| *refunded > 0) {
        let currency = life.amount.currency();
        let left = life.refundable.map(|left| format!("; {} can still be", currency.format(left)));
        let text = format!("{} {currency}{}", currency.format(refunded), left.unwrap_or_default());
        lines.push(row(model, "Given back", &text));
    }
    lines
}
