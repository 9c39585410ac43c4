//! EndpointSlice, and Endpoints turned into slices.

use super::ingress::port_number;
use super::service::{MAX_PORTS, protocol};
use super::{Faults, Field, Shape};
use crate::ground::names::ObjectName;
use crate::ground::net::is_forbidden_target;
use crate::ground::suggest;
use crate::model::objects::{Endpoint, EndpointSlice, Meta, Object};
use crate::provider::validate;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;

/// Most endpoints of one slice, as in Kubernetes.
const MAX_ENDPOINTS: usize = 1_000;

/// The label that says whose endpoints they are.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

type Ports = Vec<(Arc<str>, u16)>;

pub(super) fn slice(object: &Field<'_>, meta: Meta, shape: Shape, faults: &mut Faults) -> Option<Object> {
    let service = meta.labels.get(SERVICE_NAME).cloned().unwrap_or_else(|| {
        faults.warn(object, format!("without the label {SERVICE_NAME} it belongs to no Service"));
        "".into()
    });
    let family = family(object, shape, faults)?;
    let ports = object.get("ports").map(|field| ports(&field, faults)).unwrap_or_default();
    if ports.is_empty() && object.get("ports").is_none() {
        faults.warn(object, "it has no 'ports', so nothing can be sent to its endpoints");
    }
    let endpoints = match object.get("endpoints") {
        Some(field) => endpoints_of(&field, family, faults),
        None => Vec::new(),
    };
    Some(Object::EndpointSlice(EndpointSlice { meta, service, legacy: false, ports, endpoints }))
}

/// The addresses' family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    /// Names instead of addresses: deprecated, passed over.
    Name,
    /// Beta slices said `IP`.
    Any,
}

fn family(object: &Field<'_>, shape: Shape, faults: &mut Faults) -> Option<Family> {
    if shape == Shape::Beta && object.get("addressType").is_none() {
        return Some(Family::Any);
    }
    let field = object.need("addressType", faults)?;
    match field.text(faults)? {
        "IPv4" => Some(Family::V4),
        "IPv6" => Some(Family::V6),
        "IP" if shape == Shape::Beta => Some(Family::Any),
        "FQDN" => {
            faults.warn(&field, "slices of names are deprecated in Kubernetes, and passed over here");
            Some(Family::Name)
        }
        other => {
            let hint = suggest::hint(other, &["IPv4", "IPv6"]);
            faults.add(&field, "there is no such address type").value(other).hint(hint);
            None
        }
    }
}

/// TCP ports by name.
fn ports(field: &Field<'_>, faults: &mut Faults) -> Ports {
    let entries = field.items(faults);
    if entries.len() > MAX_PORTS {
        faults.add(field, format!("at most {MAX_PORTS} ports are taken"));
        return Vec::new();
    }
    let mut ports = Vec::new();
    for entry in entries {
        let name =
            entry.get("name").and_then(|field| field.text(faults).map(|text| (field, text.to_owned())));
        let name = match &name {
            Some((field, text)) if !text.is_empty() => {
                super::meta::complain(field, text, validate::label(text), faults);
                Arc::from(text.as_str())
            }
            _ => Arc::from(""),
        };
        let tcp = protocol(&entry, faults) == "TCP";
        match entry.get("port") {
            Some(field) => {
                if let (Some(port), true) = (port_number(&field, faults), tcp) {
                    ports.push((name, port));
                }
            }
            None => faults.warn(&entry, "a port without a number means all ports; it is passed over"),
        }
    }
    ports
}

fn endpoints_of(field: &Field<'_>, family: Family, faults: &mut Faults) -> Vec<Endpoint> {
    let entries = field.items(faults);
    if entries.len() > MAX_ENDPOINTS {
        faults.add(field, format!("a slice has at most {MAX_ENDPOINTS} endpoints"));
        return Vec::new();
    }
    let endpoints: Vec<Option<Endpoint>> = entries.map(|entry| endpoint(&entry, family, faults)).collect();
    endpoints.into_iter().flatten().collect()
}

fn endpoint(entry: &Field<'_>, family: Family, faults: &mut Faults) -> Option<Endpoint> {
    let addresses = entry.need("addresses", faults)?;
    let first = addresses.items(faults).next();
    let Some(field) = first else {
        if addresses.node().as_seq().is_some() {
            faults.add(&addresses, "an endpoint needs an address");
        }
        return None;
    };
    if family == Family::Name {
        return None;
    }
    let address = address(&field, family, faults);
    let conditions = entry.get("conditions");
    let mut condition = |key: &str, absent: bool| match conditions.as_ref().and_then(|field| field.get(key)) {
        Some(field) => field.truth(faults).unwrap_or(absent),
        None => absent,
    };
    let (ready, serving, terminating) =
        (condition("ready", true), condition("serving", true), condition("terminating", false));
    Some(Endpoint { address: address?, ready, serving, terminating })
}

/// An API server refuses loopback, too; from files it is allowed, since there a machine serves itself.
fn address(field: &Field<'_>, family: Family, faults: &mut Faults) -> Option<IpAddr> {
    let text = field.text(faults)?;
    let fits = |address: &IpAddr| match family {
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
        Family::Any | Family::Name => true,
    };
    let Ok(address) = text.parse::<IpAddr>() else {
        let what = if family == Family::V6 { "an IPv6 address" } else { "an IPv4 address" };
        faults.add(field, format!("this is not {what}")).value(text);
        return None;
    };
    if !fits(&address) {
        faults.add(field, "the address is not of the slice's addressType").value(text);
        return None;
    }
    if is_forbidden_target(address) && !address.is_loopback() {
        faults
            .add(field, "an endpoint is never an unspecified, link-local, multicast or broadcast address")
            .value(text);
        return None;
    }
    Some(address)
}

/// `v1` Endpoints: a slice for each subset, since the subsets' ports differ. The first has the object's own
/// name, the others the same with `#1`, `#2`, which no object can have.
pub(super) fn endpoints(object: &Field<'_>, meta: &Meta, faults: &mut Faults) -> SmallVec<[Object; 1]> {
    let mut slices = SmallVec::new();
    if let Some(subsets) = object.get("subsets") {
        for (index, subset) in subsets.items(faults).enumerate() {
            let ports = subset.get("ports").map(|field| ports(&field, faults)).unwrap_or_default();
            let mut endpoints = Vec::new();
            for (key, ready) in [("addresses", true), ("notReadyAddresses", false)] {
                let Some(field) = subset.get(key) else { continue };
                for entry in field.items(faults) {
                    let Some(ip) = entry.need("ip", faults) else { continue };
                    if let Some(address) = address(&ip, Family::Any, faults) {
                        endpoints.push(Endpoint { address, ready, serving: ready, terminating: false });
                    }
                }
            }
            slices.push(legacy(meta, index, ports, endpoints));
        }
    }
    if slices.is_empty() {
        slices.push(legacy(meta, 0, Vec::new(), Vec::new()));
    }
    slices
}

fn legacy(meta: &Meta, index: usize, ports: Ports, endpoints: Vec<Endpoint>) -> Object {
    let mut own = meta.clone();
    if index > 0 {
        own.name = ObjectName::new(meta.name.namespace.clone(), format!("{}#{index}", meta.name.name));
    }
    let service = meta.name.name.clone();
    Object::EndpointSlice(EndpointSlice { meta: own, service, legacy: true, ports, endpoints })
}
