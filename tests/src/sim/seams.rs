//! The simulator's time, randomness and network, as the daemons and the client take them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};
use strife_seams::{BoxedIo, Clock, Dial, Keepalive, Listen, NoRandomness, Random, Seams, Work};

/// The simulated moment at which every simulation begins, milliseconds since the Unix epoch.
pub const BEGINS_AT_MS: i64 = 1_795_000_000_000;

/// The true time, which the simulation moves on, and by how much one machine's clock is off it.
#[derive(Clone, Debug)]
pub struct MachineClock {
    true_ms: Arc<AtomicI64>,
    off_ms: Arc<AtomicI64>,
}

impl MachineClock {
    /// A clock that is right.
    pub fn new(true_ms: Arc<AtomicI64>) -> Self {
        Self { true_ms, off_ms: Arc::default() }
    }

    /// Puts it wrong by so much, or right again.
    pub fn set_off(&self, off_ms: i64) {
        self.off_ms.store(off_ms, Ordering::Relaxed);
    }
}

impl Clock for MachineClock {
    fn now_ms(&self) -> i64 {
        self.true_ms.load(Ordering::Relaxed) + self.off_ms.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct SeededRandomness(Mutex<SmallRng>);

impl Random for SeededRandomness {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
        Ok(())
    }
}

#[derive(Debug)]
struct SimNetwork;

#[tonic::async_trait]
impl Dial for SimNetwork {
    async fn dial(&self, address: &str) -> io::Result<BoxedIo> {
        Ok(Box::new(turmoil::net::TcpStream::connect(address).await?))
    }

    fn keepalive(&self) -> Keepalive {
        Keepalive {
            every: Duration::from_millis(400),
            answer_max: Duration::from_millis(500),
            // that clock runs on in the machine's time, not in the simulation's
            given_up_kept: Duration::from_secs(86_400),
        }
    }
}

/// A port of a simulated machine.
pub struct SimPort(turmoil::net::TcpListener);

impl std::fmt::Debug for SimPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SimPort({:?})", self.0.local_addr())
    }
}

impl SimPort {
    /// Listens on a port of the machine that this runs on.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn bind(port: u16) -> io::Result<Box<dyn Listen>> {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
        Ok(Box::new(Self(turmoil::net::TcpListener::bind(address).await?)))
    }
}

#[tonic::async_trait]
impl Listen for SimPort {
    async fn accept(&self) -> io::Result<(BoxedIo, SocketAddr)> {
        let (stream, from) = self.0.accept().await?;
        Ok((Box::new(stream), from))
    }
}

/// What one simulated machine gives its process.
pub fn seams(clock: MachineClock, seed: u64) -> Seams {
    Seams {
        clock: Arc::new(clock),
        random: Arc::new(SeededRandomness(Mutex::new(SmallRng::seed_from_u64(seed)))),
        dial: Arc::new(SimNetwork),
        work: Work::InPlace,
    }
}
