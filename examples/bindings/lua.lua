#!/usr/bin/luajit
-- A binding for LuaJIT by its FFI: `lua.lua 8080` serves on http://localhost:8080/ what all examples here serve.
--
-- Nothing is called back: `wake` is a function that does nothing, poll() waits for the engine's descriptor, and behind each
-- turn Lua takes what the turn has brought, by the calls of carom_vm.h. A handler is a coroutine, which yields while it
-- waits for news. CAROM_LIBRARY names libcarom.so, if it is not where the linker looks.
local ffi = require 'ffi'
local bit = require 'bit'

ffi.cdef [[
typedef struct carom_vm carom_vm; typedef struct carom_ring carom_ring; typedef struct carom_service carom_service;
typedef struct { const char *data; size_t length; } slice;
typedef struct { slice name, value; } field;
typedef struct { uint32_t slot, generation, news; slice piece; int reason, error; } event;
typedef struct { size_t size; uint32_t capacity; size_t memory; uint32_t unheard; void (*wake)(void *); void *data; bool watch; } ring_options;
typedef struct { int family; uint16_t port; char text[110]; } address;
const char *carom_error_text(int error);
void carom_static_content(void *owner);
size_t carom_options_size(void);
int carom_options_set(void *options, const char *name, const char *value);
int carom_service_create(carom_service **service, const void *options);
int carom_service_listen(carom_service *service, const char *address);
int carom_service_listener(const carom_service *service, size_t index, address *found);
int carom_service_descriptor(carom_service *service);
int carom_service_turn(carom_service *service);
int carom_service_destroy(carom_service *service);
void carom_shutdown(carom_service *service, uint32_t deadline);
void carom_ring_handle(void *record, void *data);
int carom_ring_attach(carom_ring *ring, carom_service *service, uint32_t worker);
int carom_ring_lend(carom_ring *ring, uint32_t loan, const void *data, size_t length);
int carom_vm_create(carom_vm **vm, const ring_options *options);
void carom_vm_destroy(carom_vm *vm);
carom_ring *carom_vm_ring(const carom_vm *vm);
bool carom_vm_next(carom_vm *vm, event *event);
uint32_t carom_vm_word(const carom_vm *vm, uint32_t slot, uint32_t word);
slice carom_vm_method(const carom_vm *vm, uint32_t slot);
slice carom_vm_target(const carom_vm *vm, uint32_t slot);
bool carom_vm_field(const carom_vm *vm, uint32_t slot, uint32_t index, field *field);
slice carom_vm_content(const carom_vm *vm, uint32_t slot);
int64_t carom_vm_content_length(const carom_vm *vm, uint32_t slot);
bool carom_vm_trailer(const carom_vm *vm, uint32_t slot, uint32_t index, field *field);
int carom_vm_begin(carom_vm *vm, uint32_t slot, uint32_t generation, uint32_t status);
int carom_vm_add_field(carom_vm *vm, uint32_t slot, slice name, slice value);
size_t carom_vm_add_content(carom_vm *vm, uint32_t slot, const void *data, size_t length);
void carom_vm_add_loan(carom_vm *vm, uint32_t slot, uint32_t loan);
int carom_vm_add_trailer(carom_vm *vm, uint32_t slot, slice name, slice value);
void carom_vm_set_time(carom_vm *vm, uint32_t slot, uint32_t milliseconds);
void carom_vm_send(carom_vm *vm, uint32_t slot, uint32_t flags);
int64_t carom_vm_take_return(carom_vm *vm);

typedef struct { int fd; short events, revents; } pollfd;
int poll(pollfd *fds, unsigned long count, int timeout);
int sigprocmask(int how, const void *set, void *old); int signalfd(int fd, const void *set, int flags);
]]

local carom = ffi.load(os.getenv 'CAROM_LIBRARY' or 'libcarom.so.0')
local NEWS = { REQUEST = 1, CONTENT = 2, CONTENT_END = 4, ENDED = 16, ERROR = 32, CONTENT_LOST = 64, TIME = 128 }
local FLAG = { CANCEL = 2, HEAD = 16, DATA = 32, END = 64, READ = 128, RELEASE = 512, TIMER = 1024 }
local ANSWER = FLAG.HEAD + FLAG.DATA + FLAG.END + FLAG.RELEASE
local VERSION = 4 -- the word of a slot

