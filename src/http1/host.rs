//! `host[:port]`, by an allow-list grammar.

use super::Refusal;
use crate::ground::text::Ascii;
use bytes::Bytes;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A checked authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    /// As it was sent.
    pub(super) text: Ascii,
    /// For matching: lower case, no port, no trailing dot.
    pub(super) host: Ascii,
    /// The port, where one is said.
    pub(super) port: Option<u16>,
}

impl Authority {
    /// None at all: HTTP/1.0 without Host, `*` with an empty one.
    pub(super) fn none() -> Self {
        Self { text: Ascii::default(), host: Ascii::default(), port: None }
    }

    /// `h.io`, `h.io:8080`, `10.0.0.1`, `[::1]:80`.
    pub(super) fn parse(raw: &Bytes) -> Result<Self, Refusal> {
        let (host_len, port) = split(raw).ok_or(Refusal::HOST_MALFORMED)?;
        let host = raw.slice(..host_len);
        let host = if host.iter().any(u8::is_ascii_uppercase) {
            Bytes::from(host.to_ascii_lowercase())
        } else {
            host
        };
        match (Ascii::new(host), Ascii::new(raw.clone())) {
            (Some(host), Some(text)) => Ok(Self { text, host, port }),
            _ => Err(Refusal::HOST_MALFORMED),
        }
    }

    /// Whether both name the same place, if no port means `default_port`.
    pub(super) fn is_same(&self, other: &Self, default_port: u16) -> bool {
        self.host == other.host && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

/// Length of the host for matching, and the port.
fn split(raw: &[u8]) -> Option<(usize, Option<u16>)> {
    let (host, behind) = if raw.first() == Some(&b'[') {
        let end = raw.iter().position(|byte| *byte == b']')?;
        let address = std::str::from_utf8(raw.get(1..end)?).ok()?;
        address.parse::<Ipv6Addr>().ok()?;
        (end + 1, raw.get(end + 1..)?)
    } else {
        let end = raw.iter().position(|byte| *byte == b':').unwrap_or(raw.len());
        (name(raw.get(..end)?)?, raw.get(end..)?)
    };
    match behind.split_first() {
        None => Some((host, None)),
        Some((b':', digits)) => Some((host, port(digits)?)),
        Some(_) => None,
    }
}

/// Letters, digits, hyphens and underscores in labels of at most 63, 253 in all; or an IPv4 address. Gives the
/// length without one trailing dot.
fn name(raw: &[u8]) -> Option<usize> {
    let raw = raw.strip_suffix(b".").unwrap_or(raw);
    let mut label = 0;
    let mut numeric = true;
    for byte in raw {
        match byte {
            b'.' if label > 0 => label = 0,
            b'0'..=b'9' => label += 1,
            b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => {
                label += 1;
                numeric = false;
            }
            _ => return None,
        }
        if label > 63 {
            return None;
        }
    }
    let good = label > 0 && raw.len() <= 253;
    let good = good && (!numeric || std::str::from_utf8(raw).ok()?.parse::<Ipv4Addr>().is_ok());
    good.then_some(raw.len())
}

/// Nothing, or 1 to 65535.
#[expect(clippy::option_option, reason = "the outer one is the verdict, the inner one what was said")]
fn port(digits: &[u8]) -> Option<Option<u16>> {
    if digits.is_empty() {
        return Some(None);
    }
    let plain = digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok()?.parse::<u16>().ok()?;
    (plain && number > 0).then_some(Some(number))
}
