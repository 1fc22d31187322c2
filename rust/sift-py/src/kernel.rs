//! The action kernel as Python sees it: requests, credentials, grants, approvals, permits, and the kernel.
//! The Python class of the same name adds what needs a coroutine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use sift_kernel as core;
use sift_kernel::socket::{Client, ClientBounds, Server};
use sift_kernel::{KernelError, Verdict};
use sift_ledger::keys::{KeyError, PrivateKey};
use sift_policy::json::{parse, JsonLimits, Object, Value};
use sift_policy::ArgumentFinding;

use crate::errors;
use crate::receipts::Keys;
use crate::scanner::Scanner;

/// How deep arguments are nested at most, whatever a kernel allows: the walk is recursive.
const DEPTH: usize = 128;

/// How far clocks may be apart when a permit is checked, milliseconds.
const SKEW: i64 = 5_000;

/// The longest that a call through a socket may take.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Most connections of one client.
const MOST_CONNECTIONS: usize = 1_024;

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn key_error(error: KeyError) -> PyErr {
    errors::config(error.to_string())
}

/// A Python value as JSON, by walking it: four times as quick as `json.dumps` and parsing.
fn to_value(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(errors::config(format!("`args` is nested more than {DEPTH} deep")));
    };
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Value::Str(utf8(text)?.into()));
    }
    // Before the integers, of which Python's booleans are some.
    if let Ok(value) = object.cast::<PyBool>() {
        return Ok(Value::Bool(value.is_true()));
    }
    if object.cast::<PyInt>().is_ok() {
        return object.extract().map(Value::Int).map_err(|_| {
            errors::config("`args` holds an integer beyond 64 bits with sign: send it as text")
        });
    }
    if let Ok(number) = object.cast::<PyFloat>() {
        let number = number.value();
        if !number.is_finite() {
            return Err(errors::config("`args` holds a number that is not finite"));
        }
        return Ok(Value::Float(number));
    }
    if object.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(dict) = object.cast::<PyDict>() {
        let mut members = Vec::with_capacity(dict.len());
        for (name, value) in dict.iter() {
            let name = name
                .cast::<PyString>()
                .map_err(|_| PyTypeError::new_err("names in `args` are str"))?;
            members.push((utf8(name)?.into(), to_value(&value, depth)?));
        }
        let object = Object::from_members(members)
            .map_err(|_| errors::config("`args` names a member twice"))?;
        return Ok(Value::Object(object));
    }
    if let Ok(list) = object.cast::<PyList>() {
        return list
            .iter()
            .map(|item| to_value(&item, depth))
            .collect::<PyResult<_>>()
            .map(Value::List);
    }
    if let Ok(tuple) = object.cast::<PyTuple>() {
        return tuple
            .iter()
            .map(|item| to_value(&item, depth))
            .collect::<PyResult<_>>()
            .map(Value::List);
    }
    Err(PyTypeError::new_err(format!(
        "`args` holds JSON: dict, list, str, int, float, bool and None, not `{}`",
        object.get_type().name()?
    )))
}

/// Text without lone surrogates; the error of Python would hold the text.
fn utf8<'a>(text: &'a Bound<'_, PyString>) -> PyResult<&'a str> {
    text.to_str().map_err(|_| errors::config("a text holds a surrogate without its partner"))
}

fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Value::Int(number) => number.into_pyobject(py)?.into_any(),
        Value::Float(number) => number.into_pyobject(py)?.into_any(),
        Value::Str(text) => PyString::new(py, text).into_any(),
        Value::List(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_python(py, item)?)?;
            }
            list.into_any()
        }
        Value::Object(members) => {
            let dict = PyDict::new(py);
            for (name, value) in members.iter() {
                dict.set_item(name, to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

fn json_value(text: &[u8]) -> PyResult<Value> {
    parse(text, &JsonLimits { bytes: 1 << 20, ..JsonLimits::default() })
        .map_err(|error| errors::config(error.to_string()))
}

fn bytes_of(value: &Value) -> PyResult<Vec<u8>> {
    core::to_json(value).map_err(|error| errors::kernel(&error))
}

/// A private key that signs requests, grants or approvals for one kernel.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct SigningKey {
    key: PrivateKey,
    id: String,
    audience: String,
}

/// A policy on trial, and its counters.
type Trial = (String, u64, u64, u64, u64);

#[pymethods]
impl SigningKey {
    #[staticmethod]
    fn generate(key_id: String, audience: String) -> PyResult<Self> {
        Ok(Self { key: PrivateKey::generate().map_err(key_error)?, id: key_id, audience })
    }

    #[staticmethod]
    fn load(path: PathBuf, key_id: String, audience: String) -> PyResult<Self> {
        Ok(Self { key: PrivateKey::read(&path).map_err(key_error)?, id: key_id, audience })
    }

    fn save(&self, path: PathBuf) -> PyResult<()> {
        self.key.write_new(&path).map_err(key_error)
    }

    #[getter]
    fn id(&self) -> &str {
        &self.id
    }

    #[getter]
    fn audience(&self) -> &str {
        &self.audience
    }

    #[getter]
    fn public(&self) -> String {
        self.key.public_base64()
    }

    fn __repr__(&self) -> String {
        format!("SigningKey(id='{}')", self.id)
    }

    /// A pickle is a place where a key would be found.
    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err("a key is not pickled: load it where it is needed"))
    }
}

