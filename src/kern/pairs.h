/* pairs.h - the kernels over the tiles of pair.h: rows become pairs of 16-bit numbers, some rows at a time in
 * room on the stack. The file that includes this has said encode(x, n, pairs): n floats to the kernel's
 * 16-bit form, padded with one 0 to whole pairs.
 */
enum { ROWS_TOGETHER = 48, ROOM = 20480 /* 16-bit numbers */ };

/* Rows whose pairs fit the room: 4 of the largest layers there are, 48 of the usual ones. */
static size_t rows_that_fit(const struct tc_weights *w)
{
    size_t each = 2 * (tc_pairs(w->inputs) + tc_pairs(w->outputs)), fit = ROOM / each;
    return fit < ROWS_TOGETHER ? fit : ROWS_TOGETHER;
}

static size_t tile_rows(size_t left)
{
    size_t tiles = (left + ROWS - 1) / ROWS;
    return (left + tiles - 1) / tiles;
}

static void run_blocks(const struct tc_weights *w, const struct tc_pair_row *row, size_t n, int32_t from,
                       int32_t to, bool project)
{
    for (int32_t b = from; b < to; b++) {
        const float *at = w->w + tc_pair_block_at(w, b);
        size_t unit = (size_t)b * V;
        bool half = tc_block_half(w, b);
        for (size_t r = 0, some; r < n; r += some) {
            some = tile_rows(n - r);
            if (project)
                (half ? TH(pair_project_rows) : T(pair_project_rows))(w, at, unit, row + r, some);
            else
                (half ? TH(pair_rows) : T(pair_rows))(w, at, unit, row + r, some);
        }
    }
}

static void lstm_part(const struct tc_weights *w, const struct tc_lstm_row *rows, size_t n, const float *pre,
                      int32_t from, int32_t to)
{
    uint16_t room[ROOM] __attribute__((aligned(64)));
    struct tc_pair_row row[ROWS_TOGETHER];
    size_t x_size = 2 * tc_pairs(w->inputs), h_size = 2 * tc_pairs(w->outputs), fit = rows_that_fit(w);
    for (size_t done = 0, some; done < n; done += some) {
        some = n - done < fit ? n - done : fit;
        for (size_t i = 0; i < some; i++) {
            const struct tc_lstm_row *r = &rows[done + i];
            uint16_t *x = room + i * (x_size + h_size), *h = x + x_size;
            encode(r->h, (size_t)w->outputs, h);
            if (!pre && w->bounded)
                encode(r->x, (size_t)w->inputs, x);
            row[i] = (struct tc_pair_row){
                r->x, x,       h, pre ? pre + (done + i) * 4 * (size_t)tc_kern_pad(w->outputs) : NULL,
                r->c, r->h_out};
        }
        run_blocks(w, row, some, from, to, false);
    }
}

static void lstm(const struct tc_weights *w, const struct tc_lstm_row *rows, size_t n)
{
    lstm_part(w, rows, n, NULL, 0, w->blocks);
}

static void project(const struct tc_weights *w, const struct tc_dense_row *rows, size_t n, int32_t from,
                    int32_t to)
{
    uint16_t room[ROOM] __attribute__((aligned(64)));
    struct tc_pair_row row[ROWS_TOGETHER];
    size_t x_size = 2 * tc_pairs(w->inputs), fit = rows_that_fit(w);
    for (size_t done = 0, some; done < n; done += some) {
        some = n - done < fit ? n - done : fit;
        for (size_t i = 0; i < some; i++) {
            uint16_t *x = room + i * x_size;
            if (w->bounded)
                encode(rows[done + i].x, (size_t)w->inputs, x);
            row[i] = (struct tc_pair_row){.x = rows[done + i].x, .x_pairs = x, .h_out = rows[done + i].y};
        }
        run_blocks(w, row, some, from, to, true);
    }
}
