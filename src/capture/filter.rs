//! A BPF filter in tcpdump's language, over frames of one link type.
//! In: an expression, compiled by libpcap. Out: whether a frame matches.
//! Bounds: a program is as long as libpcap makes it (at most 4096 instructions) and jumps forward only, so it ends.
//! The program runs here and not in libpcap, whose binding takes the captured length for the length on the wire.
//! Not here: filters inside the kernel, which live capture sets.

use std::fmt;

use pcap::{BpfInstruction, Capture, Linktype};

use super::frame::{Frame, LinkType};

/// A compiled filter.
pub struct Filter {
    expression: String,
    link: LinkType,
    program: Vec<Instruction>,
}

/// Why an expression is no filter.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// libpcap does not understand it.
    #[error("filter {expression:?} for link type {}: {words}; the language is described in `man pcap-filter`", link.0)]
    Expression {
        /// What was written.
        expression: String,
        /// For which link type.
        link: LinkType,
        /// libpcap's own words.
        words: String,
    },
    /// libpcap itself fails.
    #[error("libpcap gives no handle to compile filters with: {words}; is there memory left?")]
    Library {
        /// libpcap's own words.
        words: String,
    },
}

impl Filter {
    /// Compiles an expression for frames of one link type; an empty one matches all.
    ///
    /// # Errors
    /// When libpcap does not understand it, with libpcap's own words.
    pub fn compile(expression: &str, link: LinkType) -> Result<Self, FilterError> {
        let handle =
            Capture::dead(Self::dead_link(link)).map_err(|error| FilterError::Library { words: words(error) })?;
        let refused = |words| FilterError::Expression { expression: expression.to_owned(), link, words };
        let program = handle.compile(expression, true).map_err(|error| refused(words(error)))?;
        let program: Option<Vec<_>> = program.get_instructions().iter().map(Instruction::of).collect();
        let program =
            program.ok_or_else(|| refused("it compiles to an instruction that is not known here".to_owned()))?;
        Ok(Self { expression: expression.to_owned(), link, program })
    }

    /// Whether a frame matches; one of another link type than the filter was compiled for never does.
    pub fn matches(&self, frame: &Frame<'_>) -> bool {
        frame.link == self.link && accepted_bytes(&self.program, frame.bytes, frame.wire_bytes).unwrap_or(0) > 0
    }

    /// The link type that it was compiled for.
    pub fn link(&self) -> LinkType {
        self.link
    }

    /// libpcap's `DLT_` number of a `LINKTYPE_`: the same but for the few that systems had numbered before
    /// tcpdump.org did.
    pub fn dead_link(link: LinkType) -> Linktype {
        Linktype(match link.0 {
            100 => 11,
            101 => 12,
            102 => 15,
            103 => 16,
            106 => 19,
            other => i32::from(other),
        })
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").field("expression", &self.expression).field("link", &self.link).finish_non_exhaustive()
    }
}

fn words(error: pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(words) => words,
        other => other.to_string(),
    }
}

/// One instruction of the classic BPF machine (McCanne and Jacobson, USENIX Winter 1993).
#[derive(Clone, Copy, Debug)]
struct Instruction {
    code: u16,
    if_true: u8,
    if_false: u8,
    k: u32,
}

impl Instruction {
    /// The binding shows an instruction's fields only as text.
    fn of(instruction: &BpfInstruction) -> Option<Self> {
        let text = instruction.to_string();
        let mut fields = text.split(' ').map(|field| field.parse::<u32>().ok());
        let (code, if_true, if_false, k) = (fields.next()??, fields.next()??, fields.next()??, fields.next()??);
        Some(Self {
            code: code.try_into().ok()?,
            if_true: if_true.try_into().ok()?,
            if_false: if_false.try_into().ok()?,
            k,
        })
    }
}

