//! What happened, in order: for the auditor, and as the trace that must be the same for the same seed.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strife_client::api::{ApiError, Known};
use strife_client::outbox::Credit;
use strife_proto::commit::{BankName, Key, OrderHash};
use strife_proto::domain::ReceivedOrder;
use strife_proto::signing::sha256;
use strife_proto::v1;

use strife_seams::Clock;

use crate::auditor::{Auditor, Ended, Nature};

#[derive(Debug)]
struct Inside {
    auditor: Auditor,
    digest: [u8; 32],
    lines: u64,
    /// The lines themselves, where somebody wants to read them.
    text: Option<String>,
    /// What was heard last of each order that has not ended.
    last: BTreeMap<(Key, OrderHash), String>,
}

/// Records everything. Clones record the same.
#[derive(Clone, Debug)]
pub struct Recorder {
    inside: Arc<Mutex<Inside>>,
    clock: Arc<dyn Clock>,
    begins_at_ms: i64,
}

impl Recorder {
    /// Begins now, by a clock, with an auditor; `verbose` keeps the lines.
    pub fn new(auditor: Auditor, clock: Arc<dyn Clock>, verbose: bool) -> Self {
        let text = verbose.then(String::new);
        let inside = Inside { auditor, digest: [0; 32], lines: 0, text, last: BTreeMap::new() };
        let begins_at_ms = clock.now_ms();
        Self { inside: Arc::new(Mutex::new(inside)), clock, begins_at_ms }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line to the trace.
    pub fn note(&self, what: &str) {
        let at_ms = self.clock.now_ms() - self.begins_at_ms;
        let mut inside = self.lock();
        let line = format!("{at_ms:>7} {what}\n");
        inside.digest = sha256(&[inside.digest.as_slice(), line.as_bytes()].concat());
        inside.lines += 1;
        if let Some(text) = &mut inside.text {
            let _ = text.write_str(&line);
        }
    }

    /// Digest and length of the trace so far, and its lines if they were kept.
    pub fn trace(&self) -> ([u8; 32], u64, Option<String>) {
        let inside = self.lock();
        (inside.digest, inside.lines, inside.text.clone())
    }

    /// What the auditor knows.
    pub fn auditor(&self) -> Auditor {
        self.lock().auditor.clone()
    }

    /// Looks at what the auditor knows without copying it.
    pub fn with<T>(&self, look: impl FnOnce(&Auditor) -> T) -> T {
        look(&self.lock().auditor)
    }

    /// As [`Auditor::asks`].
    pub fn asks(&self, order: &ReceivedOrder, nature: Nature) {
        self.note(&format!("asks {} {:?}", order.key(), order.hash()));
        self.lock().auditor.asks(order, nature);
    }

    /// As [`Auditor::asks_cancel`].
    pub fn asks_cancel(&self, order: &ReceivedOrder, nature: Nature) {
        self.note(&format!("asks to cancel {} {:?}", order.key(), order.hash()));
        self.lock().auditor.asks_cancel(order, nature);
    }

    /// As [`Auditor::hears`].
    pub fn hears(&self, order: &ReceivedOrder, reply: &Result<Known, ApiError>) {
        self.note_heard(order, reply);
        self.lock().auditor.hears(order, reply);
    }

    fn note_heard(&self, order: &ReceivedOrder, reply: &Result<Known, ApiError>) {
        let told = match reply {
            Ok(Known::Ended { statement, credit }) => format!("{:?} {credit:?}", statement.word),
            Ok(other) => format!("{other:?}"),
            Err(error) => format!("{error:?}"),
        };
        self.note(&format!("hears {} {:?}: {told}", order.key(), order.hash()));
        let id = (order.key().clone(), order.hash());
        match reply {
            Ok(Known::Ended { .. }) => self.lock().last.remove(&id),
            _ => self.lock().last.insert(id, told),
        };
    }

    /// What was heard last of the orders that have not ended, and of how many.
    pub fn last_heard(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for told in self.lock().last.values() {
            *counts.entry(told.clone()).or_default() += 1;
        }
        counts
    }

    /// As [`Auditor::asks_outcome`].
    pub fn asks_outcome(&self) -> u64 {
        self.lock().auditor.asks_outcome()
    }

    /// As [`Auditor::hears_outcome`].
    pub fn hears_outcome(&self, asked: u64, order: &ReceivedOrder, reply: &Result<Known, ApiError>) {
        self.note_heard(order, reply);
        self.lock().auditor.hears_outcome(asked, order, reply);
    }

    /// As [`Auditor::hears_end`].
    pub fn hears_end(&self, order: &ReceivedOrder, ended: Ended, credit: Credit) {
        self.note(&format!("outbox: {} ended {ended:?} {credit:?}", order.key()));
        self.lock().auditor.hears_end(order, ended, credit);
    }

    /// As [`Auditor::begins_reading`].
    pub fn begins_reading(&self) -> u64 {
        self.lock().auditor.begins_reading()
    }

    /// As [`Auditor::reads`].
    pub fn reads(&self, asked: u64, bank: &BankName, accounts: &[v1::Account]) {
        let shown: Vec<String> = accounts.iter().map(|a| format!("{}={}", a.number, a.posted)).collect();
        self.note(&format!("reads {bank} {}", shown.join(" ")));
        self.lock().auditor.reads(asked, bank, accounts);
    }
}
