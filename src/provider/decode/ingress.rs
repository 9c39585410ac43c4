//! Ingress of all API versions, and IngressClass.

use super::meta::complain;
use super::{Faults, Field, Shape};
use crate::ground::names::{HostPattern, PortRef};
use crate::ground::path::rule_path;
use crate::ground::suggest;
use crate::model::objects::{
    BackendRef, BackendTarget, Ingress, IngressClass, IngressPath, IngressRule, IngressTls, Meta, Object,
    PathType, Spanned,
};
use crate::provider::validate;
use std::sync::Arc;

/// Most paths of one Ingress, all rules together.
pub const MAX_PATHS: usize = 1_000;

/// The annotation that named a class before there were IngressClasses.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

pub(super) fn class(object: &Field<'_>, meta: Meta, faults: &mut Faults) -> Option<Object> {
    let spec = object.need("spec", faults)?;
    let field = spec.need("controller", faults)?;
    let controller = field.text(faults)?;
    complain(&field, controller, validate::controller(controller), faults);
    let is_default = meta
        .annotations
        .get("ingressclass.kubernetes.io/is-default-class")
        .is_some_and(|annotation| &*annotation.value == "true");
    Some(Object::IngressClass(IngressClass { meta, controller: controller.into(), is_default }))
}

pub(super) fn ingress(object: &Field<'_>, meta: Meta, shape: Shape, faults: &mut Faults) -> Option<Object> {
    let spec = object.need("spec", faults)?;
    let default_key = match shape {
        Shape::V1 => "defaultBackend",
        Shape::Beta => "backend",
    };
    if !spec.only(&["ingressClassName", default_key, "rules", "tls"], faults) {
        return None;
    }
    let class = class_name(&spec, &meta, faults);
    let default_backend = spec.get(default_key).map(|field| backend(&field, shape, faults));
    let rules = rules(&spec, shape, faults);
    if default_backend.is_none() && spec.get("rules").is_none_or(|rules| rules.node().as_seq() == Some(&[])) {
        faults.add(&spec, format!("an Ingress has 'rules' or a '{default_key}'; this one has neither"));
    }
    let tls = spec.get("tls").map(|field| {
        let entries: Vec<Option<IngressTls>> = field.items(faults).map(|entry| tls(&entry, faults)).collect();
        entries
    });
    Some(Object::Ingress(Ingress {
        meta,
        class,
        default_backend: default_backend.flatten(),
        rules,
        tls: tls.unwrap_or_default().into_iter().flatten().collect(),
    }))
}

fn class_name(spec: &Field<'_>, meta: &Meta, faults: &mut Faults) -> Option<Spanned<Arc<str>>> {
    let field = spec.get("ingressClassName")?;
    let name = field.text(faults)?;
    complain(&field, name, validate::subdomain(name), faults);
    if let Some(annotation) = meta.annotations.get(CLASS_ANNOTATION)
        && &*annotation.value != name
    {
        let other = &annotation.value;
        faults.warn(&field, format!("the annotation {CLASS_ANNOTATION} says '{other}'; this field decides"));
    }
    Some(Spanned { value: name.into(), at: field.at() })
}

fn rules(spec: &Field<'_>, shape: Shape, faults: &mut Faults) -> Vec<IngressRule> {
    let Some(field) = spec.get("rules") else { return Vec::new() };
    let rules: Vec<IngressRule> = field.items(faults).map(|entry| rule(&entry, shape, faults)).collect();
    let paths: usize = rules.iter().map(|rule| rule.paths.as_ref().map_or(1, Vec::len)).sum();
    if paths > MAX_PATHS {
        faults
            .add(&field, format!("an Ingress has at most {MAX_PATHS} paths; this one has {paths}"))
            .hint("make several Ingresses of it");
    }
    rules
}

fn rule(entry: &Field<'_>, shape: Shape, faults: &mut Faults) -> IngressRule {
    entry.only(&["host", "http"], faults);
    let field = entry.get("host");
    let host = field.as_ref().map_or(Some(HostPattern::Any), |field| host(field, faults));
    let paths = entry.get("http").and_then(|http| {
        if !http.only(&["paths"], faults) {
            return None;
        }
        let field = http.need("paths", faults)?;
        let paths: Vec<Option<IngressPath>> =
            field.items(faults).map(|entry| path(&entry, shape, faults)).collect();
        if field.node().as_seq() == Some(&[]) {
            faults.add(&field, "the list is empty").hint("name a path, or leave out 'http'");
        }
        Some(paths.into_iter().flatten().collect())
    });
    IngressRule {
        host: host.unwrap_or(HostPattern::Any),
        at: field.map_or(entry.at(), |field| field.at()),
        paths,
    }
}

