//! The same pipeline without a network: `check` and `explain`.

use crate::control::Pipeline;
use crate::control::explain::{Explanation, Question};
use crate::ground::names::EntryPoints;
use crate::ground::path::{PathOptions, Target};
use crate::ground::problem::Problem;
use crate::model::explain::{ExplainReport, Other};
use crate::model::settings::Settings;
use crate::plugin::Stage;
use crate::provider::manifests::Manifests;
use crate::provider::plugins::Plugins;
use crate::provider::{Update, to};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use std::sync::Arc;

fn pipeline(settings: &Settings) -> Pipeline<Stage> {
    let settings = Arc::new(settings.clone());
    let stage = Stage::new(&settings.limits, &settings.plugins, settings.strict);
    let mut updates = Vec::new();
    if !settings.plugin_dirs.is_empty() {
        updates.push(Update::Plugins(Plugins::new(settings.plugin_dirs.clone()).load()));
    }
    if !settings.sources.manifests.is_empty() {
        updates.push(Update::Objects(Manifests::new(settings.sources.manifests.clone()).load()));
    }
    if let Some((host, port)) = &settings.sources.to {
        updates.push(Update::Objects(to::objects(host, *port)));
    }
    Pipeline::offline(settings, stage, updates)
}

/// Every problem of the manifests and plugins that `settings` names.
pub fn check(settings: &Settings) -> anyhow::Result<Vec<Problem>> {
    Ok(pipeline(settings).view().problems.to_vec())
}

/// Who answers `url`.
pub fn explain(settings: &Settings, url: &str) -> anyhow::Result<ExplainReport> {
    let asked = Asked::parse(url)?;
    let entrypoint = entrypoint_of(settings, asked.https);
    let index = settings.entrypoints.iter().position(|known| known.name == entrypoint).unwrap_or(0);
    let pipeline = pipeline(settings);
    let question = Question { entrypoint: EntryPoints::one(index as u8), host: asked.host, path: asked.path };
    let explanation = pipeline.explain(&question);
    Ok(report(url, entrypoint, &question, explanation))
}

/// The parts of a URL that routing looks at, in the form in which it does.
struct Asked {
    https: bool,
    host: String,
    path: String,
}

impl Asked {
    fn parse(url: &str) -> anyhow::Result<Self> {
        let (https, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some((scheme, _)) => bail!("'{scheme}' is not http or https"),
            None => (false, url),
        };
        let (authority, target) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let target = Target::parse(&Bytes::from(target), PathOptions::default())
            .with_context(|| format!("the path of '{url}'"))?;
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        Ok(Self { https, host, path: target.path().to_owned() })
    }
}

/// The entrypoint of the URL's scheme by its usual name, otherwise the first.
fn entrypoint_of(settings: &Settings, https: bool) -> Arc<str> {
    let name = if https { "https" } else { "http" };
    let known = settings.entrypoints.iter().find(|entrypoint| &*entrypoint.name == name);
    known.or(settings.entrypoints.first()).map_or_else(|| name.into(), |entrypoint| entrypoint.name.clone())
}

fn report(url: &str, entrypoint: Arc<str>, question: &Question, explanation: Explanation) -> ExplainReport {
    let others = explanation.others.into_iter();
    let mut report = ExplainReport {
        url: url.to_owned(),
        entrypoint,
        others: others.map(|other| Other { route: other.name.into(), why_not: other.why }).collect(),
        ..ExplainReport::default()
    };
    let Some(answer) = explanation.answer else {
        report.reason = Some(match explanation.matched {
            None => format!("no rule has the host '{}'", question.host),
            Some(host) => format!("no path of the host '{host}' matches, and there is no default backend"),
        });
        return report;
    };
    let route = &answer.route.route;
    report.route = Some(route.key.clone());
    report.reason = Some(match &route.chain.closed {
        Some(closed) => format!("{} — but it answers 503: {}: {}", answer.why, closed.plugin, closed.reason),
        None => answer.why,
    });
    report.plugins.clone_from(&route.chain.plugins);
    report.problems.clone_from(&route.problems);
    if let Some(backend) = answer.backend {
        report.backend = Some(backend.spec.id.key.to_string());
        report.endpoints =
            backend.endpoints.iter().map(|endpoint| endpoint.spec.address.to_string()).collect();
    }
    report
}
