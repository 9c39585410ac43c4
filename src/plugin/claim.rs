//! A typed claim: which annotations a plugin reads, and what their text must be.

use crate::ground::amount;
use crate::ground::net::CidrSet;
use crate::model::chain::OptionValue;
use crate::plugin::fields;
use http::header::{HeaderName, HeaderValue};
use regex::Regex;
use std::sync::Arc;

/// One entry of a plugin's `annotations`.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its key in `opts`.
    pub key: Arc<str>,
    /// What the text must be.
    pub kind: Kind,
    /// The annotation names, tried in order; presence decides.
    pub names: Vec<Arc<str>>,
    /// What `opts` holds where no annotation is there (or, in an open stage, a bad one).
    pub default: Option<OptionValue>,
    /// The plugin needs it.
    pub required: bool,
    /// The plugin needs it where that other claim is present.
    pub required_if: Option<Arc<str>>,
    /// Bounds of numbers, and of the length of lists and strings.
    pub min: Option<f64>,
    /// As `min`.
    pub max: Option<f64>,
    /// What a string must match, as a whole.
    pub pattern: Option<Regex>,
    /// Where the annotation is read.
    pub on: On,
    /// Others may claim the same annotation.
    pub shared: bool,
    /// Values of a shared annotation that mean this plugin; empty means any valid one.
    pub when: Vec<Arc<str>>,
    /// What to use instead.
    pub deprecated: Option<Arc<str>>,
}

/// Where an annotation is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// The Ingress.
    Ingress,
    /// The Service.
    Service,
    /// Both: the Ingress's value shapes the route, the Service's the backend.
    Both,
}

/// The type of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text without control characters.
    Text,
    /// Go's ParseBool set.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Number,
    /// `5s`, `1m30s`; in Lua milliseconds.
    Duration,
    /// `8m`, `10485760`; in Lua bytes.
    Size,
    /// One of these words; case is folded to the declared one.
    Enum(Vec<Arc<str>>),
    /// A comma list.
    List,
    /// A comma list of addresses and networks.
    Cidrs,
    /// `A:b||C:d`
    Headers,
    /// The name of a Secret in the Ingress's namespace.
    Secret,
}

impl Kind {
    /// The words of the simple types.
    pub const NAMES: [(&'static str, Self); 10] = [
        ("string", Self::Text),
        ("bool", Self::Bool),
        ("int", Self::Int),
        ("number", Self::Number),
        ("duration", Self::Duration),
        ("size", Self::Size),
        ("string[]", Self::List),
        ("cidr[]", Self::Cidrs),
        ("header_map", Self::Headers),
        ("secret", Self::Secret),
    ];

    /// Parses `type = "..."`; none where there is no such type.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(words) = text.strip_prefix("enum(").and_then(|rest| rest.strip_suffix(')')) {
            let words: Vec<Arc<str>> = words.split(',').map(|word| word.trim().into()).collect();
            return words.iter().all(|word| !word.is_empty()).then_some(Self::Enum(words));
        }
        Self::NAMES.iter().find(|(name, _)| *name == text).map(|(_, kind)| kind.clone())
    }
}

