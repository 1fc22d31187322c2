//! Addresses: internet protocol, hardware, host names.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::tlds::TLDS;
use crate::Outcome;

/// IPv4, with a prefix length or not. Addresses that name no one's machine score below an edit.
pub(crate) fn ipv4(value: &[u8], before: &[u8]) -> Outcome {
    let (address, prefix) = split(value, b'/');
    let address = std::str::from_utf8(address).ok().and_then(|text| Ipv4Addr::from_str(text).ok());
    let bits = prefix.map_or(Some(32), number);
    match address {
        Some(_) if bits.is_none_or(|bits| bits > 32) => Outcome::Drop("shape"),
        Some(_) if version_before(before) => Outcome::Set(0.1),
        // A network is no one's machine.
        Some(address) if nowhere(address) || bits != Some(32) => Outcome::Set(0.1),
        // Small numbers are versions more often.
        Some(address) if address.octets().iter().all(|octet| *octet < 30) => Outcome::Set(0.4),
        Some(_) => Outcome::Keep,
        None => Outcome::Drop("shape"),
    }
}

/// Addresses that are no machine's, every machine's, or one's only in a network at home.
fn nowhere(address: Ipv4Addr) -> bool {
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_unspecified()
        || address.is_documentation()
        || address.is_broadcast()
        || address.octets()[0] >= 224
        || address.octets()[0] == 0
}

/// Whether what stands before a number of four parts makes it a version: the word itself shortly before, a sign of
/// requirements (`==1.2.3.4`), a product (`Chrome/120.0.0.0`, RFC 9110, 10.1.5), a package (`tool-1.2.3.4`), or that something is
/// brought to it.
fn version_before(before: &[u8]) -> bool {
    const KEYS: [&[u8]; 12] = [
        b"v",
        b"ver",
        b"vers",
        b"rev",
        b"build",
        b"firmware",
        b"fw",
        b"patch",
        b"sdk",
        b"driver",
        b"tag",
        b"hotfix",
    ];
    // Names of machines go on with their address.
    const MACHINES: [&[u8]; 10] =
        [b"ip", b"ipv", b"host", b"addr", b"client", b"server", b"node", b"from", b"to", b"peer"];
    let tail = |length: usize| &before[before.len().saturating_sub(length)..];
    let has = |text: &[u8], word: &[u8]| {
        text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
    };
    if has(tail(16), b"version") || has(tail(16), b"release") {
        return true;
    }
    let last_word =
        |text: &[u8]| text.iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let is_one = |word: &[u8], of: &[&[u8]]| of.iter().any(|it| it.eq_ignore_ascii_case(word));
    match before {
        [.., b'=' | b'>' | b'<' | b'~', b'='] | [.., b'~', b'>'] => return true,
        [head @ .., mark @ (b'/' | b'-')] => {
            let (outside, word) = head.split_at(head.len() - last_word(head));
            // A step of a path stands behind another one.
            let starts = outside.last().is_none_or(|byte| b" \t\n\r(\"'`,;".contains(byte));
            return word.len() > 1 && starts && (*mark == b'/' || !is_one(word, &MACHINES));
        }
        _ => {}
    }
    let mut key = before;
    while let [rest @ .., b'"' | b'\'' | b':' | b'=' | b' ' | b'(' | b'.'] = key {
        key = rest;
    }
    let word = &key[key.len() - last_word(key)..];
    let brought = || [&b"grad"[..], b"updat", b"bump"].iter().any(|verb| has(tail(24), verb));
    is_one(word, &KEYS) || is_one(word, &[b"to", b"from"]) && brought()
}

/// IPv6 in all the forms of RFC 4291, with zone and prefix length or not.
pub(crate) fn ipv6(value: &[u8], before: &[u8]) -> Outcome {
    if before.last().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_:.%".contains(byte)) {
        return Outcome::Drop("inside");
    }
    let (rest, prefix) = split(value, b'/');
    let (address, zone) = split(rest, b'%');
    let bits = prefix.map_or(Some(128), number);
    let zone = zone.is_none_or(|zone| !zone.is_empty());
    let address = std::str::from_utf8(address).ok().and_then(|text| Ipv6Addr::from_str(text).ok());
    let whole = bits.is_some_and(|bits| bits <= 128) && zone;
    let Some(address) = address.filter(|_| whole) else { return Outcome::Drop("shape") };
    let groups = address.segments().iter().filter(|group| **group != 0).count();
    match (groups, address.is_loopback()) {
        (0, _) => Outcome::Set(0.1),
        // `::1` is this machine, a network is none, `1::2` is a slice of a list.
        (_, true) => Outcome::Set(0.1),
        _ if bits != Some(128) => Outcome::Set(0.1),
        (1..=2, _) if !matches!(address.segments()[0] >> 8, 0x20..=0x3f | 0xfc..=0xff) => {
            Outcome::Set(0.3)
        }
        _ => Outcome::Keep,
    }
}

