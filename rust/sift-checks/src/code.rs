//! Values that are code or places, not secrets: variables, calls, names, paths, addresses.

use crate::words::identifier;

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn starts_name(text: &[u8]) -> bool {
    text.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
}

/// Length of the `name` at the start of `text`: a letter or `_`, then letters, digits, `_`.
fn name_length(text: &[u8]) -> usize {
    if !starts_name(text) {
        return 0;
    }
    text.iter().position(|&byte| !is_name_byte(byte)).unwrap_or(text.len())
}

/// `name`, `dotted.name`, `name[0]`, `name["key"]`, `name(x)`, with `-` and inner blanks.
fn is_expression(text: &[u8]) -> bool {
    starts_name(trim(text))
        && text.iter().all(|&byte| {
            is_name_byte(byte) || b".-[]()'\"$:>/,| ".contains(&byte) || !byte.is_ascii()
        })
}

fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

fn find(text: &[u8], byte: u8) -> Option<usize> {
    text.iter().position(|&candidate| candidate == byte)
}

/// Pairs that enclose a name in some template language. A value may be cut before the closing part,
/// so at the start of a value the opening part and a name are enough.
const ENCLOSED: &[(&[u8], u8)] = &[
    (b"${", b'}'),
    (b"$(", b')'),
    (b"#{", b'}'),
    (b"%{", b'}'),
    (b"%(", b')'),
    (b"{{", b'}'),
    (b"<%", b'%'),
    (b"[[", b']'),
];

/// Values that begin so are looked up in the environment or a configuration, whatever follows.
const LOOKUPS: &[&[u8]] = &[
    b"process.env",
    b"import.meta.env",
    b"os.environ",
    b"os.getenv",
    b"Deno.env",
    b"Bun.env",
    b"System.getenv",
    b"System.getProperty",
    b"Environment.Get",
    b"std::env",
    b"std.env",
    b"getenv(",
    b"env(",
    b"env[",
    b"ENV[",
    b"ENV.fetch",
    b"config(",
    b"config[",
    b"secrets[",
    b"settings[",
    b"lookup(",
    b"vault(",
    b"ref+",
];

/// Objects whose members are variables, when a name and nothing unlike code follows.
const OWNERS: &[&[u8]] = &[
    b"secrets.",
    b"config.",
    b"conf.",
    b"cfg.",
    b"settings.",
    b"self.",
    b"this.",
    b"args.",
    b"kwargs.",
    b"opts.",
    b"options.",
    b"params.",
    b"props.",
    b"request.",
    b"req.",
    b"ctx.",
    b"context.",
    b"env.",
    b"vars.",
    b"var.",
    b"local.",
    b"data.",
    b"module.",
    b"state.",
    b"inputs.",
    b"github.",
    b"Rails.",
    b"app.",
    b"user.",
    b"credentials.",
];

const NOTHING: &[&[u8]] =
    &[b"null", b"none", b"nil", b"true", b"false", b"undefined", b"nan", b"void", b"nullptr"];

/// One look at each byte, for the question most values answer with no.
fn has_any(value: &[u8], set: &[bool; 256]) -> bool {
    value.iter().any(|&byte| set[usize::from(byte)])
}

const fn set(bytes: &[u8]) -> [bool; 256] {
    let mut set = [false; 256];
    let mut at = 0;
    while at < bytes.len() {
        set[bytes[at] as usize] = true;
        at += 1;
    }
    set
}

/// A variable that is more than a word has one of these.
const VARIABLE_MARKS: [bool; 256] = set(b"$%@_#{}<>[]().:+");
/// A URL has one of these.
const URL_MARKS: [bool; 256] = set(b":.");
/// A path has one of these.
const PATH_MARKS: [bool; 256] = set(b"/\\.");
/// What stands in no path that is told by its names.
const NOT_IN_PATH: [bool; 256] = {
    let mut others = [true; 256];
    let mut byte = 0;
    while byte < 256 {
        let name = byte as u8;
        others[byte] = !(name.is_ascii_alphanumeric() || byte >= 128);
        byte += 1;
    }
    let allowed = b"_./\\-*@ ~#";
    let mut at = 0;
    while at < allowed.len() {
        others[allowed[at] as usize] = false;
        at += 1;
    }
    others
};

