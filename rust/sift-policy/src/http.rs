//! `kind = "http"`: where a request may go is read from its URL, before any policy.
//!
//! Only URLs that every parser reads alike are taken: `scheme://host[:port][/path][?query]` in printable ASCII, without
//! user names, backslashes, dot segments or encodings that hide one. Headers are tokens and printable ASCII, and none
//! of them sends the request elsewhere. Names are resolved by the tool, not here, so the tool
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
    /// A header that is malformed, or that changes where the request goes or what it is.
    Header,
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
            HttpReason::Header => "http_header",
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
    /// Names of [`STEERING_HEADERS`] that may be sent all the same; never `Host`.
    #[serde(default)]
    steering_headers: Vec<String>,
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
        let steers = |name: &&String| !STEERING_HEADERS.contains(&folded(name).as_str());
        if let Some(name) = self.steering_headers.iter().find(steers) {
            return Err(format!(
                "http.steering_headers holds `{name}`, which needs no permission or gets none"
            ));
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
        self.headers(args)?;
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
            // Gateways that fold `_` to `-` see `X_Tenant` and `X-Tenant` as one header with two values.
            let wanted = folded(header);
            let mut named = headers.iter().filter(|(name, _)| folded(name) == wanted);
            match (named.next(), named.next()) {
                (Some((name, value)), None)
                    if name.eq_ignore_ascii_case(header) && value.as_str() == Some(tenant) => {}
                _ => return Err(HttpReason::TenantMissing),
            }
        }
        Ok(())
    }

    /// Names are tokens of RFC 9110, values are printable ASCII, and none steers the request.
    fn headers(&self, args: &Value) -> Result<(), HttpReason> {
        let Some(headers) = self.headers.as_ref().and_then(|pointer| args.pointer(pointer)) else {
            return Ok(());
        };
        let printable = |byte: u8| matches!(byte, b' '..=b'~' | b'\t');
        for (name, value) in headers.as_object().ok_or(HttpReason::Header)?.iter() {
            let token =
                |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let folded_name = folded(name);
            let listed =
                || self.steering_headers.iter().any(|header| folded(header) == folded_name);
            let steers = folded_name == "host"
                || (STEERING_HEADERS.contains(&folded_name.as_str()) && !listed());
            let value = value.as_str().ok_or(HttpReason::Header)?;
            if name.is_empty()
                || !name.bytes().all(token)
                || steers
                || !value.bytes().all(printable)
            {
                return Err(HttpReason::Header);
            }
        }
        Ok(())
    }
}

/// Headers that belong to one connection (RFC 9110 section 7.6.1), frame the body, or make a gateway take another
/// method, host or path than the request has. Folded, and in order.
const STEERING_HEADERS: [&str; 21] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-host",
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// A header's name as the most lenient gateway compares it.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
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
        if path.contains("//") || !path.split('/').all(plain_segment) {
            return None;
        }
        Some(Self { scheme, host, port, path: if path.is_empty() { "/" } else { path } })
    }
}

/// A segment of a path that stays one after any number of decodings: no dots alone, no parameters, and what is encoded
/// is UTF-8 and neither a separator, a control character, nor a character that need not be encoded (RFC 3986 section
/// 2.3), in any width.
fn plain_segment(segment: &str) -> bool {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return false };
        let Ok(byte) = u8::try_from(high * 16 + low) else { return false };
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if unreserved || byte.is_ascii_control() || b"/\\%;".contains(&byte) {
            return false;
        }
        decoded.push(byte);
    }
    // Dots, slashes and percent signs of other widths, which some servers map to the ASCII ones.
    let mapped = |character: char| {
        matches!(
            character,
            '\u{2024}'
                ..='\u{2026}'
                    | '\u{2044}'
                    | '\u{2215}'
                    | '\u{2216}'
                    | '\u{29f5}'
                    | '\u{29f8}'
                    | '\u{fe52}'
                    | '\u{fe68}'
                    | '\u{fe6a}'
                    | '\u{ff05}'
                    | '\u{ff0e}'
                    | '\u{ff0f}'
                    | '\u{ff3c}'
        )
    };
    let Ok(decoded) = String::from_utf8(decoded) else { return false };
    let dots = matches!(decoded.trim(), "." | "..");
    !dots && !decoded.contains(';') && !decoded.contains(mapped)
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

/// Names that never leave the machine or the site (RFC 6761, RFC 6762 with appendix G, RFC 9476, clusters and common
/// practice).
fn is_local_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    !name.contains('.')
        || [
            "localhost",
            "local",
            "localdomain",
            "localnet",
            "internal",
            "intranet",
            "private",
            "home",
            "svc",
            "mail",
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
