//! The one way a text comes in: `str`, `bytes`, `bytearray`, `memoryview`, read where Python keeps it.

use std::ptr::NonNull;

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyMemoryView, PyString};
use sift_text::Patch;

/// What offsets count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Unit {
    CodePoint,
    Byte,
}

impl Unit {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::CodePoint => "codepoint",
            Self::Byte => "byte",
        }
    }
}

/// A text and the object it belongs to.
pub(crate) struct Text<'a, 'py> {
    object: &'a Bound<'py, PyAny>,
    content: Content<'a>,
    pub(crate) unit: Unit,
    /// Lone surrogates that were replaced to scan the text.
    pub(crate) patches: Vec<Patch>,
}

enum Content<'a> {
    /// Inside `object`, which does not change it.
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
    Pinned(Pinned),
}

/// A text that does not need its caller: threads may keep it.
pub(crate) enum Held {
    Owned(Vec<u8>),
    Pinned(Pinned),
}

/// Memory of a Python object, and the reference that keeps it where it is.
pub(crate) struct Pinned {
    bytes: NonNull<[u8]>,
    _owner: Py<PyAny>,
}

// SAFETY: the memory is only read, and the owner is only dropped, which pyo3 puts off on a thread that
// is not attached to the interpreter.
unsafe impl Send for Pinned {}
// SAFETY: as above; a shared `Pinned` gives out nothing but shared bytes.
unsafe impl Sync for Pinned {}

impl Pinned {
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: whoever made it had the slice from the owner, whose memory lives and stays as it is
        // as long as the reference does: `str` and `bytes` are immutable, a memory view of our own
        // holds the export of a buffer that is read-only to the last exporter.
        unsafe { self.bytes.as_ref() }
    }
}

impl Held {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Pinned(pinned) => pinned.bytes(),
        }
    }
}

impl<'a, 'py> Text<'a, 'py> {
    /// Takes a text of any kind; `caller` stands in the error for a wrong one.
    #[inline]
    pub(crate) fn take(object: &'a Bound<'py, PyAny>, caller: &str) -> PyResult<Self> {
        if let Ok(text) = object.cast::<PyString>() {
            return Self::of_str(object, text);
        }
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self::of_bytes(object, Content::Borrowed(bytes.as_bytes())));
        }
        if let Ok(bytes) = object.cast::<PyByteArray>() {
            // Copied while the GIL is held: its owner may write as soon as it is not.
            return Ok(Self::of_bytes(object, Content::Owned(bytes.to_vec())));
        }
        if let Ok(view) = object.cast::<PyMemoryView>() {
            return Ok(Self::of_bytes(object, of_view(view)?));
        }
        let container = object.is_instance_of::<PyDict>() || object.is_instance_of::<PyList>();
        let hint = match caller {
            "redact" if container => ": for containers there is `redact_json`",
            _ => "",
        };
        Err(PyTypeError::new_err(format!(
            "{caller} takes str, bytes, bytearray or memoryview, not `{}`{hint}",
            object.get_type().name()?
        )))
    }

    #[inline]
    fn of_str(object: &'a Bound<'py, PyAny>, text: &'a Bound<'py, PyString>) -> PyResult<Self> {
        let unit = Unit::CodePoint;
        // For ASCII this borrows; otherwise CPython makes the UTF-8 once and keeps it with the string.
        match text.to_str() {
            Ok(utf8) => Ok(Self {
                object,
                content: Content::Borrowed(utf8.as_bytes()),
                unit,
                patches: Vec::new(),
            }),
            // The error holds the text: it is dropped here and never chained.
            Err(_) => {
                let (bytes, patches) = encode_surrogates(text)?;
                Ok(Self { object, content: Content::Owned(bytes), unit, patches })
            }
        }
    }

    fn of_bytes(object: &'a Bound<'py, PyAny>, content: Content<'a>) -> Self {
        Self { object, content, unit: Unit::Byte, patches: Vec::new() }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Borrowed(bytes) => bytes,
            Content::Owned(bytes) => bytes,
            Content::Pinned(pinned) => pinned.bytes(),
        }
    }

    /// The same text for a thread that may outlive the call.
    pub(crate) fn hold(self) -> Held {
        match self.content {
            Content::Borrowed(bytes) => Held::Pinned(Pinned {
                bytes: NonNull::from(bytes),
                _owner: self.object.clone().unbind(),
            }),
            Content::Owned(bytes) => Held::Owned(bytes),
            Content::Pinned(pinned) => Held::Pinned(pinned),
        }
    }
}

