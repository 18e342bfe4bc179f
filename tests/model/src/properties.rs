//! The invariants, as functions of one state. Names begin as in `docs/architecture.md`: I1 to I12; `rule` is a
//! numbered paragraph of the protocol; `restore` is what is promised once a bank was restored, in the place of
//! what no longer can be.

use stateright::Property;
use strife_commit::payee::{self, Payee};
use strife_commit::payer;
use strife_commit::{Acknowledgement, Code, Verdict, Vote};

use crate::bank::Bank;
use crate::calm;
use crate::journal::Journal;
use crate::restored::Returned;
use crate::state::{Net, State, flaws};
use crate::world::{OrderIndex, Reply, Request, Statement, Word, World};

/// What is checked in a world: its invariants and its goals.
pub fn of(world: &World) -> Vec<Property<Net>> {
    let mut all = vec![
        Property::always("I1 conservation: money and money in flight are constant", conservation),
        Property::always("I2 agreement: none is posted at one bank and released at the other", agreement),
        Property::always("I3 a credit rests on a durable debit, and that on a durable promise", foundation),
        Property::always("I4 an outcome never changes", first_outcome_wins),
        Property::always("I5 what left a bank is durable there", durability),
        Property::always("I6 same bytes, same outcome; other bytes never post", idempotency),
        Property::always("I7 what has ended stays ended, whatever comes late or twice", ended_stays_ended),
        Property::always("I8 no account passes its floor, no counterpart its cap", floor_and_cap),
        Property::always("I9 with all up and nothing new, everything ends", everything_ends),
        Property::always("I10 recovery, once or repeated, gives the same state", recovery),
        Property::always("I11 of cancel and decide exactly one wins", one_winner),
        Property::always("I12 a refusal changes nothing", |_, state| {
            lacks(state, flaws::REFUSED_WITH_RECORD)
        }),
        Property::always(
            "rule 7: only the payer's bank's statement posts, releases, or ends",
            statements_alone,
        ),
        Property::always(
            "rule 10: nothing is recorded under a key for a forged order",
            forgery_takes_nothing,
        ),
    ];
    if world.restores.is_some() {
        all.extend([
            Property::always(
                "restore: serves when a list of every counterpart is complete, not before",
                |_, state| lacks(state, flaws::SERVED_TOO_EARLY) && lacks(state, flaws::SERVED_TOO_LATE),
            ),
            Property::always("restore: what a counterpart returned is recorded", survives),
            Property::always("restore: no unknown order from before it is posted", nothing_old_posts),
            Property::always("restore: no declined order is credited without an alert", alerts),
        ]);
    }
    all.extend(world.goals.iter().map(|goal| Property::sometimes(goal.name, goal.is_reached)));
    all
}

fn lacks(state: &State, flaw: u8) -> bool {
    state.flaws & flaw == 0
}

fn payer_of<'a>(world: &World, state: &'a State, order: OrderIndex) -> &'a Bank {
    state.bank(world.order(order).payer_bank)
}

fn payee_of<'a>(world: &World, state: &'a State, order: OrderIndex) -> &'a Bank {
    state.bank(world.order(order).payee_bank)
}

fn interbank(world: &World) -> impl Iterator<Item = OrderIndex> {
    world.orders().filter(|(_, order)| order.is_interbank()).map(|(order, _)| order)
}

/// A restore took back what this bank knew of an order.
fn forgot(bank: &Bank, order: OrderIndex) -> bool {
    bank.restored.as_ref().is_some_and(|restored| restored.predates & (1 << order) != 0)
}

fn statements(state: &State) -> impl Iterator<Item = Statement> {
    state.said.iter().filter_map(|reply| reply.statement())
}

fn conservation(net: &Net, state: &State) -> bool {
    let world = &net.0;
    let moved: i64 =
        state.banks.iter().map(|bank| bank.durable.moved(world)).map(|(own, all)| own + all).sum();
    let mut in_flight = 0;
    for order in interbank(world) {
        let debited = payer_of(world, state, order).durable.has_debited(world, order);
        let credited = payee_of(world, state, order).durable.credits(order) > 0;
        let amount = world.order(order).amount;
        match (debited, credited) {
            (true, false) => in_flight += amount,
            // a restore lost the debit: what it did is counted, so that nothing else hides behind it
            (false, true) if forgot(payer_of(world, state, order), order) => in_flight -= amount,
            _ => {}
        }
    }
    moved + in_flight == 0
}

fn agreement(net: &Net, state: &State) -> bool {
    let world = &net.0;
    interbank(world).all(|order| {
        let payer = &payer_of(world, state, order).durable;
        match payee_of(world, state, order).durable.payee(order) {
            Payee::Released => !payer.has_debited(world, order),
            Payee::Posted(_) => {
                let other = payer.outcome(world.slot(order)).is_some() && !payer.has_debited(world, order);
                !other || forgot(payer_of(world, state, order), order)
            }
            Payee::Unknown | Payee::Promised => true,
        }
    })
}

