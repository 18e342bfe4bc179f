//! A gateway and one transfer. Nothing here is durable: after a crash any gateway begins again, from the
//! client's order, from a bank's old promise, or from an outcome that nobody has acknowledged.
//!
//! A time-out means *unknown*: it is answered with `Pending`, never with an outcome, and never causes a
//! `Post` or a `Release`. Those carry the payer's bank's own statement, as opaque evidence `E`.

use strife_faults::{Bug, planted};

use crate::payer::{Answer as Decision, Refused};
use crate::words::{Verdict, Vote};

/// How a coordinator comes to a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Start<E> {
    /// A client submits for the first time.
    Fresh,
    /// A client submits again: the outcome may be recorded already.
    Again,
    /// A resolver found an old promise, with the vote that the payee's bank stored.
    Promise(E),
    /// A resolver found an outcome that the payee's bank has not acknowledged.
    Owed(Verdict, E),
}

/// What has come back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event<E> {
    /// The payee's bank's vote.
    Voted(Vote, E),
    /// `Prepare` was not answered in time, or the payee's bank could not take it now.
    PrepareUnanswered,
    /// The payer's bank's answer to `Decide` or `Inquire`, with its statement where it signs one.
    Decided(Decision, Option<E>),
    /// `Decide` or `Inquire` was not answered in time.
    DecideUnanswered,
    /// The payee's bank's acknowledgement of `Post` or `Release`.
    Acknowledged(E),
    /// `Post` or `Release` was not answered in time; whoever asks next will find it owed.
    DeliveryUnanswered,
}

/// What the gateway does next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<E> {
    /// Send `Prepare` to the payee's bank.
    Prepare,
    /// Send `Decide` to the payer's bank, with the vote unless both accounts are there.
    Decide(Option<E>),
    /// Ask the payer's bank what it knows.
    Inquire,
    /// Send `Post` with this statement to the payee's bank.
    Post(E),
    /// Send `Release` with this statement to the payee's bank.
    Release(E),
    /// Send the payee's bank's acknowledgement to the payer's bank.
    Acknowledge(E),
    /// Answer the client, once.
    Answer(Reply<E>),
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reply<E> {
    /// A statement of the payer's bank ends the order: outcome, conflict or void.
    Ended(Decision, E),
    /// No final outcome is known yet. Ask again.
    Pending,
    /// This call changed nothing.
    Refused(Refused),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// Asked the payer's bank before preparing.
    Asking,
    /// Asked the payer's bank because `Prepare` was not answered.
    AskingLast,
    Preparing,
    Deciding,
    /// Waiting for the payee's bank's acknowledgement; the flag tells whether the payer's bank wants it.
    Delivering {
        outcome: bool,
    },
    Done,
}

/// The coordinator of one transfer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Coordinator<E> {
    interbank: bool,
    phase: Phase,
    /// Evidence that a time-out must never use; empty unless that bug is planted.
    vote: Option<E>,
}

impl<E: Clone> Coordinator<E> {
    /// Begins, and says what to do first. `interbank` is whether payer's and payee's banks differ.
    pub fn begin(interbank: bool, start: Start<E>) -> (Self, Vec<Effect<E>>) {
        let (phase, effect) = match start {
            Start::Fresh if interbank => (Phase::Preparing, Effect::Prepare),
            Start::Fresh => (Phase::Deciding, Effect::Decide(None)),
            Start::Again => (Phase::Asking, Effect::Inquire),
            Start::Promise(vote) => (Phase::Deciding, Effect::Decide(Some(vote))),
            Start::Owed(verdict, statement) => {
                (Phase::Delivering { outcome: true }, deliver(verdict, statement))
            }
        };
        (Self { interbank, phase, vote: None }, vec![effect])
    }

