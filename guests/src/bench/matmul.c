// run(n) = the bits of the sum of all elements of A*B for two n*n matrices of f64 (n is cut at 256): f64 multiply and add,
// loads with two strides. All values are small multiples of 1/4, every sum is exact, so the bits are the same in any
// order of summation and on any machine.
#include <stdint.h>

enum { LIMIT = 256 };
static double a[LIMIT * LIMIT], b[LIMIT * LIMIT], c[LIMIT * LIMIT];

__attribute__((export_name("run"))) int64_t run(int32_t n) {
    if (n < 0) n = 0;
    if (n > LIMIT) n = LIMIT;
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = 0; j < n; j++) {
            a[i * n + j] = (double)((i * 7 + j * 3) % 16) * 0.25;
            b[i * n + j] = (double)((i * 5 + j * 11) % 16) * 0.5 - 3.0;
        }
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = 0; j < n; j++) {
            double sum = 0.0;
            for (int32_t k = 0; k < n; k++) sum += a[i * n + k] * b[k * n + j];
            c[i * n + j] = sum;
        }
    union { double f; int64_t i; } total = {0.0};
    for (int32_t i = 0; i < n * n; i++) total.f += c[i];
    return total.i;
}
