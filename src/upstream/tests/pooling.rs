//! Which connections are kept, and for how long.

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A connection that has served one request, given to the pool, and its other end.
async fn kept(bench: &Bench, pool: &Pool<Script>, endpoint: &Arc<EndpointState>, most: u32) -> TcpStream {
    let (conn, mut other) = bench.pair().await;
    exchange(bench, conn, &mut other, (pool, endpoint, most)).await;
    other
}

async fn exchange(
    bench: &Bench,
    mut conn: Box<Conn<Script>>,
    other: &mut TcpStream,
    (pool, endpoint, most): (&Pool<Script>, &Arc<EndpointState>, u32),
) {
    let (head, ()) = tokio::join!(bench.get(&mut conn), answer(other, OK));
    let mut body = ResponseBody::new(&head.unwrap(), conn);
    assert_eq!(read(&mut body).await.unwrap().0, b"ok");
    pool.give(endpoint, body, most);
}

async fn take(pool: &Pool<Script>, endpoint: &EndpointState) -> Option<Box<Conn<Script>>> {
    poll_fn(|cx| Poll::Ready(pool.take(endpoint, cx))).await
}

#[test]
fn a_connection_serves_many_requests() {
    run(|bench| async move {
        let (pool, state) = (bench.pool(), endpoint(1));
        let mut other = kept(&bench, &pool, &state, 4).await;
        for _ in 0..5 {
            let conn = take(&pool, &state).await.unwrap();
            assert!(conn.is_reused() && pool.is_empty());
            exchange(&bench, conn, &mut other, (&pool, &state, 4)).await;
        }
        assert_eq!(pool.len(), 1);
        assert!(take(&pool, &endpoint(2)).await.is_none());
    });
}

#[test]
fn the_last_one_in_is_the_first_one_out_and_no_more_than_allowed_are_kept() {
    run(|bench| async move {
        let (pool, state) = (bench.pool(), endpoint(1));
        let _first = kept(&bench, &pool, &state, 2).await;
        let mut second = kept(&bench, &pool, &state, 2).await;
        let _third = kept(&bench, &pool, &state, 2).await;
        assert_eq!(pool.len(), 2);
        let conn = take(&pool, &state).await.unwrap();
        exchange(&bench, conn, &mut second, (&pool, &state, 2)).await;
    });
}

#[test]
fn a_connection_that_was_closed_or_speaks_unasked_is_not_given_out() {
    run(|bench| async move {
        let (pool, state) = (bench.pool(), endpoint(1));
        for closes in [true, false] {
            let mut other = kept(&bench, &pool, &state, 4).await;
            assert_eq!(pool.len(), 1);
            if closes {
                other.shutdown().await.unwrap();
            } else {
                other.write_all(OK).await.unwrap();
            }
            while !pool.is_empty() {
                pool.sweep();
                tokio::task::yield_now().await;
            }
            assert!(take(&pool, &state).await.is_none());
        }
    });
}

/// The close is in the kernel, but this worker has not been told yet.
#[test]
fn what_cannot_be_repeated_is_not_sent_into_a_closed_connection() {
    run(|bench| async move {
        let (pool, state) = (bench.pool(), endpoint(1));
        for (method, length, speaks, unsent) in [
            (Method::POST, 0, false, true),
            (Method::POST, 0, true, true),
            (Method::PUT, 3, false, true),
            (Method::GET, 0, false, false),
        ] {
            let other = kept(&bench, &pool, &state, 4).await;
            if speaks {
                socket2::SockRef::from(&other).send(OK).unwrap();
            }
            drop(other);
            let mut conn = take(&pool, &state).await.unwrap();
            let (_sender, body) = script(Some(length));
            let error = bench.send(&mut conn, &method, body).await.unwrap_err();
            assert!(conn.is_reused());
            assert_eq!((error.is_unsent(), error.is_unanswered()), (unsent, true), "{method}: {error}");
        }
    });
}

#[test]
fn what_is_too_old_is_swept() {
    run(|bench| async move {
        let (pool, state) = (bench.pool(), endpoint(1));
        let _old = kept(&bench, &pool, &state, 4).await;
        bench.pass(Duration::from_secs(60));
        let _young = kept(&bench, &pool, &state, 4).await;
        pool.sweep();
        assert_eq!(pool.len(), 2);
        bench.pass(Duration::from_secs(60));
        pool.sweep();
        assert_eq!(pool.len(), 1);
        bench.pass(Duration::from_secs(60));
        pool.sweep();
        assert!(pool.is_empty());
    });
}

#[test]
fn connections_to_an_endpoint_that_is_no_more_are_closed() {
    run(|bench| async move {
        let (pool, state) = (bench.pool(), endpoint(1));
        let mut other = kept(&bench, &pool, &state, 4).await;
        pool.sweep();
        assert_eq!(pool.len(), 1);
        drop(state);
        pool.sweep();
        assert!(pool.is_empty());
        assert_eq!(other.read(&mut [0]).await.unwrap(), 0);
    });
}
