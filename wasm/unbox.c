#include "wasm/unbox.h"

#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/str.h"

const struct unbox_limits unbox_limits_default = {256u << 20, 200, 3};

enum { TAR_BLOCK = 512, INFLATE_STEP = 256 << 10 };

bool unbox_is_wasm(const uint8_t *p, size_t n)
{
    return n >= 8 && memcmp(p, "\0asm", 4) == 0;
}

static bool is_gzip(const uint8_t *p, size_t n)
{
    return n >= 18 && p[0] == 0x1f && p[1] == 0x8b;
}

static bool is_tar(const uint8_t *p, size_t n)
{
    return n >= TAR_BLOCK && memcmp(p + 257, "ustar", 5) == 0;
}

/* --- gzip --- */

struct inflation {
    z_stream z;
    uint8_t *out;
    size_t n, cap;
    uint64_t max; /* of out */
};

static int inflate_all(struct inflation *f, const struct unbox_limits *limits, struct error *err)
{
    for (;;) {
        if (f->n == f->cap) {
            /* One byte over the bound is enough to see that it is passed. */
            uint64_t want = f->cap ? (uint64_t)f->cap * 2 : INFLATE_STEP;
            f->cap = (size_t)(want > f->max + 1 ? f->max + 1 : want);
            f->out = mem_realloc(f->out, f->cap);
        }
        size_t room = f->cap - f->n;
        f->z.next_out = f->out + f->n;
        f->z.avail_out = (uInt)room;
        int rc = inflate(&f->z, Z_NO_FLUSH);
        f->n += room - f->z.avail_out;
        if (f->n > f->max)
            return error_set(err, ERR_LIMIT,
                             "gzip: unpacks to more than %llu bytes (limit: %llu bytes, ratio %u)",
                             (unsigned long long)f->max, (unsigned long long)limits->size_max,
                             limits->ratio_max);
        if (rc == Z_STREAM_END && f->z.avail_in == 0)
            return 0;
        if (rc == Z_STREAM_END) {
            /* Members may follow each other (RFC 1952, section 2.2); zero padding may, too. */
            if (f->z.next_in[0] == 0)
                return 0;
            if (inflateReset(&f->z) == Z_OK)
                continue;
        }
        if (rc == Z_BUF_ERROR && f->z.avail_in == 0 && f->n < f->cap)
            return error_set(err, ERR_INVALID, "gzip: truncated");
        if (rc != Z_OK && rc != Z_BUF_ERROR)
            return error_set(err, ERR_INVALID, "gzip: %s", f->z.msg ? f->z.msg : "damaged");
    }
}

/* first_n: bytes as they came from outside, which the ratio counts from. */
static int gunzip(const uint8_t *in, size_t n, size_t first_n, const struct unbox_limits *limits,
                  uint8_t **out_r, size_t *out_n_r, struct error *err)
{
    struct inflation f = {.max = (uint64_t)first_n * limits->ratio_max};
    if (f.max > limits->size_max)
        f.max = limits->size_max;
    if (n > UINT32_MAX)
        return error_set(err, ERR_LIMIT, "gzip: larger than 4 GiB");
    if (inflateInit2(&f.z, 16 + MAX_WBITS) != Z_OK)
        return error_set(err, ERR_INTERNAL, "gzip: cannot start");
    f.z.next_in = (Bytef *)(uintptr_t)in;
    f.z.avail_in = (uInt)n;
    int rc = inflate_all(&f, limits, err);
    inflateEnd(&f.z);
    if (rc) {
        mem_free(f.out);
        return rc;
    }
    *out_r = f.out;
    *out_n_r = f.n;
    return 0;
}

/* --- tar (POSIX ustar, pax and GNU headers skipped) --- */

