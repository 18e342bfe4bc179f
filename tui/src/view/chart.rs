//! The balance of an account over time, from the postings that are loaded.

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Paragraph};

use super::{panel, title};
use crate::format::{amount, moment};
use crate::model::Model;

/// What a coordinate of the chart is: it stands for cells on a screen, never for money.
#[allow(clippy::cast_precision_loss)]
fn coordinate(number: i64) -> f64 {
    number as f64
}

/// Corners of the balance's steps, oldest first: a balance stands until the next posting.
fn steps(model: &Model) -> Vec<(i64, i64)> {
    let mut corners: Vec<(i64, i64)> = Vec::new();
    for movement in model.history.rows.iter().rev() {
        match corners.last() {
            Some((_, before)) => corners.push((movement.at_ms, *before)),
            // before the first posting that is loaded; before the very first there was nothing
            None if model.history.cursor.is_some() => {
                let before = movement.balance_after.saturating_sub(movement.minor_units);
                corners.push((movement.at_ms, before));
            }
            None => {}
        }
        corners.push((movement.at_ms, movement.balance_after));
    }
    corners
}

pub(super) fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = &model.theme;
    let account = model.view.profile.as_ref().and_then(|profile| profile.accounts.get(model.account));
    let currency = account.map(|account| account.currency.clone()).unwrap_or_default();
    let name = if currency.is_empty() { "Balance".to_owned() } else { format!("Balance, {currency}") };
    let block = panel(model, title(model, &name, false), false);
    let corners = steps(model);
    let (Some((first, _)), Some((last, _))) = (corners.first(), corners.last()) else {
        let text = "  drawn once something has moved";
        frame.render_widget(Paragraph::new(Span::styled(text, theme.dim)).block(block), area);
        return;
    };
    if model.hides_balances() {
        let text = "  hidden";
        frame.render_widget(Paragraph::new(Span::styled(text, theme.dim)).block(block), area);
        return;
    }
    let lowest = corners.iter().map(|(_, balance)| *balance).min().unwrap_or(0);
    let highest = corners.iter().map(|(_, balance)| *balance).max().unwrap_or(0);
    // a balance that never moved still has a line in the middle
    let room = (highest.saturating_sub(lowest) / 10).max(1);
    let (from, to) = (lowest.saturating_sub(room), highest.saturating_add(room));
    let points: Vec<(f64, f64)> =
        corners.iter().map(|(at, balance)| (coordinate(*at), coordinate(*balance))).collect();
    let data = Dataset::default()
        .marker(theme.chart_marker())
        .graph_type(GraphType::Line)
        .style(theme.key)
        .data(&points);
    let label = |minor_units| Line::from(Span::styled(amount(minor_units, &currency), theme.dim));
    let end = (*last).max(first.saturating_add(1));
    let chart = Chart::new(vec![data])
        .block(block)
        .style(theme.text)
        .x_axis(
            Axis::default()
                .style(theme.frame)
                .bounds([coordinate(*first), coordinate(end)])
                .labels(vec![moment(*first, &model.zone), moment(*last, &model.zone)])
                .labels_alignment(Alignment::Right),
        )
        .y_axis(
            Axis::default()
                .style(theme.frame)
                .bounds([coordinate(from), coordinate(to)])
                .labels(vec![label(lowest), label(highest)])
                .labels_alignment(Alignment::Right),
        );
    frame.render_widget(chart, area);
}
