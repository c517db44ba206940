/* Ticket keys: keeps them, changes its own from time to time, and lets OpenSSL make and open
 * tickets with them. */
#include "tls/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

/* Where things lie in a key. */
#define NAME_LENGTH 16
#define AES_AT      16
#define HMAC_AT     48
#define HMAC_LENGTH 32

/* Of our own keys: one for new tickets and two before it, so that each opens for a lifetime after
 * the last ticket it has made. */
#define OWN_KEYS 3

int carom_tls_tickets_init(struct carom_tls_tickets *tickets, carom_slice keys, uint32_t lifetime)
{
    *tickets = (struct carom_tls_tickets){.lifetime = lifetime};
    pthread_mutex_init(&tickets->lock, NULL);
    if (keys.length > 0)
        return carom_tls_tickets_replace(tickets, keys);
    tickets->own = true;
    tickets->count = 1;
    tickets->born = time(NULL);
    return RAND_bytes(tickets->keys[0], CAROM_TLS_TICKET_KEY) == 1 ? 0 : -CAROM_ESYSTEM;
}

void carom_tls_tickets_finish(struct carom_tls_tickets *tickets)
{
    pthread_mutex_destroy(&tickets->lock);
    OPENSSL_cleanse(tickets->keys, sizeof tickets->keys);
}

bool carom_tls_tickets_valid(carom_slice keys)
{
    size_t count = keys.length / CAROM_TLS_TICKET_KEY;
    return keys.data != NULL && keys.length % CAROM_TLS_TICKET_KEY == 0 && count > 0 &&
           count <= CAROM_TLS_MOST_KEYS;
}

int carom_tls_tickets_replace(struct carom_tls_tickets *tickets, carom_slice keys)
{
    if (!carom_tls_tickets_valid(keys))
        return -CAROM_EINVAL;
    pthread_mutex_lock(&tickets->lock);
    OPENSSL_cleanse(tickets->keys, sizeof tickets->keys);
    memcpy(tickets->keys, keys.data, keys.length);
    tickets->count = keys.length / CAROM_TLS_TICKET_KEY;
    tickets->own = false;
    pthread_mutex_unlock(&tickets->lock);
    return 0;
}

void carom_tls_tickets_set_lifetime(struct carom_tls_tickets *tickets, uint32_t lifetime)
{
    pthread_mutex_lock(&tickets->lock);
    tickets->lifetime = lifetime;
    pthread_mutex_unlock(&tickets->lock);
}

/* Keys of our own serve half a lifetime. With no random bytes the old one serves on. After a long
 * silence no ticket is left that the former ones could open. */
static void change_in_time(struct carom_tls_tickets *tickets)
{
    uint8_t fresh[CAROM_TLS_TICKET_KEY];
    time_t now = time(NULL), served = (time_t)tickets->lifetime / 2 + 1;
    if (!tickets->own || now - tickets->born < served || RAND_bytes(fresh, sizeof fresh) != 1)
        return;
    if (now - tickets->born > served + (time_t)tickets->lifetime) {
        OPENSSL_cleanse(tickets->keys, sizeof tickets->keys);
        tickets->count = 0;
    }
    memmove(tickets->keys[1], tickets->keys[0], (OWN_KEYS - 1) * sizeof tickets->keys[0]);
    memcpy(tickets->keys[0], fresh, sizeof fresh);
    OPENSSL_cleanse(fresh, sizeof fresh);
    if (tickets->count < OWN_KEYS)
        tickets->count++;
    tickets->born = now;
}

/* Choose: the first key for a new ticket, or that of the name. Its index, or -1. */
static int choose(struct carom_tls_tickets *tickets, const unsigned char *name, bool make,
                  uint8_t key[CAROM_TLS_TICKET_KEY])
{
    int found = -1;
    pthread_mutex_lock(&tickets->lock);
    change_in_time(tickets);
    if (make)
        found = 0;
    for (size_t i = 0; i < tickets->count && found < 0; i++)
        if (CRYPTO_memcmp(tickets->keys[i], name, NAME_LENGTH) == 0)
            found = (int)i;
    if (found >= 0)
        memcpy(key, tickets->keys[found], CAROM_TLS_TICKET_KEY);
    pthread_mutex_unlock(&tickets->lock);
    return found;
}

/* As SSL_CTX_set_tlsext_ticket_key_evp_cb wants it: 1: go on; 2: and make a new ticket; 0: an
 * unknown key; -1: it cannot be. */
static int use_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                   EVP_MAC_CTX *mac, int make)
{
    struct carom_tls_tickets *tickets = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    uint8_t key[CAROM_TLS_TICKET_KEY];
    char digest[] = "SHA256";
    const EVP_CIPHER *aes = EVP_aes_256_cbc();
    int index = choose(tickets, name, make, key);
    if (index < 0)
        return 0;
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key + HMAC_AT, HMAC_LENGTH),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    bool good = EVP_MAC_CTX_set_params(mac, parameters) == 1;
    if (make) {
        memcpy(name, key, NAME_LENGTH);
        good = good && RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) == 1 &&
               EVP_EncryptInit_ex(cipher, aes, NULL, key + AES_AT, iv) == 1;
    } else {
        good = good && EVP_DecryptInit_ex(cipher, aes, NULL, key + AES_AT, iv) == 1;
    }
    OPENSSL_cleanse(key, sizeof key);
    if (!good)
        return -1;
    return index > 0 ? 2 : 1;
}

void carom_tls_tickets_attach(struct carom_tls_tickets *tickets, SSL_CTX *context)
{
    SSL_CTX_set_app_data(context, tickets);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, use_key);
}
