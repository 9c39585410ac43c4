//! From Service and slices to endpoints.

use super::support::{came, external, name, service, slice};
use crate::control::endpoints::gather;
use crate::control::objects::{Objects, Resolution, Touched};
use crate::ground::names::{BackendKey, PortRef};
use crate::model::objects::Change;
use crate::model::route::{BackendId, BackendSettings, BackendSpec};
use std::net::SocketAddr;

const ADMIN: &str = "10.9.9.9:8580";

fn objects_of(provider: &'static str, changes: &[Change]) -> Objects {
    let mut objects = Objects::default();
    for change in changes {
        objects.set(provider, change, &mut Touched::default());
    }
    objects
}

fn spec(objects: &Objects, port: &str) -> (BackendSpec, Vec<String>) {
    let port = port.parse().map_or_else(|_| PortRef::Name(port.into()), PortRef::Number);
    spec_of(objects, port)
}

fn spec_of(objects: &Objects, port: PortRef) -> (BackendSpec, Vec<String>) {
    let key = BackendKey { service: name("web"), port };
    let id = BackendId { key, settings: BackendSettings::default() };
    let (spec, problems) = gather(&id, objects, ADMIN.parse().unwrap());
    (spec, problems.iter().map(ToString::to_string).collect())
}

/// Endpoints as texts, a draining one with `-` before it.
fn texts(spec: &BackendSpec) -> Vec<String> {
    let text = |draining: bool, address: SocketAddr| format!("{}{address}", if draining { "-" } else { "" });
    spec.endpoints.iter().map(|endpoint| text(endpoint.draining, endpoint.address)).collect()
}

fn check(changes: &[Change], port: &str, expected: &[&str]) {
    let (spec, problems) = spec(&objects_of("manifests", changes), port);
    assert_eq!(texts(&spec), expected);
    assert_eq!((spec.reason.is_none(), problems.is_empty()), (!expected.is_empty(), !expected.is_empty()));
}

#[test]
fn a_port_is_found_by_number_by_name_and_by_digits_in_a_name() {
    let world = || {
        vec![
            came(service("web", &["http=80", "9090=443", "=7000"])),
            came(slice("web-1", "web", "http=8080", &["10.0.0.1"])),
            came(slice("web-2", "web", "9090=8443", &["10.0.0.2"])),
            came(slice("web-3", "web", "=7001", &["10.0.0.3"])),
        ]
    };
    check(&world(), "80", &["10.0.0.1:8080"]);
    check(&world(), "http", &["10.0.0.1:8080"]);
    check(&world(), "443", &["10.0.0.2:8443"]);
    check(&world(), "7000", &["10.0.0.3:7001"]);
    for port in ["8080", "https", "1"] {
        check(&world(), port, &[]);
    }
    let objects = objects_of("manifests", &world());
    for (text, expected) in [("80", "10.0.0.1:8080"), ("9090", "10.0.0.2:8443")] {
        let (spec, _) = spec_of(&objects, PortRef::Name(text.into()));
        assert_eq!(texts(&spec), [expected], "servicePort: \"{text}\"");
    }
}

#[test]
fn slices_are_joined_without_duplicates_and_each_has_its_own_number() {
    let world = vec![
        came(service("web", &["http=80"])),
        came(slice("web-1", "web", "http=8080", &["10.0.0.2", "10.0.0.1"])),
        came(slice("web-2", "web", "http=8080", &["10.0.0.1", "::ffff:10.0.0.2", "2001:db8::1"])),
        came(slice("web-3", "web", "http=9090", &["10.0.0.1"])),
        came(slice("web-4", "web", "metrics=1", &["10.0.0.9"])),
        came(slice("other", "other", "http=1", &["10.0.0.9"])),
        came(slice("elsewhere/web", "web", "http=1", &["10.0.0.9"])),
    ];
    check(&world, "80", &["10.0.0.1:8080", "10.0.0.1:9090", "10.0.0.2:8080", "[2001:db8::1]:8080"]);
}

#[test]
fn ready_ones_count_and_only_without_any_those_that_still_serve() {
    let world = |addresses: &[&str]| {
        vec![came(service("web", &["=80"])), came(slice("web-1", "web", "=80", addresses))]
    };
    check(&world(&["10.0.0.1", "-10.0.0.2", "!10.0.0.3"]), "80", &["10.0.0.1:80"]);
    check(&world(&["-10.0.0.2", "!10.0.0.3"]), "80", &["-10.0.0.2:80"]);
    check(&world(&["!10.0.0.3"]), "80", &[]);
    check(&world(&[]), "80", &[]);
}

