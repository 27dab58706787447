/* Resources as a management server sends them; the first byte chooses the type. Held to: what is
 * taken is an object with a name, what is refused leaves a text and no object, and undeclared
 * fields never change the outcome by being heard of. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "xds/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void on_unknown(void *arg, const char *path)
{
    *(size_t *)arg += strlen(path);
}

/* The last virtual hosts were discovered. */
static int decode_routes(size_t added, struct str bytes, const struct pb_unknown *unknown,
                         struct conf_object **o_r, struct error *err)
{
    size_t culprit;
    int rc = decode_merged_routes(bytes, added, unknown, (struct conf_route_config **)(void *)o_r,
                                  &culprit, err);
    check(culprit <= added && (rc || culprit == added));
    return rc;
}

/* type: above its three bits, a number for those that take one. */
static int decode(unsigned type, struct str bytes, const struct pb_unknown *unknown,
                  struct conf_object **o_r, struct error *err)
{
    *o_r = NULL;
    switch (type % 8) {
    case 0:
        return decode_listener(bytes, unknown, (struct conf_listener **)(void *)o_r, err);
    case 1:
        return decode_cluster(bytes, unknown, (struct conf_cluster **)(void *)o_r, err);
    case 2:
        return decode_endpoints(bytes, unknown, (struct conf_endpoints **)(void *)o_r, err);
    case 3:
        return decode_routes(type / 8 % 4, bytes, unknown, o_r, err);
    case 5:
        return decode_secret(bytes, unknown, (struct conf_secret **)(void *)o_r, err);
    case 6:
        return decode_scoped_route(bytes, unknown, (struct conf_scope **)(void *)o_r, err);
    default:
        return decode_extension(bytes, unknown, (struct conf_plugin **)(void *)o_r, err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t heard = 0;
    const struct pb_unknown unknown = {on_unknown, &heard};
    if (!size)
        return 0;
    log_set_all(LEVEL_OFF);
    struct str bytes = {(const char *)data + 1, size - 1};
    for (int strict = 0; strict < 2; strict++) {
        struct conf_object *o;
        struct error err = {0};
        if (data[0] % 8 == 7) {
            int rc = decode_check_virtual_host(bytes, strict ? NULL : &unknown, &err);
            check(rc == 0 || (rc == -(int)err.code && err.text[0]));
            continue;
        }
        int rc = decode(data[0], bytes, strict ? NULL : &unknown, &o, &err);
        check((rc == 0) == (o != NULL));
        check(rc == 0 || (rc == -(int)err.code && err.text[0]));
        check(!o || (o->name && o->refs == 1));
        conf_object_unref(o);
    }
    return 0;
}
