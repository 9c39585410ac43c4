//! Who may command. A command is taken without a token only from a program on this machine that means us: the
//! peer is loopback, `Host` is a loopback name (a web page that rebinds a DNS name cannot say so) and there is no
//! `Origin` (no browser), `Via` or `X-Forwarded-*` (no proxy, not even ourselves). Anyone else shows the token.

use crate::ground::net::canonical;
use crate::model::settings::Token;
use http::header::{AUTHORIZATION, HOST, ORIGIN, VIA};
use http::{HeaderMap, Uri};
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Why a command is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is a token, and it was not shown: 401.
    #[error("this needs the header 'Authorization: Bearer TOKEN' with the token of --admin-token-file")]
    TokenMissing,
    /// Another token was shown: 401.
    #[error("this is not the token of --admin-token-file")]
    TokenWrong,
    /// There is no token that could be shown: 403.
    #[error(
        "commands are taken from this machine only: a loopback peer with a loopback 'Host' and without 'Origin', \
         'Via' or 'X-Forwarded-*'; start with --admin-token-file to allow others"
    )]
    NotLocal,
}

impl Refusal {
    /// The status to answer with.
    pub fn status(self) -> http::StatusCode {
        match self {
            Self::TokenMissing | Self::TokenWrong => http::StatusCode::UNAUTHORIZED,
            Self::NotLocal => http::StatusCode::FORBIDDEN,
        }
    }
}

/// Whether a command from `peer` is taken.
pub fn may_command(
    peer: IpAddr,
    uri: &Uri,
    headers: &HeaderMap,
    token: Option<&Token>,
) -> Result<(), Refusal> {
    if is_local(peer, uri, headers) {
        return Ok(());
    }
    let token = token.ok_or(Refusal::NotLocal)?;
    match shown(headers) {
        Some(shown) if same(shown, token.expose().as_bytes()) => Ok(()),
        Some(_) => Err(Refusal::TokenWrong),
        None => Err(Refusal::TokenMissing),
    }
}

fn is_local(peer: IpAddr, uri: &Uri, headers: &HeaderMap) -> bool {
    let relayed = headers.contains_key(ORIGIN)
        || headers.contains_key(VIA)
        || headers.keys().any(|name| name.as_str().starts_with("x-forwarded-"));
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    canonical(peer).is_loopback()
        && !relayed
        && hosts.next().is_none()
        && host.is_some_and(is_loopback_name)
        && uri.authority().is_none_or(|authority| is_loopback_name(authority.as_str()))
}

/// `localhost`, `127.0.0.0/8` or `[::1]`, with or without a port.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, port)) => {
            return is_port(port) && name.parse().is_ok_and(|ip: std::net::Ipv6Addr| ip.is_loopback());
        }
        None => match host.split_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            Some(_) => return false,
            None => host,
        },
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse().is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback())
}

fn is_port(text: &str) -> bool {
    text.is_empty()
        || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The bearer token that was shown, if exactly one was.
fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    (values.next().is_none() && scheme.eq_ignore_ascii_case(b"bearer ")).then(|| token.trim_ascii())
}

/// Compares digests, so that the time taken tells nothing about the token.
fn same(shown: &[u8], token: &[u8]) -> bool {
    let (shown, token) = (Sha256::digest(shown), Sha256::digest(token));
    shown.iter().zip(token.iter()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn check(peer: &str, fields: &[(&str, &str)], token: Option<&str>, want: Result<(), Refusal>) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let peer: IpAddr = peer.parse().unwrap();
        let uri = Uri::from_static("/api/reload");
        assert_eq!(
            may_command(peer, &uri, &headers, token.map(Token::new).as_ref()),
            want,
            "{peer} {fields:?} {token:?}"
        );
    }

    const LOCAL: (&str, &str) = ("host", "127.0.0.1:8580");

    #[test]
    fn a_program_on_this_machine_needs_no_token() {
        for peer in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            check(peer, &[LOCAL], None, Ok(()));
            check(peer, &[LOCAL], Some("t"), Ok(()));
        }
        for host in ["localhost", "LocalHost:1", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:8580"] {
            check("127.0.0.1", &[("host", host)], None, Ok(()));
        }
    }

    #[test]
    fn anything_that_hints_at_a_browser_or_a_proxy_is_not_local() {
        let refused = Err(Refusal::NotLocal);
        check("192.0.2.1", &[LOCAL], None, refused);
        check("2001:db8::1", &[LOCAL], None, refused);
        check("127.0.0.1", &[], None, refused);
        check("127.0.0.1", &[LOCAL, LOCAL], None, refused);
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "128.0.0.1",
            "localhost:x",
            "[::2]",
            "[::1]x",
            "[::1",
            "::1",
            "0.0.0.0",
            "",
            "localhost:80:80",
            "2130706433",
            "0x7f.1",
        ] {
            check("127.0.0.1", &[("host", host)], None, refused);
        }
        for (name, value) in [
            ("origin", "http://127.0.0.1:8580"),
            ("origin", "null"),
            ("via", "1.1 x"),
            ("x-forwarded-for", "127.0.0.1"),
            ("X-Forwarded-Proto", "http"),
            ("x-forwarded-anything", ""),
        ] {
            check("127.0.0.1", &[LOCAL, (name, value)], None, refused);
        }
    }

    #[test]
    fn the_token_opens_for_everybody_else() {
        let there = ("host", "admin.example");
        let check = |fields: &[(&str, &str)], want| check("192.0.2.1", fields, Some("secret"), want);
        check(&[there], Err(Refusal::TokenMissing));
        check(&[there, ("authorization", "Basic c2VjcmV0")], Err(Refusal::TokenMissing));
        check(&[there, ("authorization", "Bearer")], Err(Refusal::TokenMissing));
        check(&[there, ("authorization", "Bearer ")], Err(Refusal::TokenWrong));
        check(&[there, ("authorization", "Bearer secre")], Err(Refusal::TokenWrong));
        check(&[there, ("authorization", "Bearer secrets")], Err(Refusal::TokenWrong));
        check(&[there, ("authorization", "Bearer SECRET")], Err(Refusal::TokenWrong));
        check(
            &[there, ("authorization", "Bearer secret"), ("authorization", "Bearer x")],
            Err(Refusal::TokenMissing),
        );
        check(&[there, ("authorization", "Bearer secret")], Ok(()));
        check(&[there, ("origin", "http://x"), ("authorization", "bearer secret")], Ok(()));
    }

    #[test]
    fn an_absolute_target_must_name_loopback_too() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("localhost"));
        let peer = IpAddr::from([127, 0, 0, 1]);
        for (uri, want) in [
            ("http://localhost/api/reload", Ok(())),
            ("http://evil.example/api/reload", Err(Refusal::NotLocal)),
            ("http://localhost@evil.example/api/reload", Err(Refusal::NotLocal)),
        ] {
            assert_eq!(may_command(peer, &Uri::from_static(uri), &headers, None), want, "{uri}");
        }
    }
}