/// Whether `value`, with `before` on its left, names a variable instead of being its content.
pub(crate) fn is_variable(value: &[u8], before: &[u8]) -> bool {
    let Some(&first) = value.first() else { return false };
    let last = value[value.len() - 1];

    // The group may begin inside the brackets.
    let left = before.trim_ascii_end();
    let opened = |opening: &[u8]| left.ends_with(opening);
    if starts_name(value)
        && left.last().is_some_and(|byte| b"$({%[".contains(byte))
        && (before.ends_with(b"$") && name_length(value) == value.len()
            || ENCLOSED.iter().any(|(opening, _)| opened(opening) && is_expression(value)))
    {
        return true;
    }
    if value.len() <= 9 && NOTHING.iter().any(|word| value.eq_ignore_ascii_case(word)) {
        return true;
    }
    if !has_any(value, &VARIABLE_MARKS) {
        return false;
    }
    if first == b'$' && dollar_name(&value[1..]) {
        return true;
    }
    if b"%@".contains(&first) && value.len() > 2 && last == first {
        let inner = &value[1..value.len() - 1];
        if name_length(inner) == inner.len() {
            return true;
        }
    }
    if first == b'%' && matches!(value, [b'%', b's' | b'd' | b'v' | b'r' | b'q' | b'@']) {
        return true;
    }
    if value.starts_with(b"__") && value.ends_with(b"__") && value.len() > 5 {
        let inner = &value[2..value.len() - 2];
        if inner.iter().all(|&byte| byte.is_ascii_uppercase() || byte == b'_') {
            return true;
        }
    }
    if (first.is_ascii_alphabetic() || first == b'_')
        && (LOOKUPS.iter().any(|lookup| value.starts_with(lookup))
            || OWNERS.iter().any(|owner| value.strip_prefix(*owner).is_some_and(is_expression))
            || is_indexed(value))
    {
        return true;
    }
    has_enclosed_name(value)
}

/// After a `$`: a name, alone or followed by what reads a member of it (`->x`, `.x`, `[x`, `::x`).
fn dollar_name(text: &[u8]) -> bool {
    let length = name_length(text);
    length > 0
        && match &text[length..] {
            [] => true,
            [b'-', b'>', rest @ ..] | [b':', b':', rest @ ..] => starts_name(rest),
            [b'.', rest @ ..] => is_expression(rest),
            [b'[', ..] => true,
            // One variable behind another, as in `$user$host`.
            [b'$', rest @ ..] => name_length(rest) > 0 && name_length(rest) == rest.len(),
            closing => closing.iter().all(|byte| b")]};,".contains(byte)),
        }
}

/// `name[0]`, `name.member["key"]`, `Name[Type[..`, and what follows on them, as `row[0].get(x)`.
fn is_indexed(value: &[u8]) -> bool {
    let Some(bracket) = find(value, b'[') else { return false };
    let (name, index) = value.split_at(bracket);
    if name.is_empty() || !name.iter().all(|&byte| is_name_byte(byte) || byte == b'.') {
        return false;
    }
    let index = &index[1..];
    let end = find(index, b']').unwrap_or(index.len());
    let inside = &index[..end];
    let rest = index.get(end + 1..).unwrap_or_default();
    let indexed = inside.is_empty() && identifier(name)
        || !inside.is_empty()
            && (inside.iter().all(u8::is_ascii_digit)
                || matches!(inside.first(), Some(b'"' | b'\''))
                || name_length(inside) == inside.len()
                || is_expression(inside) && identifier(name));
    indexed && (rest.is_empty() || b".[(])".contains(&rest[0]))
}

