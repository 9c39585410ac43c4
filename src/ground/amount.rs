//! Amounts as people write them: durations (`5s`, `1m30s`, `100ms`) and sizes (`8m`, `10485760`, `64KiB`).

use std::time::Duration;

/// Why a text is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct AmountError {
    text: &'static str,
}

const DURATION: AmountError =
    AmountError { text: "a duration is written like 5s, 1m30s or 100ms (units ms, s, m, h)" };
const SIZE: AmountError = AmountError { text: "a size is written like 10485760, 512k, 8m or 1g" };

/// Units of a duration, in milliseconds; longer names first.
const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// `5s`, `1m30s`, `100ms`, `1.5s`; a bare number is seconds, as in Traefik 1.x. At most 100 days.
pub fn duration(text: &str) -> Result<Duration, AmountError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(DURATION);
    }
    let mut total = 0_f64;
    let bare = rest.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, behind) = rest.split_at_checked(digits).ok_or(DURATION)?;
        let number: f64 = number.parse().map_err(|_no_detail| DURATION)?;
        let (scale, behind) = if bare {
            (1_000, behind)
        } else {
            let unit = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, behind) = behind.split_at_checked(unit).ok_or(DURATION)?;
            let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(DURATION)?;
            (*scale, behind)
        };
        total += number * scale as f64;
        rest = behind;
    }
    if total > 8.64e9 {
        return Err(DURATION);
    }
    Ok(Duration::from_micros((total * 1_000.0).round() as u64))
}

/// `10485760`, `512k`, `8m`, `8M`, `1g`, `64KiB`: powers of 1024, as in nginx.
pub fn size(text: &str) -> Result<u64, AmountError> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(SIZE)?;
    let number: u64 = number.parse().map_err(|_no_detail| SIZE)?;
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "ki" | "kib" => 10,
        "m" | "mb" | "mi" | "mib" => 20,
        "g" | "gb" | "gi" | "gib" => 30,
        _ => return Err(SIZE),
    };
    number.checked_mul(1 << shift).ok_or(SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("5s", 5_000),
            ("1m30s", 90_000),
            ("100ms", 100),
            ("1.5s", 1_500),
            ("2h", 7_200_000),
            ("30", 30_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(text).map(|d| d.as_millis()), Ok(ms), "{text}");
        }
        for text in ["", "s", "5 s", "-1s", "5x", "1..5s", "5sm", "1e3s", "999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("10485760", 10_485_760),
            ("8m", 8 << 20),
            ("8M", 8 << 20),
            ("512k", 512 << 10),
            ("1g", 1 << 30),
            ("64KiB", 65_536),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "m", "-1", "1.5m", "8x", "99999999999g"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
