-- HTTP basic authentication against an htpasswd Secret of the Ingress's namespace. Passwords are hashed off the
-- worker; a success is remembered for a minute, or until the Secret changes.
local function htpasswd(secret, ctx)
  local text = secret.auth or secret:only_key()
  if not text then
    if secret.username and secret.password then
      ctx:fail("users", "a Secret of type kubernetes.io/basic-auth holds a plain password: put a line of htpasswd -nB under the key 'auth'")
    end
    ctx:fail("users", "the Secret must have a key 'auth', or one key only, with htpasswd lines")
  end
  local users, why = crypto.htpasswd(text)
  return users or ctx:fail("users", "the Secret's htpasswd: " .. why)
end

return plugin {
  name = "basic-auth",
  doc = "Asks for a user and password of an htpasswd Secret (bcrypt, apr1 or SHA hashes; plain text is refused). Others get 401.",
  stage = "auth",
  needs = { "secrets", "verify" },
  annotations = {
    kind = {
      type = "enum(basic)",
      shared = true,
      names = { "ingress.kubernetes.io/auth-type", "traefik.ingress.kubernetes.io/auth-type", "nginx.ingress.kubernetes.io/auth-type" },
    },
    users = {
      type = "secret",
      required_if = "kind",
      shared = true,
      names = { "ingress.kubernetes.io/auth-secret", "traefik.ingress.kubernetes.io/auth-secret", "nginx.ingress.kubernetes.io/auth-secret" },
    },
    realm = {
      type = "string",
      default = "traefik",
      shared = true,
      pattern = "[^\"\\\\]*",
      names = { "ingress.kubernetes.io/auth-realm", "traefik.ingress.kubernetes.io/auth-realm", "nginx.ingress.kubernetes.io/auth-realm" },
    },
    remove = {
      type = "bool",
      default = false,
      shared = true,
      names = { "ingress.kubernetes.io/auth-remove-header", "traefik.ingress.kubernetes.io/auth-remove-header" },
      doc = "true: the upstream does not see the Authorization header.",
    },
    field = {
      type = "string",
      shared = true,
      pattern = "[A-Za-z0-9-]+",
      names = { "ingress.kubernetes.io/auth-header-field", "traefik.ingress.kubernetes.io/auth-header-field" },
      doc = "A header that tells the upstream the user's name.",
    },
  },

  configure = function(opts, ctx)
    if not opts.kind then
      ctx:fail("users", "says nothing without an auth-type: add auth-type: basic")
    end
    return {
      users = htpasswd(opts.users, ctx),
      remove = opts.remove,
      field = opts.field,
      deny = respond(401, "401 Unauthorized\n", { ["WWW-Authenticate"] = 'Basic realm="' .. opts.realm .. '"' }),
    }
  end,

  on_request = function(req, state)
    local headers = req.headers
    local user, password = http.basic_credentials(headers.Authorization)
    if not user or not state.users:verify(user, password) then return state.deny end
    req.user = user
    if state.field then headers[state.field] = user end
    if state.remove then headers.Authorization = nil end
  end,

  tests = {
    ["challenge, then in"] = function(t)
      t:secret("staff", { auth = "alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=" })
      local r = t:route { ["ingress.kubernetes.io/auth-type"] = "basic", ["ingress.kubernetes.io/auth-secret"] = "staff" }
      local res = r:get("/")
      t:eq(res.status, 401)
      t:eq(res.headers["WWW-Authenticate"], 'Basic realm="traefik"')
      t:eq(r:get("/", { headers = { Authorization = "Basic " .. base64.encode("alice:password") } }).status, 200)
      t:eq(r:get("/", { headers = { Authorization = "Basic " .. base64.encode("alice:guess") } }).status, 401)
    end,
    ["plain text is refused"] = function(t)
      t:secret("plain", { auth = "alice:password" })
      t:rejects({ ["ingress.kubernetes.io/auth-type"] = "basic", ["ingress.kubernetes.io/auth-secret"] = "plain" }, "plain text is refused")
    end,
  },
}
