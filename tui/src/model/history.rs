//! An account's history, as far as it is loaded, with the filter and the order of the rows.

use std::cmp::Reverse;

use strife_client::Movement;
use tui_input::Input;

/// How rows are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// As the bank has them.
    #[default]
    Newest,
    /// The other way around.
    Oldest,
    /// By what moved, whichever way.
    Largest,
    /// By the other side's name.
    Counterpart,
}

impl Sort {
    /// The next one, around.
    pub fn next(self) -> Self {
        match self {
            Sort::Newest => Sort::Oldest,
            Sort::Oldest => Sort::Largest,
            Sort::Largest => Sort::Counterpart,
            Sort::Counterpart => Sort::Newest,
        }
    }

    /// For the title.
    pub fn word(self) -> &'static str {
        match self {
            Sort::Newest => "newest first",
            Sort::Oldest => "oldest first",
            Sort::Largest => "largest first",
            Sort::Counterpart => "by name",
        }
    }
}

/// An account's history, as far as it is loaded.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Which account.
    pub account: String,
    /// Newest first.
    pub rows: Vec<Movement>,
    /// Where the next page begins; `None` when all is loaded.
    pub cursor: Option<Vec<u8>>,
    /// The newest page is on its way.
    pub loading: bool,
    /// The next page is on its way.
    pub loading_more: bool,
    /// What went wrong.
    pub error: Option<String>,
    /// The chosen row, among those shown.
    pub chosen: usize,
    /// What rows must contain.
    pub filter: Input,
    /// The filter is being typed.
    pub filtering: bool,
    /// The order of the rows.
    pub sort: Sort,
    /// The places of the rows that are shown, in their order.
    pub(crate) order: Vec<usize>,
}

impl History {
    /// Finds out anew which rows are shown, and in which order: call it whenever rows, filter or order have changed.
    /// Shown are those which contain every word of the filter, in whatever case, in the other side's name, memo,
    /// amount or kind.
    pub fn refresh(&mut self) {
        let words: Vec<String> = self.filter.value().split_whitespace().map(str::to_lowercase).collect();
        let fits = |movement: &Movement| {
            if words.is_empty() {
                return true;
            }
            let amount = crate::format::signed_amount(movement.minor_units, &movement.currency);
            let text = format!("{} {} {amount} {}", movement.counterpart, movement.memo, movement.kind);
            let text = text.to_lowercase();
            words.iter().all(|word| text.contains(word.as_str()))
        };
        let rows = &self.rows;
        let mut order: Vec<usize> =
            (0..rows.len()).filter(|place| rows.get(*place).is_some_and(fits)).collect();
        let row = |place: &usize| rows.get(*place);
        match self.sort {
            Sort::Newest => {}
            Sort::Oldest => order.reverse(),
            Sort::Largest => {
                order.sort_by_key(|place| Reverse(row(place).map(|row| row.minor_units.unsigned_abs())));
            }
            Sort::Counterpart => {
                order.sort_by_cached_key(|place| row(place).map(|row| row.counterpart.to_lowercase()));
            }
        }
        self.order = order;
        self.chosen = self.chosen.min(self.order.len().saturating_sub(1));
    }

    /// The rows that are shown, in their order.
    pub fn shown(&self) -> Vec<&Movement> {
        self.order.iter().filter_map(|place| self.rows.get(*place)).collect()
    }

    /// How many rows are shown.
    pub fn count(&self) -> usize {
        self.order.len()
    }

    /// The movement in a place of those shown.
    pub fn at(&self, place: usize) -> Option<&Movement> {
        self.order.get(place).and_then(|place| self.rows.get(*place))
    }

    /// The place of a movement among those shown.
    pub fn place_of(&self, movement: &Movement) -> Option<usize> {
        self.shown().iter().position(|row| is_same(row, movement))
    }

    /// Rows at the end that are shown are nearly passed, or too few are found: more should be loaded.
    pub fn wants_more(&self, ahead: usize) -> bool {
        self.cursor.is_some() && !self.loading_more && self.chosen + ahead >= self.count()
    }
}

/// Two rows are one posting: a posting never changes, and one entry has one leg of an amount on an account.
pub fn is_same(one: &Movement, other: &Movement) -> bool {
    one.position == other.position && one.minor_units == other.minor_units && one.key == other.key
}
