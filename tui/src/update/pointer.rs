//! The mouse: clicks and the wheel, where the person wants them.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

use super::{Effect, act, history, overlay};
use crate::commands::{Action, Place, commands};
use crate::model::{Focus, Model};
use crate::view::{Hit, hit};

pub(super) fn point(model: &mut Model, event: MouseEvent) -> Vec<Effect> {
    let has = |model: &Model, action| commands(model).iter().any(|command| command.action == action);
    match event.kind {
        MouseEventKind::ScrollUp if has(model, Action::Up) => act(model, Action::Up),
        MouseEventKind::ScrollDown if has(model, Action::Down) => act(model, Action::Down),
        MouseEventKind::Down(MouseButton::Left) => match hit(model, event.column, event.row) {
            Some(Hit::Command(action)) => act(model, action),
            // what lies over everything is left by its own keys
            Some(_) if model.overlay.is_some() => Vec::new(),
            Some(Hit::Order(place)) => {
                if model.focus == Focus::Queue && model.order == place {
                    let id = model.chosen_order().map(|order| order.id);
                    return id.map_or_else(Vec::new, |id| overlay::open_order(model, id));
                }
                model.focus = Focus::Queue;
                model.order = place;
                Vec::new()
            }
            Some(Hit::Row(place)) => choose(model, place),
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn choose(model: &mut Model, place: usize) -> Vec<Effect> {
    model.focus = Focus::Main;
    match Place::beneath(model) {
        Place::Overview if place < model.account_count() => {
            model.account = place;
            return history::reload(model);
        }
        Place::History => {
            let Some(movement) = model.history.at(place).cloned() else { return Vec::new() };
            if model.history.chosen == place {
                return overlay::open_movement(model, movement);
            }
            model.history.chosen = place;
        }
        Place::Inbox if place < model.inbox.len() => model.item = place,
        Place::Settings => model.setting = place,
        _ => {}
    }
    Vec::new()
}
