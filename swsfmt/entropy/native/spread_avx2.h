/* Values to the places of a mask, for x86 processors with AVX2: eight places at a time, without a branch. */
#ifndef SWSFMT_SPREAD_AVX2_H
#define SWSFMT_SPREAD_AVX2_H

#include "avx2.h"
#include "bits.h"

#ifdef SWSFMT_AVX2

/* Eight bytes that are 1 where those of the mask are not 0. */
static inline uint64_t eight_ones(const uint8_t *mask)
{
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t eight = load64(mask);
    return ((((eight & low) + low) | eight) & ~low) >> 7;
}

/* How many ones there are up to each of eight bytes, itself included: the last one counts all. */
static inline uint64_t ones_up_to(uint64_t eight)
{
    return eight * UINT64_C(0x0101010101010101);
}

/* The first multiple of eight places; see `spread` in escape.c. in out marks: how many values have been used.
 * Returns how many places are done: the values that are left may be too few for the next eight. */
WITH_AVX2 static inline size_t spread_words(const uint8_t *mask, size_t n, const uint32_t *values, size_t count,
                                            uint32_t *out, size_t *marks)
{
    const __m256i zero = _mm256_setzero_si256();
    size_t i = 0, used = *marks;
    for (; n - i >= 8 && count - used >= 8; i += 8) {
        uint64_t eight = eight_ones(mask + i), up_to = ones_up_to(eight);
        __m256i number = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)(up_to - eight)));
        __m256i is = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)eight));
        __m256i next = _mm256_loadu_si256((const __m256i *)(const void *)(values + used));
        __m256i placed = _mm256_and_si256(_mm256_permutevar8x32_epi32(next, number), _mm256_sub_epi32(zero, is));
        _mm256_storeu_si256((__m256i *)(void *)(out + i), placed);
        used += up_to >> 56;
    }
    *marks = used;
    return i;
}

WITH_AVX2 static inline size_t spread_pairs(const uint8_t *mask, size_t n, const uint16_t *values, size_t count,
                                            uint16_t *out, size_t *marks)
{
    const __m128i twice = _mm_set1_epi16(0x0202), both = _mm_set1_epi16(0x0100), zero = _mm_setzero_si128();
    size_t i = 0, used = *marks;
    for (; n - i >= 8 && count - used >= 8; i += 8) {
        uint64_t eight = eight_ones(mask + i), up_to = ones_up_to(eight);
        __m128i number = _mm_cvtepu8_epi16(_mm_cvtsi64_si128((long long)(up_to - eight)));
        __m128i is = _mm_cvtepu8_epi16(_mm_cvtsi64_si128((long long)eight));
        __m128i bytes = _mm_add_epi16(_mm_mullo_epi16(number, twice), both);
        __m128i next = _mm_loadu_si128((const __m128i *)(const void *)(values + used));
        __m128i placed = _mm_and_si128(_mm_shuffle_epi8(next, bytes), _mm_sub_epi16(zero, is));
        _mm_storeu_si128((__m128i *)(void *)(out + i), placed);
        used += up_to >> 56;
    }
    *marks = used;
    return i;
}

#endif
#endif
