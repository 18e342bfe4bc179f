//! The floors of this machine: a bare echo over mutual TLS, and one synced append.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::drive::in_flight;
use crate::echo;
use crate::world::World;

/// Synced appends that are timed, and their size.
const APPENDS: usize = 300;
const APPEND_BYTES: usize = 4096;
/// Connections that the echo is called over, as the transfers are.
pub(crate) const CONNECTIONS: usize = 10;

/// What the machine itself takes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Floors {
    /// Bare echoes per second, by calls in flight.
    pub echoes_per_second: std::collections::BTreeMap<usize, u64>,
    /// Half of the bare echoes, one at a time, take no longer, in microseconds.
    pub echo_p50_us: u64,
    /// Half of the 4 KiB appends with fdatasync take no longer, in microseconds.
    pub append_p50_us: u64,
    /// The filesystem of the data folders.
    pub filesystem: String,
}

impl Floors {
    /// Measures them, in the folder and over the certificates of a running network that is at rest.
    ///
    /// # Errors
    /// The echo or the disk does not answer.
    pub(crate) async fn measure(world: &World, window: Duration) -> anyhow::Result<Self> {
        let settings = world.client("floor")?;
        let mut echoes_per_second = std::collections::BTreeMap::new();
        let mut echo_p50_us = 0;
        for calls in [1, 64, 256] {
            let connections = CONNECTIONS.min(calls);
            let channels: Vec<_> =
                (0..connections).map(|_| world.connect(&settings, true)).collect::<anyhow::Result<_>>()?;
            for channel in &channels {
                echo::call(channel.clone()).await?;
            }
            let timed = in_flight(calls, window / 2, |number| {
                let channel = channels[number % channels.len()].clone();
                async move { echo::call(channel).await.map_err(Into::into) }
            })
            .await?;
            echoes_per_second.insert(calls, timed.per_second());
            if calls == 1 {
                echo_p50_us = timed.percentile_us(50);
            }
        }
        let append_p50_us = append(world)?;
        Ok(Self {
            echoes_per_second,
            echo_p50_us,
            append_p50_us,
            filesystem: crate::kernel::filesystem(&world.dir)?,
        })
    }
}

fn append(world: &World) -> anyhow::Result<u64> {
    let mut file = OpenOptions::new().create(true).append(true).open(world.dir.join("append"))?;
    let mut times = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        let began = Instant::now();
        file.write_all(&[7; APPEND_BYTES])?;
        file.sync_data()?;
        times.push(u64::try_from(began.elapsed().as_micros())?);
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
