//! From words to [`Settings`], in two stages. First, what was *said*: flags, `MOONGATE_*` environment and
//! `--config` each become a [`Said`], and a higher layer replaces a lower one's value of the same key. Then what
//! is *meant*: every word is checked once, wherever it came from, and an error names its place.

mod config;
mod entrypoint;
mod environment;
mod flags;
mod resolve;
mod said;

pub use said::{KEYS, Key, Place, Said, Shape, UsageError};

use crate::model::settings::Settings;
use clap::ArgMatches;
use std::ffi::OsString;

/// Settings of a command line and an environment, over `defaults`; reads the file of `--config` and checks that what is named
/// on disk exists. Every error there is, not only the first.
pub fn gather(
    flags: &ArgMatches,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    defaults: Settings,
) -> Result<Settings, Vec<UsageError>> {
    let mut errors = Vec::new();
    let mut said = flags::said(flags);
    said.fall_back_to(environment::said(environment, &mut errors));
    if let Some(file) = said.one("config") {
        match std::fs::read_to_string(&file.text) {
            Ok(text) => said.fall_back_to(config::said(&file.text, &text, &mut errors)),
            Err(error) => errors.push(UsageError::at(&file, format!("cannot be read: {error}"))),
        }
    }
    let settings = resolve::settings(&said, defaults, &mut errors);
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

#[cfg(test)]
mod tests;
