//! Redaction of whole texts: operators as Python gives them, and what comes back.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyMapping, PyMemoryView, PyString, PyTuple};
use sift_redact::{
    Capacity, Escape, Fill, Item as Edit, Operator, Plan, Register, Vault as CoreVault, Writer,
    MAX_ENTITY,
};
use sift_rules::{Category, RuleSet, Tier};
use sift_scan::{Finding as Found, Incomplete, ScanError, Sink, EDIT_SCORE};
use sift_text::{count_chars, restore_surrogates, CharIndex, Patch};

use crate::findings::{names, to_unit, Findings, Table};
use crate::scanner::Scanner;
use crate::text::{to_object, Text, Unit};
use crate::vault::{Key, Vault};
use crate::{door, errors};

/// Operators by entity type; the one for everything else under [`DEFAULT`].
type Operators = BTreeMap<String, Operator>;

/// What plans are made for: operators, and the bits of the least score.
type Wanted = (Operators, Option<u32>);

const DEFAULT: &str = "default";

/// How many sets of operators a scanner remembers.
const REMEMBERED: usize = 8;

/// Most values that are numbered for one text or stream without a vault.
const NUMBERED: Capacity = Capacity { entries: 1_000_000, bytes: 256 << 20 };

/// Makes plans, and remembers the last ones: a plan has a row for each rule, and services use the same
/// few operators for every text.
pub(crate) struct Plans {
    rules: Arc<RuleSet>,
    default: Arc<Plan>,
    /// Whether an entity type is too long to be read again.
    long: bool,
    made: Mutex<Vec<(Wanted, Arc<Plan>)>>,
    /// The last operators that were read, which do not change; known by the object, without asking it again.
    read: Mutex<Vec<(Py<PyAny>, Operator)>>,
}

/// What is to be done with findings: a plan, and what it cannot know.
pub(crate) struct Terms {
    pub(crate) plan: Arc<Plan>,
    /// Functions by the number that the plan has for them.
    calls: Vec<Py<PyAny>>,
    pub(crate) vault: Option<Arc<CoreVault>>,
}

impl Plans {
    pub(crate) fn new(rules: &Arc<RuleSet>) -> Self {
        let default = Arc::new(make(rules, &Operators::new()));
        let long = rules.rules().iter().any(|rule| rule.entity.len() > MAX_ENTITY);
        let (made, read) = (Mutex::default(), Mutex::default());
        Self { rules: Arc::clone(rules), default, long, made, read }
    }

    /// What the `operators`, `vault` and `min_score` arguments of a call ask for.
    pub(crate) fn get(
        &self,
        operators: Option<&Bound<'_, PyAny>>,
        vault: Option<&Bound<'_, PyAny>>,
        min_score: f32,
    ) -> PyResult<Terms> {
        if !(0.0..=1.0).contains(&min_score) {
            return Err(errors::config("`min_score` must lie between 0 and 1"));
        }
        let least = (min_score.to_bits() != EDIT_SCORE.to_bits()).then_some(min_score);
        let mut terms = Terms { plan: Arc::clone(&self.default), calls: Vec::new(), vault: None };
        if let Some(vault) = vault {
            let vault = vault
                .cast::<Vault>()
                .map_err(|_| errors::config("`vault` is a `Vault`, made beforehand, or None"))?;
            let core = vault.get().core();
            core.check_process().map_err(|e| errors::vault(&e))?;
            terms.vault = Some(Arc::clone(core));
        }
        let operators = match operators {
            Some(operators) => self.read(operators, &mut terms.calls)?,
            // A vault is there to give values back.
            None if terms.vault.is_some() => {
                Operators::from([(DEFAULT.to_owned(), Operator::Pseudonym)])
            }
            None if least.is_none() => return Ok(terms),
            None => Operators::new(),
        };
        if terms.vault.is_some() && !operators.values().any(|o| *o == Operator::Pseudonym) {
            return Err(errors::config(
                "`vault` is used by `Pseudonym()` alone, which no entity type has: give it one",
            ));
        }
        let undone =
            terms.vault.is_some() || operators.values().any(|o| matches!(o, Operator::Encrypt(_)));
        if undone && self.long {
            return Err(errors::config(format!(
                "`Encrypt` and vaults read entity types of at most {MAX_ENTITY} letters, and a rule has a longer one"
            )));
        }
        // Never waited for: another thread may have been forked away while it held the lock.
        if let Ok(made) = self.made.try_lock() {
            let same =
                |(known, bits): &Wanted| *known == operators && *bits == least.map(f32::to_bits);
            if let Some((_, plan)) = made.iter().find(|(wanted, _)| same(wanted)) {
                terms.plan = Arc::clone(plan);
                return Ok(terms);
            }
        }
        let plan = make(&self.rules, &operators);
        terms.plan = Arc::new(match least {
            Some(least) => plan.from_score(least),
            None => plan,
        });
        if let Ok(mut made) = self.made.try_lock() {
            if made.len() == REMEMBERED {
                made.remove(0);
            }
            made.push(((operators, least.map(f32::to_bits)), Arc::clone(&terms.plan)));
        }
        Ok(terms)
    }