/// What an agent wants to do.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct ActionRequest {
    core: core::ActionRequest,
    stamp: Option<core::Stamp>,
}

impl ActionRequest {
    /// What the action is known by.
    pub(crate) fn digest(&self) -> PyResult<[u8; 32]> {
        self.core.digest().map_err(|error| errors::kernel(&error))
    }
}

#[pymethods]
impl ActionRequest {
    #[new]
    #[pyo3(signature = (*, tenant, agent, role, tool, args, session=None, conversation=None, model=None,
                        model_version=None, trace_id=None, estimate=None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments, as designed")]
    fn new(
        tenant: String,
        agent: String,
        role: String,
        tool: String,
        args: &Bound<'_, PyAny>,
        session: Option<String>,
        conversation: Option<String>,
        model: Option<String>,
        model_version: Option<String>,
        trace_id: Option<String>,
        estimate: Option<BTreeMap<String, i64>>,
    ) -> PyResult<Self> {
        let request = core::ActionRequest {
            tenant,
            agent,
            role,
            tool,
            args: to_value(args, DEPTH)?,
            session,
            conversation,
            model,
            model_version,
            trace_id,
            estimate: estimate.unwrap_or_default().into_iter().collect(),
        };
        // What a kernel allows may be less; what none allows is said here, where the mistake is.
        let limits = JsonLimits { bytes: 16 << 20, depth: DEPTH, values: usize::MAX };
        request.check(&limits).map_err(|error| errors::config(error.to_string()))?;
        Ok(Self { core: request, stamp: None })
    }

    #[staticmethod]
    fn from_json(text: &[u8]) -> PyResult<Self> {
        let request = core::ActionRequest::from_value(json_value(text)?)
            .map_err(|error| errors::config(error.to_string()))?;
        request.check(&JsonLimits::default()).map_err(|error| errors::config(error.to_string()))?;
        Ok(Self { core: request, stamp: None })
    }

    fn to_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &bytes_of(&self.core.to_value())?))
    }

    #[getter]
    fn tenant(&self) -> &str {
        &self.core.tenant
    }

    #[getter]
    fn agent(&self) -> &str {
        &self.core.agent
    }

    #[getter]
    fn role(&self) -> &str {
        &self.core.role
    }

    #[getter]
    fn tool(&self) -> &str {
        &self.core.tool
    }

    #[getter]
    fn args<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(py, &self.core.args)
    }

    #[getter]
    fn session(&self) -> Option<&str> {
        self.core.session.as_deref()
    }

    #[getter]
    fn conversation(&self) -> Option<&str> {
        self.core.conversation.as_deref()
    }

    #[getter]
    fn model(&self) -> Option<&str> {
        self.core.model.as_deref()
    }

    #[getter]
    fn model_version(&self) -> Option<&str> {
        self.core.model_version.as_deref()
    }

    #[getter]
    fn trace_id(&self) -> Option<&str> {
        self.core.trace_id.as_deref()
    }

    #[getter]
    fn estimate(&self) -> BTreeMap<&str, i64> {
        self.core.estimate.iter().map(|(unit, amount)| (unit.as_str(), *amount)).collect()
    }

    #[getter]
    fn request_id(&self) -> Option<&str> {
        self.stamp.as_ref().map(|stamp| stamp.request_id.as_str())
    }

    #[getter]
    fn nonce<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.stamp.as_ref().map(|stamp| PyBytes::new(py, &stamp.nonce))
    }

    #[getter]
    fn issued_at(&self) -> Option<i64> {
        self.stamp.as_ref().map(|stamp| stamp.issued_at_ms)
    }

    #[getter]
    fn expires_at(&self) -> Option<i64> {
        self.stamp.as_ref().map(|stamp| stamp.expires_at_ms)
    }

    #[getter]
    fn audience(&self) -> Option<&str> {
        self.stamp.as_ref().map(|stamp| stamp.audience.as_str())
    }

    #[getter]
    fn action_hash(&self) -> PyResult<String> {
        Ok(sift_ledger::hex(&self.digest()?))
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.core == other.core && self.stamp == other.stamp
    }

    fn __repr__(&self) -> String {
        format!(
            "ActionRequest(tenant='{}', agent='{}', role='{}', tool='{}')",
            self.core.tenant, self.core.agent, self.core.role, self.core.tool
        )
    }
}

/// What proves who asks.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct Credential {
    core: core::Credential,
}

