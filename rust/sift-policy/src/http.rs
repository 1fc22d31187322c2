//! `kind = "http"`: where a request may go is read from its URL, before any policy.
//!
//! Only URLs that every parser reads alike are taken: `scheme://host[:port][/path][?query]` in printable ASCII, without
//! user names, backslashes, dot segments or encoded separators. Names are resolved by the tool, not here, so the tool
//! keeps the other half of the rule: resolve once, pass every address to [`check_addresses`], connect to an address that
//! was checked, and ask again for a redirect.

use crate::json::Value;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of a URL.
const MAX_URL: usize = 8192;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HttpReason {
    /// The URL is missing, too long, or two parsers could read it differently.
    Url,
    /// Not one of the schemes.
    SchemeNotAllowed,
    /// Not one of the hosts.
    HostNotAllowed,
    /// Not one of the ports.
    PortNotAllowed,
    /// Not one of the methods.
    MethodNotAllowed,
    /// A loopback, private, link-local or otherwise not public address.
    PrivateAddress,
    /// Neither path nor header holds the tenant where the manifest wants it.
    TenantMissing,
}

impl HttpReason {
    /// The code, such as `http_private_address`.
    pub fn code(self) -> &'static str {
        match self {
            HttpReason::Url => "http_url",
            HttpReason::SchemeNotAllowed => "http_scheme_not_allowed",
            HttpReason::HostNotAllowed => "http_host_not_allowed",
            HttpReason::PortNotAllowed => "http_port_not_allowed",
            HttpReason::MethodNotAllowed => "http_method_not_allowed",
            HttpReason::PrivateAddress => "http_private_address",
            HttpReason::TenantMissing => "http_tenant_missing",
        }
    }
}

/// The table `http` of a tool.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpRules {
    /// JSON pointer of the URL.
    url: String,
    /// JSON pointer of the method; without it the tool uses the only one of `methods`.
    method: Option<String>,
    /// JSON pointer of the headers, an object.
    headers: Option<String>,
    /// Hosts, `api.example.com` or `*.example.com` for the names below.
    hosts: Vec<String>,
    methods: Vec<String>,
    #[serde(default = "https_only")]
    schemes: Vec<String>,
    /// Ports besides the scheme's own.
    #[serde(default)]
    ports: Vec<u16>,
    /// What the path begins with; `{tenant}` stands for the tenant.
    tenant_path: Option<String>,
    /// Header that holds the tenant.
    tenant_header: Option<String>,
    /// Whether private addresses are allowed, for services of one's own.
    #[serde(default)]
    private: bool,
}

fn https_only() -> Vec<String> {
    vec!["https".to_owned()]
}

/// What a policy sees of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpFacts {
    pub(crate) scheme: String,
    pub(crate) host: String,
    pub(crate) port: i64,
    pub(crate) method: String,
    pub(crate) path: String,
}

impl HttpRules {
    pub(crate) fn validate(&self) -> Result<(), String> {
        let pointers = [Some(&self.url), self.method.as_ref(), self.headers.as_ref()];
        if pointers.into_iter().flatten().any(|pointer| !pointer.starts_with('/')) {
            return Err("http.url, http.method and http.headers are JSON pointers such as `/url`"
                .to_owned());
        }
        if self.hosts.is_empty() || self.methods.is_empty() {
            return Err("http.hosts and http.methods list what is allowed; one is empty".to_owned());
        }
        let plain = |host: &String| host_name(host.strip_prefix("*.").unwrap_or(host)).is_some();
        if let Some(host) = self.hosts.iter().find(|host| !plain(host)) {
            return Err(format!(
                "http.hosts holds `{host}`; write a lower-case name, an address, or `*.name`"
            ));
        }
        if self.method.is_none() && self.methods.len() != 1 {
            return Err(
                "http.method is the JSON pointer of the method, unless http.methods has one only"
                    .to_owned(),
            );
        }
        if let Some(path) = &self.tenant_path {
            let after = path.split_once("{tenant}").map(|(_, after)| after);
            if !path.starts_with('/') || after.is_none_or(|after| !after.starts_with('/')) {
                return Err(
                    "http.tenant_path is a prefix such as `/v1/{tenant}/`, closed by a `/`"
                        .to_owned(),
                );
            }
        }
        if self.tenant_header.is_some() && self.headers.is_none() {
            return Err(
                "http.tenant_header needs http.headers, the JSON pointer of the headers".to_owned()
            );
        }
        let known = |scheme: &String| scheme == "https" || scheme == "http";
        if !self.schemes.iter().all(known) || self.schemes.is_empty() {
            return Err("http.schemes holds `https`, `http` or both".to_owned());
        }
        Ok(())
    }

