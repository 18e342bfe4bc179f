//! The auditor: rebuilds what must be true from requests and replies alone, and judges every reply.
//!
//! It sees no ledger and no clock but its own count of events. Each order was decided at some moment between
//! the first event that asked for it and the first reply that told its end; each balance was read between its
//! question and its answer. Whatever no order of those moments can explain is a violation.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use strife_client::Verdict;
use strife_client::api::{ApiError, Known};
use strife_client::outbox::Credit;
use strife_proto::commit::{BankName, Code, Key, OrderHash};
use strife_proto::domain::{AccountNumber, Order, PayeeAccount, ReceivedOrder};
use strife_proto::statement::Word;
use strife_proto::v1;

/// How an order ended, by the payer's bank's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// The payee has the money, or will.
    Posted,
    /// Nothing moved.
    Declined(Code),
    /// Another order holds the key.
    Conflict,
    /// Not signed by somebody with a right.
    Void,
}

/// An account that the auditor knows.
#[derive(Clone, Debug)]
pub struct Account {
    /// The log-in name of its owner.
    pub login: String,
    /// What was paid in before the first order, in minor units.
    pub opening: i64,
}

/// What an order may come to beside the ordinary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nature {
    /// Its signature is not its maker's.
    pub forged: bool,
    /// Its time may run out within the test.
    pub may_expire: bool,
    /// Every door must refuse it, so that it never ends: of another bank, or for another network.
    pub refused: bool,
    /// Its payee's bank does not keep to the protocol: it can only be cancelled.
    pub never_votes: bool,
}

/// One order, as requests and replies tell it.
#[derive(Clone, Debug)]
pub struct Audited {
    /// What it says.
    pub order: Order,
    /// What it may come to.
    pub nature: Nature,
    /// The first event that asked for it.
    pub asked: Option<u64>,
    /// The first event that asked for its cancel.
    pub cancel_asked: Option<u64>,
    /// Its end, and the event that told it first.
    pub ended: Option<(u64, Ended)>,
    /// The event that told first that the payee's account has the money.
    pub credited: Option<u64>,
    /// It went to the payee's bank's suspense account.
    pub suspended: bool,
    /// Doors that refused it.
    pub refusals: BTreeSet<&'static str>,
}

#[derive(Clone, Debug)]
struct Reading {
    account: (BankName, AccountNumber),
    asked: u64,
    replied: u64,
    posted: i64,
}

/// How much was judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Orders asked for.
    pub orders: usize,
    /// That posted.
    pub posted: usize,
    /// That were declined.
    pub declined: usize,
    /// Of these, cancelled.
    pub cancelled: usize,
    /// That ended as a conflict or void.
    pub never: usize,
    /// Refunds among those that posted.
    pub refunds: usize,
    /// Refunds that were declined because they refund nothing, or too much.
    pub refunds_declined: usize,
    /// Replies about orders.
    pub replies: usize,
    /// Balances read.
    pub readings: usize,
}

impl Judged {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            orders: self.orders + other.orders,
            posted: self.posted + other.posted,
            declined: self.declined + other.declined,
            cancelled: self.cancelled + other.cancelled,
            never: self.never + other.never,
            refunds: self.refunds + other.refunds,
            refunds_declined: self.refunds_declined + other.refunds_declined,
            replies: self.replies + other.replies,
            readings: self.readings + other.readings,
        }
    }
}

/// What doors say of an order that no try of the same bytes can mend.
pub const REFUSED_FOR_GOOD: [&str; 2] = ["NOT_PAYERS_BANK", "WRONG_NETWORK"];

/// The auditor of one network.
#[derive(Clone, Debug, Default)]
pub struct Auditor {
    accounts: BTreeMap<(BankName, AccountNumber), Account>,
    orders: BTreeMap<(Key, OrderHash), Audited>,
    readings: Vec<Reading>,
    replies: usize,
    now: u64,
    violations: Vec<String>,
    /// Declines for the settlement cap may happen.
    pub caps_are_tight: bool,
}

