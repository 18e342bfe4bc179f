//! Lines on their way to the disk. Whoever logs leaves a line here and goes on; a thread takes all that has gathered
//! and writes it at once. It is woken once for many lines, since to wake a thread costs a call more than the line does.
//!
//! What must never: a caller that waits for the disk; a line that is dropped and not counted.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long lines gather before they are written: whoever follows the file does not notice.
const GATHER: Duration = Duration::from_millis(20);

/// Bytes that wait for the disk; lines beyond that are dropped and counted, so that a slow disk never stops payments.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// How long the end of the process waits for the disk.
const END_WAIT: Duration = Duration::from_secs(3);

/// Where lines end up.
pub(super) trait Lines: Send + 'static {
    /// Writes whole lines; `dropped` is how many are missing before them, because too many were waiting.
    fn write_lines(&mut self, lines: &[u8], dropped: usize);
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Since the last that were taken.
    dropped: usize,
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    dropped: AtomicUsize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.lines.len() + line.len() > WAITING_BYTES_MAX {
            waiting.dropped += 1;
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = waiting.lines.is_empty();
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        if was_empty {
            self.changed.notify_one();
        }
    }

    /// Waits for lines and lets them gather; tells what there is and whether it is the last.
    fn take(&self, emptied: Vec<u8>) -> (Vec<u8>, usize, bool) {
        let waits = |waiting: &mut Waiting| waiting.lines.is_empty() && !waiting.closed;
        let waiting = self.changed.wait_while(self.lock(), waits).unwrap_or_else(PoisonError::into_inner);
        let gathers = |waiting: &mut Waiting| !waiting.closed;
        let gathered = self.changed.wait_timeout_while(waiting, GATHER, gathers);
        let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::replace(&mut waiting.lines, emptied);
        (lines, std::mem::take(&mut waiting.dropped), waiting.closed)
    }
}

/// Where lines are left. Clones leave them in the same place.
#[derive(Clone, Debug)]
pub(super) struct Queue(Arc<Shared>);

/// Writes what is left when it is dropped.
#[derive(Debug)]
pub(super) struct Guard {
    shared: Arc<Shared>,
    /// Ends with the thread.
    writes: mpsc::Receiver<()>,
}

/// Begins to write lines on a thread of its own.
///
/// # Errors
/// The thread could not be started.
pub(super) fn begin(name: &str, mut to: impl Lines) -> io::Result<(Queue, Guard)> {
    let shared = Arc::new(Shared::default());
    let taken = shared.clone();
    let (alive, writes) = mpsc::channel();
    std::thread::Builder::new().name(format!("log-{name}")).spawn(move || {
        let _alive = alive;
        let mut lines = Vec::new();
        loop {
            lines.clear();
            let (more, dropped, last) = taken.take(lines);
            lines = more;
            if !lines.is_empty() || dropped > 0 {
                to.write_lines(&lines, dropped);
            }
            if last {
                return;
            }
        }
    })?;
    Ok((Queue(shared.clone()), Guard { shared, writes }))
}

impl Guard {
    /// Lines dropped so far because too many were waiting.
    pub fn dropped_lines(&self) -> usize {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        // it ends without a word; a disk that hangs must not keep the process
        let _ = self.writes.recv_timeout(END_WAIT);
    }
}

impl Write for Queue {
    /// One line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Kept {
        to: mpsc::Sender<(String, usize)>,
        may_go_on: mpsc::Receiver<()>,
    }

    impl Lines for Kept {
        fn write_lines(&mut self, lines: &[u8], dropped: usize) {
            self.to.send((String::from_utf8(lines.to_vec()).unwrap(), dropped)).unwrap();
            self.may_go_on.recv().unwrap();
        }
    }

    #[test]
    fn lines_are_written_together_in_their_order_and_what_is_too_much_is_counted() {
        let (to, written) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let (mut queue, guard) = begin("test", Kept { to, may_go_on }).unwrap();
        queue.write_all(b"one\n").unwrap();
        assert_eq!(written.recv().unwrap(), ("one\n".to_owned(), 0));
        // the disk is slow: it has not taken the first
        let long = vec![b'x'; WAITING_BYTES_MAX];
        queue.write_all(b"two\n").unwrap();
        queue.write_all(&long).unwrap();
        queue.write_all(&long).unwrap();
        queue.write_all(b"three\n").unwrap();
        assert_eq!(guard.dropped_lines(), 2);
        go_on.send(()).unwrap();
        assert_eq!(written.recv().unwrap(), ("two\nthree\n".to_owned(), 2));
        queue.write_all(b"last\n").unwrap();
        go_on.send(()).unwrap();
        go_on.send(()).unwrap();
        drop(guard);
        let rest: String = written.try_iter().map(|(lines, dropped)| format!("{lines}{dropped}")).collect();
        assert_eq!(rest, "last\n0");
    }
}
