/* The symbols of a matrix as decisions, with the contexts of each (spec 6.6): zero flags, signs, ranks.
 *
 * Nothing that a file says can lead out of a buffer: contexts are made of values that were bounded when they were
 * decoded, and a reader gets zeros behind the end of its bytes.
 */
#ifndef SWSFMT_ADAPTIVE_MATRIX_H
#define SWSFMT_ADAPTIVE_MATRIX_H

#include "adaptive_live.h"

/* CLASSES: of values by size and sign, and none. A line is at most so long and neighbours are at most so far apart. */
enum { CLASSES = 17, UNSEEN = BUCKETS - 1, MAX_LINE = 1 << 22, MAX_STRIDE = 1 << 16, MAX_SYMBOLS = 4096 };
#define MAX_LINES (UINT64_C(1) << 31)

/* What is coded: lines * length symbols. Symbols are 0, then values[0] of one sign, then values[1] of the other, each
 * by size. stride, line_stride: places, and lines, so far apart are neighbours. zeros: whether 0 occurs. light: fewer
 * contexts. pairs: of classes, of which each is a context; 0 for none, and for contexts without classes and sizes.
 * in line_classes, place_classes: where there are pairs, what each line and each place adds to the number of its pair.
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
    const uint8_t *line_classes, *place_classes;
    uint32_t pairs;
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

/* What is known of the lines before and of the columns; all arrays have `pad` zeros on both sides.
 * memory: holds them all, to be freed. */
typedef struct {
    uint8_t *level[3], *kind[2]; /* of the current line and of the live ones before it */
    uint8_t *density;            /* bucket of the density of each column when it was last needed */
    uint32_t *entries;           /* of each column, in the lines before and the current one */
    uint32_t *last;              /* live line after the last entry of each column, 0 if there is none */
    int16_t *size;               /* of the entries of the current line, by sign, 0 if there is none */
    void *memory;
} Past;

