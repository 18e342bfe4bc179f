//! The payer's bank and one key: the decision, its replay, and what is still owed to the payee's bank.
//!
//! The first outcome recorded for a key is the commit point and never changes. Nothing is recorded before a
//! signature and a right on the payer account are proved, except a void, which says that exactly these bytes
//! can never post.

use std::collections::BTreeSet;

use strife_faults::{Bug, planted};

use crate::words::{Code, OrderHash, Verdict, Vote};

/// What the payer's bank has durably recorded about one key. Loaded before an event is handled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Payer {
    outcome: Option<(OrderHash, Verdict)>,
    voids: BTreeSet<OrderHash>,
    owed: bool,
}

/// What the bank's rules say about an order at this moment, by the bank's own clock and balances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Standing {
    /// The signature is valid, unrevoked, and its maker has a right on the payer account.
    pub authorised: bool,
    /// The bank was restored from a backup after the order was made: if it does not know the order, it may
    /// have known it once.
    pub predates_restore: bool,
    /// The bank's clock has passed `expires_at`.
    pub expired: bool,
    /// Permission, limits, funds, in this order, as far as the bank has them: the first failure.
    pub ledger: Result<(), Code>,
}

/// The vote that comes with `Decide`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ballot {
    /// Payer and payee are at this bank; `ledger` has checked the payee too.
    NotNeeded,
    /// A verified vote of the payee's bank.
    Vote {
        /// The bytes that the vote is about.
        hash: OrderHash,
        /// The vote.
        vote: Vote,
    },
}

/// What this bank had said of some bytes before it was restored from a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Recalled {
    /// An outcome.
    Outcome(Verdict),
    /// A void or a conflict: these bytes can never post.
    NeverPosts,
}

/// What can happen to a key at the payer's bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Decide, once and for all.
    Decide {
        /// SHA-256 of the order's bytes.
        hash: OrderHash,
        /// The rules' word.
        standing: Standing,
        /// The payee's bank's word.
        ballot: Ballot,
    },
    /// What do you know? Decides nothing but what no vote could change: lost in a restore, or expired.
    Inquire {
        /// SHA-256 of the order's bytes.
        hash: OrderHash,
        /// The rules' word.
        standing: Standing,
        /// The payee is at another bank.
        interbank: bool,
    },
    /// Record CANCELLED unless something is decided.
    Cancel {
        /// SHA-256 of the order's bytes.
        hash: OrderHash,
        /// The cancel is signed by somebody with a right on the payer account.
        authorised: bool,
        /// The payee is at another bank.
        interbank: bool,
    },
    /// The payee's bank's verified acknowledgement of the outcome.
    Acknowledge {
        /// SHA-256 of the order's bytes.
        hash: OrderHash,
    },
    /// After a restore: what this bank had said, as the payee's bank has kept it.
    Recall {
        /// SHA-256 of the order's bytes.
        hash: OrderHash,
        /// What it had said.
        said: Recalled,
    },
}

/// What must become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// The one outcome of this key.
    Outcome {
        /// SHA-256 of the decided bytes.
        hash: OrderHash,
        /// The outcome.
        verdict: Verdict,
        /// The payee is at another bank, which must be told until it acknowledges.
        owed: bool,
    },
    /// These bytes can never post.
    Void {
        /// SHA-256 of the void bytes.
        hash: OrderHash,
    },
    /// The payee's bank has acknowledged.
    Acknowledged {
        /// SHA-256 of the decided bytes.
        hash: OrderHash,
    },
}

/// What the payer's bank answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The recorded outcome.
    Outcome(Verdict),
    /// Another order holds this key: these bytes can never post.
    Conflict,
    /// No valid signature or right: these bytes can never post.
    Void,
    /// Nothing is recorded.
    Undecided,
    /// The call itself is not allowed; nothing is recorded.
    Refused(Refused),
    /// The acknowledgement is noted.
    Noted,
}

