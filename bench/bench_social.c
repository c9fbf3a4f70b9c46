/* Posts read a second on one core: sentiment and symbols of the labelled posts, over and over, and of the
 * same joined to posts of 100 words. Usage: bench_social POSTS.tsv MARKET-WORDS.txt SYMBOLS.tsv AMBIGUOUS.txt
 */
#include "base/clock.h"
#include "base/err.h"
#include "social/sentiment.h"
#include "social/tickers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXTS_MAX = 1000, TEXT_MAX = 4096, ROUND_NS = 1000000000, ROUNDS = 5 };

static char lines[TEXTS_MAX][TEXT_MAX], joined[TEXTS_MAX][TEXT_MAX];
static size_t n_lines;
static struct tc_sentiment *sentiment;
static struct tc_tickers *tickers;

static int64_t cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * TC_NS_PER_SEC + ts.tv_nsec;
}

static bool read_posts(const char *path)
{
    char line[TEXT_MAX];
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    while (fgets(line, sizeof(line), f) && n_lines < TEXTS_MAX) {
        char *text = strrchr(line, '\t');
        if (line[0] == '#' || !text)
            continue;
        text[strcspn(text, "\n")] = '\0';
        snprintf(lines[n_lines++], TEXT_MAX, "%s", text + 1);
    }
    fclose(f);
    return n_lines > 0;
}

/* Lines put together until a post has this many words; returns how many posts that makes. */
static size_t join(size_t wanted)
{
    size_t n = 0, words = 0;
    memset(joined, 0, sizeof(joined));
    for (size_t i = 0; i < n_lines; i++) {
        size_t at = strlen(joined[n]);
        snprintf(joined[n] + at, TEXT_MAX - at, "%s. ", lines[i]);
        words++;
        for (const char *p = lines[i]; *p; p++)
            words += *p == ' ';
        if (words >= wanted) {
            words = 0;
            n++;
        }
    }
    return n;
}

static double round_of(char texts[][TEXT_MAX], size_t n, bool find)
{
    struct tc_sentiment_score score;
    struct tc_ticker found[TC_TICKERS_MAX];
    int64_t posts = 0, start = cpu_ns();
    while (cpu_ns() - start < ROUND_NS) {
        for (size_t i = 0; i < n; i++) {
            size_t length = strlen(texts[i]);
            tc_sentiment_post(sentiment, texts[i], length, &score);
            if (find)
                tc_tickers_find(tickers, texts[i], length, found);
        }
        posts += (int64_t)n;
    }
    return (double)posts * 1e9 / (double)(cpu_ns() - start);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *what, char texts[][TEXT_MAX], size_t n, bool find)
{
    double rates[ROUNDS], bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += (double)strlen(texts[i]);
    for (int i = 0; i < ROUNDS; i++)
        rates[i] = round_of(texts, n, find);
    qsort(rates, ROUNDS, sizeof(rates[0]), compare);
    printf("%-40s %5.0f bytes a post %9.0f posts/s of processor time (median of %d)\n", what,
           bytes / (double)n, rates[ROUNDS / 2], ROUNDS);
}

int main(int argc, char **argv)
{
    if (argc != 5 || !read_posts(argv[1])) {
        fprintf(stderr, "usage: bench_social POSTS.tsv MARKET-WORDS.txt SYMBOLS.tsv AMBIGUOUS.txt\n");
        return 2;
    }
    struct tc_tickers_conf conf = {.symbols_file = argv[3], .ambiguous_file = argv[4]};
    if (tc_sentiment_open(argv[2], &sentiment) || tc_tickers_open(&conf, &tickers)) {
        fprintf(stderr, "bench_social: %s\n", tc_error());
        return 1;
    }
    measure("labelled posts: sentiment", lines, n_lines, false);
    measure("labelled posts: sentiment and symbols", lines, n_lines, true);
    measure("posts of 25 words: sentiment and symbols", joined, join(25), true);
    measure("posts of 100 words: sentiment and symbols", joined, join(100), true);
    tc_sentiment_close(sentiment);
    tc_tickers_close(tickers);
    return 0;
}
