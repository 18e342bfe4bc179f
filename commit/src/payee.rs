//! The payee's bank and one order: the promise, and its end.
//!
//! A promise is known by key *and* hash: other bytes under the same key are another promise, and only one of
//! them can ever be posted. The payee's bank never ends a promise by itself; a statement of the payer's bank
//! does, and a valid `posted` always ends as money.

use strife_faults::{Bug, planted};

use crate::words::{Acknowledgement, Code, Placement, Vote};

/// What the payee's bank has durably recorded about one (key, hash).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Payee {
    /// Nothing.
    #[default]
    Unknown,
    /// The credit is promised: incoming, not spendable.
    Promised,
    /// The money is placed.
    Posted(Placement),
    /// Ended without money; also the tombstone that refuses a late `Prepare`.
    Released,
}

/// What can happen to a promise. Statements have been verified before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Promise to credit, if the rules allow it now.
    Prepare {
        /// Account, state, currency, headroom, cap: the first failure.
        check: Result<(), Code>,
    },
    /// A signed `posted` of the payer's bank.
    Post {
        /// Where the money can go at this moment.
        placement: Placement,
    },
    /// A signed `declined`, `conflict` or `void` of the payer's bank.
    Release,
}

/// What must become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// The promise.
    Promised,
    /// The money, placed; `promised` tells whether a promise is used up by it.
    Posted {
        /// Where it went.
        placement: Placement,
        /// A promise stood before.
        promised: bool,
    },
    /// The end without money; `promised` tells whether a promise is ended by it.
    Released {
        /// A promise stood before.
        promised: bool,
    },
}

/// What the payee's bank answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// To `Prepare`.
    Vote(Vote),
    /// To `Post` and `Release`.
    Acknowledged(Acknowledgement),
    /// A release of what is posted: never applied, reported.
    Contradiction,
}

/// What somebody must look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alert {
    /// The payer's bank posted without this bank's promise; the money was placed all the same.
    PostedWithoutPromise,
    /// The payer's bank signed both an outcome and its opposite.
    Contradiction,
}

/// One step of the payee's bank, in the order in which it is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Append; must be durable before any reply that follows leaves.
    Record(Record),
    /// Tell the administrator.
    Alert(Alert),
    /// Answer the caller.
    Reply(Answer),
}

impl Payee {
    /// Handles one event: changes the state and returns what to do, in order.
    pub fn handle(&mut self, event: Event) -> Vec<Effect> {
        let (record, alert, answer) = self.step(event);
        let mut effects = Vec::with_capacity(2);
        if let Some(record) = record {
            self.apply(record);
            effects.push(Effect::Record(record));
        }
        effects.extend(alert.map(Effect::Alert));
        effects.push(Effect::Reply(answer));
        effects
    }

    /// Replays what was recorded. Posted is final.
    pub fn apply(&mut self, record: Record) {
        *self = match (*self, record) {
            (Payee::Posted(placement), _) => Payee::Posted(placement),
            (_, Record::Posted { placement, .. }) => Payee::Posted(placement),
            (Payee::Released, Record::Promised) => Payee::Released,
            (_, Record::Promised) => Payee::Promised,
            (_, Record::Released { .. }) => Payee::Released,
        }
    }

