//! How to undo the actions of open leases, kept until it is known how they went.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sift_ledger::keys::{Keyring, Purpose};
use sift_policy::json::{Object, Value};

/// Most bytes of arguments that are held for actions that could have to be undone.
const SEED_BYTES: usize = 256 << 20;

/// Seeds of open leases, by number and bytes.
///
/// Half of the room is shared out: each tenant of the key ring has as much of it as any other, and so has each agent
/// of a tenant, so that nobody's part can be filled by others, however many they are. The other half is for whoever
/// comes, and of it nobody holds more than is left.
#[derive(Default)]
pub(crate) struct Seeds {
    held: HashMap<String, (i64, Arc<Seed>)>,
    /// How many bytes each tenant and agent holds.
    owners: HashMap<(String, String), usize>,
    /// Agents with a key, by tenant.
    known: BTreeMap<String, BTreeSet<String>>,
    /// Bytes of the half that is nobody's.
    lent: usize,
}

impl Seeds {
    /// Puts the agents of a key ring in the place of those before.
    pub(crate) fn share(&mut self, keys: &Keyring) {
        self.known.clear();
        for key in keys.of(Purpose::Agent) {
            if let (Some(tenant), Some(agent)) = (&key.tenant, &key.agent) {
                self.known.entry(tenant.clone()).or_default().insert(agent.clone());
            }
        }
        self.lent =
            self.owners.iter().map(|(owner, held)| held.saturating_sub(self.part(owner))).sum();
    }

    /// Bytes that are one agent's own.
    fn part(&self, (tenant, agent): &(String, String)) -> usize {
        match self.known.get(tenant) {
            Some(agents) if agents.contains(agent) => {
                SEED_BYTES / 2 / self.known.len() / agents.len()
            }
            _ => 0,
        }
    }

    pub(crate) fn fits(&self, seed: &Seed, most: usize) -> bool {
        let owner = seed.owner();
        let held = self.owners.get(&owner).copied().unwrap_or(0);
        let beyond = held.saturating_add(seed.bytes).saturating_sub(self.part(&owner));
        self.held.len() < most && beyond <= (SEED_BYTES / 2).saturating_sub(self.lent)
    }

    pub(crate) fn insert(&mut self, lease: &str, until: i64, seed: Seed) {
        self.count(seed.owner(), |held| held.saturating_add(seed.bytes));
        self.held.insert(lease.to_owned(), (until, Arc::new(seed)));
    }

    fn count(&mut self, owner: (String, String), change: impl Fn(usize) -> usize) {
        let part = self.part(&owner);
        let held = self.owners.get(&owner).copied().unwrap_or(0);
        let then = change(held);
        self.lent = self.lent.saturating_sub(held.saturating_sub(part));
        self.lent = self.lent.saturating_add(then.saturating_sub(part));
        if then == 0 {
            self.owners.remove(&owner);
        } else {
            self.owners.insert(owner, then);
        }
    }

    pub(crate) fn get(&self, lease: &str) -> Option<Arc<Seed>> {
        self.held.get(lease).map(|(_, seed)| Arc::clone(seed))
    }

    pub(crate) fn remove(&mut self, lease: &str) {
        let Some((_, seed)) = self.held.remove(lease) else { return };
        self.count(seed.owner(), |held| held.saturating_sub(seed.bytes));
    }

    pub(crate) fn sweep(&mut self, now_ms: i64) {
        let over = |(lease, (until, _)): (&String, &(i64, Arc<Seed>))| {
            (*until <= now_ms).then(|| lease.clone())
        };
        let gone: Vec<String> = self.held.iter().filter_map(over).collect();
        for lease in gone {
            self.remove(&lease);
        }
    }
}

/// What is needed to undo an action, before it is known how it went.
pub(crate) struct Seed {
    pub(crate) trace_id: String,
    pub(crate) tenant: String,
    pub(crate) agent: String,
    pub(crate) request_id: String,
    pub(crate) tool: String,
    pub(crate) args: Vec<(String, String)>,
    pub(crate) call: Value,
    /// Of the action as canonical JSON, as a measure of what is held.
    pub(crate) bytes: usize,
}

impl Seed {
    fn owner(&self) -> (String, String) {
        (self.tenant.clone(), self.agent.clone())
    }

