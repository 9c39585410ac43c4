//! `req`, `res`, `log`: what hooks see and may change.

use super::*;

/// Runs a request hook with this body; what it stored in `x-out` comes back.
async fn run(body: &str) -> String {
    let host_plugin = plugin(
        "guard",
        &format!(
            " on_request = function(req, opts)\n  local function out(v) req.headers['x-out'] = tostring(v) end\n  {body}\n end,"
        ),
    );
    let mut host = Host::one(&host_plugin);
    let shaped = host.shape(X);
    let mut exchange = exchange("/a/b?q=1", &[("accept", "x"), ("x-many", "1"), ("x-many", "2")]);
    let status = host.request(&shaped.chain, &mut exchange).await;
    match exchange.request.headers.get("x-out") {
        Some(value) if status == 0 => value.to_str().unwrap().to_owned(),
        _ => format!("{status} {}", host.errors().join(",")),
    }
}

async fn check(body: &str, want: &str) {
    assert_eq!(run(body).await, want, "{body}");
}

#[tokio::test]
async fn fields_of_a_request() {
    for (field, want) in [
        ("path", "/a/b"),
        ("query", "q=1"),
        ("uri", "/a/b?q=1"),
        ("method", "GET"),
        ("host", "h.io"),
        ("scheme", "http"),
        ("url", "http://h.io:8080/a/b?q=1"),
        ("client_ip", "1.2.3.4"),
        ("peer_ip", "10.0.0.1"),
        ("user", "nil"),
        ("headers.Accept", "x"),
        ("headers['X-Many']", "1, 2"),
        ("headers.host", "h.io:8080"),
        ("headers.none", "nil"),
    ] {
        check(&format!("out(req.{field})"), want).await;
    }
    check("out(typeof(req))", "Request").await;
}

#[tokio::test]
async fn headers_are_added_listed_and_iterated() {
    check("req.headers:add('X-Many', 3); out(table.concat(req.headers:all('x-many'), '+'))", "1+2+3").await;
    check("req.headers['X-Many'] = 'one'; out(req.headers['x-many'])", "one").await;
    check("req.headers['X-Many'] = nil; out(#req.headers:all('x-many'))", "0").await;
    let sorted = "local t = {} for k, v in LOOP do t[#t + 1] = k .. '=' .. v; req.headers[k] = nil end table.sort(t) out(table.concat(t, ' '))";
    for iteration in ["pairs(req.headers)", "req.headers"] {
        check(&sorted.replace("LOOP", iteration), "accept=x x-many=1, 2").await;
    }
    check("local t = {} for k, v in pairs({ a = 1 }) do t[1] = k .. v end out(t[1])", "a1").await;
    check("out(pcall(pairs))", "false").await;
}

#[tokio::test]
async fn strip_takes_whole_elements_only() {
    for (prefix, want) in [
        ("/a", "true /b?q=1"),
        ("/a/", "true /b?q=1"),
        ("/a/b", "true /?q=1"),
        ("/", "true /a/b?q=1"),
        ("", "true /a/b?q=1"),
        ("/a/", "true /b?q=1"),
        ("/a/b/c", "false /a/b?q=1"),
        ("/x", "false /a/b?q=1"),
        ("a", "false /a/b?q=1"),
    ] {
        check(&format!("out(tostring(req:strip('{prefix}')) .. ' ' .. req.uri)"), want).await;
    }
    check("out(pcall(function() req:strip() end))", "false").await;
    check("out(pcall(function() req:unknown() end))", "false").await;
}

#[tokio::test]
async fn what_may_not_be_set_is_an_error() {
    for name in [
        "Connection",
        "keep-alive",
        "Proxy-Connection",
        "TE",
        "Transfer-Encoding",
        "Content-Length",
        "Upgrade",
        "Host",
    ] {
        let want =
            format!("p.lua:6: header '{name}' belongs to the connection: the proxy sets it, plugins cannot");
        for code in [format!("req.headers['{name}'] = 'x'"), format!("req.headers['{name}'] = nil")] {
            check(&format!("out(select(2, pcall(function() {code} end)))"), &want).await;
        }
    }
    for (code, want) in [
        ("req.headers['a b'] = 'x'", "'a b' is not a header name"),
        ("req.headers['a'] = 'x\\r\\ny'", "header 'a': a value holds no control characters"),
        ("req.headers['a'] = {}", "header 'a': a value is a string, a number or nil"),
        ("req.headers:remove('a')", "no such method"),
        (
            "req.path = 'x'",
            "req.path must begin with '/' and hold no control characters, spaces, '?', '#' or dot segments",
        ),
        (
            "req.path = '/a/../b'",
            "req.path must begin with '/' and hold no control characters, spaces, '?', '#' or dot segments",
        ),
        (
            "req.path = '/a?b'",
            "req.path must begin with '/' and hold no control characters, spaces, '?', '#' or dot segments",
        ),
        ("req.method = 'POST'", "'method' cannot be set"),
        ("req.pth = '/'", "'req' has no field 'pth'"),
        ("local x = req.pth", "'req' has no field 'pth'"),
        ("req.user = 'a\\nb'", "req.user must be a text without control characters"),
    ] {
        check(&format!("out(select(2, pcall(function() {code} end)))"), &format!("p.lua:6: {want}")).await;
    }
}

