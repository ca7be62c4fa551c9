// run(n) = how many primes are below n (n is cut at 4 000 000), by the sieve of Eratosthenes, one byte per number:
// byte stores with a growing stride, byte loads, a counting loop.
#include <stdint.h>

enum { LIMIT = 4000000 };
static uint8_t composite[LIMIT];

__attribute__((export_name("run"))) int64_t run(int32_t n) {
    if (n < 0) n = 0;
    if (n > LIMIT) n = LIMIT;
    for (int32_t i = 0; i < n; i++) composite[i] = 0;
    for (int32_t p = 2; p <= n / p; p++) {
        if (composite[p]) continue;
        for (int32_t m = p * p; m < n; m += p) composite[m] = 1;
    }
    int64_t primes = 0;
    for (int32_t i = 2; i < n; i++) primes += !composite[i];
    return primes;
}