/// An empty host is every host, as none is.
fn host(field: &Field<'_>, faults: &mut Faults) -> Option<HostPattern> {
    let text = field.text(faults)?;
    if text.is_empty() {
        return Some(HostPattern::Any);
    }
    complain(field, text, validate::host(text), faults);
    Some(match text.strip_prefix("*.") {
        Some(name) => HostPattern::Wildcard(name.into()),
        None => HostPattern::Exact(text.into()),
    })
}

fn path(entry: &Field<'_>, shape: Shape, faults: &mut Faults) -> Option<IngressPath> {
    if !entry.only(&["path", "pathType", "backend"], faults) {
        return None;
    }
    let path_type = path_type(entry, shape, faults);
    let field = entry.get("path");
    let text = match &field {
        Some(field) => field.text(faults)?,
        None => "",
    };
    // Kubernetes takes an empty path only where the path's meaning is the implementation's.
    let strict = path_type.is_some_and(|path_type| path_type != PathType::ImplementationSpecific);
    let path: Option<Arc<str>> = if text.is_empty() {
        if strict {
            let hint = "write '/' to take every path";
            faults
                .add(field.as_ref().unwrap_or(entry), "a path begins with '/'; this one is empty")
                .hint(hint);
        }
        Some("/".into())
    } else {
        match rule_path(text) {
            Ok(path) => Some(path.into()),
            Err(complaint) => {
                faults.add(field.as_ref().unwrap_or(entry), complaint.to_string()).value(text);
                None
            }
        }
    };
    let backend = entry.need("backend", faults).and_then(|field| backend(&field, shape, faults));
    let at = field.map_or(entry.at(), |field| field.at());
    Some(IngressPath { path: path?, path_type: path_type?, backend: backend?, at })
}

fn path_type(entry: &Field<'_>, shape: Shape, faults: &mut Faults) -> Option<PathType> {
    const NAMES: [&str; 3] = ["Prefix", "Exact", "ImplementationSpecific"];
    let Some(field) = entry.get("pathType") else {
        if shape == Shape::V1 {
            let hint = "add 'pathType: Prefix' (or Exact, or ImplementationSpecific)";
            faults.add(entry, "pathType is missing; networking.k8s.io/v1 asks for it").hint(hint);
            if let Some(fault) = faults.all.last_mut() {
                fault.field = format!("{}.pathType", entry.path());
            }
            return None;
        }
        return Some(PathType::ImplementationSpecific);
    };
    let text = field.text(faults)?;
    match text {
        "Prefix" => Some(PathType::Prefix),
        "Exact" => Some(PathType::Exact),
        "ImplementationSpecific" => Some(PathType::ImplementationSpecific),
        _ => {
            let near = NAMES.iter().find(|name| name.eq_ignore_ascii_case(text));
            let hint =
                near.map_or_else(|| suggest::hint(text, &NAMES), |near| format!("did you mean '{near}'?"));
            faults.add(&field, "there is no such pathType").value(text).hint(hint);
            None
        }
    }
}

fn backend(field: &Field<'_>, shape: Shape, faults: &mut Faults) -> Option<BackendRef> {
    let target = match shape {
        Shape::V1 => {
            if field.get("serviceName").is_some() || field.get("servicePort").is_some() {
                faults
                    .add(field, "serviceName and servicePort are of the beta versions of Ingress")
                    .hint("in networking.k8s.io/v1 write service: { name: NAME, port: { number: PORT } }");
                return None;
            }
            if !field.only(&["service", "resource"], faults) {
                return None;
            }
            match (field.get("service"), field.get("resource")) {
                (Some(service), None) => self::service(&service, faults),
                (None, Some(resource)) => self::resource(&resource, faults),
                (Some(_), Some(_)) => {
                    faults.add(field, "a backend is a 'service' or a 'resource', not both");
                    None
                }
                (None, None) => {
                    faults.add(field, "a backend needs a 'service' or a 'resource'");
                    None
                }
            }
        }
        Shape::Beta => {
            if !field.only(&["serviceName", "servicePort", "resource"], faults) {
                return None;
            }
            match field.get("resource") {
                Some(resource) => self::resource(&resource, faults),
                None => beta_service(field, faults),
            }
        }
    };
    Some(BackendRef { target: target?, at: field.at() })
}

