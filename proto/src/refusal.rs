//! A refusal is a door's answer that records nothing: this call changed no balance. It is never an outcome.

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

/// Metadata key under which a refusal's stable name travels.
pub const REFUSAL_KEY: &str = "strife-refusal";

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $grpc:ident, $sentence:literal;)+) => {
        /// Why a door refused. Names are stable for ever; see [`Refusal::name`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Refusal { $($(#[$doc])* $variant,)+ }

        impl Refusal {
            /// Every refusal.
            pub const ALL: &'static [Refusal] = &[$(Refusal::$variant,)+];

            /// The stable name, as it stands in logs and metadata.
            pub fn name(self) -> &'static str {
                match self { $(Refusal::$variant => $name,)+ }
            }

            /// What it means and what to do, in a sentence for a person.
            pub fn sentence(self) -> &'static str {
                match self { $(Refusal::$variant => $sentence,)+ }
            }

            fn grpc(self) -> Code {
                match self { $(Refusal::$variant => Code::$grpc,)+ }
            }
        }
    };
}

refusals! {
    /// The bytes are not a message of this contract, or not in its one encoding.
    Malformed = "MALFORMED", InvalidArgument, "The message is not well formed.";
    /// The order's version is not 1.
    UnknownVersion = "UNKNOWN_VERSION", InvalidArgument, "The order is of a version that is not known here.";
    /// Something that this version of the contract names and does not do yet.
    NotSupported = "NOT_SUPPORTED", Unimplemented, "This network does not do that yet.";
    /// Made for another network.
    WrongNetwork = "WRONG_NETWORK", InvalidArgument, "The order was made for another network.";
    /// An id that is not 16 bytes.
    BadId = "BAD_ID", InvalidArgument, "The transfer's id is not 16 bytes.";
    /// No such bank in the roster.
    UnknownBank = "UNKNOWN_BANK", NotFound, "This network has no bank of that name.";
    /// The bank is in the roster but not reached.
    BankUnreachable = "BANK_UNREACHABLE", Unavailable, "The bank cannot be reached at the moment.";
    /// The order's payer's bank is not the caller's, or not this bank.
    NotPayersBank = "NOT_PAYERS_BANK", InvalidArgument, "The order belongs to another bank.";
    /// Sent to a bank that is not the payee's.
    NotPayeesBank = "NOT_PAYEES_BANK", InvalidArgument, "The payee is at another bank.";
    /// Zero or negative.
    AmountNotPositive = "AMOUNT_NOT_POSITIVE", InvalidArgument, "The amount must be more than zero.";
    /// Not a decimal number.
    AmountNotANumber = "AMOUNT_NOT_A_NUMBER", InvalidArgument, "The amount is not a number like 12.34.";
    /// More decimals than the currency has.
    TooManyDecimals = "TOO_MANY_DECIMALS", InvalidArgument, "The currency has fewer decimals than that.";
    /// Does not fit 64 bits of minor units.
    AmountTooLarge = "AMOUNT_TOO_LARGE", InvalidArgument, "The amount is too large.";
    /// Not an ISO 4217 code.
    UnknownCurrency = "UNKNOWN_CURRENCY", InvalidArgument, "There is no currency of that code.";
    /// Check digits wrong, or not an account at all.
    BadAccount = "BAD_ACCOUNT", InvalidArgument, "That is not an account number: a digit is wrong or missing.";
    /// Too long, or with control or direction-changing characters.
    BadText = "BAD_TEXT", InvalidArgument, "The text is too long, or has control or direction-changing characters.";
    /// Payer and payee are the same account.
    SameAccount = "SAME_ACCOUNT", InvalidArgument, "Payer and payee are the same account.";
    /// `expires_at` is further ahead than the bank allows.
    ExpiryTooFar = "EXPIRY_TOO_FAR", InvalidArgument, "The order would live longer than the bank allows; is this machine's clock right?";
    /// A signature or statement that does not verify.
    BadSignature = "BAD_SIGNATURE", PermissionDenied, "A signature is not valid.";
    /// Not this caller's to do: the policy, a cancel of another's order, a device of another person.
    NotAllowed = "NOT_ALLOWED", PermissionDenied, "This caller may not do that.";
    /// No session came with the call.
    SessionMissing = "SESSION_MISSING", Unauthenticated, "Please sign in.";
    /// The session is over.
    SessionExpired = "SESSION_EXPIRED", Unauthenticated, "The session has ended. Please sign in again.";
    /// The token is not valid, or belongs to another certificate.
    SessionInvalid = "SESSION_INVALID", Unauthenticated, "The session is not valid on this connection. Please sign in again.";
    /// Unknown person or wrong password; the two are not told apart.
    BadCredentials = "BAD_CREDENTIALS", Unauthenticated, "The name or the password is not right.";
    /// A sealed log-in that is old, ahead of time, or used.
    StaleLogin = "STALE_LOGIN", InvalidArgument, "The log-in is too old or was used before; is this machine's clock right?";
    /// Too many tries.
    Throttled = "THROTTLED", ResourceExhausted, "Too many tries. Please wait a minute.";
    /// A queue is full.
    Busy = "BUSY", ResourceExhausted, "Too much is going on at the moment. Please try again.";
    /// A page cursor of another length than a bank makes.
    BadCursor = "BAD_CURSOR", InvalidArgument, "The page marker is not valid.";
    /// No such account, person or row for this caller.
    NotFound = "NOT_FOUND", NotFound, "There is no such thing here.";
    /// The log-in name exists.
    AlreadyExists = "ALREADY_EXISTS", AlreadyExists, "That name is taken.";
    /// The account's floor would be passed (administration).
    WouldOverdraw = "WOULD_OVERDRAW", FailedPrecondition, "There is not enough money in the account for that.";
    /// A vote about other bytes, or an acknowledgement of nothing.
    OutOfPlace = "OUT_OF_PLACE", FailedPrecondition, "The message does not fit what is recorded.";
    /// The payer's bank signed both an outcome and its opposite.
    Contradiction = "CONTRADICTION", FailedPrecondition, "The statement contradicts an earlier one and was not applied.";
}

impl Refusal {
    /// The refusal of a stable name.
    pub fn from_name(name: &str) -> Option<Self> {
        Refusal::ALL.iter().copied().find(|refusal| refusal.name() == name)
    }

    /// Whether it is about the caller's session and not about what was asked: signing in again mends it.
    pub fn wants_sign_in(self) -> bool {
        matches!(self, Refusal::SessionMissing | Refusal::SessionExpired | Refusal::SessionInvalid)
    }

    /// The refusal that a status carries, if it is one. Any other error status means that nothing is known.
    pub fn from_status(status: &Status) -> Option<Self> {
        Self::from_name(status.metadata().get(REFUSAL_KEY)?.to_str().ok()?)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.sentence())
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for crate::v1::Refused {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.name().to_owned(), sentence: refusal.sentence().to_owned() }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let mut status = Status::new(refusal.grpc(), refusal.sentence());
        status.metadata_mut().insert(REFUSAL_KEY, MetadataValue::from_static(refusal.name()));
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_survives_the_wire_and_no_other_status_is_one() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_status(&Status::from(*refusal)), Some(*refusal));
        }
        assert_eq!(Refusal::from_status(&Status::unavailable("connection reset")), None);
    }
}
