/* Bytes -> a plan, played by the real launcher on the model of a kernel. The first byte says which way: the rest is the plan
 * as it is, or a recipe for a sound one, which may be poked afterwards. */
#include <stdlib.h>
#include <string.h>

#include "../../src/launcher/ops.h"
#include "model.h"

enum { RAW = 1, POKED = 2, STEPS_MAX = 24, PLAN_ROOM = 1 << 16 };

static struct {
    const uint8_t *bytes;
    size_t left;
} recipe;

static uint8_t byte(void) {
    if (recipe.left == 0) return 0;
    recipe.left--;
    return *recipe.bytes++;
}

static uint64_t number(void) {
    static const uint64_t known[] = {0,    1,         2,          3,          5,          64,   4095,
                                     4096, INT32_MAX, UINT32_MAX, 1ull << 31, 1ull << 32, ~0ull};
    uint8_t b = byte();
    if (b < sizeof known / sizeof known[0]) return known[b];
    return b & 1 ? b : (uint64_t)b << 8 | byte();
}

/* ---- a plan ---- */

static struct {
    _Alignas(8) uint8_t bytes[PLAN_ROOM];
    uint32_t used, list;
} plan;

static uint32_t reserve(uint32_t size) {
    uint32_t offset = (plan.used + 7) & ~7u;
    if (offset + size + 8 > PLAN_ROOM) return 0;
    plan.used = offset + size;
    return offset;
}

static uint32_t put(const void *bytes, uint32_t size) {
    uint32_t offset = reserve(size + 1);
    if (offset) memcpy(plan.bytes + offset, bytes, size);
    return offset;
}

static uint32_t string(void) {
    static const char *const known[] = {"",  "/",         "/tmp",  "/a/b/c", "//a//b/", "a=b",
                                        "=", "mode=0755", "tmpfs", "proc",   ".",       "a/../b"};
    static char text[PLAN_ROOM / 4];
    uint8_t b = byte();
    size_t n = b % 31;
    if (b < sizeof known / sizeof known[0]) return put(known[b], (uint32_t)strlen(known[b]));
    for (size_t i = 0; i < n; i++) text[i] = (char)(byte() | 1);
    if (b < 240) return put(text, (uint32_t)n);
    memset(text, b & 1 ? '/' : 'x', 4000 + 8 * n); /* about as long as paths may be, and longer */
    if (b & 2) memset(text + 2000, '/', 1);
    return put(text, (uint32_t)(4000 + 8 * n));
}

/* A new one, or once more the last one. */
static uint32_t list(void) {
    uint8_t b = byte();
    uint32_t count = b % 8, offset = b > 127 && plan.list ? plan.list : reserve((count + 1) * sizeof(uintptr_t));
    if (offset == plan.list) return offset;
    plan.list = offset;
    for (uint32_t i = 0; offset && i < count; i++) {
        uintptr_t entry = string();
        memcpy(plan.bytes + offset + i * sizeof entry, &entry, sizeof entry);
        if (!entry) break;
    }
    return offset;
}

static void make_step(struct step *s) {
    uint32_t has = byte() | (uint32_t)byte() << 8;
    uint32_t op = byte() % 64; /* not by the number of ops: a new one shall leave the others of the corpus as they are */
    *s = (struct step){.op = op < ns_op_count ? op : op % ns_op_count};
    if (has & 1) s->path = string();
    if (has & 2) s->source = string();
    if (has & 4) s->type = string();
    if (has & 8) s->data = string();
    if (s->data) s->size = (uint32_t)strlen((char *)plan.bytes + s->data);
    if (has & 16) s->paths = list();
    if (has & 32) s->argv = list();
    if (has & 64) s->env = list();
    if (has & 128) s->options = list();
    if (has & 256) s->fd = (int32_t)number();
    if (has & 512) s->to = (int32_t)number();
    if (has & 1024) s->mode = (uint32_t)number();
    if (has & 2048) s->how = (uint32_t)(s->which = (int32_t)number()); /* few ops have both */
    if (has & 4096) s->flags = number();
    if (has & 8192) s->value = (int64_t)number();
    if (has & 16384) s->clear = (uint64_t)(s->limit = (int64_t)number());
    if (has & 32768) s->ignore = (uint32_t)number();
}

static void make_plan(void) {
    memset(plan.bytes, 0, plan.used);
    plan.used = sizeof(struct plan);
    plan.list = 0;
    uint32_t count = byte() % STEPS_MAX, steps = reserve(count * (uint32_t)sizeof(struct step));
    for (uint32_t i = 0; i < count; i++) {
        struct step s;
        make_step(&s);
        memcpy(plan.bytes + steps + i * sizeof s, &s, sizeof s);
    }
    plan.bytes[plan.used++] = 0; /* reserve leaves room for it */
    struct plan head = {PLAN_MAGIC, plan.used, steps, count, 0};
    memcpy(plan.bytes, &head, sizeof head);
}

static void poke(void) {
    while (recipe.left > 0) {
        uint32_t at = (byte() | (uint32_t)byte() << 8) % plan.used & ~3u, value = (uint32_t)number();
        if (byte() & 1) value += plan.used;
        if (at + sizeof value <= plan.used) memcpy(plan.bytes + at, &value, sizeof value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    uint8_t form = data[0];
    size_t answers = data[1] < size - 2 ? data[1] : size - 2;
    recipe.bytes = data + 2 + answers;
    recipe.left = size - 2 - answers;
    if (form & RAW) {
        model_play(recipe.bytes, recipe.left, data + 2, answers);
        return 0;
    }
    make_plan();
    if (form & POKED) poke();
    bool played = model_play(plan.bytes, plan.used, data + 2, answers);
    if (!played && answers == 0 && !(form & POKED)) abort(); /* a sound plan was refused */
    return 0;
}
