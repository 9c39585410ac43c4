//! How many retries a worker may make: a fifth of its recent requests, and ten per second in any case. A backend
//! in trouble must not get the double of its traffic from us.

/// Share of requests that may be retried, in hundredths.
const SHARE: u64 = 20;
/// Retries per second that are always granted.
const FLOOR: u64 = 10;
/// Seconds that are recent.
const WINDOW: usize = 10;

/// Counts by second; the second is an argument.
#[derive(Clone, Debug, Default)]
pub struct RetryBudget {
    requests: [u64; WINDOW],
    retries: [u64; WINDOW],
    second: u64,
}

impl RetryBudget {
    /// A request began.
    pub fn request(&mut self, second: u64) {
        self.advance(second);
        let slot = slot(second);
        if let Some(count) = self.requests.get_mut(slot) {
            *count += 1;
        }
    }

    /// Whether one more retry is granted; if so it is counted.
    pub fn retry(&mut self, second: u64) -> bool {
        self.advance(second);
        let slot = slot(second);
        let this_second = self.retries.get(slot).copied().unwrap_or(0);
        let all: u64 = self.retries.iter().sum();
        let recent: u64 = self.requests.iter().sum();
        let granted = this_second < FLOOR || (all + 1) * 100 <= recent * SHARE;
        if granted && let Some(count) = self.retries.get_mut(slot) {
            *count += 1;
        }
        granted
    }

    fn advance(&mut self, second: u64) {
        let passed = second.saturating_sub(self.second).min(WINDOW as u64);
        for step in 1..=passed {
            let slot = slot(second - passed + step);
            if let (Some(requests), Some(retries)) = (self.requests.get_mut(slot), self.retries.get_mut(slot))
            {
                (*requests, *retries) = (0, 0);
            }
        }
        self.second = self.second.max(second);
    }
}

fn slot(second: u64) -> usize {
    (second % WINDOW as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_a_second_are_always_granted() {
        let mut budget = RetryBudget::default();
        for second in 0..3 {
            let granted = (0..50).filter(|_| budget.retry(second)).count();
            assert_eq!(granted, 10);
        }
    }

    #[test]
    fn a_fifth_of_recent_requests_is_granted() {
        let mut budget = RetryBudget::default();
        (0..1_000).for_each(|_| budget.request(5));
        assert_eq!((0..1_000).filter(|_| budget.retry(5)).count(), 200);
        // Ten seconds later they are no longer recent.
        assert_eq!((0..1_000).filter(|_| budget.retry(15)).count(), 10);
    }
}
