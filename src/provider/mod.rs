//! Where the world's declarations come from. A provider has one verb: say what changed.

pub mod decode;
pub mod files;
pub mod manifests;
pub mod plugins;
pub mod to;
pub mod validate;
pub mod watch;

use crate::ground::problem::Problem;
use crate::model::objects::Change;
use crate::model::plugins::PluginFile;
use std::sync::Arc;

/// What a provider says.
#[derive(Debug)]
pub enum Update {
    /// Objects came, changed or went.
    Objects(ObjectsUpdate),
    /// Plugin files changed.
    Plugins(PluginsUpdate),
}

/// Objects of one provider.
#[derive(Debug)]
pub struct ObjectsUpdate {
    /// Which provider: `manifests`, `to`.
    pub provider: &'static str,
    /// What changed since its last update.
    pub changes: Vec<Change>,
    /// All problems that this provider sees now.
    pub problems: Arc<[Problem]>,
}

/// The whole set of plugin files of one source.
#[derive(Debug)]
pub struct PluginsUpdate {
    /// Which source: `path`, `configmap`.
    pub source: &'static str,
    /// All files that it has now, sorted by path.
    pub files: Vec<PluginFile>,
    /// What could not be read.
    pub problems: Arc<[Problem]>,
}
