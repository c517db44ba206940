"""Where two readings of the same bytes part, and what that difference is called.

A class is named by who differs, how, and why: the rule of the standard that the engine went by
(rules.py), or what is odd in a request that the other refuses. A class is in one of these ways:

- "accepts": the engine refused a request by a rule, and the other took it. Safe, and to be justified.
- "refuses", "closes", "goes on", "switches", "fields": the engine took a request and the other did
  not, or both agree about where it ends. To be justified.
- what begins with DANGER can not be: both took a request and read it differently, or one waits within
  a request that for the other has ended. Then the engine has to refuse."""

import re

DANGER = "boundary"

# nginx writes these anew when it forwards, and forwards no trailers.
REWRITTEN = {b"host", b"connection", b"keep-alive", b"te", b"transfer-encoding", b"content-length", b"expect", b"upgrade",
             b"trailer"}
NODE_METHODS = (b"GET POST PUT DELETE OPTIONS PATCH HEAD PROPFIND CONNECT TRACE SOURCE SEARCH PURGE M-SEARCH "
                b"ACL BIND CHECKOUT COPY LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY PROPPATCH REBIND "
                b"REPORT SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE QUERY").split()


def values(request, name):
    return [value for key, value in request.fields if key.lower() == name]


def path_of(target):
    """What a proxy forwards of an absolute form."""
    absolute = re.fullmatch(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*(.*)", target, re.S)
    if not absolute:
        return target
    return absolute[1] if absolute[1][:1] == b"/" else b"/" + absolute[1]


def odd(name, request):
    """What in a request that the engine takes, and the rules allow, `name` does not like."""
    if name == "node":
        if request.method not in NODE_METHODS:
            return "unknown method"
        return "unexplained"
    if not re.fullmatch(rb"[A-Z_-]+", request.method):
        return "method in lower case or with signs"
    return "unexplained"


def same_request(name, one, other):
    if name in ("carom", "rules", "node"):
        return one[:3] == other[:3]
    return (one.method, path_of(one.target), one.content) == (other.method, other.target, other.content)


def same_fields(name, one, other):
    if name == "node":
        return one[3:] == other[3:]
    ours = [(key, value) for key, value in one.fields if key.lower() not in REWRITTEN]
    return ours == [(key, value) for key, value in other.fields if key.lower() not in REWRITTEN]


def difference(name, reading, view, other):
    """The class of the first difference between the engine's `view` and that of `name`, or None.
    `reading` is what the rules say; the engine agrees with them."""
    for i in range(max(len(view.requests), len(other.requests)) + 1):
        ours = view.requests[i] if i < len(view.requests) else None
        theirs = other.requests[i] if i < len(other.requests) else None
        if ours and theirs:
            if not same_request(name, ours, theirs):
                return f"{DANGER}: {name} reads another request"
            if not same_fields(name, ours, theirs):
                return f"{name} reads fields otherwise"
        elif theirs:
            if view.refused:
                return f"{name} accepts: {reading.rule}"
            if reading.ended:
                return f"{name} goes on after close"
            return f"{DANGER}: {name} takes what the engine waits for"
        elif ours:
            if other.refused == 101:
                return f"{name} switches protocols"
            if other.refused:
                return f"{name} refuses: {odd(name, ours)}"
            if i > 0:
                return f"{name} closes: {odd(name, view.requests[i - 1])}"
            return f"{DANGER}: {name} waits for more"
        else:
            return None
    return None


def against_rules(reading, view):
    """What is wrong with the engine's own view, or None."""
    if list(view.requests) == reading.requests and bool(view.refused) == bool(reading.rule):
        return None
    if reading.rule == "many empty lines":  # it depends on what of them came alone
        return None
    return f"{DANGER}: the engine does not go by the rules ({reading.rule or 'no rule broken'})"


def chain_differs(nginx, chain):
    """What Carom behind nginx saw must be what nginx has forwarded."""
    for forwarded, seen in zip(nginx.requests, chain.requests):
        if forwarded[:3] != seen[:3]:
            return f"{DANGER}: Carom behind nginx reads another request"
    if len(chain.requests) > len(nginx.requests):
        return f"{DANGER}: Carom behind nginx sees more requests"
    return None