#[pymethods]
impl Credential {
    #[staticmethod]
    fn from_json(text: &[u8]) -> PyResult<Self> {
        let core = core::Credential::from_value(json_value(text)?)
            .map_err(|error| errors::config(error.to_string()))?;
        Ok(Self { core })
    }

    fn to_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &bytes_of(&self.core.to_value())?))
    }

    #[getter]
    fn request_id(&self) -> &str {
        &self.core.stamp.request_id
    }

    #[getter]
    fn issued_at(&self) -> i64 {
        self.core.stamp.issued_at_ms
    }

    #[getter]
    fn expires_at(&self) -> i64 {
        self.core.stamp.expires_at_ms
    }

    #[getter]
    fn audience(&self) -> &str {
        &self.core.stamp.audience
    }

    fn __repr__(&self) -> String {
        let kind = match &self.core.proof {
            core::Proof::Signature { .. } => "signature",
            core::Proof::Mac { .. } => "mac",
            core::Proof::Process => "process",
        };
        format!("Credential(kind='{kind}')")
    }
}

/// Signs a request; returns it with its stamp, and the credential.
#[pyfunction]
#[pyo3(signature = (request, key, *, lifetime_ms=30_000))]
pub(crate) fn sign_request(
    request: &ActionRequest,
    key: &SigningKey,
    lifetime_ms: i64,
) -> PyResult<(ActionRequest, Credential)> {
    let stamp = core::Stamp::new(&key.audience, now_ms(), lifetime_ms)
        .map_err(|error| errors::kernel(&error))?;
    let credential = core::sign(&request.core, &key.id, &key.key, stamp.clone())
        .map_err(|error| errors::config(error.to_string()))?;
    let request = ActionRequest { core: request.core.clone(), stamp: Some(stamp) };
    Ok((request, Credential { core: credential }))
}

/// A stamp without proof, for a kernel that trusts its own process.
#[pyfunction]
#[pyo3(signature = (audience, *, lifetime_ms=30_000))]
pub(crate) fn trusted_credential(audience: &str, lifetime_ms: i64) -> PyResult<Credential> {
    let stamp = core::Stamp::new(audience, now_ms(), lifetime_ms)
        .map_err(|error| errors::kernel(&error))?;
    Ok(Credential { core: core::Credential { stamp, proof: core::Proof::Process } })
}

/// A grant with its signature.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct SignedGrant {
    core: core::SignedGrant,
}

#[pymethods]
impl SignedGrant {
    #[staticmethod]
    fn from_json(text: &[u8]) -> PyResult<Self> {
        let core = core::SignedGrant::from_json(text)
            .map_err(|error| errors::config(error.to_string()))?;
        Ok(Self { core })
    }

    fn to_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.core.to_json().map_err(|error| errors::kernel(&error))?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[getter]
    fn session(&self) -> &str {
        &self.core.grant.session
    }

    #[getter]
    fn expires_at(&self) -> i64 {
        self.core.grant.expires_at_ms
    }

    fn __repr__(&self) -> String {
        format!("SignedGrant(session='{}')", self.core.grant.session)
    }
}

/// Signs a session grant from its fields; `seconds` from now.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "fields of the Python class")]
pub(crate) fn sign_grant(
    key: &SigningKey,
    session: String,
    tenant: String,
    agent: String,
    roles: BTreeSet<String>,
    tools: Option<BTreeSet<String>>,
    conversation: Option<String>,
    seconds: i64,
) -> PyResult<SignedGrant> {
    let now = now_ms();
    let grant = core::SessionGrant {
        session,
        tenant,
        agent,
        roles,
        tools,
        conversation,
        not_before_ms: now,
        expires_at_ms: now.saturating_add(seconds.saturating_mul(1_000)),
    };
    let core = grant
        .sign(&key.audience, &key.id, &key.key)
        .map_err(|error| errors::config(error.to_string()))?;
    Ok(SignedGrant { core })
}

/// An elevation with its signature.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct SignedElevation {
    core: core::SignedElevation,
}

#[pymethods]
impl SignedElevation {
    #[staticmethod]
    fn from_json(text: &[u8]) -> PyResult<Self> {
        let core = core::SignedElevation::from_json(text)
            .map_err(|error| errors::config(error.to_string()))?;
        Ok(Self { core })
    }

    fn to_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = self.core.to_json().map_err(|error| errors::kernel(&error))?;
        Ok(PyBytes::new(py, &bytes))
    }

    #[getter]
    fn id(&self) -> &str {
        &self.core.elevation.id
    }

    fn __repr__(&self) -> String {
        format!("SignedElevation(id='{}')", self.core.elevation.id)
    }
}

