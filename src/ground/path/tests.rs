use super::*;
use proptest::prelude::*;

const PLAIN: PathOptions = PathOptions { merge_slashes: false, refuse_encoded_slashes: false };
const MERGE: PathOptions = PathOptions { merge_slashes: true, refuse_encoded_slashes: false };
const REFUSE: PathOptions = PathOptions { merge_slashes: false, refuse_encoded_slashes: true };

fn parse(raw: impl AsRef<[u8]>, options: PathOptions) -> Result<String, PathError> {
    let raw = Bytes::copy_from_slice(raw.as_ref());
    Target::parse(&raw, options).map(|target| target.to_string())
}

fn check(raw: impl AsRef<[u8]>, options: PathOptions, want: Result<&str, PathError>) {
    let raw = raw.as_ref();
    assert_eq!(parse(raw, options).as_deref(), want.as_deref(), "{:?}", String::from_utf8_lossy(raw));
}

#[test]
fn a_path_is_put_into_the_one_form() {
    for (raw, want) in [
        ("/", "/"),
        ("/a/b.c/", "/a/b.c/"),
        ("/%41%7e%2D", "/A~-"),
        ("/%c3%a9%2f%5c%3b", "/%C3%A9%2F%5C%3B"),
        ("/%2541", "/%2541"),
        ("/a\\b", "/a%5Cb"),
        ("/é", "/%C3%A9"),
        ("/\"<>[]^`{|}", "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D"),
        ("/!$&'()*+,;=:@", "/!$&'()*+,;=:@"),
        ("/a;x=1/b;y", "/a;x=1/b;y"),
        ("/a/./b/.", "/a/b/"),
        ("/a/../b/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/%2e/%2E%2e/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/.well-known/x", "/.well-known/x"),
        ("/...", "/..."),
        ("/..a/.b/c..", "/..a/.b/c.."),
        ("/a..%2F..%5C", "/a..%2F..%5C"),
        ("//a///b//", "//a///b//"),
        ("/a//../b", "/a/b"),
        ("/.?..", "/?.."),
        ("/a?", "/a?"),
        ("/a?%41/../%zz?\\\"", "/a?%41/../%zz?\\\""),
        ("/a?é", "/a?%C3%A9"),
    ] {
        check(raw, PLAIN, Ok(want));
    }
    check(b"/\xff?\x80", PLAIN, Ok("/%FF?%80"));
}

#[test]
fn an_entrypoint_may_merge_slashes() {
    for (raw, want) in
        [("//", "/"), ("//a///b//", "/a/b/"), ("/a//../b", "/b"), ("/a//.//b", "/a/b"), ("/a?//", "/a?//")]
    {
        check(raw, MERGE, Ok(want));
    }
}

#[test]
fn an_entrypoint_may_refuse_encoded_slashes() {
    for raw in ["/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b"] {
        check(raw, REFUSE, Err(PathError::EncodedSlash));
    }
    check("/a%20b?%2F\\", REFUSE, Ok("/a%20b?%2F\\"));
}

#[test]
fn what_has_no_form_is_refused() {
    for (raw, want) in [
        ("", PathError::NotAbsolute),
        ("a", PathError::NotAbsolute),
        ("*", PathError::NotAbsolute),
        ("/..", PathError::AboveRoot),
        ("/a/../..", PathError::AboveRoot),
        ("/%2e%2e/a", PathError::AboveRoot),
        ("/%00", PathError::Control),
        ("/%1f", PathError::Control),
        ("/%7F", PathError::Control),
        ("/\t", PathError::Control),
        ("/a?\u{7f}", PathError::Control),
        ("/a b", PathError::Space),
        ("/a?b c", PathError::Space),
        ("/a#b", PathError::Fragment),
        ("/a?b#c", PathError::Fragment),
        ("/%", PathError::Escape),
        ("/%4", PathError::Escape),
        ("/%4?1", PathError::Escape),
        ("/%4/1", PathError::Escape),
        ("/%+1", PathError::Escape),
    ] {
        check(raw, PLAIN, Err(want));
    }
}

#[test]
fn a_target_in_the_one_form_shares_its_buffer() {
    for raw in ["/", "/a/b?c=%zz", "/.well-known/a.b..c/%20", "/a//b"] {
        let raw = Bytes::from(raw);
        let target = Target::parse(&raw, PLAIN).unwrap();
        assert_eq!(target.text().as_ptr(), raw.as_ptr(), "{raw:?}");
    }
}