    fn step(self, event: Event) -> (Option<Record>, Option<Alert>, Answer) {
        let credited = |placement| Answer::Acknowledged(Acknowledgement::Credited(placement));
        let released = Answer::Acknowledged(Acknowledgement::Released);
        match (self, event) {
            (Payee::Unknown, Event::Prepare { check: Ok(()) }) => {
                (Some(Record::Promised), None, Answer::Vote(Vote::Yes))
            }
            (Payee::Unknown, Event::Prepare { check: Err(code) }) => {
                (None, None, Answer::Vote(Vote::No(code)))
            }
            (Payee::Promised | Payee::Posted(_), Event::Prepare { .. }) => {
                (None, None, Answer::Vote(Vote::Yes))
            }
            (Payee::Released, Event::Prepare { .. }) => (None, None, Answer::Vote(Vote::No(Code::Released))),

            (Payee::Promised, Event::Post { placement }) => {
                (Some(Record::Posted { placement, promised: true }), None, credited(placement))
            }
            (Payee::Unknown | Payee::Released, Event::Post { placement }) => {
                let record = Record::Posted { placement, promised: false };
                (Some(record), Some(Alert::PostedWithoutPromise), credited(placement))
            }
            (Payee::Posted(placement), Event::Post { .. }) => {
                let again = Record::Posted { placement, promised: false };
                (planted(Bug::PostedTwice).then_some(again), None, credited(placement))
            }

            (Payee::Promised, Event::Release) => (Some(Record::Released { promised: true }), None, released),
            (Payee::Unknown, Event::Release) if planted(Bug::EarlyReleaseIgnored) => (None, None, released),
            (Payee::Unknown, Event::Release) => (Some(Record::Released { promised: false }), None, released),
            (Payee::Released, Event::Release) => (None, None, released),
            (Payee::Posted(_), Event::Release) => (None, Some(Alert::Contradiction), Answer::Contradiction),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREPARE: Event = Event::Prepare { check: Ok(()) };
    const POST: Event = Event::Post { placement: Placement::Account };

    fn run(events: &[Event]) -> (Payee, Vec<Effect>) {
        let mut payee = Payee::default();
        let mut last = Vec::new();
        for event in events {
            last = payee.handle(*event);
        }
        (payee, last)
    }

    #[test]
    fn a_yes_leaves_only_behind_a_durable_promise() {
        let (state, effects) = run(&[PREPARE]);
        assert_eq!(state, Payee::Promised);
        assert_eq!(effects, [Effect::Record(Record::Promised), Effect::Reply(Answer::Vote(Vote::Yes))]);
    }

    #[test]
    fn a_no_promises_nothing() {
        let (state, effects) = run(&[Event::Prepare { check: Err(Code::AccountClosed) }]);
        assert_eq!(state, Payee::Unknown);
        assert_eq!(effects, [Effect::Reply(Answer::Vote(Vote::No(Code::AccountClosed)))]);
    }

    #[test]
    fn late_duplicated_and_reordered_messages_change_nothing() {
        let vote_yes = Effect::Reply(Answer::Vote(Vote::Yes));
        assert_eq!(run(&[PREPARE, PREPARE]).1, [vote_yes]);
        assert_eq!(run(&[PREPARE, POST, PREPARE]), (Payee::Posted(Placement::Account), vec![vote_yes]));
        let credited = Answer::Acknowledged(Acknowledgement::Credited(Placement::Account));
        assert_eq!(run(&[PREPARE, POST, POST]).1, [Effect::Reply(credited)]);
        let refused = Effect::Reply(Answer::Vote(Vote::No(Code::Released)));
        assert_eq!(run(&[Event::Release, PREPARE]), (Payee::Released, vec![refused]));
    }

    #[test]
    fn a_promise_holds_when_the_rules_would_say_no_by_now() {
        let frozen = Event::Prepare { check: Err(Code::AccountFrozen) };
        assert_eq!(run(&[PREPARE, frozen]).1, [Effect::Reply(Answer::Vote(Vote::Yes))]);
    }

    #[test]
    fn a_valid_posted_always_ends_as_money_and_raises_an_alert_without_a_promise() {
        for before in [&[][..], &[Event::Release][..]] {
            let mut events = before.to_vec();
            events.push(Event::Post { placement: Placement::Suspense });
            let (state, effects) = run(&events);
            assert_eq!(state, Payee::Posted(Placement::Suspense));
            assert!(effects.contains(&Effect::Alert(Alert::PostedWithoutPromise)));
        }
    }

    #[test]
    fn a_release_after_the_money_is_reported_and_not_applied() {
        let (state, effects) = run(&[PREPARE, POST, Event::Release]);
        assert_eq!(state, Payee::Posted(Placement::Account));
        assert_eq!(effects, [Effect::Alert(Alert::Contradiction), Effect::Reply(Answer::Contradiction)]);
    }

    #[test]
    fn replaying_records_in_order_gives_the_same_state() {
        for events in [&[PREPARE, POST][..], &[PREPARE, Event::Release][..], &[Event::Release, POST][..]] {
            let mut live = Payee::default();
            let mut replayed = Payee::default();
            for event in events {
                for effect in live.handle(*event) {
                    if let Effect::Record(record) = effect {
                        replayed.apply(record);
                    }
                }
            }
            assert_eq!(live, replayed);
        }
    }
}
