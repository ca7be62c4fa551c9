// lua SCRIPT [ARG...]   runs the file SCRIPT of a preopened directory; its arguments are in `arg` and `...`
// lua - [ARG...]        runs stdin
// lua bench N           runs workload.lua, which is built in, and prints workload(N)
// Exit code 1 when the script fails (message on stderr), 2 for wrong usage; os.exit works.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"
#include "workload.h"

_Noreturn void guest_lua_error(struct lua_State *L, int status) {
    const char *message = lua_gettop(L) > 0 ? lua_tostring(L, -1) : 0;
    fflush(stdout);
    fprintf(stderr, "lua: %s\n", message ? message : status == LUA_ERRMEM ? "not enough memory" : "error without a message");
    exit(1);
}

// What Lua's io and os libraries name and wasi-libc does not have.
int system(const char *command) { (void)command; return 0; }
FILE *tmpfile(void) { return 0; }
char *tmpnam(char *buffer) { (void)buffer; return 0; }

int main(int argc, char **argv) {
    if (argc < 2 || (!strcmp(argv[1], "bench") && argc != 3)) {
        fputs("usage: lua SCRIPT [ARG...] | lua - [ARG...] | lua bench N\n", stderr);
        return 2;
    }
    lua_State *L = luaL_newstate();
    if (!L) return 1;
    luaL_openlibs(L);
    int bench = !strcmp(argv[1], "bench");
    lua_createtable(L, argc, 0);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - 1);
    }
    lua_setglobal(L, "arg");
    int status = bench ? luaL_loadbuffer(L, workload_lua, sizeof workload_lua, "=workload.lua")
                       : luaL_loadfile(L, strcmp(argv[1], "-") ? argv[1] : 0);
    if (status == LUA_OK) {
        int args = 0;
        if (!bench) for (int i = 2; i < argc; i++, args++) lua_pushstring(L, argv[i]);
        status = lua_pcall(L, args, 0, 0);
    }
    if (status == LUA_OK && bench) {
        lua_getglobal(L, "workload");
        lua_pushinteger(L, atoi(argv[2]));
        status = lua_pcall(L, 1, 1, 0);
        if (status == LUA_OK) printf("%lld\n", (long long)lua_tointeger(L, -1));
    }
    if (status != LUA_OK) guest_lua_error(L, status);
    lua_close(L);
    return 0;
}
