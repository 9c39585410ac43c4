//! Header fields that plugins and annotations may name.

use http::header::{self, HeaderName};

/// Fields of the connection, and of the message's framing and address: the proxy sets them, nobody else.
pub fn belongs_to_connection(name: &HeaderName) -> bool {
    *name == header::CONNECTION
        || *name == header::CONTENT_LENGTH
        || *name == header::TRANSFER_ENCODING
        || *name == header::HOST
        || *name == header::UPGRADE
        || *name == header::TE
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}