    /// The arguments of the undoing call; nothing when they point to what is not there.
    pub(crate) fn arguments(&self, result: &Value) -> Option<Value> {
        if self.args.is_empty() {
            return Some(self.call.clone());
        }
        let mut members = Vec::with_capacity(self.args.len());
        for (name, pointer) in &self.args {
            let value = match (pointer.strip_prefix("/args"), pointer.strip_prefix("/result")) {
                (Some(rest), _) => self.call.pointer(rest)?,
                (_, Some(rest)) => result.pointer(rest)?,
                _ => return None,
            };
            members.push((name.as_str().into(), value.clone()));
        }
        Object::from_members(members).ok().map(Value::Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sift_ledger::keys::{PrivateKey, PublicKey};

    fn seed(agent: &str, bytes: usize) -> Seed {
        Seed {
            trace_id: "t1".to_owned(),
            tenant: "acme".to_owned(),
            agent: agent.to_owned(),
            request_id: "r1".to_owned(),
            tool: "unbook".to_owned(),
            args: Vec::new(),
            call: Value::Null,
            bytes,
        }
    }

    #[test]
    fn seeds_are_bounded_by_number_and_by_bytes() {
        let mut seeds = Seeds::default();
        let half = SEED_BYTES / 2;
        assert!(seeds.fits(&seed("a", half), 3) && !seeds.fits(&seed("a", half + 1), 3));
        seeds.insert("a", 10, seed("a", half / 2));
        seeds.insert("b", 20, seed("b", half / 2));
        assert!(!seeds.fits(&seed("c", 1), 3) && !seeds.fits(&seed("c", 0), 2));
        seeds.sweep(10);
        assert!(seeds.get("a").is_none() && seeds.get("b").is_some());
        assert!(seeds.fits(&seed("a", half / 2), 3));
        seeds.remove("b");
        seeds.remove("b");
        assert_eq!((seeds.held.len(), seeds.lent, seeds.owners.len()), (0, 0, 0));
    }

    /// What an agent can hold beside those before it.
    fn fill(seeds: &mut Seeds, agent: &str) -> usize {
        let seed = || seed(agent, 64 << 10);
        let mut count = 0;
        while seeds.fits(&seed(), 1_000_000) {
            seeds.insert(&format!("l{}", seeds.held.len()), 10, seed());
            count += 1;
        }
        count * seed().bytes
    }

    #[test]
    fn an_agent_without_a_key_fills_no_more_of_the_seeds_than_it_leaves() {
        let mut seeds = Seeds::default();
        assert_eq!(fill(&mut seeds, "a"), SEED_BYTES / 4);
        assert_eq!(fill(&mut seeds, "b"), SEED_BYTES / 8);
        assert!(seeds.fits(&seed("c", 64 << 10), 1_000_000));
    }

    /// Keys of agents `a0`, `a1`, ... of the tenant `acme`, and as many of each other tenant as are asked for.
    fn ring(agents: u8, others: u8) -> Keyring {
        let mut ring = Keyring::new();
        let mut add = |seed: u8, tenant: &str, agent: String| {
            let key = PrivateKey::from_seed(&[seed; 32]);
            let mut public =
                PublicKey::new(&format!("k{seed}"), Purpose::Agent, &key.public()).unwrap();
            (public.tenant, public.agent) = (Some(tenant.to_owned()), Some(agent));
            ring.add(public).unwrap();
        };
        for number in 0..agents {
            add(number, "acme", format!("a{number}"));
        }
        for number in 0..others {
            add(100 + number, "other", format!("o{number}"));
        }
        ring
    }

    #[test]
    fn many_agents_together_leave_every_other_its_part() {
        let mut seeds = Seeds::default();
        seeds.share(&ring(16, 4));
        // All but one of a tenant, and some that have no key, take what they can get.
        for round in 0..3 {
            for number in 0..15 {
                fill(&mut seeds, &format!("a{number}"));
                fill(&mut seeds, &format!("nobody{round}{number}"));
            }
        }
        let half = SEED_BYTES / 2;
        assert!(seeds.lent <= half && seeds.lent > half - half / 100, "the rest is full");
        assert_eq!(fill(&mut seeds, "a15"), half / 2 / 16);
        let other = |lease: usize| Seed { tenant: "other".to_owned(), ..seed("o0", lease) };
        assert!(seeds.fits(&other(half / 2 / 4), 1_000_000));
        let held: usize = seeds.owners.values().sum();
        assert!(held <= SEED_BYTES);
        // A ring with fewer agents has larger parts, and one with more smaller ones.
        let before = seeds.lent;
        seeds.share(&ring(16, 0));
        assert!(seeds.lent < before && seeds.fits(&seed("a15", half / 32), 1_000_000));
        seeds.share(&ring(32, 4));
        assert!(seeds.lent > before && !seeds.fits(&seed("a15", 64 << 10), 1_000_000));
        seeds.sweep(10);
        assert_eq!((seeds.held.len(), seeds.lent, seeds.owners.len()), (0, 0, 0));
    }
}