/// Why a call was refused without a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The vote is about other bytes, or there is none to count.
    BadBallot,
    /// Not signed by somebody with a right on the payer account.
    NotAuthorised,
    /// An acknowledgement of something that was not decided here.
    NothingToAcknowledge,
}

/// One step of the payer's bank, in the order in which it is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Append; must be durable before any reply that follows leaves.
    Record(Record),
    /// Answer the caller.
    Reply(Answer),
}

impl Payer {
    /// The recorded outcome and the bytes that it is about.
    pub fn outcome(&self) -> Option<(OrderHash, Verdict)> {
        self.outcome
    }

    /// Whether the payee's bank has still to acknowledge the outcome.
    pub fn is_owed(&self) -> bool {
        self.owed
    }

    /// Whether these bytes were declared void.
    pub fn is_void(&self, hash: &OrderHash) -> bool {
        self.voids.contains(hash)
    }

    /// Handles one event: changes the state and returns what to do, in order.
    pub fn handle(&mut self, event: Event) -> Vec<Effect> {
        let (record, answer) = self.step(event);
        let mut effects = Vec::with_capacity(2);
        if let Some(record) = record {
            self.apply(record);
            effects.push(Effect::Record(record));
        }
        effects.push(Effect::Reply(answer));
        if planted(Bug::ReplyBeforeRecord) {
            effects.reverse();
        }
        effects
    }

    /// Replays what was recorded. The first outcome wins: a second one for the key is ignored (I4).
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Outcome { hash, verdict, owed }
                if self.outcome.is_none() || planted(Bug::OutcomeOverwritten) =>
            {
                self.outcome = Some((hash, verdict));
                self.owed = owed && !planted(Bug::NothingOwed);
            }
            Record::Outcome { .. } => {}
            Record::Void { hash } => {
                self.voids.insert(hash);
            }
            Record::Acknowledged { .. } => self.owed = false,
        }
    }

    /// What is already known about these bytes, if anything is.
    fn known(&self, hash: &OrderHash) -> Option<Answer> {
        let same = |decided: OrderHash| decided == *hash || planted(Bug::HashNotCompared);
        match self.outcome.filter(|_| !planted(Bug::OutcomeOverwritten)) {
            Some((decided, verdict)) if same(decided) => Some(Answer::Outcome(verdict)),
            _ if self.voids.contains(hash) => Some(Answer::Void),
            Some(_) => Some(Answer::Conflict),
            None => None,
        }
    }

    fn step(&self, event: Event) -> (Option<Record>, Answer) {
        match event {
            Event::Decide { hash, standing, ballot } => {
                if let Some(answer) = self.known(&hash) {
                    return (None, answer);
                }
                if !standing.authorised && !planted(Bug::ForgeryTakesKey) {
                    return (Some(Record::Void { hash }), Answer::Void);
                }
                let counts = |voted: OrderHash| voted == hash || planted(Bug::VoteOfOtherBytes);
                let vote = match ballot {
                    Ballot::NotNeeded => Ok(()),
                    Ballot::Vote { hash: voted, vote: Vote::Yes } if counts(voted) => Ok(()),
                    Ballot::Vote { hash: voted, vote: Vote::No(code) } if counts(voted) => Err(code),
                    Ballot::Vote { .. } => return (None, Answer::Refused(Refused::BadBallot)),
                };
                let verdict = match standing.too_late().and(standing.ledger).and(vote) {
                    Ok(()) => Verdict::Posted,
                    Err(code) => Verdict::Declined(code),
                };
                decided(hash, verdict, ballot != Ballot::NotNeeded)
            }
            Event::Inquire { hash, standing, interbank } => match self.known(&hash) {
                Some(answer) => (None, answer),
                None if !standing.authorised => (Some(Record::Void { hash }), Answer::Void),
                None => match standing.too_late() {
                    Err(code) => decided(hash, Verdict::Declined(code), interbank),
                    Ok(()) => (None, Answer::Undecided),
                },
            },
            Event::Cancel { hash, authorised, interbank } => match self.known(&hash) {
                _ if !authorised => (None, Answer::Refused(Refused::NotAuthorised)),
                Some(answer) => (None, answer),
                None if planted(Bug::CancelNotRecorded) => {
                    (None, Answer::Outcome(Verdict::Declined(Code::Cancelled)))
                }
                None => decided(hash, Verdict::Declined(Code::Cancelled), interbank),
            },
            Event::Acknowledge { hash } => match self.outcome {
                Some((decided, _)) if decided == hash && self.owed => {
                    (Some(Record::Acknowledged { hash }), Answer::Noted)
                }
                Some((decided, _)) if decided == hash => (None, Answer::Noted),
                _ => (None, Answer::Refused(Refused::NothingToAcknowledge)),
            },
            // owed once more: the payee's bank's acknowledgement may be lost with the record
            Event::Recall { hash, said } => match (self.known(&hash), said) {
                (Some(answer), _) => (None, answer),
                (None, Recalled::Outcome(verdict)) => decided(hash, verdict, true),
                (None, Recalled::NeverPosts) => (Some(Record::Void { hash }), Answer::Void),
            },
        }
    }
}

