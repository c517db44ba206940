/* Numbers between C and JavaScript. */
#ifndef CAROM_NODE_VALUES_H
#define CAROM_NODE_VALUES_H

#include "server.h"

static inline napi_value number(napi_env env, double value)
{
    napi_value result;
    napi_create_double(env, value, &result);
    return result;
}

static inline uint32_t to_uint(napi_env env, napi_value value)
{
    uint32_t result = 0;
    napi_get_value_uint32(env, value, &result);
    return result;
}

/* Give the object a property that is a number. */
static inline void set(napi_env env, napi_value object, const char *name, uint64_t value)
{
    napi_set_named_property(env, object, name, number(env, (double)value));
}

#endif
