//! Catalogue: the services of the outside world: names, addresses, distance, taste.
//! In: dice. Out: services by kind, most popular first. Bounds: a fixed number of each kind.
//! Addresses are those set aside for documentation and benchmarks (RFC 5737, RFC 2544, RFC 3849): nobody's.

use std::rc::Rc;

use super::stack::{self, Stack};
use crate::synth::dice::{Dice, Seeds, Zipf, secs};
use crate::synth::places::Placed;
use crate::synth::wire::certificate::Issuer;
use crate::synth::wire::tls::{ServerStack, ServerVersion};
use crate::units::{Address, DurationNs};

/// What a service is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Web,
    Assets,
    Adverts,
    Social,
    Messages,
    Push,
    Video,
    Mail,
    Cloud,
    Updates,
    OsTelemetry,
    Things,
    Game,
    Call,
    PlainWeb,
    Check,
    Ntp,
    /// Servers of an enterprise's own.
    Files,
    Database,
    WebApplication,
    Directory,
    Collector,
    /// Platforms of the makers of a fleet.
    Platform,
    /// Made by an operation or a hard negative.
    Own,
}

/// Kind, how many, first label of the names.
const KINDS: &[(Kind, usize, &[&str])] = &[
    (Kind::Web, 160, &["www"]),
    (Kind::Assets, 40, &["static", "cdn", "img", "assets"]),
    (Kind::Adverts, 36, &["ads", "pixel", "events", "collect"]),
    (Kind::Social, 8, &["api", "app", "graph"]),
    (Kind::Messages, 5, &["chat", "edge", "g"]),
    (Kind::Push, 3, &["push", "courier", "notify"]),
    (Kind::Video, 10, &["stream", "media", "play"]),
    (Kind::Mail, 6, &["imap", "mail"]),
    (Kind::Cloud, 5, &["sync", "drive", "photos"]),
    (Kind::Updates, 5, &["dl", "update", "packages"]),
    (Kind::OsTelemetry, 5, &["settings", "config", "v10"]),
    (Kind::Things, 24, &["mqtt", "device", "iot"]),
    (Kind::Game, 6, &["match", "game"]),
    (Kind::Call, 4, &["turn", "sfu", "meet"]),
    (Kind::PlainWeb, 24, &["www", "ocsp", "mirror"]),
    (Kind::Check, 3, &["connectivity", "captive", "detect"]),
    (Kind::Ntp, 5, &["ntp", "time"]),
];

const SYLLABLES: &[&str] = &[
    "ka", "lo", "mi", "ren", "tas", "vor", "zel", "pu", "dan", "fir", "go", "hex", "ira", "jun", "nox", "omi", "pra",
    "quo", "sil", "tem", "ulf", "wex", "yar", "bel", "cor",
];

/// One service.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) addresses: Vec<Address>,
    /// What the name is an alias of, where a CDN serves it.
    pub(crate) alias: Option<String>,
    pub(crate) ttl_s: u32,
    pub(crate) stack: &'static Stack,
    /// Routers between the capture point and the server.
    pub(crate) hops: u8,
    /// One way from the capture point.
    pub(crate) delay: DurationNs,
    pub(crate) tls: ServerStack,
    pub(crate) quic: bool,
    /// Share of segments lost on its own last stretch, beside what the subscriber's line loses.
    pub(crate) loss: f64,
    /// Keeps nothing of what it sent: what was lost it makes anew, with what its clock says by then (uIP and its like).
    pub(crate) rebuilds: bool,
}

