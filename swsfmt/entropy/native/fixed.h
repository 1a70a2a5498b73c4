/* Codes of a fixed width to bytes: all fields of a word are taken apart at once. */
#ifndef SWSFMT_FIXED_H
#define SWSFMT_FIXED_H

#include "avx2.h"
#include "table.h"

/* The bits of each codeword, 1 to 7, where all patterns of so many bits stand for their own number; else 0. */
static inline int fixed_width(const Code *code)
{
    int width = code->single < 0 && code->alphabet > 1 ? code->lengths[0] : 0;
    if (width < 1 || width > 7 || code->alphabet != (size_t)1 << width)
        return 0;
    for (size_t s = 0; s < code->alphabet; s++)
        if (code->lengths[s] != width || code->codewords[s] != s)
            return 0;
    return width;
}

/* Masks of the fields of half, a quarter and an eighth of a word. */
typedef struct {
    uint64_t half, quarter, eighth;
} Fields;

static inline Fields fields_of(int width)
{
    Fields f = {((uint64_t)1 << (4 * width)) - 1, (((uint64_t)1 << (2 * width)) - 1) * UINT64_C(0x100000001),
                (((uint64_t)1 << width) - 1) * UINT64_C(0x1000100010001)};
    return f;
}

/* The lowest eight fields of a word, as eight bytes. */
static inline uint64_t eight_fields(uint64_t word, int width, Fields f)
{
    word = (word & f.half) | (word >> (4 * width) & f.half) << 32;
    word = (word & f.quarter) | (word >> (2 * width) & f.quarter) << 16;
    return (word & f.eighth) | (word >> width & f.eighth) << 8;
}

#ifdef SWSFMT_AVX2
/* The next fields as bytes, 32 at a time, for x86 processors with AVX2. in at: of n fields, all of which are there.
 * out out: as many as are returned. */
WITH_AVX2 static inline size_t unpack_vectors(Bits b, uint64_t at, size_t n, int width, uint8_t *out)
{
    const Fields f = fields_of(width);
    const __m256i half = _mm256_set1_epi64x((long long)f.half), quarter = _mm256_set1_epi64x((long long)f.quarter);
    const __m256i eighth = _mm256_set1_epi64x((long long)f.eighth);
    const __m128i one = _mm_cvtsi32_si128(width), two = _mm_cvtsi32_si128(2 * width);
    const __m128i four = _mm_cvtsi32_si128(4 * width), begun = _mm_cvtsi32_si128((int)(at & 7));
    /* Eight fields take as many bytes as a field has bits, so that all of them begin at the same bit of a byte. */
    const size_t step = (size_t)width;
    size_t k = 0, byte = at >> 3;
    for (; n - k >= 32 && byte + 3 * step + 8 <= b.bytes; k += 32, byte += 4 * step) {
        const uint8_t *p = b.data + byte;
        __m256i x = _mm256_set_epi64x((long long)load64(p + 3 * step), (long long)load64(p + 2 * step),
                                      (long long)load64(p + step), (long long)load64(p));
        x = _mm256_srl_epi64(x, begun);
        x = _mm256_or_si256(_mm256_and_si256(x, half),
                            _mm256_slli_epi64(_mm256_and_si256(_mm256_srl_epi64(x, four), half), 32));
        x = _mm256_or_si256(_mm256_and_si256(x, quarter),
                            _mm256_slli_epi64(_mm256_and_si256(_mm256_srl_epi64(x, two), quarter), 16));
        x = _mm256_or_si256(_mm256_and_si256(x, eighth),
                            _mm256_slli_epi64(_mm256_and_si256(_mm256_srl_epi64(x, one), eighth), 8));
        _mm256_storeu_si256((__m256i *)(void *)(out + k), x);
    }
    return k;
}
#endif

/* `n` fields from bit `at` on, all of which are there, to elements of one byte. in elements: 2^width of them. */
static inline void unpack(Bits b, uint64_t at, size_t n, int width, const uint8_t *elements, uint8_t *out)
{
    const Fields f = fields_of(width);
    size_t count = (size_t)1 << width, k = 0;
    int is_itself = 1;
    assert(at + n * (uint64_t)width <= 8 * (uint64_t)b.bytes);
    for (size_t s = 0; s < count; s++)
        is_itself &= elements[s] == s;
#ifdef SWSFMT_AVX2
    if (is_itself && has_avx2()) {
        k = unpack_vectors(b, at, n, width, out);
        at += k * (uint64_t)width;
    }
#endif
    for (; n - k >= 8 && (at >> 3) + 8 <= b.bytes; k += 8, at += 8 * (uint64_t)width) {
        /* A byte that is begun leaves 57 bits. */
        put64(out + k, eight_fields(load64(b.data + (at >> 3)) >> (at & 7), width, f));
        for (size_t i = k; !is_itself && i < k + 8; i++)
            /* Another thread may write there meanwhile. */
            out[i] = elements[out[i] & (count - 1)];
    }
    for (; k < n; k++, at += (uint64_t)width)
        out[k] = elements[peek(b, at) & (count - 1)];
}

#endif
