//! JSON Schemas of a tool's arguments and returns: validation, the part of them a policy can see, personal-data marks.
//!
//! JSON Schema draft 2020-12 by the crate `jsonschema`, on our own value, without resolving anything outside the
//! document and with regular expressions that cannot backtrack. What a policy sees is a [`Type`]: integers, booleans,
//! strings, records and sets of them. Numbers with a fraction and free-form objects have no Cedar type; they are
//! validated and stay out of the context.

use crate::json::{Object, Value};
use jsonschema::json::{Array, Json, JsonNumber, Node, NodeIdentity, Object as JsonObject};
use jsonschema::{JsonType, PatternOptions, Validator};
use std::borrow::Cow;

/// The key of a schema that marks personal data; its value names the entity type, such as `EMAIL_ADDRESS`.
pub(crate) const PERSONAL_MARK: &str = "x-personal-data";

/// Levels of a schema that are followed, references included.
const DEPTH: usize = 16;

/// What a policy can see of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Long,
    Str,
    Set(Box<Type>),
    Record(Vec<Field>),
    /// Validated, but not in the context.
    Opaque,
}

/// An attribute of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: Box<str>,
    pub(crate) ty: Type,
    pub(crate) required: bool,
}

/// A field of arguments or returns that holds personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalField {
    /// JSON pointer of the field; `*` stands for every item of an array.
    pub pointer: String,
    /// The entity type of the mark, such as `EMAIL_ADDRESS`.
    pub entity_type: String,
}

/// Arguments that the tool's schema refuses. Names the place in the schema, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("arguments are refused by {schema_path} of the tool's schema")]
pub struct ArgumentError {
    /// JSON pointer into the schema of the manifest, such as `/properties/amount/maximum`.
    pub schema_path: String,
}

/// A compiled schema.
pub(crate) struct Schema {
    validator: Validator<Strict>,
    pub(crate) ty: Type,
    pub(crate) personal: Vec<PersonalField>,
    /// Paths of properties that a policy cannot see.
    pub(crate) opaque: Vec<String>,
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schema").field("ty", &self.ty).finish_non_exhaustive()
    }
}

impl Schema {
    /// Compiles a schema; `Err` says what is wrong with it.
    pub(crate) fn compile(mut schema: serde_json::Value) -> Result<Self, String> {
        close(&mut schema, DEPTH);
        let validator = jsonschema::options_for::<Strict>()
            .with_draft(jsonschema::Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex())
            .should_validate_formats(true)
            .build(&schema)
            .map_err(|error| error.to_string())?;
        let mut walk = Walk { root: &schema, personal: Vec::new(), opaque: Vec::new() };
        let (ty, _) = walk.read(&schema, &mut String::new(), DEPTH);
        let Walk { mut personal, mut opaque, .. } = walk;
        personal.sort_unstable_by(|a, b| a.pointer.cmp(&b.pointer));
        opaque.sort_unstable();
        Ok(Self { validator, ty, personal, opaque })
    }

    pub(crate) fn check(&self, value: &Value) -> Result<(), ArgumentError> {
        if !self.validator.is_valid(value) {
            let schema_path = match self.validator.validate(value) {
                Err(error) => error.schema_path().to_string(),
                Ok(()) => String::new(),
            };
            return Err(ArgumentError { schema_path });
        }
        let mut path = Vec::new();
        if conforms(&self.ty, value, &mut path) {
            Ok(())
        } else {
            path.reverse();
            Err(ArgumentError { schema_path: path.concat() })
        }
    }
}

/// Whether a value has exactly the kinds of its type: JSON Schema takes `1.0` for an integer, Cedar must not.
fn conforms<'a>(ty: &'a Type, value: &Value, path: &mut Vec<Cow<'a, str>>) -> bool {
    let kinds = match (ty, value) {
        (Type::Opaque, _)
        | (Type::Bool, Value::Bool(_))
        | (Type::Long, Value::Int(_))
        | (Type::Str, Value::Str(_)) => return true,
        (Type::Set(item), Value::List(items)) => {
            if items.iter().all(|value| conforms(item, value, path)) {
                return true;
            }
            path.push("/items".into());
            return false;
        }
        (Type::Record(fields), Value::Object(object)) => {
            fields.iter().find(|field| match object.get(&field.name) {
                None | Some(Value::Null) => field.required,
                Some(value) => !conforms(&field.ty, value, path),
            })
        }
        _ => {
            path.push("/type".into());
            return false;
        }
    };
    if let Some(field) = kinds {
        path.push(format!("/properties/{}", field.name).into());
    }
    kinds.is_none()
}

