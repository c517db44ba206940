// Names of options that are not there. An app may have properties of its own beside its options, so what is unknown is left
// alone; but what is nearly an option, or one of another server, was meant to hold.
'use strict';

const OF_OTHERS = {
  host: 'hostname', unix: 'path', error: 'onError', idleTimeout: 'keepAlive, in milliseconds', maxRequestBodySize: 'maxContent',
};
const SHORT = 4; // shorter names are near to too much

// Whether one letter more, less, or other, or two exchanged, make one of the other.
function isNear(one, other) {
  let i = 0;
  while (i < one.length && one[i] === other[i]) i++;
  const [a, b] = [one.slice(i), other.slice(i)];
  return a.slice(1) === b || a === b.slice(1) || a.slice(1) === b.slice(1) ||
    (a[0] === b[1] && a[1] === b[0] && a.slice(2) === b.slice(2));
}

// The option that was meant by a name that is none, or undefined.
function meantBy(name, known) {
  const lower = name.toLowerCase();
  return known.find((one) => one.toLowerCase() === lower) ||
    known.find((one) => one.length >= SHORT && lower.length >= SHORT && isNear(one.toLowerCase(), lower));
}

function noOption(where, name, meant) {
  return new TypeError(`there is no option ${where}${name}${meant === undefined ? '' : `: ${where}${meant} is meant?`}`);
}

function checkNames(options, known) {
  for (const name of Object.keys(options)) {
    if (known.includes(name) || options[name] === undefined) continue;
    if (Object.hasOwn(OF_OTHERS, name)) throw noOption('', name, OF_OTHERS[name]);
    const meant = meantBy(name, known);
    // Methods of an app are called what they like.
    if (meant !== undefined && (typeof options[name] !== 'function' || meant.startsWith('on'))) throw noOption('', name, meant);
  }
}

module.exports = { checkNames, meantBy, noOption };
