/* The formats of a chain's tunneling_config, compiled once. [worker] */
#ifndef PROXY_TCP_TUNNEL_H
#define PROXY_TCP_TUNNEL_H

#include "conf/listener.h"

struct tcp_tunnel_formats;

/* conf NULL: NULL. conf has to stay. */
struct tcp_tunnel_formats *tcp_tunnel_formats_create(const struct conf_tcp_tunnel *conf);
void tcp_tunnel_formats_destroy(struct tcp_tunnel_formats **formats);

#endif