static bool parse_octal(const uint8_t *p, size_t n, uint64_t *value_r)
{
    uint64_t v = 0;
    size_t i = 0, digits = 0;
    while (i < n && p[i] == ' ')
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++, digits++)
        v = v * 8 + (uint64_t)(p[i] - '0'); /* at most 12 digits: 36 bits */
    for (; i < n; i++)
        if (p[i] != ' ' && p[i] != 0)
            return false;
    *value_r = v;
    return digits > 0;
}

static bool checksum_holds(const uint8_t *header)
{
    uint64_t want, sum = 0;
    if (!parse_octal(header + 148, 8, &want))
        return false;
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : header[i];
    return sum == want;
}

static bool is_end_block(const uint8_t *header)
{
    for (size_t i = 0; i < TAR_BLOCK; i++)
        if (header[i])
            return false;
    return true;
}

static bool has_base_name(const uint8_t *header, const char *member)
{
    struct str name = {(const char *)header, strnlen((const char *)header, 100)};
    for (ptrdiff_t slash; (slash = str_find(name, '/')) >= 0;)
        name = (struct str){name.p + slash + 1, name.n - (size_t)slash - 1};
    return str_is(name, member);
}

int unbox_tar_find(const uint8_t *tar, size_t n, const char *member, const uint8_t **file_r,
                   size_t *file_n_r, struct error *err)
{
    for (size_t at = 0; n - at >= TAR_BLOCK;) {
        const uint8_t *header = tar + at;
        uint64_t size;
        if (is_end_block(header))
            break;
        if (!checksum_holds(header) || !parse_octal(header + 124, 12, &size))
            return error_set(err, ERR_INVALID, "tar: damaged header at offset %zu", at);
        at += TAR_BLOCK;
        if (size > n - at)
            return error_set(err, ERR_INVALID, "tar: truncated");
        char type = (char)header[156];
        if ((type == '0' || type == 0) && (!member || has_base_name(header, member))) {
            *file_r = tar + at;
            *file_n_r = (size_t)size;
            return 0;
        }
        uint64_t padded = (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
        at = padded > n - at ? n : at + (size_t)padded;
    }
    return error_set(err, ERR_NOT_FOUND, "tar: no %s in it", member ? member : "regular file");
}

/* --- both, nested --- */

/* Unwraps one layer of *p in place: tar moves the view, gzip replaces the memory. */
static int unwrap(const uint8_t **p, size_t *n, size_t first_n, const char *member,
                  const struct unbox_limits *limits, uint8_t **mem, struct error *err)
{
    if (!is_gzip(*p, *n))
        return unbox_tar_find(*p, *n, member, p, n, err);
    uint8_t *out = NULL;
    size_t out_n = 0;
    int rc = gunzip(*p, *n, first_n, limits, &out, &out_n, err);
    if (rc)
        return rc;
    mem_free(*mem);
    *mem = out;
    *p = out;
    *n = out_n;
    return 0;
}

int unbox_module(const uint8_t *in, size_t in_n, const char *member,
                 const struct unbox_limits *limits, uint8_t **out_r, size_t *out_n_r,
                 struct error *err)
{
    const uint8_t *p = in;
    size_t n = in_n;
    uint8_t *mem = NULL;
    int rc = 0;
    *out_r = NULL;
    *out_n_r = 0;
    for (unsigned depth = 0; !unbox_is_wasm(p, n); depth++) {
        if (!is_gzip(p, n) && !is_tar(p, n))
            rc = error_set(err, ERR_INVALID, "not a Wasm module (no \\0asm at its start)");
        else if (depth == limits->nesting_max)
            rc = error_set(err, ERR_LIMIT, "nested in more than %u archives", limits->nesting_max);
        else
            rc = unwrap(&p, &n, in_n, member, limits, &mem, err);
        if (rc)
            break;
    }
    if (!rc && p != in) {
        /* After a tar the file lies somewhere inside; it must start the allocation. */
        *out_r = p == mem ? mem : mem_dup(p, n);
        *out_n_r = n;
        if (p == mem)
            mem = NULL;
    }
    mem_free(mem);
    return rc;
}
