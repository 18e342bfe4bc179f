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
    /// A page is on its way.
    pub loading: bool,
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
}

impl History {
    /// The rows that are shown, in their order: those which contain every word of the filter, in whatever case, in
    /// the other side's name, memo, amount or kind.
    pub fn shown(&self) -> Vec<&Movement> {
        let words: Vec<String> = self.filter.value().split_whitespace().map(str::to_lowercase).collect();
        let fits = |movement: &&Movement| {
            if words.is_empty() {
                return true;
            }
            let amount = crate::format::signed_amount(movement.minor_units, &movement.currency);
            let text = format!("{} {} {} {}", movement.counterpart, movement.memo, amount, movement.kind);
            let text = text.to_lowercase();
            words.iter().all(|word| text.contains(word.as_str()))
        };
        let mut rows: Vec<&Movement> = self.rows.iter().filter(fits).collect();
        match self.sort {
            Sort::Newest => {}
            Sort::Oldest => rows.reverse(),
            Sort::Largest => rows.sort_by_key(|movement| Reverse(movement.minor_units.unsigned_abs())),
            Sort::Counterpart => rows.sort_by_key(|movement| movement.counterpart.to_lowercase()),
        }
        rows
    }

    /// The chosen movement.
    pub fn chosen(&self) -> Option<Movement> {
        self.shown().get(self.chosen).map(|movement| (*movement).clone())
    }

    /// Rows at the end that are shown are nearly passed, or too few are found: more should be loaded.
    pub fn wants_more(&self, ahead: usize) -> bool {
        // sorted in another way than the bank's, the last row may be anywhere
        self.cursor.is_some() && !self.loading && self.chosen + ahead >= self.shown().len()
    }
}
