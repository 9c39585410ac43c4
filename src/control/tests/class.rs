//! Whose Ingress is it?

use super::support::{annotate, came, class, ingress, spanned};
use crate::control::class::is_ours;
use crate::control::objects::{Authority, Objects, Touched};
use crate::model::objects::IngressClass;
use crate::model::settings::{Classes, Settings};

const OURS: &str = "moongate.io/ingress-controller";

/// `field` and `annotation` are the Ingress's words; an empty one is absent.
fn check(
    field: &str,
    annotation: Option<&str>,
    authority: Authority,
    classes: &[IngressClass],
    expected: bool,
) {
    let mut one = ingress("web", &["h.io / web:80"]);
    one.class = Some(spanned(field)).filter(|field| !field.value.is_empty());
    if let Some(annotation) = annotation {
        annotate(&mut one.meta, &[("kubernetes.io/ingress.class", annotation)]);
    }
    let mut objects = Objects::default();
    for class in classes {
        objects.set("kubernetes", &came(class.clone()), &mut Touched::default());
    }
    let found = is_ours(&one, authority, &Settings::default(), &objects);
    assert_eq!(found, expected, "{field:?} {annotation:?} {authority:?} {classes:?}");
}

#[test]
fn the_field_decides_alone() {
    use Authority::{Cluster, File};
    for authority in [Cluster, File] {
        // No such class: by name.
        check("moongate", None, authority, &[], true);
        check("traefik", None, authority, &[], true);
        check("nginx", None, authority, &[], false);
        // The class's controller beats any name, and any annotation.
        check("web", None, authority, &[class("web", OURS, false)], true);
        check("moongate", None, authority, &[class("moongate", "k8s.io/ingress-nginx", false)], false);
        check("nginx", Some("moongate"), authority, &[], false);
        check("moongate", Some("nginx"), authority, &[], true);
        check("nginx", Some("moongate"), authority, &[class("moongate", OURS, true)], false);
    }
}

#[test]
fn without_the_field_the_annotation_decides_by_name() {
    use Authority::{Cluster, File};
    for authority in [Cluster, File] {
        check("", Some("traefik"), authority, &[], true);
        check("", Some("nginx"), authority, &[class("web", OURS, true)], false);
        // The annotation names no IngressClass: controllers do not count.
        check("", Some("web"), authority, &[class("web", OURS, false)], false);
    }
}

#[test]
fn with_neither_standalone_takes_it_and_a_cluster_only_by_default_class() {
    use Authority::{Cluster, File, Operator};
    for annotation in [None, Some("")] {
        check("", annotation, File, &[], true);
        check("", annotation, Operator, &[], true);
        check("", annotation, Cluster, &[], false);
        check("", annotation, Cluster, &[class("web", OURS, false)], false);
        check("", annotation, Cluster, &[class("web", OURS, true)], true);
        check("", annotation, Cluster, &[class("web", "k8s.io/ingress-nginx", true)], false);
    }
}

#[test]
fn of_several_default_classes_the_newest_counts_then_the_first_by_name() {
    let dated = |name: &str, controller: &str, created: i64| {
        let mut class = class(name, controller, true);
        class.meta.created = Some(created);
        class
    };
    let other = "k8s.io/ingress-nginx";
    check("", None, Authority::Cluster, &[dated("a", OURS, 5), dated("b", other, 6)], false);
    check("", None, Authority::Cluster, &[dated("a", OURS, 7), dated("b", other, 6)], true);
    check("", None, Authority::Cluster, &[dated("a", OURS, 6), dated("b", other, 6)], true);
    check("", None, Authority::Cluster, &[dated("b", OURS, 6), dated("a", other, 6)], false);
}

#[test]
fn unclassed_ones_of_a_cluster_may_be_adopted() {
    let one = ingress("web", &["h.io / web:80"]);
    let classes = Classes { adopt_unclassed: true, ..Classes::default() };
    let settings = Settings { classes, ..Settings::default() };
    assert!(is_ours(&one, Authority::Cluster, &settings, &Objects::default()));
}

#[test]
fn other_namespaces_are_not_ours_where_some_are_named() {
    let one = ingress("web", &["h.io / web:80"]);
    for (namespaces, expected) in [(vec!["a", "default"], true), (vec!["a"], false), (vec![], true)] {
        let namespaces = namespaces.into_iter().map(Into::into).collect();
        let settings = Settings { namespaces, ..Settings::default() };
        assert_eq!(is_ours(&one, Authority::File, &settings, &Objects::default()), expected);
    }
}
