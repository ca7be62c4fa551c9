// run(n) of no_wasi.c calls bench(n): a fresh Lua state, workload.lua loaded, workload(n) called; its integer is the result, -1 if Lua failed.
#include <stdint.h>
#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"
#include "workload.h"

_Noreturn void guest_lua_error(struct lua_State *L, int status) { (void)L; (void)status; __builtin_trap(); }

static const luaL_Reg libraries[] = {
    {LUA_GNAME, luaopen_base}, {LUA_TABLIBNAME, luaopen_table}, {LUA_STRLIBNAME, luaopen_string},
    {LUA_MATHLIBNAME, luaopen_math}, {0, 0},
};

int64_t bench(int32_t n) {
    lua_State *L = luaL_newstate();
    if (!L) return -1;
    for (const luaL_Reg *library = libraries; library->func; library++) {
        luaL_requiref(L, library->name, library->func, 1);
        lua_pop(L, 1);
    }
    int64_t result = -1;
    if (luaL_loadbuffer(L, workload_lua, sizeof workload_lua, "=workload.lua") == LUA_OK && lua_pcall(L, 0, 0, 0) == LUA_OK) {
        lua_getglobal(L, "workload");
        lua_pushinteger(L, n);
        if (lua_pcall(L, 1, 1, 0) == LUA_OK) result = lua_tointeger(L, -1);
    }
    lua_close(L);
    return result;
}
