//! Header fields at our border: hop-by-hop ones end here, forwarding ones begin here.

use crate::exchange::Client;
use crate::ground::net::{CidrSet, canonical};
use crate::ground::text::Ascii;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;
use std::net::IpAddr;

/// `X-Forwarded-For`
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `X-Forwarded-Proto`
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// `X-Forwarded-Host`
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// `X-Forwarded-Port`
pub const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
/// `X-Real-Ip`
pub const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Fields that speak of one connection only (RFC 9110 7.6.1). `Trailer` stays: we hand trailers on.
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What `X-Forwarded-*` says of a request, computed once per connection where nobody in front of us is trusted.
#[derive(Clone, Debug)]
pub struct Forwarding {
    address: HeaderValue,
    port: HeaderValue,
    trusted: bool,
}

impl Forwarding {
    /// For a connection from `peer` to our `port`.
    pub fn new(peer: IpAddr, port: u16, trusted_proxies: &CidrSet) -> Self {
        Self {
            address: text(&peer.to_string()),
            port: text(itoa(port).as_str()),
            trusted: !trusted_proxies.is_empty() && trusted_proxies.contains(peer),
        }
    }
}

fn itoa(number: u16) -> String {
    number.to_string()
}

/// Digits, dots and colons make a valid value.
fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unknown"))
}

/// Removes what speaks of the last connection only, in either direction.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let mut listed: SmallVec<[HeaderName; 4]> = SmallVec::new();
    for (_, value) in headers.iter().filter(|(name, _)| *name == header::CONNECTION) {
        let names = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        listed.extend(
            names.filter(|name| is_listable(name)).filter_map(|name| HeaderName::from_bytes(name).ok()),
        );
    }
    for name in &listed {
        headers.remove(name);
    }
    // Looking at the few names there are costs less than six look-ups.
    for name in &HOP_BY_HOP {
        if headers.keys().any(|known| known == name) {
            headers.remove(name);
        }
    }
}

/// `close` and `keep-alive` are options, not fields.
fn is_listable(name: &[u8]) -> bool {
    !name.eq_ignore_ascii_case(b"close") && !name.eq_ignore_ascii_case(b"keep-alive")
}

/// Sets `X-Forwarded-For/-Proto/-Host/-Port` and `X-Real-Ip`, and returns the client's address and whether it
/// speaks https. What came in is kept only where the peer is a trusted proxy; otherwise everything that begins with
/// `X-Forwarded-`, and `X-Real-Ip` and `Forwarded`, is removed first.
pub fn forward(
    headers: &mut HeaderMap,
    forwarding: &Forwarding,
    authority: &Ascii,
    client: &Client,
    trusted_proxies: &CidrSet,
) -> (IpAddr, bool) {
    let told = forwarding.trusted.then(|| told_by_proxy(headers, client, trusted_proxies));
    strip_claims(headers, told.is_some());
    let (ip, https) = told.unwrap_or((client.ip, client.https));
    let address = if ip == client.ip { forwarding.address.clone() } else { text(&ip.to_string()) };
    // Where nothing was believed nothing is left: no need to look.
    let is_free = |headers: &HeaderMap, name| told.is_none() || !headers.contains_key(name);
    let chain = if is_free(headers, X_FORWARDED_FOR) {
        forwarding.address.clone()
    } else {
        append(headers, &forwarding.address)
    };
    headers.insert(X_FORWARDED_FOR, chain);
    headers.insert(X_REAL_IP, address);
    if is_free(headers, X_FORWARDED_PROTO) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(if https { "https" } else { "http" }));
    }
    if is_free(headers, X_FORWARDED_PORT) {
        headers.insert(X_FORWARDED_PORT, forwarding.port.clone());
    }
    if is_free(headers, X_FORWARDED_HOST)
        && !authority.is_empty()
        && let Ok(value) = HeaderValue::from_maybe_shared(authority.bytes().clone())
    {
        headers.insert(X_FORWARDED_HOST, value);
    }
    (ip, https)
}

/// The whole chain as one value, with our peer behind it.
fn append(headers: &HeaderMap, peer: &HeaderValue) -> HeaderValue {
    let mut chain = Vec::with_capacity(64);
    for value in headers.get_all(X_FORWARDED_FOR) {
        chain.extend_from_slice(value.as_bytes());
        chain.extend_from_slice(b", ");
    }
    chain.extend_from_slice(peer.as_bytes());
    HeaderValue::from_maybe_shared(bytes::Bytes::from(chain)).unwrap_or_else(|_| peer.clone())
}

/// The client as trusted proxies tell it: the last address of the chain that is no trusted proxy itself. A chain
/// that cannot be read to there is not believed any further than it can be.
fn told_by_proxy(headers: &HeaderMap, client: &Client, trusted: &CidrSet) -> (IpAddr, bool) {
    let mut ip = client.ip;
    let mut values: SmallVec<[&str; 4]> = SmallVec::new();
    for value in headers.get_all(X_FORWARDED_FOR) {
        values.extend(value.to_str().unwrap_or("").split(','));
    }
    for text in values.iter().rev().map(|text| text.trim()) {
        let Some(address) = parse_address(text) else { break };
        ip = address;
        if !trusted.contains(address) {
            break;
        }
    }
    let https = headers.get(X_FORWARDED_PROTO).map_or(client.https, |proto| {
        let proto = proto.as_bytes();
        proto.eq_ignore_ascii_case(b"https") || proto.eq_ignore_ascii_case(b"wss")
    });
    (ip, https)
}

