//! From annotations to routes: claims, `ctx`, closed routes, what nobody understands.

use super::*;
use std::time::Duration;

/// Shapes a route with a plugin whose `configure` has this body.
fn shape(stage: &str, body: &str) -> Shaped {
    let text = plugin(stage, &format!(" configure = function(opts, ctx)\n{body}\n end,"));
    Host::one(&text).shape(X)
}

#[test]
fn configure_shapes_the_route() {
    let shaped = shape(
        "route",
        "ctx.route.priority = 7; ctx.route.path_type = 'Exact'; ctx.route.pass_host = false; ctx.route.body_limit = '8m'
         ctx.route.response_timeout = '5s'; ctx.route.read_timeout = 1500; ctx.route.retries = 2; ctx.route.entrypoints = { 'https' }
         ctx.backend.connect_timeout = '100ms'; ctx.backend.idle_connections = 3
         assert(ctx.route.priority == 7 and ctx.route.response_timeout == 5000 and ctx.route.retries == 2 and ctx.route.path_type == 'Exact')
         assert(ctx.namespace .. ctx.ingress .. ctx.host .. ctx.path .. ctx.path_type .. ctx.service == 'defaultwebh.io/fooImplementationSpecificdefault/web:80')",
    );
    assert_eq!(texts(&shaped.problems), [""; 0]);
    assert_eq!((shaped.settings.priority, shaped.settings.pass_host), (7, false));
    assert_eq!((shaped.settings.body_limit, shaped.settings.retries), (Some(8 << 20), Some(2)));
    assert_eq!(shaped.settings.response_timeout, Duration::from_secs(5));
    assert_eq!(shaped.settings.read_timeout, Duration::from_millis(1500));
    assert_eq!(shaped.backend.connect_timeout, Duration::from_millis(100));
    assert_eq!((shaped.backend.idle_connections, shaped.entrypoints.0), (3, 2));
    assert_eq!(shaped.chain.plugins, ["p".into()]);
}

#[test]
fn wrong_assignments_name_the_line() {
    for (code, want) in [
        ("ctx.route.priorty = 1", "ctx.route has no field 'priorty'; did you mean 'priority'?"),
        (
            "ctx.route.priority = 'x'",
            "ctx.route.priority must be a whole number from -2147483648 to 2147483648, not x",
        ),
        (
            "ctx.route.response_timeout = 0",
            "ctx.route.response_timeout must be milliseconds above 0, or a duration like \"5s\", at most 24h, not 0",
        ),
        ("ctx.route.retries = -1", "ctx.route.retries must be a whole number from 0 to 100, not -1"),
        ("ctx.route.path_type = 'Regex'", "ctx.route.path_type must be \"Exact\" or \"Prefix\", not Regex"),
        ("ctx.route.entrypoints = 'http'", "ctx.route.entrypoints must be a list of names"),
        (
            "ctx.backend.idle = 1",
            "ctx.backend has no field 'idle'; valid are: connect_timeout, idle_connections",
        ),
        ("ctx.path = '/'", "ctx.path cannot be set; set fields of ctx.route or ctx.backend"),
        ("local x = ctx.pth", "ctx has no field 'pth'; did you mean 'path'?"),
        ("opts.x = 1", "attempt to modify a readonly table"),
    ] {
        for (stage, closed) in [("route", false), ("guard", true)] {
            let shaped = shape(stage, code);
            let said = texts(&shaped.problems);
            assert_eq!(said.len(), 1, "{code}");
            assert!(said[0].starts_with("p.lua:5:"), "{}", said[0]);
            assert!(
                said[0].ends_with(&format!("error: Ingress default/web: plugin p: configure failed: {want}")),
                "{}",
                said[0]
            );
            assert_eq!(shaped.chain.closed.is_some(), closed, "{code}");
            assert_eq!((shaped.settings, shaped.backend), Default::default(), "{code}");
        }
    }
}

#[test]
fn a_plugin_may_call_a_value_bad_or_warn() {
    let shaped = shape("route", "ctx.route.priority = 1; ctx:warn('hm'); ctx:fail('x', 'is odd')");
    assert_eq!(
        texts(&shaped.problems),
        [
            "web.yaml:5:5: warning: Ingress default/web: annotation t.io/x: hm",
            "web.yaml:5:5: error: Ingress default/web: annotation t.io/x: is odd",
        ]
    );
    assert_eq!(shaped.settings.priority, 0); // as if the plugin were not there
    assert!(shape("guard", "pcall(ctx.fail, ctx, 'x', 'is odd')").chain.closed.is_some());
    let shaped = shape("route", "ctx.route.priority = 1; ctx:report('x', 'is odd')");
    assert_eq!((shaped.settings.priority, shaped.problems.len()), (1, 1));
    assert!(shape("auth", "ctx:report('x', 'is odd')").chain.closed.is_some());
}

