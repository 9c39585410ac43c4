//! One line of the access log: what is in it, and its two forms. Everything that a client or an upstream said is
//! escaped, so that nobody can write a line, a field or a terminal sequence of their own. Credentials
//! (`Authorization`, cookies) are never part of it.

use crate::exchange::Exchange;
use crate::model::route::RouteTarget;
use crate::snapshot::LiveRoute;
use http::HeaderMap;
use http::header::{HeaderName, REFERER, USER_AGENT};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

/// What a line says. An empty text, and a status of 0, mean "there is none".
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub started: SystemTime,
    pub client_ip: IpAddr,
    pub peer: SocketAddr,
    pub user: &'a str,
    pub method: &'a str,
    pub host: &'a str,
    pub target: &'a [u8],
    pub version: &'static str,
    pub status: u16,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub duration_us: u64,
    pub referer: &'a [u8],
    pub user_agent: &'a [u8],
    pub entrypoint: &'a str,
    pub route: &'a str,
    pub ingress: String,
    pub backend: String,
    pub upstream: Option<SocketAddr>,
    pub upstream_us: u64,
    pub attempts: u32,
    pub reason: &'a str,
}

impl<'a> Line<'a> {
    /// Of a finished exchange.
    pub(super) fn of(
        exchange: &'a Exchange,
        route: Option<&'a LiveRoute>,
        entrypoints: &'a [std::sync::Arc<str>],
        started: SystemTime,
    ) -> Self {
        let (request, facts) = (&exchange.request, &exchange.facts);
        let route = route.map(|live| &live.route);
        Self {
            started,
            client_ip: exchange.client.ip,
            peer: exchange.client.peer,
            user: facts.user.as_deref().unwrap_or_default(),
            method: request.method.as_str(),
            host: &request.host,
            target: request.asked.text(),
            version: version(request.version),
            status: facts.status,
            bytes_in: facts.bytes_in,
            bytes_out: facts.bytes_out,
            duration_us: facts.duration_us,
            referer: field(&request.headers, &REFERER),
            user_agent: field(&request.headers, &USER_AGENT),
            entrypoint: entrypoints
                .get(usize::from(exchange.client.entrypoint))
                .map(|name| &**name)
                .unwrap_or_default(),
            route: route.map(|route| &*route.key).unwrap_or_default(),
            ingress: route.map(|route| route.ingress.to_string()).unwrap_or_default(),
            backend: match route.map(|route| &route.target) {
                Some(RouteTarget::Backend(id)) => id.key.to_string(),
                Some(RouteTarget::Nowhere(_)) | None => String::new(),
            },
            upstream: facts.upstream,
            upstream_us: facts.upstream_us,
            attempts: facts.attempts,
            reason: facts.reason.as_deref().unwrap_or_default(),
        }
    }

    /// Of a request whose head was refused: nothing in it can be trusted, so nothing of it is shown.
    pub(super) fn refusal(peer: SocketAddr, status: u16, reason: &'a str, started: SystemTime) -> Self {
        Self {
            started,
            client_ip: crate::ground::net::canonical(peer.ip()),
            peer,
            user: "",
            method: "",
            host: "",
            target: b"",
            version: "",
            status,
            bytes_in: 0,
            bytes_out: 0,
            duration_us: 0,
            referer: b"",
            user_agent: b"",
            entrypoint: "",
            route: "",
            ingress: String::new(),
            backend: String::new(),
            upstream: None,
            upstream_us: 0,
            attempts: 0,
            reason,
        }
    }

