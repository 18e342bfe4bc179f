//! The invariants of the design, I1 to I12 and I15, each a check by name over what the banks have written down and what
//! the clients were told. The simulator, the tests on real processes and the kill points all call these.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use strife_bank::journal::reader::entries_of;
use strife_bank::journal::{Chain, JournalRead};
use strife_bank::ledger::entry::LedgerAccount;
use strife_bank::ledger::state::{Own, State};
use strife_bank::ledger::{Entry, Kind};
use strife_bank::replay::{apply_all, let_go, replay};
use strife_bank::snapshot;
use strife_bank::verify::after_entry;
use strife_proto::commit::{BankName, Code, Key, OrderHash, Verdict};
use strife_proto::domain::{AccountNumber, AccountRef, Currency, Order, PayeeAccount};

use crate::auditor::{Auditor, Ended, REFUSED_FOR_GOOD};

/// Batches read at a time.
const BATCHES_PER_READ: usize = 512;

/// What one bank has written down.
#[derive(Debug)]
pub struct Journal {
    /// Every entry, in order.
    pub entries: Vec<Entry>,
    /// The state that they give.
    pub state: State,
    /// Snapshots that were compared with it.
    pub snapshots: usize,
    sums: HashMap<LedgerAccount, i128>,
    /// What was wrong on the way.
    wrong: Vec<String>,
}

impl Journal {
    /// Reads a journal with its chain, applying each entry and looking at the state after it.
    ///
    /// # Errors
    /// It cannot be read, or does not fit itself.
    pub fn read(reader: &dyn JournalRead, own: Own) -> Result<Self, String> {
        let bank = own.bank.clone();
        let mut journal = Self {
            entries: Vec::new(),
            state: State::new(own.clone()),
            snapshots: 0,
            sums: HashMap::new(),
            wrong: Vec::new(),
        };
        let mut chain = Chain::default();
        loop {
            let batches = reader.batches_after(chain.number, BATCHES_PER_READ).map_err(|e| e.to_string())?;
            if batches.is_empty() {
                break;
            }
            for batch in &batches {
                let entries = entries_of(batch).map_err(|e| e.to_string())?;
                chain.advance(batch).map_err(|error| format!("{bank}: {error}"))?;
                for entry in &entries {
                    apply_all(&mut journal.state, std::slice::from_ref(entry))
                        .map_err(|(position, error)| format!("{bank}, entry {position}: {error}"))?;
                    journal.look(&bank, entry);
                }
                journal.entries.extend(entries);
            }
        }
        Ok(journal)
    }

    /// I10: replayed once more from the beginning, and from each snapshot in the folder, it gives the same state as a
    /// whole.
    ///
    /// # Errors
    /// It cannot be read, or does not fit itself.
    pub fn read_twice(reader: &dyn JournalRead, own: Own, dir: &Path) -> Result<Self, String> {
        let mut journal = Self::read(reader, own.clone())?;
        let bank = own.bank.clone();
        let mut whole = State::new(own.clone());
        let end =
            replay(reader, &mut whole, Chain::default(), u64::MAX).map_err(|error| error.to_string())?;
        let mut read = State::new(own.clone());
        for entry in &journal.entries {
            apply_all(&mut read, std::slice::from_ref(entry)).map_err(|(_, error)| error.to_string())?;
        }
        let_go(&mut read);
        if read != whole {
            journal.wrong.push(format!("I10 at {bank}: a second replay gives another state"));
        }
        for file in snapshot::files(dir).unwrap_or_default() {
            let name = file.display();
            let from = match snapshot::read(&file, &own) {
                Ok(from) => from,
                Err(error) => {
                    journal.wrong.push(format!("I10 at {bank}: {name} cannot be believed: {error}"));
                    continue;
                }
            };
            let mut state = from.state;
            let chain =
                replay(reader, &mut state, from.chain, u64::MAX).map_err(|error| error.to_string())?;
            if (&state, &chain) != (&whole, &end) {
                journal.wrong.push(format!("I10 at {bank}: {name} and the rest give another state"));
            }
            journal.snapshots += 1;
        }
        Ok(journal)
    }

