-- Whether the upstream sees the client's Host (the default) or its own address.
return plugin {
  name = "pass-host",
  doc = "true: the upstream gets the client's Host header; false: its own address.",
  stage = "route",
  annotations = {
    pass = {
      type = "bool",
      names = { "ingress.kubernetes.io/preserve-host", "traefik.ingress.kubernetes.io/preserve-host", "traefik.frontend.passHostHeader" },
    },
  },

  configure = function(opts, ctx)
    if opts.pass ~= nil then ctx.route.pass_host = opts.pass end
  end,

  tests = {
    ["yes is not a boolean"] = function(t)
      t:rejects({ ["traefik.frontend.passHostHeader"] = "yes" }, "must be true or false")
    end,
  },
}
