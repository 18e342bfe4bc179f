//! The floors of this machine: a bare echo over mutual TLS, and one synced append. Both are measured in slices beside
//! those of the work.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::transport::Channel;

use crate::echo;
use crate::kernel::flushes;
use crate::meter::Spent;
use crate::slice::Slice;
use crate::timed::{REST, in_flight, micros};
use crate::world::World;

/// Fewest synced appends that are timed in a slice, and their size.
const APPENDS_MIN: usize = 20;
const APPEND_BYTES: usize = 4096;
/// Connections that the echo is called over, as the transfers of a thousand people are.
const CONNECTIONS: usize = 10;

/// What the floors are measured with.
pub(crate) struct Floors {
    /// Connections to the echo, by calls in flight.
    channels: BTreeMap<usize, Arc<Vec<Channel>>>,
    file: File,
}

impl Floors {
    /// In the folder and over the certificates of a network.
    ///
    /// # Errors
    /// Files that cannot be read or made.
    pub(crate) fn new(world: &World) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(world.dir.join("append"))?;
        Ok(Self { channels: BTreeMap::new(), file })
    }

    /// Bare echoes, so many in flight.
    ///
    /// # Errors
    /// The echo does not answer.
    pub(crate) async fn echo(
        &mut self,
        world: &World,
        calls: usize,
        window: Duration,
    ) -> anyhow::Result<Slice> {
        let channels = match self.channels.get(&calls) {
            Some(channels) => channels.clone(),
            None => {
                let settings = world.client(&format!("echo{calls}"))?;
                let connect = |_| world.connect(&settings, true);
                let channels: Vec<_> =
                    (0..CONNECTIONS.min(calls)).map(connect).collect::<anyhow::Result<_>>()?;
                for channel in &channels {
                    echo::call(channel.clone()).await?;
                }
                let channels = Arc::new(channels);
                self.channels.insert(calls, channels.clone());
                channels
            }
        };
        let before = flushes(&world.dir);
        let timed = in_flight(calls, window, move |_, number| {
            let channel = channels[number % channels.len()].clone();
            async move { echo::call(channel).await.map_err(Into::into) }
        })
        .await?;
        // nothing of ours syncs meanwhile: what is counted are others
        let others = flushes(&world.dir).zip(before).map(|(after, before)| after.saturating_sub(before));
        let spent = Spent { flushes: others, ..Spent::default() };
        Ok(Slice { spent, ..Slice::of(timed) })
    }

    /// Synced appends, one after another.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn append(&mut self, window: Duration) -> anyhow::Result<Slice> {
        let (mut latencies_us, began) = (Vec::new(), Instant::now());
        while latencies_us.len() < APPENDS_MIN || began.elapsed() < window {
            let begun = Instant::now();
            self.file.write_all(&[7; APPEND_BYTES])?;
            self.file.sync_data()?;
            latencies_us.push(micros(begun.elapsed()));
            std::thread::sleep(REST);
        }
        let window = began.elapsed();
        latencies_us.sort_unstable();
        Ok(Slice { window, latencies_us, ..Slice::default() })
    }
}
