// The same for ECMAScript modules.
import carom from './index.js';

export const { serve, Headers, Request, Response } = carom;
export default carom;
