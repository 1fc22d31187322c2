//! Where a tool of `kind = "http"` may go.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not expect")]

mod support;

use sift_policy::http::{check_addresses, is_public, HttpReason};
use sift_policy::Policy;
use std::net::IpAddr;
use support::json;

fn manifest(extra: &str) -> String {
    format!(
        r#"
version = 1
[tool.fetch]
kind = "http"
risk = "low"
reversible = true
exports = true
charges = []
args = {{ type = "object", required = ["url"], properties = {{ url = {{ type = "string" }}, method = {{ type = "string" }}, headers = {{ type = "object" }} }} }}
[tool.fetch.http]
url = "/url"
hosts = ["api.example.com", "*.example.org", "203.0.114.7", "127.0.0.1", "[::1]", "localhost", "db.private",
         "localhost.localdomain", "kubernetes.default.svc", "*.cluster.local", "*.corp", "*.home", "*.lan", "*.intranet"]
{extra}
"#
    )
}

fn load(extra: &str) -> Policy {
    Policy::from_texts(
        &manifest(extra),
        &[("p", "@id(\"p\") permit (principal, action, resource);")],
    )
    .unwrap()
}

fn reason(policy: &Policy, args: &str) -> String {
    let mut case = support::case("fetch", "{}");
    case.args = json(args);
    case.decide(policy).reason.to_string()
}

fn ask(policy: &Policy, url: &str) -> String {
    reason(policy, &serde_json::json!({ "url": url }).to_string())
}

#[test]
fn only_urls_that_all_parsers_read_alike_are_taken() {
    let policy = load("methods = [\"GET\"]");
    for (url, expected) in [
        ("https://api.example.com", "allowed"),
        ("https://api.example.com/a/b?q=1&r=%20#top", "allowed"),
        ("https://api.example.com:443/", "allowed"),
        ("https://x.example.org/", "allowed"),
        ("https://a.b.example.org/", "allowed"),
        ("https://203.0.114.7/", "allowed"),
        ("https://example.org/", "http_host_not_allowed"),
        ("https://xexample.org/", "http_host_not_allowed"),
        ("https://api.example.com.evil.net/", "http_host_not_allowed"),
        ("https://evil.net/api.example.com", "http_host_not_allowed"),
        ("https://evil.net?.example.org", "http_host_not_allowed"),
        ("https://evil.net#.example.org", "http_host_not_allowed"),
        ("https://8.8.8.8/", "http_host_not_allowed"),
        ("http://api.example.com/", "http_scheme_not_allowed"),
        ("https://api.example.com:8443/", "http_port_not_allowed"),
        ("https://user@api.example.com/", "http_url"),
        ("https://evil.net\\@api.example.com/", "http_url"),
        ("https://api.example.com\\@evil.net/", "http_url"),
        ("https:\\\\api.example.com", "http_url"),
        ("https:/api.example.com", "http_url"),
        ("//api.example.com/", "http_url"),
        ("HTTPS://api.example.com/", "http_url"),
        ("https://API.example.com/", "http_url"),
        ("https://api.example.com./", "http_url"),
        ("https://api.example.com:/", "http_url"),
        ("https://api.example.com:0/", "http_url"),
        ("https://api.example.com:99999/", "http_url"),
        ("https://api%2eexample.com/", "http_url"),
        ("https://api.example.com/../x", "http_url"),
        ("https://api.example.com/%2e%2E/x", "http_url"),
        ("https://api.example.com/a%2Fb", "http_url"),
        ("https://api.example.com/a//b", "http_url"),
        ("https://api.example.com/a;x=1/b", "http_url"),
        ("https://api.example.com/ x", "http_url"),
        ("https://api.example.com/caf%C3%A9/a%20b%2Cc", "allowed"),
        ("https://api.example.com/v1/%c0%ae%c0%ae/x", "http_url"),
        ("https://api.example.com/v1/%e0%80%ae/x", "http_url"),
        ("https://api.example.com/v1/%ff/x", "http_url"),
        ("https://api.example.com/v1/.%2e/x", "http_url"),
        ("https://api.example.com/v1/%2E%2e", "http_url"),
        ("https://api.example.com/v1/a%5cb", "http_url"),
        ("https://api.example.com/v1/a%00b", "http_url"),
        ("https://api.example.com/v1/a%0d%0ab", "http_url"),
        ("https://api.example.com/v1/%09../x", "http_url"),
        ("https://api.example.com/v1/..%20/x", "http_url"),
        ("https://api.example.com/v1/..%3b/x", "http_url"),
        ("https://api.example.com/v1/%252e/x", "http_url"),
        ("https://api.example.com/v1/%u002e/x", "http_url"),
        ("https://api.example.com/v1/%2", "http_url"),
        ("https://api.example.com/v1/%zz/x", "http_url"),
        ("https://api.example.com/v1/%+1/x", "http_url"),
        ("https://api.example.com/v1/%ef%bc%8e%ef%bc%8e/x", "http_url"),
        ("https://api.example.com/v1/%61dmin", "http_url"),
        ("https://api.example.com/\nX: y", "http_url"),
        ("https://\u{430}pi.example.com/", "http_url"),
        ("ftp://api.example.com/", "http_url"),
        ("file:///etc/passwd", "http_url"),
        ("https://2130706433/", "http_url"),
        ("https://0x7f.1/", "http_url"),
        ("https://127.1/", "http_url"),
        ("https://0177.0.0.1/", "http_url"),
        ("https://1.2.3.4.5/", "http_url"),
        ("https://[::1%25eth0]/", "http_url"),
        ("https://[::1", "http_url"),
        ("", "http_url"),
        ("https://", "http_url"),
    ] {
        assert_eq!(ask(&policy, url), expected, "{url}");
    }
}

