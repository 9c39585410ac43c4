//! The files of some folders: which there are, and what is in those that changed. What the files mean is not
//! known here; manifests and plugins both read through this door.
//!
//! Names that begin with a dot are passed over, except as the kubelet uses them: a mounted ConfigMap is a folder
//! whose `..data` is a link to a folder named by the time, and whose visible names are links into `..data`. Such a
//! folder is read through one reading of that link, so that one version of the whole set is seen.

use crate::ground::problem::Problem;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Folders nested deeper are passed over (links may make circles).
const MAX_DEPTH: usize = 16;

/// How often a folder whose `..data` moves while it is read is begun again.
const MAX_RESTARTS: usize = 10;

/// A file changed so shortly before it was read may change again without its times showing it.
const RACY: Duration = Duration::from_secs(2);

/// The kubelet's link to the version in force.
const DATA: &str = "..data";

/// Which files are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Endings, without the dot. A file named as a root is wanted whatever its ending.
    pub extensions: &'static [&'static str],
    /// Largest file read.
    pub max_size: u64,
    /// Most files.
    pub max_files: usize,
    /// What the files are, for problems: `manifest`, `plugin`.
    pub what: &'static str,
}

/// What may have changed since the last reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// These, whatever their times say.
    pub paths: BTreeSet<PathBuf>,
    /// Anything: files whose times and sizes changed are read.
    pub rescan: bool,
    /// Anything: all files are read.
    pub everything: bool,
}

impl Touched {
    /// All files are to be read.
    pub fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// All files are to be looked at.
    pub fn rescan() -> Self {
        Self { rescan: true, ..Self::default() }
    }

    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && !self.rescan && !self.everything
    }

    /// Both.
    pub fn merge(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.rescan |= other.rescan;
        self.everything |= other.everything;
    }
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Its text, perhaps the same as before.
    Text(String),
    /// It is there, but cannot be read: why.
    Unreadable(String),
    /// It is no longer there.
    Gone,
}

/// The files of some roots.
#[derive(Clone, Debug)]
pub struct Files {
    roots: Vec<PathBuf>,
    wanted: Wanted,
    known: BTreeMap<PathBuf, Stamp>,
    /// Files found empty that were not: an editor may be between truncating and writing them.
    unsettled: BTreeSet<PathBuf>,
    problems: BTreeMap<PathBuf, Problem>,
    /// What is wrong with the watching of them.
    watching: Option<Problem>,
}

/// By what an unchanged file is known.
#[derive(Clone, Copy, Debug, Default)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Read so soon after its change that an equal stamp proves nothing.
    racy: bool,
}

/// A file to be read: its name as shown, and the name under which this version of it is opened.
struct Found {
    path: PathBuf,
    real: PathBuf,
    stamp: Stamp,
}

/// What a scope holds.
#[derive(Default)]
struct Listing {
    found: Vec<Found>,
    /// Folders that are there but could not be read: nothing is known about what was in them.
    failed: Vec<PathBuf>,
}

/// What happened to the set while it was read.
enum Walk {
    Done,
    /// The kubelet put a new version in place.
    Moved,
}

impl Files {
    /// The wanted files of `roots` (files and folders); none is read yet.
    pub fn new(roots: Vec<PathBuf>, wanted: Wanted) -> Self {
        Self {
            roots,
            wanted,
            known: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            problems: BTreeMap::new(),
            watching: None,
        }
    }

    /// The roots.
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// Which root a path belongs to: the first that holds it.
    pub fn root_of(&self, path: &Path) -> Option<usize> {
        self.roots.iter().position(|root| path.starts_with(root))
    }

