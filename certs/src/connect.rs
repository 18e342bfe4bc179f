//! Connecting to a member of the network: TLS first, then who it is, then HTTP/2 with keepalive, so that a
//! partition that heals is noticed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use strife_seams::{BoxedIo, Dial};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::identity::Identity;
use crate::tls::{peer_of, server_name};

/// A channel that connects when it is first used, and again after a connection was lost. `accept` judges who
/// is at the other end.
pub fn channel(
    dial: Arc<dyn Dial>,
    address: &str,
    config: Arc<ClientConfig>,
    kind: &Identity,
    connect_ms: u64,
    accept: impl Fn(&Identity) -> bool + Clone + Send + Sync + 'static,
) -> Channel {
    let address: Arc<str> = Arc::from(address);
    let keepalive = dial.keepalive();
    let name = server_name(kind);
    let connector = tower::service_fn(move |_: Uri| {
        let (address, config, name, accept) = (address.clone(), config.clone(), name.clone(), accept.clone());
        let dial = dial.clone();
        async move {
            let stream = dial.dial(&address).await?;
            let stream: TlsStream<BoxedIo> = TlsConnector::from(config).connect(name, stream).await?;
            let peer = peer_of(stream.get_ref().1.peer_certificates()).map_err(io::Error::other)?;
            if !accept(&peer.identity) {
                return Err(io::Error::other(format!(
                    "{address} is {}, not who was expected",
                    peer.identity
                )));
            }
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    // the address itself is the connector's; this one only names the authority of each request
    Endpoint::from_static("http://strife.internal")
        .connect_timeout(Duration::from_millis(connect_ms))
        .http2_keep_alive_interval(keepalive.every)
        .keep_alive_timeout(keepalive.answer_max)
        .keep_alive_while_idle(true)
        .http2_reset_stream_duration(keepalive.given_up_kept)
        .connect_with_connector_lazy(connector)
}
