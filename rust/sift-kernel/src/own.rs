//! The kernel's own keys: from when to when they may sign, by its own `keys.toml`.
//!
//! A receipt that a key signed which is over, revoked or retired is refused by whoever verifies it, and so is its
//! permit. The kernel asks the same before it decides, so that nothing is allowed which nobody could prove: when it
//! opens and at each reload with the reason, at each request against two numbers.

use std::sync::atomic::{AtomicI64, Ordering};

use sift_ledger::keys::{Keyring, PrivateKey, PublicKey, Purpose};

use crate::config::Config;
use crate::error::{KernelError, Result};
use crate::ledger::Ledger;

fn wrong<T>(message: &str) -> Result<T> {
    Err(KernelError::Config(format!("keys.toml: {message}")))
}

/// The public halves of what a kernel signs with.
pub(crate) struct OwnKeys<'a> {
    receipt: &'a PublicKey,
    /// That of the ledger's log, where there is one.
    log: Option<&'a PublicKey>,
}

impl<'a> OwnKeys<'a> {
    /// Finds them in a ring.
    ///
    /// Errors: `Config` for one that is missing, or another one.
    pub(crate) fn of(
        keys: &'a Keyring,
        config: &Config,
        receipt_key: &PrivateKey,
        ledger: &dyn Ledger,
    ) -> Result<Self> {
        let id = &config.receipt_key_id;
        let Ok(receipt) = keys.get(id, Purpose::Receipt) else {
            return wrong(&format!("receipt key `{id}` of kernel.toml is missing"));
        };
        if receipt.to_bytes() != receipt_key.public() {
            return wrong(&format!(
                "key `{id}` is not the public half of the receipt key that kernel.toml names"
            ));
        }
        let log = match ledger.log_key() {
            None => None,
            Some(public) => {
                let named = |key: &&PublicKey| {
                    key.to_bytes() == public && key.name.as_deref() == Some(&config.origin)
                };
                let Some(key) = keys.of(Purpose::Log).find(named) else {
                    return wrong(&format!(
                        "the public half of `log_key` of kernel.toml is missing (`purpose = \"log\"`, `name = \"{}\"`): \
                         nobody could verify that a receipt is in the ledger",
                        config.origin
                    ));
                };
                Some(key)
            }
        };
        Ok(Self { receipt, log })
    }

    /// Whether they may sign at a time, and what the ledger takes in next.
    ///
    /// Args: milliseconds since 1970; how many entries the ledger has.
    ///
    /// Errors: `Config`, with the key and why not.
    pub(crate) fn check(&self, now_ms: i64, size: u64) -> Result<()> {
        const ADVICE: &str = "name another one in kernel.toml, or mend keys.toml";
        let Self { receipt, log } = self;
        for key in std::iter::once(receipt).chain(log) {
            key.check_time(now_ms).or_else(|error| wrong(&format!("{error}; {ADVICE}")))?;
        }
        if receipt.to_size != u64::MAX {
            return wrong(&format!(
                "receipt key `{}` has a `to_size`: it was retired; {ADVICE}",
                receipt.id
            ));
        }
        let next = size.saturating_add(1);
        for key in std::iter::once(receipt).chain(log) {
            key.check_size(next).or_else(|error| wrong(&format!("{error}; {ADVICE}")))?;
        }
        Ok(())
    }

    /// The largest tree that the log's key may sign.
    pub(crate) fn most(&self) -> u64 {
        self.log.map_or(u64::MAX, |key| key.to_size)
    }
}

/// From when to when the keys in force may sign, for each request to look at.
pub(crate) struct Validity {
    from_ms: AtomicI64,
    until_ms: AtomicI64,
}

impl Validity {
    pub(crate) fn of(keys: &OwnKeys<'_>) -> Self {
        let validity = Self { from_ms: AtomicI64::new(0), until_ms: AtomicI64::new(0) };
        validity.set(keys);
        validity
    }

    /// From now on.
    pub(crate) fn set(&self, keys: &OwnKeys<'_>) {
        let (mut from, mut until) = (i64::MIN, i64::MAX);
        for key in std::iter::once(keys.receipt).chain(keys.log) {
            from = from.max(key.not_before.unwrap_or(i64::MIN));
            let revoked = key.revoked.map_or(i64::MAX, |revoked| revoked.saturating_sub(1));
            until = until.min(key.not_after.unwrap_or(i64::MAX)).min(revoked);
        }
        if keys.receipt.to_size != u64::MAX {
            until = i64::MIN;
        }
        // Between the two a request may be refused that need not be, and none passes that must not.
        self.until_ms.store(i64::MIN, Ordering::SeqCst);
        self.from_ms.store(from, Ordering::SeqCst);
        self.until_ms.store(until, Ordering::SeqCst);
    }

    /// Whether they may sign now.
    pub(crate) fn holds(&self, now_ms: i64) -> bool {
        now_ms <= self.until_ms.load(Ordering::Acquire)
            && now_ms >= self.from_ms.load(Ordering::Acquire)
    }
}
