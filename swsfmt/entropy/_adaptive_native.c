/* The adaptive coder of spec 5.6 and 7 in C99: symbols of a matrix <-> bytes. `_adaptive.py` has the same results.
 *
 * Every decision (a live flag, a zero flag, a bit of a value) is coded with a probability that a model makes of what
 * was coded before. A model has a few contexts; each picks a slot, a probability with a count of what it has seen;
 * their logits are weighed, summed and squashed, and after the decision slots and weights learn (logistic mixing, after
 * Mahoney's PAQ). All arithmetic is in integers, so that every machine gets the same probabilities.
 *
 * Nothing that a file says can lead out of a buffer: contexts are made of values that were bounded when they were
 * decoded, and a reader gets zeros behind the end of its bytes.
 */
#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030b0000
#endif
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

enum { FEWEST = 3, MOST = 9, BUCKETS = 12, CLASSES = 17, LIMIT = 255, MAX_STRETCH = 3071, UNSEEN = BUCKETS - 1 };

/* ---- tables ------------------------------------------------------------------------------------------------------ */

/* 65536 / (1 + exp(-k / 2)) */
static const int32_t SQUASHED[25] = {32768, 40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269,
                                     65374, 65438, 65476, 65500, 65514, 65523, 65528, 65531, 65533, 65534, 65535, 65535,
                                     65536};

static uint16_t squashed[2 * MAX_STRETCH + 1]; /* a table of `squash`, within 1 to 65535 */
static int16_t stretched[4096];
static uint16_t rates[LIMIT + 1];
static uint8_t buckets[201];
static const uint8_t bucket_starts[BUCKETS] = {0, 1, 2, 3, 4, 6, 9, 14, 22, 40, 80, 200};

/* Probability in 65536ths of a logit in 256ths, -3071 to 3071. */
static int32_t squash(int32_t x)
{
    int32_t size = x < 0 ? -x : x, at = size >> 7, part = size & 127;
    int32_t y = (SQUASHED[at] * (128 - part) + SQUASHED[at + 1] * part) >> 7;
    return x < 0 ? 65536 - y : y;
}

static void make_tables(void)
{
    for (int32_t x = -MAX_STRETCH; x <= MAX_STRETCH; x++) {
        int32_t p = squash(x);
        squashed[x + MAX_STRETCH] = (uint16_t)(p < 1 ? 1 : p > 65535 ? 65535 : p);
    }
    int32_t x = -MAX_STRETCH;
    for (int32_t k = 0; k < 4096; k++) {
        while (x < MAX_STRETCH && squash(x + 1) <= 16 * k + 8)
            x++;
        stretched[k] = (int16_t)x;
    }
    for (int n = 0; n <= LIMIT; n++)
        rates[n] = (uint16_t)(131072 / (2 * n + 3));
    for (int n = 0, b = 0; n <= 200; n++) {
        if (b + 1 < BUCKETS && n == bucket_starts[b + 1])
            b++;
        buckets[n] = (uint8_t)b;
    }
}

INLINE uint32_t bucket(uint32_t n)
{
    return buckets[n < 200 ? n : 200];
}

/* The bucket of 64 times the part c of k, with a little of a half mixed in while k is small; `b` is where it was last.
 * It seldom moves: comparisons that can be foretold are faster than the division. */
INLINE uint32_t density(uint32_t b, uint64_t c, uint64_t k)
{
    const uint64_t part = 64 * (4 * c + 1), whole = 4 * k + 2;
    while (part < bucket_starts[b] * whole)
        b--;
    while (b + 1 < BUCKETS && part >= bucket_starts[b + 1] * whole)
        b++;
    return b;
}

/* ---- the range coder --------------------------------------------------------------------------------------------- */

typedef struct {
    uint32_t low, high, code;
    const uint8_t *in;
    uint8_t *out;
    size_t length, at, room; /* bytes of `in`; bytes read or written; room in `out` */
    int failed;
} Coder;

INLINE uint32_t next_byte(Coder *c)
{
    uint32_t byte = c->at < c->length ? c->in[c->at] : 0;
    c->at++;
    return byte;
}

static void put_byte(Coder *c, uint8_t byte)
{
    if (c->at == c->room) {
        size_t room = 2 * c->room + 256;
        uint8_t *bigger = realloc(c->out, room);
        if (bigger == NULL) {
            c->failed = 1;
            return;
        }
        c->out = bigger;
        c->room = room;
    }
    c->out[c->at++] = byte;
}

