//! The name of the field a value stands in, read backwards from where the value begins.

/// Last words of names whose value is about a secret and not the secret itself.
const OTHER: &[&[u8]] = &[
    b"address",
    b"alg",
    b"algorithm",
    b"algo",
    b"alias",
    b"arn",
    b"attribute",
    b"bits",
    b"bucket",
    b"class",
    b"column",
    b"comment",
    b"count",
    b"date",
    b"description",
    b"desc",
    b"dir",
    b"directory",
    b"encoding",
    b"endpoint",
    b"enum",
    b"env",
    b"error",
    b"event",
    b"expiration",
    b"expires",
    b"expiry",
    b"ext",
    b"field",
    b"fields",
    b"file",
    b"filename",
    b"fingerprint",
    b"folder",
    b"format",
    b"group",
    b"header",
    b"help",
    b"hint",
    b"host",
    b"icon",
    b"id",
    b"identifier",
    b"ids",
    b"index",
    b"input",
    b"issuer",
    b"kind",
    b"label",
    b"len",
    b"length",
    b"level",
    b"link",
    b"list",
    b"location",
    b"manager",
    b"message",
    b"method",
    b"mode",
    b"model",
    b"module",
    b"msg",
    b"name",
    b"names",
    b"namespace",
    b"number",
    b"operation",
    b"options",
    b"param",
    b"parameter",
    b"path",
    b"pattern",
    b"placeholder",
    b"plugin",
    b"policy",
    b"prefix",
    b"property",
    b"provider",
    b"reference",
    b"ref",
    b"regex",
    b"region",
    b"resource",
    b"role",
    b"rule",
    b"schema",
    b"scope",
    b"selector",
    b"separator",
    b"server",
    b"size",
    b"source",
    b"spec",
    b"state",
    b"status",
    b"store",
    b"strategy",
    b"suffix",
    b"template",
    b"text",
    b"title",
    b"topic",
    b"ttl",
    b"type",
    b"types",
    b"uri",
    b"url",
    b"urls",
    b"usage",
    b"validator",
    b"var",
    b"variable",
    b"vault",
    b"version",
];

/// Words that turn a key or token into something that may be shown: half of a pair that is public,
/// a mark against forged requests, a place in a list.
const SHOWN: &[&[u8]] = &[
    b"public",
    b"pubkey",
    b"csrf",
    b"xsrf",
    b"nexttoken",
    b"next_token",
    b"nextpage",
    b"next_page",
    b"pagetoken",
    b"page_token",
    b"continuationtoken",
    b"continuation_token",
    b"synctoken",
    b"sync_token",
    b"cancellation",
    b"antiforgery",
    b"idempotency",
    b"foreignkey",
    b"foreign_key",
    b"tokenizer",
    b"tokenize",
];

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte)
}

/// The name before the separator at the end of `before`; empty if there is none.
fn name(before: &[u8]) -> &[u8] {
    let end = before.iter().rposition(u8::is_ascii_alphanumeric).map_or(0, |at| at + 1);
    let start = before[..end].iter().rposition(|&byte| !is_name_byte(byte)).map_or(0, |at| at + 1);
    &before[start..end]
}

/// The last word of a name in snake, kebab, dotted or camel case.
fn last_word(name: &[u8]) -> &[u8] {
    let mut start = name.len();
    while let Some(&byte) = start.checked_sub(1).and_then(|at| name.get(at)) {
        let next = name.get(start).copied();
        if !byte.is_ascii_alphanumeric()
            || byte.is_ascii_lowercase() && next.is_some_and(|b| b.is_ascii_uppercase())
        {
            break;
        }
        start -= 1;
    }
    &name[start..]
}

/// Whether the field that ends `before` holds something else than a secret, going by its name:
/// `secret_name`, `tokenUrl`, `PublicKeyToken`, `csrf-token`, `AWS::ApiGateway::ApiKey`.
pub(crate) fn is_other_field(before: &[u8]) -> bool {
    let name = name(before);
    let last = last_word(name);
    let contains =
        |word: &[u8]| name.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    last.len() < name.len() && OTHER.iter().any(|word| last.eq_ignore_ascii_case(word))
        || SHOWN.iter().any(|word| contains(word))
        || contains(b"::")
}

#[cfg(test)]
mod tests {
    use super::is_other_field;

    #[test]
    fn fields_about_secrets() {
        for before in [
            "secret_name = \"",
            "tokenUrl: '",
            "\"SigningKeyLength\": \"",
            "KEY_PATH=",
            "api-key-header: ",
            "publicKeyToken=\"",
            "csrf-token=",
            "X-XSRF-TOKEN: ",
            "\"AWS::ApiGateway::ApiKey\": \"",
            "NextToken => '",
            "access_key_id = ",
        ] {
            assert!(is_other_field(before.as_bytes()), "{before}");
        }
        for before in [
            "",
            "= \"",
            "secret = \"",
            "API_KEY=",
            "client.secret: ",
            "\"Authorization\": \"Bearer ",
            "name = \"",
            "password is ",
            "key: str = \"",
            "apiKeyValue = '",
            "sonar_TOKEN ::= \"",
        ] {
            assert!(!is_other_field(before.as_bytes()), "{before}");
        }
    }
}
