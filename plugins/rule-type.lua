-- Traefik's rule type: how a path is matched, and whether it is taken off before the request goes on.
-- Path elements are whole: PathPrefixStrip on /foo takes /foo and /foo/bar, never /foobar.
local MATCH = { PathPrefix = "Prefix", PathPrefixStrip = "Prefix", Path = "Exact", PathStrip = "Exact" }

return plugin {
  name = "rule-type",
  doc = "How a path is matched (PathPrefix, Path) and whether it is removed before forwarding (PathPrefixStrip, PathStrip). The removed prefix is told in X-Forwarded-Prefix.",
  stage = "rewrite",
  priority = 90,
  annotations = {
    rule_type = {
      type = "enum(PathPrefix,PathPrefixStrip,Path,PathStrip)",
      names = { "ingress.kubernetes.io/rule-type", "traefik.ingress.kubernetes.io/rule-type", "traefik.frontend.rule.type" },
      doc = "PathPrefix, PathPrefixStrip, Path or PathStrip.",
    },
  },

  configure = function(opts, ctx)
    local kind = opts.rule_type
    if not kind then return nil end
    local match = MATCH[kind]
    if ctx.path_type == "ImplementationSpecific" then
      ctx.route.path_type = match
    elseif ctx.path_type ~= match then
      ctx:warn("rule type " .. kind .. " wants pathType " .. match .. ", but the Ingress says " .. ctx.path_type .. ", which stays")
    end
    if string.sub(kind, -5) ~= "Strip" then return nil end
    return { prefix = ctx.path }
  end,

  on_request = function(req, state)
    -- False where another plugin has sent the request elsewhere.
    if req:strip(state.prefix) then
      req.headers["X-Forwarded-Prefix"] = state.prefix -- replaces what the client said
    end
  end,

  tests = {
    ["strips whole elements and says so"] = function(t)
      local r = t:route { path = "/foo", ["traefik.frontend.rule.type"] = "PathPrefixStrip" }
      local up = r:get("/foo/bar?q=1", { headers = { ["X-Forwarded-Prefix"] = "/evil" } }).upstream
      t:eq(up.path, "/bar")
      t:eq(up.headers["X-Forwarded-Prefix"], "/foo")
      t:eq(r:get("/foo").upstream.path, "/")
      t:eq(r:get("/foo/").upstream.path, "/")
      t:eq(r:get("/foobar").status, 404)
    end,
    ["PathPrefix leaves the path alone"] = function(t)
      local r = t:route { path = "/a", ["traefik.frontend.rule.type"] = "PathPrefix" }
      t:eq(r:get("/a/b").upstream.path, "/a/b")
    end,
    ["other words are refused"] = function(t)
      t:rejects({ ["traefik.frontend.rule.type"] = "ReplacePath" }, "must be one of")
    end,
  },
}
