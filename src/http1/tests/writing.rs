use super::super::{
    BodyFraming, ResponseFraming, write_chunk_head, write_informational, write_last_chunk,
    write_request_head, write_response_head,
};
use crate::ground::path::{PathOptions, Target};
use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Version};

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    let mut map = HeaderMap::new();
    for (name, value) in fields.iter().map(field) {
        map.append(name, value);
    }
    map
}

fn written(
    version: Version,
    status: u16,
    fields: &[(&'static str, &'static str)],
    framing: ResponseFraming,
    keep: bool,
) -> String {
    let mut out = BytesMut::new();
    let status = StatusCode::from_u16(status).unwrap();
    write_response_head(&mut out, version, status, &map(fields), framing, keep, DATE);
    String::from_utf8(out.to_vec()).unwrap()
}

const NOTHING: ResponseFraming = ResponseFraming::None { content_length: None };

fn announced(length: u64) -> ResponseFraming {
    ResponseFraming::None { content_length: Some(length) }
}

const USUAL: &str = "server: moongate\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

#[test]
fn heads_say_what_the_server_knows() {
    use ResponseFraming::{Chunked, Length, UntilClose};
    let (old, new) = (Version::HTTP_10, Version::HTTP_11);
    for (version, status, framing, keep, want) in [
        (new, 200, Length(0), true, "HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n"),
        (
            new,
            200,
            Length(u64::MAX),
            true,
            "HTTP/1.1 200 OK\r\n{}content-length: 18446744073709551615\r\n\r\n",
        ),
        (
            new,
            404,
            Length(10),
            false,
            "HTTP/1.1 404 Not Found\r\n{}content-length: 10\r\nconnection: close\r\n\r\n",
        ),
        (new, 200, Chunked, true, "HTTP/1.1 200 OK\r\n{}transfer-encoding: chunked\r\n\r\n"),
        (
            old,
            200,
            Length(7),
            true,
            "HTTP/1.1 200 OK\r\n{}content-length: 7\r\nconnection: keep-alive\r\n\r\n",
        ),
        (old, 200, UntilClose, true, "HTTP/1.1 200 OK\r\n{}connection: close\r\n\r\n"),
        (new, 204, NOTHING, true, "HTTP/1.1 204 No Content\r\n{}\r\n"),
        (new, 304, announced(9), true, "HTTP/1.1 304 Not Modified\r\n{}content-length: 9\r\n\r\n"),
        (new, 599, Length(1), true, "HTTP/1.1 599 \r\n{}content-length: 1\r\n\r\n"),
        (new, 101, NOTHING, false, "HTTP/1.1 101 Switching Protocols\r\n{}connection: upgrade\r\n\r\n"),
    ] {
        assert_eq!(written(version, status, &[], framing, keep), want.replace("{}", USUAL));
    }
}

#[test]
fn what_an_upstream_says_of_the_connection_and_of_framing_is_left_out() {
    let fields = [
        ("server", "nginx"),
        ("date", "today"),
        ("connection", "close, x"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("content-length", "99"),
        ("set-cookie", "a"),
        ("set-cookie", "b"),
    ];
    let head = written(Version::HTTP_11, 200, &fields, ResponseFraming::Length(3), true);
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\r\nserver: nginx\r\ndate: today\r\nset-cookie: a\r\nset-cookie: b\r\ncontent-length: 3\r\n\r\n"
    );
}

#[test]
fn the_framing_suits_client_and_status() {
    use ResponseFraming::{Chunked, Length, UntilClose};
    let (get, head) = (Method::GET, Method::HEAD);
    let (old, new) = (Version::HTTP_10, Version::HTTP_11);
    for (method, status, length, version, want) in [
        (&get, 200, Some(5), new, (Length(5), false)),
        (&get, 200, Some(5), old, (Length(5), false)),
        (&get, 200, None, new, (Chunked, false)),
        (&get, 200, None, old, (UntilClose, true)),
        (&head, 200, Some(5), new, (announced(5), false)),
        (&head, 200, None, old, (NOTHING, false)),
        (&get, 204, Some(5), new, (NOTHING, false)),
        (&get, 304, Some(5), new, (announced(5), false)),
        (&get, 101, None, new, (NOTHING, false)),
    ] {
        let got = ResponseFraming::choose(method, StatusCode::from_u16(status).unwrap(), length, version);
        assert_eq!(got, want, "{method} {status} {length:?} {version:?}");
        assert_eq!(got.0.has_body(), matches!(want.0, Length(5) | Chunked | UntilClose));
    }
}

#[test]
fn chunks_and_informational_responses() {
    let mut out = BytesMut::new();
    for len in [0, 1, 15, 16, 255, 4096, 0x00ab_cdef] {
        write_chunk_head(&mut out, len);
    }
    assert_eq!(&out[..], b"1\r\nf\r\n10\r\nff\r\n1000\r\nabcdef\r\n");
    out.clear();
    write_last_chunk(&mut out, Some(&map(&[("checksum", "1")])));
    assert_eq!(&out[..], b"0\r\nchecksum: 1\r\n\r\n");
    out.clear();
    write_informational(
        &mut out,
        StatusCode::EARLY_HINTS,
        &map(&[("link", "</a>"), ("content-length", "5")]),
    );
    assert_eq!(&out[..], b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
}

#[test]
fn a_request_says_host_and_framing_once() {
    let target = Target::parse(&Bytes::from_static(b"/a?b"), PathOptions::default()).unwrap();
    let fields = [("x-a", "1"), ("host", "evil"), ("content-length", "9"), ("connection", "x"), ("x-a", "2")];
    let headers = map(&fields);
    let written = |method: &Method, framing| {
        let mut out = BytesMut::new();
        write_request_head(&mut out, (method, &target), b"h", &headers, framing);
        String::from_utf8(out.to_vec()).unwrap()
    };
    let (get, post) = (Method::GET, Method::POST);
    for (method, framing, line, end) in [
        (&get, BodyFraming::None, "GET", ""),
        (&get, BodyFraming::Length(1), "GET", "content-length: 1\r\n"),
        (&post, BodyFraming::None, "POST", "content-length: 0\r\n"),
        (&post, BodyFraming::Length(5), "POST", "content-length: 5\r\n"),
        (&post, BodyFraming::Chunked, "POST", "transfer-encoding: chunked\r\n"),
    ] {
        let want = format!("{line} /a?b HTTP/1.1\r\nhost: h\r\nx-a: 1\r\nx-a: 2\r\n{end}\r\n");
        assert_eq!(written(method, framing), want);
    }
}
