// Watches the folder of an app. On Node, which tells what an app imports, also the folders of the app's own modules.
'use strict';

const fs = require('node:fs');
const module_ = require('node:module');
const path = require('node:path');
const { fileURLToPath, pathToFileURL } = require('node:url');

const OF_AN_APP = /\.(m?[jt]s|c[jt]s|json|html|css|txt)$/;
const QUIET = 50; // ms without a change after a flurry of them

class Watch {
  constructor(app) {
    this.folders = new Set();
    this.changed = null;
    this.timer = null;
    this.add(path.dirname(path.resolve(app)));
    if (!process.versions.bun && !process.versions.deno && typeof module_.register === 'function') this.followImports();
  }

  followImports() {
    const { port1, port2 } = new MessageChannel();
    port1.on('message', (url) => this.add(path.dirname(fileURLToPath(url))));
    port1.unref();
    module_.register('./import-hooks.mjs', { parentURL: pathToFileURL(__filename), data: { port: port2 }, transferList: [port2] });
  }

  add(folder) {
    if (this.folders.has(folder)) return;
    this.folders.add(folder);
    try {
      fs.watch(folder, (event, file) => this.hear(file)).on('error', (error) => this.lose(folder, error));
    } catch (error) {
      this.lose(folder, error);
    }
  }

  hear(file) {
    if (file !== null && !OF_AN_APP.test(file)) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.changed?.(), QUIET);
  }

  // The folder has gone, or the system watches as many as it can. It is tried again when something there is imported.
  lose(folder, error) {
    this.folders.delete(folder);
    process.stderr.write(`carom: changes in ${folder} are not seen: ${error.message}\n`);
  }

  start(changed) {
    this.changed = changed;
  }
}

module.exports = { Watch };