impl Auditor {
    fn next(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    /// An account with its opening balance.
    pub fn account(&mut self, bank: &BankName, number: AccountNumber, login: &str, opening: i64) {
        self.accounts.insert((bank.clone(), number), Account { login: login.to_owned(), opening });
    }

    /// Every account.
    pub fn accounts(&self) -> &BTreeMap<(BankName, AccountNumber), Account> {
        &self.accounts
    }

    /// Every order that was asked for or promised to be.
    pub fn orders(&self) -> &BTreeMap<(Key, OrderHash), Audited> {
        &self.orders
    }

    fn order(&mut self, order: &ReceivedOrder, nature: Nature) -> &mut Audited {
        self.orders.entry((order.key().clone(), order.hash())).or_insert_with(|| Audited {
            order: order.order().clone(),
            nature,
            asked: None,
            cancel_asked: None,
            ended: None,
            credited: None,
            suspended: false,
            refusals: BTreeSet::new(),
        })
    }

    /// An order leaves, or may leave, for a gateway.
    pub fn asks(&mut self, order: &ReceivedOrder, nature: Nature) {
        let now = self.next();
        self.order(order, nature).asked.get_or_insert(now);
    }

    /// A cancel leaves for a gateway.
    pub fn asks_cancel(&mut self, order: &ReceivedOrder, nature: Nature) {
        let now = self.next();
        self.order(order, nature).cancel_asked.get_or_insert(now);
    }

    /// A reply about an order that was asked for.
    pub fn hears(&mut self, order: &ReceivedOrder, reply: &Result<Known, ApiError>) {
        self.replies += 1;
        match reply {
            Ok(Known::Ended { statement, credit }) => {
                let ended = match statement.word {
                    Word::Outcome(Verdict::Posted) => Ended::Posted,
                    Word::Outcome(Verdict::Declined(code)) => Ended::Declined(code),
                    Word::Conflict => Ended::Conflict,
                    Word::Void => Ended::Void,
                    Word::Vote(_) | Word::Acknowledgement(_) => {
                        return self.violations.push(format!("{} ended by no outcome", order.key()));
                    }
                };
                self.hears_end(order, ended, *credit);
            }
            // a question about its end is heard by `hears_outcome`
            Ok(Known::Pending | Known::Unrecorded) | Err(ApiError::Unknown(_)) => {
                self.next();
            }
            Err(ApiError::Refused(refusal)) => {
                self.next();
                self.order(order, Nature::default()).refusals.insert(refusal.name());
            }
            Err(ApiError::FalseStatement(why)) => {
                self.violations.push(format!("{}: a false statement came back ({why})", order.key()));
            }
        }
    }

    /// The end of an order is about to be asked for; give the answer to [`Auditor::hears_outcome`].
    pub fn asks_outcome(&mut self) -> u64 {
        self.next()
    }

    /// A reply to the question for an order's end. What was told to have ended before it was asked for cannot be
    /// unrecorded.
    pub fn hears_outcome(&mut self, asked: u64, order: &ReceivedOrder, reply: &Result<Known, ApiError>) {
        let told = self.orders.get(&(order.key().clone(), order.hash())).and_then(|audited| audited.ended);
        if let (Ok(Known::Unrecorded), Some((told, ended @ (Ended::Posted | Ended::Declined(_))))) =
            (reply, told)
            && told < asked
        {
            self.violations.push(format!("I5: {} was told to be {ended:?}, and is unrecorded", order.key()));
        }
        self.hears(order, reply);
    }

    /// An end that a client tells of, and what it tells of the payee's side.
    pub fn hears_end(&mut self, order: &ReceivedOrder, ended: Ended, credit: Credit) {
        let now = self.next();
        let audited = self.order(order, Nature::default());
        match audited.ended {
            None => audited.ended = Some((now, ended)),
            Some((_, before)) if before == ended => {}
            Some((_, before)) => {
                let what = format!("{}: first {before:?}, then {ended:?}", order.key());
                return self.violations.push(what);
            }
        }
        match credit {
            Credit::Account => {
                audited.credited.get_or_insert(now);
            }
            Credit::Suspense => audited.suspended = true,
            Credit::Unconfirmed => {}
        }
    }

    /// A balance is about to be read; give the result to [`Auditor::reads`].
    pub fn begins_reading(&mut self) -> u64 {
        self.next()
    }

    /// Balances as a bank told them.
    pub fn reads(&mut self, asked: u64, bank: &BankName, accounts: &[v1::Account]) {
        let replied = self.next();
        for account in accounts {
            let Ok(number) = account.number.parse() else {
                self.violations.push(format!("{} is no account number", account.number));
                continue;
            };
            if account.available < 0 {
                self.violations.push(format!("account {number} has {} available", account.available));
            }
            let account_of = (bank.clone(), number);
            self.readings.push(Reading { account: account_of, asked, replied, posted: account.posted });
        }
    }

    /// The account that an order pays into; `None` if there is no such account.
    pub fn payee_of(&self, order: &Order) -> Option<(BankName, AccountNumber)> {
        let bank = &order.payee.bank;
        match &order.payee.account {
            PayeeAccount::Number(number) => {
                let account = (bank.clone(), *number);
                self.accounts.contains_key(&account).then_some(account)
            }
            PayeeAccount::Login(login) => self
                .accounts
                .iter()
                .find(|((at, _), account)| at == bank && account.login == login.to_string())
                .map(|(account, _)| account.clone()),
        }
    }

    /// The least and the most that an account can have held between two events, but for one order of its own.
    fn bounds(
        &self,
        account: &(BankName, AccountNumber),
        (from, until): (u64, u64),
        but: Option<&(Key, OrderHash)>,
    ) -> (i64, i64) {
        let opening = self.accounts.get(account).map_or(0, |account| account.opening);
        let (mut least, mut most) = (opening, opening);
        for (id, audited) in &self.orders {
            let posted = matches!(audited.ended, Some((_, Ended::Posted)));
            if but == Some(id) || !posted {
                continue;
            }
            let amount = audited.order.amount.minor_units();
            let possibly = audited.asked.is_some_and(|asked| asked < until);
            let told = audited.ended.is_some_and(|(told, _)| told <= from);
            if (&audited.order.key.bank, audited.order.payer) == (&account.0, account.1) {
                least -= if possibly { amount } else { 0 };
                most -= if told { amount } else { 0 };
            }
            if !audited.suspended && self.payee_of(&audited.order).as_ref() == Some(account) {
                // inside one bank the decision is the credit
                let credited =
                    audited.credited.is_some_and(|at| at <= from) || (told && !audited.order.is_interbank());
                least += if credited { amount } else { 0 };
                most += if possibly { amount } else { 0 };
            }
        }
        (least, most)
    }

    /// Judges everything that was heard. Call it when every order has come to its end.
    pub fn judge(&self) -> (Judged, Vec<String>) {
        let mut violations = self.violations.clone();
        let mut judged = Judged {
            orders: self.orders.len(),
            replies: self.replies,
            readings: self.readings.len(),
            ..Judged::default()
        };
        let mut posted_keys: BTreeMap<&Key, usize> = BTreeMap::new();
        for (id, audited) in &self.orders {
            match audited.ended {
                Some((_, Ended::Posted)) => {
                    judged.posted += 1;
                    judged.refunds += usize::from(audited.order.refund_of.is_some());
                    *posted_keys.entry(&id.0).or_default() += 1;
                }
                Some((_, Ended::Declined(code))) => {
                    judged.declined += 1;
                    judged.cancelled += usize::from(code == Code::Cancelled);
                    let as_refund = matches!(code, Code::NotRefundable | Code::RefundExceeds);
                    judged.refunds_declined += usize::from(as_refund);
                }
                Some((_, Ended::Conflict | Ended::Void)) => judged.never += 1,
                None => {}
            }
            if let Some(wrong) = self.wrong_end(id, audited) {
                violations.push(format!("{}: {wrong}", id.0));
            }
        }
        for (key, count) in posted_keys.into_iter().filter(|(_, count)| *count > 1) {
            violations.push(format!("{key}: {count} different orders posted under one key"));
        }
        violations.extend(self.refunded_too_much());
        for reading in &self.readings {
            let (least, most) = self.bounds(&reading.account, (reading.asked, reading.replied), None);
            if !(least..=most).contains(&reading.posted) {
                violations.push(format!(
                    "account {}@{} was said to hold {}, which can only have been {least} to {most}",
                    reading.account.1, reading.account.0, reading.posted
                ));
            }
        }
        (judged, violations)
    }

    /// Why an end cannot be, if it cannot.
    fn wrong_end(&self, id: &(Key, OrderHash), audited: &Audited) -> Option<String> {
        let Some((told, ended)) = audited.ended else {
            // what left came to its end, unless every door had to refuse it
            let never_left = audited.asked.is_none() && audited.cancel_asked.is_none();
            let strange: Vec<_> =
                audited.refusals.iter().filter(|name| !REFUSED_FOR_GOOD.contains(name)).collect();
            return match audited.nature.refused {
                _ if never_left => None,
                false => Some(format!("I9: never came to an end; refused as {:?}", audited.refusals)),
                true if audited.refusals.len() == strange.len() => {
                    Some(format!("was to be refused, and was not but as {strange:?}"))
                }
                true => None,
            };
        };
        if audited.nature.refused {
            return Some(format!("I12: was to be refused and ended {ended:?}"));
        }
        if audited.nature.never_votes && ended == Ended::Posted {
            return Some("I3: posted without its payee's bank's vote".to_owned());
        }
        let asked = audited.asked.unwrap_or(told);
        let payer = (audited.order.key.bank.clone(), audited.order.payer);
        let amount = audited.order.amount.minor_units();
        let (least, most) = self.bounds(&payer, (asked, told), Some(id));
        let payee = self.payee_of(&audited.order);
        let nature = audited.nature;
        if let Some(wrong) = self.wrong_refund(id, audited, ended, (asked, told)) {
            return Some(wrong.to_owned());
        }
        let wrong = match ended {
            Ended::Posted if nature.forged => "posted with a forged signature",
            Ended::Posted if payee.is_none() => "posted to an account that there is not",
            Ended::Posted if most < amount => {
                return Some(format!("posted {amount} where there were {most} at the most"));
            }
            Ended::Posted | Ended::Declined(_) | Ended::Conflict
                if audited.asked.is_none() && audited.cancel_asked.is_none() =>
            {
                "ended and was never sent"
            }
            Ended::Declined(Code::InsufficientFunds) if least >= amount => {
                return Some(format!("declined for {amount} where there were {least} at the least"));
            }
            Ended::Declined(Code::UnknownAccount) if payee.is_some() => "declined for a payee that there is",
            Ended::Declined(Code::Cancelled) if audited.cancel_asked.is_none_or(|asked| asked > told) => {
                "declined as cancelled, and nobody had asked for it"
            }
            Ended::Declined(Code::Expired) if !nature.may_expire => {
                "declined as expired long before its time"
            }
            Ended::Declined(Code::SettlementCap) if !self.caps_are_tight => "declined for a wide cap",
            Ended::Declined(
                Code::InsufficientFunds
                | Code::UnknownAccount
                | Code::Cancelled
                | Code::Expired
                | Code::SettlementCap
                | Code::NotRefundable
                | Code::RefundExceeds,
            )
            | Ended::Posted => return None,
            Ended::Declined(code) => return Some(format!("declined with {code:?}, for no reason")),
            Ended::Void if !nature.forged => "void with its maker's own signature",
            Ended::Conflict if !self.has_rival(id) => "in conflict with nothing",
            Ended::Void | Ended::Conflict => return None,
        };
        Some(wrong.to_owned())
    }

    /// Why an end cannot be that of a refund, or of a payment that is none, if it cannot.
    fn wrong_refund(
        &self,
        id: &(Key, OrderHash),
        audited: &Audited,
        ended: Ended,
        (asked, told): (u64, u64),
    ) -> Option<&'static str> {
        let declined = matches!(ended, Ended::Declined(Code::NotRefundable | Code::RefundExceeds));
        let Some(key) = &audited.order.refund_of else {
            return declined.then_some("declined as a refund, and it is none");
        };
        let original = self.original(&audited.order, key).filter(|one| one.asked.is_some_and(|at| at < told));
        let Some(original) = original else {
            let for_nothing = matches!(ended, Ended::Posted | Ended::Declined(Code::RefundExceeds));
            return for_nothing.then_some("a refund of what was never credited to its payer");
        };
        let credited = match (original.order.is_interbank(), original.ended) {
            (true, _) => original.credited,
            // inside one bank the decision is the credit
            (false, ended) => ended.map(|(told, _)| told),
        };
        if ended == Ended::Declined(Code::NotRefundable) && credited.is_some_and(|at| at <= asked) {
            return Some("declined as not refundable, and it was");
        }
        let possibly = |other: &Audited| other.asked.is_some_and(|asked| asked < told);
        let others = self.refunds_of(key).filter(|(other, audited)| *other != id && possibly(audited));
        let most = others.map(|(_, other)| other.order.amount.minor_units()).sum::<i64>();
        let fits = most + audited.order.amount.minor_units() <= original.order.amount.minor_units();
        let exceeds = ended == Ended::Declined(Code::RefundExceeds);
        (exceeds && fits).then_some("declined as too much, and all refunds together were not")
    }

