//! What a person is typing: the log-in and the transfer, with their checks as one types.

use strife_client::view::{AccountView, View};
use strife_client::{
    AccountRef, BankName, Currency, Key, MEMO_CHARS_MAX, Money, Payment, Refusal, clean_text,
};
use tui_input::{Input, InputRequest};
use zeroize::Zeroizing;

/// Longest text in one field, in characters; pasted megabytes end here.
const FIELD_CHARS_MAX: usize = 200;

/// Puts text into a field, without what cannot stand there.
pub fn insert(input: &mut Input, text: &str) {
    for c in text.chars().filter(|c| !c.is_control()).take(FIELD_CHARS_MAX) {
        if input.value().chars().count() < FIELD_CHARS_MAX {
            input.handle(InputRequest::InsertChar(c));
        }
    }
}

/// The fields of the log-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginField {
    /// Which bank.
    Bank,
    /// Log-in name.
    Person,
    /// Password.
    Password,
}

/// The log-in form.
#[derive(Clone, Debug)]
pub struct LoginForm {
    /// Which bank, by its place in the list.
    pub bank: usize,
    /// Log-in name.
    pub person: Input,
    /// Password; shown as dots.
    pub password: Zeroizing<String>,
    /// Where one types.
    pub field: LoginField,
    /// Stay signed in on this machine.
    pub keep: bool,
    /// On its way.
    pub busy: bool,
    /// What went wrong.
    pub error: Option<String>,
}

impl Default for LoginForm {
    fn default() -> Self {
        Self {
            bank: 0,
            person: Input::default(),
            password: Zeroizing::new(String::new()),
            field: LoginField::Person,
            keep: false,
            busy: false,
            error: None,
        }
    }
}

impl LoginForm {
    /// Puts a character into the password.
    pub fn push_password(&mut self, c: char) {
        if !c.is_control() && self.password.chars().count() < FIELD_CHARS_MAX {
            self.password.push(c);
        }
    }
}

/// The fields of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferField {
    /// From which account.
    From,
    /// To whom.
    To,
    /// How much.
    Amount,
    /// What for.
    Memo,
}

impl TransferField {
    /// All, in order.
    pub const ALL: [TransferField; 4] = [Self::From, Self::To, Self::Amount, Self::Memo];

    /// The next one, or the one before, around.
    pub fn step(self, forward: bool) -> Self {
        let at = Self::ALL.iter().position(|field| *field == self).unwrap_or(0);
        let count = Self::ALL.len();
        Self::ALL[(at + if forward { 1 } else { count - 1 }) % count]
    }
}

/// The transfer form.
#[derive(Clone, Debug)]
pub struct TransferForm {
    /// From which account, by its place in the list.
    pub from: usize,
    /// To whom.
    pub to: Input,
    /// How much.
    pub amount: Input,
    /// What for.
    pub memo: Input,
    /// Where one types.
    pub field: TransferField,
    /// It was tried to send it: show what is missing too.
    pub tried: bool,
    /// The chosen one of the suggested payees.
    pub suggestion: Option<usize>,
    /// It gives back a payment: which, and how much of it can still be given back, where that is known.
    pub refund: Option<Refund>,
}

/// What a refund gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The payment.
    pub of: Key,
    /// What can still be given back, in minor units; the bank judges it in any case.
    pub at_most: Option<i64>,
}

impl Default for TransferForm {
    fn default() -> Self {
        Self {
            from: 0,
            to: Input::default(),
            amount: Input::default(),
            memo: Input::default(),
            field: TransferField::To,
            tried: false,
            suggestion: None,
            refund: None,
        }
    }
}

/// What a check of a field says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Nothing typed yet.
    Empty,
    /// All is well, with what to say about it.
    Good(String),
    /// It can be sent, but look.
    Warn(String),
    /// It cannot be sent.
    Bad(String),
}

