//! Shaping one route: which plugins its annotations call for, with which options, and what their `configure` makes
//! of it. A route without a claimed annotation never enters Lua.
//!
//! An annotation with a known prefix that nobody claims is a warning; where its name speaks of access (whitelist,
//! allowlist, denylist, auth) it closes the route, because its author believes that something guards it.

use super::context::{Context, Draft, Note};
use super::failure::{Failure, limited};
use super::gather::{Gathered, Meant, Prefer, gather, meant};
use super::options;
use super::place;
use super::running::{Staged, closes};
use super::shared::FailureKind;
use super::stage::Stage;
use crate::ground::names::{EntryPoints, ObjectName};
use crate::ground::problem::{Pos, Problem, Source};
use crate::ground::suggest;
use crate::model::chain::{Chain, Closed, Hooks, Step};
use crate::model::objects::Meta;
use crate::model::vocabulary::{Shaped, Target};
use mlua::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// The prefixes of annotations that somebody should understand.
const PREFIXES: [&str; 4] =
    ["traefik.", "ingress.kubernetes.io/", "traefik.ingress.kubernetes.io/", "nginx.ingress.kubernetes.io/"];
/// Words in a name that speak of access.
const GUARDING: [&str; 5] = ["whitelist", "allowlist", "denylist", "auth-", ".auth."];
/// What closes a route where no plugin does.
const NOBODY: &str = "unclaimed annotation";
/// Remembered suggestions.
const SUGGESTIONS: usize = 10_000;

impl Stage {
    /// Shapes one route.
    pub fn shape(&mut self, target: &Target<'_>) -> Shaped {
        let mut shaping = Shaping::new(target);
        let active = self.active(&mut shaping);
        let mut memory = false;
        for index in active {
            let Some(staged) = self.running.plugins.get(index) else { continue };
            memory |= shaping.plugin(self, index, staged) == Some(FailureKind::Memory);
        }
        if memory && let Err(error) = self.rebuild() {
            tracing::error!(%error, "the staging VM could not be built anew");
        }
        shaping.finish()
    }

    /// The plugins that act on the route, in order; what nobody acts on is reported.
    fn active(&self, shaping: &mut Shaping<'_>) -> BTreeSet<usize> {
        let plugins = &self.running.plugins;
        let always = plugins.iter().enumerate().filter(|(_, staged)| staged.definition.always);
        let mut active: BTreeSet<usize> = always.map(|(index, _)| index).collect();
        let target = shaping.target;
        for (meta, prefer) in [(Some(target.ingress), Prefer::Ingress), (target.service, Prefer::Service)] {
            let Some(meta) = meta else { continue };
            for (name, value) in &meta.annotations {
                let owners = self.running.owners.get(name).map_or(&[][..], Vec::as_slice);
                let reading = owners.iter().filter(|index| {
                    let claim = plugins.get(**index).and_then(|staged| staged.claim_of(name));
                    claim.is_some_and(|claim| prefer.reads(claim.on))
                });
                let before = active.len();
                active.extend(reading.copied());
                let read = active.len() > before || owners.iter().any(|index| active.contains(index));
                let broken = self.broken(name, shaping);
                if !owners.is_empty() && !read {
                    let mut owners = owners.iter().filter_map(|index| plugins.get(*index));
                    let guard = owners.find(|staged| closes(&staged.definition));
                    shaping.misplaced(meta, prefer, name, value.at, guard);
                } else if owners.is_empty() && !broken {
                    self.unclaimed(meta, prefer, name, value.at, shaping);
                }
            }
        }
        active
    }

    /// Reports the plugins that should act on the annotation and do not run; the closing ones close the route.
    fn broken(&self, annotation: &str, shaping: &mut Shaping<'_>) -> bool {
        let mut any = false;
        for broken in self.running.broken.iter().filter(|broken| broken.claims.contains(annotation)) {
            any = true;
            if broken.closes {
                shaping.close(&broken.name, format!("the plugin does not run: {}", broken.reason));
            }
            if shaping.said_broken.insert(Arc::clone(&broken.name)) {
                let fate = if broken.closes { "the route answers 503" } else { "it does not act here" };
                let text = format!("plugin {} does not run ({}): {fate}", broken.name, broken.reason);
                let meta = shaping.target.ingress;
                let problem = Problem::error(format!("Ingress {}", meta.name), text);
                shaping
                    .problems
                    .push(problem.field(format!("annotation {annotation}")).at(&meta.source, meta.at));
            }
        }
        any
    }

