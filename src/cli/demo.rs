//! `moongate demo`: serves `deploy/quickstart` with two whoami backends, all on loopback.

use crate::app;
use crate::model::settings::{EntryPoint, Settings};
use crate::whoami;
use anyhow::Context;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Where the files are in the sources.
const FOLDER: &str = "deploy/quickstart";
/// Backends by name and port, as the manifests say.
const BACKENDS: [(&str, u16); 2] = [("red", 9001), ("blue", 9002)];
/// The files, for whoever has only the binary.
const FILES: [(&str, &str); 5] = [
    ("backends.yaml", include_str!("../../deploy/quickstart/backends.yaml")),
    ("hosts.yaml", include_str!("../../deploy/quickstart/hosts.yaml")),
    ("strip.yaml", include_str!("../../deploy/quickstart/strip.yaml")),
    ("guards.yaml", include_str!("../../deploy/quickstart/guards.yaml")),
    ("plugins/stamp.lua", include_str!("../../deploy/quickstart/plugins/stamp.lua")),
];

/// As `serve`'s, but on loopback only.
pub(super) fn defaults() -> Settings {
    let http = EntryPoint::new("http", SocketAddr::from(([127, 0, 0, 1], 8000)));
    Settings { entrypoints: vec![http], ..Settings::default() }
}

/// Serves until a signal ends it.
pub(super) fn run(mut settings: Settings) -> anyhow::Result<()> {
    let folder = folder()?;
    let mut backends = Vec::new();
    for (name, port) in BACKENDS {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        backends.push(
            whoami::Server::start(address, name)
                .with_context(|| format!("the backend '{name}' cannot listen on {address}"))?,
        );
    }
    settings.plugin_dirs.push(folder.join("plugins"));
    let _reader_is_gone = io::stdout().write_all(welcome(&settings, &folder).as_bytes());
    settings.sources.manifests = vec![folder];
    app::serve(settings)
}

/// The folder of the sources where we stand in them, otherwise a new copy.
fn folder() -> anyhow::Result<PathBuf> {
    let own = Path::new(FOLDER);
    if FILES.iter().all(|(name, _)| own.join(name).is_file()) {
        return Ok(own.to_owned());
    }
    let folder = new_folder(&std::env::temp_dir()).context("no temporary folder can be made")?;
    unpack(&folder).with_context(|| format!("cannot write to {}", folder.display()))?;
    Ok(folder)
}

/// A folder that did not exist and that nobody else can write to.
fn new_folder(parent: &Path) -> io::Result<PathBuf> {
    let mut attempt = 0_u32;
    loop {
        let folder = parent.join(format!("moongate-demo-{}-{attempt}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 1_000 => attempt += 1,
            result => return result.map(|()| folder),
        }
    }
}

fn unpack(folder: &Path) -> io::Result<()> {
    for (name, text) in FILES {
        let file = folder.join(name);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(file, text)?;
    }
    Ok(())
}

fn welcome(settings: &Settings, folder: &Path) -> String {
    let port = settings.entrypoints.first().map_or(8000, |entrypoint| entrypoint.address.port());
    let folder = folder.display();
    let mut text = format!("Moongate's demo serves {folder}. Try, in another terminal:\n\n");
    for (ask, what) in [
        (format!("curl http://red.localhost:{port}/"), "one host, one backend; blue.localhost is the other"),
        (
            format!("curl http://test.localhost:{port}/locust/swarm"),
            "PathPrefixStrip: the backend sees /swarm",
        ),
        (format!("curl -i http://office.localhost:{port}/"), "the whitelist does not name you: 403"),
        (
            format!("curl -i -u alice:moon http://moon.localhost:{port}/"),
            "basic auth: 200, and 401 without -u",
        ),
        (
            format!("curl -i http://blue.localhost:{port}/"),
            "a Lua plugin adds X-Stamp; edit it, and ask again:",
        ),
    ] {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "  {ask:<56} # {what}");
    }
    let _infallible = writeln!(
        text,
        "  {:<56} # {folder}/plugins/stamp.lua\n\nDashboard: http://{}/dashboard/    Stop: Ctrl-C\n",
        "", settings.admin
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_holds_every_file_of_the_sources() {
        let parent = tempfile::tempdir().unwrap();
        let (first, second) = (new_folder(parent.path()).unwrap(), new_folder(parent.path()).unwrap());
        assert_ne!(first, second);
        unpack(&first).unwrap();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
        let mut wanted: Vec<PathBuf> = Vec::new();
        for folder in [sources.clone(), sources.join("plugins")] {
            let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            wanted.extend(files.filter(|path| path.is_file()));
        }
        assert_eq!(wanted.len(), FILES.len());
        for file in wanted {
            let copy = first.join(file.strip_prefix(&sources).unwrap());
            assert_eq!(fs::read(&file).unwrap(), fs::read(copy).unwrap());
        }
    }

    #[test]
    fn the_welcome_has_five_lines_to_try() {
        let text = welcome(&defaults(), Path::new("here"));
        assert_eq!(text.lines().filter(|line| line.trim_start().starts_with("curl ")).count(), 5);
        assert!(text.contains("http://red.localhost:8000/"), "{text}");
    }

    #[test]
    fn nothing_is_wrong_with_the_files() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER);
        let mut settings = defaults();
        settings.plugin_dirs = vec![folder.join("plugins")];
        settings.sources.manifests = vec![folder];
        assert_eq!(app::check(&settings).unwrap(), []);
        for (url, route, plugins) in [
            ("http://red.localhost/", "default/red/red.localhost/", &[][..]),
            ("http://blue.localhost/a", "default/blue/blue.localhost/", &["stamp"]),
            (
                "http://test.localhost/locust/x",
                "default/traefik-ingress/test.localhost/locust",
                &["rule-type"],
            ),
            ("http://office.localhost/", "default/office/office.localhost/", &["whitelist"]),
            ("http://moon.localhost/", "default/moon/moon.localhost/", &["basic-auth"]),
        ] {
            let report = app::explain(&settings, url).unwrap();
            assert_eq!(report.route.as_deref(), Some(route));
            let acting: Vec<&str> = report.plugins.iter().map(|plugin| &**plugin).collect();
            assert_eq!(acting, plugins, "{url}");
            assert_eq!(report.endpoints.len(), 1, "{url}");
        }
    }
}
