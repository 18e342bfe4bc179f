//! The history: pages as one scrolls, filter, order, details, refund, export.

use strife_client::view::NoticeKind;
use strife_client::{Currency, Movement};
use tui_input::Input;

use super::{Effect, PAGE_ROWS, Page, moved, overlay, show, step};
use crate::commands::Action;
use crate::forms::{Refund, TransferField, TransferForm};
use crate::model::{History, Model, Screen, Told, is_same};

/// Loads the newest page of the chosen account.
pub(super) fn reload(model: &mut Model) -> Vec<Effect> {
    let Some(account) = model.account_number() else { return Vec::new() };
    if model.history.account != account {
        let sort = model.history.sort;
        model.history = History { account: account.clone(), sort, ..History::default() };
    }
    if !model.view.signed_in {
        return Vec::new();
    }
    model.history.loading = true;
    vec![Effect::LoadHistory { account, cursor: None }]
}

pub(super) fn take_page(
    model: &mut Model,
    account: &str,
    from: Option<Vec<u8>>,
    result: Page,
) -> Vec<Effect> {
    let history = &mut model.history;
    if history.account != account {
        return Vec::new();
    }
    let first = from.is_none();
    if first {
        history.loading = false;
    } else {
        history.loading_more = false;
    }
    // who has scrolled, or looks at one, stays there whatever comes in
    let chosen = history.at(history.chosen).cloned().filter(|_| history.chosen > 0);
    match result {
        // a page that was asked for before the list began anew is of no use
        Ok(_) if !first && from != history.cursor => return Vec::new(),
        Ok((rows, cursor)) => {
            history.error = None;
            if first {
                join(history, rows, cursor);
            } else {
                history.rows.extend(rows);
                history.cursor = cursor;
            }
            history.refresh();
            if let Some(place) = chosen.and_then(|chosen| history.place_of(&chosen)) {
                history.chosen = place;
            }
        }
        Err(why) => history.error = Some(why),
    }
    // a filter that finds little goes on looking
    let looking = model.screen == Screen::History && !model.history.filter.value().is_empty();
    if looking && model.history.error.is_none() {
        return load_more(model);
    }
    Vec::new()
}

/// Puts a newest page before what is loaded already.
fn join(history: &mut History, page: Vec<Movement>, cursor: Option<Vec<u8>>) {
    let oldest_new = page.last();
    match history.rows.iter().position(|row| oldest_new.is_some_and(|new| is_same(row, new))) {
        Some(place) => {
            let known: Vec<Movement> = history.rows.drain(..).skip(place + 1).collect();
            history.rows = page;
            history.rows.extend(known);
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
    model.history.loading_more = true;
    vec![effect]
}

/// The filter has changed.
pub(super) fn filtered(model: &mut Model) -> Vec<Effect> {
    model.history.chosen = 0;
    model.history.refresh();
    load_more(model)
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let count = model.history.count();
    if let Some(place) = moved(model.history.chosen, count, action) {
        model.history.chosen = place;
        return load_more(model);
    }
    let chosen = model.history.at(model.history.chosen).cloned();
    match (action, chosen) {
        (Action::Back, _) if model.history.filtering || !model.history.filter.value().is_empty() => {
            model.history.filtering = false;
            model.history.filter = Input::default();
            return filtered(model);
        }
        (Action::Submit, _) if model.history.filtering => {
            model.history.filtering = false;
            return load_more(model);
        }
        (Action::Filter, _) => model.history.filtering = true,
        (Action::Back, _) => model.screen = Screen::Overview,
        (Action::Sort, _) => {
            model.history.sort = model.history.sort.next();
            model.history.chosen = 0;
            model.history.refresh();
        }
        (Action::Submit, Some(movement)) => return overlay::open_movement(model, movement),
        (Action::Refund, Some(movement)) => return refund(model, &movement),
        (Action::CopyId, Some(movement)) => return copy(model, &movement),
        (Action::Export, _) if model.view.signed_in => {
            model.toast(NoticeKind::Info, "Writing all postings …");
            return vec![Effect::Export { account: model.history.account.clone() }];
        }
        (Action::Export, _) => {
            model.toast(NoticeKind::Info, "Please sign in first: the bank has the postings.");
        }
        (Action::Left | Action::Right, _) => {
            model.account = step(model.account, model.account_count(), action == Action::Right);
            return reload(model);
        }
        _ => {}
    }
    Vec::new()
}

/// Copies a movement's id.
pub(super) fn copy(model: &mut Model, movement: &Movement) -> Vec<Effect> {
    match movement.transfer.clone() {
        Some(text) => vec![Effect::Copy(text)],
        None => {
            model.toast(NoticeKind::Info, "This is not a transfer; it has no id.");
            Vec::new()
        }
    }
}

/// Fills the transfer form with a refund of a movement.
pub(super) fn refund(model: &mut Model, movement: &Movement) -> Vec<Effect> {
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