    pub(crate) fn check(&self, tenant: &str, args: &Value) -> Result<HttpFacts, HttpReason> {
        let url = args.pointer(&self.url).and_then(Value::as_str).ok_or(HttpReason::Url)?;
        let url = Url::parse(url).ok_or(HttpReason::Url)?;
        if !self.schemes.iter().any(|scheme| *scheme == url.scheme) {
            return Err(HttpReason::SchemeNotAllowed);
        }
        let method = match &self.method {
            Some(pointer) => {
                args.pointer(pointer).and_then(Value::as_str).ok_or(HttpReason::MethodNotAllowed)?
            }
            None => self.methods.first().map_or("", String::as_str),
        };
        if !self.methods.iter().any(|allowed| allowed == method) {
            return Err(HttpReason::MethodNotAllowed);
        }
        if !self.private {
            let private = match &url.host {
                Host::Address(address) => !is_public(*address),
                Host::Name(name) => is_local_name(name),
            };
            if private {
                return Err(HttpReason::PrivateAddress);
            }
        }
        let host = match &url.host {
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name.clone(),
        };
        let allows = |pattern: &String| match (pattern.strip_prefix("*."), &url.host) {
            (Some(suffix), Host::Name(name)) => name
                .strip_suffix(suffix)
                .is_some_and(|front| front.len() > 1 && front.ends_with('.')),
            (Some(_), Host::Address(_)) => false,
            (None, _) => *pattern == host,
        };
        if !self.hosts.iter().any(allows) {
            return Err(HttpReason::HostNotAllowed);
        }
        let own = if url.scheme == "https" { 443 } else { 80 };
        let port = url.port.unwrap_or(own);
        if port != own && !self.ports.contains(&port) {
            return Err(HttpReason::PortNotAllowed);
        }
        self.tenant(tenant, &url, args)?;
        Ok(HttpFacts {
            scheme: url.scheme.to_owned(),
            host,
            port: i64::from(port),
            method: method.to_owned(),
            path: url.path.to_owned(),
        })
    }

    fn tenant(&self, tenant: &str, url: &Url<'_>, args: &Value) -> Result<(), HttpReason> {
        // A tenant that is not plain would have to be encoded, and encodings can be read differently.
        let plain =
            tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
        if let Some(prefix) = &self.tenant_path {
            if !plain || !url.path.starts_with(&prefix.replace("{tenant}", tenant)) {
                return Err(HttpReason::TenantMissing);
            }
        }
        if let (Some(header), Some(pointer)) = (&self.tenant_header, &self.headers) {
            let headers = args
                .pointer(pointer)
                .and_then(Value::as_object)
                .ok_or(HttpReason::TenantMissing)?;
            let mut named = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(header));
            match (named.next(), named.next()) {
                (Some((_, value)), None) if value.as_str() == Some(tenant) => {}
                _ => return Err(HttpReason::TenantMissing),
            }
        }
        Ok(())
    }
}

enum Host {
    Name(String),
    Address(IpAddr),
}

struct Url<'a> {
    scheme: &'a str,
    host: Host,
    port: Option<u16>,
    path: &'a str,
}

