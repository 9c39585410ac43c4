//! The grammars that an API server enforces (`k8s.io/apimachinery` validation at 1.36): each function says
//! what is wrong with a text, in words, or nothing.

use std::net::IpAddr;

/// What a text should have been.
pub type Complaint = &'static str;

const LABEL: Complaint = "this must be a DNS label: lower-case letters, digits and '-', beginning and ending with a letter or digit, at most 63";
const SUBDOMAIN: Complaint = "this must be a DNS name: lower-case letters, digits, '-' and '.', each part \
                              beginning and ending with a letter or digit, at most 253";

/// RFC 1123 label: `web-1`.
pub fn label(text: &str) -> Result<(), Complaint> {
    if is_label(text) && text.len() <= 63 { Ok(()) } else { Err(LABEL) }
}

/// RFC 1123 subdomain: `shop.example.com`.
pub fn subdomain(text: &str) -> Result<(), Complaint> {
    if is_subdomain(text) { Ok(()) } else { Err(SUBDOMAIN) }
}

/// A rule's host without its `*.`.
pub fn host(text: &str) -> Result<(), Complaint> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    if text.parse::<IpAddr>().is_ok() || text.starts_with('[') {
        return Err("a host is a DNS name, not an address");
    }
    if text == "*" {
        return Err("'*' alone is no host: leave 'host' out to take every host");
    }
    if name.contains('*') {
        return Err("a wildcard is '*.' and a DNS name, such as *.example.com");
    }
    if name.contains(':') {
        return Err("a host has no port");
    }
    if name.ends_with('.') {
        return Err("a host has no dot at its end");
    }
    if name.chars().any(char::is_uppercase) {
        return Err("a host is written in lower case");
    }
    subdomain(name)
}

/// The name of a Service's port: `http`, at most 15.
pub fn port_name(text: &str) -> Result<(), Complaint> {
    let good = is_label(text)
        && text.len() <= 15
        && !text.contains("--")
        && text.bytes().any(|b| b.is_ascii_lowercase());
    if good {
        Ok(())
    } else {
        Err("a port's name is lower-case letters, digits and single '-', with a letter, at most 15")
    }
}

/// A label's or annotation's key: `example.com/name` or `name`.
pub fn qualified_name(text: &str) -> Result<(), Complaint> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if prefix.is_some_and(|prefix| !is_subdomain(&prefix.to_ascii_lowercase())) {
        return Err("before the '/' of a key stands a DNS name, such as example.com");
    }
    if is_name_part(name) && name.len() <= 63 {
        Ok(())
    } else {
        Err(
            "the name of a key is letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, at most 63",
        )
    }
}

/// A label's value.
pub fn label_value(text: &str) -> Result<(), Complaint> {
    if text.is_empty() || (is_name_part(text) && text.len() <= 63) {
        Ok(())
    } else {
        Err(
            "a label's value is letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, at most 63",
        )
    }
}

/// A key of a Secret or ConfigMap.
pub fn data_key(text: &str) -> Result<(), Complaint> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let good = !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(allowed)
        && text != "."
        && !text.starts_with("..");
    if good { Ok(()) } else { Err("a key is letters, digits, '-', '_' and '.', not beginning with '..'") }
}

/// An IngressClass's controller: `moongate.io/ingress-controller`.
pub fn controller(text: &str) -> Result<(), Complaint> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
    let good = text.len() <= 250
        && text.split_once('/').is_some_and(|(domain, path)| {
            is_subdomain(domain) && !path.is_empty() && path.bytes().all(allowed)
        });
    if good {
        Ok(())
    } else {
        Err("a controller is a domain and a path, such as moongate.io/ingress-controller")
    }
}

fn is_label(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    edge(text.bytes().next())
        && edge(text.bytes().next_back())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_name_part(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    edge(text.bytes().next())
        && edge(text.bytes().next_back())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(grammar: fn(&str) -> Result<(), Complaint>, good: &[&str], bad: &[&str]) {
        for text in good {
            assert_eq!(grammar(text), Ok(()), "{text}");
        }
        for text in bad {
            assert!(grammar(text).is_err(), "{text}");
        }
    }

    #[test]
    fn grammars_are_those_of_kubernetes() {
        let (long, longer) = ("a".repeat(63), "a".repeat(64));
        check(label, &["a", "1a", "a-b", &long], &["", "-a", "a-", "A", "a.b", "a_b", "é", &longer]);
        check(subdomain, &["a", "a.b-c.1"], &["", ".", "a.", ".a", "a..b", "A.b", "a b", &"a.".repeat(127)]);
        check(
            host,
            &["a.b", "*.a.b", "xn--a"],
            &["*", "*.", "*.*.a", "a.*", "A.b", "a:80", "1.2.3.4", "[::1]", "a."],
        );
        check(port_name, &["http", "a1-b"], &["", "80", "-a", "a--b", "Http", "a-name-too-long-"]);
        check(
            qualified_name,
            &["a", "A_b.c", "a.b/C-d", "Ex.com/a"],
            &["", "/a", "a/", "a/b/c", "a b", "-a/b", "a/-b"],
        );
        check(label_value, &["", "a", "A_b.c"], &["-", "a b", "a/b", &longer]);
        check(data_key, &["a", ".htpasswd", "A_b-c.d"], &["", ".", "..", "..a", "a/b", "a b"]);
        check(
            controller,
            &["a.b/c", "moongate.io/ingress-controller"],
            &["", "a", "a/", "/a", "A/b", "a/b c"],
        );
    }
}
