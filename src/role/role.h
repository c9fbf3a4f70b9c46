/* role.h - a part that can run as a process of its own: collect, store, forecast, serve.
 *
 * A role is a duty cycle: work() does what there is to do, waits for no other role, does not know its thread
 * and says how many things it did (0 lets the runner wait on the bus). Tests step roles by hand.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct tc_role_ops {
    const char *name;
    int (*work)(void *self); /* >= 0 things done; < 0 broken, tc_error() says how: the program stops */
    bool (*ended)(const void *self); /* saw the end of its input and wrote everything; NULL = never ends */
    int64_t (*wait_ns)(const void *self); /* how long the runner may wait when idle; NULL = 10 ms */
    /* Orderly stop, called once after the last work(): finishes what was taken or already stands on the bus.
     * TC_OK, TC_AGAIN when the deadline came first, < 0 broken. NULL = nothing to do. */
    int (*flush)(void *self, int64_t deadline_mono_ns);
    void (*close)(void *self); /* takes NULL */
};

struct tc_role {
    const struct tc_role_ops *ops;
    void *self;
};
