#include "base/stat_hist.h"

#include "base/mem.h"

const double stat_quantiles[STAT_QUANTILES] = {0,    0.25, 0.5,   0.75,  0.9,
                                               0.95, 0.99, 0.995, 0.999, 1};

enum { DECADE_FIRST = 10, DECADE_BINS = 90 };

void stat_hist_place(uint64_t v, unsigned *block_r, unsigned *bin_r)
{
    unsigned block = 1;
    if (v < STAT_HIST_BLOCK_BINS) {
        *block_r = 0;
        *bin_r = (unsigned)v;
        return;
    }
    for (v /= 10; v >= 100; v /= 10)
        block++;
    if (block >= STAT_HIST_BLOCKS) {
        block = STAT_HIST_BLOCKS - 1;
        v = DECADE_FIRST + DECADE_BINS - 1;
    }
    *block_r = block;
    *bin_r = (unsigned)v - DECADE_FIRST;
}

static unsigned bins(unsigned block)
{
    return block ? DECADE_BINS : STAT_HIST_BLOCK_BINS;
}

/* Where a bin begins, and its width: small integers have one of a tenth, 0 has none. */
static double bin_start(unsigned block, unsigned bin, double *width_r)
{
    double width = 1;
    if (!block) {
        *width_r = !bin ? 0 : bin < 10 ? 0.1 : 1;
        return bin;
    }
    for (unsigned i = 0; i < block; i++)
        width *= 10;
    *width_r = width;
    return width * (bin + DECADE_FIRST);
}

void stat_hist_add(struct stat_hist *h, unsigned block, unsigned bin, uint64_t n)
{
    if (!n)
        return;
    if (!h->block[block])
        h->block[block] = mem_zalloc(STAT_HIST_BLOCK_BINS * sizeof(uint64_t));
    h->block[block][bin] += n;
}

void stat_hist_fini(struct stat_hist *h)
{
    for (unsigned b = 0; b < STAT_HIST_BLOCKS; b++)
        mem_free(h->block[b]);
    *h = (struct stat_hist){0};
}

struct stat_packed_bin {
    uint32_t at; /* block and bin as one number */
    uint64_t n;
};

void stat_hist_pack(const struct stat_hist *h, struct stat_packed *out)
{
    size_t it = 0, n = 0;
    struct stat_bin bin;
    while (stat_hist_next(h, &it, &bin))
        n++;
    *out = (struct stat_packed){.sum = h->sum, .v = n ? mem_alloc(n * sizeof(*out->v)) : NULL};
    for (it = 0; stat_hist_next(h, &it, &bin);)
        out->v[out->n++] = (struct stat_packed_bin){(uint32_t)(it - 1), bin.n};
}

void stat_hist_unpack(const struct stat_packed *p, struct stat_hist *out)
{
    *out = (struct stat_hist){.sum = p->sum};
    for (size_t i = 0; i < p->n; i++) {
        stat_hist_add(out, p->v[i].at / STAT_HIST_BLOCK_BINS, p->v[i].at % STAT_HIST_BLOCK_BINS,
                      p->v[i].n);
        out->count += p->v[i].n;
    }
}

void stat_packed_fini(struct stat_packed *p)
{
    mem_free(p->v);
    *p = (struct stat_packed){0};
}

void stat_hist_difference(const struct stat_hist *h, const struct stat_hist *before,
                          struct stat_hist *out)
{
    *out = (struct stat_hist){0};
    for (unsigned b = 0; b < STAT_HIST_BLOCKS; b++)
        for (unsigned i = 0; h->block[b] && i < bins(b); i++) {
            uint64_t was = before->block[b] ? before->block[b][i] : 0;
            uint64_t n = h->block[b][i] > was ? h->block[b][i] - was : 0;
            stat_hist_add(out, b, i, n);
            out->count += n;
        }
    out->sum = h->sum - before->sum;
}

bool stat_hist_next(const struct stat_hist *h, size_t *it, struct stat_bin *bin_r)
{
    for (; *it < STAT_HIST_BLOCKS * STAT_HIST_BLOCK_BINS; ++*it) {
        unsigned b = (unsigned)(*it / STAT_HIST_BLOCK_BINS), i = *it % STAT_HIST_BLOCK_BINS;
        if (!h->block[b])
            *it += STAT_HIST_BLOCK_BINS - 1; /* the whole block */
        if (!h->block[b] || !h->block[b][i])
            continue;
        bin_r->start = bin_start(b, i, &bin_r->width);
        bin_r->n = h->block[b][i];
        ++*it;
        return true;
    }
    return false;
}

double stat_hist_quantile(const struct stat_hist *h, double q)
{
    struct stat_bin bin = {0};
    double wanted = q * (double)h->count;
    uint64_t rank = (uint64_t)wanted, below = 0;
    if (!rank || (double)rank < wanted)
        rank++;
    for (size_t it = 0; stat_hist_next(h, &it, &bin); below += bin.n)
        if (rank <= below + bin.n)
            return bin.start + bin.width * (double)(rank - below) / (double)(bin.n + 1);
    return bin.start + bin.width;
}

void stat_hist_below(const struct stat_hist *h, const double *bounds, size_t n, uint64_t *counts)
{
    uint64_t below = 0;
    struct stat_bin bin;
    size_t i = 0;
    for (size_t it = 0; stat_hist_next(h, &it, &bin); below += bin.n)
        while (i < n && bounds[i] < bin.start)
            counts[i++] = below;
    while (i < n)
        counts[i++] = below;
}
