// Finds misspelt options. An app may have properties of its own beside its options, so an unknown name is allowed. A name that
// is nearly that of an option, or that of an option of another server, is refused: its author expects it to have an effect.
'use strict';

const OF_OTHERS = {
  host: 'hostname',
  unix: 'path',
  error: 'onError',
  idleTimeout: 'keepAlive, in milliseconds',
  maxRequestBodySize: 'maxContent',
  static: 'routes',
  tcpBacklog: 'backlog',
};
const SHORT = 4; // shorter names are near to too much

// Whether the names differ by one letter that is added, missing or different, or by two that are exchanged.
function isNear(one, other) {
  let i = 0;
  while (i < one.length && one[i] === other[i]) i++;
  const [a, b] = [one.slice(i), other.slice(i)];
  return a.slice(1) === b || a === b.slice(1) || a.slice(1) === b.slice(1) || (a[0] === b[1] && a[1] === b[0] && a.slice(2) === b.slice(2));
}

// The known option that an unknown name resembles, or undefined.
function meantBy(name, known) {
  const lower = name.toLowerCase();
  return (
    known.find((one) => one.toLowerCase() === lower) ||
    known.find((one) => one.length >= SHORT && lower.length >= SHORT && isNear(one.toLowerCase(), lower))
  );
}

function noOption(where, name, meant) {
  return new TypeError(`there is no option ${where}${name}${meant === undefined ? '' : `: ${where}${meant} is meant?`}`);
}

function checkNames(options, known) {
  for (const name of Object.keys(options)) {
    if (known.includes(name) || options[name] === undefined) continue;
    if (Object.hasOwn(OF_OTHERS, name)) throw noOption('', name, OF_OTHERS[name]);
    const meant = meantBy(name, known);
    // An app may call its methods as it likes, but for those that begin like a callback of ours.
    if (meant !== undefined && (typeof options[name] !== 'function' || meant.startsWith('on'))) throw noOption('', name, meant);
  }
}

module.exports = { checkNames, meantBy, noOption };
