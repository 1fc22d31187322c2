//! Columns of text from whatever speaks Arrow's C data interface (pyarrow, polars, pandas, DuckDB),
//! read where they are.

use arrow_array::ffi::{from_ffi, FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::ffi_stream::{ArrayStreamReader, FFI_ArrowArrayStream};
use arrow_array::{Array, ArrayReader};
use arrow_buffer::{ArrowNativeType, Buffer};
use arrow_data::ArrayData;
use arrow_schema::DataType;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyTuple};

use crate::batch::Documents;
use crate::errors;
use crate::text::Unit;

const ARRAY: &str = "__arrow_c_array__";
const STREAM: &str = "__arrow_c_stream__";

/// Reads the documents of an Arrow object; none if it is not one.
pub(crate) fn documents(object: &Bound<'_, PyAny>) -> PyResult<Option<Documents>> {
    if object.hasattr(ARRAY)? {
        let pair = object.call_method0(ARRAY)?.cast_into::<PyTuple>()?;
        return array(&pair).map(Some);
    }
    if object.hasattr(STREAM)? {
        let capsule = object.call_method0(STREAM)?.cast_into::<PyCapsule>()?;
        return stream(&capsule).map(Some);
    }
    Ok(None)
}

fn array(pair: &Bound<'_, PyTuple>) -> PyResult<Documents> {
    let (schema, array): (Bound<'_, PyCapsule>, Bound<'_, PyCapsule>) = pair.extract()?;
    let schema = schema.pointer_checked(Some(c"arrow_schema"))?.cast::<FFI_ArrowSchema>();
    let array = array.pointer_checked(Some(c"arrow_array"))?.cast::<FFI_ArrowArray>();
    // SAFETY: the protocol promises that a capsule of this name holds an initialised struct of this
    // layout. It is moved out and marked as released, so the capsule will not release it again.
    let (schema, array) = unsafe {
        (FFI_ArrowSchema::from_raw(schema.as_ptr()), FFI_ArrowArray::from_raw(array.as_ptr()))
    };
    if schema.release().is_none() || array.is_released() {
        return Err(used_up());
    }
    let kind = DataType::try_from(&schema).map_err(|_| not_text("an unknown type"))?;
    let mut documents = Documents::new(unit_of(&kind)?);
    // SAFETY: the exporter promises data that agrees with the schema.
    let data = unsafe { from_ffi(array, &schema) }.map_err(|_| broken())?;
    read(&data, &mut documents)?;
    Ok(documents)
}

fn stream(capsule: &Bound<'_, PyCapsule>) -> PyResult<Documents> {
    let stream =
        capsule.pointer_checked(Some(c"arrow_array_stream"))?.cast::<FFI_ArrowArrayStream>();
    // SAFETY: as in `array`.
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(stream.as_ptr()) };
    if stream.release().is_none() || stream.get_next().is_none() {
        return Err(used_up());
    }
    let reader = ArrayStreamReader::try_new(stream).map_err(|_| not_text("an unknown type"))?;
    let mut documents = Documents::new(unit_of(reader.field().data_type())?);
    for chunk in reader {
        // The message of the exporter is left out: what is in it is not known.
        read(&chunk.map_err(|_| broken())?.to_data(), &mut documents)?;
    }
    Ok(documents)
}

fn used_up() -> PyErr {
    PyValueError::new_err("the Arrow object was read before: export it again")
}

fn broken() -> PyErr {
    errors::sift(
        "the Arrow object could not be read: its exporter failed or its buffers do not agree",
    )
}

fn not_text(kind: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "scan_batch takes one column of strings or binaries, not {kind}: pass the column"
    ))
}

/// What offsets count in a column of this type.
fn unit_of(kind: &DataType) -> PyResult<Unit> {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
            Ok(Unit::CodePoint)
        }
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => Ok(Unit::Byte),
        DataType::Dictionary(_, values) if !matches!(**values, DataType::Dictionary(..)) => {
            unit_of(values)
        }
        DataType::Struct(_) => Err(not_text("a table")),
        DataType::RunEndEncoded(..) => Err(not_text("a run-end encoded one")),
        _ => Err(not_text("another type")),
    }
}

/// Adds the values of an array, and the array itself so that they stay.
fn read(data: &ArrayData, documents: &mut Documents) -> PyResult<()> {
    let values = values(data)?;
    documents.extend(values, data.clone());
    Ok(())
}

