//! What flags say.

use super::said::{KEYS, Place, Said, Word};
use clap::ArgMatches;
use clap::parser::ValueSource;

/// The settings among the flags of a subcommand. Flags are named as keys, with underscores as clap's ids.
pub(super) fn said(flags: &ArgMatches) -> Said {
    let mut said = Said::default();
    for key in &KEYS {
        let id = key.name.replace('-', "_");
        // A subcommand need not have every flag.
        let Ok(Some(values)) = flags.try_get_many::<String>(&id) else { continue };
        if flags.value_source(&id) == Some(ValueSource::CommandLine) {
            let place = Place::Flag(key.name);
            said.put(key, values.map(|text| Word { text: text.clone(), place: place.clone() }).collect());
        }
    }
    said
}
