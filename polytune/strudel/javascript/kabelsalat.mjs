// Stands in for @kabelsalat/web, an audio-graph compiler for browsers that core imports at start.
export class SalatRepl {
  evaluate() {
    throw new Error('K(...) needs a browser');
  }
}
