/* Which form of a sparse matrix has the smallest stream of gaps, with what it needs besides. */
#include "codes.h"
#include "logarithm.h"

/* The difference of two logarithms is too large by this at most: log2(1 + 1 / 256), and what rounding adds. */
enum { LOG_ERROR = 25 };

/* From so many entries on, which have chunks, fewer skips are worth 1/64 of a bit each: they take time. */
enum { LARGE = 1 << 15, SKIPS_SHIFT = 6 };

/* gaps, counts: `n` of them, gaps that occur and how often; the longest is `most`. bits: of all but the gaps.
 * shift: its size counts for size >> shift more than it is. same: the first form that has the same gaps. */
typedef struct {
    Py_buffer buffers[2];
    const int64_t *gaps, *counts;
    size_t n, same;
    int64_t most, bits;
    int shift;
} Form;

/* Of gaps, with symbols of 1, 2, 3 ... bits: about the size of the stream, in fractions of `1 << LOG_BITS` bits; and bits
 * that the symbols take at least in any code. */
typedef struct {
    int64_t about[MAX_LENGTH], least[MAX_LENGTH];
} Estimates;

/* A form and the bits of a symbol, and about the size as it counts, in the same fractions. */
typedef struct {
    size_t form;
    int pbits;
    int64_t rank;
} Candidate;

/* Whether one bit less has no skips either, so that its symbols are the same. */
static inline int is_wider_than_needed(const Form *form, int pbits)
{
    return form->most < ((int64_t)1 << (pbits - 1)) - 1;
}

static void estimate(const Form *form, const int64_t *logarithms, int symbol_bits, int huffman, Estimates *e)
{
    int64_t total = 0, entropy = 0, used = 0, whole = 0;
    for (int pbits = 1; pbits <= MAX_LENGTH; pbits++) {
        if (pbits == 1 || !is_wider_than_needed(form, pbits)) {
            int64_t of_symbols[PATTERNS];
            total = gap_counts(form->gaps, form->counts, form->n, pbits, of_symbols);
            int64_t of_total = log2_of(total, logarithms);
            int64_t most = 0;
            entropy = 0, used = 0;
            for (size_t s = 0; s < (size_t)1 << pbits; s++)
                if (of_symbols[s]) {
                    entropy += of_symbols[s] * (of_total - log2_of(of_symbols[s], logarithms));
                    most = of_symbols[s] > most ? of_symbols[s] : most;
                    used++;
                }
            whole = entropy;
            /* No codeword has less than a bit, if there are two; the others start with another bit than it. */
            if (most < total && most > total - most) {
                int64_t of_rest = log2_of(total - most, logarithms);
                whole = total * ((int64_t)1 << LOG_BITS);
                for (size_t s = 0; s < (size_t)1 << pbits; s++)
                    if (of_symbols[s] && of_symbols[s] != most)
                        whole += of_symbols[s] * (of_rest - log2_of(of_symbols[s], logarithms));
            }
        }
        int64_t fixed = total * pbits * ((int64_t)1 << LOG_BITS);
        int64_t coded = whole + used * symbol_bits * ((int64_t)1 << LOG_BITS);
        e->about[pbits - 1] = fixed < coded || !huffman ? fixed : coded;
        e->least[pbits - 1] = entropy > total * LOG_ERROR ? (entropy - total * LOG_ERROR) >> LOG_BITS : 0;
    }
}

/* Put one more among the best, of which there is room for `room`; of equals the first comes first. Returns how many. */
static size_t insert(Candidate *best, size_t count, size_t room, Candidate candidate)
{
    size_t at = count;
    if (count == room && (room == 0 || best[count - 1].rank <= candidate.rank))
        return count;
    for (at = count < room ? count : room - 1; at > 0 && best[at - 1].rank > candidate.rank; at--)
        best[at] = best[at - 1];
    best[at] = candidate;
    return count < room ? count + 1 : count;
}

/* The best by the estimates. Returns how many there are. in estimates: of each form. out best: `room`. */
static size_t finalists(const Form *forms, size_t n, int first, int last, const Estimates *estimates, Candidate *best,
                        size_t room)
{
    size_t count = 0;
    for (size_t f = 0; f < n; f++)
        for (int pbits = first; pbits <= last; pbits++) {
            int64_t size = estimates[forms[f].same].about[pbits - 1] +
                           forms[f].bits * ((int64_t)1 << LOG_BITS);
            count = insert(best, count, room, (Candidate){f, pbits, size + (size >> forms[f].shift)});
        }
    return count;
}

/* The best by the very size. Returns its number among the finalists, -1 without any, or NO_MEMORY.
 * in candidates: `n`, the first of equals wins. free_width: whether symbols may be narrower. */
static int choose(const Form *forms, const Estimates *estimates, const Candidate *candidates, size_t n, int free_width,
                  const Choice *choice)
{
    int64_t least = INT64_MAX, of_symbols[PATTERNS];
    int best = -1;
    for (size_t i = 0; i < n; i++) {
        const Form *form = forms + candidates[i].form;
        int pbits = candidates[i].pbits;
        if (free_width && is_wider_than_needed(form, pbits))
            continue;
        /* A size that is shifted is no less: the bound holds. */
        int64_t most = least - form->bits, entropy = estimates[form->same].least[pbits - 1];
        if (most <= 0)
            continue;
        gap_counts(form->gaps, form->counts, form->n, pbits, of_symbols);
        int64_t size = cheapest_stream(of_symbols, (size_t)1 << pbits, entropy, choice, most);
        if (size < 0)
            return NO_MEMORY;
        size += form->bits;
        int64_t skips = of_symbols[((size_t)1 << pbits) - 1], entries = 0;
        for (size_t k = 0; k < form->n; k++)
            entries += form->counts[k];
        size += (size >> form->shift) + (entries < LARGE ? 0 : skips >> SKIPS_SHIFT);
        if (size < least) {
            least = size;
            best = (int)i;
        }
    }
    return best;
}

