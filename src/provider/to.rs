//! `--to HOST:PORT`: one route for everything to one upstream, as the objects that somebody would have written.

use super::ObjectsUpdate;
use crate::ground::names::{HostPattern, ObjectName, PortRef};
use crate::ground::problem::{Pos, Source};
use crate::model::objects::{
    BackendRef, BackendTarget, Change, Endpoint, EndpointSlice, Ingress, IngressPath, IngressRule, Meta,
    Object, PathType, Service, ServicePort, Spanned,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// This provider's name.
pub const PROVIDER: &str = "to";

const NAMESPACE: &str = "moongate";
const NAME: &str = "to";

/// An Ingress `moongate/to` that takes everything, and its Service with the address or the name.
///
/// `localhost` is both loopback addresses and never looked up: names from elsewhere may not lead to loopback, but
/// whoever started us may.
pub fn objects(host: &str, port: u16) -> ObjectsUpdate {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let addresses: Vec<IpAddr> = match bare.parse() {
        Ok(address) => vec![address],
        Err(_) if bare.eq_ignore_ascii_case("localhost") => {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        }
        Err(_) => Vec::new(),
    };
    let external_name = addresses.is_empty().then(|| Spanned { value: Arc::from(bare), at: Pos::default() });
    let ports = vec![ServicePort { name: "".into(), port, app_protocol: None }];
    let mut objects = vec![ingress(port), Object::Service(Service { meta: meta(), external_name, ports })];
    if !addresses.is_empty() {
        objects.push(slice(&addresses, port));
    }
    let change = |object: Object| Change { id: object.id(), object: Some(Arc::new(object)) };
    ObjectsUpdate {
        provider: PROVIDER,
        changes: objects.into_iter().map(change).collect(),
        problems: Arc::from([]),
    }
}

fn ingress(port: u16) -> Object {
    let target = BackendTarget::Service { name: NAME.into(), port: PortRef::Number(port) };
    let at = Pos::default();
    let path =
        IngressPath { path: "/".into(), path_type: PathType::Prefix, backend: BackendRef { target, at }, at };
    let rules = vec![IngressRule { host: HostPattern::Any, at, paths: Some(vec![path]) }];
    Object::Ingress(Ingress { meta: meta(), class: None, default_backend: None, rules, tls: Vec::new() })
}

fn slice(addresses: &[IpAddr], port: u16) -> Object {
    let endpoint =
        |address: &IpAddr| Endpoint { address: *address, ready: true, serving: true, terminating: false };
    Object::EndpointSlice(EndpointSlice {
        meta: meta(),
        service: NAME.into(),
        legacy: false,
        ports: vec![("".into(), port)],
        endpoints: addresses.iter().map(endpoint).collect(),
    })
}

fn meta() -> Meta {
    Meta {
        name: ObjectName::new(NAMESPACE, NAME),
        created: None,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        source: Source { file: "".into() },
        at: Pos::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, name: Option<&str>, addresses: &[&str]) {
        let update = objects(host, 3000);
        let ids: Vec<String> = update.changes.iter().map(|change| change.id.to_string()).collect();
        let (mut seen_name, mut seen_addresses) = (None, Vec::new());
        for change in &update.changes {
            match change.object.as_deref().unwrap() {
                Object::Service(service) => {
                    assert_eq!(service.ports[0].port, 3000);
                    seen_name = service.external_name.as_ref().map(|name| name.value.to_string());
                }
                Object::EndpointSlice(slice) => {
                    assert_eq!(slice.ports, [("".into(), 3000)]);
                    seen_addresses = slice.endpoints.iter().map(|each| each.address.to_string()).collect();
                }
                _ => {}
            }
        }
        assert_eq!(seen_name.as_deref(), name, "{host}");
        assert_eq!(seen_addresses, addresses, "{host}");
        assert_eq!(ids[..2], ["Ingress moongate/to", "Service moongate/to"]);
    }

    #[test]
    fn an_upstream_is_an_address_or_a_name() {
        check("10.0.0.5", None, &["10.0.0.5"]);
        check("::1", None, &["::1"]);
        check("[::1]", None, &["::1"]);
        check("localhost", None, &["127.0.0.1", "::1"]);
        check("app.example.com", Some("app.example.com"), &[]);
    }
}
