//! The words of the protocol, each valid by construction. No rule of money stands here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest name of a bank, in bytes.
pub const BANK_NAME_BYTES_MAX: usize = 32;

/// Why a word could not be made from what came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WordError {
    /// A bank's name is 1 to 32 ASCII letters, digits or hyphens and starts with a letter.
    BankName,
    /// An id is 16 bytes; as text, 32 hexadecimal digits with or without hyphens.
    TransferId,
    /// A hash is 32 bytes (SHA-256).
    OrderHash,
    /// Not one of the protocol's codes.
    Code,
}

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WordError::BankName => {
                "a bank's name is 1 to 32 ASCII letters, digits or hyphens and starts with a letter"
            }
            WordError::TransferId => "a transfer's id is 16 bytes (32 hexadecimal digits)",
            WordError::OrderHash => "an order's hash is 32 bytes",
            WordError::Code => "not a known code",
        })
    }
}

impl std::error::Error for WordError {}

/// The name of a bank: 1 to 32 ASCII letters, digits or hyphens, starting with a letter. Case matters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BankName(Arc<str>);

impl BankName {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`WordError::BankName`] for anything else than the form above.
    pub fn new(name: &str) -> Result<Self, WordError> {
        let well_formed = name.len() <= BANK_NAME_BYTES_MAX
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if well_formed { Ok(Self(Arc::from(name))) } else { Err(WordError::BankName) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BankName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The 16 bytes that the payer's side chose for a transfer (UUIDv7 from clients). Unique only together with
/// the payer's bank: see [`Key`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransferId(pub [u8; 16]);

impl TransferId {
    /// Takes exactly 16 bytes.
    ///
    /// # Errors
    /// [`WordError::TransferId`] for any other length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, WordError> {
        bytes.try_into().map(Self).map_err(|_| WordError::TransferId)
    }
}

impl fmt::Display for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for TransferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TransferId {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        let digits: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
        if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(WordError::TransferId);
        }
        let mut id = [0u8; 16];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| WordError::TransferId)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| WordError::TransferId)?;
        }
        Ok(Self(id))
    }
}

/// SHA-256 of the order's exact bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderHash(pub [u8; 32]);

impl OrderHash {
    /// Takes exactly 32 bytes.
    ///
    /// # Errors
    /// [`WordError::OrderHash`] for any other length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, WordError> {
        bytes.try_into().map(Self).map_err(|_| WordError::OrderHash)
    }
}

impl fmt::Debug for OrderHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0[..8] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…")
    }
}

/// The key of a transfer: the payer's bank and the id. Everywhere, never the id alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The bank of record.
    pub bank: BankName,
    /// The id, unique at that bank.
    pub id: TransferId,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bank, self.id)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $sentence:literal;)+) => {
        /// Why a transfer was declined, or why a vote was no. Numbers and names are stable for ever.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $variant = $number,)+ }

        impl Code {
            /// Every code, in the order of their numbers.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)+];

            /// The stable name, as it stands in logs, files and the API.
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)+ }
            }

            /// What it means, in a sentence for a person.
            pub fn sentence(self) -> &'static str {
                match self { $(Code::$variant => $sentence,)+ }
            }
        }
    };
}

