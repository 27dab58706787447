/* Envoy's well-known tags: what is searched for by expression, then what goes by tokens, as Envoy
 * tries them. Source: Envoy 1.40's well_known_names and what its /stats/prometheus shows. */
#include "base/mem.h"
#include "conf/stat_tags.h"

#define VALUE "[^\\.]+"
#define ADDRESS "(?:(?:\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}|\\[[a-fA-F_\\d]+\\])_\\d+)"
#define WORD "[\\w-]+"
#define ROUTE "[\\w\\-\\.]+"
#define SSL_OF_EITHER(kind, value) "^(?:listener|cluster)\\..*?\\.ssl\\." kind "(\\.(" value "))$"

#define REGEX(tag, text, must)                                  \
    {                                                           \
        .name = "envoy." tag, .pattern = (text), .part = (must) \
    }
#define TOKENS(tag, text)                      \
    {                                          \
        .name = "envoy." tag, .tokens = (text) \
    }

const struct conf_stat_tag conf_stat_default_tags[] = {
    REGEX("response_code", "_rq(_(\\d{3}))$", "_rq_"),
    REGEX("response_code_class", "_rq_((\\d))xx$", "_rq_"),
    REGEX("dynamo_partition_id",
          "^http\\." VALUE "\\.dynamodb\\.table\\." VALUE "\\.capacity\\." VALUE
          "(\\.__partition_id=(\\w{7}))$",
          ".dynamodb.table."),
    REGEX("dynamo_operation",
          "^http\\." VALUE "\\.dynamodb\\.(?:operation|table\\." VALUE "\\.capacity)(\\.(" VALUE
          "))(?:\\.|$)",
          ".dynamodb."),
    REGEX("dynamo_table", "^http\\." VALUE "\\.dynamodb\\.(?:table|error)\\.((" VALUE ")\\.)",
          ".dynamodb."),
    REGEX("ssl_cipher", "^listener\\..*?\\.ssl\\.ciphers(\\.(" WORD "))$", ".ssl.ciphers."),
    REGEX("ssl_curve", SSL_OF_EITHER("curves", WORD), ".ssl.curves."),
    REGEX("ssl_sigalg", SSL_OF_EITHER("sigalgs", WORD), ".ssl.sigalgs."),
    REGEX("ssl_version", SSL_OF_EITHER("versions", "TLSv\\d\\.\\d"), ".ssl.versions."),
    {.name = "cipher_suite", /* this one is not "envoy." */
     .pattern = "^cluster\\." VALUE "\\.ssl\\.ciphers(\\.(" WORD "))$",
     .part = ".ssl.ciphers."},
    REGEX("tls_certificate",
          "^(?:listener|cluster)\\..*?\\.ssl\\.certificate\\.((" VALUE ")\\.).*$",
          ".ssl.certificate."),
    REGEX("health_check_name", "^cluster\\." VALUE "\\.health_check(\\.name\\.(" VALUE "))\\..+",
          ".health_check.name."),
    REGEX("http_conn_manager_prefix", "^listener\\..*?\\.http\\.((" VALUE ")\\.)", ".http."),
    {.name = "envoy.rbac_http_prefix",
     .pattern = "^http\\." VALUE "\\.rbac\\.((" VALUE ")\\.)",
     .part = ".rbac.",
     .but = "policy"},
    REGEX("rbac_policy_name",
          "^http\\." VALUE "\\.rbac\\.(?:" VALUE "\\.)?policy\\.((" VALUE
          ")\\.)(?:allowed|shadow_allowed|denied|shadow_denied)$",
          ".rbac."),
    REGEX("worker_id",
          "^(?:listener\\.(?:" ADDRESS "|" VALUE
          ")|server|listener_manager|thread_local_cluster_manager)\\.worker_((\\d+)\\.)",
          ".worker_"),
    {.name = "envoy.listener_address",
     .pattern = "^listener\\.((" ADDRESS "|" VALUE ")\\.)",
     .but = "admin"},
    REGEX("rds_route_config", "^http\\." VALUE "\\.rds\\.((" ROUTE ")\\.)\\w+?$", ".rds."),
    REGEX("scoped_rds_config", "^http\\." VALUE "\\.scoped_rds\\.((" ROUTE ")\\.)\\w+?$",
          ".scoped_rds."),
    {.name = "envoy.proxy_protocol_prefix",
     .pattern = "^proxy_proto\\.((" VALUE ")\\.).+$",
     .but = "versions"},
    REGEX("proxy_protocol_version", "^proxy_proto\\.((?:" VALUE "\\.)?versions\\.v(\\d)\\.)\\w+$",
          "versions.v"),
    REGEX("xds_resource_name", "^sds\\.((" VALUE ")\\.).+", NULL),

    TOKENS("mongo_callsite", "mongo.*.collection.*.callsite.$.query.**"),
    TOKENS("mongo_collection", "mongo.*.collection.$.**.query.*"),
    TOKENS("mongo_cmd", "mongo.*.cmd.$.**"),
    TOKENS("grpc_bridge_method", "cluster.*.grpc.*.$.**"),
    TOKENS("http_user_agent", "http.*.user_agent.$.**"),
    TOKENS("virtual_cluster", "vhost.*.vcluster.$.**"),
    TOKENS("fault_downstream_cluster", "http.*.fault.$.**"),
    TOKENS("grpc_bridge_service", "cluster.*.grpc.$.**"),
    TOKENS("tcp_prefix", "tcp.$.**"),
    TOKENS("udp_prefix", "udp.$.**"),
    TOKENS("clientssl_prefix", "auth.clientssl.$.**"),
    TOKENS("ratelimit_prefix", "ratelimit.$.**"),
    TOKENS("cluster_name", "cluster.$.**"),
    TOKENS("ext_authz_prefix", "cluster.*.ext_authz.$.**"),
    TOKENS("ext_authz_prefix", "http.*.ext_authz.$.**"),
    TOKENS("http_conn_manager_prefix", "http.$.**"),
    TOKENS("virtual_host", "vhost.$.**"),
    TOKENS("mongo_prefix", "mongo.$.**"),
    TOKENS("route", "vhost.*.route.$.**"),
    TOKENS("thrift_prefix", "thrift.$.**"),
    TOKENS("redis_prefix", "redis.$.**"),
    TOKENS("rbac_prefix", "$.rbac.**"),
    TOKENS("local_http_ratelimit_prefix", "$.http_local_rate_limit.**"),
    TOKENS("local_network_ratelimit_prefix", "local_rate_limit.$.**"),
    TOKENS("local_listener_ratelimit_prefix", "listener_local_ratelimit.$.**"),
    TOKENS("dns_filter_prefix", "dns_filter.$.**"),
    TOKENS("connection_limit_prefix", "connection_limit.$.**"),
    TOKENS("google_grpc_client_prefix", "grpc.$.**"),
};
const size_t conf_stat_default_tags_n = ARRAY_LEN(conf_stat_default_tags);
