// Closed-loop load over TCP or a Unix socket: each connection sends its next request when the last one is answered.
//
//   load (--port N | --unix PATH) --body FILE [--path /v1/chat/completions] [--connections 1]
//        [--seconds 2 | --requests N]
//
// Prints one line of JSON when it is done. Times are microseconds; the first byte is the first of the body.
//   n         answers with status 200 and proper framing      errors   everything else
//   events    server-sent events in those answers             reads    reads of the socket per answer
// Exit code 0 also where there were errors: they are counted. Ends by itself 20 s after its time at the latest.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES = 16384, REQUEST_BYTES = 1 << 17, READ_BYTES = 1 << 18, MAX_CONNECTIONS = 1024, GRACE_S = 20 };

// Where in an answer the reader stands.
enum place { HEAD, COUNTED, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, DONE, BROKEN };

struct connection {
    int socket;
    enum place place;
    uint64_t sent_at, first_byte_at;
    long left;             // bytes left of the body, or of the chunk
    long trailer;          // bytes in the current line of the trailer
    bool closes;           // the peer said connection: close
    char last;             // the body's last byte, to count blank lines across reads
    long events, reads;
    int head_length;
    char head[HEAD_BYTES + 1];
};

// Every answer's time, for exact percentiles.
struct series {
    uint64_t *ns;
    size_t count, room;
};

static struct {
    int port;
    const char *unix_path;
    const char *body_file;
    const char *path;
    int connections;
    double seconds;
    long requests;  // 0: bounded by time alone
} wish = {.path = "/v1/chat/completions", .connections = 1, .seconds = 2};

static char request[REQUEST_BYTES];
static int request_length;
static struct series latencies, first_bytes;
static long started, errors, events, reads;
static uint64_t begin, end;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void add(struct series *series, uint64_t ns) {
    if (series->count == series->room) {
        series->room = series->room ? series->room * 2 : 4096;
        series->ns = realloc(series->ns, series->room * sizeof *series->ns);
        if (!series->ns) fail("realloc");
    }
    series->ns[series->count++] = ns;
}

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double percentile_us(struct series *series, double share) {
    if (!series->count) return 0;
    qsort(series->ns, series->count, sizeof *series->ns, ascending);
    return (double)series->ns[(size_t)(share * (double)(series->count - 1))] / 1e3;
}

static int dial(void) {
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in remote = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)wish.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool over_unix = wish.unix_path != NULL;
    if (over_unix) snprintf(local.sun_path, sizeof local.sun_path, "%s", wish.unix_path);
    struct sockaddr *address = over_unix ? (struct sockaddr *)&local : (struct sockaddr *)&remote;
    int made = socket(over_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(made, address, over_unix ? sizeof local : sizeof remote)) fail("connect");
    int on = 1;
    if (!over_unix) setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return made;
}

static bool want_more(void) {
    return wish.requests ? started < wish.requests : now() < end;
}

static void ask(struct connection *connection) {
    int socket = connection->socket;
    memset(connection, 0, offsetof(struct connection, head));
    connection->socket = socket;
    connection->sent_at = now();
    started++;
    // One small write into an empty buffer: it goes whole, or the connection is gone and the next read says so.
    if (send(socket, request, (size_t)request_length, MSG_NOSIGNAL) != request_length) connection->place = BROKEN;
}

// Reads the head's framing and decides where the body's reader starts.
static enum place after_head(struct connection *connection) {
    char *head = connection->head;
    connection->closes = strcasestr(head, "\r\nconnection: close") != NULL;
    if (strncmp(head + 8, " 200", 4) != 0) return BROKEN;
    if (strcasestr(head, "\r\ntransfer-encoding: chunked")) return CHUNK_SIZE;
    char *length = strcasestr(head, "\r\ncontent-length:");
    if (!length) return BROKEN;
    connection->left = strtol(length + 17, NULL, 10);
    return connection->left ? COUNTED : DONE;
}

// Takes what belongs to the head and returns how many of `count` bytes that were.
static int take_head(struct connection *connection, const char *bytes, int count) {
    int before = connection->head_length;
    int copied = count < HEAD_BYTES - before ? count : HEAD_BYTES - before;
    memcpy(connection->head + before, bytes, (size_t)copied);
    connection->head_length += copied;
    connection->head[connection->head_length] = 0;
    char *blank = strstr(connection->head, "\r\n\r\n");
    if (!blank) {
        if (connection->head_length == HEAD_BYTES) connection->place = BROKEN;
        return count;
    }
    blank[2] = 0;
    connection->place = after_head(connection);
    return (int)(blank - connection->head) + 4 - before;
}

static void count_events(struct connection *connection, const char *bytes, int count) {
    for (int i = 0; i < count; i++) {
        connection->events += bytes[i] == '\n' && connection->last == '\n';
        connection->last = bytes[i];
    }
}

// Takes what belongs to the body's current stretch and returns how many of `count` bytes that were.
static int take_stretch(struct connection *connection, const char *bytes, int count) {
    int taken = count < connection->left ? count : (int)connection->left;
    if (!connection->first_byte_at) connection->first_byte_at = now();
    count_events(connection, bytes, taken);
    connection->left -= taken;
    if (connection->left == 0) connection->place = connection->place == COUNTED ? DONE : CHUNK_END;
    return taken;
}

