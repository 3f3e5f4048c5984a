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
#include <sys/epoll.h>
#include <sys/eventfd.h>