#[test]
fn path_and_query_are_told_apart() {
    for (raw, path, query) in [
        ("/a", "/a", None),
        ("/a?", "/a", Some("")),
        ("/a?b?c", "/a", Some("b?c")),
        ("/%41?%41", "/A", Some("%41")),
    ] {
        let target = Target::parse(&Bytes::from(raw), PLAIN).unwrap();
        assert_eq!((target.path(), target.query()), (path, query), "{raw}");
    }
    assert_eq!((Target::asterisk().path(), Target::asterisk().query()), ("*", None));
}

/// Sets a path on `/old?q=1`.
fn set_path(path: &str) -> Result<String, PathError> {
    let mut target = Target::parse(&Bytes::from("/old?q=1"), PLAIN).unwrap();
    target.set_path(path).map(|()| target.to_string())
}

#[test]
fn a_plugin_s_path_is_put_into_the_form_and_checked() {
    for (path, want) in [
        ("/new", Ok("/new?q=1")),
        ("/%61\\é|", Ok("/a%5C%C3%A9%7C?q=1")),
        ("//new", Ok("//new?q=1")),
        ("/%2F", Ok("/%2F?q=1")),
        ("", Err(PathError::NotAbsolute)),
        ("new", Err(PathError::NotAbsolute)),
        ("http://h/", Err(PathError::NotAbsolute)),
        ("/a/../b", Err(PathError::DotSegment)),
        ("/a/.", Err(PathError::DotSegment)),
        ("/%2e%2e", Err(PathError::DotSegment)),
        ("/a?b", Err(PathError::Question)),
        ("/a#b", Err(PathError::Fragment)),
        ("/a b", Err(PathError::Space)),
        ("/a\r\nHost: x", Err(PathError::Control)),
        ("/%0a", Err(PathError::Control)),
        ("/%", Err(PathError::Escape)),
    ] {
        assert_eq!(set_path(path).as_deref(), want.as_deref(), "{path}");
    }
}

#[test]
fn a_refused_path_leaves_the_target_as_it_was() {
    let mut target = Target::parse(&Bytes::from("/old?q=1"), PLAIN).unwrap();
    assert!(target.set_path("/a/..").is_err());
    assert!(target.set_query(Some("a b")).is_err());
    assert_eq!(target.to_string(), "/old?q=1");
}

#[test]
fn a_plugin_sets_or_removes_the_query() {
    for (query, want) in [(None, "/old"), (Some(""), "/old?"), (Some("a=b&c?d/é"), "/old?a=b&c?d/%C3%A9")] {
        let mut target = Target::parse(&Bytes::from("/old?q=1"), PLAIN).unwrap();
        target.set_query(query).unwrap();
        assert_eq!((target.to_string().as_str(), target.path()), (want, "/old"));
    }
    let mut target = Target::asterisk();
    assert_eq!(target.set_query(Some("a\n")), Err(PathError::Control));
    assert_eq!(target.set_query(Some("a#b")), Err(PathError::Fragment));
}

#[test]
fn a_rule_s_path_is_put_into_the_same_form() {
    for (text, want) in [
        ("/", Ok("/")),
        ("/foo/", Ok("/foo/")),
        ("/caf\u{e9}", Ok("/caf%C3%A9")),
        ("/%63af%c3%a9", Ok("/caf%C3%A9")),
        ("/a\\b", Ok("/a%5Cb")),
        ("/a%5cb", Ok("/a%5Cb")),
        ("/(.*)", Ok("/(.*)")),
        ("/a%20b", Ok("/a%20b")),
        ("", Err(PathError::NotAbsolute)),
        ("foo", Err(PathError::NotAbsolute)),
        ("//foo", Err(PathError::DoubleSlash)),
        ("/foo//", Err(PathError::DoubleSlash)),
        ("/foo/./x", Err(PathError::DotSegment)),
        ("/foo/..", Err(PathError::DotSegment)),
        ("/foo/%2e%2E", Err(PathError::DotSegment)),
        ("/foo%2fbar", Err(PathError::EncodedSlash)),
        ("/foo%2F", Err(PathError::EncodedSlash)),
        ("/a b", Err(PathError::Space)),
        ("/a?b", Err(PathError::Question)),
        ("/a#b", Err(PathError::Fragment)),
        ("/a\n", Err(PathError::Control)),
        ("/a%00", Err(PathError::Control)),
        ("/a%2", Err(PathError::Escape)),
    ] {
        assert_eq!(rule_path(text).as_deref(), want.as_deref(), "{text}");
    }
}

