/* An addon that runs the loop of Node once, within whoever calls it. Its few declarations are those
 * of Node-API and libuv. */
#include <stddef.h>

typedef void *napi_value;
typedef napi_value napi_callback(void *env, void *info);

int napi_create_function(void *env, const char *name, size_t length, napi_callback *call,
                         void *data, napi_value *result);
void *uv_default_loop(void);
int uv_run(void *loop, int mode);

#define NOWAIT 2

static napi_value run_once(void *env, void *info)
{
    (void)env;
    (void)info;
    uv_run(uv_default_loop(), NOWAIT);
    return NULL;
}

napi_value napi_register_module_v1(void *env, napi_value exports)
{
    (void)exports;
    napi_value function = NULL;
    napi_create_function(env, NULL, 0, run_once, NULL, &function);
    return function;
}
