//! htpasswd files: who may come in. Parsed once when a route is configured; verified on the pool of
//! [`super::verify`], because a bcrypt takes as long as ten thousand requests.

use super::md5crypt;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

/// Costlier bcrypt hashes are refused: at 14 one verification takes more than a second.
const HIGHEST_COST: u32 = 14;
/// Longest user name and password that are looked at.
const LONGEST: usize = 1024;

/// Why an htpasswd text is refused. Never says what the line holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HtpasswdError {
    /// No colon, or nothing before it.
    #[error("line {0} is not user:hash")]
    Shape(usize),
    /// A hash of no known kind; plain text too.
    #[error("line {0}: the hash is neither bcrypt ($2y$), apr1 ($apr1$) nor {{SHA}}; plain text is refused")]
    Scheme(usize),
    /// bcrypt with too high a cost.
    #[error("line {0}: bcrypt cost {1} is above {HIGHEST_COST}")]
    Cost(usize, u32),
    /// No line at all: nobody could ever come in, which is surely not meant.
    #[error("there is no user in it")]
    Empty,
}

/// A parsed htpasswd text. Cheap to clone.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    id: [u8; 32],
    users: HashMap<Box<[u8]>, Hash>,
    /// What an unknown user's password is verified against, so that time does not tell who exists.
    dummy: Hash,
}

#[derive(Clone)]
enum Hash {
    Bcrypt(Box<str>),
    Apr1 { salt: Box<[u8]>, digest: Box<[u8]> },
    Sha([u8; 20]),
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({} users)", self.0.users.len())
    }
}

impl Verifier {
    /// Parses `user:hash` lines; blank lines and lines that begin with `#` are passed over. The first line of a
    /// user counts.
    pub fn parse(text: &[u8]) -> Result<Self, HtpasswdError> {
        let mut users: HashMap<Box<[u8]>, Hash> = HashMap::new();
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let number = index + 1;
            let colon = line.iter().position(|byte| *byte == b':').filter(|at| *at > 0);
            let (user, hash) =
                colon.and_then(|at| line.split_at_checked(at)).ok_or(HtpasswdError::Shape(number))?;
            let hash = Hash::parse(hash.get(1..).unwrap_or_default(), number)?;
            users.entry(user.into()).or_insert(hash);
        }
        let dummy = users.values().max_by_key(|hash| hash.expense()).cloned().ok_or(HtpasswdError::Empty)?;
        Ok(Self(Arc::new(Inner { id: Sha256::digest(text).into(), users, dummy })))
    }

    /// Changes with the text: what remembered successes are keyed by.
    pub fn id(&self) -> &[u8; 32] {
        &self.0.id
    }

    /// Whether `user` has that password. Slow by design: never on a worker.
    pub fn verify(&self, user: &[u8], password: &[u8]) -> bool {
        if user.len() > LONGEST || password.len() > LONGEST {
            return false;
        }
        if let Some(hash) = self.0.users.get(user) {
            return hash.matches(password);
        }
        black_box(self.0.dummy.matches(password));
        false
    }
}

impl Hash {
    fn parse(text: &[u8], line: usize) -> Result<Self, HtpasswdError> {
        let scheme = HtpasswdError::Scheme(line);
        let text = std::str::from_utf8(text).map_err(|_never_shown| scheme.clone())?;
        if let Some(digest) = text.strip_prefix("{SHA}") {
            let digest = STANDARD.decode(digest).ok().and_then(|digest| digest.try_into().ok());
            return digest.map(Self::Sha).ok_or(scheme);
        }
        if let Some(rest) = text.strip_prefix("$apr1$") {
            let (salt, digest) = rest.split_once('$').ok_or_else(|| scheme.clone())?;
            if digest.len() != md5crypt::LENGTH || salt.len() > 8 {
                return Err(scheme);
            }
            return Ok(Self::Apr1 { salt: salt.as_bytes().into(), digest: digest.as_bytes().into() });
        }
        let is_bcrypt = ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|prefix| text.starts_with(prefix));
        let cost = text.get(4..6).and_then(|cost| cost.parse::<u32>().ok());
        match cost {
            Some(cost) if is_bcrypt && text.len() == 60 && text.is_ascii() => {
                if cost > HIGHEST_COST {
                    return Err(HtpasswdError::Cost(line, cost));
                }
                text.parse::<bcrypt::HashParts>().map_err(|_never_shown| scheme)?;
                Ok(Self::Bcrypt(text.into()))
            }
            _ => Err(scheme),
        }
    }

    /// Grows with the time that a verification takes.
    fn expense(&self) -> u32 {
        match self {
            Self::Sha(_) => 0,
            Self::Apr1 { .. } => 1,
            Self::Bcrypt(text) => 2 + text.get(4..6).and_then(|cost| cost.parse().ok()).unwrap_or(0),
        }
    }

    fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Apr1 { salt, digest } => constant_equal(&md5crypt::apr1(password, salt), digest),
            Self::Sha(digest) => constant_equal(&Sha1::digest(password), digest),
        }
    }
}

/// Compares without telling by time where the first difference is.
fn constant_equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && black_box(a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_verifies() {
        let bcrypt = bcrypt::hash("password", 4).unwrap();
        for prefix in ["$2a$", "$2b$", "$2x$", "$2y$"] {
            check(&format!("{prefix}{}", &bcrypt[4..]));
        }
        check("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=");
        check(&md5crypt::tests::line("password"));
    }

    fn check(hash: &str) {
        let verifier =
            Verifier::parse(format!("# staff\n\nalice:{hash}\r\nbob:{hash}\n").as_bytes()).unwrap();
        for (user, password, want) in [
            ("alice", "password", true),
            ("bob", "password", true),
            ("alice", "Password", false),
            ("alice", "", false),
            ("carol", "password", false),
            ("", "password", false),
        ] {
            assert_eq!(
                verifier.verify(user.as_bytes(), password.as_bytes()),
                want,
                "{hash} {user} {password}"
            );
        }
    }

    #[test]
    fn broken_lines_are_named_by_number_only() {
        for (text, want) in [
            ("alice", "line 1 is not user:hash"),
            ("\n:x", "line 2 is not user:hash"),
            (
                "a:secret",
                "line 1: the hash is neither bcrypt ($2y$), apr1 ($apr1$) nor {SHA}; plain text is refused",
            ),
            (
                "a:{PLAIN}secret",
                "line 1: the hash is neither bcrypt ($2y$), apr1 ($apr1$) nor {SHA}; plain text is refused",
            ),
            (
                "a:$apr1$short",
                "line 1: the hash is neither bcrypt ($2y$), apr1 ($apr1$) nor {SHA}; plain text is refused",
            ),
            (
                "a:$2y$31$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzabcde",
                "line 1: bcrypt cost 31 is above 14",
            ),
            ("# nobody\n", "there is no user in it"),
        ] {
            assert_eq!(Verifier::parse(text.as_bytes()).unwrap_err().to_string(), want, "{text}");
        }
    }
}
