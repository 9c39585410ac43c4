//! A VM as plugins find it: Luau's own library without anything that reaches out of it, our native modules, all of
//! it read-only, and an environment of its own for every plugin.

use super::natives;
use super::raw::{self, Objects};
use super::shared::Gate;
use mlua::chunk::{ChunkMode, Compiler};
use mlua::{Function, Lua, LuaOptions, StdLib, Table};
use std::sync::Arc;

/// What does not exist for plugins: it loads code, leaves the sandbox, or makes the VM slow for its neighbours.
const REMOVED: [&str; 12] = [
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
];
/// What stays of `os`.
const CLOCKS: [&str; 3] = ["time", "clock", "date"];

/// A sandboxed VM.
pub struct Sandbox {
    /// The VM.
    pub lua: Lua,
    /// `req`, `res` and `log`.
    pub objects: Objects,
    globals: Table,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sandbox")
    }
}

impl Sandbox {
    /// A new VM with at most `memory` bytes.
    pub fn new(memory: usize, gate: &Arc<Gate>) -> mlua::Result<Self> {
        let libraries = StdLib::COROUTINE
            | StdLib::TABLE
            | StdLib::OS
            | StdLib::STRING
            | StdLib::UTF8
            | StdLib::BIT
            | StdLib::MATH
            | StdLib::BUFFER;
        let lua = Lua::new_with(libraries, LuaOptions::new())?;
        let globals = lua.globals();
        for name in REMOVED {
            globals.raw_remove(name)?;
        }
        let os: Table = globals.get("os")?;
        let clocks = lua.create_table()?;
        for name in CLOCKS {
            clocks.set(name, os.get::<Function>(name)?)?;
        }
        globals.set("os", clocks)?;
        let objects = raw::install(&lua)?;
        natives::install(&lua, &globals, gate)?;
        lua.sandbox(true)?;
        lua.set_memory_limit(memory)?;
        Ok(Self { lua, objects, globals })
    }

    /// Loads compiled code into an environment of its own. `chunk` names it in errors.
    pub fn load(&self, chunk: &str, bytecode: &[u8]) -> mlua::Result<Function> {
        let environment = self.lua.create_table()?;
        let inherit = self.lua.create_table()?;
        inherit.set("__index", self.globals.clone())?;
        inherit.set("__metatable", false)?;
        inherit.set_readonly(true);
        environment.set_metatable(Some(inherit))?;
        environment.set_safeenv(true);
        self.lua
            .load(bytecode)
            .set_mode(ChunkMode::Binary)
            .set_name(format!("@{chunk}"))
            .set_environment(environment)
            .into_function()
    }
}

/// Compiles text; bytecode is never taken from outside, because Luau does not check it.
pub fn compile(text: &str) -> mlua::Result<Vec<u8>> {
    Compiler::new().set_optimization_level(2).set_debug_level(1).compile(text)
}
