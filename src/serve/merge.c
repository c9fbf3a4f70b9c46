#include "serve/merge.h"
#include "base/err.h"

#include <string.h>

int tc_merge_open(struct tc_merge *m, const struct tc_bus *bus, const struct tc_vector *at)
{
    memset(m, 0, sizeof(*m));
    m->bus = bus;
    m->at = *at;
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        int rc = bus->ops->open_reader(bus->self, (enum tc_topic)t, at->at[t], 0, &m->readers[t]);
        if (rc != TC_OK) {
            m->readers[t] = NULL;
            tc_merge_close(m);
            return rc;
        }
    }
    return TC_OK;
}

void tc_merge_close(struct tc_merge *m)
{
    for (int t = 0; t < TC_TOPIC_COUNT; t++) {
        if (m->readers[t])
            m->bus->ops->close_reader(m->readers[t]);
        m->readers[t] = NULL;
    }
}

/* The next record that is understood; what is not is the store role's to keep (dead letters). */
static int read_topic(struct tc_merge *m, enum tc_topic topic, struct tc_record *out, int64_t *offset)
{
    int rc;
    do {
        *offset = -1;
        rc = m->bus->ops->read(m->readers[topic], out, offset);
    } while (rc == TC_EINPUT && *offset >= 0);
    return rc < 0 ? tc_more(rc, "topic %s", tc_topic_name(topic)) : rc;
}

static int give_forecast(struct tc_merge *m, const struct tc_record **out, enum tc_topic *topic,
                         int64_t *offset)
{
    m->held = false;
    m->at.at[TC_TOPIC_FORECASTS] = m->held_offset + 1;
    *out = &m->forecast;
    *topic = TC_TOPIC_FORECASTS;
    *offset = m->held_offset;
    return TC_OK;
}

static int next_of_market(struct tc_merge *m, const struct tc_record **out, enum tc_topic *topic,
                          int64_t *offset)
{
    if (!m->held) {
        int rc = read_topic(m, TC_TOPIC_FORECASTS, &m->forecast, &m->held_offset);
        if (rc < 0)
            return rc;
        m->held = rc == TC_OK;
    }
    if (m->held && m->forecast.from < m->at.at[TC_TOPIC_BARS])
        return give_forecast(m, out, topic, offset);
    int64_t at;
    int rc = read_topic(m, TC_TOPIC_BARS, &m->bar, &at);
    if (rc < 0)
        return rc;
    if (rc == TC_OK) {
        m->at.at[TC_TOPIC_BARS] = at + 1;
        *out = &m->bar;
        *topic = TC_TOPIC_BARS;
        *offset = at;
        return TC_OK;
    }
    return m->held ? give_forecast(m, out, topic, offset) : TC_AGAIN;
}

static int next_post(struct tc_merge *m, const struct tc_record **out, enum tc_topic *topic, int64_t *offset)
{
    int rc = read_topic(m, TC_TOPIC_POSTS, &m->post, offset);
    if (rc != TC_OK)
        return rc;
    m->at.at[TC_TOPIC_POSTS] = *offset + 1;
    *out = &m->post;
    *topic = TC_TOPIC_POSTS;
    return TC_OK;
}

int tc_merge_next(struct tc_merge *m, const struct tc_record **out, enum tc_topic *topic, int64_t *offset)
{
    bool post = m->post_next;
    m->post_next = !post;
    int rc = post ? next_post(m, out, topic, offset) : next_of_market(m, out, topic, offset);
    if (rc != TC_AGAIN)
        return rc;
    return post ? next_of_market(m, out, topic, offset) : next_post(m, out, topic, offset);
}
