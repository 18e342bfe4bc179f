//! What must be reachable: a model in which nothing happens keeps every promise.

use strife_commit::payee::{self, Payee};
use strife_commit::{Code, Verdict, Vote};

use crate::state::{Net, State, marks};
use crate::world::{OrderIndex, Reply, Word, World};

/// Something that a scenario must be able to reach.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// What it is called in the report.
    pub name: &'static str,
    /// Whether it is reached here.
    pub is_reached: fn(&Net, &State) -> bool,
}

macro_rules! goals {
    ($($(#[$doc:meta])+ $name:ident = $text:literal, $reached:expr;)+) => {
        $($(#[$doc])+ pub const $name: Goal = Goal {
            name: $text,
            is_reached: |net, state| {
                let reached: fn(&World, &State) -> bool = $reached;
                reached(&net.0, state)
            },
        };)+
    };
}

goals! {
    /// Money arrived.
    POSTED = "reached: posted and credited", |world, state| any(world, |order| is_credited(world, state, order));
    /// Money arrived and the payer's bank knows.
    ACKNOWLEDGED = "reached: acknowledged", |world, state| any(world, |order| {
        payers(world, state, order).is_acknowledged(world, World::hash(order))
    });
    /// Inside one bank.
    POSTED_INSIDE = "reached: posted inside one bank", |world, state| any(world, |order| {
        !world.order(order).is_interbank() && payers(world, state, order).has_debited(world, order)
    });
    /// Two orders posted.
    BOTH_POSTED = "reached: two orders posted", |world, state| {
        world.orders().filter(|(order, _)| is_credited(world, state, *order)).count() > 1
    };
    /// A vote was no.
    NO_VOTE = "reached: declined because the payee's bank voted no", |world, state| {
        declined(world, state, Code::UnknownAccount)
    };
    /// Not enough money.
    POOR = "reached: declined for want of funds", |world, state| declined(world, state, Code::InsufficientFunds);
    /// The counterpart's cap.
    CAPPED = "reached: declined because of the cap", |world, state| declined(world, state, Code::SettlementCap);
    /// Too late.
    EXPIRED = "reached: expired", |world, state| declined(world, state, Code::Expired);
    /// Expired although the payee's bank had promised.
    EXPIRED_AFTER_PREPARE = "reached: expired and released after a promise", |world, state| {
        any(world, |order| {
            let verdict = payers(world, state, order).verdict(world, order);
            verdict == Some(Verdict::Declined(Code::Expired)) && broke_promise(world, state, order)
        })
    };
    /// Cancelled.
    CANCELLED = "reached: cancelled", |world, state| declined(world, state, Code::Cancelled);
    /// Cancelled although the payee's bank had promised.
    CANCELLED_AFTER_PREPARE = "reached: cancelled and released after a promise", |world, state| {
        any(world, |order| {
            let verdict = payers(world, state, order).verdict(world, order);
            verdict == Some(Verdict::Declined(Code::Cancelled)) && broke_promise(world, state, order)
        })
    };
    /// The payment won.
    CANCEL_LOST = "reached: a cancel is answered with posted", |_, state| state.said.iter().any(|reply| {
        matches!(reply, Reply::SaidToCancel(_, said) if said.word == Word::Outcome(Verdict::Posted))
    });
    /// Other bytes held the key.
    CONFLICT = "reached: conflict", |_, state| said(state, Word::Conflict);
    /// A conflict ended a promise.
    CONFLICT_RELEASED = "reached: a conflict ended a promise", |world, state| ended_by(world, state, Word::Conflict);
    /// A forged order.
    VOID = "reached: void", |_, state| said(state, Word::Void);
    /// A void ended a promise.
    VOID_RELEASED = "reached: a void ended a promise", |world, state| ended_by(world, state, Word::Void);
    /// An honest order went through although a forger had used its key.
    POSTED_BESIDE_VOID = "reached: an honest order posted under a forger's key", |world, state| {
        said(state, Word::Void) && any(world, |order| is_credited(world, state, order))
    };
    /// A late `Prepare` met a tombstone.
    TOMBSTONE = "reached: a tombstone refused a late prepare", |_, state| {
        said(state, Word::Vote(Vote::No(Code::Released)))
    };
    /// Taken up by a resolver alone.
    RESOLVED = "reached: a resolver brought an abandoned promise to posted", |world, state| {
        state.marks & marks::RESOLVED != 0 && any(world, |order| is_credited(world, state, order))
    };
    /// Taken up by a resolver alone, without money.
    RESOLVED_DECLINED = "reached: a resolver brought an abandoned promise to released", |world, state| {
        state.marks & marks::RESOLVED != 0 && any(world, |order| broke_promise(world, state, order))
    };
    /// The payer's bank lost its decision, and made it again.
    LOST_OUTCOME = "reached: posted after a crash of the payer's bank", |world, state| {
        state.marks & marks::LOST_OUTCOME != 0 && any(world, |order| is_credited(world, state, order))
    };
    /// The payee's bank lost its promise, and made it again.
    LOST_PROMISE = "reached: posted after a crash of the payee's bank", |world, state| {
        state.marks & marks::LOST_PROMISE != 0 && any(world, |order| is_credited(world, state, order))
    };
    /// The payee's bank lost its credit, and was told again.
    LOST_CREDIT = "reached: credited once after a crash lost the credit", |world, state| {
        state.marks & marks::LOST_CREDIT != 0 && any(world, |order| is_credited(world, state, order))
    };
    /// A gateway died on the way.
    GATEWAY_CRASHED = "reached: posted after a crash of a gateway", |world, state| {
        state.marks & marks::GATEWAY_CRASHED != 0 && any(world, |order| is_credited(world, state, order))
    };
    /// Waited too short.
    TIMED_OUT = "reached: posted after a time-out", |world, state| {
        state.marks & marks::TIMED_OUT != 0 && any(world, |order| is_credited(world, state, order))
    };
    /// The same id at two banks.
    SAME_ID = "reached: one id posted at two payer's banks", |world, state| {
        let posted = |order: OrderIndex| is_credited(world, state, order);
        world.orders().filter(|(order, _)| posted(*order)).any(|(order, one)| {
            let twin = |(other, two): (OrderIndex, &crate::world::Order)| {
                posted(other) && two.id == one.id && world.slot(other) != world.slot(order)
            };
            world.orders().any(twin)
        })
    };
    /// A bank serves again.
    SERVING = "reached: a restored bank serves again", |_, state| {
        state.restored().is_some_and(crate::bank::Bank::is_serving)
    };
    /// An order that was lost.
    RESTORED = "reached: declined RESTORED", |world, state| declined(world, state, Code::Restored);
    /// An outcome that a counterpart gave back.
    RECALLED = "reached: an outcome that a counterpart held is recorded again", |world, state| {
        state.restored().is_some_and(|bank| bank.is_serving() && any(world, |order| {
            let returned = crate::restored::Returned::Said(order, Word::Outcome(Verdict::Posted));
            let was_lost = state.parts.iter().any(|part| part.item == Some(returned));
            was_lost && bank.durable.has_debited(world, order)
        }))
    };
    /// Money that came without the promise that a restore lost.
    WITHOUT_PROMISE = "reached: posted without promise, with an alert", |world, state| any(world, |order| {
        let bank = state.bank(world.order(order).payee_bank);
        let promised = |(record, _)| matches!(record, payee::Record::Posted { promised: false, .. });
        bank.alerts & (1 << order) != 0 && bank.durable.of_payee(order).any(promised)
    });
    /// The weakness of a restore, reported.
    DISAGREEMENT = "reached: a disagreement after a restore, with an alert", |world, state| any(world, |order| {
        let bank = state.bank(world.order(order).payee_bank);
        bank.alerts & (1 << order) != 0
            && bank.durable.credits(order) > 0
            && matches!(payers(world, state, order).verdict(world, order), Some(Verdict::Declined(_)))
    });
    /// Orders made after a restore go their way.
    POSTED_AFTER_RESTORE = "reached: an order made after the restore is posted", |world, state| {
        state.restored().and_then(|bank| bank.restored.as_ref()).is_some_and(|restored| any(world, |order| {
            restored.predates & (1 << order) == 0 && is_credited(world, state, order)
        }))
    };
}

fn any(world: &World, reached: impl Fn(OrderIndex) -> bool) -> bool {
    world.orders().any(|(order, _)| reached(order))
}

fn payers<'a>(world: &World, state: &'a State, order: OrderIndex) -> &'a crate::journal::Journal {
    &state.bank(world.order(order).payer_bank).durable
}

fn is_credited(world: &World, state: &State, order: OrderIndex) -> bool {
    let there = state.bank(world.order(order).payee_bank).durable.payee(order);
    let arrived = !world.order(order).is_interbank() || matches!(there, Payee::Posted(_));
    arrived && payers(world, state, order).has_debited(world, order)
}

fn declined(world: &World, state: &State, code: Code) -> bool {
    any(world, |order| payers(world, state, order).verdict(world, order) == Some(Verdict::Declined(code)))
}

fn broke_promise(world: &World, state: &State, order: OrderIndex) -> bool {
    let records = &state.bank(world.order(order).payee_bank).durable;
    records.of_payee(order).any(|(record, _)| record == payee::Record::Released { promised: true })
}

fn said(state: &State, word: Word) -> bool {
    state.said.iter().filter_map(|reply| reply.statement()).any(|said| said.word == word)
}

fn ended_by(world: &World, state: &State, word: Word) -> bool {
    any(world, |order| {
        let records = &state.bank(world.order(order).payee_bank).durable;
        let mut ends = records.of_payee(order);
        ends.any(|(record, by)| record == payee::Record::Released { promised: true } && by == Some(word))
    })
}
