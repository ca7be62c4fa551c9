// The argument selects how the program dies. It prints `about to: NAME` first, so a test sees what was written before the
// trap. The functions are not inlined and keep their names: the backtrace of each ends `innermost_NAME`, `main`.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INNERMOST __attribute__((noinline)) static

// Volatile: the compiler must not see that what follows cannot work.
static volatile int zero = 0, minus_one = -1, least = INT32_MIN, forever = 1;
static volatile double huge = 1e30;
static volatile uint32_t far_away = 0xfffffff0u;

INNERMOST int innermost_unreachable(void) { __builtin_trap(); }
INNERMOST int innermost_divide(void) { return 100 / zero; }
INNERMOST int innermost_remainder(void) { return 100 % zero; }
INNERMOST int innermost_overflow(void) { return least / minus_one; }
INNERMOST int innermost_convert(void) { return __builtin_wasm_trunc_s_i32_f64(huge); }
INNERMOST int innermost_load(void) { return *(volatile int *)(uintptr_t)far_away; }
INNERMOST int innermost_store(void) { return *(volatile int *)(uintptr_t)far_away = 1; }
INNERMOST int innermost_fill(void) { memset((void *)(uintptr_t)far_away, 1, (size_t)(4096 + zero)); return 0; }
INNERMOST int innermost_indirect(void) { return ((int (*)(void))(uintptr_t)far_away)(); }
INNERMOST int innermost_null(void) { return ((int (*)(void))(uintptr_t)zero)(); }
INNERMOST int innermost_type(void) {
    // A function of another type: double(double) called as int(void).
    double (*volatile of_double)(const char *) = atof;
    return ((int (*)(void))(uintptr_t)of_double)();
}
// Recursion that keeps a frame in linear memory: the stack that clang puts at its low end runs below address 0.
INNERMOST int innermost_recursion(int depth) {
    volatile char frame[64];
    frame[depth % 64] = (char)depth;
    return forever ? innermost_recursion(depth + 1) + frame[depth % 64] : depth;
}
// Recursion that leaves wasm's linear stack alone: only the engine's own stack can end it.
INNERMOST int innermost_descent(int depth) { return forever ? innermost_descent(depth + 1) * 3 + depth : depth; }
INNERMOST int innermost_loop(void) {
    uint32_t turns = 0;
    while (forever) turns++;
    return (int)turns;
}
INNERMOST int innermost_abort(void) { abort(); }
INNERMOST int innermost_memory(void) {
    // Not a trap: memory that cannot grow is malloc returning NULL.
    uint64_t bytes = 0;
    for (size_t size = 64 << 20; size >= 1 << 16;) {
        void *block = malloc(size);
        if (block) { *(volatile char *)block = 1; bytes += size; } else size /= 2;
    }
    printf("no more memory after %s\n", bytes < (uint64_t)1 << 32 ? "less than 4 GiB" : "4 GiB or more");
    return 0;
}

static int recursion(void) { return innermost_recursion(0); }
static int descent(void) { return innermost_descent(0); }

static const struct { const char *name; int (*run)(void); } ways[] = {
    {"unreachable", innermost_unreachable}, {"divide", innermost_divide},     {"remainder", innermost_remainder},
    {"overflow", innermost_overflow},       {"convert", innermost_convert},   {"load", innermost_load},
    {"store", innermost_store},             {"fill", innermost_fill},         {"indirect", innermost_indirect},
    {"null", innermost_null},               {"type", innermost_type},         {"recursion", recursion},
    {"descent", descent},                   {"loop", innermost_loop},         {"abort", innermost_abort},
    {"memory", innermost_memory},
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc == 2 && i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(argv[1], ways[i].name)) {
            printf("about to: %s\n", argv[1]);
            fflush(stdout);
            printf("survived with %d\n", ways[i].run());
            return 0;
        }
    fputs("usage: traps WAY, where WAY is one of", stderr);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) fprintf(stderr, " %s", ways[i].name);
    fputs("\n", stderr);
    return 2;
}
