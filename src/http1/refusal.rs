//! Why a request (or a response) is refused: a status for the client and a stable label for logs and metrics.

use crate::ground::path::PathError;
use http::StatusCode;

/// A request that is answered with an error and whose connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// What the client is told.
    pub status: StatusCode,
    /// What logs and metrics are told; one of [`Refusal::ALL_REASONS`].
    pub reason: &'static str,
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $status:ident $reason:literal;)+) => {
        impl Refusal {
            $($(#[$doc])* pub const $name: Self = Self { status: StatusCode::$status, reason: $reason };)+

            /// Every reason there is, for counters that are made beforehand.
            pub const ALL_REASONS: &[&str] = &[$($reason),+];
        }
    };
}

refusals! {
    // The bytes of a head.
    /// A line ends in LF without CR.
    BARE_LF = BAD_REQUEST "bare-lf";
    /// A CR without LF behind it.
    BARE_CR = BAD_REQUEST "bare-cr";
    /// A NUL byte.
    NUL_BYTE = BAD_REQUEST "nul-byte";
    /// Any other control character.
    CONTROL_CHARACTER = BAD_REQUEST "control-character";
    /// Not `method SP target SP version CRLF`.
    REQUEST_LINE = BAD_REQUEST "request-line-malformed";
    /// The method is no token.
    METHOD = BAD_REQUEST "method-malformed";
    /// Behind the target stands no HTTP version.
    VERSION_MALFORMED = BAD_REQUEST "version-malformed";
    /// Some other HTTP version than 1.0 and 1.1.
    VERSION_UNSUPPORTED = HTTP_VERSION_NOT_SUPPORTED "version-unsupported";
    /// A header line begins with white space.
    OBS_FOLD = BAD_REQUEST "obs-fold";
    /// White space between a header's name and its colon.
    SPACE_BEFORE_COLON = BAD_REQUEST "space-before-colon";
    /// A header line begins with a colon.
    HEADER_NAME_EMPTY = BAD_REQUEST "header-name-empty";
    /// A header line has no colon.
    HEADER_WITHOUT_COLON = BAD_REQUEST "header-without-colon";
    /// A header's name is no token.
    HEADER_NAME = BAD_REQUEST "header-name-malformed";
    /// The head is larger than allowed.
    HEAD_TOO_LARGE = REQUEST_HEADER_FIELDS_TOO_LARGE "head-too-large";
    /// There are more fields than allowed.
    TOO_MANY_FIELDS = REQUEST_HEADER_FIELDS_TOO_LARGE "too-many-fields";
    /// The target is longer than allowed.
    TARGET_TOO_LONG = URI_TOO_LONG "target-too-long";

    // Where the request goes.
    /// The target has none of the four forms.
    TARGET_MALFORMED = BAD_REQUEST "target-malformed";
    /// `*` with another method than OPTIONS.
    ASTERISK = BAD_REQUEST "asterisk-form-without-options";
    /// CONNECT.
    CONNECT = METHOD_NOT_ALLOWED "connect";
    /// A target of `host:port` without CONNECT.
    AUTHORITY_FORM = METHOD_NOT_ALLOWED "authority-form";
    /// User information in an absolute target.
    USERINFO = BAD_REQUEST "userinfo-in-target";
    /// No Host field in HTTP/1.1.
    HOST_MISSING = BAD_REQUEST "host-missing";
    /// An empty Host field.
    HOST_EMPTY = BAD_REQUEST "host-empty";
    /// More than one Host field.
    HOST_REPEATED = BAD_REQUEST "host-repeated";
    /// A Host field that names no host.
    HOST_MALFORMED = BAD_REQUEST "host-malformed";
    /// An absolute target and a Host field that differ.
    HOST_DIFFERS = BAD_REQUEST "host-differs-from-target";
    /// [`PathError::NotAbsolute`].
    PATH_NOT_ABSOLUTE = BAD_REQUEST "path-not-absolute";
    /// [`PathError::Escape`].
    PATH_ESCAPE = BAD_REQUEST "path-bad-escape";
    /// [`PathError::Control`].
    PATH_CONTROL = BAD_REQUEST "path-control-character";
    /// [`PathError::Space`].
    PATH_SPACE = BAD_REQUEST "path-space";
    /// [`PathError::Fragment`].
    PATH_FRAGMENT = BAD_REQUEST "path-fragment";
    /// [`PathError::Question`].
    PATH_QUESTION = BAD_REQUEST "path-question-mark";
    /// [`PathError::AboveRoot`].
    PATH_ABOVE_ROOT = BAD_REQUEST "path-above-root";
    /// [`PathError::DotSegment`].
    PATH_DOT_SEGMENT = BAD_REQUEST "path-dot-segment";
    /// [`PathError::DoubleSlash`].
    PATH_DOUBLE_SLASH = BAD_REQUEST "path-double-slash";
    /// [`PathError::EncodedSlash`].
    PATH_ENCODED_SLASH = BAD_REQUEST "path-encoded-slash";

    // Where the body ends.
    /// Both ways of saying where the body ends.
    LENGTH_AND_ENCODING = BAD_REQUEST "content-length-and-transfer-encoding";
    /// More than one `Content-Length`, equal ones too.
    LENGTH_REPEATED = BAD_REQUEST "content-length-repeated";
    /// A `Content-Length` that is not one number of digits.
    LENGTH_MALFORMED = BAD_REQUEST "content-length-malformed";
    /// More than one `Transfer-Encoding`.
    ENCODING_REPEATED = BAD_REQUEST "transfer-encoding-repeated";
    /// A `Transfer-Encoding` that is not exactly `chunked`.
    ENCODING_MALFORMED = BAD_REQUEST "transfer-encoding-malformed";
    /// One registered coding that is not done here, such as `gzip`.
    ENCODING_UNSUPPORTED = NOT_IMPLEMENTED "transfer-encoding-unsupported";
    /// `Transfer-Encoding` in HTTP/1.0, which does not know it.
    ENCODING_IN_HTTP_1_0 = BAD_REQUEST "transfer-encoding-in-http-1-0";
    /// An expectation other than `100-continue`.
    EXPECTATION = EXPECTATION_FAILED "expectation-unknown";
    /// A chunk's size is no hexadecimal number of at most 16 digits.
    CHUNK_SIZE = BAD_REQUEST "chunk-size-malformed";
    /// A chunk extension is malformed.
    CHUNK_EXTENSION = BAD_REQUEST "chunk-extension-malformed";
    /// Chunk extensions are longer than allowed.
    CHUNK_EXTENSION_TOO_LONG = BAD_REQUEST "chunk-extension-too-long";
    /// A chunk's data does not end where its size says.
    CHUNK_END = BAD_REQUEST "chunk-end-malformed";

    // What an upstream sent (see `parse_response`). A fault of its header lines or chunks keeps the reason that it
    // has in a request, with this status.
    /// Not `HTTP/1.x status reason CRLF`.
    RESPONSE_STATUS_LINE = BAD_GATEWAY "response-status-line-malformed";
    /// A response's head is larger than allowed, or has more fields.
    RESPONSE_TOO_LARGE = BAD_GATEWAY "response-head-too-large";
    /// Both ways of saying where a response's body ends.
    RESPONSE_LENGTH_AND_ENCODING = BAD_GATEWAY "response-content-length-and-transfer-encoding";
    /// More than one `Content-Length` in a response.
    RESPONSE_LENGTH_REPEATED = BAD_GATEWAY "response-content-length-repeated";
    /// A response's `Content-Length` is not one number of digits.
    RESPONSE_LENGTH_MALFORMED = BAD_GATEWAY "response-content-length-malformed";
    /// A response's `Transfer-Encoding` is not exactly `chunked`, once.
    RESPONSE_ENCODING = BAD_GATEWAY "response-transfer-encoding-malformed";
    /// `Transfer-Encoding` in an HTTP/1.0 response.
    RESPONSE_ENCODING_IN_HTTP_1_0 = BAD_GATEWAY "response-transfer-encoding-in-http-1-0";
    /// A status outside 100..=599.
    RESPONSE_STATUS = BAD_GATEWAY "response-status-out-of-range";
    /// A 101 that nobody asked for.
    RESPONSE_UPGRADE = BAD_GATEWAY "response-upgrade-not-asked-for";
    /// An informational response that announces a body.
    RESPONSE_INFORMATIONAL_BODY = BAD_GATEWAY "response-informational-with-body";
    /// More informational responses than one request deserves.
    RESPONSE_INFORMATIONAL_FLOOD = BAD_GATEWAY "response-informational-flood";
}

impl Refusal {
    /// The same fault in what an upstream sent.
    #[must_use]
    pub const fn of_upstream(self) -> Self {
        Self { status: StatusCode::BAD_GATEWAY, reason: self.reason }
    }
}

impl From<PathError> for Refusal {
    fn from(error: PathError) -> Self {
        match error {
            PathError::NotAbsolute => Self::PATH_NOT_ABSOLUTE,
            PathError::Escape => Self::PATH_ESCAPE,
            PathError::Control => Self::PATH_CONTROL,
            PathError::Space => Self::PATH_SPACE,
            PathError::Fragment => Self::PATH_FRAGMENT,
            PathError::Question => Self::PATH_QUESTION,
            PathError::AboveRoot => Self::PATH_ABOVE_ROOT,
            PathError::DotSegment => Self::PATH_DOT_SEGMENT,
            PathError::DoubleSlash => Self::PATH_DOUBLE_SLASH,
            PathError::EncodedSlash => Self::PATH_ENCODED_SLASH,
        }
    }
}
