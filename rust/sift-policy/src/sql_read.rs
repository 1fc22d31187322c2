//! The part of SQL that `kind = "sql"` reads: characters, tokens, placeholders and shapes of expressions that this
//! parser and a server cannot read differently. All of it is lists of what is let through.
//!
//! An expression has a level, and an operator takes operands of the levels that every server gives it: arithmetic binds
//! tighter than predicates, these than `not`, `not` than `and`, `and` than `or`. Whatever would need a finer order than
//! that (`a = b is null`, `not a = b` in MySQL, `||` in MySQL) is refused instead of guessed; parentheses always help.

use crate::sql::{DialectName, SqlReason};
use sqlparser::ast::{
    BinaryOperator, CastKind, CeilFloorKind, DataType, DateTimeField, Expr, Ident, TypedString,
    UnaryOperator, Value, ValueWithSpan,
};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

/// Outside of texts a statement is printable ASCII and white space: `SQLite` skips U+FEFF, MySQL compares names by
/// tables of its own, and what counts as a space differs.
pub(crate) fn plain_characters(text: &str, dialect: DialectName) -> Result<(), SqlReason> {
    let mut quote = None;
    for character in text.chars() {
        match quote {
            Some(closing) if character == closing => quote = None,
            // NUL and the backslash are refused everywhere, before this.
            Some('\'') => {}
            _ if !matches!(character, ' '..='~' | '\t' | '\n' | '\r') => {
                return Err(SqlReason::Ambiguous)
            }
            Some(_) => {}
            None => match character {
                '\'' | '"' | '`' => quote = Some(character),
                '[' if dialect == DialectName::Sqlite => quote = Some(']'),
                _ => {}
            },
        }
    }
    Ok(())
}

/// How a statement refers to its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placeholders {
    /// `?`, or `$1`: an array.
    List,
    /// `:name`: an object.
    Named,
}

/// Refuses tokens that are not read, and pairs of tokens that a server may split in another place. Says what kind of
/// placeholders there are.
pub(crate) fn plain_tokens(
    tokens: &[TokenWithSpan],
    dialect: DialectName,
) -> Result<Option<Placeholders>, SqlReason> {
    let mut placeholders = None;
    let mut text_before = false;
    let solid = |place: usize| {
        let after = tokens.iter().skip(place + 1).map(|token| &token.token);
        after.into_iter().find(|token| !matches!(token, Token::Whitespace(_)))
    };
    for (place, token) in tokens.iter().enumerate() {
        let token = &token.token;
        let after = |offset: usize| tokens.get(place + offset).map(|token| &token.token);
        let next = after(1);
        let glued = matches!(
            next,
            Some(
                Token::Word(_)
                    | Token::Number(..)
                    | Token::SingleQuotedString(_)
                    | Token::Placeholder(_)
            )
        );
        let plain = match token {
            // `@x` and `$x` are variables, `1x` a number and an alias or a name.
            Token::Word(word) => {
                let starts = word
                    .value
                    .starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
                // `order by x using operator` names an operator of anyone's making.
                let using = word.quote_style.is_some()
                    || word.keyword != Keyword::USING
                    || matches!(solid(place), Some(Token::LParen));
                !glued && using && (word.quote_style.is_some() || starts)
            }
            Token::Number(digits, long) => {
                let digit = |byte: u8| byte.is_ascii_digit() || b".eE+-".contains(&byte);
                !glued && !long && digits.bytes().all(digit)
            }
            // Two texts in a row are one text, or a text and an alias.
            Token::SingleQuotedString(_) => !glued && !text_before,
            Token::Placeholder(name) => {
                let list = match dialect {
                    DialectName::Postgres => name.strip_prefix('$').is_some_and(|number| {
                        !number.starts_with('0')
                            && !number.is_empty()
                            && number.bytes().all(|byte| byte.is_ascii_digit())
                    }),
                    DialectName::Mysql | DialectName::Sqlite => name == "?",
                };
                let same = *placeholders.get_or_insert(Placeholders::List) == Placeholders::List;
                list && same && !glued
            }
            Token::Colon => {
                let named = matches!(next, Some(Token::Word(word)) if word.quote_style.is_none());
                let same = *placeholders.get_or_insert(Placeholders::Named) == Placeholders::Named;
                named && same
            }
            Token::Comma | Token::LParen | Token::RParen | Token::Period | Token::SemiColon => true,
            Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab) => true,
            Token::DoubleColon => dialect == DialectName::Postgres,
            operator if is_operator(operator) => {
                let own =
                    !matches!(operator, Token::StringConcat | Token::Arrow | Token::LongArrow)
                        || dialect != DialectName::Mysql;
                // Postgres reads the longest run of operator characters as one operator. Of the runs only `=-1` and
                // its like are taken, which it splits as this parser does.
                let alone = match next {
                    Some(Token::Minus) => {
                        let before_minus = matches!(
                            operator,
                            Token::Eq
                                | Token::Lt
                                | Token::Gt
                                | Token::LtEq
                                | Token::GtEq
                                | Token::Plus
                                | Token::Mul
                                | Token::Div
                        );
                        before_minus && !after(2).is_some_and(is_operator)
                    }
                    Some(next) => !is_operator(next),
                    None => true,
                };
                own && alone
            }
            _ => false,
        };
        if !plain {
            return Err(SqlReason::Unsupported);
        }
        if !matches!(token, Token::Whitespace(_)) {
            text_before = matches!(token, Token::SingleQuotedString(_));
        }
    }
    Ok(placeholders)
}

