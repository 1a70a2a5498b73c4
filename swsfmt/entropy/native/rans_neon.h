/* The same for ARM processors of 64 bits, all of which have NEON: four lanes in a vector. See rans_block.h. */
#ifndef SWSFMT_RANS_NEON_H
#define SWSFMT_RANS_NEON_H

#include "rans_block.h"

#if defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
#define SWSFMT_NEON
#include <arm_neon.h>

static inline __attribute__((always_inline)) const uint8_t *
decode_vectors(const RansTables *t, const uint16_t *slots, uint32_t *states, const size_t lanes, const uint32_t *pairs,
               size_t n, const uint8_t *word, const uint8_t *end, uint32_t *out)
{
    static const uint32_t LANE_BITS[4] = {1, 2, 4, 8};
    const uint32x4_t slot_mask = vdupq_n_u32((1u << t->bits) - 1), start_mask = vdupq_n_u32(0xffff);
    const uint32x4_t low = vdupq_n_u32(RANS_LOW), lane_bits = vld1q_u32(LANE_BITS);
    const int32x4_t bits = vdupq_n_s32(-t->bits);
    const uint64_t *entries = (const uint64_t *)(const void *)t->entries;
    uint32x4_t state[MAX_RANS_LANES / 4];
    uint32_t places[4];
    size_t k = 0;
    UNROLL for (size_t v = 0; v < lanes / 4; v++)
        state[v] = vld1q_u32(states + 4 * v);
    for (; n - k >= lanes && (size_t)(end - word) >= 2 * lanes + 8; k += lanes)
        UNROLL for (size_t v = 0; v < lanes / 4; v++) {
            uint32x4_t slot = vandq_u32(state[v], slot_mask);
            vst1q_u32(places, vaddq_u32(slot, vld1q_u32(pairs + k + 4 * v)));
            uint64x2_t left = vdupq_n_u64(entries[slots[places[0]]]), right = vdupq_n_u64(entries[slots[places[2]]]);
            left = vsetq_lane_u64(entries[slots[places[1]]], left, 1);
            right = vsetq_lane_u64(entries[slots[places[3]]], right, 1);
            uint32x4_t share = vuzp1q_u32(vreinterpretq_u32_u64(left), vreinterpretq_u32_u64(right));
            vst1q_u32(out + k + 4 * v, vuzp2q_u32(vreinterpretq_u32_u64(left), vreinterpretq_u32_u64(right)));
            uint32x4_t rest = vsubq_u32(slot, vandq_u32(share, start_mask));
            uint32x4_t next = vmlaq_u32(rest, vshrq_n_u32(share, 16), vshlq_u32(state[v], bits));
            uint32x4_t is_low = vcltq_u32(next, low);
            uint32_t mask = vaddvq_u32(vandq_u32(is_low, lane_bits));
            uint16x4_t words;
            memcpy(&words, word, 8);
            uint8x16_t table = vcombine_u8(vreinterpret_u8_u16(words), vdup_n_u8(0));
            uint32x4_t picked = vreinterpretq_u32_u8(vqtbl1q_u8(table, vld1q_u8(t->spread[mask])));
            uint32x4_t renewed = vorrq_u32(vshlq_n_u32(next, 16), picked);
            state[v] = vbslq_u32(is_low, renewed, next);
            word += 2 * (size_t)__builtin_popcount(mask);
        }
    UNROLL for (size_t v = 0; v < lanes / 4; v++)
        vst1q_u32(states + 4 * v, state[v]);
    return decode_portable(t, slots, states, lanes, pairs + k, n - k, word, end, out + k);
}

/* A constant number of lanes keeps the states in registers. */
#define NEON_LANES(LANES)                                                                                              \
    static const uint8_t *decode_neon_##LANES(const RansTables *t, const uint16_t *slots, uint32_t *states,            \
                                              size_t lanes, const uint32_t *pairs, size_t n, const uint8_t *word,      \
                                              const uint8_t *end, uint32_t *out)                                       \
    {                                                                                                                  \
        (void)lanes;                                                                                                   \
        return decode_vectors(t, slots, states, LANES, pairs, n, word, end, out);                                      \
    }

NEON_LANES(8)
NEON_LANES(16)
NEON_LANES(32)
NEON_LANES(64)

static inline DecodeBlock *vector_decoder(size_t lanes)
{
    static DecodeBlock *const BY_LANES[] = {decode_neon_8, decode_neon_16, decode_neon_32, decode_neon_64};
    if (lanes < 8)
        return NULL;
    return BY_LANES[lanes == 8 ? 0 : lanes == 16 ? 1 : lanes == 32 ? 2 : 3];
}

#endif
#endif