    /// I1 and I8 after one entry. The sums are of the legs alone, whatever the state has made of them.
    fn look(&mut self, bank: &BankName, entry: &Entry) {
        let position = self.state.next_position - 1;
        for what in after_entry(&self.state, entry) {
            self.wrong.push(format!("{what} (at {bank}, entry {position})"));
        }
        for leg in &entry.legs {
            *self.sums.entry(leg.account.clone()).or_default() += i128::from(leg.minor_units);
        }
    }

    /// What the state holds on an account, with its currency.
    fn held(&self, account: &LedgerAccount) -> Option<(i64, Currency)> {
        match account {
            LedgerAccount::Customer(number) => {
                self.state.accounts.get(number).map(|account| (account.posted, account.currency))
            }
            LedgerAccount::Settlement(bank, currency) => {
                let settlement = self.state.settlements.get(&(bank.clone(), *currency))?;
                Some((settlement.posted, *currency))
            }
            LedgerAccount::Internal(kind, currency) => {
                self.state.internal.get(&(*kind, *currency)).map(|posted| (*posted, *currency))
            }
        }
    }

    /// I1: the legs of all entries, summed up here, are what the state holds, and come to zero.
    fn i1_sums(&self, bank: &BankName) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut totals: HashMap<Currency, i128> = HashMap::new();
        for (account, sum) in &self.sums {
            match self.held(account) {
                Some((held, currency)) => {
                    *totals.entry(currency).or_default() += sum;
                    if i128::from(held) != *sum {
                        wrong
                            .push(format!("I1 at {bank}: {account} holds {held}, and its legs sum to {sum}"));
                    }
                }
                None => wrong.push(format!("I1 at {bank}: {account} has legs and is not there")),
            }
        }
        let unbalanced = totals.into_iter().filter(|(_, total)| *total != 0);
        wrong.extend(
            unbalanced
                .map(|(currency, total)| format!("I1 at {bank}: all legs in {currency} sum to {total}")),
        );
        wrong.sort_unstable();
        wrong
    }
}

type Id = (Key, OrderHash);

/// What all banks have written down, and what the clients were told.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// By bank.
    pub journals: BTreeMap<BankName, Journal>,
    /// What the clients asked and were told.
    pub auditor: &'a Auditor,
    decided: BTreeMap<Key, (OrderHash, Verdict)>,
    voids: BTreeSet<Id>,
    promised: BTreeSet<Id>,
    posted: BTreeMap<Id, usize>,
    released: BTreeSet<Id>,
    wrong: Vec<String>,
}

impl<'a> Evidence<'a> {
    /// Gathers it, noting on the way what stands twice.
    pub fn gather(journals: BTreeMap<BankName, Journal>, auditor: &'a Auditor) -> Self {
        let mut evidence = Self {
            journals: BTreeMap::new(),
            auditor,
            decided: BTreeMap::new(),
            voids: BTreeSet::new(),
            promised: BTreeSet::new(),
            posted: BTreeMap::new(),
            released: BTreeSet::new(),
            wrong: Vec::new(),
        };
        for (bank, journal) in &journals {
            for entry in &journal.entries {
                evidence.note(bank, &entry.kind);
            }
        }
        evidence.journals = journals;
        evidence
    }

    fn note(&mut self, bank: &BankName, kind: &Kind) {
        match kind {
            Kind::Outcome(outcome) => {
                let (key, hash) = (outcome.order.key().clone(), outcome.order.hash());
                if self.decided.insert(key.clone(), (hash, outcome.verdict)).is_some() {
                    self.wrong.push(format!("I4 at {bank}: a second outcome for {key}"));
                }
            }
            Kind::Void { order, .. } => {
                self.voids.insert((order.key().clone(), order.hash()));
            }
            Kind::Promised { order, .. } => {
                let id = (order.key().clone(), order.hash());
                if self.released.contains(&id) || self.posted.contains_key(&id) {
                    self.wrong.push(format!("I7 at {bank}: {} is promised after its end", id.0));
                }
                if !self.promised.insert(id.clone()) {
                    self.wrong.push(format!("I7 at {bank}: {} is promised twice", id.0));
                }
            }
            Kind::Posted { order, .. } => {
                let id = (order.key().clone(), order.hash());
                if !self.promised.contains(&id) {
                    self.wrong.push(format!("I3 at {bank}: {} is posted without a promise", id.0));
                }
                *self.posted.entry(id).or_default() += 1;
            }
            Kind::Released { order, .. } => {
                self.released.insert((order.key().clone(), order.hash()));
            }
            Kind::PersonAdded { .. }
            | Kind::DeviceAdded { .. }
            | Kind::AccountOpened { .. }
            | Kind::Cash { .. }
            | Kind::CapSet { .. }
            | Kind::Acknowledged { .. } => {}
        }
    }

