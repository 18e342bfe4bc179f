//! An order: the client's exact bytes, and what they say once they have passed every check that needs no
//! knowledge of accounts.

use std::str::FromStr;

use bytes::Bytes;
use prost::Message;
use strife_commit::{BankName, Key, OrderHash, TransferId};

use super::{AccountNumber, AccountRef, Currency, Money, PayeeAccount, clean_text};
use crate::{Refusal, signing, v1};

/// The version of orders that this program makes and takes.
const ORDER_VERSION: u32 = 1;

/// Longest order, in bytes.
pub const ORDER_BYTES_MAX: usize = 2048;

/// Longest memo, in characters.
pub const MEMO_CHARS_MAX: usize = 140;

/// What an order says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Name of the network that it was made for.
    pub network: String,
    /// Payer's bank and id.
    pub key: Key,
    /// The payer's account.
    pub payer: AccountNumber,
    /// The payee and its bank.
    pub payee: AccountRef,
    /// How much.
    pub amount: Money,
    /// Clean text of at most [`MEMO_CHARS_MAX`] characters.
    pub memo: String,
    /// By the client's clock, in milliseconds since the Unix epoch. Decides nothing.
    pub made_at_ms: i64,
    /// By the payer's bank's clock, in milliseconds since the Unix epoch.
    pub expires_at_ms: i64,
    /// The payment that it refunds, wholly or in part. Whether it may is for the payer's bank to decide.
    pub refund_of: Option<Key>,
}

impl Order {
    /// The one encoding of this order.
    pub fn encode(&self) -> Bytes {
        let wire = v1::Order {
            version: ORDER_VERSION,
            network: self.network.clone(),
            id: Bytes::copy_from_slice(&self.key.id.0),
            payer_bank: self.key.bank.to_string(),
            payer_account: self.payer.to_string(),
            payee_bank: self.payee.bank.to_string(),
            payee_account: self.payee.account.to_string(),
            minor_units: self.amount.minor_units(),
            currency: self.amount.currency().code().to_owned(),
            memo: self.memo.clone(),
            made_at_ms: self.made_at_ms,
            expires_at_ms: self.expires_at_ms,
            refund_of: self.refund_of.as_ref().map(key_to_wire),
        };
        Bytes::from(wire.encode_to_vec())
    }

    /// Whether payer's and payee's banks differ.
    pub fn is_interbank(&self) -> bool {
        self.key.bank != self.payee.bank
    }
}

/// An order as it came in: its exact bytes, their hash, and what they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedOrder {
    bytes: Bytes,
    hash: OrderHash,
    order: Order,
}

impl ReceivedOrder {
    /// Checks everything that can be checked without knowing the accounts.
    ///
    /// # Errors
    /// The [`Refusal`] of the first check that fails: encoding, version, id, bank, account, amount, currency,
    /// text, same account on both sides.
    pub fn decode(bytes: Bytes) -> Result<Self, Refusal> {
        if bytes.len() > ORDER_BYTES_MAX {
            return Err(Refusal::Malformed);
        }
        let wire = v1::Order::decode(bytes.clone()).map_err(|_| Refusal::Malformed)?;
        if wire.encode_to_vec() != bytes {
            return Err(Refusal::Malformed);
        }
        if wire.version != ORDER_VERSION {
            return Err(Refusal::UnknownVersion);
        }
        let id = TransferId::from_slice(&wire.id).map_err(|_| Refusal::BadId)?;
        let bank = |name: &str| BankName::new(name).map_err(|_| Refusal::UnknownBank);
        clean_text(&wire.network, 64)?;
        clean_text(&wire.memo, MEMO_CHARS_MAX)?;
        let order = Order {
            network: wire.network,
            key: Key { bank: bank(&wire.payer_bank)?, id },
            payer: wire.payer_account.parse()?,
            payee: AccountRef {
                account: PayeeAccount::from_str(&wire.payee_account)?,
                bank: bank(&wire.payee_bank)?,
            },
            amount: Money::new(wire.minor_units, Currency::new(&wire.currency)?)?,
            memo: wire.memo,
            made_at_ms: wire.made_at_ms,
            expires_at_ms: wire.expires_at_ms,
            refund_of: wire.refund_of.map(|key| key_from_wire(&key)).transpose()?,
        };
        if !order.is_interbank() && order.payee.account == PayeeAccount::Number(order.payer) {
            return Err(Refusal::SameAccount);
        }
        Ok(Self { hash: hash_of(&bytes), bytes, order })
    }

    /// The exact bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// SHA-256 of the bytes.
    pub fn hash(&self) -> OrderHash {
        self.hash
    }

    /// What they say.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Payer's bank and id.
    pub fn key(&self) -> &Key {
        &self.order.key
    }
}

/// The hash under which everybody speaks about an order: SHA-256 of its bytes.
pub fn hash_of(order: &[u8]) -> OrderHash {
    OrderHash(signing::sha256(order))
}

/// A key from its wire form.
///
/// # Errors
/// [`Refusal::BadId`], [`Refusal::UnknownBank`].
pub fn key_from_wire(wire: &v1::TransferKey) -> Result<Key, Refusal> {
    Ok(Key {
        bank: BankName::new(&wire.bank).map_err(|_| Refusal::UnknownBank)?,
        id: TransferId::from_slice(&wire.id).map_err(|_| Refusal::BadId)?,
    })
}

