//! What the codec costs per proxied request: two heads parsed, two written.

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use moongate::ground::path::{PathOptions, Target};
use moongate::http1::{
    BodyDecoder, BodyFraming, Decoded, HeadLimits, HeadOptions, ResponseFraming, parse_request,
    parse_response, write_request_head, write_response_head,
};
use std::hint::black_box;

const REQUEST: &[u8] = b"GET /shop/cart/42?page=3 HTTP/1.1\r\nHost: shop.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nCookie: session=0123456789abcdef; theme=dark\r\n\
    Upgrade-Insecure-Requests: 1\r\nCache-Control: max-age=0\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.27.1\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
    Content-Type: text/html; charset=utf-8\r\nContent-Length: 13\r\nConnection: keep-alive\r\n\
    ETag: \"66b0f9a2-d\"\r\nCache-Control: private, max-age=60\r\nVary: Accept-Encoding\r\n\r\nHello, world!";

const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    fields.iter().map(field).collect()
}

fn parsing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let options = HeadOptions::default();
    group.throughput(Throughput::Bytes(REQUEST.len() as u64));
    group.bench_function("request", |bencher| {
        let fresh = || BytesMut::from(REQUEST);
        bencher.iter_batched_ref(fresh, |buf| parse_request(buf, &options), BatchSize::SmallInput);
    });
    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    group.bench_function("response with its body", |bencher| {
        let limits = HeadLimits::default();
        let read = |buf: &mut BytesMut| {
            let head = parse_response(buf, &Method::GET, &limits);
            (head, BodyDecoder::new(BodyFraming::Length(13)).decode(buf))
        };
        assert!(matches!(read(&mut BytesMut::from(RESPONSE)), (Ok(Some(_)), Ok(Decoded::Data(_)))));
        bencher.iter_batched_ref(|| BytesMut::from(RESPONSE), read, BatchSize::SmallInput);
    });
    group.finish();
}

fn writing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write");
    let Ok(target) = Target::parse(&Bytes::from_static(b"/shop/cart/42?page=3"), PathOptions::default())
    else {
        return;
    };
    let request = map(&[
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"),
        ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("accept-encoding", "gzip, deflate, br"),
        ("cookie", "session=0123456789abcdef; theme=dark"),
        ("x-forwarded-for", "10.1.2.3"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example.com"),
        ("x-forwarded-port", "443"),
        ("x-real-ip", "10.1.2.3"),
    ]);
    let response = map(&[
        ("server", "nginx/1.27.1"),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("content-type", "text/html; charset=utf-8"),
        ("etag", "\"66b0f9a2-d\""),
        ("cache-control", "private, max-age=60"),
        ("vary", "Accept-Encoding"),
    ]);
    let mut out = BytesMut::with_capacity(4096);
    group.bench_function("request", |bencher| {
        bencher.iter(|| {
            out.clear();
            let line = (&Method::GET, &target);
            write_request_head(&mut out, line, b"shop.example.com", &request, BodyFraming::None);
            black_box(&out);
        });
    });
    group.bench_function("response", |bencher| {
        let framing = ResponseFraming::Length(13);
        bencher.iter(|| {
            out.clear();
            write_response_head(&mut out, Version::HTTP_11, StatusCode::OK, &response, framing, true, DATE);
            black_box(&out);
        });
    });
    group.finish();
}

criterion_group!(benches, parsing, writing);
criterion_main!(benches);
