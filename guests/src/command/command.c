// How a C command starts when it is to become a component (linked with -nostartfiles, in place of wasi-libc's crt1).
//
// The preview1 adapter needs a page for its state and one for its stack. Without an exported `cabi_realloc` it takes them
// by memory.grow, and the malloc of wasi-libc (May 2022), at its first call, claims everything between __heap_base and the
// end of memory: the adapter's pages included. With this export the adapter asks malloc, and nobody owns memory twice.
//
// Naming __wasm_call_ctors keeps the linker from wrapping each export in constructors and destructors, which would flush
// and close stdio around every call of cabi_realloc.
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

void __wasm_call_ctors(void);
void __wasm_call_dtors(void);
int __main_void(void);

__attribute__((export_name("_start"))) void _start(void) {
    __wasm_call_ctors();
    int code = __main_void();
    __wasm_call_dtors();
    if (code) __wasi_proc_exit((__wasi_exitcode_t)code);
}

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size) {
    if (size == 0) return (void *)align;
    void *block = align <= 16 ? realloc(old, size) : aligned_alloc(align, (size + align - 1) / align * align);
    if (!block) __builtin_trap();
    if (align > 16 && old_size) {
        memcpy(block, old, old_size < size ? old_size : size);
        free(old);
    }
    return block;
}
