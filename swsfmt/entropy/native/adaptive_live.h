/* Which lines and places of a matrix hold an entry, as decisions with their contexts (spec 6.6). */
#ifndef SWSFMT_ADAPTIVE_LIVE_H
#define SWSFMT_ADAPTIVE_LIVE_H

#include "adaptive_model.h"

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

#endif
