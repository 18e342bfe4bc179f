//! Speaking to daemons below the client: with any certificate, any bytes.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use strife_certs::authority::{MemberFiles, Network};
use strife_certs::connect::channel;
use strife_certs::identity::Identity;
use strife_certs::tls::Material;
use strife_proto::commit::BankName;
use strife_proto::v1;
use strife_proto::v1::bank_client::BankClient;
use strife_proto::v1::gateway_client::GatewayClient;
use strife_proto::v1::link_reply::Message as Reply;
use strife_proto::v1::link_request::Message as Asked;
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use crate::network::TestNetwork;

/// Issues a certificate of the demo's own authority, as whoever holds it could.
pub fn issue(network: &TestNetwork, identity: &Identity, days: i64) -> MemberFiles {
    Network::open(&network.dir().join("network")).unwrap().issue(identity, days).unwrap()
}

/// A connection with any certificate to a member of a kind.
pub fn connect(network: &TestNetwork, files: &MemberFiles, address: &str, kind: &Identity) -> Channel {
    connect_as(Path::new(&network.description.ca), files, address, kind)
}

/// The same, believing another authority.
pub fn connect_as(authority: &Path, files: &MemberFiles, address: &str, kind: &Identity) -> Channel {
    let material = Material { authority, certificate: &files.certificate, private_key: &files.private_key };
    channel(std::sync::Arc::new(strife_seams::Tcp), address, material.client().unwrap(), kind, 3_000, |_| {
        true
    })
}

/// The demo's client certificate.
pub fn demo_client(network: &TestNetwork) -> MemberFiles {
    MemberFiles {
        dir: network.dir().to_owned(),
        certificate: network.description.client_cert.clone().into(),
        private_key: network.description.client_key.clone().into(),
    }
}

/// A gateway's client over any certificate.
pub fn gateway_client(network: &TestNetwork, files: &MemberFiles) -> GatewayClient<Channel> {
    let kind = Identity::Gateway("any".into());
    GatewayClient::new(connect(network, files, &network.description.gateways[0], &kind))
}

/// A bank's gateway door over any certificate.
pub fn bank_client(network: &TestNetwork, files: &MemberFiles, bank: &str) -> BankClient<Channel> {
    let kind = Identity::Bank(BankName::new(bank).unwrap());
    BankClient::new(connect(network, files, &network.description.banks[bank].address, &kind))
}

/// A token as a call's metadata carries it.
pub fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// A link to a bank that sends whatever it is told, one message at a time.
pub struct RawLink {
    requests: mpsc::Sender<v1::LinkRequests>,
    replies: Mutex<Streaming<v1::LinkReplies>>,
    next: AtomicU64,
}

impl RawLink {
    /// Opens a link.
    ///
    /// # Errors
    /// The bank does not let this certificate.
    pub async fn open(mut client: BankClient<Channel>) -> Result<Self, Status> {
        let (requests, queue) = mpsc::channel(16);
        let replies = client.link(ReceiverStream::new(queue)).await?.into_inner();
        Ok(Self { requests, replies: Mutex::new(replies), next: AtomicU64::new(1) })
    }

    /// Sends a message and waits for its answer.
    pub async fn ask(&self, message: Asked) -> Reply {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let request = v1::LinkRequest { number, message: Some(message), request_id: "raw".into() };
        let mut replies = self.replies.lock().await;
        self.requests.send(v1::LinkRequests { requests: vec![request] }).await.unwrap();
        loop {
            let frame = replies.message().await.expect("the link stands").expect("the link stands");
            for reply in frame.replies {
                if reply.number == number {
                    return reply.message.expect("a reply says something");
                }
            }
        }
    }
}

/// The stable name of a refusal on the link; `""` for anything else.
pub fn link_refusal(reply: &Reply) -> &str {
    match reply {
        Reply::Refusal(refusal) => &refusal.code,
        _ => "",
    }
}
