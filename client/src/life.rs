//! The life of a transfer, read from what a bank has sent through a gateway. What the banks have signed is verified;
//! the other times are the bank's word as the gateway passed it on, like every page of the history.

use strife_proto::Refusal;
use strife_proto::commit::{Acknowledgement, BankName, Key, Placement, Verdict};
use strife_proto::domain::{AccountRef, PayeeAccount, ReceivedOrder};
use strife_proto::statement::{Statement, Word};
use strife_proto::v1;

use crate::view::Life;

/// The word for a transfer that has moved its money.
const POSTED: &str = "posted";
/// The word for one that has not, where the code is not told.
const DECLINED: &str = "declined";
/// Why, where the code is not told.
const NOT_POSTED: &str = "The payer's bank did not post it.";

/// Reads a reply about a transfer.
///
/// # Errors
/// The [`Refusal`] that says what is false in it: an order of another key, a statement that its bank has not signed or
/// that is about something else.
pub fn read(
    key: &Key,
    reply: v1::LifeReply,
    verify: impl Fn(&v1::Statement) -> Result<Statement, Refusal>,
) -> Result<Life, Refusal> {
    let received = ReceivedOrder::decode(reply.order)?;
    if received.key() != key {
        return Err(Refusal::OutOfPlace);
    }
    let said = |wire: &v1::Statement, by: &BankName| {
        let statement = verify(wire)?;
        let fits = statement.bank == *by && statement.is_about(received.key(), &received.hash());
        if fits { Ok(statement) } else { Err(Refusal::OutOfPlace) }
    };
    let order = received.order();
    let decided = match &reply.outcome {
        Some(wire) => {
            let statement = said(wire, &key.bank)?;
            let Word::Outcome(verdict) = statement.word else { return Err(Refusal::OutOfPlace) };
            Some((verdict, statement.at_ms))
        }
        None => None,
    };
    let acknowledged = match &reply.acknowledgement {
        Some(wire) => {
            let statement = said(wire, &order.payee.bank)?;
            let Word::Acknowledgement(word) = statement.word else { return Err(Refusal::OutOfPlace) };
            Some(word)
        }
        None => None,
    };
    let (outcome, sentence) = match (decided, acknowledged) {
        (Some((Verdict::Declined(code), _)), _) => (Some(code.name()), Some(code.sentence())),
        (Some((Verdict::Posted, _)), _) | (None, Some(Acknowledgement::Credited(_))) => (Some(POSTED), None),
        (None, Some(Acknowledgement::Released)) => (Some(DECLINED), Some(NOT_POSTED)),
        (None, None) => (None, None),
    };
    let at = |at_ms: i64| (at_ms != 0).then_some(at_ms);
    Ok(Life {
        key: key.clone(),
        from: AccountRef { account: PayeeAccount::Number(order.payer), bank: key.bank.clone() },
        to: order.payee.clone(),
        amount: order.amount,
        memo: order.memo.clone(),
        made_at_ms: order.made_at_ms,
        expires_at_ms: order.expires_at_ms,
        promised_at_ms: at(reply.promised_at_ms),
        decided_at_ms: decided.map(|(_, at_ms)| at_ms),
        outcome,
        sentence,
        credited_at_ms: at(reply.credited_at_ms),
        to_suspense: acknowledged == Some(Acknowledgement::Credited(Placement::Suspense)),
        refund_of: order.refund_of.clone(),
        refunded: reply.refunds.map(|refunds| refunds.refunded),
        refundable: reply.refunds.map(|refunds| refunds.refundable),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use strife_proto::commit::{Code, TransferId};
    use strife_proto::domain::{AccountNumber, Currency, Money, Order};
    use strife_proto::signing::SigningKey;

    fn order() -> ReceivedOrder {
        let order = Order {
            network: "demo".into(),
            key: Key { bank: BankName::new("Bank1").unwrap(), id: TransferId([7; 16]) },
            payer: AccountNumber::from_body(1_000_000_001).unwrap(),
            payee: "user2@Bank2".parse().unwrap(),
            amount: Money::new(1250, Currency::new("EUR").unwrap()).unwrap(),
            memo: "lunch".into(),
            made_at_ms: 1,
            expires_at_ms: 2,
            refund_of: None,
        };
        ReceivedOrder::decode(order.encode()).unwrap()
    }

    /// Both banks sign with keys of their own.
    fn key_of(bank: &BankName) -> SigningKey {
        SigningKey::from_seed(&[bank.as_str().as_bytes()[4]; 32]).unwrap()
    }

    fn sign(bank: &str, word: Word) -> v1::Statement {
        let order = order();
        let bank = BankName::new(bank).unwrap();
        let key = key_of(&bank);
        let statement =
            Statement { word, bank, key: order.key().clone(), hash: order.hash(), at_ms: 30, position: 3 };
        statement.sign("demo", &key)
    }

    fn verify(wire: &v1::Statement) -> Result<Statement, Refusal> {
        Statement::verify(wire, "demo", |bank| Some(*key_of(bank).public()), None)
    }

    fn reply() -> v1::LifeReply {
        v1::LifeReply { order: order().bytes().clone(), ..Default::default() }
    }

    const CREDITED: Word = Word::Acknowledgement(Acknowledgement::Credited(Placement::Account));

    #[test]
    fn each_bank_tells_its_own_side() {
        let key = order().key().clone();
        let posted = sign("Bank1", Word::Outcome(Verdict::Posted));
        let payers = v1::LifeReply { outcome: Some(posted), ..reply() };
        let life = read(&key, payers.clone(), verify).unwrap();
        assert_eq!((life.outcome, life.decided_at_ms, life.credited_at_ms), (Some("posted"), Some(30), None));
        assert_eq!(
            (life.from.to_string(), life.refundable),
            (format!("{}@Bank1", order().order().payer), None)
        );
        let noted =
            v1::LifeReply { acknowledgement: Some(sign("Bank2", CREDITED)), credited_at_ms: 40, ..payers };
        assert_eq!(read(&key, noted, verify).unwrap().credited_at_ms, Some(40));
        let refunds = Some(v1::Refunds { refunded: 50, refundable: 1200 });
        let payees = v1::LifeReply {
            promised_at_ms: 20,
            acknowledgement: Some(sign("Bank2", CREDITED)),
            credited_at_ms: 35,
            refunds,
            ..reply()
        };
        let life = read(&key, payees, verify).unwrap();
        assert_eq!((life.promised_at_ms, life.decided_at_ms, life.outcome), (Some(20), None, Some("posted")));
        assert_eq!((life.refunded, life.refundable), (Some(50), Some(1200)));
        let no = sign("Bank1", Word::Outcome(Verdict::Declined(Code::Expired)));
        let life = read(&key, v1::LifeReply { outcome: Some(no), ..reply() }, verify).unwrap();
        assert_eq!((life.outcome, life.sentence), (Some("EXPIRED"), Some(Code::Expired.sentence())));
        let released = sign("Bank2", Word::Acknowledgement(Acknowledgement::Released));
        let life = read(&key, v1::LifeReply { acknowledgement: Some(released), ..reply() }, verify).unwrap();
        assert_eq!((life.outcome, life.sentence), (Some("declined"), Some(NOT_POSTED)));
        let suspended = Word::Acknowledgement(Acknowledgement::Credited(Placement::Suspense));
        let suspended = v1::LifeReply { acknowledgement: Some(sign("Bank2", suspended)), ..reply() };
        assert!(read(&key, suspended, verify).unwrap().to_suspense);
    }

    #[test]
    fn what_no_bank_has_signed_is_not_believed() {
        let order = order();
        let key = order.key().clone();
        let other = Key { id: TransferId([8; 16]), ..key.clone() };
        assert_eq!(read(&other, reply(), verify), Err(Refusal::OutOfPlace), "another order");
        let outcome = |statement| read(&key, v1::LifeReply { outcome: Some(statement), ..reply() }, verify);
        let posted = Word::Outcome(Verdict::Posted);
        assert_eq!(outcome(sign("Bank2", posted)), Err(Refusal::OutOfPlace), "not of the bank of record");
        assert_eq!(outcome(sign("Bank1", Word::Void)), Err(Refusal::OutOfPlace));
        let mut forged = sign("Bank1", posted);
        forged.signature = sign("Bank2", posted).signature;
        assert_eq!(outcome(forged), Err(Refusal::BadSignature));
        let acknowledgement = Some(sign("Bank1", CREDITED));
        let credited = v1::LifeReply { acknowledgement, ..reply() };
        assert_eq!(read(&key, credited, verify), Err(Refusal::OutOfPlace), "not of the payee's bank");
    }
}
