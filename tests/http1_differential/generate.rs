//! Dice, and requests: good ones, ones with a known fault, and what mutations make of them.

use crate::smuggling::CASES;

/// The target of the request that ends every run.
pub const SENTINEL: &str = "/sentinel";

/// splitmix64: small, seeded, and the same on every machine.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// 0 to `end` - 1.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from.get(self.below(from.len())).unwrap()
    }
}

/// One to three requests in a row, perhaps mutated, and the sentinel.
pub fn requests(seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut raw = Vec::new();
    for _ in 0..=dice.below(3) {
        if dice.one_in(6) {
            let small: Vec<&[u8]> = CASES.iter().map(|case| case.1).filter(|raw| raw.len() < 512).collect();
            raw.extend_from_slice(dice.pick(&small));
        } else {
            request(&mut dice, &mut raw);
        }
    }
    if dice.one_in(2) {
        for _ in 0..=dice.below(3) {
            dice.mutate(&mut raw);
        }
    }
    raw.extend_from_slice(format!("GET {SENTINEL} HTTP/1.1\r\nHost: s\r\n\r\n").as_bytes());
    raw
}

const METHODS: [&str; 8] = ["GET", "GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "X-TRA"];
const TARGETS: [&str; 22] = [
    "/",
    "/",
    "/a/b?c=d",
    "/%41%7e%2f",
    "/a/../b",
    "/./a/%2E",
    "/a//b",
    "/;p=1/x",
    "/?",
    "/?a?b",
    "/a?%zz",
    "/%c3%a9",
    "/a%20b",
    "*",
    "http://h.io/x",
    "http://h.io",
    "http://h.io?q",
    "HTTP://H.io:80/",
    "https://h.io/",
    "/a[1]",
    "/a|b?\"<",
    "/a'b(c)",
];
const VERSIONS: [&str; 6] = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"];
const HOSTS: [&str; 8] = ["h.io", "h.io", "h.io", "H.io", "h.io:80", "[::1]:8080", "10.0.0.1", "a_b.c."];
const FIELDS: [&str; 18] = [
    "Accept: */*",
    "accept:text/html , x",
    "X-Empty:",
    "X-Blank:  \t ",
    "X-Tab: a\tb",
    "Cookie: a=b; c=d",
    "Cookie: e",
    "X_Under: 1",
    "Connection: keep-alive",
    "Connection: close",
    "Connection: X-Hop, keep-alive",
    "Upgrade: x",
    "TE: trailers",
    "X-High: \u{e9}\u{20ac}",
    "Expect: 100-continue",
    "Trailer: X-Sum",
    "X-Quoted: \"a\\\"b\"",
    "!#$%&'*+-.^`|~: odd",
];
const CODINGS: [&str; 4] = ["chunked", "chunked", "Chunked", "CHUNKED \t"];
const EXTENSIONS: [&str; 6] = ["", "", "", ";a", ";a=b;c", ";a=\"x;\\\"y\""];
const TRAILERS: [&str; 5] =
    ["X-Sum: 1\r\n", "X-A: b\r\nX-C:\r\n", "Content-Length: 5\r\n", "Host: evil\r\n", ""];

fn request(dice: &mut Dice, out: &mut Vec<u8>) {
    let line = format!("{} {} {}\r\n", dice.pick(&METHODS), dice.pick(&TARGETS), dice.pick(&VERSIONS));
    out.extend_from_slice(line.as_bytes());
    let mut fields = vec![format!("Host:{}{}", dice.pick(&["", " ", "\t "]), dice.pick(&HOSTS))];
    for _ in 0..dice.below(5) {
        fields.push(dice.pick(&FIELDS).to_owned());
    }
    let mut body = Vec::new();
    match dice.below(3) {
        0 => {}
        1 => {
            dice.random_body(&mut body);
            fields.push(format!("Content-Length: {}", body.len()));
        }
        _ => {
            fields.push(format!("Transfer-Encoding: {}", dice.pick(&CODINGS)));
            dice.chunks(&mut body);
        }
    }
    // The order of fields must not matter.
    let turns = dice.below(fields.len());
    fields.rotate_left(turns);
    for field in fields {
        out.extend_from_slice(field.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&body);
}

const SPLINTERS: [&[u8]; 22] = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b"\0",
    b":",
    b";",
    b",",
    b"0",
    b"\x0b",
    b"\x7f",
    b"\x80",
    b"%",
    b"/../",
    b"\\",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: x\r\n",
    b"chunked",
    b"0\r\n\r\n",
];

/// What requests and responses have in common.
impl Dice {
    /// Bytes that look like what they are not.
    pub fn random_body(&mut self, out: &mut Vec<u8>) {
        for _ in 0..self.below(4) {
            out.extend_from_slice(
                self.pick(&["0\r\n\r\n", "GET / HTTP/1.1\r\n", "abc", "\r\n", "\0", "5\r\nhello\r\n"])
                    .as_bytes(),
            );
        }
    }

    /// Chunks, the last one, perhaps trailers.
    pub fn chunks(&mut self, out: &mut Vec<u8>) {
        for _ in 0..self.below(4) {
            let mut data = Vec::new();
            self.random_body(&mut data);
            if data.is_empty() {
                continue;
            }
            let zeros = "0".repeat(self.below(3));
            let size = if self.one_in(2) { format!("{:x}", data.len()) } else { format!("{:X}", data.len()) };
            out.extend_from_slice(format!("{zeros}{size}{}\r\n", self.pick(&EXTENSIONS)).as_bytes());
            out.extend_from_slice(&data);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(format!("0{}\r\n", self.pick(&EXTENSIONS)).as_bytes());
        if self.one_in(3) {
            out.extend_from_slice(self.pick(&TRAILERS).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }

    /// One small damage.
    pub fn mutate(&mut self, raw: &mut Vec<u8>) {
        let at = self.below(raw.len());
        let end = (at + 1 + self.below(8)).min(raw.len());
        match self.below(6) {
            0 => {
                raw.splice(at..at, self.pick(&SPLINTERS).iter().copied());
            }
            1 => {
                raw.splice(at..end, self.pick(&SPLINTERS).iter().copied());
            }
            2 => {
                raw.drain(at..end);
            }
            3 => {
                let copy: Vec<u8> = raw.drain(at..end).collect();
                let twice = [copy.as_slice(), &copy].concat();
                raw.splice(at..at, twice);
            }
            4 => raw.truncate(at.max(1)),
            _ => {
                let byte = self.next() as u8;
                raw.splice(at..=at, [byte]);
            }
        }
        if raw.is_empty() {
            raw.push(b'G');
        }
    }
}
