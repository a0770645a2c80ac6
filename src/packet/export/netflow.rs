//! NetFlow v5, v9 (RFC 3954) and IPFIX (RFC 7011).
//! In: a UDP payload. Out: its records, or nothing where counts and lengths do not agree to the byte.
//! Bounds: one pass; a template's fields by `ExportLimits`.

use super::templates::{Field, TemplateKey, Templates};
use super::{Place, Records};
use crate::packet::layer::Layer;
use crate::packet::reject::RejectCounts;
use crate::units::Address;

const V5_HEADER_BYTES: usize = 24;
const V5_RECORD_BYTES: usize = 48;
/// Most records that a v5 datagram holds.
const V5_RECORDS_MAX: u16 = 30;
/// 2000-01-01: older clocks are not believed to be export times.
const UNIX_SECONDS_MIN: u32 = 946_684_800;
/// The first identifier of a data set.
const DATA_SET_MIN: u16 = 256;
/// IPFIX length of a field that says its own.
const VARIABLE: u16 = 0xffff;
/// IPFIX element identifiers with an enterprise number after them.
const ENTERPRISE: u16 = 0x8000;

/// Version 5: a fixed header and fixed records.
pub(super) fn v5(payload: Layer<'_>) -> Option<Records> {
    let (count, seconds, nanoseconds) = (payload.be16(2)?, payload.be32(8)?, payload.be32(12)?);
    let bytes = V5_HEADER_BYTES + V5_RECORD_BYTES * usize::from(count);
    if count == 0
        || count > V5_RECORDS_MAX
        || payload.wire as usize != bytes
        || seconds < UNIX_SECONDS_MIN
        || nanoseconds >= 1_000_000_000
    {
        return None;
    }
    let mut records = Records::default();
    for i in 0..usize::from(count) {
        let at = V5_HEADER_BYTES + V5_RECORD_BYTES * i;
        let (source, destination) = (payload.array(at), payload.array(at + 4));
        records.add(source.zip(destination).map(|(s, d)| (Address::v4(s), Address::v4(d))));
    }
    Some(records)
}

/// Which dialect of templates and sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    V9,
    Ipfix,
}

/// Version 9.
pub(super) fn v9(
    place: Place,
    payload: Layer<'_>,
    templates: &mut Templates,
    rejects: &mut RejectCounts,
) -> Option<Records> {
    if payload.be32(8)? < UNIX_SECONDS_MIN || payload.be16(2)? == 0 {
        return None;
    }
    let sets = Sets { dialect: Dialect::V9, place, domain: payload.be32(16)? };
    sets.read(payload.skip(20)?, templates, rejects)
}

/// IPFIX.
pub(super) fn ipfix(
    place: Place,
    payload: Layer<'_>,
    templates: &mut Templates,
    rejects: &mut RejectCounts,
) -> Option<Records> {
    let (length, seconds) = (u32::from(payload.be16(2)?), payload.be32(4)?);
    if length != payload.wire || seconds < UNIX_SECONDS_MIN {
        return None;
    }
    let sets = Sets { dialect: Dialect::Ipfix, place, domain: payload.be32(12)? };
    sets.read(payload.skip(16)?, templates, rejects)
}

/// The sets of one datagram.
#[derive(Clone, Copy, Debug)]
struct Sets {
    dialect: Dialect,
    place: Place,
    domain: u32,
}

/// A set that is wholly there.
#[derive(Clone, Copy, Debug)]
enum Set {
    Templates,
    OptionTemplates,
    Data(u16),
}

impl Sets {
    /// Two passes: nothing is learnt from a datagram that is not sound to its last byte.
    fn read(self, sets: Layer<'_>, templates: &mut Templates, rejects: &mut RejectCounts) -> Option<Records> {
        let mut found = 0u32;
        self.each(sets, |_, _| found += 1)?;
        if found == 0 && !sets.is_cut() {
            return None;
        }
        let mut records = Records::default();
        self.each(sets, |set, body| match set {
            Set::Templates | Set::OptionTemplates => self.learn(set, body, templates, rejects),
            Set::Data(id) => {
                if let Some(fields) = templates.fields_of(self.key(id)) {
                    data(fields, body, &mut records);
                }
            }
        })?;
        Some(records)
    }

