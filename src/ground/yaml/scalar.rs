//! What a plain scalar means. `kubectl` and the API server turn YAML into JSON with a YAML 1.1 resolver
//! (sigs.k8s.io/yaml over go-yaml v2), so `on` is a truth value there and `010` is eight; files read here must
//! mean the same.

use super::node::Value;

/// The value of a plain scalar.
pub(super) fn resolve(text: &str) -> Value {
    // Nearly all scalars are words that cannot be anything else: decided by their first byte.
    let Some(first) = text.bytes().next() else { return Value::Null };
    match first {
        b'0'..=b'9' | b'+' | b'-' | b'.' => number(text),
        b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'y' | b'Y' | b'o' | b'O' if text.len() <= 5 => {
            word(text)
        }
        _ => None,
    }
    .unwrap_or_else(|| Value::String { text: text.into(), quoted: false })
}

/// `null` and the truth values, in the three cases in which YAML 1.1 writes them.
fn word(text: &str) -> Option<Value> {
    Some(match text {
        "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
            Value::Bool(true, text.into())
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
            Value::Bool(false, text.into())
        }
        _ => return None,
    })
}

fn number(text: &str) -> Option<Value> {
    if let Some(int) = integer(text) {
        return Some(Value::Int(int, text.into()));
    }
    float(text).map(|float| Value::Float(float, text.into()))
}

/// Decimal, `0x`, `0o` and (YAML 1.1) leading-zero octal, `0b`; underscores between digits.
fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, digits.get(2..)?),
        Some("0o" | "0O") => (8, digits.get(2..)?),
        Some("0b" | "0B") => (2, digits.get(2..)?),
        Some(zero) if zero.starts_with('0') => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    let digits = if digits.contains('_') { &digits.replace('_', "") } else { digits };
    // A second sign would be taken by `from_str_radix`.
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => {
            return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        ".nan" | ".NaN" | ".NAN" if unsigned.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    let allowed = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    let has_digit = unsigned.bytes().any(|b| b.is_ascii_digit());
    (has_digit && unsigned.bytes().all(allowed)).then(|| text.parse().ok()).flatten()
}

/// A scalar with one of the core schema's tags; none if the text does not fit the tag.
pub(super) fn tagged(tag: &str, text: &str) -> Option<Value> {
    let value = match tag {
        "str" => return Some(Value::String { text: text.into(), quoted: true }),
        _ => resolve(text),
    };
    match (tag, value) {
        ("null", value @ Value::Null)
        | ("bool", value @ Value::Bool(..))
        | ("int", value @ Value::Int(..))
        | ("float", value @ Value::Float(..)) => Some(value),
        ("float", Value::Int(int, text)) => Some(Value::Float(int as f64, text)),
        _ => None,
    }
}
