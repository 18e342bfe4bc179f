//! The page for people who use the client, `docs/using.md`: its tables of keys come from the list from which the
//! client itself draws its bottom bar and its help.

use std::fmt::Write;

use strife_tui::commands::{Command, Place};

/// Begins the table of a place, with its name.
const BEGIN: &str = "<!-- keys: ";
/// Ends a table.
const END: &str = "<!-- end -->";

/// A place's keys as a table.
fn table(commands: &[Command]) -> String {
    let mut table = String::from("| key | what it does |\n|---|---|\n");
    for command in commands {
        let mut names: Vec<String> = Vec::new();
        for key in command.keys {
            let name = format!("`{}`", key.shown());
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let _ = writeln!(table, "| {} | {} |", names.join(", "), command.help);
    }
    table
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
        let place = Place::ALL.into_iter().find(|place| place.name() == name);
        let place = place.ok_or_else(|| format!("the client has no place {name}"))?;
        seen.push(place.name());
        made += &format!("{before}{BEGIN}{name} -->\n{}{END}", table(place.commands()));
        rest = after;
    }
    match Place::ALL.iter().find(|place| !seen.contains(&place.name())) {
        Some(place) => Err(format!("the keys of {} are not on the page", place.name())),
        None => Ok(made + rest),
    }
}

/// The pictures that the page shows, by their paths.
pub fn pictures(page: &str) -> Vec<&str> {
    let links = page.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    links.map(|(path, _)| path).filter(|path| path.ends_with(".svg")).collect()
}
