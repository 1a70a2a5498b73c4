/* Interleaved rANS of two symbols, as masks have them: what a slot decodes to is a matter of one comparison, and no table
 * is looked up. See rans_block.h. */
#ifndef SWSFMT_RANS_BITS_H
#define SWSFMT_RANS_BITS_H

#include "rans_avx2.h"

/* Decode `n` symbols, the first one in lane 0.
 * zeros: of the tables, or those of a class of rows: of each label, the frequency of symbol 0; eight can be read.
 * labels: of each symbol, below 8 where vectors are used. out: n symbols. Otherwise as for `DecodeBlock`. */
typedef const uint8_t *DecodeBits(const RansTables *t, const uint32_t *zeros, uint32_t *states, size_t lanes,
                                  const uint8_t *labels, size_t n, const uint8_t *word, const uint8_t *end,
                                  uint8_t *out);

/* As `step`. A one has all slots from `zeros` on, and a state is frequency after frequency of its high bits, and a slot. */
static inline uint32_t step_of_bit(uint32_t zeros, int bits, uint32_t state, uint8_t *out)
{
    uint32_t slot = state & ((1u << bits) - 1), share = zeros * (state >> bits);
    uint32_t is_one = slot >= zeros, one = 0u - is_one;
    *out = (uint8_t)is_one;
    /* No branch, since nobody could foretell it. */
    return ((share + slot) & ~one) | ((state - share - zeros) & one);
}

static inline const uint8_t *decode_bits_portable(const RansTables *t, const uint32_t *zeros, uint32_t *states,
                                                  size_t lanes, const uint8_t *labels, size_t n, const uint8_t *word,
                                                  const uint8_t *end, uint8_t *out)
{
    const int bits = t->bits;
    size_t k = 0;
    /* Words to spare, as in `decode_portable`. */
    for (; n - k >= lanes && (size_t)(end - word) > 2 * lanes; k += lanes)
        for (size_t lane = 0; lane < lanes; lane++) {
            uint32_t state = step_of_bit(zeros[labels[k + lane]], bits, states[lane], &out[k + lane]);
            uint32_t is_low = state < RANS_LOW;
            states[lane] = state << (16 * is_low) | (load16(word) & (0u - is_low));
            word += 2 * is_low;
        }
    for (size_t lane = 0; k < n; k++) {
        uint32_t state = step_of_bit(zeros[labels[k]], bits, states[lane], &out[k]);
        if (state < RANS_LOW) {
            if (end - word < 2)
                return NULL;
            state = state << 16 | load16(word);
            word += 2;
        }
        states[lane] = state;
        lane = lane + 1 == lanes ? 0 : lane + 1;
    }
    return word;
}

#ifdef SWSFMT_AVX2

/* in is_zero: four vectors of eight words that are 0 or -1. out out: a byte for each, 1 or 0. */
WITH_AVX2 static inline void put_zeros(uint8_t *out, const __m256i *is_zero)
{
    __m256i halves = _mm256_packs_epi32(is_zero[0], is_zero[1]), others = _mm256_packs_epi32(is_zero[2], is_zero[3]);
    __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(halves, others), order);
    _mm256_storeu_si256((__m256i *)(void *)out, _mm256_add_epi8(bytes, _mm256_set1_epi8(1)));
}

/* Eight symbols: the states after them. out is_zero: -1 for each that is 0. */
WITH_AVX2 static inline __attribute__((always_inline)) __m256i eight_bits(const Steps *s, __m256i zeros, __m256i state,
                                                                          const uint8_t *labels, const uint8_t **word,
                                                                          __m256i *is_zero)
{
    __m128i eight = _mm_loadl_epi64((const __m128i *)(const void *)labels);
    __m256i low = _mm256_permutevar8x32_epi32(zeros, _mm256_cvtepu8_epi32(eight));
    __m256i slot = _mm256_and_si256(state, s->slot_mask);
    __m256i share = _mm256_mullo_epi32(low, _mm256_srl_epi32(state, s->bits));
    __m256i of_one = _mm256_sub_epi32(_mm256_sub_epi32(state, low), share);
    *is_zero = _mm256_cmpgt_epi32(low, slot);
    return renormalised(s, _mm256_blendv_epi8(of_one, _mm256_add_epi32(share, slot), *is_zero), word);
}

WITH_AVX2 static inline __attribute__((always_inline)) const uint8_t *
decode_bit_vectors(const RansTables *t, const uint32_t *zeros, uint32_t *states, const size_t lanes,
                   const uint8_t *labels, size_t n, const uint8_t *word, const uint8_t *end, uint8_t *out)
{
    const Steps s = steps_of(t);
    const __m256i of_labels = load_states(zeros);
    __m256i state[MAX_RANS_LANES / 8], is_zero[MAX_RANS_LANES / 8];
    size_t k = 0;
    UNROLL for (size_t v = 0; v < lanes / 8; v++)
        state[v] = load_states(states + 8 * v);
    for (; n - k >= lanes && (size_t)(end - word) >= 2 * lanes + 16; k += lanes) {
        UNROLL for (size_t v = 0; v < lanes / 8; v++)
            state[v] = eight_bits(&s, of_labels, state[v], labels + k + 8 * v, &word, &is_zero[v]);
        UNROLL for (size_t v = 0; v < lanes / 8; v += 4)
            put_zeros(out + k + 8 * v, &is_zero[v]);
    }
    UNROLL for (size_t v = 0; v < lanes / 8; v++)
        keep_states(states + 8 * v, state[v]);
    return decode_bits_portable(t, zeros, states, lanes, labels + k, n - k, word, end, out + k);
}

#define AVX2_BITS(LANES)                                                                                               \
    WITH_AVX2 static const uint8_t *decode_bits_avx2_##LANES(                                                          \
        const RansTables *t, const uint32_t *zeros, uint32_t *states, size_t lanes, const uint8_t *labels, size_t n,   \
        const uint8_t *word, const uint8_t *end, uint8_t *out)                                                         \
    {                                                                                                                  \
        (void)lanes;                                                                                                   \
        return decode_bit_vectors(t, zeros, states, LANES, labels, n, word, end, out);                                 \
    }

AVX2_BITS(32)

#endif

/* The decoder for so many lanes. vectors: whether it may be one that this processor alone has. */
static inline DecodeBits *bit_decoder_of(size_t lanes, int vectors)
{
#ifdef SWSFMT_AVX2
    if (vectors && lanes == 32 && has_avx2())
        return decode_bits_avx2_32;
#endif
    (void)lanes, (void)vectors;
    return decode_bits_portable;
}

#endif
