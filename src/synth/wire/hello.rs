//! ClientHello of the TLS stacks that homes run: which words each of them says, in which order.
//! In: a stack and what is asked for. Out: the handshake message, for TLS records and for QUIC's CRYPTO frames alike.
//! Source: the lists are those that browsers, telephones and small devices send in public captures and documentation;
//! their order is what JA4 and like fingerprints see.

use super::payload::{Pool, Source};
use super::prefixed;
use crate::synth::dice::Dice;

/// X25519MLKEM768, the hybrid group of browsers since 2024.
pub(crate) const GROUP_HYBRID: u16 = 4588;
pub(crate) const GROUP_X25519: u16 = 29;
const GROUP_P256: u16 = 23;
/// Stands in a list where the stack puts a random GREASE value (RFC 8701).
const GREASE: u16 = 0x0a0a;

/// One stack's habits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HelloStack {
    pub(crate) name: &'static str,
    ciphers: &'static [u16],
    extensions: &'static [u16],
    order: Order,
    groups: &'static [u16],
    shares: &'static [u16],
    signatures: &'static [u16],
    alpn: &'static [&'static str],
    /// Highest first; one without 0x0304 ends at TLS 1.2.
    versions: &'static [u16],
    /// Hellos between 256 bytes and this are padded to it (RFC 7685).
    padded_bytes: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Order {
    Fixed,
    /// Chrome shuffles its extensions since 2023.
    Shuffled,
}

const BROWSER_SIGNATURES: &[u16] = &[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601];
const TLS_13: &[u16] = &[0x0304, 0x0303];
const TLS_12: &[u16] = &[0x0303];

pub(crate) const CHROME: HelloStack = HelloStack {
    name: "chrome",
    ciphers: &[
        GREASE, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x9c, 0x9d,
        0x2f, 0x35,
    ],
    extensions: &[GREASE, 0, 23, 65281, 10, 11, 35, 16, 5, 13, 18, 51, 45, 43, 27, 17613, 65037],
    order: Order::Shuffled,
    groups: &[GREASE, GROUP_HYBRID, GROUP_X25519, GROUP_P256, 24],
    shares: &[GREASE, GROUP_HYBRID, GROUP_X25519],
    signatures: BROWSER_SIGNATURES,
    alpn: &["h2", "http/1.1"],
    versions: &[GREASE, 0x0304, 0x0303],
    padded_bytes: 0,
};

pub(crate) const FIREFOX: HelloStack = HelloStack {
    name: "firefox",
    ciphers: &[
        0x1301, 0x1303, 0x1302, 0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc02c, 0xc030, 0xc00a, 0xc009, 0xc013, 0xc014, 0x9c,
        0x9d, 0x2f, 0x35,
    ],
    extensions: &[0, 23, 65281, 10, 11, 35, 16, 5, 34, 18, 51, 43, 13, 45, 28, 27, 65037],
    order: Order::Fixed,
    groups: &[GROUP_HYBRID, GROUP_X25519, GROUP_P256, 24, 25, 256, 257],
    shares: &[GROUP_HYBRID, GROUP_X25519, GROUP_P256],
    signatures: &[0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201],
    alpn: &["h2", "http/1.1"],
    versions: TLS_13,
    padded_bytes: 0,
};

pub(crate) const SAFARI: HelloStack = HelloStack {
    name: "safari",
    ciphers: &[
        GREASE, 0x1301, 0x1302, 0x1303, 0xc02c, 0xc02b, 0xcca9, 0xc030, 0xc02f, 0xcca8, 0xc00a, 0xc009, 0xc014, 0xc013,
        0x9d, 0x9c, 0x35, 0x2f, 0xc008, 0xc012, 0x0a,
    ],
    extensions: &[GREASE, 0, 23, 65281, 10, 11, 16, 5, 13, 18, 51, 45, 43, 27],
    order: Order::Fixed,
    groups: &[GREASE, GROUP_X25519, GROUP_P256, 24, 25],
    shares: &[GREASE, GROUP_X25519],
    signatures: &[0x0403, 0x0804, 0x0401, 0x0503, 0x0203, 0x0805, 0x0501, 0x0806, 0x0601, 0x0201],
    alpn: &["h2", "http/1.1"],
    versions: &[GREASE, 0x0304, 0x0303],
    padded_bytes: 512,
};