fn foundation(net: &Net, state: &State) -> bool {
    let world = &net.0;
    interbank(world).all(|order| {
        let (payer, payee) = (payer_of(world, state, order), payee_of(world, state, order));
        let debited = payer.durable.has_debited(world, order);
        let promised = payee.durable.of_payee(order).any(|(record, _)| record == payee::Record::Promised);
        let credited = payee.durable.credits(order) > 0;
        (!credited || debited || forgot(payer, order)) && (!debited || promised || forgot(payee, order))
    })
}

fn first_outcome_wins(net: &Net, state: &State) -> bool {
    let world = &net.0;
    let is_outcome = |record: &payer::Record| matches!(record, payer::Record::Outcome { .. });
    let once = state.banks.iter().all(|bank| {
        let recorded = bank.recorded();
        world.orders().all(|(slot, _)| recorded.of_key(slot).filter(is_outcome).count() <= 1)
    });
    let agree = |one: &Statement| {
        let bank = state.bank(one.by);
        let about_key =
            |other: &Statement| other.by == one.by && world.slot(other.order) == world.slot(one.order);
        let same = |other: &Statement| other.order == one.order && other.word == one.word;
        let mut others = statements(state).filter(|said| matches!(said.word, Word::Outcome(_)));
        if forgot(bank, one.order) {
            // a lost outcome may become RESTORED; what was declined never posts
            return one.word == Word::Outcome(Verdict::Posted) || !bank.durable.has_debited(world, one.order);
        }
        others.all(|other| !about_key(&other) || same(&other) || forgot(bank, other.order))
    };
    once && statements(state).filter(|said| matches!(said.word, Word::Outcome(_))).all(|said| agree(&said))
}

fn durability(net: &Net, state: &State) -> bool {
    let world = &net.0;
    statements(state).all(|said| {
        let bank = state.bank(said.by);
        forgot(bank, said.order) || stands(world, &bank.durable, &said)
    })
}

fn stands(world: &World, durable: &Journal, said: &Statement) -> bool {
    let order = said.order;
    match said.word {
        Word::Outcome(verdict) => durable.verdict(world, order) == Some(verdict),
        Word::Void => durable.is_void(world, order),
        Word::Conflict => durable.outcome(world.slot(order)).is_some_and(|(other, _)| other != order),
        Word::Vote(Vote::Yes) => durable.payee(order) != Payee::Unknown,
        Word::Vote(Vote::No(_) | Vote::Waiting) => true,
        Word::Acknowledged(Acknowledgement::Credited(_)) => durable.credits(order) > 0,
        // its tombstone is the business of I7
        Word::Acknowledged(Acknowledgement::Released) => true,
    }
}

fn idempotency(net: &Net, state: &State) -> bool {
    let world = &net.0;
    let about_asked = |reply: &Reply| reply.statement().is_none_or(|said| said.order == reply.asked());
    let never = |said: Statement| {
        let credited = payee_of(world, state, said.order).durable.credits(said.order) > 0;
        let lost = forgot(state.bank(said.by), said.order);
        let posts = state.bank(said.by).durable.has_debited(world, said.order) || (credited && !lost);
        !matches!(said.word, Word::Conflict | Word::Void) || !posts
    };
    state.said.iter().all(about_asked) && statements(state).all(never)
}

fn ended_stays_ended(net: &Net, state: &State) -> bool {
    let world = &net.0;
    let kept = |said: Statement| match said.word {
        Word::Acknowledged(Acknowledgement::Released) => {
            let there = state.bank(said.by);
            there.durable.payee(said.order) == Payee::Released || forgot(there, said.order) || {
                // the payer's bank posted before a restore, declined after it
                forgot(payer_of(world, state, said.order), said.order)
            }
        }
        _ => true,
    };
    let once = interbank(world).all(|order| {
        let there = payee_of(world, state, order);
        let released = |(record, _): &(payee::Record, _)| matches!(record, payee::Record::Released { .. });
        there.durable.credits(order) <= 1 && there.durable.of_payee(order).filter(released).count() <= 1
    });
    let calm = state.restored().is_some() || state.banks.iter().all(|bank| bank.alerts == 0);
    once && calm && statements(state).all(kept)
}

fn floor_and_cap(net: &Net, state: &State) -> bool {
    let world = &net.0;
    state.banks.iter().all(|bank| {
        let recorded = bank.recorded();
        let capped = |counterpart| recorded.exposure(world, counterpart) <= world.cap;
        bank.balance(world) >= 0 && (bank.restored.is_some() || world.banks().all(capped))
    })
}