/// The values of an array, none for null. They are parts of its buffers.
fn values(data: &ArrayData) -> PyResult<Vec<Option<&[u8]>>> {
    let length = data.len();
    let values: Option<Vec<Option<&[u8]>>> = match data.data_type() {
        DataType::Null => Some(vec![None; length]),
        _ if length == 0 => Some(Vec::new()),
        DataType::Utf8 | DataType::Binary => by_offsets(data, |at: i32| usize::try_from(at).ok()),
        DataType::LargeUtf8 | DataType::LargeBinary => {
            by_offsets(data, |at: i64| usize::try_from(at).ok())
        }
        DataType::Utf8View | DataType::BinaryView => by_views(data),
        DataType::FixedSizeBinary(width) => by_width(data, *width),
        DataType::Dictionary(keys, _) => {
            let [dictionary] = data.child_data() else { return Err(broken()) };
            let entries = self::values(dictionary)?;
            match **keys {
                DataType::Int8 => by_keys(data, &entries, |k: i8| usize::try_from(k).ok()),
                DataType::Int16 => by_keys(data, &entries, |k: i16| usize::try_from(k).ok()),
                DataType::Int32 => by_keys(data, &entries, |k: i32| usize::try_from(k).ok()),
                DataType::Int64 => by_keys(data, &entries, |k: i64| usize::try_from(k).ok()),
                DataType::UInt8 => by_keys(data, &entries, |k: u8| Some(usize::from(k))),
                DataType::UInt16 => by_keys(data, &entries, |k: u16| Some(usize::from(k))),
                DataType::UInt32 => by_keys(data, &entries, |k: u32| usize::try_from(k).ok()),
                DataType::UInt64 => by_keys(data, &entries, |k: u64| usize::try_from(k).ok()),
                _ => None,
            }
        }
        _ => None,
    };
    values.ok_or_else(broken)
}

/// The part of the first buffer that belongs to this array; none if it is too short for it.
fn items<T: ArrowNativeType>(data: &ArrayData, more: usize) -> Option<&[T]> {
    let first = data.buffers().first()?;
    first.typed_data::<T>().get(data.offset()..data.offset() + data.len() + more)
}

/// Offsets into one buffer of bytes.
fn by_offsets<T: ArrowNativeType>(
    data: &ArrayData,
    index: impl Fn(T) -> Option<usize>,
) -> Option<Vec<Option<&[u8]>>> {
    let offsets = items::<T>(data, 1)?;
    let bytes = data.buffers().get(1).map_or(&[][..], |buffer| buffer.as_slice());
    let value = |(row, pair): (usize, &[T])| match pair {
        _ if data.is_null(row) => Some(None),
        [start, end] => bytes.get(index(*start)?..index(*end)?).map(Some),
        _ => None,
    };
    offsets.windows(2).enumerate().map(value).collect()
}

/// Sixteen bytes for each value: its length, then itself if it is short, else where it is.
fn by_views(data: &ArrayData) -> Option<Vec<Option<&[u8]>>> {
    let (views, buffers) = data.buffers().split_first()?;
    let views = views.as_slice().get(data.offset() * 16..(data.offset() + data.len()) * 16)?;
    let value = |(row, view)| {
        if data.is_null(row) {
            return Some(None);
        }
        by_view(view, buffers).map(Some)
    };
    views.chunks_exact(16).enumerate().map(value).collect()
}

fn by_view<'a>(view: &'a [u8], buffers: &'a [Buffer]) -> Option<&'a [u8]> {
    const INLINE: usize = 12;
    let number = |at: usize| {
        let bytes = view.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let length = number(0)?;
    if length <= INLINE {
        return view.get(4..4 + length);
    }
    let (buffer, start) = (number(8)?, number(12)?);
    buffers.get(buffer)?.as_slice().get(start..start + length)
}

fn by_width(data: &ArrayData, width: i32) -> Option<Vec<Option<&[u8]>>> {
    let width = usize::try_from(width).ok()?;
    let bytes = data.buffers().first()?.as_slice();
    let value = |row: usize| {
        if data.is_null(row) {
            return Some(None);
        }
        let start = (data.offset() + row) * width;
        bytes.get(start..start + width).map(Some)
    };
    (0..data.len()).map(value).collect()
}

fn by_keys<'a, T: ArrowNativeType>(
    data: &'a ArrayData,
    entries: &[Option<&'a [u8]>],
    index: impl Fn(T) -> Option<usize>,
) -> Option<Vec<Option<&'a [u8]>>> {
    let value = |(row, key): (usize, &T)| {
        if data.is_null(row) {
            return Some(None);
        }
        entries.get(index(*key)?).copied()
    };
    items::<T>(data, 0)?.iter().enumerate().map(value).collect()
}
