//! Names of the outside world (ExternalName, `--to`): resolved by the control plane, never by a worker. A worker
//! only ever sees addresses.

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// A name is asked for again no sooner than this, whatever its TTL says.
const SOONEST: Duration = Duration::from_secs(1);
/// And no later than this.
const LATEST: Duration = Duration::from_secs(300);
/// After a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
/// One answer may take so long.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What became of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Its addresses of both families, sorted; none where it has none or could not be resolved.
    pub addresses: Vec<IpAddr>,
    /// Why there is none.
    pub error: Option<String>,
    /// True if the failure says nothing about the name (no server answered): the last addresses may serve on.
    pub transient: bool,
    /// When to ask again.
    pub again: Duration,
}

/// Asks name servers.
pub struct Resolver(TokioResolver);

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    /// With the given servers, or the system's where there is none.
    pub fn new(servers: &[SocketAddr]) -> anyhow::Result<Self> {
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio()?
        } else {
            let servers = servers.iter().map(|server| {
                let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                for connection in &mut connections {
                    connection.port = server.port();
                }
                NameServerConfig::new(server.ip(), true, connections)
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.timeout = TIMEOUT;
        options.attempts = 1;
        // Whoever asks keeps the answer for its TTL already.
        options.cache_size = 0;
        Ok(Self(builder.build()?))
    }

    /// The addresses of `name`, taken as a full name: no search list is tried.
    pub async fn resolve(&self, name: &str) -> Lookup {
        let absolute = if name.ends_with('.') { name.to_owned() } else { format!("{name}.") };
        match self.0.lookup_ip(absolute).await {
            Ok(lookup) => {
                let mut addresses: Vec<IpAddr> = lookup.iter().collect();
                addresses.sort_unstable();
                addresses.dedup();
                let ttl = lookup.valid_until().saturating_duration_since(Instant::now());
                Lookup { addresses, error: None, transient: false, again: ttl.clamp(SOONEST, LATEST) }
            }
            Err(error) => Lookup {
                addresses: Vec::new(),
                transient: !error.is_no_records_found() && !error.is_nx_domain(),
                error: Some(error.to_string()),
                again: AFTER_FAILURE,
            },
        }
    }
}
