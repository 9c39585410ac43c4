//! Folders and files watched with inotify: raw events become few, settled readings.
//!
//! One save of an editor is a burst of events, and so is a kubelet's swap. A burst is over when it has been quiet
//! for [`QUIET`], and is cut at [`CAP`]. Where inotify has no more to give, everything is looked at (not read) each
//! [`POLL`].

use super::Update;
use super::files::{Files, Touched, concerns};
use crate::ground::problem::Problem;
use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

/// A burst of events is over after this long without one.
pub const QUIET: Duration = Duration::from_millis(50);

/// A burst that does not end is cut after this long.
pub const CAP: Duration = Duration::from_millis(500);

/// How often everything is looked at where it cannot be watched.
pub const POLL: Duration = Duration::from_secs(2);

/// How long a file found empty may be in the middle of being saved.
pub const SETTLE: Duration = Duration::from_millis(300);

/// More touched paths than this are looked at as a whole.
const MAX_PATHS: usize = 4_096;

/// What is read from disk and read again.
pub trait OnDisk: Clone + Send + 'static {
    /// Its files.
    fn files(&mut self) -> &mut Files;
    /// Reads everything.
    fn load(&mut self) -> Update;
    /// Reads what was touched; nothing if nothing changed in effect.
    fn refresh(&mut self, touched: &Touched) -> Option<Update>;
}

/// Asks a running provider to read everything again.
#[derive(Clone, Debug)]
pub struct Reload {
    asks: mpsc::Sender<Ask>,
}

/// The provider's end of [`Reload`].
#[derive(Debug)]
pub struct Asks {
    asks: mpsc::Receiver<Ask>,
}

/// What a provider is asked.
#[derive(Debug)]
enum Ask {
    /// To read everything again and hand on what changed.
    Reread(oneshot::Sender<()>),
    /// To say what that would be.
    Peek(oneshot::Sender<Option<Update>>),
}

/// Both ends.
pub fn reload() -> (Reload, Asks) {
    let (sender, receiver) = mpsc::channel(16);
    (Reload { asks: sender }, Asks { asks: receiver })
}

impl Reload {
    /// Has everything read again, and returns when what changed by it has been handed on. False if the provider
    /// has ended.
    pub async fn reread(&self) -> bool {
        let (reply, done) = oneshot::channel();
        self.asks.send(Ask::Reread(reply)).await.is_ok() && done.await.is_ok()
    }

    /// What [`Reload::reread`] would hand on, if anything.
    pub async fn peek(&self) -> Option<Update> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask::Peek(reply)).await.ok()?;
        answer.await.ok().flatten()
    }
}

/// Reads `source`, hands on what it holds, and then each change, until nobody listens any more.
pub async fn run<S: OnDisk>(mut source: S, out: mpsc::Sender<Update>, mut asks: Asks) {
    let mut watch = Watch::new(source.files().roots().to_vec());
    source.files().note(watch.problem().cloned());
    let mut touched = None;
    let mut replies = Vec::new();
    loop {
        // Reading and parsing take their time: not on the control plane's own thread.
        let work = tokio::task::spawn_blocking(move || {
            let update = match &touched {
                None => Some(source.load()),
                Some(touched) => source.refresh(touched),
            };
            (source, update)
        });
        let Ok((returned, update)) = work.await else {
            tracing::error!("a provider of files failed and has ended; what it last said stays in force");
            return;
        };
        source = returned;
        if let Some(update) = update
            && out.send(update).await.is_err()
        {
            return;
        }
        for reply in replies.drain(..) {
            // Who asked may have given up.
            let _gone: Result<(), ()> = oneshot::Sender::send(reply, ());
        }
        let unsettled = source.files().unsettled().clone();
        let next = tokio::select! {
            biased;
            () = out.closed() => return,
            Some(ask) = asks.asks.recv() => match ask {
                Ask::Reread(reply) => {
                    replies.push(reply);
                    Touched::everything()
                }
                Ask::Peek(reply) => {
                    let mut copy = source.clone();
                    tokio::task::spawn_blocking(move || reply.send(copy.refresh(&Touched::everything())));
                    Touched::default()
                }
            },
            () = sleep(SETTLE), if !unsettled.is_empty() => Touched { paths: unsettled, ..Touched::default() },
            touched = watch.next() => touched,
        };
        source.files().note(watch.problem().cloned());
        touched = Some(next);
    }
}

/// Watches files and folders.
#[derive(Debug)]
struct Watch {
    roots: Vec<PathBuf>,
    inbox: Arc<Inbox>,
    watcher: Option<RecommendedWatcher>,
    /// Some root cannot be watched (now).
    polling: bool,
    problem: Option<Problem>,
}

/// Where the watcher's own thread leaves what it saw.
#[derive(Debug)]
struct Inbox {
    /// The working directory, to which relative roots were said.
    here: PathBuf,
    /// A root's folder is watched, too, and may be a busy one (`/tmp`): only what concerns a root is kept.
    roots: Vec<PathBuf>,
    touched: Mutex<Seen>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Seen {
    touched: Touched,
    failure: Option<String>,
}

impl Watch {
    fn new(roots: Vec<PathBuf>) -> Self {
        let inbox = Arc::new(Inbox::new(roots.clone()));
        let mut watch = Self { roots, inbox, watcher: None, polling: false, problem: None };
        watch.establish();
        watch
    }

