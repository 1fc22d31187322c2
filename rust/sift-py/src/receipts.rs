//! Receipts as Python sees them: public keys, one receipt verified, a whole ledger audited.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use sift_kernel::Openings;
use sift_ledger::audit::{self, AuditError};
use sift_ledger::jcs;
use sift_ledger::keys::{Keyring, PrivateKey, Purpose};
use sift_ledger::receipt::{blind_action, Check, ReceiptError, Verified, Verifier as Core};
use sift_ledger::storage::Directory;
use sift_ledger::tiles::MAX_PROOF_FILE;

use crate::kernel::ActionRequest;
use crate::{door, errors};

/// How many receipts that do not verify an audit names.
const NAMED: usize = 100;

/// Public keys, read from `keys.toml`.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct Keys {
    ring: Keyring,
}

impl Keys {
    pub(crate) fn ring(&self) -> &Keyring {
        &self.ring
    }
}

#[pymethods]
impl Keys {
    #[new]
    fn new(text: &str) -> PyResult<Self> {
        let ring = Keyring::from_toml(text).map_err(|error| errors::config(error.to_string()))?;
        Ok(Self { ring })
    }

    /// Reads a file.
    #[staticmethod]
    fn load(path: PathBuf) -> PyResult<Self> {
        let ring = Keyring::load(&path).map_err(|error| errors::config(error.to_string()))?;
        Ok(Self { ring })
    }

    /// Id and purpose of each key, in order.
    fn items(&self) -> Vec<(String, String)> {
        [Purpose::Agent, Purpose::Approver, Purpose::Receipt, Purpose::Log, Purpose::Witness]
            .into_iter()
            .flat_map(|purpose| {
                self.ring.of(purpose).map(move |key| (key.id.clone(), purpose.to_string()))
            })
            .collect()
    }

    fn __len__(&self) -> usize {
        self.ring.len()
    }

    fn __repr__(&self) -> String {
        format!("Keys({} keys)", self.ring.len())
    }
}

type Answer = (&'static str, String);

/// Request id, action hash, predicate as JSON, three answers, place in the log.
type Row = (String, String, String, Answer, Answer, Answer, Option<u64>);

fn refused(error: &ReceiptError) -> PyErr {
    errors::receipt(error.to_string())
}

fn answer(check: &Check) -> Answer {
    (check.word(), check.detail().to_owned())
}

fn row(seen: Verified) -> Result<Row, ReceiptError> {
    let predicate = jcs::to_vec(&seen.statement.predicate)?;
    let hash = sift_ledger::hex(&seen.statement.action_hash);
    Ok((
        seen.statement.request_id,
        hash,
        String::from_utf8_lossy(&predicate).into_owned(),
        answer(&seen.signature),
        answer(&seen.inclusion),
        answer(&seen.witness),
        seen.index,
    ))
}

/// Verifies receipts; many of one checkpoint cost one signature of the log.
#[pyclass(frozen, name = "_Verifier", module = "sift_fast._core")]
pub(crate) struct Verifier {
    core: Mutex<Core>,
}

#[pymethods]
impl Verifier {
    #[new]
    fn new(keys: &Keys, origin: Option<&str>, witnesses: usize) -> Self {
        let mut core = Core::new(keys.ring().clone()).witnesses(witnesses);
        if let Some(origin) = origin {
            core = core.origin(origin);
        }
        Self { core: Mutex::new(core) }
    }

    /// Verifies an envelope with its proof, or a proof that carries the envelope.
    fn verify(
        &self,
        py: Python<'_>,
        envelope: Option<&[u8]>,
        proof: Option<&str>,
        now: i64,
    ) -> PyResult<Row> {
        let seen = py.detach(|| {
            let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
            match (envelope, proof) {
                (Some(envelope), proof) => core.verify(envelope, proof, now),
                (None, proof) => core.verify_file(proof.unwrap_or_default(), now),
            }
            .and_then(row)
        });
        seen.map_err(|error| refused(&error))
    }
}

/// What a receipt says of an action, under an opening of 32 bytes.
#[pyfunction]
pub(crate) fn blinded_action(request: &ActionRequest, opening: [u8; 32]) -> PyResult<String> {
    Ok(sift_ledger::hex(&blind_action(&opening, &request.digest()?)))
}

/// The opening of the receipts of a name, a lease and an action, made again with the kernel's private key.
#[pyfunction]
pub(crate) fn opening_of(
    key: PathBuf,
    name: &str,
    lease: Option<&str>,
    request: &ActionRequest,
) -> PyResult<String> {
    let key = PrivateKey::read(&key).map_err(|error| errors::config(error.to_string()))?;
    let openings = Openings::new(&key).map_err(|error| errors::kernel(&error))?;
    Ok(sift_ledger::hex(&openings.opening(name, lease, &request.digest()?)))
}

/// What is returned of an audit: size, origin, log keys, kept checkpoints that agree, the witness answer,
/// receipts whose signature holds, whose does not, and of the latter the first: place and reason.
type Audited = (u64, String, Vec<String>, usize, Vec<String>, u64, u64, Vec<(u64, String)>);

/// Audits the ledger in a folder.
#[pyfunction]
#[pyo3(signature = (folder, keys, origin, seen, now))]
pub(crate) fn audit_ledger(
    py: Python<'_>,
    folder: PathBuf,
    keys: &Keys,
    origin: Option<String>,
    seen: Vec<String>,
    now: i64,
) -> PyResult<Audited> {
    let ring = keys.ring().clone();
    if seen.iter().any(|note| note.len() > MAX_PROOF_FILE) {
        return Err(errors::config("a kept checkpoint is longer than 256 KiB"));
    }
    let result = door::watch_one(py, move || {
        let verifier = Core::new(ring.clone());
        let (mut good, mut bad, mut named) = (0, 0, Vec::new());
        let mut each = |index: u64, entry: &[u8]| {
            let why = match verifier.verify_entry(entry, index, now) {
                Ok(seen) if seen.signature.is_valid() => {
                    good += 1;
                    return;
                }
                Ok(seen) => seen.signature.detail().to_owned(),
                Err(error) => error.to_string(),
            };
            bad += 1;
            if named.len() < NAMED {
                named.push((index, why));
            }
        };
        let storage = Directory::reader(&folder);
        audit::audit(&storage, &ring, origin.as_deref(), &seen, now, &mut each)
            .map(|audit| (audit, good, bad, named))
    })?;
    let (audit, good, bad, named) = result.map_err(|error| match error {
        AuditError::Read(_) => errors::unavailable(error.to_string()),
        AuditError::Seen(..) => errors::config(error.to_string()),
        _ => errors::receipt(error.to_string()),
    })?;
    let seen = audit.checkpoint;
    let witnesses = seen.witnesses.into_iter().map(|witness| witness.key).collect();
    let checkpoint = seen.checkpoint;
    Ok((
        checkpoint.size,
        checkpoint.origin,
        seen.log_keys,
        audit.agreeing,
        witnesses,
        good,
        bad,
        named,
    ))
}
