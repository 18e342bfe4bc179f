//! Compares two banks' journals: what one owes the other must be what the other has to get from it, currency by
//! currency, and each difference is explained by the transfers that make it.
//!
//! What must never: a change of anything in either folder; a judgement about who is right.

mod sides;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;
use strife_proto::commit::BankName;
use strife_proto::domain::Currency;

use crate::journal::reader::{ReadError, entries_of};
use crate::journal::{Chain, JournalRead};
use crate::ledger::{Entry, LedgerAccount};
use crate::verify::folder::{CannotVerify, Still};
use sides::Sides;

/// Batches read at a time.
const BATCHES_PER_READ: usize = 512;

/// Transfers that are told one by one, of each list; of more, the number is.
const TRANSFERS_TOLD_MAX: usize = 1_000;

/// Why two folders cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CannotReconcile {
    /// One of them cannot be opened.
    #[error(transparent)]
    Folder(#[from] CannotVerify),
    /// One of the journals is not in order.
    #[error("{0}; see what `strife-bank verify` says of both folders")]
    Read(#[from] ReadError),
    /// They are not two banks of one network.
    #[error("{0} and {1} are not two banks of one network")]
    NotTwo(String, String),
    /// The scratch file failed.
    #[error("the scratch file in {dir}: {0}", dir = std::env::temp_dir().display())]
    Scratch(#[from] rusqlite::Error),
    /// There is no room for a scratch file.
    #[error("the scratch file in {dir}: {0}", dir = std::env::temp_dir().display())]
    Temporary(#[from] std::io::Error),
}

/// One of the two banks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Its name.
    pub bank: String,
    /// How far its journal goes.
    pub position: u64,
}

/// What the two say about one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mirror {
    /// ISO 4217.
    pub currency: String,
    /// What each bank has on its settlement account with the other, in minor units: positive is due to the other.
    pub posted: [i64; 2],
    /// Their sum: zero where they mirror each other.
    pub difference: i128,
    /// How much of it the transfers in [`Reconciliation::differences`] explain.
    pub explained: i128,
}

/// A transfer to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// Payer's bank and id.
    pub key: String,
    /// ISO 4217.
    pub currency: String,
    /// Amount in minor units.
    pub minor_units: i64,
    /// What it adds to the difference, in minor units.
    pub effect: i64,
    /// What the payer's bank has of it.
    pub at_payers_bank: String,
    /// What the payee's bank has of it.
    pub at_payees_bank: String,
    /// What that is.
    pub what: String,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reconciliation {
    /// The two banks.
    pub sides: [Side; 2],
    /// Every currency of their settlement.
    pub mirrors: Vec<Mirror>,
    /// Transfers that stand on one side only.
    pub differences: Vec<Transfer>,
    /// Differences beyond those that are told.
    pub more_differences: u64,
    /// Transfers on which both agree and that somebody may still want to see.
    pub remarks: Vec<Transfer>,
    /// Remarks beyond those that are told.
    pub more_remarks: u64,
}

impl Reconciliation {
    /// Whether the two mirror each other.
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty() && self.mirrors.iter().all(|mirror| mirror.difference == 0)
    }
}

