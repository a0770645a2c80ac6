//! One frame of each link type and tag: where its IP header begins.

use super::*;

/// Begins a frame's IP header, so that it can be found again.
const IP: &[u8] = &[0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0, 7, 0, 7, 0, 8, 0, 0];

const MAC: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn the_ip_header_is_found_behind_every_link_header() {
    let radiotap = |flags: u8| [0, 0, 12, 0, 2, 0, 0, 0, flags, 0, 0, 0];
    let wifi = [0x08, 0x01, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 0x10, 0];
    let wifi_quality = [&[0x88], &wifi[1..], &[0, 0]].concat();
    let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    let label = [0, 0x01, 0x01, 0x40];
    let outer_label = [0, 0x01, 0x00, 0x40];
    let ppi = [0, 0, 8, 0, 1, 0, 0, 0];
    let pktap = [&[12, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0][..], &MAC, &[8, 0]].concat();
    #[rustfmt::skip]
    let table: &[(&str, u16, Vec<u8>)] = &[
        ("BSD null, little-endian", 0, joined(&[&[2, 0, 0, 0], IP])),
        ("BSD null, big-endian", 0, joined(&[&[0, 0, 0, 2], IP])),
        ("BSD loop", 108, joined(&[&[0, 0, 0, 24], IP])),
        ("Ethernet", 1, joined(&[&MAC, &[8, 0], IP])),
        ("802.1Q", 1, joined(&[&MAC, &[0x81, 0, 0, 5, 8, 0], IP])),
        ("QinQ", 1, joined(&[&MAC, &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 8, 0], IP])),
        ("QinQ the old way", 1, joined(&[&MAC, &[0x91, 0, 0, 5, 0x81, 0, 0, 6, 8, 0], IP])),
        ("802.3 with SNAP", 1, joined(&[&MAC, &[0, 36], &snap, IP])),
        ("MPLS, two labels", 1, joined(&[&MAC, &[0x88, 0x47], &outer_label, &label, IP])),
        ("MPLS pseudo-wire", 1, joined(&[&MAC, &[0x88, 0x47], &label, &MAC, &[8, 0], IP])),
        ("MPLS pseudo-wire with control word", 1, joined(&[&MAC, &[0x88, 0x47], &label, &[0, 0, 0, 9], &MAC, &[8, 0], IP])),
        ("PPPoE", 1, joined(&[&MAC, &[0x88, 0x64, 0x11, 0, 0, 1, 0, 30, 0, 0x21], IP])),
        ("MACsec without encryption", 1, joined(&[&MAC, &[0x88, 0xe5, 0, 0, 0, 0, 0, 1, 8, 0], IP])),
        ("provider backbone", 1, joined(&[&MAC, &[0x88, 0xe7, 0, 0, 0, 1], &MAC, &[8, 0], IP])),
        ("VN-Tag", 1, joined(&[&MAC, &[0x89, 0x26, 0, 0, 0, 1, 8, 0], IP])),
        ("service header", 1, joined(&[&MAC, &[0x89, 0x4f, 0, 2, 1, 1, 0, 0, 1, 255], IP])),
        ("SLIP", 8, joined(&[&[0; 16], IP])),
        ("PPP", 9, joined(&[&[0xff, 3, 0, 0x21], IP])),
        ("PPP, all compressed", 9, joined(&[&[0x21], IP])),
        ("Cisco framing under PPP", 9, joined(&[&[0x0f, 0, 8, 0], IP])),
        ("PPP in HDLC", 50, joined(&[&[0xff, 3, 0, 0x21], IP])),
        ("Cisco in HDLC", 50, joined(&[&[0x8f, 0, 8, 0], IP])),
        ("PPPoE without Ethernet", 51, joined(&[&[0x11, 0, 0, 1, 0, 30, 0, 0x21], IP])),
        ("PPP by pppd", 166, joined(&[&[0, 3, 0, 0x21], IP])),
        ("PPP with direction", 204, joined(&[&[1, 0xff, 3, 0, 0x21], IP])),
        ("FDDI", 10, joined(&[&[0x50], &MAC, &snap, IP])),
        ("raw", 101, IP.to_vec()),
        ("raw IPv4", 228, IP.to_vec()),
        ("ATM", 100, joined(&[&snap, IP])),
        ("Cisco HDLC", 104, joined(&[&[0x0f, 0, 8, 0], IP])),
        ("802.11", 105, joined(&[&wifi, &snap, IP])),
        ("802.11 with quality of service", 105, joined(&[&wifi_quality, &snap, IP])),
        ("radiotap", 127, joined(&[&radiotap(0), &wifi, &snap, IP])),
        ("radiotap with padding", 127, joined(&[&radiotap(0x20), &wifi_quality, &[0, 0], &snap, IP])),
        ("frame relay", 107, joined(&[&[0x18, 0x41, 3, 0xcc], IP])),
        ("frame relay, Cisco", 107, joined(&[&[0x18, 0x41, 8, 0], IP])),
        ("Linux cooked", 113, joined(&[&[0, 0, 0, 1, 0, 6], &[0; 8], &[8, 0], IP])),
        ("Prism", 119, joined(&[&[0x44, 0, 0, 0, 16, 0, 0, 0], &[0; 8], &wifi, &snap, IP])),
        ("AVS", 163, joined(&[&[0x80, 0x21, 0x10, 1, 0, 0, 0, 12, 0, 0, 0, 0], &wifi, &snap, IP])),
        ("per-packet information", 192, joined(&[&ppi, &MAC, &[8, 0], IP])),
        ("IPNET", 226, joined(&[&[1, 2], &[0; 22], IP])),
        ("netfilter log", 239, joined(&[&[2, 0, 0, 0, 8, 0, 1, 0, 0, 0, 0, 0, 32, 0, 9, 0], IP])),
        ("Apple's tap", 258, joined(&[&pktap, IP])),
        ("Linux cooked v2", 276, joined(&[&[8, 0], &[0; 18], IP])),
    ];
    for (name, link, bytes) in table {
        let layer = Layer::new(bytes, 0, bytes.len() as u32);
        let ip = peel(LinkType(*link), layer).unwrap_or_else(|reject| panic!("{name}: {reject:?}"));
        assert_eq!(ip.bytes, IP, "{name}");
        assert_eq!(ip.offset as usize, bytes.len() - IP.len(), "{name}");
        for cut in 0..bytes.len() - IP.len() {
            let cut = peel(LinkType(*link), Layer::new(&bytes[..cut], 0, bytes.len() as u32));
            assert!(!matches!(cut, Ok(layer) if !layer.bytes.is_empty()), "{name}: {cut:?}");
        }
    }
}

