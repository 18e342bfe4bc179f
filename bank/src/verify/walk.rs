//! From the first batch to the last: chain, entries, sums, and the snapshots on the way.

use std::collections::HashMap;
use std::path::Path;

use bytes::Bytes;
use prost::Message;
use rusqlite::Connection;
use strife_proto::journal::v1 as pb;

use super::folder::Report;
use super::keys::Keys;
use super::{books, entry};
use crate::journal::store::FILE;
use crate::journal::{Batch, Chain};
use crate::ledger::state::{Own, PersonId};
use crate::ledger::{Entry, Kind, State};
use crate::replay::{apply_all, let_go};
use crate::snapshot;

/// Batches after which memory lets go of what is over.
const BATCHES_PER_SWEEP: u64 = 512;

/// Position and row digest of each person's entry.
pub(super) type People = HashMap<PersonId, (u64, Bytes)>;

/// Snapshots to be compared, by the batch that they end with: name, chain, digest.
type Snapshots = HashMap<u64, (String, Chain, [u8; 32])>;

struct Walk<'a> {
    report: &'a mut Report,
    state: State,
    people: People,
    /// What the chain is, by what was read.
    computed: Chain,
    /// The hash that the last batch itself says it has.
    stored: [u8; 32],
    /// One entry did not fit: balances after it say nothing.
    unfit: bool,
    /// What may stand there once only.
    keys: Keys,
}

/// Reads everything and adds what is wrong to the report. Returns people's digests.
pub(super) fn walk(
    dir: &Path,
    own: &Own,
    connection: &Connection,
    keys: Keys,
    report: &mut Report,
) -> People {
    let mut snapshots = snapshots(dir, own, report);
    let mut walk = Walk {
        report,
        state: State::new(own.clone()),
        people: People::new(),
        computed: Chain::default(),
        stored: [0; 32],
        unfit: false,
        keys,
    };
    if let Err(error) = walk.all(connection, &mut snapshots) {
        let after = walk.computed.number;
        walk.report.journal(Some(after + 1), None, format!("it cannot be read, nor what follows: {error}"));
    }
    for (name, chain, _) in snapshots.into_values() {
        let (number, end) = (chain.number, walk.computed.number);
        walk.report.file(name, format!("it has seen batch {number}, but the journal ends at batch {end}"));
    }
    walk.end()
}

fn snapshots(dir: &Path, own: &Own, report: &mut Report) -> Snapshots {
    let mut found = Snapshots::new();
    for path in snapshot::files(dir).unwrap_or_default() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match snapshot::read(&path, own) {
            Ok(read) => {
                found.insert(read.chain.number, (name, read.chain, read.digest));
            }
            Err(why) => report.file(name, why),
        }
    }
    found
}

