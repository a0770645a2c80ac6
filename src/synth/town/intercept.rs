//! Interception: homes whose TLS somebody in the path opens, and what he shows them.
//! In: what a program has arranged. Out: for a call, the server that the client meets. Bounds: an entry a service.

use std::collections::BTreeMap;

use super::{DeviceNumber, Town};
use crate::synth::wire::tls::ServerStack;

/// Somebody who answers in the servers' names.
#[derive(Debug)]
pub(crate) struct Interceptor {
    /// Homes in his path, ascending.
    pub(crate) homes: Vec<u32>,
    /// What he shows, by service; the others he lets through.
    pub(crate) shown: BTreeMap<u32, ServerStack>,
    pub(crate) label: u16,
}

impl Town {
    /// What a device meets instead of the service, and on whose account.
    pub(crate) fn intercepted(&self, device: DeviceNumber, service: u32) -> Option<(&ServerStack, u16)> {
        let interceptor = self.interceptor.as_ref()?;
        let home = self.device(device).home;
        interceptor.homes.binary_search(&home).ok()?;
        interceptor.shown.get(&service).map(|shown| (shown, interceptor.label))
    }
}
