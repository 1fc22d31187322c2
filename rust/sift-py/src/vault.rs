//! Keys and vaults as Python sees them, and the text that comes back from placeholders.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, TryLockError};

use memchr::memmem;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use sift_redact::{Capacity, Permission, Vault as Core, KEY_BYTES};
use sift_text::restore_surrogates;

use crate::text::{strings, to_object, Text, Unit};
use crate::{door, errors};

/// A key that operators and vaults hold instead of its bytes: it is wiped when the last of them goes.
#[pyclass(frozen, name = "_Key", module = "sift_fast._core")]
pub(crate) struct Key {
    core: sift_redact::Key,
}

impl Key {
    pub(crate) fn core(&self) -> &sift_redact::Key {
        &self.core
    }
}

#[pymethods]
impl Key {
    #[new]
    fn new(key: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(key) = key.cast::<Self>() {
            return Ok(Self { core: key.get().core.clone() });
        }
        let wrong = || {
            errors::config(format!(
                "`key` must be {KEY_BYTES} bytes of randomness, as `secrets.token_bytes({KEY_BYTES})` gives"
            ))
        };
        let bytes = key.cast::<PyBytes>().map_err(|_| wrong())?;
        let bytes: &[u8; KEY_BYTES] = bytes.as_bytes().try_into().map_err(|_| wrong())?;
        Ok(Self { core: sift_redact::Key::new(bytes) })
    }

    /// Tells keys apart and says nothing about them.
    #[getter]
    fn id(&self) -> &str {
        self.core.id()
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.core == other.core
    }

    fn __hash__(&self) -> u64 {
        u64::from_str_radix(self.core.id(), 16).unwrap_or_default()
    }

    fn __repr__(&self) -> String {
        format!("Key(id='{}')", self.core.id())
    }

    fn __copy__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __deepcopy__<'py>(slf: PyRef<'py, Self>, memo: &Bound<'py, PyAny>) -> PyRef<'py, Self> {
        let _ = memo;
        slf
    }

    /// A pickle is a place where a key would be found.
    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err("a key is not pickled: make it again where it is needed"))
    }
}

/// A reversible map between values and placeholders.
#[pyclass(frozen, subclass, weakref, module = "sift_fast._core")]
pub(crate) struct Vault {
    core: Arc<Core>,
}

impl Vault {
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

fn permission(entities: Option<&Bound<'_, PyAny>>, urls: bool) -> PyResult<Permission> {
    let entities = entities.map(|names| strings(names, "entities")).transpose()?;
    Ok(Permission { entities: entities.map(|names| names.into_iter().collect()), urls })
}

/// The bytes of a text, lone surrogates as they are.
fn exact(mut text: Text<'_, '_>) -> Vec<u8> {
    let patches = std::mem::take(&mut text.patches);
    let mut bytes = text.bytes().to_vec();
    restore_surrogates(&mut bytes, 0, &patches);
    bytes
}

#[pymethods]
impl Vault {
    #[new]
    #[pyo3(
        signature = (key, *, max_entries=100_000, max_bytes=64 << 20, _path=None),
        text_signature = "(key, *, max_entries=100000, max_bytes=67108864, _path=None)"
    )]
    fn new(
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        max_entries: i64,
        max_bytes: i64,
        _path: Option<PathBuf>,
    ) -> PyResult<Self> {
        let key = Key::new(key)?.core;
        let bound = |value: i64, name: &str| {
            let negative = || errors::config(format!("`{name}` must be 0 or more"));
            usize::try_from(value).map_err(|_| negative())
        };
        let capacity = Capacity {
            entries: bound(max_entries, "max_entries")?,
            bytes: bound(max_bytes, "max_bytes")?,
        };
        let core = match _path {
            None => Core::new(key, capacity),
            Some(path) => py.detach(|| Core::load(key, &path, capacity)),
        };
        Ok(Self { core: Arc::new(core.map_err(|e| errors::vault(&e))?) })
    }

    /// What its placeholders end with.
    #[getter]
    fn tag(&self) -> &str {
        self.core.tag()
    }

    #[getter]
    fn key_id(&self) -> &str {
        self.core.key().id()
    }

    fn __len__(&self) -> PyResult<usize> {
        self.core.len().map_err(|e| errors::vault(&e))
    }

    /// A vault that holds nothing is still a vault.
    fn __bool__(&self) -> bool {
        true
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.core.save(&path)).map_err(|e| errors::vault(&e))
    }

    #[pyo3(
        signature = (text, entities=None, *, urls=false),
        text_signature = "($self, text, entities=None, *, urls=False)"
    )]
    fn restore(
        &self,
        py: Python<'_>,
        text: &Bound<'_, PyAny>,
        entities: Option<&Bound<'_, PyAny>>,
        urls: bool,
    ) -> PyResult<Py<PyAny>> {
        let permission = permission(entities, urls)?;
        self.core.check_process().map_err(|e| errors::vault(&e))?;
        let (object, text) = (text, Text::take(text, "restore")?);
        let unit = text.unit;
        if memmem::find(text.bytes(), self.core.tag().as_bytes()).is_none() {
            return if unit == Unit::CodePoint || object.is_instance_of::<PyBytes>() {
                Ok(object.clone().unbind())
            } else {
                to_object(py, unit, text.bytes())
            };
        }
        let bytes = exact(text);
        let output = door::step(py, bytes.len(), || {
            let mut output = Vec::with_capacity(bytes.len());
            let characters = unit == Unit::CodePoint;
            let mut restorer = sift_redact::Restorer::new(&self.core, permission, characters);
            restorer.feed(&self.core, &bytes, &mut output)?;
            restorer.finish(&mut output);
            Ok(output)
        });
        to_object(py, unit, &output.map_err(|e| errors::vault(&e))?)
    }

    #[pyo3(
        signature = (entities=None, *, urls=false),
        text_signature = "($self, entities=None, *, urls=False)"
    )]
    fn restorer(&self, entities: Option<&Bound<'_, PyAny>>, urls: bool) -> PyResult<Restorer> {
        self.core.check_process().map_err(|e| errors::vault(&e))?;
        let state = Some(State::Fresh(permission(entities, urls)?));
        Ok(Restorer { vault: Arc::clone(&self.core), state: Mutex::new(state) })
    }

    fn __repr__(&self) -> String {
        match self.core.len() {
            Ok(len) => {
                format!("Vault({len} values, tag='{}', key_id='{}')", self.tag(), self.key_id())
            }
            Err(_) => "Vault(unavailable)".to_owned(),
        }
    }

    /// A pickle is a place where values would be found.
    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err("a vault is not pickled: `save` it and `load` it"))
    }
}

