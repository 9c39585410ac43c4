//! Requests that leave room for two readings, or none: each with its answer. Plain data, shared by the codec's own
//! tests and by the listener's end-to-end tests (`#[path]`); the codec has its default limits and options.

/// Name, raw bytes, status, reason.
pub type Case = (&'static str, &'static [u8], u16, &'static str);

/// One field more than the default limit of 100.
static FIELDS_101: [u8; 22 + 100 * 5 + 2] = fields();
/// A target one byte above the default limit of 16 KiB.
static LONG_TARGET: [u8; 16_390 + 22] = padded(b"GET /", b" HTTP/1.1\r\nHost: h\r\n\r\n");
/// A target that is too long before it ends.
static ENDLESS_TARGET: [u8; 16_390] = padded(b"GET /", b"");
/// A head above the default limit of 64 KiB.
static LARGE_HEAD: [u8; 65_600] = padded(b"GET / HTTP/1.1\r\nHost: h\r\nA: ", b"\r\n\r\n");
/// A head that is too large before it ends.
static ENDLESS_HEAD: [u8; 65_537] = padded(b"GET / HTTP/1.1\r\nHost: h\r\nA: ", b"");
/// A method that never ends.
static ENDLESS_METHOD: [u8; 65_537] = padded(b"", b"");
/// A chunk extension above the limit.
static LONG_EXTENSION: [u8; 400] =
    padded(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"\r\n");
/// A trailer section above the limit of a head.
static LARGE_TRAILERS: [u8; 65_700] =
    padded(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: ", b"\r\n\r\n");

/// The table.
#[rustfmt::skip]
pub const CASES: &[Case] = &[
    // Two ways of saying where the body ends.
    ("CL and TE", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "content-length-and-transfer-encoding"),
    ("TE and CL", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400, "content-length-and-transfer-encoding"),
    ("CL and gzip", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: gzip\r\n\r\nabcd", 400, "content-length-and-transfer-encoding"),
    ("CL of nothing and empty TE", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nTransfer-Encoding:\r\n\r\n", 400, "content-length-and-transfer-encoding"),
    // Content-Length.
    ("two CL that differ", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd", 400, "content-length-repeated"),
    ("two CL that agree", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", 400, "content-length-repeated"),
    ("two CL in two spellings", b"POST / HTTP/1.1\r\nHost: h\r\ncontent-length: 4\r\nCONTENT-LENGTH: 4\r\n\r\nabcd", 400, "content-length-repeated"),
    ("CL list that agrees", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4, 4\r\n\r\nabcd", 400, "content-length-malformed"),
    ("CL list that differs", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4,5\r\n\r\nabcd", 400, "content-length-malformed"),
    ("CL with plus", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +4\r\n\r\nabcd", 400, "content-length-malformed"),
    ("CL with minus", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -4\r\n\r\nabcd", 400, "content-length-malformed"),
    ("CL in hexadecimal", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x4\r\n\r\nabcd", 400, "content-length-malformed"),
    ("CL with a point", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4.0\r\n\r\nabcd", 400, "content-length-malformed"),
    ("CL with a space inside", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1 2\r\n\r\nabcd", 400, "content-length-malformed"),
    ("CL with underscore", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1_0\r\n\r\nabcd", 400, "content-length-malformed"),
    ("CL empty", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\nabcd", 400, "content-length-malformed"),
    ("CL of blanks", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \t \r\n\r\nabcd", 400, "content-length-malformed"),
    ("CL above 64 bits", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\nabcd", 400, "content-length-malformed"),
    ("CL of words", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: four\r\n\r\nabcd", 400, "content-length-malformed"),
    ("CL in quotes", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \"4\"\r\n\r\nabcd", 400, "content-length-malformed"),
    ("CL in full-width digits", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \xef\xbc\x94\r\n\r\nabcd", 400, "content-length-malformed"),
    // Transfer-Encoding.
    ("TE twice", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "transfer-encoding-repeated"),
    ("TE identity, then chunked", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "transfer-encoding-repeated"),
    ("TE chunked twice in a list", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400, "transfer-encoding-malformed"),
    ("TE gzip, chunked", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "transfer-encoding-malformed"),
    ("TE chunked, gzip", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400, "transfer-encoding-malformed"),
    ("TE chunked with an empty element", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", 400, "transfer-encoding-malformed"),
    ("TE chunked with a parameter", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 400, "transfer-encoding-malformed"),
    ("TE xchunked", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, "transfer-encoding-malformed"),
    ("TE chunked in quotes", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400, "transfer-encoding-malformed"),
    ("TE identity", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\nabcd", 400, "transfer-encoding-malformed"),
    ("TE empty", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\r\n", 400, "transfer-encoding-malformed"),
    ("TE with a vertical tab", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400, "control-character"),
    ("TE with a no-break space", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\xa0\r\n\r\n0\r\n\r\n", 400, "transfer-encoding-malformed"),
    ("TE gzip alone", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\nabcd", 501, "transfer-encoding-unsupported"),
    ("TE in HTTP/1.0", b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "transfer-encoding-in-http-1-0"),
    // Line ends.
    ("bare LF behind the request line", b"GET / HTTP/1.1\nHost: h\r\n\r\n", 400, "bare-lf"),
    ("bare LF behind a header", b"GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n", 400, "bare-lf"),
    ("bare LF behind an empty header", b"GET / HTTP/1.1\r\nHost: h\r\nA:\nB: c\r\n\r\n", 400, "bare-lf"),
    ("bare LF as the empty line", b"GET / HTTP/1.1\r\nHost: h\r\n\n", 400, "bare-lf"),
    ("bare LF everywhere", b"GET / HTTP/1.1\nHost: h\n\n", 400, "bare-lf"),
    ("bare LF before a request", b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "bare-lf"),
    ("bare CR in a value", b"GET / HTTP/1.1\r\nHost: h\r\nA: b\rContent-Length: 5\r\n\r\n", 400, "bare-cr"),
    ("bare CR behind the version", b"GET / HTTP/1.1\rHost: h\r\n\r\n", 400, "bare-cr"),
    ("CR CR LF", b"GET / HTTP/1.1\r\nHost: h\r\r\n\r\n", 400, "bare-cr"),
    ("bare CR before a header", b"GET / HTTP/1.1\r\nHost: h\r\n\rA: b\r\n\r\n", 400, "bare-cr"),
    ("bare CR before a request", b"\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "bare-cr"),
    ("many empty lines before a request", b"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "request-line-malformed"),
    // Header lines.
    ("obs-fold with a space", b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", 400, "obs-fold"),
    ("obs-fold with a tab", b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n", 400, "obs-fold"),
    ("space before the first header", b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400, "obs-fold"),
    ("space before the colon", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length : 4\r\n\r\nabcd", 400, "space-before-colon"),
    ("tab before the colon", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding\t: chunked\r\n\r\n", 400, "space-before-colon"),
    ("space in a name", b"GET / HTTP/1.1\r\nHost: h\r\nA b: c\r\n\r\n", 400, "space-before-colon"),
    ("empty name", b"GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n", 400, "header-name-empty"),
    ("no colon", b"GET / HTTP/1.1\r\nHost: h\r\nnonsense\r\n\r\n", 400, "header-without-colon"),
    ("NUL in a name", b"GET / HTTP/1.1\r\nHost: h\r\nA\0: b\r\n\r\n", 400, "nul-byte"),
    ("NUL in a value", b"GET / HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n", 400, "nul-byte"),
    ("NUL before a header", b"GET / HTTP/1.1\r\nHost: h\r\n\0A: b\r\n\r\n", 400, "nul-byte"),
    ("DEL in a value", b"GET / HTTP/1.1\r\nHost: h\r\nA: b\x7fc\r\n\r\n", 400, "control-character"),
    ("bracket in a name", b"GET / HTTP/1.1\r\nHost: h\r\nA[: b\r\n\r\n", 400, "header-name-malformed"),
    ("high byte in a name", b"GET / HTTP/1.1\r\nHost: h\r\nTransf\xc3\xa9r: b\r\n\r\n", 400, "header-name-malformed"),
    // Request line.
    ("space before the method", b" GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "request-line-malformed"),
    ("two spaces behind the method", b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "request-line-malformed"),
    ("two spaces behind the target", b"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", 400, "request-line-malformed"),
    ("tab behind the method", b"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", 400, "method-malformed"),
    ("tab behind the target", b"GET /\tHTTP/1.1\r\nHost: h\r\n\r\n", 400, "control-character"),
    ("space behind the version", b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400, "version-malformed"),
    ("space in the target", b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400, "version-malformed"),
    ("no method", b"/ HTTP/1.1\r\nHost: h\r\n\r\n", 400, "method-malformed"),
    ("no version: HTTP/0.9", b"GET /\r\n\r\n", 400, "request-line-malformed"),
    ("version 1.2", b"GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505, "version-unsupported"),
    ("version 2.0: the preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version-unsupported"),
    ("version 1.10", b"GET / HTTP/1.10\r\nHost: h\r\n\r\n", 400, "version-malformed"),
    ("version 01.1", b"GET / HTTP/01.1\r\nHost: h\r\n\r\n", 505, "version-unsupported"),
    ("version in lower case", b"GET / http/1.1\r\nHost: h\r\n\r\n", 400, "version-malformed"),
    ("NUL in the method", b"GE\0T / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "nul-byte"),
    ("NUL in the target", b"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 400, "nul-byte"),
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "method-malformed"),
    ("CONNECT", b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", 405, "connect"),
    ("CONNECT with a path", b"CONNECT /x HTTP/1.1\r\nHost: h\r\n\r\n", 405, "connect"),
    ("authority form", b"GET h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 405, "authority-form"),
    ("asterisk with GET", b"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400, "asterisk-form-without-options"),
    ("target of no form", b"GET ?q HTTP/1.1\r\nHost: h\r\n\r\n", 400, "target-malformed"),
    ("another scheme", b"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400, "target-malformed"),
    // Path.
    ("above the root", b"GET /../etc/passwd HTTP/1.1\r\nHost: h\r\n\r\n", 400, "path-above-root"),
    ("above the root, escaped", b"GET /a/%2e%2E/.%2e/ HTTP/1.1\r\nHost: h\r\n\r\n", 400, "path-above-root"),
    ("escaped NUL", b"GET /a%00.php HTTP/1.1\r\nHost: h\r\n\r\n", 400, "path-control-character"),
    ("escaped line end", b"GET /a%0d%0aSet-Cookie:x HTTP/1.1\r\nHost: h\r\n\r\n", 400, "path-control-character"),
    ("raw fragment", b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400, "path-fragment"),
    ("raw fragment in the query", b"GET /a?b#c HTTP/1.1\r\nHost: h\r\n\r\n", 400, "path-fragment"),
    ("broken escape", b"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400, "path-bad-escape"),
    ("escape cut short", b"GET /%4 HTTP/1.1\r\nHost: h\r\n\r\n", 400, "path-bad-escape"),
    // Host.
    ("no Host", b"GET / HTTP/1.1\r\nA: b\r\n\r\n", 400, "host-missing"),
    ("no header at all", b"GET / HTTP/1.1\r\n\r\n", 400, "host-missing"),
    ("two Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "host-repeated"),
    ("two equal Hosts", b"GET / HTTP/1.1\r\nHost: h\r\nhost: h\r\n\r\n", 400, "host-repeated"),
    ("two Hosts in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "host-repeated"),
    ("Host empty", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "host-empty"),
    ("Host list", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, "host-malformed"),
    ("Host with a path", b"GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", 400, "host-malformed"),
    ("Host with user information", b"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400, "host-malformed"),
    ("Host with an escape", b"GET / HTTP/1.1\r\nHost: h%2eio\r\n\r\n", 400, "host-malformed"),
    ("Host with a high byte", b"GET / HTTP/1.1\r\nHost: h\xc3\xa9\r\n\r\n", 400, "host-malformed"),
    ("Host of a dot", b"GET / HTTP/1.1\r\nHost: .\r\n\r\n", 400, "host-malformed"),
    ("Host with two dots", b"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", 400, "host-malformed"),
    ("Host with two trailing dots", b"GET / HTTP/1.1\r\nHost: h..\r\n\r\n", 400, "host-malformed"),
    ("Host of a port alone", b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400, "host-malformed"),
    ("Host with port 0", b"GET / HTTP/1.1\r\nHost: h:0\r\n\r\n", 400, "host-malformed"),
    ("Host with a port too high", b"GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", 400, "host-malformed"),
    ("Host with a signed port", b"GET / HTTP/1.1\r\nHost: h:+80\r\n\r\n", 400, "host-malformed"),
    ("Host with two ports", b"GET / HTTP/1.1\r\nHost: h:80:80\r\n\r\n", 400, "host-malformed"),
    ("Host with IPv6 unbracketed", b"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400, "host-malformed"),
    ("Host with a bracket open", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, "host-malformed"),
    ("Host with a zone", b"GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", 400, "host-malformed"),
    ("Host with letters behind IPv6", b"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400, "host-malformed"),
    ("Host of bad IPv4", b"GET / HTTP/1.1\r\nHost: 1.2.3.256\r\n\r\n", 400, "host-malformed"),
    ("absolute target, other Host", b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400, "host-differs-from-target"),
    ("absolute target, other port", b"GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "host-differs-from-target"),
    ("absolute target, no Host", b"GET http://a/ HTTP/1.1\r\n\r\n", 400, "host-missing"),
    ("absolute target, user information", b"GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "userinfo-in-target"),
    ("absolute target, no host", b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400, "target-malformed"),
    ("absolute target, backslash", b"GET http://a\\@b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "userinfo-in-target"),
    // Sizes.
    ("too many fields", &FIELDS_101, 431, "too-many-fields"),
    ("a target too long", &LONG_TARGET, 414, "target-too-long"),
    ("a target too long, unfinished", &ENDLESS_TARGET, 414, "target-too-long"),
    ("a head too large", &LARGE_HEAD, 431, "head-too-large"),
    ("a head too large, unfinished", &ENDLESS_HEAD, 431, "head-too-large"),
    ("a method too long, unfinished", &ENDLESS_METHOD, 431, "head-too-large"),
    // Expectations.
    ("unknown expectation", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: the-worst\r\n\r\na", 417, "expectation-unknown"),
    ("two expectations", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nExpect: 100-continue, x\r\n\r\na", 417, "expectation-unknown"),
    // Chunks.
    ("chunk size empty", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", 400, "chunk-size-malformed"),
    ("chunk size of words", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, "chunk-size-malformed"),
    ("chunk size with 0x", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", 400, "chunk-size-malformed"),
    ("chunk size with plus", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", 400, "chunk-size-malformed"),
    ("chunk size with minus", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n", 400, "chunk-size-malformed"),
    ("chunk size with underscore", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1_0\r\nhello\r\n0\r\n\r\n", 400, "chunk-size-malformed"),
    ("space before a chunk size", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n", 400, "chunk-size-malformed"),
    ("space behind a chunk size", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", 400, "chunk-size-malformed"),
    ("chunk size of 17 digits", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000005\r\nhello\r\n0\r\n\r\n", 400, "chunk-size-malformed"),
    ("chunk size that overflows", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", 400, "chunk-size-malformed"),
    ("chunk size with a comma", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5,5\r\nhello\r\n0\r\n\r\n", 400, "chunk-size-malformed"),
    ("bare LF behind a chunk size", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", 400, "bare-lf"),
    ("bare CR behind a chunk size", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\rhello\r\n0\r\n\r\n", 400, "bare-cr"),
    ("bare LF in a chunk extension", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n", 400, "bare-lf"),
    ("NUL in a chunk size", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\0\r\nhello\r\n0\r\n\r\n", 400, "nul-byte"),
    ("chunk extension without a name", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;\r\nhello\r\n0\r\n\r\n", 400, "chunk-extension-malformed"),
    ("chunk extension with a space", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5; a=b\r\nhello\r\n0\r\n\r\n", 400, "chunk-extension-malformed"),
    ("chunk extension with CR in quotes", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n", 400, "chunk-extension-malformed"),
    ("chunk extension too long", &LONG_EXTENSION, 400, "chunk-extension-too-long"),
    ("chunk data too long", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n", 400, "chunk-end-malformed"),
    ("chunk data too short", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello\r\n0\r\n\r\n", 400, "chunk-end-malformed"),
    ("bare LF behind chunk data", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", 400, "chunk-end-malformed"),
    ("bare CR behind chunk data", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r0\r\n\r\n", 400, "chunk-end-malformed"),
    // Trailers.
    ("bare LF behind the last chunk", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\n", 400, "bare-lf"),
    ("bare LF behind a trailer", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n", 400, "bare-lf"),
    ("obs-fold in a trailer", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n", 400, "obs-fold"),
    ("a request in the place of trailers", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400, "space-before-colon"),
    ("NUL in a trailer", b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: \0\r\n\r\n", 400, "nul-byte"),
    ("trailers too large", &LARGE_TRAILERS, 431, "head-too-large"),
];

/// `prefix`, as many `a` as fit, `suffix`.
const fn padded<const N: usize>(prefix: &[u8], suffix: &[u8]) -> [u8; N] {
    let mut out = [b'a'; N];
    copy(&mut out, prefix, 0);
    copy(&mut out, suffix, N - suffix.len());
    out
}

/// A request of 101 fields.
const fn fields<const N: usize>() -> [u8; N] {
    let mut out = [0; N];
    let line = b"GET / HTTP/1.1\r\nA: b\r\n";
    copy(&mut out, line, 0);
    let mut at = line.len();
    while at + 2 < N {
        copy(&mut out, b"A:b\r\n", at);
        at += 5;
    }
    copy(&mut out, b"\r\n", N - 2);
    out
}

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn copy(out: &mut [u8], text: &[u8], at: usize) {
    let mut index = 0;
    while index < text.len() {
        out[at + index] = text[index];
        index += 1;
    }
}