fn service(service: &Field<'_>, faults: &mut Faults) -> Option<BackendTarget> {
    if !service.only(&["name", "port"], faults) {
        return None;
    }
    let name = service_name(service, "name", faults);
    let port = service.need("port", faults).and_then(|port| {
        if !port.only(&["name", "number"], faults) {
            return None;
        }
        match (port.get("name"), port.get("number")) {
            (Some(name), None) => {
                let text = name.text(faults)?;
                complain(&name, text, validate::port_name(text), faults);
                Some(PortRef::Name(text.into()))
            }
            (None, Some(number)) => port_number(&number, faults).map(PortRef::Number),
            (Some(_), Some(_)) => {
                faults.add(&port, "a port is given by 'name' or by 'number', not both");
                None
            }
            (None, None) => {
                faults.add(&port, "a port needs a 'name' or a 'number'");
                None
            }
        }
    });
    Some(BackendTarget::Service { name: name?, port: port? })
}

/// `serviceName` and `servicePort`, which is a number or a text; digits in a text are a number.
fn beta_service(backend: &Field<'_>, faults: &mut Faults) -> Option<BackendTarget> {
    let name = service_name(backend, "serviceName", faults);
    let port = backend.need("servicePort", faults).and_then(|field| match field.node().as_str() {
        Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            in_range(&field, text.parse().ok(), text, faults).map(PortRef::Number)
        }
        Some(text) => {
            complain(&field, text, validate::port_name(text), faults);
            Some(PortRef::Name(text.into()))
        }
        None => port_number(&field, faults).map(PortRef::Number),
    });
    Some(BackendTarget::Service { name: name?, port: port? })
}

fn service_name(parent: &Field<'_>, key: &str, faults: &mut Faults) -> Option<Arc<str>> {
    let field = parent.need(key, faults)?;
    let text = field.text(faults)?;
    complain(&field, text, validate::label(text), faults);
    Some(text.into())
}

/// `Kind/name`: valid, though nobody here can serve it.
fn resource(resource: &Field<'_>, faults: &mut Faults) -> Option<BackendTarget> {
    if !resource.only(&["apiGroup", "kind", "name"], faults) {
        return None;
    }
    if let Some(group) = resource.get("apiGroup") {
        group.text(faults)?;
    }
    let kind = resource.need("kind", faults).and_then(|field| field.text(faults).map(str::to_owned));
    let name = resource.need("name", faults).and_then(|field| field.text(faults).map(str::to_owned));
    Some(BackendTarget::Resource(format!("{}/{}", kind?, name?).into()))
}

/// A port's number.
pub(super) fn port_number(field: &Field<'_>, faults: &mut Faults) -> Option<u16> {
    let number = field.whole(faults)?;
    in_range(field, Some(number), &number.to_string(), faults)
}

fn in_range(field: &Field<'_>, number: Option<i64>, text: &str, faults: &mut Faults) -> Option<u16> {
    let port = number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0);
    if port.is_none() {
        faults.add(field, "a port is 1..65535").value(text);
    }
    port
}

fn tls(entry: &Field<'_>, faults: &mut Faults) -> Option<IngressTls> {
    if !entry.only(&["hosts", "secretName"], faults) {
        return None;
    }
    let hosts = entry.get("hosts").map(|field| {
        let hosts: Vec<Option<HostPattern>> = field.items(faults).map(|item| host(&item, faults)).collect();
        hosts
    });
    let secret = match entry.get("secretName") {
        None => None,
        Some(field) => {
            let text = field.text(faults)?;
            if text.is_empty() {
                None
            } else {
                complain(&field, text, validate::subdomain(text), faults);
                Some(Spanned { value: text.into(), at: field.at() })
            }
        }
    };
    Some(IngressTls { hosts: hosts.unwrap_or_default().into_iter().flatten().collect(), secret })
}
