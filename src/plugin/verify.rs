//! Verifying passwords without blocking a worker: a success is remembered for a minute, anything else is hashed on
//! a few threads of its own behind a bounded queue.

use super::htpasswd::Verifier;
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a success is remembered.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Independent parts of the memory, so that workers seldom meet.
const SHARDS: usize = 16;
/// Successes per part; above it, old ones are forgotten, then all.
const SHARD_SIZE: usize = 1024;
/// Passwords that may wait. At bcrypt's usual cost that is some seconds of work, the time a hook may take anyway.
const QUEUE: usize = 128;
/// Hashing threads at most.
const THREADS: usize = 4;

/// What is to be verified. The bytes belong to Lua.
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    /// Against what.
    pub verifier: &'a Verifier,
    /// Who says to be who.
    pub user: &'a [u8],
    /// And proves it so.
    pub password: &'a [u8],
}

/// What is known already.
#[derive(Debug)]
pub enum Remembered {
    /// It was right less than a minute ago.
    Good,
    /// Not known; this is the key under which a success will be remembered.
    Unknown(Key),
}

/// A keyed hash of credentials: the memory holds nothing to log in with.
pub type Key = [u8; 32];

/// Where the answer comes.
#[derive(Debug)]
pub struct Ticket(oneshot::Receiver<bool>);

impl Ticket {
    /// Whether the password is right. A pool that is gone says no.
    pub async fn answer(self) -> bool {
        self.0.await.unwrap_or(false)
    }
}

/// The memory and the pool; one in a process.
pub struct Verifications {
    secret: [u8; 32],
    good: [Mutex<HashMap<Key, Instant>>; SHARDS],
    pool: OnceLock<Arc<Queue>>,
}

#[derive(Default)]
struct Queue {
    jobs: Mutex<Jobs>,
    more: Condvar,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    closed: bool,
}

struct Job {
    verifier: Verifier,
    user: Box<[u8]>,
    password: Box<[u8]>,
    key: Key,
    reply: oneshot::Sender<bool>,
}

impl std::fmt::Debug for Verifications {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifications")
    }
}

impl Default for Verifications {
    fn default() -> Self {
        Self { secret: secret(), good: std::array::from_fn(|_| Mutex::default()), pool: OnceLock::new() }
    }
}

/// Random bytes from the operating system, by way of std's hash keys.
fn secret() -> [u8; 32] {
    let mut hash = Sha256::new();
    for index in 0..4_u8 {
        hash.update(RandomState::new().hash_one(index).to_le_bytes());
    }
    hash.finalize().into()
}

impl Verifications {
    /// Whether the credentials were right a short time ago.
    pub fn remembered(&self, credentials: &Credentials<'_>) -> Remembered {
        let key = self.key(credentials);
        let good = self.shard(&key).lock().unwrap_or_else(PoisonError::into_inner);
        match good.get(&key) {
            Some(since) if since.elapsed() < REMEMBERED => Remembered::Good,
            _ => Remembered::Unknown(key),
        }
    }

    /// Has the credentials verified; none where too many wait already.
    pub fn submit(self: &Arc<Self>, credentials: &Credentials<'_>, key: Key) -> Option<Ticket> {
        let queue = self.pool.get_or_init(|| start(self));
        let (reply, ticket) = oneshot::channel();
        let mut jobs = queue.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.waiting.retain(|job| !job.reply.is_closed());
        if jobs.waiting.len() >= QUEUE || jobs.closed {
            return None;
        }
        jobs.waiting.push_back(Job {
            verifier: credentials.verifier.clone(),
            user: credentials.user.into(),
            password: credentials.password.into(),
            key,
            reply,
        });
        drop(jobs);
        queue.more.notify_one();
        Some(Ticket(ticket))
    }

    fn key(&self, credentials: &Credentials<'_>) -> Key {
        Sha256::new()
            .chain_update(self.secret)
            .chain_update(credentials.verifier.id())
            .chain_update((credentials.user.len() as u64).to_le_bytes())
            .chain_update(credentials.user)
            .chain_update(credentials.password)
            .finalize()
            .into()
    }

    fn shard(&self, key: &Key) -> &Mutex<HashMap<Key, Instant>> {
        let [first, ..] = key;
        let [fallback, ..] = &self.good;
        self.good.get(usize::from(*first) % SHARDS).unwrap_or(fallback)
    }

    fn remember(&self, key: Key) {
        let mut good = self.shard(&key).lock().unwrap_or_else(PoisonError::into_inner);
        if good.len() >= SHARD_SIZE {
            good.retain(|_, since| since.elapsed() < REMEMBERED);
        }
        if good.len() >= SHARD_SIZE {
            good.clear();
        }
        good.insert(key, Instant::now());
    }
}

impl Drop for Verifications {
    fn drop(&mut self) {
        if let Some(queue) = self.pool.get() {
            queue.jobs.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
            queue.more.notify_all();
        }
    }
}

fn start(verifications: &Arc<Verifications>) -> Arc<Queue> {
    let queue = Arc::new(Queue::default());
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    let started = (0..threads)
        .filter(|_| {
            let (queue, memory) = (Arc::clone(&queue), Arc::downgrade(verifications));
            let work = move || {
                while let Some(job) = next(&queue) {
                    if job.reply.is_closed() {
                        continue; // its request is gone
                    }
                    let good = job.verifier.verify(&job.user, &job.password);
                    if let (true, Some(memory)) = (good, memory.upgrade()) {
                        memory.remember(job.key);
                    }
                    let _gone = job.reply.send(good);
                }
            };
            thread::Builder::new().name("moongate-verify".into()).spawn(work).is_ok()
        })
        .count();
    if started == 0 {
        tracing::error!("no thread to verify passwords: every new login is refused");
        queue.jobs.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
    }
    queue
}

fn next(queue: &Queue) -> Option<Job> {
    let mut jobs = queue.jobs.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(job) = jobs.waiting.pop_front() {
            return Some(job);
        }
        if jobs.closed {
            return None;
        }
        jobs = queue.more.wait(jobs).unwrap_or_else(PoisonError::into_inner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials<'a>(verifier: &'a Verifier, password: &'a str) -> Credentials<'a> {
        Credentials { verifier, user: b"alice", password: password.as_bytes() }
    }

    #[tokio::test]
    async fn a_success_is_remembered_and_a_failure_is_not() {
        let all = Arc::new(Verifications::default());
        let verifier = Verifier::parse(b"alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=").unwrap();
        for (password, want) in [("password", true), ("guess", false)] {
            let asked = credentials(&verifier, password);
            let Remembered::Unknown(key) = all.remembered(&asked) else { panic!("known before") };
            assert_eq!(all.submit(&asked, key).unwrap().answer().await, want);
            assert_eq!(matches!(all.remembered(&asked), Remembered::Good), want);
        }
        let changed = Verifier::parse(b"# new\nalice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=").unwrap();
        assert!(matches!(all.remembered(&credentials(&changed, "password")), Remembered::Unknown(_)));
    }

    #[test]
    fn a_full_queue_refuses() {
        let all = Arc::new(Verifications::default());
        let verifier =
            Verifier::parse(format!("alice:{}", bcrypt::hash("x", 12).unwrap()).as_bytes()).unwrap();
        let asked = credentials(&verifier, "y");
        let Remembered::Unknown(key) = all.remembered(&asked) else { panic!("known before") };
        let tickets: Vec<_> =
            std::iter::from_fn(|| all.submit(&asked, key)).take(QUEUE + THREADS + 1).collect();
        assert!(tickets.len() <= QUEUE + THREADS);
        assert!(all.submit(&asked, key).is_none());
    }
}
