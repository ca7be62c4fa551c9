// Included before every Lua source file. What the C library of wasm32-wasi lacks, and what would make a run differ from
// the next, is settled here, so that Lua's own sources are compiled as they are.
#pragma once

// WebAssembly without exception handling has no longjmp: an error cannot unwind. A Lua error therefore ends the program
// (`guest_lua_error` prints it, exit code 1), `pcall` succeeds or never returns, and coroutines cannot yield.
struct lua_State;
_Noreturn void guest_lua_error(struct lua_State *L, int status);
#define luai_jmpbuf int
#define LUAI_THROW(L, c) guest_lua_error(L, (c)->status)
#define LUAI_TRY(L, c, a) { a }

#define l_signalT int               // no signals
#define luai_makeseed(L) 0x5eedu     // string hashes, and with them the order of `pairs`, are the same in every run
#define l_randomizePivot() 0u       // likewise table.sort of large tables (its default is clock() and time())
#ifdef GUEST_BENCH
#define lua_writestring(s, l) ((void)(s), (void)(l))
#define lua_writeline() ((void)0)
#define lua_writestringerror(s, p) ((void)(s), (void)(p))
#endif
