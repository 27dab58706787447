/* See istio_alpn.c. [worker] */
#ifndef FILTERS_ISTIO_ALPN_H
#define FILTERS_ISTIO_ALPN_H

#include "http/filter.h"

extern const struct http_filter_ops istio_alpn_filter_ops;

#endif
