//! The full-screen client, Elm-shaped: [`model`] is all that it knows, [`update`] the one function that
//! changes it and says what to do, [`view`] the one that draws it. [`run`] carries out what [`update`] wants
//! and draws when something changed. What must never: I/O or an await in model, update or view; a key that is
//! not in [`commands`], from which bottom bar and help are drawn too.

pub mod commands;
pub mod demo;
pub mod format;
pub mod forms;
pub mod model;
pub mod run;
pub mod terminal;
pub mod theme;
pub mod update;
pub mod view;

pub use demo::{Control, DemoControls, ProcessState};
pub use run::run;
