//! People who bank on a test network.

use std::sync::Arc;

use strife_client::api::{ApiError, Known};
use strife_client::{AccountNumber, AccountRef, Api, BankName, Currency, Money, Session, TransferId};
use strife_proto::commit::{Key, Verdict};
use strife_proto::domain::{Order, ReceivedOrder};
use strife_proto::signing::{SigningKey, Tag, random};
use strife_proto::statement::Word;
use strife_proto::v1;
use zeroize::Zeroizing;

/// A signed-in person with a device.
#[derive(Clone, Debug)]
pub struct Person {
    /// Their session.
    pub session: Session,
    /// Their device key.
    pub device: Arc<SigningKey>,
    /// Their first account.
    pub account: AccountNumber,
}

impl Person {
    /// Signs in as `user1` … `user5`.
    pub async fn sign_in(api: &Api, bank: &str, name: &str) -> Self {
        let bank = BankName::new(bank).unwrap();
        let device = SigningKey::from_seed(&random::<32>().unwrap()).unwrap();
        let password = Zeroizing::new(name.replace("user", "pass"));
        let session = api.log_in(&bank, name, password, &device).await.expect("sign in");
        let accounts = api.accounts(&session).await.expect("accounts").accounts;
        let account = accounts[0].number.parse().unwrap();
        Self { session, device: Arc::new(device), account }
    }

    /// This person's account as others name it.
    pub fn account_ref(&self) -> AccountRef {
        format!("{}@{}", self.account, self.session.bank).parse().unwrap()
    }

    /// An order from this person's first account, in cents.
    pub fn order(&self, to: &AccountRef, cents: i64) -> Order {
        let now_ms = strife_client::now_ms();
        Order {
            network: "demo".into(),
            key: Key { bank: self.session.bank.clone(), id: TransferId(*uuid::Uuid::now_v7().as_bytes()) },
            payer: self.account,
            payee: to.clone(),
            amount: Money::new(cents, Currency::new("EUR").unwrap()).unwrap(),
            memo: "test".into(),
            made_at_ms: now_ms,
            expires_at_ms: now_ms + 3_600_000,
            refund_of: None,
        }
    }

    /// The order's bytes with this person's signature.
    pub fn sign(&self, order: &Order) -> (ReceivedOrder, v1::Signature) {
        let received = ReceivedOrder::decode(order.encode()).expect("a well-formed order");
        let signature = self.device.sign(Tag::Order, received.bytes());
        (received, signature)
    }

    /// Makes, signs and submits an order once.
    ///
    /// # Errors
    /// As [`Api::submit`].
    pub async fn pay(&self, api: &Api, to: &AccountRef, cents: i64) -> Result<Known, ApiError> {
        let (order, signature) = self.sign(&self.order(to, cents));
        api.submit(&self.session, &order, &signature, false).await
    }
}

/// The verdict, if there is one.
pub fn verdict(known: &Known) -> Option<Verdict> {
    match known {
        Known::Ended { statement, .. } => match statement.word {
            Word::Outcome(verdict) => Some(verdict),
            _ => None,
        },
        _ => None,
    }
}
