//! All problems there are, each as often as somebody has it.

use crate::ground::problem::Problem;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A counted set of problems. Many routes of an Ingress may share one; it is shown once, until the last is gone.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    counts: BTreeMap<Problem, usize>,
    shown: Arc<[Problem]>,
    /// `counts` changed since `shown` was made of it.
    stale: bool,
    /// Those that came since they were last taken, for the log.
    fresh: Vec<Problem>,
}

impl Problems {
    /// Somebody has these no longer, and those instead.
    pub fn replace<'a>(
        &mut self,
        before: impl IntoIterator<Item = &'a Problem>,
        now: impl IntoIterator<Item = &'a Problem>,
    ) {
        for problem in now {
            if let Some(count) = self.counts.get_mut(problem) {
                *count += 1;
            } else {
                self.counts.insert(problem.clone(), 1);
                self.fresh.push(problem.clone());
                self.stale = true;
            }
        }
        for problem in before {
            match self.counts.get_mut(problem) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) => {
                    self.counts.remove(problem);
                    self.stale = true;
                }
                None => {}
            }
        }
    }

    /// Ends a change. True if the set is another one now.
    pub fn settle(&mut self) -> bool {
        let changed = std::mem::take(&mut self.stale);
        if changed {
            self.shown = self.counts.keys().cloned().collect();
            self.fresh.retain(|problem| self.counts.contains_key(problem));
        }
        changed
    }

    /// Sorted, each once, as of the last change that ended.
    pub fn all(&self) -> &Arc<[Problem]> {
        &self.shown
    }

    /// Those that came since this was last asked.
    pub fn take_fresh(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.fresh)
    }
}
