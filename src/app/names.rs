//! Keeps the names of ExternalName Services looked up: each again when its TTL is over, off the workers and off
//! the reconcile loop.

use crate::control::{Resolution, WantedName};
use crate::upstream::{Lookup, Resolver};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// How long the addresses of a name are used on while no server says what they are now. After that the Service
/// has none: answering 503 is better than sending requests to somebody else's address.
const STALE: Duration = Duration::from_secs(60);

/// One name.
struct Known {
    /// When to ask again; none while a question is out.
    next: Option<Instant>,
    /// What was told last.
    told: Option<Vec<IpAddr>>,
    /// When a server last answered.
    fresh: Instant,
}

/// Looks up what is wanted until nobody wants anything any more.
pub(super) async fn resolve(
    servers: Vec<SocketAddr>,
    mut wanted: watch::Receiver<BTreeSet<WantedName>>,
    answers: mpsc::Sender<(Arc<str>, Resolution)>,
) {
    // The resolver is made with the first name: most processes never need one.
    let mut resolver: Option<Arc<Resolver>> = None;
    let mut known: BTreeMap<Arc<str>, Known> = BTreeMap::new();
    let mut asking: JoinSet<(Arc<str>, Lookup)> = JoinSet::new();
    loop {
        let now = Instant::now();
        for (name, entry) in &mut known {
            if entry.next.is_none_or(|next| next > now) {
                continue;
            }
            let made = match &resolver {
                Some(resolver) => Ok(resolver.clone()),
                None => Resolver::new(&servers).map(Arc::new),
            };
            match made {
                Ok(made) => {
                    entry.next = None;
                    let (name, asked) = (name.clone(), made.clone());
                    asking.spawn(async move {
                        let lookup = asked.resolve(&name).await;
                        (name, lookup)
                    });
                    resolver = Some(made);
                }
                Err(error) => {
                    tracing::error!(%error, "names cannot be resolved");
                    entry.next = Some(now + STALE);
                    let failed = Resolution::Failed(format!("no resolver: {error}").into());
                    if answers.send((name.clone(), failed)).await.is_err() {
                        return;
                    }
                }
            }
        }
        let next = known.values().filter_map(|entry| entry.next).min();
        tokio::select! {
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                follow(&wanted.borrow_and_update(), &mut known);
                // Control forgets a name when nobody wants it. That may have been so for a moment that we did not
                // see, so it is told again of those that stayed.
                for (name, entry) in &known {
                    let Some(told) = entry.told.clone() else { continue };
                    if answers.send((name.clone(), Resolution::Addresses(told))).await.is_err() {
                        return;
                    }
                }
            }
            Some(Ok((name, lookup))) = asking.join_next() => {
                let Some(entry) = known.get_mut(&name) else { continue };
                let answer = entry.take(lookup);
                if let Some(answer) = answer
                    && answers.send((name, answer)).await.is_err()
                {
                    return;
                }
            }
            () = sleep_until(next.unwrap_or(now)), if next.is_some() => {}
        }
    }
}

/// Forgets what is no longer wanted, and asks for what is new.
fn follow(wanted: &BTreeSet<WantedName>, known: &mut BTreeMap<Arc<str>, Known>) {
    let hosts: BTreeSet<&Arc<str>> = wanted.iter().map(|name| &name.host).collect();
    known.retain(|host, _| hosts.contains(host));
    let now = Instant::now();
    for host in hosts {
        known.entry(host.clone()).or_insert(Known { next: Some(now), told: None, fresh: now });
    }
}

impl Known {
    /// What control is to be told, if anything new.
    fn take(&mut self, lookup: Lookup) -> Option<Resolution> {
        let now = Instant::now();
        self.next = Some(now + lookup.again);
        let Some(error) = lookup.error else {
            self.fresh = now;
            if self.told.as_ref() == Some(&lookup.addresses) {
                return None;
            }
            self.told = Some(lookup.addresses.clone());
            return Some(Resolution::Addresses(lookup.addresses));
        };
        if lookup.transient && self.told.is_some() && now.duration_since(self.fresh) < STALE {
            return None;
        }
        self.told = None;
        Some(Resolution::Failed(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    /// A name server that says 192.0.2.7 of every name.
    fn server() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut packet = [0; 1_500];
            while let Ok((_, peer)) = socket.recv_from(&mut packet) {
                let name = 13 + packet.iter().skip(12).position(|byte| *byte == 0).unwrap();
                let is_v4 = packet[name..name + 2] == [0, 1];
                let mut answer = packet[..2].to_vec();
                answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_v4), 0, 0, 0, 0]);
                answer.extend(&packet[12..name + 4]);
                if is_v4 {
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 192, 0, 2, 7]);
                }
                socket.send_to(&answer, peer).unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn a_name_that_was_not_wanted_for_a_moment_is_told_again() {
        let name = WantedName { host: "x.test".into(), operator: false };
        let (names, wanted) = watch::channel(BTreeSet::from([name.clone()]));
        let (answers, mut told) = mpsc::channel(8);
        names.send_replace(BTreeSet::from([name.clone()]));
        let resolving = tokio::spawn(resolve(vec![server()], wanted, answers));
        let want = ("x.test".into(), Resolution::Addresses(vec![[192, 0, 2, 7].into()]));
        let mut answer = async || tokio::time::timeout(Duration::from_secs(10), told.recv()).await.unwrap();
        assert_eq!(answer().await, Some(want.clone()));
        // Both before the resolver looks: it never sees the set without the name.
        names.send_replace(BTreeSet::new());
        names.send_replace(BTreeSet::from([name]));
        assert_eq!(answer().await, Some(want));
        resolving.abort();
    }
}
