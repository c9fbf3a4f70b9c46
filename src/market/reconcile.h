/* reconcile.h - our bars of a session against a vendor's. It says how they differ; nothing is corrected by
 * it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct tc_plain_bar {
    int64_t start;
    double open, high, low, close, volume;
};

struct tc_reconcile {
    int64_t compared;                    /* starts that both have */
    int64_t mismatches;                  /* of these: a price or the volume differs */
    int64_t missing_own, missing_vendor; /* starts that only the other has */
    double own_volume, vendor_volume;    /* of all bars */
    int64_t worst;                       /* start of the largest difference in volume; 0 = none differs */
    double worst_volume;                 /* own - vendor there */
};

/* Volumes that differ by less than one part in 1,000, and prices by less than one in 1,000,000, count as
 * equal: vendors round, and apply sale conditions that move a few shares. Both lists rise by start. */
void tc_reconcile(const struct tc_plain_bar *own, size_t n_own, const struct tc_plain_bar *vendor,
                  size_t n_vendor, struct tc_reconcile *out);

/* Adds a bar to a list of longer ones, whose starts are multiples of width; bars come in order. The list has
 * room for one more. Returns its new length. */
size_t tc_plain_fold(struct tc_plain_bar *list, size_t n, const struct tc_plain_bar *bar, int64_t width);
