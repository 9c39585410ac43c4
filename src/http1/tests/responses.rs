//! Responses of upstreams, good and hostile, whole and byte by byte.

use super::super::{BodyDecoder, BodyFraming, Decoded, HeadLimits, ResponseEnd, ResponseReader};
use bytes::BytesMut;
use http::Method;

/// What was understood of what an upstream sent.
#[derive(Clone, Debug, PartialEq)]
enum Fate {
    /// A final response, and whether its connection serves on.
    Taken(u16, &'static str, bool),
    /// Refused, with status 502 and this reason.
    Refused(&'static str),
    /// It ended before its end.
    Cut,
}

use Fate::{Cut, Refused, Taken};

const ENCODING: Fate = Refused("response-transfer-encoding-malformed");
const LENGTH: Fate = Refused("response-content-length-malformed");
const REPEATED: Fate = Refused("response-content-length-repeated");
const BOTH: Fate = Refused("response-content-length-and-transfer-encoding");
const OLD_ENCODING: Fate = Refused("response-transfer-encoding-in-http-1-0");
const STATUS_LINE: Fate = Refused("response-status-line-malformed");
const STATUS: Fate = Refused("response-status-out-of-range");
const INTERIM_BODY: Fate = Refused("response-informational-with-body");

type Case = (&'static str, &'static [u8], Fate);

#[rustfmt::skip]
const GOOD: &[Case] = &[
    ("a length", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Taken(200, "hello", true)),
    ("chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n", Taken(200, "hello", true)),
    ("until close", b"HTTP/1.1 200 OK\r\n\r\nhello", Taken(200, "hello", false)),
    ("HTTP/1.0 until close", b"HTTP/1.0 200 OK\r\n\r\nhello", Taken(200, "hello", false)),
    ("HTTP/1.0 with a length", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", Taken(200, "hello", false)),
    ("HTTP/1.0 kept alive", b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\nhello", Taken(200, "hello", true)),
    ("HTTP/1.0 kept alive without a length", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello", Taken(200, "hello", false)),
    ("an empty body", b"HTTP/1.1 404 Not Here\r\nContent-Length: 0\r\n\r\n", Taken(404, "", true)),
    ("close", b"HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: 0\r\n\r\n", Taken(200, "", false)),
    ("close beside keep-alive", b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", Taken(200, "", false)),
    ("an offer to upgrade", b"HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n", Taken(200, "", true)),
    ("no reason", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Taken(200, "", true)),
    ("an empty reason", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", Taken(200, "", true)),
    ("a reason in Latin-1 with a tab", b"HTTP/1.1 200 d\xe9j\xe0\tvu\r\nContent-Length: 0\r\n\r\n", Taken(200, "", true)),
    ("no content", b"HTTP/1.1 204 No Content\r\n\r\n", Taken(204, "", true)),
    ("no content, said twice", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", Taken(204, "", true)),
    ("not modified, with the other's length", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Taken(304, "", true)),
    ("not modified, with the other's coding", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", Taken(304, "", true)),
    ("informational ones first", b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Taken(200, "hello", true)),
    ("an unknown status", b"HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n", Taken(599, "", true)),
    ("values of all kinds", b"HTTP/1.1 200 OK\r\nA:\r\nB: \t x \t\r\nC: \xff\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nD_e: f\r\nContent-Length:0\r\n\r\n", Taken(200, "", true)),
    // What may follow is not ours to know, but the connection is not used again.
    ("204 with chunks", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Taken(204, "", false)),
    ("204 with a length", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", Taken(204, "", false)),
    ("bytes behind the body", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n", Taken(200, "hello", false)),
];

#[rustfmt::skip]
const HOSTILE: &[Case] = &[
    // Two ways of saying where the body ends.
    ("CL and TE", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BOTH),
    ("TE and CL", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", BOTH),
    ("CL and TE in 204", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", BOTH),
    ("CL and TE in 304", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", BOTH),
    ("two CL that differ", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", REPEATED),
    ("two CL that agree", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\nhello", REPEATED),
    ("two CL without a body", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", REPEATED),
    ("CL list", b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello", LENGTH),
    ("CL list that differs", b"HTTP/1.1 200 OK\r\nContent-Length: 5,6\r\n\r\nhello", LENGTH),
    ("CL with plus", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", LENGTH),
    ("CL with minus", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", LENGTH),
    ("CL in hexadecimal", b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello", LENGTH),
    ("CL with a space inside", b"HTTP/1.1 200 OK\r\nContent-Length: 1 2\r\n\r\nhello", LENGTH),
    ("CL empty", b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhello", LENGTH),
    ("CL above 64 bits", b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nhello", LENGTH),
    ("CL with plus without a body", b"HTTP/1.1 304 Not Modified\r\nContent-Length: +5\r\n\r\n", LENGTH),
    ("TE gzip", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello", ENCODING),
    ("TE identity", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello", ENCODING),
    ("TE empty", b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\nhello", ENCODING),
    ("TE gzip, chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", ENCODING),
    ("TE chunked, identity", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", ENCODING),
    ("TE chunked, chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", ENCODING),
    ("TE twice", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ENCODING),
    ("TE xchunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", ENCODING),
    ("TE in quotes", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", ENCODING),
    ("TE with a parameter", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", ENCODING),
    ("TE with a vertical tab", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", Refused("control-character")),
    ("TE in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", OLD_ENCODING),
    ("TE in HTTP/1.0 without a body", b"HTTP/1.0 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", OLD_ENCODING),
    ("100 with a length", b"HTTP/1.1 100 Continue\r\nContent-Length: 19\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", INTERIM_BODY),
    ("103 with chunks", b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", INTERIM_BODY),
    // Status lines.
    ("another protocol", b"SMTP ready\r\n\r\n", STATUS_LINE),
    ("HTTP/0.9", b"<html>hello</html>", STATUS_LINE),
    ("HTTP/2", b"HTTP/2.0 200 OK\r\n\r\n", STATUS_LINE),
    ("HTTP/1.2", b"HTTP/1.2 200 OK\r\n\r\n", STATUS_LINE),
    ("HTTP/1.1 in lower case", b"http/1.1 200 OK\r\n\r\n", STATUS_LINE),
    ("ICY", b"ICY 200 OK\r\n\r\n", STATUS_LINE),
    ("an empty line first", b"\r\nHTTP/1.1 200 OK\r\n\r\n", STATUS_LINE),
    ("a space first", b" HTTP/1.1 200 OK\r\n\r\n", STATUS_LINE),
    ("two spaces", b"HTTP/1.1  200 OK\r\n\r\n", STATUS_LINE),
    ("a tab for a space", b"HTTP/1.1\t200 OK\r\n\r\n", STATUS_LINE),
    ("status of two digits", b"HTTP/1.1 20 OK\r\n\r\n", STATUS_LINE),
    ("status of four digits", b"HTTP/1.1 2000 OK\r\n\r\n", STATUS_LINE),
    ("status with a sign", b"HTTP/1.1 +20 OK\r\n\r\n", STATUS_LINE),
    ("status of words", b"HTTP/1.1 OK\r\n\r\n", STATUS_LINE),
    ("status 099", b"HTTP/1.1 099 Low\r\n\r\n", STATUS),
    ("status 600", b"HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n", STATUS),
    ("status 999", b"HTTP/1.1 999 Bots\r\nContent-Length: 0\r\n\r\n", STATUS),
    ("NUL in the reason", b"HTTP/1.1 200 O\0K\r\n\r\n", STATUS_LINE),
    ("CR in the reason", b"HTTP/1.1 200 O\rSet-Cookie: x\r\n\r\n", STATUS_LINE),
    ("bare LF behind the status line", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", STATUS_LINE),
    // Header lines.
    ("obs-fold", b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n", Refused("obs-fold")),
    ("obs-fold of the length", b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\t5\r\n\r\nhello", Refused("obs-fold")),
    ("space before the first header", b"HTTP/1.1 200 OK\r\n A: b\r\n\r\n", Refused("obs-fold")),
    ("space before the colon", b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello", Refused("space-before-colon")),
    ("NUL in a value", b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n", Refused("nul-byte")),
    ("NUL in a name", b"HTTP/1.1 200 OK\r\nA\0: b\r\n\r\n", Refused("nul-byte")),
    ("DEL in a value", b"HTTP/1.1 200 OK\r\nA: b\x7fc\r\n\r\n", Refused("control-character")),
    ("bare CR in a value", b"HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: x\r\n\r\n", Refused("bare-cr")),
    ("bare LF behind a header", b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 5\r\n\r\nhello", Refused("bare-lf")),
    ("bare LF for the empty line", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello", Refused("bare-lf")),
    ("no colon", b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", Refused("header-without-colon")),
    ("empty name", b"HTTP/1.1 200 OK\r\n: x\r\n\r\n", Refused("header-name-empty")),
    ("a name in UTF-8", b"HTTP/1.1 200 OK\r\nCont\xc3\xa9nt: x\r\n\r\n", Refused("header-name-malformed")),
    ("brackets in a name", b"HTTP/1.1 200 OK\r\nA(b): x\r\n\r\n", Refused("header-name-malformed")),
    // Bodies.
    ("chunk size of words", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", Refused("chunk-size-malformed")),
    ("chunk size with plus", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", Refused("chunk-size-malformed")),
    ("chunk size with 0x", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", Refused("chunk-size-malformed")),
    ("chunk size that overflows", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", Refused("chunk-size-malformed")),
    ("space behind a chunk size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", Refused("chunk-size-malformed")),
    ("bare LF behind a chunk size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", Refused("bare-lf")),
    ("bare LF in a chunk extension", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n", Refused("bare-lf")),
    ("chunk data too long", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n", Refused("chunk-end-malformed")),
    ("NUL in a trailer", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: \0\r\n\r\n", Refused("nul-byte")),
    ("obs-fold in a trailer", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n", Refused("obs-fold")),
    // Too short.
    ("nothing", b"", Cut),
    ("half a status line", b"HTTP/1.1 20", Cut),
    ("half a head", b"HTTP/1.1 200 OK\r\nA: b\r\n", Cut),
    ("only an informational one", b"HTTP/1.1 100 Continue\r\n\r\n", Cut),
    ("a body shorter than its length", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", Cut),
    ("chunks without a last one", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", Cut),
    ("chunks without the last empty line", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", Cut),
];

/// What becomes of the final response in `raw`, fed in pieces, after which the connection is closed.
fn fate(raw: &[u8], method: &Method, piece: usize) -> (Fate, String) {
    let limits = HeadLimits::default();
    let (mut reader, mut buf, mut body) = (ResponseReader::default(), BytesMut::new(), Vec::new());
    let mut open = None;
    let mut refused = None;
    let mut pieces = raw.chunks(piece);
    'feed: loop {
        loop {
            let Some((head, decoder)) = &mut open else {
                match reader.read(&mut buf, method, &limits) {
                    Ok(None) => break,
                    Ok(Some(head)) if head.status.is_informational() => continue,
                    Ok(Some(head)) => {
                        let decoder = match head.framing {
                            ResponseEnd::Framed(framing) => Some(BodyDecoder::new(framing)),
                            ResponseEnd::Close => None,
                        };
                        open = Some((head, decoder));
                        continue;
                    }
                    Err(refusal) => {
                        refused = Some(refusal);
                        break 'feed;
                    }
                }
            };
            assert_eq!(head.framing == ResponseEnd::Close, decoder.is_none());
            let Some(decoder) = decoder else {
                body.extend_from_slice(&buf.split());
                break;
            };
            match decoder.decode(&mut buf) {
                Ok(Decoded::Data(data)) => body.extend_from_slice(&data),
                Ok(Decoded::NeedMore | Decoded::End(_)) => break,
                Err(refusal) => {
                    refused = Some(refusal.of_upstream());
                    break 'feed;
                }
            }
        }
        let Some(piece) = pieces.next() else { break };
        buf.extend_from_slice(piece);
    }
    if let Some(refusal) = refused {
        assert_eq!(refusal.status, 502);
        return (Refused(refusal.reason), String::new());
    }
    match open {
        Some((head, decoder)) if decoder.as_ref().is_none_or(BodyDecoder::is_finished) => {
            let (status, keep) = (head.status.as_u16(), head.keep_alive && buf.is_empty());
            (Taken(status, "", keep), String::from_utf8(body).unwrap())
        }
        _ => (Cut, String::new()),
    }
}

fn check((name, raw, want): &Case) {
    for piece in [raw.len().max(1), 1, 2, 3, 7] {
        match (fate(raw, &Method::GET, piece), want) {
            ((Taken(status, _, keep), body), Taken(want, text, kept)) => {
                assert_eq!((status, body.as_str(), keep), (*want, *text, *kept), "{name} by {piece}");
            }
            ((got, _), want) => assert_eq!(got, *want, "{name} by {piece}"),
        }
    }
}

#[test]
fn well_formed_responses_are_taken() {
    GOOD.iter().for_each(check);
}

#[test]
fn responses_with_two_readings_or_none_are_refused() {
    HOSTILE.iter().for_each(check);
    assert!(HOSTILE.iter().filter(|case| matches!(case.2, Refused(_))).count() >= 40);
}

#[test]
fn the_answer_to_head_has_a_length_and_no_body() {
    for (raw, length) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Some(9)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\n\r\n", None),
    ] {
        let mut buf = BytesMut::from(raw);
        let head = ResponseReader::default().read(&mut buf, &Method::HEAD, &HeadLimits::default());
        let head = head.unwrap().unwrap();
        assert_eq!((head.length, head.framing), (length, ResponseEnd::Framed(BodyFraming::None)));
        assert!(head.keep_alive && buf.is_empty());
    }
}

#[test]
fn framing_fields_are_told_once_and_not_in_the_map() {
    let mut buf = BytesMut::from("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\nabc");
    let head = ResponseReader::default().read(&mut buf, &Method::GET, &HeadLimits::default());
    let head = head.unwrap().unwrap();
    assert_eq!((head.headers.len(), &head.headers["x"]), (1, &"y".parse().unwrap()));
    assert_eq!(head.length, Some(3));
    assert_eq!(&buf[..], b"abc");
}

#[test]
fn heads_above_the_limits_are_refused_however_they_come() {
    let large = Refused("response-head-too-large");
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(101));
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(64 << 10));
    let endless = format!("HTTP/1.1 200 {}", "b".repeat(64 << 10));
    for raw in [many, long, endless] {
        for piece in [raw.len(), 1000, 1] {
            assert_eq!(fate(raw.as_bytes(), &Method::GET, piece).0, large);
        }
    }
    let most = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(100));
    assert_eq!(fate(most.as_bytes(), &Method::GET, most.len()).0, Taken(200, "", false));
}
