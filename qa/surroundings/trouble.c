/* A file system in trouble and a clock that jumps, for one process tree: to be named in LD_PRELOAD.

   TROUBLE_KIND   what happens to paths below TROUBLE_BELOW, an absolute path without a slash at its end:
     full         what is written fails with ENOSPC, and so does making a folder
     crowded      making any file or folder fails with ENOSPC
     readonly     all that changes something fails with EROFS
     broken       reading and writing fail with EIO
     silent       every call with such a path never returns, whatever signals come
   TROUBLE_AFTER  so many calls with such a path go well before
   TROUBLE_CLOCK  SECONDS or SECONDS@CALLS: the wall clock is so far off, from that call for the time on

   Stands before the functions of glibc that CPython calls; a system call that is made in another way
   (io_uring, a static program, memory that is mapped) passes it by. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { NONE, FULL, CROWDED, READONLY, BROKEN, SILENT };

static const char *const NAMES[] = {"", "full", "crowded", "readonly", "broken", "silent"};
static enum kind kind;
static char below[4096];
static size_t length;
static long after;
static atomic_long calls, looks;
static long offset, offset_from;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) \
        real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void set_up(void)
{
    const char *wanted = getenv("TROUBLE_KIND"), *folder = getenv("TROUBLE_BELOW");
    const char *count = getenv("TROUBLE_AFTER"), *jump = getenv("TROUBLE_CLOCK");
    for (int each = 1; wanted && folder && each <= SILENT; each++)
        if (!strcmp(wanted, NAMES[each])) {
            kind = each;
            strncpy(below, folder, sizeof below - 1);
            length = strlen(below);
        }
    after = count ? atol(count) : 0;
    if (jump) {
        offset = atol(jump);
        const char *from = strchr(jump, '@');
        offset_from = from ? atol(from + 1) : 0;
    }
}

static int starts_below(const char *path)
{
    return !strncmp(path, below, length) && (!path[length] || path[length] == '/');
}

static int name_folder(int folder, char *path, size_t size)
{
    char link[64];
    snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
    static ssize_t (*real)(const char *, char *, size_t);
    if (!real)
        real = (ssize_t(*)(const char *, char *, size_t))dlsym(RTLD_NEXT, "readlink");
    int kept = errno;
    ssize_t read = real(link, path, size - 1);
    errno = kept;
    if (read < 0)
        return 0;
    path[read] = 0;
    return 1;
}

/* Whether a call with this path is in trouble; one on a silent file system does not come back from here. */
static int is_in_trouble(int folder, const char *path)
{
    if (kind == NONE || !path)
        return 0;
    char whole[8192];
    if (path[0] == '/') {
        if (!starts_below(path))
            return 0;
    } else {
        if (!name_folder(folder, whole, 4096))
            return 0;
        strcat(whole, "/");
        strncat(whole, path, 4000);
        if (!starts_below(whole))
            return 0;
    }
    if (atomic_fetch_add(&calls, 1) < after)
        return 0;
    while (kind == SILENT)
        pause();
    return 1;
}

static int is_open_in_trouble(int file)
{
    char path[4096];
    if (kind == NONE || kind == SILENT || !name_folder(file, path, sizeof path))
        return 0;
    return starts_below(path) && atomic_load(&calls) >= after;
}

static int fail(int error)
{
    errno = error;
    return -1;
}

static int is_for_change(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY || flags & (O_CREAT | O_TRUNC);
}

/* What opening a file that is in trouble fails with, 0 where it goes well. */
static int why_not_open(int flags)
{
    if (kind == READONLY && is_for_change(flags))
        return EROFS;
    return kind == CROWDED && flags & O_CREAT ? ENOSPC : 0;
}

/* What a change of a folder fails with. */
static int why_not_change(int makes_folder)
{
    if (kind == READONLY)
        return EROFS;
    return kind == CROWDED || (kind == FULL && makes_folder) ? ENOSPC : 0;
}

#define OPEN(name, head, folder, path, ...) \
    int name(head int flags, ...) \
    { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        int error = is_in_trouble(folder, path) ? why_not_open(flags) : 0; \
        REAL(name); \
        return error ? fail(error) : real(__VA_ARGS__, flags, mode); \
    }
#define PATH const char *path,
#define AT int folder, const char *path,
OPEN(open, PATH, AT_FDCWD, path, path)
OPEN(open64, PATH, AT_FDCWD, path, path)
OPEN(openat, AT, folder, path, folder, path)
OPEN(openat64, AT, folder, path, folder, path)

#define STREAM(name) \
    FILE *name(const char *path, const char *mode) \
    { \
        int flags = strpbrk(mode, "wa+") ? O_WRONLY | O_CREAT : O_RDONLY; \
        int error = is_in_trouble(AT_FDCWD, path) ? why_not_open(flags) : 0; \
        REAL(name); \
        if (error) \
            errno = error; \
        return error ? NULL : real(path, mode); \
    }
