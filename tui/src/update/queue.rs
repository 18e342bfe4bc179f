//! The queue's keys.

use strife_client::view::{CANCELLED, NoticeKind, OrderState};

use super::{Effect, moved, overlay};
use crate::commands::Action;
use crate::model::{Focus, Model};

/// It was taken back or cancelled: its content can be used again.
fn never_posts(state: &OrderState) -> bool {
    matches!(state, OrderState::Withdrawn | OrderState::Declined { code: CANCELLED, .. })
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if let Some(place) = moved(model.order, model.view.orders.len(), action) {
        model.order = place;
        return Vec::new();
    }
    match action {
        Action::Back => model.focus = Focus::Main,
        Action::RetryAll => return vec![Effect::Retry(None)],
        Action::DismissEnded => return vec![Effect::DismissEnded],
        _ => {}
    }
    let Some(order) = model.chosen_order() else { return Vec::new() };
    let (id, ended) = (order.id, order.state.is_ended());
    match action {
        Action::Retry => return vec![Effect::Retry(Some(id))],
        Action::ShowOrder => return overlay::open_order(model, id),
        Action::CopyId => return vec![Effect::Copy(order.id.to_string())],
        Action::CancelOrder if !ended => return vec![Effect::Cancel(id)],
        Action::EditOrder if never_posts(&order.state) => {
            let order = order.clone();
            super::fill_in_again(model, &order);
        }
        Action::EditOrder if !ended => {
            model.editing = Some(id);
            return vec![Effect::Cancel(id)];
        }
        Action::Dismiss if ended => return vec![Effect::Dismiss(id)],
        Action::SendAgain if ended => return vec![Effect::SendAgain(id)],
        Action::CancelOrder | Action::EditOrder => {
            model.toast(NoticeKind::Info, "This order has ended; there is nothing to cancel.");
        }
        Action::Dismiss | Action::SendAgain => {
            model.toast(NoticeKind::Info, "That works on orders that have ended.");
        }
        _ => {}
    }
    Vec::new()
}
