//! The life of a change without its waiting: updates in, a generation out. An edit of one object looks again only
//! at what it touches.

use super::backends::ProblemsDiff;
use super::class::is_ours;
use super::contest::Contest;
use super::endpoints::gather;
use super::objects::{Authority, Objects, Resolution, Touched};
use super::problems::Problems;
use super::publish::Publisher;
use super::translate::{Translation, translate};
use crate::ground::names::{HostPattern, ObjectName};
use crate::ground::problem::{Problem, Severity};
use crate::model::plugins::{PluginFile, PluginState, PluginStatus};
use crate::model::settings::Settings;
use crate::model::vocabulary::Vocabulary;
use crate::provider::Update;
use crate::router::Slot;
use crate::snapshot::Snapshot;
use crate::snapshot::view::{Changed, ReloadReport, Reloads, View};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Everything that `control` knows, and the meaning of annotations.
#[derive(Debug)]
pub struct Pipeline<V> {
    vocabulary: V,
    state: State,
}

/// Everything that `control` knows.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) settings: Arc<Settings>,
    pub(super) objects: Objects,
    translations: HashMap<ObjectName, Translation>,
    pub(super) contest: Contest,
    /// What was said about the losers of a slot.
    lost: HashMap<Slot, Vec<Problem>>,
    /// In how many Ingresses a host stands in a rule without paths.
    bare: HashMap<HostPattern, usize>,
    publisher: Publisher,
    problems: Problems,
    /// What each source of updates said last about what it could not read.
    said: HashMap<&'static str, Arc<[Problem]>>,
    /// By source, in the order in which they are handed on: `configmap` before `path`.
    plugin_files: BTreeMap<&'static str, Vec<PluginFile>>,
    /// They changed since they were loaded.
    plugins_stale: bool,
    plugins: Arc<[PluginStatus]>,
    plugin_problems: Vec<Problem>,
    touched: Touched,
    /// Sources that have not said anything yet. Nothing is published before all have: a route must not answer
    /// before its guards are known.
    waiting: BTreeSet<&'static str>,
    reloads: Reloads,
}

/// What came of some updates.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// The next generation, if anything changed in effect.
    pub snapshot: Option<Snapshot>,
    /// Whether the view is another one now.
    pub view_changed: bool,
    /// Names of what changed.
    pub changed: Changed,
}

/// A name that somebody has to look up, again and again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WantedName {
    /// The name.
    pub host: Arc<str>,
    /// It comes from the operator's command line, and may be one of this machine.
    pub operator: bool,
}

// === impl Pipeline ===

impl<V: Vocabulary> Pipeline<V> {
    /// Knows nothing yet, and waits for the sources that `settings` asks for.
    pub fn new(settings: Arc<Settings>, vocabulary: V) -> Self {
        Self { vocabulary, state: State::new(settings) }
    }

    /// The same pipeline over updates that are all there is: for `check` and `explain`.
    pub fn offline(settings: Arc<Settings>, vocabulary: V, updates: Vec<Update>) -> Self {
        let mut pipeline = Self::new(settings, vocabulary);
        pipeline.state.waiting.clear();
        pipeline.apply(updates);
        pipeline
    }

    /// Takes updates and makes at most one generation of them.
    pub fn apply(&mut self, updates: Vec<Update>) -> Applied {
        for update in updates {
            self.state.take(update);
        }
        self.commit()
    }

    /// Takes what names led to.
    pub fn resolve(&mut self, resolved: Vec<(Arc<str>, Resolution)>) -> Applied {
        for (host, resolution) in resolved {
            self.state.objects.set_resolved(&host, resolution, &mut self.state.touched);
        }
        self.commit()
    }

    /// Takes updates and says what came of them.
    pub fn reload(&mut self, updates: Vec<Update>) -> (Applied, ReloadReport) {
        let applied = self.apply(updates);
        let report = self.state.report(applied.changed.clone());
        (applied, report)
    }

    /// Forgets what a name led to; nothing that routes lead to may have it.
    pub fn forget_name(&mut self, host: &str) {
        self.state.objects.forget_resolved(host);
    }