    fn read(&self, argument: &Bound<'_, PyAny>, calls: &mut Vec<Py<PyAny>>) -> PyResult<Operators> {
        let mut operators = Operators::new();
        let Ok(table) = argument.cast::<PyMapping>() else {
            operators.insert(DEFAULT.to_owned(), self.operator(argument, calls)?);
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
            operators.insert(name, self.operator(&value, calls)?);
        }
        Ok(operators)
    }
}

impl Plans {
    /// Reads an operator, or remembers it.
    fn operator(
        &self,
        object: &Bound<'_, PyAny>,
        calls: &mut Vec<Py<PyAny>>,
    ) -> PyResult<Operator> {
        if let Ok(read) = self.read.try_lock() {
            if let Some((_, operator)) = read.iter().find(|(known, _)| known.is(object)) {
                return Ok(operator.clone());
            }
        }
        let operator = operator(object, calls)?;
        // A function has no place here: it may hold the scanner, and both would live for ever.
        if let (false, Ok(mut read)) = (matches!(operator, Operator::Call(_)), self.read.try_lock())
        {
            // What it takes the place of is dropped with the lock let go: that may run Python code.
            let old = (read.len() == REMEMBERED).then(|| read.remove(0));
            read.push((object.clone().unbind(), operator.clone()));
            drop(read);
            drop(old);
        }
        Ok(operator)
    }
}

fn make(rules: &RuleSet, operators: &Operators) -> Plan {
    let standard = operators.get(DEFAULT).cloned().unwrap_or(Operator::Replace { with: None });
    let placeholders = rules.rules().iter().map(|r| format!("<{}>", r.entity)).collect();
    let of_rule = |entity: &str| operators.get(entity).unwrap_or(&standard).clone();
    Plan::new(placeholders, rules.rules().iter().map(|r| of_rule(&r.entity)).collect())
}

