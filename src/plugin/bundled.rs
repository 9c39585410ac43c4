//! The plugins in the binary. A file of the same name replaces one.

/// Path and text of each, sorted by path.
pub const BUNDLED: &[(&str, &str)] = &[
    ("plugins/basic-auth.lua", include_str!("../../plugins/basic-auth.lua")),
    ("plugins/entrypoints.lua", include_str!("../../plugins/entrypoints.lua")),
    ("plugins/headers.lua", include_str!("../../plugins/headers.lua")),
    ("plugins/pass-host.lua", include_str!("../../plugins/pass-host.lua")),
    ("plugins/priority.lua", include_str!("../../plugins/priority.lua")),
    ("plugins/rule-type.lua", include_str!("../../plugins/rule-type.lua")),
    ("plugins/whitelist.lua", include_str!("../../plugins/whitelist.lua")),
];
