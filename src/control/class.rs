//! Whose Ingress is it? (`design.md` 1.) What is not ours is never touched.
//!
//! Asked only once every provider has said everything it has, so that a class which does not exist is known not
//! to exist.

use super::objects::{Authority, Objects};
use crate::model::objects::{Ingress, IngressClass};
use crate::model::settings::{Classes, Settings};
use std::cmp::Reverse;

/// The deprecated annotation, honoured where the field is absent.
const ANNOTATION: &str = "kubernetes.io/ingress.class";

/// Whether `ingress` is ours: by its namespace and its class.
pub fn is_ours(ingress: &Ingress, authority: Authority, settings: &Settings, objects: &Objects) -> bool {
    let namespaces = &settings.namespaces;
    (namespaces.is_empty() || namespaces.contains(&ingress.meta.name.namespace))
        && is_of_our_class(ingress, authority, &settings.classes, objects)
}

fn is_of_our_class(ingress: &Ingress, authority: Authority, classes: &Classes, objects: &Objects) -> bool {
    let by_name = |name: &str| classes.names.iter().any(|ours| **ours == *name);
    if let Some(class) = &ingress.class {
        // The field decides alone: by the class's controller, by the name only where no such class exists.
        return match objects.class(&class.value) {
            Some(class) => is_ours_by_controller(class, classes),
            None => by_name(&class.value),
        };
    }
    match ingress.meta.annotations.get(ANNOTATION).map(|annotation| &*annotation.value) {
        // An empty annotation is none, as in Traefik 1.x and ingress-nginx.
        Some(name) if !name.is_empty() => by_name(name),
        _ => {
            authority != Authority::Cluster
                || classes.adopt_unclassed
                || default_class(objects).is_some_and(|class| is_ours_by_controller(class, classes))
        }
    }
}

fn is_ours_by_controller(class: &IngressClass, classes: &Classes) -> bool {
    classes.controllers.contains(&class.controller)
}

/// The cluster's default class: of several the newest, then the first by name, as the API server chooses.
fn default_class(objects: &Objects) -> Option<&IngressClass> {
    objects
        .classes()
        .filter(|class| class.is_default)
        .min_by_key(|class| (Reverse(class.meta.created), class.meta.name.clone()))
}
