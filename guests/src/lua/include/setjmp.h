// Lua names <setjmp.h> but, with LUAI_THROW defined (guest.h), uses nothing from it; the one in wasi-libc is an #error.