/// Reads one of the operators of `sift_fast.redact`, each of which says what it is in `_lower`, or a
/// function.
fn operator(object: &Bound<'_, PyAny>, calls: &mut Vec<Py<PyAny>>) -> PyResult<Operator> {
    let wrong = || {
        errors::config(
            "an operator is `Replace(...)`, `Mask(...)` or another of `sift_fast.redact`, made \
             beforehand, or a function",
        )
    };
    if object.is_instance_of::<pyo3::types::PyType>() {
        return Err(wrong());
    }
    let Ok(lower) = object.getattr(intern!(object.py(), "_lower")) else {
        if !object.is_callable() {
            return Err(wrong());
        }
        calls.push(object.clone().unbind());
        return Ok(Operator::Call(calls.len() - 1));
    };
    let lower = lower.call0()?.cast_into::<PyTuple>().map_err(|_| wrong())?;
    let name: String = lower.get_item(0)?.extract().map_err(|_| wrong())?;
    let rest = lower.get_slice(1, lower.len());
    match name.as_str() {
        "replace" => {
            let (with,) = rest.extract().map_err(|_| wrong())?;
            Ok(Operator::Replace { with })
        }
        "remove" => Ok(Operator::Remove),
        "mask" => {
            let (with, first, last): (String, usize, usize) =
                rest.extract().map_err(|_| wrong())?;
            mask(&with, first, last)
        }
        "hash" | "encrypt" => {
            let (key,): (Bound<'_, Key>,) = rest.extract().map_err(|_| wrong())?;
            let key = key.get().core().clone();
            Ok(if name == "hash" { Operator::Hash(key) } else { Operator::Encrypt(key) })
        }
        "pseudonym" => Ok(Operator::Pseudonym),
        "keep" => Ok(Operator::Keep),
        _ => Err(wrong()),
    }
}

impl Terms {
    /// Fills the holes of what was written: functions are called, then all values are numbered at once,
    /// so that nothing is numbered where a function fails or a vault is full.
    pub(crate) fn fill(
        &self,
        py: Python<'_>,
        table: &Table,
        unit: Unit,
        writer: &mut Writer,
        numbers: &mut Register,
        escape: &mut Option<Escape>,
    ) -> PyResult<()> {
        let mut fills = self.ask(py, table, unit, writer)?;
        self.number(&mut [(writer, &mut fills)], numbers)?;
        writer.fill(&self.plan, &fills, escape.as_mut());
        Ok(())
    }

    /// Calls the functions of the holes; the other ones wait for their numbers.
    fn ask(
        &self,
        py: Python<'_>,
        table: &Table,
        unit: Unit,
        writer: &Writer,
    ) -> PyResult<Vec<Fill>> {
        let fill = |(rule, value)| match self.plan.operator(rule) {
            Some(Operator::Call(number)) => {
                let Some(call) = self.calls.get(*number) else { return Ok(Fill::Text(Vec::new())) };
                Ok(Fill::Text(self.call(py, table, unit, call, rule, value)?))
            }
            _ => Ok(Fill::Number(0)),
        };
        writer.holes().map(fill).collect()
    }

    /// Numbers the values of many texts, of all of them or of none.
    fn number(
        &self,
        texts: &mut [(&mut Writer, &mut Vec<Fill>)],
        numbers: &mut Register,
    ) -> PyResult<()> {
        let numbered = |fill: &Fill| matches!(fill, Fill::Number(_));
        let mut values = Vec::new();
        for (writer, fills) in texts.iter() {
            let holes = writer.holes().zip(fills.iter()).filter(|(_, fill)| numbered(fill));
            values.extend(holes.map(|((rule, value), _)| (self.plan.entity(rule), value)));
        }
        if values.is_empty() {
            return Ok(());
        }
        let numbers = match &self.vault {
            Some(vault) => vault.number(&values),
            None => numbers.number(&values, NUMBERED),
        };
        let mut numbers = numbers.map_err(|e| errors::vault(&e))?.into_iter();
        for fill in texts.iter_mut().flat_map(|(_, fills)| fills.iter_mut()).filter(|f| numbered(f))
        {
            *fill = Fill::Number(numbers.next().unwrap_or_default());
        }
        Ok(())
    }

    fn call(
        &self,
        py: Python<'_>,
        table: &Table,
        unit: Unit,
        call: &Py<PyAny>,
        rule: u32,
        value: &[u8],
    ) -> PyResult<Vec<u8>> {
        let value = to_value(py, unit, value)?;
        let answer = call.bind(py).call1((value, table.entity(py, rule)?))?;
        let text = answer.is_instance_of::<PyString>();
        if text != (unit == Unit::CodePoint) {
            let wanted = if text { "bytes" } else { "str" };
            return Err(PyTypeError::new_err(format!(
                "a function that is an operator must return {wanted} here, as it was given"
            )));
        }
        let answer = Text::take(&answer, "an operator")?;
        let mut bytes = answer.bytes().to_vec();
        restore_surrogates(&mut bytes, 0, &answer.patches);
        Ok(bytes)
    }
}

/// A value for a function; bytes that are no text are an error that does not show them.
fn to_value(py: Python<'_>, unit: Unit, value: &[u8]) -> PyResult<Py<PyAny>> {
    to_object(py, unit, value)
        .map_err(|_| errors::sift("a value was cut inside a character: please report this"))
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
    plan: &'a Plan,
    text: &'a [u8],
    patches: &'a [Patch],
    /// The part of the text that is given out; the rest is there to be looked at only.
    window: Range<usize>,
    most: usize,
    writer: Writer,
    found: Vec<Found>,
}

impl Collector<'_> {
    /// The part of `at..at + length` inside the window.
    fn clip(&self, at: usize, length: usize) -> Range<usize> {
        let end = (at + length).min(self.window.end);
        at.max(self.window.start).min(end)..end
    }
}