impl TransferForm {
    /// The chosen account.
    pub fn account<'a>(&self, view: &'a View) -> Option<&'a AccountView> {
        view.profile.as_ref()?.accounts.get(self.from)
    }

    /// The field that one types into.
    pub fn input(&mut self) -> Option<&mut Input> {
        match self.field {
            // a refund goes back to where it came from
            TransferField::From => None,
            TransferField::To if self.refund.is_some() => None,
            TransferField::To => Some(&mut self.to),
            TransferField::Amount => Some(&mut self.amount),
            TransferField::Memo => Some(&mut self.memo),
        }
    }

    /// What the payee's field says. A payee without `@` is one of the payer's own bank.
    ///
    /// # Errors
    /// The [`Refusal`] of what is wrong.
    pub fn payee(&self, view: &View) -> Result<AccountRef, Refusal> {
        let text = self.to.value().trim();
        let own_bank = view.profile.as_ref().map(|profile| profile.bank.as_str()).unwrap_or_default();
        let payee: AccountRef =
            if text.contains('@') { text.parse()? } else { format!("{text}@{own_bank}").parse()? };
        if !view.banks.is_empty() && !view.banks.iter().any(|(name, _)| name == payee.bank.as_str()) {
            return Err(Refusal::UnknownBank);
        }
        Ok(payee)
    }

    fn refund_limit(&self) -> Option<i64> {
        self.refund.as_ref().and_then(|refund| refund.at_most)
    }

    fn money(&self, view: &View) -> Result<Money, Refusal> {
        let account = self.account(view).ok_or(Refusal::NotFound)?;
        Money::parse(self.amount.value(), Currency::new(&account.currency)?)
    }

    /// The payment, if everything is right.
    ///
    /// # Errors
    /// The [`Refusal`] of the first field that is not.
    pub fn payment(&self, view: &View) -> Result<Payment, Refusal> {
        let account = self.account(view).ok_or(Refusal::NotFound)?;
        let memo = self.memo.value().trim().to_owned();
        clean_text(&memo, MEMO_CHARS_MAX)?;
        let from = account.number.parse()?;
        let to = self.payee(view)?;
        let own = format!("{}@{}", account.number, view.profile.as_ref().map_or("", |p| &p.bank));
        if to.to_string() == own {
            return Err(Refusal::SameAccount);
        }
        let refund_of = self.refund.as_ref().map(|refund| refund.of.clone());
        Ok(Payment { from, to, amount: self.money(view)?, memo, refund_of })
    }

    /// Nothing is filled in.
    pub fn is_empty(&self) -> bool {
        [&self.to, &self.amount, &self.memo].iter().all(|input| input.value().is_empty())
    }

    /// Checks one field as it stands. What `hides` hides of balances no check tells.
    pub fn check(&self, field: TransferField, view: &View, hides: bool) -> Check {
        // balances are not kept after signing out
        let kept = view.profile.as_ref().is_some_and(|profile| profile.as_of_ms > 0);
        let known = kept && !hides;
        let bad = |refusal: Refusal| Check::Bad(refusal.sentence().to_owned());
        match field {
            TransferField::From => match self.account(view) {
                Some(_) if !kept => Check::Good("the balance is not known while signed out".into()),
                Some(_) if hides => Check::Good("the balance is hidden".into()),
                Some(account) => Check::Good(format!(
                    "{} {} available",
                    crate::format::amount(account.available, &account.currency),
                    account.currency
                )),
                None => Check::Bad("There is no account to pay from.".into()),
            },
            TransferField::To if self.to.value().trim().is_empty() => Check::Empty,
            TransferField::To => match self.payee(view) {
                Ok(payee) => Check::Good(payee.to_string()),
                Err(refusal) => bad(refusal),
            },
            TransferField::Amount if self.amount.value().trim().is_empty() => Check::Empty,
            TransferField::Amount => match (self.money(view), self.account(view)) {
                (Ok(money), _) if self.refund_limit().is_some_and(|most| money.minor_units() > most) => {
                    Check::Bad("More than can still be given back.".into())
                }
                (Ok(money), Some(account)) if known && money.minor_units() > account.available => {
                    Check::Warn("More than is available now: the bank would decline it.".into())
                }
                (Ok(money), _) => Check::Good(money.to_string()),
                (Err(refusal), _) => bad(refusal),
            },
            TransferField::Memo => match clean_text(self.memo.value(), MEMO_CHARS_MAX) {
                Ok(()) if self.memo.value().is_empty() => Check::Empty,
                Ok(()) => Check::Good(format!("{} of {MEMO_CHARS_MAX}", self.memo.value().chars().count())),
                Err(refusal) => bad(refusal),
            },
        }
    }
}

/// The bank of a place in the list.
pub fn bank_at(view: &View, place: usize) -> Option<BankName> {
    view.banks.get(place).and_then(|(name, _)| BankName::new(name).ok())
}
