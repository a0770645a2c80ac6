//! Sniffing: what a file is, told by its first bytes and never by its name.
//! In: up to [`SNIFF_BYTES`] bytes. Out: a capture format, a compression, or what else it looks like and the cure.
//! Not here: whether the rest keeps what the beginning promises (`savefile`).

/// Bytes that are enough to tell what a file is: the mark of a tar archive stands at 257.
pub const SNIFF_BYTES: usize = 512;

/// How the capture is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Container {
    /// The classic savefile of libpcap.
    Pcap,
    /// draft-ietf-opsawg-pcapng.
    Pcapng,
}

/// How the file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// RFC 1952, one or several members.
    Gzip,
    /// RFC 8878, one or several frames.
    Zstd,
}

/// What a readable input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Format {
    /// How the capture is written.
    pub container: Container,
    /// How the file is compressed.
    pub compression: Compression,
}

impl Format {
    /// An uncompressed classic savefile.
    pub const PCAP_PLAIN: Self = Self { container: Container::Pcap, compression: Compression::Plain };

    /// For people: `pcap`, `pcapng, gzip`.
    pub fn name(self) -> &'static str {
        match (self.container, self.compression) {
            (Container::Pcap, Compression::Plain) => "pcap",
            (Container::Pcap, Compression::Gzip) => "pcap, gzip",
            (Container::Pcap, Compression::Zstd) => "pcap, zstd",
            (Container::Pcapng, Compression::Plain) => "pcapng",
            (Container::Pcapng, Compression::Gzip) => "pcapng, gzip",
            (Container::Pcapng, Compression::Zstd) => "pcapng, zstd",
        }
    }
}

/// Something that is no capture we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// What it looks like, with its article.
    pub what: &'static str,
    /// What to do about it.
    pub cure: &'static str,
}

/// Tells the compression by the first bytes.
pub fn compression(head: &[u8]) -> Compression {
    match head {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        // A skippable frame, which parallel compressors write first (RFC 8878 section 3.1.2).
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::Plain,
    }
}

/// Tells the container by the first bytes, decompressed.
pub fn container(head: &[u8]) -> Result<Container, Stranger> {
    match head {
        [0x0a, 0x0d, 0x0d, 0x0a, ..] => Ok(Container::Pcapng),
        [0xa1, 0xb2, 0xc3, 0xd4, ..] | [0xd4, 0xc3, 0xb2, 0xa1, ..] => Ok(Container::Pcap),
        [0xa1, 0xb2, 0x3c, 0x4d, ..] | [0x4d, 0x3c, 0xb2, 0xa1, ..] => Ok(Container::Pcap),
        [0xa1, 0xb2, 0xcd, 0x34, ..] | [0x34, 0xcd, 0xb2, 0xa1, ..] => Ok(Container::Pcap),
        _ => Err(stranger(head)),
    }
}

const CURE_CONVERT: &str = "convert it with Wireshark's `editcap -F pcapng FILE OUT.pcapng`";
const CURE_UNPACK: &str = "unpack it and name the captures inside";
const CURE_PATH: &str = "give a pcap or pcapng file, plain, .gz or .zst";

