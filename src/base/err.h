/* err.h - result codes and a per-thread chain of context.
 *
 * A function that can fail returns TC_OK (0), a positive state (TC_AGAIN, TC_DONE) or a negative code. The
 * function that finds the fault says what happened with tc_fail(); callers on the way up may add where with
 * tc_more(). The loop that handles the error reads tc_error() and logs it once. Library code (base, wire,
 * kern, model) never logs.
 *
 * Messages say what is wrong, where (file, line, key) and what to do.
 */
#pragma once

enum tc_rc {
    TC_OK = 0,
    TC_AGAIN = 1,      /* nothing now, call again later */
    TC_DONE = 2,       /* end of the source */
    TC_EINPUT = -1,    /* bytes or values that break their format */
    TC_ELIMIT = -2,    /* a stated bound would be passed */
    TC_EPEER = -3,     /* the other side refused or went away */
    TC_EIO = -4,       /* the operating system failed us; disk full included */
    TC_ENOMEM = -5,    /* no memory */
    TC_ECONF = -6,     /* configuration or arguments are wrong */
    TC_EBUSY = -7,     /* somebody else holds it (port, data folder) */
    TC_ENOTFOUND = -8, /* what was named does not exist */
    TC_EINTERNAL = -9, /* a broken promise of our own code */
    TC_EUSAGE = -10,   /* the command line is wrong */
    TC_EFATAL = -11,   /* the other side refused for good: another attempt cannot mend it */
};

/* Starts this thread's chain with a message and returns rc. */
int tc_fail(int rc, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "context: " before the chain (where it happened) and returns rc. */
int tc_more(int rc, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The chain as one line; "" when nothing failed. Valid until this thread's next tc_fail or tc_more. */
const char *tc_error(void);

void tc_error_clear(void);