pub(crate) const ANDROID: HelloStack = HelloStack {
    name: "android",
    ciphers: &[
        0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xcca9, 0xc02f, 0xc030, 0xcca8, 0xc013, 0xc014, 0x9c, 0x9d, 0x2f, 0x35,
    ],
    extensions: &[0, 23, 65281, 10, 11, 35, 16, 5, 13, 51, 45, 43],
    order: Order::Fixed,
    groups: &[GROUP_X25519, GROUP_P256, 24],
    shares: &[GROUP_X25519],
    signatures: &[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601, 0x0201],
    alpn: &["h2", "http/1.1"],
    versions: TLS_13,
    padded_bytes: 512,
};

/// Windows' own (Schannel), as its services and small programs use it: TLS 1.2.
pub(crate) const SCHANNEL: HelloStack = HelloStack {
    name: "schannel",
    ciphers: &[
        0xc02c, 0xc02b, 0xc030, 0xc02f, 0xc024, 0xc023, 0xc028, 0xc027, 0xc00a, 0xc009, 0xc014, 0xc013, 0x9d, 0x9c,
        0x3d, 0x3c, 0x35, 0x2f, 0x0a,
    ],
    extensions: &[0, 5, 10, 11, 13, 35, 23, 65281],
    order: Order::Fixed,
    groups: &[GROUP_X25519, GROUP_P256, 24],
    shares: &[],
    signatures: &[0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0201, 0x0403, 0x0503, 0x0203, 0x0202, 0x0601, 0x0603],
    alpn: &[],
    versions: TLS_12,
    padded_bytes: 0,
};

/// OpenSSL 3 with its defaults: Linux programs, televisions, better devices.
pub(crate) const OPENSSL: HelloStack = HelloStack {
    name: "openssl",
    ciphers: &[
        0x1302, 0x1303, 0x1301, 0xc02c, 0xc030, 0x9f, 0xcca9, 0xcca8, 0xccaa, 0xc02b, 0xc02f, 0x9e, 0xc024, 0xc028,
        0x6b, 0xc023, 0xc027, 0x67, 0xc00a, 0xc014, 0x39, 0xc009, 0xc013, 0x33, 0x9d, 0x9c, 0x3d, 0x3c, 0x35, 0x2f,
        0xff,
    ],
    extensions: &[0, 11, 10, 35, 16, 22, 23, 13, 43, 45, 51],
    order: Order::Fixed,
    groups: &[GROUP_X25519, GROUP_P256, 30, 25, 24, 256, 257, 258, 259, 260],
    shares: &[GROUP_X25519],
    signatures: &[
        0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0809, 0x080a, 0x080b, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601,
        0x0303, 0x0301, 0x0302, 0x0402, 0x0502, 0x0602,
    ],
    alpn: &["http/1.1"],
    versions: TLS_13,
    padded_bytes: 0,
};

/// mbed TLS as small devices ship it: TLS 1.2, few words.
pub(crate) const MBEDTLS: HelloStack = HelloStack {
    name: "mbedtls",
    ciphers: &[
        0xc02c, 0xc030, 0xc0ad, 0xc024, 0xc028, 0xc00a, 0xc014, 0xc02b, 0xc02f, 0xc0ac, 0xc023, 0xc027, 0xc009, 0xc013,
        0x9d, 0x9c, 0x3d, 0x3c, 0x35, 0x2f, 0xff,
    ],
    extensions: &[0, 13, 10, 11, 22, 23, 35],
    order: Order::Fixed,
    groups: &[GROUP_P256, 24, 25, GROUP_X25519],
    shares: &[],
    signatures: &[0x0603, 0x0601, 0x0503, 0x0501, 0x0403, 0x0401],
    alpn: &[],
    versions: TLS_12,
    padded_bytes: 0,
};

