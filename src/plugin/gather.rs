//! From annotations to a plugin's options.

use super::claim::{Claim, Kind, On};
use super::running::Staged;
use super::shape::Shaping;
use super::stage::Stage;
use crate::ground::names::ObjectName;
use crate::ground::problem::{Pos, Problem};
use crate::model::chain::{OptionValue, SecretView};
use crate::model::objects::Meta;
use crate::model::vocabulary::Target;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Whose value counts where Ingress and Service both have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefer {
    Ingress,
    Service,
}

impl Prefer {
    /// Whether a claim is read on that object.
    pub(super) fn reads(self, on: On) -> bool {
        matches!((self, on), (_, On::Both) | (Self::Ingress, On::Ingress) | (Self::Service, On::Service))
    }

    /// `Ingress default/web`
    pub(super) fn subject(self, meta: &Meta) -> String {
        match self {
            Self::Ingress => format!("Ingress {}", meta.name),
            Self::Service => format!("Service {}", meta.name),
        }
    }
}

/// A plugin's options on a route.
#[derive(Debug, Default)]
pub(super) struct Gathered<'t> {
    pub(super) values: BTreeMap<Arc<str>, OptionValue>,
    /// Some value was bad.
    pub(super) bad: bool,
    /// Something that is required is not there.
    pub(super) missing: bool,
    /// Ingress and Service say different things.
    pub(super) differs: bool,
    /// Where each value came from.
    given: Vec<(Arc<str>, Given<'t>)>,
}

/// An annotation that is there.
#[derive(Clone, Copy, Debug)]
struct Given<'t> {
    name: &'t Arc<str>,
    text: &'t Arc<str>,
    at: Pos,
    meta: &'t Meta,
    of: Prefer,
}

impl Given<'_> {
    fn problem(&self, claim: &Claim, text: impl Into<String>) -> Problem {
        let problem = self.place(Problem::error("", text));
        // A Secret's name is no secret, its content is never here.
        if claim.kind == Kind::Secret && self.text.contains(char::is_whitespace) {
            problem
        } else {
            problem.value(&**self.text)
        }
    }

    fn place(&self, mut problem: Problem) -> Problem {
        problem.subject = self.of.subject(self.meta);
        problem.field(format!("annotation {}", self.name)).at(&self.meta.source, self.at)
    }
}

impl Gathered<'_> {
    /// Puts a plugin's words at the annotation of `key` (or the first that is there).
    pub(super) fn place(&self, target: &Target<'_>, key: &str, problem: Problem) -> Problem {
        let given = self.given.iter().find(|(known, _)| **known == *key).or_else(|| self.given.first());
        match given {
            Some((_, given)) => given.place(problem),
            None => problem.at(&target.ingress.source, target.ingress.at),
        }
    }
}

/// Reads every claim of a plugin; what is bad is reported.
pub(super) fn gather<'t>(shaping: &mut Shaping<'t>, staged: &Staged, prefer: Prefer) -> Gathered<'t> {
    let mut gathered = Gathered::default();
    for claim in &staged.definition.claims {
        let here = find(claim, &shaping.target, prefer);
        let there = find(claim, &shaping.target, other(prefer));
        gathered.differs |= here.zip(there).is_some_and(|(here, there)| here.text != there.text);
        let mut value = None;
        if let Some(given) = here {
            if let Some(instead) = &claim.deprecated {
                let text = format!("is deprecated: use {instead}");
                shaping.problems.push(given.place(Problem::warning("", text)));
            }
            match read(shaping, claim, &given) {
                Ok(read) => value = Some(read),
                Err(text) => {
                    gathered.bad = true;
                    shaping.problems.push(given.problem(claim, text));
                }
            }
            gathered.given.push((Arc::clone(&claim.key), given));
        }
        if let Some(value) = value.or_else(|| claim.default.clone()) {
            gathered.values.insert(Arc::clone(&claim.key), value);
        }
    }
    missing(shaping, staged, &mut gathered);
    gathered
}

