//! What was before a test's own load on a network of real processes: accounts with what was paid into them, and the
//! payments of the sample history, so that the auditor can judge everything from the first entry on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use strife_bank::journal::JournalReader;
use strife_bank::ledger::Kind;
use strife_bank::ledger::entry::LedgerAccount;
use strife_bank::ledger::state::Own;
use strife_client::outbox::Credit;
use strife_client::{AccountNumber, Verdict};
use strife_proto::commit::BankName;
use strife_proto::v1;

use crate::auditor::{Auditor, Ended, Nature};
use crate::books::{BANKS, Books};
use crate::invariants::Journal;
use crate::network::TestNetwork;

/// A bank's data folder in a demo's folder.
pub fn data_dir(dir: &Path, bank: &str) -> PathBuf {
    dir.join("banks").join(bank).join("data")
}

/// The journals of both banks, read twice and from each snapshot.
///
/// # Errors
/// One cannot be read, or does not fit itself.
pub fn journals(dir: &Path) -> Result<BTreeMap<BankName, Journal>, String> {
    let journals = BANKS.into_iter().map(|bank| {
        let data = data_dir(dir, bank);
        let own = Own { bank: BankName::new(bank).map_err(|e| e.to_string())?, network: "demo".into() };
        let reader = JournalReader::open(&data).map_err(|error| error.to_string())?;
        Ok((own.bank.clone(), Journal::read_twice(&reader, own, &data)?))
    });
    journals.collect()
}

/// An auditor that knows what was before the load.
pub async fn auditor(network: &TestNetwork) -> Auditor {
    let mut auditor = Auditor::default();
    let books = Books::settled(network).await;
    let journals = journals(network.dir()).expect("the sample world's journals are in order");
    accounts(&mut auditor, &books, &journals);
    for entry in journals.values().flat_map(|journal| &journal.entries) {
        if let Kind::Outcome(outcome) = &entry.kind {
            assert_eq!(outcome.verdict, Verdict::Posted, "the sample history is posted");
            auditor.asks(&outcome.order, Nature::default());
            auditor.hears_end(&outcome.order, Ended::Posted, Credit::Account);
        }
    }
    auditor
}

/// Has the auditor know every account that it does not know yet, with what the journals say was paid into it as cash.
pub fn accounts(auditor: &mut Auditor, books: &Books, journals: &BTreeMap<BankName, Journal>) {
    for (bank, journal) in journals {
        let mut balances: Vec<&v1::LedgerBalance> = books.reports[bank.as_str()].balances.iter().collect();
        balances.sort_by(|a, b| a.account.cmp(&b.account));
        let mut named = BTreeSet::new();
        for balance in balances {
            let Some(number) = balance.account.strip_prefix("customer:") else { continue };
            let number: AccountNumber = number.parse().expect("an account number");
            // a payee's log-in name means the first account in that currency
            let is_first = balance.currency == "EUR" && named.insert(&balance.owner);
            if auditor.accounts().contains_key(&(bank.clone(), number)) {
                continue;
            }
            let login = if is_first { balance.owner.as_str() } else { "" };
            let paid_in = journal.entries.iter().filter(|entry| matches!(entry.kind, Kind::Cash { .. }));
            let legs = paid_in.flat_map(|entry| &entry.legs);
            let own = legs.filter(|leg| leg.account == LedgerAccount::Customer(number));
            auditor.account(bank, number, login, own.map(|leg| leg.minor_units).sum());
        }
    }
}

/// What running banks say of themselves: each reads its whole journal again and compares its memory with it.
pub async fn faults_of_running(network: &TestNetwork) -> Vec<String> {
    let mut wrong = Vec::new();
    for bank in BANKS {
        match network.admin(bank).verify(v1::VerifyRequest {}).await {
            Ok(reply) => {
                let faults = reply.into_inner().faults;
                wrong.extend(faults.into_iter().map(|fault| format!("I10 at the running {bank}: {fault}")));
            }
            Err(status) => wrong.push(format!("{bank} cannot verify itself: {status}")),
        }
    }
    wrong
}

/// Panics that daemons have told on their standard error.
pub fn panics_in(name: &str, words: &str) -> Vec<String> {
    words.lines().filter(|line| line.contains("panicked at")).map(|line| format!("{name}: {line}")).collect()
}
