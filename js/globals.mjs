// Puts our Headers, Request and Response in the place of the runtime's, for programs that ask for it.
import './globals.cjs';
