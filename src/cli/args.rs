//! The flags, as clap knows them. Values stay texts here: [`settings`](super::settings) checks them, so that a
//! flag, an environment name and a config key are checked by the same rule and fail with the same text.

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;

/// A programmable Kubernetes ingress controller and reverse proxy: mechanism in Rust, meaning in Lua.
#[derive(Debug, Parser)]
#[command(name = "moongate", version, disable_version_flag = true, after_help = AFTER)]
#[command(arg_required_else_help = true, max_term_width = 110, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER: &str = "\
Try it:
  moongate demo                                    two backends, a few routes, all on loopback
  moongate serve --to 127.0.0.1:3000               one upstream behind http://localhost:8000
  moongate serve --manifests ./deploy --plugins ./plugins
  moongate check --manifests ./deploy              every problem, before it is live

Every flag is also a key of --config FILE (YAML) and an environment name: --access-log is access-log: and
MOONGATE_ACCESS_LOG. A flag wins over the environment, the environment over the file.

Exit codes: 0 good, 1 the input has problems, 2 wrong usage.";

/// What to do.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "one value, made once")]
pub enum Command {
    /// Route traffic: listen, load routes and plugins, watch them
    Serve(Serve),
    /// Say every problem of manifests and plugins, offline
    Check(Check),
    /// Say which route answers a URL, which plugins act, and why not the others
    Explain(Explain),
    /// Try it: serve deploy/quickstart with two small backends, on loopback
    Demo(Demo),
    /// Run a tiny backend that answers with the request as it arrived, as JSON
    Whoami(Whoami),
    /// Say which version this is
    Version,
}

/// `moongate serve`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  moongate serve --manifests ./deploy
  moongate serve --manifests ./deploy --plugins ./plugins --access-log common
  moongate serve --to 127.0.0.1:3000 --entrypoint http=127.0.0.1:8000
  moongate serve --manifests ./deploy --entrypoint http=:80,trusted-proxies=10.0.0.0/8+192.168.0.0/16
  moongate serve --config moongate.yaml

  # moongate.yaml
  manifests: [./deploy]
  entrypoints:
    http: { address: '[::]:8000', trusted-proxies: [10.0.0.0/8] }
  limits: { header-timeout: 5s, head-size: 32k }
  plugins: { dirs: [./plugins], disable: [pass-host], deny: [http] }

SIGTERM ends it gracefully within --grace, a second one at once; SIGHUP reloads.")]
pub struct Serve {
    /// One route for everything, to this upstream; no manifest needed
    #[arg(long, value_name = "HOST:PORT")]
    pub to: Option<String>,
    #[command(flatten)]
    world: World,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    run: Run,
}

/// `moongate check`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  moongate check --manifests ./deploy
  moongate check --manifests ./deploy --plugins ./plugins --format github

Exit code 1 if there is any problem.")]
pub struct Check {
    #[command(flatten)]
    world: World,
    #[command(flatten)]
    common: Common,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// `moongate explain`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  moongate explain --manifests ./deploy http://shop.example/cart
  moongate explain --manifests ./deploy --format json http://shop.example/

Exit code 1 if no route answers.")]
pub struct Explain {
    /// What a client would ask for
    #[arg(value_name = "URL")]
    pub url: String,
    #[command(flatten)]
    world: World,
    #[command(flatten)]
    common: Common,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text, hide_possible_values = true)]
    pub format: Format,
}

/// `moongate demo`
#[derive(Debug, Args)]
#[command(after_help = "\
It serves ./deploy/quickstart where that exists, so that edits act at once; otherwise a copy of it in a new
temporary folder, whose path it says.")]
pub struct Demo {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    run: Run,
}

/// `moongate whoami`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  moongate whoami --listen 127.0.0.1:9001 --name red
  curl 'http://127.0.0.1:9001/?status=503'        answers with that status
  curl 'http://127.0.0.1:9001/?wait=100ms'        answers after that time
  curl 'http://127.0.0.1:9001/?size=102400'       answers with a body of that size")]
pub struct Whoami {
    /// Where to listen
    #[arg(long, value_name = "ADDR")]
    pub listen: SocketAddr,
    /// The name that its answers say
    #[arg(long, default_value = "whoami")]
    pub name: String,
}

/// How to say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// For annotations of a GitHub workflow
    Github,
}

/// What is routed.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is routed")]
struct World {
    /// Kubernetes YAML or JSON: folders or files
    #[arg(long, value_name = "DIR|FILE", num_args = 1..)]
    manifests: Vec<String>,
    /// Folders of Lua plugins, beside the bundled ones
    #[arg(long, value_name = "DIR", num_args = 1..)]
    plugins: Vec<String>,
    /// Names of IngressClasses that are ours [default: moongate and traefik]
    #[arg(long, value_name = "NAME", num_args = 1..)]
    ingress_class: Vec<String>,
    /// Values of an IngressClass's spec.controller that are ours [default: moongate.io/ingress-controller]
    #[arg(long, value_name = "NAME", num_args = 1..)]
    controller: Vec<String>,
    /// Take Ingresses that name no class (with --manifests they are always taken)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    adopt_unclassed: Option<String>,
    /// Only these namespaces [default: all]
    #[arg(long, value_name = "NS", num_args = 1..)]
    namespace: Vec<String>,
    /// Follow ExternalName Services of a cluster (those of files always are)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_external_names: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    kubernetes: Option<String>,
}

/// What every command that loads something takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "How")]
struct Common {
    /// YAML with the same names as these flags, and more (see the examples)
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// Where clients come in: NAME=ADDR[,OPTION...], repeatable [default: http=:8000]; options are
    /// trusted-proxies=CIDR+CIDR, merge-slashes, refuse-encoded-slashes, allow-underscores
    #[arg(long, value_name = "NAME=ADDR[,OPT]", num_args = 1..)]
    entrypoint: Vec<String>,
    /// A plugin file that fails refuses the whole new set, instead of only itself
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    strict: Option<String>,
    /// error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

/// How it runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "How it runs")]
struct Run {
    /// Address of health, API, metrics and dashboard [default: 127.0.0.1:8580]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,
    /// Holds the bearer token for commands that do not come from this machine
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<String>,
    /// Worker threads [default: one per core]
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    /// How long a stop waits for what is in flight [default: 30s]
    #[arg(long, value_name = "TIME")]
    grace: Option<String>,
    /// Log requests to standard output: off, common or json [default: off]
    #[arg(long, value_name = "FORMAT")]
    access_log: Option<String>,
    /// Name servers for ExternalName Services [default: those of the system]
    #[arg(long, value_name = "ADDR", num_args = 1..)]
    nameserver: Vec<String>,
    #[arg(long, hide = true)]
    publish_address: Vec<String>,
    #[arg(long, hide = true)]
    publish_service: Option<String>,
    #[arg(long, hide = true)]
    vip: Vec<String>,
    #[arg(long, hide = true)]
    vip_key_file: Option<String>,
}

/// The command as clap knows it. Lists take several values behind one flag (`--manifests *.yaml`), but not where a
/// URL follows them.
pub fn command() -> clap::Command {
    Cli::command().mut_subcommand("explain", |explain| {
        explain.mut_args(|arg| match arg.get_action() {
            ArgAction::Append => arg.num_args(1),
            _ => arg,
        })
    })
}
