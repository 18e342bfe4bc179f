//! The full-screen client, Elm-shaped: [`model`] is all that it knows, [`update`] the one function that
//! changes it and says what to do, [`view`] the one that draws it. [`effects`] carries out what [`update`] wants,
//! [`run`] brings all together and draws when something changed; [`cli`] is the command line around it, [`wizard`]
//! the screens that make the first settings. What must never: I/O or an await in model, update or view; a key that
//! is not in [`commands`], from which bottom bar, help and palette are drawn too.

pub mod cli;
pub mod commands;
pub mod demo;
pub mod effects;
pub mod export;
pub mod format;
pub mod forms;
pub mod keep;
pub mod keys;
pub mod model;
pub mod preferences;
pub mod run;
pub mod search;
pub mod sequences;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod view;
pub mod wizard;

pub use demo::{Control, DemoControls, ProcessState};
pub use run::run;