    /// What [`Pipeline::reload`] would do.
    pub fn dry_run(&self, updates: Vec<Update>) -> ReloadReport {
        let mut trial = Self { vocabulary: self.vocabulary.fork(), state: self.state.clone() };
        trial.reload(updates).1
    }

    /// The current generation.
    pub fn snapshot(&self) -> &Snapshot {
        self.state.publisher.current()
    }

    /// What there is to say beside it.
    pub fn view(&self) -> View {
        self.state.view()
    }

    /// Problems that came since this was last asked, for the log.
    pub fn take_fresh_problems(&mut self) -> Vec<Problem> {
        self.state.problems.take_fresh()
    }

    /// The names that somebody has to look up.
    pub fn wanted_names(&self) -> BTreeSet<WantedName> {
        self.state.wanted_names()
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    fn commit(&mut self) -> Applied {
        let state = &mut self.state;
        if !state.waiting.is_empty() {
            return Applied { view_changed: state.problems.settle(), ..Applied::default() };
        }
        let loads = state.plugins_stale;
        let plugins = if loads { state.load(&mut self.vocabulary) } else { Vec::new() };
        let touched = std::mem::take(&mut state.touched);
        let mut slots = HashSet::new();
        for name in &touched.ingresses {
            let translation = state.translate(name, &mut self.vocabulary);
            state.replace(name, translation, &mut slots);
        }
        state.settle(slots, &touched.services);
        let (snapshot, routes) = state.publisher.finish();
        state.reloads.published += u64::from(snapshot.is_some());
        let view_changed = state.problems.settle() || loads || snapshot.is_some();
        Applied { snapshot, view_changed, changed: Changed { plugins, routes } }
    }
}

// === impl State ===

impl State {
    fn new(settings: Arc<Settings>) -> Self {
        let sources = &settings.sources;
        let expected = [
            ("manifests", !sources.manifests.is_empty()),
            ("to", sources.to.is_some()),
            ("path", !settings.plugin_dirs.is_empty()),
        ];
        Self {
            waiting: expected.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect(),
            publisher: Publisher::new(settings.workers),
            settings,
            objects: Objects::default(),
            translations: HashMap::new(),
            contest: Contest::default(),
            lost: HashMap::new(),
            bare: HashMap::new(),
            problems: Problems::default(),
            said: HashMap::new(),
            plugin_files: BTreeMap::new(),
            plugins_stale: true,
            plugins: Arc::new([]),
            plugin_problems: Vec::new(),
            touched: Touched::default(),
            reloads: Reloads::default(),
        }
    }

    /// Takes in what a source says, without looking at it.
    fn take(&mut self, update: Update) {
        let (source, problems) = match update {
            Update::Objects(update) => {
                for change in &update.changes {
                    self.objects.set(update.provider, change, &mut self.touched);
                }
                (update.provider, update.problems)
            }
            Update::Plugins(update) => {
                if self.plugin_files.get(update.source) != Some(&update.files) {
                    self.plugin_files.insert(update.source, update.files);
                    self.plugins_stale = true;
                }
                (update.source, update.problems)
            }
        };
        self.waiting.remove(source);
        let before = self.said.insert(source, problems.clone()).unwrap_or_default();
        self.problems.replace(&*before, &*problems);
    }

    /// Loads the plugins, and has every Ingress shaped again. The names of those that changed.
    fn load<V: Vocabulary>(&mut self, vocabulary: &mut V) -> Vec<Arc<str>> {
        let files: Vec<PluginFile> = self.plugin_files.values().flatten().cloned().collect();
        let loaded = vocabulary.load(&files);
        self.plugins_stale = false;
        self.problems.replace(&self.plugin_problems, &loaded.problems);
        self.plugin_problems = loaded.problems;
        self.plugins = loaded.statuses.into();
        self.reloads.failed +=
            u64::from(self.plugins.iter().any(|plugin| plugin.state != PluginState::Active));
        if !loaded.changed.is_empty() {
            self.publisher.set_plugins(loaded.set);
            self.touched.ingresses.extend(self.objects.ingresses().cloned());
        }
        loaded.changed
    }

