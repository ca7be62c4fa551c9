// A deterministic SQL workload: inserts in a transaction, an index, joins with grouping, string functions, a recursive
// query, updates, deletes.
#include "workload.h"

struct checksum { uint64_t hash; };

static void feed(struct checksum *sum, const unsigned char *bytes, int length) {
    for (int i = 0; i < length; i++) sum->hash = (sum->hash ^ bytes[i]) * 0x100000001b3ull;  // FNV-1a
}

// Runs one statement to its end, binds `bound` to ?1 if it has a parameter, feeds every column's text to the checksum.
static int query(sqlite3 *db, struct checksum *sum, const char *sql, int64_t bound) {
    sqlite3_stmt *statement;
    int status = sqlite3_prepare_v2(db, sql, -1, &statement, 0);
    if (status != SQLITE_OK) return status;
    if (sqlite3_bind_parameter_count(statement)) sqlite3_bind_int64(statement, 1, bound);
    while ((status = sqlite3_step(statement)) == SQLITE_ROW)
        for (int column = 0; column < sqlite3_column_count(statement); column++) {
            const unsigned char *text = sqlite3_column_text(statement, column);
            feed(sum, text ? text : (const unsigned char *)"null", text ? sqlite3_column_bytes(statement, column) : 4);
        }
    sqlite3_finalize(statement);
    return status == SQLITE_DONE ? SQLITE_OK : status;
}

static int insert_orders(sqlite3 *db, int count) {
    sqlite3_stmt *statement;
    int status = sqlite3_prepare_v2(
        db, "INSERT INTO orders(customer, item, amount, note) VALUES (?1, ?2, ?3, printf('order %d of %s', ?4, ?2))", -1,
        &statement, 0);
    if (status != SQLITE_OK) return status;
    static const char *const items[] = {"bolt", "nut", "washer", "screw", "gear", "spring", "bearing"};
    uint32_t seed = 1;
    for (int i = 0; i < count && status == SQLITE_OK; i++) {
        seed = seed * 1664525u + 1013904223u;
        sqlite3_bind_int(statement, 1, (int)(seed >> 8) % (count / 10 + 1) + 1);
        sqlite3_bind_text(statement, 2, items[(seed >> 20) % 7], -1, SQLITE_STATIC);
        sqlite3_bind_double(statement, 3, (double)(seed >> 12 & 0xFFF) / 8.0);
        sqlite3_bind_int(statement, 4, i);
        status = sqlite3_step(statement) == SQLITE_DONE ? SQLITE_OK : sqlite3_errcode(db);
        sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    return status;
}

int64_t workload(sqlite3 *db, int scale, void (*print)(const char *, int64_t)) {
    struct checksum sum = {0xcbf29ce484222325ull};
    int count = 100 * (scale < 1 ? 1 : scale > 10000 ? 10000 : scale);
#define CHECK(call) do { if ((call) != SQLITE_OK) return -1; } while (0)
#define PHASE(name) do { if (print) print(name, (int64_t)(sum.hash >> 1)); } while (0)
    CHECK(sqlite3_exec(db,
        "CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL);"
        "CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, item TEXT NOT NULL, amount REAL, note TEXT);"
        "BEGIN", 0, 0, 0));
    CHECK(query(db, &sum,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= ?1) "
        "INSERT INTO customers SELECT i, 'customer ' || i, substr('OsloRomeParisKyivLima', i % 5 * 4 + 1, 4) FROM n",
        count / 10));
    CHECK(insert_orders(db, count));
    CHECK(sqlite3_exec(db, "COMMIT", 0, 0, 0));
    CHECK(query(db, &sum, "SELECT count(*), sum(amount), max(note) FROM orders", 0));
    PHASE("insert");
    CHECK(sqlite3_exec(db, "CREATE INDEX by_customer ON orders(customer); CREATE INDEX by_item ON orders(item, amount)", 0, 0, 0));
    CHECK(query(db, &sum, "SELECT item, count(*), avg(amount) FROM orders GROUP BY item ORDER BY item", 0));
    PHASE("index");
    CHECK(query(db, &sum,
        "SELECT c.city, o.item, count(*), sum(o.amount) FROM orders o JOIN customers c ON c.id = o.customer "
        "WHERE o.amount > 50 GROUP BY c.city, o.item HAVING count(*) > 1 ORDER BY 4 DESC, 1, 2", 0));
    CHECK(query(db, &sum,
        "SELECT a.id, b.id FROM orders a JOIN orders b ON a.customer = b.customer AND a.item = b.item AND a.id < b.id "
        "ORDER BY a.id, b.id LIMIT 200", 0));
    PHASE("join");
    CHECK(query(db, &sum,
        "SELECT upper(replace(note, 'order', 'line')), length(note), instr(note, 'of') FROM orders "
        "WHERE note LIKE '%7 of %' ORDER BY note COLLATE NOCASE", 0));
    PHASE("text");
    CHECK(query(db, &sum,
        "SELECT customer, amount, sum(amount) OVER (PARTITION BY customer ORDER BY id) FROM orders WHERE customer % 7 = 0 "
        "ORDER BY id", 0));
    PHASE("window");
    CHECK(sqlite3_exec(db,
        "BEGIN; UPDATE orders SET amount = amount * 2 WHERE item IN ('nut', 'gear');"
        "DELETE FROM orders WHERE customer IN (SELECT id FROM customers WHERE city = 'Rome'); COMMIT", 0, 0, 0));
    CHECK(query(db, &sum, "SELECT count(*), sum(amount), min(id), max(id) FROM orders", 0));
    CHECK(query(db, &sum, "PRAGMA integrity_check", 0));
    PHASE("update");
    return (int64_t)(sum.hash >> 1);
}
