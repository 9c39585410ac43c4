//! Names that lead elsewhere: ExternalName Services and `--to`, with a name server of the test's own.

use crate::support::{Builder, Proxy, Upstream, eventually, ingress};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const RED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nred";
const BLUE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nblue";

/// What the name server says of every name.
#[derive(Clone)]
enum Says {
    Addresses(Vec<IpAddr>),
    NoSuchName,
    Nothing,
}

/// A name server on loopback; its answers may be kept for a second.
struct Dns {
    address: SocketAddr,
    says: Arc<Mutex<Says>>,
    asked: Arc<AtomicUsize>,
}

impl Dns {
    fn saying(says: Says) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let dns = Self { address, says: Arc::new(Mutex::new(says)), asked: Arc::default() };
        let (says, asked) = (dns.says.clone(), dns.asked.clone());
        std::thread::spawn(move || {
            let mut packet = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut packet) {
                asked.fetch_add(1, Ordering::SeqCst);
                let says = says.lock().unwrap().clone();
                if let Some(answer) = answer(&packet[..length], &says) {
                    socket.send_to(&answer, peer).unwrap();
                }
            }
        });
        dns
    }

    fn at(addresses: &[&str]) -> Self {
        Self::saying(Says::Addresses(addresses.iter().map(|address| address.parse().unwrap()).collect()))
    }

    fn say(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// `--to name.test:port`
    fn to(&self, port: u16) -> Builder {
        let server = self.address;
        Proxy::builder().settings(move |settings| {
            settings.sources.manifests.clear();
            settings.sources.to = Some(("name.test".into(), port));
            settings.nameservers = vec![server];
        })
    }

    /// An Ingress for `out.io` to an ExternalName Service of the name.
    fn external(&self) -> Builder {
        let server = self.address;
        let text = ingress("out", "out.io", "/", &[]).replace(
            "spec:\n  ports:\n  - { port: 80 }",
            "spec: { type: ExternalName, externalName: name.test, ports: [{ port: 80 }] }",
        );
        assert!(text.contains("ExternalName"));
        Proxy::builder().manifest("out.yaml", &text).settings(|settings| settings.nameservers = vec![server])
    }
}

