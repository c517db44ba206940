// How many sockets of a server are subscribed to each topic. The engine has who; this answers at once, on whatever thread it runs.
'use strict';

class Topics {
  #counts = new Map();

  count(topic) {
    return this.#counts.get(topic) || 0;
  }

  add(topic) {
    this.#counts.set(topic, this.count(topic) + 1);
  }

  remove(topic) {
    const left = this.count(topic) - 1;
    if (left > 0) this.#counts.set(topic, left);
    else this.#counts.delete(topic);
  }
}

const ofServers = new WeakMap(); // by the object that is the engine's for all rings of a server

function topicsOf(server) {
  let topics = ofServers.get(server);
  if (topics === undefined) {
    topics = new Topics();
    ofServers.set(server, topics);
  }
  return topics;
}

const LONGEST = 255; // bytes

// A topic as bytes.
function topicBytes(topic) {
  if (typeof topic !== 'string' || topic === '') throw new TypeError('a topic is a string that is not empty');
  const bytes = Buffer.from(topic, 'utf8');
  if (bytes.length > LONGEST) throw new RangeError(`a topic has at most ${LONGEST} bytes`);
  return bytes;
}

// The head of a publication: the length of the topic, and the topic.
function publicationHead(topic) {
  const bytes = topicBytes(topic);
  const head = Buffer.alloc(4 + bytes.length);
  head.writeUInt32LE(bytes.length, 0);
  head.set(bytes, 4);
  return head;
}

module.exports = { topicsOf, topicBytes, publicationHead };
