// What the tests need of a browser's window: events, timers, messages, frames. No negotiation here.
"use strict";

Object.assign(globalThis, { window: globalThis, self: globalThis, onmessage: null, onerror: null });

class DOMException extends Error {
  static #codes = {
    IndexSizeError: 1, HierarchyRequestError: 3, InvalidCharacterError: 5, NotFoundError: 8,
    NotSupportedError: 9, InvalidStateError: 11, SyntaxError: 12, InvalidModificationError: 13,
    InvalidAccessError: 15, TypeMismatchError: 17, NetworkError: 19, AbortError: 20,
    TimeoutError: 23, DataCloneError: 25,
  };
  #name;
  constructor(message = "", name = "Error") {
    super(message);
    this.#name = String(name);
  }
  get name() { return this.#name; }
  get code() { return DOMException.#codes[this.#name] ?? 0; }
}

class Event {
  constructor(type, init = {}) {
    if (arguments.length === 0) throw new TypeError("Event needs a type");
    this.type = String(type);
    this.bubbles = Boolean(init?.bubbles);
    this.cancelable = Boolean(init?.cancelable);
    this.composed = Boolean(init?.composed);
    this.defaultPrevented = false;
    this.target = null;
    this.currentTarget = null;
    this.isTrusted = false;
  }
  preventDefault() { if (this.cancelable) this.defaultPrevented = true; }
  stopPropagation() {}
  stopImmediatePropagation() { this.stopped = true; }
}

class MessageEvent extends Event {
  constructor(type, init = {}) {
    super(type, init);
    this.data = init.data ?? null;
    this.source = init.source ?? null;
    this.origin = "null";
  }
}

class EventTarget {
  #listeners = new Map();

  addEventListener(type, callback, options) {
    if (!callback) return;
    const list = this.#listeners.get(type) ?? [];
    if (list.some(entry => entry.callback === callback)) return;
    this.#listeners.set(type, [...list, { callback, once: Boolean(options?.once) }]);
  }

  removeEventListener(type, callback) {
    const list = this.#listeners.get(type) ?? [];
    this.#listeners.set(type, list.filter(entry => entry.callback !== callback));
  }

  dispatchEvent(event) {
    event.target = event.currentTarget = this;
    const type = event.type;
    for (const entry of this.#listeners.get(type) ?? []) {
      if (!this.#listeners.get(type).includes(entry)) continue;
      if (entry.once) this.removeEventListener(type, entry.callback);
      invoke(entry.callback, this, event);
      if (event.stopped) break;
    }
    return !event.defaultPrevented;
  }
}

function invoke(callback, target, event) {
  try {
    if (typeof callback === "function") callback.call(target, event);
    else callback.handleEvent(event);
  } catch (error) {
    reportError(error);
  }
}

// An attribute such as ontrack, whose place among the listeners is that of its first setting.
function eventHandlerAttribute(owner, type) {
  const handlers = new WeakMap();
  Object.defineProperty(owner, `on${type}`, {
    configurable: true,
    enumerable: true,
    get() { return handlers.get(this)?.value ?? null; },
    set(value) {
      const callable = typeof value === "function" ? value : null;
      let handler = handlers.get(this);
      if (!handler) {
        if (!callable) return;
        handler = { value: null };
        handlers.set(this, handler);
        this.addEventListener(type, event => handler.value?.call(this, event));
      }
      handler.value = callable;
    },
  });
}

const windowTarget = new EventTarget();
for (const name of ["addEventListener", "removeEventListener", "dispatchEvent"]) {
  globalThis[name] = (...args) => windowTarget[name](...args);
}

function reportError(error) {
  const event = new Event("error", { cancelable: true });
  event.error = error;
  event.message = `${error?.name}: ${error?.message}\n${error?.stack}`;
  event.filename = "";
  event.lineno = event.colno = 0;
  windowTarget.dispatchEvent(event);
}

const performance = { now: () => ask("now"), timeOrigin: ask("origin") };
const console = Object.fromEntries(["debug", "error", "info", "log", "warn"].map(
  level => [level, (...values) => ask("log", `${level}: ${values.map(String).join(" ")}`)]));

// Data.
class TextEncoder {
  encode(text = "") { return new Uint8Array(ask("utf8", String(text).toWellFormed())); }
}

class TextDecoder {
  decode(data = new ArrayBuffer(0)) {
    return ask("text", ArrayBuffer.isView(data) ? data : new Uint8Array(data));
  }
}

const contents = new WeakMap();
const bytesOf = blob => contents.get(blob);

class Blob {
  constructor(parts = [], { type = "" } = {}) {
    const bytes = [...parts].flatMap(part => {
      if (part instanceof Blob) return [...bytesOf(part)];
      if (part instanceof ArrayBuffer) return [...new Uint8Array(part)];
      if (!ArrayBuffer.isView(part)) return [...new TextEncoder().encode(part)];
      return [...new Uint8Array(part.buffer, part.byteOffset, part.byteLength)];
    });
    contents.set(this, Uint8Array.from(bytes));
    this.type = type;
  }
  get size() { return bytesOf(this).length; }
  async arrayBuffer() { return bytesOf(this).slice().buffer; }
  async text() { return new TextDecoder().decode(bytesOf(this)); }
}

const tasks = new Map();
let lastTask = 0;

function schedule(callback, delay, args, repeat) {
  const id = ++lastTask;
  const wait = Math.max(Number(delay) || 0, 0);
  tasks.set(id, { callback, args, wait, repeat });
  ask("timer", id, wait);
  return id;
}
const setTimeout = (callback, delay, ...args) => schedule(callback, delay, args, false);
const setInterval = (callback, delay, ...args) => schedule(callback, delay, args, true);
function clearTimeout(id) { tasks.delete(id); }
const clearInterval = clearTimeout;
const requestAnimationFrame = callback => setTimeout(callback, 16);

function runTask(id) {
  const task = tasks.get(id);
  if (!task) return;
  if (task.repeat) ask("timer", id, task.wait);
  else tasks.delete(id);
  try {
    task.callback(...task.args);
  } catch (error) {
    reportError(error);
  }
}

class FileReader extends EventTarget {
  readAsArrayBuffer(blob) {
    setTimeout(() => {
      this.result = bytesOf(blob).slice().buffer;
      this.dispatchEvent(new Event("load"));
    }, 0);
  }
}
eventHandlerAttribute(FileReader.prototype, "load");

// Windows: this one, its parent, and the frames in it, each with a realm of its own.
function windowProxy(number) {
  return { postMessage: data => { ask("post", number, JSON.stringify(data)); } };
}

function receiveMessage(text) {
  const event = new MessageEvent("message", { data: JSON.parse(text) });
  windowTarget.dispatchEvent(event);
  if (typeof globalThis.onmessage === "function") invoke(globalThis.onmessage, globalThis, event);
}

const frames = new Map();

class HTMLElement extends EventTarget {
  constructor() { super(); this.children = []; }
  removeChild(child) { child.remove(); return child; }
  appendChild(child) { this.children.push(child); child.inserted?.(); return child; }
  remove() { this.removed?.(); }
}

// Its pictures are those of a generated track.
class HTMLCanvasElement extends HTMLElement {
  getContext() { return new Proxy({}, { get: () => () => {}, set: () => true }); }
  captureStream() { return new MediaStream([ask("media", "video")]); }
}

class HTMLIFrameElement extends HTMLElement {
  srcdoc = "";
  onload = null;
  contentWindow = null;
  inserted() {
    const number = ask("frame", this.srcdoc);
    this.contentWindow = windowProxy(number);
    frames.set(number, this);
  }
  removed() { this.contentWindow = null; }
}

// As much of testdriver.js as tests need to be let have microphones and cameras.
globalThis.test_driver = { set_permission: async () => {} };

function frameLoaded(number) {
  const frame = frames.get(number);
  if (frame?.onload) invoke(frame.onload, frame, new Event("load"));
}

Object.assign(globalThis, {
  Blob, DOMException, Event, EventTarget, FileReader, HTMLCanvasElement, HTMLElement, HTMLIFrameElement, MessageEvent,
  TextDecoder, TextEncoder, clearInterval, clearTimeout, console, performance, reportError, requestAnimationFrame, setInterval,
  setTimeout,
});
globalThis.postMessage = data => { ask("post", ask("window"), JSON.stringify(data)); };
globalThis.parent = ask("parent") === null ? globalThis : windowProxy(ask("parent"));
globalThis.top = globalThis.parent;
globalThis.opener = null;

// testharness.js renders its results where there is a document, so this comes after it.
function makeDocument() {
  const elements = { iframe: HTMLIFrameElement, canvas: HTMLCanvasElement };
  globalThis.document = {
    documentElement: new HTMLElement(),
    body: new HTMLElement(),
    createElement: name => new (elements[name] ?? HTMLElement)(),
    getElementById: () => new HTMLElement(),
    getElementsByTagName: () => [],
    addEventListener() {},
    title: "",
  };
}
