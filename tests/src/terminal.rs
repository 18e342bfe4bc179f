//! A program in a pseudo-terminal, driven as a person drives it: keys in, a screen out. Nothing sleeps: whoever
//! waits is woken by what the program writes.

mod key;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use key::{Key, Shown, read_bar};
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};
use rustix::process::Signal;
use vt100::{Callbacks, Color, Parser, Screen};

use crate::network::signal;

/// How long something may take to appear.
const PATIENCE: Duration = Duration::from_secs(40);

type Writer = Arc<Mutex<Box<dyn Write + Send>>>;

/// What is known of the program's end of the terminal.
struct Seen {
    parser: Parser<Answers>,
    /// Counts what the program has written.
    writes: u64,
    /// Nothing more will come.
    ended: bool,
}

/// What a terminal answers by itself, and what a program puts into it beside the screen.
#[derive(Default)]
struct Answers {
    answers: Vec<u8>,
    clipboard: Option<Vec<u8>>,
    bells: usize,
}

impl Callbacks for Answers {
    fn audible_bell(&mut self, _: &mut Screen) {
        self.bells += 1;
    }

    fn copy_to_clipboard(&mut self, _: &mut Screen, _: &[u8], data: &[u8]) {
        self.clipboard = Some(data.to_vec());
    }

    fn unhandled_csi(
        &mut self,
        screen: &mut Screen,
        i1: Option<u8>,
        _: Option<u8>,
        params: &[&[u16]],
        c: char,
    ) {
        let first = params.first().and_then(|param| param.first()).copied().unwrap_or(0);
        match (i1, first, c) {
            // device status: where the cursor is
            (None, 6, 'n') => {
                let (row, column) = screen.cursor_position();
                self.answers.extend(format!("\x1b[{};{}R", row + 1, column + 1).bytes());
            }
            (None, 5, 'n') => self.answers.extend(b"\x1b[0n"),
            // device attributes: a VT220 with colour
            (None, 0, 'c') => self.answers.extend(b"\x1b[?62;22c"),
            _ => {}
        }
    }
}

/// A program in a pseudo-terminal. Killed when dropped.
pub struct Terminal {
    seen: Arc<(Mutex<Seen>, Condvar)>,
    writer: Writer,
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 }
}

fn positive(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("a terminal has rows and columns")
}