    /// Every invariant; `settled` if all are up, nothing new is asked for, and time enough has passed.
    pub fn check(&self, settled: bool) -> Vec<String> {
        let mut wrong = self.wrong.clone();
        wrong.extend(self.journals.values().flat_map(|journal| journal.wrong.clone()));
        wrong.extend(self.i1_conservation(settled));
        wrong.extend(self.i2_agreement());
        wrong.extend(self.i3_posted_rests_on_posted());
        wrong.extend(self.i5_what_was_told_is_written());
        wrong.extend(self.i6_one_order_for_a_key());
        wrong.extend(self.i12_a_refusal_changed_nothing());
        wrong.extend(self.i15_refunds_never_exceed());
        if settled {
            wrong.extend(self.i9_nothing_is_left());
        }
        wrong
    }

    /// I1: each bank's balances sum to zero; with nothing in flight, settlement accounts mirror each other.
    pub fn i1_conservation(&self, settled: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        for (bank, journal) in &self.journals {
            wrong.extend(journal.i1_sums(bank));
            for ((other, currency), settlement) in &journal.state.settlements {
                let mirror = self.journals.get(other).and_then(|other| {
                    other.state.settlements.get(&(bank.clone(), *currency)).map(|mirror| mirror.posted)
                });
                if settled && mirror.unwrap_or(0) != -settlement.posted {
                    wrong.push(format!(
                        "I1: {bank} has {} with {other}, which has {mirror:?}",
                        settlement.posted
                    ));
                }
            }
        }
        wrong
    }

    /// I2: none is posted at one bank and released at the other. A void or conflict releases other bytes.
    pub fn i2_agreement(&self) -> Vec<String> {
        let posted = self.decided.iter().filter(|(_, (_, verdict))| *verdict == Verdict::Posted);
        let released = posted.filter(|(key, (hash, _))| self.released.contains(&((*key).clone(), *hash)));
        released
            .map(|(key, _)| format!("I2: {key} is posted at one bank and released at the other"))
            .collect()
    }

    /// I3: a payee's posting implies the payer's durable `posted` for the same bytes. (That a promise was there
    /// before is seen while the entries are read.)
    pub fn i3_posted_rests_on_posted(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for ((key, hash), count) in &self.posted {
            if self.decided.get(key) != Some(&(*hash, Verdict::Posted)) {
                wrong.push(format!("I3: {key} is posted to the payee and not by the payer's bank"));
            }
            if *count > 1 {
                wrong.push(format!("I7: {key} is posted to the payee {count} times"));
            }
        }
        wrong
    }

    /// I5, I4, I11: an end that a client was told stands in the payer's bank's journal, as it was told.
    pub fn i5_what_was_told_is_written(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (id, audited) in self.auditor.orders() {
            let Some((_, ended)) = audited.ended else { continue };
            let outcome = self.decided.get(&id.0).filter(|(hash, _)| *hash == id.1).map(|(_, v)| *v);
            let stands = match ended {
                Ended::Posted => outcome == Some(Verdict::Posted),
                Ended::Declined(code) => outcome == Some(Verdict::Declined(code)),
                Ended::Void => self.voids.contains(id),
                Ended::Conflict => outcome.is_none() && self.decided.contains_key(&id.0),
            };
            if !stands {
                wrong.push(format!("I5: {} was told to be {ended:?}; {outcome:?} is written", id.0));
            }
            let cancelled = outcome == Some(Verdict::Declined(Code::Cancelled));
            if cancelled && audited.cancel_asked.is_none() {
                wrong.push(format!("I11: {} is cancelled, and nobody had asked for it", id.0));
            }
        }
        wrong
    }

    /// I6: a decided key is decided for bytes that somebody asked for, void bytes never post.
    pub fn i6_one_order_for_a_key(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (key, (hash, verdict)) in &self.decided {
            let id = (key.clone(), *hash);
            if *verdict == Verdict::Posted && self.voids.contains(&id) {
                wrong.push(format!("I6: {key} is void and posted"));
            }
            if !self.auditor.orders().contains_key(&id) {
                wrong.push(format!("I6: {key} is decided for bytes that nobody sent"));
            }
        }
        wrong
    }