#[test]
fn private_addresses_are_refused_even_where_a_host_is_listed() {
    let policy = load("methods = [\"GET\"]");
    for url in [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://localhost/",
        "https://metadata.google.internal/",
        "https://printer.local/",
        "https://db.private/",
        "https://localhost.localdomain/",
        "https://kubernetes.default.svc/",
        "https://kubernetes.default.svc.cluster.local/",
        "https://files.corp/",
        "https://files.home/",
        "https://files.lan/",
        "https://files.intranet/",
        "https://169.254.169.254/",
        "https://10.0.0.1/",
        "https://[fd00::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
    ] {
        assert_eq!(ask(&policy, url), "http_private_address", "{url}");
    }
    let own = load("methods = [\"GET\"]\nprivate = true\nschemes = [\"http\"]\nports = [8080]");
    assert_eq!(ask(&own, "http://127.0.0.1:8080/"), "allowed");
    assert_eq!(ask(&own, "http://[::1]:8080/"), "allowed");
    assert_eq!(ask(&own, "http://[0:0:0:0:0:0:0:1]:8080/"), "allowed");
    assert_eq!(ask(&own, "http://127.0.0.2/"), "http_host_not_allowed");
}

#[test]
fn addresses_are_checked_after_resolution() {
    let parse = |text: &str| text.parse::<IpAddr>().unwrap();
    for public in [
        "8.8.8.8",
        "100.63.0.1",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "2606:4700::1111",
        "2a00::1",
        "2001:4860::8888",
    ] {
        assert!(is_public(parse(public)), "{public}");
    }
    for other in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.8.8.8",
        "169.254.1.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:8.8.8.8",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "2002::1",
        "64:ff9b::808:808",
        "3fff::1",
        "5f00::1",
        "100::1",
    ] {
        assert!(!is_public(parse(other)), "{other}");
    }
    assert_eq!(check_addresses(&[parse("8.8.8.8")]), Ok(()));
    assert_eq!(
        check_addresses(&[parse("8.8.8.8"), parse("10.0.0.1")]),
        Err(HttpReason::PrivateAddress)
    );
    assert_eq!(check_addresses(&[]), Err(HttpReason::PrivateAddress));
}

