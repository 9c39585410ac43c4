//! The control side: checks a whole set of plugin files and keeps the last good version of each.
//!
//! What runs is decided file by file. A file that fails keeps its last good version. One that never loaded and
//! guards something (stage guard, limit or auth, or a stage that cannot even be guessed, where its text names
//! annotations) closes the routes that carry its annotations, and a bundled plugin of that name with it: what was
//! meant to replace a guard must not silently fall back to the old one. In other stages the bundled one stays.

use super::bundled::BUNDLED;
use super::definition::{self, Definition};
use super::failure::limited;
use super::place::{self, guess};
use super::running::{FileId, Running, Staged, changed, conflict, order};
use super::sandbox::{Sandbox, compile};
use super::selection::{Good, Selection, Verdict, sorted};
use super::shared::Gate;
use crate::ground::problem::{Pos, Problem, Source};
use crate::model::plugins::{Origin, PluginCode, PluginFile, PluginSet};
use crate::model::settings::{Limits, PluginSettings};
use crate::model::vocabulary::Loaded;
use mlua::Value;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

/// Longest plugin text.
const LONGEST: usize = 1 << 20;

/// The control side of the plugin host. Lives on the control thread.
pub struct Stage {
    pub(super) limits: Limits,
    settings: PluginSettings,
    strict: bool,
    gate: Arc<Gate>,
    /// By file: the text that was checked last without an error, and its plugin's name.
    good: HashMap<FileId, Good>,
    input: Option<[u8; 32]>,
    /// What was loaded last, for a fork.
    files: Vec<PluginFile>,
    pub(super) running: Running,
    last: Loaded,
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("set", &self.last.set.generation).finish_non_exhaustive()
    }
}

/// A file that fails: the name that it probably has, and why.
type Failed = (Arc<str>, Vec<Problem>);

/// One file on its way through a load.
struct Candidate<'f> {
    id: FileId,
    path: &'f Arc<str>,
    text: Arc<str>,
}

impl Stage {
    /// With nothing loaded yet.
    pub fn new(limits: &Limits, plugins: &PluginSettings, strict: bool) -> Self {
        Self {
            limits: limits.clone(),
            settings: plugins.clone(),
            strict,
            gate: Arc::default(),
            good: HashMap::new(),
            input: None,
            files: Vec::new(),
            running: Running::default(),
            last: Loaded {
                set: Arc::new(PluginSet { generation: 0, plugins: Vec::new() }),
                changed: Vec::new(),
                statuses: Vec::new(),
                problems: Vec::new(),
            },
        }
    }

    /// A second one with the same set loaded, and the same last good texts behind it.
    #[must_use]
    pub fn fork(&self) -> Self {
        let mut fork = Self::new(&self.limits, &self.settings, self.strict);
        fork.good.clone_from(&self.good);
        fork.load(&self.files);
        fork
    }

    /// Loads the whole set: `files` over the bundled plugins. The same files again are no change.
    pub fn load(&mut self, files: &[PluginFile]) -> Loaded {
        let input = digest(files);
        if self.input == Some(input) {
            self.last.changed.clear();
            return self.last.clone();
        }
        let sandbox = match Sandbox::new(self.limits.vm_memory, &self.gate) {
            Ok(sandbox) => sandbox,
            Err(error) => {
                return self.refused(vec![Problem::error("plugins", format!("no Lua VM: {error}"))]);
            }
        };
        let verdicts = self.check_all(&sandbox, files);
        let problems: Vec<Problem> = verdicts.iter().flat_map(|verdict| verdict.problems.clone()).collect();
        if self.strict && self.input.is_some() && !problems.is_empty() {
            return self.refused(problems);
        }
        self.input = Some(input);
        self.files = files.to_vec();
        self.accept(sandbox, verdicts, files)
    }

    /// The last set stays.
    fn refused(&mut self, problems: Vec<Problem>) -> Loaded {
        self.last.changed.clear();
        Loaded { problems, ..self.last.clone() }
    }