fn split(value: &[u8], mark: u8) -> (&[u8], Option<&[u8]>) {
    match value.iter().position(|byte| *byte == mark) {
        Some(at) => (&value[..at], value.get(at + 1..)),
        None => (value, None),
    }
}

fn number(digits: &[u8]) -> Option<u32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Hardware address: one separator, not the broadcast nor the empty address, no part of a longer list.
pub(crate) fn mac(value: &[u8], before: &[u8]) -> Outcome {
    if let [name @ .., b':' | b'-' | b'.'] = before {
        // Two or four digits are a further group of something longer; `MAC:` is a label.
        let group = name.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric());
        let digits = group.clone().filter(|byte| byte.is_ascii_hexdigit()).count();
        if digits > 0 && digits == group.count() {
            return Outcome::Drop("inside");
        }
    }
    let mut marks = value.iter().filter(|byte| !byte.is_ascii_hexdigit());
    let first = marks.next();
    if marks.any(|mark| Some(mark) != first) {
        return Outcome::Drop("mixed_separators");
    }
    let mut digits = value.iter().filter(|byte| byte.is_ascii_hexdigit());
    let same = |digit: u8| digits.clone().all(|byte| byte.eq_ignore_ascii_case(&digit));
    if same(b'f') || same(b'0') {
        return Outcome::Drop("no_machine");
    }
    match digits.by_ref().count() {
        12 => Outcome::Keep,
        _ => Outcome::Drop("shape"),
    }
}

/// Whether a backslash at the end of a text escapes what follows; of two, JSON in a string of JSON may have the second.
pub(crate) fn is_escaped(text: &[u8]) -> bool {
    text.last() == Some(&b'\\')
}

/// Whether a text begins as an escape of JSON goes on behind its backslash.
pub(crate) fn begins_escape(text: &[u8]) -> bool {
    match text {
        [b'n' | b'r' | b't' | b'b' | b'f', ..] => true,
        [b'u', digits @ ..] => {
            digits.get(..4).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        }
        _ => false,
    }
}

/// Whether a text ends in an escape of JSON.
fn ends_in_escape(text: &[u8]) -> bool {
    [1, 5].into_iter().any(|length| {
        text.len().checked_sub(length).map(|at| text.split_at(at)).is_some_and(
            |(before, escape)| {
                is_escaped(before) && begins_escape(escape) && (length == 5) == (escape[0] == b'u')
            },
        )
    })
}

/// An e-mail address: its domain ends in a top-level domain; neither a remote of git nor user and host of a URL.
///
/// It begins where a word does, and behind the letter of an escape (`\nann@`, `\u4f60ann@`), which is no part of it.
pub(crate) fn email(value: &[u8], before: &[u8]) -> Outcome {
    let first = value.first().copied().unwrap_or_default();
    if is_escaped(before) && begins_escape(value) {
        return Outcome::Drop("escape");
    }
    if first.is_ascii_alphanumeric()
        && before.last().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && !ends_in_escape(before)
    {
        return Outcome::Drop("part");
    }
    let (local, Some(domain)) = split(value, b'@') else { return Outcome::Drop("shape") };
    // In the authority alone: behind a path, a query or a quotation mark it is an address as any other.
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"/?#\\\"'`<>()[]{},;|".contains(byte);
    let user = before.iter().rev().take_while(|byte| !ends(byte)).count();
    if before[..before.len() - user].ends_with(b"://") {
        return Outcome::Drop("url");
    }
    if local.eq_ignore_ascii_case(b"git") {
        return Outcome::Set(0.3);
    }
    match ends_in_tld(domain) || ends_in_letters(domain) {
        true => Outcome::Keep,
        false => Outcome::Drop("top_level_domain"),
    }
}

/// Whether the last label of a domain has no byte of ASCII: top-level domains of other alphabets come every year, and
/// behind an at sign and a point nothing else is written so.
fn ends_in_letters(domain: &[u8]) -> bool {
    let mut labels = domain.rsplit(|byte| *byte == b'.');
    let last =
        labels.next().is_some_and(|label| label.len() > 3 && !label.iter().any(u8::is_ascii));
    last && labels.next().is_some_and(|label| !label.is_empty())
}