    /// Calls `with` for every set that was captured; none where their lengths do not cover the datagram.
    fn each(self, sets: Layer<'_>, mut with: impl FnMut(Set, Layer<'_>)) -> Option<()> {
        let mut rest = sets;
        loop {
            // Up to three bytes of padding may end a datagram.
            if rest.wire < 4 {
                return rest.bytes.iter().all(|b| *b == 0).then_some(());
            }
            let (Some(id), Some(length)) = (rest.be16(0), rest.be16(2)) else { return Some(()) };
            let set = match (self.dialect, id) {
                (Dialect::V9, 0) | (Dialect::Ipfix, 2) => Set::Templates,
                (Dialect::V9, 1) | (Dialect::Ipfix, 3) => Set::OptionTemplates,
                (_, DATA_SET_MIN..) => Set::Data(id),
                _ => return None,
            };
            let length = u32::from(length);
            if length < 4 || length > rest.wire {
                return None;
            }
            let Some(body) = rest.trim(length).skip(4) else { return Some(()) };
            with(set, body);
            let Some(next) = rest.skip(length as usize) else { return Some(()) };
            rest = next;
        }
    }

    fn key(self, id: u16) -> TemplateKey {
        let version = if self.dialect == Dialect::V9 { 9 } else { 10 };
        TemplateKey { exporter: self.place.exporter, port: self.place.ports[0], domain: self.domain, version, id }
    }

    /// Learns the templates of one set; stops at the first that is not sound.
    fn learn(self, set: Set, body: Layer<'_>, templates: &mut Templates, rejects: &mut RejectCounts) {
        let mut rest = body;
        while rest.wire >= 4 {
            let Some(next) = self.learn_one(set, rest, templates, rejects) else { return };
            rest = next;
        }
    }

    fn learn_one<'a>(
        self,
        set: Set,
        rest: Layer<'a>,
        templates: &mut Templates,
        rejects: &mut RejectCounts,
    ) -> Option<Layer<'a>> {
        let (id, second) = (rest.be16(0)?, rest.be16(2)?);
        if id < DATA_SET_MIN {
            return None;
        }
        let (count, mut at) = match (set, self.dialect) {
            (Set::OptionTemplates, Dialect::V9) => ((usize::from(second) + usize::from(rest.be16(4)?)) / 4, 6),
            (Set::OptionTemplates, Dialect::Ipfix) if second > 0 => (usize::from(second), 6),
            _ => (usize::from(second), 4),
        };
        templates.fields_scratch.clear();
        for _ in 0..count {
            let (element, bytes) = (rest.be16(at)?, rest.be16(at + 2)?);
            at += 4;
            let own = self.dialect == Dialect::V9 || element & ENTERPRISE == 0;
            if !own {
                at += 4;
            }
            if templates.fields_scratch.len() < templates.limits.fields_max {
                // An enterprise's own element has a number of its own, which must not be taken for an address.
                templates.fields_scratch.push(Field { element: if own { element } else { ENTERPRISE }, bytes });
            }
        }
        if count <= templates.limits.fields_max {
            templates.learn(self.key(id), rejects);
        }
        rest.skip(at)
    }
}

/// The records of a data set.
fn data(fields: &[Field], body: Layer<'_>, records: &mut Records) {
    let least: usize = fields.iter().map(|f| if f.bytes == VARIABLE { 1 } else { usize::from(f.bytes) }).sum();
    if least == 0 {
        return;
    }
    let mut rest = body;
    while rest.bytes.len() >= least {
        let Some((endpoints, bytes)) = record(fields, rest) else { return };
        records.add(endpoints);
        let Some(next) = rest.skip(bytes) else { return };
        rest = next;
    }
}

/// One record: its end points, where it names both, and its length.
fn record(fields: &[Field], layer: Layer<'_>) -> Option<(Option<(Address, Address)>, usize)> {
    let (mut source, mut destination) = (None, None);
    let mut at = 0usize;
    for field in fields {
        let mut bytes = usize::from(field.bytes);
        if field.bytes == VARIABLE {
            bytes = usize::from(layer.u8(at)?);
            at += 1;
            if bytes == 255 {
                bytes = usize::from(layer.be16(at)?);
                at += 2;
            }
        }
        match (field.element, bytes) {
            (8, 4) => source = source.or(Some(Address::v4(layer.array(at)?))),
            (12, 4) => destination = destination.or(Some(Address::v4(layer.array(at)?))),
            // Dual-stack templates carry both versions, the unused one as zeros.
            (27, 16) => source = Some(Address::v6(layer.array(at)?)).filter(is_set).or(source),
            (28, 16) => destination = Some(Address::v6(layer.array(at)?)).filter(is_set).or(destination),
            _ => {}
        }
        at += bytes;
    }
    layer.bytes.get(..at)?;
    Some((source.zip(destination), at))
}

fn is_set(address: &Address) -> bool {
    *address != Address::UNSPECIFIED
}
