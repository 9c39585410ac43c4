//! Secret and ConfigMap. A Secret's values are never shown, not even bad ones.

use super::meta::complain;
use super::{Faults, Field};
use crate::model::objects::{ConfigMap, Meta, Object, Secret, SecretBytes};
use crate::provider::validate;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::sync::Arc;

/// All values of a Secret or ConfigMap together.
const MAX_DATA: usize = 1 << 20;

pub(super) fn secret(object: &Field<'_>, meta: Meta, faults: &mut Faults) -> Option<Object> {
    let kind: Arc<str> = match object.get("type") {
        Some(field) => field.text(faults)?.into(),
        None => "Opaque".into(),
    };
    let mut data = BTreeMap::new();
    if let Some(field) = object.get("data") {
        for (key, value) in field.fields(faults) {
            complain(&value, key, validate::data_key(key), faults);
            if let Some(bytes) = decode(&value, faults) {
                data.insert(Arc::from(key), SecretBytes::new(bytes));
            }
        }
    }
    if let Some(field) = object.get("stringData") {
        for (key, value) in field.fields(faults) {
            complain(&value, key, validate::data_key(key), faults);
            if let Some(text) = hidden_text(&value, faults) {
                data.insert(Arc::from(key), SecretBytes::new(text.as_bytes()));
            }
        }
    }
    let size: usize = data.values().map(|value| value.expose().len()).sum();
    if size > MAX_DATA {
        faults.add(object, format!("a Secret holds at most {MAX_DATA} bytes; this one has {size}"));
    }
    if &*kind == "kubernetes.io/tls" {
        for key in ["tls.crt", "tls.key"] {
            if !data.contains_key(key) {
                faults.add(object, format!("a Secret of type kubernetes.io/tls needs the key {key}"));
            }
        }
    }
    Some(Object::Secret(Secret { meta, kind, data }))
}

/// Base64 with line breaks allowed, as Go reads it.
fn decode(field: &Field<'_>, faults: &mut Faults) -> Option<Vec<u8>> {
    if field.node().is_null() {
        return Some(Vec::new());
    }
    let text = hidden_text(field, faults)?;
    let joined: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    let decoded = STANDARD.decode(&joined).ok();
    if decoded.is_none() {
        faults
            .add(field, "this is not base64")
            .hint("values of 'data' are base64; plain text goes below 'stringData'");
    }
    decoded
}

/// A text whose value no fault may show.
fn hidden_text<'a>(field: &Field<'a>, faults: &mut Faults) -> Option<&'a str> {
    if field.node().is_null() {
        return Some("");
    }
    let text = field.node().as_str();
    if text.is_none() {
        let kind = field.node().kind_name();
        faults.add(field, format!("this must be a text, not {kind}")).hint("put it in quotes");
    }
    text
}

pub(super) fn config_map(object: &Field<'_>, meta: Meta, faults: &mut Faults) -> Object {
    let mut data = BTreeMap::new();
    if let Some(field) = object.get("data") {
        for (key, value) in field.fields(faults) {
            complain(&value, key, validate::data_key(key), faults);
            let text = if value.node().is_null() { Some("") } else { value.any_text(faults) };
            if let Some(text) = text {
                data.insert(Arc::from(key), Arc::from(text));
            }
        }
    }
    let size: usize = data.values().map(|value: &Arc<str>| value.len()).sum();
    if size > MAX_DATA {
        faults.add(object, format!("a ConfigMap holds at most {MAX_DATA} bytes; this one has {size}"));
    }
    Object::ConfigMap(ConfigMap { meta, data })
}
