/* The symbols of a matrix as decisions, with the contexts of each (spec 5.6): live flags, zero flags, signs, ranks.
 *
 * Nothing that a file says can lead out of a buffer: contexts are made of values that were bounded when they were
 * decoded, and a reader gets zeros behind the end of its bytes.
 */
#ifndef SWSFMT_ADAPTIVE_MATRIX_H
#define SWSFMT_ADAPTIVE_MATRIX_H

#include "adaptive_model.h"

/* CLASSES: of values by size and sign, and none. A line is at most so long and neighbours are at most so far apart. */
enum { CLASSES = 17, UNSEEN = BUCKETS - 1, MAX_LINE = 1 << 22, MAX_STRIDE = 1 << 16, MAX_SYMBOLS = 4096 };
#define MAX_LINES (UINT64_C(1) << 31)

/* What is coded: lines * length symbols. Symbols are 0, then values[0] of one sign, then values[1] of the other, each
 * by size. stride, line_stride: places, and lines, so far apart are neighbours. zeros: whether 0 occurs. light: fewer
 * contexts.
 * in symbols: when encoding.
 * out idle: when decoding, whether a line or place that is live holds no entry.
 * out elements: when decoding, zeros; the element of a symbol goes to item line * line_step + place * place_step.
 * in values_of: the element of each symbol, of `itemsize` bytes, 1, 2, 4 or 8. */
typedef struct {
    size_t lines, length, stride, line_stride;
    uint32_t values[2];
    int zeros, light, idle;
    const uint16_t *symbols;
    uint8_t *elements;
    const uint8_t *values_of;
    size_t itemsize, line_step, place_step;
} Matrix;

/* in out x: its element at that place becomes that of the symbol. */
static inline void put_element(const Matrix *x, size_t line, size_t place, uint32_t symbol)
{
    uint8_t *to = x->elements + (line * x->line_step + place * x->place_step) * x->itemsize;
    const uint8_t *from = x->values_of + symbol * x->itemsize;
    switch (x->itemsize) {
    case 1: *to = *from; break;
    case 2: memcpy(to, from, 2); break;
    case 4: memcpy(to, from, 4); break;
    default: memcpy(to, from, 8); break;
    }
}

/* ---- live flags -------------------------------------------------------------------------------------------------- */

/* Which of `count` lines, or columns of a line, hold an entry. in out live: a flag for each. stride: so far apart are
 * neighbours. Returns 0 without memory. */