impl Walk<'_> {
    fn all(&mut self, connection: &Connection, snapshots: &mut Snapshots) -> rusqlite::Result<()> {
        let mut statement = connection
            .prepare("SELECT number, first_position, count, body, hash FROM batches ORDER BY number")?;
        let mut rows = statement.query([])?;
        let mut outside = Vec::new();
        while let Some(row) = rows.next()? {
            let number: i64 = row.get(0)?;
            if number < 1 {
                outside.push(number);
                continue;
            }
            let number = number.cast_unsigned();
            let stored: Vec<u8> = row.get(4)?;
            let hash = stored.try_into().unwrap_or_else(|_| {
                self.report.journal(Some(number), None, "its hash has not 32 bytes");
                [0; 32]
            });
            self.batch(&Batch {
                number,
                first_position: row.get::<_, i64>(1)?.cast_unsigned(),
                count: row.get::<_, i64>(2)?.cast_unsigned(),
                body: Bytes::from(row.get::<_, Vec<u8>>(3)?),
                hash,
            })?;
            if number.is_multiple_of(BATCHES_PER_SWEEP) {
                let_go(&mut self.state);
            }
            if let Some((name, chain, digest)) = snapshots.remove(&number) {
                self.snapshot(&name, &chain, digest);
            }
        }
        // what is missing in the middle was told; at the end nothing else shows it
        let Chain { number, next_position, .. } = self.computed;
        for outside in outside {
            let what = format!("it is missing after batch {number}, and a batch has the number {outside}");
            self.report.journal(Some(number + 1), Some(next_position), what);
        }
        Ok(())
    }

    fn batch(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        let first = self.link(batch);
        self.report.batches += 1;
        let Ok(wire) = pb::Batch::decode(batch.body.clone()) else {
            self.unfit = true;
            self.computed.next_position = first.saturating_add(batch.count);
            self.report.journal(Some(batch.number), None, "its entries cannot be read");
            return Ok(());
        };
        let read = wire.entries.len() as u64;
        self.computed.next_position = first.saturating_add(read);
        if read != batch.count {
            let what = format!("it says that it has {} entries, and has {read}", batch.count);
            self.report.journal(Some(batch.number), None, what);
        }
        for (wire, position) in wire.entries.into_iter().zip(first..) {
            self.report.entries += 1;
            self.state.next_position = position;
            match Entry::from_wire(wire) {
                Ok(entry) => self.entry(batch.number, position, &entry)?,
                Err(why) => {
                    self.unfit = true;
                    self.report.journal(
                        Some(batch.number),
                        Some(position),
                        format!("it cannot be read: {why}"),
                    );
                }
            }
        }
        Ok(())
    }

    /// Moves the chain on over a batch, says what does not continue it, and returns the position of the batch's first
    /// entry. Its neighbours are judged by themselves: the next batch is right if it continues either what this one
    /// says that its hash is or what its contents give.
    fn link(&mut self, batch: &Batch) -> u64 {
        let Chain { number, next_position, hash } = self.computed;
        let with = |hash| {
            let before =
                Chain { number: batch.number.wrapping_sub(1), next_position: batch.first_position, hash };
            before.extend(batch.body.clone(), batch.count).hash
        };
        let computed = with(hash);
        let mut first = next_position;
        if batch.number != number + 1 {
            let missing =
                format!("it is missing: after batch {number} the journal has batch {}", batch.number);
            self.report.journal(Some(number + 1), Some(next_position), missing);
            self.unfit = true;
            first = batch.first_position;
        } else if batch.first_position != next_position {
            let what = format!("it says that it begins with entry {}", batch.first_position);
            self.report.journal(Some(batch.number), Some(next_position), what);
        } else if computed != batch.hash && with(self.stored) != batch.hash {
            let what = format!("an entry from {first} on, their count, or the hash over them was changed");
            self.report.journal(Some(batch.number), None, what);
        }
        self.computed = Chain { number: batch.number, next_position: first, hash: computed };
        self.stored = batch.hash;
        first
    }

    fn entry(&mut self, batch: u64, position: u64, entry: &Entry) -> rusqlite::Result<()> {
        if let Err(what) = entry::check(&self.state, entry, position) {
            self.report.journal(Some(batch), Some(position), what);
        }
        if let Kind::PersonAdded { person, row_digest } = &entry.kind
            && self.people.insert(*person, (position, row_digest.clone())).is_some()
        {
            self.report.journal(Some(batch), Some(position), "the person was added before");
        }
        if let Some(what) = self.keys.note(entry, &self.state.own.network, position)? {
            self.report.journal(Some(batch), Some(position), what);
        }
        match apply_all(&mut self.state, std::slice::from_ref(entry)) {
            Ok(()) if self.unfit => {}
            Ok(()) => {
                for what in books::after_entry(&self.state, entry) {
                    self.report.journal(Some(batch), Some(position), what);
                }
            }
            Err((_, error)) => {
                self.unfit = true;
                self.report.journal(Some(batch), Some(position), error);
            }
        }
        Ok(())
    }

    fn snapshot(&mut self, name: &str, chain: &Chain, digest: [u8; 32]) {
        let_go(&mut self.state);
        if chain.hash != self.stored {
            let what = format!("its batch {} is not the journal's batch {}", chain.number, chain.number);
            return self.report.file(name, what);
        }
        match snapshot::digest(&self.state, chain) {
            Ok(found) if found == digest => {}
            Ok(_) if self.unfit => {}
            Ok(_) => self.report.file(name, "its state is not the one that the journal gives"),
            Err(error) => self.report.file(name, error),
        }
    }

    fn end(self) -> People {
        let Self { report, state, people, computed, unfit, .. } = self;
        report.chain = computed.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        if unfit {
            report.notes.push("sums, floors and snapshots are not compared: an entry is wrong".into());
            return people;
        }
        for what in books::of_state(&state) {
            report.file(FILE, what);
        }
        people
    }
}
