//! What lies over everything, and its keys.

use strife_client::view::NoticeKind;
use strife_client::{Key, Movement, TransferId};
use tui_input::Input;

use super::{Effect, act as act_anywhere, arming, control, history, moved};
use crate::commands::Action;
use crate::model::{Model, Overlay, Told};
use crate::search::palette;
use crate::view;

/// Rows that a page key moves details by.
const DETAILS_STEP: usize = 5;

/// A key has come: a payment that is asked about can be sent only after a pause without one.
pub(super) fn rearm(model: &mut Model) {
    let now = model.now;
    if let Some(Overlay::Confirm { armed_at, .. }) = &mut model.overlay
        && *armed_at > now
    {
        *armed_at = arming(now);
    }
}

/// Shows something over everything, from its first row.
pub(super) fn open(model: &mut Model, overlay: Overlay) {
    model.overlay = Some(overlay);
    model.details_from = 0;
}

/// Shows an order, and asks the bank for its life.
pub(super) fn open_order(model: &mut Model, id: TransferId) -> Vec<Effect> {
    open(model, Overlay::Receipt(id));
    ask_life_of_order(model, id)
}

pub(super) fn ask_life_of_order(model: &mut Model, id: TransferId) -> Vec<Effect> {
    let key =
        model.order_by_id(id).filter(|order| order.sent).map(|order| Key { bank: order.bank.clone(), id });
    ask_life(model, key)
}

/// Shows a movement, and asks the bank for its transfer's life.
pub(super) fn open_movement(model: &mut Model, movement: Movement) -> Vec<Effect> {
    let key = movement.key.clone();
    open(model, Overlay::Movement(Box::new(movement)));
    ask_life(model, key)
}

fn ask_life(model: &mut Model, key: Option<Key>) -> Vec<Effect> {
    let Some(key) = key else {
        model.life = None;
        return Vec::new();
    };
    if !model.goes_now() {
        model.life = Some((key, Told::Not("Shown when the connection is back.".into())));
        return Vec::new();
    }
    // what is known stays in sight until the answer is there
    if model.life.as_ref().is_none_or(|(asked, _)| *asked != key) {
        model.life = Some((key.clone(), Told::Asking));
    }
    vec![Effect::LoadLife(key)]
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Close => {
            model.overlay = None;
            return Vec::new();
        }
        Action::Quit => {
            model.quit = true;
            return Vec::new();
        }
        Action::Suspend => return vec![Effect::Suspend],
        Action::PageUp | Action::PageDown if shows_details(model) => {
            let last = view::details_last(model);
            model.details_from = match action {
                Action::PageUp => model.details_from.min(last).saturating_sub(DETAILS_STEP),
                _ => (model.details_from + DETAILS_STEP).min(last),
            };
            return Vec::new();
        }
        _ => {}
    }
    match model.overlay.clone() {
        Some(Overlay::Confirm { payment, send, armed_at }) => {
            let send = match action {
                Action::Left => false,
                Action::Right => true,
                Action::NextField => !send,
                Action::Submit if send && model.now < armed_at => send,
                Action::Submit => {
                    model.overlay = None;
                    return if send { vec![Effect::Pay(payment)] } else { Vec::new() };
                }
                _ => send,
            };
            model.overlay = Some(Overlay::Confirm { payment, send, armed_at });
        }
        Some(Overlay::Help { from }) => {
            let from = moved(from, usize::MAX, action).unwrap_or(from);
            model.overlay = Some(Overlay::Help { from: from.min(view::help_last(model)) });
        }
        Some(Overlay::Palette { text, chosen }) => {
            let found = palette(model, text.value());
            if let Some(chosen) = moved(chosen, found.len(), action) {
                model.overlay = Some(Overlay::Palette { text, chosen });
            } else if action == Action::Submit {
                model.overlay = None;
                return found
                    .get(chosen)
                    .map_or_else(Vec::new, |command| act_anywhere(model, command.action));
            }
        }
        Some(Overlay::PayeeName { account, name }) if action == Action::Submit => {
            model.overlay = None;
            return vec![Effect::SavePayee { account, name: Some(name.value().trim().to_owned()) }];
        }
        Some(Overlay::Receipt(id)) => return act_on_order(model, id, action),
        Some(Overlay::Movement(movement)) => return act_on_movement(model, &movement, action),
        Some(Overlay::Demo(at)) => return act_on_demo(model, at, action),
        _ => {}
    }
    Vec::new()
}

fn act_on_order(model: &mut Model, id: TransferId, action: Action) -> Vec<Effect> {
    let Some(at) = model.view.orders.iter().position(|order| order.id == id) else { return Vec::new() };
    if action == Action::CopyId {
        return vec![Effect::Copy(id.to_string())];
    }
    let place = moved(at, model.view.orders.len(), action).filter(|place| *place != at);
    let next = place.and_then(|place| Some((place, model.view.orders.get(place)?.id)));
    let Some((place, next)) = next else { return Vec::new() };
    model.order = place;
    open_order(model, next)
}

fn act_on_movement(model: &mut Model, movement: &Movement, action: Action) -> Vec<Effect> {
    match action {
        Action::CopyId => return history::copy(model, movement),
        Action::Refund => return history::refund(model, movement),
        _ => {}
    }
    let Some(at) = model.history.place_of(movement) else { return Vec::new() };
    let place = moved(at, model.history.count(), action).filter(|place| *place != at);
    match place.and_then(|place| Some((place, model.history.at(place)?.clone()))) {
        Some((place, next)) => {
            model.history.chosen = place;
            open_movement(model, next)
        }
        None => Vec::new(),
    }
}

/// What is open may have more rows than fit.
fn shows_details(model: &Model) -> bool {
    matches!(model.overlay, Some(Overlay::Receipt(_) | Overlay::Movement(_) | Overlay::Notice(_)))
}

fn act_on_demo(model: &mut Model, at: usize, action: Action) -> Vec<Effect> {
    let processes = model.demo.as_ref().map(|demo| demo.processes.clone()).unwrap_or_default();
    if let Some(place) = moved(at, processes.len(), action) {
        model.overlay = Some(Overlay::Demo(place));
        return Vec::new();
    }
    let Some((name, state)) = processes.into_iter().nth(at) else { return Vec::new() };
    match control(action, &state) {
        Some(control) => vec![Effect::Demo(name, control)],
        None => {
            model.toast(NoticeKind::Info, format!("{name} does not run; Enter starts it."));
            Vec::new()
        }
    }
}

/// Opens the prompt for a payee's name.
pub(super) fn name_payee(model: &mut Model, account: String) {
    let known = model.payees.iter().find(|payee| payee.account == account);
    let name = Input::new(known.map(|payee| payee.name.clone()).unwrap_or_default());
    open(model, Overlay::PayeeName { account, name });
}
