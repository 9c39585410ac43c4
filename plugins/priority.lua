-- Traefik's priority: a number above 0 is compared before paths are.
return plugin {
  name = "priority",
  doc = "Routes with a higher priority are tried first, before longer paths. 0 (the default) leaves the order to the paths.",
  stage = "route",
  annotations = {
    priority = {
      type = "int",
      min = 0,
      max = 2147483647,
      names = { "ingress.kubernetes.io/priority", "traefik.ingress.kubernetes.io/priority", "traefik.frontend.priority" },
    },
  },

  configure = function(opts, ctx)
    if opts.priority then ctx.route.priority = opts.priority end
  end,

  tests = {
    ["a number is needed"] = function(t)
      t:rejects({ ["traefik.frontend.priority"] = "high" }, "must be a whole number")
    end,
  },
}