/// Keywords with schemas of the same value, as a list, alone, and by name.
const SAME_VALUE: [&str; 3] = ["allOf", "anyOf", "oneOf"];
const SAME_VALUE_ONE: [&str; 2] = ["then", "else"];
const SAME_VALUE_NAMED: &str = "dependentSchemas";

/// Closes objects that list their properties and do not say what else they take: an undeclared argument is refused.
///
/// Where parts of a schema speak of the same object (`allOf`, `if`, `$ref` beside `properties`), none of them may be
/// closed alone, for it would refuse what another lists: the whole is, by `unevaluatedProperties` (JSON Schema 2020-12
/// core, section 11.3). Alternatives that stand alone are closed each.
fn close(schema: &mut serde_json::Value, depth: usize) {
    let (Some(below), Some(node)) = (depth.checked_sub(1), schema.as_object_mut()) else { return };
    const SAYS: [&str; 3] = ["additionalProperties", "unevaluatedProperties", "patternProperties"];
    const COMBINES: [&str; 6] = ["allOf", "if", "then", "else", "dependentSchemas", "$ref"];
    let has = |keys: &[&str]| keys.iter().any(|key| node.contains_key(*key));
    let alternatives = has(&["anyOf", "oneOf"]);
    if alternatives && !has(&SAYS) && !has(&COMBINES) && !has(&["properties"]) {
        for key in ["anyOf", "oneOf"] {
            let arms = node.get_mut(key).and_then(|arms| arms.as_array_mut());
            arms.into_iter().flatten().for_each(|arm| close(arm, below));
        }
    } else if !has(&SAYS) && lists(node, depth) {
        let combined = alternatives || has(&COMBINES);
        let key = if combined { "unevaluatedProperties" } else { "additionalProperties" };
        node.insert(key.to_owned(), false.into());
    }
    close_below(node, depth);
}

/// Closes the schemas of other values below a schema, and not the schema itself.
fn close_below(node: &mut serde_json::Map<String, serde_json::Value>, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let inside = |part: &mut serde_json::Value| {
        if let Some(part) = part.as_object_mut() {
            close_below(part, depth);
        }
    };
    for (key, child) in node.iter_mut() {
        match (key.as_str(), child) {
            (
                "properties" | "patternProperties" | "$defs" | "definitions",
                serde_json::Value::Object(named),
            ) => named.values_mut().for_each(|child| close(child, depth)),
            ("prefixItems", serde_json::Value::Array(items)) => {
                items.iter_mut().for_each(|item| close(item, depth));
            }
            (
                "items" | "additionalProperties" | "unevaluatedProperties" | "unevaluatedItems",
                child,
            ) => close(child, depth),
            (key, serde_json::Value::Array(parts)) if SAME_VALUE.contains(&key) => {
                parts.iter_mut().for_each(inside);
            }
            (SAME_VALUE_NAMED, serde_json::Value::Object(parts)) => {
                parts.values_mut().for_each(inside);
            }
            (key, part) if SAME_VALUE_ONE.contains(&key) => inside(part),
            _ => {}
        }
    }
}

/// Whether a schema, or a part of it that speaks of the same value, lists properties.
fn lists(node: &serde_json::Map<String, serde_json::Value>, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    let inside = |part: &serde_json::Value| part.as_object().is_some_and(|part| lists(part, depth));
    let list = |key: &&str| node.get(*key).and_then(|parts| parts.as_array());
    let named = node.get(SAME_VALUE_NAMED).and_then(|parts| parts.as_object());
    node.contains_key("properties")
        || SAME_VALUE.iter().filter_map(list).flatten().any(inside)
        || SAME_VALUE_ONE.iter().filter_map(|key| node.get(*key)).any(inside)
        || named.is_some_and(|parts| parts.values().any(inside))
}

struct Walk<'a> {
    root: &'a serde_json::Value,
    personal: Vec<PersonalField>,
    opaque: Vec<String>,
}

