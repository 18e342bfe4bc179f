//! What a bank signs: a vote, an outcome, a conflict, a void, an acknowledgement. Nobody believes one before
//! it is verified with the signer's key from the network's roster.

use bytes::Bytes;
use prost::Message;
use strife_commit::{Acknowledgement, BankName, Code, Key, OrderHash, Placement, Verdict, Vote};

use crate::batch::Roots;
use crate::domain::{key_from_wire, key_to_wire};
use crate::signing::{KeyId, PublicKey, SigningKey, Tag};
use crate::{Refusal, v1};

/// Longest statement body, in bytes.
const BODY_BYTES_MAX: usize = 512;

/// What a statement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// The payee's bank's answer to `Prepare`.
    Vote(Vote),
    /// The payer's bank's decision.
    Outcome(Verdict),
    /// Another order holds the key: these bytes can never post.
    Conflict,
    /// No valid signature or right: these bytes can never post.
    Void,
    /// The payee's bank has done its part.
    Acknowledgement(Acknowledgement),
}

/// A bank's word about one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it says.
    pub word: Word,
    /// The bank that says it.
    pub bank: BankName,
    /// The transfer.
    pub key: Key,
    /// SHA-256 of the order's bytes.
    pub hash: OrderHash,
    /// By that bank's clock, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Position in that bank's journal; 0 where nothing was recorded.
    pub position: u64,
}

impl Statement {
    /// Signs this statement for a network.
    pub fn sign(&self, network: &str, key: &SigningKey) -> v1::Statement {
        let body = self.body(network, key.public().id());
        v1::Statement { signature: Some(key.sign(Tag::Statement, &body)), body }
    }

    /// The bytes that are signed for a network with a key.
    pub fn body(&self, network: &str, key: KeyId) -> Bytes {
        let (kind, verdict, code) = word_to_wire(self.word);
        let body = v1::StatementBody {
            kind: kind.into(),
            network: network.to_owned(),
            bank: self.bank.to_string(),
            key: Some(key_to_wire(&self.key)),
            order_hash: Bytes::copy_from_slice(&self.hash.0),
            verdict: verdict.into(),
            code: code.map_or(0, |code| code as i32),
            at_ms: self.at_ms,
            position: self.position,
            key_id: Bytes::copy_from_slice(&key.0),
        };
        Bytes::from(body.encode_to_vec())
    }

    /// Verifies a statement from the wire: made for this network, in the one encoding, signed by the key that
    /// `key_of` names for the bank that it says it is of. `roots` are those that were verified before.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::WrongNetwork`], [`Refusal::UnknownBank`] or
    /// [`Refusal::BadSignature`].
    pub fn verify(
        wire: &v1::Statement,
        network: &str,
        key_of: impl FnOnce(&BankName) -> Option<PublicKey>,
        roots: Option<&Roots>,
    ) -> Result<Self, Refusal> {
        let (statement, named) = Self::parse(wire, network)?;
        let key = key_of(&statement.bank).ok_or(Refusal::UnknownBank)?;
        if KeyId::from_slice(&named)? != key.id() {
            return Err(Refusal::BadSignature);
        }
        let signature = wire.signature.as_ref().ok_or(Refusal::BadSignature)?;
        key.verify_statement(&wire.body, signature, roots)?;
        Ok(statement)
    }

    /// Reads a statement **without verifying it**: for what this very bank has stored after verifying, and
    /// for logs.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::WrongNetwork`].
    pub fn read(wire: &v1::Statement, network: &str) -> Result<Self, Refusal> {
        Self::parse(wire, network).map(|(statement, _)| statement)
    }

    /// The statement, and the key id that it names.
    fn parse(wire: &v1::Statement, network: &str) -> Result<(Self, Bytes), Refusal> {
        if wire.body.len() > BODY_BYTES_MAX {
            return Err(Refusal::Malformed);
        }
        let body = v1::StatementBody::decode(wire.body.clone()).map_err(|_| Refusal::Malformed)?;
        if body.encode_to_vec() != wire.body {
            return Err(Refusal::Malformed);
        }
        if body.network != network {
            return Err(Refusal::WrongNetwork);
        }
        let statement = Self {
            word: word_from_wire(&body).ok_or(Refusal::Malformed)?,
            bank: BankName::new(&body.bank).map_err(|_| Refusal::Malformed)?,
            key: key_from_wire(body.key.as_ref().ok_or(Refusal::Malformed)?)?,
            hash: OrderHash::from_slice(&body.order_hash).map_err(|_| Refusal::Malformed)?,
            at_ms: body.at_ms,
            position: body.position,
        };
        Ok((statement, body.key_id))
    }

    /// Whether this is the payer's bank's last word about exactly this order: an outcome, conflict or void of
    /// the bank of record. Only such a statement ends an order.
    pub fn ends(&self, key: &Key, hash: &OrderHash) -> bool {
        let last = matches!(self.word, Word::Outcome(_) | Word::Conflict | Word::Void);
        last && self.bank == key.bank && self.is_about(key, hash)
    }

    /// Whether it is about exactly this order.
    pub fn is_about(&self, key: &Key, hash: &OrderHash) -> bool {
        self.key == *key && self.hash == *hash
    }
}

