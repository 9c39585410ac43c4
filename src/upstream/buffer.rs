//! Read buffers of one worker, used again and again: a connection that waits holds none.

use bytes::BytesMut;
use std::cell::RefCell;

/// What is read at once at first, and the size of a kept buffer.
pub(super) const SMALL: usize = 16 << 10;

/// Buffers kept for the next response.
const KEPT: usize = 16;

thread_local! {
    static BUFFERS: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for most responses.
pub(super) fn take() -> BytesMut {
    if let Some(mut buffer) = BUFFERS.with_borrow_mut(Vec::pop) {
        // All of it if its last response is forgotten by now, otherwise what is left of it.
        if buffer.try_reclaim(SMALL) || buffer.capacity() >= SMALL / 2 {
            return buffer;
        }
    }
    BytesMut::with_capacity(SMALL)
}

/// Keeps a buffer that is read to its end. Slices of it may still be held, by the response's head for one.
pub(super) fn give(buffer: BytesMut) {
    // Grown ones are not worth their memory.
    if buffer.is_empty() && (1..=2 * SMALL).contains(&buffer.capacity()) {
        BUFFERS.with_borrow_mut(|buffers| {
            if buffers.len() < KEPT {
                buffers.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a thread of its own: other tests leave buffers behind.
    fn alone(test: fn()) {
        std::thread::spawn(test).join().unwrap();
    }

    #[test]
    fn a_buffer_is_used_again_as_soon_as_nobody_holds_a_slice_of_it() {
        alone(|| {
            let mut buffer = take();
            buffer.extend_from_slice(b"head");
            let place = buffer.as_ptr();
            let head = buffer.split_to(4).freeze();
            give(buffer);
            let buffer = take();
            assert_eq!((buffer.as_ptr(), buffer.capacity()), (place.wrapping_add(4), SMALL - 4));
            give(buffer);
            drop(head);
            let buffer = take();
            assert_eq!((buffer.as_ptr(), buffer.capacity()), (place, SMALL));
        });
    }

    #[test]
    fn unread_and_grown_buffers_are_not_kept() {
        alone(|| {
            let unread = BytesMut::from("x");
            give(unread);
            give(BytesMut::with_capacity(3 * SMALL));
            give(BytesMut::new());
            assert_eq!(BUFFERS.with_borrow(Vec::len), 0);
        });
    }
}