#[tokio::test]
async fn answers_are_return_values() {
    for (body, want) in [
        ("return respond(418, 'tea')", "418 "),
        ("return respond { status = 204 }", "204 "),
        ("return redirect('/login')", "302 "),
        ("return redirect('https://x/', 308)", "308 "),
        ("return 403", "503 p return 1"),
        ("return { status = 403 }", "503 p return 1"),
        ("return respond(99)", "503 p error 1"),
        ("return respond { code = 200 }", "503 p error 1"),
        ("return respond(200, 'x', { Host = 'a' })", "503 p error 1"),
        ("return respond(200, 'x', { ['X-A'] = 'a\\r\\nb' })", "503 p error 1"),
        ("return redirect('/a\\r\\nX: y')", "503 p error 1"),
        ("return redirect('/a', 200)", "503 p error 1"),
        ("error('x')", "503 p error 1"),
        ("local x = nil; x()", "503 p error 1"),
    ] {
        check(body, want).await;
    }
}

#[tokio::test]
async fn natives() {
    check(
        "out(base64.encode('a:b') .. ' ' .. base64.decode('YTpi') .. ' ' .. tostring(base64.decode('!')))",
        "YTpi a:b nil",
    )
    .await;
    check("out(table.concat({ http.basic_credentials('basic YTpiOmM=') }, '|'))", "a|b:c").await;
    for bad in
        ["nil", "'Basic'", "'Basic !'", "'Basic YQ=='", "'Bearer YTpi'", "'Basic ' .. base64.encode('a:\\n')"]
    {
        check(&format!("out(select('#', http.basic_credentials({bad})))"), "0").await;
    }
    check("out(time.now_ms() > 1e12 and os.time() > 1e9)", "true").await;
    check("log.info('a\\nb', 1); print('x'); out(1)", "1").await;
    check("out(select(2, crypto.htpasswd('x')))", "line 1 is not user:hash").await;
}

#[tokio::test]
async fn a_failed_open_hook_leaves_no_trace() {
    let text = plugin(
        "rewrite",
        " on_request = function(req) req.path = '/x'; req.headers.A = 'new'; req.headers:add('b', 'new'); req.headers.c = nil; req.user = 'u'; error('late') end,",
    );
    let mut host = Host::one(&text);
    let shaped = host.shape(X);
    let mut exchange = exchange("/a?q", &[("b", "1"), ("c", "1"), ("c", "2")]);
    let before = (exchange.request.headers.clone(), exchange.request.target.clone());
    assert_eq!(host.request(&shaped.chain, &mut exchange).await, 0);
    assert_eq!((exchange.request.headers, exchange.request.target), before);
    assert_eq!(exchange.facts.user, None);
    assert_eq!(host.errors(), ["p error 1"]);
}

#[tokio::test]
async fn responses_run_in_reverse_and_logs_in_order() {
    let hook = |name: &str, stage: &str| {
        format!(
            "return plugin {{ name = '{name}', stage = '{stage}', always = true,
  on_response = function(res, _, req) res.headers:add('x-order', '{name}' .. res.status .. req.path); res.status = 201 end,
  on_log = function(log) assert(log.status == 200 and log.reason == nil and log.upstream == '10.1.1.1:80' and log.duration_ms == 1.5); local x = log.nothing end }}"
        )
    };
    let mut host = Host::new(&[("a.lua", &hook("a", "observe")), ("b.lua", &hook("b", "guard"))]);
    let shaped = host.shape(&[]);
    let vm = host.vm();
    let hooks = vm.route(&shaped.chain).unwrap();
    let mut exchange = exchange("/p", &[]);
    respond(&mut exchange, &[]);
    assert!(matches!(on_response(&vm, &hooks, &mut exchange), Verdict::Pass));
    let response = exchange.response.as_ref().unwrap();
    assert_eq!(response.status, 201);
    let order: Vec<_> = response.headers.get_all("x-order").iter().collect();
    assert_eq!(order, ["b200/p", "a201/p"]);
    exchange.facts.status = 200;
    exchange.facts.duration_us = 1_500;
    exchange.facts.upstream = Some(SocketAddr::from(([10, 1, 1, 1], 80)));
    on_log(&vm, &hooks, &exchange);
    assert_eq!(host.errors(), ["a error 1", "b error 1"]); // the unknown field, nothing before it
}

#[tokio::test]
async fn the_request_cannot_be_kept() {
    let text = "local kept
return plugin { name = 'p', stage = 'guard', annotations = { x = { type = 'string', names = { 't.io/x' } } },
 configure = function(opts) if kept then return LATE end return {} end,
 on_request = function(req) kept = req end }";
    for late in ["kept.path", "kept.headers.a", "kept.nothing"] {
        let mut host = Host::one(&text.replace("LATE", late));
        let (first, second) = (host.shape(X).chain, host.shape(&[("t.io/x", "2")]).chain);
        assert_eq!(host.request(&first, &mut exchange("/p", &[])).await, 0);
        assert_eq!(host.request(&second, &mut exchange("/p", &[])).await, 503, "{late}");
        assert_eq!(host.errors(), ["p configure 1"]);
    }
}

#[tokio::test]
async fn every_hook_may_change_only_what_is_its_own() {
    let text = plugin(
        "observe",
        " on_response = function(res, state, req) assert(not pcall(function() req.path = '/x' end)); req.headers.a = 'x' end,
 on_log = function(log, state, req) assert(req.path == '/p'); log.status = 1 end,",
    );
    let mut host = Host::one(&text);
    let shaped = host.shape(X);
    let vm = host.vm();
    let hooks = vm.route(&shaped.chain).unwrap();
    let mut exchange = exchange("/p", &[]);
    respond(&mut exchange, &[]);
    assert!(matches!(on_response(&vm, &hooks, &mut exchange), Verdict::Pass));
    on_log(&vm, &hooks, &exchange);
    assert_eq!(host.errors(), ["p error 2"]);
    assert!(exchange.request.headers.is_empty());
}