/// Signs an elevation: `tools` are added to `session` for `seconds`.
#[pyfunction]
#[pyo3(signature = (key, *, session, tenant, tools, seconds))]
pub(crate) fn sign_elevation(
    key: &SigningKey,
    session: String,
    tenant: String,
    tools: BTreeSet<String>,
    seconds: i64,
) -> PyResult<SignedElevation> {
    let now = now_ms();
    let elevation = core::Elevation {
        id: String::new(),
        session,
        tenant,
        tools,
        not_before_ms: now,
        expires_at_ms: now.saturating_add(seconds.saturating_mul(1_000)),
    };
    let core = elevation
        .sign(&key.audience, &key.id, &key.key)
        .map_err(|error| errors::config(error.to_string()))?;
    Ok(SignedElevation { core })
}

/// An open session.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct Session {
    core: core::Session,
}

#[pymethods]
impl Session {
    #[getter]
    fn id(&self) -> &str {
        self.core.id()
    }

    #[pyo3(signature = (request, *, lifetime_ms=30_000))]
    fn mac(&self, request: &ActionRequest, lifetime_ms: i64) -> PyResult<Credential> {
        let core = self
            .core
            .mac(&request.core, now_ms(), lifetime_ms)
            .map_err(|error| errors::config(error.to_string()))?;
        Ok(Credential { core })
    }

    fn __repr__(&self) -> String {
        format!("Session(id='{}')", self.core.id())
    }

    /// It holds a key.
    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err("a session is not pickled: open it where it is needed"))
    }
}

/// Something that waits for people.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct Approval {
    core: core::ApprovalRecord,
    audience: String,
}

#[pymethods]
impl Approval {
    #[getter]
    fn id(&self) -> &str {
        &self.core.id
    }

    #[getter]
    fn state(&self) -> &'static str {
        self.core.state.word()
    }

    #[getter]
    fn tenant(&self) -> &str {
        &self.core.tenant
    }

    #[getter]
    fn agent(&self) -> &str {
        &self.core.agent
    }

    #[getter]
    fn tool(&self) -> &str {
        &self.core.tool
    }

    #[getter]
    fn rule(&self) -> &str {
        &self.core.rule
    }

    #[getter]
    fn required(&self) -> u32 {
        self.core.m
    }

    #[getter]
    fn group(&self) -> &str {
        &self.core.group
    }

    #[getter]
    fn created_at(&self) -> i64 {
        self.core.created_ms
    }

    #[getter]
    fn expires_at(&self) -> i64 {
        self.core.expires_ms
    }

    #[getter]
    fn approvers(&self) -> Vec<&str> {
        self.core
            .signatures
            .iter()
            .filter(|signed| signed.verdict == Verdict::Approve)
            .map(|signed| signed.name.as_str())
            .collect()
    }

    /// The action, opened with an approver's key.
    fn open<'py>(&self, py: Python<'py>, key: &SigningKey) -> PyResult<Bound<'py, PyAny>> {
        let action = self
            .core
            .open(&self.audience, &key.id, &key.key)
            .map_err(|error| errors::kernel(&error))?;
        to_python(py, &json_value(&action)?)
    }

    /// A signature over what was opened.
    #[pyo3(signature = (key, *, reject=false))]
    fn sign(&self, key: &SigningKey, reject: bool) -> PyResult<ApprovalSignature> {
        let verdict = if reject { Verdict::Reject } else { Verdict::Approve };
        let signature = self
            .core
            .sign(&self.audience, &key.id, &key.key, verdict)
            .map_err(|error| errors::kernel(&error))?;
        Ok(ApprovalSignature { key_id: key.id.clone(), verdict, signature })
    }

    fn __repr__(&self) -> String {
        format!("Approval(id='{}', state='{}')", self.core.id, self.core.state.word())
    }
}

/// What an approver says about one approval.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct ApprovalSignature {
    key_id: String,
    verdict: Verdict,
    signature: [u8; 64],
}

#[pymethods]
impl ApprovalSignature {
    #[getter]
    fn key_id(&self) -> &str {
        &self.key_id
    }

    #[getter]
    fn verdict(&self) -> &'static str {
        self.verdict.word()
    }

    fn __repr__(&self) -> String {
        format!("ApprovalSignature(key_id='{}', verdict='{}')", self.key_id, self.verdict.word())
    }
}

/// The answer to a request.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct Authorization {
    core: core::Answer,
    kernel: Arc<dyn core::Gate>,
    durable: std::sync::OnceLock<core::Durable>,
    /// The receipt without the permit, for those who wait for it alone.
    recorded: std::sync::OnceLock<core::Durable>,
}

impl Authorization {
    fn keep(&self, durable: core::Durable) {
        // Two waits for the same receipt have the same answer; a permit may differ by nothing.
        let _ = self.durable.set(durable);
    }

    /// Calls `told` on another thread when the receipt is durable or lost; false when there is nothing to wait for.
    pub(crate) fn when_durable(&self, told: Box<dyn FnOnce() + Send>) -> bool {
        self.durable.get().is_none() && self.kernel.when_durable(&self.core, told)
    }
}

