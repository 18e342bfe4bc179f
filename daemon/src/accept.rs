//! Our own TLS acceptor: takes any listener, shows each connection's peer to the interceptor, and lets no slow
//! or silent handshake hold up the others.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use strife_certs::identity::Peer;
use strife_certs::tls::peer_of;
use strife_seams::{BoxedIo, Listen};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

/// A handshake that takes longer is dropped.
const HANDSHAKE_MS_MAX: u64 = 5_000;

/// Handshakes at a time.
const HANDSHAKES_MAX: usize = 256;

/// Accepted connections that wait to be served.
const ACCEPTED_MAX: usize = 64;

/// A connection whose peer is known.
#[derive(Debug)]
pub struct Accepted {
    stream: TlsStream<BoxedIo>,
    peer: Arc<Peer>,
}

impl Connected for Accepted {
    type ConnectInfo = Arc<Peer>;

    fn connect_info(&self) -> Arc<Peer> {
        self.peer.clone()
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Accepts connections of one network's members until the stream is dropped.
pub fn accept(
    listener: Box<dyn Listen>,
    config: Arc<ServerConfig>,
    network: &str,
) -> ReceiverStream<io::Result<Accepted>> {
    let (sender, receiver) = mpsc::channel(ACCEPTED_MAX);
    let acceptor = TlsAcceptor::from(config);
    let network: Arc<str> = Arc::from(network);
    tokio::spawn(async move {
        let permits = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        loop {
            // the semaphore is never closed
            let Ok(permit) = permits.clone().acquire_owned().await else { return };
            let accepted = tokio::select! {
                biased;
                accepted = listener.accept() => accepted,
                () = sender.closed() => return,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // out of file descriptors: leave room for others to end
                    tracing::warn!(target: "strife::daemon", %error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let (acceptor, sender, network) = (acceptor.clone(), sender.clone(), network.clone());
            tokio::spawn(async move {
                let limit = Duration::from_millis(HANDSHAKE_MS_MAX);
                let result = tokio::time::timeout(limit, handshake(stream, &acceptor, &network)).await;
                drop(permit);
                match result {
                    Ok(Ok(accepted)) => {
                        // the server has stopped taking connections
                        let _ = sender.send(Ok(accepted)).await;
                    }
                    Ok(Err(error)) => {
                        tracing::info!(target: "strife::rpc", peer = %address, %error, "refused connection");
                    }
                    Err(_) => {
                        tracing::info!(target: "strife::rpc", peer = %address, "refused connection: no handshake in time");
                    }
                }
            });
        }
    });
    ReceiverStream::new(receiver)
}

async fn handshake(stream: BoxedIo, acceptor: &TlsAcceptor, network: &str) -> io::Result<Accepted> {
    let stream = acceptor.accept(stream).await?;
    let peer = peer_of(stream.get_ref().1.peer_certificates()).map_err(io::Error::other)?;
    if peer.network != network {
        return Err(io::Error::other("a certificate of another network"));
    }
    Ok(Accepted { stream, peer: Arc::new(peer) })
}
