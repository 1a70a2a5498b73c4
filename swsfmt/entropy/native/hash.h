/* Which elements occur, and the symbol of each, by a hash table of them. */
#ifndef SWSFMT_HASH_H
#define SWSFMT_HASH_H

#include "kernels.h"

/* An open hash table of up to 4096 elements, so large that nearly all of them are found in their first slot.
 * A slot with number 0 is free, others have a symbol + 1. The key of a free slot never equals an element whose first
 * slot it is: 0 belongs to slot 0, where the key is 1. So a first slot with the right key is not free. */
typedef struct {
    uint64_t key, number;
} Slot;

/* Four sets of counts, by number: of equal elements that follow each other each finds its count free. Number 0 is
 * counted where an element changed between two looks at it. */
enum { SETS = 4 };

typedef struct {
    Slot *slots, *last;
    int64_t *counts[SETS];
    int shift;
} Hash;

/* For up to `most` elements; in the memory of a small table there is nothing to clear but what is used. */
static Hash *make_hash(size_t most)
{
    int bits = 6;
    while (bits < 14 && (size_t)1 << bits < 4 * most)
        bits++;
    size_t slots = (size_t)1 << bits;
    Hash *h = calloc(1, sizeof *h + slots * sizeof(Slot) + SETS * (most + 1) * sizeof(int64_t));
    if (h != NULL) {
        h->slots = (Slot *)(void *)(h + 1);
        h->slots[0].key = 1;
        h->last = h->slots + slots - 1;
        h->shift = 64 - bits;
        for (size_t set = 0; set < SETS; set++)
            h->counts[set] = (int64_t *)(void *)(h->slots + slots) + set * (most + 1);
    }
    return h;
}

static inline Slot *first_slot(Hash *h, uint64_t key)
{
    return &h->slots[(key * UINT64_C(0x9E3779B97F4A7C15)) >> h->shift];
}

/* The slot that has the key, or the free one where it goes. */
static Slot *slot_of(Hash *h, uint64_t key)
{
    Slot *slot = first_slot(h, key);
    while (slot->number != 0 && slot->key != key)
        slot = slot == h->last ? h->slots : slot + 1;
    return slot;
}

/* in data: at least i + 1 elements of `bytes`: 1, 2, 4 or 8. */
static inline uint64_t element_at(const uint8_t *data, size_t i, int bytes)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;
    switch (bytes) {
    case 1: return data[i];
    case 2: memcpy(&two, data + 2 * i, 2); return two;
    case 4: memcpy(&four, data + 4 * i, 4); return four;
    default: memcpy(&eight, data + 8 * i, 8); return eight;
    }
}

/* out data: room for at least i + 1 elements of `bytes`. */
static inline void put_element_at(uint8_t *data, size_t i, uint64_t element, int bytes)
{
    uint16_t two = (uint16_t)element;
    uint32_t four = (uint32_t)element;
    switch (bytes) {
    case 1: data[i] = (uint8_t)element; break;
    case 2: memcpy(data + 2 * i, &two, 2); break;
    case 4: memcpy(data + 4 * i, &four, 4); break;
    default: memcpy(data + 8 * i, &element, 8); break;
    }
}

/* Whether four elements are all in their first slots, which go to slot[]. */
static inline int at_home(Hash *h, const uint8_t *data, size_t i, int bytes, Slot **slot)
{
    uint64_t differ = 0;
    for (size_t k = 0; k < 4; k++) {
        uint64_t key = element_at(data, i + k, bytes);
        slot[k] = first_slot(h, key);
        differ |= slot[k]->key ^ key;
    }
    return differ == 0;
}

/* The distinct ones of `n` elements in the order in which they are met; returns how many, or most + 1 if more.
 * in data: n elements of `bytes`. out values: room for `most` <= MAX_DISTINCT. */
static inline size_t distinct_of(Hash *h, const uint8_t *data, size_t n, uint64_t *values, size_t most, int bytes)
{
    size_t count = 0;
    assert(most <= MAX_DISTINCT);
    for (size_t i = 0; i < n;) {
        Slot *home[4];
        if (n - i >= 4 && at_home(h, data, i, bytes, home)) {
            i += 4;
            continue;
        }
        for (size_t stop = n - i >= 4 ? i + 4 : n; i < stop; i++) {
            uint64_t key = element_at(data, i, bytes);
            Slot *slot = slot_of(h, key);
            if (slot->number != 0)
                continue;
            if (count == most)
                return most + 1;
            values[count] = slot->key = key;
            slot->number = ++count;
        }
    }
    return count;
}

/* The symbol of each of `n` elements; how often each occurs is added to the counts of the table, which has the values.
 * in data: n elements of `bytes`. out out: n symbols. Returns 0 if an element is none of the values. */
static inline int symbols_of(Hash *h, const uint8_t *data, size_t n, uint16_t *out, int bytes)
{
    for (size_t i = 0; i < n;) {
        Slot *home[4];
        if (n - i >= 4 && at_home(h, data, i, bytes, home)) {
            for (size_t k = 0; k < 4; k++) {
                size_t number = (size_t)home[k]->number;
                out[i + k] = (uint16_t)(number - 1);
                h->counts[k][number]++;
            }
            i += 4;
            continue;
        }
        for (size_t stop = n - i >= 4 ? i + 4 : n; i < stop; i++) {
            uint64_t number = slot_of(h, element_at(data, i, bytes))->number;
            if (number == 0)
                return 0;
            out[i] = (uint16_t)(number - 1);
            h->counts[0][number]++;
        }
    }
    return (h->counts[0][0] | h->counts[1][0] | h->counts[2][0] | h->counts[3][0]) == 0;
}

/* Each element that has a slot as it is, `mark` for all others; returns how many others.
 * in data: n elements of `bytes`. out out: the same. */
static inline size_t keep_of(Hash *h, const uint8_t *data, size_t n, uint64_t mark, uint8_t *out, int bytes)
{
    size_t others = 0;
    for (size_t i = 0; i < n;) {
        Slot *home[4];
        if (n - i >= 4 && at_home(h, data, i, bytes, home)) {
            for (size_t k = 0; k < 4; k++)
                put_element_at(out, i + k, home[k]->key, bytes);
            i += 4;
            continue;
        }
        for (size_t stop = n - i >= 4 ? i + 4 : n; i < stop; i++) {
            uint64_t key = element_at(data, i, bytes);
            if (slot_of(h, key)->number == 0) {
                key = mark;
                others++;
            }
            put_element_at(out, i, key, bytes);
        }
    }
    return others;
}

#endif
