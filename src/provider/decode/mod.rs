//! From a document's tree to objects. What an API server would refuse is refused here, as a whole and with all
//! of its faults; what we do not use is left behind.

mod data;
mod field;
mod ingress;
mod meta;
mod service;
mod slices;

pub use field::{Fault, Faults, Field};

use crate::ground::names::ObjectName;
use crate::ground::problem::{Pos, Source};
use crate::ground::suggest;
use crate::ground::yaml::Node;
use crate::model::objects::{Kind, Object, ObjectId};
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Largest object taken, as in etcd.
pub const MAX_OBJECT: usize = 3 << 19;

/// What a document declares.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Objects of the kinds that we act on, good and bad.
    pub items: Vec<Item>,
    /// Other kinds, by how many there are.
    pub passed_over: BTreeMap<String, usize>,
}

/// One object of a document.
#[derive(Clone, Debug)]
pub struct Item {
    /// Which object it says it is, if that can be read.
    pub id: Option<ObjectId>,
    /// Its kind, for what cannot be named any better.
    pub kind: Cow<'static, str>,
    /// Where it begins.
    pub at: Pos,
    /// The object; nothing if it is refused. Endpoints become a slice for each of their subsets.
    pub objects: SmallVec<[Arc<Object>; 1]>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
}

impl Item {
    /// Whether it is refused.
    pub fn refused(&self) -> bool {
        self.objects.is_empty()
    }

    /// What its problems are about: `Ingress default/web`.
    pub fn subject(&self) -> String {
        self.id.as_ref().map_or_else(|| self.kind.to_string(), ToString::to_string)
    }
}

/// Which of an Ingress's two shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `networking.k8s.io/v1`
    V1,
    /// `extensions/v1beta1`, `networking.k8s.io/v1beta1`
    Beta,
}

/// What is read, by kind: API version, kind, shape.
const READ: [(&str, &str, Kind, Shape); 11] = [
    ("Ingress", "networking.k8s.io/v1", Kind::Ingress, Shape::V1),
    ("Ingress", "networking.k8s.io/v1beta1", Kind::Ingress, Shape::Beta),
    ("Ingress", "extensions/v1beta1", Kind::Ingress, Shape::Beta),
    ("IngressClass", "networking.k8s.io/v1", Kind::IngressClass, Shape::V1),
    ("IngressClass", "networking.k8s.io/v1beta1", Kind::IngressClass, Shape::Beta),
    ("Service", "v1", Kind::Service, Shape::V1),
    ("Endpoints", "v1", Kind::Endpoints, Shape::V1),
    ("EndpointSlice", "discovery.k8s.io/v1", Kind::EndpointSlice, Shape::V1),
    ("EndpointSlice", "discovery.k8s.io/v1beta1", Kind::EndpointSlice, Shape::Beta),
    ("Secret", "v1", Kind::Secret, Shape::V1),
    ("ConfigMap", "v1", Kind::ConfigMap, Shape::V1),
];

/// Decodes one document of `source`.
pub fn document(node: &Node, source: &Source) -> Decoded {
    let mut decoded = Decoded::default();
    collect(node, None, source, &mut decoded, 0);
    decoded
}

/// Lists in lists are taken, but nobody means ten of them.
const MAX_LISTS: usize = 10;

/// Decodes an object, or those of a list. Elements of a typed list (`IngressList`) may leave out what they are.
fn collect(
    node: &Node,
    element_of: Option<(&str, &str)>,
    source: &Source,
    decoded: &mut Decoded,
    depth: usize,
) {
    let field = Field::root(node);
    let text = |key| node.get(key).and_then(Node::as_str);
    let api_version = text("apiVersion").or(element_of.map(|(version, _)| version));
    let kind = text("kind").or(element_of.map(|(_, kind)| kind));
    let (Some(api_version), Some(kind)) = (api_version, kind) else {
        decoded.items.push(stranger(&field, kind));
        return;
    };
    if let (Some(element), Some(items)) = (kind.strip_suffix("List"), node.get("items")) {
        let element_of = (!element.is_empty()).then_some((api_version, element));
        if depth < MAX_LISTS {
            for item in items.as_seq().unwrap_or_default() {
                collect(item, element_of, source, decoded, depth + 1);
            }
        }
        return;
    }
    let versions: SmallVec<[&str; 3]> =
        READ.iter().filter(|(known, ..)| *known == kind).map(|(_, version, ..)| *version).collect();
    match READ.iter().find(|(known, version, ..)| *known == kind && *version == api_version) {
        Some((_, _, kind, shape)) => decoded.items.push(object(&field, *kind, *shape, source)),
        // Another group's kind of the same name (Knative has Services too) is none of ours; a slip is told.
        None if same_group(api_version, &versions)
            || suggest::nearest(api_version, versions.iter().copied()).is_some() =>
        {
            decoded.items.push(wrong_version(&field, kind, api_version, &versions));
        }
        None => *decoded.passed_over.entry(kind.to_owned()).or_default() += 1,
    }
}

