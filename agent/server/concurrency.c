#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/options.h"

/* Reads a small file of /proc or /sys; false when there is none. */
static bool read_text(const char *path, char *dst, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, dst, cap - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return false;
    dst[n] = 0;
    return true;
}

static struct str first_line(char *text)
{
    return (struct str){text, strcspn(text, "\n")};
}

/* Whole CPUs of a quota, 0 when there is none. */
static uint64_t quota_cpus(struct str quota, struct str period)
{
    uint64_t q, p;
    if (!str_to_u64(quota, UINT64_MAX, &q) || !str_to_u64(period, UINT64_MAX, &p) || !p)
        return 0; /* "max" and -1 mean no limit */
    return q / p ? q / p : 1;
}

/* The limit of one folder of the unified hierarchy. */
static uint64_t unified_limit(const char *folder)
{
    char path[512], text[64];
    struct str quota, line;
    snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", folder);
    if (!read_text(path, text, sizeof(text)))
        return 0;
    line = first_line(text);
    if (!str_next(&line, ' ', &quota))
        return 0;
    return quota_cpus(quota, line);
}

/* The tightest limit from our own folder up to the root of what we see. */
static uint64_t tightest_unified_limit(void)
{
    char text[4096], *folder;
    uint64_t least = unified_limit("");
    if (!read_text("/proc/self/cgroup", text, sizeof(text)) || !(folder = strstr(text, "0::/")))
        return least;
    folder += 3;
    folder[strcspn(folder, "\n")] = 0;
    for (size_t n; (n = strlen(folder)) > 1; folder[n] = 0) {
        uint64_t limit = unified_limit(folder);
        if (limit && (!least || limit < least))
            least = limit;
        n = (size_t)(strrchr(folder, '/') - folder);
    }
    return least;
}

static uint64_t legacy_limit(void)
{
    char quota[64], period[64];
    if (!read_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, sizeof(quota)) ||
        !read_text("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof(period)))
        return 0;
    return quota_cpus(first_line(quota), first_line(period));
}

unsigned options_default_concurrency(void)
{
    cpu_set_t set;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t n = online > 0 ? (uint64_t)online : 1;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && (uint64_t)CPU_COUNT(&set) < n)
        n = (uint64_t)CPU_COUNT(&set);
    uint64_t limits[] = {tightest_unified_limit(), legacy_limit()};
    for (size_t i = 0; i < 2; i++)
        if (limits[i] && limits[i] < n)
            n = limits[i];
    return n ? (unsigned)n : 1;
}
