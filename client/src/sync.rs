//! What to do next with each order: a pure plan, which the worker carries out.

use std::time::Duration;

use crate::api::{ApiError, Known};
use crate::outbox::{Credit, State, Stored};
use strife_proto::Refusal;
use strife_proto::commit::Verdict;
use strife_proto::statement::Word;

/// What to do with an order now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send it; `again` if its bytes may have left before.
    Submit {
        /// Sent before.
        again: bool,
    },
    /// Ask for it to be cancelled.
    Cancel,
    /// Ask what is recorded: whether the payee's bank has confirmed the credit, or whether an order that a
    /// door has refused was decided all the same, by an earlier try.
    AskOutcome,
}

/// What an order wants done, if anything can be done for it.
pub fn next_action(stored: &Stored, interbank: bool) -> Option<Action> {
    match &stored.state {
        State::Open if stored.cancelling => Some(Action::Cancel),
        State::Open => Some(Action::Submit { again: stored.sent }),
        State::Parked(_) if stored.cancelling => Some(Action::Cancel),
        State::Parked(_) if stored.sent => Some(Action::AskOutcome),
        State::Posted { credit: Credit::Unconfirmed } if interbank => Some(Action::AskOutcome),
        _ => None,
    }
}

/// What an answer means for an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The order has come to this state.
    State(State),
    /// Nothing final; try again later.
    Later,
    /// The session is over: wait for the person to sign in. The order stays as it is.
    NeedsSession(Refusal),
}

/// Judges an answer. Only a verified statement ends an order; a refusal parks it, unless the refusal is about
/// the moment and not about the order.
pub fn judge(answer: &Result<Known, ApiError>) -> Next {
    match answer {
        Ok(Known::Ended { statement, credit }) => match statement.word {
            Word::Outcome(Verdict::Posted) => Next::State(State::Posted { credit: *credit }),
            Word::Outcome(Verdict::Declined(code)) => Next::State(State::Declined(code as i32)),
            Word::Conflict => Next::State(State::Conflict),
            Word::Void => Next::State(State::Void),
            // `judge` of the API lets no other word pass as an end
            Word::Vote(_) | Word::Acknowledgement(_) => Next::Later,
        },
        Ok(Known::Pending | Known::Unrecorded) => Next::Later,
        Err(ApiError::Refused(refusal)) => match refusal {
            about_the_session if about_the_session.wants_sign_in() => Next::NeedsSession(*refusal),
            Refusal::Busy | Refusal::Throttled | Refusal::BankUnreachable => Next::Later,
            about_the_order => Next::State(State::Parked(about_the_order.name().to_owned())),
        },
        Err(ApiError::Unknown(_) | ApiError::FalseStatement(_)) => Next::Later,
    }
}

/// How long to wait before try number `attempts` + 1: doubled each time from `min_ms` to `max_ms`, then between
/// half and all of it, by `jitter` from 0 to 65535.
pub fn back_off(attempts: u32, min_ms: u64, max_ms: u64, jitter: u16) -> Duration {
    let doubled = min_ms.saturating_mul(1u64 << attempts.saturating_sub(1).min(32)).clamp(min_ms, max_ms);
    let half = doubled / 2;
    Duration::from_millis(half + (doubled - half) * u64::from(jitter) / u64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_up_to_the_limit_and_never_below_half() {
        assert_eq!(back_off(1, 500, 30_000, u16::MAX), Duration::from_millis(500));
        assert_eq!(back_off(1, 500, 30_000, 0), Duration::from_millis(250));
        assert_eq!(back_off(3, 500, 30_000, u16::MAX), Duration::from_millis(2_000));
        assert_eq!(back_off(99, 500, 30_000, u16::MAX), Duration::from_millis(30_000));
    }

    #[test]
    fn no_error_ends_an_order() {
        let unknown = Err(ApiError::Unknown("deadline".into()));
        assert_eq!(judge(&unknown), Next::Later);
        assert_eq!(judge(&Err(ApiError::FalseStatement(Refusal::BadSignature))), Next::Later);
        assert_eq!(judge(&Ok(Known::Pending)), Next::Later);
        for refusal in Refusal::ALL {
            match judge(&Err(ApiError::Refused(*refusal))) {
                Next::State(State::Parked(name)) => assert_eq!(name, refusal.name()),
                Next::State(other) => panic!("{refusal:?} became {other:?}"),
                Next::Later | Next::NeedsSession(_) => {}
            }
        }
    }
}
