//! Service.

use super::ingress::port_number;
use super::meta::complain;
use super::{Faults, Field};
use crate::ground::suggest;
use crate::model::objects::{Meta, Object, Service, ServicePort, Spanned};
use crate::provider::validate;
use std::collections::HashSet;
use std::sync::Arc;

/// Most ports of one Service or slice.
pub(super) const MAX_PORTS: usize = 1_000;

pub(super) fn service(object: &Field<'_>, meta: Meta, faults: &mut Faults) -> Option<Object> {
    let spec = object.need("spec", faults)?;
    let kind = match spec.get("type") {
        Some(field) => field.text(faults)?,
        None => "ClusterIP",
    };
    if !matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName") {
        let known = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"];
        let hint = suggest::hint(kind, &known);
        let field = spec.get("type").unwrap_or(spec);
        faults.add(&field, "there is no such type of Service").value(kind).hint(hint);
    }
    let external_name = (kind == "ExternalName").then(|| external_name(&spec, faults));
    let ports = ports(&spec, faults);
    let headless = spec.get("clusterIP").is_some_and(|field| field.node().as_str() == Some("None"));
    if spec.get("ports").is_none() && kind != "ExternalName" && !headless {
        faults.add(&spec, "a Service of this type needs 'ports'");
    }
    Some(Object::Service(Service { meta, external_name: external_name.flatten(), ports }))
}

fn external_name(spec: &Field<'_>, faults: &mut Faults) -> Option<Spanned<Arc<str>>> {
    let field = spec.need("externalName", faults)?;
    let text = field.text(faults)?;
    // One dot at the end says that the name is complete.
    let name = text.strip_suffix('.').unwrap_or(text);
    complain(&field, text, validate::subdomain(name), faults);
    Some(Spanned { value: text.into(), at: field.at() })
}

/// TCP ports; those of other protocols are checked, then left out.
fn ports(spec: &Field<'_>, faults: &mut Faults) -> Vec<ServicePort> {
    let Some(field) = spec.get("ports") else { return Vec::new() };
    let entries = field.items(faults);
    let count = entries.len();
    if count > MAX_PORTS {
        faults.add(&field, format!("at most {MAX_PORTS} ports are taken; these are {count}"));
        return Vec::new();
    }
    let mut names = HashSet::new();
    let mut numbers = HashSet::new();
    let mut ports = Vec::new();
    for entry in entries {
        let protocol = protocol(&entry, faults);
        let name = port_name(&entry, count > 1, faults);
        let Some(port) = entry.need("port", faults).and_then(|field| port_number(&field, faults)) else {
            continue;
        };
        let app_protocol =
            entry.get("appProtocol").and_then(|field| field.text(faults).map(Arc::<str>::from));
        if !names.insert(name.clone()) {
            faults.add(&entry, "two ports have this name").value(&name);
        }
        if !numbers.insert((protocol, port)) {
            faults.add(&entry, format!("the port {port} is given twice for {protocol}"));
        }
        if protocol == "TCP" {
            ports.push(ServicePort { name, port, app_protocol });
        }
    }
    ports
}

/// `TCP` unless it says otherwise.
pub(super) fn protocol(entry: &Field<'_>, faults: &mut Faults) -> &'static str {
    let Some(field) = entry.get("protocol") else { return "TCP" };
    match field.text(faults) {
        Some("TCP") | None => "TCP",
        Some("UDP") => "UDP",
        Some("SCTP") => "SCTP",
        Some(other) => {
            faults.add(&field, "a protocol is TCP, UDP or SCTP").value(other);
            "TCP"
        }
    }
}

/// A port's name, empty where there is one port only and it has none.
fn port_name(entry: &Field<'_>, needed: bool, faults: &mut Faults) -> Arc<str> {
    let Some(field) = entry.get("name") else {
        if needed {
            faults.add(entry, "each of several ports needs a name");
        }
        return "".into();
    };
    let text = field.text(faults).unwrap_or_default();
    if !text.is_empty() || needed {
        complain(&field, text, validate::label(text), faults);
    }
    text.into()
}