/// RFC 1035 4: the question's own bytes, and an address record each.
fn answer(question: &[u8], says: &Says) -> Option<Vec<u8>> {
    let name = question[12..].iter().position(|byte| *byte == 0).unwrap() + 13;
    let family = u16::from_be_bytes([question[name], question[name + 1]]);
    let (code, addresses) = match says {
        Says::Addresses(addresses) => (0, addresses.clone()),
        Says::NoSuchName => (3, Vec::new()),
        Says::Nothing => return None,
    };
    let mut records = Vec::new();
    let mut count = 0_u16;
    for address in addresses {
        let data = match (family, address) {
            (1, IpAddr::V4(v4)) => v4.octets().to_vec(),
            (28, IpAddr::V6(v6)) => v6.octets().to_vec(),
            _ => continue,
        };
        count += 1;
        records.extend([0xc0, 12]);
        records.extend(family.to_be_bytes());
        records.extend([0, 1, 0, 0, 0, 1, 0, data.len() as u8]);
        records.extend(data);
    }
    let mut packet = question[..2].to_vec();
    packet.extend([0x81, 0x80 | code, 0, 1]);
    packet.extend(count.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(&question[12..name + 4]);
    packet.extend(records);
    Some(packet)
}

fn endpoints(proxy: &Proxy) -> Vec<String> {
    let backends = proxy.json("/api/backends");
    let endpoints = backends[0]["endpoints"].as_array().cloned().unwrap_or_default();
    endpoints.iter().map(|endpoint| endpoint["address"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_name_leads_to_its_addresses_of_both_families_and_follows_them() {
    let red = Upstream::answering(RED);
    let port = red.address.port();
    let blue = Upstream::at(SocketAddr::from(([127, 0, 0, 2], port)), |peer| {
        while peer.head().is_some() {
            peer.send(BLUE);
        }
    });
    let dns = Dns::at(&["127.0.0.1", "::1"]);
    let proxy = dns.to(port).start();
    let mut client = proxy.client();
    eventually("the name's addresses", || (client.get("h.io", "/").status == 200).then_some(()));
    assert_eq!(endpoints(&proxy), [format!("127.0.0.1:{port}"), format!("[::1]:{port}")]);
    // Nobody listens on ::1: the other family answers.
    for _ in 0..4 {
        assert_eq!(client.get("h.io", "/").text(), "red");
    }
    // Host is the name where the client's own is not passed on; here it is.
    assert!(red.last_head().contains("\r\nhost: h.io\r\n"), "{}", red.last_head());

    dns.say(Says::Addresses(vec!["127.0.0.2".parse().unwrap()]));
    eventually("the new address", || (endpoints(&proxy) == [blue.address.to_string()]).then_some(()));
    assert_eq!(client.get("h.io", "/").text(), "blue");
}

#[test]
fn a_name_that_is_no_more_is_a_503_until_it_is_back() {
    let red = Upstream::answering(RED);
    let dns = Dns::saying(Says::NoSuchName);
    let proxy = dns.to(red.address.port()).start();
    let mut client = proxy.client();
    let response = client.get("h.io", "/");
    assert_eq!((response.status, response.header("retry-after")), (503, Some("1")));
    let problem = eventually("a problem", || proxy.problems().pop());
    assert!(problem.contains("name.test"), "{problem}");
    dns.say(Says::Addresses(vec!["127.0.0.1".parse().unwrap()]));
    eventually("its return", || (client.get("h.io", "/").status == 200).then_some(()));
    assert_eq!(proxy.problems(), [""; 0]);
    dns.say(Says::NoSuchName);
    eventually("its end", || (client.get("h.io", "/").status == 503).then_some(()));
    // No address at all is as bad.
    dns.say(Says::Addresses(vec!["127.0.0.1".parse().unwrap()]));
    eventually("its second return", || (client.get("h.io", "/").status == 200).then_some(()));
    dns.say(Says::Addresses(Vec::new()));
    eventually("its second end", || (client.get("h.io", "/").status == 503).then_some(()));
}

#[test]
fn a_manifests_name_never_leads_to_this_machine() {
    for address in
        ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "169.254.169.254", "fe80::1", "0.0.0.0"]
    {
        let dns = Dns::at(&[address]);
        let proxy = dns.external().start();
        let refused = |problem: &String| problem.contains("may not lead there");
        eventually(address, || proxy.problems().into_iter().find(refused));
        assert_eq!(proxy.client().get("out.io", "/").status, 503, "{address}");
        assert_eq!(endpoints(&proxy), [""; 0], "{address}");
    }
    // What else it leads to is used: an address for documentation, that nobody is asked about here.
    let dns = Dns::at(&["127.0.0.1", "192.0.2.7", "2001:db8::7"]);
    let proxy = dns.external().start();
    eventually("the others", || (!endpoints(&proxy).is_empty()).then_some(()));
    assert_eq!(endpoints(&proxy), ["192.0.2.7:80", "[2001:db8::7]:80"]);
}

#[test]
fn a_silent_name_server_holds_up_nobody() {
    let (dns, red) = (Dns::saying(Says::Nothing), Upstream::answering(RED));
    let proxy = dns.external().manifest("in.yaml", &ingress("in", "in.io", "/", &[red.address])).start();
    let mut client = proxy.client();
    eventually("a question", || (dns.asked.load(Ordering::SeqCst) > 0).then_some(()));
    assert_eq!(client.get("out.io", "/").status, 503);
    assert_eq!(client.get("in.io", "/").text(), "red");
    // Nor an edit.
    proxy.edit(&proxy.manifests().join("in.yaml"), &ingress("in", "new.io", "/", &[red.address]));
    assert_eq!(client.get("new.io", "/").text(), "red");
    let unanswered = eventually("a problem", || proxy.problems().pop());
    assert!(unanswered.contains("name.test"), "{unanswered}");
}

#[test]
fn addresses_serve_on_while_the_name_server_is_silent() {
    let (dns, red) = (Dns::at(&["127.0.0.1"]), Upstream::answering(RED));
    let proxy = dns.to(red.address.port()).start();
    let mut client = proxy.client();
    eventually("the name's address", || (client.get("h.io", "/").status == 200).then_some(()));
    dns.say(Says::Nothing);
    let asked = dns.asked.load(Ordering::SeqCst);
    eventually("questions without an answer", || {
        (dns.asked.load(Ordering::SeqCst) > asked + 2).then_some(())
    });
    assert_eq!(client.get("h.io", "/").text(), "red");
}
