//! Bugs that reviewers fear, planted on purpose, so that a test can show that each is caught; and places at which
//! a test can end the process ([`kill`]).
//!
//! Without the feature `plantable`, and in every build without debug assertions, [`planted`] is `false` at
//! compile time and nothing of this is left in the program.

pub mod kill;

/// Whether this build can have a bug planted at all.
pub const PLANTABLE: bool = cfg!(all(feature = "plantable", debug_assertions));

macro_rules! bugs {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal;)+) => {
        /// One bug that can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Bug { $($(#[$doc])+ $variant,)+ }

        impl Bug {
            /// Every bug.
            pub const ALL: &'static [Bug] = &[$(Bug::$variant,)+];

            /// Its name on a command line.
            pub fn name(self) -> &'static str {
                match self { $(Bug::$variant => $name,)+ }
            }

            /// The bug of a name.
            pub fn from_name(name: &str) -> Option<Bug> {
                match name { $($name => Some(Bug::$variant),)+ _ => None }
            }
        }
    };
}

bugs! {
    /// `commit`, payer: the reply is ordered before the record.
    ReplyBeforeRecord = "reply-before-record";
    /// `commit`, payer: a later outcome for a key replaces the first.
    OutcomeOverwritten = "outcome-overwritten";
    /// `commit`, payer: other bytes under a key get that key's outcome.
    HashNotCompared = "hash-not-compared";
    /// `commit`, payer: a vote about other bytes counts.
    VoteOfOtherBytes = "vote-of-other-bytes";
    /// `commit`, payer: a cancel is answered without a record.
    CancelNotRecorded = "cancel-not-recorded";
    /// `commit`, payer: a forged order takes the key.
    ForgeryTakesKey = "forgery-takes-key";
    /// `commit`, payer: nothing is owed to the payee's bank.
    NothingOwed = "nothing-owed";
    /// `commit`, payee: a release that comes before its prepare leaves no tombstone.
    EarlyReleaseIgnored = "early-release-ignored";
    /// `commit`, payee: a second post is credited again.
    PostedTwice = "posted-twice";
    /// `commit`, coordinator: a time-out of the decision releases the promise.
    ReleaseOnTimeout = "release-on-timeout";
    /// `bank`: the writer answers before the journal is synced.
    AnswerBeforeSync = "answer-before-sync";
    /// `bank`: the payee's bank lets an old promise go by itself.
    PromiseExpires = "promise-expires";
    /// `bank`: promises are not replayed at start-up.
    PromiseForgotten = "promise-forgotten";
    /// `bank`: a vote's signature is not verified.
    VoteNotVerified = "vote-not-verified";
    /// `bank`: an outcome leaves memory before its projection has it.
    OutcomeEvictedEarly = "outcome-evicted-early";
    /// `bank`: a payment is taken whatever the account holds.
    FloorNotChecked = "floor-not-checked";
    /// `bank`: a promise is made whatever the payer's bank owes already.
    CapNotChecked = "cap-not-checked";
    /// `bank`: each refund of a payment is judged as if it were the first.
    RefundsNotSummed = "refunds-not-summed";
    /// `client`: an order that was sent before is made anew with another id.
    NewIdOnRetry = "new-id-on-retry";
    /// `client`: "queued" is said before the outbox is on the disk.
    QueuedBeforeSync = "queued-before-sync";
}

#[cfg(all(feature = "plantable", debug_assertions))]
mod switch {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Bug;

    /// One more than the planted bug; 0 is none.
    static PLANTED: AtomicU8 = AtomicU8::new(0);

    pub(crate) fn plant(bug: Option<Bug>) {
        PLANTED.store(bug.map_or(0, |bug| bug as u8 + 1), Ordering::SeqCst);
    }

    pub(crate) fn planted(bug: Bug) -> bool {
        PLANTED.load(Ordering::Relaxed) == bug as u8 + 1
    }
}

/// Plants a bug in this process, or takes it out. Without effect where nothing is [`PLANTABLE`].
pub fn plant(bug: Option<Bug>) {
    #[cfg(all(feature = "plantable", debug_assertions))]
    switch::plant(bug);
    let _ = bug;
}

/// Whether a bug is planted in this process.
#[inline]
pub fn planted(bug: Bug) -> bool {
    #[cfg(all(feature = "plantable", debug_assertions))]
    return switch::planted(bug);
    #[cfg(not(all(feature = "plantable", debug_assertions)))]
    {
        let _ = bug;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for bug in Bug::ALL {
            assert_eq!(Bug::from_name(bug.name()), Some(*bug));
        }
        assert_eq!(Bug::from_name("nothing"), None);
    }
}
