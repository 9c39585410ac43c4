//! YAML as Kubernetes sees it, kept with the place of every value. Manifests and `--config` come in by this
//! door; JSON is a subset of YAML and needs no other.
//!
//! What is refused, so that nothing behind has to fear it: nesting deeper than [`MAX_DEPTH`], aliases that
//! add more than [`MAX_COPIED`] bytes to a document ("billion laughs"), doubled keys, keys that are not plain text and
//! tags other than those of the core schema.

mod node;
mod parse;
mod scalar;
mod split;

pub use node::{Entry, Node, Value};
pub use parse::{MAX_COPIED, MAX_DEPTH, YamlError, parse, parse_from};
pub use split::{Document, split};

#[cfg(test)]
mod tests;
