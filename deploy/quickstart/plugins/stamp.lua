-- Gives the annotation demo.moongate.io/stamp a meaning: every answer of its routes carries it as X-Stamp.
-- Edit and save this file while the demo runs, and ask again. A mistake changes nothing but /api/problems.
return plugin {
  name = "stamp",
  doc = "Adds the annotation's text to every answer, as the header X-Stamp.",
  stage = "observe",
  annotations = {
    text = { type = "string", required = true, names = { "demo.moongate.io/stamp" } },
  },

  configure = function(opts)
    return opts.text
  end,

  on_response = function(res, text)
    res.headers["X-Stamp"] = text
  end,
}