/// A place where services live.
struct Site {
    prefix: [u8; 3],
    v6: Option<[u8; 6]>,
    kind: SiteKind,
    hops: u8,
    delay_ms: f64,
    /// Country, autonomous system, whose it is.
    place: (&'static str, u32, String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SiteKind {
    Cdn,
    Cloud,
    Hoster,
}

/// All services.
pub(crate) struct Catalogue {
    pub(crate) services: Vec<Service>,
    /// Numbers of the services of each kind, in the order of `KINDS`, with their popularity.
    by_kind: Vec<(Kind, Vec<u32>, Zipf)>,
    sites: Vec<Site>,
    issuers: [Issuer; 3],
    dice: Dice,
}

impl Catalogue {
    pub(crate) fn new(seeds: &Seeds) -> Self {
        let mut dice = seeds.dice("catalogue", 0);
        let issuers = [
            Issuer::new("NL", "Example Trust", "Example Trust R3", &mut dice),
            Issuer::new("US", "Sample Certificates LLC", "Sample TLS CA 2", &mut dice),
            Issuer::new("DE", "Muster PKI GmbH", "Muster Server CA", &mut dice),
        ];
        let sites = sites(&mut dice);
        let own = seeds.dice("own services", 0);
        let mut catalogue = Self { services: Vec::new(), by_kind: Vec::new(), sites, issuers, dice: own };
        for &(kind, count, labels) in KINDS {
            let numbers = (0..count).map(|rank| catalogue.add_of_kind(kind, rank, labels, &mut dice)).collect();
            catalogue.by_kind.push((kind, numbers, Zipf::new(count, 0.95)));
        }
        catalogue
    }

    pub(crate) fn get(&self, number: u32) -> &Service {
        &self.services[number as usize]
    }

    /// A service of this kind, popular ones more often.
    pub(crate) fn draw(&self, kind: Kind, dice: &mut Dice) -> u32 {
        let (_, numbers, zipf) = self.by_kind.iter().find(|(of, ..)| *of == kind).unwrap_or(&self.by_kind[0]);
        numbers[zipf.draw(dice)]
    }

    /// A service for one generator, on `addresses` addresses of ordinary hosters, beside ordinary services.
    pub(crate) fn add_own(&mut self, name: String, addresses: usize) -> u32 {
        let mut dice = self.dice.fork();
        let hosters: Vec<usize> = (0..self.sites.len()).filter(|i| self.sites[*i].kind == SiteKind::Hoster).collect();
        let site = *dice.pick(&hosters);
        let mut service = self.service(Kind::Own, name, site, addresses, &mut dice);
        // As far away, and on such machines, as what people ordinarily call: nobody is told by distance.
        let wanted = [SiteKind::Cdn, SiteKind::Cloud, SiteKind::Hoster][dice.weighted(&[5.5, 3.5, 1.0])];
        let like: Vec<&Site> = self.sites.iter().filter(|site| site.kind == wanted).collect();
        let like = like[dice.index(like.len())];
        service.hops = like.hops + dice.below(3) as u8;
        service.delay = secs(like.delay_ms * dice.between(0.92, 1.1) / 1e3);
        service.stack = match wanted {
            SiteKind::Cdn => &stack::CDN_SERVER,
            _ if dice.chance(0.12) => &stack::WINDOWS_SERVER,
            _ => &stack::SERVER,
        };
        for _ in 1..addresses {
            let other = *dice.pick(&hosters);
            let address = self.address(other, &mut dice);
            service.addresses.retain(|known| *known != address);
            service.addresses.push(address);
        }
        service.addresses.retain(Address::is_v4);
        self.push(service)
    }

    /// A service of a generator in the middle of a CDN, on addresses that many names share.
    pub(crate) fn add_on_cdn(&mut self, name: String) -> u32 {
        let mut dice = self.dice.fork();
        let site = self.sites.iter().position(|site| site.kind == SiteKind::Cdn).unwrap_or(0);
        let service = self.service(Kind::Own, name, site, 2, &mut dice);
        self.push(service)
    }

    /// A machine of the town's own that answers calls.
    pub(crate) fn add_machine(&mut self, name: String, address: Address) -> u32 {
        let mut dice = self.dice.fork();
        let service = self.service(Kind::Own, name, 0, 1, &mut dice);
        let delay = DurationNs(70_000);
        self.push(Service { addresses: vec![address], alias: None, stack: &stack::SERVER, hops: 0, delay, ..service })
    }

    /// A server inside, by which its kind is drawn from then on.
    pub(crate) fn add_inside(&mut self, kind: Kind, name: String, address: Address) -> u32 {
        let number = self.add_machine(name, address);
        self.list(kind, number);
        number
    }