/// Whether `version` is of the same API group as one of `versions`.
fn same_group(version: &str, versions: &[&str]) -> bool {
    let group = |version: &str| version.rsplit_once('/').map_or(String::new(), |(group, _)| group.to_owned());
    versions.iter().any(|known| group(known) == group(version))
}

fn object(field: &Field<'_>, kind: Kind, shape: Shape, source: &Source) -> Item {
    let mut faults = Faults::default();
    let id = identity(field, kind);
    let size = field.node().size();
    if size > MAX_OBJECT {
        faults.add(field, format!("the object has {size} bytes; at most {MAX_OBJECT} are taken"));
    }
    let objects: SmallVec<[Object; 1]> = match meta::decode(field, kind, source, &mut faults) {
        _ if size > MAX_OBJECT => SmallVec::new(),
        meta => match kind {
            Kind::Ingress => ingress::ingress(field, meta, shape, &mut faults).into_iter().collect(),
            Kind::IngressClass => ingress::class(field, meta, &mut faults).into_iter().collect(),
            Kind::Service => service::service(field, meta, &mut faults).into_iter().collect(),
            Kind::EndpointSlice => slices::slice(field, meta, shape, &mut faults).into_iter().collect(),
            Kind::Endpoints => slices::endpoints(field, &meta, &mut faults),
            Kind::Secret => data::secret(field, meta, &mut faults).into_iter().collect(),
            Kind::ConfigMap => smallvec![data::config_map(field, meta, &mut faults)],
        },
    };
    let objects = if faults.refuse() { SmallVec::new() } else { objects.into_iter().map(Arc::new).collect() };
    Item { id, kind: kind.as_str().into(), at: field.at(), objects, faults: faults.all }
}

/// Which object it says it is.
fn identity(field: &Field<'_>, kind: Kind) -> Option<ObjectId> {
    let metadata = field.node().get("metadata")?;
    let name = metadata.get("name")?.as_str()?;
    let namespace = match kind {
        Kind::IngressClass => "",
        _ => metadata.get("namespace").and_then(Node::as_str).unwrap_or(meta::DEFAULT_NAMESPACE),
    };
    Some(ObjectId { kind, name: ObjectName::new(namespace, name) })
}

/// A document that does not say what it is.
fn stranger(field: &Field<'_>, kind: Option<&str>) -> Item {
    let mut faults = Faults::default();
    if field.node().as_map().is_some() {
        let missing = if kind.is_none() { "kind" } else { "apiVersion" };
        if let Some(given) = field.get(missing) {
            given.text(&mut faults);
        } else {
            faults
                .add(field, format!("this is no Kubernetes object: it has no {missing}"))
                .hint("begin it with 'apiVersion: ...' and 'kind: ...'");
        }
    } else {
        faults.add(field, format!("this is no Kubernetes object, but {}", field.node().kind_name()));
    }
    let kind = kind.unwrap_or("document").to_owned().into();
    Item { id: None, kind, at: field.at(), objects: SmallVec::new(), faults: faults.all }
}

fn wrong_version(field: &Field<'_>, kind: &str, version: &str, versions: &[&str]) -> Item {
    let mut faults = Faults::default();
    let given = field.get("apiVersion").unwrap_or(*field);
    faults
        .add(&given, format!("{kind} is not read in this API version"))
        .value(version)
        .hint(format!("write {}", versions.join(" or ")));
    let id =
        READ.iter().find(|(known, ..)| *known == kind).and_then(|(_, _, kind, _)| identity(field, *kind));
    Item { id, kind: kind.to_owned().into(), at: field.at(), objects: SmallVec::new(), faults: faults.all }
}

#[cfg(test)]
mod tests;
