//! What a plugin cannot do: leave its sandbox, run for ever, use up all memory, wait for nobody, block its worker.

use super::*;
use std::time::Duration;

fn guard(body: &str) -> String {
    plugin("guard", &format!(" needs = {{ 'verify' }},\n on_request = function(req, opts)\n{body}\n end,"))
}

/// Runs a hook; its status and the errors counted.
async fn run(body: &str) -> (u16, Vec<String>) {
    let mut host = Host::one(&guard(body));
    let shaped = host.shape(X);
    let status = host.request(&shaped.chain, &mut exchange("/", &[])).await;
    (status, host.errors())
}

#[tokio::test]
async fn what_leaves_the_sandbox_does_not_exist() {
    for name in [
        "loadstring",
        "load",
        "loadfile",
        "dofile",
        "require",
        "getfenv",
        "setfenv",
        "newproxy",
        "collectgarbage",
        "io",
        "package",
        "debug",
        "os.execute",
        "os.getenv",
        "os.exit",
        "os.remove",
        "string.dump",
    ] {
        let (status, errors) = run(&format!("assert({name} == nil)")).await;
        assert_eq!((status, errors.len()), (0, 0), "{name}");
    }
}

#[tokio::test]
async fn nothing_shared_can_be_written() {
    for code in [
        "string.format = 1",
        "_G.leak = 1",
        "setmetatable(_G, {})",
        "getmetatable('').__index = {}",
        "rawset(_G, 'leak', 1)",
        "rawset(string, 'leak', 1)",
        "http.fetch = 1",
        "getmetatable(req).__index = nil",
        "rawset(req, 'path', '/x')",
        "setmetatable(req, {})",
        "setmetatable(req.headers, {})",
        "table.insert(os, 1)",
    ] {
        let (status, errors) = run(&format!("assert(not pcall(function() {code} end))")).await;
        assert_eq!((status, errors), (0, vec![]), "{code}");
    }
    let (status, _) = run("assert(getmetatable(req) == false and getmetatable(req.headers) == false)").await;
    assert_eq!(status, 0);
}

#[tokio::test]
async fn globals_of_one_plugin_are_not_seen_by_another() {
    let writer = "leak = 42\nreturn plugin { name = 'a', stage = 'guard', always = true, on_request = function() leak = 43 end }";
    let reader = "return plugin { name = 'b', stage = 'guard', always = true, on_request = function() assert(leak == nil and _G.leak == nil) end }";
    let mut host = Host::new(&[("a.lua", writer), ("b.lua", reader)]);
    let shaped = host.shape(&[]);
    assert_eq!(host.request(&shaped.chain, &mut exchange("/", &[])).await, 0);
    assert_eq!(host.errors(), [""; 0]);
}

#[test]
fn bytecode_is_text_that_does_not_compile() {
    let bytecode: String =
        crate::plugin::sandbox::compile("return 1").unwrap().iter().map(|byte| char::from(*byte)).collect();
    assert_eq!(Host::new(&[("p.lua", &bytecode)]).loaded.problems.len(), 1);
}

#[tokio::test]
async fn runaways_are_killed_and_the_vm_goes_on() {
    for body in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "pcall(function() while true do end end)",
        "local function f() return pcall(f) end while true do xpcall(function() while true do end end, f) end",
        "coroutine.wrap(function() while true do end end)()",
        "string.find(string.rep('a', 60), string.rep('a?', 60) .. string.rep('a', 60))",
        "local t = {} for i = 1, 1e9 do t[1] = tostring(i) end",
    ] {
        let text = format!("{}\n", guard(&format!("if req.path == '/ok' then return end\n{body}")));
        let mut host = Host::one(&text);
        let shaped = host.shape(X);
        assert_eq!(host.request(&shaped.chain, &mut exchange("/", &[])).await, 503, "{body}");
        assert_eq!(host.errors(), ["p cpu 1"], "{body}");
        assert_eq!(host.request(&shaped.chain, &mut exchange("/ok", &[])).await, 0, "{body}");
    }
}

#[test]
fn configure_and_chunks_are_limited_too() {
    let text = plugin("guard", " configure = function() while true do end end,");
    let mut host = Host::one(&text);
    let shaped = host.shape(X);
    assert!(shaped.chain.closed.is_some());
    assert!(
        texts(&shaped.problems)[0].ends_with("configure failed: used up its CPU time"),
        "{:?}",
        shaped.problems
    );
    assert!(host.load(&[("q.lua", "while true do end")])[0].contains("used up its CPU time"));
}

#[tokio::test]
async fn memory_bombs_fail_and_their_vm_is_replaced() {
    for body in [
        "local s = string.rep('x', 2 ^ 30)",
        "local t = {} for i = 1, 1e9 do t[i] = string.rep('x', 1e6) .. i end",
        "local b = buffer.create(2 ^ 30)",
        "local t = table.create(2 ^ 26, 1)",
    ] {
        let text = guard(&format!("if req.path == '/ok' then return end\n{body}"));
        // only the memory is to end it
        let limits = Limits { hook_cpu: Duration::from_secs(20), ..Limits::default() };
        let mut host = Host::with(&[("p.lua", &text)], &PluginSettings::default(), false, &limits);
        let shaped = host.shape(X);
        let before = host.vm();
        assert_eq!(host.request(&shaped.chain, &mut exchange("/", &[])).await, 503, "{body}");
        assert_eq!(host.errors(), ["p memory 1"], "{body}");
        assert!(!Rc::ptr_eq(&before, &host.vm()), "{body}");
        assert_eq!(host.request(&shaped.chain, &mut exchange("/ok", &[])).await, 0, "{body}");
    }
}

