use super::*;
use crate::ground::names::EntryPoints;
use crate::model::route::PathMatch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

#[test]
fn every_bundled_plugin_loads() {
    let host = Host::new(&[]);
    assert_eq!(texts(&host.loaded.problems), [""; 0]);
    let names: Vec<&str> = host.loaded.set.plugins.iter().map(|code| &*code.name).collect();
    assert_eq!(
        names,
        ["whitelist", "basic-auth", "rule-type", "headers", "entrypoints", "pass-host", "priority"]
    );
}

#[tokio::test]
async fn strip_takes_whole_elements_and_announces_the_prefix() {
    for (rule, path, want, prefix) in [
        ("/foo", "/foo", "/", "/foo"),
        ("/foo", "/foo/", "/", "/foo"),
        ("/foo", "/foo/bar?q=1", "/bar?q=1", "/foo"),
        ("/foo", "/foo//bar", "//bar", "/foo"),
        ("/foo", "/foo/a%2Fb", "/a%2Fb", "/foo"),
        ("/foo/", "/foo/bar", "/bar", "/foo/"),
        ("/", "/a/b", "/a/b", "/"),
    ] {
        let mut host = Host::new(&[]);
        let annotations = &[("traefik.frontend.rule.type", "PathPrefixStrip")];
        let shaped = host.shape_at(rule, "ImplementationSpecific", annotations, None);
        assert_eq!(texts(&shaped.problems), [""; 0]);
        assert_eq!(shaped.path_match, Some(PathMatch::Prefix));
        let mut exchange =
            exchange(path, &[("x-forwarded-prefix", "/evil"), ("x-forwarded-prefix", "/worse")]);
        assert_eq!(host.request(&shaped.chain, &mut exchange).await, 0, "{path}");
        assert_eq!(exchange.request.target.text(), want, "{rule} {path}");
        let prefixes: Vec<_> = exchange.request.headers.get_all("x-forwarded-prefix").iter().collect();
        assert_eq!(prefixes, [prefix]);
    }
}

#[test]
fn rule_types_choose_the_match_where_the_ingress_leaves_it_open() {
    for (kind, path_type, want, problems) in [
        ("PathPrefix", "ImplementationSpecific", Some(PathMatch::Prefix), 0),
        ("pathstrip", "ImplementationSpecific", Some(PathMatch::Exact), 0),
        ("Path", "Exact", None, 0),
        ("Path", "Prefix", None, 1),
        ("ReplacePath", "Prefix", None, 1),
    ] {
        let mut host = Host::new(&[]);
        let shaped = host.shape_at("/foo", path_type, &[("ingress.kubernetes.io/rule-type", kind)], None);
        assert_eq!((shaped.path_match, shaped.problems.len()), (want, problems), "{kind} {path_type}");
        assert_eq!(shaped.chain.closed, None);
    }
}

#[test]
fn the_plain_name_wins_over_the_traefik_name_over_the_old_label() {
    let mut host = Host::new(&[]);
    let shaped = host.shape(&[
        ("traefik.frontend.priority", "3"),
        ("ingress.kubernetes.io/priority", "1"),
        ("traefik.ingress.kubernetes.io/priority", "2"),
    ]);
    assert_eq!((shaped.settings.priority, shaped.problems.len()), (1, 0));
}

#[test]
fn entrypoints_are_chosen_by_name_and_never_fall_open() {
    for (text, want, problems) in [
        ("http", EntryPoints::one(0), &[][..]),
        ("https,http", EntryPoints(3), &[]),
        (
            "https, htp",
            EntryPoints::one(1),
            &[
                "web.yaml:5:5: error: Ingress default/web: annotation traefik.frontend.entryPoints: there is no entrypoint 'htp'; did you mean 'http'?",
            ],
        ),
        (
            "nowhere",
            EntryPoints::NONE,
            &[
                "web.yaml:5:5: error: Ingress default/web: annotation traefik.frontend.entryPoints: there is no entrypoint 'nowhere'; valid are: http, https",
            ],
        ),
        (
            ",",
            EntryPoints::NONE,
            &[
                "web.yaml:5:5: error: Ingress default/web: annotation traefik.frontend.entryPoints: an empty list: the route answers on no entrypoint",
            ],
        ),
    ] {
        let shaped = Host::new(&[]).shape(&[("traefik.frontend.entryPoints", text)]);
        assert_eq!(
            (shaped.entrypoints, &*texts(&shaped.problems)),
            (want, &*problems.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>()),
            "{text}"
        );
    }
}

