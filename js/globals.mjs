// Puts our Headers, Request, Response and ReadableStream in the place of the runtime's, for programs that ask for it.
import './globals.cjs';
