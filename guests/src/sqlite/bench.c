// run(n) of no_wasi.c calls bench(scale): the workload in a fresh `:memory:` database; returns its checksum, or minus SQLite's error code.
#include "workload.h"

int64_t bench(int32_t scale) {
    if (sqlite3_initialize() != SQLITE_OK) return -SQLITE_ERROR;
    sqlite3 *db;
    int status = sqlite3_open(":memory:", &db);
    int64_t checksum = status == SQLITE_OK ? workload(db, scale, 0) : -status;
    if (checksum == -1) checksum = -sqlite3_errcode(db);
    sqlite3_close(db);
    return checksum;
}
