//! The page for people who use the client, `docs/using.md`: its tables of keys come from the list from which the
//! client itself draws its bottom bar and its help.

use std::fmt::Write;

use crossterm::event::{KeyCode, KeyModifiers};
use strife_tui::commands::{Command, PLACES};

/// Begins the table of a place, with its name.
const BEGIN: &str = "<!-- keys: ";
/// Ends a table.
const END: &str = "<!-- end -->";

/// A place's keys as a table.
fn table(commands: &[Command]) -> String {
    let mut table = String::from("| key | what it does |\n|---|---|\n");
    for command in commands {
        let mut names: Vec<String> = Vec::new();
        for (code, modifiers) in command.keys {
            let name = name(*code, *modifiers);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(table, "| {} | {} |", names.join(", "), command.help);
    }
    table
}

/// A key as the client shows it.
fn name(code: KeyCode, modifiers: KeyModifiers) -> String {
    let name = match code {
        // a capital letter says that it is one
        KeyCode::Char(' ') => "Space".to_owned(),
        KeyCode::Char(c) if modifiers.contains(KeyModifiers::CONTROL) => c.to_ascii_uppercase().to_string(),
        KeyCode::Char(c) => c.to_string(),
        KeyCode::F(number) => format!("F{number}"),
        KeyCode::BackTab => "Shift-Tab".to_owned(),
        KeyCode::Up => "↑".to_owned(),
        KeyCode::Down => "↓".to_owned(),
        KeyCode::Left => "←".to_owned(),
        KeyCode::Right => "→".to_owned(),
        KeyCode::PageUp => "PgUp".to_owned(),
        KeyCode::PageDown => "PgDn".to_owned(),
        KeyCode::Delete => "Del".to_owned(),
        other => format!("{other:?}"),
    };
    let with =
        |modifier, text: &str| if modifiers.contains(modifier) { text.to_owned() } else { String::new() };
    with(KeyModifiers::CONTROL, "Ctrl-") + &with(KeyModifiers::ALT, "Alt-") + &name
}

/// The page with its tables as they are to be.
///
/// # Errors
/// A table that is not ended, of a place that there is not, or a place without a table.
pub fn with_tables(page: &str) -> Result<String, String> {
    let mut made = String::new();
    let mut seen: Vec<&str> = Vec::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, after) = after.split_once(" -->\n").ok_or("a table's beginning is cut short")?;
        let (_, after) = after.split_once(END).ok_or_else(|| format!("the table of {name} is not ended"))?;
        let place = PLACES.iter().find(|(place, _)| *place == name);
        let (place, commands) = place.ok_or_else(|| format!("the client has no place {name}"))?;
        seen.push(place);
        made += &format!("{before}{BEGIN}{name} -->\n{}{END}", table(commands));
        rest = after;
    }
    match PLACES.iter().find(|(place, _)| !seen.contains(place)) {
        Some((place, _)) => Err(format!("the keys of {place} are not on the page")),
        None => Ok(made + rest),
    }
}

/// The pictures that the page shows, by their paths.
pub fn pictures(page: &str) -> Vec<&str> {
    let links = page.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    links.map(|(path, _)| path).filter(|path| path.ends_with(".svg")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_as_on_a_keyboard() {
        assert_eq!(name(KeyCode::Char('c'), KeyModifiers::CONTROL), "Ctrl-C");
        assert_eq!(name(KeyCode::Char('R'), KeyModifiers::SHIFT), "R");
        assert_eq!(name(KeyCode::F(2), KeyModifiers::NONE), "F2");
    }
}
