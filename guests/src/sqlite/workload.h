// The work that both SQLite guests do: the command (main.c) and the import-free module (bench.c).
#pragma once
#include <stdint.h>
#include "sqlite3.h"

// Creates tables in `db` (which must be empty), fills them with 100 * scale orders, queries, updates and deletes.
// Returns a checksum over every value that every query returned; -1 if SQLite reported an error, left in `db`.
// With `print` set, one line per phase goes to stdout.
int64_t workload(sqlite3 *db, int scale, void (*print)(const char *phase, int64_t checksum));
