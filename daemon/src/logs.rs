//! Rotating log files, one folder for each stream: `rpc` has one line for each call, and for each
//! protocol message at the bank that it came to,
//! `daemon` everything else. Files rotate daily (UTC); `latest` in each folder is a link for `tail -F`.

use std::path::{Path, PathBuf};

use strife_config::{LogFormat, LogSettings};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, WorkerGuard};
use tracing_appender::rolling::{InitError, RollingFileAppender, Rotation};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

/// Lines that wait for the disk; beyond that they are dropped and counted, so that a slow disk never stops
/// payments.
const LINES_WAITING_MAX: usize = 65_536;

/// The target of RPC lines.
pub const RPC: &str = "strife::rpc";

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder cannot be made.
    #[error("the log folder {path}: {source}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be opened.
    #[error("the log folder {path}: {source}", path = path.display())]
    File {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: InitError,
    },
    /// Something else logs in this process.
    #[error("logging was set up twice")]
    Twice(#[from] TryInitError),
}

/// Keeps the writers; drop it after the drain, so that the last lines reach the disk.
#[derive(Debug)]
pub struct LogGuard {
    _guards: Vec<WorkerGuard>,
    counters: Vec<ErrorCounter>,
}

impl LogGuard {
    /// Lines dropped so far because the disk was too slow.
    pub fn dropped_lines(&self) -> usize {
        self.counters.iter().map(ErrorCounter::dropped_lines).sum()
    }
}

/// Sets up logging for this process.
///
/// # Errors
/// [`LogError`].
pub fn begin(settings: &LogSettings) -> Result<LogGuard, LogError> {
    let (rpc, rpc_guard) = stream(&settings.dir, "rpc", settings.files_max)?;
    let (daemon, daemon_guard) = stream(&settings.dir, "daemon", settings.files_max)?;
    let counters = vec![rpc.error_counter(), daemon.error_counter()];
    let rpc_only = Targets::new().with_target(RPC, LevelFilter::INFO);
    let others = Targets::new().with_default(LevelFilter::INFO).with_target(RPC, LevelFilter::OFF);
    tracing_subscriber::registry()
        .with(lines(rpc, settings.format).with_filter(rpc_only))
        .with(lines(daemon, settings.format).with_filter(others))
        .try_init()?;
    Ok(LogGuard { _guards: vec![rpc_guard, daemon_guard], counters })
}

fn stream(dir: &Path, name: &str, files_max: usize) -> Result<(NonBlocking, WorkerGuard), LogError> {
    let folder = dir.join(name);
    std::fs::create_dir_all(&folder).map_err(|source| LogError::Folder { path: folder.clone(), source })?;
    let file = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(name)
        .filename_suffix("log")
        .max_log_files(files_max)
        .latest_symlink("latest")
        .build(&folder)
        .map_err(|source| LogError::File { path: folder.clone(), source })?;
    let builder = tracing_appender::non_blocking::NonBlockingBuilder::default();
    Ok(builder.buffered_lines_limit(LINES_WAITING_MAX).lossy(true).finish(file))
}

fn lines<S>(writer: NonBlocking, format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = fmt::layer().with_writer(writer).with_ansi(false).with_target(false);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}