/// Chrome over QUIC: only TLS 1.3's own words.
pub(crate) const CHROME_QUIC: HelloStack = HelloStack {
    name: "chrome-quic",
    ciphers: &[0x1301, 0x1302, 0x1303],
    extensions: &[0, 10, 16, 13, 51, 45, 43, 27, 17613, 57],
    order: Order::Shuffled,
    groups: &[GROUP_X25519, GROUP_P256, 24],
    shares: &[GROUP_X25519],
    signatures: BROWSER_SIGNATURES,
    alpn: &["h3"],
    versions: &[0x0304],
    padded_bytes: 0,
};

/// What one hello asks for.
pub(crate) struct Ask<'a> {
    /// Server name; none where the client knows only an address.
    pub(crate) name: Option<&'a str>,
    /// A session that both sides remember.
    pub(crate) resumes: bool,
    /// Source connection id, where QUIC carries the hello.
    pub(crate) quic_source_id: Option<&'a [u8]>,
}

impl HelloStack {
    pub(crate) fn speaks_tls_13(&self) -> bool {
        self.versions.contains(&0x0304)
    }

    pub(crate) fn offers_hybrid(&self) -> bool {
        self.shares.contains(&GROUP_HYBRID)
    }

    pub(crate) fn first_alpn(&self) -> Option<&'static str> {
        self.alpn.first().copied()
    }

    /// The ClientHello message with its handshake header; gives the session id too, which a server echoes.
    pub(crate) fn client_hello(&self, ask: &Ask, dice: &mut Dice, pool: &Pool) -> (Vec<u8>, Vec<u8>) {
        let grease = || 0x0a0a_u16;
        let greases: [u16; 4] = std::array::from_fn(|_| grease() + 0x1010 * dice.below(16) as u16);
        let session = match ask.quic_source_id {
            Some(_) => Vec::new(),
            None if self.speaks_tls_13() || ask.resumes => dice.bytes::<32>().to_vec(),
            None => Vec::new(),
        };
        let mut out = vec![1];
        prefixed(&mut out, 3, |out| {
            out.extend([3, 3]);
            out.extend(dice.bytes::<32>());
            prefixed(out, 1, |out| out.extend(&session));
            prefixed(out, 2, |out| write_words(self.ciphers, greases[0], out));
            out.extend([1, 0]);
            prefixed(out, 2, |out| self.write_extensions(ask, &greases, dice, pool, out));
        });
        (out, session)
    }

    fn write_extensions(&self, ask: &Ask, greases: &[u16; 4], dice: &mut Dice, pool: &Pool, out: &mut Vec<u8>) {
        let mut order = self.extensions.to_vec();
        if self.order == Order::Shuffled {
            let from = usize::from(order.first() == Some(&GREASE));
            for i in (from + 1..order.len()).rev() {
                order.swap(i, from + dice.index(i + 1 - from));
            }
        }
        for code in order {
            self.write_extension(code, ask, greases, dice, pool, out);
        }
        if self.extensions.first() == Some(&GREASE) {
            out.extend((greases[3] ^ 0x1010).to_be_bytes());
            out.extend([0, 1, 0]);
        }
        let length = out.len();
        if (256..self.padded_bytes.saturating_sub(4)).contains(&length) && !ask.resumes {
            out.extend([0, 21]);
            prefixed(out, 2, |out| out.resize(out.len() + self.padded_bytes - length - 4, 0));
        }
        if ask.resumes && self.speaks_tls_13() {
            out.extend([0, 41]);
            prefixed(out, 2, |out| write_psk(dice, pool, out));
        }
    }

    fn write_extension(
        &self,
        code: u16,
        ask: &Ask,
        greases: &[u16; 4],
        dice: &mut Dice,
        pool: &Pool,
        out: &mut Vec<u8>,
    ) {
        if code == 0 && ask.name.is_none() {
            return;
        }
        out.extend(if code == GREASE { greases[1] } else { code }.to_be_bytes());
        prefixed(out, 2, |out| match code {
            0 => prefixed(out, 2, |out| {
                out.push(0);
                prefixed(out, 2, |out| out.extend(ask.name.unwrap_or("").as_bytes()));
            }),
            5 => out.extend([1, 0, 0, 0, 0]),
            10 => prefixed(out, 2, |out| write_words(self.groups, greases[2], out)),
            11 => out.extend([1, 0]),
            13 | 34 => prefixed(out, 2, |out| {
                write_words(&self.signatures[..if code == 34 { 4 } else { self.signatures.len() }], 0, out)
            }),
            16 => prefixed(out, 2, |out| {
                self.alpn.iter().for_each(|name| prefixed(out, 1, |out| out.extend(name.as_bytes())));
            }),
            27 => out.extend([2, 0, 2]),
            28 => out.extend([0x40, 0x01]),
            35 if ask.resumes && !self.speaks_tls_13() => out.extend(opaque(192, dice, pool)),
            43 => prefixed(out, 1, |out| write_words(self.versions, greases[3], out)),
            45 => out.extend([1, 1]),
            51 => prefixed(out, 2, |out| self.write_shares(greases[2], dice, pool, out)),
            57 => write_transport_parameters(ask.quic_source_id.unwrap_or(&[]), out),
            17613 => prefixed(out, 2, |out| prefixed(out, 1, |out| out.extend(self.alpn[0].as_bytes()))),
            65037 => write_ech_grease(dice, pool, out),
            65281 => out.push(0),
            _ => {}
        });
    }

    fn write_shares(&self, grease: u16, dice: &mut Dice, pool: &Pool, out: &mut Vec<u8>) {
        for &group in self.shares {
            out.extend(if group == GREASE { grease } else { group }.to_be_bytes());
            prefixed(out, 2, |out| match group {
                GREASE => out.push(0),
                GROUP_HYBRID => out.extend(opaque(1216, dice, pool)),
                GROUP_P256 => {
                    out.push(4);
                    out.extend(opaque(64, dice, pool));
                }
                _ => out.extend(opaque(32, dice, pool)),
            });
        }
    }
}

