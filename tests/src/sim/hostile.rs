//! A taken-over gateway: it has a gateway's certificate and everything that a gateway sees, and sends banks
//! genuine orders with genuine statements about other things, forged statements, replays, bursts, torn and
//! oversized bytes, never waiting for an answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use strife_bank::journal::reader::entries_of;
use strife_bank::ledger::Kind;
use strife_certs::connect::channel;
use strife_certs::identity::Identity;
use strife_certs::tls::Material;
use strife_client::Seams;
use strife_proto::commit::{Acknowledgement, BankName, Placement, Verdict, Vote};
use strife_proto::domain::ReceivedOrder;
use strife_proto::signing::SigningKey;
use strife_proto::statement::{Statement, Word};
use strife_proto::v1::bank_client::BankClient;
use strife_proto::v1::link_request::Message as Asked;
use strife_proto::v1::{self};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::disk::Disk;
use super::fixture::{BANK_PORTS, NETWORK, fixture};
use crate::load::{Signed, Workload};

/// Messages that wait for a slow bank.
const WAITING_MAX: usize = 64;

/// The hostile machine, from its start on.
pub async fn live(workload: Arc<Workload>, disks: BTreeMap<String, Disk>, seams: Seams, seed: u64) {
    let mut attacker = Attacker::new(workload, disks, SmallRng::seed_from_u64(seed));
    let mut links: BTreeMap<String, mpsc::Sender<v1::LinkRequests>> = BTreeMap::new();
    let mut number = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(attacker.random.random_range(40..240))).await;
        let names: Vec<String> = attacker.disks.keys().cloned().collect();
        let Some(name) = names.choose(&mut attacker.random).cloned() else { continue };
        let Some(message) = attacker.message() else { continue };
        let link = links.entry(name.clone()).or_insert_with(|| connect(&name, &seams));
        number += 1;
        let request = v1::LinkRequest { number, message: Some(message), request_id: String::new() };
        let copies = attacker.random.random_range(1..4);
        let frame = v1::LinkRequests { requests: vec![request; copies] };
        if link.try_send(frame).is_err() {
            links.remove(&name);
        }
    }
}

/// A link to a bank whose answers nobody reads.
fn connect(name: &str, seams: &Seams) -> mpsc::Sender<v1::LinkRequests> {
    let (sender, requests) = mpsc::channel(WAITING_MAX);
    let files = &fixture().hostile;
    let material = Material {
        authority: &fixture().authority,
        certificate: &files.certificate,
        private_key: &files.private_key,
    };
    let identity = Identity::Bank(BankName::new(name).unwrap());
    let address = format!("{name}:{}", BANK_PORTS.0);
    let channel = channel(seams.dial.clone(), &address, material.client().unwrap(), &identity, 500, |_| true);
    tokio::spawn(async move {
        let Ok(replies) = BankClient::new(channel).link(ReceiverStream::new(requests)).await else { return };
        let mut replies = replies.into_inner();
        while let Ok(Some(_)) = replies.message().await {}
    });
    sender
}

/// Somebody who has seen every order and every statement, and makes the worst of them.
pub struct Attacker {
    workload: Arc<Workload>,
    disks: BTreeMap<String, Disk>,
    /// Its whims.
    pub random: SmallRng,
}

impl Attacker {
    /// One who has seen all that is on these disks.
    pub fn new(workload: Arc<Workload>, disks: BTreeMap<String, Disk>, random: SmallRng) -> Self {
        Self { workload, disks, random }
    }

    /// An order that has left its maker.
    pub fn some_order(&mut self) -> Option<Signed> {
        self.workload.some_order(&mut self.random)
    }

    /// A statement that was never made about this order, or one that was made about any.
    pub fn some_statement(&mut self, order: &ReceivedOrder) -> Option<v1::Statement> {
        if self.random.random_ratio(1, 2) { Some(self.forged(order)) } else { self.genuine() }
    }