/// Puts values back into a text that arrives in pieces.
#[pyclass(frozen, weakref, module = "sift_fast._core")]
pub(crate) struct Restorer {
    vault: Arc<Core>,
    /// None once it is finished or has failed.
    state: Mutex<Option<State>>,
}

enum State {
    /// Nothing was fed: whether text or bytes come is not known.
    Fresh(Permission),
    Fed(sift_redact::Restorer, Unit),
}

impl Restorer {
    /// Runs `work` on the state, which is gone if that fails.
    fn with<T>(&self, work: impl FnOnce(State) -> PyResult<(Option<State>, T)>) -> PyResult<T> {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::WouldBlock) => {
                return Err(errors::sift("the restorer is in use by another thread: one at a time"))
            }
            Err(TryLockError::Poisoned(_)) => return Err(door::broken()),
        };
        let gone = || errors::sift("the restorer is finished or has failed: begin a new one");
        let (next, result) = work(state.take().ok_or_else(gone)?)?;
        *state = next;
        Ok(result)
    }
}

#[pymethods]
impl Restorer {
    fn feed(&self, py: Python<'_>, piece: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.with(|state| {
            let text = Text::take(piece, "feed")?;
            let unit = text.unit;
            let (mut restorer, fixed) = match state {
                State::Fresh(permission) => {
                    let characters = unit == Unit::CodePoint;
                    (sift_redact::Restorer::new(&self.vault, permission, characters), unit)
                }
                State::Fed(restorer, unit) => (restorer, unit),
            };
            if fixed != unit {
                return Err(errors::sift(
                    "a restorer is fed either str or bytes, whichever came first",
                ));
            }
            let bytes = exact(text);
            let mut output = Vec::with_capacity(bytes.len());
            let done =
                door::step(py, bytes.len(), || restorer.feed(&self.vault, &bytes, &mut output));
            done.map_err(|e| errors::vault(&e))?;
            Ok((Some(State::Fed(restorer, unit)), to_object(py, unit, &output)?))
        })
    }

    fn finish(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.with(|state| {
            let mut output = Vec::new();
            let unit = match state {
                State::Fresh(_) => Unit::CodePoint,
                State::Fed(mut restorer, unit) => {
                    restorer.finish(&mut output);
                    unit
                }
            };
            Ok((None, to_object(py, unit, &output)?))
        })
    }

    fn __repr__(&self) -> &'static str {
        "Restorer()"
    }
}

/// The text with the values in it decrypted that were encrypted with this key.
#[pyfunction(name = "_decrypt")]
pub(crate) fn decrypt(
    py: Python<'_>,
    key: &Bound<'_, Key>,
    text: &Bound<'_, PyAny>,
    entities: Option<&Bound<'_, PyAny>>,
    urls: bool,
) -> PyResult<Py<PyAny>> {
    let permission = permission(entities, urls)?;
    let text = Text::take(text, "decrypt")?;
    let (unit, key) = (text.unit, key.get().core());
    let bytes = exact(text);
    let output = door::step(py, bytes.len(), || {
        sift_redact::decrypt(key, &bytes, &permission, unit == Unit::CodePoint)
    });
    to_object(py, unit, &output)
}