#[test]
fn what_holds_no_ip_packet_is_told_from_what_is_broken() {
    let plain = |reject| LinkReject::Plain(reject);
    let endless: Vec<u8> = [&MAC[..], &[0x81, 0, 0, 1].repeat(60)].concat();
    #[rustfmt::skip]
    let table: &[(&str, u16, Vec<u8>, LinkReject)] = &[
        ("ARP", 1, joined(&[&MAC, &[8, 6], &[0; 28]]), plain(Reject::NotIp)),
        ("spanning tree", 1, joined(&[&MAC, &[0, 38, 0x42, 0x42, 3], &[0; 35]]), plain(Reject::NotIp)),
        ("encrypted MACsec", 1, joined(&[&MAC, &[0x88, 0xe5, 0x0c, 0, 0, 0, 0, 1, 8, 0], IP]), plain(Reject::Opaque)),
        ("beacon", 105, joined(&[&[0x80, 0], &[0; 40]]), plain(Reject::NotIp)),
        ("encrypted 802.11", 105, joined(&[&[0x08, 0x41], &[0; 40]]), plain(Reject::Opaque)),
        ("damaged 802.11", 127, joined(&[&[0, 0, 12, 0, 2, 0, 0, 0, 0x40, 0, 0, 0], &[8; 40]]), plain(Reject::BadLink)),
        ("link control", 9, vec![0xff, 3, 0xc0, 0x21, 1, 1, 0, 4], plain(Reject::NotIp)),
        ("compressed PPP", 9, vec![0xff, 3, 0, 0xfd, 1, 1, 0, 4], plain(Reject::Opaque)),
        ("tags without end", 1, endless, plain(Reject::LinkDepthExceeded)),
        ("an unknown ether type", 1, joined(&[&MAC, &[0x12, 0x34, 0, 0]]), LinkReject::EtherType(0x1234)),
        ("an unknown link type", 147, vec![0; 60], LinkReject::LinkType(147)),
        ("five bytes of Ethernet", 1, vec![0; 5], plain(Reject::BadLink)),
    ];
    for (name, link, bytes, wanted) in table {
        let layer = Layer::new(bytes, 0, bytes.len() as u32);
        assert_eq!(peel(LinkType(*link), layer).map(|l| l.offset), Err(*wanted), "{name}");
    }
    let cut = Layer::new(&MAC, 0, 60);
    assert_eq!(
        peel(LinkType(1), cut).map(|l| l.offset),
        Err(plain(Reject::TruncatedLink)),
        "a frame cut by the snap length"
    );
}
