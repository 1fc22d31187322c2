//! Rows of SQLite that say whether somebody changed them: a tag for each, and one sum over all of them.
//!
//! SQLite notices a page that is broken, not a letter that is another one; and one letter in the name of a revoked
//! agent is a revocation less. So each row ends with a tag, an HMAC-SHA256 (cut to 128 bits, RFC 2104 section 5) over
//! its table's name and its columns under a key of the kernel. A row that was changed does not fit its tag any more.
//! What no tag of a row can tell, that a row is missing, is there again or is an older one, the sum of all tags tells
//! (modulo 2^128): it stands in the one row of the table `kernel`, under a tag of its own, and is looked at when the
//! file is opened. Adding to a sum and taking from it costs nothing where the row is written anyway.

use hmac::{Hmac, Mac};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{params_from_iter, Connection, Row, Statement, ToSql};
use sha2::Sha256;
use sift_ledger::keys::PrivateKey;

use crate::error::StoreError;
use crate::wire::Preimage;

/// Bytes of a tag.
const TAG: usize = 16;

/// One kind of rows.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Columns that tell its rows apart. They come first, in this order.
    pub(super) key: &'static [&'static str],
    /// The columns but the tag, as SQL declares them.
    pub(super) columns: &'static str,
}

impl Table {
    /// The SQL that makes it.
    pub(super) fn sql(&self) -> String {
        let Self { name, key, columns } = self;
        let key = key.join(", ");
        format!(
            "create table {name} ({columns}, tag blob not null, primary key ({key})) strict, without rowid;"
        )
    }
}

/// What goes wrong between rows.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite says so.
    Sqlite(rusqlite::Error),
    /// A row of this table is not what the kernel wrote.
    Changed(&'static str),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Fault {
    /// The error of a store that was asked for something. The messages of SQLite name tables and causes; values are
    /// bound and never in them.
    pub(super) fn during(self, what: &'static str) -> StoreError {
        let reason = match self {
            Self::Sqlite(error) => error.to_string(),
            Self::Changed(table) => format!(
                "rows of table `{table}` in kernel.sqlite are not what the kernel wrote: restore state and ledger \
                 from a backup"
            ),
        };
        StoreError { what, reason }
    }
}

/// Makes and checks tags.
#[derive(Clone)]
pub(super) struct RowKey {
    ready: Hmac<Sha256>,
}

impl std::fmt::Debug for RowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RowKey")
    }
}

impl RowKey {
    /// That of a log's key: what belongs to a ledger is written by who may write the ledger.
    ///
    /// Errors: none that can be met; HMAC takes keys of any length.
    pub(super) fn of(key: &PrivateKey) -> Result<Self, StoreError> {
        let mac = |key: &[u8]| {
            <Hmac<Sha256> as Mac>::new_from_slice(key)
                .map_err(|error| StoreError { what: "make its key", reason: error.to_string() })
        };
        let own = mac(key.scalar().as_slice())?.chain_update(b"sift-kernel-store-v1").finalize();
        Ok(Self { ready: mac(&own.into_bytes())? })
    }

    fn mac<'a>(&self, table: &str, row: impl Iterator<Item = ValueRef<'a>>) -> Hmac<Sha256> {
        let mut preimage = Preimage::new("sift-store-row-v1").text(table);
        for value in row {
            preimage = match value {
                ValueRef::Null => preimage.bytes(&[0]),
                ValueRef::Integer(number) => preimage.bytes(&[1]).number(number),
                ValueRef::Real(number) => preimage.bytes(&[2]).bytes(&number.to_be_bytes()),
                ValueRef::Text(text) => preimage.bytes(&[3]).bytes(text),
                ValueRef::Blob(blob) => preimage.bytes(&[4]).bytes(blob),
            };
        }
        self.ready.clone().chain_update(preimage.finish())
    }

    /// The tag of a row, given without it.
    pub(super) fn tag(&self, table: &str, row: &[Value]) -> [u8; TAG] {
        let whole = self.mac(table, row.iter().map(ValueRef::from)).finalize().into_bytes();
        std::array::from_fn(|place| whole[place])
    }

    /// The tag of a row that was read with all of its columns, if it is the right one.
    ///
    /// Errors: the row is not what the kernel wrote.
    pub(super) fn check(&self, table: &'static str, row: &Row<'_>) -> Result<[u8; TAG], Fault> {
        let columns = row.as_ref().column_count();
        let values = (0..columns).map(|place| row.get_ref(place)).collect::<Result<Vec<_>, _>>()?;
        let Some((ValueRef::Blob(said), values)) = values.split_last() else {
            return Err(Fault::Changed(table));
        };
        let said: [u8; TAG] = (*said).try_into().map_err(|_| Fault::Changed(table))?;
        self.mac(table, values.iter().copied())
            .verify_truncated_left(&said)
            .map_err(|_| Fault::Changed(table))?;
        Ok(said)
    }
}

/// All tags of a file, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum(pub(super) u128);

impl Sum {
    fn add(&mut self, tag: [u8; TAG]) {
        self.0 = self.0.wrapping_add(u128::from_be_bytes(tag));
    }

    fn take(&mut self, tag: [u8; TAG]) {
        self.0 = self.0.wrapping_sub(u128::from_be_bytes(tag));
    }