    /// The payment that an order may refund, as far as it is the payee's to refund.
    fn original(&self, refund: &Order, key: &Key) -> Option<&Audited> {
        let of_key = self.orders.iter().filter(|(id, _)| id.0 == *key).map(|(_, audited)| audited);
        let mut posted = of_key.filter(|audited| matches!(audited.ended, Some((_, Ended::Posted))));
        posted.find(|audited| {
            let order = &audited.order;
            let back =
                refund.payee.bank == key.bank && refund.payee.account == PayeeAccount::Number(order.payer);
            let own = self.payee_of(order) == Some((refund.key.bank.clone(), refund.payer));
            back && own && !audited.suspended && order.refund_of.is_none()
        })
    }

    /// Posted refunds of a payment.
    fn refunds_of(&self, key: &Key) -> impl Iterator<Item = (&(Key, OrderHash), &Audited)> {
        let of_it = move |audited: &Audited| audited.order.refund_of.as_ref() == Some(key);
        self.orders.iter().filter(move |(_, a)| of_it(a) && matches!(a.ended, Some((_, Ended::Posted))))
    }

    /// I15: payments of which more was refunded than was paid.
    fn refunded_too_much(&self) -> Vec<String> {
        let mut refunded: BTreeMap<&Key, i64> = BTreeMap::new();
        for audited in self.orders.values() {
            if let (Some(key), Some((_, Ended::Posted))) = (&audited.order.refund_of, audited.ended) {
                *refunded.entry(key).or_default() += audited.order.amount.minor_units();
            }
        }
        let paid = |key: &Key| {
            let of_key = self.orders.iter().filter(|(id, _)| id.0 == *key);
            let posted = of_key.filter(|(_, audited)| matches!(audited.ended, Some((_, Ended::Posted))));
            posted.map(|(_, audited)| audited.order.amount.minor_units()).max().unwrap_or(0)
        };
        let exceeding = refunded.into_iter().filter(|(key, sum)| *sum > paid(key));
        exceeding
            .map(|(key, sum)| format!("I15: {sum} of {key} is refunded, and it was {}", paid(key)))
            .collect()
    }

