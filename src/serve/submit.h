/* submit.h - POST /api/v1/forecasts: forecasts of others, from JSON to verdicts and back. */
#pragma once

#include "serve/api.h"

enum { TC_SUBMIT_BODY_MAX = 256 << 10, TC_SUBMIT_MAX = 256 /* forecasts in one request */ };

/* Runs on a query thread; waits up to 2 s for the forecast role. */
tc_query_fn tc_api_submit;
#define TC_API_SUBMIT_PARAMS ""
