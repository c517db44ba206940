/* Arguments and simple values between C and JavaScript. */
#ifndef CAROM_NODE_VALUES_H
#define CAROM_NODE_VALUES_H

#include "server.h"

/* The first `count` arguments of a call. */
#define ARGUMENTS(count)                                                                           \
    napi_value arguments[count];                                                                   \
    size_t argument_count = (count);                                                               \
    napi_get_cb_info(env, info, &argument_count, arguments, NULL, NULL)

static inline napi_value number(napi_env env, double value)
{
    napi_value result;
    napi_create_double(env, value, &result);
    return result;
}

static inline napi_value boolean(napi_env env, bool value)
{
    napi_value result;
    napi_get_boolean(env, value, &result);
    return result;
}

static inline napi_value text(napi_env env, const char *string)
{
    napi_value result;
    napi_create_string_utf8(env, string, NAPI_AUTO_LENGTH, &result);
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
