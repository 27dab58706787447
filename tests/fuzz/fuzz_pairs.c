/* What guests hand over as bytes: serialized header maps, and the node's protobuf with a path into
 * it. Held to: nothing outside the input is read; a map that was accepted holds only headers that
 * may go out, and encodes to the same map again. */
#include <stdlib.h>

#include "base/mem.h"
#include "wasm/node.h"
#include "wasm/pairs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void decode_pairs(struct str s)
{
    struct headers h = {0}, again = {0};
    if (!pairs_decode(s, &h)) {
        check(h.n == 0);
        return;
    }
    for (size_t i = 0; i < h.n; i++) {
        struct str value = header_value(&h, &h.v[i]);
        check(!value.n || (!memchr(value.p, '\r', value.n) && !memchr(value.p, '\n', value.n)));
    }
    size_t n = pairs_size(&h);
    char *bytes = mem_alloc(n);
    pairs_encode(&h, bytes);
    check(pairs_decode((struct str){bytes, n}, &again) && again.n == h.n);
    mem_free(bytes);
    headers_fini(&h);
    headers_fini(&again);
}

static void read_node(struct str s)
{
    static const struct pwasm_path paths[] = {
        {{STR("node")}, 1},
        {{STR("node"), STR("id")}, 2},
        {{STR("node"), STR("metadata")}, 2},
        {{STR("node"), STR("metadata"), STR("A")}, 3},
        {{STR("node"), STR("metadata"), STR("A"), STR("B")}, 4},
        {{STR("node"), STR("locality"), STR("zone")}, 3},
    };
    pwasm_node_set(s);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct sbuf out = {0};
        pwasm_node_property(&paths[i], 1, &out);
        check(out.n <= 64 * s.n + 64);
        sbuf_fini(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = {(const char *)data, size};
    decode_pairs(s);
    read_node(s);
    return 0;
}
