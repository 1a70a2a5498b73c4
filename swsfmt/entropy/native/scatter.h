/* Elements to the places where gaps lead. */
#ifndef SWSFMT_SCATTER_H
#define SWSFMT_SCATTER_H

#include "bits.h"

/* Where the positions of a matrix of lines * line_length lie in the tensor: at line_offsets[line] +
 * place_offsets[place], or at the position itself where these are NULL. */
typedef struct {
    const int64_t *line_offsets, *place_offsets;
    uint64_t lines, line_length;
} Geometry;

/* Whether the positions `first` to last - 1 lie within a tensor of `size` elements. */
static inline int lie_within(const Geometry *g, uint64_t first, uint64_t last, uint64_t size)
{
    assert(first <= last && last <= g->lines * g->line_length);
    if (g->line_offsets == NULL)
        return last <= size;
    if (first == last)
        return 1;
    int64_t low = 0, high = 0, low_place = g->place_offsets[0], high_place = low_place;
    uint64_t line = first / g->line_length, last_line = (last - 1) / g->line_length;
    low = high = g->line_offsets[line];
    for (; line <= last_line; line++) {
        low = g->line_offsets[line] < low ? g->line_offsets[line] : low;
        high = g->line_offsets[line] > high ? g->line_offsets[line] : high;
    }
    for (uint64_t place = 1; place < g->line_length; place++) {
        low_place = g->place_offsets[place] < low_place ? g->place_offsets[place] : low_place;
        high_place = g->place_offsets[place] > high_place ? g->place_offsets[place] : high_place;
    }
    return low >= 0 && low_place >= 0 && (uint64_t)high + (uint64_t)high_place < size;
}

/* Put the elements of `n` gap symbols, from `position` on; the caller has checked that all positions lie in the matrix
 * and in the tensor. in gaps: n. in from: an element for each gap that is not `skip`. in out to: the tensor, which is
 * zero from there on. Returns the number of elements. */
#define SCATTER(TYPE)                                                                                                  \
    static inline size_t scatter_##TYPE(const Geometry *g, uint64_t position, const uint16_t *gaps, size_t n,          \
                                        uint16_t skip, const TYPE *from, TYPE *to)                                     \
    {                                                                                                                  \
        const TYPE *start = from;                                                                                      \
        if (g->line_offsets == NULL) {                                                                                 \
            TYPE *at = to + position;                                                                                  \
            /* Skips at the end lead to no element: behind them nothing may be written or read. */                     \
            while (n > 0 && gaps[n - 1] == skip)                                                                       \
                n--;                                                                                                   \
            for (size_t i = 0; i < n; i++) {                                                                           \
                size_t is_entry = gaps[i] != skip;                                                                     \
                at += gaps[i];                                                                                         \
                *at = (TYPE)(*from & (TYPE)(0 - is_entry));                                                            \
                at += is_entry;                                                                                        \
                from += is_entry;                                                                                      \
            }                                                                                                          \
            return (size_t)(from - start);                                                                             \
        }                                                                                                              \
        uint64_t line = position / g->line_length, place = position % g->line_length;                                  \
        for (size_t i = 0; i < n; i++) {                                                                               \
            place += gaps[i];                                                                                          \
            while (place >= g->line_length) {                                                                          \
                place -= g->line_length;                                                                               \
                line++;                                                                                                \
            }                                                                                                          \
            if (gaps[i] != skip)                                                                                       \
                to[g->line_offsets[line] + g->place_offsets[place++]] = *from++;                                       \
        }                                                                                                              \
        return (size_t)(from - start);                                                                                 \
    }

SCATTER(uint8_t)
SCATTER(uint16_t)
SCATTER(uint32_t)
SCATTER(uint64_t)

static inline size_t scatter(const Geometry *g, uint64_t position, const uint16_t *gaps, size_t n, uint16_t skip,
                      const void *from, void *to, int bytes)
{
    if (bytes == 1)
        return scatter_uint8_t(g, position, gaps, n, skip, from, to);
    if (bytes == 2)
        return scatter_uint16_t(g, position, gaps, n, skip, from, to);
    if (bytes == 4)
        return scatter_uint32_t(g, position, gaps, n, skip, from, to);
    assert(bytes == 8);
    return scatter_uint64_t(g, position, gaps, n, skip, from, to);
}

#endif
