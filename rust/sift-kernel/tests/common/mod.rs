//! What the tests of kernels in folders share: a folder, its keys, a request.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sift_kernel::{sign, ActionRequest, Authorization, Kernel, KernelError, Stamp};
use sift_ledger::keys::PrivateKey;
use sift_policy::json::{parse, JsonLimits};

pub(crate) const AUDIENCE: &str = "kernel.acme";

pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed(&[seed; 32])
}

/// Writes a folder. `more` goes into kernel.toml, in front.
pub(crate) fn write(folder: &Path, more: &str) {
    let file = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    file(
        "kernel.toml",
        &format!(
            r#"{more}
            audience = "{AUDIENCE}"
            origin = "acme.example/actions"
            receipt_key = "receipt.key"
            receipt_key_id = "receipt-1"
            log_key = "log.key"
            "#
        ),
    );
    let entry = |id: &str, purpose: &str, seed: u8, more: &str| {
        format!(
            "[[key]]\nid = \"{id}\"\npurpose = \"{purpose}\"\nalgorithm = \"ed25519\"\npublic = \"{}\"\n{more}\n",
            key(seed).public_base64()
        )
    };
    file(
        "keys.toml",
        &[
            entry("receipt-1", "receipt", 1, ""),
            entry("log-1", "log", 2, "name = \"acme.example/actions\""),
            entry(
                "bot-1",
                "agent",
                3,
                "tenant = \"acme\"\nagent = \"bot\"\nroles = [\"support\"]\nname = \"olga\"",
            ),
            entry("ann", "approver", 4, "groups = [\"finance\"]\nname = \"ann\""),
        ]
        .concat(),
    );
    file(
        "budgets.toml",
        r#"
        [[limit]]
        budget = "refunds"
        unit = "usd_micros"
        scope = "tenant"
        window = "forever"
        cap = 100_000_000
        block = 1_000_000
        "#,
    );
    file(
        "tools.toml",
        r#"
        version = 1
        [tool.refund]
        action = "payment"
        risk = "high"
        reversible = true
        exports = false
        scan_args = false
        charges = [{ budget = "refunds", unit = "usd_micros", argument = "/cents", times = 10_000 }]
        args = { type = "object", required = ["cents"], additionalProperties = false, properties = { cents = { type = "integer", minimum = 1 } } }
        "#,
    );
    fs::create_dir_all(folder.join("policy")).unwrap();
    file(
        "policy/acme.cedar",
        r#"
        @id("small") permit (principal in Role::"support", action == Action::"refund", resource)
        when { context.args.cents <= 5000 };
        @id("large") @approval("1-of-finance")
        permit (principal in Role::"support", action == Action::"refund", resource)
        when { context.args.cents > 5000 };
        "#,
    );
    for (name, seed) in [("receipt.key", 1), ("log.key", 2)] {
        let path = folder.join(name);
        if !path.exists() {
            key(seed).write_new(&path).unwrap();
        }
    }
}

pub(crate) fn open(folder: &Path) -> Result<Kernel, KernelError> {
    Kernel::open(folder, None, None)
}

pub(crate) fn refund(cents: i64) -> ActionRequest {
    ActionRequest {
        tenant: "acme".to_owned(),
        agent: "bot".to_owned(),
        role: "support".to_owned(),
        tool: "refund".to_owned(),
        args: parse(format!(r#"{{"cents":{cents}}}"#).as_bytes(), &JsonLimits::default()).unwrap(),
        session: None,
        conversation: None,
        model: None,
        model_version: None,
        trace_id: None,
        estimate: Vec::new(),
    }
}

pub(crate) fn ask(
    kernel: &Kernel,
    request: &ActionRequest,
    approval: Option<&str>,
) -> Authorization {
    let stamp = Stamp::new(AUDIENCE, now(), 60_000).unwrap();
    kernel.authorize(request, &sign(request, "bot-1", &key(3), stamp).unwrap(), approval)
}
