/* Bins of a histogram: two significant decimal digits each, as in libcircllhist, which Envoy uses:
 * every integer below 100 its own, then 90 to a decade. Blocks of them are allocated when their
 * first sample comes. [any] thread, one at a time. */
#ifndef BASE_STAT_HIST_H
#define BASE_STAT_HIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STAT_HIST_BLOCKS = 10,     /* up to 10^11; what is above counts as the last bin */
    STAT_HIST_BLOCK_BINS = 100 /* 90 but in the first */
};

struct stat_hist {
    uint64_t count;
    double sum;
    uint64_t *block[STAT_HIST_BLOCKS]; /* NULL: empty */
};

/* Where a sample counts. */
void stat_hist_place(uint64_t value, unsigned *block_r, unsigned *bin_r);
void stat_hist_add(struct stat_hist *h, unsigned block, unsigned bin, uint64_t n);
void stat_hist_fini(struct stat_hist *h);
/* The same without room for what it does not hold; zero-initialised it is empty. */
struct stat_packed {
    double sum;
    size_t n;
    struct stat_packed_bin *v;
};
void stat_hist_pack(const struct stat_hist *h, struct stat_packed *out);
void stat_hist_unpack(const struct stat_packed *p, struct stat_hist *out);
void stat_packed_fini(struct stat_packed *p);
/* h less what it was earlier. */
void stat_hist_difference(const struct stat_hist *h, const struct stat_hist *before,
                          struct stat_hist *out);
/* The quantiles that are shown, 0 to 1. */
enum { STAT_QUANTILES = 10 };
extern const double stat_quantiles[STAT_QUANTILES];
/* Where the sample of that rank is if those of a bin are spread evenly in it, as libcircllhist has
 * it; q from 0 to 1, h not empty. */
double stat_hist_quantile(const struct stat_hist *h, double q);
/* Bins that hold samples, in order: size_t it = 0; while (stat_hist_next(h, &it, &bin)) ... */
struct stat_bin {
    double start, width;
    uint64_t n;
};
bool stat_hist_next(const struct stat_hist *h, size_t *it, struct stat_bin *bin_r);
/* counts[i]: samples of bins that begin at or below bounds[i]; these rise. */
void stat_hist_below(const struct stat_hist *h, const double *bounds, size_t n, uint64_t *counts);

#endif
