/* Host functions on the stream itself: go on, close, answer, properties, route. */
#include <ctype.h>

#include "base/mem.h"
#include "conf/plugin.h"
#include "wasm/node.h"
#include "wasm/pairs.h"
#include "wasm/plugin_private.h"

static int32_t go_on(struct pwasm_vm *vm, uint32_t type)
{
    struct pwasm_context *c = pwasm_acting(vm);
    if (type > PWASM_UPSTREAM)
        return PWASM_BAD_ARGUMENT;
    if (type == PWASM_UPSTREAM)
        return PWASM_UNIMPLEMENTED;
    if (c->ops)
        pwasm_action_add(vm, c, PWASM_GO_ON, (enum pwasm_stream)type);
    return PWASM_OK;
}

static int32_t proxy_continue_stream(void *unused, int32_t type)
{
    (void)unused;
    HOST_ENTER(vm, type);
    return go_on(vm, (uint32_t)type);
}

static int32_t proxy_continue_request(void *unused)
{
    (void)unused;
    HOST_ENTER(vm);
    return go_on(vm, PWASM_REQUEST);
}

static int32_t proxy_continue_response(void *unused)
{
    (void)unused;
    HOST_ENTER(vm);
    return go_on(vm, PWASM_RESPONSE);
}

static int32_t proxy_close_stream(void *unused, int32_t type)
{
    (void)unused;
    HOST_ENTER(vm, type);
    struct pwasm_context *c = pwasm_acting(vm);
    if ((uint32_t)type > PWASM_UPSTREAM)
        return PWASM_BAD_ARGUMENT;
    if (c->ops)
        pwasm_action_add(vm, c, PWASM_CLOSE, (enum pwasm_stream)type);
    return PWASM_OK;
}

enum { DETAILS_MAX = 256, GRPC_STATUS_MAX = 16, STATUS_MIN = 200, STATUS_MAX = 599 };

