//! The line before a chunk: `size *( ";" name [ "=" value ] ) CRLF`, without any white space (RFC 9112 7.1 allows
//! only "bad" white space there, and parsers do not agree about it).

use super::Refusal;
use super::fields::is_token;

/// Bytes of extensions that one chunk may carry. Nobody uses them; who sends many is up to something.
const EXTENSION_LIMIT: usize = 256;

/// A whole line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkLine {
    /// Bytes of data that follow; 0 is the last chunk.
    pub(super) size: u64,
    /// The line's bytes, with CRLF.
    pub(super) len: usize,
    /// Of these, bytes of extensions.
    pub(super) extensions: usize,
}

#[derive(Clone, Copy)]
enum State {
    Size,
    NameStart,
    Name,
    ValueStart,
    Value,
    Quoted,
    QuotedPair,
    QuotedEnd,
    Lf,
}

/// Reads the line at the beginning of `bytes`; none if it is not whole yet and may still become good.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<ChunkLine>, Refusal> {
    let mut state = State::Size;
    let (mut size, mut digits) = (0_u64, 0_usize);
    for (at, &byte) in bytes.iter().enumerate() {
        if at - digits > EXTENSION_LIMIT {
            return Err(Refusal::CHUNK_EXTENSION_TOO_LONG);
        }
        state = match (state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 16 => {
                size = size << 4 | u64::from(char::from(byte).to_digit(16).unwrap_or_default());
                digits += 1;
                State::Size
            }
            (State::Size, b';') if digits > 0 => State::NameStart,
            (State::Size, b'\r') if digits > 0 => State::Lf,
            (State::Name | State::Value | State::QuotedEnd, b'\r') => State::Lf,
            (State::Name | State::Value | State::QuotedEnd, b';') => State::NameStart,
            (State::Name, b'=') => State::ValueStart,
            (State::NameStart | State::Name, _) if is_token(byte) => State::Name,
            (State::ValueStart | State::Value, _) if is_token(byte) => State::Value,
            (State::Quoted, b'"') => State::QuotedEnd,
            (State::Quoted, b'\\') => State::QuotedPair,
            (State::ValueStart, b'"') | (State::Quoted | State::QuotedPair, b'\t' | b' '..=b'~') => {
                State::Quoted
            }
            (State::Lf, b'\n') => {
                return Ok(Some(ChunkLine { size, len: at + 1, extensions: at - 1 - digits }));
            }
            (State::Lf, _) => return Err(Refusal::BARE_CR),
            (_, b'\n') => return Err(Refusal::BARE_LF),
            (_, 0) => return Err(Refusal::NUL_BYTE),
            (State::Size, _) => return Err(Refusal::CHUNK_SIZE),
            _ => return Err(Refusal::CHUNK_EXTENSION),
        };
    }
    Ok(None)
}
