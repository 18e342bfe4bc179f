//! The one thread that starts processes, and what a process asks of the kernel so that it ends with the demo.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};

/// A thread that starts every process of the demo and lives as long as the demo does: to the kernel, the end of
/// the thread that started a process is the end of its parent.
#[derive(Debug)]
pub(super) struct Starter(Sender<Request>);

type Request = (Command, Sender<io::Result<Child>>);

impl Starter {
    /// Starts the thread.
    ///
    /// # Errors
    /// There is no room for it.
    pub(super) fn new() -> io::Result<Self> {
        let (sender, requests) = channel::<Request>();
        std::thread::Builder::new().name("starter".into()).spawn(move || {
            for (mut command, answer) in requests {
                // whoever asked waits for it
                let _ = answer.send(command.spawn());
            }
        })?;
        Ok(Self(sender))
    }

    /// Starts a process.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(&self, command: Command) -> io::Result<Child> {
        let (sender, answer) = channel();
        let gone = || io::Error::other("the thread that starts processes has ended");
        self.0.send((command, sender)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

/// Called by a daemon's process: if it stands still when the demo ends, however that comes about, it goes on,
/// finds its lifeline ended, and stops. Where the kernel does not know how (only Linux does), a frozen process
/// stays behind a demo that was killed.
///
/// # Errors
/// The kernel refuses.
pub fn go_on_when_orphaned() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::CONT))?;
    Ok(())
}
