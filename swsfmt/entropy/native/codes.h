/* What codes cost: shared by codes.c, lengths.c, gaps.c and cheapest_gaps.c. */
#ifndef SWSFMT_CODES_H
#define SWSFMT_CODES_H

#include "kernels.h"

/* Optimal lengths, each at most `limit`. in counts: `n` >= 2 of them, ascending; n is at most 2**limit.
 * out lengths: n. Returns 0 where there is no memory. */
int package_merge(const int64_t *counts, size_t n, int limit, uint8_t *lengths);

/* A code that came before. reference: bits of a reference to it. */
typedef struct {
    const uint8_t *lengths;
    size_t alphabet;
    int single, reference;
} Earlier;

/* Whether a table as an argument, (lengths, single, reference), may be one of `n` symbols: quicker than its buffer. */
int is_table_of(PyObject *table, size_t n);

/* What a stream may be written in: fields; and, if `huffman`, new codes of its counts and of smoothed ones, and tables. */
typedef struct {
    int huffman;
    const uint8_t *windows;
    size_t tries;
    const Earlier *of_tables;
    size_t tables;
} Choice;

/* Bits of the shortest stream of symbols with these counts, with its table or reference; `most` where it is not less,
 * -1 where there is no memory. in counts: `n`, 1 to PATTERNS, not all of them 0. entropy: no code has a shorter stream. */
int64_t cheapest_stream(const int64_t *counts, size_t n, int64_t entropy, const Choice *choice, int64_t most);

/* gaps.c */

/* How often each symbol of `pbits` bits occurs. Returns how many symbols there are, with the skips.
 * in gaps, counts: `n`, the gaps not negative. out of_symbols: 2**pbits. */
int64_t gap_counts(const int64_t *gaps, const int64_t *counts, size_t n, int pbits, int64_t *of_symbols);

#endif