    /// Nothing more to wait for.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Takes what has come back and says what to do next. What does not fit the phase (late, duplicated) does
    /// nothing.
    pub fn handle(&mut self, event: Event<E>) -> Vec<Effect<E>> {
        match (self.phase, event) {
            (Phase::Preparing, Event::Voted(Vote::Waiting, _)) => self.end(Reply::Pending),
            (Phase::Preparing, Event::Voted(_, vote)) => {
                self.vote = planted(Bug::ReleaseOnTimeout).then(|| vote.clone());
                self.go(Phase::Deciding, Effect::Decide(Some(vote)))
            }
            (Phase::Preparing, Event::PrepareUnanswered) => self.go(Phase::AskingLast, Effect::Inquire),
            (Phase::Asking, Event::Decided(Decision::Undecided, _)) if self.interbank => {
                self.go(Phase::Preparing, Effect::Prepare)
            }
            (Phase::Asking, Event::Decided(Decision::Undecided, _)) => {
                self.go(Phase::Deciding, Effect::Decide(None))
            }
            (Phase::Asking | Phase::AskingLast | Phase::Deciding, Event::Decided(decision, statement)) => {
                self.decided(decision, statement)
            }
            (Phase::Asking | Phase::AskingLast | Phase::Deciding, Event::DecideUnanswered) => {
                let mut effects = self.end(Reply::Pending);
                effects.extend(self.vote.take().map(Effect::Release));
                effects
            }
            (Phase::Delivering { outcome }, Event::Acknowledged(acknowledgement)) => {
                self.phase = Phase::Done;
                if outcome { vec![Effect::Acknowledge(acknowledgement)] } else { Vec::new() }
            }
            (Phase::Delivering { .. }, Event::DeliveryUnanswered) => {
                self.phase = Phase::Done;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn decided(&mut self, decision: Decision, statement: Option<E>) -> Vec<Effect<E>> {
        let Some(statement) = statement else {
            return match decision {
                Decision::Refused(why) => self.end(Reply::Refused(why)),
                _ => self.end(Reply::Pending),
            };
        };
        let answer = Effect::Answer(Reply::Ended(decision, statement.clone()));
        let delivery = match decision {
            Decision::Outcome(verdict) => deliver(verdict, statement),
            Decision::Conflict | Decision::Void => Effect::Release(statement),
            Decision::Undecided | Decision::Noted => return self.end(Reply::Pending),
            Decision::Refused(why) => return self.end(Reply::Refused(why)),
        };
        if !self.interbank {
            self.phase = Phase::Done;
            return vec![answer];
        }
        self.phase = Phase::Delivering { outcome: matches!(decision, Decision::Outcome(_)) };
        vec![answer, delivery]
    }

    fn go(&mut self, phase: Phase, effect: Effect<E>) -> Vec<Effect<E>> {
        self.phase = phase;
        vec![effect]
    }

    fn end(&mut self, reply: Reply<E>) -> Vec<Effect<E>> {
        self.go(Phase::Done, Effect::Answer(reply))
    }
}

fn deliver<E>(verdict: Verdict, statement: E) -> Effect<E> {
    match verdict {
        Verdict::Posted => Effect::Post(statement),
        Verdict::Declined(_) => Effect::Release(statement),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Code;

    type Text = &'static str;
    type Came = Event<Text>;

    fn posted() -> Event<Text> {
        Came::Decided(Decision::Outcome(Verdict::Posted), Some("posted"))
    }

    #[test]
    fn a_transfer_between_banks_goes_prepare_decide_answer_post_acknowledge() {
        let (mut gateway, first) = Coordinator::<Text>::begin(true, Start::Fresh);
        assert_eq!(first, [Effect::Prepare]);
        assert_eq!(gateway.handle(Event::Voted(Vote::Yes, "yes")), [Effect::Decide(Some("yes"))]);
        let ended = Reply::Ended(Decision::Outcome(Verdict::Posted), "posted");
        assert_eq!(gateway.handle(posted()), [Effect::Answer(ended), Effect::Post("posted")]);
        assert_eq!(gateway.handle(Event::Acknowledged("ack")), [Effect::Acknowledge("ack")]);
        assert!(gateway.is_done());
    }

    #[test]
    fn a_no_goes_to_the_payers_bank_too_and_its_decline_releases() {
        let (mut gateway, _) = Coordinator::<Text>::begin(true, Start::Fresh);
        let no = Vote::No(Code::UnknownAccount);
        assert_eq!(gateway.handle(Event::Voted(no, "no")), [Effect::Decide(Some("no"))]);
        let declined = Decision::Outcome(Verdict::Declined(Code::UnknownAccount));
        let effects = gateway.handle(Came::Decided(declined, Some("declined")));
        assert_eq!(effects[1], Effect::Release("declined"));
    }

    #[test]
    fn inside_one_bank_it_is_one_message() {
        let (mut gateway, first) = Coordinator::<Text>::begin(false, Start::Fresh);
        assert_eq!(first, [Effect::Decide(None)]);
        assert_eq!(gateway.handle(posted()).len(), 1);
        assert!(gateway.is_done());
    }

    #[test]
    fn a_time_out_is_pending_and_sends_neither_post_nor_release() {
        let (mut gateway, _) = Coordinator::<Text>::begin(true, Start::Fresh);
        assert_eq!(gateway.handle(Came::PrepareUnanswered), [Effect::Inquire]);
        let undecided = Came::Decided(Decision::Undecided, None);
        assert_eq!(gateway.handle(undecided), [Effect::Answer(Reply::Pending)]);
        let (mut gateway, _) = Coordinator::<Text>::begin(true, Start::Fresh);
        gateway.handle(Event::Voted(Vote::Yes, "yes"));
        assert_eq!(gateway.handle(Came::DecideUnanswered), [Effect::Answer(Reply::Pending)]);
        assert_eq!(gateway.handle(posted()), [], "a late answer changes nothing");
    }

    #[test]
    fn a_resubmission_asks_first_and_prepares_only_if_undecided() {
        let (mut gateway, first) = Coordinator::<Text>::begin(true, Start::Again);
        assert_eq!(first, [Effect::Inquire]);
        assert_eq!(gateway.handle(Came::Decided(Decision::Undecided, None)), [Effect::Prepare]);
        let (mut gateway, _) = Coordinator::<Text>::begin(true, Start::Again);
        assert_eq!(gateway.handle(posted())[1], Effect::Post("posted"));
    }

    #[test]
    fn conflict_and_void_end_the_order_and_release_but_owe_nothing() {
        for decision in [Decision::Conflict, Decision::Void] {
            let (mut gateway, _) = Coordinator::<Text>::begin(true, Start::Promise("vote"));
            let effects = gateway.handle(Came::Decided(decision, Some("never")));
            let ended = Reply::Ended(decision, "never");
            assert_eq!(effects, [Effect::Answer(ended), Effect::Release("never")]);
            assert_eq!(gateway.handle(Event::Acknowledged("ack")), []);
        }
    }

    #[test]
    fn a_resolver_takes_up_old_promises_and_owed_outcomes() {
        let (_, first) = Coordinator::begin(true, Start::Promise("vote"));
        assert_eq!(first, [Effect::Decide(Some("vote"))]);
        let (mut gateway, first) = Coordinator::begin(true, Start::Owed(Verdict::Posted, "posted"));
        assert_eq!(first, [Effect::Post("posted")]);
        assert_eq!(gateway.handle(Came::DeliveryUnanswered), []);
        assert!(gateway.is_done());
        let cancelled = Verdict::Declined(Code::Cancelled);
        assert_eq!(Coordinator::begin(true, Start::Owed(cancelled, "no")).1, [Effect::Release("no")]);
    }

    #[test]
    fn a_decision_without_evidence_is_not_believed() {
        let (mut gateway, _) = Coordinator::<Text>::begin(true, Start::Promise("vote"));
        let bare = Came::Decided(Decision::Outcome(Verdict::Posted), None);
        assert_eq!(gateway.handle(bare), [Effect::Answer(Reply::Pending)]);
    }
}