/* Where the interval is cut for a decision that is 1 with probability p / 65536, 0 < p < 65536. */
INLINE uint32_t middle_of(const Coder *c, uint32_t p)
{
    return c->low + (uint32_t)(((uint64_t)(c->high - c->low) * p) >> 16);
}

INLINE void shift(Coder *c, const int decoding)
{
    while ((c->low ^ c->high) >> 24 == 0) {
        if (decoding)
            c->code = c->code << 8 | next_byte(c);
        else
            put_byte(c, (uint8_t)(c->high >> 24));
        c->low <<= 8;
        c->high = c->high << 8 | 255;
    }
}

/* The fewest bytes, as the first ones of a word, whose continuation with zeros lies within low to high. */
static int last_bytes(uint32_t low, uint32_t high, uint32_t *word)
{
    for (int bytes = 0; bytes < 4; bytes++) {
        uint32_t rest = bytes == 0 ? UINT32_MAX : UINT32_MAX >> (8 * bytes);
        *word = low == 0 ? 0 : (uint32_t)(low + rest) & ~rest;
        if (*word >= low && *word <= high)
            return bytes;
    }
    *word = low;
    return 4;
}

static void finish_encoding(Coder *c)
{
    uint32_t word;
    int bytes = last_bytes(c->low, c->high, &word);
    for (int i = 0; i < bytes; i++)
        put_byte(c, (uint8_t)(word >> (24 - 8 * i)));
    while (c->at > 0 && c->out[c->at - 1] == 0)
        c->at--;
}

/* Whether the bytes are those that an encoder would have written. */
static int finish_decoding(const Coder *c)
{
    uint32_t word;
    size_t read = c->at - 4;
    int bytes = last_bytes(c->low, c->high, &word);
    if (c->length > read + (size_t)bytes || (c->length > 0 && c->in[c->length - 1] == 0))
        return 0;
    return bytes == 0 || (c->code ^ word) >> (32 - 8 * bytes) == 0;
}

/* ---- models ------------------------------------------------------------------------------------------------------ */

/* A slot holds a probability in its upper 22 bits and a count in its lower 10. */
typedef struct {
    uint32_t *slots;
    uint32_t start[MOST];
    int32_t weight[MOST];
    uint32_t decisions;
    int32_t rate;
} Model;

static int make_model(Model *m, int inputs, const size_t *sizes)
{
    size_t total = 0;
    for (int i = 0; i < inputs; i++) {
        m->start[i] = (uint32_t)total;
        m->weight[i] = 81920 / inputs;
        total += sizes[i];
    }
    m->decisions = 0;
    m->rate = 0;
    m->slots = malloc(total * sizeof *m->slots);
    if (m->slots == NULL)
        return 0;
    for (size_t i = 0; i < total; i++)
        m->slots[i] = 1u << 31;
    return 1;
}

typedef struct {
    uint32_t *slot[MOST];
    int32_t input[MOST], p;
} Guess;

INLINE void learn(Model *m, const Guess *g, const int inputs, int bit)
{
    if ((m->decisions & 63) == 0)
        m->rate = 640 + 7680 / (1 + (int32_t)(m->decisions >> 6));
    m->decisions++;
    const int64_t error = (int64_t)((bit << 16) - g->p) * m->rate;
    /* The distance to what the decision was, and its sign: q + d where bit is 1, q - d where it is 0. */
    const uint32_t most = bit ? 4194303 : 0, minus = bit ? 0 : UINT32_MAX;
    for (int i = 0; i < inputs; i++) {
        int32_t w = m->weight[i] + (int32_t)((g->input[i] * error + (1 << 25)) >> 26);
        m->weight[i] = w > 1 << 20 ? 1 << 20 : w < -(1 << 20) ? -(1 << 20) : w;
        uint32_t s = *g->slot[i], n = s & 1023, q = s >> 10;
        uint32_t d = (uint32_t)(((uint64_t)(q ^ most) * rates[n]) >> 16);
        q += (d ^ minus) - minus;
        *g->slot[i] = q << 10 | (n + (n < LIMIT));
    }
}

/* Code one decision. rare: it is 0 nearly always. Then it is worth while to go on before it is known (a branch);
 * otherwise a branch would be taken the wrong way too often. */