#[test]
fn endpoints_of_the_old_kind_count_only_without_slices() {
    let mut legacy = slice("web", "web", "=81", &["10.0.0.9"]);
    legacy.legacy = true;
    let service = || came(service("web", &["=80"]));
    check(&[service(), came(legacy.clone())], "80", &["10.0.0.9:81"]);
    let slice = slice("web-1", "web", "=80", &["10.0.0.1"]);
    check(&[service(), came(legacy), came(slice)], "80", &["10.0.0.1:80"]);
}

#[test]
fn loopback_endpoints_are_for_files_only() {
    let world = || {
        vec![came(service("web", &["=80"])), came(slice("web-1", "web", "=80", &["127.0.0.1", "10.0.0.1"]))]
    };
    assert_eq!(texts(&spec(&objects_of("manifests", &world()), "80").0), ["10.0.0.1:80", "127.0.0.1:80"]);
    let (spec, problems) = spec(&objects_of("kubernetes", &world()), "80");
    assert_eq!(texts(&spec), ["10.0.0.1:80"]);
    assert_eq!(problems.len(), 1);
}

#[test]
fn a_slice_without_a_port_is_passed_over_with_a_word() {
    let mut bare = slice("web-1", "web", "=80", &["10.0.0.1"]);
    bare.ports.clear();
    let world = vec![came(service("web", &["=80"])), came(bare)];
    let (spec, problems) = spec(&objects_of("manifests", &world), "80");
    assert!(spec.endpoints.is_empty());
    assert!(problems.iter().any(|problem| problem.contains("EndpointSlice default/web-1")), "{problems:?}");
}

/// What `host` leads to, on port 443 or whichever the Service lists.
fn check_external(provider: &'static str, host: &str, resolution: Option<Resolution>, expected: &[&str]) {
    let mut objects = objects_of(provider, &[came(external("web", host))]);
    if let Some(resolution) = resolution {
        objects.set_resolved(&host.into(), resolution, &mut Touched::default());
    }
    let (spec, problems) = spec(&objects, "443");
    assert_eq!(texts(&spec), expected, "{problems:?}");
    assert_eq!(spec.host.as_deref(), Some(host));
    assert_eq!(spec.reason.is_none(), !expected.is_empty());
}

#[test]
fn an_external_name_leads_to_what_it_resolves_to_except_home() {
    let to = |addresses: &[&str]| {
        Some(Resolution::Addresses(addresses.iter().map(|address| address.parse().unwrap()).collect()))
    };
    check_external(
        "manifests",
        "x.io",
        to(&["10.0.0.2", "2001:db8::1"]),
        &["10.0.0.2:443", "[2001:db8::1]:443"],
    );
    check_external("manifests", "x.io", None, &[]);
    check_external("manifests", "x.io", Some(Resolution::Failed("no such name".into())), &[]);
    for provider in ["manifests", "kubernetes"] {
        let home = to(&["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1", "0.0.0.0"]);
        check_external(provider, "x.io", home, &[]);
        check_external(provider, "127.0.0.1", None, &[]);
    }
    // What the operator says on the command line may be this machine.
    check_external("to", "localhost", to(&["127.0.0.1", "::1"]), &["127.0.0.1:443", "[::1]:443"]);
    check_external("to", "127.0.0.1", None, &["127.0.0.1:443"]);
    check_external("manifests", "10.1.2.3", None, &["10.1.2.3:443"]);
}

#[test]
fn nothing_leads_to_our_own_admin_address() {
    for (provider, port) in [("manifests", "8580"), ("to", "8580")] {
        let objects = objects_of(provider, &[came(external("web", "10.9.9.9"))]);
        let (spec, problems) = spec(&objects, port);
        assert!(spec.endpoints.is_empty(), "{provider}");
        assert!(problems.iter().any(|problem| problem.contains("10.9.9.9:8580")), "{problems:?}");
    }
}

#[test]
fn an_unresolved_name_is_a_matter_of_waiting_and_no_problem() {
    let objects = objects_of("manifests", &[came(external("web", "x.io"))]);
    let (spec, problems) = spec(&objects, "443");
    assert_eq!((spec.reason.is_some(), problems.as_slice()), (true, &[][..]));
}

#[test]
fn an_external_port_need_not_be_listed() {
    let listed = external("web", "10.0.0.1");
    let mut named = listed.clone();
    named.ports = service("x", &["https=8443"]).ports;
    for (service, port, expected) in [
        (&listed, "443", Some("10.0.0.1:443")),
        (&named, "https", Some("10.0.0.1:8443")),
        (&listed, "https", None),
    ] {
        let (spec, _) = spec(&objects_of("manifests", &[came(service.clone())]), port);
        assert_eq!(texts(&spec).first().map(String::as_str), expected, "{port}");
    }
}
