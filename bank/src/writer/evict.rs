//! What leaves memory, and what comes back. A decided key leaves memory only when the projections have passed
//! its position; a key that is not in memory is looked up there, on the writer's own thread, after that.

use std::collections::VecDeque;
use std::sync::Arc;

use strife_proto::commit::{Key, OrderHash, Verdict};
use strife_proto::domain::{PayeeAccount, ReceivedOrder};
use strife_proto::statement::Statement;

use crate::command::Command;
use crate::journal::reader::JournalRead;
use crate::ledger::{Entry, Kind, Overlay};
use crate::projection::{LookupError, ProjectionReader};

#[derive(Clone, Debug)]
enum Evictable {
    Payer(Key),
    Void(Key, OrderHash),
    Payee(Key, OrderHash),
    Credit(Key),
    Request([u8; 16]),
}

/// What may leave memory once the projections have passed a position.
#[derive(Debug, Default)]
pub(crate) struct Eviction {
    queue: VecDeque<(u64, Evictable)>,
}

impl Eviction {
    /// Remembers what committed entries, of which the first stands at `first_position`, put into memory.
    pub fn note(&mut self, entries: &[Entry], first_position: u64, network: &str) {
        for (entry, position) in entries.iter().zip(first_position..) {
            let evictable = match &entry.kind {
                Kind::Outcome(outcome) => {
                    let order = &outcome.order;
                    if outcome.verdict == Verdict::Posted {
                        // its own credit, inside this bank, or the one that it refunds
                        let credited = order.order().refund_of.as_ref();
                        let credited = credited.or_else(|| outcome.payee.is_some().then(|| order.key()));
                        self.queue.extend(credited.map(|key| (position, Evictable::Credit(key.clone()))));
                    }
                    Evictable::Payer(order.key().clone())
                }
                Kind::Void { order, .. } => Evictable::Void(order.key().clone(), order.hash()),
                Kind::Acknowledged { acknowledgement } => {
                    let Ok(said) = Statement::read(acknowledgement, network) else { continue };
                    Evictable::Payer(said.key)
                }
                Kind::Posted { order, .. } => {
                    self.queue.push_back((position, Evictable::Credit(order.key().clone())));
                    Evictable::Payee(order.key().clone(), order.hash())
                }
                Kind::Released { order, .. } => Evictable::Payee(order.key().clone(), order.hash()),
                Kind::AccountOpened { request, .. } | Kind::Cash { request, .. } => {
                    Evictable::Request(*request)
                }
                _ => continue,
            };
            self.queue.push_back((position, evictable));
        }
    }

    /// Takes out of memory what the projections hold, and tells how much of the queue that was. An outcome that
    /// is owed stays; so does what has changed since.
    pub fn evict(&self, overlay: &mut Overlay<'_>, projected: u64) -> usize {
        let passed = self.queue.iter().take_while(|(position, _)| *position <= projected);
        let mut count = 0;
        for (position, evictable) in passed {
            count += 1;
            match evictable {
                Evictable::Payer(key) => {
                    let known = overlay.payers.get(key);
                    if known.is_some_and(|k| k.position == *position && !k.payer.is_owed()) {
                        overlay.payers.remove(key);
                    }
                }
                Evictable::Void(key, hash) => overlay.voids.remove(&(key.clone(), *hash)),
                Evictable::Payee(key, hash) => {
                    let both = (key.clone(), *hash);
                    if overlay.payees.get(&both).is_some_and(|known| known.position == *position) {
                        overlay.payees.remove(&both);
                    }
                }
                Evictable::Request(id) => overlay.requests.remove(id),
                Evictable::Credit(key) => {
                    if overlay.credits.get(key).is_some_and(|known| known.position == *position) {
                        overlay.credits.remove(key);
                    }
                }
            }
        }
        count
    }

    /// Forgets the first entries of the queue, once the batch in which they were evicted is the state.
    pub fn done(&mut self, count: usize) {
        self.queue.drain(..count);
    }
}

/// Looks up who has the log-in name that a command brings, if it brings one.
pub(crate) fn load_login(
    command: &Command,
    overlay: &mut Overlay<'_>,
    rows: &dyn JournalRead,
) -> rusqlite::Result<()> {
    let payee = |order: &ReceivedOrder| match &order.order().payee.account {
        PayeeAccount::Login(login) if order.order().payee.bank == overlay.own.bank => Some(login.clone()),
        _ => None,
    };
    let login = match command {
        Command::Prepare(signed) | Command::Decide { order: signed, .. } => payee(&signed.order),
        Command::Post { order, .. } => payee(order),
        Command::AddPerson(row) => row.login.parse().ok(),
        _ => None,
    };
    if let Some(login) = login.filter(|login| !overlay.logins.contains_key(login))
        && let Some(row) = rows.person(login.as_str())?
    {
        overlay.logins.insert(login, row.id);
    }
    Ok(())
}

