//! A small grammar of SELECT: joins, aggregates, windows, CASE, casts, subqueries and set operations, made by a seed.
//!
//! What a statement asks for has one answer: floating-point sums, orders with ties and limits without an order are left out.

/// A statement, and whether its rows have an order.
pub(crate) struct Asked {
    pub(crate) text: String,
    pub(crate) is_ordered: bool,
}

/// Chooses by SplitMix64.
pub(crate) struct Grammar(u64);

/// What an expression comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Time,
    Truth,
}

const TEXTS: &[&str] = &[
    "user_id",
    "device_id",
    "request_id",
    "response_id",
    "service_reference_variant",
    "simplified_transaction_status",
    "mode_of_operation",
    "response_code",
    "current_status",
    "mpxn",
    "csp_region",
];
const NUMBERS: &[&str] =
    &["gbcs_transaction_sequence_number", "command_variant", "cardinality(status_change_history)"];
const TIMES: &[&str] = &["service_request_received_at", "service_response_sent_at"];

impl Grammar {
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    fn table(&mut self) -> &'static str {
        self.one(&["audit_trails", "audit_trails", "meter_reads"])
    }

    /// A whole statement.
    pub(crate) fn statement(&mut self) -> Asked {
        let (text, is_ordered) = match self.below(8) {
            0 | 1 => (self.rows(), false),
            2 => (self.ordered(), true),
            3 | 4 => (self.grouped(), false),
            5 => (self.joined(), false),
            6 => (self.windowed(), false),
            _ => (self.combined(), false),
        };
        Asked { text, is_ordered }
    }

    fn rows(&mut self) -> String {
        let (table, kind) = (self.table(), self.kind());
        let distinct = self.one(&["", "", "DISTINCT "]);
        let (first, second) = (self.expression("t", kind, 3), self.expression("t", Kind::Text, 2));
        format!(
            "SELECT {distinct}{first} AS a, {second} AS b FROM {table} t WHERE {}",
            self.condition("t", 3)
        )
    }

    /// By what tells rows apart: a request has one row in these lakes.
    fn ordered(&mut self) -> String {
        let (table, kind) = (self.table(), self.kind());
        let (value, condition) = (self.expression("t", kind, 2), self.condition("t", 2));
        let (order, limit, offset) = (self.one(&["ASC", "DESC"]), self.below(30), self.below(5));
        format!(
            "SELECT t.request_id, {value} AS a FROM {table} t WHERE {condition} \
             ORDER BY t.request_id {order} LIMIT {limit} OFFSET {offset}"
        )
    }

    fn grouped(&mut self) -> String {
        let table = self.table();
        let (key, one, other) =
            (self.expression("t", Kind::Text, 1), self.aggregate("t"), self.aggregate("t"));
        let (condition, at_least) = (self.condition("t", 2), self.below(4));
        match self.below(3) {
            0 => format!("SELECT {one} AS a, {other} AS b FROM {table} t WHERE {condition}"),
            1 => format!(
                "SELECT {key} AS k, {one} AS a FROM {table} t WHERE {condition} GROUP BY {key} HAVING count(*) >= {at_least}"
            ),
            _ => {
                let sets = self.one(&["ROLLUP", "CUBE"]);
                format!(
                    "SELECT t.user_id, t.device_id, {one} AS a FROM {table} t WHERE {condition} \
                     GROUP BY {sets}(t.user_id, t.device_id)"
                )
            }
        }
    }

    fn joined(&mut self) -> String {
        let (left, right) = (self.table(), self.table());
        let how = self.one(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
        let on = self.one(&["device_id", "request_id", "service_reference_variant", "command_variant"]);
        let more = self.condition("b", 1);
        let condition = self.condition("a", 2);
        if self.below(2) == 0 {
            let one = self.aggregate("b");
            return format!(
                "SELECT count(*) AS n, {one} AS a FROM {left} a {how} {right} b ON a.{on} = b.{on} AND {more} WHERE {condition}"
            );
        }
        let value = self.expression("b", Kind::Text, 2);
        format!(
            "SELECT a.request_id, {value} AS v FROM {left} a {how} {right} b ON a.{on} = b.{on} AND {more} WHERE {condition}"
        )
    }

    fn windowed(&mut self) -> String {
        let (table, partition) =
            (self.table(), self.one(&["device_id", "user_id", "service_reference_variant"]));
        let condition = self.condition("t", 2);
        let (kind, value) = (self.kind(), self.one(TEXTS));
        let function = match self.below(7) {
            0 => "row_number()".to_owned(),
            1 => format!("lag(t.{value})"),
            2 => format!("lead(t.{value}, 2)"),
            3 => format!("first_value(t.{value})"),
            4 => format!("ntile({})", self.below(4) + 1),
            5 => format!("count({})", self.expression("t", kind, 1)),
            _ => format!("max({})", self.expression("t", Kind::Number, 1)),
        };
        format!(
            "SELECT t.request_id, {function} OVER (PARTITION BY t.{partition} ORDER BY t.request_id) AS w \
             FROM {table} t WHERE {condition}"
        )
    }

    fn combined(&mut self) -> String {
        let (one, other) = (self.table(), self.table());
        let column = self.one(TEXTS);
        let (first, second) = (self.condition("t", 2), self.condition("u", 2));
        match self.below(3) {
            0 => {
                let how = self.one(&["UNION", "UNION ALL", "EXCEPT", "INTERSECT"]);
                format!(
                    "SELECT t.{column} FROM {one} t WHERE {first} {how} SELECT u.{column} FROM {other} u WHERE {second}"
                )
            }
            1 => format!(
                "WITH c AS (SELECT t.device_id AS d, count(*) AS n FROM {one} t WHERE {first} GROUP BY 1) \
                 SELECT u.request_id, c.n FROM {other} u JOIN c ON u.device_id = c.d WHERE {second}"
            ),
            _ => format!(
                "SELECT e['state'] AS s, count(*) AS n, max(e['at']) AS last FROM \
                 (SELECT unnest(t.status_change_history) AS e FROM {one} t WHERE {first}) GROUP BY 1"
            ),
        }
    }

    fn aggregate(&mut self, t: &str) -> String {
        let kind = self.kind();
        let value = self.expression(t, kind, 2);
        let number = self.expression(t, Kind::Number, 2);
        let plain = match self.below(7) {
            0 => "count(*)".to_owned(),
            1 => format!("count(DISTINCT {value})"),
            2 => format!("min({})", self.expression(t, Kind::Text, 2)),
            3 => format!("max({value})"),
            4 => format!("sum(CAST({number} AS BIGINT))"),
            5 => format!("bool_or({})", self.condition(t, 1)),
            _ => format!("count({value})"),
        };
        if self.below(4) == 0 { format!("{plain} FILTER (WHERE {})", self.condition(t, 1)) } else { plain }
    }

    fn kind(&mut self) -> Kind {
        [Kind::Text, Kind::Number, Kind::Time, Kind::Truth][usize::try_from(self.below(4)).unwrap()]
    }

    fn column(&mut self, t: &str, of: &[&str]) -> String {
        let column = self.one(of);
        match column.split_once('(') {
            Some((function, column)) => format!("{function}({t}.{column}"),
            None => format!("{t}.{column}"),
        }
    }

    fn expression(&mut self, t: &str, kind: Kind, depth: u64) -> String {
        if depth > 0 && self.below(6) == 0 {
            let (condition, one, other) = (
                self.condition(t, 1),
                self.expression(t, kind, depth - 1),
                self.expression(t, kind, depth - 1),
            );
            return format!("CASE WHEN {condition} THEN {one} ELSE {other} END");
        }
        let plain = depth == 0 || self.below(2) == 0;
        match kind {
            Kind::Text if plain => self.column(t, TEXTS),
            Kind::Text => {
                let inner = self.expression(t, Kind::Text, depth - 1);
                let number = self.below(20) + 1;
                match self.below(5) {
                    0 => format!("substr({inner}, {number})"),
                    1 => format!("coalesce({inner}, 'none')"),
                    2 => format!("upper({inner})"),
                    3 => format!("({inner} || '-' || {})", self.column(t, TEXTS)),
                    _ => format!("CAST({} AS VARCHAR)", self.expression(t, Kind::Number, depth - 1)),
                }
            }
            Kind::Number if plain => format!("CAST({} AS BIGINT)", self.column(t, NUMBERS)),
            Kind::Number => {
                let inner = self.expression(t, Kind::Number, depth - 1);
                match self.below(6) {
                    // What fails on hidden rows alone.
                    0 => format!("(7 / ({t}.command_variant - 4))"),
                    1 => format!("CAST(replace({t}.response_code, 'I99', 'x') = 'I0' AS BIGINT)"),
                    2 => format!("CAST(length(regexp_replace({t}.request_id, '[0-9]', '')) AS BIGINT)"),
                    3 => format!("({inner} % 17 + 3)"),
                    4 => format!("coalesce({inner}, -1)"),
                    _ => format!("CAST(date_part('hour', {t}.service_request_received_at) AS BIGINT)"),
                }
            }
            Kind::Time if plain => self.column(t, TIMES),
            Kind::Time => {
                format!("date_trunc('{}', {})", self.one(&["minute", "hour", "day"]), self.column(t, TIMES))
            }
            Kind::Truth => self.condition(t, depth.min(1)),
        }
    }

    fn condition(&mut self, t: &str, depth: u64) -> String {
        if depth > 0 && self.below(3) == 0 {
            let (one, other) = (self.condition(t, depth - 1), self.condition(t, depth - 1));
            return match self.below(3) {
                0 => format!("({one} AND {other})"),
                1 => format!("({one} OR {other})"),
                _ => format!("NOT ({one})"),
            };
        }
        let number = self.below(40);
        match self.below(10) {
            0 => "TRUE".to_owned(),
            1 => format!("{t}.device_id = '00-DB-00-00-00-00-00-0{}'", number % 10),
            2 => format!(
                "{t}.device_id IN ('00-DB-00-00-00-00-00-0{}', '00-DB-00-00-00-00-00-09')",
                number % 10
            ),
            3 => format!(
                "{t}.service_request_received_at {} TIMESTAMPTZ '2026-02-02T02:{:02}:00Z'",
                self.one(&["<", "<=", ">", ">="]),
                40 + number % 20
            ),
            4 => format!("{} IS NOT NULL", self.column(t, TEXTS)),
            5 => format!("{} {} '{number}'", self.column(t, TEXTS), self.one(&["<", ">", "<>", "="])),
            6 => format!("{} LIKE '%{}%'", self.column(t, TEXTS), number % 10),
            // The division fails on hidden rows.
            7 => format!("12 / ({t}.command_variant - 4) < {number} - 20"),
            8 => format!(
                "{} (SELECT 1 FROM {} x WHERE x.device_id = {t}.device_id AND x.service_request_received_at < {t}.service_request_received_at)",
                self.one(&["EXISTS", "NOT EXISTS"]),
                self.table()
            ),
            _ => format!(
                "{t}.request_id IN (SELECT x.request_id FROM {} x WHERE {})",
                self.table(),
                self.condition("x", 0)
            ),
        }
    }
}
