/* What became of tags' numbers between two snapshots, in heaps of every sort. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "tagheap.h"

enum { ROOM = 16 };

static const uint64_t a = 3, b = 7, c = 200;

static void *take(th_heap *heap, uint64_t tag, size_t size) {
    void *block = th_allocate(heap, tag, size, 16, NULL);
    CHECK(block != NULL);
    return block;
}

/* All that a visit was told, but what comes behind the last it wanted. */
struct told {
    th_change changes[ROOM];
    size_t count, most;
};

static bool note(const th_change *change, void *context) {
    struct told *told = context;
    CHECK(told->count < told->most);
    told->changes[told->count++] = *change;
    return told->count < told->most;
}

static void snapshots_tell_all_tags(th_heap *heap, bool has_index) {
    th_tag_stats room[ROOM], stats;
    size_t count = 77;
    name = "snapshots";
    CHECK(th_snapshot(heap, NULL, 0, &count) == TH_OK && count == 0);
    take(heap, c, 10), take(heap, a, 100), take(heap, b, 1), take(heap, a, 20);
    CHECK(th_snapshot(heap, NULL, 4, &count) == TH_NULL && th_snapshot(heap, room, ROOM, NULL) == TH_NULL);
    CHECK(th_snapshot(NULL, room, ROOM, &count) == TH_NULL);
    for (size_t capacity = 0; capacity < 3; capacity++) {
        CHECK(th_snapshot(heap, room, capacity, &count) == TH_NO_ROOM && count == (has_index ? 3 : capacity + 1));
    }
    char text[200];
    CHECK(th_last_error(heap, text, sizeof text, NULL) == TH_OK && strstr(text, "has room for 2 tags") != NULL);
    for (size_t capacity = 3; capacity <= ROOM; capacity++) {
        memset(room, 0x5a, sizeof room);
        CHECK(th_snapshot(heap, room, capacity, &count) == TH_OK && count == 3);
        CHECK(room[0].tag == a && room[1].tag == b && room[2].tag == c);
        for (size_t i = 0; i < count; i++) {
            CHECK(th_stats_of_tag(heap, room[i].tag, &stats) == TH_OK);
            CHECK(memcmp(&stats, &room[i], sizeof stats) == 0);
        }
    }
    puts(name);
}

static void changes_tell_what_grew(th_heap *heap, bool has_index) {
    th_tag_stats before[ROOM], after[ROOM];
    size_t many, more;
    name = "changes";
    CHECK(!has_index || th_set_name(heap, b, "second") == TH_OK);
    CHECK(th_snapshot(heap, before, ROOM, &many) == TH_OK);
    CHECK(th_merge(heap, a, 9, NULL) == TH_OK);
    CHECK(th_deallocate(heap, take(heap, b, 8)) == TH_OK);
    take(heap, b, 400);
    CHECK(th_allocate(heap, c, (size_t)1 << 46, 16, NULL) == NULL);
    CHECK(th_snapshot(heap, after, ROOM, &more) == TH_OK && more == (has_index ? 4 : 3));

    struct told told = {.count = 0, .most = ROOM};
    CHECK(th_changes(before, many, after, more, note, &told) == TH_OK);
    CHECK(told.count == (has_index ? 4 : 3));
    const th_change *first = &told.changes[0], *second = &told.changes[1], *last = &told.changes[told.count - 1];
    CHECK(first->tag == b && first->blocks == 1 && first->bytes == 432 && first->requested == 400);
    CHECK(first->allocations == (has_index ? 2 : 0) && first->deallocations == (has_index ? 1 : 0));
    CHECK(strcmp(first->name, has_index ? "second" : "") == 0 && second->name[0] == 0);
    CHECK(second->tag == 9 && second->blocks == 2 && second->requested == 120 && second->allocations == 0);
    CHECK(last->tag == a && last->blocks == -2 && last->bytes == -second->bytes && last->deallocations == 0);
    CHECK(!has_index || (told.changes[2].tag == c && told.changes[2].bytes == 0 && told.changes[2].failures == 1));

    told.count = 0, told.most = 1;
    CHECK(th_changes(before, many, after, more, note, &told) == TH_OK && told.count == 1);
    /* The other way around, from nothing, to nothing, and of nothing. */
    told.count = 0, told.most = ROOM;
    CHECK(th_changes(after, more, before, many, note, &told) == TH_OK && told.changes[0].tag == a);
    told.count = 0;
    CHECK(th_changes(NULL, 0, after, more, note, &told) == TH_OK && told.count == more);
    told.count = 0;
    CHECK(th_changes(after, more, after, more, note, &told) == TH_OK && told.count == 0);
    CHECK(th_changes(NULL, 0, NULL, 0, note, &told) == TH_OK && told.count == 0);
    CHECK(th_changes(NULL, 1, after, more, note, &told) == TH_NULL && told.count == 0);
    CHECK(th_changes(before, many, NULL, 1, note, &told) == TH_NULL && told.count == 0);
    CHECK(th_changes(before, many, after, more, NULL, &told) == TH_NULL);
    puts(name);

    name = "tables";
    char whole[2000], cut[100];
    size_t length = 0, same = 0;
    CHECK(th_change_table(before, many, after, more, whole, sizeof whole, &length) == TH_OK);
    CHECK(strlen(whole) == length && strncmp(whole, "tag  ", 5) == 0);
    CHECK(strstr(whole, has_index ? "\nsecond  " : "\n7  ") == strchr(whole, '\n'));
    CHECK(strstr(whole, " +432 ") != NULL && strstr(whole, "\n(all) ") != NULL);
    CHECK(th_change_table(before, many, after, more, cut, sizeof cut, &same) == TH_OK && same == length);
    CHECK(strlen(cut) == sizeof cut - 1 && strncmp(cut, whole, sizeof cut - 1) == 0);
    CHECK(th_change_table(before, many, after, more, NULL, 0, &same) == TH_OK && same == length);
    CHECK(th_change_table(NULL, 0, NULL, 0, cut, sizeof cut, NULL) == TH_OK);
    CHECK(th_change_table(NULL, 1, NULL, 0, cut, sizeof cut, &same) == TH_NULL && same == length);
    puts(name);
}

int main(void) {
    static char large[256 * 1024], small[32 * 1024];
    for (int place = 0; place < 3; place++) {
        th_status why;
        th_heap *heap = place == 0   ? th_heap_reserve(0, TH_LOCKED, &why)
                        : place == 1 ? th_heap_in_buffer(large, sizeof large, 0, &why)
                                     : th_heap_in_buffer(small, sizeof small, TH_LOCKED, &why);
        snapshots_tell_all_tags(heap, place < 2);
        changes_tell_what_grew(heap, place < 2);
        CHECK(th_check(heap) == TH_OK && th_heap_destroy(heap) == TH_OK);
    }
    return 0;
}