    fn message(&mut self) -> Option<Asked> {
        let Signed { order, signature, .. } = self.some_order()?;
        let statement = self.some_statement(&order)?;
        let bytes = self.spoiled(&order);
        let signed = Some(v1::SignedOrder { order: bytes.clone(), signature: Some(signature) });
        let deliver = v1::Deliver { statement: Some(statement.clone()), order: bytes };
        Some(match self.random.random_range(0..10) {
            0 | 1 => Asked::Prepare(v1::Prepare { order: signed }),
            2 | 3 => Asked::Decide(v1::Decide { order: signed, vote: Some(statement) }),
            4 => Asked::Decide(v1::Decide { order: signed, vote: None }),
            5 => Asked::Inquire(v1::Inquire { order: signed }),
            6 => Asked::Post(deliver),
            7 => Asked::Release(deliver),
            8 => Asked::Acknowledge(v1::Acknowledge { acknowledgement: Some(statement) }),
            _ => Asked::ListUnfinished(v1::ListUnfinished {
                older_than_ms: self.random.random(),
                count_max: self.random.random(),
                counterparts: vec!["nobody".into()],
            }),
        })
    }

    /// The order's bytes, mostly as they are.
    pub fn spoiled(&mut self, order: &ReceivedOrder) -> Bytes {
        let mut bytes = order.bytes().to_vec();
        match self.random.random_range(0..12) {
            0 => bytes.truncate(self.random.random_range(0..bytes.len())),
            1 => {
                let at = self.random.random_range(0..bytes.len());
                bytes[at] ^= 1 << self.random.random_range(0..8);
            }
            2 => bytes.resize(100_000, 0),
            _ => {}
        }
        let bytes = Bytes::from(bytes);
        // a bank that takes no part never decides: what is promised to it stays promised, as it must
        let of_nobody = ReceivedOrder::decode(bytes.clone())
            .is_ok_and(|spoiled| !self.disks.contains_key(spoiled.key().bank.as_str()));
        if of_nobody { order.bytes().clone() } else { bytes }
    }

    /// Something that a bank has signed, about whatever it was.
    fn genuine(&mut self) -> Option<v1::Statement> {
        let disks: Vec<&Disk> = self.disks.values().collect();
        let image = disks.choose(&mut self.random)?.image();
        let batch = image.batches.choose(&mut self.random)?;
        let entries = entries_of(batch).ok()?;
        let statements: Vec<v1::Statement> = entries
            .into_iter()
            .filter_map(|entry| match entry.kind {
                Kind::Outcome(outcome) => Some(outcome.statement),
                Kind::Promised { vote, .. } => Some(vote),
                Kind::Posted { acknowledgement, .. } | Kind::Released { acknowledgement, .. } => {
                    Some(acknowledgement)
                }
                Kind::Void { statement, .. } => Some(statement),
                _ => None,
            })
            .collect();
        statements.choose(&mut self.random).cloned()
    }

    /// What a bank never said about this very order.
    fn forged(&mut self, order: &ReceivedOrder) -> v1::Statement {
        let words = [
            Word::Vote(Vote::Yes),
            Word::Vote(Vote::Yes),
            Word::Outcome(Verdict::Posted),
            Word::Void,
            Word::Conflict,
            Word::Acknowledgement(Acknowledgement::Credited(Placement::Account)),
            Word::Acknowledgement(Acknowledgement::Released),
        ];
        let word = words.choose(&mut self.random).copied().unwrap_or(Word::Void);
        let of_payee = matches!(word, Word::Vote(_) | Word::Acknowledgement(_));
        let bank = if of_payee { &order.order().payee.bank } else { &order.key().bank };
        let statement = Statement {
            word,
            bank: bank.clone(),
            key: order.key().clone(),
            hash: order.hash(),
            at_ms: order.order().made_at_ms,
            position: 1,
        };
        let own_key = SigningKey::from_seed(&[9; 32]).unwrap();
        statement.sign(NETWORK, &own_key)
    }
}