/// A key in its wire form.
pub fn key_to_wire(key: &Key) -> v1::TransferKey {
    v1::TransferKey { bank: key.bank.to_string(), id: Bytes::copy_from_slice(&key.id.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order() -> Order {
        Order {
            network: "demo".into(),
            key: Key { bank: BankName::new("Bank1").unwrap(), id: TransferId([7; 16]) },
            payer: AccountNumber::from_body(1_000_000_001).unwrap(),
            payee: "user2@Bank2".parse().unwrap(),
            amount: Money::new(1250, Currency::new("EUR").unwrap()).unwrap(),
            memo: "lunch".into(),
            made_at_ms: 1_700_000_000_000,
            expires_at_ms: 1_700_600_000_000,
            refund_of: None,
        }
    }

    fn altered(change: impl FnOnce(&mut v1::Order)) -> Result<ReceivedOrder, Refusal> {
        let mut wire = v1::Order::decode(order().encode()).unwrap();
        change(&mut wire);
        ReceivedOrder::decode(Bytes::from(wire.encode_to_vec()))
    }

    #[test]
    fn an_order_survives_its_encoding() {
        let received = ReceivedOrder::decode(order().encode()).unwrap();
        assert_eq!(received.order(), &order());
        assert_eq!(received.hash(), hash_of(&order().encode()));
        let original = Key { bank: BankName::new("Bank2").unwrap(), id: TransferId([9; 16]) };
        let refund = Order { refund_of: Some(original), ..order() };
        assert_eq!(ReceivedOrder::decode(refund.encode()).unwrap().order(), &refund);
    }

    #[test]
    fn the_example_of_the_protocol_page_is_what_is_made() {
        let page = include_str!("../../../docs/protocol.md");
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let compact: String = page.chars().filter(|c| !c.is_whitespace()).collect();
        let device = signing::SigningKey::from_seed(&[1; 32]).unwrap();
        let bytes = order().encode();
        assert!(compact.contains(&hex(&bytes)), "order {}", hex(&bytes));
        assert!(compact.contains(&hex(&hash_of(&bytes).0)), "hash");
        for tag in [signing::Tag::Order, signing::Tag::Cancel] {
            let signature = hex(&device.sign_raw(tag, &bytes));
            assert!(compact.contains(&signature), "{tag:?} {signature}");
        }
    }

    #[test]
    fn every_bad_field_has_its_own_refusal() {
        let own = order().payer.to_string();
        type Change = Box<dyn FnOnce(&mut v1::Order)>;
        let table: Vec<(Change, Refusal)> = vec![
            (Box::new(|o| o.version = 2), Refusal::UnknownVersion),
            (Box::new(|o| o.id = Bytes::from_static(b"short")), Refusal::BadId),
            (Box::new(|o| o.payer_bank = "no bank".into()), Refusal::UnknownBank),
            (Box::new(|o| o.payee_bank = String::new()), Refusal::UnknownBank),
            (Box::new(|o| o.payer_account = "100000000100".into()), Refusal::BadAccount),
            (Box::new(|o| o.payee_account = "tap:1".into()), Refusal::BadAccount),
            (Box::new(|o| o.refund_of = Some(v1::TransferKey::default())), Refusal::UnknownBank),
            (
                Box::new(|o| {
                    o.refund_of =
                        Some(v1::TransferKey { bank: "Bank2".into(), id: Bytes::from_static(b"short") });
                }),
                Refusal::BadId,
            ),
            (Box::new(|o| o.minor_units = 0), Refusal::AmountNotPositive),
            (Box::new(|o| o.minor_units = i64::MIN), Refusal::AmountNotPositive),
            (Box::new(|o| o.currency = "QQQ".into()), Refusal::UnknownCurrency),
            (Box::new(|o| o.memo = "x".repeat(141)), Refusal::BadText),
            (Box::new(|o| o.memo = "\u{202e}evil".into()), Refusal::BadText),
            (
                Box::new(move |o| {
                    o.payee_bank = "Bank1".into();
                    o.payee_account = own;
                }),
                Refusal::SameAccount,
            ),
        ];
        for (change, refusal) in table {
            assert_eq!(altered(change).unwrap_err(), refusal);
        }
    }

    #[test]
    fn only_the_one_encoding_is_taken() {
        let good = order().encode();
        // an unknown field, a repeated field, an explicit default, a truncation, nothing at all
        let mut unknown = good.to_vec();
        unknown.extend([0xf8, 0x07, 0x01]);
        let mut repeated = good.to_vec();
        repeated.extend([0x08, 0x01]);
        let mut default = good.to_vec();
        default.extend([0x52, 0x00]);
        let truncated = good[..good.len() - 3].to_vec();
        for bytes in [unknown, repeated, default, truncated, vec![0; ORDER_BYTES_MAX + 1]] {
            assert_eq!(ReceivedOrder::decode(Bytes::from(bytes)).unwrap_err(), Refusal::Malformed);
        }
        assert!(ReceivedOrder::decode(Bytes::new()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = ReceivedOrder::decode(Bytes::from(bytes));
        }

        #[test]
        fn one_flipped_bit_is_another_order_or_none(bit in 0usize..800) {
            let good = order().encode();
            let mut bytes = good.to_vec();
            let place = (bit / 8) % bytes.len();
            bytes[place] ^= 1 << (bit % 8);
            if let Ok(received) = ReceivedOrder::decode(Bytes::from(bytes)) {
                prop_assert_ne!(received.hash(), hash_of(&good));
            }
        }
    }
}