STREAM(fopen)
STREAM(fopen64)

#define LOOK(name, folder, head, ...) \
    int name head \
    { \
        is_in_trouble(folder, path); \
        REAL(name); \
        return real(__VA_ARGS__); \
    }
LOOK(stat, AT_FDCWD, (const char *restrict path, struct stat *restrict found), path, found)
LOOK(stat64, AT_FDCWD, (const char *restrict path, struct stat64 *restrict found), path, found)
LOOK(lstat, AT_FDCWD, (const char *restrict path, struct stat *restrict found), path, found)
LOOK(lstat64, AT_FDCWD, (const char *restrict path, struct stat64 *restrict found), path, found)
LOOK(fstatat, folder, (int folder, const char *restrict path, struct stat *restrict found, int flags),
     folder, path, found, flags)
LOOK(fstatat64, folder, (int folder, const char *restrict path, struct stat64 *restrict found, int flags),
     folder, path, found, flags)
LOOK(access, AT_FDCWD, (const char *path, int mode), path, mode)
LOOK(faccessat, folder, (int folder, const char *path, int mode, int flags), folder, path, mode, flags)
LOOK(chdir, AT_FDCWD, (const char *path), path)

ssize_t readlink(const char *restrict path, char *restrict text, size_t size)
{
    is_in_trouble(AT_FDCWD, path);
    REAL(readlink);
    return real(path, text, size);
}

DIR *opendir(const char *path)
{
    is_in_trouble(AT_FDCWD, path);
    REAL(opendir);
    return real(path);
}

#define CHANGE(name, folder, makes, head, ...) \
    int name head \
    { \
        int error = is_in_trouble(folder, path) ? why_not_change(makes) : 0; \
        REAL(name); \
        return error ? fail(error) : real(__VA_ARGS__); \
    }
CHANGE(mkdir, AT_FDCWD, 1, (const char *path, mode_t mode), path, mode)
CHANGE(mkdirat, folder, 1, (int folder, const char *path, mode_t mode), folder, path, mode)
CHANGE(rmdir, AT_FDCWD, 0, (const char *path), path)
CHANGE(unlink, AT_FDCWD, 0, (const char *path), path)
CHANGE(unlinkat, folder, 0, (int folder, const char *path, int flags), folder, path, flags)
CHANGE(rename, AT_FDCWD, 0, (const char *path, const char *to), path, to)
CHANGE(renameat, folder, 0, (int folder, const char *path, int other, const char *to), folder, path, other, to)
CHANGE(link, AT_FDCWD, 0, (const char *from, const char *path), from, path)
CHANGE(linkat, folder, 0, (int other, const char *from, int folder, const char *path, int flags), other, from,
       folder, path, flags)
CHANGE(symlink, AT_FDCWD, 0, (const char *to, const char *path), to, path)
CHANGE(truncate, AT_FDCWD, 0, (const char *path, off_t size), path, size)

int utimensat(int folder, const char *path, const struct timespec times[2], int flags)
{
    int error = is_in_trouble(folder, path) && kind == READONLY ? EROFS : 0;
    REAL(utimensat);
    return error ? fail(error) : real(folder, path, times, flags);
}

#define WRITE(name, head, ...) \
    ssize_t name head \
    { \
        int stops = (kind == FULL || kind == BROKEN) && is_open_in_trouble(file); \
        REAL(name); \
        return stops ? fail(kind == FULL ? ENOSPC : EIO) : real(__VA_ARGS__); \
    }
WRITE(write, (int file, const void *data, size_t size), file, data, size)
WRITE(writev, (int file, const struct iovec *data, int count), file, data, count)
WRITE(pwrite, (int file, const void *data, size_t size, off_t at), file, data, size, at)
WRITE(pwrite64, (int file, const void *data, size_t size, off64_t at), file, data, size, at)

#define READ(name, head, ...) \
    ssize_t name head \
    { \
        int stops = kind == BROKEN && is_open_in_trouble(file); \
        REAL(name); \
        return stops ? fail(EIO) : real(__VA_ARGS__); \
    }
READ(read, (int file, void *data, size_t size), file, data, size)
READ(pread, (int file, void *data, size_t size, off_t at), file, data, size, at)
READ(pread64, (int file, void *data, size_t size, off64_t at), file, data, size, at)

/* The clock */

static long shift(void)
{
    return offset && atomic_fetch_add(&looks, 1) >= offset_from ? offset : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    REAL(clock_gettime);
    int status = real(clock, now);
    if (!status && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += shift();
    return status;
}

time_t time(time_t *now)
{
    REAL(time);
    time_t found = real(NULL) + shift();
    if (now)
        *now = found;
    return found;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    REAL(gettimeofday);
    int status = real(now, zone);
    if (!status)
        now->tv_sec += shift();
    return status;
}
