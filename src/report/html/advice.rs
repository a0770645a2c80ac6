//! Advice: what to do next about a finding, by technique.
//! In: a technique. Out: a few steps that a defender can take, nearest first. The finding's own explanation says the
//! particulars; this is what always helps.

use crate::detect::finding::Technique;

/// Steps, nearest first.
pub(super) fn steps(technique: Technique) -> [&'static str; 3] {
    match technique {
        Technique::PopulationFanIn => [
            "Find the product on the sending devices: the server name, the port and one device in your own hands tell.",
            "Ask its maker what is sent, why, and on which legal basis; register the collector if the answer holds.",
            "Until then block the collector's addresses and names at the edge, and watch whether it moves.",
        ],
        Technique::ShadowUpload => [
            "Look on one device for the program that talks whenever others do: an extension, an SDK, a filter driver.",
            "Remove it from a few devices and see the uploads stop; that proves the cause.",
            "Tell the people concerned; what left may hold what they did, not only that they did it.",
        ],
        Technique::BulkExfiltration => [
            "Isolate the sending host, keep its memory and disk as they are.",
            "Find which account and program sent, and what it had access to.",
            "If it is a backup or a transfer that somebody ordered, register it; otherwise follow your breach procedure.",
        ],
        Technique::RecordScraping => [
            "Look in the service's own log for the collector's requests: which records, in which order, by which key.",
            "Limit the rate by what one honest client needs, and require what a machine cannot give cheaply.",
            "If personal data left, the duty to report runs from now.",
        ],
        Technique::TrafficMirroring => [
            "Look at the sender's configuration for a monitor session, a packet capture or a tunnel to this receiver.",
            "Keep the configuration and its log before it is removed: who set it up, when, from where.",
            "Check other devices of the same kind for the same session.",
        ],
        Technique::TapCorrelation => [
            "Find the device that the tunnel begins on, and who ordered the tunnel.",
            "Stop it for some minutes at a quiet time; a copy stops without anybody missing it.",
            "Check whether its volume still follows the population's when the route changes.",
        ],
        Technique::PacketInjection => [
            "Keep the capture: the two conflicting packets are the proof.",
            "Take affected devices off the network and look for what the forged answer delivered.",
            "Compare with a second sensor nearer to the server: it tells on which stretch the shooter sits.",
        ],
        Technique::TlsInterception => [
            "Compare the certificate that a device sees with the one seen from another network.",
            "Look in the device's store of trusted roots for an issuer that nobody installed knowingly.",
            "If it is your own proxy, register it; otherwise treat everything sent through it as read.",
        ],
        Technique::DnsHijack => [
            "Ask the same names from another network and compare the answers.",
            "Look at the DHCP and router settings that hand out resolvers, and who changed them.",
            "Block port 53 to strangers, and give the devices an authenticated resolver.",
        ],
        Technique::DnsTunnel => [
            "Find the process that asks these names on the host; nothing honest asks so many.",
            "Block the domain at the resolver, and keep its log: the names are the data that left.",
            "Look for the same domain on other hosts and in older logs.",
        ],
        Technique::BeaconingImplant => [
            "Take one of the calling devices and find the program that calls; do not wait for the next command.",
            "Search all devices for the same program, name or address.",
            "Block the party, and watch for a second one: implants carry a spare.",
        ],
        Technique::CrossBorderTransfer => [
            "Ask the product's owner where its data is kept, and whether the contract says the same.",
            "If the transfer is allowed, add it to the policy with its reference; if not, stop it at the edge.",
            "Check the place: addresses of a CDN or an anycast service may answer elsewhere than the database says.",
        ],
        Technique::UnattributedCluster => [
            "Look at the collector's name, owner and certificate, and ask the owners of the devices what it is.",
            "If it is harmless, register it or train the model with it; if nobody knows it, block it.",
            "Keep a capture of it: what no technique explains is how a new one begins.",
        ],
    }
}
