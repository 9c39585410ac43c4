use super::super::{BodyDecoder, BodyFraming, Decoded, Refusal, write_chunk_head, write_last_chunk};
use super::hear;
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Checks body and trailers of a chunked body, whole and in every size of piece.
fn check(chunks: &[u8], body: &[u8], trailers: &[(&str, &str)]) {
    let raw = [POST, chunks, b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
    for piece in (1..9).chain([raw.len()]) {
        let heard = hear(&raw, piece);
        assert_eq!(heard.refused, None, "{:?}", String::from_utf8_lossy(chunks));
        assert_eq!(heard.messages[0].body, body);
        let got: Vec<_> = heard.messages[0].trailers.iter().flatten().collect();
        let got: Vec<_> = got.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(got, trailers);
        assert!(heard.messages[1].head.contains("/next"));
    }
}

#[test]
fn good_chunked_bodies() {
    check(b"0\r\n\r\n", b"", &[]);
    check(b"5\r\nhello\r\n0\r\n\r\n", b"hello", &[]);
    check(b"005\r\nhello\r\n0000\r\n\r\n", b"hello", &[]);
    check(b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"01234567890123456789", &[]);
    check(b"1;a\r\nx\r\n1;a=b;c\r\ny\r\n1;a=\"b;\\\"\tc\"\r\nz\r\n0\r\n\r\n", b"xyz", &[]);
    check(b"2\r\n\r\n\r\n0;end\r\n\r\n", b"\r\n", &[]);
    check(b"1\r\nx\r\n0\r\nChecksum: 1\r\nX-Sum:\t2 \r\n\r\n", b"x", &[("checksum", "1"), ("x-sum", "2")]);
}

#[test]
fn trailers_that_could_change_the_request_are_dropped() {
    let forbidden = [
        "Content-Length: 5",
        "Transfer-Encoding: chunked",
        "Host: evil",
        "Authorization: Basic x",
        "Cookie: a=b",
        "Connection: x",
        "X-Forwarded-For: 1.2.3.4",
        "X-Real-Ip: 1.2.3.4",
        "Content-Type: text/html",
        "If-Match: x",
        "Expect: 100-continue",
        "proxy-authorization: x",
        "x_under_score: x",
    ];
    for field in forbidden {
        check(format!("0\r\n{field}\r\n\r\n").as_bytes(), b"", &[]);
    }
}

#[test]
fn a_body_of_known_length_counts_down_and_takes_no_byte_more() {
    let mut decoder = BodyDecoder::new(BodyFraming::Length(5));
    let mut buf = BytesMut::from("abc");
    assert_eq!(decoder.remaining_hint(), Some(5));
    assert_eq!(decoder.decode(&mut buf), Ok(Decoded::Data(Bytes::from_static(b"abc"))));
    assert_eq!(decoder.decode(&mut buf), Ok(Decoded::NeedMore));
    assert_eq!((decoder.remaining_hint(), decoder.is_finished()), (Some(2), false));
    buf.extend_from_slice(b"deGET");
    assert_eq!(decoder.decode(&mut buf), Ok(Decoded::Data(Bytes::from_static(b"de"))));
    assert!(decoder.is_finished());
    assert_eq!(decoder.decode(&mut buf), Ok(Decoded::End(None)));
    assert_eq!(&buf[..], b"GET");
}

#[test]
fn no_body_is_finished_from_the_start() {
    for framing in [BodyFraming::None, BodyFraming::Length(0)] {
        let mut decoder = BodyDecoder::new(framing);
        assert!(decoder.is_finished());
        assert_eq!(decoder.remaining_hint(), Some(0));
        assert_eq!(decoder.decode(&mut BytesMut::from("x")), Ok(Decoded::End(None)));
    }
}

#[test]
fn extensions_of_a_whole_body_are_bounded() {
    let mut decoder = BodyDecoder::new(BodyFraming::Chunked);
    let mut buf = BytesMut::new();
    let verdict = (0..200).find_map(|_| {
        buf.extend_from_slice(format!("1;{}\r\nx\r\n", "a".repeat(200)).as_bytes());
        loop {
            match decoder.decode(&mut buf) {
                Ok(Decoded::Data(_)) => {}
                Ok(_) => return None,
                Err(refusal) => return Some(refusal),
            }
        }
    });
    assert_eq!(verdict, Some(Refusal::CHUNK_EXTENSION_TOO_LONG));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_writer_writes_the_decoder_reads(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
        piece in 1_usize..50,
    ) {
        let mut wire = BytesMut::from(POST);
        for chunk in &chunks {
            write_chunk_head(&mut wire, chunk.len());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(super::super::CHUNK_END);
        }
        write_last_chunk(&mut wire, None);
        let heard = hear(&wire, piece);
        prop_assert_eq!(heard.refused, None);
        prop_assert_eq!(&heard.messages[0].body, &chunks.concat());
        prop_assert!(heard.messages[0].whole);
    }
}
