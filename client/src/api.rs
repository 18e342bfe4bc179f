//! Speaking to a gateway. A gateway is believed in nothing that matters: log-ins are sealed to the bank, and
//! every statement is verified against the roster before anybody sees it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use strife_certs::CertsError;
use strife_certs::authority::read_trust;
use strife_certs::connect::channel;
use strife_certs::identity::Identity;
use strife_certs::roster::Roster;
use strife_certs::sealing;
use strife_certs::tls::Material;
use strife_config::ClientSettings;
use strife_faults::kill::{self, When};
use strife_proto::commit::{Acknowledgement, BankName, Key, Placement, TransferId};
use strife_proto::domain::{ReceivedOrder, key_to_wire};
use strife_proto::signing::{SigningKey, Tag, device_proof_message};
use strife_proto::statement::{Statement, Word};
use strife_proto::v1::gateway_client::GatewayClient;
use strife_proto::v1::transfer_reply::State;
use strife_proto::{Refusal, v1};
use strife_seams::Seams;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use zeroize::Zeroizing;

use crate::life;
use crate::outbox::Credit;
use crate::view::Life;

/// Longest wait for a TLS connection, in milliseconds.
const CONNECT_MS_MAX: u64 = 3_000;

/// Why a call has no good answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// A door refused: this call changed no balance.
    #[error("{0}")]
    Refused(Refusal),
    /// Nothing is known: the connection broke, or there was no answer in time.
    #[error("no answer ({0})")]
    Unknown(String),
    /// The gateway passed on something that its bank never signed, or that is about something else.
    #[error("the gateway sent a false statement ({0})")]
    FalseStatement(Refusal),
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        ApiError::Refused(refusal)
    }
}

impl From<Status> for ApiError {
    fn from(status: Status) -> Self {
        match Refusal::from_status(&status) {
            Some(refusal) => ApiError::Refused(refusal),
            None => ApiError::Unknown(status.code().description().to_owned()),
        }
    }
}

/// A session at one bank.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// The bank.
    pub bank: BankName,
    /// The person's log-in name there.
    pub person: String,
    /// For the screen.
    pub display_name: String,
    /// When it ends, milliseconds since the Unix epoch.
    pub expires_at_ms: i64,
    token: Zeroizing<String>,
}

impl Session {
    /// A session of a token that was got elsewhere (another program, a test).
    pub fn from_token(bank: BankName, person: &str, token: String) -> Self {
        Self {
            bank,
            person: person.to_owned(),
            display_name: person.to_owned(),
            expires_at_ms: i64::MAX,
            token: Zeroizing::new(token),
        }
    }

    /// The token, for the bank alone.
    pub fn token(&self) -> &str {
        &self.token
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({}@{})", self.person, self.bank)
    }
}

/// What is verified about an order.
#[derive(Clone, Debug, PartialEq)]
pub enum Known {
    /// The payer's bank's last word.
    Ended {
        /// What it says.
        statement: Statement,
        /// What the payee's bank has said, verified.
        credit: Credit,
    },
    /// No final outcome is known yet.
    Pending,
    /// Nothing is recorded under this key.
    Unrecorded,
}

/// What the client believes: the network, the roster, its own certificate.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The network's banks and their keys.
    pub roster: Arc<Roster>,
    /// SHA-256 of the own certificate's public key, to which sessions are bound.
    pub client_key_hash: [u8; 32],
    tls: Arc<rustls::ClientConfig>,
}

impl Trust {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// [`CertsError`], naming the file.
    pub fn load(settings: &ClientSettings) -> Result<Self, CertsError> {
        let (network, roster_key) = read_trust(&settings.trust.trust)?;
        let roster = Roster::load(&settings.trust.roster, &network, &roster_key)?;
        let material = Material {
            authority: &settings.trust.authority,
            certificate: &settings.tls.certificate,
            private_key: &settings.tls.private_key,
        };
        let own = material.own_identity()?;
        if own.network != network {
            return Err(CertsError::Roster("of another network than the certificate"));
        }
        let client_key_hash = own.key_hash;
        Ok(Self { roster: Arc::new(roster), client_key_hash, tls: material.client()? })
    }
}

/// Makes a call past its kill points.
pub(crate) async fn sends<T>(what: &str, call: impl Future<Output = T>) -> T {
    let point = if kill::watched() { format!("send/{what}") } else { String::new() };
    kill::passes(When::Before, &point);
    let answer = call.await;
    kill::passes(When::After, &point);
    answer
}