INLINE int code_live(const Tables *t, Coder *c, uint8_t *live, size_t count, size_t stride, const int decoding)
{
    const size_t sizes[3] = {8, 36, 81};
    Model m;
    uint8_t *padded = calloc(count + 2 * stride + 4, 1);
    if (padded == NULL || !make_model(&m, 3, sizes)) {
        free(padded);
        return 0;
    }
    uint8_t *f = padded + 2 * stride + 4;
    uint32_t in_group = 0, place = 0;
    for (size_t j = 0; j < count; j++) {
        if (place == stride)
            place = in_group = 0;
        const uint8_t *g = f + j, *s = f + j - stride;
        uint32_t near = (uint32_t)(g[-1] + g[-2] + g[-3] + g[-4] + s[0] + s[-1] + s[1] + *(s - stride));
        if (stride == 1)
            near = (uint32_t)(2 * g[-1] + 3 * g[-2] + g[-3] + g[-4]);
        uint32_t at = bucket(t, place), seen = bucket(t, in_group);
        uint32_t contexts[3] = {
            (uint32_t)(g[-1] * 4 + g[-2] * 2 + g[-3]),
            (uint32_t)(g[-1] * 2 + s[0]) * 9 + near,
            (at < 8 ? at : 8) * 9 + (seen < 8 ? seen : 8),
        };
        if (decoding && rest_is_ones(c)) {
            memset(live + j, 1, count - j);
            break;
        }
        f[j] = (uint8_t)code_bit(t, c, &m, contexts, 3, decoding ? 0 : live[j], 1, decoding);
        live[j] = f[j];
        in_group += f[j];
        place++;
    }
    free(padded);
    free(m.slots);
    return 1;
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

/* What is known of the lines before and of the columns; all arrays have `pad` zeros on both sides.
 * memory: holds them all, to be freed. */
typedef struct {
    uint8_t *level[3], *kind[2]; /* of the current line and of the live ones before it */
    uint8_t *density;            /* bucket of the density of each column when it was last needed */
    uint32_t *entries;           /* of each column, in the lines before and the current one */
    uint32_t *last;              /* live line after the last entry of each column, 0 if there is none */
    void *memory;
} Past;

/* out past: of lines of `length`, nothing known yet. Returns 0 without memory. */
static inline int make_past(Past *past, size_t length, size_t pad)
{
    size_t whole = length + 2 * pad;
    past->memory = calloc(whole, 2 * sizeof(uint32_t) + 6);
    if (past->memory == NULL)
        return 0;
    past->entries = (uint32_t *)past->memory + pad;
    past->last = past->entries + whole;
    uint8_t *bytes = (uint8_t *)((uint32_t *)past->memory + 2 * whole) + pad;
    for (int i = 0; i < 3; i++)
        past->level[i] = bytes + (size_t)i * whole;
    for (int i = 0; i < 2; i++)
        past->kind[i] = bytes + (size_t)(3 + i) * whole;
    past->density = bytes + 5 * whole;
    return 1;
}

/* in out past: the line becomes the one before; `length` places of a new one are zero. */
static inline void next_line(Past *past, size_t length)
{
    uint8_t *level = past->level[2], *kind = past->kind[1];
    past->level[2] = past->level[1];
    past->level[1] = past->level[0];
    past->level[0] = level;
    past->kind[1] = past->kind[0];
    past->kind[0] = kind;
    memset(level, 0, length);
    memset(kind, 0, length);
}

/* Everything after the first `done` places of line i is the last symbol. in places: `count` of them that live. */
static inline void put_ones(const Matrix *x, Past *past, const uint8_t *live_lines, const uint32_t *places,
                            size_t count, size_t i, size_t done)
{
    for (; i < x->lines; i++, done = 0)
        for (size_t k = live_lines[i] ? done : count; k < count; k++) {
            put_element(x, i, places[k], x->values[0] + x->values[1]);
            past->entries[places[k]]++;
        }
}

/* The model of signs and ranks: the slots of a node, a place in the tree of decisions, are filled when the node is first
 * met. A chunk may be a few elements, all slots are a million. opened: of each node, to be freed. */
typedef struct {
    Model model;
    uint8_t *opened;
} Ranks;

/* What a node has of each context. */
static const uint32_t NODE_SLOTS[6] = {CLASSES, CLASSES, 1, CLASSES, CLASSES, 63};

static inline int make_ranks(Ranks *r, int inputs, uint32_t nodes)
{
    size_t sizes[6];
    for (int i = 0; i < 6; i++)
        sizes[i] = (size_t)nodes * NODE_SLOTS[i];
    r->opened = calloc(nodes, 1);
    return r->opened != NULL && make_open_model(&r->model, inputs, sizes) > 0;
}

INLINE void open_node(Ranks *r, uint32_t node, const int inputs)
{
    if (r->opened[node])
        return;
    r->opened[node] = 1;
    for (int i = 0; i < inputs; i++)
        for (uint32_t k = 0; k < NODE_SLOTS[i]; k++)
            r->model.slots[r->model.start[i] + node * NODE_SLOTS[i] + k] = NEW_SLOT;
}

/* Of the numbers 0 to values - 1. */
static inline int bits_of(uint32_t values)
{
    int bits = 0;
    while (values > 1u << bits)
        bits++;
    return bits;
}

/* The sign and the rank of the entry at place j; returns its symbol. When decoding `symbol` is not used. */
INLINE uint32_t code_value(const Tables *t, Coder *c, Ranks *r, const Matrix *x, const Past *past, size_t j,
                           uint32_t symbol, const int inputs, const int decoding)
{
    const uint8_t *k = past->kind[0] + j, *s = k - x->stride;
    const uint8_t near[6] = {k[-1], s[0], s[1], k[-2], s[-1], *(s - x->stride)};
    const uint32_t above = past->kind[1][j];
    int signs = 0;
    uint32_t count = 0;
    for (int i = 0; i < 6; i++) {
        count += near[i] > 0;
        signs += near[i] == 0 ? 0 : near[i] <= CLASSES / 2 ? -1 : 1;
    }
    signs = signs < -4 ? -4 : signs > 4 ? 4 : signs;
    const uint32_t around = (uint32_t)(signs + 4) * 7 + count;

#define NODE(node, bit)                                                                                                \
    code_bit(t, c, &r->model,                                                                                          \
             (const uint32_t[6]){(node) * CLASSES + near[0], (node) * CLASSES + near[1], (node),                       \
                                 (node) * CLASSES + above, (node) * CLASSES + near[2], (node) * 63 + around},          \
             inputs, bit, 0, decoding)

    uint32_t sign = symbol > x->values[0], rank = 0;
    if (x->values[0] == 0)
        sign = 1;
    else if (x->values[1] == 0)
        sign = 0;
    else {
        open_node(r, 0, inputs);
        sign = (uint32_t)NODE(0u, (int)sign);
    }
    uint32_t values = x->values[sign], base = 1 + (sign ? x->values[0] : 0), prefix = 1;
    int bits = bits_of(values);
    if (!decoding)
        rank = symbol - base;
    for (int b = bits - 1; b >= 0; b--) {
        int bit = 0;
        if (((prefix << 1 | 1) << b) - (1u << bits) < values) {
            open_node(r, 2 * prefix + sign, inputs);
            bit = NODE(2 * prefix + sign, (int)(rank >> b & 1));
        }
        prefix = prefix << 1 | (uint32_t)bit;
    }
#undef NODE
    return base + prefix - (1u << bits);
}

/* in out x: the symbols. in live_lines: flags of the lines. in places: those in a line that live, ascending, `count` of
 * them; the rest is zero. Returns 0 without memory. */
INLINE int code_lines(const Tables *t, Coder *c, Matrix *x, const uint8_t *live_lines, const uint32_t *places,
                      size_t count, const int light, const int decoding)
{
    const int zero_inputs = light ? 3 : 9, value_inputs = light ? 3 : 6;
    const size_t pad = 2 * x->stride + 4, stride = x->stride;
    const uint32_t nodes = 2u << bits_of(x->values[0] > x->values[1] ? x->values[0] : x->values[1]);
    const size_t zero_sizes[MOST_INPUTS] = {81, 144, x->length, 1, 240, 432, 144, 36, 144};
    Model zero = {0};
    Ranks value = {0};
    Past past = {0};
    int fine = make_model(&zero, zero_inputs, zero_sizes) && make_ranks(&value, value_inputs, nodes) &&
               make_past(&past, x->length, pad);
    uint32_t before = 0; /* live lines */
    for (size_t i = 0; fine && i < x->lines; i++) {
        if (!live_lines[i])
            continue;
        const uint16_t *symbols = decoding ? NULL : x->symbols + i * x->length;
        next_line(&past, x->length);
        uint32_t entries = 0, gap = 0, seen = 0, full = 0;
        for (size_t k = 0; k < count; k++) {
            const size_t j = places[k];
            const uint8_t *l = past.level[0] + j, *s = l - stride, *up = past.level[1] + j;
            const uint32_t *column = past.entries + j;
            int bit = 1;
            if (x->zeros) {
                uint32_t dense = density(past.density[j], column[0], before);
                past.density[j] = (uint8_t)dense;
                full = density(full, entries, seen);
                uint32_t contexts[MOST_INPUTS] = {
                    (uint32_t)(l[-1] * 27 + l[-2] * 9 + l[-3] * 3 + s[0]),
                    dense * BUCKETS + full,
                    (uint32_t)j,
                };
                if (!light) {
                    uint32_t far = *(column - stride) + *(column + stride), around = far + column[-1] + column[1];
                    uint32_t age = past.last[j] == 0 ? UNSEEN : bucket(t, before - past.last[j]);
                    uint32_t near = (uint32_t)((l[-1] > 0) + (l[-2] > 0) + (up[0] > 0) + (up[-1] > 0) + (up[1] > 0) +
                                               (s[0] > 0) + (s[-1] > 0) + (stride > 1 && s[1] > 0) +
                                               (past.level[2][j] > 0));
                    contexts[3] = 0;
                    contexts[4] = (bucket(t, around) * 10 + near) * 2 + (l[-1] > 0);
                    contexts[5] = (bucket(t, far) * BUCKETS + bucket(t, column[0])) * 3 + s[0];
                    contexts[6] = bucket(t, entries) * BUCKETS + bucket(t, seen);
                    contexts[7] = bucket(t, gap) * 3 + l[-1];
                    contexts[8] = age * BUCKETS + bucket(t, column[0]);
                }
                bit = code_bit(t, c, &zero, contexts, zero_inputs, decoding ? 0 : symbols[j] > 0, 1, decoding);
            }
            seen++;
            if (!bit) {
                gap++;
                continue;
            }
            uint32_t symbol = code_value(t, c, &value, x, &past, j, decoding ? 0 : symbols[j], value_inputs, decoding);
            uint32_t sign = symbol > x->values[0], values = x->values[sign];
            uint32_t rank = symbol - 1 - (sign ? x->values[0] : 0);
            if (decoding)
                put_element(x, i, j, symbol);
            past.level[0][j] = (uint8_t)(1 + (3 * rank >= values));
            past.kind[0][j] = (uint8_t)(1 + 8 * sign + rank * 8 / (values > 8 ? values : 8));
            past.entries[j]++;
            past.last[j] = before + 1;
            entries++;
            gap = 0;
            if (decoding && rest_is_ones(c)) {
                put_ones(x, &past, live_lines, places, count, i, k + 1);
                goto done;
            }
        }
        before++;
        x->idle |= decoding && entries == 0;
    }
done:
    for (size_t k = 0; decoding && fine && k < count; k++)
        x->idle |= past.entries[places[k]] == 0;
    free(zero.slots);
    free(value.model.slots);
    free(value.opened);
    free(past.memory);
    return fine;
}

/* All of a matrix, to or from `c`. Returns 0 without memory. */
INLINE int code_matrix(const Tables *t, Coder *c, Matrix *x, const int decoding)
{
    uint8_t *live_lines = malloc(x->lines + x->length), *live = live_lines + x->lines;
    uint32_t *places = malloc(x->length * sizeof *places);
    if (live_lines == NULL || places == NULL) {
        free(live_lines);
        free(places);
        return 0;
    }
    size_t count = 0;
    int fine = 1;
    /* Farther away there is nothing, and no memory is needed to know it. */
    x->stride = x->stride > x->length ? x->length + 1 : x->stride;
    x->line_stride = x->line_stride > x->lines ? x->lines + 1 : x->line_stride;
    memset(live_lines, !x->zeros, x->lines + x->length);
    if (x->zeros) {
        for (size_t i = 0; !decoding && i < x->lines; i++)
            for (size_t j = 0; j < x->length; j++)
                if (x->symbols[i * x->length + j])
                    live_lines[i] = live[j] = 1;
        fine = code_live(t, c, live, x->length, x->stride, decoding) &&
               code_live(t, c, live_lines, x->lines, x->line_stride, decoding);
    }
    for (size_t j = 0; j < x->length; j++) {
        places[count] = (uint32_t)j;
        count += live[j];
    }
    if (fine)
        fine = x->light ? code_lines(t, c, x, live_lines, places, count, 1, decoding)
                        : code_lines(t, c, x, live_lines, places, count, 0, decoding);
    free(live_lines);
    free(places);
    return fine;
}

#endif
