// Arguments, environment, stdin, stderr, exit code.
// Prints every argument and environment variable, then stdin line by line, numbered; the argument `exit=N` sets the exit
// code of the program (WASI 0.2 knows success and failure only: any N but 0 arrives as 1).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

int main(int argc, char **argv) {
    int code = 0;
    printf("%d arguments\n", argc - 1);
    for (int i = 1; i < argc; i++) {
        printf("  %d [%s]\n", i, argv[i]);
        if (!strncmp(argv[i], "exit=", 5)) code = atoi(argv[i] + 5);
    }
    int variables = 0;
    while (environ[variables]) variables++;
    printf("%d environment variables\n", variables);
    for (int i = 0; i < variables; i++) printf("  [%s]\n", environ[i]);
    const char *greeting = getenv("GREETING");
    printf("GREETING is %s\n", greeting ? greeting : "not set");

    int number = 0, in_line = 0;
    long bytes = 0;
    for (int c; (c = getchar()) != EOF; bytes++) {
        if (!in_line) printf("%d: ", ++number);
        in_line = c != '\n';
        putchar(c);
    }
    if (in_line) putchar('\n');
    printf("stdin held %ld bytes in %d lines\n", bytes, number);
    fflush(stdout);
    fprintf(stderr, "hello: leaving with %d\n", code);
    return code;
}
