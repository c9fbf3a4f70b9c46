/* api.h - the answers that read the database or copy all symbols; run on the query threads. */
#pragma once

#include "serve/reply.h"
#include "serve/serve.h"
#include "store/store.h"

/* `store` is the thread's own reader, NULL while there is no database yet (nothing has been stored). */
typedef void tc_query_fn(struct tc_serve *s, const struct tc_store *store, const struct tc_params *p,
                         struct tc_reply *r);

tc_query_fn tc_api_symbols, tc_api_bars, tc_api_forecasts, tc_api_scores;
tc_query_fn tc_api_posts, tc_api_sentiment;             /* posts.c */
tc_query_fn tc_api_jobs, tc_api_alerts, tc_api_quality; /* ledger.c */

/* Parameters that each takes. */
#define TC_API_SYMBOLS_PARAMS ""
#define TC_API_BARS_PARAMS "symbol from to interval limit format adjusted"
#define TC_API_FORECASTS_PARAMS "symbol model from to limit format adjusted"
#define TC_API_JOBS_PARAMS "limit"
#define TC_API_ALERTS_PARAMS "limit"
#define TC_API_QUALITY_PARAMS "symbol from_day to_day"
#define TC_API_POSTS_PARAMS "symbol from to limit"
#define TC_API_SENTIMENT_PARAMS "symbol from to limit"
#define TC_API_SCORES_PARAMS "symbol span"

/* Turns a store's error into the reply's. */
void tc_api_store_error(struct tc_reply *r, int rc);
