//! `metadata`.

use super::{Faults, Field};
use crate::ground::names::ObjectName;
use crate::ground::problem::Source;
use crate::model::objects::{Kind, Meta, Spanned};
use crate::provider::validate;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where an object is that does not say.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// All annotations of an object together, as an API server counts them.
const MAX_ANNOTATIONS: usize = 256 << 10;

/// kubectl's copy of the whole object: nothing that anybody means.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Decodes it; faults in it leave the object refused.
pub(super) fn decode(object: &Field<'_>, kind: Kind, source: &Source, faults: &mut Faults) -> Meta {
    let mut meta = Meta {
        name: ObjectName::new("", ""),
        created: None,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        source: source.clone(),
        at: object.at(),
    };
    let Some(metadata) = object.need("metadata", faults) else { return meta };
    let name = name(&metadata, kind, faults);
    meta.name = ObjectName::new(namespace(&metadata, kind, faults), name);
    meta.created = created(&metadata, faults);
    if let Some(labels) = metadata.get("labels") {
        for (key, value) in labels.fields(faults) {
            complain(&value, key, validate::qualified_name(key), faults);
            if value.node().is_null() {
                meta.labels.insert(key.into(), "".into());
            } else if let Some(text) = value.text(faults) {
                complain(&value, text, validate::label_value(text), faults);
                meta.labels.insert(key.into(), text.into());
            }
        }
    }
    if let Some(annotations) = metadata.get("annotations") {
        meta.annotations = decode_annotations(&annotations, faults);
    }
    meta
}

fn name(metadata: &Field<'_>, kind: Kind, faults: &mut Faults) -> Arc<str> {
    let Some(field) = metadata.need("name", faults) else { return "".into() };
    let Some(text) = field.text(faults) else { return "".into() };
    let grammar = match kind {
        Kind::Service => validate::label(text),
        _ => validate::subdomain(text),
    };
    complain(&field, text, grammar, faults);
    text.into()
}

fn namespace(metadata: &Field<'_>, kind: Kind, faults: &mut Faults) -> Arc<str> {
    // Cluster-scoped: kubectl passes a namespace over, too.
    if kind == Kind::IngressClass {
        return "".into();
    }
    let Some(field) = metadata.get("namespace") else { return DEFAULT_NAMESPACE.into() };
    match field.text(faults) {
        None | Some("") => DEFAULT_NAMESPACE.into(),
        Some(text) => {
            complain(&field, text, validate::label(text), faults);
            text.into()
        }
    }
}

fn created(metadata: &Field<'_>, faults: &mut Faults) -> Option<i64> {
    let field = metadata.get("creationTimestamp")?;
    let text = field.text(faults)?;
    let Ok(timestamp) = text.parse::<jiff::Timestamp>() else {
        let fault = faults.add(&field, "this is no RFC 3339 time");
        fault.value(text).hint("it looks like 2026-11-23T08:00:00Z; it may be left out");
        return None;
    };
    Some(timestamp.as_second())
}

fn decode_annotations(annotations: &Field<'_>, faults: &mut Faults) -> BTreeMap<Arc<str>, Spanned<Arc<str>>> {
    let mut decoded = BTreeMap::new();
    let mut size = 0;
    for (key, value) in annotations.fields(faults) {
        complain(&value, key, validate::qualified_name(&key.to_ascii_lowercase()), faults);
        let text = if value.node().is_null() { Some("") } else { value.long_text(faults) };
        let Some(text) = text else { continue };
        size += key.len() + text.len();
        if key != LAST_APPLIED {
            decoded.insert(key.into(), Spanned { value: text.into(), at: value.at() });
        }
    }
    if size > MAX_ANNOTATIONS {
        faults.add(annotations, format!("annotations have {size} bytes together; at most {MAX_ANNOTATIONS}"));
    }
    decoded
}

/// A fault at `field`, if its text was found bad.
pub(super) fn complain(
    field: &Field<'_>,
    text: &str,
    found: Result<(), validate::Complaint>,
    faults: &mut Faults,
) {
    if let Err(complaint) = found {
        faults.add(field, complaint).value(text);
    }
}
