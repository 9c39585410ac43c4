//! How the process is set up: the command line, the environment and `--config`, resolved. Defaults are those of
//! `design.md` 1 and are written down here and nowhere else.

use crate::ground::names::EntryPoints;
use crate::ground::net::CidrSet;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything `serve` needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where routes come from.
    pub sources: Sources,
    /// Folders of plugins.
    pub plugin_dirs: Vec<PathBuf>,
    /// Where clients come in.
    pub entrypoints: Vec<EntryPoint>,
    /// The admin address.
    pub admin: SocketAddr,
    /// Bearer token for POSTs that do not come from loopback.
    pub admin_token: Option<Token>,
    /// Whose Ingresses are ours.
    pub classes: Classes,
    /// Only these namespaces; empty is all.
    pub namespaces: Vec<Arc<str>>,
    /// Follow ExternalName Services that a cluster declares (files may always).
    pub allow_external_names: bool,
    /// Name servers for ExternalName; empty is the system's configuration.
    pub nameservers: Vec<SocketAddr>,
    /// Worker threads.
    pub workers: usize,
    /// How long a stop waits for what is in flight.
    pub grace: Duration,
    /// How requests are logged.
    pub access_log: AccessLog,
    /// Level of the process's own log.
    pub log_level: LogLevel,
    /// Any failing plugin file rejects the whole set.
    pub strict: bool,
    /// Timeouts and sizes.
    pub limits: Limits,
    /// What the operator says about plugins.
    pub plugins: PluginSettings,
}

/// A secret text. It cannot be formatted, so that no log line shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

impl Token {
    /// Hides `text`.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text, to compare with.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Where routes come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Files and folders of manifests.
    pub manifests: Vec<PathBuf>,
    /// `--to HOST:PORT`: one route for everything.
    pub to: Option<(Arc<str>, u16)>,
}

/// Whose Ingresses are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    /// `--ingress-class`: names that are ours by name.
    pub names: Vec<Arc<str>>,
    /// `--controller`: values of an IngressClass's `spec.controller` that are ours.
    pub controllers: Vec<Arc<str>>,
    /// Ingresses without any class are ours (always so in standalone mode).
    pub adopt_unclassed: bool,
}

impl Default for Classes {
    fn default() -> Self {
        Self {
            names: vec!["moongate".into(), "traefik".into()],
            controllers: vec!["moongate.io/ingress-controller".into()],
            adopt_unclassed: false,
        }
    }
}

/// Where clients come in: `--entrypoint NAME=ADDR[,OPT]`.
#[derive(Clone, Debug)]
pub struct EntryPoint {
    /// Its name, as annotations say it.
    pub name: Arc<str>,
    /// Where it listens; `[::]` takes both families.
    pub address: SocketAddr,
    /// Peers whose `X-Forwarded-*` are believed: option `trusted-proxies`.
    pub trusted_proxies: Arc<CidrSet>,
    /// Runs of `/` become one before matching: option `merge-slashes`.
    pub merge_slashes: bool,
    /// `%2F`, `%5C` and `\` in a path are refused with 400: option `refuse-encoded-slashes`.
    pub refuse_encoded_slashes: bool,
    /// Header names with underscores are kept: option `allow-underscores`.
    pub allow_underscores: bool,
}

impl EntryPoint {
    /// One with default options.
    pub fn new(name: impl Into<Arc<str>>, address: SocketAddr) -> Self {
        Self {
            name: name.into(),
            address,
            trusted_proxies: Arc::new(CidrSet::default()),
            merge_slashes: false,
            refuse_encoded_slashes: false,
            allow_underscores: false,
        }
    }
}

/// The set of all of `entrypoints` that `name` means, if there is one of that name.
pub fn entrypoint_named(entrypoints: &[EntryPoint], name: &str) -> Option<EntryPoints> {
    entrypoints
        .iter()
        .position(|entrypoint| &*entrypoint.name == name)
        .map(|index| EntryPoints::one(index as u8))
}

/// `--access-log`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum AccessLog {
    /// None.
    #[default]
    Off,
    /// Common log format with Traefik 1.x's additions.
    Common,
    /// One JSON object a line.
    Json,
}

/// `--log-level`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum LogLevel {
    /// Only what is broken.
    Error,
    /// And what probably is.
    Warn,
    /// And what changed.
    #[default]
    Info,
    /// And why.
    Debug,
    /// And everything.
    Trace,
}

/// Timeouts and sizes (`limits:` in the config file, same names with dashes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until a request's head is complete: 408.
    pub header_timeout: Duration,
    /// Between requests of a connection.
    pub idle_timeout: Duration,
    /// Between two reads of a request body: 408.
    pub body_timeout: Duration,
    /// Of a request's head in bytes: 431.
    pub head_size: usize,
    /// Of header fields: 431.
    pub head_fields: usize,
    /// Of the request target in bytes: 414.
    pub target_size: usize,
    /// Connections per worker.
    pub connections: usize,
    /// Idle upstream connections are closed after it.
    pub upstream_idle_timeout: Duration,
    /// CPU of one hook call.
    pub hook_cpu: Duration,
    /// CPU of one `configure`.
    pub configure_cpu: Duration,
    /// CPU of one plugin test.
    pub test_cpu: Duration,
    /// A hook's time with waiting.
    pub hook_wall: Duration,
    /// Memory of one VM in bytes.
    pub vm_memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(60),
            head_size: 64 << 10,
            head_fields: 100,
            target_size: 16 << 10,
            connections: 10_000,
            upstream_idle_timeout: Duration::from_secs(90),
            hook_cpu: Duration::from_millis(10),
            configure_cpu: Duration::from_millis(50),
            test_cpu: Duration::from_secs(1),
            hook_wall: Duration::from_secs(5),
            vm_memory: 32 << 20,
        }
    }
}

/// What the operator says about plugins (`plugins:` in the config file).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PluginSettings {
    /// Plugins that are not loaded.
    pub disable: Vec<Arc<str>>,
    /// Capabilities that are not granted, to any plugin.
    pub deny: Vec<Arc<str>>,
    /// `ctx.settings` by plugin name, each value a text.
    pub settings: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<str>>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sources: Sources::default(),
            plugin_dirs: Vec::new(),
            entrypoints: vec![EntryPoint::new("http", SocketAddr::from(([0u16; 8], 8000)))],
            admin: SocketAddr::from(([127, 0, 0, 1], 8580)),
            admin_token: None,
            classes: Classes::default(),
            namespaces: Vec::new(),
            allow_external_names: false,
            nameservers: Vec::new(),
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            grace: Duration::from_secs(30),
            access_log: AccessLog::Off,
            log_level: LogLevel::Info,
            strict: false,
            limits: Limits::default(),
            plugins: PluginSettings::default(),
        }
    }
}