// Takes one byte of the lines between chunks.
static void take_framing(struct connection *connection, char byte) {
    if (connection->place == CHUNK_SIZE && isxdigit((unsigned char)byte)) {
        int digit = isdigit((unsigned char)byte) ? byte - '0' : tolower(byte) - 'a' + 10;
        connection->left = connection->left * 16 + digit;
    } else if (connection->place == CHUNK_SIZE && byte == '\n') {
        connection->place = connection->left ? CHUNK_DATA : TRAILER;
    } else if (connection->place == CHUNK_END && byte == '\n') {
        connection->place = CHUNK_SIZE;
    } else if (connection->place == TRAILER && byte == '\n') {
        if (!connection->trailer) connection->place = DONE;
        connection->trailer = 0;
    } else if (connection->place == TRAILER && byte != '\r') {
        connection->trailer++;
    }
}

static void take(struct connection *connection, const char *bytes, int count) {
    connection->reads++;
    for (int i = 0; i < count && connection->place < DONE;) {
        if (connection->place == HEAD) i += take_head(connection, bytes + i, count - i);
        else if (connection->place == COUNTED || connection->place == CHUNK_DATA)
            i += take_stretch(connection, bytes + i, count - i);
        else take_framing(connection, bytes[i++]);
    }
}

static void book(struct connection *connection) {
    if (connection->place == BROKEN) {
        errors++;
        return;
    }
    uint64_t at = now();
    add(&latencies, at - connection->sent_at);
    add(&first_bytes, (connection->first_byte_at ? connection->first_byte_at : at) - connection->sent_at);
    events += connection->events;
    reads += connection->reads;
}

static void watch(int poller, struct connection *connection) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, connection->socket, &event)) fail("epoll_ctl");
}

// Reads what has come. Returns false when this connection has done its part.
static bool serve(int poller, struct connection *connection) {
    static char bytes[READ_BYTES];
    ssize_t got = recv(connection->socket, bytes, sizeof bytes, 0);
    if (got > 0) take(connection, bytes, (int)got);
    else connection->place = BROKEN;
    if (connection->place < DONE) return true;
    book(connection);
    bool spent = connection->closes || connection->place == BROKEN;
    bool more = want_more();
    if (spent || !more) close(connection->socket);
    if (!more) return false;
    if (spent) {
        connection->socket = dial();
        watch(poller, connection);
    }
    ask(connection);
    return true;
}

static void compose_request(void) {
    static char body[REQUEST_BYTES - 1024];
    FILE *file = fopen(wish.body_file, "rb");
    if (!file) fail(wish.body_file);
    size_t length = fread(body, 1, sizeof body, file);
    fclose(file);
    request_length = snprintf(request, sizeof request,
        "POST %s HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        "accept: application/json\r\nauthorization: Bearer none\r\ncontent-length: %zu\r\n\r\n", wish.path, length);
    memcpy(request + request_length, body, length);
    request_length += (int)length;
}

static bool read_options(int argc, char **argv) {
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},        {"unix", required_argument, NULL, 'u'},
        {"body", required_argument, NULL, 'b'},        {"path", required_argument, NULL, 'P'},
        {"connections", required_argument, NULL, 'c'}, {"seconds", required_argument, NULL, 's'},
        {"requests", required_argument, NULL, 'n'},    {0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'p': wish.port = atoi(optarg); break;
        case 'u': wish.unix_path = optarg; break;
        case 'b': wish.body_file = optarg; break;
        case 'P': wish.path = optarg; break;
        case 'c': wish.connections = atoi(optarg); break;
        case 's': wish.seconds = atof(optarg); break;
        case 'n': wish.requests = atol(optarg); break;
        default: return false;
        }
    }
    return (wish.port || wish.unix_path) && wish.body_file && wish.connections > 0 &&
           wish.connections <= MAX_CONNECTIONS;
}

static void report(void) {
    double elapsed = (double)(now() - begin) / 1e9;
    long n = (long)latencies.count;
    printf("{\"n\": %ld, \"errors\": %ld, \"events\": %ld, \"elapsed_s\": %.4f, \"rps\": %.1f, "
           "\"latency_p50_us\": %.1f, \"latency_p99_us\": %.1f, \"first_byte_p50_us\": %.1f, "
           "\"first_byte_p99_us\": %.1f, \"reads\": %.2f}\n",
           n, errors, events, elapsed, (double)n / elapsed, percentile_us(&latencies, 0.5),
           percentile_us(&latencies, 0.99), percentile_us(&first_bytes, 0.5), percentile_us(&first_bytes, 0.99),
           n ? (double)reads / (double)n : 0);
}

int main(int argc, char **argv) {
    if (!read_options(argc, argv)) {
        fprintf(stderr, "load: give --port or --unix, --body, and 1 to %d --connections\n", MAX_CONNECTIONS);
        return 2;
    }
    compose_request();
    struct connection *connections = calloc((size_t)wish.connections, sizeof *connections);
    if (!connections) fail("calloc");
    int poller = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < wish.connections; i++) {
        connections[i].socket = dial();
        watch(poller, &connections[i]);
    }
    begin = now();
    end = begin + (uint64_t)(wish.seconds * 1e9);
    int busy = 0;
    for (int i = 0; i < wish.connections && want_more(); i++, busy++) ask(&connections[i]);
    uint64_t too_late = (wish.requests ? begin + 600000000000u : end) + (uint64_t)GRACE_S * 1000000000u;
    while (busy && now() < too_late) {
        struct epoll_event ready[64];
        int count = epoll_wait(poller, ready, 64, 200);
        for (int i = 0; i < count; i++) busy -= !serve(poller, ready[i].data.ptr);
    }
    errors += busy;  // never answered
    report();
    return 0;
}
