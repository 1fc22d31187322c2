//! `kind = "sql"`: what a statement may do is read from its syntax tree, before any policy.
//!
//! Everything is an allow-list: statements, tables, functions, tokens, kinds of expressions. What is not understood is
//! refused, and so is what a server could read differently from this parser (`sql_read`): comments, backslashes,
//! operators that bind differently.

use crate::json::Value;
use crate::sql_read::{self, Placeholders};
use serde::Deserialize;
use sqlparser::ast::{
    self, BinaryOperator, Expr, FunctionArguments, Ident, LimitClause, ObjectName, ObjectNamePart,
    OnInsert, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement,
    TableFactor, TableObject, TableWithJoins, UnaryOperator, ValueWithSpan, Visit, Visitor,
    WildcardAdditionalOptions,
};
use sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::keywords::ALL_KEYWORDS;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// Bytes of a statement.
const MAX_BYTES: usize = 64 * 1024;
/// Tokens that can nest: keywords, operators, parentheses. A chain of operators is as deep as it is long.
const MAX_NESTING_TOKENS: usize = 512;
/// Levels the parser follows.
const MAX_DEPTH: usize = 48;

/// Functions that read nothing but their arguments and the rows at hand, in every dialect.
const FUNCTIONS: [&str; 36] = [
    "abs",
    "avg",
    "cast",
    "ceil",
    "ceiling",
    "char_length",
    "coalesce",
    "concat",
    "count",
    "date",
    "dense_rank",
    "floor",
    "greatest",
    "ifnull",
    "lag",
    "lead",
    "least",
    "length",
    "lower",
    "ltrim",
    "max",
    "min",
    "mod",
    "now",
    "nullif",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "substr",
    "substring",
    "sum",
    "total",
    "trim",
    "upper",
];

/// Why a statement is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SqlReason {
    /// The argument is missing, no string, or too long.
    Statement,
    /// It cannot be parsed.
    Unparsable,
    /// A comment, a backslash, or a character outside of texts that is not printable ASCII: servers read them
    /// differently.
    Ambiguous,
    /// More than one statement, or none.
    SeveralStatements,
    /// A kind of statement that the manifest does not allow.
    StatementNotAllowed,
    /// A table that the manifest does not list.
    TableNotAllowed,
    /// A function that is not known to be harmless.
    FunctionNotAllowed,
    /// A construct that these checks do not understand.
    Unsupported,
    /// A write without a `where`.
    NoPredicate,
    /// A write whose `where` does not pick rows by value: `1 = 1`, `id > 0`, only the tenant.
    PredicateTooWide,
    /// A table that is read or written without `tenant_column = tenant`.
    TenantMissing,
    /// A write that would move rows to another tenant.
    TenantChanged,
    /// How many rows a write touches cannot be bounded.
    RowsUnbounded,
    /// More rows than the manifest allows.
    TooManyRows,
}

impl SqlReason {
    /// The code, such as `sql_no_predicate`.
    pub fn code(self) -> &'static str {
        match self {
            SqlReason::Statement => "sql_statement",
            SqlReason::Unparsable => "sql_unparsable",
            SqlReason::Ambiguous => "sql_ambiguous",
            SqlReason::SeveralStatements => "sql_several_statements",
            SqlReason::StatementNotAllowed => "sql_statement_not_allowed",
            SqlReason::TableNotAllowed => "sql_table_not_allowed",
            SqlReason::FunctionNotAllowed => "sql_function_not_allowed",
            SqlReason::Unsupported => "sql_unsupported",
            SqlReason::NoPredicate => "sql_no_predicate",
            SqlReason::PredicateTooWide => "sql_predicate_too_wide",
            SqlReason::TenantMissing => "sql_tenant_missing",
            SqlReason::TenantChanged => "sql_tenant_changed",
            SqlReason::RowsUnbounded => "sql_rows_unbounded",
            SqlReason::TooManyRows => "sql_too_many_rows",
        }
    }
}

/// Whose SQL it is. There is no generic one: quoting differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DialectName {
    Postgres,
    Mysql,
    Sqlite,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StatementKind {
    Select,
    Insert,
    Update,
    Delete,
}

impl StatementKind {
    fn as_str(self) -> &'static str {
        match self {
            StatementKind::Select => "select",
            StatementKind::Insert => "insert",
            StatementKind::Update => "update",
            StatementKind::Delete => "delete",
        }
    }
}