/// A URL or host name: the host ends in a top-level domain.
///
/// Without a scheme or `www.` only the oldest domains are sure: `.sh`, `.py` and `.name` end names in code.
pub(crate) fn url(value: &[u8]) -> Outcome {
    let scheme = value.windows(3).position(|part| part == b"://");
    let rest = scheme.map_or(value, |at| &value[at + 3..]);
    let authority =
        rest.iter().position(|byte| b"/?#".contains(byte)).map_or(rest, |at| &rest[..at]);
    let host = authority.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
    let (host, _port) = split(host, b':');
    if host.len() > 253 || !ends_in_tld(host) {
        return Outcome::Drop("top_level_domain");
    }
    let www = host.len() > 4 && host[..4].eq_ignore_ascii_case(b"www.");
    if www && !host[4..].contains(&b'.') {
        return Outcome::Drop("top_level_domain");
    }
    let old = [&b".com"[..], b".org", b".net", b".edu", b".gov"];
    let old =
        old.iter().any(|end| host.len() > 4 && host[host.len() - 4..].eq_ignore_ascii_case(end));
    match (scheme.is_some() || www, old) {
        (true, _) => Outcome::Keep,
        (false, true) => Outcome::Set(0.5),
        (false, false) => Outcome::Set(0.2),
    }
}

/// Whether the last label of a host name is a top-level domain and labels are not empty.
pub(crate) fn ends_in_tld(host: &[u8]) -> bool {
    let host = host.strip_suffix(b".").unwrap_or(host);
    let Some(dot) = host.iter().rposition(|byte| *byte == b'.') else { return false };
    let label = &host[dot + 1..];
    dot > 0 && is_tld(label) && !host.windows(2).any(|pair| pair == b"..")
}

/// Whether a label is a top-level domain; ASCII case ignored.
///
/// Every other name with a point in code gets here: eight bytes of each domain lie side by side as a number, and the
/// search compares these.
fn is_tld(label: &[u8]) -> bool {
    static HEADS: [u64; TLDS.len()] = {
        let mut heads = [0; TLDS.len()];
        let mut at = 0;
        while at < heads.len() {
            heads[at] = head(TLDS[at].as_bytes());
            at += 1;
        }
        heads
    };
    let wanted = head(label);
    let first = HEADS.partition_point(|head| *head < wanted);
    let mut same = HEADS.iter().zip(TLDS).skip(first).take_while(|(head, _)| **head == wanted);
    same.any(|(_, known)| known.as_bytes().eq_ignore_ascii_case(label))
}