#[test]
fn pass_host_takes_go_booleans() {
    let mut host = Host::new(&[]);
    assert!(!host.shape(&[("traefik.frontend.passHostHeader", "f")]).settings.pass_host);
    let shaped = host.shape(&[("traefik.frontend.passHostHeader", "no")]);
    assert!(shaped.settings.pass_host);
    assert_eq!(
        texts(&shaped.problems),
        [
            "web.yaml:5:5: error: Ingress default/web: annotation traefik.frontend.passHostHeader: 'no': must be true or false"
        ]
    );
}

#[tokio::test]
async fn a_whitelist_lets_in_its_networks_of_both_families() {
    for name in
        ["ingress.kubernetes.io/whitelist-source-range", "nginx.ingress.kubernetes.io/allowlist-source-range"]
    {
        let mut host = Host::new(&[]);
        let shaped = host.shape(&[(name, "1.2.3.0/24, fe80::/16")]);
        for (ip, want) in [("1.2.3.4", 0), ("fe80::1", 0), ("1.2.4.1", 403), ("::1", 403)] {
            let mut exchange = exchange("/foo", &[("x-forwarded-for", "1.2.3.4")]);
            exchange.client.ip = ip.parse().unwrap();
            assert_eq!(host.request(&shaped.chain, &mut exchange).await, want, "{ip}");
        }
    }
}

#[tokio::test]
async fn a_bad_whitelist_closes_its_route() {
    for value in ["1.2.3.0/240", "", " , ", "all"] {
        let mut host = Host::new(&[]);
        let shaped = host.shape(&[("ingress.kubernetes.io/whitelist-source-range", value)]);
        assert_eq!(shaped.problems.len(), 1);
        assert_eq!(&*shaped.chain.closed.as_ref().unwrap().plugin, "whitelist");
        assert_eq!(host.request(&shaped.chain, &mut exchange("/foo", &[])).await, 503, "{value}");
    }
}

const AUTH: &[(&str, &str)] = &[
    ("ingress.kubernetes.io/auth-type", "Basic"),
    ("ingress.kubernetes.io/auth-secret", "staff"),
    ("ingress.kubernetes.io/auth-header-field", "X-Web-User"),
    ("ingress.kubernetes.io/auth-remove-header", "true"),
];

fn staff() -> String {
    let bcrypt = bcrypt::hash("password", 4).unwrap();
    format!("alice:{bcrypt}\nbob:{{SHA}}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")
}

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

#[tokio::test]
async fn basic_auth_challenges_and_lets_in() {
    let mut host = Host::new(&[]);
    host.secret("staff", &[("auth", &staff()), ("other", "x")]);
    let shaped = host.shape(AUTH);
    assert_eq!(texts(&shaped.problems), [""; 0]);
    assert_eq!(shaped.secrets, [ObjectName::new("default", "staff")]);
    for (authorization, want) in [
        (None, 401),
        (Some(basic("alice:guess")), 401),
        (Some(basic("carol:password")), 401),
        (Some("Bearer x".to_owned()), 401),
        (Some(format!("Basic {}", STANDARD.encode([0xff; 2000]))), 401),
        (Some(basic("alice:password")), 0),
        (Some(basic("alice:password")), 0), // now remembered
        (Some(basic("bob:password")), 0),
    ] {
        let mut exchange = exchange("/foo", &[("x-web-user", "root")]);
        if let Some(value) = &authorization {
            exchange.request.headers.insert("authorization", value.parse().unwrap());
        }
        assert_eq!(host.request(&shaped.chain, &mut exchange).await, want, "{authorization:?}");
        if want == 0 {
            let user = exchange.facts.user.as_deref().unwrap();
            assert_eq!(exchange.request.headers.get("x-web-user").unwrap(), user);
            assert!(!exchange.request.headers.contains_key("authorization"));
        }
    }
    assert_eq!(host.errors(), [""; 0]);
}