/// The table `sql` of a tool.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlRules {
    /// JSON pointer of the statement.
    statement: String,
    /// JSON pointer of the parameters: an array for `?` (MySQL, `SQLite`) and `$1` (Postgres), an object for `:name`.
    parameters: Option<String>,
    dialect: DialectName,
    #[serde(default = "select_only")]
    allow: Vec<StatementKind>,
    /// Tables that may be named, as they are written; for Postgres as it folds them, in lower case unless quoted.
    tables: Vec<String>,
    /// Tables of `tables` that have no tenant.
    #[serde(default)]
    shared_tables: Vec<String>,
    /// Column that holds the tenant; without it tenants are not told apart.
    tenant_column: Option<String>,
    /// Columns whose value picks at most one row.
    #[serde(default)]
    keys: Vec<String>,
    /// Columns on which a range counts as a predicate.
    #[serde(default)]
    ranges: Vec<String>,
    /// Columns that may be named after the name of a table, besides those above. For Postgres, which calls the function
    /// `f` for `t.f` where `t` has no such column.
    columns: Option<Vec<String>>,
    /// Functions beyond the built-in list.
    #[serde(default)]
    functions: Vec<String>,
    /// Rows a write may touch.
    max_affected: Option<u64>,
    /// Rows a query may return, by its `limit`.
    max_rows: Option<u64>,
}

fn select_only() -> Vec<StatementKind> {
    vec![StatementKind::Select]
}

/// What a policy sees of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SqlFacts {
    pub(crate) statement: &'static str,
    pub(crate) tables: Vec<String>,
    /// Bound of the rows a write touches.
    pub(crate) rows: Option<i64>,
}

type Checked<T> = Result<T, SqlReason>;

impl SqlRules {
    /// What is wrong with the table itself.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let pointers = [Some(&self.statement), self.parameters.as_ref()];
        if pointers.into_iter().flatten().any(|pointer| !pointer.starts_with('/')) {
            return Err(
                "sql.statement and sql.parameters are JSON pointers such as `/query`".to_owned()
            );
        }
        if self.tables.is_empty() {
            return Err("sql.tables lists the tables that may be named; it is empty".to_owned());
        }
        if let Some(table) = self.shared_tables.iter().find(|table| !self.tables.contains(table)) {
            return Err(format!("sql.shared_tables names `{table}`, which is not in sql.tables"));
        }
        if self.max_affected.is_some()
            && self.keys.is_empty()
            && self.allow.iter().any(|kind| is_write(*kind))
        {
            return Err(
                "sql.max_affected needs sql.keys, the columns whose value picks at most one row"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Folds the names of the table itself as those of a statement are: `TenantId` is meant however it is written.
    pub(crate) fn fold(&mut self) {
        if self.dialect == DialectName::Postgres {
            return;
        }
        let lists = [
            &mut self.tables,
            &mut self.shared_tables,
            &mut self.keys,
            &mut self.ranges,
            &mut self.functions,
        ];
        let columns = self.columns.iter_mut().flatten();
        let names = lists.into_iter().flatten().chain(&mut self.tenant_column).chain(columns);
        names.for_each(|name| name.make_ascii_lowercase());
    }

    /// Whether a write may touch rows without a bound.
    pub(crate) fn unbounded_writes(&self) -> bool {
        self.max_affected.is_none() && self.allow.iter().any(|kind| is_write(*kind))
    }

    /// Whether tenants are told apart.
    pub(crate) fn has_tenant(&self) -> bool {
        self.tenant_column.is_some()
    }

    pub(crate) fn check(&self, tenant: &str, args: &Value) -> Checked<SqlFacts> {
        let text =
            args.pointer(&self.statement).and_then(Value::as_str).ok_or(SqlReason::Statement)?;
        if text.len() > MAX_BYTES {
            return Err(SqlReason::Statement);
        }
        // `/*!50000 .. */` is executed or not, by the server's version; this parser executes it.
        let executed =
            self.dialect == DialectName::Mysql && (text.contains("/*!") || text.contains("/*M!"));
        if executed || text.bytes().any(|byte| byte == b'\\' || byte == 0) {
            return Err(SqlReason::Ambiguous);
        }
        sql_read::plain_characters(text, self.dialect)?;
        let dialect: &dyn Dialect = match self.dialect {
            DialectName::Postgres => &PostgreSqlDialect {},
            DialectName::Mysql => &MySqlDialect {},
            DialectName::Sqlite => &SQLiteDialect {},
        };
        let tokens = Tokenizer::new(dialect, text)
            .tokenize_with_location()
            .map_err(|_| SqlReason::Unparsable)?;
        let comment = |token: &Token| {
            matches!(
                token,
                Token::Whitespace(
                    Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)
                )
            )
        };
        if tokens.iter().any(|token| comment(&token.token)) {
            return Err(SqlReason::Ambiguous);
        }
        if tokens.iter().filter(|token| nests(&token.token)).count() > MAX_NESTING_TOKENS {
            return Err(SqlReason::Statement);
        }
        let kind = sql_read::plain_tokens(&tokens, self.dialect)?;
        let mut placeholders: Vec<_> = tokens
            .iter()
            .filter(|token| matches!(&token.token, Token::Placeholder(text) if text == "?"))
            .map(|token| (token.span.start.line, token.span.start.column))
            .collect();
        placeholders.sort_unstable();
        let mut statements = Parser::new(dialect)
            .with_recursion_limit(MAX_DEPTH)
            .with_tokens_with_locations(tokens)
            .parse_statements()
            .map_err(|_| SqlReason::Unparsable)?;
        let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
            return Err(SqlReason::SeveralStatements);
        };
        let parameters = match &self.parameters {
            Some(pointer) => Some(args.pointer(pointer).ok_or(SqlReason::Statement)?),
            None => None,
        };
        match (kind, parameters) {
            (None, _)
            | (_, None)
            | (Some(Placeholders::List), Some(Value::List(_)))
            | (Some(Placeholders::Named), Some(Value::Object(_))) => {}
            _ => return Err(SqlReason::Unsupported),
        }
        Check { rules: self, tenant, parameters, placeholders, tables: BTreeSet::new() }
            .statement(&statement)
    }
}

