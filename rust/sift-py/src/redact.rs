//! Redaction of whole texts: operators as Python gives them, and what comes back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyMapping, PyMemoryView, PyString, PyTuple};
use sift_redact::{Item as Edit, Operator, Plan, Writer};
use sift_rules::RuleSet;
use sift_scan::{Finding as Found, Incomplete, ScanError, Sink};
use sift_text::{restore_surrogates, CharIndex, Patch};

use crate::findings::{names, to_unit, Findings, Table};
use crate::scanner::Scanner;
use crate::text::{to_object, Text, Unit};
use crate::{door, errors};

/// Operators by entity type; the one for everything else under [`DEFAULT`].
type Operators = BTreeMap<String, Operator>;

const DEFAULT: &str = "default";

/// How many sets of operators a scanner remembers.
const REMEMBERED: usize = 8;

/// Makes plans, and remembers the last ones: a plan has a row for each rule, and services use the same
/// few operators for every text.
pub(crate) struct Plans {
    rules: Arc<RuleSet>,
    default: Arc<Plan>,
    made: Mutex<Vec<(Operators, Arc<Plan>)>>,
}

impl Plans {
    pub(crate) fn new(rules: &Arc<RuleSet>) -> Self {
        let default = Arc::new(make(rules, &Operators::new()));
        Self { rules: Arc::clone(rules), default, made: Mutex::new(Vec::new()) }
    }

    /// The plan for the `operators` and `vault` arguments of a call.
    pub(crate) fn get(
        &self,
        operators: Option<&Bound<'_, PyAny>>,
        vault: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Arc<Plan>> {
        if vault.is_some() {
            return Err(errors::config(
                "`vault` needs vaults, which this version does not have: leave it out",
            ));
        }
        let Some(operators) = operators else { return Ok(Arc::clone(&self.default)) };
        let operators = self.read(operators)?;
        // Never waited for: another thread may have been forked away while it held the lock.
        if let Ok(made) = self.made.try_lock() {
            if let Some((_, plan)) = made.iter().find(|(known, _)| *known == operators) {
                return Ok(Arc::clone(plan));
            }
        }
        let plan = Arc::new(make(&self.rules, &operators));
        if let Ok(mut made) = self.made.try_lock() {
            if made.len() == REMEMBERED {
                made.remove(0);
            }
            made.push((operators, Arc::clone(&plan)));
        }
        Ok(plan)
    }

    fn read(&self, argument: &Bound<'_, PyAny>) -> PyResult<Operators> {
        let mut operators = Operators::new();
        let Ok(table) = argument.cast::<PyMapping>() else {
            operators.insert(DEFAULT.to_owned(), operator(argument)?);
            return Ok(operators);
        };
        for item in table.items()?.iter() {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            let wrong =
                || errors::config("the keys of `operators` are entity types or \"default\"");
            let name: String = key.extract().map_err(|_| wrong())?;
            if name != DEFAULT && !self.rules.rules().iter().any(|r| r.entity == name) {
                return Err(errors::config(format!(
                    "`operators` names `{name}`, an entity type that no rule of this scanner has"
                )));
            }
            operators.insert(name, operator(&value)?);
        }
        Ok(operators)
    }
}

fn make(rules: &RuleSet, operators: &Operators) -> Plan {
    let standard = operators.get(DEFAULT).cloned().unwrap_or(Operator::Replace { with: None });
    let placeholders = rules.rules().iter().map(|r| format!("<{}>", r.entity)).collect();
    let of_rule = |entity: &str| operators.get(entity).unwrap_or(&standard).clone();
    Plan::new(placeholders, rules.rules().iter().map(|r| of_rule(&r.entity)).collect())
}

/// Reads one of the operators of `sift_fast.redact`: each says what it is in `_lower`.
fn operator(object: &Bound<'_, PyAny>) -> PyResult<Operator> {
    let wrong = || {
        errors::config("an operator is `Replace(...)`, `Remove()` or `Mask(...)`, made beforehand")
    };
    if object.is_instance_of::<pyo3::types::PyType>() {
        return Err(wrong());
    }
    let lower = object.getattr(intern!(object.py(), "_lower")).map_err(|_| wrong())?;
    let (name, text, first, last): (String, Option<String>, usize, usize) =
        lower.call0()?.extract().map_err(|_| wrong())?;
    match (name.as_str(), text) {
        ("replace", with) => Ok(Operator::Replace { with }),
        ("remove", None) => Ok(Operator::Remove),
        ("mask", Some(with)) => mask(&with, first, last),
        _ => Err(wrong()),
    }
}

fn mask(with: &str, first: usize, last: usize) -> PyResult<Operator> {
    let mut characters = with.chars();
    let (Some(character), None) = (characters.next(), characters.next()) else {
        return Err(errors::config("`char` of a mask must be one character"));
    };
    Operator::mask(character, first, last).map_err(|e| errors::config(e.to_string()))
}

/// Raises what a mask with these arguments would raise.
#[pyfunction(name = "_check_mask")]
pub(crate) fn check_mask(char: &str, keep_first: usize, keep_last: usize) -> PyResult<()> {
    mask(char, keep_first, keep_last).map(|_| ())
}

/// Builds the output and collects the findings.
pub(crate) struct Collector<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) patches: &'a [Patch],
    pub(crate) writer: Writer,
    pub(crate) found: Vec<Found>,
}