impl Standing {
    /// What no vote and no balance can change any more.
    fn too_late(&self) -> Result<(), Code> {
        match (self.predates_restore, self.expired) {
            (true, _) => Err(Code::Restored),
            (false, true) => Err(Code::Expired),
            (false, false) => Ok(()),
        }
    }
}

/// An outcome is owed to the payee's bank even where no promise is known of: one may be on its way.
fn decided(hash: OrderHash, verdict: Verdict, owed: bool) -> (Option<Record>, Answer) {
    (Some(Record::Outcome { hash, verdict, owed }), Answer::Outcome(verdict))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: OrderHash = OrderHash([1; 32]);
    const TWO: OrderHash = OrderHash([2; 32]);
    const GOOD: Standing =
        Standing { authorised: true, predates_restore: false, expired: false, ledger: Ok(()) };
    const FORGED: Standing = Standing { authorised: false, ..GOOD };

    fn yes(hash: OrderHash) -> Ballot {
        Ballot::Vote { hash, vote: Vote::Yes }
    }

    fn answer(effects: &[Effect]) -> Answer {
        match effects.last() {
            Some(Effect::Reply(answer)) => *answer,
            other => panic!("no reply last: {other:?}"),
        }
    }

    fn decide(payer: &mut Payer, hash: OrderHash, standing: Standing, ballot: Ballot) -> Vec<Effect> {
        payer.handle(Event::Decide { hash, standing, ballot })
    }

    #[test]
    fn the_record_stands_before_the_reply() {
        let effects = decide(&mut Payer::default(), ONE, GOOD, yes(ONE));
        assert_eq!(
            effects,
            [
                Effect::Record(Record::Outcome { hash: ONE, verdict: Verdict::Posted, owed: true }),
                Effect::Reply(Answer::Outcome(Verdict::Posted)),
            ]
        );
    }

    #[test]
    fn the_first_record_wins_and_replays_without_a_second_record() {
        let mut payer = Payer::default();
        decide(&mut payer, ONE, GOOD, Ballot::Vote { hash: ONE, vote: Vote::No(Code::UnknownAccount) });
        let declined = Answer::Outcome(Verdict::Declined(Code::UnknownAccount));
        assert_eq!(decide(&mut payer, ONE, GOOD, yes(ONE)), [Effect::Reply(declined)]);
        assert_eq!(
            payer.handle(Event::Cancel { hash: ONE, authorised: true, interbank: true }),
            [Effect::Reply(declined)],
            "a decided order cannot be cancelled"
        );
        assert_eq!(
            payer.handle(Event::Inquire { hash: ONE, standing: GOOD, interbank: true }),
            [Effect::Reply(declined)]
        );
    }

    #[test]
    fn other_bytes_under_the_same_key_conflict_and_are_not_recorded() {
        let mut payer = Payer::default();
        decide(&mut payer, ONE, GOOD, yes(ONE));
        assert_eq!(decide(&mut payer, TWO, GOOD, yes(TWO)), [Effect::Reply(Answer::Conflict)]);
        assert_eq!(decide(&mut payer, TWO, FORGED, yes(TWO)), [Effect::Reply(Answer::Conflict)]);
        assert_eq!(payer.outcome(), Some((ONE, Verdict::Posted)));
    }

    #[test]
    fn a_forged_order_is_void_and_takes_nothing_from_the_key() {
        let mut payer = Payer::default();
        let effects = decide(&mut payer, ONE, FORGED, yes(ONE));
        assert_eq!(effects, [Effect::Record(Record::Void { hash: ONE }), Effect::Reply(Answer::Void)]);
        assert_eq!(payer.outcome(), None);
        // the same bytes can never post, even if the signature were good later
        assert_eq!(decide(&mut payer, ONE, GOOD, yes(ONE)), [Effect::Reply(Answer::Void)]);
        // the honest order under the same id does
        assert_eq!(answer(&decide(&mut payer, TWO, GOOD, yes(TWO))), Answer::Outcome(Verdict::Posted));
        assert_eq!(decide(&mut payer, ONE, GOOD, yes(ONE)), [Effect::Reply(Answer::Void)]);
    }

    #[test]
    fn checks_come_in_the_agreed_order() {
        let no = |hash| Ballot::Vote { hash, vote: Vote::No(Code::UnknownAccount) };
        let poor = Standing { ledger: Err(Code::InsufficientFunds), ..GOOD };
        let late = Standing { expired: true, ..poor };
        let first = |standing| answer(&decide(&mut Payer::default(), ONE, standing, no(ONE)));
        assert_eq!(first(late), Answer::Outcome(Verdict::Declined(Code::Expired)));
        assert_eq!(first(poor), Answer::Outcome(Verdict::Declined(Code::InsufficientFunds)));
        assert_eq!(first(GOOD), Answer::Outcome(Verdict::Declined(Code::UnknownAccount)));
        assert_eq!(first(Standing { authorised: false, ..late }), Answer::Void);
    }

    #[test]
    fn a_vote_about_other_bytes_or_a_waiting_one_decides_nothing() {
        for ballot in [yes(TWO), Ballot::Vote { hash: ONE, vote: Vote::Waiting }] {
            let mut payer = Payer::default();
            let refused = Answer::Refused(Refused::BadBallot);
            assert_eq!(decide(&mut payer, ONE, GOOD, ballot), [Effect::Reply(refused)]);
            assert_eq!(payer, Payer::default());
        }
    }

    #[test]
    fn an_inquiry_decides_nothing_but_an_expiry() {
        let mut payer = Payer::default();
        assert_eq!(
            answer(&payer.handle(Event::Inquire { hash: ONE, standing: GOOD, interbank: true })),
            Answer::Undecided
        );
        assert_eq!(payer, Payer::default());
        let late = Standing { expired: true, ..GOOD };
        let expired = Answer::Outcome(Verdict::Declined(Code::Expired));
        assert_eq!(
            answer(&payer.handle(Event::Inquire { hash: ONE, standing: late, interbank: true })),
            expired
        );
        assert_eq!(answer(&decide(&mut payer, ONE, GOOD, yes(ONE))), expired);
    }

    #[test]
    fn an_unknown_order_from_before_a_restore_is_declined_whoever_asks() {
        let restored = Answer::Outcome(Verdict::Declined(Code::Restored));
        let old =
            Standing { predates_restore: true, expired: true, ledger: Err(Code::AccountClosed), ..GOOD };
        assert_eq!(answer(&decide(&mut Payer::default(), ONE, old, yes(ONE))), restored, "before expiry");
        let mut payer = Payer::default();
        let effects = payer.handle(Event::Inquire { hash: ONE, standing: old, interbank: true });
        let record = Record::Outcome { hash: ONE, verdict: Verdict::Declined(Code::Restored), owed: true };
        assert_eq!(effects, [Effect::Record(record), Effect::Reply(restored)]);
        assert_eq!(answer(&decide(&mut payer, ONE, GOOD, yes(ONE))), restored);
        let forged = Standing { authorised: false, ..old };
        assert_eq!(answer(&decide(&mut Payer::default(), ONE, forged, yes(ONE))), Answer::Void);
        let mut knows = Payer::default();
        decide(&mut knows, ONE, GOOD, yes(ONE));
        assert_eq!(answer(&decide(&mut knows, ONE, old, yes(ONE))), Answer::Outcome(Verdict::Posted));
    }

    #[test]
    fn what_a_counterpart_kept_is_recorded_again_and_owed_again() {
        let mut payer = Payer::default();
        let posted = Event::Recall { hash: ONE, said: Recalled::Outcome(Verdict::Posted) };
        let record = Record::Outcome { hash: ONE, verdict: Verdict::Posted, owed: true };
        let said = Effect::Reply(Answer::Outcome(Verdict::Posted));
        assert_eq!(payer.handle(posted), [Effect::Record(record), said]);
        assert_eq!(payer.handle(posted), [said], "what is known is not recorded again");
        let never = payer.handle(Event::Recall { hash: TWO, said: Recalled::NeverPosts });
        assert_eq!(never, [Effect::Reply(Answer::Conflict)]);
        let mut payer = Payer::default();
        let never = payer.handle(Event::Recall { hash: TWO, said: Recalled::NeverPosts });
        assert_eq!(never, [Effect::Record(Record::Void { hash: TWO }), Effect::Reply(Answer::Void)]);
        payer.handle(posted);
        assert_eq!(payer.outcome(), Some((ONE, Verdict::Posted)));
    }

    #[test]
    fn cancel_and_decide_have_exactly_one_winner() {
        let mut payer = Payer::default();
        let cancelled = Answer::Outcome(Verdict::Declined(Code::Cancelled));
        assert_eq!(
            answer(&payer.handle(Event::Cancel { hash: ONE, authorised: false, interbank: true })),
            Answer::Refused(Refused::NotAuthorised)
        );
        assert_eq!(
            answer(&payer.handle(Event::Cancel { hash: ONE, authorised: true, interbank: true })),
            cancelled
        );
        assert_eq!(answer(&decide(&mut payer, ONE, GOOD, yes(ONE))), cancelled);
    }

    #[test]
    fn an_outcome_is_owed_until_it_is_acknowledged() {
        let mut payer = Payer::default();
        let early = payer.handle(Event::Acknowledge { hash: ONE });
        assert_eq!(answer(&early), Answer::Refused(Refused::NothingToAcknowledge));
        decide(&mut payer, ONE, GOOD, yes(ONE));
        assert!(payer.is_owed());
        let wrong = payer.handle(Event::Acknowledge { hash: TWO });
        assert_eq!(answer(&wrong), Answer::Refused(Refused::NothingToAcknowledge));
        assert!(payer.is_owed());
        let right = payer.handle(Event::Acknowledge { hash: ONE });
        assert_eq!(right, [Effect::Record(Record::Acknowledged { hash: ONE }), Effect::Reply(Answer::Noted)]);
        assert!(!payer.is_owed());
        assert_eq!(payer.handle(Event::Acknowledge { hash: ONE }), [Effect::Reply(Answer::Noted)]);
    }

    #[test]
    fn replaying_the_records_gives_the_same_state() {
        let mut live = Payer::default();
        let mut effects = decide(&mut live, TWO, FORGED, yes(TWO));
        effects.extend(decide(&mut live, ONE, GOOD, yes(ONE)));
        effects.extend(live.handle(Event::Acknowledge { hash: ONE }));
        let mut replayed = Payer::default();
        for _ in 0..2 {
            for effect in &effects {
                if let Effect::Record(record) = effect {
                    replayed.apply(*record);
                }
            }
        }
        assert_eq!(replayed, live);
    }
}