INLINE int code_bit(Coder *c, Model *m, const uint32_t *contexts, const int inputs, int bit, const int rare,
                    const int decoding)
{
    Guess g;
    int64_t sum = 0;
    for (int i = 0; i < inputs; i++) {
        g.slot[i] = m->slots + m->start[i] + contexts[i];
        g.input[i] = (*g.slot[i] & 1023) ? stretched[*g.slot[i] >> 20] : 0;
        sum += (int64_t)m->weight[i] * g.input[i];
    }
    sum >>= 16;
    const int32_t x = sum > MAX_STRETCH ? MAX_STRETCH : sum < -MAX_STRETCH ? -MAX_STRETCH : (int32_t)sum;
    g.p = squashed[x + MAX_STRETCH];
    const uint32_t middle = middle_of(c, (uint32_t)g.p);
    if (decoding)
        bit = c->code <= middle;
    if (!rare) {
        c->high = bit ? middle : c->high;
        c->low = bit ? c->low : middle + 1;
        learn(m, &g, inputs, bit);
    } else if (bit) {
        c->high = middle;
        learn(m, &g, inputs, 1);
    } else {
        c->low = middle + 1;
        learn(m, &g, inputs, 0);
    }
    shift(c, decoding);
    return bit;
}

/* ---- live flags -------------------------------------------------------------------------------------------------- */

/* Which of `count` lines, or columns of a line, hold an entry. */
INLINE int code_live(Coder *c, uint8_t *live, size_t count, size_t stride, const int decoding)
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
        uint32_t at = bucket(place), seen = bucket(in_group);
        uint32_t contexts[3] = {
            (uint32_t)(g[-1] * 4 + g[-2] * 2 + g[-3]),
            (uint32_t)(g[-1] * 2 + s[0]) * 9 + near,
            (at < 8 ? at : 8) * 9 + (seen < 8 ? seen : 8),
        };
        f[j] = (uint8_t)code_bit(c, &m, contexts, 3, decoding ? 0 : live[j], 1, decoding);
        live[j] = f[j];
        in_group += f[j];
        place++;
    }
    free(padded);
    free(m.slots);
    return 1;
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

/* What is coded. Symbols: 0, then `values[0]` of one sign, then `values[1]` of the other, each by size. */
typedef struct {
    size_t lines, length, stride, line_stride;
    uint32_t values[2];
    int zeros, light;
    uint16_t *symbols;
} Matrix;

/* What is known of the lines before and of the columns; all arrays have `pad` zeros on both sides. */
typedef struct {
    uint8_t *level[3], *kind[2]; /* of the current line and of the live ones before it */
    uint8_t *density;            /* bucket of the density of each column when it was last needed */
    uint32_t *entries;           /* of each column, in the lines before and the current one */
    uint32_t *last;              /* live line after the last entry of each column, 0 if there is none */
    void *memory;
} Past;

static int make_past(Past *past, size_t length, size_t pad)
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

static void next_line(Past *past, size_t length)
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

static int bits_of(uint32_t values)
{
    int bits = 0;
    while (values > 1u << bits)
        bits++;
    return bits;
}

/* The sign and the rank of an entry. */
INLINE uint32_t code_value(Coder *c, Model *m, const Matrix *x, const Past *past, size_t j, uint32_t symbol,
                           const int inputs, const int decoding)
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
    code_bit(c, m,                                                                                                     \
             (const uint32_t[6]){(node) * CLASSES + near[0], (node) * CLASSES + near[1], (node),                       \
                                 (node) * CLASSES + above, (node) * CLASSES + near[2], (node) * 63 + around},          \
             inputs, bit, 0, decoding)

    uint32_t sign = symbol > x->values[0], rank = 0;
    if (x->values[0] == 0)
        sign = 1;
    else if (x->values[1] == 0)
        sign = 0;
    else
        sign = (uint32_t)NODE(0u, (int)sign);
    uint32_t values = x->values[sign], base = 1 + (sign ? x->values[0] : 0), prefix = 1;
    int bits = bits_of(values);
    if (!decoding)
        rank = symbol - base;
    for (int b = bits - 1; b >= 0; b--) {
        int bit = 0;
        if (((prefix << 1 | 1) << b) - (1u << bits) < values)
            bit = NODE(2 * prefix + sign, (int)(rank >> b & 1));
        prefix = prefix << 1 | (uint32_t)bit;
    }
#undef NODE
    return base + prefix - (1u << bits);
}

