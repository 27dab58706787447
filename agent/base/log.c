#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

unsigned char log_levels[LOG_COMPONENT_COUNT] = {[0 ... LOG_COMPONENT_COUNT - 1] = LEVEL_INFO};

const char log_default_format[] = "[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v";
static char *format_text;
static bool is_escaped;
static char *path_text;
static int log_fd = 2;

static const char *const level_names[] = {"trace", "debug",    "info", "warning",
                                          "error", "critical", "off"};
static const char *const component_names[] = {
#define X(name, text) text,
    LOG_COMPONENT_MAP(X)
#undef X
};

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

int log_open(const char *path, const char *format, struct error *err)
{
    if (format)
        format_text = mem_strdup(format);
    if (!path || !*path)
        return 0;
    int fd = open_file(path);
    if (fd < 0)
        return error_set_errno(err, errno, "--log-path %s", path);
    log_fd = fd;
    path_text = mem_strdup(path);
    return 0;
}

void log_reopen(void)
{
    if (!path_text)
        return;
    int fd = open_file(path_text);
    if (fd < 0)
        return;
    dup3(fd, log_fd, O_CLOEXEC); /* writers keep the number they know */
    close(fd);
}

bool log_level_parse(struct str name, enum log_level *level_r)
{
    if (str_is(name, "warn")) {
        *level_r = LEVEL_WARN;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (str_is(name, level_names[i])) {
            *level_r = (enum log_level)i;
            return true;
        }
    return false;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

void log_set_all(enum log_level level)
{
    memset(log_levels, level, sizeof(log_levels));
}

bool log_component_find(struct str name, enum log_component *component_r)
{
    for (size_t i = 0; i < ARRAY_LEN(component_names); i++)
        if (str_is(name, component_names[i])) {
            *component_r = (enum log_component)i;
            return true;
        }
    return false;
}

const char *log_component_name(enum log_component c)
{
    return component_names[c];
}

void log_set_escaped(void)
{
    is_escaped = true;
}

int log_set_components(const char *spec, struct error *err)
{
    struct str rest = str_of(spec), part;
    while (str_next(&rest, ',', &part)) {
        ptrdiff_t colon = str_find(part, ':');
        enum log_component c;
        enum log_level level;
        if (colon < 0 || !log_component_find((struct str){part.p, (size_t)colon}, &c))
            return error_set(err, ERR_INVALID, "error: invalid component specified '%.*s'",
                             STR_ARG(part));
        struct str name = {part.p + colon + 1, part.n - (size_t)colon - 1};
        if (!log_level_parse(name, &level))
            return error_set(err, ERR_INVALID, "error: invalid log level specified '%.*s'",
                             STR_ARG(name));
        log_levels[c] = (unsigned char)level;
    }
    return 0;
}

struct line {
    char text[4096];
    size_t n;
};

static void line_add(struct line *l, const char *p, size_t n)
{
    size_t room = sizeof(l->text) - 1 - l->n; /* one byte is kept for the newline */
    if (n > room)
        n = room;
    memcpy(l->text + l->n, p, n);
    l->n += n;
}

static void line_printf(struct line *l, const char *fmt, ...)
{
    char tmp[64];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(tmp, sizeof(tmp), fmt, ap);
    va_end(ap);
    line_add(l, tmp, (size_t)n < sizeof(tmp) ? (size_t)n : sizeof(tmp) - 1);
}

/* Control characters as C writes them, so that a message cannot pass for several lines. */
static void add_escaped(struct line *l, const char *p)
{
    for (; *p; p++) {
        if (*p == '\n')
            line_add(l, "\\n", 2);
        else if (*p == '\r')
            line_add(l, "\\r", 2);
        else if (*p == '\t')
            line_add(l, "\\t", 2);
        else if ((unsigned char)*p < 0x20 || *p == 0x7f)
            line_printf(l, "\\x%02x", (unsigned char)*p);
        else
            line_add(l, p, 1);
    }
}

static void add_field(struct line *l, char letter, enum log_component c, enum log_level level,
                      const char *file, int line, const char *message)
{
    uint64_t now = clock_wall_ns();
    time_t s = (time_t)(now / 1000000000u);
    struct tm tm;
    localtime_r(&s, &tm);
    switch (letter) {
    case 'Y':
        line_printf(l, "%04d", tm.tm_year + 1900);
        break;
    case 'm':
        line_printf(l, "%02d", tm.tm_mon + 1);
        break;
    case 'd':
        line_printf(l, "%02d", tm.tm_mday);
        break;
    case 'T':
        line_printf(l, "%02d:%02d:%02d", tm.tm_hour, tm.tm_min, tm.tm_sec);
        break;
    case 'e':
        line_printf(l, "%03u", (unsigned)(now / 1000000u % 1000));
        break;
    case 't':
        line_printf(l, "%ld", (long)syscall(SYS_gettid));
        break;
    case 'l':
        line_add(l, level_names[level], strlen(level_names[level]));
        break;
    case 'n':
        line_add(l, component_names[c], strlen(component_names[c]));
        break;
    case 'g':
        while (file[0] == '.' && file[1] == '.' && file[2] == '/')
            file += 3;
        line_add(l, file, strlen(file));
        break;
    case '#':
        line_printf(l, "%d", line);
        break;
    case 'v':
        if (is_escaped)
            add_escaped(l, message);
        else
            line_add(l, message, strlen(message));
        break;
    default:
        line_add(l, &letter, 1);
    }
}

void log_write(enum log_component c, enum log_level level, const char *file, int line,
               const char *fmt, ...)
{
    char message[3500];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);

    struct line l = {.n = 0};
    for (const char *f = format_text ? format_text : log_default_format; *f; f++) {
        if (*f == '%' && f[1])
            add_field(&l, *++f, c, level, file, line, message);
        else
            line_add(&l, f, 1);
    }
    l.text[l.n++] = '\n';
    ssize_t written = write(log_fd, l.text, l.n);
    (void)written; /* a log that cannot be written has nowhere to be reported */
}