    /// Folders and roots that cannot be read or watched.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.watching.iter().chain(self.problems.values())
    }

    /// Says what is wrong with the watching of them, if anything is.
    pub fn note(&mut self, watching: Option<Problem>) {
        self.watching = watching;
    }

    /// Files to look at once more in a moment.
    pub fn unsettled(&self) -> &BTreeSet<PathBuf> {
        &self.unsettled
    }

    /// Reads what was touched and says what became of each such file.
    pub fn read(&mut self, touched: &Touched) -> BTreeMap<PathBuf, Reading> {
        let mut readings = BTreeMap::new();
        if touched.everything || touched.rescan {
            for root in self.roots.clone() {
                self.look(&root, touched.everything, &mut readings);
            }
        }
        if !touched.everything {
            let scopes: BTreeSet<PathBuf> = touched.paths.iter().flat_map(|path| self.scopes(path)).collect();
            for scope in scopes {
                self.look(&scope, true, &mut readings);
            }
        }
        readings
    }

    /// What has to be looked at because `path` was touched.
    fn scopes(&self, path: &Path) -> Vec<PathBuf> {
        // The innermost root: an outer one may not show it.
        let holds = self.roots.iter().filter(|root| path.starts_with(root));
        let Some(root) = holds.max_by_key(|root| root.components().count()) else {
            return self.roots.iter().filter(|root| concerns(path, root)).cloned().collect();
        };
        let mut scope = root.clone();
        for component in path.strip_prefix(root).into_iter().flat_map(Path::components) {
            let Component::Normal(name) = component else { return Vec::new() };
            let name = name.to_string_lossy();
            if name.starts_with("..") {
                return vec![scope];
            }
            if name.starts_with('.') {
                return Vec::new();
            }
            scope.push(component);
        }
        // One file of a kubelet's folder is never read alone.
        match scope.parent() {
            Some(folder) if scope != *root && fs::symlink_metadata(folder.join(DATA)).is_ok() => {
                vec![folder.to_owned()]
            }
            _ => vec![scope],
        }
    }

    /// Looks at a file or folder; `always` reads even what looks unchanged.
    fn look(&mut self, scope: &Path, always: bool, readings: &mut BTreeMap<PathBuf, Reading>) {
        for _ in 0..MAX_RESTARTS {
            let mut listing = Listing::default();
            let mut seen = BTreeMap::new();
            self.problems.retain(|path, _| !path.starts_with(scope));
            self.list(scope, scope, &mut Vec::new(), &mut listing);
            listing.found.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            if let Walk::Done = self.read_all(listing.found, always, &mut seen) {
                self.forget_missing(scope, &listing.failed, &mut seen);
                readings.extend(seen.into_iter().filter_map(|(path, reading)| Some((path, reading?))));
                return;
            }
        }
    }

    /// All wanted files of `path`, which is opened as `real`; `folders` are those above it.
    fn list(&mut self, path: &Path, real: &Path, folders: &mut Vec<(u64, u64)>, listing: &mut Listing) {
        let is_root = self.roots.iter().any(|root| root == path);
        let metadata = match fs::metadata(real) {
            Ok(metadata) => metadata,
            // A link to nothing is a file that is on its way; a root that is not there is a mistake.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_root => return,
            Err(error) => return self.fail(path, &error, listing),
        };
        if metadata.is_file() {
            if is_root || self.is_wanted(path) {
                let stamp = Stamp::of(&metadata);
                listing.found.push(Found { path: path.to_owned(), real: real.to_owned(), stamp });
            }
        } else if metadata.is_dir() && folders.len() < MAX_DEPTH {
            let identity = (metadata.dev(), metadata.ino());
            if !folders.contains(&identity) {
                folders.push(identity);
                self.list_folder(path, real, folders, listing);
                folders.pop();
            }
        }
    }

    fn list_folder(
        &mut self,
        path: &Path,
        real: &Path,
        folders: &mut Vec<(u64, u64)>,
        listing: &mut Listing,
    ) {
        // The kubelet's link is read once; all names then come from the folder it led to.
        let version = fs::read_link(real.join(DATA)).ok().map(|target| real.join(target));
        let linked =
            |entry: &fs::DirEntry| version.is_some() && entry.file_type().is_ok_and(|kind| kind.is_symlink());
        match fs::read_dir(real) {
            Ok(entries) => {
                for entry in entries.flatten().filter(|entry| !is_hidden(entry) && !linked(entry)) {
                    self.list(&path.join(entry.file_name()), &entry.path(), folders, listing);
                }
            }
            Err(error) => self.fail(path, &error, listing),
        }
        let Some(version) = &version else { return };
        // Gone already: reading will find nothing missing, and the next event brings the new version.
        for entry in fs::read_dir(version).into_iter().flatten().flatten().filter(|entry| !is_hidden(entry)) {
            self.list(&path.join(entry.file_name()), &entry.path(), folders, listing);
        }
    }

    /// Reads the found files; no reading for those that look unchanged.
    fn read_all(
        &mut self,
        found: Vec<Found>,
        always: bool,
        seen: &mut BTreeMap<PathBuf, Option<Reading>>,
    ) -> Walk {
        for Found { path, real, stamp } in found {
            if self.known.len() >= self.wanted.max_files && !self.known.contains_key(&path) {
                self.too_many(&path);
                break;
            }
            if !always && self.known.get(&path).is_some_and(|known| !known.racy && known.same(stamp)) {
                seen.insert(path, None);
                continue;
            }
            match read_file(&real, self.wanted.max_size) {
                Ok((stamp, reading)) => {
                    let empty = stamp.size == 0 && self.known.get(&path).is_some_and(|known| known.size > 0);
                    if empty && self.unsettled.insert(path.clone()) {
                        seen.insert(path, None);
                        continue;
                    }
                    self.unsettled.remove(&path);
                    self.known.insert(path.clone(), stamp);
                    seen.insert(path, Some(reading));
                }
                // Between listing and reading: the kubelet moved on, or somebody deleted it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if real != path {
                        return Walk::Moved;
                    }
                    self.unsettled.remove(&path);
                }
                Err(error) => {
                    self.known.insert(path.clone(), Stamp::default());
                    seen.insert(path, Some(Reading::Unreadable(words(&error))));
                }
            }
        }
        Walk::Done
    }

    /// Known files of `scope` that are no longer there.
    fn forget_missing(
        &mut self,
        scope: &Path,
        failed: &[PathBuf],
        seen: &mut BTreeMap<PathBuf, Option<Reading>>,
    ) {
        // A root inside of the scope, perhaps hidden from it, is looked at by itself.
        let inner: Vec<&PathBuf> =
            self.roots.iter().filter(|root| *root != scope && root.starts_with(scope)).collect();
        let kept = |path: &Path| {
            failed.iter().any(|folder| path.starts_with(folder))
                || inner.iter().any(|root| path.starts_with(root))
        };
        let missing: Vec<PathBuf> = self
            .known
            .range(scope.to_owned()..)
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(scope))
            .filter(|path| !seen.contains_key(*path) && !kept(path))
            .cloned()
            .collect();
        for path in missing {
            self.known.remove(&path);
            self.unsettled.remove(&path);
            seen.insert(path, Some(Reading::Gone));
        }
    }

    fn is_wanted(&self, path: &Path) -> bool {
        path.extension().is_some_and(|ending| self.wanted.extensions.iter().any(|wanted| ending == *wanted))
    }

    fn fail(&mut self, path: &Path, error: &io::Error, listing: &mut Listing) {
        if error.kind() != io::ErrorKind::NotFound {
            listing.failed.push(path.to_owned());
        }
        let subject = format!("{} {}", self.wanted.what, path.display());
        self.problems.insert(path.to_owned(), Problem::error(subject, words(error)));
    }

    fn too_many(&mut self, path: &Path) {
        let (what, most) = (self.wanted.what, self.wanted.max_files);
        let problem = Problem::error(
            format!("{what} {}", path.display()),
            format!("at most {most} files are read; this one and those after it are not"),
        );
        self.problems.insert(path.to_owned(), problem);
    }
}

