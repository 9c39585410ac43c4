//! What is meant: every word becomes a typed value here, or an error.

use super::entrypoint::{self, truth};
use super::said::{KEYS, Said, UsageError, Word};
use crate::ground::suggest;
use crate::ground::{amount, net};
use crate::model::settings::{
    AccessLog, Classes, Limits, LogLevel, PluginSettings, Settings, Sources, Token,
};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Capabilities that an operator may deny (`design.md` 4).
const CAPABILITIES: [&str; 6] = ["secrets", "verify", "http", "body", "sleep", "events"];

/// Sets one limit from its text.
type SetLimit = fn(&mut Limits, &str) -> Result<(), String>;

/// `limits:` by name.
pub(super) const LIMITS: [(&str, SetLimit); 13] = [
    ("header-timeout", |limits, text| time(text).map(|value| limits.header_timeout = value)),
    ("idle-timeout", |limits, text| time(text).map(|value| limits.idle_timeout = value)),
    ("body-timeout", |limits, text| time(text).map(|value| limits.body_timeout = value)),
    ("head-size", |limits, text| size(text, 1 << 10, 1 << 20).map(|value| limits.head_size = value)),
    ("head-fields", |limits, text| count(text, 1, 1_000).map(|value| limits.head_fields = value)),
    ("target-size", |limits, text| size(text, 64, 1 << 20).map(|value| limits.target_size = value)),
    ("connections", |limits, text| count(text, 1, 10_000_000).map(|value| limits.connections = value)),
    ("upstream-idle-timeout", |limits, text| time(text).map(|value| limits.upstream_idle_timeout = value)),
    ("hook-cpu", |limits, text| time(text).map(|value| limits.hook_cpu = value)),
    ("configure-cpu", |limits, text| time(text).map(|value| limits.configure_cpu = value)),
    ("test-cpu", |limits, text| time(text).map(|value| limits.test_cpu = value)),
    ("hook-wall", |limits, text| time(text).map(|value| limits.hook_wall = value)),
    ("vm-memory", |limits, text| size(text, 1 << 20, 1 << 32).map(|value| limits.vm_memory = value)),
];

pub(super) fn settings(said: &Said, defaults: Settings, errors: &mut Vec<UsageError>) -> Settings {
    let mut resolver = Resolver { said, errors };
    resolver.refuse_what_comes_later();
    Settings {
        sources: Sources { manifests: resolver.paths("manifests"), to: resolver.one("to", upstream) },
        plugin_dirs: resolver.paths("plugins"),
        entrypoints: match &said.entrypoints {
            Some(said) => entrypoint::build_all(said, resolver.errors),
            None => defaults.entrypoints,
        },
        admin: resolver.one("admin", entrypoint::address).unwrap_or(defaults.admin),
        admin_token: resolver.token(),
        classes: resolver.classes(),
        namespaces: resolver.names("namespace"),
        allow_external_names: resolver.switch("allow-external-names"),
        nameservers: resolver.list("nameserver", nameserver),
        workers: resolver.one("workers", |text| count(text, 1, 1_024)).unwrap_or(defaults.workers),
        grace: resolver.one("grace", grace).unwrap_or(defaults.grace),
        access_log: resolver.one("access-log", access_log).unwrap_or_default(),
        log_level: resolver.one("log-level", log_level).unwrap_or_default(),
        strict: resolver.switch("strict"),
        limits: resolver.limits(),
        plugins: resolver.plugins(),
    }
}

struct Resolver<'a> {
    said: &'a Said,
    errors: &'a mut Vec<UsageError>,
}

