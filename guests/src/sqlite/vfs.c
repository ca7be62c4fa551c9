// The operating system as SQLite sees it (SQLITE_OS_OTHER). With files: plain POSIX calls and no locks, which is right for
// one process alone with its database. With -DNO_FILES: no file can be opened, so only `:memory:` works, and the module
// needs no import. Time and randomness are constants: what a guest prints must not depend on either.
#include <string.h>
#include "sqlite3.h"
#ifndef NO_FILES
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
    sqlite3_file base;
    int descriptor;
    char unlink_on_close[256];
};

static int file_close(sqlite3_file *f) {
    struct file *file = (struct file *)f;
    int status = close(file->descriptor);
    if (file->unlink_on_close[0]) unlink(file->unlink_on_close);
    return status ? SQLITE_IOERR_CLOSE : SQLITE_OK;
}

static int file_read(sqlite3_file *f, void *to, int length, sqlite3_int64 at) {
    struct file *file = (struct file *)f;
    int done = 0;
    while (done < length) {
        ssize_t got = pread(file->descriptor, (char *)to + done, (size_t)(length - done), at + done);
        if (got < 0) return SQLITE_IOERR_READ;
        if (got == 0) break;
        done += (int)got;
    }
    if (done == length) return SQLITE_OK;
    memset((char *)to + done, 0, (size_t)(length - done));
    return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *f, const void *from, int length, sqlite3_int64 at) {
    struct file *file = (struct file *)f;
    for (int done = 0; done < length;) {
        ssize_t put = pwrite(file->descriptor, (const char *)from + done, (size_t)(length - done), at + done);
        if (put <= 0) return SQLITE_IOERR_WRITE;
        done += (int)put;
    }
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 length) {
    return ftruncate(((struct file *)f)->descriptor, length) ? SQLITE_IOERR_TRUNCATE : SQLITE_OK;
}

static int file_sync(sqlite3_file *f, int flags) {
    (void)flags;
    return fsync(((struct file *)f)->descriptor) ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int file_size(sqlite3_file *f, sqlite3_int64 *size) {
    struct stat stat;
    if (fstat(((struct file *)f)->descriptor, &stat)) return SQLITE_IOERR_FSTAT;
    *size = stat.st_size;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *f, int level) { (void)f; (void)level; return SQLITE_OK; }
static int file_reserved(sqlite3_file *f, int *is) { (void)f; *is = 0; return SQLITE_OK; }
static int file_control(sqlite3_file *f, int op, void *arg) { (void)f; (void)op; (void)arg; return SQLITE_NOTFOUND; }
static int file_sector(sqlite3_file *f) { (void)f; return 4096; }
static int file_traits(sqlite3_file *f) { (void)f; return 0; }

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_lock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags) {
    (void)vfs;
    struct file *file = (struct file *)f;
    file->base.pMethods = 0;
    if (!name) return SQLITE_CANTOPEN;
    int how = flags & SQLITE_OPEN_READWRITE ? O_RDWR : O_RDONLY;
    if (flags & SQLITE_OPEN_CREATE) how |= O_CREAT;
    if (flags & SQLITE_OPEN_EXCLUSIVE) how |= O_EXCL;
    file->descriptor = open(name, how, 0644);
    if (file->descriptor < 0) return SQLITE_CANTOPEN;
    file->unlink_on_close[0] = 0;
    if (flags & SQLITE_OPEN_DELETEONCLOSE) strncpy(file->unlink_on_close, name, sizeof file->unlink_on_close - 1);
    file->base.pMethods = &methods;
    if (out_flags) *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_dir) {
    (void)vfs;
    (void)sync_dir;
    return unlink(name) ? SQLITE_IOERR_DELETE : SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *result) {
    (void)vfs;
    (void)flags;
    struct stat at;
    *result = stat(name, &at) == 0 && at.st_size > 0;
    return SQLITE_OK;
}
#define FILE_SIZE ((int)sizeof(struct file))
#else
static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags) {
    (void)vfs; (void)name; (void)flags; (void)out_flags;
    f->pMethods = 0;
    return SQLITE_CANTOPEN;
}
static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_dir) {
    (void)vfs; (void)name; (void)sync_dir;
    return SQLITE_IOERR_DELETE;
}
static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *result) {
    (void)vfs; (void)name; (void)flags;
    *result = 0;
    return SQLITE_OK;
}
#define FILE_SIZE ((int)sizeof(sqlite3_file))
#endif

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int size, char *out) {
    (void)vfs;
    if ((int)strlen(name) >= size) return SQLITE_CANTOPEN;
    strcpy(out, name);
    return SQLITE_OK;
}
static int vfs_randomness(sqlite3_vfs *vfs, int length, char *out) {
    (void)vfs;
    for (int i = 0; i < length; i++) out[i] = (char)(i * 37 + 11);
    return length;
}
static int vfs_sleep(sqlite3_vfs *vfs, int microseconds) { (void)vfs; return microseconds; }
static int vfs_time(sqlite3_vfs *vfs, double *julian_day) { (void)vfs; *julian_day = 2461000.5; return SQLITE_OK; }
static int vfs_error(sqlite3_vfs *vfs, int size, char *out) { (void)vfs; (void)size; (void)out; return 0; }

static sqlite3_vfs vfs = {
    .iVersion = 1,
    .szOsFile = FILE_SIZE,
    .mxPathname = 255,
    .zName = "guest",
    .xOpen = vfs_open,
    .xDelete = vfs_delete,
    .xAccess = vfs_access,
    .xFullPathname = vfs_full_path,
    .xRandomness = vfs_randomness,
    .xSleep = vfs_sleep,
    .xCurrentTime = vfs_time,
    .xGetLastError = vfs_error,
};

int sqlite3_os_init(void) { return sqlite3_vfs_register(&vfs, 1); }
int sqlite3_os_end(void) { return SQLITE_OK; }