fn is_write(kind: StatementKind) -> bool {
    kind != StatementKind::Select
}

fn nests(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword != sqlparser::keywords::Keyword::NoKeyword,
        Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::Comma
        | Token::Period
        | Token::Whitespace(_)
        | Token::Placeholder(_) => false,
        _ => true,
    }
}

impl DialectName {
    /// As the server reads a name. Quotes keep the case in Postgres alone: to the others `TENANT_ID` in any quotes is
    /// the column `tenant_id`. Names are ASCII, `plain_characters` sees to it.
    fn folded(self, ident: &Ident) -> String {
        match (self, ident.quote_style) {
            (DialectName::Postgres, Some(_)) => ident.value.clone(),
            _ => ident.value.to_ascii_lowercase(),
        }
    }

    /// As the server compares what a statement itself names: aliases and parts of a `with`. In MySQL their case
    /// counts on one system and not on another, so they are taken for the same only when they are the same.
    fn local(self, ident: &Ident) -> String {
        match self {
            DialectName::Mysql => ident.value.clone(),
            _ => self.folded(ident),
        }
    }

    /// `None` also for a part with a dot in it: `"a.b"` must not pass for `a.b`.
    fn full_name(self, name: &ObjectName) -> Option<String> {
        let parts: Option<Vec<_>> = name
            .0
            .iter()
            .map(|part| match part {
                ObjectNamePart::Identifier(ident) if !ident.value.contains('.') => {
                    Some(self.folded(ident))
                }
                _ => None,
            })
            .collect();
        Some(parts?.join("."))
    }

    fn last_name(self, name: &ObjectName) -> Option<String> {
        name.0.last().and_then(ObjectNamePart::as_ident).map(|ident| self.folded(ident))
    }
}

/// A table of one `from`, with the name its columns are qualified by.
struct Source {
    alias: String,
    needs_tenant: bool,
}

struct Check<'a> {
    rules: &'a SqlRules,
    tenant: &'a str,
    parameters: Option<&'a Value>,
    /// Places of `?`, in order.
    placeholders: Vec<(u64, u64)>,
    tables: BTreeSet<String>,
}