impl Walk<'_> {
    /// The type of a schema, and whether it also takes null.
    fn read(
        &mut self,
        schema: &serde_json::Value,
        path: &mut String,
        depth: usize,
    ) -> (Type, bool) {
        let Some(depth) = depth.checked_sub(1) else { return (Type::Opaque, true) };
        if let Some(mark) = schema.get(PERSONAL_MARK).and_then(|mark| mark.as_str()) {
            self.personal
                .push(PersonalField { pointer: path.clone(), entity_type: mark.to_owned() });
        }
        if let Some(target) = schema.get("$ref").and_then(|target| target.as_str()) {
            let root = self.root;
            return match target.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) {
                Some(target) => self.read(target, path, depth),
                None => (Type::Opaque, true),
            };
        }
        for key in ["anyOf", "oneOf"] {
            // The way generators write an optional value: one schema, and null.
            let Some(arms) = schema.get(key).and_then(|arms| arms.as_array()) else { continue };
            let null = |arm: &serde_json::Value| arm.get("type").is_some_and(|ty| ty == "null");
            let mut some = arms.iter().filter(|arm| !null(arm));
            return match (some.next(), some.next()) {
                (Some(arm), None) if schema.get("properties").is_none() => {
                    let (ty, nullable) = self.read(arm, path, depth);
                    (ty, nullable || arms.len() > 1)
                }
                _ => (Type::Opaque, true),
            };
        }
        let (name, nullable) = type_name(schema);
        let ty = match name {
            Some("boolean") => Type::Bool,
            Some("integer") => Type::Long,
            Some("string") => Type::Str,
            Some("array") if schema.get("prefixItems").is_none() => {
                let item = schema.get("items").map(|items| {
                    let length = path.len();
                    path.push_str("/*");
                    let read = self.read(items, path, depth);
                    path.truncate(length);
                    read
                });
                match item {
                    None | Some((Type::Opaque, _) | (_, true)) => Type::Opaque,
                    Some((item, false)) => Type::Set(Box::new(item)),
                }
            }
            Some("object") => {
                match schema.get("properties").and_then(|properties| properties.as_object()) {
                    Some(properties) => Type::Record(self.fields(schema, properties, path, depth)),
                    None => Type::Opaque,
                }
            }
            _ => Type::Opaque,
        };
        (ty, nullable)
    }

    fn fields(
        &mut self,
        schema: &serde_json::Value,
        properties: &serde_json::Map<String, serde_json::Value>,
        path: &mut String,
        depth: usize,
    ) -> Vec<Field> {
        let required = schema.get("required").and_then(|required| required.as_array());
        let mut fields = Vec::new();
        for (name, property) in properties {
            let length = path.len();
            path.push('/');
            path.push_str(&name.replace('~', "~0").replace('/', "~1"));
            let (ty, nullable) = self.read(property, path, depth);
            if ty == Type::Opaque {
                self.opaque.push(path.clone());
            } else {
                let required = !nullable
                    && required.is_some_and(|list| list.iter().any(|entry| entry == name));
                fields.push(Field { name: name.as_str().into(), ty, required });
            }
            path.truncate(length);
        }
        fields
    }
}

fn type_name(schema: &serde_json::Value) -> (Option<&str>, bool) {
    match schema.get("type") {
        Some(serde_json::Value::String(name)) => (Some(name), false),
        Some(serde_json::Value::Array(names)) => {
            let mut some =
                names.iter().filter_map(|name| name.as_str()).filter(|name| *name != "null");
            let nullable = names.iter().any(|name| name == "null");
            match (some.next(), some.next()) {
                (Some(name), None) => (Some(name), nullable),
                _ => (None, true),
            }
        }
        _ => {
            let kind = |value: &serde_json::Value| match value {
                serde_json::Value::String(_) => Some("string"),
                serde_json::Value::Bool(_) => Some("boolean"),
                value if value.is_i64() => Some("integer"),
                _ => None,
            };
            let one;
            let values = match (schema.get("enum"), schema.get("const")) {
                (Some(serde_json::Value::Array(values)), _) => values.as_slice(),
                (None, Some(value)) => {
                    one = [value.clone()];
                    one.as_slice()
                }
                _ => &[],
            };
            let first = values.first().and_then(kind);
            let same = values.iter().all(|value| kind(value) == first);
            (first.filter(|_| same), false)
        }
    }
}

