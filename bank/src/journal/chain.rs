//! The hash chain: each batch's hash covers the one before, so that nothing in the past can be changed, taken
//! out or put in unseen.

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

/// A row of the journal: what became durable together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// 1, 2, 3, …
    pub number: u64,
    /// Journal position of its first entry.
    pub first_position: u64,
    /// How many entries it has.
    pub count: u64,
    /// The encoded entries.
    pub body: Bytes,
    /// Chain hash after it.
    pub hash: [u8; 32],
}

/// Where the chain stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Number of the last batch; 0 before the first.
    pub number: u64,
    /// Position of the next entry.
    pub next_position: u64,
    /// Hash after the last batch; zeros before the first.
    pub hash: [u8; 32],
}

impl Default for Chain {
    fn default() -> Self {
        Self { number: 0, next_position: 1, hash: [0; 32] }
    }
}

/// A batch that does not continue the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("batch {number} of the journal does not continue the chain")]
pub struct Broken {
    /// The batch's number.
    pub number: u64,
}

impl Chain {
    /// The chain that ends with a batch, which is believed.
    pub fn after(batch: &Batch) -> Self {
        let next_position = batch.first_position.saturating_add(batch.count);
        Self { number: batch.number, next_position, hash: batch.hash }
    }

    /// The next batch on this chain.
    pub fn extend(&self, body: Bytes, count: u64) -> Batch {
        let number = self.number + 1;
        let hash = link(&self.hash, number, self.next_position, count, &body);
        Batch { number, first_position: self.next_position, count, body, hash }
    }

    /// Moves on over a batch.
    ///
    /// # Errors
    /// [`Broken`] unless it continues the chain exactly.
    pub fn advance(&mut self, batch: &Batch) -> Result<(), Broken> {
        if self.extend(batch.body.clone(), batch.count) != *batch {
            return Err(Broken { number: batch.number });
        }
        *self = Self::after(batch);
        Ok(())
    }
}

/// SHA-256 over the hash before, number, first position and count (big endian), and the body.
fn link(before: &[u8; 32], number: u64, first_position: u64, count: u64, body: &[u8]) -> [u8; 32] {
    let mut digest = Context::new(&SHA256);
    digest.update(before);
    for number in [number, first_position, count] {
        digest.update(&number.to_be_bytes());
    }
    digest.update(body);
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_missing_or_exchanged_batch_breaks_the_chain() {
        let start = Chain::default();
        let one = start.extend(Bytes::from_static(b"one"), 2);
        let mut chain = start.clone();
        chain.advance(&one).unwrap();
        let two = chain.extend(Bytes::from_static(b"two"), 1);
        assert_eq!((two.number, two.first_position), (2, 3));
        assert!(start.clone().advance(&two).is_err(), "one is missing");
        assert!(chain.clone().advance(&one).is_err(), "one stands twice");
        let altered = Batch { body: Bytes::from_static(b"TWO"), ..two.clone() };
        assert!(chain.clone().advance(&altered).is_err());
        let recounted = Batch { count: 2, ..two.clone() };
        assert!(chain.clone().advance(&recounted).is_err());
        chain.advance(&two).unwrap();
        assert_eq!(chain.next_position, 4);
    }
}
