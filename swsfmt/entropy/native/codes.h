/* Lengths of codewords, of which codes.c and lengths.c make use. */
#ifndef SWSFMT_CODES_H
#define SWSFMT_CODES_H

#include "kernels.h"

/* Optimal lengths, each at most `limit`. in counts: `n` >= 2 of them, ascending; n is at most 2**limit.
 * out lengths: n. Returns 0 where there is no memory. */
int package_merge(const int64_t *counts, size_t n, int limit, uint8_t *lengths);

#endif