impl Type {
    /// The type in Cedar's JSON form of a schema.
    pub(crate) fn to_cedar(&self) -> serde_json::Value {
        use serde_json::json;
        match self {
            Type::Bool => json!({"type": "Boolean"}),
            Type::Long => json!({"type": "Long"}),
            Type::Str => json!({"type": "String"}),
            Type::Set(item) => json!({"type": "Set", "element": item.to_cedar()}),
            Type::Record(fields) => {
                let mut attributes = serde_json::Map::new();
                for field in fields {
                    let mut attribute = field.ty.to_cedar();
                    if let Some(attribute) = attribute.as_object_mut() {
                        attribute.insert("required".to_owned(), field.required.into());
                    }
                    attributes.insert(field.name.to_string(), attribute);
                }
                json!({"type": "Record", "attributes": attributes})
            }
            Type::Opaque => json!({"type": "Record", "attributes": {}}),
        }
    }
}

/// Our value, as `jsonschema` sees a representation.
struct Strict;

impl Json for Strict {
    type Node<'a> = &'a Value;
    type PreparedKey = Box<str>;
    type StringBuffer = Buffer;

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>(buffer: &mut Buffer, string: &str, f: impl FnOnce(&Value) -> T) -> T {
        buffer.0 = Value::Str(string.into());
        f(&buffer.0)
    }
}

struct Buffer(Value);

impl Default for Buffer {
    fn default() -> Self {
        Self(Value::Null)
    }
}

enum Number {
    Int(i64),
    Float(f64),
}

impl JsonNumber for Number {
    fn as_u64(&self) -> Option<u64> {
        match self {
            Number::Int(number) => u64::try_from(*number).ok(),
            Number::Float(_) => None,
        }
    }

    fn as_i64(&self) -> Option<i64> {
        match self {
            Number::Int(number) => Some(*number),
            Number::Float(_) => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "the trait asks for the nearest double")]
    fn as_f64(&self) -> Option<f64> {
        match self {
            Number::Int(number) => Some(*number as f64),
            Number::Float(number) => Some(*number),
        }
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_number().to_string())
    }

    fn to_number(&self) -> Cow<'_, serde_json::Number> {
        Cow::Owned(match self {
            Number::Int(number) => (*number).into(),
            // Values are finite by construction; a float that is not would be refused as no number at all.
            Number::Float(number) => {
                serde_json::Number::from_f64(*number).unwrap_or_else(|| 0.into())
            }
        })
    }

    fn is_integer(&self) -> bool {
        matches!(self, Number::Int(_))
    }

    fn is_written_as_integer(&self) -> bool {
        matches!(self, Number::Int(_))
    }
}

impl<'a> Node<'a, Strict> for &'a Value {
    type Object = &'a Object;
    type Array = &'a [Value];
    type Number = Number;

    fn as_object(&self) -> Option<&'a Object> {
        Value::as_object(self)
    }

    fn as_array(&self) -> Option<&'a [Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        Value::as_str(self).map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<Number> {
        match self {
            Value::Int(number) => Some(Number::Int(*number)),
            Value::Float(number) => Some(Number::Float(*number)),
            _ => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    fn json_type(&self) -> JsonType {
        match self {
            Value::Null => JsonType::Null,
            Value::Bool(_) => JsonType::Boolean,
            Value::Int(_) | Value::Float(_) => JsonType::Number,
            Value::Str(_) => JsonType::String,
            Value::List(_) => JsonType::Array,
            Value::Object(_) => JsonType::Object,
        }
    }

    fn to_value(&self) -> Cow<'a, serde_json::Value> {
        Cow::Owned(self.to_serde())
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(std::ptr::from_ref::<Value>(self).addr()))
    }
}

/// Members for the validator.
struct Members<'a>(std::slice::Iter<'a, (Box<str>, Value)>);

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (&**key, value))
    }
}

impl<'a> JsonObject<'a, Strict> for &'a Object {
    type Node = &'a Value;
    type MemberName = &'a str;
    type MembersIter = Members<'a>;

    fn len(&self) -> usize {
        Object::len(self)
    }

    fn get(&self, key: &Box<str>) -> Option<&'a Value> {
        Object::get(self, key)
    }

    fn members(&self) -> Members<'a> {
        Members(Object::members(self))
    }
}

impl<'a> Array<'a, Strict> for &'a [Value] {
    type Node = &'a Value;
    type ElementsIter = std::slice::Iter<'a, Value>;

    fn len(&self) -> usize {
        <[Value]>::len(self)
    }

    fn elements(&self) -> std::slice::Iter<'a, Value> {
        self.iter()
    }
}