impl Terminal {
    /// Starts a program in a terminal of so many columns and rows, in UTC, with nothing in its environment that
    /// would change its looks but what is given.
    pub fn open(
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
        columns: u16,
        rows: u16,
    ) -> Self {
        let pair = native_pty_system().openpty(size(columns, rows)).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        for (key, value) in [("TERM", "xterm-256color"), ("TZ", "UTC"), ("LANG", "C.UTF-8")] {
            command.env(key, value);
        }
        for key in ["NO_COLOR", "COLORTERM", "LC_ALL"] {
            command.env_remove(key);
        }
        for (key, value) in environment {
            command.env(key, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        // ours is not needed, and would keep the terminal open after the program's end
        drop(pair.slave);
        let parser = Parser::new_with_callbacks(positive(rows), positive(columns), 0, Answers::default());
        let seen = Arc::new((Mutex::new(Seen { parser, writes: 0, ended: false }), Condvar::new()));
        let writer: Writer = Arc::new(Mutex::new(pair.master.take_writer().unwrap()));
        let reader = pair.master.try_clone_reader().unwrap();
        let (reads, answers) = (seen.clone(), writer.clone());
        std::thread::spawn(move || read(reader, &reads, &answers));
        Self { seen, writer, child, master: pair.master }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The screen: text, colours, cursor.
    pub fn screen(&self) -> Screen {
        self.seen().parser.screen().clone()
    }

    /// The screen's text, a line for each row.
    pub fn text(&self) -> String {
        self.rows().join("\n")
    }

    /// The screen's rows, without the blanks at their ends.
    pub fn rows(&self) -> Vec<String> {
        rows_of(self.seen().parser.screen())
    }

    /// What the program has put into the clipboard last (OSC 52), in base64.
    pub fn clipboard(&self) -> Option<Vec<u8>> {
        self.seen().parser.callbacks().clipboard.clone()
    }

    /// How often it has rung the bell.
    pub fn bells(&self) -> usize {
        self.seen().parser.callbacks().bells
    }

    /// The program's process.
    pub fn pid(&self) -> u32 {
        self.child.process_id().expect("it was started")
    }

    fn send(&self, bytes: &[u8]) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(bytes).and_then(|()| writer.flush()).unwrap();
    }

    /// Presses a key. After Escape it waits until the screen has changed: a key directly behind it would be read
    /// as one with Alt.
    pub fn press(&self, key: Key) {
        let before = self.seen().writes;
        self.send(&key.bytes());
        if key == Key::Escape {
            self.wait_until("a change after Escape", |seen| (seen.writes != before).then_some(()));
        }
    }

    /// Types text.
    pub fn type_text(&self, text: &str) {
        self.send(text.as_bytes());
    }

    /// Pastes text, as a terminal does where the program has asked for it: in brackets.
    pub fn paste(&self, text: &str) {
        let bracketed = self.seen().parser.screen().bracketed_paste();
        if bracketed {
            self.send(format!("\x1b[200~{text}\x1b[201~").as_bytes());
        } else {
            self.send(text.as_bytes());
        }
    }

    /// Makes the terminal larger or smaller.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.seen().parser.set_size(positive(rows), positive(columns));
        self.master.resize(size(columns, rows)).unwrap();
    }

    /// Waits for something about the screen, and returns it.
    ///
    /// # Panics
    /// It does not come in time, or the program ends; with the screen as it is then.
    fn wait_until<T>(&self, what: &str, mut found: impl FnMut(&Seen) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.seen();
        loop {
            if let Some(found) = found(&seen) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let why = match (seen.ended, left.is_zero()) {
                (true, _) => "the program has ended",
                (_, true) => "it never came",
                _ => {
                    seen = self.seen.1.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
                    continue;
                }
            };
            let picture = dump(seen.parser.screen());
            drop(seen);
            panic!("waiting for {what}: {why}\n{picture}");
        }
    }

    /// Waits until the screen's text satisfies a condition, and returns it.
    pub fn wait(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        self.wait_until(what, |seen| {
            let text = rows_of(seen.parser.screen()).join("\n");
            condition(&text).then_some(text)
        })
    }

    /// Waits until a text stands on the screen.
    pub fn wait_for(&self, needle: &str) -> String {
        self.wait(&format!("{needle:?}"), |text| text.contains(needle))
    }

    /// Waits until a text stands there no more.
    pub fn wait_gone(&self, needle: &str) -> String {
        self.wait(&format!("the end of {needle:?}"), |text| !text.contains(needle))
    }

    /// Waits until one of these texts stands there marked, on a ground of its own, and returns it.
    pub fn wait_marked<'a>(&self, needles: &[&'a str]) -> &'a str {
        self.wait_until(&format!("a mark on one of {needles:?}"), |seen| {
            needles.iter().find(|needle| is_marked(seen.parser.screen(), needle)).copied()
        })
    }

    /// The keys that the bottom bar shows now.
    pub fn shown(&self) -> Vec<Shown> {
        bar_of(self.seen().parser.screen())
    }

    /// The key that the bottom bar shows for a label, as soon as it does.
    pub fn key_for(&self, label: &str) -> Key {
        self.key_for_one_of(&[label])
    }

    /// The key that it shows for one of several labels.
    pub fn key_for_one_of(&self, labels: &[&str]) -> Key {
        self.wait_until(&format!("a key for {labels:?} in the bottom bar"), |seen| {
            let shown = bar_of(seen.parser.screen());
            shown.into_iter().find(|shown| labels.contains(&shown.label.as_str())).map(|shown| shown.key)
        })
    }

    /// The screen once it has stayed the same for so long. For pictures; a test waits for what it wants to see.
    pub fn quiet(&self, quiet: Duration) -> Screen {
        let deadline = Instant::now() + PATIENCE;
        let mut last = (self.screen(), Instant::now());
        let mut seen = self.seen();
        loop {
            let now = seen.parser.screen();
            if now.contents_formatted() != last.0.contents_formatted() {
                last = (now.clone(), Instant::now());
            }
            let left = quiet.saturating_sub(last.1.elapsed());
            // a screen that counts down is never quiet
            if left.is_zero() || Instant::now() > deadline {
                return last.0;
            }
            seen = self.seen.1.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Presses the key that the bottom bar shows for a label.
    pub fn press_shown(&self, label: &str) {
        self.press(self.key_for(label));
    }

    /// Waits for the program's end.
    pub fn wait_end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !seen.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the program does not end\n{}", dump(seen.parser.screen()));
            seen = self.seen.1.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(seen);
        self.child.wait().unwrap()
    }

    /// Sends the program a signal.
    pub fn signal(&self, which: Signal) {
        signal(self.pid(), which);
    }

    /// Kills the program (-9) and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

fn read(mut reader: Box<dyn Read + Send>, seen: &(Mutex<Seen>, Condvar), writer: &Writer) {
    let mut bytes = [0; 16 * 1024];
    loop {
        // an error is how Linux says that the other end is gone
        let count = reader.read(&mut bytes).unwrap_or(0);
        let mut now = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.parser.process(&bytes[..count]);
        now.writes += 1;
        now.ended = count == 0;
        let answers = std::mem::take(&mut now.parser.callbacks_mut().answers);
        drop(now);
        seen.1.notify_all();
        if count == 0 {
            return;
        }
        if !answers.is_empty() {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            // the program may be gone already
            let _ = writer.write_all(&answers).and_then(|()| writer.flush());
        }
    }
}

fn rows_of(screen: &Screen) -> Vec<String> {
    let columns = screen.size().1.get();
    screen.rows(0, columns).map(|row| row.trim_end().to_owned()).collect()
}

/// Whether a text stands there on a ground of its own, or with its colours turned.
fn is_marked(screen: &Screen, needle: &str) -> bool {
    let (rows, columns) = screen.size();
    (0..rows.get()).any(|row| {
        let text = screen.rows(0, columns.get()).nth(row.into()).unwrap_or_default();
        text.match_indices(needle).any(|(at, _)| {
            let column = u16::try_from(text[..at].chars().count()).unwrap_or(u16::MAX);
            screen.cell(row, column).is_some_and(|cell| cell.inverse() || cell.bgcolor() != Color::Default)
        })
    })
}

/// The last row that holds something is the bottom bar.
fn bar_of(screen: &Screen) -> Vec<Shown> {
    let rows = rows_of(screen);
    rows.iter().rfind(|row| !row.is_empty()).map(|row| read_bar(row)).unwrap_or_default()
}

/// The screen in a frame, for the report of a failure.
fn dump(screen: &Screen) -> String {
    let (rows, columns) = screen.size();
    let rule = "─".repeat(columns.get().into());
    let mut picture = format!("{columns}×{rows}, cursor at {:?}\n┌{rule}┐\n", screen.cursor_position());
    for row in rows_of(screen) {
        let _ = writeln!(picture, "│{row}");
    }
    picture + "└" + &rule + "┘"
}
