/* The process log (not the access log): components with levels, named as Envoy's loggers so that
 * --component-log-level and POST /logging speak the same words. [any] thread; one write(2) per
 * line. Nothing above debug per request. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

#define LOG_COMPONENT_MAP(X)        \
    X(ADMIN, "admin")               \
    X(CLIENT, "client")             \
    X(CONFIG, "config")             \
    X(CONNECTION, "connection")     \
    X(CONN_HANDLER, "conn_handler") \
    X(DNS, "dns")                   \
    X(FILTER, "filter")             \
    X(GRPC, "grpc")                 \
    X(HTTP, "http")                 \
    X(INIT, "init")                 \
    X(MAIN, "main")                 \
    X(MISC, "misc")                 \
    X(POOL, "pool")                 \
    X(ROUTER, "router")             \
    X(UPSTREAM, "upstream")         \
    X(WASM, "wasm")

enum log_component {
#define X(name, text) LOG_##name,
    LOG_COMPONENT_MAP(X)
#undef X
        LOG_COMPONENT_COUNT
};

enum log_level {
    LEVEL_TRACE,
    LEVEL_DEBUG,
    LEVEL_INFO,
    LEVEL_WARN,
    LEVEL_ERROR,
    LEVEL_CRITICAL,
    LEVEL_OFF
};

extern unsigned char log_levels[LOG_COMPONENT_COUNT];

extern const char log_default_format[];
/* path NULL or "": stderr. format NULL: Envoy's default pattern
 * "[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v". Pattern letters of spdlog: Y m d T e t l n g # v %.
 * Call once, before threads start. */
int log_open(const char *path, const char *format, struct error *err);
/* --log-format-escaped: control characters in messages are written as escapes. At start only. */
void log_set_escaped(void);
/* Reopens the --log-path file (SIGUSR1). */
void log_reopen(void);
/* "trace debug info warning|warn error critical off"; false for anything else. */
bool log_level_parse(struct str name, enum log_level *level_r);
const char *log_level_name(enum log_level level); /* "warning" for LEVEL_WARN, as Envoy prints */
void log_set_all(enum log_level level);
/* "upstream:debug,http:trace". Names the bad part in err. */
int log_set_components(const char *spec, struct error *err);
bool log_component_find(struct str name, enum log_component *component_r);
const char *log_component_name(enum log_component c);

void log_write(enum log_component c, enum log_level level, const char *file, int line,
               const char *fmt, ...) __attribute__((format(printf, 5, 6)));

#define log_is_on(c, level) __builtin_expect((level) >= log_levels[c], 0)
#define log_at(c, level, ...)                                     \
    do {                                                          \
        if (log_is_on(c, level))                                  \
            log_write(c, level, __FILE__, __LINE__, __VA_ARGS__); \
    } while (0)
#define log_trace(c, ...) log_at(c, LEVEL_TRACE, __VA_ARGS__)
#define log_debug(c, ...) log_at(c, LEVEL_DEBUG, __VA_ARGS__)
#define log_info(c, ...) log_at(c, LEVEL_INFO, __VA_ARGS__)
#define log_warn(c, ...) log_at(c, LEVEL_WARN, __VA_ARGS__)
#define log_error(c, ...) log_at(c, LEVEL_ERROR, __VA_ARGS__)
#define log_critical(c, ...) log_at(c, LEVEL_CRITICAL, __VA_ARGS__)

#endif