/// UTF-8 with the lone surrogates of `text` replaced, and what they were.
pub(crate) fn encode_surrogates(text: &Bound<'_, PyString>) -> PyResult<(Vec<u8>, Vec<Patch>)> {
    // `str`'s own method: a subclass may have another, which would choose what is scanned.
    let encoded = text
        .py()
        .get_type::<PyString>()
        .call_method1(intern!(text.py(), "encode"), (text, "utf-8", "surrogatepass"))?
        .cast_into::<PyBytes>()?;
    let mut bytes = encoded.as_bytes().to_vec();
    let patches = sift_text::replace_surrogates(&mut bytes);
    Ok((bytes, patches))
}

/// A view is borrowed if it is read-only down to the object that owns the memory, else copied.
fn of_view<'a>(view: &Bound<'_, PyMemoryView>) -> PyResult<Content<'a>> {
    let py = view.py();
    let buffer = PyUntypedBuffer::get(view)?;
    let bytes = buffer.item_size() == 1 && matches!(buffer.format().to_bytes(), b"B" | b"b" | b"c");
    if !bytes {
        return Err(PyTypeError::new_err(
            "a memoryview must have items of one byte: use `view.cast(\"B\")`",
        ));
    }
    if !buffer.is_c_contiguous() {
        return Err(PyTypeError::new_err(
            "a memoryview must be contiguous: copy it with `view.tobytes()`",
        ));
    }
    // `toreadonly()` of a bytearray is read-only for us and for nobody else.
    let fixed = buffer.readonly() && {
        let owner = view.getattr(intern!(py, "obj"))?;
        !owner.is_none() && PyUntypedBuffer::get(&owner)?.readonly()
    };
    if !fixed {
        let copy = view.call_method0(intern!(py, "tobytes"))?.cast_into::<PyBytes>()?;
        return Ok(Content::Owned(copy.as_bytes().to_vec()));
    }
    let Some(start) = NonNull::new(buffer.buf_ptr().cast::<u8>()) else {
        return Ok(Content::Owned(Vec::new()));
    };
    // A view of our own, so that `view.release()` cannot let go of the memory under a thread.
    let owner = PyMemoryView::from(view)?.into_any().unbind();
    let bytes = NonNull::slice_from_raw_parts(start, buffer.len_bytes());
    Ok(Content::Pinned(Pinned { bytes, _owner: owner }))
}

/// Makes the `str` of bytes that are UTF-8 but for surrogates that were put back.
pub(crate) fn to_str<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(PyString::new(py, text)),
        Err(_) => {
            let bytes = PyBytes::new(py, bytes);
            PyString::from_encoded_object(&bytes, Some(c"utf-8"), Some(c"surrogatepass"))
        }
    }
}

/// Makes a `str` or `bytes`, whichever the unit says.
pub(crate) fn to_object(py: Python<'_>, unit: Unit, bytes: &[u8]) -> PyResult<Py<PyAny>> {
    Ok(match unit {
        Unit::CodePoint => to_str(py, bytes)?.into_any().unbind(),
        Unit::Byte => PyBytes::new(py, bytes).into_any().unbind(),
    })
}

/// Strings of an argument that is one string or an iterable of them.
pub(crate) fn strings(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<String>> {
    let wrong = |found: &Bound<'_, PyAny>| {
        let name = found.get_type().name().map(|n| n.to_string()).unwrap_or_default();
        PyTypeError::new_err(format!("`{what}` takes strings, not `{name}`"))
    };
    let one =
        |item: &Bound<'_, PyAny>| item.cast::<PyString>().ok()?.to_str().ok().map(str::to_owned);
    if object.is_instance_of::<PyString>() {
        return Ok(vec![one(object).ok_or_else(|| wrong(object))?]);
    }
    let items = object.try_iter().map_err(|_| wrong(object))?;
    items.map(|item| item.and_then(|item| one(&item).ok_or_else(|| wrong(&item)))).collect()
}
