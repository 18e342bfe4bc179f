//! Logging in: what was sealed to this bank, fresh, used once, with a device key whose holder proved it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use prost::Message;
use strife_certs::sealing;
use strife_daemon::call::Call;
use strife_daemon::token::{self, Claims, Confirmation, hex};
use strife_proto::domain::LoginName;
use strife_proto::signing::{PublicKey, Tag, device_proof_message};
use strife_proto::{Refusal, v1};
use zeroize::Zeroizing;

use crate::bank::Bank;
use crate::command::{Answer, Command};

/// Longest sealed log-in, in bytes.
const SEALED_BYTES_MAX: usize = 4096;
/// How old, or how far ahead, a log-in may be, in milliseconds.
const FRESH_MS: i64 = 120_000;
/// Log-ins remembered; past that, new ones are told to wait.
const REMEMBERED_MAX: usize = 100_000;

/// Log-ins that were used, for as long as they would still be fresh.
#[derive(Debug, Default)]
pub struct Nonces(Mutex<HashMap<Bytes, i64>>);

impl Nonces {
    /// Whether a nonce has the right length and is unused.
    fn check(&self, nonce: &Bytes) -> Result<(), Refusal> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(nonce) {
            _ if nonce.len() != 16 => Err(Refusal::Malformed),
            true => Err(Refusal::StaleLogin),
            false => Ok(()),
        }
    }

    /// Uses a nonce up: only where the password was right, so that nobody else can fill the memory.
    fn use_up(&self, nonce: &Bytes, now_ms: i64) -> Result<(), Refusal> {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= REMEMBERED_MAX {
            used.retain(|_, at_ms| now_ms - *at_ms <= 2 * FRESH_MS);
        }
        if used.len() >= REMEMBERED_MAX {
            return Err(Refusal::Busy);
        }
        match used.insert(nonce.clone(), now_ms) {
            None => Ok(()),
            Some(_) => Err(Refusal::StaleLogin),
        }
    }
}

impl Bank {
    /// Begins a session.
    ///
    /// # Errors
    /// [`Refusal::UnknownBank`], [`Refusal::Malformed`], [`Refusal::StaleLogin`], [`Refusal::BadSignature`],
    /// [`Refusal::Throttled`], [`Refusal::BadCredentials`], [`Refusal::Busy`].
    pub async fn log_in(
        self: &Arc<Self>,
        request: v1::LoginRequest,
        call: &Call,
    ) -> Result<v1::LoginReply, Refusal> {
        if request.bank != self.own.bank.as_str() {
            return Err(Refusal::UnknownBank);
        }
        if request.sealed.len() > SEALED_BYTES_MAX {
            return Err(Refusal::Malformed);
        }
        let opened = sealing::open(&self.own.bank, &self.keys.sealing, &request.sealed)
            .map(Zeroizing::new)
            .map_err(|_| Refusal::Malformed)?;
        let secret = v1::LoginSecret::decode(opened.as_slice()).map_err(|_| Refusal::Malformed)?;
        let password = Zeroizing::new(secret.password);
        let now_ms = self.seams.now_ms();
        if (now_ms - secret.made_at_ms).abs() > FRESH_MS {
            return Err(Refusal::StaleLogin);
        }
        self.nonces.check(&secret.nonce)?;
        if secret.client_key_hash.len() != 32 {
            return Err(Refusal::Malformed);
        }
        // who was tried stands in the log, whether it was them or not; what is no name does not
        if secret.person.parse::<LoginName>().is_ok() {
            call.note(|facts| facts.person = Some(secret.person.clone()));
        }
        let device = PublicKey::from_slice(&secret.device_public_key)?;
        let proof = device_proof_message(self.own.bank.as_str(), &secret.person, &secret.client_key_hash);
        device.verify_raw(Tag::Device, &proof, &secret.device_proof)?;

        self.logins.admit(&secret.person, now_ms)?;
        let login: Option<LoginName> = secret.person.parse().ok();
        let person = match login {
            Some(login) => self.read_rows(move |rows| rows.person(login.as_str())).await?,
            None => None,
        };
        let stored = person.as_ref().map(|person| Arc::from(person.password_hash.as_str()));
        let fits = self.passwords.check(password, stored).await?;
        let Some(person) = person.filter(|_| fits) else {
            return Err(Refusal::BadCredentials);
        };
        self.logins.forgive(&secret.person);
        self.nonces.use_up(&secret.nonce, now_ms)?;

        let session = self.seams.random::<16>().map_err(|_| Refusal::Busy)?;
        let expires_at_ms = now_ms + self.session_ms;
        match self.ask(Command::SignIn { person: person.id, device, session, expires_at_ms }).await {
            Answer::Noted => {}
            Answer::Refused(refusal) => return Err(refusal),
            _ => return Err(Refusal::Busy),
        }
        let claims = Claims {
            iss: self.own.bank.to_string(),
            aud: self.own.bank.to_string(),
            sub: person.login,
            sid: hex(&session),
            cnf: Confirmation { spki: hex(&secret.client_key_hash) },
            iat: now_ms / 1000,
            exp: expires_at_ms.div_euclid(1000),
        };
        Ok(v1::LoginReply {
            token: token::issue(&claims, &self.keys.token_pkcs8)?,
            expires_at_ms,
            display_name: person.display_name,
        })
    }
}
