//! Verifying many people's signatures together, at half the price for each. The rule is the cofactored equation of
//! RFC 8032, section 5.1.7, with the encodings of ZIP 215: the only one by which a signature is good or bad alone and in
//! any company. Whoever judges an order's signature, now or in ten years, must judge by it.
//!
//! What must never: a signature whose fate depends on its company.

use std::convert::Infallible;

use ed25519_zebra::batch::{Item, Verifier};
use ed25519_zebra::{Signature, VerificationKeyBytes};
use rand_core::{TryCryptoRng, TryRng};

use crate::signing::{PublicKey, Tag, random, sha256};

/// A claim that a signature is of a key over a message.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The key.
    pub key: PublicKey,
    /// What the signature is for.
    pub tag: Tag,
    /// What is signed, without the tag.
    pub message: &'a [u8],
    /// 64 bytes of Ed25519.
    pub signature: &'a [u8],
}

impl Claim<'_> {
    fn item(&self) -> Option<Item> {
        let signature = Signature::from(<[u8; 64]>::try_from(self.signature).ok()?);
        let message = self.tag.over(self.message);
        Some(Item::from((VerificationKeyBytes::from(self.key.0), signature, &message)))
    }
}

/// Judges each claim, in their order.
pub fn verify_many(claims: &[Claim<'_>]) -> Vec<bool> {
    let items: Vec<Option<Item>> = claims.iter().map(Claim::item).collect();
    let together = items.len() > 1 && are_all_good(items.iter().flatten());
    items.into_iter().map(|item| item.is_some_and(|item| together || item.verify_single().is_ok())).collect()
}

fn are_all_good<'a>(items: impl Iterator<Item = &'a Item>) -> bool {
    // without randomness each is judged alone
    let Some(random) = Expanded::new() else { return false };
    let mut verifier = Verifier::new();
    items.for_each(|item| verifier.queue(item.clone()));
    verifier.verify(random).is_ok()
}

/// Randomness for the weights of one batch, which a signer must not foresee: SHA-256 over a fresh seed and a counter.
struct Expanded {
    seed: [u8; 32],
    counter: u64,
}

impl Expanded {
    fn new() -> Option<Self> {
        Some(Self { seed: random().ok()?, counter: 0 })
    }
}

impl TryRng for Expanded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for chunk in to.chunks_mut(32) {
            let block = sha256(&[self.seed.as_slice(), &self.counter.to_le_bytes()].concat());
            self.counter += 1;
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Expanded {}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::signing::SigningKey;

    fn signed(count: u8) -> Vec<(PublicKey, Vec<u8>, Bytes)> {
        let one = |number| {
            let key = SigningKey::from_seed(&[number; 32]).unwrap();
            let message = vec![number; 200];
            let signature = key.sign_raw(Tag::Order, &message);
            (*key.public(), message, signature)
        };
        (1..=count).map(one).collect()
    }

    fn claims(of: &[(PublicKey, Vec<u8>, Bytes)]) -> Vec<Claim<'_>> {
        of.iter()
            .map(|(key, message, signature)| Claim { key: *key, tag: Tag::Order, message, signature })
            .collect()
    }

    #[test]
    fn each_is_judged_as_it_would_be_alone_whatever_its_company() {
        for count in [1, 2, 3, 20] {
            let good = signed(count);
            assert_eq!(verify_many(&claims(&good)), vec![true; count.into()]);
            for bad in 0..usize::from(count) {
                for what in 0..5 {
                    let mut some = good.clone();
                    let mut claims_of_some;
                    match what {
                        0 => some[bad].1[7] ^= 1,
                        1 => some[bad].2 = some[bad].2.slice(..63),
                        2 => some[bad].2 = [&some[bad].2[..63], &[some[bad].2[63] ^ 1]].concat().into(),
                        3 => some[bad].0.0[31] ^= 1,
                        _ => {}
                    }
                    claims_of_some = claims(&some);
                    if what == 4 {
                        claims_of_some[bad].tag = Tag::Cancel;
                    }
                    let expected: Vec<bool> = (0..usize::from(count)).map(|number| number != bad).collect();
                    assert_eq!(verify_many(&claims_of_some), expected, "{what}");
                }
            }
        }
        assert_eq!(verify_many(&[]), Vec::<bool>::new());
    }

    /// A point of order two added to R, and the like, that the cofactored equation forgives: good alone, and good in
    /// any company, every time.
    #[test]
    fn a_signature_with_a_point_of_small_order_is_good_or_bad_always() {
        // the neutral point as key and as R, and s = 0: small order all over
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let odd = (PublicKey(neutral), b"anything".to_vec(), Bytes::from([neutral, [0; 32]].concat()));
        let alone = verify_many(&claims(std::slice::from_ref(&odd)));
        for _ in 0..50 {
            let mut company = signed(3);
            company.push(odd.clone());
            let judged = verify_many(&claims(&company));
            assert_eq!((&judged[..3], judged[3]), ([true; 3].as_slice(), alone[0]));
        }
    }
}
