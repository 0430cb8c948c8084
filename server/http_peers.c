#include "server/http_peers.h"

#include <netinet/in.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024 };

struct acme_http_peer {
    struct acme_http_peer *next;
    uint64_t key;
    size_t count;
};

struct acme_http_peers {
    pthread_mutex_t lock;
    size_t max_each;
    uint64_t seed; /* chains cannot be built from outside */
    struct acme_http_peer *bucket[BUCKETS];
};

struct acme_http_peers *acme_http_peers_create(size_t max_each)
{
    struct acme_http_peers *peers = calloc(1, sizeof *peers);
    if (peers == NULL)
        return NULL;
    peers->max_each = max_each;
    if (RAND_bytes((unsigned char *)&peers->seed, sizeof peers->seed) != 1) {
        free(peers);
        return NULL;
    }
    pthread_mutex_init(&peers->lock, NULL);
    return peers;
}

void acme_http_peers_destroy(struct acme_http_peers *peers)
{
    if (peers == NULL)
        return;
    pthread_mutex_destroy(&peers->lock);
    free(peers);
}

/* IPv4 addresses cannot meet IPv6 ones: no /64 in use starts with 32 zero bits. */
static uint64_t key_of(const struct sockaddr *address)
{
    uint64_t key = 0;
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        key = ntohl(in.sin_addr.s_addr);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof in6);
        bool mapped = IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
        for (size_t i = 0; i < (mapped ? 4 : 8); i++)
            key = key << 8 | in6.sin6_addr.s6_addr[mapped ? 12 + i : i];
    }
    return key;
}

static struct acme_http_peer **bucket_of(struct acme_http_peers *peers, uint64_t key)
{
    uint64_t mixed = (key ^ peers->seed) * UINT64_C(0x9e3779b97f4a7c15);
    mixed ^= mixed >> 29;
    mixed *= peers->seed | 1;
    return &peers->bucket[(mixed >> 40) % BUCKETS];
}

struct acme_err acme_http_peers_enter(struct acme_http_peers *peers, const struct sockaddr *address,
                                      struct acme_http_peer **ret)
{
    uint64_t key = key_of(address);
    struct acme_err err = acme_ok();
    pthread_mutex_lock(&peers->lock);
    struct acme_http_peer **bucket = bucket_of(peers, key);
    struct acme_http_peer *peer = *bucket;
    while (peer != NULL && peer->key != key)
        peer = peer->next;
    if (peer == NULL) {
        peer = calloc(1, sizeof *peer);
        if (peer != NULL) {
            *peer = (struct acme_http_peer){.next = *bucket, .key = key};
            *bucket = peer;
        }
    }
    if (peer == NULL) {
        err = acme_err(ACME_E_NOMEM);
    } else if (peers->max_each > 0 && peer->count >= peers->max_each) {
        err = acme_err(ACME_E_BUSY);
    } else {
        peer->count++;
        *ret = peer;
    }
    pthread_mutex_unlock(&peers->lock);
    return err;
}

void acme_http_peers_leave(struct acme_http_peers *peers, struct acme_http_peer *peer)
{
    pthread_mutex_lock(&peers->lock);
    if (--peer->count == 0) {
        struct acme_http_peer **link = bucket_of(peers, peer->key);
        while (*link != peer)
            link = &(*link)->next;
        *link = peer->next;
        free(peer);
    }
    pthread_mutex_unlock(&peers->lock);
}
