//! Session tokens: JWTs (RFC 7519) with EdDSA alone, issued by the person's bank for itself, bound to the
//! client certificate's public key (`cnf`, RFC 7800).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use strife_proto::Refusal;
use strife_proto::commit::BankName;
use strife_proto::signing::PublicKey;
use tonic::metadata::MetadataMap;

/// Longest token, in bytes.
const TOKEN_BYTES_MAX: usize = 2048;

/// Verified tokens that are remembered, some 1 KiB each; beyond that all are forgotten and verified again.
const TOKENS_MAX: usize = 16_384;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The bank that issued it.
    pub iss: String,
    /// The bank that it is for: the same.
    pub aud: String,
    /// The person's log-in name at that bank.
    pub sub: String,
    /// The session's id, 32 hexadecimal digits.
    pub sid: String,
    /// What it is bound to.
    pub cnf: Confirmation,
    /// When it was issued, seconds since the Unix epoch.
    pub iat: i64,
    /// When it ends, seconds since the Unix epoch.
    pub exp: i64,
}

/// What a token is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// SHA-256 of the client certificate's SubjectPublicKeyInfo, 64 hexadecimal digits.
    pub spki: String,
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Signs a token.
///
/// # Errors
/// [`Refusal::SessionInvalid`] if the key is no Ed25519 key.
pub fn issue(claims: &Claims, key_pkcs8: &[u8]) -> Result<String, Refusal> {
    let key = EncodingKey::from_ed_der(key_pkcs8);
    jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &key).map_err(|_| Refusal::SessionInvalid)
}

/// The bank that a token says it is of, **unverified**: whose key to verify it with.
fn issuer(token: &str) -> Option<BankName> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let claims = jsonwebtoken::dangerous::insecure_decode::<Issuer>(token).ok()?.claims;
    BankName::new(&claims.iss).ok()
}

/// Verifies a token of a bank at a moment. `exp` is judged by the caller's clock, without leeway.
///
/// # Errors
/// [`Refusal::SessionInvalid`]; [`Refusal::SessionExpired`].
fn verify(token: &str, bank: &BankName, key: &PublicKey, now_ms: i64) -> Result<Claims, Refusal> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Refusal::SessionInvalid);
    }
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[bank.as_str()]);
    validation.set_audience(&[bank.as_str()]);
    validation.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
    // by our own clock below, which a simulator can set
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_ed_der(&key.0), &validation)
        .map_err(|_| Refusal::SessionInvalid)?
        .claims;
    is_not_over(&claims, now_ms)?;
    Ok(claims)
}

fn is_not_over(claims: &Claims, now_ms: i64) -> Result<(), Refusal> {
    if now_ms >= claims.exp.saturating_mul(1000) { Err(Refusal::SessionExpired) } else { Ok(()) }
}

/// A token that was verified.
#[derive(Debug)]
struct Known {
    bank: BankName,
    key: PublicKey,
    claims: Arc<Claims>,
}

/// Tokens whose signature was verified, so that a session pays for it once and not with every call. A token is known by
/// all of its text; its end, and what it is bound to, are judged each time.
#[derive(Debug, Default)]
pub struct Tokens(Mutex<HashMap<Box<str>, Known>>);

impl Tokens {
    /// As [`verify`], for the bank that the token itself names; `key_of` tells a bank's key, now.
    ///
    /// # Errors
    /// [`Refusal::SessionInvalid`]; [`Refusal::SessionExpired`].
    pub fn verify(
        &self,
        token: &str,
        key_of: impl Fn(&BankName) -> Option<PublicKey>,
        now_ms: i64,
    ) -> Result<(BankName, Arc<Claims>), Refusal> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known().get(token)
            && key_of(&known.bank) == Some(known.key)
        {
            is_not_over(&known.claims, now_ms)?;
            return Ok((known.bank.clone(), known.claims.clone()));
        }
        let bank = issuer(token).ok_or(Refusal::SessionInvalid)?;
        let key = key_of(&bank).ok_or(Refusal::SessionInvalid)?;
        let claims = Arc::new(verify(token, &bank, &key, now_ms)?);
        let mut known = known();
        if known.len() >= TOKENS_MAX {
            known.clear();
        }
        known.insert(token.into(), Known { bank: bank.clone(), key, claims: claims.clone() });
        Ok((bank, claims))
    }
}