    /// Checks bundled plugins first, then files in their order; later ones give way in a conflict.
    fn check_all(&self, sandbox: &Sandbox, files: &[PluginFile]) -> Vec<Verdict> {
        let bundled: Vec<(Arc<str>, Arc<str>)> =
            BUNDLED.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
        let candidates = bundled
            .iter()
            .map(|(path, text)| Candidate {
                id: (Origin::Bundled, Arc::clone(path)),
                path,
                text: Arc::clone(text),
            })
            .chain(files.iter().map(|file| Candidate {
                id: (file.origin, Arc::clone(&file.path)),
                path: &file.path,
                text: Arc::clone(&file.text),
            }));
        let mut verdicts: Vec<Verdict> = Vec::new();
        for candidate in candidates {
            let verdict = self.check(sandbox, &candidate, &verdicts);
            if !self.settings.disable.contains(&verdict.name) {
                verdicts.push(verdict);
            }
        }
        verdicts
    }

    /// Checks a file; where it fails, its last good version.
    fn check(&self, sandbox: &Sandbox, candidate: &Candidate<'_>, earlier: &[Verdict]) -> Verdict {
        let fits = |staged: Staged| match conflict(&staged, earlier) {
            None => Ok(staged),
            Some(problem) => Err((Arc::clone(&staged.code.name), vec![problem])),
        };
        let checked = self.probe(candidate).and_then(|()| self.stage(sandbox, candidate)).and_then(fits);
        let (name, problems) = match checked {
            Ok(staged) => {
                let name = Arc::clone(&staged.code.name);
                return Verdict {
                    id: candidate.id.clone(),
                    name,
                    staged: Some(staged),
                    problems: Vec::new(),
                };
            }
            Err(failed) => failed,
        };
        let good = self.good.get(&candidate.id).filter(|good| good.text != candidate.text);
        let staged = good.and_then(|good| {
            let old =
                Candidate { id: candidate.id.clone(), path: candidate.path, text: Arc::clone(&good.text) };
            self.stage(sandbox, &old).and_then(fits).ok()
        });
        let name = good.map_or(name, |good| Arc::clone(&good.name));
        Verdict { id: candidate.id.clone(), name, staged, problems }
    }

    /// Tries a new text in a VM of its own first: one that eats all memory must not fail its neighbours.
    fn probe(&self, candidate: &Candidate<'_>) -> Result<(), Failed> {
        let known = self.good.get(&candidate.id).is_some_and(|good| good.text == candidate.text);
        if known || candidate.id.0 == Origin::Bundled {
            return Ok(());
        }
        match Sandbox::new(self.limits.vm_memory, &self.gate) {
            Ok(alone) => self.stage(&alone, candidate).map(drop),
            Err(error) => {
                let problem = Problem::error(format!("plugin {}", candidate.path), error.to_string());
                Err((stem(candidate.path).into(), vec![problem]))
            }
        }
    }

    /// Compiles a text, runs its chunk and checks its table.
    fn stage(&self, sandbox: &Sandbox, candidate: &Candidate<'_>) -> Result<Staged, Failed> {
        let Candidate { path, text, .. } = candidate;
        let known = self.good.get(&candidate.id).map(|good| Arc::clone(&good.name));
        let stem = stem(path);
        let name = known.unwrap_or_else(|| guess::text(text, "name").unwrap_or(stem).into());
        let source = Source { file: Arc::clone(path) };
        let at = |pos: Pos, what: &str| Problem::error(format!("plugin {name}"), what).at(&source, pos);
        let fail = |problem: Problem| (Arc::clone(&name), vec![problem]);
        if text.len() > LONGEST {
            return Err(fail(at(Pos { line: 1, column: 1 }, "the file is larger than 1 MiB")));
        }
        let failed = |error: &mlua::Error| {
            let located = place::locate(error, path, text);
            let pos = if located.pos.line == 0 { Pos { line: 1, column: 1 } } else { located.pos };
            fail(at(pos, &located.text))
        };
        let bytecode = compile(text).map_err(|error| failed(&error))?;
        let chunk = sandbox.load(path, &bytecode).map_err(|error| failed(&error))?;
        let value = limited(self.limits.configure_cpu, || chunk.call::<Value>(())).map_err(|failure| {
            failed(&failure.error.unwrap_or_else(|| mlua::Error::runtime(failure.text)))
        })?;
        let Value::Table(table) = value else {
            let pos = Pos { line: 1, column: 1 };
            return Err(fail(
                at(pos, "a plugin file returns its table").hint("return plugin { name = ..., ... }"),
            ));
        };
        let definition = definition::read(&table, stem, text).map_err(|issues| {
            let problems =
                issues.into_iter().map(|issue| at(issue.pos, &issue.text).hint(issue.hint)).collect();
            (Arc::clone(&name), problems)
        })?;
        let configure = table.raw_get("configure").map_err(|error| failed(&error))?;
        let code = self.code(path, text, bytecode, &definition);
        Ok(Staged { code, definition, configure, source: Arc::clone(text), file: candidate.id.clone() })
    }

