//! One worker's VM of one generation: the plugins' functions, and the states that `configure` made for the routes
//! that were asked for here.

use super::context::{Context, Draft, Note};
use super::failure::{Failure, limited};
use super::hooks::{closed_answer, refusal};
use super::options;
use super::raw::Objects;
use super::sandbox::Sandbox;
use super::shared::{FailureKind, Shared};
use crate::exchange::Answer;
use crate::model::chain::{Chain, Hooks, OnError, Step};
use crate::model::plugins::{PluginCode, PluginSet};
use crate::model::settings::Limits;
use foldhash::fast::RandomState;
use mlua::{Function, Table, Thread, Value};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::{Arc, Weak};

/// Idle Lua threads kept for hooks that may wait.
const IDLE_THREADS: usize = 64;

/// One VM. Lives as long as a request that began with it.
pub struct Vm {
    sandbox: Option<Sandbox>,
    pub(super) shared: Arc<Shared>,
    pub(super) limits: Limits,
    plugins: HashMap<Arc<str>, Result<Plugin, Arc<str>>>,
    routes: RefCell<Routes>,
    threads: RefCell<Vec<Thread>>,
    generation: u64,
    broken: Cell<bool>,
}

/// A loaded plugin.
struct Plugin {
    code: Arc<PluginCode>,
    configure: Option<Function>,
    request: Option<Function>,
    response: Option<Function>,
    log: Option<Function>,
}

/// Hooks by chain. The weak reference keeps the chain's address from being given away.
#[derive(Default)]
struct Routes {
    made: HashMap<*const Chain, (Weak<Chain>, Made), RandomState>,
    sweep_at: usize,
}

#[derive(Clone)]
enum Made {
    Hooks(Rc<RouteHooks>),
    Closed(Arc<str>),
}

/// What Lua does on a route, in one VM: functions with their states, in order.
pub struct RouteHooks {
    pub(super) request: Vec<Hook>,
    /// In reverse order.
    pub(super) response: Vec<Hook>,
    pub(super) log: Vec<Hook>,
}

/// One function with its state.
pub(super) struct Hook {
    pub(super) plugin: Arc<str>,
    pub(super) function: Function,
    pub(super) state: Value,
    pub(super) on_error: OnError,
    pub(super) waits: bool,
}

impl fmt::Debug for Vm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vm").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl fmt::Debug for RouteHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |hooks: &[Hook]| hooks.iter().map(|hook| Arc::clone(&hook.plugin)).collect::<Vec<_>>();
        f.debug_struct("RouteHooks")
            .field("request", &names(&self.request))
            .field("response", &names(&self.response))
            .field("log", &names(&self.log))
            .finish()
    }
}

impl Vm {
    /// Loads every plugin of the set from its bytecode. A plugin that fails is one whose routes fail, by its
    /// `on_error`.
    pub(super) fn new(set: &PluginSet, limits: &Limits, shared: &Arc<Shared>) -> Self {
        let sandbox = Sandbox::new(limits.vm_memory, shared.gate())
            .inspect_err(|error| tracing::error!(%error, "no Lua VM: plugins do not work on this worker"))
            .ok();
        let plugins = set.plugins.iter().map(|code| {
            let loaded = sandbox.as_ref().ok_or_else(|| Failure::new(FailureKind::Memory, "no VM"));
            let loaded = loaded.and_then(|sandbox| Plugin::load(sandbox, code, limits)).map_err(|failure| {
                shared.failed(&code.name, FailureKind::Configure, &failure.text);
                Arc::from(failure.text)
            });
            (Arc::clone(&code.name), loaded)
        });
        Self {
            plugins: plugins.collect(),
            sandbox,
            shared: Arc::clone(shared),
            limits: limits.clone(),
            routes: RefCell::default(),
            threads: RefCell::default(),
            generation: set.generation,
            broken: Cell::new(false),
        }
    }

    /// The generation of the set that it runs.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Bytes that Lua holds.
    pub fn memory(&self) -> usize {
        self.sandbox.as_ref().map_or(0, |sandbox| sandbox.lua.used_memory())
    }

    /// Its memory was at its end: no new request should begin with it.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// The hooks of a route; made by running `configure` on the route's first request here. An answer where the
    /// route is closed.
    pub fn route(&self, chain: &Arc<Chain>) -> Result<Rc<RouteHooks>, Box<Answer>> {
        if let Some((_, made)) = self.routes.borrow().made.get(&Arc::as_ptr(chain)) {
            return made.clone().into_result();
        }
        if let Some(answer) = refusal(chain) {
            return Err(answer);
        }
        let made = match self.make(chain) {
            Ok(hooks) => Made::Hooks(Rc::new(hooks)),
            Err(plugin) => Made::Closed(plugin),
        };
        if !self.broken.get() {
            self.routes.borrow_mut().insert(chain, made.clone());
        }
        made.into_result()
    }

    /// Makes the state of every step. An error is the name of the plugin that closes the route.
    fn make(&self, chain: &Chain) -> Result<RouteHooks, Arc<str>> {
        let mut hooks = RouteHooks { request: Vec::new(), response: Vec::new(), log: Vec::new() };
        for step in &chain.steps {
            match self.step(chain, step) {
                Ok(Some((plugin, state))) => hooks.add(step, plugin, &state),
                Ok(None) => {}
                Err(failure) => {
                    self.failed(&step.plugin, &Failure { kind: worse(failure.kind), ..failure });
                    if step.on_error == OnError::Closed {
                        return Err(Arc::clone(&step.plugin));
                    }
                }
            }
        }
        hooks.response.reverse();
        Ok(hooks)
    }

