// The application of duk.c: its handlers use callbacks, because Duktape has no promises.
'use strict';

var NEWS = { REQUEST: 1, CONTENT: 2, CONTENT_END: 4, ROOM: 8, ENDED: 16, ERROR: 32, CONTENT_LOST: 64, TIME: 128 };
var FLAG = { CANCEL: 2, HEAD: 16, DATA: 32, END: 64, READ: 128, RELEASE: 512, TIMER: 1024 };
var OVER = NEWS.ENDED | NEWS.ERROR | NEWS.CONTENT_LOST;
var requests = []; // by slot
var left = 0;
var large = 'x';
while (large.length < 1 << 20) large += large;

function respond(request, status, content) {
  var fields = content ? [['content-type', 'text/plain']] : [];
  send(request, FLAG.HEAD | FLAG.DATA | FLAG.END | FLAG.RELEASE, status, fields, content);
}

function hold(news) {
  if (news & NEWS.ENDED) left++; // its client did not wait
  send(this, FLAG.RELEASE);
}

function late(news) {
  if (news & NEWS.TIME) respond(this, 200, 'late');
  else send(this, FLAG.RELEASE);
}

// A piece goes back, and the next one is read when the engine has taken it: backpressure both ways.
function echo(news, piece, trailers) {
  if (news & OVER) return send(this, FLAG.CANCEL | FLAG.RELEASE);
  var then = news & NEWS.CONTENT_END ? FLAG.END | FLAG.RELEASE : FLAG.READ;
  send(this, this.head | then | (piece.length > 0 ? FLAG.DATA : 0), 200, null, piece, trailers);
  this.head = 0;
}

// Messages one behind the other: each waits until the engine has taken the one before, which ROOM tells.
function pieces(news) {
  if (news & OVER) return send(this, FLAG.CANCEL | FLAG.RELEASE);
  var piece, flags;
  for (; this.sent < 26; this.sent++) {
    piece = new Array(4001).join(String.fromCharCode(97 + this.sent));
    flags = (this.sent === 0 ? FLAG.HEAD : 0) | FLAG.DATA | (this.sent === 25 ? FLAG.END | FLAG.RELEASE : 0);
    if (!send(this, flags, 200, null, piece)) return;
  }
}

function line(field) {
  return field.join(': ');
}

var routes = {
  '/': function () {
    respond(this, 200, 'Hello, World!');
  },
  '/hold': function () {
    this.hear = hold;
    send(this, FLAG.HEAD, 200);
  },
  '/left': function () {
    respond(this, 200, String(left));
  },
  '/none': function () {
    respond(this, 204);
  },
  '/large': function () {
    respond(this, 200, large);
  },
  '/fields': function () {
    respond(this, 200, [[this.method, this.target, this.version].join(' ')].concat(this.fields.map(line), '').join('\n'));
  },
  '/late': function () {
    this.hear = late;
    send(this, FLAG.TIMER, 0, null, null, null, 10);
  },
  '/pieces': function () {
    this.hear = pieces;
    this.sent = 0;
    this.hear(0);
  },
  '/echo': function () {
    if (this.length === 0 || this.content) return respond(this, 200, this.content);
    this.hear = echo;
    this.head = FLAG.HEAD;
    send(this, FLAG.READ, 0); // before the head: the client may wait for its 100
  },
};

// biome-ignore lint/correctness/noUnusedVariables: duk.c calls it.
function hear(slot, news, request, piece, trailers) {
  if (request !== null) {
    requests[slot] = request;
    if (routes[request.target]) routes[request.target].call(request);
    else respond(request, 404, 'nothing is here\n');
  }
  if (news & ~NEWS.REQUEST) {
    request = requests[slot];
    if (request.hear) request.hear(news, piece, trailers);
    else if (news & OVER) send(request, FLAG.CANCEL | FLAG.RELEASE);
  }
}
