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
                b"REPORT SUBSCRIBE UNBIND UNLINK UNLOCK UNSUBSCRIBE").split()


def values(request, name):
    return [value for key, value in request.fields if key.lower() == name]


def path_of(target):
    """What a proxy forwards of an absolute form."""
    absolute = re.fullmatch(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*(.*)", target, re.S)
    if not absolute:
        return target
    return absolute[1] if absolute[1][:1] == b"/" else b"/" + absolute[1]


TAB = re.compile(rb"^(?:host|content-length|transfer-encoding):(?: *\t|[^\r\n]*\t *\r)", re.M | re.I)


def first(reasons):
    return next((name for name, holds in reasons if holds), "unexplained")


def is_list(request):
    """Transfer-Encoding is more than the one word, though that is all it means."""
    return values(request, b"transfer-encoding") and \
        [value.lower() for value in values(request, b"transfer-encoding")] != [b"chunked"]


def odd_to_node(request, raw):
    return first((
        ("unknown method", request.method not in NODE_METHODS),
        ("HTTP/1.2 and later", not re.match(rb"[\r\n]*[^\r\n]* HTTP/1\.[01]\r\n", raw)),
        ("scheme with signs", re.match(rb"[A-Za-z]*[^A-Za-z/:][^/:]*://", request.target)),
        ("empty Expect", b"" in values(request, b"expect")),
        ("Transfer-Encoding with empty members", is_list(request)),
        ("tab beside the value of a field that it reads", re.search(TAB, raw)),
        ("head near the limit", len(raw) > 8000),
        ("blanks in chunk extension", re.search(rb"\n[0-9A-Fa-f]+(?:[^\r\n]*;)?[ \t]|=[ \t]", raw)),
    ))


def odd_to_nginx(request, raw):
    target = request.target
    host = values(request, b"host")
    return first((
        ("CONNECT", request.method == b"CONNECT"),
        ("TRACE", request.method == b"TRACE"),
        ("method in lower case or with signs", not re.fullmatch(rb"[A-Z_-]+", request.method)),
        ("asterisk form", target == b"*"),
        ("percent-encoded NUL, or percent and no digits", re.search(rb"%00|%(?![0-9A-Fa-f]{2})", path_of(target))),
        ("path above the root", b"/.." in target),
        ("authority of absolute form", target[:1] != b"/"),
        ("tab beside the value of a field that it reads", re.search(TAB, raw)),
        ("Transfer-Encoding with empty members", is_list(request)),
        ("two Expects", len(values(request, b"expect")) > 1),
        ("empty Host, or with odd dots", host and re.match(rb"$|\.|:|.*\.\.", host[0])),
    ))


def kept_alive(request, raw):
    """What the Connection fields of a request say that can be read in two ways."""
    said = b", ".join(values(request, b"connection")).lower()
    options = [option.strip(b" \t") for option in said.split(b",")]
    return first((
        ("CONNECT", request.method == b"CONNECT"),
        ("an option that only has close or keep-alive in it",
         any(word in said and word not in options for word in (b"close", b"keep-alive"))),
        ("tab beside an option", re.search(rb"^connection:[^\r\n]*\t", raw, re.M | re.I)),
        ("close and another option", b"close" in options and len(options) > 1),
        ("keep-alive and another option", b"keep-alive" in options and len(options) > 1),
    ))


ODD = {"node": odd_to_node, "nginx": odd_to_nginx}


def same_request(name, one, other):
    if name in ("carom", "rules", "node"):
        return one[:3] == other[:3]
    return (one.method, path_of(one.target), one.content) == (other.method, other.target, other.content)


def same_fields(name, one, other):
    if name == "node":
        return one[3:] == other[3:]
    kept = lambda fields: [(key, value.strip(b" \t")) for key, value in fields  # nginx keeps tabs around values
                           if key.lower() not in REWRITTEN]
    return kept(one.fields) == kept(other.fields)


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
                return f"{name} accepts: {'CONNECT' if theirs.method == b'CONNECT' else reading.rule}"
            if reading.ended:
                return f"{name} goes on after: {kept_alive(view.requests[i - 1], reading.raw[i - 1])}"
            return f"{DANGER}: {name} takes what the engine waits for"
        elif ours:
            if other.refused == 101:
                return f"{name} switches protocols"
            if other.refused:
                return f"{name} refuses: {ODD[name](ours, reading.raw[i])}"
            if i > 0:
                return f"{name} closes: {kept_alive(view.requests[i - 1], reading.raw[i - 1])}"
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
    if len(view.requests) > len(reading.requests) and reading.rule:
        return f"{DANGER}: the engine takes what breaks a rule ({reading.rule})"
    if view.refused and len(view.requests) < len(reading.requests):
        return f"{DANGER}: the engine refuses what breaks no rule"
    return f"{DANGER}: the engine does not read what the rules say"


def chain_differs(nginx, chain):
    """What Carom behind nginx saw must be what nginx has forwarded."""
    for forwarded, seen in zip(nginx.requests, chain.requests):
        if forwarded[:3] != seen[:3]:
            return f"{DANGER}: Carom behind nginx reads another request"
    if len(chain.requests) > len(nginx.requests):
        return f"{DANGER}: Carom behind nginx sees more requests"
    return None