    /// Common log format with Traefik 1.x's additions:
    /// `host - user [time] "METHOD target version" status size "referer" "agent" count "frontend" "backend" 0ms`.
    pub(super) fn common(&self, count: u64, clock: &mut Clock, out: &mut Vec<u8>) {
        put(out, format_args!("{} - ", self.client_ip));
        bare(out, self.user.as_bytes());
        out.extend_from_slice(b" [");
        out.extend_from_slice(clock.common(self.started).as_bytes());
        out.extend_from_slice(b"] \"");
        if self.method.is_empty() {
            out.push(b'-');
        } else {
            hex_escaped(out, self.method.as_bytes());
            out.push(b' ');
            hex_escaped(out, self.target);
            out.push(b' ');
            out.extend_from_slice(self.version.as_bytes());
        }
        put(out, format_args!("\" {} {} ", self.status, self.bytes_out));
        quoted(out, self.referer);
        out.push(b' ');
        quoted(out, self.user_agent);
        put(out, format_args!(" {count} "));
        // As in Traefik, an answer of our own says in the frontend's place who answered.
        match (self.reason, self.route) {
            ("", route) => quoted(out, route.as_bytes()),
            (reason, "") => quoted(out, reason.as_bytes()),
            (reason, route) => quoted(out, format!("{reason} for {route}").as_bytes()),
        }
        match self.upstream {
            Some(address) => put(out, format_args!(" \"http://{address}\"")),
            None => out.extend_from_slice(b" \"-\""),
        }
        put(out, format_args!(" {}ms\n", self.duration_us / 1_000));
    }

    /// One JSON object; what there is none of is left out.
    pub(super) fn json(&self, clock: &mut Clock, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        clock.rfc3339(self.started, out);
        put(out, format_args!("\",\"client_ip\":\"{}\",\"peer\":\"{}\"", self.client_ip, self.peer));
        text(out, "entrypoint", self.entrypoint.as_bytes());
        text(out, "method", self.method.as_bytes());
        text(out, "host", self.host.as_bytes());
        text(out, "target", self.target);
        text(out, "version", self.version.as_bytes());
        put(out, format_args!(",\"status\":{}", self.status));
        put(out, format_args!(",\"bytes_in\":{},\"bytes_out\":{}", self.bytes_in, self.bytes_out));
        put(out, format_args!(",\"duration_ms\":{}", Millis(self.duration_us)));
        text(out, "route", self.route.as_bytes());
        text(out, "ingress", self.ingress.as_bytes());
        text(out, "backend", self.backend.as_bytes());
        if let Some(address) = self.upstream {
            put(
                out,
                format_args!(",\"upstream\":\"{address}\",\"upstream_ms\":{}", Millis(self.upstream_us)),
            );
        }
        put(out, format_args!(",\"attempts\":{}", self.attempts));
        text(out, "reason", self.reason.as_bytes());
        text(out, "user", self.user.as_bytes());
        text(out, "user_agent", self.user_agent);
        text(out, "referer", self.referer);
        out.extend_from_slice(b"}\n");
    }
}

/// Turns start times into text; a second's text is made once.
#[derive(Debug)]
pub(super) struct Clock {
    zone: TimeZone,
    second: i64,
    text: String,
}

impl Default for Clock {
    fn default() -> Self {
        Self { zone: TimeZone::system(), second: i64::MIN, text: String::new() }
    }
}

impl Clock {
    /// `10/Nov/2009:23:00:00 +0000`, in the system's zone.
    fn common(&mut self, at: SystemTime) -> &str {
        let at = Timestamp::try_from(at).unwrap_or_default();
        if self.second != at.as_second() {
            self.second = at.as_second();
            self.text = at.to_zoned(self.zone.clone()).strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
        }
        &self.text
    }

    /// `2009-11-10T23:00:00.123Z`
    fn rfc3339(&mut self, at: SystemTime, out: &mut Vec<u8>) {
        let at = Timestamp::try_from(at).unwrap_or_default();
        if self.second != at.as_second() {
            self.second = at.as_second();
            self.text = at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        }
        put(out, format_args!("{}.{:03}Z", self.text, at.subsec_millisecond()));
    }
}

/// Microseconds, shown as milliseconds with three decimals.
struct Millis(u64);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

fn version(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_09 => "HTTP/0.9",
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_2 => "HTTP/2.0",
        http::Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

fn field<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a [u8] {
    headers.get(name).map_or(b"", |value| value.as_bytes())
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _infallible = out.write_fmt(text);
}

/// A field between spaces: `-` where there is none; spaces inside are escaped too.
fn bare(out: &mut Vec<u8>, value: &[u8]) {
    if value.is_empty() {
        out.push(b'-');
    }
    for part in value.split_inclusive(|byte| *byte == b' ') {
        match part.split_last() {
            Some((b' ', word)) => {
                hex_escaped(out, word);
                out.extend_from_slice(b"\\x20");
            }
            _ => hex_escaped(out, part),
        }
    }
}

/// A field between quotes: `"-"` where there is none.
fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    if value.is_empty() {
        out.push(b'-');
    }
    hex_escaped(out, value);
    out.push(b'"');
}