#[pymethods]
impl Authorization {
    #[getter]
    fn decision(&self) -> &'static str {
        self.core.decision.word()
    }

    #[getter]
    fn allowed(&self) -> bool {
        self.core.decision == core::Decision::Allow
    }

    #[getter]
    fn reason(&self) -> &str {
        &self.core.reason
    }

    #[getter]
    fn message(&self) -> Option<&str> {
        self.core.message.as_deref()
    }

    #[getter]
    fn status(&self) -> &'static str {
        self.core.status.word()
    }

    #[getter]
    fn rule_ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.core.rule_ids)
    }

    #[getter]
    fn shadow<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.core.shadow)
    }

    #[getter]
    fn taint<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.core.taint)
    }

    #[getter]
    fn policy_hash(&self) -> String {
        sift_ledger::hex(&self.core.policy_hash)
    }

    #[getter]
    fn lease(&self) -> Option<&str> {
        self.core.lease.as_deref()
    }

    #[getter]
    fn approval(&self) -> Option<&str> {
        self.core.approval.as_deref()
    }

    #[getter]
    fn request_id(&self) -> &str {
        &self.core.request_id
    }

    #[getter]
    fn permit<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let permit = self.durable.get()?.permit.as_ref()?;
        Some(PyBytes::new(py, permit))
    }

    /// What the receipt's digests are checked with, once it is durable.
    #[getter]
    fn opening(&self) -> Option<String> {
        let durable = self.durable.get().or_else(|| self.recorded.get())?;
        Some(sift_ledger::hex(&durable.opening))
    }

    /// Envelope and place of the receipt, once it is durable.
    #[getter]
    fn _receipt<'py>(&self, py: Python<'py>) -> Option<(Bound<'py, PyBytes>, Option<u64>)> {
        let durable = self.durable.get().or_else(|| self.recorded.get())?;
        let index = durable.placed.as_ref().map(|placed| placed.index);
        Some((PyBytes::new(py, &durable.receipt), index))
    }

    /// Waits for the receipt.
    fn _wait(&self, py: Python<'_>) -> PyResult<()> {
        if self.durable.get().is_some() {
            return Ok(());
        }
        let done = py.detach(|| self.kernel.durable(&self.core));
        if let Some(durable) = done.map_err(|error| errors::kernel(&error))? {
            self.keep(durable);
        }
        Ok(())
    }

    /// A coroutine that gives the receipt once it is durable.
    fn durable<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("sift_fast.kernel")?.call_method1("_durable", (slf,))
    }

    /// As `durable`, waiting here.
    fn durable_sync<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.get()._wait(slf.py())?;
        Self::receipt(slf)
    }

    /// Waits until the receipt is durable, and leaves the permit with the kernel.
    fn recorded_sync<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let this = slf.get();
        if this.recorded.get().is_none() && this.durable.get().is_none() {
            let done = slf.py().detach(|| this.kernel.recorded(&this.core));
            if let Some(recorded) = done.map_err(|error| errors::kernel(&error))? {
                let _ = this.recorded.set(recorded);
            }
        }
        Self::receipt(slf)
    }

    #[getter]
    fn receipt<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("sift_fast.kernel")?.call_method1("_receipt", (slf,))
    }

    fn __repr__(&self) -> String {
        format!(
            "Authorization(decision='{}', reason='{}')",
            self.core.decision.word(),
            self.core.reason
        )
    }
}

/// Looks into the arguments of an action with a scanner.
struct Contents {
    scanner: Arc<sift_scan::Scanner>,
}

impl Contents {
    fn text(
        &self,
        text: &str,
        pointer: &str,
        found: &mut Vec<ArgumentFinding>,
    ) -> Result<(), String> {
        let scan = self.scanner.scan(text.as_bytes()).map_err(|error| error.to_string())?;
        if !scan.incomplete.is_empty() {
            return Err("a limit of the scanner was hit".to_owned());
        }
        for finding in scan.findings {
            let rule = self.scanner.rules().rules().get(finding.rule as usize);
            let rule = rule.ok_or("the scanner named no rule")?;
            found.push(ArgumentFinding {
                argument: pointer.to_owned(),
                category: rule.category.as_str().to_owned(),
                entity_type: rule.entity.clone(),
                score: f64::from(finding.score),
            });
        }
        Ok(())
    }

