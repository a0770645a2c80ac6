//! Templates of NetFlow v9 and IPFIX, per exporter, port, domain and version.
//! In: field lists as exporters announce them. Out: the field list of a data set.
//! Bounds: `ExportLimits`; the oldest template makes room and is counted.

use std::collections::VecDeque;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::packet::reject::{Reject, RejectCounts};
use crate::units::Address;

/// What bounds the memory of exporters.
#[derive(Clone, Copy, Debug)]
pub struct ExportLimits {
    /// Templates kept, over all exporters.
    pub templates_max: usize,
    /// Fields of one template; longer ones are not learnt.
    pub fields_max: usize,
}

impl Default for ExportLimits {
    fn default() -> Self {
        Self { templates_max: 4096, fields_max: 256 }
    }
}

/// Whose template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TemplateKey {
    pub exporter: Address,
    pub port: u16,
    pub domain: u32,
    pub version: u8,
    pub id: u16,
}

/// One field: what and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub element: u16,
    pub bytes: u16,
}

/// All templates known.
#[derive(Debug)]
pub(crate) struct Templates {
    pub(super) limits: ExportLimits,
    /// The fields of the template being read.
    pub(super) fields_scratch: Vec<Field>,
    by_key: HashMap<TemplateKey, Box<[Field]>, FixedState>,
    order: VecDeque<TemplateKey>,
}

impl Templates {
    pub fn new(limits: ExportLimits) -> Self {
        let by_key = HashMap::with_hasher(FixedState::with_seed(0));
        Self { limits, fields_scratch: Vec::new(), by_key, order: VecDeque::new() }
    }

    /// Keeps the scratch's fields under a key; exporters repeat themselves, so most are known already.
    pub(super) fn learn(&mut self, key: TemplateKey, rejects: &mut RejectCounts) {
        if let Some(known) = self.by_key.get_mut(&key) {
            if **known != *self.fields_scratch {
                *known = self.fields_scratch.as_slice().into();
            }
            return;
        }
        while self.by_key.len() >= self.limits.templates_max.max(1) {
            let Some(oldest) = self.order.pop_front() else { return };
            self.by_key.remove(&oldest);
            rejects.count(Reject::TemplatesFull);
        }
        self.by_key.insert(key, self.fields_scratch.as_slice().into());
        self.order.push_back(key);
    }

    pub(super) fn fields_of(&self, key: TemplateKey) -> Option<&[Field]> {
        self.by_key.get(&key).map(|fields| &**fields)
    }
}
