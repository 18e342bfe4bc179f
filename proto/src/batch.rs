//! Many statements under one signature. A bank that answers a batch signs the root of a Merkle tree over what it
//! says (the tree of RFC 9162, section 2.1) and gives each statement the root's signature and the short path from it
//! to the root. Whoever has verified a root once believes every other statement under it for the price of hashing.
//!
//! What must never: a statement under a root that nobody signed, or at a place that the tree does not have.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::signing::{PublicKey, SigningKey, Tag, sha256};
use crate::{Refusal, v1};

/// Most statements under one root.
pub const LEAVES_MAX: u32 = 1 << 16;

/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// Roots that are remembered; beyond that the oldest are verified again.
const ROOTS_MAX: usize = 8_192;

type Hash = [u8; HASH_BYTES];

fn leaf(message: &[u8]) -> Hash {
    sha256(&[&[0], Tag::Statement.bytes(), message].concat())
}

fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 1 + 2 * HASH_BYTES];
    bytes[1..=HASH_BYTES].copy_from_slice(left);
    bytes[1 + HASH_BYTES..].copy_from_slice(right);
    sha256(&bytes)
}

/// What is signed: the root, and of how many leaves it is.
fn signed(root: &Hash, leaves: u32) -> Vec<u8> {
    [root.as_slice(), &leaves.to_be_bytes()].concat()
}

/// Signs statements' bodies, in their order: one alone with a signature of its own, more with one root for all of them
/// (for each [`LEAVES_MAX`] of them).
pub fn sign_all(key: &SigningKey, bodies: &[Bytes]) -> Vec<v1::Signature> {
    match bodies {
        [] => Vec::new(),
        [one] => vec![key.sign(Tag::Statement, one)],
        _ => bodies.chunks(LEAVES_MAX as usize).flat_map(|chunk| sign_tree(key, chunk)).collect(),
    }
}

fn sign_tree(key: &SigningKey, bodies: &[Bytes]) -> Vec<v1::Signature> {
    let mut levels: Vec<Vec<Hash>> = vec![bodies.iter().map(|body| leaf(body)).collect()];
    while let Some(below) = levels.last().filter(|level| level.len() > 1) {
        // the last of an odd number stands for itself one level up
        let above = below.chunks(2).map(|pair| match pair {
            [left, right] => node(left, right),
            rest => rest[0],
        });
        levels.push(above.collect());
    }
    let leaves = u32::try_from(bodies.len()).unwrap_or(u32::MAX);
    let root = levels.last().and_then(|level| level.first()).copied().unwrap_or_default();
    let root_signature = key.sign_raw(Tag::Batch, &signed(&root, leaves));
    let key_id = Bytes::copy_from_slice(&key.public().id().0);
    let under = |index: u32| {
        let mut at = index as usize;
        let mut path = Vec::with_capacity(levels.len() * HASH_BYTES);
        for level in &levels {
            path.extend(level.get(at ^ 1).into_iter().flatten());
            at /= 2;
        }
        let batched =
            v1::BatchSignature { root_signature: root_signature.clone(), index, leaves, path: path.into() };
        v1::Signature { key_id: key_id.clone(), form: Some(v1::signature::Form::Batched(batched)) }
    };
    (0..leaves).map(under).collect()
}

/// The root that a body, its place and its path lead to; `None` where the tree has no such place or path.
fn root_of(body: &[u8], index: u32, leaves: u32, path: &[u8]) -> Option<Hash> {
    if index >= leaves || leaves > LEAVES_MAX || !path.len().is_multiple_of(HASH_BYTES) {
        return None;
    }
    let mut hash = leaf(body);
    let mut siblings = path.chunks_exact(HASH_BYTES);
    let mut sibling = || siblings.next().and_then(|bytes| Hash::try_from(bytes).ok());
    let (mut at, mut last) = (index, leaves - 1);
    while last > 0 {
        if at % 2 == 1 {
            hash = node(&sibling()?, &hash);
        } else if at < last {
            hash = node(&hash, &sibling()?);
        }
        (at, last) = (at / 2, last / 2);
    }
    siblings.next().is_none().then_some(hash)
}

/// Roots that were verified, so that none is verified twice. Only what was verified is in it: a miss costs a
/// verification, never a refusal.
#[derive(Debug, Default)]
pub struct Roots {
    known: Mutex<(HashSet<Hash>, VecDeque<Hash>)>,
}

