// Stands in for the WASI imports of wasi-libc, so that a program that only computes links into a module without any import
// and runs in every engine. wasi-libc reaches the host through the `__wasi_*` functions alone: defining those that the
// linker asks for keeps the archive member with the real imports out. Every one says "not supported" (ENOSYS); a call of
// proc_exit is a trap, because there is nobody to exit to.
#include <wasi/api.h>
#include <stdint.h>
#include <stdio.h>

#define UNSUPPORTED return __WASI_ERRNO_NOSYS

__wasi_errno_t __wasi_fd_close(__wasi_fd_t fd) { (void)fd; UNSUPPORTED; }
__wasi_errno_t __wasi_fd_fdstat_get(__wasi_fd_t fd, __wasi_fdstat_t *out) { (void)fd; (void)out; UNSUPPORTED; }
__wasi_errno_t __wasi_fd_read(__wasi_fd_t fd, const __wasi_iovec_t *iovs, size_t n, __wasi_size_t *out) {
    (void)fd; (void)iovs; (void)n; (void)out; UNSUPPORTED;
}
__wasi_errno_t __wasi_fd_write(__wasi_fd_t fd, const __wasi_ciovec_t *iovs, size_t n, __wasi_size_t *out) {
    (void)fd; (void)iovs; (void)n; (void)out; UNSUPPORTED;
}
__wasi_errno_t __wasi_fd_seek(__wasi_fd_t fd, __wasi_filedelta_t by, __wasi_whence_t from, __wasi_filesize_t *out) {
    (void)fd; (void)by; (void)from; (void)out; UNSUPPORTED;
}
__wasi_errno_t __wasi_clock_time_get(__wasi_clockid_t id, __wasi_timestamp_t precision, __wasi_timestamp_t *out) {
    (void)id; (void)precision; *out = 0; return __WASI_ERRNO_SUCCESS;
}
_Noreturn void __wasi_proc_exit(__wasi_exitcode_t code) { (void)code; __builtin_trap(); }

// Opening files would bring in the table of preopened directories and its constructor.
FILE *fopen(const char *restrict path, const char *restrict mode) { (void)path; (void)mode; return 0; }
FILE *freopen(const char *restrict path, const char *restrict mode, FILE *restrict f) { (void)path; (void)mode; (void)f; return 0; }

// The one export. Constructors run once, before the first call: left to itself the linker would wrap the export so that
// constructors and destructors run around every call, as for a command.
int64_t bench(int32_t n);
void __wasm_call_ctors(void);

__attribute__((export_name("run"))) int64_t run(int32_t n) {
    static int initialized;
    if (!initialized) __wasm_call_ctors();
    initialized = 1;
    return bench(n);
}