codes! {
    /// The available balance does not reach.
    InsufficientFunds = 1, "INSUFFICIENT_FUNDS", "There is not enough money available in the account.";
    /// No such payee at the payee's bank.
    UnknownAccount = 2, "UNKNOWN_ACCOUNT", "The payee's bank knows no such account.";
    /// One of the two accounts is closed.
    AccountClosed = 3, "ACCOUNT_CLOSED", "The account is closed.";
    /// One of the two accounts is frozen.
    AccountFrozen = 4, "ACCOUNT_FROZEN", "The account is frozen.";
    /// An account is kept in another currency.
    CurrencyMismatch = 5, "CURRENCY_MISMATCH", "The account is kept in another currency.";
    /// A limit of the payer's account or of its member.
    LimitExceeded = 6, "LIMIT_EXCEEDED", "The payment is over a limit.";
    /// The person may see the account but not pay from it.
    NotPermitted = 7, "NOT_PERMITTED", "This person may not pay from this account.";
    /// The payer's bank's clock had passed the order's expiry.
    Expired = 8, "EXPIRED", "The order's time had run out.";
    /// Cancelled before it was decided.
    Cancelled = 9, "CANCELLED", "The payment was cancelled.";
    /// An approver said no.
    Rejected = 10, "REJECTED", "An approver rejected the payment.";
    /// The payee's bank's cap for the payer's bank would be passed.
    SettlementCap = 11, "SETTLEMENT_CAP", "The payee's bank takes no more from this bank until the two have settled.";
    /// The payee's balance would not fit 64 bits.
    BalanceLimit = 12, "BALANCE_LIMIT", "The payee's account cannot hold that much.";
    /// Payer and payee are the same account.
    SameAccount = 13, "SAME_ACCOUNT", "Payer and payee are the same account.";
    /// The payee's bank had already released these bytes.
    Released = 14, "RELEASED", "The payee's bank had already been told to let this payment go.";
    /// Made before a restore and unknown after it.
    Restored = 15, "RESTORED", "The bank was restored from a backup and does not know this order.";
    /// A refund of what was not credited to the account that pays, or to another than its payer.
    NotRefundable = 16, "NOT_REFUNDABLE", "There is no such payment to refund from this account.";
    /// The refunds of a payment would come to more than the payment.
    RefundExceeds = 17, "REFUND_EXCEEDS", "More than was paid cannot be refunded.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TryFrom<i32> for Code {
    type Error = WordError;

    fn try_from(number: i32) -> Result<Self, WordError> {
        Code::ALL.iter().copied().find(|code| *code as i32 == number).ok_or(WordError::Code)
    }
}

/// The two final outcomes of a transfer. Written once by the payer's bank and never changed (I4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// The money has left the payer's account.
    Posted,
    /// Nothing moved, and nothing ever will under this key.
    Declined(Code),
}

/// What the payee's bank answers to `Prepare`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Vote {
    /// A durable promise stands behind this vote.
    Yes,
    /// Nothing is promised.
    No(Code),
    /// The other half has not come yet (tap to pay); there is nothing to decide.
    Waiting,
}

/// Where the payee's bank put the money of a `Post`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Placement {
    /// On the payee's account.
    Account,
    /// On the suspense account, because the payee's account could not take it. Somebody must look.
    Suspense,
}

/// What the payee's bank acknowledges after `Post` or `Release`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Acknowledgement {
    /// The money is placed.
    Credited(Placement),
    /// No promise stands, and none can be made for these bytes.
    Released,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bank_name_is_checked() {
        for good in ["Bank1", "a", "North-West-Credit-Union"] {
            assert_eq!(BankName::new(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(33);
        for bad in ["", "1bank", "bank 1", "bänk", "-x", long.as_str(), "a/b"] {
            assert_eq!(BankName::new(bad), Err(WordError::BankName), "{bad}");
        }
    }

    #[test]
    fn an_id_survives_its_text_form_and_nothing_else_parses() {
        let id = TransferId(*b"0123456789abcdef");
        assert_eq!(id.to_string().parse::<TransferId>().unwrap(), id);
        for bad in [
            "",
            "zz",
            "30313233-3435-3637-3839-61626364656",
            "+0313233343536373839616263646566 ",
            "+a313233343536373839616263646566aa",
        ] {
            assert!(bad.parse::<TransferId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn codes_have_distinct_stable_numbers_and_names() {
        for (index, code) in Code::ALL.iter().enumerate() {
            assert_eq!(*code as usize, index + 1);
            assert_eq!(Code::try_from(*code as i32), Ok(*code));
            assert!(code.sentence().ends_with('.'));
            assert!(Code::ALL.iter().filter(|other| other.name() == code.name()).count() == 1);
        }
        assert!(Code::try_from(0).is_err());
    }
}