impl Roots {
    fn knows(&self, root: &Hash) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).0.contains(root)
    }

    fn learn(&self, root: Hash) {
        let (set, order) = &mut *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if set.insert(root) {
            order.push_back(root);
            if order.len() > ROOTS_MAX
                && let Some(oldest) = order.pop_front()
            {
                set.remove(&oldest);
            }
        }
    }
}

/// Verifies a batched signature of a body with a key.
///
/// # Errors
/// [`Refusal::BadSignature`].
pub(crate) fn verify(
    key: &PublicKey,
    body: &[u8],
    signature: &v1::BatchSignature,
    roots: Option<&Roots>,
) -> Result<(), Refusal> {
    let v1::BatchSignature { root_signature, index, leaves, path } = signature;
    let root = root_of(body, *index, *leaves, path).ok_or(Refusal::BadSignature)?;
    let message = signed(&root, *leaves);
    // whose word it is, what it says, and by which signature
    let whole = sha256(&[&key.0, message.as_slice(), root_signature].concat());
    if roots.is_some_and(|roots| roots.knows(&whole)) {
        return Ok(());
    }
    key.verify_raw(Tag::Batch, &message, root_signature)?;
    if let Some(roots) = roots {
        roots.learn(whole);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(count: u8) -> Vec<Bytes> {
        (0..count).map(|number| Bytes::from(vec![number; 3])).collect()
    }

    #[test]
    fn every_statement_of_every_size_of_batch_verifies_and_nothing_else_does() {
        let key = SigningKey::from_seed(&[1; 32]).unwrap();
        let other = SigningKey::from_seed(&[2; 32]).unwrap();
        let refused = Err(Refusal::BadSignature);
        for count in 1..40 {
            let bodies = bodies(count);
            let signatures = sign_all(&key, &bodies);
            assert_eq!(signatures.len(), bodies.len());
            let roots = Roots::default();
            for (number, (body, signature)) in bodies.iter().zip(&signatures).enumerate() {
                assert_eq!(
                    key.public().verify_statement(body, signature, None),
                    Ok(()),
                    "{number} of {count}"
                );
                assert_eq!(key.public().verify_statement(body, signature, Some(&roots)), Ok(()));
                assert_eq!(other.public().verify_statement(body, signature, Some(&roots)), refused);
                assert_eq!(key.public().verify_statement(b"x", signature, Some(&roots)), refused);
                // the path of another place, or what is another's
                let next = &signatures[(number + 1) % signatures.len()];
                if count > 1 {
                    assert_eq!(key.public().verify_statement(body, next, Some(&roots)), refused);
                }
            }
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_refused_also_by_whoever_knows_the_root() {
        let key = SigningKey::from_seed(&[1; 32]).unwrap();
        let bodies = bodies(7);
        let roots = Roots::default();
        let Some(v1::signature::Form::Batched(good)) = sign_all(&key, &bodies)[4].form.clone() else {
            panic!("one of seven is batched")
        };
        let holds =
            |batched: &v1::BatchSignature| verify(key.public(), &bodies[4], batched, Some(&roots)).is_ok();
        assert!(holds(&good));
        for (of, length) in [(0, good.path.len()), (1, good.root_signature.len())] {
            for bit in 0..length * 8 {
                let mut bad = good.clone();
                let bytes = if of == 0 { &mut bad.path } else { &mut bad.root_signature };
                let mut flipped = bytes.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                *bytes = flipped.into();
                assert!(!holds(&bad), "bit {bit} of {of}");
            }
        }
        for (index, leaves) in
            [(3, 7), (5, 7), (4, 6), (4, 8), (4, 0), (7, 7), (4, u32::MAX), (u32::MAX, u32::MAX)]
        {
            assert!(!holds(&v1::BatchSignature { index, leaves, ..good.clone() }), "{index} of {leaves}");
        }
        for path in [
            Bytes::new(),
            good.path.slice(..31),
            good.path.slice(..32),
            [&good.path[..], &[0; 32]].concat().into(),
        ] {
            assert!(!holds(&v1::BatchSignature { path, ..good.clone() }));
        }
    }

    #[test]
    fn no_more_roots_are_remembered_than_the_limit() {
        let roots = Roots::default();
        for number in 0..=ROOTS_MAX {
            roots.learn(sha256(&number.to_be_bytes()));
        }
        assert!(!roots.knows(&sha256(&0_usize.to_be_bytes())), "the oldest is gone");
        assert!(roots.knows(&sha256(&ROOTS_MAX.to_be_bytes())));
        assert_eq!(roots.known.lock().unwrap().1.len(), ROOTS_MAX);
    }
}
