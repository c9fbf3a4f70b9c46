/* tickers_int.h - shared by tickers.c (lists) and tickers_find.c (texts). */
#pragma once

#include "social/tickers.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    TC_KEY_SIZE = 24,     /* longest symbol or word of a name that is kept */
    TC_NAME_WORDS = 4,    /* longest name */
    TC_KNOWN_MAX = 20000, /* symbols */
    TC_NAMES_MAX = 40000,
};

struct tc_known {
    char key[TC_KEY_SIZE]; /* capitals */
    bool is_symbol, ambiguous;
};

struct tc_company {
    char words[TC_NAME_WORDS][TC_KEY_SIZE]; /* small letters */
    uint8_t n;
    bool everyday;
    uint32_t known; /* of the symbol */
    uint32_t next;  /* another name with the same first word; 0 = none */
};

struct tc_tickers {
    struct tc_known *known; /* [0] unused */
    struct tc_company *names;
    uint32_t *known_slots, *name_slots;
    size_t n_known, n_names, n_symbols;
};

/* Index into known or names (first of the chain); 0 = none. */
uint32_t tc_known_find(const struct tc_tickers *t, const char *key, size_t n);
uint32_t tc_names_find(const struct tc_tickers *t, const char *word, size_t n);

/* A word of a text: its letters and digits, and . & ' between two of them; "'s" at its end is left off. */
struct tc_token {
    const char *text;
    uint16_t n;
    bool dollar;          /* a $ stands right before it */
    bool upper;           /* letters, all capitals */
    bool capital;         /* the first letter is one */
    bool letters, number; /* letters only (with . or &); digits only (with . ) */
    bool strike;          /* digits and c or p: an option's price */
};

/* Next token from *at on; false at the end. *at stands behind it. */
bool tc_token_next(const char *text, size_t n, size_t *at, struct tc_token *out);