/// The first eight bytes in lower case, in the order of the bytes.
const fn head(label: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let mut at = 0;
    while at < 8 && at < label.len() {
        bytes[at] = label[at].to_ascii_lowercase();
        at += 1;
    }
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use crate::tlds::TLDS;
    use crate::Check::{Email, Ipv4, Ipv6, Mac, Url};
    use crate::{Check, Outcome, Subject};

    fn run(check: Check, before: &str, value: &str) -> Outcome {
        check.run(&Subject { value: value.as_bytes(), before: before.as_bytes() })
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(TLDS.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(TLDS.iter().all(|known| super::is_tld(known.to_ascii_uppercase().as_bytes())));
        for label in ["png", "co\0", "", "abogad", "abogadoo", "internationa", "internationals"] {
            assert!(!super::is_tld(label.as_bytes()), "{label}");
        }
    }

    #[test]
    fn internet_addresses() {
        for (check, before, value, expected) in [
            (Ipv4, "", "203.0.114.9", Outcome::Keep),
            (Ipv4, "", "198.41.0.4/32", Outcome::Keep),
            (Ipv4, "", "198.41.0.0/24", Outcome::Set(0.1)),
            (Ipv4, "", "198.41.0.4/33", Outcome::Drop("shape")),
            (Ipv4, "", "256.1.1.1", Outcome::Drop("shape")),
            (Ipv4, "", "10.0.0.1", Outcome::Set(0.1)),
            (Ipv4, "", "1.2.3.4", Outcome::Set(0.4)),
            (Ipv4, "Version: ", "120.0.6099.10", Outcome::Drop("shape")),
            (Ipv4, "Version: ", "120.0.60.10", Outcome::Set(0.1)),
            (Ipv4, "\"ver\": \"", "120.0.60.10", Outcome::Set(0.1)),
            (Ipv4, "pkg==", "120.0.60.10", Outcome::Set(0.1)),
            (Ipv4, "Gecko) Chrome/", "120.0.60.10", Outcome::Set(0.1)),
            (Ipv4, "see tool-", "120.0.60.10", Outcome::Set(0.1)),
            (Ipv4, "upgraded to ", "120.0.60.10", Outcome::Set(0.1)),
            (Ipv4, "updating from ", "120.0.60.10", Outcome::Set(0.1)),
            (Ipv4, "http://", "120.0.60.10", Outcome::Keep),
            (Ipv4, "GET /hosts/", "120.0.60.10", Outcome::Keep),
            (Ipv4, "from host-", "120.0.60.10", Outcome::Keep),
            (Ipv4, "ip=", "120.0.60.10", Outcome::Keep),
            (Ipv4, "connected to ", "120.0.60.10", Outcome::Keep),
            (Ipv4, "server: ", "120.0.60.10", Outcome::Keep),
            (Ipv6, "at ", "2001:db8::8a2e:370:7334", Outcome::Keep),
            (Ipv6, "at ", "2001:db8:0:9::%eth0/128", Outcome::Keep),
            (Ipv6, "at ", "2606:4700::/32", Outcome::Set(0.1)),
            (Ipv6, "at ", "64:ff9b::192.0.2.1", Outcome::Keep),
            (Ipv6, "at ", "::1", Outcome::Set(0.1)),
            (Ipv4, "ip = ", "127.0.0.1", Outcome::Set(0.1)),
            (Ipv4, "", "203.0.113.9", Outcome::Set(0.1)),
            (Ipv6, "a[", "1::2", Outcome::Set(0.3)),
            (Ipv6, "x = ", "::", Outcome::Set(0.1)),
            (Ipv6, "std", "::", Outcome::Drop("inside")),
            (Ipv6, "", "1:2:3:4:5:6:7", Outcome::Drop("shape")),
            (Ipv6, "", "2001:db8::/129", Outcome::Drop("shape")),
        ] {
            assert_eq!(run(check, before, value), expected, "{before}{value}");
        }
    }

    #[test]
    fn hardware_addresses() {
        for (before, value, expected) in [
            ("", "00:1A:2b:3C:4d:5E", Outcome::Keep),
            ("", "001A.2B3C.4D5E", Outcome::Keep),
            ("", "00:1A-2B:3C:4D:5E", Outcome::Drop("mixed_separators")),
            ("", "ff:ff:FF:ff:ff:ff", Outcome::Drop("no_machine")),
            ("", "00-00-00-00-00-00", Outcome::Drop("no_machine")),
            ("9a:", "00:1A:2b:3C:4d:5E", Outcome::Drop("inside")),
        ] {
            assert_eq!(run(Mac, before, value), expected, "{before}{value}");
        }
    }

    #[test]
    fn hosts() {
        for (check, before, value, expected) in [
            (Email, "", "a.b+c@example.co.uk", Outcome::Keep),
            (Email, "", "icon@2x.png", Outcome::Drop("top_level_domain")),
            (Email, "", "a@b..com", Outcome::Drop("top_level_domain")),
            (Email, "", "иван@почта.рф", Outcome::Keep),
            (Email, "", "иван@.рф", Outcome::Drop("top_level_domain")),
            (Email, "", "ann@почта.р", Outcome::Drop("top_level_domain")),
            (Email, "https://user:", "pass@example.com", Outcome::Drop("url")),
            (Email, "(https://", "deploy@example.com", Outcome::Drop("url")),
            (
                Email,
                r#"{"avatar":"https://cdn.example.com/1.png","email":""#,
                "ann@example.com",
                Outcome::Keep,
            ),
            (
                Email,
                "https://shop.example.net/unsubscribe?email=",
                "ann@example.com",
                Outcome::Keep,
            ),
            (Email, "https://example.com/about,", "ann@example.com", Outcome::Keep),
            (Email, "", "git@example.com", Outcome::Set(0.3)),
            (Email, r"\", "nann@example.com", Outcome::Drop("escape")),
            (Email, r"\n", "ann@example.com", Outcome::Keep),
            (Email, r"\\", "nann@example.com", Outcome::Drop("escape")),
            (Email, r"\", "u4f60ann@example.com", Outcome::Drop("escape")),
            (Email, r"\u4f", "60ann@example.com", Outcome::Drop("part")),
            (Email, r"\u4f60", "ann@example.com", Outcome::Keep),
            (Email, r"DOMAIN\", "ann@example.com", Outcome::Keep),
            (Email, "n", "ann@example.com", Outcome::Drop("part")),
            (Url, "", "https://example.com/a?b=c.png", Outcome::Keep),
            (Url, "", "https://user@example.com:8443", Outcome::Keep),
            (Url, "", "www.example.museum", Outcome::Keep),
            (Url, "", "https://build.local/a.com", Outcome::Drop("top_level_domain")),
            (Url, "", "www.museum", Outcome::Drop("top_level_domain")),
            (Url, "", "example.org", Outcome::Set(0.5)),
            (Url, "", "self.name", Outcome::Set(0.2)),
        ] {
            assert_eq!(run(check, before, value), expected, "{before}{value}");
        }
    }
}