/// Random-looking bytes out of the pool.
pub(crate) fn opaque(length: usize, dice: &mut Dice, pool: &Pool) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Source::Framed { head: [0; 20], head_bytes: 0, base: dice.below(1 << 16) }.fill(0, &mut bytes, pool);
    bytes
}

fn write_words(words: &[u16], grease: u16, out: &mut Vec<u8>) {
    for &word in words {
        out.extend(if word == GREASE && grease != 0 { grease } else { word }.to_be_bytes());
    }
}

/// One ticket and its binder (RFC 8446 section 4.2.11).
fn write_psk(dice: &mut Dice, pool: &Pool, out: &mut Vec<u8>) {
    prefixed(out, 2, |out| {
        prefixed(out, 2, |out| out.extend(opaque(192, dice, pool)));
        out.extend(dice.int().to_be_bytes());
    });
    prefixed(out, 2, |out| prefixed(out, 1, |out| out.extend(dice.bytes::<32>())));
}

/// GREASE for Encrypted Client Hello: outer type, suite, configuration, key, payload.
fn write_ech_grease(dice: &mut Dice, pool: &Pool, out: &mut Vec<u8>) {
    out.extend([0, 0, 1, 0, 1, dice.word() as u8]);
    prefixed(out, 2, |out| out.extend(opaque(32, dice, pool)));
    prefixed(out, 2, |out| out.extend(opaque(144, dice, pool)));
}

/// QUIC transport parameters (RFC 9000 section 18): idle timeout, datagram size, credit, streams, source connection id.
fn write_transport_parameters(source_id: &[u8], out: &mut Vec<u8>) {
    out.extend([0x01, 4, 0x80, 0x00, 0x75, 0x30]);
    out.extend([0x03, 2, 0x45, 0xc0]);
    out.extend([0x04, 4, 0x80, 0xf0, 0x00, 0x00]);
    for code in [0x05, 0x06, 0x07] {
        out.extend([code, 4, 0x80, 0x60, 0x00, 0x00]);
    }
    out.extend([0x08, 2, 0x40, 0x64]);
    out.extend([0x09, 2, 0x40, 0x67]);
    out.extend([0x0f, source_id.len() as u8]);
    out.extend(source_id);
}
