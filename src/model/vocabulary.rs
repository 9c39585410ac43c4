//! What annotations mean: asked by `control` once per route and change, answered by `plugin`. The trait stands
//! here so that the two need not know each other.

use super::chain::{Chain, Facts};
use super::objects::{Meta, Secret};
use super::plugins::{PluginFile, PluginSet, PluginStatus};
use super::route::{BackendSettings, PathMatch, RouteSettings};
use super::settings::EntryPoint;
use crate::ground::names::{EntryPoints, ObjectName};
use crate::ground::problem::Problem;
use std::fmt;
use std::sync::Arc;

/// Gives annotations their meaning.
///
/// `control` is the only caller, on one thread. Nothing here waits, and nothing fails: what could not be done is
/// a [`Problem`], and the closed or last good form of it stands in the answer.
pub trait Vocabulary {
    /// Takes the whole set of plugin files (all sources together, the later replacing the earlier of a name; the
    /// bundled ones are the implementation's own). A file that fails keeps its last good version.
    fn load(&mut self, files: &[PluginFile]) -> Loaded;

    /// What the loaded plugins make of one route. Equal targets give equal answers while no `load` lies between.
    fn shape(&mut self, target: &Target<'_>) -> Shaped;

    /// A second one with the same set loaded, for a dry run: what is loaded there does not matter here.
    #[must_use]
    fn fork(&self) -> Self
    where
        Self: Sized;
}

/// One route before its plugins have shaped it.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// Where we are, as `configure`'s `ctx` shows it.
    pub facts: &'a Facts,
    /// The Ingress, with its annotations.
    pub ingress: &'a Meta,
    /// The Service that the route goes to, where there is one.
    pub service: Option<&'a Meta>,
    /// All entrypoints, in the order of their bits.
    pub entrypoints: &'a [EntryPoint],
    /// Looks a Secret up. Every name that was asked for belongs into [`Shaped::secrets`], found or not.
    pub secret: &'a dyn Fn(&ObjectName) -> Option<&'a Secret>,
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("route", &self.facts.route).finish_non_exhaustive()
    }
}

/// One route after its plugins have shaped it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shaped {
    /// `ctx.route`.
    pub settings: RouteSettings,
    /// `ctx.backend`.
    pub backend: BackendSettings,
    /// Which entrypoints it answers on; [`EntryPoints::ALL`] where no plugin said.
    pub entrypoints: EntryPoints,
    /// How its path is matched; none is "as the Ingress says".
    pub path_match: Option<PathMatch>,
    /// What is left to do per request.
    pub chain: Arc<Chain>,
    /// What was wrong.
    pub problems: Vec<Problem>,
    /// Secrets that were looked up: a change of one shapes the route again.
    pub secrets: Vec<ObjectName>,
}

/// What became of a set of plugin files.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What runs now.
    pub set: Arc<PluginSet>,
    /// Plugins that came, changed or went, by name.
    pub changed: Vec<Arc<str>>,
    /// Every plugin, in order of action.
    pub statuses: Vec<PluginStatus>,
    /// Every problem of the set, those in `statuses` included.
    pub problems: Vec<Problem>,
}