local function checked(result)
  if result < 0 then
    io.stderr:write('lua: ', ffi.string(carom.carom_error_text(result)), '\n')
    os.exit(1)
  end
  return result
end

local function has(news, bits) return bit.band(news, bits) ~= 0 end
local function text(slice) return slice.data ~= nil and ffi.string(slice.data, slice.length) or nil end
local function slice(string) return ffi.new('slice', string, #string) end

-- ---- a request, from REQUEST to RELEASE ----

local vm
local loans = {} -- what the engine has yet to send, by number
local Request, handle = {}
Request.__index = Request

-- Lines of {name, value}: `line(slot, index, field)` gives one.
local function lines(line, slot)
  local found, field, index = {}, ffi.new 'field', 0
  while line(vm, slot, index, field) do
    index = index + 1
    found[index] = { text(field.name), text(field.value) }
  end
  return found
end

function Request.new(event)
  local slot = event.slot
  return setmetatable({
    slot = slot, generation = event.generation, handler = coroutine.create(handle),
    method = text(carom.carom_vm_method(vm, slot)),
    target = text(carom.carom_vm_target(vm, slot)),
    version = bit.band(carom.carom_vm_word(vm, slot, VERSION), 255),
    fields = lines(carom.carom_vm_field, slot),
    content = text(carom.carom_vm_content(vm, slot)),
    empty = carom.carom_vm_content_length(vm, slot) == 0,
  }, Request)
end

-- Send a message; false: it is over. The one before has been taken: news or a turn came between them.
function Request:send(flags, message)
  message = message or {}
  if carom.carom_vm_begin(vm, self.slot, self.generation, message.status or 0) < 0 then
    return false
  end
  for _, field in ipairs(message.fields or {}) do
    checked(carom.carom_vm_add_field(vm, self.slot, slice(field[1]), slice(field[2])))
  end
  local content = message.content or ''
  if #content > 4096 then
    local loan = #loans
    while loans[loan] do
      loan = loan + 1
    end
    loans[loan] = content -- stays, and strings do not move
    checked(carom.carom_ring_lend(carom.carom_vm_ring(vm), loan, content, #content))
    carom.carom_vm_add_loan(vm, self.slot, loan)
  else
    carom.carom_vm_add_content(vm, self.slot, content, #content)
  end
  for _, trailer in ipairs(message.trailers or {}) do
    checked(carom.carom_vm_add_trailer(vm, self.slot, slice(trailer[1]), slice(trailer[2])))
  end
  carom.carom_vm_set_time(vm, self.slot, message.time or 0)
  carom.carom_vm_send(vm, self.slot, flags)
  return true
end

function Request:respond(status, content)
  self:send(ANSWER, { status = status, content = content, fields = content and { { 'content-type', 'text/plain' } } })
end

-- Let its handler go on until it waits, or ends. What it throws, others do not feel.
function Request:resume(...)
  local well, fault = coroutine.resume(self.handler, ...)
  if not well then
    io.stderr:write('lua: ', self.method, ' ', self.target, ': ', fault, '\n')
    self:send(FLAG.RELEASE) -- unanswered it is a 500, begun a reset
  end
end

-- ---- the application ----

local left = 0

-- A piece goes back, and the next one is read when the engine has taken it: backpressure both ways.
local function echo(request)
  if request.content or request.empty then
    return request:respond(200, request.content)
  end
  request:send(FLAG.READ) -- before the head: the client may wait for its 100
  local head = FLAG.HEAD
  while true do
    local news, piece, trailers = coroutine.yield()
    if has(news, NEWS.ENDED + NEWS.ERROR + NEWS.CONTENT_LOST) then
      return request:send(FLAG.CANCEL + FLAG.RELEASE)
    end
    local ends = has(news, NEWS.CONTENT_END)
    local flags = head + (piece and FLAG.DATA or 0) + (ends and FLAG.END + FLAG.RELEASE or FLAG.READ)
    request:send(flags, { status = 200, content = piece, trailers = trailers })
    if ends then return end
    head = 0
  end
end

local routes = {
  ['/'] = function(request) request:respond(200, 'Hello, World!') end,
  ['/echo'] = echo,
  ['/left'] = function(request) request:respond(200, tostring(left)) end,
  ['/none'] = function(request) request:respond(204) end,
  ['/large'] = function(request) request:respond(200, ('x'):rep(2 ^ 20)) end,
  ['/hold'] = function(request) -- cancellation: it hears of it when its client leaves
    request:send(FLAG.HEAD, { status = 200 })
    if has(coroutine.yield(), NEWS.ENDED) then left = left + 1 end
    request:send(FLAG.RELEASE)
  end,
  ['/late'] = function(request)
    request:send(FLAG.TIMER, { time = 10 })
    if has(coroutine.yield(), NEWS.TIME) then request:respond(200, 'late') else request:send(FLAG.RELEASE) end
  end,
  ['/fields'] = function(request)
    local text = { request.method .. ' ' .. request.target .. ' ' .. request.version }
    for _, field in ipairs(request.fields) do text[#text + 1] = table.concat(field, ': ') end
    request:respond(200, table.concat(text, '\n') .. '\n')
  end,
}

function handle(request)
  local route = routes[request.target]
  if route then route(request) else request:respond(404, 'nothing is here\n') end
end

-- ---- turns ----

local requests, event = {}, ffi.new 'event' -- by slot

local function take()
  local loan = carom.carom_vm_take_return(vm)
  while loan >= 0 do
    loans[tonumber(loan)], loan = nil, carom.carom_vm_take_return(vm)
  end
  while carom.carom_vm_next(vm, event) do
    local slot, news = event.slot, event.news
    if has(news, NEWS.REQUEST) then
      requests[slot] = Request.new(event)
      requests[slot]:resume(requests[slot])
    end
    local request = requests[slot]
    if news > NEWS.REQUEST and coroutine.status(request.handler) == 'suspended' then
      request:resume(news, text(event.piece), lines(carom.carom_vm_trailer, slot))
    elseif news > NEWS.REQUEST then
      request:send(FLAG.CANCEL + FLAG.RELEASE)
    end
  end
end

local made, service, address = ffi.new 'carom_vm *[1]', ffi.new 'carom_service *[1]', ffi.new 'address'
local size = tonumber(carom.carom_options_size())
local options = ffi.new('void *[?]', size / 8)
options[0] = ffi.cast('void *', size)
options[1] = ffi.cast('void *', carom.carom_ring_handle)
checked(carom.carom_options_set(options, 'record_state', '8'))
checked(carom.carom_vm_create(made, ffi.new('ring_options', { size = ffi.sizeof 'ring_options', capacity = 1024, wake = carom.carom_static_content })))
checked(carom.carom_service_create(service, options))
vm, service = made[0], service[0]
checked(carom.carom_ring_attach(carom.carom_vm_ring(vm), service, 0))
checked(carom.carom_service_listen(service, 'localhost:' .. (arg[1] or '8080')))
checked(carom.carom_service_listener(service, 0, address))
print('http://localhost:' .. address.port .. '/')
io.stdout:flush()

local SIGINT, SIG_BLOCK, POLLIN = 2, 0, 1
local set = ffi.new('uint64_t[16]', { bit.lshift(1, SIGINT - 1) })
ffi.C.sigprocmask(SIG_BLOCK, set, nil)
local fds = ffi.new('pollfd[2]', { { checked(carom.carom_service_descriptor(service)), POLLIN }, { ffi.C.signalfd(-1, set, 0), POLLIN } })
while checked(carom.carom_service_turn(service)) > 0 do
  take()
  if fds[1].revents ~= 0 then
    carom.carom_shutdown(service, 1000)
    fds[1].fd = -1
  end
  ffi.C.poll(fds, 2, -1)
end
carom.carom_service_destroy(service)
carom.carom_vm_destroy(vm)
