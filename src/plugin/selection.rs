//! From checked files to what runs: good versions, replaced bundled plugins, and what is left broken.

use super::place::guess;
use super::running::{Broken, FileId, Staged, claims as claims_of, closes as closes_route};
use crate::ground::problem::Problem;
use crate::model::chain::OnError;
use crate::model::plugins::{Origin, PluginFile, PluginSet, PluginState, PluginStatus, Stage as PluginStage};
use crate::model::settings::PluginSettings;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The last text of a file that was good.
#[derive(Clone)]
pub(super) struct Good {
    pub(super) name: Arc<str>,
    pub(super) text: Arc<str>,
}

/// What became of a file.
pub(super) struct Verdict {
    pub(super) id: FileId,
    pub(super) name: Arc<str>,
    pub(super) staged: Option<Staged>,
    /// Set where the newest text failed.
    pub(super) problems: Vec<Problem>,
}

/// What a load selects from its verdicts.
#[derive(Default)]
pub(super) struct Selection {
    pub(super) plugins: Vec<Staged>,
    pub(super) broken: Vec<Broken>,
    pub(super) statuses: Vec<PluginStatus>,
    /// Bundled plugins that a file replaces, by name.
    pub(super) replaced: BTreeMap<Arc<str>, Verdict>,
}

impl Selection {
    pub(super) fn take(
        &mut self,
        verdict: Verdict,
        settings: &PluginSettings,
        files: &[PluginFile],
        good: &mut HashMap<FileId, Good>,
    ) {
        let Verdict { id, name, staged, problems } = verdict;
        let failed = !problems.is_empty();
        let Some(staged) = staged else {
            return self.failed(&id, &name, problems, files);
        };
        if !failed && id.0 != Origin::Bundled {
            good.insert(id, Good { name: Arc::clone(&name), text: Arc::clone(&staged.source) });
        }
        let denied = staged.definition.needs.iter().find(|need| settings.deny.contains(need));
        if let Some(need) = denied {
            let reason = format!("it needs the capability '{need}', which the operator denies");
            let mut problems = problems;
            problems.push(Problem::error(format!("plugin {name}"), reason.as_str()));
            self.statuses.push(status(&staged, PluginState::Failed, problems));
            self.broken.push(Broken {
                name,
                claims: claims_of(&staged).collect(),
                closes: closes_route(&staged.definition),
                reason: reason.into(),
            });
            return;
        }
        let state = if failed { PluginState::LastGood } else { PluginState::Active };
        self.statuses.push(status(&staged, state, problems));
        self.plugins.push(staged);
    }

    /// A file that fails and never was good.
    fn failed(&mut self, id: &FileId, name: &Arc<str>, problems: Vec<Problem>, files: &[PluginFile]) {
        let text =
            files.iter().find(|file| file.origin == id.0 && file.path == id.1).map_or("", |file| &file.text);
        let stage = guess::text(text, "stage")
            .and_then(|word| PluginStage::ALL.iter().find(|(_, name)| *name == word))
            .map(|(stage, _)| *stage);
        let mut claims: BTreeSet<Arc<str>> = guess::annotations(text).into_iter().map(Arc::from).collect();
        let mut closes = stage.is_none_or(|stage| stage.on_error() == OnError::Closed)
            || guess::text(text, "on_error") == Some("closed");
        if let Some(Verdict { staged: Some(bundled), .. }) = self.replaced.remove(name) {
            if closes_route(&bundled.definition) {
                claims.extend(claims_of(&bundled));
                closes = true;
            } else {
                self.statuses.push(status(&bundled, PluginState::Active, Vec::new()));
                self.plugins.push(bundled);
            }
        }
        let reason: Arc<str> = problems.first().map_or("", |problem| &*problem.text).into();
        self.statuses.push(PluginStatus {
            name: Arc::clone(name),
            file: Arc::clone(&id.1),
            source: id.0,
            hash: String::new(),
            state: PluginState::Failed,
            claims: claims.iter().cloned().collect(),
            stage,
            problems,
        });
        self.broken.push(Broken { name: Arc::clone(name), claims, closes, reason });
    }
}

fn status(staged: &Staged, state: PluginState, problems: Vec<Problem>) -> PluginStatus {
    PluginStatus {
        name: Arc::clone(&staged.code.name),
        file: Arc::clone(&staged.file.1),
        source: staged.file.0,
        hash: format!("{:016x}", staged.code.hash),
        state,
        claims: claims_of(staged).collect(),
        stage: Some(staged.definition.stage),
        problems,
    }
}

/// In order of action; those that do not run last.
pub(super) fn sorted(mut statuses: Vec<PluginStatus>, set: &PluginSet) -> Vec<PluginStatus> {
    let place = |status: &PluginStatus| {
        let index = set.plugins.iter().position(|code| code.name == status.name);
        (status.state == PluginState::Failed, index.unwrap_or(usize::MAX))
    };
    statuses.sort_by(|a, b| (place(a), &a.name).cmp(&(place(b), &b.name)));
    statuses
}