impl Sink for Collector<'_> {
    fn text(&mut self, bytes: &[u8]) {
        self.writer.text(bytes);
    }

    fn text_at(&mut self, at: usize, bytes: &[u8]) {
        write(&mut self.writer, self.patches, at, bytes);
    }

    fn edit(&mut self, rule: u32, value: Option<&[u8]>) {
        self.writer.edit(self.plan, rule, value);
    }

    fn finding(&mut self, finding: Found) {
        self.found.push(finding);
    }
}

/// Writes text that stays, its lone surrogates put back. A masked value that shows one shows U+FFFD.
pub(crate) fn write(writer: &mut Writer, patches: &[Patch], at: usize, bytes: &[u8]) {
    if patches.is_empty() {
        return writer.text(bytes);
    }
    let mut piece = bytes.to_vec();
    restore_surrogates(&mut piece, at, patches);
    writer.text(&piece);
}

/// What a redaction gives before it is turned into Python objects.
struct Redacted {
    output: Vec<u8>,
    edits: Vec<Edit>,
    found: Vec<Found>,
    incomplete: Incomplete,
}

fn run(
    core: &sift_scan::Scanner,
    text: &[u8],
    unit: Unit,
    patches: &[Patch],
    plan: &Plan,
) -> Result<Redacted, ScanError> {
    let mut sink = Collector { plan, patches, writer: Writer::default(), found: Vec::new() };
    let characters = unit == Unit::CodePoint;
    let incomplete = core.redact(text, characters, &|rule| plan.needs_value(rule), &mut sink)?;
    let Collector { writer, mut found, .. } = sink;
    let (output, mut edits) = writer.into_parts();
    to_unit(unit, text, &mut found);
    if characters && !edits.is_empty() {
        // Surrogates that were put back are three bytes and one code point, as what stood for them was.
        let mut chars = CharIndex::new(&output);
        for edit in &mut edits {
            (edit.start, edit.end) = (chars.offset(edit.start), chars.offset(edit.end));
        }
    }
    Ok(Redacted { output, edits, found, incomplete })
}

pub(crate) fn redact(
    py: Python<'_>,
    scanner: &Scanner,
    object: &Bound<'_, PyAny>,
    operators: Option<&Bound<'_, PyAny>>,
    vault: Option<&Bound<'_, PyAny>>,
) -> PyResult<Redaction> {
    let plan = scanner.plans().get(operators, vault)?;
    let mut text = Text::take(object, "redact")?;
    let (unit, bytes) = (text.unit, text.bytes().len());
    let core = Arc::clone(scanner.core());
    let patches = std::mem::take(&mut text.patches);
    let redacted = if bytes > door::WATCH {
        let held = text.hold();
        door::watch_one(py, move || run(&core, held.bytes(), unit, &patches, &plan))?
    } else {
        let bytes = text.bytes();
        door::step(py, bytes.len(), || run(&core, bytes, unit, &patches, &plan))
    };
    let Redacted { output, edits, found, incomplete } = redacted.map_err(|e| errors::scan(&e))?;
    let changeable =
        object.is_instance_of::<PyByteArray>() || object.is_instance_of::<PyMemoryView>();
    let text = if edits.is_empty() && !changeable {
        object.clone().unbind()
    } else {
        to_object(py, unit, &output)?
    };
    let findings = if found.is_empty() && incomplete.is_empty() {
        scanner.empty().of(py, unit)
    } else {
        Py::new(py, Findings::new(Arc::clone(scanner.table()), found, incomplete, unit))?
    };
    Ok(Redaction { table: Arc::clone(scanner.table()), text, findings, edits, incomplete })
}

/// A text without its findings.
#[pyclass(frozen, module = "sift_fast._core")]
pub(crate) struct Redaction {
    table: Arc<Table>,
    #[pyo3(get)]
    text: Py<PyAny>,
    #[pyo3(get)]
    findings: Py<Findings>,
    edits: Vec<Edit>,
    incomplete: Incomplete,
}

#[pymethods]
impl Redaction {
    #[getter]
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let item = |edit: &Edit| {
            let entity_type = self.table.entity(py, edit.rule)?;
            Py::new(
                py,
                Item { start: edit.start, end: edit.end, entity_type, operator: edit.operator },
            )
        };
        PyTuple::new(py, self.edits.iter().map(item).collect::<PyResult<Vec<_>>>()?)
    }

    #[getter]
    fn incomplete<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, names(self.incomplete))
    }

    fn __repr__(&self) -> String {
        format!("Redaction({} edits)", self.edits.len())
    }

    /// The text is for whoever asks for it by name; a pickle is a place where it would be found.
    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err(
            "a redaction holds text and is not pickled: keep its `text` or `findings`",
        ))
    }
}

/// One edit, in the output.
#[pyclass(frozen, get_all, module = "sift_fast._core")]
pub(crate) struct Item {
    start: usize,
    end: usize,
    entity_type: Py<PyString>,
    operator: &'static str,
}

#[pymethods]
impl Item {
    fn __repr__(&self, py: Python<'_>) -> String {
        let entity = self.entity_type.bind(py);
        let (start, end, operator) = (self.start, self.end, self.operator);
        format!("Item(start={start}, end={end}, entity_type='{entity}', operator='{operator}')")
    }
}
