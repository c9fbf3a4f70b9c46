/* log.h - structured log lines on stderr: "time level part: message".
 *
 * Only roles, feeds, serve and app log; library code returns errors. Any thread may call; a line is written
 * with one write(2). An error that repeats word for word is written at its 1st, 10th, 100th ... time with its
 * count.
 */
#pragma once

enum tc_log_level { TC_LOG_ERROR, TC_LOG_WARN, TC_LOG_INFO, TC_LOG_DEBUG };

void tc_log_set_level(enum tc_log_level level);

/* json = true writes one JSON object a line instead of text. */
void tc_log_set_json(int json);

/* Called before and after each line, so that a status line on a terminal can step aside. NULL for none. */
void tc_log_set_hook(void (*before)(void), void (*after)(void));

void tc_log(enum tc_log_level level, const char *part, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define tc_log_error(part, ...) tc_log(TC_LOG_ERROR, part, __VA_ARGS__)
#define tc_log_warn(part, ...) tc_log(TC_LOG_WARN, part, __VA_ARGS__)
#define tc_log_info(part, ...) tc_log(TC_LOG_INFO, part, __VA_ARGS__)
#define tc_log_debug(part, ...) tc_log(TC_LOG_DEBUG, part, __VA_ARGS__)
