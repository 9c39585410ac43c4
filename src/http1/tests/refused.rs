use super::super::{HeadLimits, HeadOptions, HeadReader, Refusal, parse_request};
use super::{hear, smuggling::CASES};
use bytes::BytesMut;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[test]
fn every_case_of_the_table_is_refused_with_its_status_and_reason() {
    assert!(CASES.len() >= 60);
    for (name, raw, status, reason) in CASES {
        assert_eq!(hear(raw, raw.len()).refused, Some((*status, *reason)), "{name}");
    }
}

#[test]
fn the_pieces_in_which_a_bad_request_arrives_change_nothing() {
    for (name, raw, ..) in CASES {
        let pieces: &[usize] = if raw.len() > 2048 { &[997] } else { &[1, 2, 3, 7] };
        for piece in pieces {
            assert_eq!(hear(raw, *piece), hear(raw, raw.len()), "{name} in pieces of {piece}");
        }
    }
}

#[test]
fn reasons_are_distinct_and_every_one_of_a_case_is_listed() {
    let all: BTreeSet<_> = Refusal::ALL_REASONS.iter().collect();
    assert_eq!(all.len(), Refusal::ALL_REASONS.len());
    for (name, _, _, reason) in CASES {
        assert!(all.contains(reason), "{name}");
    }
}

#[test]
fn a_large_head_that_arrives_byte_by_byte_is_read_as_one() {
    let mut raw = b"GET /x HTTP/1.1\r\nHost: h\r\n".to_vec();
    for field in 0..50 {
        raw.extend_from_slice(format!("f{field}: {}\r\n", "v".repeat(500)).as_bytes());
    }
    raw.extend_from_slice(b"\r\n");
    let options = HeadOptions::default();
    let (mut reader, mut buf) = (HeadReader::default(), BytesMut::new());
    let mut heads = Vec::new();
    for byte in raw.iter().chain(&raw) {
        buf.extend_from_slice(&[*byte]);
        heads.extend(reader.read(&mut buf, &options).unwrap());
    }
    let whole = parse_request(&mut BytesMut::from(raw.as_slice()), &options).unwrap();
    assert_eq!(heads.len(), 2);
    assert_eq!(format!("{:?}", heads.last()), format!("{whole:?}"));
}

#[test]
fn the_limits_are_exact() {
    let limits = HeadLimits { size: 44, fields: 2, target: 5 };
    let options = HeadOptions { limits, ..HeadOptions::default() };
    let check = |raw: &[u8], want: Option<Refusal>| {
        let parsed = parse_request(&mut BytesMut::from(raw), &options);
        assert_eq!(parsed.as_ref().err().copied(), want, "{:?}", String::from_utf8_lossy(raw));
        assert!(parsed.is_err() || parsed.is_ok_and(|head| head.is_some()));
    };
    check(b"GET /1234 HTTP/1.1\r\nHost: h\r\na: b\r\n\r\n", None);
    check(b"GET /12345 HTTP/1.1\r\nHost: h\r\na: b\r\n\r\n", Some(Refusal::TARGET_TOO_LONG));
    check(b"GET / HTTP/1.1\r\nHost: h\r\na: b\r\nc: d\r\n\r\n", Some(Refusal::TOO_MANY_FIELDS));
    check(b"GET / HTTP/1.1\r\nHost: h\r\na: 123456789012\r\n\r\nbody", None);
    check(b"GET / HTTP/1.1\r\nHost: h\r\na: 1234567890123\r\n\r\n", Some(Refusal::HEAD_TOO_LARGE));
}

fn piece_of_a_request() -> impl Strategy<Value = &'static [u8]> {
    prop::sample::select(vec![
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".as_slice(),
        b"POST /%41/../b?q HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"PUT http://H.io:80/ HTTP/1.1\r\nHost: h.io\r\nContent-Length: 3\r\n\r\nabc",
        b"5\r\nhello\r\n",
        b"a;x=\"y\\\"\"\r\n0123456789\r\n",
        b"0\r\n",
        b"0\r\n\r\n",
        b"Trailer-Field: x\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\0",
        b":",
        b"Content-Length: 5\r\n",
        b"HTTP/1.0\r\n",
        b"OPTIONS * ",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn pieces_never_change_what_is_heard(
        parts in prop::collection::vec(piece_of_a_request(), 1..6),
        flip in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        piece in 1_usize..9,
    ) {
        let mut raw = parts.concat();
        if let Some((at, byte)) = flip {
            let at = at.index(raw.len());
            raw[at] = byte;
        }
        prop_assert_eq!(hear(&raw, piece), hear(&raw, raw.len()));
    }

    #[test]
    fn random_bytes_panic_nowhere(raw in prop::collection::vec(any::<u8>(), 1..400)) {
        hear(&raw, raw.len());
        let framed = [b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", raw.as_slice()].concat();
        hear(&framed, framed.len());
        let field = [b"GET / HTTP/1.1\r\nHost: h\r\n", raw.as_slice(), b"\r\n\r\n"].concat();
        hear(&field, field.len());
    }
}