fn word_to_wire(word: Word) -> (v1::StatementKind, v1::Verdict, Option<Code>) {
    use v1::{StatementKind as Kind, Verdict as Wire};
    match word {
        Word::Vote(Vote::Yes) => (Kind::Vote, Wire::Yes, None),
        Word::Vote(Vote::No(code)) => (Kind::Vote, Wire::No, Some(code)),
        Word::Vote(Vote::Waiting) => (Kind::Vote, Wire::Waiting, None),
        Word::Outcome(Verdict::Posted) => (Kind::Outcome, Wire::Posted, None),
        Word::Outcome(Verdict::Declined(code)) => (Kind::Outcome, Wire::Declined, Some(code)),
        Word::Conflict => (Kind::Conflict, Wire::Unspecified, None),
        Word::Void => (Kind::Void, Wire::Unspecified, None),
        Word::Acknowledgement(Acknowledgement::Credited(Placement::Account)) => {
            (Kind::Acknowledgement, Wire::Credited, None)
        }
        Word::Acknowledgement(Acknowledgement::Credited(Placement::Suspense)) => {
            (Kind::Acknowledgement, Wire::Suspended, None)
        }
        Word::Acknowledgement(Acknowledgement::Released) => (Kind::Acknowledgement, Wire::Released, None),
    }
}

fn word_from_wire(body: &v1::StatementBody) -> Option<Word> {
    use v1::{StatementKind as Kind, Verdict as Wire};
    let code = Code::try_from(body.code).ok();
    let word = match (body.kind(), body.verdict(), code) {
        (Kind::Vote, Wire::Yes, None) => Word::Vote(Vote::Yes),
        (Kind::Vote, Wire::No, Some(code)) => Word::Vote(Vote::No(code)),
        (Kind::Vote, Wire::Waiting, None) => Word::Vote(Vote::Waiting),
        (Kind::Outcome, Wire::Posted, None) => Word::Outcome(Verdict::Posted),
        (Kind::Outcome, Wire::Declined, Some(code)) => Word::Outcome(Verdict::Declined(code)),
        (Kind::Conflict, Wire::Unspecified, None) => Word::Conflict,
        (Kind::Void, Wire::Unspecified, None) => Word::Void,
        (Kind::Acknowledgement, Wire::Credited, None) => {
            Word::Acknowledgement(Acknowledgement::Credited(Placement::Account))
        }
        (Kind::Acknowledgement, Wire::Suspended, None) => {
            Word::Acknowledgement(Acknowledgement::Credited(Placement::Suspense))
        }
        (Kind::Acknowledgement, Wire::Released, None) => Word::Acknowledgement(Acknowledgement::Released),
        _ => return None,
    };
    // an enum number that this program does not know reads as its default: never let it pass as a known one
    let (kind, verdict, code) = word_to_wire(word);
    let same = body.kind == kind as i32 && body.verdict == verdict as i32;
    (same && body.code == code.map_or(0, |code| code as i32)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strife_commit::TransferId;

    fn statement(word: Word) -> Statement {
        Statement {
            word,
            bank: BankName::new("Bank1").unwrap(),
            key: Key { bank: BankName::new("Bank1").unwrap(), id: TransferId([3; 16]) },
            hash: OrderHash([4; 32]),
            at_ms: 5,
            position: 6,
        }
    }

    #[test]
    fn every_word_survives_signing_and_verifying() {
        let key = SigningKey::from_seed(&[1; 32]).unwrap();
        let mut words = vec![
            Word::Vote(Vote::Yes),
            Word::Vote(Vote::Waiting),
            Word::Outcome(Verdict::Posted),
            Word::Conflict,
            Word::Void,
            Word::Acknowledgement(Acknowledgement::Released),
            Word::Acknowledgement(Acknowledgement::Credited(Placement::Account)),
            Word::Acknowledgement(Acknowledgement::Credited(Placement::Suspense)),
        ];
        for code in Code::ALL {
            words.push(Word::Vote(Vote::No(*code)));
            words.push(Word::Outcome(Verdict::Declined(*code)));
        }
        for word in words {
            let signed = statement(word).sign("demo", &key);
            let verified = Statement::verify(&signed, "demo", |_| Some(*key.public()), None).unwrap();
            assert_eq!(verified, statement(word));
        }
    }

    #[test]
    fn a_forged_altered_or_foreign_statement_is_not_believed() {
        let key = SigningKey::from_seed(&[1; 32]).unwrap();
        let forger = SigningKey::from_seed(&[2; 32]).unwrap();
        let word = Word::Outcome(Verdict::Posted);
        let honest = |_: &BankName| Some(*key.public());
        let forged = statement(word).sign("demo", &forger);
        assert_eq!(Statement::verify(&forged, "demo", honest, None), Err(Refusal::BadSignature));
        let good = statement(word).sign("demo", &key);
        assert_eq!(Statement::verify(&good, "other", honest, None), Err(Refusal::WrongNetwork));
        assert_eq!(Statement::verify(&good, "demo", |_| None, None), Err(Refusal::UnknownBank));
        for place in 0..good.body.len() {
            let mut body = good.body.to_vec();
            body[place] ^= 1;
            let altered = v1::Statement { body: body.into(), ..good.clone() };
            assert!(Statement::verify(&altered, "demo", honest, None).is_err());
        }
    }

    #[test]
    fn only_the_payers_banks_last_word_about_these_bytes_ends_an_order() {
        let posted = statement(Word::Outcome(Verdict::Posted));
        assert!(posted.ends(&posted.key, &posted.hash));
        assert!(!posted.ends(&posted.key, &OrderHash([9; 32])));
        assert!(!statement(Word::Vote(Vote::Yes)).ends(&posted.key, &posted.hash));
        let elsewhere = Statement { bank: BankName::new("Bank2").unwrap(), ..posted.clone() };
        assert!(!elsewhere.ends(&posted.key, &posted.hash));
    }
}