/// What is inside `{{ }}` behind a `$`, and inside `<%= %>`.
fn unbraced(inside: &[u8]) -> &[u8] {
    match inside {
        [b'{' | b'=', rest @ ..] => rest,
        _ => inside,
    }
}

/// A template expression anywhere in the value: `${x}`, `{{ x }}`, `{x}`, `<x>`, `#{x}`, `%(x)s`.
pub(crate) fn has_enclosed_name(value: &[u8]) -> bool {
    // One look at each byte; the rest of a value is searched only behind an opening bracket, and
    // never again behind the first one that does not close, so the work stays linear.
    let mut at = 0;
    let mut unclosed = [false; 128];
    while at + 1 < value.len() {
        let tail = &value[at..];
        if b"$#%{<[".contains(&tail[0]) {
            let enclosed = ENCLOSED.iter().find(|(opening, _)| tail.starts_with(opening));
            let (skip, closing) = match (enclosed, tail[0]) {
                (Some((opening, closing)), _) => (opening.len(), *closing),
                (None, b'{') => (1, b'}'),
                (None, b'<') => (1, b'>'),
                _ => {
                    at += 1;
                    continue;
                }
            };
            let inside = &tail[skip..];
            let slot = usize::from(closing) & 127;
            let end = if unclosed[slot] { None } else { find(inside, closing) };
            match end {
                Some(end) if is_expression(unbraced(&inside[..end])) => return true,
                Some(end) => {
                    // Nothing up to this closing byte can be enclosed by it.
                    at += skip + end;
                }
                None => {
                    unclosed[slot] = true;
                    if at == 0 && enclosed.is_some() && is_expression(unbraced(inside)) {
                        return true;
                    }
                }
            }
        }
        at += 1;
    }
    false
}

/// A name, or the call of one, with the punctuation of code around it.
pub(crate) fn is_identifier(value: &[u8]) -> bool {
    let start = value.iter().position(|byte| !b"&*!(@.".contains(byte)).unwrap_or(value.len());
    let value = &value[start..];
    let Some(open) = find(value, b'(') else {
        let end = value.iter().rposition(|byte| !b")]}>{:;,.`".contains(byte));
        return end.is_some_and(|end| identifier(&value[..=end]) || joined_words(&value[..=end]));
    };
    let name = &value[..open];
    let callable =
        starts_name(name) && name.iter().all(|&byte| is_name_byte(byte) || b".:!".contains(&byte));
    callable && (value.contains(&b')') || identifier(name))
}

/// Three and more words of one case joined by one sign, of which at most one has digits and is short beside the
/// others: `DOT11EXT_SET_MAPPING_KEY`, `cost_above_1hr_rate`, `copy-of-the-primary-key-1628622402887`.
fn joined_words(value: &[u8]) -> bool {
    let sign = if value.contains(&b'_') { b'_' } else { b'-' };
    let upper = value.iter().any(u8::is_ascii_uppercase);
    let (mut words, mut letters, mut others, mut rest) = (0usize, 0usize, 0usize, 0usize);
    for part in value.split(|&byte| byte == sign) {
        let one_case = part.iter().all(|b| {
            b.is_ascii_digit() || b.is_ascii_alphabetic() && b.is_ascii_uppercase() == upper
        });
        if part.is_empty() || !one_case {
            return false;
        }
        if part.len() <= 16 && part.iter().all(u8::is_ascii_alphabetic) {
            words += 1;
            letters += part.len();
        } else {
            others += 1;
            let number = part.iter().all(u8::is_ascii_digit);
            // A time in milliseconds has thirteen digits; a mix that long is a token's.
            rest +=
                if part.len() <= if number { 13 } else { 8 } { part.len() } else { return false };
        }
    }
    words >= 2 && words + others >= 3 && others <= 1 && rest <= letters
}

