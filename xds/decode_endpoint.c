#include "xds/decode_private.h"

typedef Envoy__Config__Endpoint__V3__ClusterLoadAssignment assignment_msg;
typedef Envoy__Config__Endpoint__V3__LocalityLbEndpoints locality_msg;
typedef Envoy__Config__Endpoint__V3__LbEndpoint endpoint_msg;

enum { PRIORITY_MAX = 128 };

static enum conf_health health_of(Envoy__Config__Core__V3__HealthStatus status)
{
    switch (status) {
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__UNHEALTHY:
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__TIMEOUT:
        return CONF_UNHEALTHY;
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__DRAINING:
        return CONF_DRAINING;
    case ENVOY__CONFIG__CORE__V3__HEALTH_STATUS__DEGRADED:
        return CONF_DEGRADED;
    default:
        return CONF_HEALTHY;
    }
}

/* A name is left for the resolver; literal addresses are taken as they are. */
static int set_address(struct decode *d, const Envoy__Config__Core__V3__Address *a,
                       bool takes_names, struct conf_endpoint *e, struct error *err)
{
    const Envoy__Config__Core__V3__SocketAddress *s;
    struct addr literal;
    if (!takes_names || !a ||
        a->address_case != ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_SOCKET_ADDRESS) {
        if (!decode_address(a, &e->address, err))
            return 0;
        if (a && a->address_case == ENVOY__CONFIG__CORE__V3__ADDRESS__ADDRESS_SOCKET_ADDRESS &&
            addr_from_ip(str_of(a->socket_address->address), 0, &literal, NULL))
            error_set(err, ERR_INVALID,
                      "address.socket_address.address: malformed IP address: %s. Consider setting "
                      "resolver_name or setting cluster type to 'STRICT_DNS' or 'LOGICAL_DNS'",
                      a->socket_address->address);
        return error_code(err);
    }
    s = a->socket_address;
    if (!addr_from_ip(str_of(s->address), 0, &literal, NULL))
        return decode_address(a, &e->address, err);
    if (s->protocol != ENVOY__CONFIG__CORE__V3__SOCKET_ADDRESS__PROTOCOL__TCP)
        return error_set(err, ERR_UNSUPPORTED,
                         "address.socket_address.protocol: only TCP is "
                         "supported");
    if (s->port_specifier_case !=
            ENVOY__CONFIG__CORE__V3__SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE ||
        s->port_value > UINT16_MAX)
        return error_set(err, ERR_INVALID,
                         "address.socket_address.port_value: must be within 0 and 65535");
    if (!*s->address)
        return error_set(err, ERR_INVALID, "address.socket_address.address: must not be empty");
    e->hostname = decode_text(d, s->address);
    e->port = (uint16_t)s->port_value;
    return 0;
}

static int decode_endpoint(struct decode *d, const endpoint_msg *m, bool takes_names,
                           struct conf_endpoint *e, struct error *err)
{
    if (m->host_identifier_case !=
        ENVOY__CONFIG__ENDPOINT__V3__LB_ENDPOINT__HOST_IDENTIFIER_ENDPOINT)
        return m->host_identifier_case
                   ? error_set(err, ERR_UNSUPPORTED, "endpoint_name: not supported")
                   : error_set(err, ERR_INVALID, "host_identifier: required");
    e->hostname = decode_text(d, m->endpoint->hostname);
    e->weight = pb_u32(m->load_balancing_weight, 1);
    e->health = health_of(m->health_status);
    decode_socket_values(d, m->metadata, e);
    if (!e->weight)
        return error_set(err, ERR_INVALID, "load_balancing_weight: must be at least 1");
    if (set_address(d, m->endpoint->address, takes_names, e, err))
        return error_prefix(err, "endpoint.");
    return 0;
}

static int decode_locality(struct decode *d, const locality_msg *m, bool takes_names,
                           struct conf_endpoints *out, struct error *err)
{
    const Envoy__Config__Core__V3__Locality *l = m->locality;
    const char *region = l ? decode_text(d, l->region) : "";
    const char *zone = l ? decode_text(d, l->zone) : "";
    const char *sub_zone = l ? decode_text(d, l->sub_zone) : "";
    if (m->priority > PRIORITY_MAX)
        return error_set(err, ERR_INVALID, "priority: must not be above %d", PRIORITY_MAX);
    for (size_t i = 0; i < m->n_lb_endpoints; i++) {
        struct conf_endpoint *e = &out->v[out->n];
        if (decode_endpoint(d, m->lb_endpoints[i], takes_names, e, err))
            return error_prefix(err, "lb_endpoints[%zu].", i);
        if (!e->socket_values)
            decode_socket_values(d, m->metadata, e);
        e->priority = m->priority;
        e->region = region;
        e->zone = zone;
        e->sub_zone = sub_zone;
        out->n++;
    }
    return 0;
}

int decode_endpoints_message(const assignment_msg *m, bool takes_names,
                             struct conf_endpoints **endpoints_r, struct error *err)
{
    struct conf_endpoints *out = conf_object_create(sizeof(*out), m->cluster_name);
    struct decode d = {.out = &out->object.arena};
    size_t n = 0;
    int rc = 0;
    for (size_t i = 0; i < m->n_endpoints; i++)
        n += m->endpoints[i]->n_lb_endpoints;
    out->v = DECODE_ARRAY(&d, struct conf_endpoint, n);
    for (size_t i = 0; i < m->n_endpoints && !rc; i++)
        if ((rc = decode_locality(&d, m->endpoints[i], takes_names, out, err)))
            error_prefix(err, "endpoints[%zu].", i);
    *endpoints_r = rc ? NULL : out;
    if (rc)
        conf_object_unref(out);
    return rc;
}

int decode_endpoints(struct str bytes, const struct pb_unknown *unknown,
                     struct conf_endpoints **endpoints_r, struct error *err)
{
    struct decode d;
    ProtobufCMessage *msg;
    *endpoints_r = NULL;
    int rc =
        decode_begin(&d, bytes, unknown,
                     &envoy__config__endpoint__v3__cluster_load_assignment__descriptor, &msg, err);
    if (!rc && !*((const assignment_msg *)msg)->cluster_name)
        rc = error_set(err, ERR_INVALID, "cluster_name: must not be empty");
    if (!rc)
        rc = decode_endpoints_message((const assignment_msg *)msg, false, endpoints_r, err);
    if (!rc)
        (*endpoints_r)->object.hash = hash_xx64(bytes.p, bytes.n, 0);
    decode_end(&d);
    return rc;
}
