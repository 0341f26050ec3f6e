import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Calendar;
import java.util.List;
import java.util.Properties;
import java.util.TimeZone;
import java.util.TreeSet;

/**
 * What programs do with the driver: connect, look around, ask with parameters, cancel, and do wrong. It prints what it found, a line each with
 * a name, a tab and a value; whoever runs it compares that with the truth.
 *
 * Arguments: the URL of the driver, a token, a Device.
 */
public class FlightSql {
    /** A million million rows of no table. */
    private static final String ENDLESS =
            "WITH t AS (SELECT unnest(make_array(1,2,3,4,5,6,7,8,9,10)) AS n), h AS (SELECT a.n FROM t a, t b), "
                    + "m AS (SELECT a.n FROM h a, h b, h c) SELECT %s FROM m a, m b";

    /** The rows whose request is on record. */
    private static final String TRAILS = "SELECT count(*) FROM audit_trails WHERE NOT awaiting_request";

    public static void main(String[] arguments) throws Exception {
        String url = arguments[0];
        String token = arguments[1];
        String device = arguments[2];
        try (Connection connection = DriverManager.getConnection(url, of("token", token))) {
            lookAround(connection.getMetaData());
            ask(connection, device);
            cancel(connection);
            fail(connection);
        }
        try (Connection connection = DriverManager.getConnection(url, of("user", "token", "password", token))) {
            tell("by password", only(connection, TRAILS));
        }
        Properties placed = of("token", token, "catalog", "gridtrail");
        try (Connection connection = DriverManager.getConnection(url, placed)) {
            tell("in its catalogue", only(connection, TRAILS));
        } catch (SQLException error) {
            // The driver of 17.0 closes its connection before it closes the session on it.
            tell("closing", error.getMessage());
        }
        try (Connection connection = DriverManager.getConnection(url, of("token", "none"))) {
            tell("without a token", only(connection, "SELECT 1"));
        } catch (SQLException error) {
            tell("without a token", "refused: " + whole(error));
        }
    }

    private static void lookAround(DatabaseMetaData data) throws Exception {
        tell("product", data.getDatabaseProductName());
        tell("catalogues", column(data.getCatalogs(), "TABLE_CAT"));
        tell("schemas", column(data.getSchemas(), "TABLE_SCHEM"));
        tell("table types", column(data.getTableTypes(), "TABLE_TYPE"));
        tell("tables", column(data.getTables(null, null, "%", null), "TABLE_NAME"));
        tell("tables by name", column(data.getTables("gridtrail", "public", "audit\\_%", new String[] {"TABLE"}), "TABLE_NAME"));
        tell("columns", column(data.getColumns(null, null, "audit_trails", "%"), "COLUMN_NAME"));
        tell("a column", column(data.getColumns(null, null, "audit_trails", "device_id"), "TYPE_NAME"));
        tell("primary keys", column(data.getPrimaryKeys(null, null, "audit_trails"), "COLUMN_NAME"));
        tell("imported keys", column(data.getImportedKeys(null, null, "audit_trails"), "FKTABLE_NAME"));
        tell("exported keys", column(data.getExportedKeys(null, null, "audit_trails"), "FKTABLE_NAME"));
        tell("cross reference", column(data.getCrossReference(null, null, "a", null, null, "b"), "FKTABLE_NAME"));
        TreeSet<String> failed = new TreeSet<>();
        for (Method method : DatabaseMetaData.class.getMethods()) {
            if (method.getParameterCount() > 0) {
                continue;
            }
            try {
                Object answer = method.invoke(data);
                if (answer instanceof ResultSet rows) {
                    rows.close();
                }
            } catch (InvocationTargetException error) {
                failed.add(method.getName() + " (" + error.getCause() + ")");
            }
        }
        tell("what cannot be told", String.join("; ", failed));
    }