/// Takes the token out of a call's metadata, `authorization: Bearer <token>`.
///
/// # Errors
/// [`Refusal::SessionMissing`].
pub fn bearer(metadata: &MetadataMap) -> Result<&str, Refusal> {
    let value = metadata.get("authorization").ok_or(Refusal::SessionMissing)?;
    let text = value.to_str().map_err(|_| Refusal::SessionMissing)?;
    text.strip_prefix("Bearer ").ok_or(Refusal::SessionMissing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strife_proto::signing::SigningKey;

    /// PKCS #8 of an Ed25519 seed (RFC 8410).
    fn pkcs8(seed: [u8; 32]) -> Vec<u8> {
        let header = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        [&header[..], &seed].concat()
    }

    fn claims() -> Claims {
        Claims {
            iss: "Bank1".into(),
            aud: "Bank1".into(),
            sub: "user1".into(),
            sid: "00".repeat(16),
            cnf: Confirmation { spki: "11".repeat(32) },
            iat: 1_000,
            exp: 2_000,
        }
    }

    #[test]
    fn a_token_is_good_at_its_bank_until_it_ends_and_nowhere_else() {
        let one = BankName::new("Bank1").unwrap();
        let two = BankName::new("Bank2").unwrap();
        let key = *SigningKey::from_seed(&[5; 32]).unwrap().public();
        let other = *SigningKey::from_seed(&[6; 32]).unwrap().public();
        let token = issue(&claims(), &pkcs8([5; 32])).unwrap();
        assert_eq!(issuer(&token), Some(one.clone()));
        assert_eq!(verify(&token, &one, &key, 1_999_999), Ok(claims()));
        assert_eq!(verify(&token, &one, &key, 2_000_000), Err(Refusal::SessionExpired));
        assert_eq!(verify(&token, &two, &key, 0), Err(Refusal::SessionInvalid));
        assert_eq!(verify(&token, &one, &other, 0), Err(Refusal::SessionInvalid));
        let foreign = issue(&Claims { aud: "Bank2".into(), ..claims() }, &pkcs8([5; 32])).unwrap();
        assert_eq!(verify(&foreign, &one, &key, 0), Err(Refusal::SessionInvalid));
        for bad in ["", "a.b.c", &"x".repeat(4000), &token[..token.len() - 2]] {
            assert_eq!(verify(bad, &one, &key, 0), Err(Refusal::SessionInvalid));
        }
    }

    #[test]
    fn a_token_that_is_known_is_still_judged_by_its_end_its_text_and_the_banks_key_of_now() {
        let one = BankName::new("Bank1").unwrap();
        let key = *SigningKey::from_seed(&[5; 32]).unwrap().public();
        let other = *SigningKey::from_seed(&[6; 32]).unwrap().public();
        let token = issue(&claims(), &pkcs8([5; 32])).unwrap();
        let tokens = Tokens::default();
        let good = Ok((one, Arc::new(claims())));
        for _ in 0..2 {
            assert_eq!(tokens.verify(&token, |_| Some(key), 1_999_999), good);
            assert_eq!(tokens.verify(&token, |_| Some(key), 2_000_000), Err(Refusal::SessionExpired));
            assert_eq!(tokens.verify(&token, |_| Some(other), 0), Err(Refusal::SessionInvalid));
            assert_eq!(tokens.verify(&token, |_| None, 0), Err(Refusal::SessionInvalid));
            let shorter = &token[..token.len() - 2];
            assert_eq!(tokens.verify(shorter, |_| Some(key), 0), Err(Refusal::SessionInvalid));
        }
    }

    #[test]
    fn no_other_algorithm_is_taken() {
        let one = BankName::new("Bank1").unwrap();
        let key = *SigningKey::from_seed(&[5; 32]).unwrap().public();
        let hmac = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &claims(),
            &EncodingKey::from_secret(&key.0),
        )
        .unwrap();
        assert_eq!(verify(&hmac, &one, &key, 0), Err(Refusal::SessionInvalid));
        let parts: Vec<&str> = hmac.split('.').collect();
        // {"typ":"JWT","alg":"none"}
        let none = format!("eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.{}.", parts[1]);
        assert_eq!(verify(&none, &one, &key, 0), Err(Refusal::SessionInvalid));
    }
}