INLINE int code_lines(Coder *c, Matrix *x, const uint8_t *live_lines, const uint8_t *live, const int light,
                      const int decoding)
{
    const int zero_inputs = light ? 3 : 9, value_inputs = light ? 3 : 6;
    const size_t pad = 2 * x->stride + 4, stride = x->stride;
    const uint32_t nodes = 2u << bits_of(x->values[0] > x->values[1] ? x->values[0] : x->values[1]);
    const size_t zero_sizes[MOST] = {81, 144, x->length, 1, 240, 432, 144, 36, 144};
    const size_t of_kinds = nodes * CLASSES;
    const size_t value_sizes[6] = {of_kinds, of_kinds, nodes, of_kinds, of_kinds, nodes * 63};
    Model zero = {0}, value = {0};
    Past past = {0};
    int fine = make_model(&zero, zero_inputs, zero_sizes) && make_model(&value, value_inputs, value_sizes) &&
               make_past(&past, x->length, pad);
    uint32_t before = 0; /* live lines */
    for (size_t i = 0; fine && i < x->lines; i++) {
        uint16_t *symbols = x->symbols + i * x->length;
        if (!live_lines[i]) {
            if (decoding)
                memset(symbols, 0, x->length * sizeof *symbols);
            continue;
        }
        next_line(&past, x->length);
        uint32_t entries = 0, gap = 0, seen = 0, full = 0;
        for (size_t j = 0; j < x->length; j++) {
            if (!live[j]) {
                if (decoding)
                    symbols[j] = 0;
                continue;
            }
            const uint8_t *l = past.level[0] + j, *s = l - stride, *up = past.level[1] + j;
            const uint32_t *column = past.entries + j;
            int bit = 1;
            if (x->zeros) {
                uint32_t dense = density(past.density[j], column[0], before);
                past.density[j] = (uint8_t)dense;
                full = density(full, entries, seen);
                uint32_t contexts[MOST] = {
                    (uint32_t)(l[-1] * 27 + l[-2] * 9 + l[-3] * 3 + s[0]),
                    dense * BUCKETS + full,
                    (uint32_t)j,
                };
                if (!light) {
                    uint32_t far = *(column - stride) + *(column + stride), around = far + column[-1] + column[1];
                    uint32_t age = past.last[j] == 0 ? UNSEEN : bucket(before - past.last[j]);
                    uint32_t near = (uint32_t)((l[-1] > 0) + (l[-2] > 0) + (up[0] > 0) + (up[-1] > 0) + (up[1] > 0) +
                                               (s[0] > 0) + (s[-1] > 0) + (stride > 1 && s[1] > 0) +
                                               (past.level[2][j] > 0));
                    contexts[3] = 0;
                    contexts[4] = (bucket(around) * 10 + near) * 2 + (l[-1] > 0);
                    contexts[5] = (bucket(far) * BUCKETS + bucket(column[0])) * 3 + s[0];
                    contexts[6] = bucket(entries) * BUCKETS + bucket(seen);
                    contexts[7] = bucket(gap) * 3 + l[-1];
                    contexts[8] = age * BUCKETS + bucket(column[0]);
                }
                bit = code_bit(c, &zero, contexts, zero_inputs, decoding ? 0 : symbols[j] > 0, 1, decoding);
            }
            seen++;
            if (!bit) {
                gap++;
                if (decoding)
                    symbols[j] = 0;
                continue;
            }
            uint32_t symbol = code_value(c, &value, x, &past, j, symbols[j], value_inputs, decoding);
            uint32_t sign = symbol > x->values[0], values = x->values[sign];
            uint32_t rank = symbol - 1 - (sign ? x->values[0] : 0);
            symbols[j] = (uint16_t)symbol;
            past.level[0][j] = (uint8_t)(1 + (3 * rank >= values));
            past.kind[0][j] = (uint8_t)(1 + 8 * sign + rank * 8 / (values > 8 ? values : 8));
            past.entries[j]++;
            past.last[j] = before + 1;
            entries++;
            gap = 0;
        }
        before++;
    }
    free(zero.slots);
    free(value.slots);
    free(past.memory);
    return fine;
}

INLINE int code_matrix(Coder *c, Matrix *x, const int decoding)
{
    uint8_t *live_lines = malloc(x->lines + x->length), *live = live_lines + x->lines;
    if (live_lines == NULL)
        return 0;
    int fine = 1;
    memset(live_lines, !x->zeros, x->lines + x->length);
    if (x->zeros) {
        for (size_t i = 0; !decoding && i < x->lines; i++)
            for (size_t j = 0; j < x->length; j++)
                if (x->symbols[i * x->length + j])
                    live_lines[i] = live[j] = 1;
        fine = code_live(c, live, x->length, x->stride, decoding) &&
               code_live(c, live_lines, x->lines, x->line_stride, decoding);
    }
    if (fine)
        fine = x->light ? code_lines(c, x, live_lines, live, 1, decoding)
                        : code_lines(c, x, live_lines, live, 0, decoding);
    free(live_lines);
    return fine;
}