    fn translate<V: Vocabulary>(&mut self, name: &ObjectName, vocabulary: &mut V) -> Translation {
        let objects = &self.objects;
        let ours = objects
            .ingress(name)
            .filter(|(ingress, authority)| is_ours(ingress, *authority, &self.settings, objects));
        ours.map(|(ingress, _)| translate(ingress, objects, &self.settings, vocabulary)).unwrap_or_default()
    }

    /// Puts a translation in the place of the last one, and notes the slots that have to be settled.
    fn replace(&mut self, name: &ObjectName, mut now: Translation, slots: &mut HashSet<Slot>) {
        let before = self.translations.remove(name).unwrap_or_default();
        self.objects.set_secrets(name, std::mem::take(&mut now.secrets));
        if before != now {
            self.problems.replace(before.problems(), now.problems());
            for candidate in &before.candidates {
                self.contest.withdraw(candidate);
            }
            for candidate in &now.candidates {
                self.contest.enter(candidate.clone());
            }
            slots.extend(before.candidates.iter().chain(&now.candidates).map(|it| it.slot.clone()));
            for host in now.bare.difference(&before.bare) {
                let count = self.bare.entry(host.clone()).or_default();
                *count += 1;
                if *count == 1 {
                    self.publisher.set_bare(host, true);
                }
            }
            for host in before.bare.difference(&now.bare) {
                if let Some(count) = self.bare.get_mut(host) {
                    *count -= 1;
                    if *count == 0 {
                        self.bare.remove(host);
                        self.publisher.set_bare(host, false);
                    }
                }
            }
        }
        if now != Translation::default() {
            self.translations.insert(name.clone(), now);
        }
    }

    /// Finds out who wins these slots, and gathers the endpoints of what they lead to and of these Services.
    fn settle(&mut self, slots: HashSet<Slot>, services: &BTreeSet<ObjectName>) {
        let (objects, admin) = (&self.objects, self.settings.admin);
        let gather = |id: &_| gather(id, objects, admin);
        let mut diff = ProblemsDiff::default();
        let mut won = Vec::with_capacity(slots.len());
        for slot in slots {
            let standing = self.contest.standing(&slot);
            let before = self.lost.remove(&slot).unwrap_or_default();
            self.problems.replace(&before, &standing.problems);
            if !standing.problems.is_empty() {
                self.lost.insert(slot.clone(), standing.problems);
            }
            won.push((slot, standing.winners));
        }
        // What is used already first: what is acquired afterwards is gathered from the same objects anyway.
        self.publisher.refresh(services.iter(), &gather, &mut diff);
        self.publisher.set_slots(won, &gather, &mut diff);
        self.problems.replace(&diff.gone, &diff.new);
    }

    fn view(&self) -> View {
        View {
            synced: self.waiting.is_empty(),
            problems: self.problems.all().clone(),
            plugins: self.plugins.clone(),
            reloads: self.reloads,
        }
    }

    fn report(&self, changed: Changed) -> ReloadReport {
        let problems = self.problems.all().to_vec();
        let ok = problems.iter().all(|problem| problem.severity != Severity::Error);
        ReloadReport { generation: self.publisher.current().generation, changed, problems, ok }
    }

    /// The names of the ExternalName Services that routes lead to; addresses need no look-up.
    fn wanted_names(&self) -> BTreeSet<WantedName> {
        let is_operators = |name: &ObjectName| {
            self.objects.service(name).is_some_and(|(_, authority)| authority == Authority::Operator)
        };
        let wanted = |(host, services): (&Arc<str>, Vec<&ObjectName>)| {
            let used: Vec<&ObjectName> =
                services.into_iter().filter(|name| self.publisher.backends().uses(name)).collect();
            let name = !used.is_empty() && host.parse::<IpAddr>().is_err();
            name.then(|| WantedName { host: host.clone(), operator: used.into_iter().any(is_operators) })
        };
        self.objects.external_names().filter_map(wanted).collect()
    }
}