    /// The platform of a fleet's maker, by which its kind is drawn from then on.
    pub(crate) fn add_platform(&mut self, name: String) -> u32 {
        let number = self.add_own(name, 2);
        self.list(Kind::Platform, number);
        number
    }

    /// All services of a kind.
    pub(crate) fn all(&self, kind: Kind) -> Vec<u32> {
        self.by_kind.iter().find(|(of, ..)| *of == kind).map(|(_, numbers, _)| numbers.clone()).unwrap_or_default()
    }

    fn list(&mut self, kind: Kind, number: u32) {
        match self.by_kind.iter_mut().find(|(of, ..)| *of == kind) {
            Some((_, numbers, zipf)) => {
                numbers.push(number);
                *zipf = Zipf::new(numbers.len(), 0.95);
            }
            None => self.by_kind.push((kind, vec![number], Zipf::new(1, 0.95))),
        }
    }

    /// Where the sites are, for a country and ASN database.
    pub(crate) fn places(&self) -> Vec<Placed> {
        let mut places = Vec::new();
        for site in &self.sites {
            let (country, asn, org) = &site.place;
            let [a, b, c] = site.prefix;
            places.push(Placed::new(Address::v4([a, b, c, 0]), 24, country, *asn, org));
            if let Some(v6) = site.v6 {
                let mut bytes = [0; 16];
                bytes[..6].copy_from_slice(&v6);
                places.push(Placed::new(Address::v6(bytes), 48, country, *asn, org));
            }
        }
        places
    }

    fn push(&mut self, service: Service) -> u32 {
        self.services.push(service);
        (self.services.len() - 1) as u32
    }

    fn add_of_kind(&mut self, kind: Kind, rank: usize, labels: &[&str], dice: &mut Dice) -> u32 {
        let name = format!("{}.{}.example", dice.pick(labels), word(dice, self.services.len()));
        let wanted = match kind {
            Kind::Assets | Kind::Video | Kind::Updates | Kind::Social => SiteKind::Cdn,
            Kind::Web if rank < 40 => SiteKind::Cdn,
            Kind::Push | Kind::Messages | Kind::Cloud | Kind::OsTelemetry | Kind::Adverts | Kind::Check => {
                SiteKind::Cloud
            }
            _ => SiteKind::Hoster,
        };
        let fitting: Vec<usize> = (0..self.sites.len()).filter(|i| self.sites[*i].kind == wanted).collect();
        let site = *dice.pick(&fitting);
        let count = match (wanted, kind) {
            (_, Kind::Ntp) => 1,
            (SiteKind::Cdn, _) => 2 + dice.index(3),
            (SiteKind::Cloud, _) => 1 + dice.index(4),
            (SiteKind::Hoster, _) => 1 + dice.index(2),
        };
        let service = self.service(kind, name, site, count, dice);
        self.push(service)
    }

    fn service(&self, kind: Kind, name: String, site: usize, count: usize, dice: &mut Dice) -> Service {
        let place = &self.sites[site];
        let mut addresses: Vec<Address> = (0..count.max(1)).map(|_| self.address(site, dice)).collect();
        addresses.sort();
        addresses.dedup();
        if let Some(v6) = place.v6.filter(|_| !matches!(kind, Kind::Ntp | Kind::Call | Kind::Game | Kind::Own)) {
            let mut bytes = [0; 16];
            bytes[..6].copy_from_slice(&v6);
            bytes[14..].copy_from_slice(&dice.short().to_be_bytes());
            addresses.push(Address::v6(bytes));
        }
        let cdn = place.kind == SiteKind::Cdn;
        let stack = match place.kind {
            SiteKind::Cdn => &stack::CDN_SERVER,
            _ if dice.chance(0.12) => &stack::WINDOWS_SERVER,
            _ => &stack::SERVER,
        };
        let version = if cdn || dice.chance(0.72) { ServerVersion::Tls13 } else { ServerVersion::Tls12 };
        let bare = name.split_once('.').map_or(name.as_str(), |(_, rest)| rest).to_owned();
        let names = [name.clone(), bare.clone(), format!("*.{bare}")];
        Service {
            alias: cdn.then(|| format!("{}.edge{}.kastanet.example", name.replace('.', "-"), dice.below(4))),
            ttl_s: *dice.pick(if cdn { &[20, 60, 60, 300] } else { &[60, 300, 300, 3600] }),
            stack,
            hops: place.hops + dice.below(3) as u8,
            delay: secs(place.delay_ms * dice.between(0.92, 1.1) / 1e3),
            tls: ServerStack {
                version,
                hybrid: cdn && dice.chance(0.6),
                suite_13: *dice.pick(&[0x1301, 0x1301, 0x1302]),
                suite_12: *dice.pick(&[0xc02b, 0xc02b, 0xc02c]),
                chain: Rc::new(self.issuers[dice.weighted(&[6.0, 3.0, 1.0])].chain(&names, dice)),
            },
            quic: cdn && matches!(kind, Kind::Web | Kind::Assets | Kind::Video | Kind::Social) && dice.chance(0.5),
            loss: 0.0,
            rebuilds: false,
            name,
            addresses,
        }
    }