/// As nginx does: quotes, backslashes, control characters and everything above ASCII become `\xHH`, so that
/// even a reader that knows no escapes finds the field's end.
fn hex_escaped(out: &mut Vec<u8>, value: &[u8]) {
    for byte in value {
        match byte {
            b'"' | b'\\' | 0..0x20 | 0x7F.. => put(out, format_args!("\\x{byte:02X}")),
            plain => out.push(*plain),
        }
    }
}

/// `,"name":"value"`, unless the value is empty. Only ASCII comes out; bytes that are no UTF-8 become U+FFFD.
fn text(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if value.is_empty() {
        return;
    }
    put(out, format_args!(",\"{name}\":\""));
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                ' '..='~' => out.push(c as u8),
                _ => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        put(out, format_args!("\\u{unit:04x}"));
                    }
                }
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Client, Facts, Request};
    use crate::ground::path::{PathOptions, Target};
    use crate::ground::text::Ascii;
    use bytes::Bytes;
    use std::time::Duration;

    fn line() -> Line<'static> {
        let started = SystemTime::UNIX_EPOCH + Duration::from_millis(1_257_894_000_123);
        Line {
            user: "Client",
            method: "GET",
            host: "h.io",
            target: b"/foo?a=1",
            version: "HTTP/1.1",
            bytes_in: 7,
            bytes_out: 132,
            duration_us: 123_456,
            referer: b"referer",
            user_agent: b"agent",
            entrypoint: "http",
            route: "default/web/h.io/",
            ingress: "default/web".into(),
            backend: "default/web:80".into(),
            upstream: Some(SocketAddr::from(([10, 0, 0, 2], 80))),
            upstream_us: 5_007,
            attempts: 1,
            ..Line::refusal(SocketAddr::from(([10, 0, 0, 1], 4444)), 200, "", started)
        }
    }

    fn common(line: &Line<'_>) -> String {
        let mut out = Vec::new();
        let mut clock = Clock { zone: TimeZone::UTC, ..Clock::default() };
        line.common(23, &mut clock, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn json(line: &Line<'_>) -> serde_json::Value {
        let mut out = Vec::new();
        line.json(&mut Clock::default(), &mut out);
        assert!(out.iter().all(|byte| (0x20..0x7F).contains(byte) || *byte == b'\n'));
        assert_eq!(out.split(|byte| *byte == b'\n').count(), 2);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn the_common_line_is_traefiks() {
        assert_eq!(
            common(&line()),
            "10.0.0.1 - Client [10/Nov/2009:23:00:00 +0000] \"GET /foo?a=1 HTTP/1.1\" 200 132 \
             \"referer\" \"agent\" 23 \"default/web/h.io/\" \"http://10.0.0.2:80\" 123ms\n"
        );
    }

    #[test]
    fn what_is_missing_is_a_dash_and_the_reason_stands_in_the_frontends_place() {
        let started = SystemTime::UNIX_EPOCH;
        let refused = Line::refusal(SocketAddr::from(([192, 0, 2, 1], 9)), 400, "bad request", started);
        assert_eq!(
            common(&refused),
            "192.0.2.1 - - [01/Jan/1970:00:00:00 +0000] \"-\" 400 0 \"-\" \"-\" 23 \"bad request\" \"-\" 0ms\n"
        );
        let denied = Line { reason: "whitelist", upstream: None, ..line() };
        assert!(common(&denied).contains(" \"whitelist for default/web/h.io/\" \"-\" "));
    }

    #[test]
    fn nobody_can_write_a_common_line_or_field_of_their_own() {
        let nasty = Line {
            user: "a b\"\n",
            target: b"/\"\r\nx",
            referer: b"\" 200 \"\\",
            user_agent: b"\x1b[2J\xff\x7f\x00",
            ..line()
        };
        assert_eq!(
            common(&nasty),
            "10.0.0.1 - a\\x20b\\x22\\x0A [10/Nov/2009:23:00:00 +0000] \"GET /\\x22\\x0D\\x0Ax HTTP/1.1\" 200 132 \
             \"\\x22 200 \\x22\\x5C\" \"\\x1B[2J\\xFF\\x7F\\x00\" 23 \"default/web/h.io/\" \
             \"http://10.0.0.2:80\" 123ms\n"
        );
    }

    #[test]
    fn an_exchange_becomes_a_line_without_its_credentials() {
        let headers = [
            ("authorization", "Basic YWxpY2U6bW9vbg=="),
            ("cookie", "session=opensesame"),
            ("user-agent", "agent"),
        ];
        let headers = headers
            .map(|(name, value)| (HeaderName::from_static(name), http::HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        let target = Target::parse(&Bytes::from_static(b"/a?b=c"), PathOptions::default()).unwrap();
        let exchange = Exchange {
            request: Request {
                method: http::Method::POST,
                asked: target.clone(),
                target,
                host: Ascii::from_static("h.io"),
                authority: Ascii::from_static("h.io:8080"),
                version: http::Version::HTTP_10,
                headers,
            },
            response: None,
            client: Client {
                ip: [192, 0, 2, 9].into(),
                peer: SocketAddr::from(([10, 0, 0, 1], 4444)),
                local: SocketAddr::from(([10, 0, 0, 9], 80)),
                https: false,
                entrypoint: 1,
            },
            facts: Facts { user: Some("alice".into()), status: 502, bytes_in: 3, ..Facts::default() },
        };
        let snapshot = crate::telemetry::fixture::snapshot();
        let route = snapshot.routes.get("default/web/h.io/").map(|route| &**route);
        let entrypoints = ["http".into(), "inner".into()];
        let line = Line::of(&exchange, route, &entrypoints, SystemTime::UNIX_EPOCH);
        assert_eq!(
            json(&line),
            serde_json::json!({
                "time": "1970-01-01T00:00:00.000Z", "client_ip": "192.0.2.9", "peer": "10.0.0.1:4444",
                "entrypoint": "inner", "method": "POST", "host": "h.io", "target": "/a?b=c",
                "version": "HTTP/1.0", "status": 502, "bytes_in": 3, "bytes_out": 0, "duration_ms": 0.0,
                "route": "default/web/h.io/", "ingress": "default/web", "backend": "default/web:80",
                "attempts": 0, "user": "alice", "user_agent": "agent",
            })
        );
        let text = common(&line);
        assert!(
            text.starts_with("192.0.2.9 - alice ") && !text.contains("YWxp") && !text.contains("sesame"),
            "{text}"
        );
    }

    #[test]
    fn the_json_line_has_the_words_of_the_fields() {
        assert_eq!(
            json(&line()),
            serde_json::json!({
                "time": "2009-11-10T23:00:00.123Z", "client_ip": "10.0.0.1", "peer": "10.0.0.1:4444",
                "entrypoint": "http", "method": "GET", "host": "h.io", "target": "/foo?a=1",
                "version": "HTTP/1.1", "status": 200, "bytes_in": 7, "bytes_out": 132,
                "duration_ms": 123.456, "route": "default/web/h.io/", "ingress": "default/web",
                "backend": "default/web:80", "upstream": "10.0.0.2:80", "upstream_ms": 5.007,
                "attempts": 1, "user": "Client", "user_agent": "agent", "referer": "referer",
            })
        );
    }

    #[test]
    fn nobody_can_write_a_json_line_or_key_of_their_own() {
        let nasty = Line {
            user: "x\",\"status\":1,\"y\":\"\n{}\u{2028}",
            user_agent: b"\x1b]0;t\x07\xf0\x9f\x8c\x99\xff\\",
            ..line()
        };
        let value = json(&nasty);
        assert_eq!(value["status"], 200);
        assert_eq!(value["user"], nasty.user);
        assert_eq!(value["user_agent"], "\u{1b}]0;t\u{7}\u{1f319}\u{fffd}\\");
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_stay_one_parsable_line(agent in proptest::collection::vec(0_u8.., 0..64), user in ".*") {
            let line = Line { user: &user, user_agent: &agent, ..line() };
            let value = json(&line);
            proptest::prop_assert_eq!(value["user"].as_str().unwrap_or_default(), &user);
            let text = common(&line);
            proptest::prop_assert_eq!(text.matches('\n').count(), 1);
            proptest::prop_assert_eq!(text.matches('"').count(), 10);
        }
    }
}
