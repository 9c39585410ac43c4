use super::super::{BodyFraming, HeadOptions, RequestHead};
use super::{head, head_with, hear};
use crate::ground::path::PathOptions;
use http::{Method, Version};

/// Checks target, host and authority of a request line with a Host field.
fn check_route(line: &str, host_field: &str, target: &str, host: &str, authority: &str) {
    let head = head(&format!("{line}\r\n{host_field}\r\n"));
    assert_eq!(head.target.to_string(), target, "{line} {host_field}");
    assert_eq!(&*head.host, host, "{line} {host_field}");
    assert_eq!(&*head.authority, authority, "{line} {host_field}");
}

#[test]
fn target_and_host_of_good_requests() {
    for (line, host_field, target, host, authority) in [
        ("GET / HTTP/1.1", "Host: h.io\r\n", "/", "h.io", "h.io"),
        ("GET /a?b=c HTTP/1.1", "hOST:h.io:8080\r\n", "/a?b=c", "h.io", "h.io:8080"),
        ("GET /%7Ea HTTP/1.1", "Host: \t H.IO. \t\r\n", "/~a", "h.io", "H.IO."),
        ("GET / HTTP/1.1", "Host: h.io.:\r\n", "/", "h.io", "h.io.:"),
        ("GET / HTTP/1.1", "Host: 10.0.0.1:65535\r\n", "/", "10.0.0.1", "10.0.0.1:65535"),
        ("GET / HTTP/1.1", "Host: [::FFFF:1.2.3.4]:80\r\n", "/", "[::ffff:1.2.3.4]", "[::FFFF:1.2.3.4]:80"),
        ("GET / HTTP/1.1", "Host: my_service.ns\r\n", "/", "my_service.ns", "my_service.ns"),
        (
            "GET / HTTP/1.1",
            "Host: xn--bcher-kva.example\r\n",
            "/",
            "xn--bcher-kva.example",
            "xn--bcher-kva.example",
        ),
        ("GET / HTTP/1.0", "", "/", "", ""),
        ("GET / HTTP/1.0", "Host:\r\n", "/", "", ""),
        ("OPTIONS * HTTP/1.1", "Host: h\r\n", "*", "h", "h"),
        ("OPTIONS * HTTP/1.1", "Host:\r\n", "*", "", ""),
        ("GET http://H.io/p?q HTTP/1.1", "Host: h.io\r\n", "/p?q", "h.io", "H.io"),
        ("GET HTTP://h.io:80/p HTTP/1.1", "Host: h.io\r\n", "/p", "h.io", "h.io:80"),
        ("GET https://h.io/p HTTP/1.1", "Host: h.io:443\r\n", "/p", "h.io", "h.io"),
        ("GET http://h.io HTTP/1.1", "Host: h.io\r\n", "/", "h.io", "h.io"),
        ("GET http://h.io?q HTTP/1.1", "Host: h.io\r\n", "/?q", "h.io", "h.io"),
        ("GET http://h.io/a/../b HTTP/1.0", "", "/b", "h.io", "h.io"),
        ("OPTIONS http://h.io HTTP/1.1", "Host: h.io\r\n", "*", "h.io", "h.io"),
        ("OPTIONS http://h.io/ HTTP/1.1", "Host: h.io\r\n", "/", "h.io", "h.io"),
        ("\r\n\r\nGET / HTTP/1.1", "Host: h\r\n", "/", "h", "h"),
    ] {
        check_route(line, host_field, target, host, authority);
    }
}

#[test]
fn a_raw_high_byte_in_the_target_is_escaped_whatever_its_encoding() {
    let raw = b"GET /caf\xe9/\xc3\xa9?\xff HTTP/1.1\r\nHost: h\r\n\r\n";
    let heard = hear(raw, raw.len());
    assert!(heard.messages[0].head.contains("/caf%E9/%C3%A9?%FF"), "{}", heard.messages[0].head);
}

#[test]
fn the_path_options_of_the_entrypoint_hold() {
    let path = PathOptions { merge_slashes: true, refuse_encoded_slashes: false };
    let options = HeadOptions { path, ..HeadOptions::default() };
    assert_eq!(head_with("GET //a///b HTTP/1.1\r\nHost: h\r\n\r\n", &options).target.path(), "/a/b");
}

