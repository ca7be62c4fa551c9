// run(n) = a checksum over n rounds of the work an embedded controller does: a linked list that is searched, reversed and
// merge-sorted; a small integer matrix; a number scanner driven by a state machine with a switch; a CRC over everything.
// The same kinds of work as CoreMark, written from scratch: branches that are hard to predict, pointer chasing, a jump
// table, 16-bit arithmetic, calls through a table of comparison functions.
#include <stdint.h>

static uint16_t crc16(uint16_t crc, uint32_t word) {
    for (int bit = 0; bit < 32; bit++) {
        uint16_t carry = (crc ^ word) & 1;
        crc >>= 1;
        word >>= 1;
        if (carry) crc ^= 0xA001;
    }
    return crc;
}

// ---- list ----------------------------------------------------------------------------------------------------------------
struct node { struct node *next; int16_t key; int16_t tag; };
enum { NODES = 96 };
static struct node pool[NODES];

typedef int (*compare)(const struct node *, const struct node *);
static int by_key(const struct node *x, const struct node *y) { return x->key - y->key; }
static int by_tag(const struct node *x, const struct node *y) { return x->tag - y->tag; }
static const compare orders[2] = {by_key, by_tag};

static struct node *reverse(struct node *list) {
    struct node *done = 0;
    while (list) {
        struct node *next = list->next;
        list->next = done;
        done = list;
        list = next;
    }
    return done;
}

static struct node *merge(struct node *x, struct node *y, compare order) {
    struct node head = {0, 0, 0}, *tail = &head;
    while (x && y) {
        struct node **least = order(x, y) <= 0 ? &x : &y;
        tail->next = *least;
        tail = *least;
        *least = tail->next;
    }
    tail->next = x ? x : y;
    return head.next;
}

static struct node *sort(struct node *list, compare order) {
    if (!list || !list->next) return list;
    struct node *slow = list, *fast = list->next;
    while (fast && fast->next) { slow = slow->next; fast = fast->next->next; }
    struct node *half = slow->next;
    slow->next = 0;
    return merge(sort(list, order), sort(half, order), order);
}

static uint16_t list_round(uint32_t seed, uint16_t crc) {
    for (int i = 0; i < NODES; i++) {
        seed = seed * 1664525u + 1013904223u;
        pool[i].key = (int16_t)(seed >> 16);
        pool[i].tag = (int16_t)i;
        pool[i].next = i + 1 < NODES ? &pool[i + 1] : 0;
    }
    struct node *list = sort(pool, orders[0]);
    int found = 0;
    for (int16_t want = -30000; want < 30000; want += 4000) {
        struct node *at = list;
        while (at && at->key < want) at = at->next;
        if (at) found += at->tag;
    }
    list = reverse(list);
    crc = crc16(crc, (uint32_t)found ^ (uint32_t)(uint16_t)list->key << 16);
    list = sort(list, orders[1]);
    for (; list; list = list->next)
        if (list->tag % 8 == 0) crc = crc16(crc, (uint16_t)list->key);
    return crc;
}

// ---- matrix --------------------------------------------------------------------------------------------------------------
enum { SIDE = 10 };
static int16_t left[SIDE * SIDE], right[SIDE * SIDE];
static int32_t product[SIDE * SIDE];

static uint16_t matrix_round(uint32_t seed, uint16_t crc) {
    for (int i = 0; i < SIDE * SIDE; i++) {
        seed = seed * 22695477u + 1u;
        left[i] = (int16_t)(seed >> 17);
        right[i] = (int16_t)((int32_t)(seed << 3) >> 18);
    }
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            uint32_t sum = 0;
            for (int k = 0; k < SIDE; k++) sum += (uint32_t)((left[i * SIDE + k] * right[k * SIDE + j]) >> 4);
            product[i * SIDE + j] = (int32_t)sum;
        }
    uint32_t clipped = 0, last = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        uint32_t bits = ((uint32_t)product[i] >> 2 & 0xF) * ((uint32_t)product[i] >> 5 & 0x7F);
        if (bits > last) clipped += 10; else clipped += bits;
        last = bits;
    }
    return crc16(crc, clipped);
}

// ---- scanner -------------------------------------------------------------------------------------------------------------
enum state { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, EXPONENT_DIGITS, INVALID, STATES };
static const char text[] =
    "5012,-874,+122,0,9.,.7,35.54400,-110.700,.1234500,5.500e+3,-.123e-2,-87e+832,+0.6e-12,T0.3e-1F,-T.T++Tq,1T3.4e4z,34.0e-T^,";

static enum state step(enum state s, char c) {
    int digit = c >= '0' && c <= '9';
    switch (s) {
    case START: return digit ? INTEGER : c == '+' || c == '-' ? SIGN : c == '.' ? POINT : INVALID;
    case SIGN: return digit ? INTEGER : c == '.' ? POINT : INVALID;
    case INTEGER: return digit ? INTEGER : c == '.' ? FRACTION : c == 'e' ? EXPONENT : INVALID;
    case POINT: return digit ? FRACTION : INVALID;
    case FRACTION: return digit ? FRACTION : c == 'e' ? EXPONENT : INVALID;
    case EXPONENT: return digit ? EXPONENT_DIGITS : c == '+' || c == '-' ? EXPONENT_SIGN : INVALID;
    case EXPONENT_SIGN: return digit ? EXPONENT_DIGITS : INVALID;
    case EXPONENT_DIGITS: return digit ? EXPONENT_DIGITS : INVALID;
    default: return INVALID;
    }
}

static uint16_t scanner_round(uint32_t seed, uint16_t crc) {
    uint32_t ends[STATES] = {0}, moves[STATES] = {0};
    enum state s = START;
    for (uint32_t i = 0; i + 1 < sizeof text; i++) {
        // The seed decides which characters are damaged in this round.
        char c = text[i];
        if (c != ',' && (i * 2654435761u ^ seed) % 11 == 0) c ^= 0x10;
        if (c == ',') { ends[s]++; s = START; continue; }
        enum state next = step(s, c);
        moves[next] += next != s;
        s = next;
    }
    for (int i = 0; i < STATES; i++) crc = crc16(crc, ends[i] << 16 | moves[i]);
    return crc;
}

__attribute__((export_name("run"))) int64_t run(int32_t n) {
    uint16_t crc = 0xFFFF;
    for (int32_t round = 0; round < n; round++) {
        uint32_t seed = crc * 2654435761u + (uint32_t)round;
        crc = list_round(seed, crc);
        crc = matrix_round(seed, crc);
        crc = scanner_round(seed, crc);
    }
    return crc;
}