fn is_operator(token: &Token) -> bool {
    matches!(
        token,
        Token::Eq
            | Token::Neq
            | Token::Lt
            | Token::Gt
            | Token::LtEq
            | Token::GtEq
            | Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::StringConcat
            | Token::Arrow
            | Token::LongArrow
    )
}

/// How tightly an expression holds together, loosest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Not,
    Predicate,
    Scalar,
    Primary,
}

/// Whether an expression is of a kind that is read, and its operands are of the levels that every server gives them.
/// What is below the operands is not looked at.
pub(crate) fn is_understood(expr: &Expr, dialect: DialectName) -> bool {
    let at = |expr: &Expr, least: Level| level(expr, dialect).is_some_and(|level| level >= least);
    if level(expr, dialect).is_none() {
        return false;
    }
    match expr {
        Expr::BinaryOp { left, op, right } => {
            let least = match op {
                BinaryOperator::Or => Level::Or,
                BinaryOperator::And => Level::And,
                _ => Level::Scalar,
            };
            at(left, least) && at(right, least)
        }
        // With HIGH_NOT_PRECEDENCE, MySQL reads `not a = b` as `(not a) = b`.
        Expr::UnaryOp { op: UnaryOperator::Not, expr } if dialect == DialectName::Mysql => {
            at(expr, Level::Primary)
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => at(expr, Level::Not),
        Expr::Like { expr, pattern, escape_char, .. }
        | Expr::ILike { expr, pattern, escape_char, .. } => {
            let literal = |escape: &Expr| {
                matches!(
                    escape,
                    Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(_), .. })
                )
            };
            at(expr, Level::Scalar)
                && at(pattern, Level::Scalar)
                && escape_char.as_deref().is_none_or(literal)
        }
        Expr::Between { expr, low, high, .. } => {
            at(expr, Level::Scalar) && at(low, Level::Scalar) && at(high, Level::Scalar)
        }
        Expr::AtTimeZone { timestamp, time_zone } => {
            at(timestamp, Level::Scalar) && at(time_zone, Level::Scalar)
        }
        Expr::UnaryOp { expr, .. }
        | Expr::InList { expr, .. }
        | Expr::InSubquery { expr, .. }
        | Expr::AnyOp { left: expr, .. }
        | Expr::AllOp { left: expr, .. }
        | Expr::Cast { kind: CastKind::DoubleColon, expr, .. }
        | Expr::IsNull(expr)
        | Expr::IsNotNull(expr)
        | Expr::IsTrue(expr)
        | Expr::IsNotTrue(expr)
        | Expr::IsFalse(expr)
        | Expr::IsNotFalse(expr)
        | Expr::IsUnknown(expr)
        | Expr::IsNotUnknown(expr) => at(expr, Level::Scalar),
        // Closed by parentheses, or by `end`.
        _ => true,
    }
}