/// What a batch has looked up in the projections.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    payers: Vec<(Key, u64)>,
    voids: Vec<(Key, OrderHash)>,
    payees: Vec<((Key, OrderHash), u64)>,
    credits: Vec<(Key, u64)>,
    requests: Vec<[u8; 16]>,
}

impl Loaded {
    /// Looks up what a command needs and memory does not have.
    pub fn load(
        &mut self,
        command: &Command,
        overlay: &mut Overlay<'_>,
        projections: &ProjectionReader,
    ) -> Result<(), LookupError> {
        if let Command::Decide { order, .. } = command
            && let Some(original) = &order.order.order().refund_of
        {
            self.load_credit(original, overlay, projections)?;
        }
        match command {
            Command::Decide { order, .. } | Command::Inquire(order) | Command::Cancel(order) => {
                self.load_void(order.order.key(), order.order.hash(), overlay, projections)?;
                self.load_payer(order.order.key(), overlay, projections)
            }
            Command::Acknowledge(said) => self.load_payer(&said.statement.key, overlay, projections),
            Command::Prepare(order) => {
                self.load_payee(order.order.key(), order.order.hash(), overlay, projections)
            }
            Command::Post { order, .. } | Command::Release { order, .. } => {
                self.load_payee(order.key(), order.hash(), overlay, projections)
            }
            Command::OpenAccount { request, .. } | Command::Cash { request, .. } => {
                self.load_request(*request, overlay, projections)
            }
            _ => Ok(()),
        }
    }

    fn load_payer(
        &mut self,
        key: &Key,
        overlay: &mut Overlay<'_>,
        projections: &ProjectionReader,
    ) -> Result<(), LookupError> {
        if overlay.payers.get(key).is_none()
            && let Some(known) = projections.payer(key)?
        {
            self.payers.push((key.clone(), known.position));
            overlay.payers.insert(key.clone(), Arc::new(known));
        }
        Ok(())
    }

    fn load_void(
        &mut self,
        key: &Key,
        hash: OrderHash,
        overlay: &mut Overlay<'_>,
        projections: &ProjectionReader,
    ) -> Result<(), LookupError> {
        let both = (key.clone(), hash);
        if overlay.voids.get(&both).is_none()
            && let Some(known) = projections.void(key, &hash)?
        {
            self.voids.push(both.clone());
            overlay.voids.insert(both, known);
        }
        Ok(())
    }

    fn load_payee(
        &mut self,
        key: &Key,
        hash: OrderHash,
        overlay: &mut Overlay<'_>,
        projections: &ProjectionReader,
    ) -> Result<(), LookupError> {
        let both = (key.clone(), hash);
        if overlay.payees.get(&both).is_none()
            && overlay.promises.get(&both).is_none()
            && let Some(known) = projections.payee(key, &hash)?
        {
            self.payees.push((both.clone(), known.position));
            overlay.payees.insert(both, known);
        }
        Ok(())
    }

    fn load_request(
        &mut self,
        id: [u8; 16],
        overlay: &mut Overlay<'_>,
        projections: &ProjectionReader,
    ) -> Result<(), LookupError> {
        if overlay.requests.get(&id).is_none()
            && let Some(request) = projections.request(&id)?
        {
            self.requests.push(id);
            overlay.requests.insert(id, request);
        }
        Ok(())
    }

    /// Always looked up: refunds are few, and of several orders that were posted under one key memory may hold a later
    /// one. Where both hold the same, memory knows of refunds that the projections have not reached.
    fn load_credit(
        &mut self,
        key: &Key,
        overlay: &mut Overlay<'_>,
        projections: &ProjectionReader,
    ) -> Result<(), LookupError> {
        let Some(found) = projections.credit(&overlay.own.bank, key)? else { return Ok(()) };
        if overlay.credits.get(key).is_none_or(|known| known.hash != found.hash) {
            self.credits.push((key.clone(), found.position));
            overlay.credits.insert(key.clone(), found);
        }
        Ok(())
    }

    /// Lets go of what was looked up and not changed. What an eviction of this same batch had taken out of
    /// memory stays out only if the projections hold it, which they do: it was just found there.
    pub fn forget_unchanged(self, overlay: &mut Overlay<'_>) {
        for (key, position) in self.payers {
            if overlay.payers.get(&key).is_some_and(|known| known.position == position) {
                overlay.payers.remove(&key);
            }
        }
        // a void and a request never change
        for both in self.voids {
            overlay.voids.remove(&both);
        }
        for id in self.requests {
            overlay.requests.remove(&id);
        }
        for (both, position) in self.payees {
            if overlay.payees.get(&both).is_some_and(|known| known.position == position) {
                overlay.payees.remove(&both);
            }
        }
        for (key, position) in self.credits {
            if overlay.credits.get(&key).is_some_and(|known| known.position == position) {
                overlay.credits.remove(&key);
            }
        }
    }
}