fn framing_of(fields: &str) -> BodyFraming {
    head(&format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n")).framing
}

#[test]
fn the_body_s_end_is_known() {
    for (fields, want) in [
        ("", BodyFraming::None),
        ("Content-Length: 0\r\n", BodyFraming::Length(0)),
        ("content-length:42\r\n", BodyFraming::Length(42)),
        ("Content-Length: \t 042 \r\n", BodyFraming::Length(42)),
        ("Content-Length: 18446744073709551615\r\n", BodyFraming::Length(u64::MAX)),
        ("Transfer-Encoding: chunked\r\n", BodyFraming::Chunked),
        ("TRANSFER-ENCODING: Chunked \r\n", BodyFraming::Chunked),
    ] {
        assert_eq!(framing_of(fields), want, "{fields:?}");
    }
}

fn keeps_alive(version: &str, connection: &str) -> bool {
    head(&format!("GET / {version}\r\nHost: h\r\n{connection}\r\n")).keep_alive
}

#[test]
fn connections_are_kept_as_the_client_wishes() {
    for (version, connection, want) in [
        ("HTTP/1.1", "", true),
        ("HTTP/1.1", "Connection: close\r\n", false),
        ("HTTP/1.1", "Connection: x, CLOSE\r\n", false),
        ("HTTP/1.1", "Connection: close\r\nConnection: keep-alive\r\n", false),
        ("HTTP/1.1", "Connection: closed\r\n", true),
        ("HTTP/1.0", "", false),
        ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
        ("HTTP/1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        assert_eq!(keeps_alive(version, connection), want, "{version} {connection:?}");
    }
}

fn upgrade(raw: &str) -> Option<String> {
    head(raw).upgrade.map(|value| value.to_str().unwrap().to_owned())
}

#[test]
fn an_upgrade_needs_both_fields_and_http_1_1() {
    let both = "Host: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(upgrade(&format!("GET / HTTP/1.1\r\n{both}")).as_deref(), Some("websocket"));
    assert_eq!(upgrade(&format!("GET / HTTP/1.0\r\n{both}")), None);
    assert_eq!(upgrade("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n"), None);
    assert_eq!(upgrade("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n\r\n"), None);
}

#[test]
fn an_expectation_counts_only_before_a_body_and_in_http_1_1() {
    let expects = |version: &str, length: u8| {
        let raw = format!(
            "POST / {version}\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: {length}\r\n\r\n"
        );
        head(&raw).expect_continue
    };
    assert!(expects("HTTP/1.1", 1));
    assert!(!expects("HTTP/1.1", 0));
    assert!(!expects("HTTP/1.0", 1));
}

fn names(head: &RequestHead) -> Vec<&str> {
    head.headers.keys().map(http::HeaderName::as_str).collect()
}

#[test]
fn the_map_holds_what_is_not_told_elsewhere() {
    let raw = "POST / HTTP/1.1\r\nHost: h\r\nX_Real_Ip: 1\r\nCookie: a\r\ncontent_length: 9\r\nCookie: b\r\nContent-Length: 1\r\n\r\n";
    let dropped = head(raw);
    assert_eq!(names(&dropped), ["cookie"]);
    assert_eq!(dropped.headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(dropped.dropped_underscores, 2);

    let kept = head_with(raw, &HeadOptions { allow_underscores: true, ..HeadOptions::default() });
    assert_eq!(names(&kept), ["x_real_ip", "cookie", "content_length"]);
    assert_eq!((kept.dropped_underscores, kept.framing), (0, BodyFraming::Length(1)));
}

#[test]
fn odd_but_good_heads_are_taken() {
    let head = head(
        "M-SEARCH /;a=b/,:@ HTTP/1.1\r\nHost: h\r\nEmpty:\r\nBlank: \t \r\nTab: a\tb\r\n!#$%&'*+-.^`|~9: x\r\n\r\n",
    );
    assert_eq!(head.method, Method::from_bytes(b"M-SEARCH").unwrap());
    assert_eq!(head.version, Version::HTTP_11);
    assert_eq!(head.headers["empty"], "");
    assert_eq!(head.headers["blank"], "");
    assert_eq!(head.headers["tab"], "a\tb");
    assert_eq!(head.headers["!#$%&'*+-.^`|~9"], "x");
}

#[test]
fn nothing_of_an_ordinary_head_is_copied() {
    let raw = "GET /path HTTP/1.1\r\nHost: h.io:80\r\nAccept: text/html\r\n\r\n";
    let mut buf = bytes::BytesMut::from(raw);
    let wire = buf.as_ptr_range();
    let head = super::parse_request(&mut buf, &HeadOptions::default()).unwrap().unwrap();
    for part in [
        head.target.text().as_ref(),
        head.host.bytes(),
        head.authority.bytes(),
        head.headers["accept"].as_bytes(),
    ] {
        assert!(wire.contains(&part.as_ptr()), "{}", String::from_utf8_lossy(part));
    }
}

#[test]
fn what_follows_a_head_is_left_in_the_buffer() {
    let raw = b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nabGET /3 HTTP/1.1\r\nHost: h\r\n\r\n";
    for piece in [1, 5, raw.len()] {
        let heard = hear(raw, piece);
        assert_eq!(heard.refused, None);
        assert_eq!(heard.messages.iter().map(|message| message.body.len()).collect::<Vec<_>>(), [0, 2, 0]);
        assert!(heard.messages.iter().all(|message| message.whole));
    }
}
