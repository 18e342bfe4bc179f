//! Ratios of measured figures: the one place of this crate that computes with floating point, and never with money.

#![allow(clippy::float_arithmetic)] // ratios of measured times and counts, never money

/// One figure in parts of another, which counts as one where it is nothing.
#[allow(clippy::cast_precision_loss)] // far below 2^52
pub(crate) fn ratio(figure: u64, to: u64) -> f64 {
    figure as f64 / to.max(1) as f64
}

/// To three places after the point, as it is printed.
pub(crate) fn rounded(ratio: f64) -> f64 {
    (ratio * 1_000.0).round() / 1_000.0
}
