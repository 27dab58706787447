/* Hashes of listeners. An inline plugin's configuration is left out, so that a change of it swaps
 * the VM and leaves the listener alone. What stands inside an Any (the connection manager with its
 * HTTP filters) is hashed when it is decoded and blanked in the message around it. */
#include "xds/decode_private.h"

typedef Envoy__Config__Listener__V3__Listener listener_msg;
typedef Envoy__Config__Listener__V3__FilterChain chain_msg;
typedef Envoy__Config__Listener__V3__Filter filter_msg;

static bool is_type(const Google__Protobuf__Any *any, const char *type)
{
    return str_is(pb_any_type(any), type);
}

static bool is_wasm(const Google__Protobuf__Any *any)
{
    return is_type(any, "envoy.extensions.filters.http.wasm.v3.Wasm") ||
           is_type(any, "envoy.extensions.filters.network.wasm.v3.Wasm");
}

uint64_t decode_hash(const ProtobufCMessage *msg, uint64_t seed)
{
    size_t n = protobuf_c_message_get_packed_size(msg);
    uint8_t *bytes = mem_alloc(n + 1);
    protobuf_c_message_pack(msg, bytes);
    uint64_t hash = hash_xx64(bytes, n, seed);
    mem_free(bytes);
    return hash;
}

uint64_t decode_hash_hcm(const struct decode *d, const hcm_msg *m)
{
    size_t n = m->n_http_filters;
    http_filter_msg *copies = mem_zalloc((n + 1) * sizeof(*copies));
    http_filter_msg **pointers = mem_zalloc((n + 1) * sizeof(*pointers));
    hcm_msg hcm = *m;
    for (size_t i = 0; i < n; i++) {
        copies[i] = *m->http_filters[i];
        pointers[i] = &copies[i];
        if (copies[i].config_type_case ==
                ENVOY__EXTENSIONS__FILTERS__NETWORK__HTTP_CONNECTION_MANAGER__V3__HTTP_FILTER__CONFIG_TYPE_TYPED_CONFIG &&
            is_wasm(copies[i].typed_config))
            copies[i].typed_config = NULL;
    }
    hcm.http_filters = pointers;
    uint64_t hash = decode_hash(&hcm.base, d->hash);
    mem_free(pointers);
    mem_free(copies);
    return hash;
}

uint64_t decode_hash_chain(const struct decode *d, const chain_msg *m)
{
    size_t n = m->n_filters;
    filter_msg *copies = mem_zalloc((n + 1) * sizeof(*copies));
    filter_msg **pointers = mem_zalloc((n + 1) * sizeof(*pointers));
    chain_msg chain = *m;
    for (size_t i = 0; i < n; i++) {
        copies[i] = *m->filters[i];
        pointers[i] = &copies[i];
        if (copies[i].config_type_case ==
                ENVOY__CONFIG__LISTENER__V3__FILTER__CONFIG_TYPE_TYPED_CONFIG &&
            (is_wasm(copies[i].typed_config) ||
             is_type(copies[i].typed_config, "envoy.extensions.filters.network.http_connection_"
                                             "manager.v3.HttpConnectionManager")))
            copies[i].typed_config = NULL;
    }
    chain.filters = pointers;
    uint64_t hash = decode_hash(&chain.base, d->hash);
    mem_free(pointers);
    mem_free(copies);
    return hash;
}

void decode_hash_listener(const listener_msg *m, struct conf_listener *out)
{
    listener_msg l = *m;
    l.n_filter_chains = 0;
    l.default_filter_chain = NULL;
    out->base_hash = decode_hash(&l.base, 0);
    uint64_t hash = out->base_hash;
    for (size_t i = 0; i < out->chains_n; i++)
        hash = hash_xx64(&out->chains[i].hash, sizeof(hash), hash);
    if (out->default_chain)
        hash = hash_xx64(&out->default_chain->hash, sizeof(hash), hash + 1);
    out->object.hash = hash;
}