    private static void ask(Connection connection, String device) throws SQLException {
        tell("trails", only(connection, TRAILS));
        String asked = "SELECT count(*) FROM audit_trails WHERE device_id = ? AND service_request_received_at < ?";
        Calendar utc = Calendar.getInstance(TimeZone.getTimeZone("UTC"));
        try (PreparedStatement statement = connection.prepareStatement(asked)) {
            for (String until : new String[] {"2100-01-01T00:00:00Z", "1980-01-01T00:00:00Z"}) {
                statement.setString(1, device);
                statement.setTimestamp(2, Timestamp.from(Instant.parse(until)), utc);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    tell("trails of the Device before " + until, rows.getLong(1));
                }
            }
        }
        try (PreparedStatement statement =
                connection.prepareStatement("SELECT mode_of_operation, count(*) FROM audit_trails WHERE user_id <> ? AND NOT awaiting_request GROUP BY 1 ORDER BY 1")) {
            statement.setString(1, "nobody");
            try (ResultSet rows = statement.executeQuery()) {
                List<String> modes = new ArrayList<>();
                while (rows.next()) {
                    modes.add(rows.getString(1) + "=" + rows.getLong(2));
                }
                tell("modes", String.join(", ", modes));
            }
        }
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT * FROM audit_trails LIMIT 100")) {
            ResultSetMetaData columns = rows.getMetaData();
            int read = 0;
            while (rows.next()) {
                for (int column = 1; column <= columns.getColumnCount(); column++) {
                    // Of a time with a zone the driver 18.3 has no object.
                    if (columns.getColumnType(column) == Types.TIMESTAMP_WITH_TIMEZONE) {
                        rows.getTimestamp(column);
                    } else {
                        rows.getObject(column);
                    }
                    read++;
                }
            }
            tell("values read", read / columns.getColumnCount());
        }
    }

    private static void cancel(Connection connection) throws Exception {
        for (String columns : new String[] {"a.n, b.n", "max(a.n + b.n)"}) {
            try (Statement statement = connection.createStatement()) {
                Thread other = new Thread(() -> {
                    try {
                        Thread.sleep(500);
                        statement.cancel();
                    } catch (Exception error) {
                        tell("cancel", "failed: " + error);
                    }
                });
                String asked = String.format(ENDLESS, columns);
                other.start();
                try (ResultSet rows = statement.executeQuery(asked)) {
                    while (rows.next()) {
                        rows.getLong(1);
                    }
                    tell("cancelled", "ended");
                } catch (SQLException | RuntimeException error) {
                    // Where rows come in just then, the driver 17 ends with troubles of its own.
                    tell("cancelled", "ended: " + error.getMessage());
                }
                other.join();
            }
        }
        tell("after that", only(connection, TRAILS));
    }

    private static void fail(Connection connection) {
        for (String wrong : new String[] {
            "SELECT no_column FROM audit_trails", "SELECT * FROM nowhere", "DELETE FROM audit_trails", "SELECT 1 / 0", "no statement"
        }) {
            try (Statement statement = connection.createStatement()) {
                statement.execute(wrong);
                try (ResultSet rows = statement.getResultSet()) {
                    while (rows.next()) {
                        rows.getObject(1);
                    }
                }
                tell("wrong", "answered: " + wrong);
            } catch (SQLException error) {
                tell("wrong", "refused: " + whole(error));
            }
        }
    }

    private static String only(Connection connection, String asked) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(asked)) {
            rows.next();
            return rows.getString(1);
        }
    }

    private static String column(ResultSet rows, String name) throws SQLException {
        List<String> values = new ArrayList<>();
        try (rows) {
            while (rows.next()) {
                values.add(rows.getString(name));
            }
        }
        return String.join(",", values);
    }

    private static Properties of(String... pairs) {
        Properties properties = new Properties();
        for (int at = 0; at < pairs.length; at += 2) {
            properties.setProperty(pairs[at], pairs[at + 1]);
        }
        return properties;
    }

    private static String whole(Throwable error) {
        StringBuilder told = new StringBuilder();
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            told.append(cause.getMessage()).append(' ');
        }
        return told.toString().replaceAll("\\s+", " ");
    }

    private static void tell(String name, Object value) {
        System.out.println(name + "\t" + value);
    }
}
