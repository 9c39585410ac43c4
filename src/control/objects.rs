//! What the world declares now, and what an edit of one object touches. No edit costs a scan: every reference is
//! indexed in the direction in which changes travel.

use super::index::Index;
use crate::ground::names::ObjectName;
use crate::model::objects::{
    BackendTarget, Change, EndpointSlice, Ingress, IngressClass, Kind, Object, ObjectId, Secret, Service,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// All objects of all providers.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    all: HashMap<ObjectId, Stored>,
    /// There are few, and all are asked for the default class.
    classes: BTreeMap<Arc<str>, ObjectId>,
    ingresses_by_class: Index<Option<Arc<str>>, ObjectName>,
    ingresses_by_service: Index<ObjectName, ObjectName>,
    ingresses_by_secret: Index<ObjectName, ObjectName>,
    /// What each Ingress looked up when it was translated last.
    secrets_of_ingress: HashMap<ObjectName, Vec<ObjectName>>,
    slices_by_service: Index<ObjectName, ObjectId>,
    services_by_external: Index<Arc<str>, ObjectName>,
    resolved: HashMap<Arc<str>, Resolution>,
}

#[derive(Clone, Debug)]
struct Stored {
    provider: &'static str,
    object: Arc<Object>,
}

/// Whose word an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The operator's command line (`--to`).
    Operator,
    /// A manifest file: standalone mode.
    File,
    /// A cluster's tenant.
    Cluster,
}

/// What a name of an ExternalName Service led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// These addresses, in any order.
    Addresses(Vec<IpAddr>),
    /// Nothing, and why.
    Failed(Arc<str>),
}

/// What has to be looked at again.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// Ingresses to translate.
    pub ingresses: BTreeSet<ObjectName>,
    /// Services whose endpoints to gather.
    pub services: BTreeSet<ObjectName>,
}

// === impl Authority ===

impl Authority {
    fn of_provider(provider: &str) -> Self {
        match provider {
            "to" => Self::Operator,
            "kubernetes" => Self::Cluster,
            _ => Self::File,
        }
    }
}

// === impl Objects ===

impl Objects {
    /// Takes a change of `provider`, and notes what it touches. Of an object that two providers declare, the
    /// newer word counts, and only who said it can take it back.
    pub fn set(&mut self, provider: &'static str, change: &Change, touched: &mut Touched) {
        let before = self.all.get(&change.id);
        match (&change.object, before) {
            (Some(now), Some(before)) if before.provider == provider && before.object == *now => return,
            (None, None) => return,
            (None, Some(before)) if before.provider != provider => return,
            _ => {}
        }
        let before = match &change.object {
            Some(object) => self.all.insert(change.id.clone(), Stored { provider, object: object.clone() }),
            None => self.all.remove(&change.id),
        };
        if let Some(before) = &before {
            self.unlink(&change.id, &before.object);
            self.touch(&before.object, touched);
        }
        if let Some(object) = &change.object {
            self.link(&change.id, object);
            self.touch(object, touched);
        }
    }

    /// Takes what a name led to.
    pub fn set_resolved(&mut self, host: &Arc<str>, resolution: Resolution, touched: &mut Touched) {
        if self.services_by_external.of(host).next().is_none() {
            return; // asked for once, and gone since
        }
        if self.resolved.get(host) != Some(&resolution) {
            self.resolved.insert(host.clone(), resolution);
            touched.services.extend(self.services_by_external.of(host).cloned());
        }
    }

    /// Forgets what a name led to.
    pub fn forget_resolved(&mut self, host: &str) {
        self.resolved.remove(host);
    }

    /// Remembers which Secrets an Ingress looked up.
    pub fn set_secrets(&mut self, ingress: &ObjectName, secrets: Vec<ObjectName>) {
        for secret in self.secrets_of_ingress.remove(ingress).unwrap_or_default() {
            self.ingresses_by_secret.unlink(&secret, ingress);
        }
        for secret in &secrets {
            self.ingresses_by_secret.link(secret.clone(), ingress.clone());
        }
        if !secrets.is_empty() {
            self.secrets_of_ingress.insert(ingress.clone(), secrets);
        }
    }

    fn touch(&self, object: &Object, touched: &mut Touched) {
        let name = &object.meta().name;
        match object {
            Object::Ingress(_) => {
                touched.ingresses.insert(name.clone());
            }
            Object::IngressClass(class) => {
                touched.ingresses.extend(self.ingresses_by_class.of(&Some(name.name.clone())).cloned());
                if class.is_default {
                    touched.ingresses.extend(self.ingresses_by_class.of(&None).cloned());
                }
            }
            Object::Service(_) => {
                touched.ingresses.extend(self.ingresses_by_service.of(name).cloned());
                touched.services.insert(name.clone());
            }
            Object::EndpointSlice(slice) => {
                touched.services.insert(service_of(slice));
            }
            Object::Secret(_) => touched.ingresses.extend(self.ingresses_by_secret.of(name).cloned()),
            Object::ConfigMap(_) => {}
        }
    }

