// Judges one Strudel program inside a bare V8 context that holds the bundle and nothing of a host.
//
//   begin(code)   parse, transpile, run: what the editor at strudel.cc does when a person presses play
//   finish()      ask the resulting pattern for its events and look at each of them
//
// Both answer a JSON string. `dirty` asks the host for a fresh context: the program changed something
// that cannot be put back. Natives are taken before any program runs, so that a program which replaces
// them is caught instead of believed.
(function (packages, known, cycles) {
  'use strict';
  const { core, mini, tonal, transpiler, parse } = packages;
  const { ownKeys, getOwnPropertyDescriptor, defineProperty, deleteProperty, getPrototypeOf, isExtensible } = Reflect;
  const stringify = JSON.stringify;
  const identical = Object.is;
  const { Pattern, State, TimeSpan, silence, stack, strudelScope } = core;
  const knownSounds = new Set(known.sounds);
  const drums = new Set(known.drums);
  const banks = new Set(known.banks);

  // -- a context without time, chance, threads or timers ---------------------------------------------
  let logged = [];
  let clock = 0;
  let seed = 1;
  // Strudel keeps quiet about a message repeated within a second, so every look at the clock is later.
  const now = () => (clock += 2000);
  const random = () => {
    seed = (seed * 48271) % 2147483647;
    return seed / 2147483647;
  };
  const listen = (...words) => {
    if (logged.length < 100) logged.push(String(words[0]).slice(0, 300));
  };
  Date.now = now;
  Math.random = random;
  globalThis.performance.now = now;
  for (const level of ['log', 'warn', 'error', 'info', 'debug']) globalThis.console[level] = listen;
  for (const name of ['Atomics', 'SharedArrayBuffer', 'WebAssembly', 'setTimeout', 'clearTimeout',
    'strudelPackages', '__timer_manager']) if (!deleteProperty(globalThis, name)) globalThis[name] = undefined;

  // -- what the editor adds to the packages ----------------------------------------------------------
  let named = {};
  let anonymous = 0;
  let forAll = [];
  let forEach;
  let loaded = new Set();
  let loadsAnything = false;
  let dirty = false;
  const quiet = () => silence;
  const identity = function () {
    return this;
  };
  const load = (map) => {
    if (map !== null && typeof map === 'object') for (const name of Object.keys(map)) loaded.add(name.toLowerCase());
    else loadsAnything = true;
    return silence;
  };
  const editor = {
    samples: load,
    aliasBank: load,
    soundAlias: (original, alias) => load({ [alias]: original }),
    hush() {
      named = {};
      anonymous = 0;
      forAll = [];
      forEach = undefined;
      return silence;
    },
    all(transform) {
      forAll.push(transform);
      return silence;
    },
    each(transform) {
      forEach = transform;
      return silence;
    },
    slider: (value) => core.ref(() => value),
    sliderWithID: (id, value) => core.ref(() => value),
    H: (pattern) => () => pattern,
  };
  for (const name of known.editorFunctions) editor[name] ??= quiet;

  const remember = function (id) {
    const name = String(id);
    if (name.startsWith('_') || name.endsWith('_')) return silence;
    named[name.includes('$') ? `${name}${anonymous++}` : name] = this;
    return this;
  };
  const methods = Pattern.prototype;
  for (const name of known.editorMethods) {
    if (/^[dp]\d$/.test(name)) {
      const get = function () {
        return remember.call(this, name);
      };
      defineProperty(methods, name, { get, configurable: true });
    } else if (!(name in methods)) methods[name] = /^q\d?$/.test(name) ? quiet : identity;
  }
  methods.p = remember;
  methods.piano = function () {
    return this.set({ s: 'piano', release: 0.1 });
  };

  // Functions that keep what they are given somewhere a snapshot does not reach.
  const lasting = ['setStringParser', 'addVoicings', 'registerVoicings', 'resetVoicings', 'setDefaultVoicings',
    'setVoicingRange', 'voicingAlias', 'useRNG', 'miniAllStrings', 'setTime', 'setCpsFunc', 'setTriggerFunc',
    'setIsStarted', 'setPattern', 'evalScope', 'evaluate', 'repl', 'registerControl', 'registerMultiControl',
    'createParam', 'createParams', 'keyAlias'];
  const watched = {};
  for (const name of lasting) {
    const original = { ...core, ...mini, ...tonal }[name];
    if (typeof original !== 'function') continue;
    watched[name] = (...given) => {
      dirty = true;
      return original(...given);
    };
  }
  const scope = { ...core, ...mini, ...tonal, ...watched, ...editor };
  const names = Object.keys(scope).filter((name) => /^[A-Za-z_]\w*$/.test(name));
  const values = names.map((name) => scope[name]);

  // -- snapshots ---------------------------------------------------------------------------------------
  const photograph = (object) => {
    const keys = ownKeys(object);
    const properties = new Map();
    for (let i = 0; i < keys.length; i++) properties.set(keys[i], getOwnPropertyDescriptor(object, keys[i]));
    return { object, keys, properties, open: isExtensible(object) };
  };
  const same = (a, b) =>
    b !== undefined && identical(a.value, b.value) && a.get === b.get && a.set === b.set &&
    a.writable === b.writable && a.configurable === b.configurable;
  const has = Map.prototype.has.call.bind(Map.prototype.has);
  const lookUp = Map.prototype.get.call.bind(Map.prototype.get);
  const differences = (picture) => {
    const found = [];
    const keys = ownKeys(picture.object);
    for (let i = 0; i < keys.length; i++) if (!has(picture.properties, keys[i])) found[found.length] = keys[i];
    for (let i = 0; i < picture.keys.length; i++) {
      const key = picture.keys[i];
      if (!same(lookUp(picture.properties, key), getOwnPropertyDescriptor(picture.object, key)))
        found[found.length] = key;
    }
    return found;
  };
  const restore = (picture) => {
    const changed = differences(picture);
    for (let i = 0; i < changed.length; i++) {
      const before = lookUp(picture.properties, changed[i]);
      const done = before
        ? defineProperty(picture.object, changed[i], before)
        : deleteProperty(picture.object, changed[i]);
      if (!done) dirty = true;
    }
  };
  const restorable = [photograph(methods), photograph(strudelScope), photograph(tonal.voicingRegistry)];
  const belongings = [['globalThis', globalThis]];
  for (const key of ownKeys(globalThis)) {
    const value = globalThis[key];
    if (value === globalThis || value === null || !['function', 'object'].includes(typeof value)) continue;
    belongings.push([String(key), value]);
    if (value.prototype) belongings.push([`${String(key)}.prototype`, value.prototype]);
  }
  for (const name of ['Hap', 'TimeSpan', 'State'])
    belongings.push([name, core[name]], [`${name}.prototype`, core[name].prototype]);
  belongings.push(['the iterator of arrays', getPrototypeOf([].values())], ['Pattern', Pattern]);
  belongings.push(['async functions', getPrototypeOf(async () => {})]);
  belongings.push(['fractions', getPrototypeOf(core.Fraction(1))]);
  const untouchable = belongings
    .filter(([, object]) => object !== null && ['object', 'function'].includes(typeof object))
    .map(([name, object]) => ({ name, ...photograph(object) }));

  const tampered = () => {
    for (let i = 0; i < untouchable.length; i++) {
      const changed = differences(untouchable[i]);
      if (changed.length) return `${untouchable[i].name}.${String(changed[0])}`;
      if (isExtensible(untouchable[i].object) !== untouchable[i].open) return untouchable[i].name;
    }
    return '';
  };

  // -- looking at events -------------------------------------------------------------------------------
  const note = /^[a-gA-G][#bsf]*-?[0-9]*$/;
  const text = (value) => (typeof value === 'string' ? `"${value}"` : String(value));
  const complaint = (value) => {
    if (value === null || typeof value !== 'object' || Array.isArray(value))
      return `the events are ${text(value)}, not sounds: s(...) or note(...) is missing`;
    for (const key of Object.keys(value))
      if (typeof value[key] === 'number' && !Number.isFinite(value[key])) return `${key} is not a finite number`;
    return noteComplaint(value) || soundComplaint(value);
  };
  const noteComplaint = (value) => {
    const { note: pitch, n } = value;
    if (typeof pitch === 'string' && !note.test(pitch) && !Number.isFinite(Number(pitch))) return `${text(pitch)} is not a note`;
    if (pitch !== undefined && !['string', 'number'].includes(typeof pitch)) return `note is ${typeof pitch}, not a note`;
    if (typeof n === 'string' && !Number.isFinite(Number(n))) return `n is ${text(n)}, not a number`;
    return '';
  };
  const soundComplaint = (value) => {
    const { s, bank } = value;
    if (loadsAnything || s === undefined) return '';
    if (typeof s !== 'string') return `the sound is ${typeof s}, not a name`;
    const sound = s.toLowerCase();
    if (bank === undefined) return knows(sound) ? '' : `unknown sound ${text(s)}`;
    if (!banks.has(String(bank).toLowerCase()) && !loaded.has(`${bank}_${s}`.toLowerCase())) return `unknown bank ${text(bank)}`;
    return drums.has(sound) || knows(sound) ? '' : `unknown sound ${text(s)} in bank ${text(bank)}`;
  };
  const knows = (sound) => {
    const cut = sound.lastIndexOf('_');
    return (
      knownSounds.has(sound) || loaded.has(sound) || sound.startsWith('wt_') ||
      (banks.has(sound.slice(0, cut)) && drums.has(sound.slice(cut + 1)))
    );
  };
  const fatal = /error:|unknown chord|not a note|Invalid value|Modulation type|not implemented/i;
  const loggedError = () => {
    const found = logged.find((line) => fatal.test(line) && (line.startsWith('%c') || /not implemented/.test(line)));
    return found ? found.replace(/^%c/, '') : '';
  };

  // -- the two calls -----------------------------------------------------------------------------------
  const failed = (stage, reason) => ({ passed: false, stage, reason: String(reason).slice(0, 300) });
  const message = (error) => {
    try {
      const said = error instanceof Error ? error.message : text(error);
      if (said === 'unexpected ast format without body expression') return 'the last statement is no pattern';
      return said.replace(/Expected .* but (.*) found/s, 'unexpected $1');
    } catch {
      return 'an error that cannot be shown';
    }
  };
  const imports = (node) => {
    if (node === null || typeof node !== 'object') return false;
    if (node.type === 'ImportExpression' || node.type === 'MetaProperty') return true;
    return Object.values(node).some((child) => (Array.isArray(child) ? child.some(imports) : imports(child)));
  };
  const parsed = (code) => parse(code, { ecmaVersion: 2022, allowAwaitOutsideFunction: true });
  const reset = () => {
    logged = [];
    seed = 1;
    loaded = new Set();
    loadsAnything = false;
    dirty = false;
    outcome = undefined;
    editor.hush();
  };

  let outcome;
  const begin = (code) => {
    reset();
    try {
      const tree = parsed(code);
      if (!tree.body.length) outcome = failed('parse', 'there is no code');
      else if (imports(tree)) outcome = failed('parse', 'import is not part of Strudel');
      if (outcome) return;
      const { output } = transpiler(code, { addReturn: true, emitWidgets: false });
      const run = new Function(...names, `"use strict"; return (async () => {${output}\n})()`);
      run(...values).then(
        (value) => (outcome = { value }),
        (error) => (outcome = failed('evaluate', message(error))),
      );
    } catch (error) {
      outcome = failed('parse', message(error));
    }
  };

  const combined = (value) => {
    let patterns = Object.entries(named);
    const solo = patterns.filter(([name]) => name.length > 1 && name.startsWith('S'));
    if (solo.length) patterns = solo;
    let pattern = value;
    if (patterns.length) pattern = stack(...patterns.map(([, one]) => (forEach ? forEach(one) : one)));
    else if (forEach) pattern = forEach(pattern);
    for (const transform of forAll) pattern = transform(pattern);
    return pattern;
  };

  const listenTo = (pattern) => {
    let onsets = 0;
    const used = new Set();
    for (let cycle = 0; cycle < cycles; cycle++) {
      const span = new TimeSpan(core.Fraction(cycle), core.Fraction(cycle + 1));
      for (const hap of pattern.query(new State(span, { _cps: 0.5 }))) {
        if (!hap.hasOnset()) continue;
        onsets += 1;
        const wrong = complaint(hap.value);
        if (wrong) return failed('sound', wrong);
        used.add(String(hap.value.s ?? 'triangle'));
      }
    }
    if (!onsets) return failed('silent', `silent for ${cycles} cycles`);
    return { passed: true, stage: 'done', reason: '', onsets, sounds: used.size };
  };

  const judged = () => {
    if (!outcome) return failed('evaluate', 'it waits for something that never comes');
    if (outcome.stage) return outcome;
    try {
      const pattern = combined(outcome.value);
      if (!core.isPattern(pattern)) return failed('type', `it gives ${typeof pattern}, not a pattern`);
      const result = listenTo(pattern);
      const error = loggedError();
      return error ? failed('logged', error) : result;
    } catch (error) {
      return failed('query', message(error));
    }
  };

  const finish = () => {
    const result = judged();
    const touched = tampered();
    if (touched) return `{"passed":false,"stage":"tampering","reason":${stringify(`it changes ${touched}`)},"dirty":true}`;
    for (let i = 0; i < restorable.length; i++) restore(restorable[i]);
    return stringify({ ...result, dirty });
  };
  return (phase, code) => (phase === 'begin' ? begin(code) : finish());
})
