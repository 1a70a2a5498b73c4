/* The models of spec 6.6: the probability of a decision, from what was decided before in the same contexts.
 *
 * A model has a few contexts; each picks a slot, a probability with a count of what it has seen. Their logits are
 * weighed, summed and squashed, and after the decision slots and weights learn (logistic mixing, after Mahoney's PAQ).
 * All arithmetic is in integers, so that every machine gets the same probabilities.
 */
#ifndef SWSFMT_ADAPTIVE_MODEL_H
#define SWSFMT_ADAPTIVE_MODEL_H

#include "adaptive_coder.h"

/* MOST_INPUTS: contexts of a model. LIMIT: of the count of a slot. BUCKETS: of what is counted. */
enum { MOST_INPUTS = 11, LIMIT = 255, MAX_STRETCH = 3071, MAX_WEIGHT = 1 << 20, BUCKETS = 12, MOST_COUNTED = 200 };

static const uint8_t BUCKET_STARTS[BUCKETS] = {0, 1, 2, 3, 4, 6, 9, 14, 22, 40, 80, MOST_COUNTED};

/* What would take long to compute again and again; made once, then only read, by any number of threads. */
typedef struct {
    uint16_t squashed[2 * MAX_STRETCH + 1]; /* `squash`, within 1 to 65535 */
    int16_t stretched[4096];                /* its inverse */
    uint16_t rates[LIMIT + 1];              /* how fast a slot learns that has seen so much */
    uint8_t buckets[MOST_COUNTED + 1];
} Tables;

/* Probability in 65536ths of a logit in 256ths, -MAX_STRETCH to MAX_STRETCH. */
static inline int32_t squash(int32_t x)
{
    /* 65536 / (1 + exp(-k / 2)) */
    static const int32_t SQUASHED[25] = {32768, 40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357,
                                         64816, 65097, 65269, 65374, 65438, 65476, 65500, 65514, 65523,
                                         65528, 65531, 65533, 65534, 65535, 65535, 65536};
    int32_t size = x < 0 ? -x : x, at = size >> 7, part = size & 127;
    assert(size <= MAX_STRETCH);
    int32_t y = (SQUASHED[at] * (128 - part) + SQUASHED[at + 1] * part) >> 7;
    return x < 0 ? 65536 - y : y;
}

/* out t: all tables. */
static inline void make_tables(Tables *t)
{
    for (int32_t x = -MAX_STRETCH; x <= MAX_STRETCH; x++) {
        int32_t p = squash(x);
        t->squashed[x + MAX_STRETCH] = (uint16_t)(p < 1 ? 1 : p > 65535 ? 65535 : p);
    }
    int32_t x = -MAX_STRETCH;
    for (int32_t k = 0; k < 4096; k++) {
        while (x < MAX_STRETCH && squash(x + 1) <= 16 * k + 8)
            x++;
        t->stretched[k] = (int16_t)x;
    }
    for (int n = 0; n <= LIMIT; n++)
        t->rates[n] = (uint16_t)(131072 / (2 * n + 3));
    for (int n = 0, b = 0; n <= MOST_COUNTED; n++) {
        if (b + 1 < BUCKETS && n == BUCKET_STARTS[b + 1])
            b++;
        t->buckets[n] = (uint8_t)b;
    }
}

INLINE uint32_t bucket(const Tables *t, uint32_t n)
{
    return t->buckets[n < MOST_COUNTED ? n : MOST_COUNTED];
}

/* The bucket of 64 times the part c of k, with a little of a half mixed in while k is small; `b` is where it was last.
 * It seldom moves: comparisons that can be foretold are faster than the division. */
INLINE uint32_t density(uint32_t b, uint64_t c, uint64_t k)
{
    const uint64_t part = 64 * (4 * c + 1), whole = 4 * k + 2;
    while (part < BUCKET_STARTS[b] * whole)
        b--;
    while (b + 1 < BUCKETS && part >= BUCKET_STARTS[b + 1] * whole)
        b++;
    return b;
}

/* A slot holds a probability in its upper 22 bits and a count in its lower 10. */
enum { NEW_SLOT = 1u << 31 };

/* slots: of all contexts, to be freed; those of context i begin at start[i]. weight: of each context. */
typedef struct {
    uint32_t *slots;
    uint32_t start[MOST_INPUTS];
    int32_t weight[MOST_INPUTS];
    uint32_t decisions;
    int32_t rate;
} Model;

