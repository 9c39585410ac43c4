//! Tests of the life of a change. Their vocabulary is a small double: no Lua is needed to see what is touched.

mod asking;
mod class;
mod endpoints;
mod from_scratch;
mod life;
mod routes;
mod support;