impl Sink for Collector<'_> {
    fn text(&mut self, bytes: &[u8]) {
        self.writer.text(bytes);
    }

    fn text_at(&mut self, at: usize, bytes: &[u8]) {
        let part = self.clip(at, bytes.len());
        let bytes = self.text.get(part.clone()).unwrap_or_default();
        if !bytes.is_empty() {
            self.writer.end_rest(self.plan);
            write(&mut self.writer, self.patches, part.start, bytes);
        }
    }

    fn edit(&mut self, rule: u32, value: Option<&[u8]>) {
        self.writer.edit(self.plan, rule, value);
    }

    fn edit_at(&mut self, at: usize, rule: u32, value: Option<&[u8]>) {
        // What begins before the window is edited once its end is known.
        if self.window.contains(&at) {
            let length = value.map_or(0, <[u8]>::len).min(self.window.end - at);
            let value = value.map(|value| value.get(..length).unwrap_or(value));
            edit(&mut self.writer, self.plan, self.patches, at, rule, value);
        }
    }

    fn covered(&mut self, at: usize, bytes: &[u8]) {
        let part = self.clip(at, bytes.len());
        let bytes = self.text.get(part.clone()).unwrap_or_default();
        if !bytes.is_empty() {
            let bytes = restored(self.patches, part.start, bytes);
            self.writer.cover(self.plan, part.start, &bytes, self.most);
        }
    }

    fn keeps(&self, rule: u32) -> bool {
        self.plan.keeps(rule)
    }

    fn least(&self) -> f32 {
        self.plan.least().unwrap_or(EDIT_SCORE)
    }

    fn finding(&mut self, finding: Found) {
        let part = self.clip(finding.start, finding.end - finding.start);
        if part.is_empty() {
            return;
        }
        if finding.start < self.window.start {
            let value = self.text.get(part.clone());
            edit(&mut self.writer, self.plan, self.patches, part.start, finding.rule, value);
        }
        let from = self.window.start;
        let (start, end) = (part.start - from, part.end - from);
        self.found.push(Found { start, end, ..finding });
    }
}

/// Bytes of the text with the lone surrogates put back that stand in them.
pub(crate) fn restored<'a>(
    patches: &[Patch],
    at: usize,
    bytes: &'a [u8],
) -> std::borrow::Cow<'a, [u8]> {
    if patches.is_empty() {
        return bytes.into();
    }
    let mut piece = bytes.to_vec();
    restore_surrogates(&mut piece, at, patches);
    piece.into()
}

/// Writes text that stays, its lone surrogates put back.
pub(crate) fn write(writer: &mut Writer, patches: &[Patch], at: usize, bytes: &[u8]) {
    writer.text(&restored(patches, at, bytes));
}

/// Writes an edit. What can be had back comes back with its lone surrogates; a masked value that shows
/// one shows U+FFFD.
pub(crate) fn edit(
    writer: &mut Writer,
    plan: &Plan,
    patches: &[Patch],
    at: usize,
    rule: u32,
    value: Option<&[u8]>,
) {
    match value {
        Some(value) if !matches!(plan.operator(rule), Some(Operator::Mask(_))) => {
            writer.edit_at(plan, at, rule, Some(&restored(patches, at, value)));
        }
        _ => writer.edit_at(plan, at, rule, value),
    }
}

/// What a redaction gives before it is turned into Python objects.
struct Redacted {
    writer: Writer,
    found: Vec<Found>,
    incomplete: Incomplete,
}

fn run(
    core: &sift_scan::Scanner,
    text: &[u8],
    window: Range<usize>,
    unit: Unit,
    patches: &[Patch],
    plan: &Plan,
) -> Result<Redacted, ScanError> {
    let part = text.get(window.clone()).unwrap_or(text);
    let mut sink = Collector {
        plan,
        text,
        patches,
        window,
        most: core.limits().finding_bytes,
        writer: Writer::default(),
        found: Vec::new(),
    };
    let characters = unit == Unit::CodePoint;
    let mut incomplete =
        core.redact(text, characters, &|rule| plan.needs_value(rule), &mut sink)?;
    let Collector { mut writer, mut found, .. } = sink;
    writer.end_rest(plan);
    if writer.cut() {
        incomplete.insert(Incomplete::FINDING_BYTES);
    }
    to_unit(unit, part, &mut found);
    Ok(Redacted { writer, found, incomplete })
}

