// A provider that costs almost nothing: what is left of the CPU belongs to the proxy under test.
//
//   upstream [--pace-ms N]
//
// Listens on a free port of 127.0.0.1, prints it on a line of its own, and serves until it is killed.
//   GET, or anything that is no POST      an empty list of models
//   POST                                  a chat completion of about 1 KB
//   POST with "stream":true               50 chunks and [DONE], each sent by itself, all at once
//   ... to a model whose name holds -paced   the same, N ms (5) between two of them
//
// One thread, epoll, keep-alive, requests framed by content-length.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    CHUNKS = 50,
    PIECES = CHUNKS + 1,  // and [DONE], with the end of the chunked body
    PIECE_BYTES = 768,
    REQUEST_BYTES = 1 << 17,
    EVENTS = 256,
};

struct piece {
    char bytes[PIECE_BYTES];
    int length;
};

struct peer {
    int socket;
    int received;
    int next_piece;          // the next piece of a paced stream
    uint64_t due;            // when that piece is sent, in ns
    bool streaming;          // whether it stands in the queue of paced streams
    struct peer *earlier, *later;
    char request[REQUEST_BYTES + 1];
};

static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\n"
    "content-type: text/event-stream; charset=utf-8\r\n"
    "cache-control: no-cache\r\n"
    "transfer-encoding: chunked\r\n\r\n";
static const char MODELS[] =
    "HTTP/1.1 200 OK\r\n"
    "content-type: application/json\r\n"
    "content-length: 27\r\n\r\n"
    "{\"object\":\"list\",\"data\":[]}";

static struct piece pieces[PIECES];
static struct piece stream_start;  // the head and the first chunk, in one write as real servers send them
static char completion[2048];
static int completion_length;
static uint64_t pace = 5000000;

// Every stream has the same pace, so a queue in order of arrival is also in order of due time.
static struct peer *first_due, *last_due;
static int poller, timer;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void compose_completion(void) {
    char text[512] = "";
    while (strlen(text) + 48 < sizeof text) strcat(text, "A fairlead guides a line past what chafes it. ");
    char body[1536];
    int length = snprintf(body, sizeof body,
        "{\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion\",\"created\":1760000000,"
        "\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
        "\"content\":\"%s\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":57,\"completion_tokens\":120,\"total_tokens\":177,"
        "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
        "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}},"
        "\"system_fingerprint\":\"fp_0123456789\"}", text);
    completion_length = snprintf(completion, sizeof completion,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
        "x-request-id: req_0123456789abcdef\r\n\r\n%s", length, body);
}

static void compose_piece(struct piece *piece, const char *event) {
    piece->length = snprintf(piece->bytes, PIECE_BYTES, "%zx\r\n%s\r\n", strlen(event), event);
}

static void compose_stream(void) {
    for (int i = 0; i < CHUNKS; i++) {
        char event[PIECE_BYTES - 32];
        snprintf(event, sizeof event,
            "data: {\"id\":\"chatcmpl-0123456789abcdef\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,"
            "\"model\":\"gpt-4o-mini\",\"system_fingerprint\":\"fp_0123456789\",\"choices\":[{\"index\":0,"
            "\"delta\":{%s\"content\":\" token\"},\"logprobs\":null,\"finish_reason\":%s}]}\n\n",
            i == 0 ? "\"role\":\"assistant\"," : "", i == CHUNKS - 1 ? "\"stop\"" : "null");
        compose_piece(&pieces[i], event);
    }
    compose_piece(&pieces[CHUNKS], "data: [DONE]\n\n");
    struct piece *last = &pieces[CHUNKS];
    last->length += snprintf(last->bytes + last->length, PIECE_BYTES - (size_t)last->length, "0\r\n\r\n");
    stream_start.length = snprintf(stream_start.bytes, PIECE_BYTES, "%s%s", STREAM_HEAD, pieces[0].bytes);
}

