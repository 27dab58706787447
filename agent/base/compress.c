#include "base/compress.h"

#include <zlib.h>

#include "base/err.h"
#include "base/mem.h"

enum { CHUNK = 16384 };

int compress_zlib(struct str bytes, size_t out_max, struct sbuf *out)
{
    uLongf n = compressBound(bytes.n);
    if (n > out_max)
        return -ERR_LIMIT;
    void *p = mem_alloc(n);
    int rc = compress(p, &n, (const Bytef *)bytes.p, bytes.n);
    if (rc == Z_OK)
        sbuf_add(out, p, n);
    mem_free(p);
    return rc == Z_OK ? 0 : -ERR_INTERNAL;
}

int uncompress_zlib(struct str bytes, size_t out_max, struct sbuf *out)
{
    z_stream z = {.next_in = (Bytef *)bytes.p, .avail_in = (uInt)bytes.n};
    char chunk[CHUNK];
    size_t start = out->n;
    int rc = -ERR_INVALID, status = Z_OK;
    if (bytes.n > UINT32_MAX || inflateInit(&z) != Z_OK)
        return -ERR_INVALID;
    while (status == Z_OK) {
        z.next_out = (Bytef *)chunk;
        z.avail_out = sizeof(chunk);
        status = inflate(&z, Z_NO_FLUSH);
        sbuf_add(out, chunk, sizeof(chunk) - z.avail_out);
        if (out->n - start > out_max) {
            rc = -ERR_LIMIT;
            break;
        }
    }
    if (status == Z_STREAM_END && rc != -ERR_LIMIT)
        rc = 0;
    inflateEnd(&z);
    return rc;
}