/* ---- Python ------------------------------------------------------------------------------------------------------ */

static int fits(const Matrix *x, Py_ssize_t bytes)
{
    return x->lines > 0 && x->length > 0 && x->stride > 0 && x->line_stride > 0 && x->values[0] + x->values[1] > 0 &&
           x->values[0] + x->values[1] < 4096 && x->length <= (size_t)bytes / 2 && x->length <= 1 << 22 &&
           x->lines <= (size_t)1 << 31 &&
           x->stride <= 1 << 16 && x->line_stride <= 1 << 16 && (size_t)bytes / 2 / x->length == x->lines;
}

/* encode(symbols, lines, length, stride, line_stride, first, second, zeros, light) -> bytes */
static PyObject *py_encode(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer symbols;
    Py_ssize_t lines, length, stride, line_stride;
    Matrix x;
    if (!PyArg_ParseTuple(args, "y*nnnnIIpp", &symbols, &lines, &length, &stride, &line_stride, &x.values[0],
                          &x.values[1], &x.zeros, &x.light))
        return NULL;
    x.lines = (size_t)lines, x.length = (size_t)length, x.stride = (size_t)stride, x.line_stride = (size_t)line_stride;
    x.symbols = symbols.buf; /* not written when encoding: every symbol is replaced by itself */
    PyObject *result = NULL;
    int right = fits(&x, symbols.len);
    for (Py_ssize_t i = 0; right && i < symbols.len / 2; i++)
        right = x.symbols[i] <= x.values[0] + x.values[1] && (x.zeros || x.symbols[i] > 0);
    if (right) {
        Coder c = {.high = UINT32_MAX};
        int fine;
        Py_BEGIN_ALLOW_THREADS
        fine = code_matrix(&c, &x, 0);
        if (fine)
            finish_encoding(&c);
        Py_END_ALLOW_THREADS
        if (fine && !c.failed)
            result = PyBytes_FromStringAndSize((const char *)c.out, (Py_ssize_t)c.at);
        else
            PyErr_NoMemory();
        free(c.out);
    } else {
        PyErr_SetString(PyExc_ValueError, "encode: sizes or symbols do not fit");
    }
    PyBuffer_Release(&symbols);
    return result;
}

/* decode(data, symbols, lines, length, stride, line_stride, first, second, zeros, light) -> are the bytes right?
 * symbols: uint16, filled. */
static PyObject *py_decode(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer data, symbols;
    Py_ssize_t lines, length, stride, line_stride;
    Matrix x;
    if (!PyArg_ParseTuple(args, "y*w*nnnnIIpp", &data, &symbols, &lines, &length, &stride, &line_stride, &x.values[0],
                          &x.values[1], &x.zeros, &x.light))
        return NULL;
    x.lines = (size_t)lines, x.length = (size_t)length, x.stride = (size_t)stride, x.line_stride = (size_t)line_stride;
    x.symbols = symbols.buf;
    PyObject *result = NULL;
    if (fits(&x, symbols.len)) {
        Coder c = {.high = UINT32_MAX, .in = data.buf, .length = (size_t)data.len};
        int fine, right;
        Py_BEGIN_ALLOW_THREADS
        for (int i = 0; i < 4; i++)
            c.code = c.code << 8 | next_byte(&c);
        fine = code_matrix(&c, &x, 1);
        right = fine && finish_decoding(&c);
        Py_END_ALLOW_THREADS
        result = fine ? PyBool_FromLong(right) : PyErr_NoMemory();
    } else {
        PyErr_SetString(PyExc_ValueError, "decode: sizes do not fit");
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&symbols);
    return result;
}

static PyMethodDef methods[] = {
    {"encode", py_encode, METH_VARARGS, NULL},
    {"decode", py_decode, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_adaptive_native", "The adaptive coder in C; see adaptive.py.", 0, methods, NULL, NULL,
    NULL, NULL,
};

PyMODINIT_FUNC PyInit__adaptive_native(void)
{
    make_tables();
    return PyModule_Create(&module);
}
