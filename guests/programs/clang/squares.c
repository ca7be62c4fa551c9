#include <stdio.h>
#include <stdlib.h>
#include <math.h>

static int larger(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

int main(int argc, char **argv) {
    int values[] = {42, 7, 19, 3, 88, 61}, count = sizeof values / sizeof *values;
    qsort(values, count, sizeof *values, larger);
    for (int i = 0; i < count; i++) printf("%d%s", values[i], i + 1 < count ? " " : "\n");
    long long sum = 0;
    for (int i = 1; i <= 1000; i++) sum += (long long)i * i;
    printf("%lld %.6f %s\n", sum, sqrt(2.0), argc > 1 ? argv[1] : "-");
    return 3;
}
