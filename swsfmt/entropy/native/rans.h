/* Interleaved rANS with a table of frequencies for each pair of a row class and a column class (spec 6.8).
 *
 * A state is a word of 32 bits, at least RANS_LOW between two symbols. The rows of a chunk are coded class by class, and
 * element k of that sequence by lane k mod lanes.
 */
#ifndef SWSFMT_RANS_H
#define SWSFMT_RANS_H

#include <stdlib.h>

#include "arguments.h"

enum { MIN_RANS_BITS = 10, MAX_RANS_BITS = 12, RANS_LOW = 1 << 16, MAX_RANS_LANES = 64 };
enum { MAX_LINE_CLASSES = 8, MAX_RANS_ALPHABET = 1024 };

/* Elements that are coded in one go; a multiple of all numbers of lanes. */
enum { RANS_BLOCK = 2048 };

/* The classes of a matrix.
 * rows, columns: the class of each. row_classes, column_classes: how many there are. */
typedef struct {
    const uint8_t *rows, *columns;
    size_t row_count, column_count, row_classes, column_classes;
} Classes;

/* The largest label, 0 if there are none: a loop of which the compiler can make vectors. */
static inline size_t largest_label(const uint8_t *labels, size_t n)
{
    uint8_t most = 0;
    for (size_t i = 0; i < n; i++)
        most = labels[i] > most ? labels[i] : most;
    return most;
}

/* Whether all labels are below the numbers of classes, and these within bounds. */
static inline int are_classes(const Classes *c)
{
    return c->row_classes >= 1 && c->row_classes <= MAX_LINE_CLASSES && c->column_classes >= 1 &&
           c->column_classes <= MAX_LINE_CLASSES && c->column_count >= 1 &&
           largest_label(c->rows, c->row_count) < c->row_classes &&
           largest_label(c->columns, c->column_count) < c->column_classes;
}

static inline int is_lanes(Py_ssize_t lanes)
{
    return lanes >= 1 && lanes <= MAX_RANS_LANES && (lanes & (lanes - 1)) == 0;
}

/* A place in a chunk whose rows are taken in some order. order: the number of each row; NULL where there is one class, and
 * rows come as they are. at: how many rows are behind. */
typedef struct {
    const Classes *c;
    const uint32_t *order;
    size_t at, column;
} Walk;

static inline size_t row_of(const Walk *w)
{
    return w->order == NULL ? w->at : w->order[w->at];
}

/* Go on by `n` elements, at most to the end of the row. */
static inline void advance(Walk *w, size_t n)
{
    w->column += n;
    if (w->column == w->c->column_count) {
        w->column = 0;
        w->at++;
    }
}

/* The order in which the rows of a chunk are coded, to be given back. Returns 0 where there is no memory. */
static inline int rows_by_class(const Classes *c, uint32_t **order)
{
    *order = NULL;
    if (c->row_classes == 1)
        return 1;
    uint32_t *next = *order = calloc(c->row_count + 1, sizeof **order);
    if (next == NULL)
        return 0;
    for (size_t class = 0; class < c->row_classes; class++)
        for (size_t i = 0; i < c->row_count; i++)
            if (c->rows[i] == class)
                *next++ = (uint32_t)i;
    return 1;
}

/* The number of the pair of classes of each of the next `n` elements, times `factor`. */
static inline void next_pairs(Walk *w, size_t n, uint32_t factor, uint32_t *out)
{
    const Classes *c = w->c;
    while (n > 0) {
        size_t left = c->column_count - w->column, run = left < n ? left : n;
        assert(w->at < c->row_count);
        const uint8_t *columns = c->columns + w->column;
        uint32_t first = (uint32_t)(c->rows[row_of(w)] * c->column_classes);
        for (size_t k = 0; k < run; k++)
            out[k] = (first + columns[k]) * factor;
        out += run;
        n -= run;
        advance(w, run);
    }
}

#endif