/* out m: a model that has seen nothing, whose slots the caller fills. in sizes: of the slots of `inputs` contexts.
 * Returns how many slots there are, 0 without memory. */
static inline size_t make_open_model(Model *m, int inputs, const size_t *sizes)
{
    size_t total = 0;
    assert(inputs >= 1 && inputs <= MOST_INPUTS);
    for (int i = 0; i < inputs; i++) {
        m->start[i] = (uint32_t)total;
        m->weight[i] = 81920 / inputs;
        total += sizes[i];
    }
    m->decisions = 0;
    m->rate = 0;
    m->slots = malloc(total * sizeof *m->slots);
    return m->slots == NULL ? 0 : total;
}

/* The same, slots filled. */
static inline int make_model(Model *m, int inputs, const size_t *sizes)
{
    size_t total = make_open_model(m, inputs, sizes);
    for (size_t i = 0; i < total; i++)
        m->slots[i] = NEW_SLOT;
    return total > 0;
}

/* What a model thinks of the next decision: its slot and input of each context, and the probability of a 1. */
typedef struct {
    uint32_t *slot[MOST_INPUTS];
    int32_t input[MOST_INPUTS], p;
} Guess;

/* After a decision. in out m: the slots that `g` points to, and the weights. */
INLINE void learn(const Tables *t, Model *m, const Guess *g, const int inputs, int bit)
{
    if ((m->decisions & 63) == 0)
        m->rate = 640 + 7680 / (1 + (int32_t)(m->decisions >> 6));
    m->decisions++;
    const int64_t error = (int64_t)((bit << 16) - g->p) * m->rate;
    /* The distance to what the decision was, and its sign: q + d where bit is 1, q - d where it is 0. */
    const uint32_t most = bit ? 4194303 : 0, minus = bit ? 0 : UINT32_MAX;
    for (int i = 0; i < inputs; i++) {
        int32_t w = m->weight[i] + (int32_t)((g->input[i] * error + (1 << 25)) >> 26);
        m->weight[i] = w > MAX_WEIGHT ? MAX_WEIGHT : w < -MAX_WEIGHT ? -MAX_WEIGHT : w;
        uint32_t s = *g->slot[i], n = s & 1023, q = s >> 10;
        uint32_t d = (uint32_t)(((uint64_t)(q ^ most) * t->rates[n]) >> 16);
        q += (d ^ minus) - minus;
        *g->slot[i] = q << 10 | (n + (n < LIMIT));
    }
}

/* Code one decision, which is returned; when decoding `bit` is not used.
 * in contexts: `inputs` of them, each below the number of its slots. rare: the decision is 0 nearly always. Then it is
 * worth while to go on before it is known (a branch); otherwise a branch would be taken the wrong way too often. */
INLINE int code_bit(const Tables *t, Coder *c, Model *m, const uint32_t *contexts, const int inputs, int bit,
                    const int rare, const int decoding)
{
    Guess g;
    int64_t sum = 0;
    for (int i = 0; i < inputs; i++) {
        g.slot[i] = m->slots + m->start[i] + contexts[i];
        g.input[i] = (*g.slot[i] & 1023) ? t->stretched[*g.slot[i] >> 20] : 0;
        sum += (int64_t)m->weight[i] * g.input[i];
    }
    sum >>= 16;
    const int32_t x = sum > MAX_STRETCH ? MAX_STRETCH : sum < -MAX_STRETCH ? -MAX_STRETCH : (int32_t)sum;
    g.p = t->squashed[x + MAX_STRETCH];
    const uint32_t middle = middle_of(c, (uint32_t)g.p);
    if (decoding)
        bit = c->code <= middle;
    else
        c->bits += (16 << LOG_BITS) - log2_of(bit ? g.p : 65536 - g.p, c->logarithms);
    if (!rare) {
        c->high = bit ? middle : c->high;
        c->low = bit ? c->low : middle + 1;
        learn(t, m, &g, inputs, bit);
    } else if (bit) {
        c->high = middle;
        learn(t, m, &g, inputs, 1);
    } else {
        c->low = middle + 1;
        learn(t, m, &g, inputs, 0);
    }
    shift(c, decoding);
    return bit;
}

#endif