    /// Depth is bounded by the kernel, which has checked the arguments. Below a name that is not `shown`, findings
    /// are those of the object that has the name.
    fn walk(
        &self,
        value: &Value,
        pointer: &mut String,
        shown: bool,
        found: &mut Vec<ArgumentFinding>,
    ) -> Result<(), String> {
        let length = pointer.len();
        match value {
            Value::Str(text) => self.text(text, pointer, found)?,
            // Card and account numbers leave as numbers too.
            Value::Int(number) => self.text(&number.to_string(), pointer, found)?,
            Value::Float(number) if number.fract() == 0.0 => {
                self.text(&number.to_string(), pointer, found)?;
            }
            Value::List(items) => {
                for (place, item) in items.iter().enumerate() {
                    if shown {
                        pointer.push('/');
                        pointer.push_str(&place.to_string());
                    }
                    self.walk(item, pointer, shown, found)?;
                    pointer.truncate(length);
                }
            }
            Value::Object(members) => {
                for (name, item) in members.iter() {
                    // A name goes out as well as a value does; one with a finding must not be in a receipt.
                    let before = found.len();
                    self.text(name, pointer, found)?;
                    let shown = shown && found.len() == before;
                    if shown {
                        pointer.push('/');
                        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    }
                    self.walk(item, pointer, shown, found)?;
                    pointer.truncate(length);
                }
            }
            Value::Null | Value::Bool(_) | Value::Float(_) => {}
        }
        Ok(())
    }
}

impl core::ArgumentScanner for Contents {
    fn scan(&self, args: &Value) -> Result<Vec<ArgumentFinding>, String> {
        let mut found = Vec::new();
        self.walk(args, &mut String::new(), true, &mut found)?;
        Ok(found)
    }
}

/// Ends of leases: state, charges `(budget, unit, amount)`, overrun, barred.
type Ended = (&'static str, Vec<(String, String, i64)>, bool, bool);

fn ended(outcome: core::Outcome) -> Ended {
    let charged = outcome
        .charged
        .into_iter()
        .map(|charge| (charge.budget.to_string(), charge.unit.to_string(), charge.amount))
        .collect();
    (outcome.state.word(), charged, outcome.overrun, outcome.barred)
}

/// An account: limit, scope, start of the window, drawn, reserved, settled.
type Account = (String, String, i64, i64, i64, i64);

/// A step of a rollback: request, tool, arguments.
type Step<'py> = (String, String, Bound<'py, PyAny>);

/// Signs off actions.
#[pyclass(frozen, subclass, name = "_Kernel", module = "sift_fast._core")]
pub(crate) struct Kernel {
    core: Arc<dyn core::Gate>,
}

/// What looks into arguments, in the kernel's process.
fn contents(scanner: Option<&Scanner>) -> Option<Arc<dyn core::ArgumentScanner>> {
    scanner.map(|scanner| {
        Arc::new(Contents { scanner: Arc::clone(scanner.core()) }) as Arc<dyn core::ArgumentScanner>
    })
}

fn run<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, KernelError> + Send,
) -> PyResult<T> {
    // Any call may wait for the disk.
    py.detach(work).map_err(|error| errors::kernel(&error))
}

