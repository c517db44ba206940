#!/usr/bin/env node
// The program `carom`: hands its arguments to the command line (../src/cli/main.js).
import { createRequire } from 'node:module';

const { main } = createRequire(import.meta.url)('../src/cli/main.js');
await main(process.argv.slice(2));