impl Claim {
    /// Reads an annotation's text. Secrets are looked up elsewhere: here only their name is checked.
    pub fn parse(&self, text: &str) -> Result<OptionValue, String> {
        if text.chars().any(|c| c.is_control() && c != '\t' && !(self.kind == Kind::List && c == '\n')) {
            return Err("control characters are not allowed".into());
        }
        let value = match &self.kind {
            Kind::Text => self.matching(text)?,
            Kind::Bool => OptionValue::Bool(go_bool(text)?),
            Kind::Int => OptionValue::Int(integer(text)?),
            Kind::Number => OptionValue::Number(number(text)?),
            Kind::Duration => {
                let duration = amount::duration(text).map_err(|error| error.to_string())?;
                OptionValue::Int(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
            }
            Kind::Size => {
                let size = amount::size(text).map_err(|error| error.to_string())?;
                OptionValue::Int(i64::try_from(size).unwrap_or(i64::MAX))
            }
            Kind::Enum(words) => OptionValue::Text(
                words
                    .iter()
                    .find(|word| word.eq_ignore_ascii_case(text))
                    .cloned()
                    .ok_or_else(|| format!("must be one of {}", words.join(", ")))?,
            ),
            Kind::List => OptionValue::List(items(text).map(Arc::from).collect()),
            Kind::Cidrs => {
                let set: CidrSet =
                    text.parse().map_err(|error: crate::ground::net::CidrError| error.to_string())?;
                if set.is_empty() {
                    return Err("an empty list of networks: nobody could come in".into());
                }
                OptionValue::Cidrs(Arc::new(set))
            }
            Kind::Headers => OptionValue::Headers(header_map(text)?.into()),
            Kind::Secret => OptionValue::Text(secret_name(text)?.into()),
        };
        self.bounded(value)
    }

    fn matching(&self, text: &str) -> Result<OptionValue, String> {
        match &self.pattern {
            Some(pattern) if !pattern.is_match(text) => Err(format!("must match {pattern}")),
            _ => Ok(OptionValue::Text(text.into())),
        }
    }

    /// Checks `min` and `max`.
    fn bounded(&self, value: OptionValue) -> Result<OptionValue, String> {
        let (amount, what) = match &value {
            OptionValue::Int(number) => (*number as f64, ""),
            OptionValue::Number(number) => (*number, ""),
            OptionValue::Text(text) if self.kind == Kind::Text => {
                (text.chars().count() as f64, " characters")
            }
            OptionValue::List(list) => (list.len() as f64, " entries"),
            _ => return Ok(value),
        };
        if self.min.is_some_and(|min| amount < min) || self.max.is_some_and(|max| amount > max) {
            let bounds = match (self.min, self.max) {
                (Some(min), Some(max)) => format!("{min} to {max}"),
                (Some(min), None) => format!("at least {min}"),
                (None, max) => format!("at most {}", max.unwrap_or_default()),
            };
            let unit = match self.kind {
                Kind::Duration => " ms",
                Kind::Size => " bytes",
                _ => what,
            };
            return Err(format!("must be {bounds}{unit}"));
        }
        Ok(value)
    }
}

/// `strconv.ParseBool`
fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err("must be true or false".into()),
    }
}

/// Whole numbers that Lua can hold exactly.
fn integer(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let number = if digits.bytes().all(|b| b.is_ascii_digit()) { text.parse::<i64>().ok() } else { None };
    number.filter(|n| n.unsigned_abs() <= 1 << 53).ok_or_else(|| "must be a whole number".into())
}

fn number(text: &str) -> Result<f64, String> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    let number = if plain { text.parse::<f64>().ok() } else { None };
    number.filter(|n| n.is_finite()).ok_or_else(|| "must be a number".into())
}

/// A comma list without empty entries, trimmed.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// A header's name in lower case, and its value.
type Field = (Arc<str>, Arc<str>);

/// Traefik's `A:b||C:d`; an empty value deletes.
fn header_map(text: &str) -> Result<Vec<Field>, String> {
    let mut map: Vec<Field> = Vec::new();
    for entry in text.split("||").filter(|entry| !entry.trim().is_empty()) {
        let (name, value) =
            entry.split_once(':').ok_or_else(|| format!("'{}' is not Name:value", entry.trim()))?;
        let (name, value) = (name.trim(), value.trim());
        let parsed: HeaderName = name.parse().map_err(|_named| format!("'{name}' is not a header name"))?;
        if fields::belongs_to_connection(&parsed) {
            return Err(format!("header '{name}' belongs to the connection: the proxy sets it"));
        }
        HeaderValue::from_str(value)
            .map_err(|_named| format!("header '{name}': a value holds visible ASCII characters"))?;
        let parsed: Arc<str> = parsed.as_str().into();
        map.retain(|(known, _)| *known != parsed);
        map.push((parsed, value.into()));
    }
    if map.is_empty() {
        return Err("must be Name:value, several separated by ||".into());
    }
    Ok(map)
}

