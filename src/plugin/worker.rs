//! One worker's plugin host: hands out the VM of a generation.

use super::shared::Shared;
use super::vm::Vm;
use crate::model::plugins::PluginSet;
use crate::model::settings::Limits;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// One per worker thread; never leaves it.
#[derive(Debug)]
pub struct WorkerHost {
    limits: Limits,
    shared: Arc<Shared>,
    current: RefCell<Option<Rc<Vm>>>,
    /// VMs of older generations: alive while a request in flight holds one.
    older: RefCell<BTreeMap<u64, Weak<Vm>>>,
}

impl WorkerHost {
    /// Makes no VM yet.
    pub fn new(limits: &Limits, shared: Arc<Shared>) -> Rc<Self> {
        Rc::new(Self {
            limits: limits.clone(),
            shared,
            current: RefCell::default(),
            older: RefCell::default(),
        })
    }

    /// The VM that runs `set`; a new one (about 2 ms) where there is none, or where its memory was at its end.
    pub fn vm(self: &Rc<Self>, set: &Arc<PluginSet>) -> Rc<Vm> {
        let current = self.current.borrow().clone();
        match current {
            Some(vm) if vm.generation() == set.generation && !vm.is_broken() => vm,
            // A request that loaded its snapshot just before the newer one came.
            Some(vm) if vm.generation() > set.generation => self.older_vm(set),
            replaced => {
                let vm = Rc::new(Vm::new(set, &self.limits, &self.shared));
                if let Some(replaced) = replaced.filter(|vm| !vm.is_broken()) {
                    let mut older = self.older.borrow_mut();
                    older.retain(|_, vm| vm.strong_count() > 0);
                    older.insert(replaced.generation(), Rc::downgrade(&replaced));
                }
                *self.current.borrow_mut() = Some(Rc::clone(&vm));
                vm
            }
        }
    }

    fn older_vm(&self, set: &Arc<PluginSet>) -> Rc<Vm> {
        let mut older = self.older.borrow_mut();
        if let Some(vm) = older.get(&set.generation).and_then(Weak::upgrade).filter(|vm| !vm.is_broken()) {
            return vm;
        }
        let vm = Rc::new(Vm::new(set, &self.limits, &self.shared));
        older.insert(set.generation, Rc::downgrade(&vm));
        vm
    }

    /// What the workers share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}
