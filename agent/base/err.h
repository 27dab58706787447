/* Errors. Data path: 0 or a negative code (-ERR_x). Config path: additionally a text on the
 * caller's stack, which becomes the NACK's detail word for word. [any] thread. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERR_MAP(X)                  \
    X(OK, "ok")                     \
    X(INVALID, "invalid")           \
    X(UNSUPPORTED, "not supported") \
    X(LIMIT, "limit exceeded")      \
    X(NOT_FOUND, "not found")       \
    X(DUPLICATE, "duplicate")       \
    X(DENIED, "denied")             \
    X(TIMEOUT, "timeout")           \
    X(IO, "input/output error")     \
    X(CLOSED, "closed")             \
    X(AGAIN, "try again")           \
    X(TRAP, "guest trapped")        \
    X(TERMINATED, "terminated")     \
    X(INTERNAL, "internal error")

enum err {
#define X(name, text) ERR_##name,
    ERR_MAP(X)
#undef X
};

struct error {
    enum err code;
    char text[1024];
};

/* Sets code and text and returns -code, so that `return error_set(err, ERR_INVALID, ...)` reads
 * well. err may be NULL. Text over 1023 bytes is cut. */
int error_set(struct error *err, enum err code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Like error_set with ERR_IO (or a closer code) and strerror(errno_value) appended. */
int error_set_errno(struct error *err, int errno_value, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts a prefix before the text, on the way up: error_prefix(err, "clusters[%zu]: ", i).
 * Returns -err->code. err may be NULL (returns -ERR_INTERNAL). */
int error_prefix(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* -err->code, of a callee's failure that goes on as it is. err may be NULL (-ERR_INTERNAL). */
int error_code(const struct error *err);
/* Text of a code, positive or negative. */
const char *err_text(int code);

#endif
