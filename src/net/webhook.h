/* webhook.h - posts a short JSON text to an address that a person configured, by libcurl: http or https with
 * the certificate checked, no redirects, the answer's body dropped. The address is a secret (whoever has it
 * can post): no message holds it.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Once, before the threads that post. */
void tc_webhook_start(void);

/* TC_OK: it was taken (2xx). TC_EPEER: no answer in time, or 408, 425, 429, 5xx: worth another try. TC_ECONF:
 * the address cannot be right (another answer, no such host form). TC_DONE: `stop` was set. */
int tc_webhook_post(const char *url, const char *json, size_t n, int64_t timeout_ns, const atomic_bool *stop);
