//! What goes wrong, and what may be done about it.

use super::*;

/// What an error allows: `n`othing was sent, `u`nanswered, or neither.
fn class(error: &SendError) -> (char, &'static str) {
    let class = match (error.is_unsent(), error.is_unanswered()) {
        (true, _) => 'n',
        (false, true) => 'u',
        (false, false) => '-',
    };
    (class, error.label())
}

#[test]
fn an_error_says_whether_the_request_may_be_tried_again() {
    run(|bench| async move {
        for (raw, want) in [
            (&b""[..], ('u', "upstream closed")),
            (b"HTTP/1.1 200", ('-', "upstream closed")),
            (b"HTTP/1.1 100 Continue\r\n\r\n", ('-', "upstream closed")),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", ('-', "upstream closed")),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", ('-', "upstream closed")),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz", ('-', "bad response")),
            (b"SMTP ready\r\n", ('-', "bad response")),
            (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", ('-', "bad response")),
        ] {
            let Err(error) = bench.ask(raw, true).await else { panic!("{}", raw.escape_ascii()) };
            assert_eq!(class(&error), want, "{}: {error}", raw.escape_ascii());
        }
    });
}

#[test]
fn nobody_listens() {
    run(|bench| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert_eq!(class(&bench.connect(address).await.unwrap_err()), ('n', "connect error"));
    });
}

#[test]
fn a_flood_of_informational_responses_ends() {
    run(|bench| async move {
        let flood = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
        let error = bench.ask(&flood, false).await.unwrap_err();
        assert_eq!(error.to_string(), "bad response: response-informational-flood");
        assert!(bench.interim.borrow().len() < 40);
    });
}

/// The kernel may have a reset for us before we have read the answer.
#[test]
fn an_early_answer_is_heard_although_the_endpoint_hangs_up_on_the_upload() {
    run(|bench| async move {
        for _ in 0..50 {
            let (mut conn, mut endpoint) = bench.pair().await;
            let pieces = vec![Bytes::from(vec![b'x'; 1 << 20]); 16];
            let body = whole(Some(16 << 20), &pieces);
            let hangs_up = tokio::task::spawn_local(async move {
                let mut some = [0; 10];
                endpoint.read_exact(&mut some).await.unwrap();
                let raw = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";
                endpoint.write_all(raw).await.unwrap();
            });
            let head = bench.send(&mut conn, &Method::POST, body).await.unwrap();
            assert_eq!(head.status, 413);
            let mut body = ResponseBody::new(&head, conn);
            assert_eq!(read(&mut body).await.unwrap().0, b"no");
            assert!(body.into_idle().is_none());
            hangs_up.await.unwrap();
        }
    });
}

#[test]
fn an_early_answer_does_not_make_a_half_written_request_whole() {
    run(|bench| async move {
        let (mut conn, mut endpoint) = bench.pair().await;
        let (sender, body) = script(Some(10));
        sender.send(Ok(Frame::data(Bytes::from_static(b"12345")))).unwrap();
        let (head, ()) = tokio::join!(bench.send(&mut conn, &Method::POST, body), async {
            hear(&mut endpoint, b"12345").await;
            endpoint.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        });
        let body = ResponseBody::new(&head.unwrap(), conn);
        assert!(body.is_finished() && body.is_uploading());
        assert!(body.into_idle().is_none());
    });
}

#[test]
fn a_body_that_fails_or_is_not_as_long_as_it_said_is_the_clients_fault() {
    run(|bench| async move {
        let piece = || Ok(Frame::data(Bytes::from_static(b"12345")));
        for (length, steps) in [
            (Some(10), vec![piece()]),
            (Some(3), vec![piece()]),
            (Some(10), vec![piece(), Err("gone")]),
            (None, vec![piece(), Err("gone")]),
        ] {
            let (mut conn, _endpoint) = bench.pair().await;
            let (sender, body) = script(length);
            for step in steps {
                sender.send(step).unwrap();
            }
            drop(sender);
            let error = bench.send(&mut conn, &Method::POST, body).await.unwrap_err();
            assert_eq!(class(&error), ('-', "request body"));
            // Nothing else may go behind half a request.
            let error = bench.get(&mut conn).await.unwrap_err();
            assert_eq!(class(&error), ('n', "upstream closed"));
        }
    });
}

#[test]
fn a_dropped_request_spoils_its_connection() {
    run(|bench| async move {
        let (mut conn, _endpoint) = bench.pair().await;
        let given_up = tokio::time::timeout(Duration::ZERO, bench.get(&mut conn)).await;
        assert!(given_up.is_err());
        assert_eq!(class(&bench.get(&mut conn).await.unwrap_err()), ('n', "upstream closed"));
    });
}

/// Polls `future` once; none while it waits.
async fn once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    // A turn of the runtime first, so that what the sockets know is known.
    tokio::task::yield_now().await;
    poll_fn(|cx| match Pin::new(&mut *future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[test]
fn a_silent_endpoint_runs_out_of_time() {
    run(|bench| async move {
        let (mut conn, _endpoint) = bench.pair().await;
        let mut sending = Box::pin(bench.get(&mut conn));
        assert!(once(&mut sending).await.is_none());
        bench.pass(PATIENCE);
        let error = once(&mut sending).await.unwrap().unwrap_err();
        assert_eq!((class(&error), error.status().as_u16()), (('-', "response timeout"), 504));
    });
}

#[test]
fn a_slow_client_is_not_the_endpoints_fault() {
    run(|bench| async move {
        let (mut conn, _endpoint) = bench.pair().await;
        let (sender, body) = script(Some(3));
        let mut sending = Box::pin(bench.send(&mut conn, &Method::POST, body));
        for _ in 0..3 {
            assert!(once(&mut sending).await.is_none());
            bench.pass(PATIENCE);
            assert!(once(&mut sending).await.is_none());
            sender.send(Ok(Frame::data(Bytes::from_static(b"x")))).unwrap();
        }
        // Now it is the endpoint's turn.
        assert!(once(&mut sending).await.is_none());
        bench.pass(PATIENCE);
        let error = once(&mut sending).await.unwrap().unwrap_err();
        assert_eq!(class(&error), ('-', "response timeout"));
    });
}

#[test]
fn an_informational_response_buys_time() {
    run(|bench| async move {
        let (mut conn, mut endpoint) = bench.pair().await;
        let mut sending = Box::pin(bench.get(&mut conn));
        assert!(once(&mut sending).await.is_none());
        bench.pass(PATIENCE / 2);
        endpoint.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.unwrap();
        while bench.interim.borrow().is_empty() {
            assert!(once(&mut sending).await.is_none());
        }
        bench.pass(PATIENCE * 3 / 4);
        assert!(once(&mut sending).await.is_none());
        bench.pass(PATIENCE / 2);
        assert!(once(&mut sending).await.is_some());
    });
}