#[test]
fn only_routes_with_a_claimed_annotation_are_touched() {
    let text = plugin("guard", " configure = function() error('never') end,");
    let shaped = Host::one(&text).shape(&[("t.io/y", "1"), ("example.com/whitelist", "x")]);
    assert_eq!((shaped.problems.len(), shaped.chain.plugins.len(), shaped.chain.steps.len()), (0, 0, 0));
}

#[test]
fn nil_state_means_no_hooks_here() {
    let hook = " on_request = function() end,";
    let text = |state: &str| plugin("guard", &format!(" configure = function() return {state} end,{hook}"));
    assert_eq!(Host::one(&text("nil")).shape(X).chain.steps.len(), 0);
    assert_eq!(Host::one(&text("{}")).shape(X).chain.steps.len(), 1);
    assert_eq!(Host::one(&plugin("guard", hook)).shape(X).chain.steps.len(), 1);
}

#[test]
fn equal_annotations_make_equal_chains() {
    let mut host = Host::new(&[]);
    let list: &[(&str, &str)] = &[("ingress.kubernetes.io/whitelist-source-range", "10.0.0.0/8")];
    assert_eq!(host.shape(list), host.shape(list));
    assert_ne!(
        host.shape(list),
        host.shape(&[("ingress.kubernetes.io/whitelist-source-range", "10.0.0.0/9")])
    );
}

#[test]
fn annotations_that_nobody_claims_are_told_and_guarding_ones_close() {
    let mut host = Host::new(&[]);
    for (name, want, closed) in [
        (
            "traefik.frontend.prioritty",
            "warning: Ingress default/web: annotation traefik.frontend.prioritty: not understood (did you mean traefik.frontend.priority?)",
            false,
        ),
        (
            "ingress.kubernetes.io/zzz",
            "warning: Ingress default/web: annotation ingress.kubernetes.io/zzz: not understood",
            false,
        ),
        (
            "nginx.ingress.kubernetes.io/denylist-source-range",
            "error: Ingress default/web: annotation nginx.ingress.kubernetes.io/denylist-source-range: no plugin implements this: the route answers 503",
            true,
        ),
        (
            "ingress.kubernetes.io/auth-tls-secret",
            "error: Ingress default/web: annotation ingress.kubernetes.io/auth-tls-secret: no plugin implements this: the route answers 503",
            true,
        ),
        (
            "traefik.frontend.auth.basic",
            "error: Ingress default/web: annotation traefik.frontend.auth.basic: no plugin implements this: the route answers 503",
            true,
        ),
    ] {
        let shaped = host.shape(&[(name, "x")]);
        let said = texts(&shaped.problems).join("\n");
        assert!(said.starts_with(&format!("web.yaml:5:5: {want}")), "{said}");
        assert_eq!(shaped.chain.closed.is_some(), closed, "{name}");
    }
}

const BOTH: &str = "return plugin { name = 'p', stage = 'route', annotations = {
 both = { type = 'duration', on = 'both', names = { 't.io/both' } },
 service = { type = 'int', on = 'service', names = { 't.io/service' } } },
 configure = function(opts, ctx)
  if opts.both then ctx.route.response_timeout = opts.both; ctx.backend.connect_timeout = opts.both end
  if opts.service then ctx.backend.idle_connections = opts.service end
 end }";

#[test]
fn the_services_value_shapes_the_backend_and_the_ingresss_the_route() {
    let mut host = Host::one(BOTH);
    let shape = |host: &mut Host, ingress: &[(&str, &str)], service: &[(&str, &str)]| {
        let shaped = host.shape_at("/", "Prefix", ingress, Some(service));
        let times = (shaped.settings.response_timeout.as_secs(), shaped.backend.connect_timeout.as_secs());
        (times, shaped.backend.idle_connections, texts(&shaped.problems))
    };
    assert_eq!(shape(&mut host, &[("t.io/both", "1s")], &[("t.io/both", "2s")]), ((1, 2), 64, vec![]));
    assert_eq!(shape(&mut host, &[("t.io/both", "1s")], &[]), ((1, 1), 64, vec![]));
    assert_eq!(shape(&mut host, &[], &[("t.io/both", "2s"), ("t.io/service", "5")]), ((2, 2), 5, vec![]));
    let misplaced = "web.yaml:5:5: warning: Ingress default/web: annotation t.io/service: is read on the Service, not on the Ingress";
    assert_eq!(shape(&mut host, &[("t.io/service", "5")], &[]), ((60, 5), 64, vec![misplaced.to_owned()]));
}