    fn link(&mut self, id: &ObjectId, object: &Object) {
        match object {
            Object::Ingress(ingress) => {
                self.ingresses_by_class.link(class_name(ingress), id.name.clone());
                for service in services_named(ingress) {
                    self.ingresses_by_service.link(service, id.name.clone());
                }
            }
            Object::IngressClass(_) => {
                self.classes.insert(id.name.name.clone(), id.clone());
            }
            Object::Service(service) => {
                if let Some(host) = &service.external_name {
                    self.services_by_external.link(host.value.clone(), id.name.clone());
                }
            }
            Object::EndpointSlice(slice) => self.slices_by_service.link(service_of(slice), id.clone()),
            Object::Secret(_) | Object::ConfigMap(_) => {}
        }
    }

    fn unlink(&mut self, id: &ObjectId, object: &Object) {
        match object {
            Object::Ingress(ingress) => {
                self.ingresses_by_class.unlink(&class_name(ingress), &id.name);
                for service in services_named(ingress) {
                    self.ingresses_by_service.unlink(&service, &id.name);
                }
            }
            Object::IngressClass(_) => {
                self.classes.remove(&id.name.name);
            }
            Object::Service(service) => {
                if let Some(host) = &service.external_name {
                    self.services_by_external.unlink(&host.value, &id.name);
                    if self.services_by_external.of(&host.value).next().is_none() {
                        self.resolved.remove(&host.value);
                    }
                }
            }
            Object::EndpointSlice(slice) => self.slices_by_service.unlink(&service_of(slice), id),
            Object::Secret(_) | Object::ConfigMap(_) => {}
        }
    }

    fn get(&self, kind: Kind, name: &ObjectName) -> Option<(&Object, Authority)> {
        let stored = self.all.get(&ObjectId { kind, name: name.clone() })?;
        Some((&stored.object, Authority::of_provider(stored.provider)))
    }

    /// An Ingress, and whose word it is.
    pub fn ingress(&self, name: &ObjectName) -> Option<(&Ingress, Authority)> {
        match self.get(Kind::Ingress, name)? {
            (Object::Ingress(ingress), authority) => Some((ingress, authority)),
            _ => None,
        }
    }

    /// A Service, and whose word it is.
    pub fn service(&self, name: &ObjectName) -> Option<(&Service, Authority)> {
        match self.get(Kind::Service, name)? {
            (Object::Service(service), authority) => Some((service, authority)),
            _ => None,
        }
    }

    /// A Secret.
    pub fn secret(&self, name: &ObjectName) -> Option<&Secret> {
        match self.get(Kind::Secret, name)? {
            (Object::Secret(secret), _) => Some(secret),
            _ => None,
        }
    }

    /// All IngressClasses, by name.
    pub fn classes(&self) -> impl Iterator<Item = &IngressClass> {
        self.classes.values().filter_map(|id| match &*self.all.get(id)?.object {
            Object::IngressClass(class) => Some(class),
            _ => None,
        })
    }

    /// An IngressClass.
    pub fn class(&self, name: &str) -> Option<&IngressClass> {
        match &*self.all.get(self.classes.get(name)?)?.object {
            Object::IngressClass(class) => Some(class),
            _ => None,
        }
    }

    /// The slices of a Service, in order of their names.
    pub fn slices(&self, service: &ObjectName) -> impl Iterator<Item = (&EndpointSlice, Authority)> {
        self.slices_by_service.of(service).filter_map(|id| {
            let stored = self.all.get(id)?;
            match &*stored.object {
                Object::EndpointSlice(slice) => Some((slice, Authority::of_provider(stored.provider))),
                _ => None,
            }
        })
    }

    /// What a name led to, if anybody has looked yet.
    pub fn resolution(&self, host: &str) -> Option<&Resolution> {
        self.resolved.get(host)
    }

    /// Every name of an ExternalName Service and the Services of that name, in no order.
    pub fn external_names(&self) -> impl Iterator<Item = (&Arc<str>, Vec<&ObjectName>)> {
        self.services_by_external.keys().map(|host| (host, self.services_by_external.of(host).collect()))
    }

    /// Every Ingress, in no order.
    pub fn ingresses(&self) -> impl Iterator<Item = &ObjectName> {
        self.all.keys().filter(|id| id.kind == Kind::Ingress).map(|id| &id.name)
    }

    /// Every object of a provider, in no order.
    pub fn of_provider(&self, provider: &str) -> impl Iterator<Item = &ObjectId> {
        self.all.iter().filter(move |(_, stored)| stored.provider == provider).map(|(id, _)| id)
    }
}

fn class_name(ingress: &Ingress) -> Option<Arc<str>> {
    ingress.class.as_ref().map(|class| class.value.clone())
}

fn service_of(slice: &EndpointSlice) -> ObjectName {
    ObjectName { namespace: slice.meta.name.namespace.clone(), name: slice.service.clone() }
}

/// The Services that an Ingress names.
fn services_named(ingress: &Ingress) -> impl Iterator<Item = ObjectName> {
    let paths = ingress.rules.iter().filter_map(|rule| rule.paths.as_ref()).flatten();
    let backends = paths.map(|path| &path.backend).chain(&ingress.default_backend);
    backends.filter_map(|backend| match &backend.target {
        BackendTarget::Service { name, .. } => {
            Some(ObjectName { namespace: ingress.meta.name.namespace.clone(), name: name.clone() })
        }
        BackendTarget::Resource(_) => None,
    })
}
