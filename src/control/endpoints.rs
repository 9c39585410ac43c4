//! Service and slices to endpoints (`spec/kubernetes.md` 1.6, 1.7): the port by number or name, the slices' ports
//! by the Service port's *name*, the union of all slices without duplicates, the ready ones, and only where none
//! is, those that still serve while they terminate.

use super::objects::{Authority, Objects, Resolution};
use crate::ground::names::{ObjectName, PortRef};
use crate::ground::net::{canonical, is_forbidden_target};
use crate::ground::problem::Problem;
use crate::model::objects::{Service, ServicePort};
use crate::model::route::{BackendId, BackendSpec, EndpointSpec};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// A backend with its endpoints, and what is wrong with them.
pub fn gather(id: &BackendId, objects: &Objects, admin: SocketAddr) -> (BackendSpec, Vec<Problem>) {
    let name = &id.key.service;
    let mut gathering = Gathering { name, admin, found: BTreeMap::new(), problems: Vec::new() };
    let mut host = None;
    let none = match objects.service(name) {
        None => NoEndpoint::problem(format!("Service {name} does not exist")),
        Some((service, authority)) => match &service.external_name {
            Some(external) => {
                host = Some(external.value.clone());
                let port = external_port(service, &id.key.port);
                gathering.external(&external.value, port, authority, objects)
            }
            None => match port_of(service, &id.key.port) {
                None => NoEndpoint::problem(format!("Service {name} has no port {}", id.key.port)),
                Some(port) => gathering.slices(&port.name, objects),
            },
        },
    };
    let Gathering { found, mut problems, .. } = gathering;
    let none = Some(none).filter(|_| found.is_empty());
    if let Some(none) = none.as_ref().filter(|none| none.is_problem) {
        let hint = "requests to it are answered with 503";
        problems.push(Problem::warning(format!("Service {name}"), none.why.as_str()).hint(hint));
    }
    let endpoints = found
        .into_iter()
        .map(|(address, is_ready)| EndpointSpec { address, weight: 1, draining: !is_ready })
        .collect();
    (BackendSpec { id: id.clone(), endpoints, reason: none.map(|none| none.why.into()), host }, problems)
}

/// Why a backend has no endpoint, if it has none.
struct NoEndpoint {
    why: String,
    /// False while it is only a matter of waiting.
    is_problem: bool,
}

impl NoEndpoint {
    fn problem(why: String) -> Self {
        Self { why, is_problem: true }
    }
}

/// The port that an Ingress means: by number, by name, and by number again where the name is one (the beta API's
/// `servicePort: "80"`).
pub fn port_of<'a>(service: &'a Service, port: &PortRef) -> Option<&'a ServicePort> {
    let by_number = |number: u16| service.ports.iter().find(|port| port.port == number);
    match port {
        PortRef::Number(number) => by_number(*number),
        PortRef::Name(name) => {
            let by_name = service.ports.iter().find(|port| port.name == *name && !name.is_empty());
            by_name.or_else(|| by_number(digits(name)?))
        }
    }
}

/// The port of an ExternalName: it need not be listed in the Service.
pub fn external_port(service: &Service, port: &PortRef) -> Option<u16> {
    match (port_of(service, port), port) {
        (Some(port), _) => Some(port.port),
        (None, PortRef::Number(number)) => Some(*number),
        (None, PortRef::Name(name)) => digits(name),
    }
}

fn digits(name: &str) -> Option<u16> {
    name.bytes().all(|b| b.is_ascii_digit()).then(|| name.parse().ok()).flatten()
}

/// Endpoints on their way; false is "serves only while it terminates".
struct Gathering<'a> {
    name: &'a ObjectName,
    admin: SocketAddr,
    found: BTreeMap<SocketAddr, bool>,
    problems: Vec<Problem>,
}

impl Gathering<'_> {
    /// From slices; `Endpoints` count only where there is no slice.
    fn slices(&mut self, port: &str, objects: &Objects) -> NoEndpoint {
        let has_slices = objects.slices(self.name).any(|(slice, _)| !slice.legacy);
        let mut ends = Vec::new();
        for (slice, authority) in objects.slices(self.name).filter(|(slice, _)| slice.legacy != has_slices) {
            if slice.ports.is_empty() && !slice.endpoints.is_empty() {
                let subject = format!("EndpointSlice {}", slice.meta.name);
                let problem = Problem::warning(subject, "has endpoints, but no port: it is passed over");
                self.problems.push(problem.field("ports").at(&slice.meta.source, slice.meta.at));
            }
            for (_, number) in slice.ports.iter().filter(|(name, _)| **name == *port) {
                let sockets = slice
                    .endpoints
                    .iter()
                    .map(|end| (SocketAddr::new(canonical(end.address), *number), *end, authority));
                ends.extend(sockets);
            }
        }
        // An API server refuses loopback and link-local endpoints; so do we, where a tenant may have said it.
        ends.retain(|(socket, _, authority)| {
            *authority != Authority::Cluster || self.is_allowed(*socket, "is no address for an endpoint")
        });
        let any_ready = ends.iter().any(|(_, end, _)| end.ready);
        for (socket, end, _) in ends {
            if end.ready || (!any_ready && end.serving && end.terminating) {
                self.found.insert(socket, end.ready);
            }
        }
        NoEndpoint::problem(format!("Service {} has no ready endpoint", self.name))
    }

    /// From a name's addresses.
    fn external(
        &mut self,
        host: &str,
        port: Option<u16>,
        authority: Authority,
        objects: &Objects,
    ) -> NoEndpoint {
        let Some(port) = port else {
            return NoEndpoint::problem(format!(
                "the port of ExternalName {host} is neither a number nor listed in the Service"
            ));
        };
        let literal = host.parse::<IpAddr>().ok().map(|address| Resolution::Addresses(vec![address]));
        let addresses = match literal.as_ref().or_else(|| objects.resolution(host)) {
            None => {
                let why = format!("ExternalName {host} is not resolved yet");
                return NoEndpoint { why, is_problem: false };
            }
            Some(Resolution::Failed(why)) => {
                return NoEndpoint::problem(format!("ExternalName {host}: {why}"));
            }
            Some(Resolution::Addresses(addresses)) => addresses,
        };
        for address in addresses {
            let socket = SocketAddr::new(canonical(*address), port);
            let is_admin = is_admin(socket, self.admin);
            // The operator may well mean this machine; nobody else may.
            if (authority == Authority::Operator && !is_admin)
                || self.is_allowed(socket, &format!("ExternalName {host} may not lead there"))
            {
                self.found.insert(socket, true);
            }
        }
        NoEndpoint::problem(format!("ExternalName {host} leads to no address that may be used"))
    }

    /// Sets an address aside, with a problem, if it is one that a name from outside may never lead us to.
    fn is_allowed(&mut self, socket: SocketAddr, text: &str) -> bool {
        let allowed = !is_forbidden_target(socket.ip()) && !is_admin(socket, self.admin);
        if !allowed {
            let problem = Problem::error(format!("Service {}", self.name), text).value(socket.to_string());
            self.problems.push(problem.hint("loopback, link-local and the admin address are refused"));
        }
        allowed
    }
}

/// Whether `socket` is our own admin address.
fn is_admin(socket: SocketAddr, admin: SocketAddr) -> bool {
    let everywhere = admin.ip().is_unspecified() && is_forbidden_target(socket.ip());
    socket.port() == admin.port() && (socket.ip() == admin.ip() || everywhere)
}
