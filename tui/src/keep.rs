//! Keeps preferences in the person's settings file, with the file's comments and order as they are. One writes at a
//! time, and of several values for one key the newest is written.
//!
//! What must never: a settings file written over that cannot be read as one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use strife_client::{ClientSettings, Settings};

use toml_edit::{DocumentMut, Item, Table, value};

use crate::preferences::Value;

/// The file's text with one key of `[screen]` changed.
///
/// # Errors
/// The text is no TOML, or `screen` is no table; in words.
pub fn changed(text: &str, key: &str, to: &Value) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let screen = document.entry("screen").or_insert_with(|| Item::Table(Table::new()));
    let screen = screen.as_table_like_mut().ok_or("`screen` is no table")?;
    let mut new: toml_edit::Value = match to {
        Value::Word(word) => (*word).into(),
        Value::Flag(flag) => (*flag).into(),
        Value::Number(number) => i64::try_from(*number).unwrap_or(i64::MAX).into(),
    };
    match screen.get_mut(key).and_then(Item::as_value_mut) {
        // with the comments around it
        Some(known) => {
            *new.decor_mut() = known.decor().clone();
            *known = new;
        }
        None => drop(screen.insert(key, value(new))),
    }
    Ok(document.to_string())
}

/// What is to be kept in one settings file. Asking to keep is quick; [`Keeping::write`] is slow, and what was asked
/// for meanwhile goes into its next call.
#[derive(Debug, Default)]
pub struct Keeping {
    wanted: Mutex<BTreeMap<&'static str, Value>>,
    writing: Mutex<()>,
}

impl Keeping {
    /// Notes a value for a key of `[screen]`; an older one that is not written yet is forgotten.
    pub fn want(&self, key: &'static str, to: Value) {
        lock(&self.wanted).insert(key, to);
    }

    /// Writes what is wanted by now. With nothing wanted the file is not touched.
    ///
    /// # Errors
    /// In words, with the file's name; what was wanted is not tried again.
    pub fn write(&self, file: &Path) -> Result<(), String> {
        let _one_at_a_time = lock(&self.writing);
        let wanted = std::mem::take(&mut *lock(&self.wanted));
        if wanted.is_empty() {
            return Ok(());
        }
        let said = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        // a link to the file stays one
        let target = file.canonicalize().map_err(|error| said(&error))?;
        let mut text = std::fs::read_to_string(&target).map_err(|error| said(&error))?;
        if text.trim().is_empty() {
            return Err(said(&"it is empty, and was left so"));
        }
        for (key, to) in &wanted {
            text = changed(&text, key, to).map_err(|error| said(&error))?;
        }
        if let Err(error) = ClientSettings::load(&target) {
            let why = format!("it was left as it is: {error}");
            // some of these errors name the file themselves
            return Err(if why.contains(&*target.to_string_lossy()) { why } else { said(&why) });
        }
        strife_client::write_private(&target, text.as_bytes()).map_err(|error| error.to_string())
    }
}

/// What these locks guard is whole after each line, also after one that failed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_other_keys_stay_as_they_are() {
        let text = "# mine\ngateways = [\"a:1\"]\n\n[screen]\n# looks\ntheme = \"dark\" # at night\n";
        let now = changed(text, "theme", &Value::Word("light")).unwrap();
        assert_eq!(now, text.replace("dark", "light"));
        let now = changed("gateways = []\n", "idle_lock_ms", &Value::Number(0)).unwrap();
        assert_eq!(now, "gateways = []\n\n[screen]\nidle_lock_ms = 0\n");
        let now = changed("", "mouse", &Value::Flag(true)).unwrap();
        assert!(now.contains("mouse = true"), "{now}");
        assert!(changed("= what", "mouse", &Value::Flag(true)).is_err());
        assert!(changed("screen = 1", "mouse", &Value::Flag(true)).is_err());
    }

    const SETTINGS: &str = "# mine
gateways = [\"127.0.0.1:1\"]
data_dir = \"data\"
tls = { certificate = \"a\", private_key = \"b\" }
trust = { authority = \"c\", trust = \"d\", roster = \"e\" }
";

    #[test]
    fn of_many_fast_changes_the_newest_of_each_key_is_kept_and_the_rest_of_the_file_too() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("real.toml"), dir.path().join("client.toml"));
        std::fs::write(&file, SETTINGS).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let keeping = Keeping::default();
        std::thread::scope(|scope| {
            for number in 0..60 {
                keeping.want("idle_lock_ms", Value::Number(1_000 + number));
                keeping.want("mouse", Value::Flag(number % 2 == 0));
                scope.spawn(|| keeping.write(&link).unwrap());
                let read = std::fs::read_to_string(&file).unwrap();
                assert!(read.starts_with(SETTINGS), "{read}");
            }
        });
        let settings = ClientSettings::load(&link).unwrap();
        assert_eq!((settings.screen.idle_lock_ms, settings.screen.mouse), (1_059, false));
        assert!(link.is_symlink());
    }

    #[test]
    fn a_file_that_is_no_settings_file_is_left_as_it_is_and_named_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("client.toml");
        for text in ["", " \n", "gateways = []\n", "torn = [", &SETTINGS.replace("data_dir", "data")] {
            std::fs::write(&file, text).unwrap();
            let keeping = Keeping::default();
            keeping.want("mouse", Value::Flag(true));
            let error = keeping.write(&file).unwrap_err();
            assert_eq!(error.matches("client.toml").count(), 1, "{error}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
        std::fs::remove_file(&file).unwrap();
        let keeping = Keeping::default();
        keeping.want("mouse", Value::Flag(true));
        assert!(keeping.write(&file).is_err() && !file.exists());
    }
}
