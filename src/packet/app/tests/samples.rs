//! Streams that the tests are made of, built from their parts, so that each byte's meaning can be read here.

/// A self-signed certificate made for these tests: C=NL, O=Example\, Ltd., CN=www.example.net; names www.example.net,
/// *.Example.net and the address 192.0.2.1.
pub(in crate::packet::app) const CERTIFICATE: &str = "\
30820209308201aea0030201020214504d9c3ad02420c003524b5669460c3fa0605614300a06082a8648ce3d040302303f310b30090603550406\
13024e4c31163014060355040a0c0d4578616d706c652c204c74642e3118301606035504030c0f7777772e6578616d706c652e6e65743020170d\
3236313132333139303634375a180f32313236313033303139303634375a303f310b3009060355040613024e4c31163014060355040a0c0d4578\
616d706c652c204c74642e3118301606035504030c0f7777772e6578616d706c652e6e65743059301306072a8648ce3d020106082a8648ce3d03\
0107034200040dc3e8c6e84ba74a6f0495c67dcab88a39a8289eae7967fef2e5520cb87f430e00beba446d4e99d99dd6b07a4727d5a92cb26427\
9ec11ff7f0bebf1814a59436a38185308182301d0603551d0e04160414eab526e759180660bf169d280722467a384f75eb301f0603551d230418\
30168014eab526e759180660bf169d280722467a384f75eb300f0603551d130101ff040530030101ff302f0603551d1104283026820f7777772e\
6578616d706c652e6e6574820d2a2e4578616d706c652e6e65748704c0000201300a06082a8648ce3d0403020349003046022100b0fe9125730a\
ee9128a6186b21f6920355a4b4b67cf2a6e0c3e1c95383e0d659022100f4acae6af418e59544216243e919e982b7cbf6ce8a1e5cc734f2821542\
46e0c4";

pub(in crate::packet::app) fn hex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("a hexadecimal digit") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn with_length(bytes: usize, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_be_bytes();
    [&length[4 - bytes..], content].concat()
}

pub(in crate::packet::app) fn extension(number: u16, content: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], &with_length(2, content)].concat()
}

/// A handshake message: type, 24 bits of length, body.
pub(in crate::packet::app) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &with_length(3, body)].concat()
}

/// One TLS record.
pub(in crate::packet::app) fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &with_length(2, body)].concat()
}

/// Handshake bytes in records of at most `size` bytes.
pub(in crate::packet::app) fn records(handshake: &[u8], size: usize) -> Vec<u8> {
    handshake.chunks(size).flat_map(|chunk| record(22, chunk)).collect()
}

/// The extensions of a client hello for `name`: SNI, ALPN h2, signature algorithms, versions 1.3 and 1.2, GREASE around.
pub(in crate::packet::app) fn client_extensions(name: &str) -> Vec<u8> {
    let host = [&[0][..], &with_length(2, name.as_bytes())].concat();
    [
        extension(0x1a1a, &[]),
        extension(0, &with_length(2, &host)),
        extension(16, &with_length(2, b"\x02h2\x08http/1.1")),
        extension(13, &with_length(2, &[4, 3, 8, 4])),
        extension(43, &with_length(1, &[0x2a, 0x2a, 3, 4, 3, 3])),
        extension(51, &[0x55; 90]),
    ]
    .concat()
}

/// A client hello's body with these extensions; suites 1301, c02f and GREASE.
pub(in crate::packet::app) fn client_hello_body(extensions: &[u8]) -> Vec<u8> {
    let suites = with_length(2, &[0x3a, 0x3a, 0x13, 0x01, 0xc0, 0x2f]);
    [&[3, 3][..], &[7; 32], &[0], &suites, &[1, 0], &with_length(2, extensions)].concat()
}

pub(in crate::packet::app) fn client_hello(name: &str) -> Vec<u8> {
    message(1, &client_hello_body(&client_extensions(name)))
}

/// JA4 of [`client_hello`] over TLS.
pub(in crate::packet::app) const CLIENT_HELLO_JA4: &str = "t13d0205h2_c1929292aa6b_7a92526c31dc";

/// A server hello with these random bytes and extensions, suite c02f.
pub(in crate::packet::app) fn server_hello(random: &[u8; 32], suite: u16, extensions: &[u8]) -> Vec<u8> {
    let body = [&[3, 3][..], random, &[0], &suite.to_be_bytes(), &[0], &with_length(2, extensions)].concat();
    message(2, &body)
}

/// A TLS 1.2 server's flight: hello with ALPN h2, certificate (the leaf twice, as a chain), done.
pub(in crate::packet::app) fn server_flight_tls12() -> Vec<u8> {
    let leaf = with_length(3, &hex(CERTIFICATE));
    let chain = with_length(3, &[leaf.clone(), leaf].concat());
    let hello = server_hello(&[9; 32], 0xc02f, &extension(16, &with_length(2, b"\x02h2")));
    [hello, message(11, &chain), message(12, &[1; 300]), message(14, &[])].concat()
}

/// A TLS 1.3 server's hello.
pub(in crate::packet::app) fn server_hello_tls13() -> Vec<u8> {
    server_hello(&[9; 32], 0x1301, &[extension(43, &[3, 4]), extension(51, &[0x55; 36])].concat())
}

/// A TLS 1.3 server's wish for a second hello.
pub(in crate::packet::app) fn hello_retry_request() -> Vec<u8> {
    let random = hex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c");
    let random = <&[u8; 32]>::try_from(&random[..]).expect("32 bytes");
    server_hello(random, 0x1301, &[extension(43, &[3, 4]), extension(51, &[0, 23])].concat())
}

/// A DNS message from its parts; names are given as wire bytes.
pub(in crate::packet::app) fn dns(id: u16, flags: u16, counts: [u16; 4], rest: &[&[u8]]) -> Vec<u8> {
    let header: Vec<u8> = [&[id, flags][..], &counts].concat().iter().flat_map(|n| n.to_be_bytes()).collect();
    [&header[..], &rest.concat()].concat()
}

/// A question for A of `www.example.net`.
pub(in crate::packet::app) const QUESTION: &[u8] = b"\x03wWw\x07Example\x03net\x00\x00\x01\x00\x01";

/// A record whose owner is the first question's name.
pub(in crate::packet::app) fn dns_record(kind: u16, ttl: u32, value: &[u8]) -> Vec<u8> {
    [&[0xc0, 12][..], &kind.to_be_bytes(), &[0, 1], &ttl.to_be_bytes(), &with_length(2, value)].concat()
}

pub(in crate::packet::app) fn dns_over_tcp(messages: &[Vec<u8>]) -> Vec<u8> {
    messages.iter().flat_map(|message| with_length(2, message)).collect()
}

/// An answer with a CNAME, two addresses of different TTL, and EDNS.
pub(in crate::packet::app) fn dns_answer(id: u16) -> Vec<u8> {
    let records = [
        dns_record(5, 9, b"\x01a\xc0\x10"),
        dns_record(1, 300, &[192, 0, 2, 7]),
        dns_record(28, 60, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00".to_vec(),
    ];
    dns(id, 0x8180, [1, 3, 0, 1], &[QUESTION, &records.concat()])
}