/// Compares the folders of two stopped banks, or copies of them.
///
/// # Errors
/// [`CannotReconcile`].
pub fn reconcile(a: &Path, b: &Path) -> Result<Reconciliation, CannotReconcile> {
    let (a, b) = (Still::open(a)?, Still::open(b)?);
    if a.own.network != b.own.network || a.own.bank == b.own.bank {
        return Err(CannotReconcile::NotTwo(a.own.to_string(), b.own.to_string()));
    }
    let scratch = tempfile::tempdir()?;
    let sides = Sides::create(&scratch.path().join("sides.db"))?;
    let one = read(&a, &b.own.bank, &sides)?;
    let two = read(&b, &a.own.bank, &sides)?;
    let mut found = Reconciliation {
        sides: [side(&a, one.position), side(&b, two.position)],
        mirrors: Vec::new(),
        differences: Vec::new(),
        more_differences: 0,
        remarks: Vec::new(),
        more_remarks: 0,
    };
    let mut explained: BTreeMap<String, i128> = BTreeMap::new();
    sides.each_to_look_at(|transfer, differs| {
        *explained.entry(transfer.currency.clone()).or_default() += i128::from(transfer.effect);
        let (list, more) = match differs {
            true => (&mut found.differences, &mut found.more_differences),
            false => (&mut found.remarks, &mut found.more_remarks),
        };
        if list.len() < TRANSFERS_TOLD_MAX {
            list.push(transfer);
        } else {
            *more += 1;
        }
    })?;
    let mut currencies: Vec<&Currency> = one.posted.keys().chain(two.posted.keys()).collect();
    currencies.sort_unstable();
    currencies.dedup();
    for currency in currencies {
        let posted = [&one, &two].map(|side| side.posted.get(currency).copied().unwrap_or(0));
        let code = currency.code().to_owned();
        found.mirrors.push(Mirror {
            difference: i128::from(posted[0]) + i128::from(posted[1]),
            explained: explained.get(&code).copied().unwrap_or(0),
            currency: code,
            posted,
        });
    }
    Ok(found)
}

fn side(still: &Still, position: u64) -> Side {
    Side { bank: still.own.bank.to_string(), position }
}

/// What one journal says about another bank.
#[derive(Debug, Default)]
struct Account {
    position: u64,
    posted: BTreeMap<Currency, i64>,
}

fn read(still: &Still, other: &BankName, sides: &Sides) -> Result<Account, CannotReconcile> {
    let mut account = Account::default();
    let mut chain = Chain::default();
    loop {
        let batches = still.journal.batches_after(chain.number, BATCHES_PER_READ).map_err(ReadError::from)?;
        if batches.is_empty() {
            break;
        }
        sides.begin()?;
        for batch in &batches {
            chain.advance(batch).map_err(ReadError::from)?;
            for (entry, position) in entries_of(batch)?.iter().zip(batch.first_position..) {
                account.position = position;
                settle(&mut account, entry, other);
                sides.note(entry, &still.own.network, other, position)?;
            }
        }
        sides.end()?;
    }
    Ok(account)
}

fn settle(account: &mut Account, entry: &Entry, other: &BankName) {
    for leg in &entry.legs {
        if let LedgerAccount::Settlement(bank, currency) = &leg.account
            && bank == other
        {
            let posted = account.posted.entry(*currency).or_default();
            // the bank itself has refused what would not fit
            *posted = posted.saturating_add(leg.minor_units);
        }
    }
}

impl fmt::Display for Reconciliation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, two] = &self.sides;
        writeln!(f, "{} to entry {}, {} to entry {}", one.bank, one.position, two.bank, two.position)?;
        for mirror in &self.mirrors {
            let [here, there] = mirror.posted;
            write!(
                f,
                "{}: {} has {here}, {} has {there} minor units: ",
                mirror.currency, one.bank, two.bank
            )?;
            if mirror.difference == 0 {
                writeln!(f, "they mirror each other")?;
            } else {
                let open = mirror.difference - mirror.explained;
                writeln!(f, "a difference of {}, of which {open} is not explained below", mirror.difference)?;
            }
        }
        for transfer in &self.differences {
            writeln!(f, "difference: {transfer}")?;
        }
        if self.more_differences > 0 {
            writeln!(f, "and {} more differences", self.more_differences)?;
        }
        for transfer in &self.remarks {
            writeln!(f, "remark: {transfer}")?;
        }
        if self.more_remarks > 0 {
            writeln!(f, "and {} more remarks", self.more_remarks)?;
        }
        match self.is_clean() {
            true => write!(f, "the two banks agree"),
            false => write!(f, "the two banks differ"),
        }
    }
}

impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, currency, minor_units, at_payers_bank, at_payees_bank, what, .. } = self;
        write!(
            f,
            "{key}, {minor_units} minor units of {currency}: {what} (payer's bank: {at_payers_bank}; "
        )?;
        write!(f, "payee's bank: {at_payees_bank})")
    }
}
