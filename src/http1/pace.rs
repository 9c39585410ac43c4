//! How often an unfinished section of lines is read again.

/// Keeps the reading of a section that arrives in pieces linear: a large one is only looked at again when a line has
/// ended or an eighth has come, so that whoever sends it byte by byte pays for it, not we.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// Bytes that were there the last time.
    seen: usize,
}

// === impl Pace ===

impl Pace {
    /// Sections up to here are read again whatever arrives.
    const SMALL: usize = 1024;

    /// Whether `bytes` are worth a look. From `limit` on they always are: then they are refused.
    pub(super) fn is_due(self, bytes: &[u8], limit: usize) -> bool {
        let new = bytes.get(self.seen..).unwrap_or_default();
        !(Self::SMALL..limit).contains(&bytes.len()) || new.len() >= self.seen / 8 || new.contains(&b'\n')
    }

    /// The section is not finished with `len` bytes; 0 makes ready for the next one.
    pub(super) fn saw(&mut self, len: usize) {
        self.seen = len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes are read altogether if `text` arrives byte by byte.
    fn work(text: &[u8]) -> usize {
        let mut pace = Pace::default();
        let mut work = 0;
        for end in 1..=text.len() {
            if pace.is_due(&text[..end], 64 << 10) {
                work += end;
                pace.saw(end);
            }
        }
        work
    }

    #[test]
    fn a_long_line_byte_by_byte_costs_a_small_multiple_of_its_length() {
        let line = vec![b'a'; 60 << 10];
        // Half of SMALL squared, then a geometric series.
        assert!(work(&line) < 600_000 + 12 * line.len(), "{}", work(&line));
    }

    #[test]
    fn the_end_of_a_line_is_always_looked_at() {
        let mut pace = Pace::default();
        pace.saw(4000);
        let mut text = vec![b'a'; 4001];
        assert!(!pace.is_due(&text, 8000));
        text.push(b'\n');
        assert!(pace.is_due(&text, 8000));
        assert!(pace.is_due(&text, 4002));
    }
}
