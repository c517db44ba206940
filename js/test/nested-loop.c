/* An addon that runs the loop of Node once, within whoever calls it. */
#include <node_api.h>
#include <uv.h>

static napi_value run_once(napi_env env, napi_callback_info info)
{
    (void)info;
    uv_loop_t *loop = NULL;
    if (napi_get_uv_event_loop(env, &loop) == napi_ok)
        uv_run(loop, UV_RUN_NOWAIT);
    return NULL;
}

NAPI_MODULE_INIT()
{
    (void)exports;
    napi_value function = NULL;
    napi_create_function(env, NULL, 0, run_once, NULL, &function);
    return function;
}
