//! Rotating log files, one folder for each stream: `rpc` has one line for each call, and for each
//! protocol message at the bank that it came to,
//! `daemon` everything else. Files rotate daily (UTC); `latest` in each folder is a link for `tail -F`.
//!
//! A folder that cannot be written ends the start. If it fails later, the daemon goes on without those lines, and
//! says in the file how many are missing once it can be written again.

mod queue;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use queue::Queue;
use strife_config::{LogFormat, LogSettings};
use tracing_appender::rolling::{InitError, RollingFileAppender, Rotation};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

/// The target of RPC lines.
pub const RPC: &str = "strife::rpc";

/// What the start writes into each folder to see that there is room, in bytes: more than the smallest block.
const PROBE_BYTES: usize = 64 * 1024;

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder cannot be made or written.
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
    queues: Vec<queue::Guard>,
    unwritten: Arc<AtomicUsize>,
}

impl LogGuard {
    /// Lines lost so far because the disk was too slow or could not be written.
    pub fn dropped_lines(&self) -> usize {
        let slow: usize = self.queues.iter().map(queue::Guard::dropped_lines).sum();
        slow + self.unwritten.load(Ordering::Relaxed)
    }
}

/// Sets up logging for this process.
///
/// # Errors
/// [`LogError`].
pub fn begin(settings: &LogSettings) -> Result<LogGuard, LogError> {
    let unwritten = Arc::new(AtomicUsize::new(0));
    let (rpc, rpc_guard) = stream(settings, "rpc", unwritten.clone())?;
    let (daemon, daemon_guard) = stream(settings, "daemon", unwritten.clone())?;
    let rpc_only = Targets::new().with_target(RPC, LevelFilter::INFO);
    let others = Targets::new().with_default(LevelFilter::INFO).with_target(RPC, LevelFilter::OFF);
    tracing_subscriber::registry()
        .with(lines(rpc, settings.format).with_filter(rpc_only))
        .with(lines(daemon, settings.format).with_filter(others))
        .try_init()?;
    Ok(LogGuard { queues: vec![rpc_guard, daemon_guard], unwritten })
}

fn stream(
    settings: &LogSettings,
    name: &str,
    unwritten: Arc<AtomicUsize>,
) -> Result<(Queue, queue::Guard), LogError> {
    let folder = settings.dir.join(name);
    let at = |source| LogError::Folder { path: folder.clone(), source };
    std::fs::create_dir_all(&folder).and_then(|()| probe(&folder)).map_err(at)?;
    let file = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix(name)
        .filename_suffix("log")
        .max_log_files(settings.files_max)
        .latest_symlink("latest")
        .build(&folder)
        .map_err(|source| LogError::File { path: folder.clone(), source })?;
    let lines = Lines { file, format: settings.format, missing: 0, is_torn: false, unwritten };
    queue::begin(name, lines).map_err(|source| LogError::Folder { path: folder, source })
}

/// Writes a little and takes it away again: a full disk still lets an empty file be made.
fn probe(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(".probe");
    let written = std::fs::File::create(&path)
        .and_then(|mut file| file.write_all(&[b'\n'; PROBE_BYTES]).and_then(|()| file.sync_data()));
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}

/// Writes lines, each whole or not at all as far as the disk lets it. A line that cannot be written is counted, and
/// the count is told in its place.
struct Lines<W> {
    file: W,
    format: LogFormat,
    /// Lines that could not be written since the last one that could.
    missing: usize,
    /// The last line was written in part.
    is_torn: bool,
    /// All that could not be written since the start.
    unwritten: Arc<AtomicUsize>,
}

impl<W: Write> Lines<W> {
    /// Writes as much as it can; what is left is not written.
    fn put<'a>(&mut self, lines: &'a [u8]) -> &'a [u8] {
        let mut rest = lines;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return rest,
                Ok(count) => {
                    self.is_torn = rest[count - 1] != b'\n';
                    rest = &rest[count..];
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return rest,
            }
        }
        rest
    }

    /// Tells whether nothing of it is left to tell.
    fn tell_what_is_missing(&mut self) -> bool {
        if self.is_torn && !self.put(b"\n").is_empty() {
            return false;
        }
        if self.missing == 0 {
            return true;
        }
        let mut time = String::new();
        // a String takes everything
        let _ = SystemTime.format_time(&mut Writer::new(&mut time));
        let (time, missing) = (time.trim(), self.missing);
        let what = format!("{missing} lines are missing here: the log could not be written");
        let line = match self.format {
            LogFormat::Text => format!("{time}  WARN {what}\n"),
            LogFormat::Json => {
                format!(
                    "{{\"timestamp\":\"{time}\",\"level\":\"WARN\",\"message\":\"{what}\",\"missing\":{missing}}}\n"
                )
            }
        };
        let told = self.put(line.as_bytes()).is_empty();
        if told {
            self.missing = 0;
        }
        told
    }
}

impl<W: Write + Send + 'static> queue::Lines for Lines<W> {
    fn write_lines(&mut self, lines: &[u8], dropped: usize) {
        self.missing += dropped;
        let unwritten = if self.tell_what_is_missing() { self.put(lines) } else { lines };
        // one that was begun is missing too
        let count = unwritten.iter().filter(|byte| **byte == b'\n').count();
        self.missing += count;
        self.unwritten.fetch_add(count, Ordering::Relaxed);
        // a file that cannot be flushed cannot be written either, which the next lines find
        let _ = self.file.flush();
    }
}

fn lines<S>(writer: Queue, format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = fmt::layer().with_writer(writer).with_ansi(false).with_target(false);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use super::queue::Lines as _;
    use super::*;

    /// A file with so much room.
    #[derive(Default)]
    struct Small {
        text: Vec<u8>,
        room: usize,
    }

    impl Write for Small {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            self.text.extend(&bytes[..count]);
            self.room -= count;
            Ok(count)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_a_full_disk_did_not_take_are_counted_and_told_when_there_is_room() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let unwritten = Arc::new(AtomicUsize::new(0));
            let file = Small { room: 9, ..Small::default() };
            let mut lines = Lines { file, format, missing: 0, is_torn: false, unwritten: unwritten.clone() };
            lines.write_lines(b"first\nsecond\n", 0);
            lines.write_lines(b"third\n", 0);
            assert_eq!(unwritten.load(Ordering::Relaxed), 2);
            lines.file.room = 1_000;
            lines.write_lines(b"fourth\nfifth\n", 3);
            let text = String::from_utf8(lines.file.text).unwrap();
            let shown: Vec<&str> = text.lines().collect();
            assert_eq!(
                (shown[0], shown[1], shown[3], shown[4]),
                ("first", "sec", "fourth", "fifth"),
                "{text}"
            );
            assert!(shown[2].contains("5 lines are missing here") && shown.len() == 5, "{text}");
            if format == LogFormat::Json {
                let told: serde_json::Value = serde_json::from_str(shown[2]).unwrap();
                assert_eq!(told["missing"], 5);
            }
        }
    }
}