#[pymethods]
impl Kernel {
    /// A kernel in this process, or with `connect` one behind a socket: most connections, seconds for a call.
    #[new]
    #[pyo3(signature = (path, scanner, connect=None))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        scanner: Option<&Scanner>,
        connect: Option<(usize, f64)>,
    ) -> PyResult<Self> {
        let core: Arc<dyn core::Gate> = match connect {
            None => {
                let scanner = contents(scanner);
                Arc::new(run(py, || core::Local::open(&path, scanner))?)
            }
            Some((connections, seconds)) => {
                let timeout = Duration::try_from_secs_f64(seconds)
                    .ok()
                    .filter(|timeout| !timeout.is_zero() && *timeout <= LONGEST)
                    .ok_or_else(|| {
                        errors::config("`timeout` is seconds, above 0 and up to 3600")
                    })?;
                if connections == 0 || connections > MOST_CONNECTIONS {
                    return Err(errors::config("`connections` is 1 to 1024"));
                }
                let bounds = ClientBounds { connections, timeout };
                Arc::new(run(py, || Client::connect(&path, bounds))?)
            }
        };
        Ok(Self { core })
    }

    #[getter]
    fn audience(&self) -> &str {
        self.core.audience()
    }

    #[getter]
    fn remote(&self) -> bool {
        self.core.remote()
    }

    #[getter]
    fn policy_hash(&self, py: Python<'_>) -> PyResult<String> {
        let hash = run(py, || self.core.policy_hash())?;
        Ok(sift_ledger::hex(&hash))
    }

    fn _authorize(
        &self,
        py: Python<'_>,
        request: &ActionRequest,
        credential: &Credential,
        approval: Option<&str>,
    ) -> PyResult<Authorization> {
        if let Some(stamp) = &request.stamp {
            if *stamp != credential.core.stamp {
                return Err(errors::config(
                    "the credential is for another request: give the two that `sign_request` returned",
                ));
            }
        }
        let core = py.detach(|| self.core.authorize(&request.core, &credential.core, approval));
        Ok(Authorization {
            core,
            kernel: Arc::clone(&self.core),
            durable: std::sync::OnceLock::new(),
            recorded: std::sync::OnceLock::new(),
        })
    }

    fn _settle(
        &self,
        py: Python<'_>,
        lease: &str,
        actual: BTreeMap<String, i64>,
        result: &Bound<'_, PyAny>,
    ) -> PyResult<Ended> {
        let result = to_value(result, DEPTH)?;
        run(py, || self.core.settle(lease, actual, &result)).map(ended)
    }

    fn _cancel(&self, py: Python<'_>, lease: &str) -> PyResult<Ended> {
        run(py, || self.core.cancel(lease)).map(ended)
    }

    fn _abandon(&self, py: Python<'_>, lease: &str) -> PyResult<Ended> {
        run(py, || self.core.abandon(lease)).map(ended)
    }

    /// Request, tool and arguments of what undoes a trace, the last action first.
    #[pyo3(signature = (trace_id, tenant=None, agent=None))]
    fn _undos<'py>(
        &self,
        py: Python<'py>,
        trace_id: &str,
        tenant: Option<&str>,
        agent: Option<&str>,
    ) -> PyResult<Vec<Step<'py>>> {
        run(py, || self.core.undos(core::Trace { id: trace_id, tenant, agent }))?
            .into_iter()
            .map(|undo| Ok((undo.request_id, undo.tool, to_python(py, &json_value(&undo.args)?)?)))
            .collect()
    }

    #[pyo3(signature = (trace_id, request_id, tenant=None, agent=None))]
    fn _take_undo(
        &self,
        py: Python<'_>,
        trace_id: &str,
        request_id: &str,
        tenant: Option<&str>,
        agent: Option<&str>,
    ) -> PyResult<bool> {
        let trace = core::Trace { id: trace_id, tenant, agent };
        run(py, || self.core.take_undo(trace, request_id))
    }

    /// Puts a step back as it is stored.
    #[pyo3(signature = (trace_id, request_id, tenant=None, agent=None))]
    fn _return_undo(
        &self,
        py: Python<'_>,
        trace_id: &str,
        request_id: &str,
        tenant: Option<&str>,
        agent: Option<&str>,
    ) -> PyResult<()> {
        let trace = core::Trace { id: trace_id, tenant, agent };
        run(py, || self.core.return_undo(trace, request_id))
    }

    /// What policies in shadow mode did: name, and how often it was a candidate, matched, could not be evaluated,
    /// would have changed the decision.
    fn _shadow(&self, py: Python<'_>) -> PyResult<Vec<Trial>> {
        let counters = run(py, || self.core.shadow_counters())?;
        Ok(counters
            .into_iter()
            .map(|one| {
                let name = one.rule_id.to_string();
                (name, one.evaluated, one.satisfied, one.errors, one.would_change)
            })
            .collect())
    }

    #[pyo3(signature = (text, *, tenant, conversation, source))]
    fn observe(
        &self,
        py: Python<'_>,
        text: &Bound<'_, PyString>,
        tenant: &str,
        conversation: &str,
        source: &str,
    ) -> PyResult<()> {
        // A lone surrogate hides nothing: the rest of the text is looked at all the same.
        let text = text.to_string_lossy().into_owned();
        run(py, || self.core.observe(tenant, conversation, source, &text))
    }

    fn open_session(&self, py: Python<'_>, grant: &SignedGrant) -> PyResult<Session> {
        run(py, || self.core.open_session(&grant.core)).map(|core| Session { core })
    }

    fn elevate(&self, py: Python<'_>, elevation: &SignedElevation) -> PyResult<()> {
        run(py, || self.core.elevate(&elevation.core))
    }

    fn _pending(&self, py: Python<'_>) -> PyResult<Vec<Approval>> {
        let audience = self.core.audience();
        let pending = run(py, || self.core.pending())?;
        let audience = || audience.to_owned();
        Ok(pending.into_iter().map(|core| Approval { core, audience: audience() }).collect())
    }

    fn _approval(&self, py: Python<'_>, approval: &str) -> PyResult<Option<Approval>> {
        let found = run(py, || self.core.approval(approval))?;
        Ok(found.map(|core| Approval { core, audience: self.core.audience().to_owned() }))
    }

    fn _sign_approval(
        &self,
        py: Python<'_>,
        approval: &str,
        signature: &ApprovalSignature,
    ) -> PyResult<&'static str> {
        let state = run(py, || {
            self.core.sign_approval(
                approval,
                &signature.key_id,
                signature.verdict,
                &signature.signature,
            )
        })?;
        Ok(state.word())
    }

    fn _revoke(
        &self,
        py: Python<'_>,
        kind: &str,
        name: String,
        tenant: String,
        agent: String,
        back: bool,
    ) -> PyResult<()> {
        let kind = core::SubjectKind::from_word(kind)
            .ok_or_else(|| errors::config("tenant, agent, session or key can be revoked"))?;
        let subject = core::Subject { kind, name, tenant, agent };
        run(py, || if back { self.core.reinstate(&subject) } else { self.core.revoke(&subject) })
    }

    /// Reads policies, manifest and public keys again; all or nothing.
    fn reload(&self, py: Python<'_>) -> PyResult<()> {
        run(py, || self.core.reload())
    }

    fn _proof(&self, py: Python<'_>, index: u64) -> PyResult<String> {
        run(py, || self.core.proof(index))
    }

    /// Accounts: limit, scope, start of the window, drawn, reserved, settled.
    fn _budgets(&self, py: Python<'_>) -> PyResult<Vec<Account>> {
        let totals = run(py, || self.core.totals())?;
        Ok(totals
            .into_iter()
            .map(|(key, (drawn, reserved, settled))| {
                (key.limit, key.scope, key.window_ms, drawn, reserved, settled)
            })
            .collect())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        run(py, || self.core.close())
    }

    fn __repr__(&self) -> String {
        format!("Kernel(audience='{}')", self.core.audience())
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err("a kernel is not pickled: one process works with its folder"))
    }
}

