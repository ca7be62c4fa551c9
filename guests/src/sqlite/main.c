// sqlite bench SCALE [DATABASE]   runs the workload in DATABASE (default `:memory:`) and prints a checksum per phase
// sqlite sql DATABASE             runs the SQL on stdin, prints rows as `a|b|c`; exit code 1 on an SQL error
// The preopened directory is where DATABASE is looked for.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "workload.h"

static void print_phase(const char *phase, int64_t checksum) { printf("%-6s %016llx\n", phase, (long long)checksum); }

static int print_row(void *context, int columns, char **values, char **names) {
    (void)context; (void)names;
    for (int i = 0; i < columns; i++) printf("%s%s", i ? "|" : "", values[i] ? values[i] : "NULL");
    putchar('\n');
    return 0;
}

static char *read_all(FILE *from) {
    size_t length = 0, room = 4096;
    char *text = malloc(room);
    while (text) {
        length += fread(text + length, 1, room - length - 1, from);
        if (length < room - 1) break;
        text = realloc(text, room *= 2);
    }
    if (text) text[length] = 0;
    return text;
}

int main(int argc, char **argv) {
    int bench = argc >= 3 && !strcmp(argv[1], "bench");
    if (!bench && !(argc == 3 && !strcmp(argv[1], "sql"))) {
        fputs("usage: sqlite bench SCALE [DATABASE] | sqlite sql DATABASE\n", stderr);
        return 2;
    }
    if (sqlite3_initialize() != SQLITE_OK) return 1;
    sqlite3 *db;
    const char *database = bench ? argc > 3 ? argv[3] : ":memory:" : argv[2];
    int status = sqlite3_open(database, &db);
    if (status == SQLITE_OK) {
        if (bench) {
            if (workload(db, atoi(argv[2]), print_phase) < 0) status = sqlite3_errcode(db);
        } else {
            char *sql = read_all(stdin);
            status = sql ? sqlite3_exec(db, sql, print_row, 0, 0) : SQLITE_NOMEM;
            free(sql);
        }
    }
    if (status != SQLITE_OK) {
        fflush(stdout);
        fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(db));
    }
    sqlite3_close(db);
    return status == SQLITE_OK ? 0 : 1;
}
