//! Plugin files in `--plugins` folders. Whether a text is a good plugin is not known here: a change hands on the
//! whole set, and who takes it decides.

use super::files::{Files, Reading, Touched, Wanted};
use super::watch::OnDisk;
use super::{PluginsUpdate, Update};
use crate::ground::problem::Problem;
use crate::model::plugins::{Origin, PluginFile};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// This source's name.
pub const SOURCE: &str = "path";

/// What is read: at most 1,000 files of at most 256 KiB.
const WANTED: Wanted = Wanted { extensions: &["lua"], max_size: 256 << 10, max_files: 1_000, what: "plugin" };

/// The plugin files of some folders.
#[derive(Clone, Debug)]
pub struct Plugins {
    files: Files,
    read: BTreeMap<PathBuf, File>,
    said: Vec<PluginFile>,
    problems: Arc<[Problem]>,
}

/// One file as it was read last.
#[derive(Clone, Debug, Default)]
struct File {
    /// Its last text that could be read. It stays while the newest cannot: a guard must not vanish because its
    /// file grew too large.
    text: Option<Arc<str>>,
    unreadable: Option<String>,
}

impl Plugins {
    /// The plugins of `folders`; nothing is read yet.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        let files = Files::new(folders, WANTED);
        Self { files, read: BTreeMap::new(), said: Vec::new(), problems: Arc::from([]) }
    }

    /// Reads everything and says what there is, even if that is nothing.
    pub fn load(&mut self) -> PluginsUpdate {
        self.refresh(&Touched::everything()).unwrap_or_else(|| self.update())
    }

    /// Reads what was touched; the whole set if any of it changed.
    pub fn refresh(&mut self, touched: &Touched) -> Option<PluginsUpdate> {
        for (path, reading) in self.files.read(touched) {
            match reading {
                Reading::Gone => {
                    self.read.remove(&path);
                }
                Reading::Unreadable(why) => self.read.entry(path).or_default().unreadable = Some(why),
                Reading::Text(text) => {
                    self.read.insert(path, File { text: Some(text.into()), unreadable: None });
                }
            }
        }
        let (files, problems) = (self.set(), self.all_problems());
        if files == self.said && *problems == *self.problems {
            return None;
        }
        self.said = files;
        self.problems = problems.into();
        Some(self.update())
    }

    fn update(&self) -> PluginsUpdate {
        PluginsUpdate { source: SOURCE, files: self.said.clone(), problems: self.problems.clone() }
    }

    fn set(&self) -> Vec<PluginFile> {
        let file = |(path, file): (&PathBuf, &File)| {
            let path = path.to_string_lossy().into();
            Some(PluginFile { path, origin: Origin::Path, text: file.text.clone()? })
        };
        self.read.iter().filter_map(file).collect()
    }

    fn all_problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.files.problems().cloned().collect();
        for (path, file) in &self.read {
            let Some(why) = &file.unreadable else { continue };
            let stays = if file.text.is_some() { "; the text read before stays in force" } else { "" };
            problems.push(Problem::error(format!("plugin {}", path.display()), format!("{why}{stays}")));
        }
        problems
    }
}

impl OnDisk for Plugins {
    fn files(&mut self) -> &mut Files {
        &mut self.files
    }

    fn load(&mut self) -> Update {
        Update::Plugins(Self::load(self))
    }

    fn refresh(&mut self, touched: &Touched) -> Option<Update> {
        Self::refresh(self, touched).map(Update::Plugins)
    }
}
