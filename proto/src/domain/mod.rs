//! Domain types, each valid by construction. Whoever holds one need not check it again.

mod account;
mod money;
mod order;
mod text;

pub use account::{AccountNumber, AccountRef, LoginName, PayeeAccount};
pub use money::{Currency, Money};
pub use order::{MEMO_CHARS_MAX, ORDER_BYTES_MAX, Order, ReceivedOrder, hash_of, key_from_wire, key_to_wire};
pub use text::clean_text;
