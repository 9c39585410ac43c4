//! A set of plugins as the control side runs it, and what may stand beside what.

use super::claim::Claim;
use super::definition::Definition;
use super::place;
use super::sandbox::Sandbox;
use super::selection::Verdict;
use crate::ground::problem::{Problem, Source};
use crate::model::chain::OnError;
use crate::model::plugins::{Origin, PluginCode, Stage as PluginStage};
use mlua::Function;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Which file: its source and its path.
pub(super) type FileId = (Origin, Arc<str>);

/// A set as `shape` uses it.
#[derive(Default)]
pub(super) struct Running {
    pub(super) sandbox: Option<Sandbox>,
    /// In order of action.
    pub(super) plugins: Vec<Staged>,
    /// Plugins that are wanted and do not run.
    pub(super) broken: Vec<Broken>,
    /// Owners of each annotation name, by index.
    pub(super) owners: HashMap<Arc<str>, Vec<usize>>,
    /// Nearest claimed name of names that nobody claims.
    pub(super) nearest: RefCell<HashMap<Arc<str>, Option<Arc<str>>>>,
}

/// A checked plugin in the staging VM.
pub(super) struct Staged {
    pub(super) code: Arc<PluginCode>,
    pub(super) definition: Definition,
    pub(super) configure: Option<Function>,
    pub(super) source: Arc<str>,
    pub(super) file: FileId,
}

/// A plugin that is wanted and does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) name: Arc<str>,
    pub(super) claims: BTreeSet<Arc<str>>,
    /// Its routes answer 503; otherwise it is as if it were not there.
    pub(super) closes: bool,
    pub(super) reason: Arc<str>,
}

impl Running {
    pub(super) fn new(sandbox: Sandbox, plugins: Vec<Staged>, broken: Vec<Broken>) -> Self {
        let mut owners: HashMap<Arc<str>, Vec<usize>> = HashMap::new();
        for (index, staged) in plugins.iter().enumerate() {
            for name in claims(staged).collect::<BTreeSet<_>>() {
                owners.entry(name).or_default().push(index);
            }
        }
        Self { sandbox: Some(sandbox), plugins, broken, owners, nearest: RefCell::default() }
    }
}

impl Staged {
    /// The claim that reads that annotation.
    pub(super) fn claim_of(&self, annotation: &str) -> Option<&Claim> {
        self.definition.claims.iter().find(|claim| claim.names.iter().any(|name| **name == *annotation))
    }
}

/// Whether a bad value or an error closes the route.
pub(super) fn closes(definition: &Definition) -> bool {
    definition.on_error == OnError::Closed || definition.stage.on_error() == OnError::Closed
}

pub(super) fn claims(staged: &Staged) -> impl Iterator<Item = Arc<str>> {
    staged.definition.claims.iter().flat_map(|claim| claim.names.iter().cloned())
}

/// Stage, then priority (higher first), then name.
pub(super) fn order(staged: &Staged) -> (PluginStage, u8, &str) {
    let definition = &staged.definition;
    (definition.stage, 100_u8.saturating_sub(definition.priority), &definition.name)
}

/// Why a plugin cannot be beside the earlier ones: its name, or an annotation that another one owns. What a file
/// replaces does not count.
pub(super) fn conflict(staged: &Staged, earlier: &[Verdict]) -> Option<Problem> {
    let source = Source { file: Arc::clone(&staged.code.chunk) };
    let name = &staged.code.name;
    let subject = format!("plugin {name}");
    let others = earlier.iter().filter(|other| other.id.0 != Origin::Bundled || other.name != *name);
    for other in others {
        if other.name == *name {
            let text = format!("{} is named '{name}' too", other.id.1);
            return Some(Problem::error(subject, text).at(&source, place::of_key(&staged.source, &["name"])));
        }
        let Some(other) = &other.staged else { continue };
        for claim in &staged.definition.claims {
            for annotation in &claim.names {
                let owned = other.claim_of(annotation).filter(|owned| !(owned.shared && claim.shared));
                if owned.is_some() {
                    let text =
                        format!("annotation {annotation} is claimed by plugin {} too", other.code.name);
                    let pos = place::of_key(&staged.source, &["annotations", &claim.key]);
                    return Some(
                        Problem::error(subject, text)
                            .hint("take its name to replace it, disable it, or say shared = true in both claims")
                            .at(&source, pos),
                    );
                }
            }
        }
    }
    None
}

/// Names of plugins that differ between what runs and what will.
pub(super) fn changed(running: &Running, plugins: &[Staged], broken: &[Broken]) -> Vec<Arc<str>> {
    let print =
        |plugins: &[Staged], broken: &[Broken]| -> BTreeMap<Arc<str>, (Option<u64>, Option<Broken>)> {
            let mut map: BTreeMap<Arc<str>, (Option<u64>, Option<Broken>)> = BTreeMap::new();
            for staged in plugins {
                map.entry(Arc::clone(&staged.code.name)).or_default().0 = Some(staged.code.hash);
            }
            for broken in broken {
                map.entry(Arc::clone(&broken.name)).or_default().1 = Some(broken.clone());
            }
            map
        };
    let (before, now) = (print(&running.plugins, &running.broken), print(plugins, broken));
    let names: BTreeSet<&Arc<str>> = before.keys().chain(now.keys()).collect();
    names.into_iter().filter(|name| before.get(*name) != now.get(*name)).cloned().collect()
}
