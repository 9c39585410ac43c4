-- Only clients from these networks may come in. A value that is not understood closes the route.
return plugin {
  name = "whitelist",
  doc = "Only clients from the listed addresses and networks (IPv4 and IPv6) may come in; others get 403.",
  stage = "guard",
  annotations = {
    ranges = {
      type = "cidr[]",
      required = true,
      names = {
        "ingress.kubernetes.io/whitelist-source-range",
        "traefik.ingress.kubernetes.io/whitelist-source-range",
        "nginx.ingress.kubernetes.io/whitelist-source-range",
        "nginx.ingress.kubernetes.io/allowlist-source-range",
      },
    },
    forwarded = {
      type = "bool",
      names = {
        "ingress.kubernetes.io/whitelist-x-forwarded-for",
        "traefik.ingress.kubernetes.io/whitelist-x-forwarded-for",
      },
      doc = "Needs no setting here: the client's address is taken from X-Forwarded-For behind trusted proxies.",
    },
  },

  configure = function(opts, ctx)
    if opts.forwarded then
      ctx:warn("X-Forwarded-For counts only behind the entrypoint's trusted-proxies, where it always counts; anybody else could write it")
    end
    return opts.ranges
  end,

  on_request = function(req, ranges)
    if not ranges:contains(req) then return respond(403, "Forbidden\n") end
  end,

  tests = {
    ["v4 and v6"] = function(t)
      local r = t:route { ["ingress.kubernetes.io/whitelist-source-range"] = "1.2.3.0/24, fe80::/16" }
      t:eq(r:get("/", { ip = "1.2.3.9" }).status, 200)
      t:eq(r:get("/", { ip = "fe80::1" }).status, 200)
      t:eq(r:get("/", { ip = "8.8.8.8" }).status, 403)
    end,
    ["a typo never opens"] = function(t)
      t:rejects({ ["ingress.kubernetes.io/whitelist-source-range"] = "1.2.3.0/240" }, "prefix length is 0..32")
      t:rejects({ ["ingress.kubernetes.io/whitelist-source-range"] = " , " }, "empty list")
    end,
  },
}
