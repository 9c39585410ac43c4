-- Which entrypoints a route answers on. Names that do not exist are reported; where none is left the route answers
-- nowhere, because "everywhere" is what its author surely did not mean.
return plugin {
  name = "entrypoints",
  doc = "The entrypoints that a route answers on, as a comma list of names. Unknown names are reported; with none left the route is off.",
  stage = "route",
  annotations = {
    names = {
      type = "string[]",
      names = {
        "ingress.kubernetes.io/frontend-entry-points",
        "traefik.ingress.kubernetes.io/frontend-entry-points",
        "traefik.frontend.entryPoints",
      },
    },
  },

  configure = function(opts, ctx)
    if not opts.names then return nil end
    if #opts.names == 0 then ctx:report("names", "an empty list: the route answers on no entrypoint") end
    ctx.route.entrypoints = opts.names
  end,

  tests = {
    ["unknown names are refused"] = function(t)
      t:rejects({ ["traefik.frontend.entryPoints"] = "nowhere" }, "there is no entrypoint 'nowhere'")
    end,
  },
}