    /// The sum over all rows of these tables, each of which is checked.
    ///
    /// Errors: a row is not what the kernel wrote.
    pub(super) fn over(
        connection: &Connection,
        tables: &[Table],
        key: &RowKey,
    ) -> Result<Self, Fault> {
        let mut sum = Self::default();
        for table in tables {
            let mut every = connection.prepare(&format!("select * from {}", table.name))?;
            let mut rows = every.query([])?;
            while let Some(row) = rows.next()? {
                sum.add(key.check(table.name, row)?);
            }
        }
        Ok(sum)
    }
}

/// Reads rows and checks them.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) connection: &'a Connection,
    pub(super) key: &'a RowKey,
}

impl Reader<'_> {
    /// What is made of each row of a table that fits.
    ///
    /// Args: the table; the rest of the query, after `select * from TABLE where`; its values.
    ///
    /// Errors: one of them is not what the kernel wrote.
    pub(super) fn rows<T>(
        self,
        table: &'static str,
        rest: &str,
        values: &[&dyn ToSql],
        mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Fault> {
        let sql = format!("select * from {table} where {rest}");
        let mut query = self.connection.prepare_cached(&sql)?;
        let found = query.query_and_then(values, |row| {
            self.key.check(table, row)?;
            each(row).map_err(Fault::from)
        })?;
        found.collect()
    }
}

/// Changes rows, within one transaction.
pub(super) struct Writer<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) sum: Sum,
}

impl Writer<'_> {
    /// Takes rows out of a table.
    ///
    /// Args: the table; which; the values of that.
    ///
    /// Returns: the rows, without their tags.
    ///
    /// Errors: one of them is not what the kernel wrote; the transaction must not go on then.
    pub(super) fn take(
        &mut self,
        table: &'static str,
        which: &str,
        values: &[&dyn ToSql],
    ) -> Result<Vec<Vec<Value>>, Fault> {
        let Self { reader: Reader { connection, key }, sum } = self;
        let sql = format!("delete from {table} where {which} returning *");
        let mut taken = connection.prepare_cached(&sql)?;
        let mut rows = taken.query(values)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            sum.take(key.check(table, row)?);
            let columns = row.as_ref().column_count().saturating_sub(1);
            found.push((0..columns).map(|place| row.get(place)).collect::<Result<_, _>>()?);
        }
        Ok(found)
    }

    /// Puts a row into a table.
    ///
    /// Args: the table; the row, without its tag.
    ///
    /// Errors: one with its key is there.
    pub(super) fn put(&mut self, table: &'static str, mut row: Vec<Value>) -> Result<(), Fault> {
        let Self { reader: Reader { connection, key }, sum } = self;
        let tag = key.tag(table, &row);
        row.push(Value::Blob(tag.to_vec()));
        insert(connection, table, row)?;
        sum.add(tag);
        Ok(())
    }

    /// Writes every tag anew, under another key.
    ///
    /// Errors: a row is not what the kernel wrote.
    pub(super) fn renew(&mut self, table: &Table, next: &RowKey) -> Result<(), Fault> {
        let Self { reader: Reader { connection, key }, sum } = self;
        let mut every = connection.prepare(&format!("select * from {}", table.name))?;
        let mut rows = every.query([])?;
        let mut renewed = Vec::new();
        while let Some(row) = rows.next()? {
            sum.take(key.check(table.name, row)?);
            let columns = row.as_ref().column_count().saturating_sub(1);
            let values: Vec<Value> =
                (0..columns).map(|place| row.get(place)).collect::<Result<_, _>>()?;
            let tag = next.tag(table.name, &values);
            sum.add(tag);
            let key = values.into_iter().take(table.key.len());
            renewed.push(std::iter::once(Value::Blob(tag.to_vec())).chain(key).collect::<Vec<_>>());
        }
        let which: Vec<_> = table.key.iter().map(|column| format!("{column} = ?")).collect();
        let sql = format!("update {} set tag = ? where {}", table.name, which.join(" and "));
        let mut update = connection.prepare(&sql)?;
        for values in renewed {
            update.execute(params_from_iter(values))?;
        }
        Ok(())
    }
}

/// Puts a row with its tag into a table.
fn insert(connection: &Connection, table: &str, row: Vec<Value>) -> rusqlite::Result<()> {
    let places = vec!["?"; row.len()].join(", ");
    let mut put: rusqlite::CachedStatement<'_> =
        connection.prepare_cached(&format!("insert into {table} values ({places})"))?;
    let put: &mut Statement<'_> = &mut put;
    put.execute(params_from_iter(row)).map(drop)
}

/// A row, from what its columns hold.
macro_rules! row {
    ($($value:expr),+ $(,)?) => { vec![$(rusqlite::types::Value::from($value.to_owned())),+] };
}
pub(super) use row;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_of_its_key_its_table_and_every_column() {
        let of = |seed: u8| RowKey::of(&PrivateKey::from_seed(&[seed; 32])).unwrap();
        let base = row!["a", 1_i64, Some("b".to_owned())];
        let tag = of(1).tag("t", &base);
        assert_eq!(tag, of(1).tag("t", &base));
        assert_ne!(tag, of(2).tag("t", &base));
        assert_ne!(tag, of(1).tag("u", &base));
        for other in [
            row!["b", 1_i64, Some("b".to_owned())],
            row!["a", 2_i64, Some("b".to_owned())],
            row!["a", 1_i64, None::<String>],
            row!["a", 1_i64, b"b".to_vec()],
            row!["a", 1_i64],
            row!["a", 1.0_f64, Some("b".to_owned())],
        ] {
            assert_ne!(tag, of(1).tag("t", &other), "{other:?}");
        }
        assert_eq!(format!("{:?}", of(1)), "RowKey");
    }
}