#[test]
fn a_guard_on_the_wrong_object_closes() {
    let list = [("ingress.kubernetes.io/whitelist-source-range", "10.0.0.0/8")];
    let shaped = Host::new(&[]).shape_at("/", "Prefix", &[], Some(&list));
    assert!(shaped.chain.closed.is_some());
    assert_eq!(
        texts(&shaped.problems),
        [
            "service.yaml:5:5: error: Service default/web: annotation ingress.kubernetes.io/whitelist-source-range: is read on the Ingress, not on the Service: the route answers 503"
        ]
    );
}

#[test]
fn shared_annotations_choose_their_plugin() {
    let kind = |name: &str| {
        format!(
            "return plugin {{ name = '{name}', stage = 'auth', annotations = {{ kind = {{ type = 'enum({name})', shared = true, names = {{ 't.io/kind' }} }} }}, on_request = function() end }}"
        )
    };
    let mut host = Host::new(&[("a.lua", &kind("one")), ("b.lua", &kind("two"))]);
    assert_eq!(host.loaded.problems, []);
    assert_eq!(host.shape(&[("t.io/kind", "ONE")]).chain.plugins, ["one".into()]);
    assert_eq!(host.shape(&[("t.io/kind", "two")]).chain.plugins, ["two".into()]);
    let shaped = host.shape(&[("t.io/kind", "three")]);
    assert!(shaped.chain.closed.is_some());
    assert_eq!(
        texts(&shaped.problems),
        [
            "web.yaml:5:5: error: Ingress default/web: annotation t.io/kind: 'three': no plugin implements this; valid are: one, two"
        ]
    );
}

#[test]
fn required_default_and_deprecated() {
    let text = "return plugin { name = 'p', stage = 'route', annotations = {
 a = { type = 'int', names = { 't.io/a' }, deprecated = 't.io/b' },
 b = { type = 'int', names = { 't.io/b' }, default = 3 },
 c = { type = 'int', names = { 't.io/c' }, required_if = 'b' } },
 configure = function(opts, ctx) ctx.route.priority = opts.b end }";
    let mut host = Host::one(text);
    let shaped = host.shape(&[("t.io/a", "1")]);
    assert_eq!(shaped.settings.priority, 3);
    assert_eq!(
        texts(&shaped.problems),
        ["web.yaml:5:5: warning: Ingress default/web: annotation t.io/a: is deprecated: use t.io/b"]
    );
    // A bad value in an open stage: the default acts.
    let shaped = host.shape(&[("t.io/b", "x"), ("t.io/c", "1")]);
    assert_eq!((shaped.settings.priority, shaped.problems.len()), (3, 1));
    let shaped = host.shape(&[("t.io/b", "9")]);
    assert_eq!(shaped.settings.priority, 0);
    assert_eq!(
        texts(&shaped.problems),
        ["web.yaml:5:5: error: Ingress default/web: annotation t.io/b: plugin p needs annotation t.io/c too"]
    );
}

#[test]
fn operators_settings_reach_configure() {
    let mut settings = PluginSettings::default();
    settings.settings.insert("p".into(), BTreeMap::from([("level".into(), "9".into())]));
    let text = plugin(
        "route",
        " configure = function(opts, ctx) ctx.route.priority = tonumber(ctx.settings.level) end,",
    );
    let mut host = Host::with(&[("p.lua", &text)], &settings, false, &Limits::default());
    assert_eq!(host.shape(X).settings.priority, 9);
}

#[test]
fn secrets_are_opaque() {
    let text = "return plugin { name = 'p', stage = 'auth', needs = { 'secrets' }, annotations = { s = { type = 'secret', names = { 't.io/s' } } },
 configure = function(opts, ctx)
  assert(tostring(opts.s) == 'Secret(default/keys)' and opts.s.a == 'hidden' and opts.s.none == nil and opts.s:only_key() == 'hidden')
  error(tostring(opts.s))
 end }";
    let mut host = Host::one(text);
    host.secret("keys", &[("a", "hidden")]);
    let shaped = host.shape(&[("t.io/s", "keys")]);
    let said = format!("{:?} {shaped:?}", texts(&shaped.problems));
    assert!(said.contains("Secret(default/keys)") && !said.contains("hidden"), "{said}");
    assert_eq!(shaped.secrets, [ObjectName::new("default", "keys")]);
    let shaped = host.shape(&[("t.io/s", "gone")]);
    assert_eq!(shaped.secrets, [ObjectName::new("default", "gone")]);
    assert!(shaped.chain.closed.is_some());
}
