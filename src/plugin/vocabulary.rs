//! The stage as `control` knows it.

use super::Stage;
use crate::model::plugins::PluginFile;
use crate::model::vocabulary::{Loaded, Shaped, Target, Vocabulary};

impl Vocabulary for Stage {
    fn load(&mut self, files: &[PluginFile]) -> Loaded {
        Self::load(self, files)
    }

    fn shape(&mut self, target: &Target<'_>) -> Shaped {
        Self::shape(self, target)
    }

    fn fork(&self) -> Self {
        Self::fork(self)
    }
}
