//! What can happen next: every step that is possible in a state.

use strife_commit::{Acknowledgement, Verdict, Vote};

use crate::bank::Bank;
use crate::state::{Action, State};
use crate::world::{Gateways, OrderIndex, Request, Statement, Word, World};

/// Every step from here. Their order is always the same.
pub fn from(world: &World, state: &State, actions: &mut Vec<Action>) {
    for (order, said) in world.orders() {
        match world.gateways {
            Gateways::Hostile if !state.is_made(order) => actions.push(Action::Submit(None, order)),
            Gateways::Hostile => {}
            Gateways::Honest(_) => {
                let again = world.resubmits || !state.is_made(order);
                let free = world.gateways().filter(|gateway| again && !state.has_in_hand(*gateway, order));
                actions.extend(free.map(|gateway| Action::Submit(Some(gateway), order)));
            }
        }
        let cancels = said.cancellable && !state.wire.contains(&Request::Cancel(order));
        if cancels && (world.restores.is_none() || state.is_made(order)) {
            actions.push(Action::Cancel(order));
        }
    }
    deliveries(world, state, actions);
    for gateway in world.gateways() {
        at_gateway(world, state, gateway, actions);
    }
    for bank in &state.banks {
        if !bank.batch.is_empty() {
            actions.push(Action::Flush(bank.own));
        }
        // where a crash would lose nothing it changes nothing (I10)
        if world.crashes && bank.has_volatile() {
            actions.push(Action::Crash(bank.own));
        }
    }
    if !state.late && world.orders.iter().any(|order| order.expires) {
        actions.push(Action::Expire);
    }
    restore_steps(world, state, actions);
}

/// Messages that may come to a bank now.
fn deliveries(world: &World, state: &State, actions: &mut Vec<Action>) {
    let mut deliver = |request: Request| {
        if state.bank(request.to(world)).is_ready(world) && Bank::admits(world, request) {
            actions.push(Action::Deliver(request));
        }
    };
    state.wire.iter().for_each(|request| deliver(*request));
    if world.gateways != Gateways::Hostile {
        return;
    }
    for (order, _) in world.orders().filter(|(order, _)| state.is_made(*order)) {
        deliver(Request::Prepare(order));
        deliver(Request::Inquire(order));
        deliver(Request::Decide(order, None));
        for said in state.said.iter().filter_map(|reply| reply.statement()).chain(forged(world, order)) {
            match said.word {
                Word::Vote(_) => deliver(Request::Decide(order, Some(said))),
                Word::Acknowledged(_) if said.order == order => deliver(Request::Acknowledge(said)),
                Word::Acknowledged(_) => {}
                _ => {
                    deliver(Request::Post(order, said));
                    deliver(Request::Release(order, said));
                }
            }
        }
    }
}

/// Statements that no bank made: signed with a key of nobody, and signed by a bank that may not say this.
fn forged(world: &World, order: OrderIndex) -> impl Iterator<Item = Statement> {
    let said = world.order(order);
    let words = [
        (said.payee_bank, said.payer_bank, Word::Vote(Vote::Yes)),
        (said.payer_bank, said.payee_bank, Word::Outcome(Verdict::Posted)),
        (said.payer_bank, said.payee_bank, Word::Void),
        (said.payee_bank, said.payer_bank, Word::Acknowledged(Acknowledgement::Released)),
    ];
    let interbank = said.is_interbank();
    words.into_iter().filter(move |_| interbank).flat_map(move |(by, other, word)| {
        [Statement { by, order, word, genuine: false }, Statement { by: other, order, word, genuine: true }]
    })
}

fn at_gateway(world: &World, state: &State, gateway: u8, actions: &mut Vec<Action>) {
    let mut busy = false;
    for (_, order, _) in state.hands.iter().filter(|(by, ..)| *by == gateway) {
        busy = true;
        actions.push(Action::TimeOut(gateway, *order));
        let replies = state.said.iter().filter(|reply| reply.asked() == *order);
        actions.extend(replies.map(|reply| Action::Hear(gateway, *order, *reply)));
    }
    if busy && world.crashes {
        actions.push(Action::GatewayCrash(gateway));
    }
    for bank in &state.banks {
        let promises = bank.promises(world).map(|(order, _)| order);
        let promises = promises.filter(|order| !state.has_in_hand(gateway, *order));
        actions.extend(promises.map(|order| Action::Promise(gateway, order)));
        let owed = bank.owed(world).map(|(order, ..)| order);
        let owed = owed.filter(|order| !state.has_in_hand(gateway, *order));
        actions.extend(owed.map(|order| Action::Owed(gateway, order)));
    }
}

fn restore_steps(world: &World, state: &State, actions: &mut Vec<Action>) {
    let Some((bank, lists_max)) = world.restores else { return };
    let Some(restored) = &state.bank(bank).restored else {
        let backup = state.bank(bank).backup.is_some();
        actions.push(if backup { Action::Restore(bank) } else { Action::Backup(bank) });
        return;
    };
    if restored.machine.is_serving() {
        return;
    }
    for from in world.banks().filter(|from| *from != bank) {
        let lists = state.parts.iter().filter(|part| part.from == from).map(|part| part.list).max();
        if lists.unwrap_or(0) < lists_max {
            actions.push(Action::Return(from));
        }
    }
    actions.extend((0..state.parts.len()).map(Action::Part));
}