/// A gateway, as a client sees it.
#[derive(Clone, Debug)]
pub struct Api {
    trust: Trust,
    client: GatewayClient<Channel>,
    rpc_ms: u64,
    seams: Seams,
}

impl Api {
    /// Speaks to the gateway at an address. Connects when first used, and again after a break.
    pub fn new(trust: Trust, address: &str, rpc_ms: u64, seams: Seams) -> Self {
        let any = Identity::Gateway("any".into());
        let is_gateway = |peer: &Identity| matches!(peer, Identity::Gateway(_));
        let channel =
            channel(seams.dial.clone(), address, trust.tls.clone(), &any, CONNECT_MS_MAX, is_gateway);
        Self { trust, client: GatewayClient::new(channel), rpc_ms, seams }
    }

    /// The same, at another gateway.
    pub fn at(&self, address: &str) -> Self {
        Self::new(self.trust.clone(), address, self.rpc_ms, self.seams.clone())
    }

    /// The network's name.
    pub fn network(&self) -> &str {
        &self.trust.roster.network
    }

    /// SHA-256 of the own certificate's public key, to which sessions are bound.
    pub fn client_key_hash(&self) -> [u8; 32] {
        self.trust.client_key_hash
    }

    /// The gateway's own client.
    pub(crate) fn gateway(&self) -> GatewayClient<Channel> {
        self.client.clone()
    }

    /// How long one call may take.
    pub(crate) fn call_max(&self) -> Duration {
        Duration::from_millis(self.rpc_ms)
    }

    /// A call, with a deadline, an id, and the session if it has one.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(crate) fn request<T>(&self, message: T, session: Option<&Session>) -> Result<Request<T>, ApiError> {
        let mut request = Request::new(message);
        request.set_timeout(Duration::from_millis(self.rpc_ms));
        let id = self.seams.new_id().map_err(|_| Refusal::Busy)?;
        if let Ok(value) = MetadataValue::try_from(TransferId(id).to_string()) {
            request.metadata_mut().insert("strife-request-id", value);
        }
        if let Some(session) = session {
            let mut value = MetadataValue::try_from(format!("Bearer {}", session.token()))
                .map_err(|_| ApiError::Refused(Refusal::SessionInvalid))?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }

    /// The banks of the network, and which of them the gateway reaches.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn banks(&self) -> Result<Vec<v1::BankStatus>, ApiError> {
        let request = self.request(v1::BanksRequest {}, None)?;
        Ok(self.client.clone().banks(request).await?.into_inner().banks)
    }

    /// Begins a session. Name, password and device key travel sealed to the bank.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn log_in(
        &self,
        bank: &BankName,
        person: &str,
        password: Zeroizing<String>,
        device: &SigningKey,
    ) -> Result<Session, ApiError> {
        let keys = self.trust.roster.banks.get(bank).ok_or(Refusal::UnknownBank)?;
        let proof = device_proof_message(bank.as_str(), person, &self.trust.client_key_hash);
        let nonce: [u8; 16] = self.seams.random().map_err(|_| Refusal::Busy)?;
        let secret = v1::LoginSecret {
            person: person.to_owned(),
            password: password.to_string(),
            device_public_key: Bytes::copy_from_slice(&device.public().0),
            device_name: String::new(),
            device_proof: device.sign_raw(Tag::Device, &proof),
            client_key_hash: Bytes::copy_from_slice(&self.trust.client_key_hash),
            made_at_ms: self.seams.now_ms(),
            nonce: Bytes::copy_from_slice(&nonce),
        };
        let plain = Zeroizing::new(secret.encode_to_vec());
        drop(Zeroizing::new(secret.password));
        let sealed = sealing::seal(bank, &keys.sealing, &plain).map_err(|_| Refusal::Malformed)?;
        let message = v1::LoginRequest { bank: bank.to_string(), sealed: Bytes::from(sealed) };
        let reply = self.client.clone().login(self.request(message, None)?).await?.into_inner();
        Ok(Session {
            bank: bank.clone(),
            person: person.to_owned(),
            display_name: reply.display_name,
            expires_at_ms: reply.expires_at_ms,
            token: Zeroizing::new(reply.token),
        })
    }

    /// Ends a session.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn log_out(&self, session: &Session) -> Result<(), ApiError> {
        let request = self.request(v1::LogoutRequest {}, Some(session))?;
        self.client.clone().logout(request).await?;
        Ok(())
    }

    /// The person's accounts.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn accounts(&self, session: &Session) -> Result<v1::AccountsReply, ApiError> {
        let request = self.request(v1::AccountsRequest {}, Some(session))?;
        Ok(self.client.clone().accounts(request).await?.into_inner())
    }

    /// Submits an order; `again` if its bytes may have left this machine before.
    ///
    /// # Errors
    /// [`ApiError`]; only [`ApiError::Refused`] says that nothing happened.
    pub async fn submit(
        &self,
        session: &Session,
        order: &ReceivedOrder,
        signature: &v1::Signature,
        again: bool,
    ) -> Result<Known, ApiError> {
        let signed = v1::SignedOrder { order: order.bytes().clone(), signature: Some(signature.clone()) };
        let message = v1::SubmitRequest { order: Some(signed), again };
        let request = self.request(message, Some(session))?;
        let reply = sends("submit", self.client.clone().submit(request)).await?;
        self.judge(order, reply.into_inner())
    }

    /// Cancels an order unless it is decided; the answer says which.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn cancel(
        &self,
        session: &Session,
        order: &ReceivedOrder,
        device: &SigningKey,
    ) -> Result<Known, ApiError> {
        let message = v1::CancelRequest {
            order: order.bytes().clone(),
            signature: Some(device.sign(Tag::Cancel, order.bytes())),
        };
        let request = self.request(message, Some(session))?;
        let reply = sends("cancel", self.client.clone().cancel(request)).await?;
        self.judge(order, reply.into_inner())
    }

    /// What is recorded for an order.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn outcome(&self, session: &Session, order: &ReceivedOrder) -> Result<Known, ApiError> {
        let message = v1::OutcomeRequest {
            key: Some(key_to_wire(order.key())),
            order_hash: Bytes::copy_from_slice(&order.hash().0),
        };
        let request = self.request(message, Some(session))?;
        let reply = sends("outcome", self.client.clone().outcome(request)).await?;
        self.judge(order, reply.into_inner())
    }

    /// One page of an account's postings.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn history(
        &self,
        session: &Session,
        asked: v1::HistoryRequest,
    ) -> Result<v1::HistoryReply, ApiError> {
        Ok(self.client.clone().history(self.request(asked, Some(session))?).await?.into_inner())
    }

    /// What the person's bank knows of one transfer that they pay or are paid by.
    ///
    /// # Errors
    /// [`ApiError`]; [`Refusal::NotFound`] for one that the bank does not know, or that is another's.
    pub async fn life(&self, session: &Session, key: &Key) -> Result<Life, ApiError> {
        let message = v1::LifeRequest { key: Some(key_to_wire(key)) };
        let reply = self.client.clone().life(self.request(message, Some(session))?).await?.into_inner();
        life::read(key, reply, |wire| self.verify(wire)).map_err(ApiError::FalseStatement)
    }

    /// Balances and movements as they happen.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn watch(
        &self,
        session: &Session,
        after_position: u64,
    ) -> Result<Streaming<v1::WatchReply>, ApiError> {
        let mut request = self.request(v1::WatchRequest { after_position }, Some(session))?;
        // it lasts as long as the session
        request.metadata_mut().remove("grpc-timeout");
        Ok(self.client.clone().watch(request).await?.into_inner())
    }

    /// Believes only the payer's bank's own last word about exactly this order, and a credit only from the
    /// payee's bank.
    pub(crate) fn judge(&self, order: &ReceivedOrder, reply: v1::TransferReply) -> Result<Known, ApiError> {
        let wire = match reply.state {
            Some(State::Ended(wire)) => wire,
            Some(State::Unrecorded(_)) => return Ok(Known::Unrecorded),
            Some(State::Pending(_)) | None => return Ok(Known::Pending),
        };
        let statement = self.verify(&wire).map_err(ApiError::FalseStatement)?;
        if !statement.ends(order.key(), &order.hash()) {
            return Err(ApiError::FalseStatement(Refusal::OutOfPlace));
        }
        let acknowledged = reply.acknowledgement.and_then(|wire| self.verify(&wire).ok()).filter(|said| {
            said.bank == order.order().payee.bank && said.is_about(order.key(), &order.hash())
        });
        let credit = match acknowledged.map(|said| said.word) {
            Some(Word::Acknowledgement(Acknowledgement::Credited(Placement::Account))) => Credit::Account,
            Some(Word::Acknowledgement(Acknowledgement::Credited(Placement::Suspense))) => Credit::Suspense,
            _ => Credit::Unconfirmed,
        };
        Ok(Known::Ended { statement, credit })
    }

    fn verify(&self, wire: &v1::Statement) -> Result<Statement, Refusal> {
        Statement::verify(wire, self.network(), |bank| self.trust.roster.signing_key(bank), None)
    }
}