impl Resolver<'_> {
    fn refuse_what_comes_later(&mut self) {
        for key in &KEYS {
            if let (Some(text), Some(word)) = (key.later, self.said.one(key.name)) {
                self.errors.push(UsageError::about(&word.place, text));
            }
        }
    }

    fn parse<T>(&mut self, word: &Word, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        parse(&word.text).map_err(|text| self.errors.push(UsageError::at(word, text))).ok()
    }

    fn one<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let word = self.said.one(key)?;
        self.parse(&word, parse)
    }

    fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let said = self.said;
        said.list(key).iter().filter_map(|word| self.parse(word, &parse)).collect()
    }

    fn switch(&mut self, key: &str) -> bool {
        self.one(key, truth).unwrap_or(false)
    }

    fn names(&mut self, key: &str) -> Vec<Arc<str>> {
        self.list(key, |text| {
            let good = !text.is_empty()
                && text.len() <= 253
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte));
            if good {
                Ok(Arc::from(text))
            } else {
                Err("a name is of letters, digits, '-', '.' and '/'".into())
            }
        })
    }

    fn paths(&mut self, key: &str) -> Vec<PathBuf> {
        self.list(key, |text| match Path::new(text).metadata() {
            Ok(_exists) => Ok(PathBuf::from(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err("there is no such file or folder".to_owned())
            }
            Err(error) => Err(error.to_string()),
        })
    }

    fn token(&mut self) -> Option<Token> {
        self.one("admin-token-file", |file| {
            let text = std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))?;
            let token = text.trim();
            // The text of the error must not show the token.
            if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err("must hold one token of visible ASCII characters".to_owned());
            }
            Ok(Token::new(token))
        })
    }

    fn classes(&mut self) -> Classes {
        let defaults = Classes::default();
        let or = |said: Vec<Arc<str>>, default| if said.is_empty() { default } else { said };
        Classes {
            names: or(self.names("ingress-class"), defaults.names),
            controllers: or(self.names("controller"), defaults.controllers),
            adopt_unclassed: self.switch("adopt-unclassed"),
        }
    }

    fn limits(&mut self) -> Limits {
        let mut limits = Limits::default();
        for (name, set) in LIMITS {
            if let Some(word) = self.said.limits.get(name)
                && let Err(text) = set(&mut limits, &word.text)
            {
                self.errors.push(UsageError::at(word, text));
            }
        }
        limits
    }

    fn plugins(&mut self) -> PluginSettings {
        let said = self.said;
        let deny = said.deny.iter().filter_map(|word| self.parse(word, capability)).collect();
        let mut plugins = PluginSettings {
            disable: said.disable.iter().map(|word| word.text.as_str().into()).collect(),
            deny,
            ..PluginSettings::default()
        };
        for (plugin, key, value) in &said.plugin_settings {
            let settings = plugins.settings.entry(Arc::clone(plugin)).or_default();
            settings.insert(Arc::clone(key), Arc::clone(value));
        }
        plugins
    }
}

fn capability(text: &str) -> Result<Arc<str>, String> {
    if CAPABILITIES.contains(&text) {
        Ok(text.into())
    } else {
        Err(format!("unknown capability: {}", suggest::hint(text, &CAPABILITIES)))
    }
}

/// `HOST:PORT`, `[::1]:8080`
fn upstream(text: &str) -> Result<(Arc<str>, u16), String> {
    const SHAPE: &str = "an upstream is written HOST:PORT, like 127.0.0.1:3000";
    if let Some((_, rest)) = text.split_once("://") {
        return Err(format!("{SHAPE}: without a scheme, '{}'", rest.trim_end_matches('/')));
    }
    let (host, port) = text.rsplit_once(':').ok_or(SHAPE)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let named = |host: &str| {
        !host.is_empty()
            && host.len() <= 253
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    if host.parse::<IpAddr>().is_err() && !named(host) {
        return Err(SHAPE.to_owned());
    }
    match port.parse() {
        Ok(port @ 1_u16..) if !text.contains(":+") => Ok((host.to_ascii_lowercase().into(), port)),
        _ => Err(format!("{SHAPE}; a port is 1..65535")),
    }
}

fn nameserver(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse().or_else(|_no_port| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, 53)));
    address
        .map(|address: SocketAddr| SocketAddr::new(net::canonical(address.ip()), address.port()))
        .map_err(|_neither| "a name server is written 10.0.0.10, 10.0.0.10:53 or [::1]:53".to_owned())
}

/// A waiting time; nothing is meant by none at all.
fn time(text: &str) -> Result<std::time::Duration, String> {
    match grace(text)? {
        std::time::Duration::ZERO => Err("must be more than 0".to_owned()),
        time => Ok(time),
    }
}

fn grace(text: &str) -> Result<std::time::Duration, String> {
    amount::duration(text).map_err(|error| error.to_string())
}

fn size(text: &str, least: u64, most: u64) -> Result<usize, String> {
    match amount::size(text) {
        Ok(size) if (least..=most).contains(&size) => Ok(size as usize),
        Ok(_) => Err(format!("must be {least} to {most} bytes")),
        Err(error) => Err(error.to_string()),
    }
}

fn count(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .then(|| text.parse().ok())
        .flatten()
        .filter(|count| (least..=most).contains(count))
        .ok_or_else(|| format!("must be a number from {least} to {most}"))
}

fn access_log(text: &str) -> Result<AccessLog, String> {
    match text {
        "off" | "false" => Ok(AccessLog::Off),
        "common" => Ok(AccessLog::Common),
        "json" => Ok(AccessLog::Json),
        _ => Err(suggest::hint(text, &["off", "common", "json"])),
    }
}

fn log_level(text: &str) -> Result<LogLevel, String> {
    match text.to_ascii_lowercase().as_str() {
        "error" => Ok(LogLevel::Error),
        "warn" | "warning" => Ok(LogLevel::Warn),
        "info" => Ok(LogLevel::Info),
        "debug" => Ok(LogLevel::Debug),
        "trace" => Ok(LogLevel::Trace),
        other => Err(suggest::hint(other, &["error", "warn", "info", "debug", "trace"])),
    }
}
