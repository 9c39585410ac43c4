//! One call of a hook: which exchange the accessors see, what they may change, and how a failed hook's changes are
//! taken back.

use super::Fault;
use crate::exchange::{Exchange, Request, Response};
use crate::ground::path::Target;
use crate::plugin::shared::Shared;
use crate::plugin::verify::Ticket;
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use mlua::ffi::lua_State;
use smallvec::SmallVec;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

thread_local! {
    /// The call that runs on this thread; null outside of one.
    pub(super) static CURRENT: Cell<*mut Call<'static>> = const { Cell::new(ptr::null_mut()) };
}

/// Which hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `on_request`
    Request,
    /// `on_response`
    Response,
    /// `on_log`
    Log,
}

/// What a hook that gave up its turn waits for.
#[derive(Debug)]
pub enum Pending {
    /// A password to be verified.
    Verify(Ticket),
}

/// One call of a hook.
pub struct Call<'a> {
    exchange: *mut Exchange,
    phase: Phase,
    shared: &'a Shared,
    /// The Lua thread that may wait; null for plain calls.
    thread: *mut lua_State,
    /// What the hook waits for, set by the accessor that yields.
    pub(super) pending: Option<Pending>,
    busy: bool,
    undo: Option<SmallVec<[Undo; 2]>>,
    borrow: PhantomData<&'a mut Exchange>,
}

impl std::fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("phase", &self.phase).finish_non_exhaustive()
    }
}

/// How one change is taken back.
enum Undo {
    Target(Target),
    User(Option<Arc<str>>),
    Status(StatusCode),
    RequestHeader(HeaderName, SmallVec<[HeaderValue; 1]>),
    ResponseHeader(HeaderName, SmallVec<[HeaderValue; 1]>),
}

impl<'a> Call<'a> {
    /// A call that may change the exchange as its phase allows. With `undo`, changes are kept so that they can be
    /// taken back.
    pub fn new(exchange: &'a mut Exchange, phase: Phase, shared: &'a Shared, undo: bool) -> Self {
        Self {
            exchange,
            phase,
            shared,
            thread: ptr::null_mut(),
            pending: None,
            busy: false,
            undo: undo.then(SmallVec::new),
            borrow: PhantomData,
        }
    }

    /// A call of `on_log`, which only looks.
    pub fn log(exchange: &'a Exchange, shared: &'a Shared) -> Self {
        Self {
            // Never written through: `change` refuses in this phase.
            exchange: ptr::from_ref(exchange).cast_mut(),
            phase: Phase::Log,
            shared,
            thread: ptr::null_mut(),
            pending: None,
            busy: false,
            undo: None,
            borrow: PhantomData,
        }
    }

    /// Lets the hook wait, on that Lua thread only.
    pub fn wait_on(&mut self, thread: &mlua::Thread) {
        self.thread = thread.state();
    }

    /// Notes that the hook failed for want of capacity: trying again soon may help.
    pub fn busy(&mut self) {
        self.busy = true;
    }

    /// Whether it failed for want of capacity.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// What the hook waits for, where it gave up its turn.
    pub fn take_pending(&mut self) -> Option<Pending> {
        self.pending.take()
    }

    pub(super) fn shared(&self) -> &'a Shared {
        self.shared
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn may_wait(&self) -> bool {
        !self.thread.is_null()
    }

    pub(super) fn waits_on(&self, state: *mut lua_State) -> bool {
        ptr::eq(self.thread, state)
    }

    pub(super) fn exchange(&self) -> &Exchange {
        // SAFETY: made from a reference that lives for `'a`; `&mut self` guards against a second writer.
        unsafe { &*self.exchange }
    }

    pub(super) fn request(&self) -> &Request {
        &self.exchange().request
    }

    pub(super) fn response(&self) -> Result<&Response, Fault> {
        self.exchange().response.as_ref().ok_or(Fault::NotNow)
    }

