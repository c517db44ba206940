/* The addon's own OpenSSL outlives what uses it. A runtime calls exit() while threads of its own,
 * and of the engine, still end; OpenSSL would take itself down there by atexit(), and each of those
 * threads gives back what OpenSSL keeps for it, at the same time: memory was freed twice (seen on
 * Deno, whose tests have a thread a file). What is held at exit() is the system's to take back. */
#include <openssl/crypto.h>

__attribute__((constructor)) static void outlive_exit(void)
{
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL); /* it has to be the first call of all */
}