pub(crate) fn redact(
    py: Python<'_>,
    scanner: &Scanner,
    object: &Bound<'_, PyAny>,
    operators: Option<&Bound<'_, PyAny>>,
    vault: Option<&Bound<'_, PyAny>>,
    min_score: f32,
) -> PyResult<Redaction> {
    let terms = scanner.plans().get(operators, vault, min_score)?;
    let mut text = Text::take(object, "redact")?;
    let (unit, bytes) = (text.unit, text.bytes().len());
    let core = Arc::clone(scanner.core());
    let patches = std::mem::take(&mut text.patches);
    let redacted = if bytes > door::WATCH {
        let (held, plan) = (text.hold(), Arc::clone(&terms.plan));
        door::watch_one(py, move || run(&core, held.bytes(), 0..bytes, unit, &patches, &plan))?
    } else {
        let text = text.bytes();
        door::step(py, bytes, || run(&core, text, 0..bytes, unit, &patches, &terms.plan))
    };
    let mut redacted = redacted.map_err(|e| errors::scan(&e))?;
    let mut escape = terms.vault.as_ref().map(|vault| Escape::new(vault));
    let writer = &mut redacted.writer;
    let raw = writer.output().len();
    terms.fill(py, scanner.table(), unit, writer, &mut Register::default(), &mut escape)?;
    // Escapes only ever add.
    let escaped = writer.output().len() != raw;
    finish(py, scanner, object, unit, escaped, redacted)
}

/// What the texts of one document share: operators, read once, and the numbers of values.
#[pyclass(frozen, name = "_Document", module = "sift_fast._core")]
pub(crate) struct Document {
    terms: Terms,
    numbers: Mutex<Register>,
    /// Texts that were looked at and wait for the numbers of their values, in order.
    waiting: Mutex<VecDeque<Looked>>,
}

/// A text of a document, its findings known, its functions called, its values not numbered yet.
struct Looked {
    object: Py<PyAny>,
    unit: Unit,
    redacted: Redacted,
    fills: Vec<Fill>,
}

impl Document {
    pub(crate) fn new(
        scanner: &Scanner,
        operators: Option<&Bound<'_, PyAny>>,
        vault: Option<&Bound<'_, PyAny>>,
        min_score: f32,
    ) -> PyResult<Self> {
        let terms = scanner.plans().get(operators, vault, min_score)?;
        Ok(Self { terms, numbers: Mutex::default(), waiting: Mutex::default() })
    }

    fn number(&self, looked: &mut [Looked]) -> PyResult<()> {
        let mut texts: Vec<_> =
            looked.iter_mut().map(|text| (&mut text.redacted.writer, &mut text.fills)).collect();
        // Waited for with the GIL held: nobody else has the document, which lives for one call.
        let mut numbers = self.numbers.lock().map_err(|_| door::broken())?;
        self.terms.number(&mut texts, &mut numbers)
    }

    /// Fills the holes of a text, whose values have numbers now. None if it stays as it is.
    fn fill(
        &self,
        py: Python<'_>,
        scanner: &Scanner,
        looked: Looked,
    ) -> PyResult<Option<Redaction>> {
        let Looked { object, unit, mut redacted, fills } = looked;
        let mut escape = self.terms.vault.as_ref().map(|vault| Escape::new(vault));
        let raw = redacted.writer.output().len();
        redacted.writer.fill(&self.terms.plan, &fills, escape.as_mut());
        // Escapes only ever add.
        let escaped = redacted.writer.output().len() != raw;
        let redaction = finish(py, scanner, object.bind(py), unit, escaped, redacted)?;
        Ok((!redaction.text.is(&object)).then_some(redaction))
    }
}

#[pymethods]
impl Document {
    /// Numbers the values of all texts that were looked at: of all of them or of none.
    #[pyo3(name = "_number")]
    fn number_all(&self) -> PyResult<()> {
        let mut waiting = self.waiting.lock().map_err(|_| door::broken())?;
        self.number(waiting.make_contiguous())
    }
}

