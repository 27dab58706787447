/* Metrics that plugins define: process-wide under "wasmcustom.NAME", shared by all VMs that name
 * them. [any] thread. Source: proxy_define_metric, Envoy's custom stats. */
#ifndef WASM_METRICS_H
#define WASM_METRICS_H

#include "base/stat.h"

struct pwasm_metric;

enum { PWASM_METRIC_NAME_MAX = 512 };

/* One more reference to the metric. NULL: the name is too long or stands for another kind. */
struct pwasm_metric *metric_ref(enum stat_kind kind, struct str name);
enum stat_kind metric_kind(const struct pwasm_metric *m);
void metric_add(struct pwasm_metric *m, int64_t delta); /* counter, gauge */
void metric_set(struct pwasm_metric *m, uint64_t v);    /* gauge */
void metric_record(struct pwasm_metric *m, uint64_t v); /* histogram */
uint64_t metric_get(const struct pwasm_metric *m);      /* counter, gauge */
/* Releases n references and the array. */
void metrics_release(struct pwasm_metric **v, size_t n);

#endif
