// What Sluice uses of libevent 2.1.
#pragma once

// libevent's event-config.h defines _GNU_SOURCE. Unless glibc's features.h has been read before, `fd_set` then
// differs between this module and Glibc's, and every file that sees both stops compiling.
#include <features.h>

#include <event2/event.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>

// Swift's Glibc module leaves these out.
#include <elf.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

// Asks for lines of memory. Each of the runs is the address of a line of 64 bytes; the bits that are zero in such an
// address say how many follow each other. What an address leads to does not matter: there are no faults.
static inline void sluice_prefetch(const unsigned long *runs, long count) {
    for (long i = 0; i < count; i++) {
        const char *line = (const char *)(runs[i] & ~63ul);
        for (unsigned long lines = runs[i] & 63; lines > 0; lines--, line += 64) __builtin_prefetch(line);
    }
}
