// Everything that a program does with files and directories, in the directory given as argument 1 (a preopen; default ".").
// Each line of the output is one step; the program stops with exit code 1 at the first step that does not do what POSIX says.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *root = ".";
static char path_buffer[4][512];

// The path of `name` below the root; up to four results are alive at a time.
static const char *in(const char *name) {
    static int turn;
    char *buffer = path_buffer[turn++ % 4];
    snprintf(buffer, sizeof path_buffer[0], "%s/%s", root, name);
    return buffer;
}

static void must(int holds, const char *step) {
    if (!holds) {
        int error = errno;
        printf("FAILED %s: %s\n", step, strerror(error));
        fflush(stdout);
        exit(1);
    }
    printf("ok %s\n", step);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// Prints the names in a directory in order, a slash after each directory.
static void list(const char *name) {
    DIR *dir = opendir(in(name));
    must(dir != NULL, "opendir");
    char *names[64];
    int count = 0;
    for (struct dirent *entry; count < 64 && (entry = readdir(dir));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        char *text = malloc(strlen(entry->d_name) + 2);
        strcpy(text, entry->d_name);
        if (entry->d_type == DT_DIR) strcat(text, "/");
        names[count++] = text;
    }
    closedir(dir);
    qsort(names, (size_t)count, sizeof *names, by_name);
    printf("%s holds %d:", name, count);
    for (int i = 0; i < count; i++) {
        printf(" %s", names[i]);
        free(names[i]);
    }
    putchar('\n');
}

static long size_of(const char *name) {
    struct stat at;
    return stat(in(name), &at) ? -1 : (long)at.st_size;
}

int main(int argc, char **argv) {
    if (argc > 1) root = argv[1];
    struct stat at;
    char text[128];

    // What the host put there.
    FILE *file = fopen(in("given.txt"), "r");
    must(file != NULL, "open given.txt");
    must(fgets(text, sizeof text, file) != NULL, "read given.txt");
    text[strcspn(text, "\n")] = 0;
    printf("given.txt says [%s]\n", text);
    fclose(file);

    // Make, write, seek, append, truncate.
    must(mkdir(in("made"), 0755) == 0, "mkdir made");
    must(mkdir(in("made"), 0755) == -1 && errno == EEXIST, "mkdir made again is EEXIST");
    file = fopen(in("made/a.txt"), "w+");
    must(file != NULL, "create made/a.txt");
    must(fputs("0123456789", file) >= 0 && fflush(file) == 0, "write ten bytes");
    must(fseek(file, 4, SEEK_SET) == 0 && fputs("xy", file) >= 0, "overwrite at 4");
    rewind(file);
    must(fgets(text, sizeof text, file) != NULL, "read back");
    printf("a.txt says [%s]\n", text);
    must(fclose(file) == 0, "close");
    file = fopen(in("made/a.txt"), "a");
    must(file != NULL && fputs("+end", file) >= 0 && fclose(file) == 0, "append");
    printf("a.txt has %ld bytes\n", size_of("made/a.txt"));
    int fd = open(in("made/a.txt"), O_RDWR);
    must(fd >= 0, "open for reading and writing");
    must(pwrite(fd, "Z", 1, 20) == 1, "write past the end");
    must(fstat(fd, &at) == 0 && at.st_size == 21 && S_ISREG(at.st_mode), "fstat: 21 bytes, regular");
    must(pread(fd, text, 8, 13) == 8 && text[0] == 'd' && text[1] == 0 && text[7] == 'Z', "the hole reads as zeros");
    must(pread(fd, text, 8, 100) == 0, "reading past the end gives nothing");
    must(ftruncate(fd, 3) == 0 && lseek(fd, 0, SEEK_END) == 3, "truncate to 3");
    must(fsync(fd) == 0, "fsync");
    close(fd);
    must(open(in("made/a.txt"), O_CREAT | O_EXCL | O_WRONLY, 0644) == -1 && errno == EEXIST, "exclusive create is EEXIST");
    must(open(in("absent"), O_RDONLY) == -1 && errno == ENOENT, "opening what is absent is ENOENT");
    must(open(in("given.txt/x"), O_RDONLY) == -1 && errno == ENOTDIR, "a path through a file is ENOTDIR");

    // A file of 200 000 bytes in odd pieces.
    file = fopen(in("made/large"), "w");
    must(file != NULL, "create made/large");
    for (int i = 0; i < 200000; i++) putc("abcdefghijklmnopqrstuvwxyz\n"[i % 27], file);
    must(fclose(file) == 0 && size_of("made/large") == 200000, "write 200000 bytes");
    file = fopen(in("made/large"), "r");
    unsigned sum = 0;
    for (size_t got; (got = fread(text, 1, 113, file)) > 0;)
        for (size_t i = 0; i < got; i++) sum = sum * 31 + (unsigned char)text[i];
    fclose(file);
    printf("checksum %08x\n", sum);

    // Directories, names.
    must(mkdir(in("made/sub"), 0755) == 0, "mkdir made/sub");
    must(stat(in("made/sub"), &at) == 0 && S_ISDIR(at.st_mode), "stat: a directory");
    list("made");
    must(rename(in("made/a.txt"), in("made/sub/b.txt")) == 0, "rename into made/sub");
    must(stat(in("made/a.txt"), &at) == -1 && errno == ENOENT, "the old name is gone");
    must(size_of("made/sub/b.txt") == 3, "the new name is there");
    must(link(in("made/sub/b.txt"), in("made/hard")) == 0 && size_of("made/hard") == 3, "hard link");
    must(symlink("sub/b.txt", in("made/soft")) == 0, "symlink");
    ssize_t length = readlink(in("made/soft"), text, sizeof text);
    must(length == 9 && !memcmp(text, "sub/b.txt", 9), "readlink");
    must(size_of("made/soft") == 3, "stat follows the link");
    must(lstat(in("made/soft"), &at) == 0 && S_ISLNK(at.st_mode), "lstat does not");
    must(rmdir(in("made/sub")) == -1 && errno == ENOTEMPTY, "rmdir of a full directory is ENOTEMPTY");
    list("made");

    // Times.
    struct timespec times[2] = {{1000000000, 0}, {1234567890, 500000000}};
    must(utimensat(AT_FDCWD, in("made/large"), times, 0) == 0, "utimensat");
    must(stat(in("made/large"), &at) == 0 && at.st_mtim.tv_sec == 1234567890, "the modification time is 1234567890");

    // Nothing leads out of the preopen.
    must(open(in("../outside"), O_RDONLY) == -1, "no way out through ..");
    must(symlink("../../..", in("made/up")) != 0 || open(in("made/up/etc/passwd"), O_RDONLY) == -1, "nor through a link");

    // Away with it, but for one file that the host looks at afterwards.
    unlink(in("made/up"));
    must(unlink(in("made/hard")) == 0 && unlink(in("made/soft")) == 0, "unlink");
    must(rename(in("made/sub/b.txt"), in("left.txt")) == 0, "rename to left.txt");
    must(rmdir(in("made/sub")) == 0, "rmdir made/sub");
    must(unlink(in("made/sub")) == -1 && errno == ENOENT, "unlink of what is gone is ENOENT");
    must(unlink(in("made/large")) == 0 && rmdir(in("made")) == 0, "remove the rest");
    list(".");
    return 0;
}
