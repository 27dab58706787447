#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int set_text(struct error *err, enum err code, const char *fmt, va_list ap)
{
    if (err) {
        err->code = code;
        vsnprintf(err->text, sizeof(err->text), fmt, ap);
    }
    return -(int)code;
}

int error_set(struct error *err, enum err code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = set_text(err, code, fmt, ap);
    va_end(ap);
    return rc;
}

static enum err code_of_errno(int e)
{
    switch (e) {
    case ENOENT:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case EAGAIN:
        return ERR_AGAIN;
    default:
        return ERR_IO;
    }
}

int error_set_errno(struct error *err, int errno_value, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = set_text(err, code_of_errno(errno_value), fmt, ap);
    va_end(ap);
    if (err) {
        size_t n = strlen(err->text);
        snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror(errno_value));
    }
    return rc;
}

int error_prefix(struct error *err, const char *fmt, ...)
{
    if (!err)
        return -ERR_INTERNAL;
    char prefix[sizeof(err->text)];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(prefix, sizeof(prefix), fmt, ap);
    va_end(ap);
    size_t room = sizeof(err->text) - 1;
    size_t plen = (size_t)n > room ? room : (size_t)n;
    size_t tlen = strlen(err->text);
    if (tlen > room - plen)
        tlen = room - plen;
    memmove(err->text + plen, err->text, tlen);
    memcpy(err->text, prefix, plen);
    err->text[plen + tlen] = 0;
    return -(int)err->code;
}

int error_code(const struct error *err)
{
    return err ? -(int)err->code : -ERR_INTERNAL;
}

const char *err_text(int code)
{
    static const char *const texts[] = {
#define X(name, text) text,
        ERR_MAP(X)
#undef X
    };
    size_t i = (size_t)abs(code);
    return i < sizeof(texts) / sizeof(texts[0]) ? texts[i] : "unknown error";
}