fn everything_ends(net: &Net, state: &State) -> bool {
    let world = &net.0;
    let end = calm::after(world, state);
    interbank(world).all(|order| {
        let (payer, payee) = (payer_of(world, &end, order), payee_of(world, &end, order));
        let hash = World::hash(order);
        let debited = payer.durable.has_debited(world, order);
        let credited = payee.durable.credits(order) > 0;
        let decided = payer.durable.verdict(world, order).is_some();
        // after a restore: reported, or unknown to the payer's bank, which nobody asks in a calm run
        let excused = forgot(payer, order) && (payee.alerts & (1 << order) != 0 || !decided);
        let promised = payee.durable.payee(order) == Payee::Promised;
        let acknowledged = !decided || payer.durable.is_acknowledged(world, hash);
        !promised && (excused || (acknowledged && debited == credited))
    })
}

fn recovery(net: &Net, state: &State) -> bool {
    let world = &net.0;
    state.banks.iter().all(|bank| {
        let recorded = bank.recorded();
        world.orders().all(|(order, _)| {
            let (payer, payee) = (recorded.payer(order), recorded.payee(order));
            let (mut payer_again, mut payee_again) = (payer.clone(), payee);
            recorded.of_key(order).for_each(|record| payer_again.apply(record));
            recorded.of_payee(order).for_each(|(record, _)| payee_again.apply(record));
            let live = payer == bank.payers[usize::from(order)] && payee == bank.payees[usize::from(order)];
            live && payer_again == payer && payee_again == payee
        })
    })
}

fn one_winner(net: &Net, state: &State) -> bool {
    let world = &net.0;
    state.said.iter().all(|reply| match reply {
        Reply::SaidToCancel(_, said) => {
            let bank = state.bank(said.by);
            said.word.ends() && (forgot(bank, said.order) || stands(world, &bank.durable, said))
        }
        _ => true,
    }) && world.orders().all(|(order, _)| {
        let says = |verdict| {
            let word = Word::Outcome(verdict);
            statements(state).any(|said| said.order == order && said.word == word)
        };
        let both = says(Verdict::Posted) && says(Verdict::Declined(Code::Cancelled));
        !both || forgot(payer_of(world, state, order), order)
    })
}

fn statements_alone(net: &Net, state: &State) -> bool {
    let world = &net.0;
    let of_payer = |order: OrderIndex, said: &Statement| {
        said.genuine && said.order == order && said.by == world.order(order).payer_bank
    };
    let posted = Word::Outcome(Verdict::Posted);
    lacks(state, flaws::TOLD_WITHOUT_STATEMENT)
        && state.wire.iter().all(|request| match request {
            Request::Post(order, said) => of_payer(*order, said) && said.word == posted,
            Request::Release(order, said) => {
                of_payer(*order, said) && said.word.ends() && said.word != posted
            }
            _ => true,
        })
}

fn forgery_takes_nothing(net: &Net, state: &State) -> bool {
    let world = &net.0;
    let honest = |record| match record {
        payer::Record::Outcome { hash, .. } => world.order(World::order_of(&hash)).authorised,
        _ => true,
    };
    state.banks.iter().all(|bank| world.orders().all(|(slot, _)| bank.recorded().of_key(slot).all(honest)))
}

/// Of each counterpart's first list: a later one holds all of it and more.
fn survives(net: &Net, state: &State) -> bool {
    let world = &net.0;
    let Some(bank) = state.restored().filter(|bank| bank.is_serving()) else { return true };
    let recorded = bank.recorded();
    let first = state.parts.iter().filter(|part| part.list == 1).filter_map(|part| part.item);
    first.into_iter().all(|item| match item {
        Returned::Promised(_) => true,
        Returned::Said(order, Word::Outcome(verdict)) => recorded.verdict(world, order) == Some(verdict),
        Returned::Said(order, _) => {
            let other = recorded.outcome(world.slot(order)).is_some_and(|(decided, _)| decided != order);
            other || recorded.is_void(world, order)
        }
        Returned::Decided(order, Verdict::Posted) => recorded.credits(order) == 1,
        Returned::Decided(order, Verdict::Declined(_)) => recorded.payee(order) == Payee::Released,
    })
}

fn nothing_old_posts(net: &Net, state: &State) -> bool {
    let world = &net.0;
    let Some(bank) = state.restored().filter(|bank| bank.is_serving()) else { return true };
    let known = bank.restored.as_ref().map_or(0, |restored| restored.posted);
    let recorded = bank.recorded();
    let old = world.orders().filter(|(order, _)| forgot(bank, *order));
    old.into_iter().all(|(order, _)| !recorded.has_debited(world, order) || known & (1 << order) != 0)
}

/// Or the decline is still owed to the payee's bank, where it will raise one.
fn alerts(net: &Net, state: &State) -> bool {
    let world = &net.0;
    interbank(world).all(|order| {
        let (payer, payee) = (payer_of(world, state, order), payee_of(world, state, order));
        let declined = matches!(payer.durable.verdict(world, order), Some(Verdict::Declined(_)));
        let owed = payer.durable.payer(world.slot(order)).is_owed();
        let wrong = declined && payee.durable.credits(order) > 0;
        !wrong || owed || payee.alerts & (1 << order) != 0
    })
}