    /// Whether other bytes were asked for under the same key.
    fn has_rival(&self, id: &(Key, OrderHash)) -> bool {
        self.orders.keys().any(|other| other.0 == id.0 && other.1 != id.1)
    }

    /// The balance of an account when everything has ended.
    pub fn expected(&self, account: &(BankName, AccountNumber)) -> i64 {
        self.bounds(account, (u64::MAX, u64::MAX), None).1
    }

    /// What a bank must owe (negative: be owed by) its customers and others in the end: compares a bank's own
    /// report with what requests and replies say it must be.
    pub fn compare(&self, bank: &BankName, report: &v1::ReportReply) -> Vec<String> {
        let mut wrong = Vec::new();
        // a bank that does not keep to the protocol never acknowledges what was taken back
        let ended = |audited: &&Audited| audited.ended.is_some() && audited.order.key.bank == *bank;
        let never = self.orders.values().filter(|audited| audited.nature.never_votes).filter(ended).count();
        if report.promises != 0 || report.unacknowledged > never as u64 {
            wrong.push(format!(
                "I9 at {bank}: {} promises and {} unacknowledged outcomes remain",
                report.promises, report.unacknowledged
            ));
        }
        let mut expected: BTreeMap<String, i64> = BTreeMap::new();
        for account in self.accounts.keys().filter(|(at, _)| at == bank) {
            expected.insert(format!("customer:{}", account.1), self.expected(account));
        }
        for audited in self.orders.values() {
            if !matches!(audited.ended, Some((_, Ended::Posted))) || !audited.order.is_interbank() {
                continue;
            }
            let (amount, currency) = (audited.order.amount.minor_units(), audited.order.amount.currency());
            let (payer, payee) = (&audited.order.key.bank, &audited.order.payee.bank);
            if payer == bank {
                *expected.entry(format!("settlement:{payee}:{currency}")).or_default() += amount;
            }
            if payee == bank {
                *expected.entry(format!("settlement:{payer}:{currency}")).or_default() -= amount;
                if audited.suspended {
                    *expected.entry(format!("suspense:{currency}")).or_default() += amount;
                }
            }
        }
        let found: BTreeMap<&str, i64> =
            report.balances.iter().map(|b| (b.account.as_str(), b.posted)).collect();
        for (account, expected) in &expected {
            let found = found.get(account.as_str()).copied().unwrap_or(0);
            if found != *expected {
                wrong.push(format!("{account} at {bank} holds {found}, not {expected}"));
            }
        }
        for (account, posted) in found {
            let known = expected.contains_key(account) || account.starts_with("cash:");
            if !known && posted != 0 {
                wrong.push(format!("{account} at {bank} holds {posted}, and nothing was to go there"));
            }
        }
        let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
        for balance in &report.balances {
            *sums.entry(&balance.currency).or_default() += i128::from(balance.posted);
        }
        let unbalanced = sums.into_iter().filter(|(_, sum)| *sum != 0);
        wrong.extend(unbalanced.map(|(currency, sum)| format!("I1 at {bank}: {currency} sums to {sum}")));
        wrong
    }
}
