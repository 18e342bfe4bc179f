//! The terminal: taken over, given back on every way out, also for a while (Ctrl-Z).

use std::fs::File;
use std::io::{self, IsTerminal, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste, EnableFocusChange,
    EnableMouseCapture,
};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

/// The terminal is ours.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// What the last panic said, while the terminal was ours.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// The terminal, given back when dropped.
pub struct Screen {
    /// To draw on.
    pub terminal: Terminal<CrosstermBackend<Stdout>>,
    mouse: bool,
}

/// Why the screen cannot open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the screen needs a terminal to draw on and to read keys from, and there is none here")]
pub struct NoTerminal;

/// Makes sure that there is a terminal, before anything is started for it.
///
/// # Errors
/// [`NoTerminal`].
pub fn require() -> Result<(), NoTerminal> {
    // keys come from the controlling terminal where standard input is something else
    let keys = io::stdin().is_terminal() || File::open("/dev/tty").is_ok();
    if io::stdout().is_terminal() && keys { Ok(()) } else { Err(NoTerminal) }
}

impl Screen {
    /// Takes the terminal over. What a panic says is kept for [`last_panic`] instead of written over the screen.
    ///
    /// # Errors
    /// There is no terminal, in words.
    pub fn take(mouse: bool) -> io::Result<Self> {
        require().map_err(io::Error::other)?;
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if TAKEN.load(Ordering::SeqCst) {
                *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic.to_string());
            } else {
                usual(panic);
            }
        }));
        Ok(Self { terminal: take_over(mouse)?, mouse })
    }

    /// Takes the terminal over again, after it was given back or somebody else wrote over it.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn take_again(&mut self) -> io::Result<()> {
        // a fresh one draws every cell
        self.terminal = take_over(self.mouse)?;
        Ok(())
    }

    /// Takes clicks and the wheel, or no more.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn set_mouse(&mut self, mouse: bool) -> io::Result<()> {
        self.mouse = mouse;
        if mouse {
            execute!(io::stdout(), EnableMouseCapture)
        } else {
            execute!(io::stdout(), DisableMouseCapture)
        }
    }

    /// Writes a sequence that draws nothing: to the clipboard, a notice.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn send(&mut self, sequence: &str) -> io::Result<()> {
        let mut out = io::stdout();
        out.write_all(sequence.as_bytes())?;
        out.flush()
    }
}

fn take_over(mouse: bool) -> io::Result<Terminal<CrosstermBackend<Stdout>>> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let mut out = io::stdout();
    // one that was killed may have left the alternate screen on, with what stood there
    execute!(
        out,
        EnterAlternateScreen,
        Clear(ClearType::All),
        EnableBracketedPaste,
        EnableFocusChange,
        cursor::Hide
    )?;
    if mouse {
        execute!(out, EnableMouseCapture)?;
    }
    Terminal::new(CrosstermBackend::new(out))
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back; a second time does nothing.
pub fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // a terminal that is gone cannot be given back
        let _ = disable_raw_mode();
        let _ = execute!(
            io::stdout(),
            DisableMouseCapture,
            DisableFocusChange,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = io::stdout().flush();
    }
}

/// What the last panic said while the terminal was taken, once.
pub fn last_panic() -> Option<String> {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner).take()
}
