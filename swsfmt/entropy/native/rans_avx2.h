/* The same for x86 processors with AVX2: eight lanes in a vector. See rans_block.h. */
#ifndef SWSFMT_RANS_AVX2_H
#define SWSFMT_RANS_AVX2_H

#include "avx2.h"
#include "rans_block.h"

#ifdef SWSFMT_AVX2

/* Two entries: those of the slots of lanes i and j. */
WITH_AVX2 static inline __m128 two_entries(const Entry *entries, const uint16_t *slots, uint64_t places)
{
    const Entry *one = &entries[slots[(uint32_t)places]], *other = &entries[slots[places >> 32]];
    __m128i low = _mm_loadl_epi64((const __m128i *)(const void *)one);
    return _mm_loadh_pi(_mm_castsi128_ps(low), (const __m64 *)(const void *)other);
}

/* What every step needs; not read again after each store. */
typedef struct {
    __m256i slot_mask;
    __m128i bits;
    const Entry *entries;
    const uint8_t (*spread)[32];
} Steps;

WITH_AVX2 static inline __attribute__((always_inline)) Steps steps_of(const RansTables *t)
{
    Steps s = {_mm256_set1_epi32((1 << t->bits) - 1), _mm_cvtsi32_si128(t->bits), t->entries, t->spread};
    return s;
}

/* States after a symbol, of which those that are too low take the next words. */
WITH_AVX2 static inline __attribute__((always_inline)) __m256i renormalised(const Steps *s, __m256i next,
                                                                            const uint8_t **word)
{
    const __m256i word_bits = _mm256_set1_epi32(16), zero = _mm256_setzero_si256();
    __m256i is_low = _mm256_cmpeq_epi32(_mm256_srli_epi32(next, 16), zero);
    unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(is_low));
    /* Eight words are loaded at once, used or not. */
    __m256i words = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)*word));
    __m256i spread = _mm256_loadu_si256((const __m256i *)(const void *)s->spread[mask]);
    __m256i shifted = _mm256_sllv_epi32(next, _mm256_and_si256(is_low, word_bits));
    *word += 2 * (size_t)_mm_popcnt_u32(mask);
    return _mm256_or_si256(shifted, _mm256_shuffle_epi8(words, spread));
}

/* Eight symbols, see `DecodeBlock`: the states after them. */
WITH_AVX2 static inline __attribute__((always_inline)) __m256i
eight_steps(const Steps *s, const uint16_t *slots, __m256i state, const uint32_t *pairs, const uint8_t **word,
            uint32_t *out)
{
    const __m256i start_mask = _mm256_set1_epi32(0xffff);
    __m256i pair = _mm256_loadu_si256((const __m256i *)(const void *)pairs);
    __m256i slot = _mm256_and_si256(state, s->slot_mask);
    __m256i place = _mm256_add_epi32(slot, pair);
    __m128i low = _mm256_castsi256_si128(place), high4 = _mm256_extracti128_si256(place, 1);
    uint64_t p01 = (uint64_t)_mm_cvtsi128_si64(low), p23 = (uint64_t)_mm_extract_epi64(low, 1);
    uint64_t p45 = (uint64_t)_mm_cvtsi128_si64(high4), p67 = (uint64_t)_mm_extract_epi64(high4, 1);
    __m256 left = _mm256_set_m128(two_entries(s->entries, slots, p45), two_entries(s->entries, slots, p01));
    __m256 right = _mm256_set_m128(two_entries(s->entries, slots, p67), two_entries(s->entries, slots, p23));
    __m256 elements = _mm256_shuffle_ps(left, right, 0xdd), shares = _mm256_shuffle_ps(left, right, 0x88);
    _mm256_storeu_ps((float *)(void *)out, elements);
    __m256i share = _mm256_castps_si256(shares), high = _mm256_srl_epi32(state, s->bits);
    __m256i rest = _mm256_sub_epi32(slot, _mm256_and_si256(share, start_mask));
    __m256i next = _mm256_add_epi32(_mm256_mullo_epi32(_mm256_srli_epi32(share, 16), high), rest);
    return renormalised(s, next, word);
}

WITH_AVX2 static inline __m256i load_states(const uint32_t *states)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)states);
}

WITH_AVX2 static inline void keep_states(uint32_t *states, __m256i state)
{
    _mm256_storeu_si256((__m256i *)(void *)states, state);
}

WITH_AVX2 static inline __attribute__((always_inline)) const uint8_t *
decode_vectors(const RansTables *t, const uint16_t *slots, uint32_t *states, const size_t lanes, const uint32_t *pairs,
               size_t n, const uint8_t *word, const uint8_t *end, uint32_t *out)
{
    const Steps s = steps_of(t);
    __m256i state[MAX_RANS_LANES / 8];
    size_t k = 0;
    UNROLL for (size_t v = 0; v < lanes / 8; v++)
        state[v] = load_states(states + 8 * v);
    for (; n - k >= lanes && (size_t)(end - word) >= 2 * lanes + 16; k += lanes)
        UNROLL for (size_t v = 0; v < lanes / 8; v++)
            state[v] = eight_steps(&s, slots, state[v], pairs + k + 8 * v, &word, out + k + 8 * v);
    UNROLL for (size_t v = 0; v < lanes / 8; v++)
        keep_states(states + 8 * v, state[v]);
    return decode_portable(t, slots, states, lanes, pairs + k, n - k, word, end, out + k);
}

/* A constant number of lanes keeps the states in registers. */
#define AVX2_LANES(LANES)                                                                                              \
    WITH_AVX2 static const uint8_t *decode_avx2_##LANES(const RansTables *t, const uint16_t *slots, uint32_t *states,  \
                                                        size_t lanes, const uint32_t *pairs, size_t n,                 \
                                                        const uint8_t *word, const uint8_t *end, uint32_t *out)        \
    {                                                                                                                  \
        (void)lanes;                                                                                                   \
        return decode_vectors(t, slots, states, LANES, pairs, n, word, end, out);                                      \
    }

AVX2_LANES(8)
AVX2_LANES(16)
AVX2_LANES(32)
AVX2_LANES(64)

static inline DecodeBlock *vector_decoder(size_t lanes)
{
    static DecodeBlock *const BY_LANES[] = {decode_avx2_8, decode_avx2_16, decode_avx2_32, decode_avx2_64};
    if (lanes < 8 || !has_avx2())
        return NULL;
    return BY_LANES[lanes == 8 ? 0 : lanes == 16 ? 1 : lanes == 32 ? 2 : 3];
}

#endif
#endif
