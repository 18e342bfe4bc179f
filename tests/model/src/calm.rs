//! A calm run (I9): everything is up, every message arrives, resolvers go their rounds, nobody sends anything new.
//! It has no choices, so from each state there is one.

use std::collections::VecDeque;

use strife_commit::coordinator::{Coordinator, Start};

use crate::state::{State, effect_of, event_of};
use crate::world::{OrderIndex, Reply, Request, Statement, World};

/// Rounds of the resolver after which everything must have ended. One round can leave what the next one finds:
/// a promise whose order was declined, an outcome that the decision of another made owed.
const ROUNDS_MAX: usize = 4;

/// The banks after a calm run from here. The rest of the state is of no use any more.
pub fn after(world: &World, state: &State) -> State {
    let mut state = state.clone();
    state.hands.clear();
    state.banks.iter_mut().for_each(|bank| drop(bank.flush()));
    finish_restore(world, &mut state);
    for _ in 0..ROUNDS_MAX {
        let unfinished: Vec<_> = state
            .banks
            .iter()
            .flat_map(|bank| {
                let promises = bank.promises(world).map(|(order, vote)| (order, Start::Promise(vote)));
                let owed = bank.owed(world).map(|(order, verdict, said)| (order, Start::Owed(verdict, said)));
                promises.chain(owed)
            })
            .collect();
        if unfinished.is_empty() {
            break;
        }
        unfinished.into_iter().for_each(|(order, start)| drive(world, &mut state, order, start));
    }
    state
}

fn drive(world: &World, state: &mut State, order: OrderIndex, start: Start<Statement>) {
    let (mut coordinator, effects) = Coordinator::begin(world.order(order).is_interbank(), start);
    let mut todo: VecDeque<_> = effects.into();
    while let Some(effect) = todo.pop_front() {
        let Ok(request) = effect_of(order, effect) else { continue };
        let reply = ask(world, state, request).and_then(|reply| event_of(order, reply));
        todo.extend(reply.map(|event| coordinator.handle(event)).unwrap_or_default());
    }
}

/// A message, its durable commit, and the answer to it.
fn ask(world: &World, state: &mut State, request: Request) -> Option<Reply> {
    let late = state.late;
    let bank = &mut state.banks[usize::from(request.to(world))];
    if !bank.is_serving() || !crate::bank::Bank::admits(world, request) {
        return None;
    }
    let received = bank.receive(world, late, request);
    bank.flush().into_iter().chain(received.left).find(|reply| reply.asked() == request.order())
}

fn finish_restore(world: &World, state: &mut State) {
    let Some(own) = state.restored().filter(|bank| !bank.is_serving()).map(|bank| bank.own) else { return };
    for from in world.banks().filter(|from| *from != own) {
        let lists = state.parts.iter().filter(|part| part.from == from).map(|part| part.list).max();
        let list = state.bank(from).list(world, own, lists.unwrap_or(0) + 1);
        state.parts.extend(list);
    }
    let parts = state.parts.clone();
    let bank = &mut state.banks[usize::from(own)];
    for place in 0..parts.len() {
        bank.take_part(world, &parts, place);
    }
    bank.flush();
}