/* One of the forms as an argument; returns whether it is sound. Its buffers are to be released in any case. */
static int parse_form(PyObject *tuple, Form *form)
{
    long long bits;
    if (!PyArg_ParseTuple(tuple, "y*y*Li", &form->buffers[0], &form->buffers[1], &bits, &form->shift))
        return 0;
    form->gaps = form->buffers[0].buf, form->counts = form->buffers[1].buf;
    form->n = count_of(&form->buffers[0], sizeof(int64_t));
    form->bits = bits, form->most = 0;
    int sound = form->n > 0 && bits >= 0 && bits < (int64_t)1 << 48 && form->shift >= 0 && form->shift < 64 &&
                holds(&form->buffers[0], sizeof(int64_t)) && holds_exactly(&form->buffers[1], sizeof(int64_t), form->n);
    for (size_t i = 0; sound && i < form->n; i++) {
        sound = form->gaps[i] >= 0 && form->counts[i] > 0;
        form->most = form->gaps[i] > form->most ? form->gaps[i] : form->most;
    }
    return sound;
}

/* The tables as an argument, each of which is a tuple that its buffer belongs to; returns whether they are sound. */
static int parse_tables(PyObject *list, Earlier *tables, Py_buffer *buffers, size_t n, size_t *parsed)
{
    for (*parsed = 0; *parsed < n; ++*parsed) {
        Earlier *table = tables + *parsed;
        Py_buffer *buffer = buffers + *parsed;
        PyObject *tuple = PyList_GetItem(list, (Py_ssize_t)*parsed);
        if (tuple == NULL || !PyArg_ParseTuple(tuple, "y*ii", buffer, &table->single, &table->reference))
            return 0;
        table->lengths = buffer->buf, table->alphabet = (size_t)buffer->len;
    }
    return 1;
}

/* cheapest_gaps([(gaps, counts, bits, shift)], (first, last), logarithms, symbol_bits, finalists, huffman, coded, windows,
 * tables) -> (which form, bits of a symbol) */
PyObject *py_cheapest_gaps(PyObject *self, PyObject *args)
{
    (void)self;
    enum { LOGARITHMS, WINDOWS, BUFFERS };
    Py_buffer b[BUFFERS];
    PyObject *list, *tables, *result = NULL;
    int first, last, symbol_bits, huffman;
    Py_ssize_t room;
    Choice choice = {0};
    if (!PyArg_ParseTuple(args, "O(ii)y*inppy*O", &list, &first, &last, &b[LOGARITHMS], &symbol_bits, &room, &huffman,
                          &choice.huffman, &b[WINDOWS], &tables))
        return NULL;
    int sound = PyList_Check(list) && PyList_Check(tables) && 1 <= first && first <= last && last <= MAX_LENGTH &&
                0 < room && room <= PATTERNS && symbol_bits >= 0 &&
                holds_exactly(&b[LOGARITHMS], sizeof(int64_t), 256);
    size_t n = sound ? (size_t)PyList_Size(list) : 0, parsed = 0, parsed_tables = 0;
    size_t of_tables = sound ? (size_t)PyList_Size(tables) : 0;
    Form *forms = calloc(n + 1, sizeof *forms);
    Estimates *estimates = calloc(n + 1, sizeof *estimates);
    Candidate *best = calloc((size_t)(sound ? room : 1), sizeof *best);
    Earlier *earlier = calloc(of_tables + 1, sizeof *earlier);
    Py_buffer *buffers = calloc(of_tables + 1, sizeof *buffers);
    int has_memory = forms != NULL && estimates != NULL && best != NULL && earlier != NULL && buffers != NULL;
    int which = -1;
    for (; sound && has_memory && parsed < n; parsed++)
        sound = parse_form(PyList_GetItem(list, (Py_ssize_t)parsed), forms + parsed);
    sound = sound && has_memory && parse_tables(tables, earlier, buffers, of_tables, &parsed_tables);
    if (sound) {
        choice.windows = b[WINDOWS].buf, choice.tries = (size_t)b[WINDOWS].len;
        choice.of_tables = earlier, choice.tables = of_tables;
        Py_BEGIN_ALLOW_THREADS
        for (size_t f = 0; f < n; f++) {
            for (forms[f].same = 0; forms[forms[f].same].gaps != forms[f].gaps;)
                forms[f].same++;
            if (forms[f].same == f)
                estimate(forms + f, b[LOGARITHMS].buf, symbol_bits, huffman, estimates + f);
        }
        size_t count = finalists(forms, n, first, last, estimates, best, (size_t)room);
        which = choose(forms, estimates, best, count, first < last, &choice);
        Py_END_ALLOW_THREADS
    }
    if (!has_memory || which == NO_MEMORY)
        PyErr_NoMemory();
    else if (which < 0 && !PyErr_Occurred())
        refuse("cheapest_gaps");
    else if (which >= 0)
        result = Py_BuildValue("ni", (Py_ssize_t)best[which].form, best[which].pbits);
    for (size_t f = 0; f < parsed; f++)
        release(forms[f].buffers, 2);
    release(buffers, (int)parsed_tables);
    release(b, BUFFERS);
    free(forms);
    free(estimates);
    free(best);
    free(earlier);
    free(buffers);
    return result;
}
