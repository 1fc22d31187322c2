//! Which conversations something came into, beyond the life of a process.
//!
//! What came in is remembered in memory alone (`taint`), so that a kernel which starts again knows nothing of it. It must
//! not take that for nothing: of a conversation into which something came before this start, the sources of arguments
//! are unknown, and that is a denial. What is durable is the name of the conversation, once; not what came in.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;

use crate::error::StoreError;
use crate::store::Store;
use crate::sync::lock;

/// Most conversations that are known to be noted; with more, some are noted again.
const MOST: usize = 1 << 20;

/// What was noted before this start, and since.
pub(crate) struct Observed {
    hasher: RandomState,
    /// Conversations of before.
    before: HashSet<u64>,
    /// Tenants that they are of.
    tenants: HashSet<u64>,
    /// Conversations of now, and when each was noted, milliseconds since 1970.
    noted: Mutex<HashMap<u64, i64>>,
    again_ms: i64,
}

impl Observed {
    /// Reads what was noted.
    ///
    /// Args: the store; after how many milliseconds a conversation is noted again, so that it is not forgotten.
    pub(crate) fn load(store: &dyn Store, again_ms: i64) -> Result<Self, StoreError> {
        let hasher = RandomState::new();
        let (mut before, mut tenants) = (HashSet::new(), HashSet::new());
        for (tenant, conversation) in store.observed()? {
            before.insert(hasher.hash_one((tenant.as_str(), conversation.as_str())));
            tenants.insert(hasher.hash_one(tenant.as_str()));
        }
        Ok(Self { hasher, before, tenants, noted: Mutex::default(), again_ms })
    }

    /// Whether something came into a conversation before this start.
    pub(crate) fn lost(&self, tenant: &str, conversation: &str) -> bool {
        !self.before.is_empty()
            && self.before.contains(&self.hasher.hash_one((tenant, conversation)))
    }

    /// Whether something came into any conversation of a tenant before this start.
    pub(crate) fn lost_any(&self, tenant: &str) -> bool {
        !self.tenants.is_empty() && self.tenants.contains(&self.hasher.hash_one(tenant))
    }

    /// Notes that something came into a conversation; on the disk when this returns.
    pub(crate) fn note(
        &self,
        store: &dyn Store,
        tenant: &str,
        conversation: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let name = self.hasher.hash_one((tenant, conversation));
        let known = lock(&self.noted).get(&name).copied();
        if known.is_some_and(|at| now_ms.saturating_sub(at) < self.again_ms) {
            return Ok(());
        }
        store.observe(tenant, conversation, now_ms)?;
        let mut noted = lock(&self.noted);
        if noted.len() >= MOST {
            noted.clear();
        }
        noted.insert(name, now_ms);
        Ok(())
    }
}
