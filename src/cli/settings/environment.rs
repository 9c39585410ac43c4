//! What the environment says: `MOONGATE_` and the key in capitals, `MOONGATE_ACCESS_LOG=json`. Lists are
//! separated by commas; entrypoints, which have commas of their own, by semicolons.

use super::said::{KEYS, Place, Said, Shape, UsageError, Word};
use crate::ground::suggest;
use std::ffi::OsString;

const PREFIX: &str = "MOONGATE_";

pub(super) fn said(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    errors: &mut Vec<UsageError>,
) -> Said {
    let mut said = Said::default();
    let named = environment.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    for (name, value) in named {
        let Some(rest) = name.strip_prefix(PREFIX).filter(|rest| !is_foreign(rest)) else { continue };
        let place = Place::Environment(name.as_str().into());
        let Some(key) = KEYS.iter().find(|key| name_of(key.name) == rest) else {
            let names: Vec<String> = KEYS.iter().map(|key| PREFIX.to_owned() + &name_of(key.name)).collect();
            let hint = match suggest::nearest(&name, names.iter().map(String::as_str)) {
                Some(nearest) => format!("did you mean '{nearest}'?"),
                None => "names are those of the flags: MOONGATE_ACCESS_LOG is --access-log".to_owned(),
            };
            errors.push(UsageError::about(&place, format!("unknown name: {hint}")));
            continue;
        };
        let Ok(value) = value.into_string() else {
            errors.push(UsageError::about(&place, "the value is not UTF-8"));
            continue;
        };
        let separator = match (key.shape, key.name) {
            (Shape::List, "entrypoint") => ';',
            (Shape::List, _) => ',',
            _ => '\0', // cannot be part of an environment's value
        };
        let words = value.split(separator).map(str::trim).filter(|text| !text.is_empty());
        let words: Vec<Word> =
            words.map(|text| Word { text: text.to_owned(), place: place.clone() }).collect();
        // An empty value is as good as none: that is how a Deployment's optional value looks.
        if !words.is_empty() {
            said.put(key, words);
        }
    }
    said
}

fn name_of(key: &str) -> String {
    key.replace('-', "_").to_ascii_uppercase()
}

/// The kubelet sets `MOONGATE_SERVICE_HOST`, `MOONGATE_PORT_80_TCP_ADDR` and the like for Services of our name;
/// `MOONGATE_COMMIT` is read when the program is built.
fn is_foreign(rest: &str) -> bool {
    let port = |text: &str| text.starts_with("PORT") && text.get(4..5).is_none_or(|next| next == "_");
    rest == "COMMIT"
        || port(rest)
        || rest.contains("_PORT_")
        || rest.ends_with("_PORT")
        || rest.starts_with("SERVICE_")
        || rest.contains("_SERVICE_HOST")
        || rest.contains("_SERVICE_PORT")
}
