/* tickcast sentiment: scores texts as posts are scored. */
#include "app/command.h"
#include "app/config.h"
#include "app/social.h"
#include "base/err.h"
#include "social/lexicon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    bool vader, notice;
};

static const struct tc_opt options[] = {
    {.key = "vader",
     .type = TC_OPT_BOOL,
     .at = offsetof(struct options, vader),
     .def = "false",
     .doc = "VADER alone: no words of the market, long texts in one piece; what PyPI's vaderSentiment gives"},
    {.key = "notice",
     .type = TC_OPT_BOOL,
     .at = offsetof(struct options, notice),
     .def = "false",
     .doc = "print the licence notice of VADER's word lists and stop"},
};

struct analysers {
    struct tc_sentiment *sentiment;
    struct tc_tickers *tickers;
    bool vader;
};

static void put_line(const struct analysers *a, const char *text, size_t n, struct tc_buf *out)
{
    struct tc_sentiment_score s;
    struct tc_ticker tickers[TC_TICKERS_MAX];
    if (a->vader)
        tc_sentiment_text(a->sentiment, text, n, &s);
    else
        tc_sentiment_post(a->sentiment, text, n, &s);
    size_t found = tc_tickers_find(a->tickers, text, n, tickers);
    tc_buf_clear(out);
    tc_buf_str(out, "{\"compound\":");
    tc_buf_double(out, s.compound);
    tc_buf_str(out, ",\"pos\":");
    tc_buf_double(out, s.pos);
    tc_buf_str(out, ",\"neu\":");
    tc_buf_double(out, s.neu);
    tc_buf_str(out, ",\"neg\":");
    tc_buf_double(out, s.neg);
    tc_buf_str(out, ",\"tickers\":[");
    for (size_t i = 0; i < found; i++) {
        tc_buf_str(out, i ? "," : "");
        tc_buf_json_string(out, tickers[i].symbol);
    }
    tc_buf_str(out, "]}\n");
}

/* One text of at most TC_SENTIMENT_TEXT_MAX bytes; the rest of a longer line is read and left. False at the
 * end. */
static bool read_line(FILE *in, char *text, size_t *n, bool *cut)
{
    int c = 0;
    size_t length = 0;
    while ((c = getc_unlocked(in)) != EOF && c != '\n') {
        if (length < TC_SENTIMENT_TEXT_MAX)
            text[length++] = (char)c;
        else
            *cut = true;
    }
    *n = length;
    return c != EOF || length > 0;
}

static int score_lines(const struct analysers *a)
{
    char *text = malloc(TC_SENTIMENT_TEXT_MAX), room[1024];
    struct tc_buf out;
    bool cut = false;
    size_t n;
    if (!text)
        return tc_fail(TC_ENOMEM, "no memory for a line");
    tc_buf_init_fixed(&out, room, sizeof(room));
    int rc = TC_OK;
    while (!rc && read_line(stdin, text, &n, &cut)) {
        put_line(a, text, n, &out);
        if (fwrite(out.data, 1, out.len, stdout) != out.len)
            rc = tc_fail(TC_EIO, "standard output: %s", strerror(errno));
    }
    free(text);
    if (!rc && ferror(stdin))
        rc = tc_fail(TC_EIO, "standard input: %s", strerror(errno));
    if (!rc && fflush(stdout))
        rc = tc_fail(TC_EIO, "standard output: %s", strerror(errno));
    if (cut)
        fprintf(stderr, "tickcast sentiment: of lines longer than %d bytes only those were scored\n",
                TC_SENTIMENT_TEXT_MAX);
    return rc;
}

int tc_cmd_sentiment(int argc, char **argv)
{
    struct options o;
    struct tc_cli cli = {
        .command = "sentiment",
        .usage = "[FLAGS] < TEXTS",
        .about = "Reads one text a line and prints one JSON object for each: compound (-1 to 1), the shares "
                 "pos, neu and "
                 "neg, and tickers, the symbols that it speaks of.",
        .sections = "social",
        .opts = options,
        .n_opts = sizeof(options) / sizeof(options[0]),
        .target = &o,
        .examples = "  echo 'TSLA calls to the moon' | tickcast sentiment\n"
                    "  tickcast sentiment --vader < posts.txt\n",
    };
    struct tc_config_set set;
    struct analysers a = {0};
    int rc = tc_config_load(&set, &cli, argc, argv);
    if (!rc && o.notice) {
        printf("%s", tc_vader_notice);
    } else if (!rc) {
        a.vader = o.vader;
        rc = tc_social_open_sentiment(&set.conf, o.vader, &a.sentiment);
        if (!rc)
            rc = tc_social_open_tickers(&set.conf, &a.tickers);
        if (!rc)
            rc = score_lines(&a);
    }
    tc_sentiment_close(a.sentiment);
    tc_tickers_close(a.tickers);
    tc_config_release(&set);
    return tc_command_exit(rc);
}
