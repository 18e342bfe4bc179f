//! Kill points: named places before and after each durable write and each send, at which a test can end the
//! process as kill -9 does. The traits that write and send pass them, so that whatever implements the trait has
//! them.
//!
//! The folder named by `STRIFE_KILL_DIR` holds `passed`, to which each process appends the points that it has
//! passed, and for each process `armed.NAME`, the one point at which it is killed when it passes it next.

/// Where a kill point stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before a write or a send.
    Before,
    /// After a write, before anybody is told.
    After,
    /// After a send; the process lives on for a moment, so that the bytes are gone.
    Sent,
}

#[cfg(all(feature = "plantable", debug_assertions))]
mod armed {
    use std::collections::HashSet;
    use std::fs;
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::Duration;

    use super::When;

    /// How long a process lives on after a send.
    const SENT_AFTER: Duration = Duration::from_millis(20);

    static NAME: OnceLock<String> = OnceLock::new();
    static DIR: OnceLock<Option<PathBuf>> = OnceLock::new();
    static PASSED: Mutex<Option<HashSet<String>>> = Mutex::new(None);

    fn dir() -> Option<&'static Path> {
        DIR.get_or_init(|| std::env::var_os("STRIFE_KILL_DIR").map(PathBuf::from)).as_deref()
    }

    pub(super) fn watched() -> bool {
        dir().is_some()
    }

    pub(super) fn name(name: &str) {
        let _ = NAME.set(name.to_owned());
    }

    pub(super) fn passes(when: When, what: &str) {
        let Some(dir) = dir() else { return };
        let side = if when == When::Before { "before" } else { "after" };
        let process = NAME.get().map_or("process", String::as_str);
        let point = format!("{process}/{what}/{side}");
        let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
        if passed.get_or_insert_default().insert(point.clone()) {
            let list = fs::File::options().create(true).append(true).open(dir.join("passed"));
            // one write, so that the lines of several processes do not mix
            let _ = list.and_then(|mut list| list.write_all(format!("{point}\n").as_bytes()));
        }
        drop(passed);
        let armed = dir.join(format!("armed.{process}"));
        if fs::read_to_string(&armed).is_ok_and(|text| text == point) && fs::remove_file(&armed).is_ok() {
            match when {
                When::Sent => drop(std::thread::spawn(|| {
                    std::thread::sleep(SENT_AFTER);
                    end();
                })),
                When::Before | When::After => end(),
            }
        }
    }

    /// As kill -9: nothing runs any more.
    fn end() {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // the signal is on its way to this very thread
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// Names this process for its kill points.
pub fn this_process_is(name: &str) {
    #[cfg(all(feature = "plantable", debug_assertions))]
    armed::name(name);
    let _ = name;
}

/// Whether kill points do anything in this process.
#[inline]
pub fn watched() -> bool {
    #[cfg(all(feature = "plantable", debug_assertions))]
    return armed::watched();
    #[cfg(not(all(feature = "plantable", debug_assertions)))]
    false
}

/// Passes a kill point, `kind/what`.
#[inline]
pub fn passes(when: When, what: &str) {
    #[cfg(all(feature = "plantable", debug_assertions))]
    armed::passes(when, what);
    let _ = (when, what);
}