#[tokio::test]
async fn only_the_host_can_be_waited_for() {
    assert_eq!(run("coroutine.yield()").await, (503, vec!["p yield 1".to_owned()]));
    assert_eq!(run("coroutine.yield(respond(200))").await, (503, vec!["p yield 1".to_owned()]));
    assert_eq!(
        run("local f = coroutine.wrap(function() coroutine.yield(1) end); assert(f() == 1)").await,
        (0, vec![])
    );
    let plain = plugin("guard", " on_request = function() coroutine.yield() end,");
    let mut host = Host::one(&plain);
    let shaped = host.shape(X);
    assert_eq!(host.request(&shaped.chain, &mut exchange("/", &[])).await, 503);
    assert_eq!(host.errors(), ["p error 1"]);
}

/// A plugin that keeps a verifier, with a hook of this body.
fn verifying(needs: &str, cost: u32, body: &str) -> String {
    let hash = bcrypt::hash("password", cost).unwrap();
    plugin(
        "auth",
        &format!(
            " needs = {{ {needs} }},\n configure = function() return {{ users = crypto.htpasswd('alice:{hash}') }} end,\n on_request = function(req, state)\n{body}\n end,"
        ),
    )
}

#[tokio::test]
async fn verify_must_be_declared_and_called_by_the_hook_itself() {
    for (needs, body) in [
        ("", "state.users:verify('alice', 'password')"),
        ("'verify'", "coroutine.wrap(function() state.users:verify('alice', 'password') end)()"),
        ("'verify'", "state.users:verify('alice')"),
        ("'verify'", "state.users:check('alice', 'password')"),
    ] {
        let mut host = Host::one(&verifying(needs, 4, body));
        let shaped = host.shape(X);
        assert_eq!(host.request(&shaped.chain, &mut exchange("/", &[])).await, 503, "{body}");
        assert_eq!(host.errors(), ["p error 1"], "{body}");
    }
}

#[tokio::test]
async fn verifying_does_not_block_the_worker() {
    let body = "local good = state.users:verify('alice', 'password')\nreq.headers['x-out'] = req.path .. tostring(good)";
    let mut host = Host::one(&verifying("'verify'", 10, body));
    let shaped = host.shape(X);
    let (mut first, mut second) = (exchange("/first", &[]), exchange("/second", &[]));
    let turns = std::cell::Cell::new(0);
    let others = async {
        while host.worker.shared().errors().is_empty() && turns.get() < 1_000_000 {
            turns.set(turns.get() + 1);
            tokio::task::yield_now().await;
        }
    };
    let requests = async {
        tokio::join!(host.request(&shaped.chain, &mut first), host.request(&shaped.chain, &mut second))
    };
    tokio::select! {
        statuses = requests => assert_eq!(statuses, (0, 0)),
        () = others => panic!("verifying never came back"),
    }
    // Other work went on while two passwords were hashed, and each hook found its own request again.
    assert!(turns.get() > 10, "{}", turns.get());
    for (exchange, path) in [(first, "/first"), (second, "/second")] {
        assert_eq!(exchange.request.headers.get("x-out").unwrap(), &format!("{path}true"));
    }
}

#[tokio::test]
async fn a_hook_that_waits_too_long_fails_closed() {
    let limits = Limits { hook_wall: Duration::from_millis(1), ..Limits::default() };
    let text = verifying("'verify'", 12, "state.users:verify('alice', 'x')");
    let mut host = Host::with(&[("p.lua", &text)], &PluginSettings::default(), false, &limits);
    let shaped = host.shape(X);
    let vm = host.vm();
    let hooks = vm.route(&shaped.chain).unwrap();
    let Verdict::Answer(answer) = on_request(&vm, &hooks, &mut exchange("/", &[])).await else {
        panic!("in")
    };
    assert_eq!(
        (answer.status.as_u16(), answer.headers.get("retry-after").unwrap()),
        (503, &HeaderValue::from_static("1"))
    );
    assert_eq!(host.errors(), ["p wall 1"]);
}

#[tokio::test]
async fn a_dropped_request_drops_its_coroutine() {
    let mut host = Host::one(&verifying("'verify'", 12, "state.users:verify('alice', 'x')"));
    let shaped = host.shape(X);
    let mut exchange = exchange("/", &[]);
    tokio::select! {
        biased;
        status = host.request(&shaped.chain, &mut exchange) => panic!("{status}"),
        () = tokio::task::yield_now() => {}
    }
    let text = exchange.request.target.path().to_owned();
    assert_eq!((text.as_str(), host.errors().len()), ("/", 0));
}

#[tokio::test]
async fn requests_in_flight_keep_their_generation() {
    let text = |status: u16| guard(&format!("return respond({status})"));
    let mut host = Host::one(&text(418));
    let (old, chain) = (host.vm(), host.shape(X).chain);
    host.load(&[("p.lua", &text(419))]);
    let new_chain = host.shape(X).chain;
    assert_eq!(host.request(&new_chain, &mut exchange("/", &[])).await, 419);
    let hooks = old.route(&chain).unwrap();
    let Verdict::Answer(answer) = on_request(&old, &hooks, &mut exchange("/", &[])).await else {
        panic!("in")
    };
    assert_eq!(answer.status, 418);
    // A chain of the old generation in the new VM: closed, not run with other code.
    assert_eq!(host.request(&chain, &mut exchange("/", &[])).await, 503);
}