/// What an upstream that decodes everything makes of a path: decoded once, dot segments resolved, where an encoded
/// slash separates nothing. None: it leads out of the root.
fn decoded(raw: &[u8]) -> Option<Vec<Vec<u8>>> {
    let path = raw.split(|byte| *byte == b'?').next().unwrap_or_default();
    let mut segments = Vec::new();
    let raw_segments: Vec<_> = path.split(|byte| *byte == b'/').skip(1).collect();
    for (index, segment) in raw_segments.iter().enumerate() {
        let mut text = Vec::new();
        let mut bytes = segment.iter();
        while let Some(byte) = bytes.next() {
            if *byte == b'%' {
                let digits: String = bytes.by_ref().take(2).map(|digit| char::from(*digit)).collect();
                text.push(u8::from_str_radix(&digits, 16).ok()?);
            } else {
                text.push(*byte);
            }
        }
        let last = index + 1 == raw_segments.len();
        match text.as_slice() {
            b"." => {}
            b".." => {
                segments.pop()?;
            }
            _ => {
                segments.push(text);
                continue;
            }
        }
        if last {
            segments.push(Vec::new());
        }
    }
    Some(segments)
}

/// Text of paths: often what matters here, sometimes anything.
fn path_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "/", "/", "/", "a", "b", "admin", "A", ".", "..", "%2e", "%2E", "%61", "%41dmin", "%2f", "%2F", "%5c", "\\", "%25",
            "%252e", ";x", "?", "//", "/.", "/..", "é", "%c3%A9", "~", "%7e", "%00", "%zz", "%2", " ", "#", "|", "%7C",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn options() -> impl Strategy<Value = PathOptions> {
    (any::<bool>(), any::<bool>()).prop_map(|(merge_slashes, refuse_encoded_slashes)| PathOptions {
        merge_slashes,
        refuse_encoded_slashes,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2048) })]

    #[test]
    fn the_form_of_the_form_is_the_form(raw in path_text(), options in options()) {
        if let Ok(once) = parse(&raw, options) {
            prop_assert!(once.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(parse(&once, options), Ok(once.clone()));
            let shared = Bytes::from(once);
            prop_assert_eq!(Target::parse(&shared, options).unwrap().text().as_ptr(), shared.as_ptr());
        }
        if let Ok(once) = rule_path(&raw) {
            prop_assert_eq!(rule_path(&once), Ok(once.clone()));
            prop_assert_eq!(parse(&once, PLAIN), Ok(once));
        }
        if let Ok(once) = set_path(&raw) {
            prop_assert_eq!(set_path(once.strip_suffix("?q=1").unwrap()), Ok(once.clone()));
        }
    }

    #[test]
    fn the_form_means_what_was_sent(raw in path_text()) {
        if let Ok(form) = parse(&raw, PLAIN) {
            prop_assert_eq!(decoded(form.as_bytes()), decoded(raw.as_bytes()), "{}", form);
        }
    }

    #[test]
    fn no_encoding_leads_around_a_prefix_rule(raw in path_text()) {
        let rule = "/admin";
        let Ok(form) = parse(&raw, PLAIN) else { return Ok(()) };
        let path = form.split('?').next().unwrap_or_default();
        let matched = path == rule || path.starts_with("/admin/");
        let meant = decoded(raw.as_bytes()).is_some_and(|segments| segments.first().is_some_and(|first| first == b"admin"));
        prop_assert_eq!(matched, meant, "{}", form);
    }

    #[test]
    fn a_rule_and_a_request_of_one_spelling_have_one_form(raw in path_text()) {
        if let Ok(rule) = rule_path(&raw) {
            prop_assert_eq!(parse(&raw, PLAIN), Ok(rule));
        }
    }

    #[test]
    fn random_bytes_panic_nowhere(raw in prop::collection::vec(any::<u8>(), 0..64), options in options()) {
        let rooted = [b"/", raw.as_slice()].concat();
        for raw in [raw.as_slice(), &rooted] {
            if let Ok(form) = parse(raw, options) {
                prop_assert_eq!(parse(&form, options), Ok(form.clone()));
            }
            let text = String::from_utf8_lossy(raw);
            let _verdicts = (rule_path(&text), set_path(&text));
        }
    }
}