impl Check<'_> {
    fn statement(mut self, statement: &Statement) -> Checked<SqlFacts> {
        let (kind, rows) = match statement {
            Statement::Query(query) => {
                self.allowed(StatementKind::Select)?;
                self.top_query(query)?;
                if let Some(max) = self.rules.max_rows {
                    match limit(query) {
                        Some(rows) if rows <= max => {}
                        Some(_) => return Err(SqlReason::TooManyRows),
                        None => return Err(SqlReason::RowsUnbounded),
                    }
                }
                (StatementKind::Select, None)
            }
            Statement::Insert(insert) => {
                self.allowed(StatementKind::Insert)?;
                (StatementKind::Insert, Some(self.insert(insert)?))
            }
            Statement::Update(update) => {
                self.allowed(StatementKind::Update)?;
                let odd = update.from.is_some()
                    || update.or.is_some()
                    || update.output.is_some()
                    || !update.optimizer_hints.is_empty();
                if odd {
                    return Err(SqlReason::Unsupported);
                }
                for assignment in &update.assignments {
                    match &assignment.target {
                        ast::AssignmentTarget::ColumnName(name) => {
                            let column = self.rules.dialect.last_name(name);
                            if column.ok_or(SqlReason::Unsupported)?.as_str()
                                == self.tenant_column()
                            {
                                return Err(SqlReason::TenantChanged);
                            }
                            // `a.b` is a column of a table in MySQL, and a part of a column in Postgres.
                            let parts =
                                if self.rules.dialect == DialectName::Mysql { 2 } else { 1 };
                            if name.0.len() > parts {
                                return Err(SqlReason::Unsupported);
                            }
                        }
                        ast::AssignmentTarget::Tuple(_) => return Err(SqlReason::Unsupported),
                    }
                    self.inside(&assignment.value, &[])?;
                }
                self.projection(update.returning.as_deref().unwrap_or_default())?;
                self.inside(&update.returning, &[])?;
                self.inside(&update.order_by, &[])?;
                let rows =
                    self.write(&update.table, update.selection.as_ref(), update.limit.as_ref())?;
                (StatementKind::Update, Some(rows))
            }
            Statement::Delete(delete) => {
                self.allowed(StatementKind::Delete)?;
                let tables = match &delete.from {
                    ast::FromTable::WithFromKeyword(tables)
                    | ast::FromTable::WithoutKeyword(tables) => tables,
                };
                let plain = delete.tables.is_empty() && delete.optimizer_hints.is_empty();
                let ([table], true, None, None) =
                    (tables.as_slice(), plain, &delete.using, &delete.output)
                else {
                    return Err(SqlReason::Unsupported);
                };
                self.projection(delete.returning.as_deref().unwrap_or_default())?;
                self.inside(&delete.returning, &[])?;
                self.inside(&delete.order_by, &[])?;
                let rows = self.write(table, delete.selection.as_ref(), delete.limit.as_ref())?;
                (StatementKind::Delete, Some(rows))
            }
            _ => return Err(SqlReason::StatementNotAllowed),
        };
        let rows = rows.flatten();
        if let (true, Some(max)) = (is_write(kind), self.rules.max_affected) {
            match rows {
                Some(rows) if rows <= max => {}
                Some(_) => return Err(SqlReason::TooManyRows),
                None => return Err(SqlReason::RowsUnbounded),
            }
        }
        Ok(SqlFacts {
            statement: kind.as_str(),
            tables: self.tables.into_iter().collect(),
            rows: rows.and_then(|rows| i64::try_from(rows).ok()),
        })
    }

    fn allowed(&self, kind: StatementKind) -> Checked<()> {
        if self.rules.allow.contains(&kind) {
            Ok(())
        } else {
            Err(SqlReason::StatementNotAllowed)
        }
    }

    fn folded(&self, ident: &Ident) -> String {
        self.rules.dialect.folded(ident)
    }

    fn tenant_column(&self) -> &str {
        self.rules.tenant_column.as_deref().unwrap_or_default()
    }

    /// A query whose `with` is read: a part sees the names of the parts before it, so that no part can borrow the
    /// name of a table for a part that comes later.
    fn top_query(&mut self, query: &Query) -> Checked<()> {
        let mut names = Vec::new();
        if let Some(with) = &query.with {
            if with.recursive {
                return Err(SqlReason::Unsupported);
            }
            for part in &with.cte_tables {
                let name = &part.alias.name;
                let table = self.rules.tables.contains(&self.folded(name));
                let typed = part.alias.columns.iter().any(|column| column.data_type.is_some());
                let odd = typed || part.alias.at.is_some() || part.from.is_some();
                if table || name.value.contains('.') || odd {
                    return Err(SqlReason::Unsupported);
                }
                self.inside(&part.query, &names)?;
                names.push(self.rules.dialect.local(name));
            }
        }
        self.plain_query(query)?;
        self.set_body(&query.body)?;
        self.inside(&query.body, &names)?;
        self.inside(&query.order_by, &names)?;
        self.inside(&query.limit_clause, &names)?;
        self.inside(&query.fetch, &names)
    }

    /// Everything below a node: selects, tables, functions, names.
    fn inside(&mut self, node: &impl Visit, names: &[String]) -> Checked<()> {
        match node.visit(&mut Inside { check: self, names }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(reason) => Err(reason),
        }
    }

    fn table(&mut self, factor: &TableFactor, names: &[String]) -> Checked<Option<Source>> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                version: None,
                with_ordinality: false,
                json_path: None,
                sample: None,
                with_hints,
                partitions,
                index_hints,
            } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
                let dialect = self.rules.dialect;
                let full = dialect.full_name(name).ok_or(SqlReason::Unsupported)?;
                let last = name.0.last().and_then(ObjectNamePart::as_ident);
                let last = last.map(|last| dialect.local(last)).ok_or(SqlReason::Unsupported)?;
                let part_of_with = name.0.len() == 1 && names.contains(&last);
                let alias = match alias {
                    Some(alias) => self.alias(alias)?,
                    None => last,
                };
                if part_of_with {
                    return Ok(Some(Source { alias, needs_tenant: false }));
                }
                if !self.rules.tables.contains(&full) {
                    return Err(SqlReason::TableNotAllowed);
                }
                let needs_tenant =
                    self.rules.has_tenant() && !self.rules.shared_tables.contains(&full);
                self.tables.insert(full);
                Ok(Some(Source { alias, needs_tenant }))
            }
            TableFactor::Derived { lateral: false, alias: Some(alias), sample: None, .. } => {
                Ok(Some(Source { alias: self.alias(alias)?, needs_tenant: false }))
            }
            // Its tables are read with the joins.
            TableFactor::NestedJoin { alias: None, .. } => Ok(None),
            _ => Err(SqlReason::Unsupported),
        }
    }

    /// The name that columns are qualified by. A list of columns would rename the tenant's.
    fn alias(&self, alias: &ast::TableAlias) -> Checked<String> {
        let name = &alias.name;
        // A word after a table may be more than its name to a server.
        let word = name.quote_style.is_none() && !alias.explicit && is_keyword(&name.value);
        if !alias.columns.is_empty() || alias.at.is_some() || word || name.quote_style == Some('\'')
        {
            return Err(SqlReason::Unsupported);
        }
        Ok(self.rules.dialect.local(name))
    }

    /// Tables of a `from` and the conditions of joins that hold for every row.
    fn sources<'e>(
        &mut self,
        from: &'e TableWithJoins,
        names: &[String],
        sources: &mut Vec<Source>,
        conditions: &mut Vec<&'e Expr>,
    ) -> Checked<()> {
        use ast::JoinOperator::{
            CrossJoin, FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter,
        };
        let mut add = |this: &mut Self, factor: &'e TableFactor| match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => {
                // Its joins may be outer ones within an outer one: only `where` counts for them.
                this.sources(table_with_joins, names, sources, &mut Vec::new())
            }
            factor => {
                sources.extend(this.table(factor, names)?);
                Ok(())
            }
        };
        add(self, &from.relation)?;
        for join in &from.joins {
            add(self, &join.relation)?;
            let constraint = match &join.join_operator {
                Join(constraint) | Inner(constraint) | CrossJoin(constraint) => Some(constraint),
                Left(_) | LeftOuter(_) | Right(_) | RightOuter(_) | FullOuter(_) => None,
                _ => return Err(SqlReason::Unsupported),
            };
            if let Some(ast::JoinConstraint::On(condition)) = constraint {
                // An outer join later in the chain can bring back rows that this condition dropped.
                let outer = |join: &ast::Join| {
                    !matches!(join.join_operator, Join(_) | Inner(_) | CrossJoin(_))
                };
                if !from.joins.iter().any(outer) {
                    conditions.push(condition);
                }
            }
        }
        Ok(())
    }

    fn select(&mut self, select: &Select, names: &[String]) -> Checked<()> {
        let odd = select.into.is_some()
            || !select.lateral_views.is_empty()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || select.qualify.is_some()
            || select.value_table_mode.is_some()
            || select.exclude.is_some()
            || !select.optimizer_hints.is_empty()
            || select.select_modifiers.is_some()
            || select.top.is_some()
            || !matches!(select.flavor, ast::SelectFlavor::Standard);
        if odd {
            return Err(SqlReason::Unsupported);
        }
        self.projection(&select.projection)?;
        let (mut sources, mut conditions) = (Vec::new(), Vec::new());
        for from in &select.from {
            self.sources(from, names, &mut sources, &mut conditions)?;
        }
        // Of two tables with one name, `name.tenant_id` is either's.
        let aliases: BTreeSet<_> =
            sources.iter().map(|source| source.alias.to_ascii_lowercase()).collect();
        if aliases.len() != sources.len() {
            return Err(SqlReason::Unsupported);
        }
        conditions.extend(&select.selection);
        self.tenants(&sources, &conditions)
    }

    /// What a select or a `returning` gives: expressions, `*` and `table.*`.
    fn projection(&self, items: &[SelectItem]) -> Checked<()> {
        let plain = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => true,
            SelectItem::Wildcard(options) => *options == WildcardAdditionalOptions::default(),
            SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(name),
                options,
            ) => name.0.len() == 1 && *options == WildcardAdditionalOptions::default(),
            _ => false,
        };
        if items.iter().all(plain) {
            Ok(())
        } else {
            Err(SqlReason::Unsupported)
        }
    }

    /// Parts of a query that the checks read; any other part is refused. `for update` locks rows, as an update does.
    fn plain_query(&self, query: &Query) -> Checked<()> {
        let locks = query.locks.is_empty() || self.rules.allow.contains(&StatementKind::Update);
        let plain = query.for_clause.is_none()
            && query.settings.is_none()
            && query.format_clause.is_none()
            && query.pipe_operators.is_empty();
        if plain && locks {
            Ok(())
        } else {
            Err(SqlReason::Unsupported)
        }
    }

    /// A bare `VALUES` or a set of selects is fine; `TABLE name` and writes inside a query are not.
    fn set_body(&self, body: &SetExpr) -> Checked<()> {
        match body {
            SetExpr::Select(_) | SetExpr::Values(_) => Ok(()),
            SetExpr::Query(query) => self.plain_query(query),
            SetExpr::SetOperation { left, right, .. } => {
                self.set_body(left)?;
                self.set_body(right)
            }
            _ => Err(SqlReason::Unsupported),
        }
    }

    /// Whether the name after the name of a table is a column, as far as that can be said without the schema.
    fn column_of_table(&self, name: &Ident) -> bool {
        let rules = self.rules;
        let folded = self.folded(name);
        let declared = |columns: &Vec<String>| {
            let mut known = columns.iter().chain(&rules.keys).chain(&rules.ranges);
            folded == self.tenant_column() || known.any(|column| *column == folded)
        };
        sql_read::is_column_of_table(name, rules.dialect)
            && rules.columns.as_ref().is_none_or(declared)
    }

    /// Every table that has tenants is held to this one.
    fn tenants(&self, sources: &[Source], conditions: &[&Expr]) -> Checked<()> {
        let alone = sources.len() == 1;
        for source in sources.iter().filter(|source| source.needs_tenant) {
            if !conditions.iter().any(|condition| self.holds_tenant(condition, source, alone)) {
                return Err(SqlReason::TenantMissing);
            }
        }
        Ok(())
    }

    fn holds_tenant(&self, condition: &Expr, source: &Source, alone: bool) -> bool {
        let either = |left: &Expr, right: &Expr| match (self.column(left), self.text(right)) {
            (Some((table, column)), Some(value)) => {
                column == self.tenant_column()
                    && value == self.tenant
                    && table.map_or(alone, |table| table == source.alias)
            }
            _ => false,
        };
        match condition {
            Expr::Nested(inner) => self.holds_tenant(inner, source, alone),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.holds_tenant(left, source, alone) || self.holds_tenant(right, source, alone)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                self.holds_tenant(left, source, alone) && self.holds_tenant(right, source, alone)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                either(left, right) || either(right, left)
            }
            _ => false,
        }
    }

    /// An update or a delete of one table; the bound of its rows.
    fn write(
        &mut self,
        table: &TableWithJoins,
        selection: Option<&Expr>,
        limit: Option<&Expr>,
    ) -> Checked<Option<u64>> {
        if !table.joins.is_empty() {
            return Err(SqlReason::Unsupported);
        }
        let source = self.table(&table.relation, &[])?.ok_or(SqlReason::Unsupported)?;
        let selection = selection.ok_or(SqlReason::NoPredicate)?;
        self.inside(selection, &[])?;
        self.tenants(std::slice::from_ref(&source), &[selection])?;
        if !self.picks(selection) {
            return Err(SqlReason::PredicateTooWide);
        }
        let limit = match limit {
            Some(limit) => Some(number(limit).ok_or(SqlReason::Unsupported)?),
            None => None,
        };
        Ok(match (self.rows(selection), limit) {
            (Some(rows), Some(limit)) => Some(rows.min(limit)),
            (rows, limit) => rows.or(limit),
        })
    }

    /// Whether a condition picks rows by the value of a column other than the tenant's.
    fn picks(&self, condition: &Expr) -> bool {
        match condition {
            Expr::Nested(inner) => self.picks(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                self.picks(left) || self.picks(right)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                self.picks(left) && self.picks(right)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                let other = |expr: &Expr| {
                    self.column(expr).is_some_and(|(_, name)| name != self.tenant_column())
                };
                (other(left) && self.picking(right)) || (other(right) && self.picking(left))
            }
            Expr::InList { expr, list, negated: false } => {
                let other = self.column(expr).is_some_and(|(_, name)| name != self.tenant_column());
                other && list.iter().all(|item| self.picking(item))
            }
            Expr::BinaryOp {
                left,
                op:
                    BinaryOperator::Lt
                    | BinaryOperator::LtEq
                    | BinaryOperator::Gt
                    | BinaryOperator::GtEq,
                right,
            } => {
                (self.ranged(left) && self.picking(right))
                    || (self.ranged(right) && self.picking(left))
            }
            Expr::Between { expr, negated: false, low, high } => {
                self.ranged(expr) && self.picking(low) && self.picking(high)
            }
            _ => false,
        }
    }

    fn ranged(&self, expr: &Expr) -> bool {
        self.column(expr).is_some_and(|(_, name)| self.rules.ranges.contains(&name))
    }

    /// A constant that equals few values. MySQL compares a text with a number as numbers, and most texts are 0.
    fn picking(&self, expr: &Expr) -> bool {
        let zero = |text: &str| text.parse::<f64>().is_ok_and(|value| value == 0.0);
        match expr {
            Expr::Nested(inner) => self.picking(inner),
            Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => {
                matches!(&**expr, Expr::Value(ValueWithSpan { value: ast::Value::Number(..), .. }))
                    && self.picking(expr)
            }
            Expr::Value(ValueWithSpan { value: ast::Value::SingleQuotedString(_), .. }) => true,
            Expr::Value(ValueWithSpan { value: ast::Value::Number(text, _), .. }) => {
                self.rules.dialect != DialectName::Mysql || !zero(text)
            }
            Expr::Value(value) => match self.parameter(value) {
                Some(Value::Str(_)) => true,
                Some(Value::Int(number)) => {
                    self.rules.dialect != DialectName::Mysql || *number != 0
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Most rows a condition can pick, by the keys.
    fn rows(&self, condition: &Expr) -> Option<u64> {
        let key = |expr: &Expr| {
            self.column(expr).is_some_and(|(_, name)| self.rules.keys.contains(&name))
        };
        match condition {
            Expr::Nested(inner) => self.rows(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                match (self.rows(left), self.rows(right)) {
                    (Some(left), Some(right)) => Some(left.min(right)),
                    (left, right) => left.or(right),
                }
            }
            Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
                self.rows(left)?.checked_add(self.rows(right)?)
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                ((key(left) && self.picking(right)) || (key(right) && self.picking(left)))
                    .then_some(1)
            }
            Expr::InList { expr, list, negated: false } if key(expr) => {
                let all = list.iter().all(|item| self.picking(item));
                all.then_some(u64::try_from(list.len()).ok()?)
            }
            _ => None,
        }
    }

    fn insert(&mut self, insert: &ast::Insert) -> Checked<Option<u64>> {
        let odd = insert.or.is_some()
            || insert.ignore
            || insert.overwrite
            || insert.has_table_keyword
            || insert.priority.is_some()
            || !insert.optimizer_hints.is_empty()
            || insert.replace_into
            || !insert.assignments.is_empty()
            || insert.partitioned.is_some()
            || !insert.after_columns.is_empty()
            || insert.output.is_some()
            || insert.settings.is_some()
            || insert.format_clause.is_some()
            || insert.multi_table_insert_type.is_some()
            || insert.insert_alias.is_some()
            || !insert.multi_table_into_clauses.is_empty()
            // A part of a column in Postgres: `tenant_id[1]`, `tenant_id.x`.
            || insert.columns.iter().any(|name| name.0.len() != 1 || name.0.iter().any(|part| part.as_ident().is_none()));
        let conflict = match &insert.on {
            None => false,
            // Updating the row in the way could be another tenant's row.
            Some(OnInsert::OnConflict(conflict)) => {
                !matches!(conflict.action, ast::OnConflictAction::DoNothing)
            }
            Some(_) => true,
        };
        if odd || conflict {
            return Err(SqlReason::Unsupported);
        }
        let TableObject::TableName(name) = &insert.table else {
            return Err(SqlReason::Unsupported);
        };
        let full = self.rules.dialect.full_name(name).ok_or(SqlReason::Unsupported)?;
        if !self.rules.tables.contains(&full) {
            return Err(SqlReason::TableNotAllowed);
        }
        let source = insert.source.as_ref().ok_or(SqlReason::Unsupported)?;
        self.projection(insert.returning.as_deref().unwrap_or_default())?;
        self.inside(&insert.returning, &[])?;
        self.top_query(source)?;
        if self.rules.has_tenant() && !self.rules.shared_tables.contains(&full) {
            let column = |name: &ObjectName| self.rules.dialect.last_name(name);
            let mut places = insert
                .columns
                .iter()
                .enumerate()
                .filter(|(_, name)| column(name).as_deref() == Some(self.tenant_column()));
            let (Some((place, _)), None) = (places.next(), places.next()) else {
                return Err(SqlReason::TenantMissing);
            };
            let is =
                |expr: Option<&Expr>| expr.and_then(|expr| self.text(expr)) == Some(self.tenant);
            let all = match &*source.body {
                SetExpr::Values(values) => values.rows.iter().all(|row| is(row.content.get(place))),
                SetExpr::Select(select) => {
                    // `x.*` is any number of columns, none among them, so places would not be counted.
                    let values: Option<Vec<_>> =
                        select.projection.iter().map(|item| value_of(item)).collect();
                    let values = values.ok_or(SqlReason::Unsupported)?;
                    values.len() == insert.columns.len() && is(values.get(place).copied())
                }
                _ => false,
            };
            if !all {
                return Err(SqlReason::TenantMissing);
            }
        }
        self.tables.insert(full);
        Ok(match &*source.body {
            SetExpr::Values(values) => u64::try_from(values.rows.len()).ok(),
            _ => limit(source),
        })
    }

    /// A column with the table it is qualified by.
    fn column(&self, expr: &Expr) -> Option<(Option<String>, String)> {
        // SQLite takes a double-quoted name that is no column for a string.
        let sure = |ident: &Ident| {
            !(self.rules.dialect == DialectName::Sqlite && ident.quote_style == Some('"'))
        };
        match expr {
            Expr::Nested(inner) => self.column(inner),
            Expr::Identifier(name) if sure(name) => Some((None, self.folded(name))),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, name] if sure(name) => {
                    Some((Some(self.rules.dialect.local(table)), self.folded(name)))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// A constant text.
    fn text<'e>(&'e self, expr: &'e Expr) -> Option<&'e str> {
        match expr {
            Expr::Nested(inner) => self.text(inner),
            Expr::Value(ValueWithSpan { value: ast::Value::SingleQuotedString(text), .. }) => {
                Some(text)
            }
            Expr::Value(value) => self.parameter(value)?.as_str(),
            _ => None,
        }
    }

    /// The argument that a placeholder stands for.
    fn parameter(&self, value: &ValueWithSpan) -> Option<&Value> {
        let ast::Value::Placeholder(name) = &value.value else { return None };
        let parameters = self.parameters?;
        let place = if name == "?" {
            let start = (value.span.start.line, value.span.start.column);
            self.placeholders.binary_search(&start).ok()?
        } else if let Some(number) = name.strip_prefix('$') {
            number.parse::<usize>().ok()?.checked_sub(1)?
        } else {
            return parameters.as_object()?.get(name.strip_prefix(':')?);
        };
        match parameters {
            Value::List(items) => items.get(place),
            _ => None,
        }
    }
}

/// The expression of a column, none for `*`.
fn value_of(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// A word of the language of two letters or more; single letters are aliases everywhere.
fn is_keyword(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    word.len() > 1 && ALL_KEYWORDS.binary_search(&upper.as_str()).is_ok()
}

fn number(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Value(ValueWithSpan { value: ast::Value::Number(text, _), .. }) => text.parse().ok(),
        _ => None,
    }
}

fn limit(query: &Query) -> Option<u64> {
    match query.limit_clause.as_ref()? {
        LimitClause::LimitOffset { limit: Some(limit), limit_by, .. } if limit_by.is_empty() => {
            number(limit)
        }
        LimitClause::OffsetCommaLimit { limit, .. } => number(limit),
        LimitClause::LimitOffset { .. } => None,
    }
}

/// Visits what is below a node.
struct Inside<'c, 'a, 'n> {
    check: &'c mut Check<'a>,
    names: &'n [String],
}

impl Inside<'_, '_, '_> {
    fn flow(checked: Checked<()>) -> ControlFlow<SqlReason> {
        match checked {
            Ok(()) => ControlFlow::Continue(()),
            Err(reason) => ControlFlow::Break(reason),
        }
    }
}

impl Visitor for Inside<'_, '_, '_> {
    type Break = SqlReason;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<SqlReason> {
        if query.with.is_some() {
            return ControlFlow::Break(SqlReason::Unsupported);
        }
        Self::flow(self.check.plain_query(query).and_then(|()| self.check.set_body(&query.body)))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<SqlReason> {
        Self::flow(self.check.select(select, self.names))
    }

    fn pre_visit_statement(&mut self, _: &Statement) -> ControlFlow<SqlReason> {
        ControlFlow::Break(SqlReason::Unsupported)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<SqlReason> {
        Self::flow(self.check.table(factor, self.names).map(|_| ()))
    }

    fn pre_visit_ident(&mut self, ident: &Ident) -> ControlFlow<SqlReason> {
        // MySQL's variables, `@@version` and `@x`, parse as names.
        Self::flow(if ident.value.starts_with('@') { Err(SqlReason::Unsupported) } else { Ok(()) })
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<SqlReason> {
        let dialect = self.check.rules.dialect;
        let checked = match expr {
            expr if !sql_read::is_understood(expr, dialect) => Err(SqlReason::Unsupported),
            Expr::Function(function) => {
                let name = dialect.full_name(&function.name).unwrap_or_default();
                let known = FUNCTIONS.binary_search(&name.as_str()).is_ok()
                    || self.check.rules.functions.contains(&name);
                if !known {
                    Err(SqlReason::FunctionNotAllowed)
                } else if matches!(function.parameters, FunctionArguments::None) {
                    Ok(())
                } else {
                    Err(SqlReason::Unsupported)
                }
            }
            Expr::Identifier(name) if !sql_read::is_column(name, dialect) => {
                Err(SqlReason::FunctionNotAllowed)
            }
            Expr::CompoundIdentifier(parts) => match parts.last() {
                Some(name) if !self.check.column_of_table(name) => {
                    Err(SqlReason::FunctionNotAllowed)
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        };
        Self::flow(checked)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn functions_are_sorted() {
        assert!(super::FUNCTIONS.is_sorted());
    }
}