/// `None` for a kind of expression that is not read.
fn level(expr: &Expr, dialect: DialectName) -> Option<Level> {
    let postgres = dialect == DialectName::Postgres;
    let (level, read) = match expr {
        Expr::Identifier(_)
        | Expr::Nested(_)
        | Expr::Tuple(_)
        | Expr::Function(_)
        | Expr::Case { .. }
        | Expr::Subquery(_)
        | Expr::Exists { negated: false, .. }
        | Expr::Extract { .. }
        | Expr::Position { .. }
        | Expr::Substring { .. }
        | Expr::Trim { .. }
        | Expr::Overlay { .. }
        | Expr::Ceil { field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime), .. }
        | Expr::Floor { field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime), .. } => {
            (Level::Primary, true)
        }
        Expr::CompoundIdentifier(parts) => (Level::Primary, parts.len() == 2),
        Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => (Level::Primary, postgres),
        Expr::Value(value) => {
            let plain = matches!(
                value.value,
                Value::Number(_, false)
                    | Value::SingleQuotedString(_)
                    | Value::Boolean(_)
                    | Value::Null
                    | Value::Placeholder(_)
            );
            (Level::Primary, plain)
        }
        Expr::Cast { kind: CastKind::Cast, data_type, format: None, .. } => {
            (Level::Primary, is_plain_type(data_type))
        }
        Expr::Cast { kind: CastKind::DoubleColon, data_type, format: None, .. } => {
            (Level::Primary, postgres && is_plain_type(data_type))
        }
        // `SQLite` reads the text after `date` as an alias.
        Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false }) => {
            let time =
                matches!(data_type, DataType::Date | DataType::Time(..) | DataType::Timestamp(..));
            let literal = matches!(value.value, Value::SingleQuotedString(_));
            (Level::Primary, time && literal && dialect != DialectName::Sqlite)
        }
        // The parser reads a whole expression after `interval`, up to a unit.
        Expr::Interval(interval) => {
            let literal = matches!(
                &*interval.value,
                Expr::Value(ValueWithSpan {
                    value: Value::SingleQuotedString(_) | Value::Number(_, false),
                    ..
                })
            );
            (Level::Primary, literal && dialect != DialectName::Sqlite)
        }
        Expr::AtTimeZone { .. } => (Level::Scalar, postgres),
        Expr::UnaryOp { op: UnaryOperator::Plus | UnaryOperator::Minus, .. } => {
            (Level::Scalar, true)
        }
        Expr::UnaryOp { op: UnaryOperator::Not, .. } | Expr::Exists { negated: true, .. } => {
            (Level::Not, true)
        }
        Expr::BinaryOp { op, .. } => match op {
            BinaryOperator::Or => (Level::Or, true),
            BinaryOperator::And => (Level::And, true),
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo => (Level::Scalar, true),
            // A disjunction in MySQL, unless its mode says otherwise.
            BinaryOperator::StringConcat | BinaryOperator::Arrow | BinaryOperator::LongArrow => {
                (Level::Scalar, dialect != DialectName::Mysql)
            }
            op => (Level::Predicate, is_comparison(op)),
        },
        Expr::Like { any: false, .. }
        | Expr::Between { .. }
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_) => (Level::Predicate, true),
        // A column of that name to `SQLite`.
        Expr::IsUnknown(_) | Expr::IsNotUnknown(_) => {
            (Level::Predicate, dialect != DialectName::Sqlite)
        }
        Expr::ILike { any: false, .. } => (Level::Predicate, postgres),
        Expr::AnyOp { compare_op, .. } | Expr::AllOp { compare_op, .. } => {
            (Level::Predicate, postgres && is_comparison(compare_op))
        }
        _ => return None,
    };
    read.then_some(level)
}

fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}

/// Types whose input neither looks into the catalogue (`regclass`) nor runs what a schema defines (domains).
fn is_plain_type(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Char(_)
            | DataType::Character(_)
            | DataType::CharacterVarying(_)
            | DataType::Varchar(_)
            | DataType::Text
            | DataType::Uuid
            | DataType::Numeric(_)
            | DataType::Decimal(_)
            | DataType::Real
            | DataType::Float(_)
            | DataType::Double(_)
            | DataType::DoublePrecision
            | DataType::SmallInt(_)
            | DataType::Int(_)
            | DataType::Integer(_)
            | DataType::BigInt(_)
            | DataType::Signed
            | DataType::SignedInteger
            | DataType::Unsigned
            | DataType::UnsignedInteger
            | DataType::Boolean
            | DataType::Bool
            | DataType::Date
            | DataType::Datetime(_)
            | DataType::Time(..)
            | DataType::Timestamp(..)
            | DataType::Interval { .. }
            | DataType::JSON
            | DataType::JSONB
    )
}

/// Words that are evaluated although they look like a column: `current_role = 'app'` holds for every row.
const VALUE_WORDS: [&str; 14] = [
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "system_user",
    "utc_date",
    "utc_time",
    "utc_timestamp",
];

/// Postgres: columns of every table, the same for many rows or for all.
const SYSTEM_COLUMNS: [&str; 5] = ["cmax", "cmin", "tableoid", "xmax", "xmin"];

/// Postgres: functions of `pg_catalog` that take one argument of any type, so a row too (those of versions 15 to 18:
/// `pg_proc` by the types of arguments, `min` and `max` of rows since 18). `t.name` calls one where `t` has no such column.
const ROW_FUNCTIONS: [&str; 43] = [
    "any_out",
    "any_value",
    "anycompatible_out",
    "anycompatiblenonarray_out",
    "anyelement_out",
    "anynonarray_out",
    "array_agg",
    "concat",
    "count",
    "cume_dist",
    "dense_rank",
    "first_value",
    "hash_record",
    "json_agg",
    "json_agg_strict",
    "json_build_array",
    "json_build_object",
    "jsonb_agg",
    "jsonb_agg_strict",
    "jsonb_build_array",
    "jsonb_build_object",
    "lag",
    "last_value",
    "lead",
    "max",
    "min",
    "mode",
    "num_nonnulls",
    "num_nulls",
    "percent_rank",
    "pg_collation_for",
    "pg_column_compression",
    "pg_column_size",
    "pg_column_toast_chunk_id",
    "pg_typeof",
    "quote_literal",
    "quote_nullable",
    "rank",
    "record_out",
    "record_send",
    "row_to_json",
    "to_json",
    "to_jsonb",
];

/// Whether a name alone stands for a column.
pub(crate) fn is_column(ident: &Ident, dialect: DialectName) -> bool {
    let name = ident.value.to_ascii_lowercase();
    let postgres = dialect == DialectName::Postgres;
    let evaluated = VALUE_WORDS.contains(&name.as_str()) || (postgres && name == "user");
    let system = postgres && SYSTEM_COLUMNS.contains(&name.as_str());
    !system && (!evaluated || ident.quote_style.is_some())
}

/// Whether a name after the name of a table stands for a column.
pub(crate) fn is_column_of_table(ident: &Ident, dialect: DialectName) -> bool {
    let name = ident.value.to_ascii_lowercase();
    dialect != DialectName::Postgres
        || !(SYSTEM_COLUMNS.contains(&name.as_str()) || ROW_FUNCTIONS.contains(&name.as_str()))
}
