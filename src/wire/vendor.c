#include "wire/vendor.h"
#include "base/hash.h"

int64_t tc_wire_time(int64_t t)
{
    if (t <= 0)
        return 0;
    if (t < INT64_C(9000000000)) /* each unit up to the year 2255, where ns end too */
        return t * INT64_C(1000000000);
    if (t < INT64_C(9000000000000))
        return t * 1000000;
    if (t < INT64_C(9000000000000000))
        return t * 1000;
    return t;
}

uint64_t tc_wire_hash(struct tc_text t)
{
    uint64_t h = tc_fnv(TC_FNV_START, t.p, t.n);
    return h ? h : 1;
}

enum { RANGE = 1, LAST = 2, VOLUME = 4 };

/* Which fields of a consolidated bar a condition lets a trade move; all that are not listed: everything
 * (vendor's reference end point /v3/reference/conditions, update_rules.consolidated). 12 (extended hours)
 * moves prices in bars of seconds and minutes, though not the day's. */
static int allowed(int64_t code)
{
    switch (code) {
    case 5:
    case 10:
    case 22:
    case 32:
    case 33:
        return RANGE | VOLUME;
    case 2:
    case 7:
    case 13:
    case 20:
    case 21:
    case 29:
    case 37:
    case 52:
    case 53:
        return VOLUME;
    case 15:
    case 16:
        return 0;
    case 38:
        return RANGE | LAST;
    default:
        return RANGE | LAST | VOLUME;
    }
}

static void restrict_to(int moves, struct tc_trade *t)
{
    t->not_range = t->not_range || !(moves & RANGE);
    t->not_last = t->not_last || !(moves & LAST);
    t->not_volume = t->not_volume || !(moves & VOLUME);
}

void tc_wire_condition(int64_t code, struct tc_trade *t)
{
    restrict_to(allowed(code), t);
}

/* CTS and UTDF give one letter a meaning each; where they differ the tape decides. T (extended hours) moves
 * the bars of seconds as condition 12 above does. */
void tc_wire_condition_letter(char letter, char tape, struct tc_trade *t)
{
    bool utp = tape == 'C';
    switch (letter) {
    case 'C': /* cash sale */
    case 'H': /* price variation */
    case 'I': /* odd lot */
    case 'N': /* next day */
    case 'R': /* seller */
    case 'U': /* extended hours, sold out of sequence */
    case 'V': /* contingent trade */
    case '7': /* qualified contingent trade */
        restrict_to(VOLUME, t);
        break;
    case 'W': /* average price (UTP) */
    case 'B': /* average price (CTA), bunched trade (UTP) */
        if (letter == 'W' || !utp)
            restrict_to(VOLUME, t);
        break;
    case '4': /* derivatively priced */
    case 'G': /* bunched sold (UTP) */
    case 'P': /* prior reference price */
    case 'Z': /* sold out of sequence */
        restrict_to(RANGE | VOLUME, t);
        break;
    case 'M': /* market centre's official close, open */
    case 'Q':
        restrict_to(0, t);
        break;
    case '9': /* corrected consolidated close */
        restrict_to(RANGE | LAST, t);
        break;
    default:
        break;
    }
}
