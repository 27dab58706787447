/* The cluster of a TCP session. */
#include "base/crypto.h"
#include "proxy/tcp_session.h"

/* By its share of the weights' sum. */
static const char *pick_weighted(const struct conf_tcp_proxy *t)
{
    uint64_t random;
    crypto_random(&random, sizeof(random));
    random %= t->weights_sum;
    for (size_t i = 0; i + 1 < t->clusters_n; i++) {
        if (random < t->clusters[i].weight)
            return t->clusters[i].name;
        random -= t->clusters[i].weight;
    }
    return t->clusters[t->clusters_n - 1].name;
}

const char *tcp_session_cluster(const struct tcp_session *s)
{
    const struct conf_filter_chain *chain = s->down.info.chain;
    for (size_t i = 0; i < chain->filters_n; i++)
        if (chain->filters[i].kind == CONF_NET_SNI_CLUSTER && *s->down.info.requested_server_name)
            return s->down.info.requested_server_name;
    return s->conf->clusters_n ? pick_weighted(s->conf) : s->conf->cluster;
}