const EXTENSIONS: &[&[u8]] = &[
    b"bak",
    b"bin",
    b"cc",
    b"cer",
    b"cfg",
    b"conf",
    b"cpp",
    b"crt",
    b"cs",
    b"css",
    b"csv",
    b"dat",
    b"db",
    b"der",
    b"doc",
    b"env",
    b"exe",
    b"gif",
    b"go",
    b"gz",
    b"hpp",
    b"htm",
    b"html",
    b"ico",
    b"ini",
    b"jar",
    b"java",
    b"jks",
    b"jpeg",
    b"jpg",
    b"js",
    b"json",
    b"jsx",
    b"key",
    b"kt",
    b"lock",
    b"log",
    b"lua",
    b"md",
    b"mjs",
    b"p12",
    b"pdf",
    b"pem",
    b"pfx",
    b"php",
    b"pl",
    b"png",
    b"properties",
    b"proto",
    b"pub",
    b"py",
    b"pyi",
    b"rb",
    b"rs",
    b"rst",
    b"scss",
    b"sh",
    b"sock",
    b"so",
    b"sql",
    b"svg",
    b"swift",
    b"tar",
    b"tf",
    b"toml",
    b"ts",
    b"tsx",
    b"txt",
    b"vue",
    b"xml",
    b"yaml",
    b"yml",
    b"zip",
];

const ROOTS: &[&[u8]] = &[
    b"/Users/",
    b"/app/",
    b"/bin/",
    b"/data/",
    b"/dev/",
    b"/etc/",
    b"/home/",
    b"/lib/",
    b"/mnt/",
    b"/opt/",
    b"/proc/",
    b"/root/",
    b"/run/",
    b"/sbin/",
    b"/srv/",
    b"/sys/",
    b"/tmp/",
    b"/usr/",
    b"/var/",
    b"/workspace/",
];

/// A path of files or of a URL: a root, a relative beginning, a file name, or names between slashes.
pub(crate) fn is_path(value: &[u8]) -> bool {
    if !has_any(value, &PATH_MARKS) {
        return false;
    }
    let drive = matches!(value, [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    let begins = [&b"./"[..], b"../", b"~/", b".\\", b"..\\", b"\\\\"];
    if drive
        || begins.iter().any(|begin| value.starts_with(begin))
        || ROOTS.iter().any(|root| value.starts_with(root))
    {
        return true;
    }
    if has_any(value, &NOT_IN_PATH) {
        return false;
    }
    // A place inside a page stands behind its file name.
    let file = value.split(|&byte| byte == b'#').next().unwrap_or(value);
    if let Some(dot) = file.iter().rposition(|&byte| byte == b'.') {
        let extension = &file[dot + 1..];
        if EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)) {
            return true;
        }
    }
    // Base64 seldom begins with a slash and a word.
    if let Some(first) =
        value.strip_prefix(b"/").and_then(|rest| rest.split(|&byte| byte == b'/').next())
    {
        if first.len() >= 4 && first.len() + 1 < value.len() && identifier(first) {
            return true;
        }
    }
    // Base64 has slashes too: what lies between them must read as names for most of its length.
    let (mut segments, mut named) = (0usize, 0usize);
    for segment in value.split(|byte| b"/\\@".contains(byte)) {
        segments += 1;
        if identifier(segment) || segment.first() == Some(&b'.') && identifier(&segment[1..]) {
            named += segment.len();
        }
    }
    segments >= 2 && named > 0 && named * 4 >= (value.len() - (segments - 1)) * 3
}

const DOMAINS: &[&[u8]] = &[
    b"ai",
    b"app",
    b"biz",
    b"ca",
    b"ch",
    b"cloud",
    b"cn",
    b"co",
    b"com",
    b"de",
    b"dev",
    b"edu",
    b"eu",
    b"fr",
    b"gov",
    b"info",
    b"internal",
    b"io",
    b"it",
    b"jp",
    b"local",
    b"localhost",
    b"me",
    b"mil",
    b"net",
    b"nl",
    b"online",
    b"org",
    b"ru",
    b"se",
    b"site",
    b"tech",
    b"test",
    b"tv",
    b"uk",
    b"us",
    b"xyz",
];