    fn change(&mut self) -> Result<&mut Exchange, Fault> {
        if self.phase == Phase::Log {
            return Err(Fault::ReadOnly);
        }
        // SAFETY: outside of `on_log` the pointer was made from a `&mut` that lives for `'a`.
        Ok(unsafe { &mut *self.exchange })
    }

    fn remember(&mut self, undo: impl FnOnce(&Exchange) -> Option<Undo>) {
        // SAFETY: as in `exchange`; `undo` is another field.
        let exchange = unsafe { &*self.exchange };
        if let Some(log) = &mut self.undo {
            log.extend(undo(exchange));
        }
    }

    pub(super) fn set_path(&mut self, path: &str) -> Result<(), Fault> {
        if self.phase != Phase::Request {
            return Err(Fault::ReadOnly);
        }
        self.remember(|exchange| Some(Undo::Target(exchange.request.target.clone())));
        self.change()?.request.target.set_path(path).map_err(|_shown_as_one_text| Fault::Path)
    }

    pub(super) fn set_user(&mut self, user: Option<&str>) -> Result<(), Fault> {
        if self.phase != Phase::Request {
            return Err(Fault::ReadOnly);
        }
        self.remember(|exchange| Some(Undo::User(exchange.facts.user.clone())));
        self.change()?.facts.user = user.map(Arc::from);
        Ok(())
    }

    pub(super) fn set_status(&mut self, status: StatusCode) -> Result<(), Fault> {
        self.remember(|exchange| exchange.response.as_ref().map(|response| Undo::Status(response.status)));
        self.change()?.response.as_mut().ok_or(Fault::NotNow)?.status = status;
        Ok(())
    }

    /// Changes one header of the request (or of the response): no value deletes it.
    pub(super) fn set_header(
        &mut self,
        of_response: bool,
        name: HeaderName,
        value: Option<HeaderValue>,
        append: bool,
    ) -> Result<(), Fault> {
        if !of_response && self.phase != Phase::Request {
            return Err(Fault::ReadOnly);
        }
        self.remember(|exchange| {
            let headers = headers_of(exchange, of_response)?;
            let before = headers.get_all(&name).iter().cloned().collect();
            Some(if of_response {
                Undo::ResponseHeader(name.clone(), before)
            } else {
                Undo::RequestHeader(name.clone(), before)
            })
        });
        let exchange = self.change()?;
        let headers = if of_response {
            &mut exchange.response.as_mut().ok_or(Fault::NotNow)?.headers
        } else {
            &mut exchange.request.headers
        };
        match value {
            None => {
                headers.remove(&name);
            }
            // `try_`: a map holds at most 32,768 names, and a plugin may be wrong about that.
            Some(value) if append => {
                headers.try_append(name, value).map_err(|_full| Fault::HeaderName)?;
            }
            Some(value) => {
                headers.try_insert(name, value).map_err(|_full| Fault::HeaderName)?;
            }
        }
        Ok(())
    }

    /// Takes back everything that the hook changed, newest first.
    pub fn roll_back(&mut self) {
        let Some(log) = self.undo.take() else { return };
        let Ok(exchange) = self.change() else { return };
        for undo in log.into_iter().rev() {
            match undo {
                Undo::Target(target) => exchange.request.target = target,
                Undo::User(user) => exchange.facts.user = user,
                Undo::Status(status) => {
                    if let Some(response) = &mut exchange.response {
                        response.status = status;
                    }
                }
                Undo::RequestHeader(name, values) => restore(&mut exchange.request.headers, &name, values),
                Undo::ResponseHeader(name, values) => {
                    if let Some(response) = &mut exchange.response {
                        restore(&mut response.headers, &name, values);
                    }
                }
            }
        }
    }
}

fn headers_of(exchange: &Exchange, of_response: bool) -> Option<&HeaderMap> {
    if of_response {
        exchange.response.as_ref().map(|response| &response.headers)
    } else {
        Some(&exchange.request.headers)
    }
}

fn restore(headers: &mut HeaderMap, name: &HeaderName, values: SmallVec<[HeaderValue; 1]>) {
    headers.remove(name);
    for value in values {
        headers.append(name, value);
    }
}