/// `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]`, `[::1]:5`.
fn parse_address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(canonical(address));
    }
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some(canonical(address.ip()));
    }
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse::<IpAddr>().ok().map(canonical)
}

/// Removes what is said of the client in our place. Of what a trusted proxy says only the spellings with underscores
/// go: an upstream that reads `x_real_ip` as `x-real-ip` would believe whoever wrote it.
fn strip_claims(headers: &mut HeaderMap, trusted: bool) {
    let claimed: SmallVec<[HeaderName; 4]> = headers
        .keys()
        .filter(|name| is_claim(name.as_str()) && (!trusted || name.as_str().contains('_')))
        .cloned()
        .collect();
    for name in &claimed {
        headers.remove(name);
    }
}

/// `x-forwarded-*`, `x-real-ip` and `forwarded`, an underscore being as good as a hyphen.
fn is_claim(name: &str) -> bool {
    let begins = |prefix: &str| {
        name.len() >= prefix.len()
            && name
                .bytes()
                .zip(prefix.bytes())
                .all(|(byte, want)| byte == want || (byte == b'_' && want == b'-'))
    };
    begins("x-forwarded-") || (begins("x-real-ip") && name.len() == 9) || name == "forwarded"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        headers
    }

    fn client() -> Client {
        Client {
            ip: "10.0.0.9".parse().unwrap(),
            peer: "10.0.0.9:1234".parse().unwrap(),
            local: "10.0.0.1:80".parse().unwrap(),
            https: false,
            entrypoint: 0,
        }
    }

    fn forwarded(fields: &[(&str, &str)], trusted: &str) -> (HeaderMap, IpAddr, bool) {
        let trusted: CidrSet = trusted.parse().unwrap();
        let mut headers = map(fields);
        let client = client();
        let forwarding = Forwarding::new(client.ip, 80, &trusted);
        let (ip, https) =
            forward(&mut headers, &forwarding, &Ascii::from_static("h.io:8080"), &client, &trusted);
        (headers, ip, https)
    }

    fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
        headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn an_untrusted_peer_is_not_believed() {
        let (headers, ip, https) = forwarded(
            &[
                ("x-forwarded-for", "1.1.1.1"),
                ("x-forwarded-for", "2.2.2.2"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-user", "root"),
                ("x-real-ip", "1.1.1.1"),
                ("forwarded", "for=1.1.1.1"),
                ("accept", "*/*"),
            ],
            "",
        );
        assert_eq!((ip.to_string().as_str(), https), ("10.0.0.9", false));
        assert_eq!(all(&headers, "x-forwarded-for"), ["10.0.0.9"]);
        assert_eq!(all(&headers, "x-real-ip"), ["10.0.0.9"]);
        assert_eq!(all(&headers, "x-forwarded-proto"), ["http"]);
        assert_eq!(all(&headers, "x-forwarded-host"), ["h.io:8080"]);
        assert_eq!(all(&headers, "x-forwarded-port"), ["80"]);
        assert!(!headers.contains_key("x-forwarded-user") && !headers.contains_key("forwarded"));
        assert!(headers.contains_key("accept"));
    }

    #[test]
    fn a_trusted_chain_is_followed_to_the_first_stranger() {
        for (chain, want) in [
            ("6.6.6.6, 7.7.7.7, 10.0.0.2", "7.7.7.7"),
            ("7.7.7.7", "7.7.7.7"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("evil, 10.0.0.2", "10.0.0.2"),
            ("[2001:db8::1]:99", "2001:db8::1"),
            ("", "10.0.0.9"),
        ] {
            let (headers, ip, https) =
                forwarded(&[("x-forwarded-for", chain), ("x-forwarded-proto", "https")], "10.0.0.0/8");
            assert_eq!((ip.to_string().as_str(), https), (want, true), "{chain}");
            assert_eq!(all(&headers, "x-forwarded-for"), [format!("{chain}, 10.0.0.9")]);
            assert_eq!(all(&headers, "x-real-ip"), [want]);
        }
    }

    #[test]
    fn what_connection_lists_goes_before_ours_come() {
        let mut headers = map(&[
            ("connection", "close, X-Secret , x-forwarded-for"),
            ("connection", "te"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("keep-alive", "timeout=5"),
            ("upgrade", "h2c"),
            ("trailer", "x-sum"),
            ("authorization", "Basic x"),
        ]);
        strip_hop_by_hop(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["authorization", "trailer"]);
        let client = client();
        let none = CidrSet::default();
        forward(
            &mut headers,
            &Forwarding::new(client.ip, 80, &none),
            &Ascii::from_static("h"),
            &client,
            &none,
        );
        assert_eq!(all(&headers, "x-forwarded-for"), ["10.0.0.9"]);
    }
}
