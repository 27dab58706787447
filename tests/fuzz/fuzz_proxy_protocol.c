/* PROXY protocol headers. Held to: nothing outside the input is read; what a beginning was refused
 * for, more bytes do not heal; what is found can be written and read again. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const uint8_t *p, const struct proxy_protocol *o)
{
    struct sbuf out = {0};
    struct proxy_protocol again;
    struct str tlvs = {(const char *)p + o->tlvs_at, o->len - o->tlvs_at};
    proxy_protocol_write(o->version, &o->source, &o->destination, tlvs, &out);
    if (proxy_protocol_parse((const uint8_t *)out.p, out.n, &again) != PROXY_PROTOCOL_FOUND ||
        !addr_eq(&again.source, &o->source) || !addr_eq(&again.destination, &o->destination) ||
        (o->version == 2 && again.len != o->len))
        abort();
    sbuf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_protocol half, o;
    uint8_t *copy = mem_alloc(size ? size : 1); /* exact, so that a byte too far is seen */
    memcpy(copy, data, size);
    enum proxy_protocol_result first = proxy_protocol_parse(copy, size / 2, &half);
    enum proxy_protocol_result rc = proxy_protocol_parse(copy, size, &o);
    if ((first == PROXY_PROTOCOL_NONE || first == PROXY_PROTOCOL_BAD) && rc != first)
        abort();
    if (rc == PROXY_PROTOCOL_FOUND) {
        size_t at = 0;
        uint8_t type;
        struct str value;
        if (o.len > size || o.tlvs_at > o.len)
            abort();
        while (proxy_protocol_next_tlv(copy + o.tlvs_at, o.len - o.tlvs_at, &at, &type, &value))
            if (value.n && value.p[value.n - 1] == 'x')
                type = 0;
        if (!o.is_local && at != o.len - o.tlvs_at)
            abort();
        if (!o.is_local)
            write_again(copy, &o);
    }
    mem_free(copy);
    return 0;
}
