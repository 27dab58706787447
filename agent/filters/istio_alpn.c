/* istio.alpn: what is offered to upstreams by ALPN depends on what will be spoken to them, so that
 * the peer's sidecar finds the filter chain for HTTP by "istio-http/1.1" and the like. The filter
 * only leaves its lists with the stream; the pool picks (upstream/pool_keyed.c), for it knows the
 * protocol. Source: istio/proxy, source/extensions/filters/http/alpn. */
#include "filters/istio_alpn.h"

#include "http/stream.h"

static enum filter_status on_request(struct http_filter *f, struct headers *h, bool end)
{
    (void)h;
    (void)end;
    f->stream->alpn = f->conf->alpn;
    return FILTER_CONTINUE;
}

const struct http_filter_ops istio_alpn_filter_ops = {
    .name = "istio.alpn",
    .req_headers = on_request,
};