static void rearm(void) {
    struct itimerspec when = {0};
    if (first_due) {
        when.it_value.tv_sec = (time_t)(first_due->due / 1000000000u);
        when.it_value.tv_nsec = (long)(first_due->due % 1000000000u);
    }
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void queue(struct peer *peer) {
    peer->due = now() + pace;
    peer->streaming = true;
    peer->earlier = last_due;
    peer->later = NULL;
    if (last_due) last_due->later = peer; else first_due = peer;
    last_due = peer;
}

static void unqueue(struct peer *peer) {
    if (!peer->streaming) return;
    if (peer->earlier) peer->earlier->later = peer->later; else first_due = peer->later;
    if (peer->later) peer->later->earlier = peer->earlier; else last_due = peer->earlier;
    peer->streaming = false;
}

static void drop(struct peer *peer) {
    unqueue(peer);
    close(peer->socket);
    free(peer);
}

// A peer that does not take these few KB at once is not one that we measure with.
static bool send_whole(struct peer *peer, const char *bytes, int length) {
    return send(peer->socket, bytes, (size_t)length, MSG_NOSIGNAL) == length;
}

static bool send_piece(struct peer *peer, int number) {
    return send_whole(peer, pieces[number].bytes, pieces[number].length);
}

static bool start_stream(struct peer *peer, bool paced) {
    if (!send_whole(peer, stream_start.bytes, stream_start.length)) return false;
    if (paced) {
        peer->next_piece = 1;
        queue(peer);
        return true;
    }
    for (int i = 1; i < PIECES; i++)
        if (!send_piece(peer, i)) return false;
    return true;
}

static bool answer(struct peer *peer, const char *body, size_t length) {
    if (strncmp(peer->request, "POST ", 5) != 0) return send_whole(peer, MODELS, sizeof MODELS - 1);
    bool streamed = memmem(body, length, "\"stream\":true", 13) || memmem(body, length, "\"stream\": true", 14);
    if (!streamed) return send_whole(peer, completion, completion_length);
    return start_stream(peer, memmem(body, length, "-paced\"", 7) != NULL);
}

// Answers the request at the front of the buffer, if it has arrived whole. False: drop the peer.
static bool take_request(struct peer *peer) {
    peer->request[peer->received] = 0;
    char *end = strstr(peer->request, "\r\n\r\n");
    if (!end) return peer->received < REQUEST_BYTES;
    int head = (int)(end - peer->request) + 4;
    char *framed = strcasestr(peer->request, "\r\ncontent-length:");
    long body = framed && framed < end ? strtol(framed + 17, NULL, 10) : 0;
    if (body < 0 || head + body > REQUEST_BYTES) return false;
    if (peer->received < head + body) return true;
    if (!answer(peer, end + 4, (size_t)body)) return false;
    peer->received -= head + (int)body;
    memmove(peer->request, peer->request + head + body, (size_t)peer->received);
    return peer->received == 0 || peer->streaming || take_request(peer);
}

static void read_peer(struct peer *peer) {
    ssize_t got = recv(peer->socket, peer->request + peer->received, (size_t)(REQUEST_BYTES - peer->received), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        drop(peer);
        return;
    }
    peer->received += (int)got;
    if (!peer->streaming && !take_request(peer)) drop(peer);
}

static void send_due(void) {
    uint64_t fired;
    if (read(timer, &fired, sizeof fired) < 0) return;
    uint64_t until = now();
    while (first_due && first_due->due <= until) {
        struct peer *peer = first_due;
        unqueue(peer);
        if (!send_piece(peer, peer->next_piece++)) drop(peer);
        else if (peer->next_piece < PIECES) queue(peer);
        else if (peer->received && !take_request(peer)) drop(peer);
    }
}

static void accept_peers(int listener) {
    for (;;) {
        int socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket < 0) return;
        int on = 1;
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct peer *peer = calloc(1, sizeof *peer);
        if (!peer) fail("calloc");
        peer->socket = socket;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, socket, &event)) fail("epoll_ctl");
    }
}

static int listen_somewhere(void) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1024)) fail("listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"pace-ms", required_argument, NULL, 'p'}, {0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'p') return 2;
        pace = (uint64_t)(atof(optarg) * 1e6);
    }
    compose_completion();
    compose_stream();
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int listener = listen_somewhere();
    // The two that are no peers are told apart by these addresses.
    struct epoll_event at_listener = {.events = EPOLLIN, .data.ptr = &listener};
    struct epoll_event at_timer = {.events = EPOLLIN, .data.ptr = &timer};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, listener, &at_listener)) fail("epoll_ctl");
    if (epoll_ctl(poller, EPOLL_CTL_ADD, timer, &at_timer)) fail("epoll_ctl");
    for (;;) {
        struct epoll_event ready[EVENTS];
        int count = epoll_wait(poller, ready, EVENTS, -1);
        bool clock_rang = false;
        for (int i = 0; i < count; i++) {
            if (ready[i].data.ptr == &listener) accept_peers(listener);
            else if (ready[i].data.ptr == &timer) clock_rang = true;
            else read_peer(ready[i].data.ptr);
        }
        // Last, since it may free a peer that the same round reports as readable.
        if (clock_rang) send_due();
        rearm();
    }
}