/// The socket of a folder whose settings say `mode = "socket"`; nothing for another mode.
#[pyfunction]
pub(crate) fn kernel_socket(folder: PathBuf) -> PyResult<Option<PathBuf>> {
    let config = core::Config::load(&folder).map_err(|error| errors::kernel(&error))?;
    Ok((config.mode == core::Mode::Socket).then_some(config.socket.path))
}

/// A kernel of this process that others reach through a socket.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct KernelServer {
    core: Server,
}

#[pymethods]
impl KernelServer {
    #[new]
    fn new(
        py: Python<'_>,
        folder: PathBuf,
        scanner: Option<&Scanner>,
        socket: Option<PathBuf>,
    ) -> PyResult<Self> {
        let scanner = contents(scanner);
        let core = run(py, || {
            let local = core::Local::open(&folder, scanner)?;
            Server::start(Arc::new(local), socket.as_deref())
        })?;
        Ok(Self { core })
    }

    #[getter]
    fn path(&self) -> PathBuf {
        self.core.path().to_owned()
    }

    #[getter]
    fn audience(&self) -> &str {
        self.core.audience()
    }

    fn reload(&self, py: Python<'_>) -> PyResult<()> {
        run(py, || self.core.reload())
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        run(py, || self.core.stop())
    }

    fn __repr__(&self) -> String {
        format!("KernelServer(audience='{}')", self.core.audience())
    }
}

/// Which permits were used.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct PermitRegister {
    core: core::Register,
}

#[pymethods]
impl PermitRegister {
    #[new]
    #[pyo3(signature = (path=None, *, most=1_000_000))]
    fn new(path: Option<PathBuf>, most: usize) -> PyResult<Self> {
        let core = match path {
            None => core::Register::in_memory(now_ms(), most),
            Some(path) => {
                core::Register::open(&path, most).map_err(|error| errors::kernel(&error))?
            }
        };
        Ok(Self { core })
    }

    fn __repr__(&self) -> &'static str {
        "PermitRegister()"
    }
}

/// What a permit says.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct Permit {
    core: core::Permit,
}

#[pymethods]
impl Permit {
    #[getter]
    fn audience(&self) -> &str {
        &self.core.audience
    }

    #[getter]
    fn request_id(&self) -> &str {
        &self.core.request_id
    }

    #[getter]
    fn action_hash(&self) -> &str {
        &self.core.action
    }

    #[getter]
    fn tool(&self) -> &str {
        &self.core.tool
    }

    #[getter]
    fn tenant(&self) -> &str {
        &self.core.tenant
    }

    #[getter]
    fn agent(&self) -> &str {
        &self.core.agent
    }

    #[getter]
    fn lease(&self) -> &str {
        &self.core.lease
    }

    #[getter]
    fn issued_at(&self) -> i64 {
        self.core.issued_at_ms
    }

    #[getter]
    fn expires_at(&self) -> i64 {
        self.core.expires_at_ms
    }

    fn __repr__(&self) -> String {
        format!("Permit(tool='{}', request_id='{}')", self.core.tool, self.core.request_id)
    }
}

/// Checks a permit for an action, of a kernel where one is named, and notes that it is used.
#[pyfunction]
pub(crate) fn verify_permit(
    py: Python<'_>,
    permit: &[u8],
    request: &ActionRequest,
    keys: &Keys,
    register: &PermitRegister,
    audience: Option<&str>,
) -> PyResult<Permit> {
    let now = now_ms();
    let core = run(py, || {
        let core = core::Permit::verify(permit, &request.core, keys.ring(), now, SKEW)?;
        if request.stamp.as_ref().is_some_and(|stamp| stamp.request_id != core.request_id) {
            return Err(KernelError::Permit("the permit is for another request".to_owned()));
        }
        if audience.is_some_and(|audience| audience != core.audience) {
            return Err(KernelError::Permit("the permit is of another kernel".to_owned()));
        }
        register.core.redeem(&core, now)?;
        Ok(core)
    })?;
    Ok(Permit { core })
}
