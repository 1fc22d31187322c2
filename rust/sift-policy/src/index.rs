//! Which policies can speak of a request: by tenant, role and agent of the principal, and by tool.

use crate::request::Request;
use crate::rule::{Rule, Tools};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Numbers of names that policies mention; 0 is any name.
type Names = HashMap<Box<str>, u32>;

/// Tenant, role, agent, tool: 0 where a policy does not care; tools count from 1.
type Key = [u32; 4];

/// Candidates of a request.
#[derive(Debug, Default)]
pub(crate) struct Index {
    tenants: Names,
    roles: Names,
    agents: Names,
    rules: HashMap<Key, Vec<u32>, BuildHasherDefault<Mix>>,
    /// Which of tenant, role and agent any policy combines: bits 0, 1, 2. Others are not looked up.
    combinations: Vec<u8>,
}

/// Keys are numbers that come from the policy and not from a caller, so that nobody can choose collisions.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    // Multiplication by an odd constant near 2^64 over the golden ratio, as in Knuth, The Art of Computer Programming 6.4.
    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Index {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (number, rule) in (0u32..).zip(rules) {
            let principal = &rule.scope.principal;
            if principal.never {
                continue;
            }
            let intern = |names: &mut Names, name: &Option<Box<str>>| {
                let next = u32::try_from(names.len()).unwrap_or(u32::MAX).saturating_add(1);
                name.as_ref().map_or(0, |name| *names.entry(name.clone()).or_insert(next))
            };
            let key = [
                intern(&mut index.tenants, &principal.tenant),
                intern(&mut index.roles, &principal.role),
                intern(&mut index.agents, &principal.agent),
            ];
            let combination =
                u8::from(key[0] != 0) | u8::from(key[1] != 0) << 1 | u8::from(key[2] != 0) << 2;
            if !index.combinations.contains(&combination) {
                index.combinations.push(combination);
            }
            let mut put = |tool: u32| {
                index.rules.entry([key[0], key[1], key[2], tool]).or_default().push(number);
            };
            match &rule.scope.tools {
                Tools::All => put(0),
                Tools::Some(tools) => tools.iter().for_each(|tool| put(tool_number(*tool))),
            }
        }
        index
    }

    /// Calls `visit` with the number of every candidate, each once.
    #[inline]
    pub(crate) fn candidates(
        &self,
        request: &Request<'_>,
        tool: usize,
        mut visit: impl FnMut(u32),
    ) {
        let number = |names: &Names, name: &str| {
            if names.is_empty() {
                None
            } else {
                names.get(name).copied()
            }
        };
        let tenant = number(&self.tenants, request.tenant);
        let role = number(&self.roles, request.role);
        let agent = number(&self.agents, request.agent);
        for combination in &self.combinations {
            let part =
                |bit: u8, name: Option<u32>| if combination & bit == 0 { Some(0) } else { name };
            let (Some(tenant), Some(role), Some(agent)) =
                (part(1, tenant), part(2, role), part(4, agent))
            else {
                continue;
            };
            for tool in [0, tool_number(tool)] {
                if let Some(rules) = self.rules.get(&[tenant, role, agent, tool]) {
                    rules.iter().for_each(|rule| visit(*rule));
                }
            }
        }
    }
}

fn tool_number(ordinal: usize) -> u32 {
    u32::try_from(ordinal).unwrap_or(u32::MAX - 1) + 1
}