    fn unclaimed(&self, meta: &Meta, of: Prefer, name: &Arc<str>, at: Pos, shaping: &mut Shaping<'_>) {
        if !PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            return;
        }
        let last = name.rsplit('/').next().unwrap_or(name);
        let guards = GUARDING.iter().any(|word| last.contains(word));
        let problem = if guards {
            shaping.close(&NOBODY.into(), format!("no plugin implements {name}"));
            Problem::error(of.subject(meta), "no plugin implements this: the route answers 503")
        } else {
            let hint = self.nearest(name).map_or_else(String::new, |near| format!("did you mean {near}?"));
            Problem::warning(of.subject(meta), "not understood").hint(hint)
        };
        shaping.problems.push(problem.field(format!("annotation {name}")).at(&meta.source, at));
    }

    /// The claimed name that was probably meant.
    fn nearest(&self, name: &Arc<str>) -> Option<Arc<str>> {
        let mut nearest = self.running.nearest.borrow_mut();
        if let Some(known) = nearest.get(name) {
            return known.clone();
        }
        let mut names: Vec<&str> = self.running.owners.keys().map(|name| &**name).collect();
        names.sort_unstable();
        let found: Option<Arc<str>> = suggest::nearest(name, names).map(Arc::from);
        if nearest.len() >= SUGGESTIONS {
            nearest.clear();
        }
        nearest.insert(Arc::clone(name), found.clone());
        found
    }
}

/// One route while it is shaped.
pub(super) struct Shaping<'a> {
    pub(super) target: Target<'a>,
    draft: Draft,
    names: Rc<[Arc<str>]>,
    steps: Vec<Step>,
    plugins: Vec<Arc<str>>,
    closed: Option<Closed>,
    pub(super) problems: Vec<Problem>,
    pub(super) secrets: Vec<ObjectName>,
    said_broken: BTreeSet<Arc<str>>,
}

impl<'a> Shaping<'a> {
    fn new(target: &Target<'a>) -> Self {
        Self {
            target: *target,
            draft: Draft::default(),
            names: target.entrypoints.iter().map(|entrypoint| Arc::clone(&entrypoint.name)).collect(),
            steps: Vec::new(),
            plugins: Vec::new(),
            closed: None,
            problems: Vec::new(),
            secrets: Vec::new(),
            said_broken: BTreeSet::new(),
        }
    }

    fn close(&mut self, plugin: &Arc<str>, reason: String) {
        self.closed.get_or_insert_with(|| Closed { plugin: Arc::clone(plugin), reason: reason.into() });
    }

    /// Lets one plugin act. Returns how its `configure` failed, where it did.
    fn plugin(&mut self, stage: &Stage, index: usize, staged: &Staged) -> Option<FailureKind> {
        match meant(stage, index, staged, &self.target) {
            Meant::Mine => {}
            Meant::Other => return None,
            Meant::Nobody(problem) => {
                if closes(&staged.definition) {
                    self.close(&staged.code.name, problem.text.clone());
                }
                self.problems.push(*problem);
                return None;
            }
        }
        self.plugins.push(Arc::clone(&staged.code.name));
        let gathered = gather(self, staged, Prefer::Ingress);
        if gathered.bad && closes(&staged.definition) {
            self.close(&staged.code.name, "an annotation has a bad value".into());
            return None;
        }
        if gathered.missing {
            return None;
        }
        let before = self.draft.clone();
        match self.configure(stage, staged, &gathered) {
            Ok(Some(acts)) => {
                if gathered.differs {
                    self.backend_of_service(stage, staged);
                }
                if acts && staged.definition.hooks != Hooks(0) {
                    self.steps.push(step(staged, &gathered));
                }
                None
            }
            // What it said of its values is reported already.
            Ok(None) => {
                self.draft = before;
                self.refused(staged, "an annotation has a bad value".into());
                None
            }
            Err(failure) => {
                self.draft = before;
                self.failed(staged, &failure);
                Some(failure.kind)
            }
        }
    }

    /// `configure` once more, with the Service's values: what it sets of the backend counts.
    fn backend_of_service(&mut self, stage: &Stage, staged: &Staged) {
        let reported = self.problems.len();
        let route = self.draft.clone();
        let gathered = gather(self, staged, Prefer::Service);
        let outcome = self.configure(stage, staged, &gathered);
        let backend = self.draft.backend.clone();
        self.draft = route;
        self.problems.truncate(reported);
        if let Ok(Some(_)) = outcome {
            self.draft.backend = backend;
        }
    }