/* out past: of lines of `length`, nothing known yet. Returns 0 without memory. */
static inline int make_past(Past *past, size_t length, size_t pad)
{
    size_t whole = length + 2 * pad;
    past->memory = calloc(whole, 2 * sizeof(uint32_t) + sizeof(int16_t) + 6);
    if (past->memory == NULL)
        return 0;
    past->entries = (uint32_t *)past->memory + pad;
    past->last = past->entries + whole;
    past->size = (int16_t *)((uint32_t *)past->memory + 2 * whole) + pad;
    uint8_t *bytes = (uint8_t *)(past->size - pad + whole) + pad;
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
    memset(past->size, 0, length * sizeof *past->size);
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

/* Contexts of a value, and of those the ones that light models have; how many more there are with pairs of classes.
 * The same for zero flags. */
enum { VALUE_INPUTS = 6, LIGHT_INPUTS = 3, MORE_VALUE_INPUTS = 4, ZERO_INPUTS = 9, MORE_ZERO_INPUTS = 2 };
enum { MOST_VALUE_INPUTS = VALUE_INPUTS + MORE_VALUE_INPUTS };

/* The model of signs and ranks: the slots of a node, a place in the tree of decisions, are filled when it is first met.
 * A chunk may be a few elements, all slots are millions. opened: of each node, to be freed. slots: what a node has of
 * each context. */
typedef struct {
    Model model;
    uint8_t *opened;
    uint32_t slots[MOST_VALUE_INPUTS];
    int inputs;
} Ranks;

/* out r: of `nodes`, with the contexts that the matrix has. Returns 0 without memory. */
static inline int make_ranks(Ranks *r, const Matrix *x, uint32_t nodes)
{
    static const uint32_t SLOTS[VALUE_INPUTS] = {CLASSES, CLASSES, 1, CLASSES, CLASSES, 63};
    const uint32_t more[MORE_VALUE_INPUTS] = {CLASSES * CLASSES, CLASSES * CLASSES, CLASSES, x->pairs};
    size_t sizes[MOST_VALUE_INPUTS];
    r->inputs = x->light ? LIGHT_INPUTS : VALUE_INPUTS;
    memcpy(r->slots, SLOTS, sizeof SLOTS);
    if (x->pairs) {
        memcpy(r->slots + r->inputs, more, sizeof more);
        r->inputs += MORE_VALUE_INPUTS;
    }
    for (int i = 0; i < r->inputs; i++)
        sizes[i] = (size_t)nodes * r->slots[i];
    r->opened = calloc(nodes, 1);
    return r->opened != NULL && make_open_model(&r->model, r->inputs, sizes) > 0;
}

static inline void open_node(Ranks *r, uint32_t node)
{
    r->opened[node] = 1;
    for (int i = 0; i < r->inputs; i++)
        for (uint32_t k = 0; k < r->slots[i]; k++)
            r->model.slots[r->model.start[i] + node * r->slots[i] + k] = NEW_SLOT;
}

/* A decision at a node. in at: of each context, among those of the node. */
INLINE int code_node(const Tables *t, Coder *c, Ranks *r, uint32_t node, const uint32_t *at, const int inputs, int bit,
                     const int decoding)
{
    uint32_t contexts[MOST_VALUE_INPUTS];
    if (!r->opened[node])
        open_node(r, node);
    for (int i = 0; i < inputs; i++)
        contexts[i] = node * r->slots[i] + at[i];
    return code_bit(t, c, &r->model, contexts, inputs, bit, 0, decoding);
}

/* With pairs of classes: the kind of an entry of that rank, without its sign. */
INLINE uint32_t size_kind(const Tables *t, uint32_t rank)
{
    uint32_t kind = bucket(t, rank);
    return kind < CLASSES / 2 ? kind : CLASSES / 2 - 1;
}

/* Of the numbers 0 to values - 1. */
static inline int bits_of(uint32_t values)
{
    int bits = 0;
    while (values > 1u << bits)
        bits++;
    return bits;
}

/* The sign and the rank of the entry at place j; returns its symbol. When decoding `symbol` is not used. pair: of its
 * classes. */
INLINE uint32_t code_value(const Tables *t, Coder *c, Ranks *r, const Matrix *x, const Past *past, size_t j,
                           uint32_t symbol, uint32_t pair, const int light, const int paired, const int decoding)
{
    const uint8_t *k = past->kind[0] + j, *s = k - x->stride;
    const uint8_t near[6] = {k[-1], s[0], s[1], k[-2], s[-1], *(s - x->stride)};
    const int inputs = (light ? LIGHT_INPUTS : VALUE_INPUTS) + (paired ? MORE_VALUE_INPUTS : 0);
    uint32_t at[MOST_VALUE_INPUTS] = {near[0], near[1], 0}, *more = at + LIGHT_INPUTS;
    if (!light) {
        int signs = 0;
        uint32_t count = 0;
        for (int i = 0; i < 6; i++) {
            count += near[i] > 0;
            signs += near[i] == 0 ? 0 : near[i] <= CLASSES / 2 ? -1 : 1;
        }
        signs = signs < -4 ? -4 : signs > 4 ? 4 : signs;
        *more++ = past->kind[1][j];
        *more++ = near[2];
        *more++ = (uint32_t)(signs + 4) * 7 + count;
    }
    if (paired) {
        /* Where the last two entries lead to. */
        const int next = 2 * past->size[j - 1] - past->size[j - 2];
        more[0] = near[0] * (uint32_t)CLASSES + near[3];
        more[1] = near[1] * (uint32_t)CLASSES + near[5];
        more[2] = next == 0  ? 0
                  : next > 0 ? 1 + size_kind(t, (uint32_t)next - 1)
                             : 1 + CLASSES / 2 + size_kind(t, (uint32_t)-next - 1);
        more[3] = pair;
    }
    uint32_t sign = symbol > x->values[0], rank = 0;
    if (x->values[0] == 0)
        sign = 1;
    else if (x->values[1] == 0)
        sign = 0;
    else
        sign = (uint32_t)code_node(t, c, r, 0, at, inputs, (int)sign, decoding);
    uint32_t values = x->values[sign], base = 1 + (sign ? x->values[0] : 0), prefix = 1;
    int bits = bits_of(values);
    if (!decoding)
        rank = symbol - base;
    for (int b = bits - 1; b >= 0; b--) {
        int bit = 0;
        if (((prefix << 1 | 1) << b) - (1u << bits) < values)
            bit = code_node(t, c, r, 2 * prefix + sign, at, inputs, (int)(rank >> b & 1), decoding);
        prefix = prefix << 1 | (uint32_t)bit;
    }
    return base + prefix - (1u << bits);
}

/* in out x: the symbols. in live_lines: flags of the lines. in places: those in a line that live, ascending, `count` of
 * them; the rest is zero. Returns 0 without memory. */
INLINE int code_lines(const Tables *t, Coder *c, Matrix *x, const uint8_t *live_lines, const uint32_t *places,
                      size_t count, const int light, const int paired, const int decoding)
{
    const int zero_inputs = (light ? LIGHT_INPUTS : ZERO_INPUTS) + (paired ? MORE_ZERO_INPUTS : 0);
    const size_t pad = 2 * x->stride + 4, stride = x->stride;
    const uint32_t nodes = 2u << bits_of(x->values[0] > x->values[1] ? x->values[0] : x->values[1]);
    size_t zero_sizes[MOST_INPUTS] = {81, 144, x->length, 1, 240, 432, 144, 36, 144};
    if (paired) {
        zero_sizes[zero_inputs - 2] = CLASSES * CLASSES;
        zero_sizes[zero_inputs - 1] = x->pairs;
    }
    Model zero = {0};
    Ranks value = {0};
    Past past = {0};
    int fine = make_model(&zero, zero_inputs, zero_sizes) && make_ranks(&value, x, nodes) &&
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
            const uint32_t pair = paired ? (uint32_t)x->line_classes[i] + x->place_classes[j] : 0;
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
                if (paired) {
                    const uint8_t *kind = past.kind[0] + j;
                    contexts[zero_inputs - 2] = kind[-1] * (uint32_t)CLASSES + kind[-2];
                    contexts[zero_inputs - 1] = pair;
                }
                bit = code_bit(t, c, &zero, contexts, zero_inputs, decoding ? 0 : symbols[j] > 0, 1, decoding);
            }
            seen++;
            if (!bit) {
                gap++;
                continue;
            }
            uint32_t symbol =
                code_value(t, c, &value, x, &past, j, decoding ? 0 : symbols[j], pair, light, paired, decoding);
            uint32_t sign = symbol > x->values[0], values = x->values[sign];
            uint32_t rank = symbol - 1 - (sign ? x->values[0] : 0);
            if (decoding)
                put_element(x, i, j, symbol);
            if (paired) {
                past.level[0][j] = (uint8_t)(1 + (rank > 0));
                past.kind[0][j] = (uint8_t)(1 + CLASSES / 2 * sign + size_kind(t, rank));
                past.size[j] = (int16_t)(sign ? -(int)rank - 1 : (int)rank + 1);
            } else {
                past.level[0][j] = (uint8_t)(1 + (3 * rank >= values));
                past.kind[0][j] = (uint8_t)(1 + CLASSES / 2 * sign + rank * 8 / (values > 8 ? values : 8));
            }
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
    if (fine && x->pairs)
        fine = x->light ? code_lines(t, c, x, live_lines, places, count, 1, 1, decoding)
                        : code_lines(t, c, x, live_lines, places, count, 0, 1, decoding);
    else if (fine)
        fine = x->light ? code_lines(t, c, x, live_lines, places, count, 1, 0, decoding)
                        : code_lines(t, c, x, live_lines, places, count, 0, 0, decoding);
    free(live_lines);
    free(places);
    return fine;
}

#endif