/// A Secret of the Ingress's own namespace: a DNS subdomain name, no other namespace.
fn secret_name(text: &str) -> Result<&str, String> {
    if text.contains('/') {
        return Err("names a Secret of the Ingress's own namespace: no '/'".into());
    }
    let good = !text.is_empty()
        && text.len() <= 253
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    if good { Ok(text) } else { Err("is not the name of a Secret".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(kind: &str) -> Claim {
        Claim {
            key: "key".into(),
            kind: Kind::parse(kind).unwrap(),
            names: vec!["a/b".into()],
            default: None,
            required: false,
            required_if: None,
            min: None,
            max: None,
            pattern: None,
            on: On::Ingress,
            shared: false,
            when: Vec::new(),
            deprecated: None,
        }
    }

    fn check(kind: &str, text: &str, want: Result<&str, &str>) {
        let got = claim(kind).parse(text).map(|value| format!("{value:?}"));
        assert_eq!(got.as_deref().map_err(String::as_str), want, "{kind} '{text}'");
    }

    #[test]
    fn every_type_reads_its_text() {
        check("string", "a b", Ok("\"a b\""));
        check("string", "a\nb", Err("control characters are not allowed"));
        for (text, want) in
            [("1", "true"), ("T", "true"), ("True", "true"), ("f", "false"), ("FALSE", "false")]
        {
            check("bool", text, Ok(want));
        }
        for text in ["yes", " true", "tRUE", ""] {
            check("bool", text, Err("must be true or false"));
        }
        check("int", "-12", Ok("-12"));
        for text in ["", "+1", "1.0", " 1", "1e3", "99999999999999999999", "9007199254740993"] {
            check("int", text, Err("must be a whole number"));
        }
        check("number", "0.5", Ok("0.5"));
        for text in ["", "inf", "NaN", "x"] {
            check("number", text, Err("must be a number"));
        }
        check("duration", "1m30s", Ok("90000"));
        check("duration", "soon", Err("a duration is written like 5s, 1m30s or 100ms (units ms, s, m, h)"));
        check("size", "8m", Ok("8388608"));
        check("size", "8x", Err("a size is written like 10485760, 512k, 8m or 1g"));
        check("enum(Path, PathPrefix)", "pathprefix", Ok("\"PathPrefix\""));
        check("enum(Path, PathPrefix)", "Prefix", Err("must be one of Path, PathPrefix"));
        check("string[]", " a, ,b ", Ok("[\"a\", \"b\"]"));
        check("cidr[]", "1.2.3.0/24, fe80::/16", Ok("{1.2.3.0/24, fe80::/16}"));
        check("cidr[]", "1.2.3.0/240", Err("'1.2.3.0/240': prefix length is 0..32"));
        check("cidr[]", " , ", Err("an empty list of networks: nobody could come in"));
        check("secret", "my-secret", Ok("\"my-secret\""));
        check("secret", "other/my-secret", Err("names a Secret of the Ingress's own namespace: no '/'"));
        check("secret", "", Err("is not the name of a Secret"));
    }

    #[test]
    fn header_maps_are_checked_name_by_name() {
        check("header_map", "X-A: b||X-B:c:d|| X-C:", Ok(r#"[("x-a", "b"), ("x-b", "c:d"), ("x-c", "")]"#));
        check("header_map", "X-A:1||x-a:2", Ok(r#"[("x-a", "2")]"#));
        check("header_map", "X A:1", Err("'X A' is not a header name"));
        check("header_map", "X-A", Err("'X-A' is not Name:value"));
        check("header_map", "", Err("must be Name:value, several separated by ||"));
        for name in
            ["Connection", "host", "Content-Length", "Keep-Alive", "TE", "Upgrade", "Proxy-Connection"]
        {
            let want = format!("header '{name}' belongs to the connection: the proxy sets it");
            check("header_map", &format!("{name}:x"), Err(&want));
        }
    }

    #[test]
    fn bounds_hold_for_numbers_and_lengths() {
        let mut port = claim("int");
        (port.min, port.max) = (Some(1.0), Some(10.0));
        assert!(port.parse("1").is_ok() && port.parse("10").is_ok());
        assert_eq!(port.parse("0").unwrap_err(), "must be 1 to 10");
        let mut list = claim("string[]");
        list.min = Some(1.0);
        assert_eq!(list.parse(" , ").unwrap_err(), "must be at least 1 entries");
        let mut wait = claim("duration");
        wait.max = Some(1000.0);
        assert_eq!(wait.parse("5s").unwrap_err(), "must be at most 1000 ms");
        let mut realm = claim("string");
        realm.pattern = Some(Regex::new("^(?:[a-z]+)$").unwrap());
        assert!(realm.parse("abc").is_ok());
        assert_eq!(realm.parse("a1").unwrap_err(), "must match ^(?:[a-z]+)$");
    }

    #[test]
    fn unknown_types_are_refused() {
        for text in ["", "str", "enum()", "enum(a,,b)", "enum", "cidr"] {
            assert_eq!(Kind::parse(text), None, "{text}");
        }
    }
}
