//! Keeps a preference in the person's settings file, with the file's comments and order as they are.

use std::path::Path;

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

/// Changes one key of `[screen]` in a settings file.
///
/// # Errors
/// In words, with the file's name.
pub fn keep(file: &Path, key: &str, to: &Value) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| said(&error))?;
    let text = changed(&text, key, to).map_err(|error| said(&error))?;
    strife_client::write_private(file, text.as_bytes()).map_err(|error| said(&error))
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
}