/// First bytes, what they mean, the cure. The first row that fits counts.
const MARKS: &[(&[u8], &str, &str)] = &[
    (b"\x1f\x8b", "a gzip stream inside a compressed stream", "decompress the outer layer first"),
    (b"\x28\xb5\x2f\xfd", "a zstd stream inside a compressed stream", "decompress the outer layer first"),
    (b"\xfd7zXZ\0", "an xz archive", "pipe it: `xz -dc FILE | trawlwatch replay -`"),
    (b"BZh", "a bzip2 archive", "pipe it: `bzip2 -dc FILE | trawlwatch replay -`"),
    (b"\x04\x22\x4d\x18", "an lz4 stream", "pipe it: `lz4 -dc FILE | trawlwatch replay -`"),
    (b"\x1f\x9d", "a compress (.Z) archive", "pipe it: `zcat FILE | trawlwatch replay -`"),
    (b"PK\x03\x04", "a zip archive", CURE_UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", CURE_UNPACK),
    (b"Rar!\x1a\x07", "a rar archive", CURE_UNPACK),
    (b"snoop\0\0\0", "a snoop capture", CURE_CONVERT),
    (b"GMBU", "a Microsoft Network Monitor capture", CURE_CONVERT),
    (b"RTSS", "a Microsoft Network Monitor 1.x capture", CURE_CONVERT),
    (b"TRSNIFF data", "a Sniffer capture", CURE_CONVERT),
    (b"XCP\0", "a NetXray capture", CURE_CONVERT),
    (b"iptrace 2.0", "an AIX iptrace capture", CURE_CONVERT),
    (b"btsnoop\0", "a Bluetooth btsnoop log", "it holds no network traffic; leave it out"),
    (b"\x7fELF", "an ELF program", CURE_PATH),
    (b"MZ", "a Windows program", CURE_PATH),
    (b"%PDF", "a PDF document", CURE_PATH),
    (b"\x89PNG", "a PNG image", CURE_PATH),
    (b"\xff\xd8\xff", "a JPEG image", CURE_PATH),
    (b"SQLite format 3\0", "an SQLite database", CURE_PATH),
    (b"PAR1", "a Parquet file", CURE_PATH),
    (b"version https://git-lfs", "a Git LFS pointer, not the capture itself", "fetch it with `git lfs pull`"),
];

fn stranger(head: &[u8]) -> Stranger {
    if let Some(&(_, what, cure)) = MARKS.iter().find(|(mark, ..)| head.starts_with(mark)) {
        return Stranger { what, cure };
    }
    if head.get(257..262) == Some(b"ustar") {
        return Stranger { what: "a tar archive", cure: CURE_UNPACK };
    }
    if !head.is_empty() && head.iter().all(|&byte| byte == 0) {
        return Stranger { what: "zeros only, as after a failed copy", cure: "copy it again from its origin" };
    }
    let text = head.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    // A multi-byte letter may be cut at the end of the sniffed part.
    let is_text = !head.is_empty()
        && text.len() + 4 > head.len()
        && text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\x0c'));
    if !is_text {
        return Stranger { what: "data of no capture format known here", cure: CURE_PATH };
    }
    let start = text.trim_start().trim_start_matches('\u{feff}').to_ascii_lowercase();
    if start.starts_with("<!doctype html") || start.starts_with("<html") {
        return Stranger { what: "an HTML page", cure: "download the capture itself: the link led to a page about it" };
    }
    if start.starts_with("<?xml") {
        return Stranger { what: "an XML document", cure: CURE_PATH };
    }
    if start.starts_with('{') || start.starts_with('[') {
        return Stranger { what: "JSON text", cure: CURE_PATH };
    }
    Stranger { what: "text", cure: "printed packets cannot be read back: capture with `tcpdump -w FILE`" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_named() {
        let mut tar = [b'a'; 300];
        tar[257..262].copy_from_slice(b"ustar");
        let table: &[(&[u8], &str)] = &[
            (b"\x7fELF\x02\x01\x01", "an ELF program"),
            (b"PK\x03\x04rest", "a zip archive"),
            (b"%PDF-1.7", "a PDF document"),
            (b"  <!DOCTYPE HTML><html>", "an HTML page"),
            (b"12:00:00.1 IP 10.0.0.1 > 10.0.0.2", "text"),
            ("caf\u{e9} \u{4e2d}".as_bytes(), "text"),
            (b"{\"timestamp\":1}", "JSON text"),
            (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not the capture itself"),
            (b"\xfd7zXZ\0\0", "an xz archive"),
            (&[0; 64], "zeros only, as after a failed copy"),
            (b"\x01\x02\x03\xff\xfe", "data of no capture format known here"),
            (&tar, "a tar archive"),
        ];
        for (head, what) in table {
            assert_eq!(container(head).expect_err(what).what, *what);
        }
    }
}
