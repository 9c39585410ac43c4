//! Entrypoints: `NAME=ADDR[,OPT[=VALUE]]...`, or the same as a mapping in the config file.

use super::said::{Place, UsageError, Word};
use crate::ground::net::CidrSet;
use crate::ground::suggest;
use crate::model::settings::EntryPoint;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// What an entrypoint may be told.
pub(super) const OPTIONS: [&str; 4] =
    ["trusted-proxies", "merge-slashes", "refuse-encoded-slashes", "allow-underscores"];

/// An entrypoint as it was said, taken apart but not checked.
#[derive(Clone, Debug)]
pub struct EntryPointSaid {
    pub(super) whole: Word,
    pub(super) name: String,
    pub(super) address: Option<Word>,
    /// Name, and value where one was given.
    pub(super) options: Vec<(Word, Option<Word>)>,
}

impl EntryPointSaid {
    /// `NAME=ADDR[,OPT[=VALUE]]...`
    pub(super) fn of_text(whole: &Word) -> Self {
        let word = |text: &str| Word { text: text.to_owned(), place: whole.place.clone() };
        let mut parts = whole.text.split(',');
        let (name, address) = match parts.next().and_then(|first| first.split_once('=')) {
            Some((name, address)) => (name.to_owned(), Some(word(address))),
            None => (String::new(), None),
        };
        let options = parts.map(|part| match part.split_once('=') {
            Some((name, value)) => (word(name), Some(word(value))),
            None => (word(part), None),
        });
        Self { whole: whole.clone(), name, address, options: options.collect() }
    }

    /// Checks it.
    pub(super) fn build(&self, errors: &mut Vec<UsageError>) -> Option<EntryPoint> {
        let Some(address) = &self.address else {
            let text = "an entrypoint is written NAME=ADDR[,OPTION...], like http=[::]:8000";
            errors.push(UsageError::at(&self.whole, text));
            return None;
        };
        if !is_name(&self.name) {
            let text = "an entrypoint's name is of the characters a-z, 0-9 and '-'";
            errors.push(UsageError { value: Some(self.name.clone()), ..UsageError::at(&self.whole, text) });
        }
        let bound = match self::address(&address.text) {
            Ok(bound) => bound,
            Err(text) => {
                errors.push(UsageError::at(address, text));
                return None;
            }
        };
        let mut entrypoint = EntryPoint::new(self.name.as_str(), bound);
        for (option, value) in &self.options {
            if let Err(error) = set(&mut entrypoint, option, value.as_ref()) {
                errors.push(error);
            }
        }
        Some(entrypoint)
    }
}

fn set(entrypoint: &mut EntryPoint, option: &Word, value: Option<&Word>) -> Result<(), UsageError> {
    let switch = || match value {
        None => Ok(true),
        Some(value) => truth(&value.text).map_err(|text| UsageError::at(value, text)),
    };
    match option.text.as_str() {
        "trusted-proxies" => {
            let value = value
                .ok_or_else(|| UsageError::at(option, "is written trusted-proxies=10.0.0.0/8+192.0.2.1"))?;
            let set: Result<CidrSet, _> = value.text.replace('+', ",").parse();
            entrypoint.trusted_proxies =
                Arc::new(set.map_err(|error| UsageError::at(value, error.to_string()))?);
        }
        "merge-slashes" => entrypoint.merge_slashes = switch()?,
        "refuse-encoded-slashes" => entrypoint.refuse_encoded_slashes = switch()?,
        "allow-underscores" => entrypoint.allow_underscores = switch()?,
        "tls" => return Err(UsageError::at(option, "TLS entrypoints arrive with a later version")),
        "http3" => {
            return Err(UsageError::at(option, "HTTP/3 and TLS entrypoints arrive with a later version"));
        }
        unknown => {
            let text = format!("unknown entrypoint option: {}", suggest::hint(unknown, &OPTIONS));
            return Err(UsageError::at(option, text));
        }
    }
    Ok(())
}

/// Every entrypoint, checked against the others too.
pub(super) fn build_all(said: &[EntryPointSaid], errors: &mut Vec<UsageError>) -> Vec<EntryPoint> {
    let mut entrypoints: Vec<EntryPoint> = Vec::new();
    for said in said {
        let Some(entrypoint) = said.build(errors) else { continue };
        if entrypoints.len() == 64 {
            errors.push(UsageError::at(&said.whole, "there are at most 64 entrypoints"));
            break;
        }
        if entrypoints.iter().any(|other| other.name == entrypoint.name) {
            errors.push(UsageError::at(
                &said.whole,
                format!("the entrypoint '{}' is there twice", entrypoint.name),
            ));
        } else if let Some(other) = entrypoints
            .iter()
            .find(|other| other.address == entrypoint.address && entrypoint.address.port() != 0)
        {
            let text = format!("listens where the entrypoint '{}' does", other.name);
            errors.push(UsageError::at(&said.whole, text));
        }
        entrypoints.push(entrypoint);
    }
    entrypoints
}

/// `127.0.0.1:8000`, `[::]:8000`, `localhost:8000`, or `:8000` for every address of both families.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let with_port = |mut address: SocketAddr, port: &str| {
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = digits.then(|| port.parse().ok()).flatten()?;
        address.set_port(port);
        Some(address)
    };
    let found = match text.split_once(':') {
        Some(("", port)) => with_port(any, port),
        Some(("localhost", port)) => with_port(SocketAddr::from(([127, 0, 0, 1], 0)), port),
        _ => text.parse().ok(),
    };
    found.ok_or_else(|| {
        "an address is written 127.0.0.1:8000, [::1]:8000, or :8000 for all of them".to_owned()
    })
}

/// True or false as people write it.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("is true or false".to_owned()),
    }
}

fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= 63 && !text.starts_with('-') && text.bytes().all(inner)
}

/// The name given and its place, for a mapping of the config file.
pub(super) fn named(name: &str, place: Place) -> EntryPointSaid {
    let whole = Word { text: name.to_owned(), place };
    EntryPointSaid { whole, name: name.to_owned(), address: None, options: Vec::new() }
}
