/* The connection below a stream: which host of the server, with which credentials, and which
 * method. Files are read again for each new connection, so that a rotated certificate is used by
 * the next one. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "xds/ads_private.h"

enum { PEM_MAX = 1 << 20 };

static const struct {
    const char *service, *sotw, *delta; /* NULL: has no such form */
} services[XDS_TYPE_COUNT] = {
    [XDS_CDS] = {"cluster.v3.ClusterDiscoveryService", "StreamClusters", "DeltaClusters"},
    [XDS_EDS] = {"endpoint.v3.EndpointDiscoveryService", "StreamEndpoints", "DeltaEndpoints"},
    [XDS_LDS] = {"listener.v3.ListenerDiscoveryService", "StreamListeners", "DeltaListeners"},
    [XDS_RDS] = {"route.v3.RouteDiscoveryService", "StreamRoutes", "DeltaRoutes"},
    [XDS_ECDS] = {"extension.v3.ExtensionConfigDiscoveryService", "StreamExtensionConfigs",
                  "DeltaExtensionConfigs"},
    [XDS_SDS] = {"secret.v3.SecretDiscoveryService", "StreamSecrets", "DeltaSecrets"},
    [XDS_RTDS] = {"runtime.v3.RuntimeDiscoveryService", "StreamRuntime", "DeltaRuntime"},
    [XDS_SRDS] = {"route.v3.ScopedRoutesDiscoveryService", "StreamScopedRoutes",
                  "DeltaScopedRoutes"},
    [XDS_VHDS] = {"route.v3.VirtualHostDiscoveryService", NULL, "DeltaVirtualHosts"},
};

static void format_method(const struct ads *a, struct sbuf *out)
{
    if (a->server->is_aggregated) {
        sbuf_printf(out, "/envoy.service.discovery.v3.AggregatedDiscoveryService/%s",
                    a->is_delta ? "DeltaAggregatedResources" : "StreamAggregatedResources");
        return;
    }
    const char *method = a->is_delta ? services[a->only].delta : services[a->only].sotw;
    sbuf_printf(out, "/envoy.service.%s/%s", services[a->only].service, method);
}

bool ads_has_method(enum xds_type t, bool is_delta)
{
    return is_delta || services[t].sotw;
}

/* ---- credentials ---- */

static int read_pem(const struct xds_pem *pem, char **text_r, struct error *err)
{
    *text_r = NULL;
    if (!pem->path) {
        *text_r = pem->text.n ? mem_strndup(pem->text.p, pem->text.n) : NULL;
        return 0;
    }
    int fd = open(pem->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, errno, "%s", pem->path);
    struct sbuf text = {0};
    char chunk[4096];
    ssize_t n;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0 && text.n <= PEM_MAX)
        sbuf_add(&text, chunk, (size_t)n);
    close(fd);
    if (n || !text.n) {
        sbuf_fini(&text);
        return error_set(err, ERR_INVALID, "%s: unreadable, empty or too large", pem->path);
    }
    *text_r = sbuf_take(&text);
    return 0;
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    mem_free(text);
}

static int create_client(struct ads *a, const struct xds_target *t, struct error *err)
{
    char *ca = NULL, *cert = NULL, *key = NULL;
    struct grpc_client_options o = {
        .loop = a->loop,
        .target = t->address,
        .authority = t->authority,
        .message_max = t->message_max ? t->message_max : ADS_MESSAGE_MAX,
        .has_keepalive = true,
    };
    int rc = 0;
    if (t->tls) {
        rc = read_pem(&t->tls->ca, &ca, err);
        if (!rc)
            rc = read_pem(&t->tls->cert, &cert, err);
        if (!rc)
            rc = read_pem(&t->tls->key, &key, err);
        o.server_name = t->tls->name;
        /* Without authorities it would go in the clear. */
        if (!rc && (!ca || !cert != !key))
            rc = error_set(err, ERR_INVALID,
                           "TLS: a trusted CA, or half of a certificate, is "
                           "missing");
    }
    o.ca = ca;
    o.cert = cert;
    o.key = key;
    if (!rc)
        rc = grpc_client_create(&o, &a->client, err);
    mem_free(ca);
    mem_free(cert);
    wipe(key);
    return rc;
}

/* ---- streams ---- */

int ads_connect(struct ads *a, struct error *err)
{
    const struct xds_target *t = &a->server->targets[a->target];
    if (!a->client && create_client(a, t, err))
        return -ERR_IO;
    struct sbuf method = {0};
    const struct grpc_stream_ops ops = {ads_on_message, ads_on_closed, a};
    format_method(a, &method);
    a->stream = grpc_stream_open(a->client, method.p, (const struct grpc_metadatum *)t->metadata,
                                 t->metadata_n, &ops);
    sbuf_fini(&method);
    return 0;
}

void ads_disconnect(struct ads *a, bool has_worked)
{
    /* What never answered is left for the next host. */
    if (!has_worked && a->server->targets_n > 1)
        a->target = (a->target + 1) % a->server->targets_n;
    else if (!a->server->targets[a->target].tls)
        return; /* the channel connects again by itself */
    grpc_client_destroy(&a->client);
}