    fn code(
        &self,
        path: &Arc<str>,
        text: &str,
        bytecode: Vec<u8>,
        definition: &Definition,
    ) -> Arc<PluginCode> {
        let settings = self.settings.settings.get(&definition.name).cloned().unwrap_or_default();
        Arc::new(PluginCode {
            name: Arc::clone(&definition.name),
            chunk: Arc::clone(path),
            bytecode: bytecode.into(),
            hash: hash(path, text),
            stage: definition.stage,
            hooks: definition.hooks,
            on_error: definition.on_error,
            waits: definition.needs.iter().any(|need| &**need == "verify"),
            needs: definition.needs.clone(),
            settings: Arc::new(settings),
        })
    }

    /// Makes a set of what was checked.
    fn accept(&mut self, sandbox: Sandbox, verdicts: Vec<Verdict>, files: &[PluginFile]) -> Loaded {
        self.good.retain(|(origin, path), _| {
            files.iter().any(|file| file.origin == *origin && file.path == *path)
        });
        let replaced: BTreeSet<Arc<str>> = verdicts
            .iter()
            .filter(|verdict| verdict.id.0 != Origin::Bundled)
            .map(|verdict| Arc::clone(&verdict.name))
            .collect();
        let mut selection = Selection::default();
        for verdict in verdicts {
            if verdict.id.0 == Origin::Bundled && replaced.contains(&verdict.name) {
                selection.replaced.insert(Arc::clone(&verdict.name), verdict);
            } else {
                selection.take(verdict, &self.settings, files, &mut self.good);
            }
        }
        let Selection { mut plugins, mut broken, statuses, .. } = selection;
        plugins.sort_by(|a, b| order(a).cmp(&order(b)));
        broken.sort_by(|a, b| a.name.cmp(&b.name));
        let changed = changed(&self.running, &plugins, &broken);
        let generation = self.last.set.generation + u64::from(!changed.is_empty());
        if !changed.is_empty() {
            let codes = plugins.iter().map(|staged| Arc::clone(&staged.code)).collect();
            self.last.set = Arc::new(PluginSet { generation, plugins: codes });
            self.running = Running::new(sandbox, plugins, broken);
        }
        self.last.statuses = sorted(statuses, &self.last.set);
        self.last.problems = self.last.statuses.iter().flat_map(|status| status.problems.clone()).collect();
        self.last.changed = changed;
        self.last.clone()
    }

    /// Loads what runs into a new staging VM: the old one's memory was at its end.
    pub(super) fn rebuild(&mut self) -> mlua::Result<()> {
        let sandbox = Sandbox::new(self.limits.vm_memory, &self.gate)?;
        for staged in &mut self.running.plugins {
            let chunk = sandbox.load(&staged.code.chunk, &staged.code.bytecode)?;
            let table = limited(self.limits.configure_cpu, || chunk.call::<mlua::Table>(()))
                .map_err(|failure| mlua::Error::runtime(failure.text))?;
            staged.configure = table.raw_get("configure")?;
        }
        self.running.sandbox = Some(sandbox);
        Ok(())
    }
}

/// `dir/stamp.lua` as `stamp`.
fn stem(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.strip_suffix(".lua").unwrap_or(file)
}

/// Of path and text: the path is part of error texts.
fn hash(path: &str, text: &str) -> u64 {
    let digest = Sha256::new().chain_update(path).chain_update([0]).chain_update(text).finalize();
    digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

fn digest(files: &[PluginFile]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for file in files {
        for part in [format!("{:?}", file.origin).as_bytes(), file.path.as_bytes(), file.text.as_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hash.finalize().into()
}