    /// Why watching does not work, if it does not.
    fn problem(&self) -> Option<&Problem> {
        self.problem.as_ref()
    }

    /// Watches everything anew. What happened in between is left to the rescan that follows.
    fn establish(&mut self) {
        self.watcher = None;
        (self.polling, self.problem) = (false, None);
        let inbox = self.inbox.clone();
        match notify::recommended_watcher(move |event| inbox.put(event)) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => return self.fall_back(&error.to_string()),
        }
        // Parents first: watching a folder without its subfolders must not undo watching it with them.
        let parents: BTreeSet<PathBuf> = self.roots.iter().filter_map(|root| parent(root)).collect();
        for parent in parents {
            self.watch(&parent, RecursiveMode::NonRecursive);
        }
        for root in self.roots.clone() {
            if root.exists() {
                self.watch(&root, RecursiveMode::Recursive);
            }
        }
    }

    fn watch(&mut self, path: &Path, mode: RecursiveMode) {
        let Some(watcher) = &mut self.watcher else { return };
        match watcher.watch(path, mode) {
            Ok(()) => {}
            // It is not there yet: looked for in a while.
            Err(error) if is_missing(&error) => self.polling = true,
            Err(error) => self.fall_back(&error.to_string()),
        }
    }

    fn fall_back(&mut self, why: &str) {
        self.polling = true;
        let text =
            format!("changes cannot be watched ({why}); they are looked for every {} s", POLL.as_secs());
        let names: Vec<String> = self.roots.iter().map(|root| root.display().to_string()).collect();
        let problem = Problem::warning(names.join(", "), text);
        self.problem =
            Some(problem.hint("raise fs.inotify.max_user_watches and fs.inotify.max_user_instances"));
    }

    /// Waits for the next settled burst. May be dropped and called again without losing anything.
    async fn next(&mut self) -> Touched {
        loop {
            if self.inbox.is_empty() {
                tokio::select! {
                    () = self.inbox.arrived.notified() => {}
                    () = sleep(POLL), if self.polling => {
                        self.establish();
                        return Touched::rescan();
                    }
                }
            }
            self.settle().await;
            let seen = self.inbox.take();
            if let Some(why) = seen.failure {
                self.fall_back(&why);
            }
            let mut touched = seen.touched;
            if touched.paths.iter().any(|path| self.leads_elsewhere(path)) {
                self.establish();
                touched.rescan = true;
            }
            if !touched.is_empty() {
                return touched;
            }
        }
    }

    /// Until it has been quiet, or for long enough.
    async fn settle(&self) {
        let cap = Instant::now() + CAP;
        loop {
            let quiet = cap.min(Instant::now() + QUIET);
            tokio::select! {
                () = self.inbox.arrived.notified() => {}
                () = sleep_until(quiet) => return,
            }
        }
    }

    /// Whether what is watched at `path` may be another file or folder now than when the watch began.
    fn leads_elsewhere(&self, path: &Path) -> bool {
        if self.roots.iter().any(|root| root.starts_with(path)) {
            return fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file());
        }
        let kubelets = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".."));
        !kubelets && fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink()) && path.is_dir()
    }
}

impl Inbox {
    fn new(roots: Vec<PathBuf>) -> Self {
        let here = std::env::current_dir().unwrap_or_default();
        Self { here, roots, touched: Mutex::default(), arrived: Notify::new() }
    }

    /// Called on the watcher's thread.
    fn put(&self, event: notify::Result<notify::Event>) {
        let mut seen = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Ok(event) if event.need_rescan() => seen.touched.rescan = true,
            // Our own reading opens files, too.
            Ok(event) if !changes(event.kind) => return,
            Ok(event) => {
                // Events name absolute paths; a root may have been said relative to where we are.
                let plain = |path: &PathBuf| path.strip_prefix(&self.here).map(Path::to_owned).ok();
                let mut paths: Vec<PathBuf> = event.paths.iter().filter_map(plain).collect();
                paths.extend(event.paths);
                paths.retain(|path| self.roots.iter().any(|root| concerns(path, root)));
                if paths.is_empty() {
                    return;
                }
                seen.touched.paths.extend(paths);
                if seen.touched.paths.len() > MAX_PATHS {
                    seen.touched.paths.clear();
                    seen.touched.rescan = true;
                }
            }
            Err(error) => {
                seen.touched.rescan = true;
                seen.failure = Some(error.to_string());
            }
        }
        drop(seen);
        self.arrived.notify_one();
    }

    fn is_empty(&self) -> bool {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).touched.is_empty()
    }

    fn take(&self) -> Seen {
        std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn changes(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

fn parent(root: &Path) -> Option<PathBuf> {
    let parent = root.parent()?;
    Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
}

fn is_missing(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