/* What a local reply may carry of its own: the message's frame is the proxy's. */
static void drop_framing(struct headers *h)
{
    static const char *const names[] = {":method", ":path",          ":authority",       ":scheme",
                                        ":status", "content-length", "transfer-encoding"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        headers_remove(h, str_of(names[i]));
}

static int32_t proxy_send_local_response(void *unused, int32_t status, int32_t details,
                                         int32_t details_n, int32_t body, int32_t body_n,
                                         int32_t pairs, int32_t pairs_n, int32_t grpc_status)
{
    (void)unused;
    HOST_ENTER(vm, status, details, details_n, body, body_n, pairs, pairs_n, grpc_status);
    struct pwasm_context *c = pwasm_acting(vm);
    struct str details_str, body_str, pairs_str;
    if (!guest_str(details, details_n, &details_str) || !guest_str(body, body_n, &body_str) ||
        !guest_str(pairs, pairs_n, &pairs_str))
        return PWASM_INVALID_MEMORY;
    if (!c->ops)
        return PWASM_OK;
    char text[DETAILS_MAX];
    size_t n = details_str.n < sizeof(text) ? details_str.n : sizeof(text);
    for (size_t i = 0; i < n; i++)
        text[i] = isgraph((unsigned char)details_str.p[i]) ? details_str.p[i] : '_';
    struct headers headers = {0};
    pairs_decode(pairs_str, &headers);
    drop_framing(&headers);
    if (status < STATUS_MIN || status > STATUS_MAX)
        status = 500;
    if (grpc_status < 0 || grpc_status > GRPC_STATUS_MAX)
        grpc_status = -1;
    pwasm_action_add_reply(vm, c, (unsigned)status, (struct str){text, n}, body_str, &headers,
                           grpc_status);
    headers_fini(&headers);
    return PWASM_OK;
}

static int32_t proxy_clear_route_cache(void *unused)
{
    (void)unused;
    HOST_ENTER(vm);
    struct pwasm_context *c = pwasm_acting(vm);
    if (c->ops)
        c->ops->on_route_change(c);
    return PWASM_OK;
}

/* ---- properties ---- */

/* Components are joined by NUL; one more at the end is tolerated. */
static bool split_path(struct str s, struct pwasm_path *path)
{
    path->n = 0;
    if (s.n && s.p[s.n - 1] == 0)
        s.n--;
    while (s.n) {
        const char *nul = memchr(s.p, 0, s.n);
        size_t n = nul ? (size_t)(nul - s.p) : s.n;
        if (path->n == PWASM_PATH_MAX)
            return false;
        path->part[path->n++] = (struct str){s.p, n};
        if (!nul)
            break;
        s = (struct str){nul + 1, s.n - n - 1};
    }
    return path->n > 0;
}

/* Properties of the plugin itself, there in any context. */
static bool own_property(const struct pwasm_vm *vm, const struct pwasm_path *path, struct str *s_r)
{
    const struct conf_plugin *conf = vm->conf;
    if (path->n != 1)
        return false;
    if (str_is(path->part[0], "plugin_name"))
        *s_r = str_of(conf->name);
    else if (str_is(path->part[0], "plugin_root_id"))
        *s_r = str_of(conf->root_id);
    else if (str_is(path->part[0], "plugin_vm_id"))
        *s_r = str_of(conf->vm_id);
    else
        return false;
    return true;
}

static enum pwasm_status find_property(const struct pwasm_vm *vm, const struct pwasm_path *path,
                                       struct sbuf *value)
{
    struct pwasm_context *c = pwasm_acting(vm);
    struct str state;
    if (str_is(path->part[0], "node"))
        return pwasm_node_property(path, 1, value);
    if (path->n > 1 && str_is(path->part[0], "xds") && str_is(path->part[1], "node"))
        return pwasm_node_property(path, 2, value);
    if (!c->ops)
        return PWASM_NOT_FOUND;
    enum pwasm_status st = c->ops->property(c, path, value);
    if (st == PWASM_NOT_FOUND && path->n == 1 && c->ops->get_state(c, path->part[0], &state)) {
        sbuf_add(value, state.p, state.n);
        st = PWASM_OK;
    }
    return st;
}

static int32_t proxy_get_property(void *unused, int32_t path, int32_t path_n, int32_t out_ptr,
                                  int32_t out_len)
{
    (void)unused;
    HOST_ENTER_BYTES(vm, path, path_n, out_ptr, out_len);
    struct str bytes, own;
    struct pwasm_path parts;
    if (!guest_str(path, path_n, &bytes))
        return -1 - PWASM_INVALID_MEMORY;
    if (!bytes.n)
        return -1 - PWASM_SERIALIZATION_FAILURE;
    if (!split_path(bytes, &parts))
        return -1 - PWASM_NOT_FOUND;
    if (own_property(vm, &parts, &own))
        return pwasm_out_str(vm, own);
    struct sbuf value = {0};
    enum pwasm_status st = find_property(vm, &parts, &value);
    int32_t n =
        st == PWASM_OK ? pwasm_out_str(vm, (struct str){value.p, value.n}) : -1 - (int32_t)st;
    sbuf_fini(&value);
    return n;
}

static int32_t proxy_set_property(void *unused, int32_t path, int32_t path_n, int32_t value,
                                  int32_t value_n)
{
    (void)unused;
    HOST_ENTER(vm, path, path_n, value, value_n);
    struct pwasm_context *c = pwasm_acting(vm);
    struct str key, bytes;
    if (!guest_str(path, path_n, &key) || !guest_str(value, value_n, &bytes))
        return PWASM_INVALID_MEMORY;
    if (!c->ops)
        return PWASM_NOT_FOUND;
    struct str old;
    if (pwasm_is_read_only(vm, key) && c->ops->get_state(c, key, &old))
        return PWASM_BAD_ARGUMENT;
    return (int32_t)c->ops->set_state(c, key, bytes);
}

static const struct pwasm_func funcs[] = {
    {"proxy_continue_stream", "i:i", (void *)proxy_continue_stream, PWASM_PLAIN},
    {"proxy_continue_request", ":i", (void *)proxy_continue_request, PWASM_PLAIN},
    {"proxy_continue_response", ":i", (void *)proxy_continue_response, PWASM_PLAIN},
    {"proxy_close_stream", "i:i", (void *)proxy_close_stream, PWASM_PLAIN},
    {"proxy_send_local_response", "iiiiiiii:i", (void *)proxy_send_local_response, PWASM_PLAIN},
    {"proxy_clear_route_cache", ":i", (void *)proxy_clear_route_cache, PWASM_PLAIN},
    {"proxy_get_property", "iiii:i", (void *)proxy_get_property, 2},
    {"proxy_set_property", "iiii:i", (void *)proxy_set_property, PWASM_PLAIN},
};
const struct pwasm_funcs pwasm_funcs_stream = {funcs, ARRAY_LEN(funcs)};
