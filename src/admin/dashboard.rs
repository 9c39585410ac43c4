//! The page to look at: one embedded HTML document without external resources. Its policy allows exactly its
//! own script and style, by hash, and requests to where it came from.

use super::answer::{Reply, reply, with};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const HTML: &str = include_str!("dashboard.html");

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        source("<script>", "</script>"),
        source("<style>", "</style>")
    );
    HeaderValue::try_from(policy).unwrap_or_else(|_never| HeaderValue::from_static("default-src 'none'"))
});

/// The page.
pub(super) fn page() -> Reply {
    let page = reply(StatusCode::OK, "text/html; charset=utf-8", HTML);
    let page = with(page, CONTENT_SECURITY_POLICY, POLICY.clone());
    with(page, REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
}

/// The CSP source of the page's element between `open` and `close`.
fn source(open: &str, close: &str) -> String {
    let element = HTML.split_once(open).and_then(|(_, behind)| behind.split_once(close));
    let text = element.map_or("", |(text, _)| text);
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_script_and_one_style_and_nothing_from_elsewhere() {
        assert_eq!((HTML.matches("<script").count(), HTML.matches("<style").count()), (1, 1));
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "http://",
            "https://",
            "onclick=",
            "style=\"",
        ] {
            assert!(!HTML.contains(forbidden), "{forbidden}");
        }
    }
}
