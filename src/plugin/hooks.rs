//! Running a route's hooks. Plain calls in order; only a hook of a plugin that may wait runs as a coroutine, and
//! only the host can be waited for.

use super::failure::{Failure, limited};
use super::raw::{Call, Pending, Phase, with_call};
use super::reply;
use super::shared::FailureKind;
use super::vm::{Hook, RouteHooks, Vm};
use crate::exchange::{Answer, Exchange, Verdict};
use crate::model::chain::{Chain, OnError};
use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use mlua::{AnyUserData, Thread, Value};
use std::rc::Rc;
use std::sync::Arc;

/// The answer of a route that is closed as a whole, because a plugin that guards it could not be configured. To be
/// asked before anything else of a chain, also where it has no hooks.
pub fn refusal(chain: &Chain) -> Option<Box<Answer>> {
    chain.closed.as_ref().map(|closed| closed_answer(&closed.plugin, false))
}

/// 503, and nothing about why: that is in the log.
pub(super) fn closed_answer(plugin: &Arc<str>, retry: bool) -> Box<Answer> {
    let mut headers = HeaderMap::with_capacity(2);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if retry {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Box::new(Answer {
        status: StatusCode::SERVICE_UNAVAILABLE,
        headers,
        body: Bytes::from_static(b"Service Unavailable\n"),
        reason: Arc::clone(plugin),
    })
}

/// Runs the route's request hooks in order, until one answers.
pub async fn on_request(vm: &Rc<Vm>, hooks: &Rc<RouteHooks>, exchange: &mut Exchange) -> Verdict {
    for hook in &hooks.request {
        let mut call = Call::new(exchange, Phase::Request, &vm.shared, hook.on_error == OnError::Open);
        let result = if hook.waits {
            waiting(vm, hook, &mut call).await
        } else {
            plain(vm, hook, &mut call, |objects| &objects.request)
        };
        if let Some(answer) = settle(vm, hook, &mut call, result) {
            return Verdict::Answer(answer);
        }
    }
    Verdict::Pass
}

/// Runs the route's response hooks, the last plugin first. `exchange.response` is there.
pub fn on_response(vm: &Rc<Vm>, hooks: &Rc<RouteHooks>, exchange: &mut Exchange) -> Verdict {
    for hook in &hooks.response {
        let mut call = Call::new(exchange, Phase::Response, &vm.shared, hook.on_error == OnError::Open);
        let result = plain(vm, hook, &mut call, |objects| &objects.response);
        if let Some(answer) = settle(vm, hook, &mut call, result) {
            return Verdict::Answer(answer);
        }
    }
    Verdict::Pass
}

/// Runs the route's log hooks, which change nothing.
pub fn on_log(vm: &Rc<Vm>, hooks: &Rc<RouteHooks>, exchange: &Exchange) {
    for hook in &hooks.log {
        let mut call = Call::log(exchange, &vm.shared);
        if let Err(failure) = plain(vm, hook, &mut call, |objects| &objects.log) {
            vm.failed(&hook.plugin, &failure);
        }
    }
}

/// What became of a call: an answer, or on to the next.
fn settle(vm: &Vm, hook: &Hook, call: &mut Call<'_>, result: Result<Value, Failure>) -> Option<Box<Answer>> {
    let reply = result
        .and_then(|value| reply::returned(&value).map_err(|text| Failure::new(FailureKind::Return, text)));
    match reply {
        Ok(reply) => reply.map(|reply| reply.answer(&hook.plugin)),
        Err(failure) => {
            vm.failed(&hook.plugin, &failure);
            match hook.on_error {
                OnError::Closed => Some(closed_answer(&hook.plugin, call.is_busy())),
                OnError::Open => {
                    call.roll_back();
                    None
                }
            }
        }
    }
}

/// `hook(object, state, req)`. The third argument is for response hooks; others do not name it.
fn plain(
    vm: &Vm,
    hook: &Hook,
    call: &mut Call<'_>,
    object: impl FnOnce(&super::raw::Objects) -> &AnyUserData,
) -> Result<Value, Failure> {
    let objects = vm.objects()?;
    let argument = object(objects);
    with_call(call, || {
        limited(vm.limits.hook_cpu, || hook.function.call((argument, &hook.state, &objects.request)))
    })
}

/// Runs a hook that may wait, on a Lua thread of its own. If this future is dropped, so is the thread.
async fn waiting(vm: &Vm, hook: &Hook, call: &mut Call<'_>) -> Result<Value, Failure> {
    let request = &vm.objects()?.request;
    let thread = vm.thread(&hook.function)?;
    call.wait_on(&thread);
    let resume = |call: &mut Call<'_>, first: Option<bool>| {
        with_call(call, || {
            limited(vm.limits.hook_cpu, || match first {
                None => thread.resume::<Value>((request, &hook.state)),
                Some(answer) => thread.resume::<Value>(answer),
            })
        })
    };
    let mut value = resume(call, None)?;
    let mut deadline = None;
    loop {
        match (call.take_pending(), yielded(&thread)) {
            (None, false) => break,
            (None, true) => {
                return Err(Failure::new(FailureKind::Yield, "a hook can only wait for the host"));
            }
            (Some(_), false) => {
                return Err(Failure::new(
                    FailureKind::Yield,
                    "a hook returned before what it waited for came",
                ));
            }
            (Some(Pending::Verify(ticket)), true) => {
                let now = tokio::time::Instant::now();
                let deadline = *deadline.get_or_insert_with(|| now + vm.limits.hook_wall);
                let Ok(answer) = tokio::time::timeout_at(deadline, ticket.answer()).await else {
                    let text = format!("waited longer than {:?}", vm.limits.hook_wall);
                    call.busy();
                    return Err(Failure::new(FailureKind::Wall, text));
                };
                value = resume(call, Some(answer))?;
            }
        }
    }
    vm.park(thread);
    Ok(value)
}

fn yielded(thread: &Thread) -> bool {
    thread.is_resumable()
}
