//! The books of the banks, read from the banks themselves.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use strife_proto::v1;

use crate::network::TestNetwork;

/// The banks of the demo.
pub const BANKS: [&str; 2] = ["Bank1", "Bank2"];

/// Everything that both banks say.
#[derive(Clone, Debug)]
pub struct Books {
    /// By bank.
    pub reports: BTreeMap<String, v1::ReportReply>,
}

impl Books {
    /// Reads both banks.
    pub async fn read(network: &TestNetwork) -> Self {
        let mut reports = BTreeMap::new();
        for bank in BANKS {
            let reply = network.admin(bank).report(v1::ReportRequest {}).await.expect("a report");
            reports.insert(bank.to_owned(), reply.into_inner());
        }
        Self { reports }
    }

    /// Reads until nothing is promised or unacknowledged any more.
    pub async fn settled(network: &TestNetwork) -> Self {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let books = Self::read(network).await;
            let open: u64 = books.reports.values().map(|r| r.promises + r.unacknowledged).sum();
            if open == 0 {
                return books;
            }
            assert!(Instant::now() < deadline, "still unfinished: {books:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A balance, in minor units.
    pub fn posted(&self, bank: &str, account: &str) -> i64 {
        let balances = &self.reports[bank].balances;
        balances.iter().find(|balance| balance.account == account).map_or(0, |balance| balance.posted)
    }

    /// The balance of a person's euro account opened first.
    pub fn person(&self, bank: &str, owner: &str) -> i64 {
        let mut own: Vec<_> = self.reports[bank]
            .balances
            .iter()
            .filter(|balance| balance.owner == owner && balance.currency == "EUR")
            .collect();
        own.sort_by(|a, b| a.account.cmp(&b.account));
        own.first().map_or(0, |balance| balance.posted)
    }

    /// Checks what must hold whenever nothing is on its way: every bank's books sum to zero, the two banks'
    /// settlement accounts mirror each other, no customer is below zero.
    pub fn check(&self) {
        for (bank, report) in &self.reports {
            let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
            for balance in &report.balances {
                *sums.entry(&balance.currency).or_default() += i128::from(balance.posted);
                let customer = balance.account.starts_with("customer:");
                assert!(!customer || balance.posted >= 0, "{bank}: {balance:?}");
            }
            assert!(sums.values().all(|sum| *sum == 0), "{bank} does not sum to zero: {sums:?}");
        }
        for currency in ["EUR", "USD", "JPY"] {
            let one = self.posted("Bank1", &format!("settlement:Bank2:{currency}"));
            let two = self.posted("Bank2", &format!("settlement:Bank1:{currency}"));
            assert_eq!(one, -two, "settlement in {currency} does not mirror");
        }
    }

    /// All money of customers, in minor units of EUR.
    pub fn customers_total(&self) -> i64 {
        let all = self.reports.values().flat_map(|report| &report.balances);
        all.filter(|b| b.account.starts_with("customer:") && b.currency == "EUR").map(|b| b.posted).sum()
    }
}

/// Has both banks read their whole journals again.
pub async fn verify_journals(network: &TestNetwork) {
    for bank in BANKS {
        let reply = network.admin(bank).verify(v1::VerifyRequest {}).await.expect("verify").into_inner();
        assert!(reply.entries > 0);
        assert_eq!(reply.faults, Vec::<String>::new(), "{bank}");
    }
}
