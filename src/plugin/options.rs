//! Option values as Lua sees them.

use super::raw;
use crate::model::chain::{OptionValue, SecretView};
use mlua::{Lua, MetaMethod, Result, Table, UserData, UserDataMethods, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `opts`: the validated values of a plugin's claims, read-only.
pub fn table(lua: &Lua, options: &BTreeMap<Arc<str>, OptionValue>) -> Result<Table> {
    let opts = lua.create_table_with_capacity(0, options.len())?;
    for (key, value) in options {
        opts.raw_set(&**key, to_lua(lua, value)?)?;
    }
    opts.set_readonly(true);
    Ok(opts)
}

fn to_lua(lua: &Lua, value: &OptionValue) -> Result<Value> {
    Ok(match value {
        OptionValue::Bool(value) => Value::Boolean(*value),
        // Lua's numbers are doubles; claims hold nothing that they cannot.
        OptionValue::Int(value) => Value::Number(*value as f64),
        OptionValue::Number(value) => Value::Number(*value),
        OptionValue::Text(text) => Value::String(lua.create_string(&**text)?),
        OptionValue::List(list) => {
            let table = lua.create_sequence_from(list.iter().map(|item| &**item))?;
            table.set_readonly(true);
            Value::Table(table)
        }
        OptionValue::Cidrs(set) => raw::push_cidrs(lua, set)?,
        OptionValue::Headers(headers) => {
            let table = lua.create_table_from(headers.iter().map(|(name, value)| (&**name, &**value)))?;
            table.set_readonly(true);
            Value::Table(table)
        }
        OptionValue::Secret(secret) => Value::UserData(lua.create_userdata(Handle(Arc::clone(secret)))?),
    })
}

/// A Secret in Lua: `secret.key`, `secret:only_key()`, `secret:name()`; it prints as its name only.
struct Handle(Arc<SecretView>);

impl UserData for Handle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("only_key", |lua, Self(secret), ()| {
            let mut values = secret.data.values();
            match (values.next(), values.next()) {
                (Some(only), None) => lua.create_string(only.expose()).map(Some),
                _ => Ok(None),
            }
        });
        methods.add_method("name", |_, Self(secret), ()| Ok(secret.name.to_string()));
        methods.add_meta_method(MetaMethod::Index, |lua, Self(secret), key: String| {
            secret.data.get(key.as_str()).map(|value| lua.create_string(value.expose())).transpose()
        });
        methods.add_meta_method(MetaMethod::ToString, |_, Self(secret), ()| {
            Ok(format!("Secret({})", secret.name))
        });
    }
}