/// A URL of any scheme, or a host with a port, a path or a well-known ending.
///
/// A URL that carries a password is one as well: rules for such URLs must not use this check.
pub(crate) fn is_url(value: &[u8]) -> bool {
    if !has_any(value, &URL_MARKS) {
        return false;
    }
    if let Some(colon) = find(value, b':') {
        let (scheme, rest) = value.split_at(colon);
        let is_scheme = (1..=16).contains(&scheme.len())
            && scheme[0].is_ascii_alphabetic()
            && scheme.iter().all(|&b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if is_scheme
            && (rest.starts_with(b"://")
                || [&b"mailto"[..], b"tel", b"urn", b"javascript"]
                    .iter()
                    .any(|s| scheme.eq_ignore_ascii_case(s)))
        {
            return true;
        }
    }
    let value = value.strip_prefix(b"//").unwrap_or(value);
    let host_end = value.iter().position(|byte| b":/?#".contains(byte)).unwrap_or(value.len());
    let (host, rest) = value.split_at(host_end);
    let labels_fit = !host.is_empty()
        && host.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        && host
            .split(|&b| b == b'.')
            .all(|label| !label.is_empty() && !label.starts_with(b"-") && !label.ends_with(b"-"));
    if !labels_fit {
        return false;
    }
    let port = rest.strip_prefix(b":").is_some_and(|port| {
        let digits = port.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (1..=5).contains(&digits) && matches!(port.get(digits), None | Some(b'/'))
    });
    let last = host.rsplit(|&byte| byte == b'.').next().unwrap_or_default();
    if last.len() == host.len() {
        return port && host.eq_ignore_ascii_case(b"localhost");
    }
    let named = DOMAINS.iter().any(|domain| last.eq_ignore_ascii_case(domain));
    let address = host.iter().all(|&byte| byte.is_ascii_digit() || byte == b'.');
    let fits = rest.is_empty() || port || rest.starts_with(b"/") || rest.starts_with(b"?");
    fits && (named || host.starts_with(b"www.")) || port && address
}

#[cfg(test)]
mod tests {
    use super::{is_identifier, is_path, is_url, is_variable};

    #[track_caller]
    fn table(check: fn(&[u8]) -> bool, yes: &[&str], no: &[&str]) {
        for value in yes {
            assert!(check(value.as_bytes()), "`{value}` should be one");
        }
        for value in no {
            assert!(!check(value.as_bytes()), "`{value}` should not be one");
        }
    }

    #[test]
    fn variables() {
        table(
            |value| is_variable(value, b""),
            &[
                "${TOKEN}",
                "${TOKEN:-default}",
                "$TOKEN",
                "$(cat file)",
                "${{ secrets.TOKEN }}",
                "{{token}}",
                "{{ token }}",
                "{token}",
                "{self.token}",
                "<token>",
                "<your token>",
                "%TOKEN%",
                "#{token}",
                "#{ENV['X']}",
                "%(token)s",
                "%{token}",
                "<%= token %>",
                "@token@",
                "__API_KEY__",
                "process.env.TOKEN",
                "os.environ[\"TOKEN\"]",
                "os.environ.get(\"TOKEN\")",
                "os.getenv(\"TOKEN\")",
                "ENV[\"TOKEN\"]",
                "env(\"X\")",
                "secrets.TOKEN",
                "config.token",
                "self.token",
                "args.token",
                "this.state.token",
                "null",
                "None",
                "TRUE",
                "undefined",
                "nil",
                "%s",
                "$this->token",
                "$env[0]",
                "token[0]",
                "row[\"token\"]",
                "Bearer-{token}",
                "sk-${KEY}",
                "${TOKEN",
                "{{token",
                "$config['key']",
                "Tuple[Type[Any]",
                "string[]",
                "$value)",
                "$user$host",
                "node.items[0].key()",
            ],
            &[
                "",
                "$",
                "{",
                "<",
                "$2a$10$abc",
                "pa$$word1",
                "${",
                "{}",
                "<>",
                "$1",
                "a{1,2}b",
                "nullable1",
                "configuration",
                "$ecret!x",
                "$a$1",
                "%20abc",
                "self",
                "5<6>7",
                "x[",
                "hunter2{",
                "]]",
                "<1>",
                "@",
                "100%",
            ],
        );
        assert!(is_variable(b"TOKEN", b"key = $"));
        assert!(is_variable(b"secrets.TOKEN", b"key: ${{ "));
        assert!(is_variable(b"token", b"Bearer ${"));
        assert!(!is_variable(b"TOKEN9x", b"key = "));
    }

    #[test]
    fn identifiers_and_calls() {
        table(
            is_identifier,
            &[
                "client_secret",
                "getToken()",
                "self.get(\"x\")",
                "base::load(path",
                "make_token(1)",
                "object)",
                "&value",
                "value``.",
                "Never):",
                "!this.ready",
                ".models.token_v1_request",
                "V1LocalObjectReference",
                "X509CertificateTemplateFlag",
                "DOT11EXT_SET_KEY_MAPPING_KEY",
                "V0_API_KEY",
                "cost_above_1hr_rate",
                "copy-of-the-primary-key-1628622402887",
                "x25519_check_private_key_bytes",
            ],
            &[
                "",
                "(",
                ")",
                "aK9(xq",
                "aK9xq7)",
                "9abc()",
                "k3j4h5kj34h5",
                // The last part is longer, or one more has digits, or the case changes.
                "sm_pat_n7ye1v1r4i",
                "acme_upload_6f91c4d08ab372e5",
                "one_t2o_three_f4r",
                "Ab_cD_eF1",
                "a__b_c1",
            ],
        );
    }

    #[test]
    fn paths() {
        table(
            is_path,
            &[
                "/etc/passwd",
                "./secret",
                "../a/b",
                "~/.ssh/id_rsa",
                "C:\\keys\\a",
                "c:/keys",
                "\\\\server\\share",
                "config/secrets",
                "/api/v1/users",
                "server.pem",
                "application/json",
                "src/main.rs",
                "private_key.der",
                "/.ssh/config",
                "*.json",
                "chapter-02.html#the-number-of-things",
                "/en/enterprise-server@3.0/auth",
                "/properties/DkimDNSName2",
            ],
            &["", "/", "//", "a", "word", "p4/Zk9+Qx", "a.b.c", "key=/etc"],
        );
    }

    #[test]
    fn urls() {
        table(
            is_url,
            &[
                "https://example.com",
                "postgres://u:p@h/db",
                "mailto:me",
                "www.site.example",
                "example.com",
                "api.example.co/path",
                "localhost:8080",
                "db.internal:5432",
                "10.0.0.1:80",
                "//cdn.example.net/x.js",
                "HTTP://X",
                "s3://bucket/key",
            ],
            &[
                "",
                ":",
                "://",
                "a:b",
                "1.2.3",
                "word",
                "x.y",
                "localhost",
                "abc:123",
                ".com",
                "a..io",
            ],
        );
    }

    #[test]
    fn work_is_linear_in_the_length() {
        // Unclosed brackets must not send every position to the end of the value again.
        for unit in ["{", "<", "${", "{{", "[[", "%(", "#{", "<%", "{<", "a/", "x(", "{1}"] {
            let value = unit.repeat(400_000);
            let value = value.as_bytes();
            let begin = std::time::Instant::now();
            let _ =
                (is_variable(value, value), is_path(value), is_url(value), is_identifier(value));
            assert!(begin.elapsed().as_secs() < 5, "{unit}: {:?}", begin.elapsed());
        }
    }
}
