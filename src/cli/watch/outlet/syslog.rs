//! Syslog: messages of RFC 5424 to the local socket, over UDP, or over TCP with octet counting (RFC 6587).
//! In: whole messages. Out: one datagram each, or one counted frame.
//! Bounds: a message over [`DATAGRAM_BYTES_MAX`] goes into a datagram cut to that; TCP takes all of it.

use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use super::{Carrier, Failure};
use crate::report::live::octet_counted;

/// Most bytes of a datagram: what receivers take at least by default is 8 KiB.
const DATAGRAM_BYTES_MAX: usize = 8_192;
/// Longest wait for a connection or a write.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where messages go, as the option says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A local socket.
    Unix(PathBuf),
    /// `HOST:PORT` over UDP.
    Udp(String),
    /// `HOST:PORT` over TCP.
    Tcp(String),
}

impl Target {
    /// `local`, `unix:/dev/log`, `udp://host:514`, `tcp://host:601`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let with_port = |rest: &str, port: u16| {
            let has_port = rest.rsplit_once(':').is_some_and(|(host, port)| {
                port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
            });
            if has_port { rest.to_owned() } else { format!("{rest}:{port}") }
        };
        let strip = |scheme: &str| {
            let rest = text.strip_prefix(scheme)?.strip_prefix(':')?;
            Some(rest.strip_prefix("//").unwrap_or(rest)).filter(|rest| !rest.is_empty())
        };
        if text == "local" {
            return Ok(Self::Unix("/dev/log".into()));
        }
        if let Some(path) = strip("unix") {
            return Ok(Self::Unix(path.into()));
        }
        if let Some(rest) = strip("udp") {
            return Ok(Self::Udp(with_port(rest, 514)));
        }
        if let Some(rest) = strip("tcp") {
            return Ok(Self::Tcp(with_port(rest, 601)));
        }
        Err(format!("{text:?}: write local, unix:/dev/log, udp://host:514 or tcp://host:601"))
    }
}

/// A way to syslog, connected when it is needed.
pub struct Syslog {
    target: Target,
    way: Option<Way>,
}

enum Way {
    Unix(UnixDatagram),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Syslog {
    /// To a target.
    pub fn new(target: Target) -> Self {
        Self { target, way: None }
    }

    fn connect(target: &Target) -> io::Result<Way> {
        let first = |place: &str| {
            place.to_socket_addrs()?.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such host"))
        };
        Ok(match target {
            Target::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                socket.connect(path)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Way::Unix(socket)
            }
            Target::Udp(place) => {
                let to = first(place)?;
                let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
                socket.connect(to)?;
                Way::Udp(socket)
            }
            Target::Tcp(place) => {
                let stream = TcpStream::connect_timeout(&first(place)?, PATIENCE)?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Way::Tcp(stream)
            }
        })
    }
}

impl Carrier for Syslog {
    fn carry(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(bytes);
        let way = match self.way.take() {
            Some(way) => Ok(way),
            None => Self::connect(&self.target),
        };
        let sent = way.and_then(|mut way| {
            let cut = &bytes[..text.floor_char_boundary(DATAGRAM_BYTES_MAX.min(text.len())).min(bytes.len())];
            match &mut way {
                Way::Unix(socket) => socket.send(cut).map(drop),
                Way::Udp(socket) => socket.send(cut).map(drop),
                Way::Tcp(stream) => stream.write_all(&octet_counted(&text)),
            }?;
            // A way that failed is not used again: it is connected anew.
            self.way = Some(way);
            Ok(())
        });
        sent.map_err(|error| Failure::Later(format!("{:?}: {error}", self.target)))
    }

    fn attempts_max(&self) -> Option<u32> {
        Some(8)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn targets_are_read_as_people_write_them() {
        for (text, wanted) in [
            ("local", Some(Target::Unix("/dev/log".into()))),
            ("unix:/run/log", Some(Target::Unix("/run/log".into()))),
            ("udp://siem.example:5514", Some(Target::Udp("siem.example:5514".into()))),
            ("udp:siem.example", Some(Target::Udp("siem.example:514".into()))),
            ("tcp://[2001:db8::1]:601", Some(Target::Tcp("[2001:db8::1]:601".into()))),
            ("tcp://[2001:db8::1]", Some(Target::Tcp("[2001:db8::1]:601".into()))),
            ("siem.example", None),
            ("udp:", None),
        ] {
            assert_eq!(Target::parse(text).ok(), wanted, "{text}");
        }
    }

    #[test]
    fn a_message_arrives_by_every_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let unix = UnixDatagram::bind(&path).expect("binds");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("binds");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("binds");
        let place = |at: io::Result<std::net::SocketAddr>| at.expect("bound").to_string();
        let mut buffer = [0; 64];
        Syslog::new(Target::Unix(path)).carry(b"<1>1 a").expect("sends");
        assert_eq!(unix.recv(&mut buffer).map(|n| buffer[..n].to_vec()).expect("came"), b"<1>1 a");
        Syslog::new(Target::Udp(place(udp.local_addr()))).carry(b"<1>1 b").expect("sends");
        assert_eq!(udp.recv(&mut buffer).map(|n| buffer[..n].to_vec()).expect("came"), b"<1>1 b");
        let mut syslog = Syslog::new(Target::Tcp(place(tcp.local_addr())));
        syslog.carry(b"<1>1 c").expect("sends");
        syslog.carry(b"<1>1 dd").expect("sends");
        drop(syslog);
        let mut all = String::new();
        tcp.accept().expect("a peer").0.read_to_string(&mut all).expect("came");
        assert_eq!(all, "6 <1>1 c7 <1>1 dd");
    }
}
