//! Where a request goes: its target in one of four forms, and its Host field. Both are said once, or alike.

use super::Refusal;
use super::host::Authority;
use crate::ground::path::{PathOptions, Target};
use bytes::Bytes;
use http::{Method, Version};

/// Where the request goes, from the target's form and the Host field.
pub(super) fn route(
    method: &Method,
    raw: &Bytes,
    host: Option<&Bytes>,
    version: Version,
    options: PathOptions,
) -> Result<(Target, Authority), Refusal> {
    if method == Method::CONNECT {
        return Err(Refusal::CONNECT);
    }
    if host.is_none() && version == Version::HTTP_11 {
        return Err(Refusal::HOST_MISSING);
    }
    if raw.first() == Some(&b'/') {
        return Ok((Target::parse(raw, options)?, authority(host, version)?));
    }
    if raw.as_ref() == b"*" {
        if method != Method::OPTIONS {
            return Err(Refusal::ASTERISK);
        }
        // A client whose URI has no host says so with an empty field (RFC 9112 3.2).
        let host = host.filter(|host| !host.is_empty());
        return Ok((Target::asterisk(), host.map_or(Ok(Authority::none()), Authority::parse)?));
    }
    let Some((default_port, rest)) = strip_scheme(raw) else {
        return Err(Authority::parse(raw).map_or(Refusal::TARGET_MALFORMED, |_| Refusal::AUTHORITY_FORM));
    };
    let (asked, target) = absolute(method, &rest, options)?;
    let sent = host.map(Authority::parse).transpose()?;
    if sent.is_some_and(|sent| !sent.is_same(&asked, default_port)) {
        return Err(Refusal::HOST_DIFFERS);
    }
    Ok((target, asked))
}

/// The Host field of a request in origin form.
fn authority(host: Option<&Bytes>, version: Version) -> Result<Authority, Refusal> {
    match host {
        None => Ok(Authority::none()),
        Some(host) if host.is_empty() && version == Version::HTTP_10 => Ok(Authority::none()),
        Some(host) if host.is_empty() => Err(Refusal::HOST_EMPTY),
        Some(host) => Authority::parse(host),
    }
}

/// What stands behind `http://` or `https://`, and the port that the scheme means.
fn strip_scheme(raw: &Bytes) -> Option<(u16, Bytes)> {
    [("http://", 80), ("https://", 443)].into_iter().find_map(|(scheme, port)| {
        let found = raw.get(..scheme.len())?.eq_ignore_ascii_case(scheme.as_bytes());
        found.then(|| (port, raw.slice(scheme.len()..)))
    })
}

/// `h.io/p?q` of an absolute target.
fn absolute(method: &Method, rest: &Bytes, options: PathOptions) -> Result<(Authority, Target), Refusal> {
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (asked, path) = (rest.slice(..end), rest.slice(end..));
    if asked.contains(&b'@') {
        return Err(Refusal::USERINFO);
    }
    let asked = Authority::parse(&asked).map_err(|_no_detail| Refusal::TARGET_MALFORMED)?;
    let target = match path.first() {
        Some(b'/') => Target::parse(&path, options)?,
        // The last proxy turns an absolute target without a path back into `*` (RFC 9112 3.2.4).
        None if method == Method::OPTIONS => Target::asterisk(),
        _ => Target::parse(&[b"/", path.as_ref()].concat().into(), options)?,
    };
    Ok((asked, target))
}
