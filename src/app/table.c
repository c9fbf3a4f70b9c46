#include "app/table.h"
#include "base/err.h"
#include "base/num.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PIECE_ROWS = 2000, GAP = 2, SMALL_DIGITS = 8 };

void tc_table_open(struct tc_table *t, const struct tc_column *columns, size_t n, bool csv)
{
    *t = (struct tc_table){.columns = columns, .n = n, .csv = csv};
    tc_buf_init(&t->cells, 64 << 20);
    for (size_t i = 0; i < n; i++)
        t->width[i] = strlen(columns[i].name);
}

/* Cells on a screen, not bytes: UTF-8 continuation bytes take none. */
static size_t width_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += (*text & 0xC0) != 0x80;
    return n;
}

static void print_cell(const struct tc_table *t, size_t i, const char *text)
{
    int pad = (int)(t->width[i] - width_of(text)), gap = i ? GAP : 0;
    if (t->columns[i].right)
        printf("%*s%s", gap + pad, "", text);
    else if (i + 1 < t->n)
        printf("%*s%s%*s", gap, "", text, pad, "");
    else if (*text)
        printf("%*s%s", gap, "", text);
}

static void print_piece(struct tc_table *t)
{
    for (size_t i = 0; i < t->n && !t->headed; i++)
        print_cell(t, i, t->columns[i].name);
    if (!t->headed)
        putchar('\n');
    t->headed = true;
    const char *cell = t->cells.data;
    for (size_t row = 0; row < t->kept; row++) {
        for (size_t i = 0; i < t->n; i++, cell += strlen(cell) + 1)
            print_cell(t, i, cell);
        putchar('\n');
    }
    t->kept = 0;
    tc_buf_clear(&t->cells);
}

static void csv_cell(const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void csv_head(struct tc_table *t)
{
    for (size_t i = 0; i < t->n && !t->headed; i++)
        printf("%s%s", i ? "," : "", t->columns[i].name);
    if (!t->headed)
        putchar('\n');
    t->headed = true;
}

void tc_table_text(struct tc_table *t, const char *text)
{
    size_t i = t->at;
    if (t->csv) {
        csv_head(t);
        if (i)
            putchar(',');
        csv_cell(text);
    } else {
        size_t width = width_of(text);
        t->width[i] = width > t->width[i] ? width : t->width[i];
        tc_buf_put(&t->cells, text, strlen(text) + 1);
    }
    t->at = (i + 1) % t->n;
    if (t->at)
        return;
    t->rows++;
    if (t->csv)
        putchar('\n');
    else if (++t->kept == PIECE_ROWS)
        print_piece(t);
}

void tc_table_int(struct tc_table *t, int64_t v)
{
    char text[TC_NUM_TEXT];
    tc_format_int(v, text);
    tc_table_text(t, text);
}

/* %.MAXf without trailing zeros beyond `least` digits. */
static void format_fixed(double v, int least, int most, char *out, size_t size)
{
    int n = snprintf(out, size, "%.*f", most, v);
    for (int zeros = most - least; zeros > 0 && n > 1 && out[n - 1] == '0'; zeros--)
        out[--n] = '\0';
    if (n > 1 && out[n - 1] == '.')
        out[n - 1] = '\0';
}

void tc_table_num(struct tc_table *t, double v, int least, int most)
{
    char text[64];
    if (!isfinite(v)) {
        tc_table_text(t, t->csv ? "" : "-");
        return;
    }
    if (t->csv || fabs(v) >= 1e15 || (v != 0 && fabs(v) < 1e-8))
        tc_format_double(v, text);
    else
        format_fixed(v, least, fabs(v) < 1 && most < SMALL_DIGITS && least != most ? SMALL_DIGITS : most,
                     text, sizeof(text));
    tc_table_text(t, text);
}

int tc_table_close(struct tc_table *t)
{
    if (t->csv)
        csv_head(t);
    else
        print_piece(t);
    bool lost = t->cells.overflow;
    tc_buf_release(&t->cells);
    if (lost)
        return tc_fail(TC_ENOMEM, "show: no memory");
    return fflush(stdout) == 0 && !ferror(stdout) ? TC_OK
                                                  : tc_fail(TC_EIO, "standard output: %s", strerror(errno));
}