    /// Runs `configure`: whether the plugin acts at requests, or none where it called a value bad.
    fn configure(
        &mut self,
        stage: &Stage,
        staged: &Staged,
        given: &Gathered<'_>,
    ) -> Result<Option<bool>, Failure> {
        let Some(configure) = &staged.configure else { return Ok(Some(true)) };
        let Some(sandbox) = &stage.running.sandbox else {
            return Err(Failure::new(FailureKind::Memory, "no staging VM"));
        };
        let draft = Rc::new(RefCell::new(std::mem::take(&mut self.draft)));
        let context = Context {
            facts: self.target.facts.clone(),
            settings: Arc::clone(&staged.code.settings),
            entrypoints: Some(Rc::clone(&self.names)),
            draft: Rc::clone(&draft),
        };
        let result = options::table(&sandbox.lua, &given.values).map_err(Failure::from).and_then(|opts| {
            limited(stage.limits.configure_cpu, || configure.call::<Value>((opts, context)))
        });
        self.draft = draft.take();
        let notes = std::mem::take(&mut self.draft.notes);
        let bad = self.notes(staged, given, notes);
        match result {
            _ if bad => Ok(None),
            Ok(state) => Ok(Some(!state.is_nil())),
            Err(failure) => Err(failure),
        }
    }

    /// Reports what the plugin said; whether it called a value bad, so that it cannot act.
    fn notes(&mut self, staged: &Staged, given: &Gathered<'_>, notes: Vec<Note>) -> bool {
        let mut bad = false;
        for note in notes {
            let problem = match note {
                Note::Warn(text) => {
                    let problem = Problem::warning(format!("Ingress {}", self.target.ingress.name), text);
                    given.place(&self.target, "", problem)
                }
                Note::Report(key, text) => {
                    bad |= closes(&staged.definition);
                    let problem = Problem::error(format!("Ingress {}", self.target.ingress.name), text);
                    given.place(&self.target, &key, problem)
                }
                Note::Fail(key, text) => {
                    bad = true;
                    let problem = Problem::error(format!("Ingress {}", self.target.ingress.name), text);
                    given.place(&self.target, &key, problem)
                }
            };
            self.problems.push(problem);
        }
        bad
    }

    /// `configure` raised an error: the plugin's fault, shown with its own file and line.
    fn failed(&mut self, staged: &Staged, failure: &Failure) {
        let located = match &failure.error {
            Some(error) => place::locate(error, &staged.code.chunk, &staged.source),
            None => place::Located { text: failure.text.clone(), pos: Pos::default() },
        };
        let source = Source { file: Arc::clone(&staged.code.chunk) };
        let text = format!("configure failed: {}", located.text);
        let problem = Problem::error(format!("Ingress {}", self.target.ingress.name), text.as_str())
            .field(format!("plugin {}", staged.code.name))
            .at(&source, located.pos);
        self.problems.push(problem);
        self.refused(staged, text);
    }

    /// The plugin cannot act here.
    fn refused(&mut self, staged: &Staged, reason: String) {
        if closes(&staged.definition) {
            self.close(&staged.code.name, reason);
        }
    }

    /// An annotation on the wrong object. Where it speaks of access its author believes that it guards something.
    fn misplaced(&mut self, meta: &Meta, of: Prefer, name: &str, at: Pos, guard: Option<&Staged>) {
        let text = match of {
            Prefer::Ingress => "is read on the Service, not on the Ingress",
            Prefer::Service => "is read on the Ingress, not on the Service",
        };
        let problem = if let Some(guard) = guard {
            self.close(&guard.code.name, format!("{name} {text}"));
            Problem::error(of.subject(meta), format!("{text}: the route answers 503"))
        } else {
            Problem::warning(of.subject(meta), text)
        };
        self.problems.push(problem.field(format!("annotation {name}")).at(&meta.source, at));
    }

    fn finish(self) -> Shaped {
        let chain = Chain {
            facts: self.target.facts.clone(),
            steps: self.steps,
            plugins: self.plugins,
            closed: self.closed,
        };
        Shaped {
            settings: self.draft.settings,
            backend: self.draft.backend,
            entrypoints: self.draft.entrypoints.unwrap_or(EntryPoints::ALL),
            path_match: self.draft.path_match,
            chain: Arc::new(chain),
            problems: self.problems,
            secrets: self.secrets,
        }
    }
}

fn step(staged: &Staged, gathered: &Gathered<'_>) -> Step {
    Step {
        plugin: Arc::clone(&staged.code.name),
        hash: staged.code.hash,
        options: Arc::new(gathered.values.clone()),
        hooks: staged.code.hooks,
        on_error: staged.code.on_error,
    }
}
