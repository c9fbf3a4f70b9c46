/* outbox.h - how a role with state publishes: nothing lost and nothing doubled over a crash, bit for bit.
 *
 * A role's state is a function of its input. Every so often (by event time, so that it is repeatable) the
 * role publishes its state as a checkpoint record in its own output topic. After a crash the outbox finds the
 * last checkpoint there; the role restores it and goes on from the input position it holds. The records it
 * then makes again are the ones that already stand behind the checkpoint: the outbox swallows them one by
 * one, comparing type, key and cause, and only then publishes new ones. The first that differs is an error
 * (other settings or another program wrote the folder).
 *
 * Output whose cause is gone (`from` at or past the end of the input topic, after a lost machine) is cut off
 * at open. Retention keeps the last durable checkpoint and the input behind it. One thread.
 */
#pragma once

#include "bus/bus.h"

struct tc_outbox;

struct tc_outbox_conf {
    struct tc_bus *bus;
    enum tc_topic topic; /* output */
    int input;           /* input topic (enum tc_topic), or -1 when the input is no topic (collect) */
    const char *role;
    int64_t snapshot_position; /* of a checkpoint the store knows, to start looking there; -1 = look from the
                                  oldest */
    size_t batch;              /* records kept back before a flush is forced */
    bool cannot_repeat; /* the source is live: what stands behind the checkpoint is not made again; the role
                           reads it (tc_outbox_read_old) and goes on behind it. Others may write the topic
                           too, and a topic without a checkpoint of the role is a fresh start */
    /* Records of the output that came from elsewhere and are not made again: the role takes them up by itself
     * (NULL = none). Their `from` is the newest input record before them. */
    bool (*foreign)(const struct tc_record *r);
};

int tc_outbox_open(const struct tc_outbox_conf *conf, struct tc_outbox **out);
void tc_outbox_close(struct tc_outbox *o);

/* The last checkpoint found, or NULL for a fresh start. Valid until close. */
const struct tc_checkpoint *tc_outbox_checkpoint(const struct tc_outbox *o);

/* True when a TC_REC_END is the last thing in the topic: the source was finished in an earlier run. */
bool tc_outbox_finished(const struct tc_outbox *o);

/* Offset of the next record that stands there already and will be made again; -1 when there is none. */
int64_t tc_outbox_old(const struct tc_outbox *o);

/* The role cannot go on from its checkpoint and starts with a fresh state: what stands in the topic stays,
 * and what is added from now on is published, not compared with it. Before the first add. */
void tc_outbox_start_over(struct tc_outbox *o);

/* With cannot_repeat: the next record behind the checkpoint, whoever wrote it; TC_DONE after the last. Read
 * them all before the first add. */
int tc_outbox_read_old(struct tc_outbox *o, struct tc_record *out);

/* Copies the record (a checkpoint's blob too); flush() publishes what was added. When a publish fails (disk
 * full) the batch is kept, and a later add or flush tries again. */
int tc_outbox_add(struct tc_outbox *o, const struct tc_record *r);
int tc_outbox_flush(struct tc_outbox *o);
int64_t tc_outbox_swallowed(const struct tc_outbox *o); /* records recognised as already there */