impl<'a> Url<'a> {
    /// The part of RFC 3986 that the WHATWG rules read in the same way.
    fn parse(text: &'a str) -> Option<Self> {
        let printable = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte);
        if text.len() > MAX_URL || !text.bytes().all(printable) {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        if scheme != "https" && scheme != "http" {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end)?;
        let (host, port) = if authority.starts_with('[') {
            let (address, port) = authority.split_at_checked(authority.find(']')? + 1)?;
            (address, port)
        } else {
            authority.split_at_checked(authority.find(':').unwrap_or(authority.len()))?
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some(digits)
                if !digits.is_empty()
                    && digits.len() <= 5
                    && digits.bytes().all(|b| b.is_ascii_digit()) =>
            {
                Some(digits.parse().ok().filter(|port| *port != 0)?)
            }
            _ => return None,
        };
        let host = host_name(host)?;
        let path_end = rest.find(['?', '#']).unwrap_or(rest.len());
        let path = rest.get(..path_end)?;
        let lower = path.to_ascii_lowercase();
        let encoded = ["%2e", "%2f", "%5c", "%00", "%25"].iter().any(|code| lower.contains(code));
        let dots = path
            .split('/')
            .any(|segment| segment == "." || segment == ".." || segment.contains(';'));
        if encoded || dots || path.contains("//") {
            return None;
        }
        Some(Self { scheme, host, port, path: if path.is_empty() { "/" } else { path } })
    }
}

/// A host in the one form everybody reads alike: lower-case name, dotted decimal address, `[address]`.
fn host_name(host: &str) -> Option<Host> {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().ok().map(|address| Host::Address(IpAddr::V6(address)));
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Some(Host::Address(IpAddr::V4(address)));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    // A last label of digits, or `0x..`, is an address to some parsers: 127.1, 2130706433, 0x7f.1.
    let last = host.rsplit('.').next()?;
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    (host.len() <= 253 && !numeric && host.split('.').all(label))
        .then(|| Host::Name(host.to_owned()))
}

/// Names that never leave the machine or the site (RFC 6761, RFC 6762, RFC 9476 and common practice).
fn is_local_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    !name.contains('.')
        || [
            "localhost",
            "local",
            "internal",
            "intranet",
            "home",
            "lan",
            "corp",
            "arpa",
            "test",
            "invalid",
            "onion",
            "alt",
        ]
        .contains(&last)
}

/// Whether an address is one of the public Internet: the IANA special-purpose registries of IPv4 and IPv6 are not.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            !(a == 0
                || a == 10
                || a == 127
                || (a == 100 && (64..128).contains(&b))
                || (a == 169 && b == 254)
                || (a == 172 && (16..32).contains(&b))
                || (a == 192 && b == 0 && (c == 0 || c == 2))
                || (a == 192 && b == 31 && c == 196)
                || (a == 192 && b == 52 && c == 193)
                || (a == 192 && b == 88 && c == 99)
                || (a == 192 && b == 168)
                || (a == 192 && b == 175 && c == 48)
                || (a == 198 && (b == 18 || b == 19))
                || (a == 198 && b == 51 && c == 100)
                || (a == 203 && b == 0 && c == 113)
                || a >= 224)
        }
        IpAddr::V6(address) => {
            let segments = address.segments();
            // Global unicast is 2000::/3; of it the documentation, benchmark, ORCHID, Teredo, 6to4 and SRv6 ranges
            // carry something else. Addresses that hold an IPv4 address are all outside or among these.
            let [first, second, ..] = segments;
            (first & 0xe000) == 0x2000
                && !(first == 0x2001 && second < 0x0200)
                && !(first == 0x2001 && second == 0x0db8)
                && first != 0x2002
                && !(first == 0x3fff && second < 0x1000)
                && first != 0x5f00
        }
    }
}

/// What a tool asks after it resolved a name, and before it connects.
///
/// # Errors
/// [`HttpReason::PrivateAddress`] when there is no address, or one of them is not public.
pub fn check_addresses(addresses: &[IpAddr]) -> Result<(), HttpReason> {
    if !addresses.is_empty() && addresses.iter().all(|address| is_public(*address)) {
        Ok(())
    } else {
        Err(HttpReason::PrivateAddress)
    }
}