    /// I9: no promise and no money in flight remains.
    pub fn i9_nothing_is_left(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (bank, journal) in &self.journals {
            for (key, _) in journal.state.promises.keys() {
                wrong.push(format!("I9 at {bank}: a promise for {key} remains"));
            }
            for (key, known) in &journal.state.payers {
                // a bank that does not keep to the protocol never acknowledges
                let keeps_to_it =
                    known.payee_bank.as_ref().is_none_or(|bank| self.journals.contains_key(bank));
                if known.payer.is_owed() && keeps_to_it {
                    wrong.push(format!("I9 at {bank}: the outcome of {key} is still owed"));
                }
            }
        }
        for (key, (hash, verdict)) in &self.decided {
            let interbank = self
                .auditor
                .orders()
                .get(&(key.clone(), *hash))
                .is_some_and(|audited| audited.order.is_interbank());
            if interbank && *verdict == Verdict::Posted && !self.posted.contains_key(&(key.clone(), *hash)) {
                wrong.push(format!("I9: {key} is posted and its money never came to the payee's bank"));
            }
        }
        wrong
    }

    /// I12: an order that every door must refuse stands in no bank's journal with money: not decided, not posted, and
    /// where somebody hostile had it promised, released.
    pub fn i12_a_refusal_changed_nothing(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (id, audited) in self.auditor.orders() {
            let decided = self.decided.get(&id.0).is_some_and(|(hash, _)| *hash == id.1);
            let never =
                audited.nature.refused || REFUSED_FOR_GOOD.iter().any(|name| audited.refusals.contains(name));
            if never && (decided || self.posted.contains_key(id)) {
                wrong.push(format!("I12: {} was refused as {:?} and is decided", id.0, audited.refusals));
            }
        }
        wrong
    }

    /// I15: each posted refund is of a payment that stands on the refunding account, back to the account that paid it,
    /// and all refunds of a payment never come to more than it. As the entries of the deciding bank say, in their order.
    pub fn i15_refunds_never_exceed(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (bank, journal) in &self.journals {
            let mut payments: BTreeMap<&Key, Payment<'_>> = BTreeMap::new();
            for entry in &journal.entries {
                let (order, payee) = match &entry.kind {
                    Kind::Outcome(outcome) if outcome.verdict == Verdict::Posted => {
                        (&outcome.order, outcome.payee)
                    }
                    Kind::Posted { order, payee, .. } => (order, *payee),
                    _ => continue,
                };
                let said = order.order();
                match (&said.refund_of, payee) {
                    (Some(original), _) if order.key().bank == *bank => {
                        let payment = payments.get_mut(original);
                        wrong.extend(
                            refunds(payment, original, said).map(|what| format!("I15 at {bank}: {what}")),
                        );
                    }
                    (None, Some(account)) => {
                        payments.entry(order.key()).or_insert(Payment { order: said, account, refunded: 0 });
                    }
                    _ => {}
                }
            }
        }
        wrong
    }
}

/// A payment that was credited to an account.
struct Payment<'a> {
    order: &'a Order,
    account: AccountNumber,
    refunded: i64,
}

/// Counts a refund in, and says what is wrong with it.
fn refunds(payment: Option<&mut Payment<'_>>, original: &Key, refund: &Order) -> Option<String> {
    let key = &refund.key;
    let Some(payment) = payment else {
        return Some(format!("{key} refunds {original}, which was never credited"));
    };
    payment.refunded += refund.amount.minor_units();
    let back = AccountRef {
        account: PayeeAccount::Number(payment.order.payer),
        bank: payment.order.key.bank.clone(),
    };
    let paid = payment.order.amount;
    if refund.payer != payment.account || refund.payee != back || refund.amount.currency() != paid.currency()
    {
        return Some(format!("{key} refunds {original} from another account, or to another"));
    }
    let exceeds = payment.refunded > paid.minor_units();
    let paid = paid.minor_units();
    exceeds.then(|| format!("the refunds of {original} come to {}, and it was {paid}", payment.refunded))
}