#[test]
fn the_tenant_is_in_the_path_or_in_a_header() {
    let path = load("methods = [\"GET\"]\ntenant_path = \"/v1/{tenant}/\"");
    assert_eq!(ask(&path, "https://api.example.com/v1/acme/orders"), "allowed");
    for url in
        ["/v1/other/orders", "/v1/acme", "/v1/acmex/", "/v2/acme/", "/x/v1/acme/", "/v1/ACME/"]
    {
        assert_eq!(
            ask(&path, &format!("https://api.example.com{url}")),
            "http_tenant_missing",
            "{url}"
        );
    }
    let mut spaced = support::case("fetch", r#"{"url": "https://api.example.com/v1/a%20b/"}"#);
    spaced.tenant = "a b";
    assert_eq!(spaced.decide(&path).reason.to_string(), "http_tenant_missing");
    let header = load("methods = [\"GET\"]\ntenant_header = \"X-Tenant\"\nheaders = \"/headers\"");
    for (headers, expected) in [
        (r#"{"X-Tenant": "acme"}"#, "allowed"),
        (r#"{"x-tenant": "acme", "Accept": "x"}"#, "allowed"),
        (r#"{"X-Tenant": "other"}"#, "http_tenant_missing"),
        (r#"{"X-Tenant": "acme", "x-tenant": "other"}"#, "http_tenant_missing"),
        (r#"{"X-Tenant": 1}"#, "http_tenant_missing"),
        (r#"{}"#, "http_tenant_missing"),
        (r#"{"X_Tenant": "acme"}"#, "http_tenant_missing"),
        (r#"{"X-Tenant": "acme", "X_Tenant": "other"}"#, "http_tenant_missing"),
        (r#"{"X-Tenant": "acme", "x_tenant": "acme"}"#, "http_tenant_missing"),
    ] {
        let args = format!(r#"{{"url": "https://api.example.com/", "headers": {headers}}}"#);
        assert_eq!(reason(&header, &args), expected, "{headers}");
    }
    assert_eq!(ask(&header, "https://api.example.com/"), "http_tenant_missing");
}

#[test]
fn headers_do_not_send_a_request_elsewhere() {
    let headers = load("methods = [\"GET\"]\nheaders = \"/headers\"");
    let listed = load(
        "methods = [\"GET\"]\nheaders = \"/headers\"\nsteering_headers = [\"Upgrade\", \"connection\"]",
    );
    let ask = |policy: &Policy, headers: serde_json::Value| {
        let args = serde_json::json!({ "url": "https://api.example.com/", "headers": headers });
        reason(policy, &args.to_string())
    };
    for (name, value, expected) in [
        ("Accept", "text/html, */*;q=0.8", "allowed"),
        ("X-Note", "", "allowed"),
        ("X-Note", "a\tb", "allowed"),
        ("Host", "admin.internal", "http_header"),
        ("hOST", "api.example.com", "http_header"),
        ("Connection", "close", "http_header"),
        ("transfer-encoding", "chunked", "http_header"),
        ("Transfer_Encoding", "chunked", "http_header"),
        ("Content-Length", "0", "http_header"),
        ("TE", "trailers", "http_header"),
        ("Upgrade", "websocket", "http_header"),
        ("Proxy-Authorization", "x", "http_header"),
        ("X-HTTP-Method-Override", "DELETE", "http_header"),
        ("X-Original-URL", "/admin", "http_header"),
        ("X-Forwarded-Host", "x", "http_header"),
        (":authority", "admin.internal", "http_header"),
        ("X-Tenant ", "other", "http_header"),
        (" Host", "x", "http_header"),
        ("X-A\r\nHost", "x", "http_header"),
        ("X-A:", "x", "http_header"),
        ("X-\u{e9}", "x", "http_header"),
        ("", "x", "http_header"),
        ("X-A", "b\r\nX-Tenant: other", "http_header"),
        ("X-A", "b\nc", "http_header"),
        ("X-A", "b\rc", "http_header"),
        ("X-A", "b\0c", "http_header"),
        ("X-A", "b\u{10a}c", "http_header"),
    ] {
        let mut given = serde_json::Map::new();
        given.insert(name.to_owned(), value.into());
        assert_eq!(ask(&headers, given.into()), expected, "{name:?}: {value:?}");
    }
    assert_eq!(
        ask(&listed, serde_json::json!({"upgrade": "h2c", "Connection": "upgrade"})),
        "allowed"
    );
    assert_eq!(ask(&listed, serde_json::json!({"Host": "x"})), "http_header");
    assert_eq!(ask(&headers, serde_json::json!({"X-A": 1})), "http_header");
    assert_eq!(ask(&headers, serde_json::json!({"X-A": ["a", "b"]})), "http_header");
}

#[test]
fn methods_are_listed_and_the_request_is_context() {
    let cedar = r#"@id("p") permit (principal, action == Action::"fetch", resource) when {
        context.http.method == "POST" && context.http.host like "*.example.org" && context.http.path like "/v1/*"
        && context.http.port == 443 && context.http.scheme == "https" };"#;
    let manifest = manifest("methods = [\"GET\", \"POST\"]\nmethod = \"/method\"");
    let policy = Policy::from_texts(&manifest, &[("p", cedar)]).unwrap();
    let ask = |method: &str, url: &str| {
        reason(&policy, &format!(r#"{{"url": "{url}", "method": "{method}"}}"#))
    };
    assert_eq!(ask("POST", "https://a.example.org/v1/x"), "allowed");
    assert_eq!(ask("GET", "https://a.example.org/v1/x"), "no_permit");
    assert_eq!(ask("POST", "https://a.example.org/v2/x"), "no_permit");
    assert_eq!(ask("post", "https://a.example.org/v1/x"), "http_method_not_allowed");
    assert_eq!(ask("DELETE", "https://a.example.org/v1/x"), "http_method_not_allowed");
}

#[test]
fn rules_that_cannot_hold_are_errors_at_load() {
    for (extra, part) in [
        ("methods = []", "http.methods"),
        ("methods = [\"GET\", \"POST\"]", "http.method"),
        ("methods = [\"GET\"]\ntenant_path = \"/v1/{tenant}\"", "tenant_path"),
        ("methods = [\"GET\"]\ntenant_header = \"X-Tenant\"", "http.headers"),
        ("methods = [\"GET\"]\nschemes = [\"gopher\"]", "schemes"),
        ("methods = [\"GET\"]\nsteering_headers = [\"Host\"]", "steering_headers"),
        ("methods = [\"GET\"]\nsteering_headers = [\"Accept\"]", "steering_headers"),
    ] {
        let error = Policy::from_texts(&manifest(extra), &[]).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let text = manifest("methods = [\"GET\"]").replace("api.example.com", "API.example.com");
    assert!(Policy::from_texts(&text, &[]).unwrap_err().to_string().contains("lower-case"));
}
