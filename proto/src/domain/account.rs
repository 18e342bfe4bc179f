//! Who an account belongs to is the bank's business; what one may look like stands here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use strife_commit::BankName;

use crate::Refusal;

/// Digits of an account number, the two check digits included.
const NUMBER_DIGITS: usize = 12;

/// Longest log-in name, in bytes.
const LOGIN_BYTES_MAX: usize = 32;

/// An account number: ten digits and two check digits (ISO 7064 MOD 97-10), so that a typo is found at the
/// keyboard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountNumber(u64);

impl AccountNumber {
    /// Appends the check digits to a body of ten digits; `None` if `body` is no such number.
    pub fn from_body(body: u64) -> Option<Self> {
        if !(1_000_000_000..10_000_000_000).contains(&body) {
            return None;
        }
        let check = 98 - (body * 100) % 97;
        Some(Self(body * 100 + check))
    }
}

impl FromStr for AccountNumber {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text.len() != NUMBER_DIGITS || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::BadAccount);
        }
        let number: u64 = text.parse().map_err(|_| Refusal::BadAccount)?;
        match Self::from_body(number / 100) {
            Some(valid) if valid.0 == number => Ok(valid),
            _ => Err(Refusal::BadAccount),
        }
    }
}

impl fmt::Display for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$}", self.0, width = NUMBER_DIGITS)
    }
}

impl fmt::Debug for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A person's log-in name at a bank: 1 to 32 of `a`–`z`, `0`–`9`, dot, hyphen, underscore, starting with a
/// letter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoginName(Arc<str>);

impl LoginName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LoginName {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        let well_formed = text.len() <= LOGIN_BYTES_MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(allowed);
        if well_formed { Ok(Self(Arc::from(text))) } else { Err(Refusal::BadAccount) }
    }
}

impl fmt::Display for LoginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LoginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How an order names its payee at the payee's bank.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PayeeAccount {
    /// By account number.
    Number(AccountNumber),
    /// By a person's log-in name: their first open account in the order's currency.
    Login(LoginName),
}

impl FromStr for PayeeAccount {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            text.parse().map(PayeeAccount::Number)
        } else {
            text.parse().map(PayeeAccount::Login)
        }
    }
}

impl fmt::Display for PayeeAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PayeeAccount::Number(number) => write!(f, "{number}"),
            PayeeAccount::Login(login) => write!(f, "{login}"),
        }
    }
}

/// A payee as a person writes it: `100000000142@Bank2` or `user2@Bank2`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountRef {
    /// The account or person.
    pub account: PayeeAccount,
    /// The bank.
    pub bank: BankName,
}

impl FromStr for AccountRef {
    type Err = Refusal;

    /// # Errors
    /// [`Refusal::BadAccount`] for the part before `@`, [`Refusal::UnknownBank`] for the part after it.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        let (account, bank) = text.trim().split_once('@').ok_or(Refusal::BadAccount)?;
        Ok(Self { account: account.parse()?, bank: BankName::new(bank).map_err(|_| Refusal::UnknownBank)? })
    }
}

impl fmt::Display for AccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.account, self.bank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_single_wrong_digit_and_every_swap_is_found(body in 1_000_000_000u64..10_000_000_000) {
            let number = AccountNumber::from_body(body).unwrap();
            let text = number.to_string();
            prop_assert_eq!(text.parse::<AccountNumber>(), Ok(number));
            let digits: Vec<u8> = text.bytes().collect();
            for place in 0..digits.len() {
                for digit in b'0'..=b'9' {
                    let mut wrong = digits.clone();
                    wrong[place] = digit;
                    if wrong != digits {
                        prop_assert!(String::from_utf8(wrong).unwrap().parse::<AccountNumber>().is_err());
                    }
                }
                if place > 0 && digits[place] != digits[place - 1] {
                    let mut swapped = digits.clone();
                    swapped.swap(place, place - 1);
                    prop_assert!(String::from_utf8(swapped).unwrap().parse::<AccountNumber>().is_err());
                }
            }
        }
    }

    #[test]
    fn payees_are_numbers_or_log_in_names_and_nothing_else() {
        assert!(matches!("user2".parse(), Ok(PayeeAccount::Login(_))));
        let number = AccountNumber::from_body(1_234_567_890).unwrap();
        assert_eq!(number.to_string().parse(), Ok(PayeeAccount::Number(number)));
        for bad in
            ["", "User2", "user 2", "12345", "a@b", "tap:00", "-", "ü", "١٢٣٤٥٦٧٨٩٠١٢", &"a".repeat(33)]
        {
            assert_eq!(bad.parse::<PayeeAccount>(), Err(Refusal::BadAccount), "{bad}");
        }
        assert_eq!("user2@".parse::<AccountRef>(), Err(Refusal::UnknownBank));
        assert_eq!("user2".parse::<AccountRef>(), Err(Refusal::BadAccount));
        assert_eq!("user2@Bank2".parse::<AccountRef>().unwrap().to_string(), "user2@Bank2");
    }
}
