-- Custom request and response headers. An empty value deletes.
local function apply(headers, list)
  for i = 1, #list do
    local entry = list[i]
    headers[entry.name] = entry.value
  end
end

local function listed(map)
  local list = {}
  for name, value in pairs(map) do
    list[#list + 1] = { name = name, value = if value ~= "" then value else nil }
  end
  return list
end

return plugin {
  name = "headers",
  doc = "Sets headers of the request (custom-request-headers) and of the response (custom-response-headers): Name:value, several separated by ||; an empty value deletes.",
  stage = "rewrite",
  annotations = {
    request = {
      type = "header_map",
      default = {},
      names = { "ingress.kubernetes.io/custom-request-headers", "traefik.ingress.kubernetes.io/custom-request-headers" },
    },
    response = {
      type = "header_map",
      default = {},
      names = { "ingress.kubernetes.io/custom-response-headers", "traefik.ingress.kubernetes.io/custom-response-headers" },
    },
  },

  configure = function(opts)
    return { request = listed(opts.request), response = listed(opts.response) }
  end,

  on_request = function(req, state)
    apply(req.headers, state.request)
  end,

  on_response = function(res, state)
    apply(res.headers, state.response)
  end,

  tests = {
    ["sets, and removes on an empty value"] = function(t)
      local r = t:route { ["ingress.kubernetes.io/custom-response-headers"] = "X-Env:edge||Server:" }
      t:upstream(function() return { status = 200, headers = { Server = "x/1" } } end)
      local headers = r:get("/").headers
      t:eq(headers["X-Env"], "edge")
      t:eq(headers["Server"], nil)
    end,
    ["a header of the connection is refused"] = function(t)
      t:rejects({ ["ingress.kubernetes.io/custom-request-headers"] = "Connection:close" }, "belongs to the connection")
    end,
  },
}