#[tokio::test]
async fn the_challenge_names_the_realm() {
    let mut host = Host::new(&[]);
    host.secret("staff", &[("auth", &staff())]);
    let shaped = host.shape(AUTH);
    let vm = host.vm();
    let hooks = vm.route(&shaped.chain).unwrap();
    let Verdict::Answer(answer) = on_request(&vm, &hooks, &mut exchange("/foo", &[])).await else {
        panic!("in")
    };
    assert_eq!(answer.headers.get("www-authenticate").unwrap(), "Basic realm=\"traefik\"");
    assert_eq!((&*answer.reason, &*answer.body), ("basic-auth", &b"401 Unauthorized\n"[..]));
}

#[test]
fn what_is_wrong_with_auth_closes_the_route_and_says_why() {
    let plain = "the Secret's htpasswd: line 1: the hash is neither bcrypt ($2y$), apr1 ($apr1$) nor {SHA}; plain text is refused";
    for (annotations, secret, want) in [
        (
            &AUTH[..2],
            None,
            "web.yaml:6:5: error: Ingress default/web: annotation ingress.kubernetes.io/auth-secret: 'staff': there is no Secret default/staff",
        ),
        (
            &AUTH[..1],
            None,
            "web.yaml:5:5: error: Ingress default/web: annotation ingress.kubernetes.io/auth-type: plugin basic-auth needs annotation ingress.kubernetes.io/auth-secret too",
        ),
        (
            &AUTH[1..2],
            Some(&[("auth", "a:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=")][..]),
            "web.yaml:5:5: error: Ingress default/web: annotation ingress.kubernetes.io/auth-secret: says nothing without an auth-type: add auth-type: basic",
        ),
        (&AUTH[..2], Some(&[("auth", "a:secret")]), plain),
        (
            &AUTH[..2],
            Some(&[("a", "x"), ("b", "y")]),
            "the Secret must have a key 'auth', or one key only, with htpasswd lines",
        ),
        (
            &AUTH[..2],
            Some(&[("username", "a"), ("password", "secret")]),
            "a Secret of type kubernetes.io/basic-auth holds a plain password: put a line of htpasswd -nB under the key 'auth'",
        ),
        (
            &[("ingress.kubernetes.io/auth-type", "digest")],
            None,
            "web.yaml:5:5: error: Ingress default/web: annotation ingress.kubernetes.io/auth-type: 'digest': no plugin implements this; valid are: basic",
        ),
        (
            &[("ingress.kubernetes.io/auth-url", "http://a/")],
            None,
            "web.yaml:5:5: error: Ingress default/web: annotation ingress.kubernetes.io/auth-url: no plugin implements this: the route answers 503",
        ),
    ] {
        let mut host = Host::new(&[]);
        if let Some(data) = secret {
            host.secret("staff", data);
        }
        let shaped = host.shape(annotations);
        let said = texts(&shaped.problems).join("\n");
        assert!(said.contains(want), "{annotations:?}: {said}");
        assert!(!said.contains("secret\n") && !said.contains(": secret"), "{said}");
        assert!(shaped.chain.closed.is_some(), "{annotations:?}");
    }
}

#[tokio::test]
async fn custom_headers_set_and_delete() {
    let mut host = Host::new(&[]);
    let shaped = host.shape(&[
        ("ingress.kubernetes.io/custom-request-headers", "X-A:1||X-Gone:"),
        ("ingress.kubernetes.io/custom-response-headers", "X-Env:edge||Server:"),
    ]);
    let mut exchange = exchange("/foo", &[("x-a", "0"), ("x-a", "2"), ("x-gone", "x")]);
    assert_eq!(host.request(&shaped.chain, &mut exchange).await, 0);
    assert_eq!(exchange.request.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1"]);
    assert!(!exchange.request.headers.contains_key("x-gone"));
    respond(&mut exchange, &[("server", "x/1")]);
    let vm = host.vm();
    let hooks = vm.route(&shaped.chain).unwrap();
    assert!(matches!(on_response(&vm, &hooks, &mut exchange), Verdict::Pass));
    let headers = &exchange.response.as_ref().unwrap().headers;
    assert_eq!(headers.get("x-env").unwrap(), "edge");
    assert!(!headers.contains_key("server"));
}