/// Reports what is required and not there.
fn missing(shaping: &mut Shaping<'_>, staged: &Staged, gathered: &mut Gathered<'_>) {
    for claim in &staged.definition.claims {
        let present = |key: &Arc<str>| gathered.given.iter().any(|(known, _)| known == key);
        let wanted = claim.required || claim.required_if.as_ref().is_some_and(present);
        if !wanted || gathered.values.contains_key(&claim.key) {
            continue;
        }
        if !present(&claim.key) {
            let name = claim.names.first().map_or("", |name| &**name);
            let text = format!("plugin {} needs annotation {name} too", staged.code.name);
            let problem = Problem::error(format!("Ingress {}", shaping.target.ingress.name), text);
            shaping.problems.push(gathered.place(&shaping.target, "", problem));
            gathered.bad = true;
        }
        gathered.missing = true;
    }
}

fn other(prefer: Prefer) -> Prefer {
    match prefer {
        Prefer::Ingress => Prefer::Service,
        Prefer::Service => Prefer::Ingress,
    }
}

/// The annotation that a claim reads: names in order, presence decides.
fn find<'t>(claim: &Claim, target: &Target<'t>, prefer: Prefer) -> Option<Given<'t>> {
    let order = [prefer, other(prefer)];
    order.into_iter().filter(|of| of.reads(claim.on)).find_map(|of| {
        let meta = match of {
            Prefer::Ingress => target.ingress,
            Prefer::Service => target.service?,
        };
        let (name, value) = claim.names.iter().find_map(|name| meta.annotations.get_key_value(name))?;
        Some(Given { name, text: &value.value, at: value.at, meta, of })
    })
}

fn read(shaping: &mut Shaping<'_>, claim: &Claim, given: &Given<'_>) -> Result<OptionValue, String> {
    let value = claim.parse(given.text)?;
    match (&claim.kind, value) {
        (Kind::Secret, OptionValue::Text(name)) => {
            let namespace = &shaping.target.facts.namespace;
            let object = ObjectName::new(Arc::clone(namespace), Arc::clone(&name));
            let secret = (shaping.target.secret)(&object);
            let shown = object.to_string();
            if !shaping.secrets.contains(&object) {
                shaping.secrets.push(object);
            }
            let secret = secret.ok_or_else(|| format!("there is no Secret {shown}"))?;
            let view = SecretView { name: shown.into(), data: secret.data.clone() };
            Ok(OptionValue::Secret(Arc::new(view)))
        }
        (_, value) => Ok(value),
    }
}

/// Whom a shared annotation's value means.
pub(super) enum Meant {
    Mine,
    Other,
    /// No owner takes the value. Said by the first owner only.
    Nobody(Box<Problem>),
}

/// Whether the values of the plugin's shared claims mean it.
pub(super) fn meant(stage: &Stage, index: usize, staged: &Staged, target: &Target<'_>) -> Meant {
    for claim in staged.definition.claims.iter().filter(|claim| claim.shared && selects(claim)) {
        let Some(given) = find(claim, target, Prefer::Ingress) else { continue };
        if takes(claim, given.text) {
            continue;
        }
        let owners = stage.running.owners.get(given.name).map_or(&[][..], Vec::as_slice);
        let claims = || {
            let plugins = owners.iter().filter_map(|owner| stage.running.plugins.get(*owner));
            plugins.filter_map(|owner| owner.claim_of(given.name)).filter(|claim| selects(claim))
        };
        if claims().any(|claim| takes(claim, given.text)) || owners.first() != Some(&index) {
            return Meant::Other;
        }
        let mut words: Vec<&str> = claims().flat_map(words).map(|word| &**word).collect();
        words.sort_unstable();
        words.dedup();
        let text = format!("no plugin implements this; valid are: {}", words.join(", "));
        return Meant::Nobody(Box::new(given.problem(claim, text)));
    }
    Meant::Mine
}

/// The words of a claim that choose between the owners of an annotation.
fn words(claim: &Claim) -> &[Arc<str>] {
    match &claim.kind {
        _ if !claim.when.is_empty() => &claim.when,
        Kind::Enum(words) => words,
        _ => &[],
    }
}

fn selects(claim: &Claim) -> bool {
    !words(claim).is_empty()
}

fn takes(claim: &Claim, text: &str) -> bool {
    words(claim).iter().any(|word| word.eq_ignore_ascii_case(text))
}