    /// Runs one plugin's `configure`; no state means "not on this route".
    fn step(&self, chain: &Chain, step: &Step) -> Result<Option<(&Plugin, Value)>, Failure> {
        let unusable = |text: &str| Failure::new(FailureKind::Configure, text);
        let sandbox = self.sandbox.as_ref().ok_or_else(|| unusable("no VM"))?;
        let plugin = match self.plugins.get(&step.plugin) {
            Some(Ok(plugin)) if plugin.code.hash == step.hash => plugin,
            Some(Ok(_)) => return Err(unusable("the route was made for another version of the plugin")),
            Some(Err(text)) => return Err(unusable(text)),
            None => return Err(unusable("the plugin is not in the set")),
        };
        let opts = options::table(&sandbox.lua, &step.options)?;
        let Some(configure) = &plugin.configure else {
            return Ok(Some((plugin, Value::Table(opts))));
        };
        let context = Context {
            facts: chain.facts.clone(),
            settings: Arc::clone(&plugin.code.settings),
            entrypoints: None,
            draft: Rc::new(RefCell::new(Draft::default())),
        };
        let draft = Rc::clone(&context.draft);
        let state = limited(self.limits.configure_cpu, || configure.call::<Value>((opts, context)))?;
        if let Some(Note::Fail(_, text)) = draft.borrow().notes.iter().find(|n| matches!(n, Note::Fail(..))) {
            return Err(unusable(text));
        }
        Ok((!state.is_nil()).then_some((plugin, state)))
    }

    /// `req`, `res` and `log`.
    pub(super) fn objects(&self) -> Result<&Objects, Failure> {
        let sandbox = self.sandbox.as_ref().ok_or_else(|| Failure::new(FailureKind::Memory, "no VM"))?;
        Ok(&sandbox.objects)
    }

    /// Counts and logs a failure; a memory error ends the VM for new requests.
    pub(super) fn failed(&self, plugin: &Arc<str>, failure: &Failure) {
        if failure.kind == FailureKind::Memory {
            self.broken.set(true);
        }
        self.shared.failed(plugin, failure.kind, &failure.text);
    }

    /// A Lua thread that runs `function`; one that ran before where there is one.
    pub(super) fn thread(&self, function: &Function) -> mlua::Result<Thread> {
        let idle = self.threads.borrow_mut().pop();
        if let Some(thread) = idle {
            thread.reset(function.clone())?;
            return Ok(thread);
        }
        match &self.sandbox {
            Some(sandbox) => sandbox.lua.create_thread(function.clone()),
            None => Err(mlua::Error::runtime("no VM")),
        }
    }

    /// Takes back a thread whose function returned.
    pub(super) fn park(&self, thread: Thread) {
        let mut threads = self.threads.borrow_mut();
        if threads.len() < IDLE_THREADS {
            threads.push(thread);
        }
    }
}

/// A Lua error in `configure` is counted as what it is: a route that could not be configured.
fn worse(kind: FailureKind) -> FailureKind {
    if kind == FailureKind::Error { FailureKind::Configure } else { kind }
}

impl Routes {
    fn insert(&mut self, chain: &Arc<Chain>, made: Made) {
        if self.made.len() >= self.sweep_at {
            self.made.retain(|_, (chain, _)| chain.strong_count() > 0);
            self.sweep_at = self.made.len() * 2 + 64;
        }
        self.made.insert(Arc::as_ptr(chain), (Arc::downgrade(chain), made));
    }
}

impl Made {
    fn into_result(self) -> Result<Rc<RouteHooks>, Box<Answer>> {
        match self {
            Self::Hooks(hooks) => Ok(hooks),
            Self::Closed(plugin) => Err(closed_answer(&plugin, false)),
        }
    }
}

impl RouteHooks {
    fn add(&mut self, step: &Step, plugin: &Plugin, state: &Value) {
        let lists = [
            (Hooks::REQUEST, &plugin.request, &mut self.request),
            (Hooks::RESPONSE, &plugin.response, &mut self.response),
            (Hooks::LOG, &plugin.log, &mut self.log),
        ];
        for (hook, function, list) in lists {
            if let (true, Some(function)) = (step.hooks.contains(hook), function) {
                list.push(Hook {
                    plugin: Arc::clone(&step.plugin),
                    function: function.clone(),
                    state: state.clone(),
                    on_error: step.on_error,
                    waits: plugin.code.waits && hook == Hooks::REQUEST,
                });
            }
        }
    }
}

impl Plugin {
    fn load(sandbox: &Sandbox, code: &Arc<PluginCode>, limits: &Limits) -> Result<Self, Failure> {
        let chunk = sandbox.load(&code.chunk, &code.bytecode)?;
        let table: Table = limited(limits.configure_cpu, || chunk.call(()))?;
        Ok(Self {
            code: Arc::clone(code),
            configure: table.raw_get("configure")?,
            request: table.raw_get("on_request")?,
            response: table.raw_get("on_response")?,
            log: table.raw_get("on_log")?,
        })
    }
}