/// Looks at a text of a document as it stands between `before` and `after`, which are looked at and not given
/// out. A value that its name makes a secret goes as a whole, whatever the rule took for its end.
fn look(
    py: Python<'_>,
    scanner: &Scanner,
    document: &Document,
    object: &Bound<'_, PyAny>,
    before: &str,
    after: &str,
) -> PyResult<Looked> {
    let terms = &document.terms;
    let text = Text::take(object, "redact_json")?;
    let unit = text.unit;
    let whole = [before.as_bytes(), text.bytes(), after.as_bytes()].concat();
    let window = before.len()..before.len() + text.bytes().len();
    let moved = |(at, bytes): &Patch| (before.len() + at, *bytes);
    let patches: Vec<Patch> = text.patches.iter().map(moved).collect();
    let redacted = door::step(py, whole.len(), || {
        run(scanner.core(), &whole, window.clone(), unit, &patches, &terms.plan)
    });
    let mut redacted = redacted.map_err(|e| errors::scan(&e))?;
    let least = terms.plan.least().unwrap_or(EDIT_SCORE);
    if let Some(rule) = named(scanner, &redacted.found, least) {
        let most = scanner.core().limits().finding_bytes;
        let length = if unit == Unit::Byte { window.len() } else { count_chars(text.bytes()) };
        let value = (window.len() <= most).then(|| whole.get(window.clone())).flatten();
        if value.is_none() {
            redacted.incomplete.insert(Incomplete::FINDING_BYTES);
        }
        redacted.writer = Writer::default();
        edit(&mut redacted.writer, &terms.plan, &patches, window.start, rule, value);
        redacted.found.truncate(1);
        redacted.found.iter_mut().for_each(|found| found.end = length);
    }
    let fills = terms.ask(py, scanner.table(), unit, &redacted.writer)?;
    Ok(Looked { object: object.clone().unbind(), unit, redacted, fills })
}

/// The rule that finds a secret by its name alone, where it finds one at the beginning of a text.
fn named(scanner: &Scanner, found: &[Found], least: f32) -> Option<u32> {
    let at_once = |found: &&Found| found.start == 0 && found.decoded.is_empty();
    let first = found.first().filter(at_once).filter(|found| found.score >= least)?;
    let rule = scanner.core().rules().rules().get(first.rule as usize)?;
    (rule.category == Category::Secret && rule.tier == Tier::Generic).then_some(first.rule)
}

/// Redacts a text of a document. None if it stays as it is.
pub(crate) fn redact_between(
    py: Python<'_>,
    scanner: &Scanner,
    document: &Document,
    object: &Bound<'_, PyAny>,
    before: &str,
    after: &str,
) -> PyResult<Option<Redaction>> {
    let mut looked = [look(py, scanner, document, object, before, after)?];
    document.number(&mut looked)?;
    let [looked] = looked;
    document.fill(py, scanner, looked)
}

/// As [`redact_between`], but for the numbers of values and what needs them: whether something will be edited.
pub(crate) fn look_between(
    py: Python<'_>,
    scanner: &Scanner,
    document: &Document,
    object: &Bound<'_, PyAny>,
    before: &str,
    after: &str,
) -> PyResult<bool> {
    let looked = look(py, scanner, document, object, before, after)?;
    let edited = !looked.redacted.writer.items().is_empty();
    document.waiting.lock().map_err(|_| door::broken())?.push_back(looked);
    Ok(edited)
}

/// What becomes of the next text that was looked at, which has to be the one that was. None if it stays as it is.
pub(crate) fn next_of(
    py: Python<'_>,
    scanner: &Scanner,
    document: &Document,
    object: &Bound<'_, PyAny>,
) -> PyResult<Option<Redaction>> {
    let next = document.waiting.lock().map_err(|_| door::broken())?.pop_front();
    match next {
        Some(looked) if looked.object.bind(py).eq(object)? => document.fill(py, scanner, looked),
        _ => Err(errors::sift("the document was changed while it was redacted: give a copy of it")),
    }
}

fn finish(
    py: Python<'_>,
    scanner: &Scanner,
    object: &Bound<'_, PyAny>,
    unit: Unit,
    escaped: bool,
    redacted: Redacted,
) -> PyResult<Redaction> {
    let Redacted { writer, found, incomplete } = redacted;
    let (output, mut edits) = writer.into_parts();
    if unit == Unit::CodePoint && !edits.is_empty() {
        // Surrogates that were put back are three bytes and one code point, as what stood for them was.
        let mut chars = CharIndex::new(&output);
        for edit in &mut edits {
            (edit.start, edit.end) = (chars.offset(edit.start), chars.offset(edit.end));
        }
    }
    let changeable =
        object.is_instance_of::<PyByteArray>() || object.is_instance_of::<PyMemoryView>();
    let text = if edits.is_empty() && !escaped && !changeable {
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
