//! The proxy under test, with manifests and plugins in a folder of its own.

use super::{Client, eventually};
use moongate::app::App;
use moongate::model::settings::{EntryPoint, Limits, Settings};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;

/// A running proxy; it ends with the test.
pub struct Proxy {
    app: Option<App>,
    folder: TempDir,
}

/// What it is to be.
pub struct Builder {
    settings: Settings,
    folder: TempDir,
}

impl Builder {
    /// Writes a manifest before the start.
    pub fn manifest(self, name: &str, text: &str) -> Self {
        write(&self.folder.path().join("manifests").join(name), text);
        self
    }

    /// Writes a plugin before the start.
    pub fn plugin(self, name: &str, text: &str) -> Self {
        write(&self.folder.path().join("plugins").join(name), text);
        self
    }

    /// Changes timeouts and sizes.
    pub fn limits(mut self, edit: impl FnOnce(&mut Limits)) -> Self {
        edit(&mut self.settings.limits);
        self
    }

    /// Changes anything else.
    pub fn settings(mut self, edit: impl FnOnce(&mut Settings)) -> Self {
        edit(&mut self.settings);
        self
    }

    /// Starts it and waits until it answers.
    pub fn start(self) -> Proxy {
        let app = App::start(self.settings).unwrap();
        eventually("the first sync", || app.is_synced().then_some(()));
        Proxy { app: Some(app), folder: self.folder }
    }
}

impl Proxy {
    /// One entrypoint `http` and the admin API on free ports, one worker.
    pub fn builder() -> Builder {
        let folder = tempfile::tempdir().unwrap();
        for name in ["manifests", "plugins"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut settings = Settings {
            entrypoints: vec![EntryPoint::new("http", anywhere)],
            admin: anywhere,
            workers: 1,
            plugin_dirs: vec![folder.path().join("plugins")],
            ..Settings::default()
        };
        settings.sources.manifests = vec![folder.path().join("manifests")];
        Builder { settings, folder }
    }

    /// One Ingress for everything, to these endpoints.
    pub fn to(endpoints: &[SocketAddr]) -> Self {
        Self::builder().manifest("web.yaml", &ingress("web", "", "/", endpoints)).start()
    }

    fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    /// Where clients come in.
    pub fn address(&self) -> SocketAddr {
        self.app().entrypoints()[0].1
    }

    /// A new connection.
    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// `GET path` of the admin API: status and body.
    pub fn admin(&self, path: &str) -> (u16, String) {
        self.ask_admin("GET", path)
    }

    fn ask_admin(&self, method: &str, path: &str) -> (u16, String) {
        let mut client = Client::connect(self.app().admin());
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        let response = client.response();
        (response.status, response.text().to_owned())
    }

    /// `POST /api/reload`, with its query: the report.
    pub fn reload(&self, query: &str) -> serde_json::Value {
        let (status, report) = self.ask_admin("POST", &format!("/api/reload{query}"));
        assert_eq!(status, 200, "{report}");
        serde_json::from_str(&report).unwrap()
    }

    /// The problems that there are now, as `at: text`.
    pub fn problems(&self) -> Vec<String> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let problems = self.json("/api/problems");
        let problems = problems.as_array().unwrap().iter();
        problems.map(|problem| format!("{}: {}", text(&problem["at"]), text(&problem["text"]))).collect()
    }

    /// `GET path` of the admin API as JSON.
    pub fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.admin(path).1).unwrap()
    }

    /// The number of a metric's line that begins with `prefix`; 0 where there is none.
    pub fn metric(&self, prefix: &str) -> f64 {
        let page = self.admin("/metrics").1;
        let lines = page.lines().filter(|line| line.starts_with(prefix));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until a metric's lines that begin with `prefix` sum up to `want`.
    pub fn counts(&self, prefix: &str, want: u64) {
        eventually(prefix, || (self.metric(prefix) as u64 == want).then_some(()));
    }

    /// The current generation.
    pub fn generation(&self) -> u64 {
        self.json("/health")["generation"].as_u64().unwrap()
    }

    /// Waits for a generation above `before`.
    pub fn after(&self, before: u64) -> u64 {
        eventually("a new generation", || Some(self.generation()).filter(|now| *now > before))
    }

    /// The folder of manifests.
    pub fn manifests(&self) -> PathBuf {
        self.folder.path().join("manifests")
    }

    /// The folder of plugins.
    pub fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// Replaces a file by an atomic rename, and waits until it acts.
    pub fn edit(&self, path: &std::path::Path, text: &str) -> u64 {
        let before = self.generation();
        self.save(path, text);
        self.after(before)
    }

    /// Replaces a file by an atomic rename.
    pub fn save(&self, path: &std::path::Path, text: &str) {
        let temporary = self.folder.path().join("next");
        write(&temporary, text);
        std::fs::rename(&temporary, path).unwrap();
    }

    /// The running parts.
    pub fn running(&self) -> &App {
        self.app()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(app) = self.app.take() {
            app.stop();
        }
    }
}

fn write(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// An Ingress, its Service and the Service's endpoints.
pub fn ingress(name: &str, host: &str, path: &str, endpoints: &[SocketAddr]) -> String {
    ingress_with(name, host, path, endpoints, &[])
}

/// The same with annotations.
pub fn ingress_with(
    name: &str,
    host: &str,
    path: &str,
    endpoints: &[SocketAddr],
    annotations: &[(&str, &str)],
) -> String {
    let mut text = format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\n  annotations:\n    test/none: \"\"\n"
    );
    for (key, value) in annotations {
        writeln!(text, "    {key}: {}", serde_json::to_string(value).unwrap()).unwrap();
    }
    text.push_str("spec:\n  rules:\n  - ");
    if !host.is_empty() {
        write!(text, "host: \"{host}\"\n    ").unwrap();
    }
    write!(
        text,
        "http:\n      paths:\n      - path: \"{path}\"\n        pathType: ImplementationSpecific\n        \
         backend: {{ service: {{ name: {name}, port: {{ number: 80 }} }} }}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{ name: {name} }}\nspec:\n  ports:\n  - {{ port: 80 }}\n"
    )
    .unwrap();
    // A slice has one port for all its addresses: one slice per endpoint.
    for (index, endpoint) in endpoints.iter().enumerate() {
        write!(
            text,
            "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: {name}-{index}\n  \
             labels: {{ kubernetes.io/service-name: {name} }}\naddressType: IPv4\nports:\n- {{ port: {} }}\n\
             endpoints:\n- {{ addresses: [{}] }}\n",
            endpoint.port(),
            endpoint.ip()
        )
        .unwrap();
    }
    text
}