/// How many bytes of the frame the program wants to keep; none where it reads beyond them, divides by zero or holds an
/// instruction that does not exist: all of these reject a frame.
fn accepted_bytes(program: &[Instruction], frame: &[u8], wire_bytes: u32) -> Option<u32> {
    let (mut a, mut x, mut memory) = (0_u32, 0_u32, [0_u32; 16]);
    let mut at = 0_usize;
    loop {
        let Instruction { code, if_true, if_false, k } = *program.get(at)?;
        at += 1;
        let operand = if code & 0x08 == 0 { k } else { x };
        match (code & 0x07, code) {
            (0x00, _) => a = load(code, k, x, frame, wire_bytes, &memory)?,
            // The length of an IPv4 header, from its first byte.
            (0x01, 0xb1) => x = u32::from(*frame.get(k as usize)? & 0x0f) << 2,
            (0x01, _) => x = load(code, k, 0, frame, wire_bytes, &memory)?,
            (0x02, _) => *memory.get_mut(k as usize)? = a,
            (0x03, _) => *memory.get_mut(k as usize)? = x,
            (0x04, _) => a = compute(code, a, operand)?,
            (0x05, 0x05) => at = at.checked_add(k as usize)?,
            (0x05, _) => {
                let is_true = match code & 0xf0 {
                    0x10 => a == operand,
                    0x20 => a > operand,
                    0x30 => a >= operand,
                    0x40 => a & operand != 0,
                    _ => return None,
                };
                at += usize::from(if is_true { if_true } else { if_false });
            }
            (0x06, _) => return Some(if code & 0x18 == 0x10 { a } else { k }),
            (_, 0x07) => x = a,
            (_, 0x87) => a = x,
            _ => return None,
        }
    }
}

/// What a load instruction reads.
fn load(code: u16, k: u32, x: u32, frame: &[u8], wire_bytes: u32, memory: &[u32; 16]) -> Option<u32> {
    let from = match code & 0xe0 {
        0x00 => return Some(k),
        0x20 => k as usize,
        0x40 => k.checked_add(x)? as usize,
        0x60 => return memory.get(k as usize).copied(),
        0x80 => return Some(wire_bytes),
        _ => return None,
    };
    let bytes = frame.get(from..)?;
    match code & 0x18 {
        0x00 => Some(u32::from_be_bytes(*bytes.first_chunk()?)),
        0x08 => Some(u32::from(u16::from_be_bytes(*bytes.first_chunk()?))),
        0x10 => Some(u32::from(*bytes.first()?)),
        _ => None,
    }
}

fn compute(code: u16, a: u32, operand: u32) -> Option<u32> {
    Some(match code & 0xf0 {
        0x00 => a.wrapping_add(operand),
        0x10 => a.wrapping_sub(operand),
        0x20 => a.wrapping_mul(operand),
        0x30 => a.checked_div(operand)?,
        0x40 => a | operand,
        0x50 => a & operand,
        0x60 => a.checked_shl(operand).unwrap_or(0),
        0x70 => a.checked_shr(operand).unwrap_or(0),
        0x80 => a.wrapping_neg(),
        0x90 => a.checked_rem(operand)?,
        0xa0 => a ^ operand,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Expressions that use every class of instruction between them.
    const EXPRESSIONS: &[&str] = &[
        "",
        "ip",
        "udp port 53",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
        "ip6 host 2001:db8::1 or net 10.0.0.0/8",
        "ip[8] * 2 - 3 > ip[9] / (ip[10] % 7)",
        "ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) != 0",
        "ether[12:2] ^ 0x86dd = ether[0:2] | 5",
        "vlan 5 and icmp",
        "pppoes or ether proto 0x88e5",
        "portrange 20-100 and not host 10.0.0.1",
        "-ether[0] < 7",
    ];

    proptest! {
        #[test]
        fn the_machine_agrees_with_libpcaps(
            expression in prop::sample::select(EXPRESSIONS),
            version in prop::sample::select(&[[8, 0], [0x86, 0xdd], [0x81, 0]]),
            mut bytes in prop::collection::vec(any::<u8>(), 0..90),
            protocol in prop::sample::select(&[1_u8, 6, 17]),
        ) {
            for (at, byte) in [(12, version[0]), (13, version[1]), (14, 0x45), (20, 0), (21, 0), (23, protocol)] {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            let dead = Capture::dead(Linktype::ETHERNET).expect("a handle");
            let judge = dead.compile(expression, true).expect(expression);
            let program: Option<Vec<_>> = judge.get_instructions().iter().map(Instruction::of).collect();
            let ours = accepted_bytes(&program.expect("known"), &bytes, bytes.len() as u32).unwrap_or(0) > 0;
            prop_assert_eq!(ours, judge.filter(&bytes), "{}", expression);
        }

        #[test]
        fn no_program_reads_beyond_the_frame_or_hangs(
            program in prop::collection::vec((any::<u16>(), any::<u8>(), any::<u8>(), any::<u32>()), 0..40),
            bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let each = program.into_iter();
            let program: Vec<_> =
                each.map(|(code, if_true, if_false, k)| Instruction { code: code & 0xff, if_true, if_false, k }).collect();
            let _ = accepted_bytes(&program, &bytes, 100);
        }
    }
}
