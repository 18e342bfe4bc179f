//! Steps in words, for a counterexample.

use strife_commit::{Acknowledgement, Verdict, Vote};

use crate::state::Action;
use crate::world::{BankIndex, OrderIndex, Reply, Request, Statement, Word, World};

/// One step, as a line.
pub fn step(world: &World, action: &Action) -> String {
    let order = |order: &OrderIndex| world.order(*order).name;
    match action {
        Action::Submit(None, about) if !world.order(*about).authorised => {
            format!("a forger makes {}", order(about))
        }
        Action::Submit(None, about) => format!("the client signs {}", order(about)),
        Action::Submit(Some(gateway), about) => {
            format!("gateway {} takes {} from its client", gateway + 1, order(about))
        }
        Action::Cancel(about) => format!("the client signs a cancel of {}", order(about)),
        Action::Deliver(message) => {
            format!("bank {} gets {}", bank(world, message.to(world)), request(world, message))
        }
        Action::Hear(gateway, about, said) => {
            format!("gateway {} hears about {}: {}", gateway + 1, order(about), reply(world, said))
        }
        Action::TimeOut(gateway, about) => {
            format!("gateway {} waits no longer about {}", gateway + 1, order(about))
        }
        Action::Promise(gateway, about) => {
            format!("gateway {} resolves the old promise of {}", gateway + 1, order(about))
        }
        Action::Owed(gateway, about) => {
            format!("gateway {} takes up the unacknowledged outcome of {}", gateway + 1, order(about))
        }
        Action::Flush(own) => format!("bank {} makes its batch durable", bank(world, *own)),
        Action::Crash(own) => format!("bank {} crashes with its batch and starts again", bank(world, *own)),
        Action::GatewayCrash(gateway) => format!("gateway {} crashes and starts again", gateway + 1),
        Action::Expire => "expires_at passes".to_owned(),
        Action::Backup(own) => format!("bank {} is backed up", bank(world, *own)),
        Action::Restore(own) => format!("bank {} is restored from its backup", bank(world, *own)),
        Action::Return(from) => format!("bank {} makes its list for the restored bank", bank(world, *from)),
        Action::Part(place) => format!("part {} of those lists comes to the restored bank", place + 1),
    }
}

fn bank(world: &World, bank: BankIndex) -> &str {
    world.names[usize::from(bank)].as_str()
}

fn request(world: &World, request: &Request) -> String {
    let order = world.order(request.order()).name;
    match request {
        Request::Prepare(_) => format!("Prepare of {order}"),
        Request::Decide(_, None) => format!("Decide of {order}"),
        Request::Decide(_, Some(vote)) => format!("Decide of {order} with {}", statement(world, vote)),
        Request::Inquire(_) => format!("Inquire of {order}"),
        Request::Cancel(_) => format!("Cancel of {order}"),
        Request::Post(_, said) => format!("Post of {order} with {}", statement(world, said)),
        Request::Release(_, said) => format!("Release of {order} with {}", statement(world, said)),
        Request::Acknowledge(said) => format!("Acknowledge with {}", statement(world, said)),
    }
}

fn reply(world: &World, reply: &Reply) -> String {
    match reply {
        Reply::Said(_, said) | Reply::SaidToCancel(_, said) => statement(world, said),
        Reply::Undecided(_) => "undecided".to_owned(),
        Reply::Refused(_) => "refused".to_owned(),
    }
}

fn statement(world: &World, said: &Statement) -> String {
    let word = match said.word {
        Word::Vote(Vote::Yes) => "yes".to_owned(),
        Word::Vote(Vote::No(code)) => format!("no ({code})"),
        Word::Vote(Vote::Waiting) => "waiting".to_owned(),
        Word::Outcome(Verdict::Posted) => "posted".to_owned(),
        Word::Outcome(Verdict::Declined(code)) => format!("declined ({code})"),
        Word::Conflict => "conflict".to_owned(),
        Word::Void => "void".to_owned(),
        Word::Acknowledged(Acknowledgement::Credited(_)) => "credited".to_owned(),
        Word::Acknowledged(Acknowledgement::Released) => "released".to_owned(),
    };
    let forged = if said.genuine { "" } else { ", with a forged signature" };
    format!("bank {}'s \"{word}\" about {}{forged}", bank(world, said.by), world.order(said.order).name)
}
