//! The history: pages as one scrolls, filter, order, details, refund, export.

use strife_client::view::NoticeKind;
use strife_client::{Currency, Movement};
use tui_input::Input;

use super::{Effect, PAGE_ROWS, Page, moved, overlay, show, step};
use crate::commands::Action;
use crate::forms::{Refund, TransferField, TransferForm};
use crate::model::{History, Model, Screen, Told};

/// Loads the newest page of the chosen account.
pub(super) fn reload(model: &mut Model) -> Vec<Effect> {
    let Some(account) = model.account_number() else { return Vec::new() };
    if model.history.account != account {
        model.history = History { account: account.clone(), sort: model.history.sort, ..History::default() };
    }
    if !model.view.signed_in {
        return Vec::new();
    }
    model.history.loading = true;
    vec![Effect::LoadHistory { account, cursor: None }]
}

pub(super) fn take_page(model: &mut Model, account: &str, first: bool, result: Page) -> Vec<Effect> {
    let history = &mut model.history;
    if history.account != account {
        return Vec::new();
    }
    history.loading = false;
    match result {
        Ok((rows, cursor)) => {
            history.error = None;
            if first {
                join(history, rows, cursor);
            } else {
                history.rows.extend(rows);
                history.cursor = cursor;
            }
            history.chosen = history.chosen.min(history.shown().len().saturating_sub(1));
        }
        Err(why) => history.error = Some(why),
    }
    // a filter that finds little goes on looking
    if model.screen == Screen::History
        && model.history.error.is_none()
        && !model.history.filter.value().is_empty()
    {
        return load_more(model);
    }
    Vec::new()
}

/// Puts a newest page before what is loaded already: who has scrolled far stays there.
fn join(history: &mut History, page: Vec<Movement>, cursor: Option<Vec<u8>>) {
    let place_of = |movement: &Movement| (movement.position, movement.minor_units);
    let oldest_new = page.last().map(place_of);
    let known = history.rows.iter().position(|row| Some(place_of(row)) == oldest_new);
    match known {
        Some(place) => {
            let before = history.rows.len();
            let mut rows = page;
            rows.extend(history.rows.drain(..).skip(place + 1));
            if history.chosen > 0
                && history.sort == crate::model::Sort::Newest
                && history.filter.value().is_empty()
            {
                history.chosen += rows.len().saturating_sub(before);
            }
            history.rows = rows;
        }
        None => {
            history.rows = page;
            history.cursor = cursor;
        }
    }
}

pub(super) fn load_more(model: &mut Model) -> Vec<Effect> {
    if !model.history.wants_more(PAGE_ROWS) || !model.view.signed_in {
        return Vec::new();
    }
    let effect =
        Effect::LoadHistory { account: model.history.account.clone(), cursor: model.history.cursor.clone() };
    model.history.loading = true;
    vec![effect]
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let count = model.history.shown().len();
    if let Some(place) = moved(model.history.chosen, count, action) {
        model.history.chosen = place;
        return load_more(model);
    }
    match action {
        Action::Back if model.history.filtering => {
            model.history.filtering = false;
            model.history.filter = Input::default();
        }
        Action::Submit if model.history.filtering => {
            model.history.filtering = false;
            model.history.chosen = 0;
            return load_more(model);
        }
        Action::Filter => model.history.filtering = true,
        Action::Back if !model.history.filter.value().is_empty() => model.history.filter = Input::default(),
        Action::Back => model.screen = Screen::Overview,
        Action::Sort => {
            model.history.sort = model.history.sort.next();
            model.history.chosen = 0;
        }
        Action::Submit if count > 0 => return overlay::open_movement(model, model.history.chosen),
        Action::Refund => return refund(model, model.history.chosen),
        Action::CopyId => return copy(model, model.history.chosen),
        Action::Export if model.view.signed_in => {
            model.toast(NoticeKind::Info, "Writing all postings …");
            return vec![Effect::Export { account: model.history.account.clone() }];
        }
        Action::Export => model.toast(NoticeKind::Info, "Please sign in first: the bank has the postings."),
        Action::Left | Action::Right => {
            model.account = step(model.account, model.account_count(), action == Action::Right);
            return reload(model);
        }
        _ => {}
    }
    Vec::new()
}

/// Copies the id of the movement in a place.
pub(super) fn copy(model: &mut Model, place: usize) -> Vec<Effect> {
    match model.history.shown().get(place).and_then(|movement| movement.transfer.clone()) {
        Some(text) => vec![Effect::Copy(text)],
        None => {
            model.toast(NoticeKind::Info, "This is not a transfer; it has no id.");
            Vec::new()
        }
    }
}

/// Fills the transfer form with a refund of the movement in a place.
pub(super) fn refund(model: &mut Model, place: usize) -> Vec<Effect> {
    let Some(movement) = model.history.shown().get(place).map(|movement| (*movement).clone()) else {
        return Vec::new();
    };
    let (Some(key), true, None) = (movement.key.clone(), movement.minor_units > 0, &movement.refund_of)
    else {
        model.toast(NoticeKind::Info, "Only money that came in by a payment can be given back.");
        return Vec::new();
    };
    let Ok(currency) = Currency::new(&movement.currency) else { return Vec::new() };
    // the bank may have said how much is left; otherwise it is asked, and judges in any case
    let (payer, at_most) = match &model.life {
        Some((asked, Told::Life(life))) if *asked == key => (life.from.to_string(), life.refundable),
        _ => (movement.counterpart.clone(), None),
    };
    if at_most == Some(0) {
        model.toast(NoticeKind::Info, "All of it was given back already.");
        return Vec::new();
    }
    model.overlay = None;
    show(model, Screen::Transfer);
    model.transfer = TransferForm {
        from: model.account,
        to: Input::new(payer),
        amount: Input::new(currency.format(at_most.unwrap_or(movement.minor_units))),
        memo: Input::new(refund_memo(&movement.memo)),
        field: TransferField::Amount,
        refund: Some(Refund { of: key.clone(), at_most: at_most.or(Some(movement.minor_units)) }),
        ..TransferForm::default()
    };
    if model.view.signed_in && at_most.is_none() {
        model.life = Some((key.clone(), Told::Asking));
        return vec![Effect::LoadLife(key)];
    }
    Vec::new()
}

fn refund_memo(memo: &str) -> String {
    let text = if memo.is_empty() { "Refund".to_owned() } else { format!("Refund: {memo}") };
    text.chars().take(strife_client::MEMO_CHARS_MAX).collect()
}