/// Whether something that happened to `path` may have changed what is read below `root`.
pub(super) fn concerns(path: &Path, root: &Path) -> bool {
    let kubelets = || path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".."));
    path.starts_with(root) || root.starts_with(path) || (path.parent() == root.parent() && kubelets())
}

fn is_hidden(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with('.')
}

/// The file's stamp and text. The stamp is taken first: a change in between shows in the next one.
fn read_file(path: &Path, max_size: u64) -> io::Result<(Stamp, Reading)> {
    let file = fs::File::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    let too_large = || Reading::Unreadable(format!("the file is larger than {max_size} bytes"));
    if stamp.size > max_size {
        return Ok((stamp, too_large()));
    }
    let mut bytes = Vec::with_capacity(stamp.size as usize + 1);
    file.take(max_size + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_size {
        return Ok((stamp, too_large()));
    }
    let reading = String::from_utf8(bytes).map_or_else(
        |error| {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = good.split(|byte| *byte == b'\n').count();
            Reading::Unreadable(format!("this is not UTF-8 text (line {line})"))
        },
        Reading::Text,
    );
    Ok((stamp, reading))
}

/// An error of the system in words, without its number.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        io::ErrorKind::PermissionDenied => "we may not read it".to_owned(),
        _ => error.to_string(),
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let age = i128::from(now.as_secs()) - i128::from(changed.0);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed,
            racy: age < i128::from(RACY.as_secs()),
        }
    }

    /// Whether the file is the same one, unchanged.
    fn same(&self, other: Self) -> bool {
        let Self { device, inode, size, modified, changed, racy: _ } = *self;
        (device, inode, size, modified, changed)
            == (other.device, other.inode, other.size, other.modified, other.changed)
    }
}

#[cfg(test)]
mod tests;
