/* Gaps between the entries of a matrix, of which entries.c, heads.c and matrix_gaps.c make use. */
#ifndef SWSFMT_ENTRIES_H
#define SWSFMT_ENTRIES_H

#include "kernels.h"

/* Rows top to top + height - 1 and columns left to left + width - 1 of a matrix: its lines are the rows, or the
 * columns. numbers: of the places of a whole line, or NULL. */
typedef struct {
    const uint16_t *symbols;
    size_t columns, top, height, left, width;
    int lines_are_columns;
    const int32_t *numbers;
} Window;

/* The gaps within lines, counted: counts has `countable`. Gaps of that and more, of which there are few, are listed:
 * others has `room`. Of each line: its first and last place that is an entry, or -1, and how many there are. */
typedef struct {
    int64_t *counts, *others, *firsts, *lasts, *entries;
    size_t countable, listed, room;
} LineGaps;

/* Always read row by row, as memory has it. Returns 0 where there are more long gaps than there is room for. */
int line_gaps(const Window *w, LineGaps *g);

/* Ways to count the gap before the first entry of a line: from the start of the line; from the last entry before; and
 * that where lines without entries are left out. */
enum { FRESH, ALL, LIVING, WAYS };

/* The state from one part of a matrix to the next: the position after the last entry, ALL and LIVING, how many lines
 * have entries, and the most entries of a line; how many long gaps are listed, each way. */
typedef struct {
    int64_t cursor[WAYS], rank, most, listed[WAYS];
} State;

/* in lines: firsts, lasts, entries of `n` lines, the first of which has the number `start`. length: places of a line.
 * out live: n. counts: `countable` each way; others: `room` each way. Returns 0 where a place makes no sense. */
int head_gaps(const int64_t *lines, size_t n, int64_t start, int64_t length, State *s, uint8_t *live, int64_t *counts,
              size_t countable, int64_t *others, size_t room);

#endif
