//! A C function's view of its Lua stack, as safe as it can be: what it takes are copies of indices, what it gives
//! are bytes that live as long as the value stays on the stack.

use mlua::ffi::{self, lua_State};
use std::ffi::{CStr, c_int, c_void};

/// The stack of the C function that runs now. Never outlives that function.
pub(super) struct Stack(*mut lua_State);

impl Stack {
    pub(super) fn new(state: *mut lua_State) -> Self {
        Self(state)
    }

    pub(super) fn state(&self) -> *mut lua_State {
        self.0
    }

    /// The string at `index`; none where it is of another type.
    pub(super) fn text(&self, index: c_int) -> Option<&[u8]> {
        // SAFETY: the state is the running one; for a string, `lua_tolstring` neither converts nor raises, and the
        // bytes stay while the value is on the stack, which is at least until the C function returns.
        unsafe {
            if ffi::lua_type(self.0, index) != ffi::LUA_TSTRING {
                return None;
            }
            let mut length = 0;
            let bytes = ffi::lua_tolstring(self.0, index, &raw mut length);
            (!bytes.is_null()).then(|| std::slice::from_raw_parts(bytes.cast(), length))
        }
    }

    /// The string at `index`, or a number turned into one in place.
    pub(super) fn text_or_number(&self, index: c_int) -> Option<&[u8]> {
        // SAFETY: as above; converting a number may raise a memory error, and nothing is alive here.
        unsafe {
            if ffi::lua_type(self.0, index) == ffi::LUA_TNUMBER {
                ffi::lua_tolstring(self.0, index, std::ptr::null_mut());
            }
        }
        self.text(index)
    }

    pub(super) fn number(&self, index: c_int) -> Option<f64> {
        // SAFETY: reads a number only where there is one.
        unsafe {
            (ffi::lua_type(self.0, index) == ffi::LUA_TNUMBER).then(|| ffi::lua_tonumber(self.0, index))
        }
    }

    pub(super) fn is_nil(&self, index: c_int) -> bool {
        // SAFETY: reads a type.
        unsafe { ffi::lua_type(self.0, index) <= ffi::LUA_TNIL }
    }

    /// Whether the value at `index` is our userdata of that tag.
    pub(super) fn is(&self, index: c_int, tag: c_int) -> bool {
        !self.userdata(index, tag).is_null()
    }

    /// The block of our userdata of that tag, or null.
    pub(super) fn userdata(&self, index: c_int, tag: c_int) -> *mut c_void {
        // SAFETY: returns null for any other value.
        unsafe { ffi::lua_touserdatatagged(self.0, index, tag) }
    }

    /// The name of the method that was called (in a `__namecall`).
    pub(super) fn method(&self) -> &[u8] {
        // SAFETY: the name is interned for as long as the running function refers to it.
        unsafe {
            let name = ffi::lua_namecallatom(self.0, std::ptr::null_mut());
            if name.is_null() { &[] } else { CStr::from_ptr(name).to_bytes() }
        }
    }

    pub(super) fn push(&self, bytes: &[u8]) {
        // SAFETY: copies the bytes; may raise a memory error, callers hold nothing with a destructor.
        unsafe { ffi::lua_pushlstring_(self.0, bytes.as_ptr().cast(), bytes.len()) }
    }

    pub(super) fn push_number(&self, number: f64) {
        // SAFETY: a C function has room for 20 values.
        unsafe { ffi::lua_pushnumber(self.0, number) }
    }

    pub(super) fn push_bool(&self, value: bool) {
        // SAFETY: as above.
        unsafe { ffi::lua_pushboolean(self.0, c_int::from(value)) }
    }

    pub(super) fn push_nil(&self) {
        // SAFETY: as above.
        unsafe { ffi::lua_pushnil(self.0) }
    }

    /// The running closure's n-th upvalue.
    pub(super) fn push_upvalue(&self, n: c_int) {
        // SAFETY: the closures here are made with the upvalues that they ask for.
        unsafe { ffi::lua_pushvalue(self.0, ffi::lua_upvalueindex(n)) }
    }

    /// Joins the topmost `count` values.
    pub(super) fn concat(&self, count: c_int) {
        // SAFETY: the caller pushed them.
        unsafe { ffi::lua_concat(self.0, count) }
    }

    /// Makes room for `count` values; raises where the stack is at its end.
    pub(super) fn reserve(&self, count: usize) {
        // SAFETY: raises a Lua error, nothing is alive.
        unsafe {
            ffi::luaL_checkstack_(
                self.0,
                c_int::try_from(count).unwrap_or(c_int::MAX),
                c"too many values".as_ptr(),
            );
        }
    }

    pub(super) fn new_table(&self) {
        // SAFETY: may raise a memory error.
        unsafe { ffi::lua_createtable(self.0, 0, 0) }
    }

    /// `table[key] = value` for the table below the two topmost values.
    pub(super) fn set_field(&self) {
        // SAFETY: the callers' order of pushes; the table is a new one without metatable.
        unsafe { ffi::lua_rawset(self.0, -3) }
    }

    /// `table[index] = value` for the table below the topmost value.
    pub(super) fn set_item(&self, index: usize) {
        // SAFETY: as above.
        unsafe { ffi::lua_rawseti_(self.0, -2, c_int::try_from(index).unwrap_or(c_int::MAX)) }
    }
}
