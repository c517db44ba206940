#!/usr/bin/env node
// The command line: `carom serve APP.mjs`.
import { createRequire } from 'node:module';

const { main } = createRequire(import.meta.url)('../src/cli/main.js');
await main(process.argv.slice(2));
