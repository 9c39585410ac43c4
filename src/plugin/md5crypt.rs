//! Apache's `$apr1$`: MD5 stirred a thousand times. Old, and still what `htpasswd` writes by default.

use md5::{Digest as _, Md5};

/// Length of the encoded digest.
pub const LENGTH: usize = 22;

const MAGIC: &[u8] = b"$apr1$";
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The encoded digest of `password` with `salt` (at most 8 bytes).
pub fn apr1(password: &[u8], salt: &[u8]) -> Vec<u8> {
    let inner: [u8; 16] =
        Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize().into();
    let mut first = Md5::new().chain_update(password).chain_update(MAGIC).chain_update(salt);
    for chunk in password.chunks(16) {
        first.update(inner.get(..chunk.len()).unwrap_or(&inner));
    }
    let mut bits = password.len();
    while bits > 0 {
        first.update(if bits & 1 == 1 { &[0][..] } else { password.get(..1).unwrap_or_default() });
        bits >>= 1;
    }
    let mut digest: [u8; 16] = first.finalize().into();
    for round in 0..1000 {
        digest = stir(round, password, salt, &digest);
    }
    encode(&digest)
}

fn stir(round: u32, password: &[u8], salt: &[u8], digest: &[u8; 16]) -> [u8; 16] {
    let odd = round & 1 == 1;
    let mut md5 = Md5::new();
    md5.update(if odd { password } else { digest });
    if !round.is_multiple_of(3) {
        md5.update(salt);
    }
    if !round.is_multiple_of(7) {
        md5.update(password);
    }
    md5.update(if odd { digest } else { password });
    md5.finalize().into()
}

/// MD5-crypt's own base64, over a shuffled digest.
fn encode(digest: &[u8; 16]) -> Vec<u8> {
    let byte = |index: usize| u32::from(digest.get(index).copied().unwrap_or_default());
    let mut out = Vec::with_capacity(LENGTH);
    let mut push = |mut word: u32, count: usize| {
        for _ in 0..count {
            out.push(ALPHABET.get((word & 63) as usize).copied().unwrap_or_default());
            word >>= 6;
        }
    };
    for (a, b, c) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        push(byte(a) << 16 | byte(b) << 8 | byte(c), 4);
    }
    push(byte(11), 2);
    out
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A line's hash, as `htpasswd` writes it.
    pub fn line(password: &str) -> String {
        format!("$apr1$r31.....${}", String::from_utf8(apr1(password.as_bytes(), b"r31.....")).unwrap())
    }

    #[test]
    fn digests_equal_those_of_openssl() {
        for (password, salt, want) in VECTORS {
            assert_eq!(
                String::from_utf8(apr1(password.as_bytes(), salt.as_bytes())).unwrap(),
                *want,
                "{password}"
            );
        }
    }

    /// `openssl passwd -apr1 -salt SALT PASSWORD`
    const VECTORS: &[(&str, &str, &str)] = &[
        ("password", "saltsalt", "yAAkm4libquA.ZWLHbSBq/"),
        ("myPassword", "r31.....", "HqJZimcKQFAMYayBlzkrA/"),
        ("a", "x", "16j9.5e7KiXmuYFAYpPJM/"),
        ("", "abcdefgh", "L.PT565ESX4Tp2bqNs7Ie."),
        ("a longer password than sixteen bytes", "Zz./09", "WLvwGo5Cfy1Z6efVY.j/./"),
    ];
}
