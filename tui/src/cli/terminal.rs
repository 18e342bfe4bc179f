//! What `doctor` says about the terminal.

use std::io::IsTerminal;

use strife_client::doctor::Finding;

use crate::view::{HEIGHT_MIN, WIDTH_MIN};

/// Looks at this terminal.
pub(super) fn look() -> Vec<Finding> {
    let there = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let size = there.then(crossterm::terminal::size).and_then(Result::ok);
    judge(|name| std::env::var(name).ok().filter(|value| !value.is_empty()), there, size)
}

fn judge(variable: impl Fn(&str) -> Option<String>, there: bool, size: Option<(u16, u16)>) -> Vec<Finding> {
    const TOPIC: &str = "terminal";
    let mut findings = Vec::new();
    let term = variable("TERM");
    let colours = match (variable("NO_COLOR"), variable("COLORTERM"), &term) {
        (Some(_), _, _) => "no colours (NO_COLOR)",
        (_, Some(kind), _) if kind == "truecolor" || kind == "24bit" => "true colour",
        (_, _, Some(term)) if term.contains("256color") => "256 colours",
        _ => "16 colours",
    };
    match term.as_deref() {
        None => {
            findings.push(Finding::warning(TOPIC, "TERM is not set.", "Set TERM, as in TERM=xterm-256color."))
        }
        Some("dumb") => findings.push(Finding::problem(
            TOPIC,
            "TERM is dumb: a full screen cannot be drawn.",
            "Use another terminal, or set TERM to what yours is.",
        )),
        Some(_) => {}
    }
    // the first of these that is set decides (locale(7))
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| variable(name)).unwrap_or_default();
    let plain = locale.to_lowercase().replace('-', "");
    if !plain.contains("utf8") {
        let locale = if locale.is_empty() { "not set".to_owned() } else { locale };
        findings.push(Finding::warning(
            TOPIC,
            format!("The locale is {locale}, not UTF-8: lines and signs may come out wrong."),
            "Set LANG to a UTF-8 locale, as in LANG=C.UTF-8.",
        ));
    }
    match size {
        Some((width, height)) if width < WIDTH_MIN || height < HEIGHT_MIN => findings.push(Finding::warning(
            TOPIC,
            format!("It has {width} columns and {height} rows."),
            format!("Make it {WIDTH_MIN} × {HEIGHT_MIN} at least."),
        )),
        _ => {}
    }
    if findings.is_empty() {
        let term = term.unwrap_or_default();
        let size = match size {
            Some((width, height)) => format!("{width} × {height}"),
            None if there => "of unknown size".into(),
            None => "not at a terminal now".into(),
        };
        findings.push(Finding::good(TOPIC, format!("{term}, {colours}, UTF-8, {size}.")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use strife_client::doctor::Level;

    fn judged(set: &[(&str, &str)], size: (u16, u16)) -> Vec<Finding> {
        let set: Vec<(String, String)> = set.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let variable = |name: &str| set.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        judge(variable, true, Some(size))
    }

    #[test]
    fn a_terminal_is_judged_by_what_the_environment_and_its_size_say() {
        let good = judged(&[("TERM", "xterm-256color"), ("LANG", "en_GB.UTF-8")], (80, 24));
        assert!(good.len() == 1 && good[0].level == Level::Good && good[0].says.contains("256 colours"));
        let quiet = judged(&[("TERM", "xterm"), ("LANG", "C.utf8"), ("NO_COLOR", "1")], (80, 24));
        assert!(quiet[0].says.contains("NO_COLOR"), "{quiet:?}");
        // LC_ALL goes before LANG
        let bad = judged(&[("TERM", "dumb"), ("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")], (50, 10));
        assert_eq!(bad.iter().map(|finding| finding.level).max(), Some(Level::Problem));
        assert_eq!(bad.len(), 3, "{bad:?}");
        assert!(bad.iter().all(|finding| finding.mend.is_some()));
        assert_eq!(judged(&[("LANG", "C.UTF-8")], (80, 24))[0].level, Level::Warning);
    }
}
