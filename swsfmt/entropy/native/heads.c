/* The gaps before the first entries of lines (spec 5.5). */
#include "entries.h"

enum { STATE = sizeof(State) / sizeof(int64_t) };

int head_gaps(const int64_t *lines, size_t n, int64_t start, int64_t length, State *s, uint8_t *live,
                     int64_t *counts, size_t countable, int64_t *others, size_t room)
{
    const int64_t *firsts = lines, *lasts = lines + n, *entries = lines + 2 * n;
    for (size_t line = 0; line < n; line++) {
        live[line] = entries[line] != 0;
        if (!live[line])
            continue;
        if (firsts[line] < 0 || lasts[line] < firsts[line] || lasts[line] >= length)
            return 0;
        int64_t begin[WAYS] = {0, (start + (int64_t)line) * length, s->rank * length};
        s->cursor[FRESH] = 0;
        for (int way = 0; way < WAYS; way++) {
            int64_t gap = begin[way] + firsts[line] - s->cursor[way];
            if (gap < 0)
                return 0;
            if ((uint64_t)gap < countable)
                counts[(size_t)way * countable + (size_t)gap]++;
            else if (s->listed[way] < (int64_t)room)
                others[(size_t)way * room + (size_t)s->listed[way]++] = gap;
            else
                return 0;
            s->cursor[way] = begin[way] + lasts[line] + 1;
        }
        s->rank++;
        s->most = entries[line] > s->most ? entries[line] : s->most;
    }
    return 1;
}

/* head_gaps(lines, start, length, state, live, counts, others) */
PyObject *py_head_gaps(PyObject *self, PyObject *args)
{
    (void)self;
    enum { LINES, STATES, LIVE, COUNTS, OTHERS, BUFFERS };
    Py_buffer b[BUFFERS];
    long long start, length;
    if (!PyArg_ParseTuple(args, "y*LLw*w*w*w*", &b[LINES], &start, &length, &b[STATES], &b[LIVE], &b[COUNTS],
                          &b[OTHERS]))
        return NULL;
    size_t n = (size_t)b[LIVE].len, countable = count_of(&b[COUNTS], sizeof(int64_t)) / WAYS;
    size_t room = count_of(&b[OTHERS], sizeof(int64_t)) / WAYS;
    int sound = holds_exactly(&b[LINES], sizeof(int64_t), 3 * n) && holds_exactly(&b[STATES], sizeof(int64_t), STATE) &&
                holds_exactly(&b[COUNTS], sizeof(int64_t), WAYS * countable) &&
                holds_exactly(&b[OTHERS], sizeof(int64_t), WAYS * room) && start >= 0 && length >= 0 &&
                (length == 0 || start + (long long)n <= INT64_MAX / length);
    State *state = b[STATES].buf;
    sound = sound && state->rank >= 0 && state->rank <= start;
    for (int way = 0; sound && way < WAYS; way++)
        sound = state->listed[way] >= 0 && state->cursor[way] >= 0;
    if (sound) {
        Py_BEGIN_ALLOW_THREADS
        sound = head_gaps(b[LINES].buf, n, start, length, state, b[LIVE].buf, b[COUNTS].buf, countable, b[OTHERS].buf,
                          room);
        Py_END_ALLOW_THREADS
    }
    release(b, BUFFERS);
    return sound ? Py_NewRef(Py_None) : refuse("head_gaps");
}
