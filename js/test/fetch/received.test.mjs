// What the runtime's own fetch and Request make of a request that a handler was given.
import { describeCopies } from './copying.mjs';

describeCopies({ inPlace: false });
