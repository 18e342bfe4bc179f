//! The journal: append-only, hash-chained batch by batch, the only thing that must be synced.
//!
//! [`store`] is the file; [`reader`] reads it again, for replay, projections and `verify`; [`chain`] is the
//! hash that each batch adds to; [`mark`] remembers how far it went.

pub mod chain;
pub(crate) mod connection;
pub mod mark;
pub mod reader;
pub mod store;

pub use chain::Batch;
pub use chain::Chain;
pub use reader::{JournalRead, JournalReader};
pub use store::{
    AppendError, Checkpointer, Durability, OpenError, OpenStore, PersonRow, Row, Sqlite, SqliteStore, Store,
};
