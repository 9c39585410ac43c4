//! Requests and responses that go well.

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_response_comes_whatever_the_pieces() {
    run(|bench| async move {
        let raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\nX-Sum: 4\r\n\r\n";
        let (mut conn, mut endpoint) = bench.pair().await;
        endpoint.set_nodelay(true).unwrap();
        let slowly = async {
            hear(&mut endpoint, b"\r\n\r\n").await;
            for byte in raw {
                endpoint.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let exchange = async {
            let head = bench.get(&mut conn).await.unwrap();
            let mut body = ResponseBody::new(&head, conn);
            let (data, trailers) = read(&mut body).await.unwrap();
            assert_eq!((data.as_slice(), &trailers.unwrap()["x-sum"]), (&b"abcd"[..], &"4".parse().unwrap()));
        };
        tokio::join!(slowly, exchange);
    });
}

#[test]
fn a_body_of_known_length_follows_its_head() {
    run(|bench| async move {
        let (mut conn, mut endpoint) = bench.pair().await;
        let pieces = [Bytes::from_static(b"hello "), Bytes::from(vec![b'x'; 100_000])];
        let body = whole(Some(100_006), &pieces);
        let (head, heard) = tokio::join!(bench.send(&mut conn, &Method::PUT, body), async {
            let heard = hear(&mut endpoint, b"xxx").await;
            let rest =
                100_006 + heard.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4 - heard.len();
            let mut tail = vec![0; rest];
            endpoint.read_exact(&mut tail).await.unwrap();
            endpoint.write_all(OK).await.unwrap();
            heard
        });
        assert!(heard.starts_with(b"PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 100006\r\n\r\nhello xxx"));
        let mut body = ResponseBody::new(&head.unwrap(), conn);
        assert_eq!(read(&mut body).await.unwrap().0, b"ok");
        assert!(!body.is_uploading());
        let idle = body.into_idle().unwrap();
        // Nothing of the client's buffers is kept by an idle connection.
        let [_, large] = pieces;
        assert!(large.is_unique());
        drop(idle);
    });
}

#[test]
fn a_body_of_unknown_length_goes_in_chunks_with_its_trailers() {
    run(|bench| async move {
        let (mut conn, mut endpoint) = bench.pair().await;
        let large = Bytes::from(vec![b'y'; 5000]);
        let (sender, body) = script(None);
        for piece in [Bytes::from_static(b"abc"), Bytes::new(), large, Bytes::from_static(b"d")] {
            sender.send(Ok(Frame::data(piece))).unwrap();
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        trailers.insert("content-length", "9".parse().unwrap());
        sender.send(Ok(Frame::trailers(trailers))).unwrap();
        let (head, heard) = tokio::join!(bench.send(&mut conn, &Method::POST, body), async {
            let heard = hear(&mut endpoint, b"x-sum: 1\r\n\r\n").await;
            endpoint.write_all(OK).await.unwrap();
            heard
        });
        let want = format!(
            "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1388\r\n{}\r\n1\r\nd\r\n0\r\nx-sum: 1\r\n\r\n",
            "y".repeat(5000)
        );
        assert_eq!(String::from_utf8(heard).unwrap(), want);
        assert_eq!(head.unwrap().status, 200);
    });
}

#[test]
fn small_requests_leave_in_one_write() {
    run(|bench| async move {
        let (mut conn, mut endpoint) = bench.pair().await;
        let body = whole(Some(4), &[Bytes::from_static(b"ab"), Bytes::from_static(b"cd")]);
        let (head, heard) = tokio::join!(bench.send(&mut conn, &Method::POST, body), async {
            let mut heard = vec![0; 1000];
            let read = endpoint.read(&mut heard).await.unwrap();
            heard.truncate(read);
            endpoint.write_all(OK).await.unwrap();
            heard
        });
        assert!(heard.ends_with(b"\r\n\r\nabcd"), "{}", heard.escape_ascii());
        assert_eq!(head.unwrap().status, 200);
    });
}

/// An endpoint that answers while it reads, through buffers that are smaller than the whole.
#[test]
fn the_upload_goes_on_while_the_response_streams() {
    run(|bench| async move {
        let (mut conn, mut endpoint) = bench.pair().await;
        let pieces: Vec<Bytes> = (0..64_u8).map(|byte| Bytes::from(vec![byte; 256 << 10])).collect();
        let sent = pieces.concat();
        let body = whole(Some(sent.len() as u64), &pieces);
        let echo = tokio::task::spawn_local(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(endpoint.read_u8().await.unwrap());
            }
            let length = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 * (256 << 10));
            endpoint.write_all(length.as_bytes()).await.unwrap();
            let (mut from, mut to) = endpoint.split();
            tokio::io::copy(&mut from, &mut to).await.unwrap();
        });
        let head = bench.send(&mut conn, &Method::POST, body).await.unwrap();
        let mut body = ResponseBody::new(&head, conn);
        assert!(body.is_uploading());
        let (data, _) = read(&mut body).await.unwrap();
        assert!(data == sent);
        assert!(!body.is_uploading() && body.into_idle().is_some());
        echo.await.unwrap();
    });
}

#[test]
fn informational_responses_are_passed_on() {
    run(|bench| async move {
        let raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let (data, _) = bench.ask(raw, false).await.unwrap();
        assert_eq!((data.as_slice(), bench.interim.take()), (&b"ok"[..], vec![100, 103]));
    });
}

#[test]
fn bodies_end_where_their_framing_says() {
    run(|bench| async move {
        for (raw, close, want, kept) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"[..], false, "ok", true),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, "ok", true),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1", false, "ok", false),
            (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", false, "ok", false),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false, "ok", true),
            (b"HTTP/1.1 204 No Content\r\n\r\n", false, "", true),
            (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, "", true),
            (b"HTTP/1.1 200 OK\r\n\r\nok", true, "ok", false),
            (b"HTTP/1.0 200 OK\r\n\r\nok", true, "ok", false),
            (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", false, "ok", true),
        ] {
            let (data, body) = bench.ask(raw, close).await.unwrap();
            assert_eq!(data, want.as_bytes(), "{}", raw.escape_ascii());
            assert_eq!(body.into_idle().is_some(), kept, "{}", raw.escape_ascii());
        }
    });
}
