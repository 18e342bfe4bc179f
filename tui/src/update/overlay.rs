//! What lies over everything, and its keys.

use strife_client::view::NoticeKind;
use strife_client::{Key, TransferId};
use tui_input::Input;

use super::{Effect, act as act_anywhere, arming, control, history, moved};
use crate::commands::{Action, Place};
use crate::model::{Model, Overlay, Told};
use crate::search::palette;

/// A key has come: a payment that is asked about can be sent only after a pause without one.
pub(super) fn rearm(model: &mut Model) {
    let now = model.now;
    if let Some(Overlay::Confirm { armed_at, .. }) = &mut model.overlay
        && *armed_at > now
    {
        *armed_at = arming(now);
    }
}

/// Shows an order, and asks the bank for its life.
pub(super) fn open_order(model: &mut Model, id: TransferId) -> Vec<Effect> {
    model.overlay = Some(Overlay::Receipt(id));
    ask_life_of_order(model, id)
}

pub(super) fn ask_life_of_order(model: &mut Model, id: TransferId) -> Vec<Effect> {
    let key =
        model.order_by_id(id).filter(|order| order.sent).map(|order| Key { bank: order.bank.clone(), id });
    ask_life(model, key)
}

/// Shows a movement, and asks the bank for its transfer's life.
pub(super) fn open_movement(model: &mut Model, place: usize) -> Vec<Effect> {
    model.overlay = Some(Overlay::Movement(place));
    let key = model.history.shown().get(place).and_then(|movement| movement.key.clone());
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
    if action == Action::Close {
        model.overlay = None;
        return Vec::new();
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
            // how many rows there are is the drawing's to know; it stops at the last
            let from = moved(from, usize::MAX, action).unwrap_or(from);
            let rows: usize = Place::ALL.iter().map(|place| place.commands().len() + 1).sum();
            model.overlay = Some(Overlay::Help { from: from.min(rows) });
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
        Some(Overlay::Movement(place)) => return act_on_movement(model, place, action),
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

fn act_on_movement(model: &mut Model, at: usize, action: Action) -> Vec<Effect> {
    match action {
        Action::CopyId => return history::copy(model, at),
        Action::Refund => return history::refund(model, at),
        _ => {}
    }
    match moved(at, model.history.shown().len(), action).filter(|place| *place != at) {
        Some(place) => {
            model.history.chosen = place;
            open_movement(model, place)
        }
        None => Vec::new(),
    }
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
    model.overlay = Some(Overlay::PayeeName { account, name });
}
