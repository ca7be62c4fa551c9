// Clocks, sleeping and random bytes. What they give differs from run to run, so the program tests it and prints the verdicts;
// exit code 1 if one is no.
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int failures;
static void verdict(const char *what, int holds) {
    printf("%s: %s\n", what, holds ? "yes" : "no");
    failures += !holds;
}

static long long now(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t)) return -1;
    return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(void) {
    const long long ms = 1000000;
    verdict("the wall clock is past 2024", now(CLOCK_REALTIME) > 1704067200LL * 1000 * ms);
    verdict("and before 2100", now(CLOCK_REALTIME) < 4102444800LL * 1000 * ms);
    verdict("time() agrees with it", time(NULL) - now(CLOCK_REALTIME) / (1000 * ms) <= 1);

    int steady = 1;
    long long last = now(CLOCK_MONOTONIC);
    for (int i = 0; i < 1000; i++) {
        long long next = now(CLOCK_MONOTONIC);
        steady &= next >= last;
        last = next;
    }
    verdict("the monotonic clock never goes back", last >= 0 && steady);

    struct timespec step;
    verdict("its resolution is below a second", clock_getres(CLOCK_MONOTONIC, &step) == 0 && step.tv_sec == 0 && step.tv_nsec > 0);
    verdict("so is the wall clock's", clock_getres(CLOCK_REALTIME, &step) == 0 && step.tv_sec == 0 && step.tv_nsec > 0);

    long long before = now(CLOCK_MONOTONIC);
    struct timespec nap = {0, 20 * ms};
    int slept = nanosleep(&nap, NULL) == 0;
    long long took = now(CLOCK_MONOTONIC) - before;
    verdict("sleeping 20 ms takes at least 20 ms", slept && took >= 20 * ms);
    verdict("and less than 20 s", took < 20000 * ms);
    before = now(CLOCK_MONOTONIC);
    nap.tv_nsec = 0;
    verdict("sleeping 0 ms returns at once", nanosleep(&nap, NULL) == 0 && now(CLOCK_MONOTONIC) - before < 10000 * ms);

    unsigned char a[64] = {0}, b[64] = {0}, zero[64] = {0};
    verdict("64 random bytes", getentropy(a, sizeof a) == 0 && memcmp(a, zero, sizeof a) != 0);
    verdict("64 others", getentropy(b, sizeof b) == 0 && memcmp(a, b, sizeof a) != 0);
    unsigned ones = 0;
    for (int i = 0; i < 64; i++) ones += (unsigned)__builtin_popcount(a[i]) + (unsigned)__builtin_popcount(b[i]);
    verdict("about half of the bits are set", ones > 340 && ones < 684);  // 512 expected, standard deviation 16
    return failures != 0;
}