    /// An address of a site. The first fifty of each prefix are left to what has a fixed place (the resolver, NTP).
    fn address(&self, site: usize, dice: &mut Dice) -> Address {
        let place = &self.sites[site];
        let [a, b, c] = place.prefix;
        let many = if place.kind == SiteKind::Cdn { 24 } else { 190 };
        Address::v4([a, b, c, 60 + dice.below(many) as u8])
    }
}

/// Two CDNs near by, four clouds, and hosters all over the world.
fn sites(dice: &mut Dice) -> Vec<Site> {
    let mut sites = Vec::new();
    for (i, prefix) in [[198, 51, 100], [192, 0, 2]].into_iter().enumerate() {
        let v6 = Some([0x20, 0x01, 0x0d, 0xb8, 0x0c, i as u8]);
        let place = (["US", "NL"][i], 64_600 + i as u32, format!("Kastanet {i}"));
        sites.push(Site {
            prefix,
            v6,
            kind: SiteKind::Cdn,
            hops: 3 + i as u8,
            delay_ms: dice.between(0.8, 3.0),
            place,
        });
    }
    for i in 0..4u8 {
        let v6 = (i < 3).then_some([0x20, 0x01, 0x0d, 0xb8, 0x10, i]);
        let (hops, delay_ms) = (6 + dice.below(5) as u8, dice.between(4.0, 22.0));
        sites.push(Site {
            prefix: [198, 18, 10 * i + dice.below(10) as u8],
            v6,
            kind: SiteKind::Cloud,
            hops,
            delay_ms,
            place: (["IE", "NL", "DE", "US"][usize::from(i)], 64_620 + u32::from(i), format!("Wolk {i}")),
        });
    }
    for i in 0..28u8 {
        let prefix = if i == 0 { [203, 0, 113] } else { [198, 19, 8 * i + dice.below(8) as u8] };
        let v6 = dice.chance(0.5).then_some([0x20, 0x01, 0x0d, 0xb8, 0x30, i]);
        let (hops, delay_ms) = (7 + dice.below(10) as u8, dice.lognormal(18.0, 0.8).min(140.0));
        // Near ones in the country itself and its neighbours, far ones beyond the sea.
        let near = delay_ms < 30.0;
        let countries: &[&str] = if near { &["NL", "DE", "BE", "FR", "GB"] } else { &["US", "SG", "BR", "IN", "JP"] };
        let place = (countries[usize::from(i) % 5], 64_640 + u32::from(i), format!("Hoster {i}"));
        sites.push(Site { prefix, v6, kind: SiteKind::Hoster, hops, delay_ms, place });
    }
    sites
}

/// A name that no other service has.
fn word(dice: &mut Dice, number: usize) -> String {
    let n = SYLLABLES.len();
    let mut word = format!("{}{}", SYLLABLES[number % n], SYLLABLES[number / n % n]);
    for _ in 0..1 + dice.index(2) {
        word += dice.pick::<&str>(SYLLABLES);
    }
    word
}
