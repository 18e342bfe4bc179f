//! Byte streams to others, and from them.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// A connected byte stream.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + Debug {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + Debug> Io for T {}

/// Any connected byte stream.
pub type BoxedIo = Box<dyn Io>;

/// Connects.
#[tonic::async_trait]
pub trait Dial: Send + Sync + Debug {
    /// Connects to an address, `host:port`.
    ///
    /// # Errors
    /// What the system says.
    async fn dial(&self, address: &str) -> io::Result<BoxedIo>;

    /// How a connection that has gone silent is found out.
    fn keepalive(&self) -> Keepalive {
        Keepalive::default()
    }
}

/// How a connection that has gone silent is found out: without it, one that a partition cut stays wedged after
/// the partition has healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// HTTP/2 pings are sent this often, also while idle.
    pub every: Duration,
    /// A ping that is not answered in this time ends the connection.
    pub answer_max: Duration,
    /// How long a call that was given up is remembered, by the machine's own clock: what still comes for it in
    /// that time is no surprise.
    pub given_up_kept: Duration,
}

impl Default for Keepalive {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(2),
            answer_max: Duration::from_secs(3),
            given_up_kept: Duration::from_secs(1),
        }
    }
}

/// Takes connections.
#[tonic::async_trait]
pub trait Listen: Send + Sync + Debug {
    /// The next connection, and where it comes from.
    ///
    /// # Errors
    /// What the system says; the next call may succeed.
    async fn accept(&self) -> io::Result<(BoxedIo, SocketAddr)>;
}

/// Connects over the machine's TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

#[tonic::async_trait]
impl Dial for Tcp {
    async fn dial(&self, address: &str) -> io::Result<BoxedIo> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}

/// Listens on a port of the machine.
#[derive(Debug)]
pub struct TcpPort(TcpListener);

impl From<TcpListener> for TcpPort {
    fn from(listener: TcpListener) -> Self {
        Self(listener)
    }
}

#[tonic::async_trait]
impl Listen for TcpPort {
    async fn accept(&self) -> io::Result<(BoxedIo, SocketAddr)> {
        let (stream, from) = self.0.accept().await?;
        stream.set_nodelay(true)?;
        Ok((Box::new(stream), from))
    }
}
