//! Signing in.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::{centred, main_focused, panel, title, typed, wrapped};
use crate::commands::Action;
use crate::format::fit;
use crate::forms::LoginField;
use crate::model::Model;

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = &model.theme;
    let form = &model.login;
    let height = if model.demo_sentence.is_some() { 17 } else { 14 };
    let inside = centred(frame, area, 58, height);
    let block = panel(model, title(model, "Sign in", true), main_focused(model));
    let text = block.inner(inside);
    frame.render_widget(block, inside);

    let label = |field, name: &str| {
        let here = form.field == field && main_focused(model);
        let sign = if here { "▸ " } else { "  " };
        Span::styled(format!("{sign}{name:<11}"), if here { theme.accent } else { theme.text })
    };
    let mut banks = vec![label(LoginField::Bank, "Bank")];
    if model.view.banks.is_empty() {
        banks.push(Span::styled("waiting for the gateway …", theme.dim));
    }
    for (place, (name, reachable)) in model.view.banks.iter().enumerate() {
        let style = if place == form.bank { theme.chosen } else { theme.text };
        banks.push(Span::styled(fit(name, 32), style));
        banks.push(Span::styled(if *reachable { "   " } else { " (away)   " }, theme.warn));
    }
    let cursor = |field| if form.field == field && main_focused(model) { "▏" } else { "" };
    let dots = "•".repeat(form.password.chars().count().min(36));
    let mut lines = vec![
        Line::raw(""),
        Line::from(banks),
        Line::raw(""),
        Line::from_iter(std::iter::once(label(LoginField::Person, "Name")).chain(typed(
            model,
            &form.person,
            form.field == LoginField::Person && main_focused(model),
            38,
        ))),
        Line::raw(""),
        Line::from(vec![
            label(LoginField::Password, "Password"),
            Span::raw(dots),
            Span::styled(cursor(LoginField::Password), theme.accent),
        ]),
        Line::raw(""),
        Line::from(vec![
            Span::styled(format!("  {:<11}", model.shown_key(Action::Keep).unwrap_or_default()), theme.key),
            Span::raw(if form.keep { "[x] keep me signed in, in " } else { "[ ] keep me signed in" }),
            Span::styled(
                if form.keep { fit(&model.view.session_place, 24) } else { String::new() },
                theme.dim,
            ),
        ]),
    ];
    lines.push(match (&form.error, form.busy, &model.view.profile) {
        (Some(error), _, _) => Line::from(Span::styled(format!("  ! {error}"), theme.bad)),
        (None, false, _) if model.view.resuming => {
            Line::from(Span::styled("  looking for the session that you kept …", theme.warn))
        }
        (None, true, _) => Line::from(Span::styled("  signing in …", theme.warn)),
        (None, false, Some(profile)) => Line::from(vec![
            Span::styled(
                format!("  {}", model.shown_key(Action::WorkOffline).unwrap_or_default()),
                theme.key,
            ),
            Span::styled(format!(" works offline as {}@{}", profile.person, profile.bank), theme.dim),
        ]),
        (None, false, None) => Line::raw(""),
    });
    lines.push(Line::raw(""));
    if let Some(sentence) = &model.demo_sentence {
        let rows = wrapped(sentence, usize::from(text.width));
        lines.extend(rows.into_iter().map(|row| Line::from(Span::styled(row, theme.warn))));
        lines.push(Line::raw(""));
    }
    lines.push(Line::from(Span::styled(format!("  Device key: {}", model.view.key_place), theme.dim)));
    // on a low terminal the blank lines go before a word does
    if lines.len() > usize::from(text.height) {
        lines.retain(|line| line.width() > 0);
    }
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), text);
}
