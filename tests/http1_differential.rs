//! The HTTP/1 codec against hyper's reading of the same bytes. We may refuse what hyper takes; what both take they
//! must take alike: method, target, fields, body, and where the next request begins; of a
//! response status, fields, body and trailers.
//!
//! `FUZZ_SECONDS` says for how long (5), `FUZZ_SEED` where to begin: a failure prints its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers stand outside #[test] functions here")]

#[path = "http1_differential/generate.rs"]
mod generate;
#[path = "http1_differential/hear.rs"]
mod hear;
#[path = "cases/smuggling.rs"]
mod smuggling;
#[path = "http1_differential/upstream.rs"]
mod upstream;

use generate::{Dice, SENTINEL};
use http::Method;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;

#[test]
fn what_hyper_and_we_both_accept_means_the_same_to_both() {
    let mut tally = Tally::default();
    let first = for_a_while(|seed, runtime| {
        let raw = generate::requests(seed);
        let compared = runtime.block_on(compare(&raw, Dice::new(seed).below(raw.len().min(64)) + 1));
        let common = compared.unwrap_or_else(|fault| {
            panic!("FUZZ_SEED={seed}: {fault}\n{}", raw.escape_ascii());
        });
        tally.count(&common);
    });
    println!("{tally:?}, from seed {first}");
    // A fuzz in which nothing is ever accepted proves nothing.
    assert!(tally.alike > tally.runs / 4, "{tally:?}");
    assert!(tally.sentinels > tally.runs / 16, "{tally:?}");
}

#[test]
fn a_response_that_hyper_and_we_both_accept_means_the_same_to_both() {
    let (mut runs, mut alike, mut refused) = (0_u64, 0_u64, 0_u64);
    let first = for_a_while(|seed, runtime| {
        let raw = upstream::response(seed);
        let method = if seed % 8 == 0 { Method::HEAD } else { Method::GET };
        let ours = upstream::ours(&raw, &method, raw.len());
        let in_pieces = upstream::ours(&raw, &method, Dice::new(seed).below(raw.len().min(64)) + 1);
        let theirs = runtime.block_on(upstream::hypers(&raw, &method));
        let agreed = match (&ours, &theirs) {
            (Some(ours), Some(theirs)) => ours.agrees_with(theirs),
            (None, _) | (_, None) => true,
        };
        assert!(
            agreed && ours == in_pieces,
            "FUZZ_SEED={seed}: {method}\n{}\nours    {ours:?}\npieces  {in_pieces:?}\nhyper's {theirs:?}",
            raw.escape_ascii()
        );
        runs += 1;
        alike += u64::from(ours.is_some() && theirs.is_some());
        refused += u64::from(ours.is_none() && theirs.is_some());
    });
    println!("{runs} responses, {alike} taken by both, {refused} by hyper alone, from seed {first}");
    assert!(alike > runs / 4 && refused > 0);
}

/// Calls `run` with one seed after the other for as long as the environment says; returns the first.
fn for_a_while(mut run: impl FnMut(u64, &Runtime)) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = Instant::now();
    let time = Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(5));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let first = number("FUZZ_SEED").unwrap_or(now);
    for seed in (0..).map(|index| first.wrapping_add(index)) {
        run(seed, &runtime);
        if start.elapsed() >= time {
            break;
        }
    }
    first
}

/// What the runs were worth.
#[derive(Debug, Default)]
struct Tally {
    runs: u64,
    /// At least one request was understood by both.
    alike: u64,
    /// Both found the request behind the first ones.
    sentinels: u64,
}

impl Tally {
    fn count(&mut self, common: &[hear::Request]) {
        self.runs += 1;
        self.alike += u64::from(!common.is_empty());
        self.sentinels +=
            u64::from(common.len() > 1 && common.iter().any(|request| request.target == SENTINEL));
    }
}

/// The requests that both took, or how they differ.
async fn compare(raw: &[u8], piece: usize) -> Result<Vec<hear::Request>, String> {
    let ours = hear::ours(raw, raw.len());
    let in_pieces = hear::ours(raw, piece);
    if ours != in_pieces {
        return Err(format!("pieces of {piece}:\n{ours:?}\n{in_pieces:?}"));
    }
    let theirs = hear::hypers(raw).await;
    for (index, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        if !ours.agrees_with(theirs) {
            return Err(format!("request {index}:\nours   {ours:?}\nhyper's {theirs:?}"));
        }
    }
    let common = ours.len().min(theirs.len());
    Ok(ours.into_iter().take(common).collect())
}

#[allow(clippy::disallowed_methods, reason = "a test has no command line of its own")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
