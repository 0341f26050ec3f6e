//! The types of columns, in the terms of ODBC and JDBC.

use crate::error::FlightError;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};

/// A type: its name, what it is to ODBC, and how many digits or letters it has.
type Kind = (&'static str, XdbcDataType, Option<i32>);

const NUMBERS: &[Kind] = &[
    ("TINYINT", XdbcDataType::XdbcTinyint, Some(3)),
    ("SMALLINT", XdbcDataType::XdbcSmallint, Some(5)),
    ("INTEGER", XdbcDataType::XdbcInteger, Some(10)),
    ("BIGINT", XdbcDataType::XdbcBigint, Some(19)),
    ("REAL", XdbcDataType::XdbcReal, Some(7)),
    ("DOUBLE", XdbcDataType::XdbcDouble, Some(15)),
    ("DECIMAL", XdbcDataType::XdbcDecimal, Some(38)),
];

const UNSIGNED: &[Kind] = &[
    ("INTEGER UNSIGNED", XdbcDataType::XdbcInteger, Some(10)),
    ("BIGINT UNSIGNED", XdbcDataType::XdbcBigint, Some(20)),
];

const OTHERS: &[Kind] = &[
    ("BOOLEAN", XdbcDataType::XdbcBit, Some(1)),
    ("VARCHAR", XdbcDataType::XdbcVarchar, None),
    ("VARBINARY", XdbcDataType::XdbcVarbinary, None),
    ("DATE", XdbcDataType::XdbcDate, Some(10)),
    ("TIMESTAMP", XdbcDataType::XdbcTimestamp, Some(23)),
];

pub(crate) fn type_info() -> Result<XdbcTypeInfoData, FlightError> {
    let mut types = XdbcTypeInfoDataBuilder::new();
    for kind in NUMBERS {
        types.append(number(kind, false));
    }
    for kind in UNSIGNED {
        types.append(number(kind, true));
    }
    for kind in OTHERS {
        types.append(other(kind));
    }
    Ok(types.build()?)
}

fn number(kind: &Kind, unsigned: bool) -> XdbcTypeInfo {
    let is_decimal = kind.1 == XdbcDataType::XdbcDecimal;
    XdbcTypeInfo {
        searchable: Searchable::Basic,
        unsigned_attribute: Some(unsigned),
        fixed_prec_scale: is_decimal,
        minimum_scale: is_decimal.then_some(0),
        maximum_scale: is_decimal.then_some(38),
        num_prec_radix: Some(10),
        ..named(kind)
    }
}

fn other(kind: &Kind) -> XdbcTypeInfo {
    let (_, data_type, _) = *kind;
    let is_text = data_type == XdbcDataType::XdbcVarchar;
    let is_time = data_type == XdbcDataType::XdbcTimestamp;
    let quote = (data_type != XdbcDataType::XdbcBit).then(|| "'".to_owned());
    XdbcTypeInfo {
        literal_prefix: quote.clone(),
        literal_suffix: quote,
        case_sensitive: is_text,
        searchable: if is_text { Searchable::Full } else { Searchable::Basic },
        datetime_subcode: is_time.then_some(XdbcDatetimeSubcode::XdbcSubcodeTimestampWithTimezone),
        ..named(kind)
    }
}

fn named(&(name, data_type, column_size): &Kind) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type,
        column_size,
        literal_prefix: None,
        literal_suffix: None,
        create_params: None,
        nullable: Nullable::NullabilityNullable,
        case_sensitive: false,
        searchable: Searchable::Basic,
        unsigned_attribute: None,
        fixed_prec_scale: false,
        auto_increment: Some(false),
        local_type_name: Some(name.to_owned()),
        minimum_scale: None,
        maximum_scale: None,
        sql_data_type: data_type,
        datetime_subcode: None,
        num_prec_radix: None,
        interval_precision: None,
    }
}
